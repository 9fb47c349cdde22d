"""Reads all weights of a checkpoint and adds them up as 32-bit words; `--make` writes the files first."""

import argparse
import os

from common import report, timed, torch
import numpy
import safetensors.torch

parser = argparse.ArgumentParser()
parser.add_argument("path")
parser.add_argument("--make", action="store_true", help="write PATH.pth and PATH.safetensors, 350 MB each")
parser.add_argument("--mmap", action="store_true", help="torch.load(mmap=True)")
parser.add_argument("--repeats", type=int, default=3)
options = parser.parse_args()

if options.make:
    generator = torch.Generator().manual_seed(0)
    weights = {f"blocks.{i}.weight": torch.randn(2304, 768 + i, generator=generator) for i in range(48)}
    torch.save(weights, options.path + ".pth")
    safetensors.torch.save_file(weights, options.path + ".safetensors")
    raise SystemExit


def run():
    if options.path.endswith(".pth"):
        weights = torch.load(options.path, weights_only=True, mmap=options.mmap)
    else:
        weights = safetensors.torch.load_file(options.path)
    return sum(int(value.numpy().reshape(-1).view(numpy.uint32).sum(dtype=numpy.uint64))
               for value in weights.values())


seconds = timed(run, options.repeats)
report(seconds, words=str(run() % 2**64), mib=os.path.getsize(options.path) / 2**20)
