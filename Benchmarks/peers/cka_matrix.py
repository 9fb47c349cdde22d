"""CKA between all pairs of blocks of one model, images already in memory.

torch_cka, pytorch_cka: the packages as they are. stacked: no_grad, one forward pass, U-centred Grams of all blocks in one
tensor and one product a minibatch, as one would write it with care."""

import argparse
import contextlib
import csv
import io

from common import block_names, hook_blocks, images, model, report, timed, torch
from centring import u_centred

parser = argparse.ArgumentParser()
parser.add_argument("mode", choices=["torch_cka", "pytorch_cka", "stacked"])
parser.add_argument("model")
parser.add_argument("batch", type=int)
parser.add_argument("n", type=int)
parser.add_argument("--images", help="uint8 [n, height, width, 3], .npy")
parser.add_argument("--out", help="write the matrix as CSV")
parser.add_argument("--repeats", type=int, default=1)
options = parser.parse_args()

network = model(options.model)
if options.images:
    import numpy

    pixels = torch.from_numpy(numpy.load(options.images)[:options.n])
    data = (pixels.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
else:
    data = images(options.n)
names = block_names(network)
result = {}


def batches():
    from torch.utils.data import DataLoader, TensorDataset

    return DataLoader(TensorDataset(data, torch.zeros(options.n)), batch_size=options.batch)


def pytorch_cka():
    from cka import compute_cka

    result["cka"] = compute_cka(network, network, batches(), layers=names, device="cpu", progress=False)[0]


def torch_cka():
    from torch_cka import CKA

    analysis = CKA(network, network, model1_name="a", model2_name="b", model1_layers=names,
                   model2_layers=names)
    with contextlib.redirect_stderr(io.StringIO()):
        analysis.compare(batches())
    result["cka"] = analysis.export()["CKA"].detach()


def stacked():
    count = len(names)
    products = torch.zeros(count, count)
    with torch.inference_mode():
        for first in range(0, options.n, options.batch):
            network(data[first:first + options.batch])
            rows = [values[name].flatten(1) for name in names]
            grams = u_centred(torch.stack([x @ x.t() for x in rows])).flatten(1)
            products += grams @ grams.t()
    own = products.diagonal().sqrt()
    result["cka"] = products / (own[:, None] * own[None])


with torch.inference_mode():
    network(data[:2])
if options.mode == "stacked":
    values = hook_blocks(network, names)
seconds = timed(globals()[options.mode], options.repeats, warm=0)
if options.out:
    with open(options.out, "w", newline="") as file:
        csv.writer(file).writerows(result["cka"].tolist())
report(seconds, cka_first_last=float(result["cka"][0, -1]))
