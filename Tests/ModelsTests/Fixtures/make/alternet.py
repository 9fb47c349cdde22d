"""Fixtures of AlterNet, from a checkout of xxxnell/how-do-vits-work.

    python alternet.py --hdv PATH [--full]
"""

import argparse
from functools import partial

import torch
from torch import nn

from fixture import HDV, LIMIT, Taps, expect, fill, image, use_checkout, write
from resnet import block_taps

PRINTED = {
    "alternet-18-w4": [0.08989816, 0.01762176, -0.25027555, 0.20594636, -2.7442985],
    "alternet-50-w4": [0.07203880, 0.19936225, -0.15126736, -0.04057949, -3.3804851],
}


def alternet_taps(model):
    taps = Taps()
    taps.output(model.layer0, "stem")
    for s in range(1, 5):
        for j, block in enumerate(getattr(model, f"layer{s}")):
            name = f"layer{s}.{j}"
            if hasattr(block, "attn"):
                taps.pair(block.attn, name)
                taps.input(block, f"{name}.skip")
                taps.output(block, name)
            else:
                last = block.conv3 if hasattr(block, "conv3") else block.conv2
                block_taps(taps, block, name, last, block.shortcut if len(block.shortcut) else None)
    taps.input(model.classifier[0].dense, "gap")
    return taps


def narrow(kind, widths, blocks, msa, heads, window, classes=5):
    import models.alternet as alternet
    import models.classifier_block as classifier
    import models.preresnet_dnn_block as pre

    first, second = ((pre.BasicBlock, alternet.AttentionBasicBlockB) if kind == "basic"
                     else (pre.Bottleneck, alternet.AttentionBlockB))
    model = alternet.AlterNet(first, second, num_blocks=(1, 1, 1, 1), num_blocks2=(0, 0, 0, 0), heads=heads,
                              stem=partial(alternet.StemB, pool=False), num_classes=classes)
    model.layer0.layer0[0] = nn.Conv2d(3, widths[0], 3, 1, 1, bias=False)
    cin = widths[0]
    for s in range(4):
        stage = alternet.AlterNet._make_layer(first, second, cin, widths[s], blocks[s], msa[s], stride=1 if s == 0 else 2,
                                              heads=heads[s], sds=[0.0] * blocks[s], window_size=window)
        setattr(model, f"layer{s + 1}", stage)
        cin = widths[s] * second.expansion
    model.classifier = nn.Sequential(classifier.BNGAPBlock(cin, classes))
    return model


def narrow_cases():
    basic = dict(widths=[4, 8, 8, 12], blocks=[2, 2, 2, 2], msa=[0, 1, 1, 1], heads=[1, 1, 2, 2], classes=5)
    deep = dict(widths=[2, 4, 4, 6], blocks=[1, 2, 4, 3], msa=[0, 1, 2, 1], heads=[1, 1, 2, 2], classes=5)
    for kind, w in [("basic", basic), ("bottleneck", deep)]:
        for window, shape in [(4, (1, 3, 32, 32)), (2, (2, 3, 16, 16))]:
            yield f"alternet-{kind}-narrow-w{window}", narrow(kind, window=window, **w), shape, dict(w, window=window, block=kind,
                                                                                                   stem="cifar", head_dim=64)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--hdv", required=True)
    parser.add_argument("--full", action="store_true")
    args = parser.parse_args()
    use_checkout(args.hdv)
    import models.alternet as alternet

    if args.full:
        jobs = [("full-alternet-50-w7", alternet.dnn_50(1000, stem=True), (1, 3, 224, 224),
                 dict(variant="50", stem="imagenet", window=7, classes=1000))]
    else:
        jobs = [(f"alternet-{n}-w4", f(100, stem=False, window_size=4), (1, 3, 32, 32),
                 dict(variant=n, stem="cifar", window=4, classes=100))
                for n, f in [("18", alternet.dnn_18), ("50", alternet.dnn_50)]] + list(narrow_cases())
    for name, model, shape, w in jobs:
        keys, integers = fill(model)
        taps = alternet_taps(model)
        with torch.no_grad():
            logits = model(image(shape))
        taps.put("logits", logits)
        if name in PRINTED:
            expect(name, [*logits[0, :4], logits[0].sum()], PRINTED[name], 6e-8)
        if name == "alternet-18-w4":
            variance = [v.flatten(2).var(2).mean() for t, v in taps.values.items()
                        if t == "stem" or t.count(".") == 1]
            expect("variances", variance, [0.107918451, 0.111034807, 0.115171949, 0.018734961, 0.018758614, 0.003990821,
                   0.003997080, 0.002218890, 0.002218978])
        write(name, "alternet", "hdv", dict(image=list(shape[-2:]), **w), keys, shape, taps, [HDV], integers,
              limit=1024 if args.full else LIMIT)


if __name__ == "__main__":
    main()
