"""Exports timm models as graphs into a folder, those that are not there yet; `--load MODEL` times opening one instead."""

import argparse
import os

from common import model, report, timed, torch

parser = argparse.ArgumentParser()
parser.add_argument("folder")
parser.add_argument("models", nargs="*")
parser.add_argument("--load", metavar="MODEL")
parser.add_argument("--repeats", type=int, default=3)
options = parser.parse_args()


def path(name):
    return os.path.join(options.folder, name + ".pt2")


if options.load:
    report(timed(lambda: torch.export.load(path(options.load)), options.repeats))
    raise SystemExit

os.makedirs(options.folder, exist_ok=True)
for name in options.models:
    if os.path.exists(path(name)):
        continue
    example = torch.randn(2, 3, 224, 224)
    program = torch.export.export(model(name), (example,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.export.save(program, path(name))
