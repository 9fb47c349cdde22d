"""Writes the first 1,024 test images and labels of Fashion-MNIST, unchanged, as idx files.

    python bundle.py --data /usr/share/datasets/fashion-mnist --out ../images
"""

import argparse
import gzip
from pathlib import Path

import numpy as np

from data import load

COUNT = 1024


def write(path, array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    path.write_bytes(gzip.compress(header + np.ascontiguousarray(array).tobytes(), 9, mtime=0))
    print(path.name, array.shape, path.stat().st_size, "bytes")


parser = argparse.ArgumentParser()
parser.add_argument("--data", required=True)
parser.add_argument("--out", required=True)
args = parser.parse_args()
images, labels = load(args.data, "t10k")
out = Path(args.out)
out.mkdir(parents=True, exist_ok=True)
write(out / f"fmnist-test-{COUNT}-images-idx3-ubyte.gz", images[:COUNT])
write(out / f"fmnist-test-{COUNT}-labels-idx1-ubyte.gz", labels[:COUNT])
