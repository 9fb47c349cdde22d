"""Forward passes of a timm model by onnxruntime, with the output of every block as an output of the graph. The export is not
timed."""

import argparse
import os
import tempfile

from common import THREADS, block_names, hook_blocks, images, model, report, timed, timm, torch
import onnxruntime

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("batch", type=int)
parser.add_argument("n", type=int)
parser.add_argument("--repeats", type=int, default=3)
options = parser.parse_args()

timm.layers.set_fused_attn(False)  # the exporter writes products and a softmax, which onnxruntime joins by itself


class Blocks(torch.nn.Module):
    """The logits and the output of every block."""

    def __init__(self, network):
        super().__init__()
        self.network, self.names = network, block_names(network)
        self.values = hook_blocks(network, self.names)

    def forward(self, x):
        logits = self.network(x)
        return (logits, *(self.values[name] for name in self.names))


network, data = Blocks(model(options.model)), images(options.n)
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "model.onnx")
    names = ["logits", *(name.replace(".", "_") + "_output" for name in network.names)]
    torch.onnx.export(network, (data[:options.batch],), path, dynamo=False, opset_version=18, input_names=["images"],
                      output_names=names)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    batches = [data[first:first + options.batch].numpy() for first in range(0, options.n, options.batch)]
    seconds = timed(lambda: [session.run(None, {"images": batch}) for batch in batches], options.repeats)
report(seconds, blocks=len(network.names))
