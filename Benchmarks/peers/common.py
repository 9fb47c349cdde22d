"""What the peers' scripts share: PyTorch + timm on a CPU, float32, evaluation mode, random weights."""

import json
import os
import resource
import sys
import time
import warnings

THREADS = int(os.environ.get("BENCHMARK_THREADS", "2"))
warnings.filterwarnings("ignore")

import timm
import torch

torch.set_num_threads(THREADS)


def model(name, classes=1000, **options):
    torch.manual_seed(0)
    return timm.create_model(name, pretrained=False, num_classes=classes, **options).eval()


def images(count, size=224, seed=1):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def block_names(network):
    """The residual blocks of a timm model."""
    kinds = ("Block", "SwinTransformerBlock", "BasicBlock", "Bottleneck", "Outlooker", "Transformer", "ConvNeXtBlock",
             "InvertedResidual", "DepthwiseSeparableConv", "MaxxVitBlock")
    return [name for name, part in network.named_modules() if type(part).__name__ in kinds]


def hook_blocks(network, names):
    """A dictionary that every forward pass fills with the outputs of the named blocks."""
    values, parts = {}, dict(network.named_modules())
    for name in names:
        parts[name].register_forward_hook(
            lambda _part, _input, output, name=name: values.__setitem__(name, output))
    return values


def timed(body, repeats, warm=1):
    """Seconds of each repeat of `body`, after `warm` runs that do not count."""
    for _ in range(warm):
        body()
    result = []
    before = time.process_time()
    for _ in range(repeats):
        start = time.perf_counter()
        body()
        result.append(time.perf_counter() - start)
    timed.processor_seconds = (time.process_time() - before) / repeats
    return result


def median(values):
    return sorted(values)[len(values) // 2]


def report(seconds, **values):
    """Prints the one line of JSON that the benchmark reads."""
    values["seconds"] = median(seconds)
    values["repeats"] = seconds
    values["processor_seconds"] = getattr(timed, "processor_seconds", None)
    values["peak_rss_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(values), flush=True)
    sys.stdout.flush()


def report_forward(network, data, names, batch, repeats):
    """Times forward passes over the data with hooks that keep the values of the named blocks."""
    values = hook_blocks(network, names)

    def run():
        for first in range(0, len(data), batch):
            values.clear()
            network(data[first:first + batch])

    with torch.inference_mode():
        seconds = timed(run, repeats)
    report(seconds, blocks=len(names))
