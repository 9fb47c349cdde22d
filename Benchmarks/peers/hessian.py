"""Hessian-vector products, or the eigenvalues of largest magnitude, by other packages.

The loss is cross-entropy on one random minibatch of 32x32 images; time is that of one product, or of all
until the eigenvalues converge. The vectors found are judged afterwards, all by the same product: the
largest residual |Hv - value v| of a unit v, relative to the largest value."""

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
parser.add_argument("--tolerance", type=float, default=1e-3, help="the package's own")
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
tolerance = options.tolerance


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
        values, vectors = hessian.eigenvalues(maxIter=500, tol=tolerance, top_n=options.top)
        return values, [torch.cat([part.reshape(-1) for part in vector]) for vector in vectors]
    return hessian.eigenvalues(maxIter=options.products, tol=-1.0, top_n=1)[0], []


def eigenthings():
    from hessian_eigenthings import HessianOperator, lanczos, supervised_loss

    hessian = HessianOperator(network, [(data, labels)], supervised_loss(loss))
    hessian.matvec = counted(hessian.matvec)
    if solve:
        found = lanczos(hessian, k=options.top, max_iter=200, tol=tolerance, seed=0)
        vectors = found.eigenvectors
        if vectors is None:
            return found.eigenvalues, []
        return found.eigenvalues, list(vectors if len(vectors) == options.top else vectors.T)
    return lanczos(hessian, k=1, max_iter=options.products, tol=0.0, seed=0).eigenvalues, []


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
        return [], []
    try:
        values, vectors = eigsh(LinearOperator(inner.shape, matvec=product, dtype="float32"),
                          k=options.top, which="LM", tol=tolerance, v0=start)
    except ArpackNoConvergence as stopped:
        values, vectors = stopped.eigenvalues, stopped.eigenvectors
    return values, [torch.from_numpy(vector.copy()) for vector in vectors.T]


def residual(values, vectors):
    parameters = [p for p in network.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(loss(network(data), labels), parameters, create_graph=True)
    worst = 0.0
    for value, vector in zip(values, vectors):
        vector = vector.reshape(-1) / vector.norm()
        parts, start = [], 0
        for parameter in parameters:
            parts.append(vector[start:start + parameter.numel()].view_as(parameter))
            start += parameter.numel()
        product = torch.autograd.grad(gradients, parameters, parts, retain_graph=True)
        product = torch.cat([part.reshape(-1) for part in product])
        worst = max(worst, float((product - float(value) * vector).norm()))
    return worst / max(abs(float(value)) for value in values)


begin = time.perf_counter()
values, vectors = globals()[options.package]()
total = time.perf_counter() - begin
extra = {"residual": residual(values, vectors)} if len(vectors) else {}
# The first product makes buffers; it is not counted.
report([total] if solve else times[1:], products=len(times),
       eigenvalues=[float(value) for value in values], **extra)
