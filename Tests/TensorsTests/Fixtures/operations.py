"""Writes operations.txt: results and two derivatives of single operations, by PyTorch in float64.

Made with torch 2.15.0. Run as `python operations.py > operations.txt`. Lines are a name, a shape and values, with tabs between. Inputs are
not written but made by a formula (`values`), which GoldenOperationTests.swift repeats. Of the gradient of a loss and of
the product of its Hessian with a vector, a line has for each input the dot product with a vector and the length.
Maps are channels last ([N, H, W, C], weights [out, kh, kw, in]), as the engine holds them.
"""
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
# The other ways of attention have no second derivative.
torch.backends.cuda.enable_flash_sdp(False)
torch.backends.cuda.enable_mem_efficient_sdp(False)


def values(shape, salt):
    """Odd multiples of 1/512 between -2 and 2: exact in Float32, and never at a kink."""
    count = torch.Size(shape).numel()
    i = torch.arange(count, dtype=torch.int64)
    return (((i * 7919 + salt * 104729 + 331 * (i // 7)) % 1021 - 510).double() / 256 + 1 / 512).reshape(shape)


def line(name, shape, values):
    print(name, shape, " ".join("%.8g" % v for v in values), sep="\t")


def emit(name, tensor):
    shape = "x".join(str(n) for n in tensor.shape) or "scalar"
    line(name, shape, tensor.detach().flatten().tolist())


def case(name, *shapes, run, positive=False):
    inputs = [values(s, k) for k, s in enumerate(shapes)]
    inputs = [(x.abs() + 0.25 if positive else x).requires_grad_() for x in inputs]
    y = run(*inputs)
    emit(name + "/result", y)
    weights = torch.cos(torch.arange(y.numel())).reshape(y.shape)
    loss = (weights * y + 0.25 * y * y).mean()
    gradient = torch.autograd.grad(loss, inputs, create_graph=True)
    along = sum((g * values(g.shape, 10 + k)).sum() for k, g in enumerate(gradient))
    product = torch.autograd.grad(along, inputs, allow_unused=True)
    for k, (x, g, h) in enumerate(zip(inputs, gradient, product)):
        h = torch.zeros_like(x) if h is None else h
        w = values(g.shape, 20 + k)
        line(f"{name}/input{k}", "x".join(str(n) for n in x.shape),
             [v.item() for v in ((g * w).sum(), g.norm(), (h * w).sum(), h.norm())])


def first(x):
    """Channels last to channels first."""
    return x.movedim(-1, 1)


def last(x):
    return x.movedim(1, -1)


def weight(w):
    return w.permute(0, 3, 1, 2)


def maps(f):
    """An operation on maps, channels first, as one on maps channels last."""
    return lambda x, *rest: last(f(first(x), *rest))


# Arithmetic
case("add", (2, 1, 3), (4, 1), run=lambda a, b: a + b)
case("multiply", (2, 3, 1, 4), (2, 1, 5, 1), run=lambda a, b: a * b)
case("gate", (2, 2, 3, 4), (2, 1, 1, 4), run=lambda a, b: a * b)
case("divide", (3, 1), (2, 3, 4), run=lambda a, b: a / b, positive=True)
case("sum", (2, 3, 4, 2), run=lambda x: x.sum((0, 2)))
case("mean", (2, 3, 4, 2), run=lambda x: x.mean((-1, 1), keepdim=True))
case("variance", (2, 3, 4), run=lambda x: x.var((0, 2)))
case("biased variance", (2, 3, 4), run=lambda x: x.var(-1, correction=0, keepdim=True))
case("largest", (2, 3, 4), run=lambda x: torch.round(x).amax((0, 2)) + x.amax((1, 2))[0])
case("norm", (2, 3, 4), run=lambda x: torch.linalg.vector_norm(x, dim=-1, keepdim=True))
case("normalize", (2, 3, 4), run=lambda x: F.normalize(x, dim=1))
case("cumulative sum", (2, 5, 3), run=lambda x: x.cumsum(1))

# Layout
case("slice", (3, 7, 2), run=lambda x: x[1:, 1:6:2])
case("flip", (2, 3, 4), run=lambda x: x.flip(0, 2))
case("stack", (2, 3), (2, 3), run=lambda a, b: torch.stack([a, b], 1))
case("roll", (2, 5, 4, 2), run=lambda x: x.roll((-2, 3), (1, 2)))
for mode in ["constant", "reflect", "replicate", "circular"]:
    case(f"pad {mode}", (2, 3, 4), run=lambda x: F.pad(x, (2, 1), mode, **({"value": 0.75} if mode == "constant" else {})))
case("pad less", (2, 5, 4), run=lambda x: F.pad(x, (-1, 2)))
case("index", (5, 4, 3), run=lambda x: x[torch.tensor([[1, 0], [4, 4]]), torch.tensor([3, 2])])
case("take along", (3, 4), run=lambda x: x.gather(1, torch.tensor([[1, 1], [3, 0], [2, 2]])))
case("masked fill", (2, 3, 4), run=lambda x: x.masked_fill(torch.arange(4) % 2 == 0, -3.0))
case("where", (2, 3, 4), (3, 1), run=lambda a, b: torch.where(torch.arange(12).reshape(3, 4) % 3 == 0, a, b))
case("pixel shuffle", (2, 2, 3, 8), run=maps(lambda x: F.pixel_shuffle(x, 2)))
case("pixel unshuffle", (2, 4, 6, 2), run=maps(lambda x: F.pixel_unshuffle(x, 2)))

# Functions of one variable. PyTorch has no second derivative of its own hard sigmoid.
for name, run in {
    "tanh": torch.tanh, "sin": torch.sin, "cos": torch.cos, "abs": torch.abs, "erf": torch.erf,
    "relu": F.relu, "relu6": lambda x: F.relu6(4 * x), "sigmoid": torch.sigmoid, "silu": F.silu, "gelu": F.gelu,
    "gelu tanh": lambda x: F.gelu(x, approximate="tanh"),
    "leaky relu": lambda x: F.leaky_relu(x, 0.2), "elu": lambda x: F.elu(x, 0.7), "mish": F.mish,
    "softplus": F.softplus, "softplus 2": lambda x: F.softplus(x, 2), "clamp": lambda x: x.clamp(-0.7, 1.1),
    "clamp below": lambda x: x.clamp_min(0.4), "hard sigmoid": lambda x: F.relu6(2 * x + 3) / 6,
    "hard swish": lambda x: F.hardswish(2 * x), "square": lambda x: x.pow(2), "cube": lambda x: x.pow(3),
    "power of 4": lambda x: x.pow(4),
}.items():
    case(name, (19,), run=run)
for name, run in {
    "sqrt": torch.sqrt, "rsqrt": torch.rsqrt, "reciprocal": torch.reciprocal, "log": torch.log,
    "power of 2.5": lambda x: x.pow(2.5), "power of -1.5": lambda x: x.pow(-1.5),
}.items():
    case(name, (11,), run=run, positive=True)
case("softmax", (2, 3, 4), run=lambda x: x.softmax(1))
case("log softmax", (2, 3, 4), run=lambda x: x.log_softmax(1))

# Products
case("matmul", (2, 1, 3, 4), (3, 4, 2), run=torch.matmul)
case("matmul of many", (5, 2, 3, 4), (5, 2, 4, 2), run=torch.matmul)
case("matmul row", (4,), (2, 4, 3), run=torch.matmul)
case("matmul column", (2, 3, 4), (4,), run=torch.matmul)
case("matmul dot", (5,), (5,), run=torch.matmul)
case("einsum", (2, 3, 4, 2), (2, 5, 4, 2), run=lambda a, b: torch.einsum("bhid,bjid->bjhi", a, b))
case("einsum summed", (2, 3, 4), (4, 5), run=lambda a, b: torch.einsum("abc,cd->da", a, b))
case("attention", (2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 3), run=F.scaled_dot_product_attention)
case("attention, bias", (2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 4), (2, 1, 3, 5),
     run=lambda q, k, v, b: F.scaled_dot_product_attention(q, k, v, attn_mask=b, scale=0.3))
case("attention, mask", (2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 4), run=lambda q, k, v:
     F.scaled_dot_product_attention(q, k, v, attn_mask=torch.arange(15).reshape(3, 5) % 4 != 1))
case("attention, causal", (1, 2, 4, 3), (1, 2, 3, 3), (1, 2, 3, 3),
     run=lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True))
case("attention, shared", (2, 4, 3, 2), (2, 2, 3, 2), (2, 2, 3, 2),
     run=lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True))

# Normalisations
case("layer norm", (2, 3, 4), (3, 4), (3, 4), run=lambda x, g, b: F.layer_norm(x, (3, 4), g, b, 1e-5))
case("layer norm, scale", (2, 3, 4), (4,), run=lambda x, g: F.layer_norm(x, (4,), g, None, 1e-5))
case("rms norm", (2, 3, 4), (4,), run=lambda x, g: F.rms_norm(x, (4,), g, 1e-5))
case("group norm", (2, 2, 3, 6), (6,), (6,), run=maps(lambda x, g, b: F.group_norm(x, 3, g, b, 1e-5)))
case("group norm 1", (2, 2, 3, 4), (4,), (4,), run=maps(lambda x, g, b: F.group_norm(x, 1, g, b, 1e-5)))
case("group norm, channels first", (2, 4, 3, 2), (4,), (4,), run=lambda x, g, b: F.group_norm(x, 2, g, b, 1e-5))
case("instance norm", (2, 3, 4, 2), run=maps(lambda x: F.instance_norm(x)))

# Convolutions
case("convolution", (1, 5, 6, 2), (3, 3, 2, 2), run=maps(lambda x, w: F.conv2d(
    x, weight(w), stride=(2, 1), padding=(1, 2), dilation=(1, 3))))
case("convolution, dilated", (1, 5, 4, 2), (2, 3, 3, 2), run=maps(lambda x, w: F.conv2d(
    x, weight(w), padding=2, dilation=2)))
case("convolution, wide padding", (1, 2, 3, 2), (2, 1, 1, 2), run=maps(lambda x, w: F.conv2d(x, weight(w), padding=2)))
case("convolution in groups", (2, 4, 3, 4), (6, 3, 3, 2), run=maps(lambda x, w: F.conv2d(
    x, weight(w), padding=1, groups=2)))
case("depth-wise", (1, 5, 4, 3), (3, 3, 3, 1), run=maps(lambda x, w: F.conv2d(
    x, weight(w), padding=(2, 1), stride=(1, 2), dilation=(2, 1), groups=3)))
case("depth-wise, 2 each", (1, 4, 3, 2), (4, 3, 3, 1), run=maps(lambda x, w: F.conv2d(
    x, weight(w), padding=1, groups=2)))
case("transposed convolution", (1, 3, 2, 2), (2, 3, 2, 3), run=maps(lambda x, w: F.conv_transpose2d(
    x, weight(w), stride=(2, 3), padding=(1, 0), output_padding=(1, 2), dilation=(1, 2))))
case("transposed convolution in groups", (1, 2, 3, 4), (4, 2, 2, 1), run=maps(lambda x, w: F.conv_transpose2d(
    x, weight(w), stride=2, groups=2)))

# Pools, patches, interpolation
case("max pool", (2, 6, 7, 2), run=maps(lambda x: F.max_pool2d(x, (3, 2), (2, 3), (1, 1))))
case("max pool, dilated", (1, 6, 7, 2), run=maps(lambda x: F.max_pool2d(x, 2, 2, 1, (2, 3), ceil_mode=True)))
case("average pool", (1, 5, 6, 2), run=maps(lambda x: F.avg_pool2d(x, (3, 2), (2, 3), (1, 0))))
case("average pool, ceil", (1, 6, 7, 2), run=maps(lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True)))
case("average pool, inside", (1, 6, 7, 2), run=maps(lambda x: F.avg_pool2d(
    x, 3, 2, 1, ceil_mode=True, count_include_pad=False)))
case("average pool, divisor", (1, 4, 4, 2), run=maps(lambda x: F.avg_pool2d(x, 2, 2, divisor_override=3)))
case("adaptive average", (1, 5, 7, 2), run=maps(lambda x: F.adaptive_avg_pool2d(x, (2, 3))))
case("adaptive average, more", (1, 3, 2, 2), run=maps(lambda x: F.adaptive_avg_pool2d(x, (4, 5))))
case("adaptive average, one", (2, 3, 2, 2), run=maps(lambda x: F.adaptive_avg_pool2d(x, 1)))
case("adaptive max", (1, 5, 7, 2), run=maps(lambda x: F.adaptive_max_pool2d(x, (2, 3))))
case("adaptive max, whole", (1, 4, 6, 2), run=maps(lambda x: F.adaptive_max_pool2d(x, (2, 3))))
case("unfold", (2, 4, 5, 2), run=lambda x: F.unfold(first(x), (3, 2), (1, 2), (1, 0), (2, 1)))
case("fold", (2, 6, 4, 2), run=lambda x: last(F.fold(
    x.permute(0, 3, 2, 1).reshape(2, 8, 6), (4, 5), 2, padding=(1, 0), stride=(2, 2), dilation=(1, 2))))
for mode in ["nearest", "nearest-exact", "bilinear", "bicubic"]:
    for height, width in [(7, 3), (3, 8)]:
        case(f"{mode} {height}x{width}", (1, 4, 5, 1), run=maps(lambda x: F.interpolate(x, (height, width), mode=mode)))
for mode in ["bilinear", "bicubic"]:
    case(f"{mode} aligned", (1, 4, 3, 1), run=maps(lambda x: F.interpolate(x, (6, 1), mode=mode, align_corners=True)))
    case(f"{mode} by 1.7", (1, 4, 3, 1), run=maps(lambda x: F.interpolate(x, scale_factor=1.7, mode=mode)))
case("nearest by 1.7", (1, 4, 3, 1), run=maps(lambda x: F.interpolate(x, scale_factor=1.7)))
case("bicubic antialiased", (1, 7, 6, 1), run=maps(lambda x: F.interpolate(
    x, (3, 8), mode="bicubic", antialias=True)))
case("bilinear antialiased", (1, 7, 6, 1), run=maps(lambda x: F.interpolate(
    x, (3, 8), mode="bilinear", antialias=True)))


def sampled(mode, border, aligned):
    """`grid_sample` in steps that have second derivatives, which PyTorch's own has not."""

    def weights(t):
        if mode == "bilinear":
            return [(0, 1 - t), (1, t)]
        near = lambda d: ((-0.75 + 2) * d - (-0.75 + 3)) * d * d + 1
        far = lambda d: -0.75 * (((d - 5) * d + 8) * d - 4)
        return [(-1, far(t + 1)), (0, near(t)), (1, near(1 - t)), (2, far(2 - t))]

    def reflected(p, size):
        low, span = (0, size - 1) if aligned else (-0.5, size)
        d = (p - low).abs()
        turns = torch.floor(d / span)
        return torch.where(turns % 2 == 0, d - turns * span, (turns + 1) * span - d) + low

    def inside(p, size):
        if border == "reflection":
            p = reflected(p, size)
        return p.clamp(0, size - 1)

    def run(x, grid):
        grid = 0.55 * grid
        n, h, w, _ = x.shape
        total, axes = 0, []
        for place, size in ((0, w), (1, h)):
            half = (size - 1 if aligned else size) / 2
            p = grid[..., place] * half + (half if aligned else half - 0.5)
            if border != "zeros" and mode == "bilinear":
                p = inside(p, size)
            low = torch.floor(p.detach())
            axes.append([(low + step, weight) for step, weight in weights(p - low)])
        for row, a in axes[1]:
            for column, b in axes[0]:
                if border != "zeros":
                    row, column = inside(row, h), inside(column, w)
                there = (row >= 0) & (row < h) & (column >= 0) & (column < w)
                image = torch.arange(n)[:, None, None].expand(row.shape)
                picked = x[image, row.clamp(0, h - 1).long(), column.clamp(0, w - 1).long()]
                total = total + picked * (a * b * there)[..., None]
        own = F.grid_sample(first(x), grid, mode=mode, padding_mode=border, align_corners=aligned)
        assert torch.allclose(total, last(own))
        return total

    return run


case("grid bilinear", (2, 4, 5, 2), (2, 3, 2, 2), run=sampled("bilinear", "zeros", False))
case("grid border", (2, 4, 5, 2), (2, 3, 2, 2), run=sampled("bilinear", "border", True))
case("grid reflection", (2, 4, 5, 2), (2, 3, 2, 2), run=sampled("bilinear", "reflection", False))
case("grid bicubic", (1, 4, 5, 1), (1, 3, 2, 2), run=sampled("bicubic", "reflection", True))
case("larger", (2, 3, 4), (3, 1), run=torch.maximum)
