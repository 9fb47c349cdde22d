"""Fixtures of the ResNet families: torchvision, timm, Hugging Face, (with --hdv) how-do-vits-work and
(with --non-local) blocks with other gates and non-local blocks.

    python resnet.py [--hdv PATH] [--non-local PATH] [--full]
"""

import argparse

import timm
import torch
import torchvision
from torch import nn

from fixture import HDV, Taps, expect, fill, image, use_checkout, write

PRINTED = {  # first four logits of image 0, then the sum of its logits
    "resnet-torchvision-18": [-0.15297173, -0.12177148, -0.14497474, -0.25595785, -0.1255150],
    "resnet-timm-50": [0.01194502, -0.12889178, 0.18313203, -0.21807274, -9.5058740],
    "resnet-hdv-18-cifar": [-0.03289955, 0.05794665, -0.01894228, 0.03708314, -2.1561472],
    "resnet-hdv-50-cifar": [0.02060878, -0.12258438, -0.08952194, 0.34160158, -2.7850652],
    "resnet-hdv-18-stem": [-0.01787473, 0.01188908, -0.00089546, 0.05505358, 0.0710516],
    "preresnet-hdv-18-cifar": [0.11923919, 0.03089969, -0.27610136, 0.22938312, -2.1110311],
    "preresnet-hdv-50-cifar": [0.29702158, 0.15825821, -0.25464228, 0.01385079, -2.9650810],
}


def evaluate(name, model, taps, shape):
    with torch.no_grad():
        logits = model(image(shape))
    logits = logits if torch.is_tensor(logits) else logits.logits
    taps.put("logits", logits)
    if name in PRINTED:
        expect(name, [*logits[0, :4], logits[0].sum()], PRINTED[name], 6e-8)


def block_taps(taps, block, name, branch, projection):
    """Branch = what is added, skip = what it is added to."""
    taps.output(branch, f"{name}.branch")
    if projection is None:
        taps.input(block, f"{name}.skip")
    else:
        taps.output(projection, f"{name}.skip")
    taps.output(block, name)


def plain_taps(model):
    """torchvision and timm."""
    taps = Taps()
    taps.output(model.maxpool, "stem")
    for s in range(1, 5):
        for j, block in enumerate(getattr(model, f"layer{s}")):
            if hasattr(block, "theta"):
                taps.output(block.W, f"layer{s}.{j}.attn_branch")
                taps.output(block, f"layer{s}.{j}")
                continue
            last = block.bn3 if hasattr(block, "bn3") else block.bn2
            block_taps(taps, block, f"layer{s}.{j}", getattr(block, "se", None) or last, block.downsample)
    pool = getattr(model, "avgpool", None) or model.global_pool
    taps.output(pool, "gap", lambda v: v.flatten(1))
    return taps


def hdv_taps(model):
    taps = Taps()
    taps.output(model.layer0, "stem")
    for s in range(1, 5):
        for j, block in enumerate(getattr(model, f"layer{s}")):
            last = block.conv3 if hasattr(block, "conv3") else block.conv2
            branch = block.gate if hasattr(block, "gate") else last
            if hasattr(branch, "prob"):
                taps.output(branch.prob, f"layer{s}.{j}.se_map", lambda v: v[:, :, None, None])
            block_taps(taps, block, f"layer{s}.{j}", branch, block.shortcut if len(block.shortcut) else None)
    head = model.classifier[0]
    taps.input(head.dense, "gap")
    return taps


def narrow(model_class, block, stage_class_args, widths, classes, stem, blocks=(2, 2, 1, 1)):
    """An HDV network with free widths: the constructor's layers replaced by narrower ones, keys unchanged."""
    from functools import partial

    import models.classifier_block as classifier

    head = classifier.BNGAPBlock if stage_class_args == "pre" else classifier.GAPBlock
    model = model_class(block, list(blocks), num_classes=classes, stem=stem, cblock=head)
    model.layer0[0] = nn.Conv2d(3, widths[0], 7 if stem else 3, 2 if stem else 1, 3 if stem else 1, bias=False)
    if stage_class_args != "pre":
        model.layer0[1] = nn.BatchNorm2d(widths[0])
    cin = widths[0]
    for s, (width, n) in enumerate(zip(widths, blocks)):
        stage = model_class._make_layer(block, cin, width, n, stride=1 if s == 0 else 2, sds=[0.0] * n)
        setattr(model, f"layer{s + 1}", stage)
        cin = width * block.expansion
    model.classifier = nn.Sequential(head(cin, classes))
    return model


def hdv_models():
    """name -> (model, input shape, words)."""
    import models.preresnet as pre
    import models.preresnet_dnn_block as pre_blocks
    import models.resnet as res
    import models.resnet_dnn_block as res_blocks

    yield "resnet-hdv-18-cifar", res.dnn_18(100, stem=False), (1, 3, 32, 32), dict(variant="18", stem="cifar", classes=100)
    yield "resnet-hdv-50-cifar", res.dnn_50(100, stem=False), (1, 3, 32, 32), dict(variant="50", stem="cifar", classes=100)
    yield "resnet-hdv-18-stem", res.dnn_18(10, stem=True), (1, 3, 64, 64), dict(variant="18", stem="imagenet", classes=10)
    yield "preresnet-hdv-18-cifar", pre.dnn_18(100, stem=False), (1, 3, 32, 32), dict(variant="18", stem="cifar", classes=100)
    yield "preresnet-hdv-50-cifar", pre.dnn_50(100, stem=False), (1, 3, 32, 32), dict(variant="50", stem="cifar", classes=100)
    small = dict(widths=[4, 8, 8, 12], blocks=[2, 2, 1, 1], classes=5)
    for kind, cls, blocks in [("resnet", res.ResNet, res_blocks), ("preresnet", pre.PreResNet, pre_blocks)]:
        for block in ["BasicBlock", "Bottleneck"]:
            for stem in [False, True]:
                w = dict(small, block=block.lower(), stem="imagenet" if stem else "cifar")
                if block == "Bottleneck":
                    w["widths"] = [2, 4, 4, 6]
                model = narrow(cls, getattr(blocks, block), "pre" if kind == "preresnet" else "", w["widths"], 5, stem)
                label = "basic" if block == "BasicBlock" else "bottleneck"
                side = 33 if stem else 16
                yield (f"{kind}-hdv-{label}-{'stem' if stem else 'cifar'}-narrow", model, (2, 3, side, side), w)


def hdv_gated():
    """Squeeze-and-excitation blocks, with a reduction that leaves channels in narrow ones."""
    import models.resnet as res
    import models.seresnet_dnn_block as blocks

    for block, widths in [("BasicBlock", [2, 4, 4, 6]), ("Bottleneck", [2, 4, 4, 6])]:
        class Gated(getattr(blocks, block)):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, reduction=2, **kwargs)

        label, depths = ("basic" if block == "BasicBlock" else "bottleneck"), [1, 1, 1, 1]
        w = dict(widths=widths, blocks=depths, block=block.lower(), stem="cifar", classes=5)
        yield f"resnet-hdv-se-{label}", narrow(res.ResNet, Gated, "", widths, 5, False, depths), (1, 3, 16, 16), w


def hdv_small(models, limit=2_500):
    for name, model, shape, w in models:
        keys, integers = fill(model)
        taps = hdv_taps(model)
        evaluate(name, model, taps, shape)
        if name == "resnet-hdv-50-cifar":
            for tap, mean, var in [("stem", 0.153782960, 0.044870869), ("layer4.2", 0.245039578, 0.001079223)]:
                v = taps.values[tap]
                expect(f"hdv resnet50 {tap} mean, variance", [v.mean(), v.flatten(2).var(2).mean()], [mean, var])
        write(name, name.split("-")[0], "hdv", dict(image=list(shape[-2:]), **w), keys, shape, taps, [HDV], integers,
              limit=limit)


def hf_small():
    from transformers import ResNetConfig, ResNetForImageClassification

    for kind, sizes in [("basic", [8, 8, 12, 16]), ("bottleneck", [8, 16, 16, 24])]:
        config = ResNetConfig(embedding_size=8, hidden_sizes=sizes, depths=[1, 2, 1, 1], layer_type=kind, num_labels=5)
        model = ResNetForImageClassification(config)
        keys, integers = fill(model)
        taps = Taps()
        taps.output(model.resnet.embedder, "stem")
        for s, stage in enumerate(model.resnet.encoder.stages):
            for j, block in enumerate(stage.layers):
                shortcut = None if isinstance(block.shortcut, nn.Identity) else block.shortcut
                block_taps(taps, block, f"layer{s + 1}.{j}", block.layer[-1], shortcut)
        taps.input(model.classifier, "gap", lambda v: v.flatten(1))
        shape = (2, 3, 33, 40)
        evaluate("", model, taps, shape)
        write(f"resnet-hf-{kind}", "resnet", "hf", dict(image=[33, 40], widths=sizes, stem_width=8, blocks=[1, 2, 1, 1],
              block=kind, stem="imagenet", classes=5), keys, shape, taps, (), integers)


def narrow_torchvision():
    """torchvision's own class; only its width attributes are smaller."""
    from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

    class Narrow(ResNet):
        def _make_layer(self, block, planes, blocks, stride=1, dilate=False):
            return super()._make_layer(block, planes // 16, blocks, stride, dilate)

    for kind, block in [("basic", BasicBlock), ("bottleneck", Bottleneck)]:
        model = Narrow(block, [2, 2, 1, 1], num_classes=5)
        model.fc = nn.Linear(32 * block.expansion, 5)
        # The stem keeps its 64 channels.
        model.inplanes = 64
        yield kind, model


NON_LOCAL = "AlexHex7/Non-local_pytorch ec15789"
NARROW = dict(layers=[1, 1, 1, 1], channels=[4, 4, 8, 8], stem_type="deep", stem_width=4, num_classes=5)


def maps_of(taps, model):
    """Offers the maps of timm's non-local gates, whose softmax has no module."""
    import torch.nn.functional as F

    for s in range(1, 5):
        for j, block in enumerate(getattr(model, f"layer{s}")):
            def hook(m, i, o, name=f"layer{s}.{j}"):
                t, p = (f(i[0]).flatten(2) for f in (m.t, m.p))
                taps.put(f"{name}.attn_map", F.softmax(t.transpose(1, 2) @ p * m.scale, 2).unsqueeze(1))

            block.se.register_forward_hook(hook)


def gated():
    """timm's blocks with non-local and context gates."""
    for kind in ["nl", "gc", "gca"]:
        model = timm.create_model("resnet18", **NARROW, block_args=dict(attn_layer=kind))
        keys, integers = fill(model)
        taps = plain_taps(model)
        if kind == "nl":
            maps_of(taps, model)
        else:
            contexts_of(taps, model)
        evaluate("", model, taps, (1, 3, 33, 33))
        write(f"resnet-timm-{kind}", "resnet", "timm", dict(image=[33, 33], classes=5), keys, (1, 3, 33, 33), taps, (), integers,
              limit=400)


def contexts_of(taps, model):
    for s in range(1, 5):
        for j, block in enumerate(getattr(model, f"layer{s}")):
            taps.output(block.se.conv_attn, f"layer{s}.{j}.context_map", lambda v: v.flatten(2).unsqueeze(2).softmax(-1))


def map_of(taps, block, name):
    """Offers the map of a non-local block, which its `forward` hands out on request."""
    forward = block.forward

    def offering(x):
        z, weights = forward(x, return_nl_map=True)
        taps.put(f"{name}.attn_map", weights.unsqueeze(1))
        return z

    block.forward = offering


def non_local(path):
    """AlexHex7's blocks as members of stages, behind the first residual block of the second and of the third."""
    def module(name):
        names = {"__name__": name}
        exec(open(f"{path}/lib/{name}.py").read(), names)
        return names["NONLocalBlock2D"]

    def build(block, **options):
        model = timm.create_model("resnet18", **dict(NARROW, layers=[1, 2, 1, 1]))
        for layer, width in [(model.layer2, 4), (model.layer3, 8)]:
            layer.insert(1, block(width, **options))
        return model

    gaussian, dot = module("non_local_embedded_gaussian"), module("non_local_dot_product")
    for name, block, options in [("pooled", gaussian, {}), ("plain", gaussian, dict(sub_sample=False, bn_layer=False)),
                                 ("dot", dot, dict(sub_sample=False))]:
        model = build(block, **options)
        keys, integers = fill(model)
        taps = plain_taps(model)
        for s in (2, 3):
            if block is gaussian and not options.get("sub_sample", True):
                map_of(taps, getattr(model, f"layer{s}")[1], f"layer{s}.1")
        form = "mean" if name == "dot" else "softmax"
        evaluate("", model, taps, (1, 3, 33, 33))
        write(f"resnet-non-local-{name}", "resnet", "timm", {"image": [33, 33], "classes": 5, "non-local-form": form}, keys,
              (1, 3, 33, 33), taps, (NON_LOCAL,), integers, limit=400)
    # Both places of such a block in two stages, for derivatives.
    model = timm.create_model("resnet18", **NARROW, block_args=dict(attn_layer="nl"))
    model.layer2.insert(1, gaussian(4, sub_sample=False))
    model.layer3, model.layer4, model.fc = nn.Identity(), nn.Identity(), nn.Linear(4, 5)
    return model


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--hdv", help="a checkout of xxxnell/how-do-vits-work")
    parser.add_argument("--non-local", help="a checkout of AlexHex7/Non-local_pytorch, for gates and non-local blocks alone")
    parser.add_argument("--full", action="store_true")
    args = parser.parse_args()
    if args.full:
        for name in ["resnet18", "resnet50", "seresnet50"]:
            model = timm.create_model(name)
            keys, integers = fill(model)
            taps = plain_taps(model)
            shape = (1, 3, 224, 224)
            evaluate("", model, taps, shape)
            write(f"full-{name}", "resnet", "timm", dict(image=[224, 224], variant=name.removeprefix("resnet"), stem="imagenet", classes=1000),
                  keys, shape, taps, (), integers, limit=1024)
        return
    if args.non_local:
        gated()
        block = non_local(args.non_local)
        from gradients import record

        record("resnet-non-local", "resnet", "timm", {"image": [17, 17], "classes": 5}, block, (2, 3, 17, 17), (NON_LOCAL,))
        if args.hdv:
            use_checkout(args.hdv)
            gates = list(hdv_gated())
            hdv_small(gates, limit=400)
            name, model, shape, w = gates[0]
            model.layer3, model.layer4 = nn.Sequential(), nn.Sequential()
            model.classifier[0].dense = nn.Linear(4, 5)
            record("resnet-hdv-se", "resnet", "hdv", dict(w, image=[8, 8]), model, (2, 3, 8, 8), (HDV,))
        return
    shape = (1, 3, 64, 64)
    for name, model, dialect in [
        ("resnet-torchvision-18", torchvision.models.resnet18(), "torchvision"),
        ("resnet-torchvision-50", torchvision.models.resnet50(), "torchvision"),
        ("resnet-timm-50", timm.create_model("resnet50"), "timm"),
    ]:
        keys, integers = fill(model)
        taps = plain_taps(model)
        evaluate(name, model, taps, shape)
        if name == "resnet-torchvision-18":
            for tap, mean, var in [("stem", 0.458574417, 0.044943382), ("layer4.1", 0.188764245, 0.003714871)]:
                v = taps.values[tap]
                expect(f"{name} {tap} mean, variance", [v.mean(), v.flatten(2).var(2).mean()], [mean, var])
        write(name, "resnet", dialect, dict(image=[64, 64], variant=name[-2:], stem="imagenet", classes=1000), keys,
              shape, taps, (), integers)
    for kind, model in narrow_torchvision():
        keys, integers = fill(model)
        taps = plain_taps(model)
        shape = (2, 3, 33, 40)
        evaluate("", model, taps, shape)
        write(f"resnet-torchvision-{kind}-narrow", "resnet", "torchvision", dict(
            image=[33, 40], widths=[4, 8, 16, 32], stem_width=64, blocks=[2, 2, 1, 1], block=kind, stem="imagenet", classes=5),
            keys, shape, taps, (), integers)
    hf_small()
    if args.hdv:
        use_checkout(args.hdv)
        hdv_small(hdv_models())


if __name__ == "__main__":
    main()
