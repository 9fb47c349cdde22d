"""Fashion-MNIST from its idx files, as the networks here take it.

28 x 28 grey images are padded with two pixels of 0 (the background) on every side to 32 x 32, scaled to
[0, 1], normalised with the mean and deviation of the training set and repeated over three channels.
"""

import gzip
from pathlib import Path

import numpy as np
import torch

MEAN, STD = 0.2860, 0.3530


def idx(path):
    raw = gzip.open(path).read()
    rank = raw[3]
    shape = [int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(rank)]
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


def load(directory, split):
    d = Path(directory)
    return idx(d / f"{split}-images-idx3-ubyte.gz"), idx(d / f"{split}-labels-idx1-ubyte.gz")


def prepare(images):
    """uint8 (N,28,28) -> float (N,3,32,32)."""
    x = torch.from_numpy(np.pad(images, ((0, 0), (2, 2), (2, 2)))).float() / 255
    return ((x - MEAN) / STD)[:, None].repeat(1, 3, 1, 1)


def augment(images, rng, shift):
    """Mirrors half of the images and moves each by up to `shift` pixels, filling with background."""
    n = len(images)
    padded = np.pad(images, ((0, 0), (shift, shift), (shift, shift)))
    rows, cols = rng.integers(0, 2 * shift + 1, (2, n))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (28, 28), (1, 2))
    out = windows[np.arange(n), rows, cols].copy()
    flip = rng.random(n) < 0.5
    out[flip] = out[flip, :, ::-1]
    return out
