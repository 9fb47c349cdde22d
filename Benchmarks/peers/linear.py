"""The rate of torch.nn.functional.linear at one shape."""

import argparse

from common import report, timed, torch

parser = argparse.ArgumentParser()
parser.add_argument("m", type=int)
parser.add_argument("n", type=int)
parser.add_argument("k", type=int)
parser.add_argument("--repeats", type=int, default=5)
options = parser.parse_args()
m, n, k = options.m, options.n, options.k
x, weight = torch.randn(m, k), torch.randn(n, k)
times = max(1, int(2e10 / (2 * m * n * k)))


def run():
    for _ in range(times):
        torch.nn.functional.linear(x, weight)


with torch.inference_mode():
    report(timed(run, options.repeats))
