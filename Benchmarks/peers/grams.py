"""Gram matrices and all pairs on given features, one minibatch of n images."""

import argparse

from common import report, timed, torch
from centring import u_centred

parser = argparse.ArgumentParser()
parser.add_argument("layers", type=int)
parser.add_argument("n", type=int)
parser.add_argument("features", type=int)
parser.add_argument("--repeats", type=int, default=3)
options = parser.parse_args()

torch.manual_seed(1)
base = torch.randn(options.n, options.features)
distinct = [base * (1 - k / options.layers) + torch.randn(options.n, options.features)
            * (k + 1) / options.layers for k in range(min(options.layers, 8))]
features = [distinct[k % len(distinct)] for k in range(options.layers)]
result = {}


def run():
    grams = u_centred(torch.stack([x @ x.t() for x in features])).flatten(1)
    products = grams @ grams.t()
    own = products.diagonal().sqrt()
    result["cka"] = products / (own[:, None] * own[None])


with torch.inference_mode():
    seconds = timed(run, options.repeats)
report(seconds, cka_first_last=float(result["cka"][0, -1]))
