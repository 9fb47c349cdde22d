"""Forward passes of a timm model with a hook that keeps the output of every block."""

import argparse

from common import block_names, images, model, report_forward, torch

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("batch", type=int)
parser.add_argument("n", type=int)
parser.add_argument("--channels-last", action="store_true")
parser.add_argument("--bf16", choices=("autocast", "whole"), help="by autocast, or all weights and activations")
parser.add_argument("--repeats", type=int, default=3)
options = parser.parse_args()

network, data = model(options.model), images(options.n)
if options.channels_last:
    network = network.to(memory_format=torch.channels_last)
    data = data.contiguous(memory_format=torch.channels_last)
if options.bf16 == "whole":
    network, data = network.bfloat16(), data.bfloat16()
names = block_names(network)
with torch.autocast("cpu", torch.bfloat16, enabled=options.bf16 == "autocast"):
    report_forward(network, data, names, options.batch, options.repeats)
