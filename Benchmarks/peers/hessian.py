"""Hessian-vector products, or the eigenvalues of largest magnitude, by other packages.

The loss is cross-entropy on one random minibatch of 32x32 images; time is that of one product, or of all
until the eigenvalues converge."""

import argparse
import sys
import time

from common import images, model, report, timm, torch

parser = argparse.ArgumentParser()
parser.add_argument("package", choices=["pyhessian", "eigenthings", "curvlinops"])
parser.add_argument("model", choices=["vit_tiny", "resnet18"])
parser.add_argument("batch", type=int)
parser.add_argument("--products", type=int, default=6)
parser.add_argument("--top", type=int, default=0, help="solve for this many eigenvalues instead")
options = parser.parse_args()

timm.layers.set_fused_attn(False)  # PyTorch's fused attention has no second derivative on a CPU
if options.model == "vit_tiny":
    network = model("vit_tiny_patch16_224", 100, img_size=32, patch_size=4)
else:
    network = model("resnet18", 100)
data = images(options.batch, 32)
labels = torch.randint(0, 100, (options.batch,), generator=torch.Generator().manual_seed(2))
loss = torch.nn.CrossEntropyLoss()
times, solve = [], options.top > 0
tolerance = 1e-3


def counted(product):
    def run(*values):
        start = time.perf_counter()
        result = product(*values)
        times.append(time.perf_counter() - start)
        return result
    return run


def pyhessian():
    import pyhessian

    module = sys.modules["pyhessian.hessian"]
    module.hessian_vector_product = counted(module.hessian_vector_product)
    hessian = pyhessian.hessian(network, loss, data=(data, labels), cuda=False)
    if solve:
        return hessian.eigenvalues(maxIter=500, tol=tolerance, top_n=options.top)[0]
    return hessian.eigenvalues(maxIter=options.products, tol=-1.0, top_n=1)[0]


def eigenthings():
    from hessian_eigenthings import HessianOperator, lanczos, supervised_loss

    hessian = HessianOperator(network, [(data, labels)], supervised_loss(loss))
    hessian.matvec = counted(hessian.matvec)
    if solve:
        values = lanczos(hessian, k=options.top, max_iter=200, tol=tolerance, seed=0).eigenvalues
    else:
        values = lanczos(hessian, k=1, max_iter=options.products, tol=0.0, seed=0).eigenvalues
    return [float(value) for value in values]


def curvlinops():
    import numpy
    from curvlinops import HessianLinearOperator
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    hessian = HessianLinearOperator(
        network, loss, list(network.parameters()), [(data, labels)], check_deterministic=False)
    inner = hessian.to_scipy() if hasattr(hessian, "to_scipy") else hessian
    product = counted(lambda vector: inner @ vector.astype("float32"))
    start = numpy.random.RandomState(0).randn(inner.shape[0]).astype("float32")
    if not solve:
        for _ in range(options.products):
            start = product(start / numpy.linalg.norm(start))
        return []
    try:
        values, _ = eigsh(LinearOperator(inner.shape, matvec=product, dtype="float32"),
                          k=options.top, which="LM", tol=tolerance, v0=start)
    except ArpackNoConvergence as stopped:
        values = stopped.eigenvalues
    return [float(value) for value in values]


begin = time.perf_counter()
values = globals()[options.package]()
total = time.perf_counter() - begin
# The first product makes buffers; it is not counted.
report([total] if solve else times[1:], products=len(times),
       eigenvalues=[float(value) for value in values])
