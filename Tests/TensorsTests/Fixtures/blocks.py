"""Writes blocks.txt: losses, gradients and Hessian-vector products of three blocks, by PyTorch in float64.

Made with torch 2.15.0. Run as `python blocks.py > blocks.txt`. Each line is a name, a shape and values; maps and
convolution weights are channels last ([N, H, W, C] and [out, kh, kw, in]), as the engine holds them.
"""
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def emit(name, tensor):
    shape = "x".join(str(n) for n in tensor.shape) or "scalar"
    print(name, shape, *("%.10g" % v for v in tensor.detach().flatten().tolist()))


def block(name, shapes, loss, scale=0.5):
    """Draws parameters (exact in float32), differentiates twice, and writes everything."""
    def draw(shape):
        return (scale * torch.randn(shape)).float().double()
    parameters = {k: draw(s).requires_grad_() for k, s in shapes.items()}
    for k, p in parameters.items():
        if k.endswith("gamma"):
            p.data += 1
            p.data = p.data.float().double()
    vectors = {k: draw(s) for k, s in shapes.items()}
    value = loss(parameters)
    gradient = torch.autograd.grad(value, list(parameters.values()), create_graph=True)
    along = sum((g * v).sum() for g, v in zip(gradient, vectors.values()))
    product = torch.autograd.grad(along, list(parameters.values()))
    emit(name + "/loss", value)
    for k, g, h in zip(parameters, gradient, product):
        emit(f"{name}/parameter/{k}", parameters[k])
        emit(f"{name}/vector/{k}", vectors[k])
        emit(f"{name}/gradient/{k}", g)
        emit(f"{name}/product/{k}", h)


def summary(y):
    """A scalar that weighs all values differently and is not linear in them."""
    w = torch.cos(torch.arange(y.numel())).reshape(y.shape)
    return (w * y + 0.25 * y * y).mean()


def attend(qkv, heads, bias=None):
    n, t, d = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
    q, k, v = qkv.reshape(n, t, 3, heads, d // heads).permute(2, 0, 3, 1, 4)
    scores = q @ k.transpose(-1, -2) * (d // heads) ** -0.5
    if bias is not None:
        windows = bias.shape[0]
        scores = (scores.reshape(n // windows, windows, heads, t, t) + bias).reshape(n, heads, t, t)
    return (scores.softmax(-1) @ v).transpose(1, 2).reshape(n, t, d)


def vit(p):
    x = p["x"]
    d = x.shape[-1]
    y = F.layer_norm(x, (d,), p["norm1.gamma"], p["norm1.beta"], 1e-6)
    y = attend(F.linear(y, p["qkv.weight"], p["qkv.bias"]), 2)
    x = x + F.linear(y, p["proj.weight"], p["proj.bias"])
    y = F.layer_norm(x, (d,), p["norm2.gamma"], p["norm2.beta"], 1e-6)
    y = F.gelu(F.linear(y, p["fc1.weight"], p["fc1.bias"]))
    return summary(x + F.linear(y, p["fc2.weight"], p["fc2.bias"]))


def bottleneck(p):
    def norm(x, k):
        c = x.shape[1]
        mean, var = 0.1 * torch.arange(c), 0.5 + 0.25 * torch.arange(c)
        return F.batch_norm(x, mean, var, p[k + ".gamma"], p[k + ".beta"], False, 0.0, 1e-5)
    def conv(x, k, **options):
        return F.conv2d(x, p[k].permute(0, 3, 1, 2), **options)
    def relu(x):
        assert x.abs().min() > 1e-4, "a rectifier too near its kink for Float32"
        return F.relu(x)
    x = p["x"].permute(0, 3, 1, 2)
    y = relu(norm(conv(x, "conv1"), "norm1"))
    y = relu(norm(conv(y, "conv2", stride=2, padding=1), "norm2"))
    y = norm(conv(y, "conv3"), "norm3")
    y = relu(y + norm(conv(x, "conv4", stride=2), "norm4"))
    return summary(y.permute(0, 2, 3, 1))


def windows(p):
    return summary(attend(p["qkv"], 2, p["bias"]))


torch.manual_seed(0)
block("vit", {
    "x": (2, 5, 8), "norm1.gamma": (8,), "norm1.beta": (8,), "qkv.weight": (24, 8), "qkv.bias": (24,),
    "proj.weight": (8, 8), "proj.bias": (8,), "norm2.gamma": (8,), "norm2.beta": (8,),
    "fc1.weight": (16, 8), "fc1.bias": (16,), "fc2.weight": (8, 16), "fc2.bias": (8,)}, vit)
shapes = {"x": (2, 5, 6, 4)}
for i, (out, k, inner) in enumerate([(3, 1, 4), (3, 3, 3), (5, 1, 3), (5, 1, 4)], 1):
    shapes |= {f"conv{i}": (out, k, k, inner), f"norm{i}.gamma": (out,), f"norm{i}.beta": (out,)}
block("bottleneck", shapes, bottleneck)
block("windows", {"qkv": (4, 3, 12), "bias": (2, 2, 3, 3)}, windows, scale=1.0)
