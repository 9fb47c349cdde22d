"""Accuracy of a timm vision transformer without each of its residual branches in turn: a whole pass a branch, the branch
replaced by zeros through a hook.
"""

import argparse

import torch.nn.functional as F

from common import images, model, report, timed, torch

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("n", type=int)
parser.add_argument("batch", type=int)
parser.add_argument("--repeats", type=int, default=1)
options = parser.parse_args()

network, data = model(options.model), images(options.n)
labels = torch.arange(options.n) % 10
branches = [part for block in network.blocks for part in (block.attn, block.mlp)]


def losses():
    found = []
    for start in range(0, options.n, options.batch):
        scores = network(data[start:start + options.batch])
        found.append(F.cross_entropy(scores, labels[start:start + options.batch], reduction="none"))
    return torch.cat(found)


def run():
    found = [losses()]
    for branch in branches:
        handle = branch.register_forward_hook(lambda _part, _input, output: torch.zeros_like(output))
        found.append(losses())
        handle.remove()
    return found


with torch.inference_mode():
    report(timed(run, options.repeats, warm=0), branches=len(branches))
