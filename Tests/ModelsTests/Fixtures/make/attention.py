"""Fixtures of networks of attention in the place of convolutions or beside them.

    python attention.py --sasa PATH --hdv PATH --augmented PATH --attention-cnn PATH [--full]

Checkouts of leaderj1001/Stand-Alone-Self-Attention, xxxnell/how-do-vits-work, leaderj1001/Attention-Augmented-Conv2d and
epfml/attention-cnn. The papers' forms of the first and the third have no public code: they are written out here, on the
published networks, by the formulas of Ramachandran et al. (2019) and Bello et al. (2019).
"""

import argparse
import types

import torch
import torch.nn as nn
import torch.nn.functional as F

from fixture import HDV, Taps, expect, fill, image, use_checkout, write
from gradients import record

AUGMENTED = "leaderj1001/Attention-Augmented-Conv2d 1ce94a3"
ATTENTION_CNN = "epfml/attention-cnn 9ffaa30"
SASA = "leaderj1001/Stand-Alone-Self-Attention a983f0f"


def evaluate(model, taps, shape):
    with torch.no_grad():
        taps.put("logits", model(image(shape)))


# ---------------------------------------------------------------- SASA


def paper_attention(conv, x):
    """Scores are summed over a head's channels; half of each head's is for rows. `conv` is the published module."""
    b, c, h, w = x.shape
    k, heads = conv.kernel_size, conv.groups
    d = c // heads
    q = conv.query_conv(x).view(b, heads, d, h * w)
    keys, values = (F.unfold(m(x), k, padding=k // 2).view(b, heads, d, k * k, h * w) for m in (conv.key_conv, conv.value_conv))
    rows = conv.rel_h.view(heads, d // 2, k, 1).expand(-1, -1, k, k)
    columns = conv.rel_w.view(heads, d // 2, 1, k).expand(-1, -1, k, k)
    r = torch.cat([rows, columns], 1).reshape(heads, d, k * k)
    logits = torch.einsum("bhdp,bhdkp->bhkp", q, keys) + torch.einsum("bhdp,hdk->bhkp", q, r)
    return torch.einsum("bhkp,bhdkp->bhdp", logits.softmax(2), values).reshape(b, c, h, w)


def sasa_model(module, form, depths, width, stem, heads, side, classes, large=False, attends=None):
    """The published network with free widths; in the paper's form the map is halved right behind attention.

    `attends`: the sets of values of a stem of attention, and what follows it."""
    model = module.Model(module.Bottleneck, [1, 1, 1, 1], num_classes=classes)
    if attends:
        sets, pool = attends
        model.init = nn.Sequential(module.AttentionStem(3, stem, 4, padding=2, m=sets), nn.BatchNorm2d(stem), nn.ReLU(), *pool)
    elif large:
        model.init = nn.Sequential(nn.Conv2d(3, stem, 7, 2, 3, bias=False), nn.BatchNorm2d(stem), nn.ReLU(),
                                   nn.MaxPool2d(3, 2, 1))
    else:
        model.init = nn.Sequential(nn.Conv2d(3, stem, 3, 1, 1, bias=False), nn.BatchNorm2d(stem), nn.ReLU())
    model.in_places = stem
    for s in range(4):
        if s < len(depths):
            setattr(model, f"layer{s + 1}", model._make_layer(module.Bottleneck, width << s, depths[s], 2 if s else 1))
        else:
            setattr(model, f"layer{s + 1}", nn.Identity())
    model.dense = nn.Linear(model.in_places, classes)
    for s, depth in enumerate(depths):
        for block in getattr(model, f"layer{s + 1}"):
            old = block.conv2[0]
            conv = module.AttentionConv(old.out_channels, old.out_channels, side, padding=side // 2, groups=heads)
            block.conv2[0] = conv
            if form == "paper":
                conv.forward = lambda x, conv=conv: paper_attention(conv, x)
                conv.sums = True
                stride, block.stride = block.stride, 1
                if stride == 2:
                    conv.register_forward_hook(lambda m, i, o: F.avg_pool2d(o, 2))
                    block.pooled = True
    # The code's last pooling is of 4 x 4, which is all places where it runs.
    model.forward = lambda x: model.dense(model.layer4(model.layer3(model.layer2(model.layer1(model.init(x))))).mean((2, 3)))
    return model


def of_channels(v):
    """`[B, groups, channels, H, W, taps]` -> `[B, channels, places, taps]`."""
    return v.flatten(1, 2).flatten(2, 3)


def sasa_taps(model, blocks_only=False):
    taps = Taps()
    if hasattr(model.init[0], "emb_mix"):
        taps.softmax(model.init[0], "stem.attn_map", of_channels)
        taps.output(model.init[0], "stem.attn")
    taps.output(model.init, "stem")
    for s in range(1, 5):
        for j, block in enumerate(getattr(model, f"layer{s}")) if isinstance(getattr(model, f"layer{s}"), nn.Sequential) else []:
            name = f"layer{s}.{j}"
            if not blocks_only:
                # In the paper's form `[B, heads, taps, places]`, in the published one a map a channel.
                taps.softmax(block.conv2[0], f"{name}.attn_map",
                             of_channels if not hasattr(block.conv2[0], "sums") else lambda v: v.transpose(2, 3))
                if not hasattr(block, "pooled"):
                    taps.output(block.conv2[0], f"{name}.attn")
                halved = (lambda v: F.avg_pool2d(v, 2)) if block.stride == 2 else (lambda v: v)
                taps.output(block.conv3, f"{name}.branch", halved)
            taps.output(block, name)
    return taps


def vitprobe_name(key):
    """vitprobe's own spelling, which does not say that the form is the published one."""
    for a, b in [("init.0.", "conv1."), ("init.1.", "bn1."), ("dense.", "fc."), (".shortcut.", ".downsample.")]:
        key = key.replace(a, b)
    for n in "123":
        key = key.replace(f".conv{n}.0.", f".conv{n}.").replace(f".conv{n}.1.", f".bn{n}.")
    return key


def sasa(module, full):
    layer = module.AttentionConv(6, 8, 3, padding=1, groups=2)
    fill(layer)
    y = layer(image((1, 6, 5, 5)))
    expect("published AttentionConv", [*y.flatten()[:4].detach(), y.sum().detach()],
           [-0.018349181, 0.006738518, -0.002612706, -0.034619204, -7.64673198], 6e-8)
    for form in ["paper", "published"]:
        words = dict(image=[16, 16], depths=[1, 2, 1], width=8, heads=2, window=5, form=form, classes=5)
        model = sasa_model(module, form, [1, 2, 1], 8, 6, 2, 5, 5)
        keys, integers = fill(model)
        taps = sasa_taps(model)
        evaluate(model, taps, (2, 3, 16, 16))
        write(f"sasa-{form}", "sasa", "Stand-Alone-Self-Attention", words, keys, (2, 3, 16, 16), taps, (SASA,), integers, limit=512)
        model = sasa_model(module, form, [1, 1], 4, 4, 2, 3, 5)
        record(f"sasa-{form}", "sasa", "Stand-Alone-Self-Attention", dict(words, image=[8, 8], depths=[1, 1], width=4, window=3),
               model, (2, 3, 8, 8), (SASA,))
    whole = sum(p.numel() for p in module.ResNet26(10, stem=True).parameters())
    print(f"  published ResNet26 with a stem of attention, 10 classes: {whole} parameters")
    for stem, sets, pool, side in [("attention", 4, [], 16), ("attention-pooled", 3, [nn.MaxPool2d(4, 4)], 32)]:
        words = {"image": [side, side], "depths": [1, 1], "width": 8, "window": 3, "form": "published", "stem": stem, "classes": 5}
        model = sasa_model(module, "published", [1, 1], 8, 6, 2, 3, 5, attends=(sets, pool))
        keys, integers = fill(model)
        taps = sasa_taps(model)
        evaluate(model, taps, (2, 3, side, side))
        write(f"sasa-{stem}", "sasa", "Stand-Alone-Self-Attention", words, keys, (2, 3, side, side), taps, (SASA,), integers, limit=512)
    words.update(image=[8, 8], depths=[1], width=4, stem="attention")
    model = sasa_model(module, "published", [1], 4, 4, 2, 3, 5, attends=(4, []))
    record("sasa-attention", "sasa", "Stand-Alone-Self-Attention", words, model, (2, 3, 8, 8), (SASA,))
    if full:
        model = sasa_model(module, "paper", [1, 2, 4, 1], 64, 64, 8, 7, 1000, large=True)
        keys, integers = fill(model, vitprobe_name)
        taps = sasa_taps(model, blocks_only=True)
        evaluate(model, taps, (1, 3, 224, 224))
        write("full-sasa_resnet26", "sasa", "vitprobe", dict(form="paper"), keys, (1, 3, 224, 224), taps, (SASA,),
              integers, limit=512)


# ---------------------------------------------------------------- Convolutional self-attention


def convit_taps(model, blocks_only=False):
    taps = Taps()
    taps.output(model.embedding, "embed")
    for i, block in enumerate(model.transformers):
        name = f"transformers.{i}"
        if not blocks_only:
            taps.pair(block.attn, name)
            taps.input(block.norm2, f"{name}.attn_res")
            taps.output(block.ff, f"{name}.mlp_branch")
        taps.output(block, f"{name}.mlp_res")
    taps.output(model.classifier[2], "norm")
    return taps


def convit(full):
    from models.convit import ConViT, tiny

    words = dict(image=[16, 16], patch=4, dim=8, depth=2, heads=2, inner=12, mlp=20, classes=5)
    for kernel in [3, 5]:
        config = dict(image_size=16, patch_size=4, num_classes=5, depth=2, dim=8, heads=2, dim_head=6, dim_mlp=20,
                      kernel_size=kernel, padding=kernel // 2)
        model = ConViT(**config)
        keys, integers = fill(model)
        taps = convit_taps(model)
        evaluate(model, taps, (2, 3, 16, 16))
        write(f"convit-{kernel}", "convit", "how-do-vits-work", dict(words, kernel=kernel), keys, (2, 3, 16, 16), taps, (HDV,),
              integers, limit=512)
    record("convit", "convit", "how-do-vits-work", dict(words, kernel=3),
           ConViT(**dict(config, kernel_size=3, padding=1)), (2, 3, 16, 16), (HDV,))
    if full:
        model = tiny(padding=1)
        keys, integers = fill(model)
        taps = convit_taps(model, blocks_only=True)
        evaluate(model, taps, (1, 3, 224, 224))
        write("full-hdv_convit_ti", "convit", "how-do-vits-work", {}, keys, (1, 3, 224, 224), taps, (HDV,), integers, limit=512)


# ---------------------------------------------------------------- Attention-augmented wide ResNet


def augmented_modules(path):
    """The two files of the published network as one module."""
    root = f"{path}/AA-Wide-ResNet"
    names = {"__name__": "augmented"}
    # A product in place on a part of a split is refused by automatic differentiation.
    layer = open(f"{root}/attention_augmented_conv.py").read()
    assert "q *= dkh ** -0.5" in layer
    exec(layer.replace("q *= dkh ** -0.5", "q = q * dkh ** -0.5"), names)
    source = open(f"{root}/attention_augmented_wide_resnet.py").read()
    line = "from attention_augmented_conv import AugmentedConv"
    assert line in source
    exec(source.replace(line, ""), names)
    return types.SimpleNamespace(**names)


class PaperBlock(nn.Module):
    """Attention beside the first convolution, which has the stride."""

    def __init__(self, module, inputs, planes, side, stride, heads, dk, dv):
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm2d(inputs), nn.BatchNorm2d(planes)
        self.conv1 = module.AugmentedConv(inputs, planes, 3, dk, dv, heads, shape=side, relative=True, stride=stride)
        self.conv1.qkv_conv = nn.Conv2d(inputs, 2 * dk + dv, 1, stride)
        # What heads gather lies with places before channels; the published code takes it for the other way round.
        self.conv1.forward = lambda x, m=self.conv1: paper_augmented(m, x)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != planes:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, planes, 1, stride, bias=False))

    def forward(self, x):
        y = self.conv2(F.relu(self.bn2(self.conv1(F.relu(self.bn1(x))))))
        return y + self.shortcut(x)


def paper_augmented(m, x):
    q, k, v = m.qkv_conv(x).split([m.dk, m.dk, m.dv], 1)
    b, _, h, w = v.shape
    d = m.dk // m.Nh
    q, k, v = (t.reshape(b, m.Nh, -1, h, w) for t in (q * d**-0.5, k, v))
    logits = torch.einsum("bndij,bndkl->bnijkl", q, k)
    across = torch.arange(w)[None] - torch.arange(w)[:, None] + w - 1
    down = torch.arange(h)[None] - torch.arange(h)[:, None] + h - 1
    logits = logits + torch.einsum("bndij,jld->bnijl", q, m.key_rel_w[across])[:, :, :, :, None]
    logits = logits + torch.einsum("bndij,ikd->bnijk", q, m.key_rel_h[down])[..., None]
    weights = logits.flatten(4).softmax(-1).view_as(logits)
    gathered = torch.einsum("bnijkl,bndkl->bndij", weights, v).reshape(b, m.dv, h, w)
    return torch.cat([m.conv_out(x), m.attn_out(gathered)], 1)


def augmented_model(module, form, depths, widths, heads, keys, values, side, classes):
    """The published network with free widths, or its paper's form."""
    model = module.Wide_ResNet(10, 1, 0, classes, side)
    model.in_planes = widths[0]
    if form == "published":
        model.conv1 = module.AugmentedConv(3, widths[0], 3, keys[0], values[0], heads, shape=side, relative=True)
    else:
        model.conv1 = nn.Conv2d(3, widths[0], 3, 1, 1, bias=False)
    for s in range(3):
        blocks = []
        for j in range(depths[s]) if s < len(depths) else []:
            stride, shape, planes = 2 if s and not j else 1, side >> s, widths[s + 1]
            if form == "published":
                blocks.append(module.wide_basic(model.in_planes, planes, 0, shape, stride, v=values[s + 1] / planes,
                                                k=keys[s + 1] // planes, Nh=heads))
            else:
                blocks.append(PaperBlock(module, model.in_planes, planes, shape, stride, heads, keys[s + 1], values[s + 1]))
            model.in_planes = planes
        setattr(model, f"layer{s + 1}", nn.Sequential(nn.Sequential(*blocks)))
    model.bn1, model.linear = nn.BatchNorm2d(widths[-1]), nn.Linear(widths[-1], classes)
    # The code's last pooling is of 8 x 8, which is all places where it runs.
    model.forward = lambda x: model.linear(
        F.relu(model.bn1(model.layer3(model.layer2(model.layer1(model.conv1(x)))))).mean((2, 3)))
    return model


def augmented_taps(model, depths, blocks_only=False):
    taps = Taps()

    def maps(layer, name):
        # The paper's form has rows and columns of places apart.
        if hasattr(layer, "qkv_conv"):
            taps.softmax(layer, f"{name}.attn_map", lambda v: v.flatten(2, 3) if v.ndim == 5 else v)

    maps(model.conv1, "stem")
    taps.output(model.conv1, "stem")
    for s, depth in enumerate(depths):
        for j, block in enumerate(getattr(model, f"layer{s + 1}")[0]):
            name = f"layer{s + 1}.{j}"
            if not blocks_only:
                for part in ("conv1", "conv2"):
                    maps(getattr(block, part), f"{name}.{part}")
                for layer in block.shortcut:
                    maps(layer, f"{name}.shortcut")
            taps.output(block.conv1, f"{name}.conv1")
            taps.output(block.conv2, f"{name}.branch")
            if len(block.shortcut):
                taps.output(block.shortcut, f"{name}.skip")
            taps.output(block, name)
    taps.output(model.linear, "logits")
    taps.input(model.linear, "gap")
    return taps


def augmented(module, full):
    sizes = {"published": ([4, 8, 8, 12], [8, 16, 16, 24], [2, 2, 4, 4]), "paper": ([4, 8, 8, 12], [160, 8, 8, 12], [1, 2, 4, 4])}
    for form, (widths, keys, values) in sizes.items():
        depths = [1, 2, 1]
        words = dict(form=form, image=[16, 16], depths=depths, widths=widths, heads=2, keys=keys, values=values, classes=5)
        model = augmented_model(module, form, depths, widths, 2, keys, values, 16, 5)
        keys_, integers = fill(model)
        taps = augmented_taps(model, depths)
        evaluate(model, taps, (2, 3, 16, 16))
        write(f"augmented-{form}", "aa_wide_resnet", "Attention-Augmented-Conv2d", words, keys_, (2, 3, 16, 16), taps, (AUGMENTED,),
              integers, limit=300)
        small = dict(words, image=[8, 8], depths=[1, 1], widths=[4, 4, 4], keys=[4 if form == "published" else 160, 4, 4],
                     values=[2 if form == "published" else 1, 2, 2])
        model = augmented_model(module, form, [1, 1], small["widths"], 2, small["keys"], small["values"], 8, 5)
        record(f"augmented-{form}", "aa_wide_resnet", "Attention-Augmented-Conv2d", small, model, (2, 3, 8, 8), (AUGMENTED,))
    if full:
        # The published one has 206 million parameters.
        model = augmented_model(module, "paper", [4, 4, 4], [16, 160, 320, 640], 8, [160] * 4, [1, 16, 32, 64], 32, 100)
        keys, integers = fill(model)
        taps = augmented_taps(model, [4, 4, 4], blocks_only=True)
        evaluate(model, taps, (1, 3, 32, 32))
        write("full-aa_wide_resnet28_10_cifar100", "aa_wide_resnet", "Attention-Augmented-Conv2d", {}, keys,
              (1, 3, 32, 32), taps, (AUGMENTED,), integers, limit=512)


# ---------------------------------------------------------------- attention-cnn


def bert_classes(path):
    """The classes of `models/bert.py` that make a layer, without what the file imports."""
    import ast
    import math

    tree = ast.parse(open(f"{path}/models/bert.py").read())
    wanted = {"Learned2DRelativeSelfAttention", "GaussianSelfAttention", "BertSelfAttention", "BertSelfOutput", "BertAttention",
              "BertIntermediate", "BertOutput", "BertLayer", "BertLayerNorm", "gelu"}
    # The normalisation stands in the last arm of a `try`.
    parts = [n for n in ast.walk(tree) if isinstance(n, (ast.ClassDef, ast.FunctionDef)) and n.name in wanted]
    names = dict(torch=torch, nn=nn, math=math, sys=types.SimpleNamespace(version_info=(3,)), ACT2FN={})
    exec(compile(ast.Module(parts, []), "bert", "exec"), names)
    names["ACT2FN"]["gelu"] = names["gelu"]
    return types.SimpleNamespace(**names)


class AttentionCNN(nn.Module):
    """The parts of `BertImage` that bear on the logits: pixels side by side, layers, the mean of all places."""

    def __init__(self, bert, kind, side=8, dim=8, depth=2, heads=3, mlp=12, classes=5):
        super().__init__()
        config = types.SimpleNamespace(
            num_attention_heads=heads, hidden_size=dim, intermediate_size=mlp, hidden_act="gelu", layer_norm_eps=1e-12,
            hidden_dropout_prob=0, attention_probs_dropout_prob=0, max_position_embeddings=side, position_encoding_size=-1,
            use_gaussian_attention=kind in ("quadratic", "generalized"), use_learned_2d_encoding=kind.startswith("learned"),
            use_attention_data=kind == "learned-content", attention_gaussian_blur_trick=False,
            attention_isotropic_gaussian=kind == "quadratic", gaussian_init_mu_std=1, gaussian_init_sigma_std=0.1)
        self.features_upscale = nn.Linear(12, dim)
        self.encoder = nn.Module()
        self.encoder.layer = nn.ModuleList([bert.BertLayer(config) for _ in range(depth)])
        self.classifier = nn.Linear(dim, classes)
        for layer in self.encoder.layer:
            if hasattr(layer.attention.self, "R"):
                # All offsets of the largest images take more room than those that are needed.
                layer.attention.self.R = layer.attention.self.R[:side, :side, :side, :side].clone()

    def forward(self, x):
        b, c, h, w = x.shape
        x = x.reshape(b, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 3, 5, 1).reshape(b, h // 2, w // 2, 4 * c)
        x = self.features_upscale(x)
        for layer in self.encoder.layer:
            x = layer(x, None)
        return self.classifier(x.flatten(1, 2).mean(1))


def attention_cnn_taps(model, blocks_only=False):
    taps = Taps()
    tokens = lambda v: v.flatten(1, 2)
    taps.output(model.features_upscale, "embed", tokens)
    for i, layer in enumerate(model.encoder.layer):
        name = f"encoder.layer.{i}"
        if not blocks_only:
            attention = layer.attention.self
            get = attention.get_attention_probs

            def offering(*arguments, get=get, name=name):
                p = get(*arguments)
                v = p if p.ndim == 6 else p.unsqueeze(0).expand(2, *p.shape)
                taps.put(f"{name}.attn_map", v.flatten(4).flatten(1, 2).permute(0, 2, 1, 3))
                return p

            attention.get_attention_probs = offering
            taps.output(layer.attention.output.dense, f"{name}.attn_branch", tokens)
            taps.output(layer.attention, f"{name}.attn_res", tokens)
            taps.output(layer.output.dense, f"{name}.mlp_branch", tokens)
        taps.output(layer, f"{name}.mlp_res", tokens)
    taps.input(model.classifier, "gap")
    return taps


def attention_cnn(path, full):
    bert = bert_classes(path)
    keep = lambda k: None if k.endswith(".R") else k
    for kind in ["quadratic", "generalized", "learned", "learned-content"]:
        words = dict(image=[16, 16], patch=2, dim=8, depth=2, heads=3, mlp=12, positions=kind.split("-")[0], classes=5)
        if kind == "learned-content":
            words["content"] = "true"
        model = AttentionCNN(bert, kind)
        keys, integers = fill(model, keep)
        taps = attention_cnn_taps(model)
        evaluate(model, taps, (2, 3, 16, 16))
        write(f"attention-cnn-{kind}", "attention_cnn", "attention-cnn", words, keys, (2, 3, 16, 16), taps, (ATTENTION_CNN,),
              integers, limit=300)
        if kind in ("generalized", "learned-content"):
            model = AttentionCNN(bert, kind, side=4, dim=6, depth=1, heads=2, mlp=8)
            fill(model, keep)
            record(f"attention-cnn-{kind}", "attention_cnn", "attention-cnn",
                   dict(words, image=[8, 8], dim=6, depth=1, heads=2, mlp=8), model, (2, 3, 8, 8), (ATTENTION_CNN,), keep)
    if full:
        model = AttentionCNN(bert, "quadratic", 16, 400, 6, 9, 512, 10)
        keys, integers = fill(model, keep)
        taps = attention_cnn_taps(model, blocks_only=True)
        evaluate(model, taps, (1, 3, 32, 32))
        write("full-attention_cnn_quadratic", "attention_cnn", "attention-cnn", {}, keys, (1, 3, 32, 32), taps, (ATTENTION_CNN,),
              integers, limit=300)


def published_sasa(path):
    """`attention.py` and `model.py` of the checkout as one module: their names are taken here."""
    names = {"__name__": "sasa"}
    exec(open(f"{path}/attention.py").read(), names)
    source = open(f"{path}/model.py").read()
    line = "from attention import AttentionConv, AttentionStem"
    assert line in source
    # Heads are set where a network is made, as they are wanted.
    exec(source.replace(line, "").replace("groups=8", "groups=1"), names)
    return types.SimpleNamespace(**names)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--sasa", required=True)
    parser.add_argument("--hdv", required=True)
    parser.add_argument("--augmented", required=True)
    parser.add_argument("--attention-cnn", required=True)
    parser.add_argument("--full", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sasa(published_sasa(options.sasa), options.full)
    augmented(augmented_modules(options.augmented), options.full)
    attention_cnn(options.attention_cnn, options.full)
    use_checkout(options.hdv)
    convit(options.full)
