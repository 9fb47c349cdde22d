"""Small exported graphs with the outputs of all their modules, as forward hooks see them.

Writes `graph-NAME.pt2`, as `torch.export.save` does but without example inputs, stack traces and the space between
members, and `graph-NAME.safetensors` with the values: `tap/NAME` for each module (float32 from float64; values of
more than 400 elements as `sample/NAME`: element k is number z_k mod numel, 48 of them), `logits`, and in the metadata
the shapes. Parameters and input follow the fill of `fixture.py`. Of some `graph-NAME-EXPORTER.onnx` too, by both
exporters of PyTorch, without texts; the values of the same modules are theirs.

    python graphs.py [NAME...]  # needs torch, timm, torchvision, scipy, safetensors, onnx and onnxscript
"""

import io
import json
import re
import sys
import zipfile

import numpy as np
import onnx
import scipy
import timm
import torch
import torch.nn.functional as F
from fixture import OUT, filled, splitmix
from safetensors.torch import save_file
from scipy.sparse.linalg import LinearOperator, eigsh
from timm.models._efficientnet_builder import decode_arch_def
from torch import nn
from torchvision.models import swin_transformer, vision_transformer


class Operations(nn.Module):
    """One of each kind of operation that no architecture below has."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, (3, 5), stride=(2, 1), padding=(1, 2))
        self.grouped = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=4)
        self.same = nn.Conv2d(8, 8, (1, 3), padding="same", bias=False)
        self.group_norm = nn.GroupNorm(2, 8)
        self.instance_norm = nn.InstanceNorm2d(8, affine=True)
        self.act = nn.Hardswish(inplace=True)
        self.average = nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True, count_include_pad=False)
        self.largest = nn.MaxPool2d(3, stride=1, padding=1, dilation=1)
        self.shuffle = nn.PixelShuffle(2)
        self.pooled = nn.AdaptiveAvgPool2d((3, 2))
        self.query = nn.Linear(8, 8)
        self.norm = nn.LayerNorm((2, 8))
        self.table = nn.Parameter(torch.zeros(7, 4))
        self.position = nn.Parameter(torch.zeros(1, 8, 3, 3))
        self.head = nn.Linear(16, 5)

    def attend(self, x):
        """Attention with a mask by relative places, rotated pairs, and normalised keys."""
        n, t, _ = x.shape
        q = self.query(x).reshape(n, t, 4, 2).permute(0, 2, 1, 3)
        place = torch.arange(t, device=x.device)
        angle = place[:, None] * torch.tensor([1.0, 0.1])
        turned = torch.stack([-q[..., 1::2], q[..., ::2]], -1).reshape(q.shape)
        q = q * angle.cos() + turned * angle.sin()
        k = F.normalize(q, dim=-1)
        offset = (place[:, None] - place[None, :]).clamp(-3, 3) + 3
        bias = self.table[offset].permute(2, 0, 1).unsqueeze(0)
        y = F.scaled_dot_product_attention(q, k, q, attn_mask=bias)
        seen = torch.ones(t, t, dtype=torch.bool).tril()
        z = F.scaled_dot_product_attention(q, k, q, attn_mask=seen)
        scores = torch.einsum("bhid,bhjd->bhij", q, k).masked_fill(~seen, float("-inf"))
        w = scores.softmax(-1) @ q
        return (y + z + w).transpose(1, 2).reshape(n, t, 8)

    def forward(self, x):
        x = self.act(self.stem(F.pad(x, (1, 0, 2, 1))))
        x = x + self.same(self.grouped(x)) * torch.sigmoid(x.mean((2, 3), keepdim=True))
        x = self.instance_norm(self.group_norm(x)).clamp(-2, 2)
        x = self.largest(self.average(x))
        x = torch.roll(x, (1, -2), (2, 3))
        up = F.interpolate(self.shuffle(x), size=x.shape[-2:], mode="bilinear", align_corners=False)
        up = torch.cat([up, up.tanh(), up.square(), F.leaky_relu(up)], 1)
        wide = F.interpolate(self.position, size=x.shape[-2:], mode="bicubic")
        x = x + up + wide + F.interpolate(x, scale_factor=2.0, mode="nearest")[:, :, ::2, ::2]
        x = F.pad(x, (1, 1, 1, 1), mode="reflect")
        columns = F.unfold(x, 3, padding=1, stride=2)
        x = F.fold(columns, x.shape[-2:], 3, padding=1, stride=2)
        x = self.pooled(x)
        t = x.flatten(2).transpose(1, 2)
        t = t + self.attend(t)
        first, second = t.chunk(2, dim=1)
        t = torch.stack([first, second.flip(1)], 2)
        t = self.norm(t)
        t = t.amax(1) - t.std(1) + torch.linalg.vector_norm(t, dim=1)
        return self.head(t.flatten(1))


class Twice(nn.Module):
    """Modules that are called several times, change values in place, and give several tensors."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.conv = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.other = self.conv
        self.norm = nn.BatchNorm2d(4)
        self.act = nn.ReLU(inplace=True)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        x = self.stem(x)
        y = self.norm(self.conv(x))
        y += x
        y = self.act(y)
        y = self.act(self.other(y))
        return {"features": y.mean((2, 3)), "logits": self.head(y.mean((2, 3)))}


def vit(**more):
    return timm.models.VisionTransformer(
        img_size=16, patch_size=4, embed_dim=16, depth=2, num_heads=2, mlp_ratio=2, num_classes=5, **more)


class Function(nn.Module):
    """A function as a module, so that hooks see what it gives."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *x):
        return self.function(*x)


class Functions(nn.Module):
    """Activations and reductions that no architecture above has, and perceptrons with activations that ONNX spells out."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 4, stride=4)
        self.glu, self.prelu, self.celu = nn.GLU(1), nn.PReLU(4), nn.CELU(0.7)
        self.prelu_one, self.selu, self.log_sigmoid = nn.PReLU(), nn.SELU(), nn.LogSigmoid()
        self.six = nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU6())
        self.tanh = nn.Sequential(nn.Linear(26, 6), nn.GELU(approximate="tanh"), nn.Linear(6, 4))
        # Looks like SiLU, and is none.
        self.quick = nn.Sequential(nn.Linear(4, 6), Function(lambda x: x * torch.sigmoid(1.702 * x)), nn.Linear(6, 4))
        self.logsumexp = Function(lambda x: x.logsumexp(1))
        self.logsumexp_all = Function(lambda x: x.logsumexp((1, 2), keepdim=True)[..., 0])
        self.smallest = Function(lambda x: x.min(1)[0])
        self.amin = Function(lambda x: x.amin((1, 2), keepdim=True)[..., 0])
        self.norm_1 = Function(lambda x: torch.linalg.vector_norm(x, 1, 1))
        self.norm_inf = Function(lambda x: torch.linalg.vector_norm(x, float("inf"), 1))
        self.norm_all = Function(lambda x: x.norm(1, dim=(1, 2), keepdim=True)[..., 0])
        self.head = nn.Linear(19, 5)

    def forward(self, x):
        x = self.stem(x)
        x = torch.cat(
            [self.glu(x), self.prelu(x), self.celu(x), self.prelu_one(x), self.selu(x), self.log_sigmoid(x),
             self.six(x)], 1)
        t = self.tanh(x.flatten(2).transpose(1, 2))
        t = t + self.quick(t)
        return self.head(torch.cat(
            [self.logsumexp(t), self.logsumexp_all(t), self.smallest(t), self.amin(t), self.norm_1(t),
             self.norm_inf(t), self.norm_all(t)], 1))


def eva():
    """Rotated queries and keys, and a gated perceptron whose halves an optimiser splits in an operation of no module."""
    return timm.models.eva.Eva(
        img_size=20, patch_size=4, embed_dim=8, depth=2, num_heads=2, mlp_ratio=2, swiglu_mlp=True,
        use_rot_pos_emb=True, num_classes=5)


MODELS = {
    "operations": (Operations, 12, False),
    "twice": (Twice, 8, True),
    "vit": (vit, 16, True),
    "vit-layer-scale": (lambda: vit(init_values=0.1, class_token=False, global_pool="avg"), 16, False),
    "resnet": (
        lambda: timm.models.ResNet(
            timm.models.resnet.BasicBlock, (1, 1, 1, 1), channels=(6, 6, 8, 8), num_classes=5), 32, False),
    "swin": (
        lambda: timm.models.SwinTransformer(
            img_size=32, patch_size=4, window_size=4, embed_dim=12, depths=(2, 1), num_heads=(2, 4), mlp_ratio=2,
            num_classes=5), 32, False),
    "convnext": (
        lambda: timm.models.ConvNeXt(depths=(1, 1, 1, 1), dims=(4, 8, 8, 16), num_classes=5), 32, True),
    "efficientnet": (
        lambda: timm.models.EfficientNet(
            decode_arch_def(
                [["ds_r1_k3_s1_e1_c4_se0.25"], ["ir_r2_k3_s2_e3_c12_se0.25"], ["ir_r1_k5_s2_e2_c12_se0.25"]]),
            stem_size=4, num_features=16, fix_stem=True, num_classes=5, act_layer=nn.SiLU), 32, False),
    # nn.MultiheadAttention: places before images, and both in one axis of a matrix.
    "multihead": (
        lambda: vision_transformer.VisionTransformer(16, 8, 2, 2, 8, 16, num_classes=5), 16, False),
    "multihead-open": (
        lambda: vision_transformer.VisionTransformer(16, 8, 1, 2, 8, 16, num_classes=5), 16, True),
    "eva": (eva, 20, False),
    "functions": (Functions, 12, False),
    # A part of a copied parameter is set to zero; axes change places.
    "swinv2": (
        lambda: swin_transformer.SwinTransformer(
            [2, 2], 8, [2, 1], [2, 4], [4, 4], mlp_ratio=2.0, stochastic_depth_prob=0.0, num_classes=5,
            block=swin_transformer.SwinTransformerBlockV2, downsample_layer=swin_transformer.PatchMergingV2), 24, False),
}


def hooked(model, x):
    """The tensors that modules give, by name; later calls as `name#2`."""
    outputs, calls, hooks = {}, {}, []

    def keep(name):
        def hook(_, __, result):
            if isinstance(result, torch.Tensor):
                calls[name] = calls.get(name, 0) + 1
                outputs[name if calls[name] == 1 else f"{name}#{calls[name]}"] = result.detach().clone()

        return hook

    for name, module in model.named_modules(remove_duplicate=True):
        if name:
            hooks.append(module.register_forward_hook(keep(name)))
    with torch.no_grad():
        result = model(x)
    for hook in hooks:
        hook.remove()
    return outputs, result["logits"] if isinstance(result, dict) else result


def stripped(data):
    """The archive without example inputs and what tells of the machine that wrote it."""
    source, out = zipfile.ZipFile(io.BytesIO(data)), io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            if "sample_inputs" in name or name.endswith("serialization_id"):
                continue
            body = source.read(name)
            if re.search(r"models/.*\.json$", name):
                graph = json.loads(body)
                for node in graph["graph_module"]["graph"]["nodes"]:
                    node["metadata"] = {"nn_module_stack": node["metadata"].get("nn_module_stack", "")}
                body = json.dumps(graph, separators=(",", ":")).encode()
            kind = zipfile.ZIP_DEFLATED if name.endswith(".json") else zipfile.ZIP_STORED
            info = zipfile.ZipInfo(name.split("/", 1)[1].join(["graph/", ""]), (1980, 1, 1, 0, 0, 0))
            target.writestr(info, body, kind)
    return out.getvalue()


# Exporters by model.
ONNX = {
    "twice": ("dynamo", "legacy"), "vit": ("dynamo",), "multihead-open": ("legacy",), "eva": ("dynamo",), "functions": ("dynamo", "legacy"),
}


def write_onnx(model, x, name, exporter, isOpen):
    """An ONNX model without what tells of the machine that wrote it and without file positions."""
    path = OUT / f"graph-{name}-{exporter}.onnx"
    results = ["features", "logits"] if name == "twice" else ["logits"]
    if exporter == "dynamo":
        torch.onnx.export(model, (x,), path, dynamo=True, opset_version=18, external_data=False, verbose=False,
                          output_names=results, dynamic_shapes=({0: "batch"},) if isOpen else None)
    else:
        torch.onnx.export(model, (x,), path, dynamo=False, opset_version=17, input_names=["x"],
                          output_names=results, dynamic_axes={"x": {0: "batch"}} if isOpen else None)
    graph = onnx.load(path)
    kept = ("pkg.torch.onnx.name_scopes", "pkg.torch.onnx.class_hierarchy",
            "pkg.torch.export.graph_signature.InputSpec.kind")
    del graph.graph.metadata_props[:]
    for item in [*graph.graph.node, *graph.graph.value_info]:
        pairs = [(pair.key, pair.value) for pair in item.metadata_props if pair.key in kept]
        del item.metadata_props[:]
        for key, value in pairs:
            item.metadata_props.add(key=key, value=value)
        item.doc_string = ""
    onnx.save(graph, path)


def spectrum(model, x):
    """The mean cross-entropy of the images as classes 0 and 1, and both ends of the spectrum of its Hessian by all
    parameters: scipy over double backward, float64."""
    parameters = list(model.parameters())
    for parameter in parameters:
        parameter.requires_grad_(True)
    loss = F.cross_entropy(model(x), torch.tensor([0, 1]))
    gradients = torch.autograd.grad(loss, parameters, create_graph=True)
    count = sum(parameter.numel() for parameter in parameters)

    def product(v):
        parts, place = [], 0
        for parameter in parameters:
            parts.append(torch.from_numpy(v[place:place + parameter.numel()].reshape(parameter.shape)))
            place += parameter.numel()
        inner = sum((g * part).sum() for g, part in zip(gradients, parts))
        return torch.cat([h.reshape(-1) for h in torch.autograd.grad(inner, parameters, retain_graph=True)]).numpy()

    operator = LinearOperator((count, count), matvec=product, dtype=np.float64)
    ends = [eigsh(operator, 1, which=which, tol=1e-9, return_eigenvectors=False)[0] for which in ("LA", "SA")]
    return {"parameters": count, "loss": loss.item(), "largest": float(ends[0]), "smallest": float(ends[1])}


SPECTRA = ("convnext", "efficientnet", "swin", "resnet", "functions")
spectra = {}
for name, (make, size, isOpen) in MODELS.items():
    if sys.argv[1:] and name not in sys.argv[1:]:
        continue
    torch.manual_seed(0)
    model = make().eval()
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if value.is_floating_point() and "index" not in key and "mask" not in key:
                value.copy_(filled(key, list(value.shape)))
    x = filled("input", [2, 3, size, size], signed=True).float()
    shapes = ({0: torch.export.Dim("batch")},) if isOpen else None
    program = torch.export.export(model, (x if isOpen else x[:1],), dynamic_shapes=shapes)
    file = io.BytesIO()
    torch.export.save(program, file)
    (OUT / f"graph-{name}.pt2").write_bytes(stripped(file.getvalue()))
    for exporter in ONNX.get(name, ()):
        write_onnx(model, x if isOpen else x[:1], name, exporter, isOpen)
    outputs, logits = hooked(model.double(), x.double())
    tensors, taps = {"logits": logits.float().contiguous()}, {}
    for tap, value in outputs.items():
        taps[tap] = list(value.shape)
        flat = value.reshape(-1)
        if flat.numel() <= 400:
            tensors[f"tap/{tap}"] = value.float().contiguous()
        else:
            index = torch.from_numpy((splitmix(f"sample/{tap}", 48) % flat.numel()).astype("int64"))
            tensors[f"sample/{tap}"] = flat[index].float().contiguous()
    save_file(
        tensors, OUT / f"graph-{name}.safetensors",
        {"family": "graph", "input_shape": json.dumps([2, 3, size, size]), "taps": json.dumps(taps),
         "versions": f"torch {torch.__version__.split('+')[0]}, timm {timm.__version__}"})
    if name in SPECTRA:
        spectra[f"graph-{name}"] = spectrum(model, x.double())
    print(name, len(taps), "taps,", (OUT / f"graph-{name}.pt2").stat().st_size, "bytes")
if spectra:
    path = OUT / "graph-spectra.json"
    versions = {"versions": f"torch {torch.__version__.split('+')[0]}, scipy {scipy.__version__}"}
    known = {key: value for key, value in json.loads(path.read_text()).items() if key != "versions"}
    path.write_text(json.dumps(known | spectra | versions, indent=1) + "\n")
