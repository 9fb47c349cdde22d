"""Gradients and one Hessian-vector product of small networks, in float64 and evaluation mode.

    python gradients.py --hdv PATH --refiner PATH

Loss: the mean cross-entropy of two images with the labels 0, 1. The direction v is filled like the weights,
from the keys `v/KEY`; running statistics are constants.
"""

import argparse
import json

import timm  # before the checkouts, one of which carries an old copy of the package
import torch
import torch.nn.functional as F
from timm.models.mlp_mixer import MlpMixer
from timm.models.pit import PoolingVisionTransformer
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer

from fixture import HDV, REFINER, Taps, fill, filled, image, same, use_checkout, write


def dot(a, b):
    return sum((x * y).sum() for x, y in zip(a, b))


def record(name, family, dialect, config, model, shape, extra=(), rename=same):
    keys, integers = fill(model, rename)
    for m in model.modules():
        if hasattr(m, "fused_attn"):
            m.fused_attn = False
    names, parameters = zip(*model.named_parameters())
    labels = torch.arange(shape[0])

    def loss_at(values):
        logits = torch.func.functional_call(model, dict(zip(names, values)), (image(shape),))
        return F.cross_entropy(logits, labels), logits

    loss, logits = loss_at(parameters)
    gradient = torch.autograd.grad(loss, parameters, create_graph=True)
    v = [filled(f"v/{n}", tuple(p.shape)) for n, p in zip(names, parameters)]
    product = torch.autograd.grad(dot(gradient, v), parameters, allow_unused=True)
    product = [torch.zeros_like(p) if h is None else h for h, p in zip(product, parameters)]
    gradient = [g.detach() for g in gradient]

    # Check both against differences of the loss and of the gradient along v.
    step = 1e-6
    ends = []
    for sign in (1, -1):
        moved = [(p + sign * step * d).detach().requires_grad_() for p, d in zip(parameters, v)]
        value, _ = loss_at(moved)
        ends.append((value.item(), torch.autograd.grad(value, moved)))
    slope = (ends[0][0] - ends[1][0]) / (2 * step)
    change = [(a - b) / (2 * step) for a, b in zip(ends[0][1], ends[1][1])]
    size = dot(product, product).sqrt()
    error = dot(*[[c - h for c, h in zip(change, product)]] * 2).sqrt() / size
    print(f"  {name}: loss {loss.item():.6f}, slope error {abs(slope - dot(gradient, v)) / abs(slope):.1e}, "
          f"product error {error:.1e} of {size:.3g}")

    tensors = {}
    for n, g, h in zip(names, gradient, product):
        tensors[f"gradient/{n}"] = g.float().contiguous()
        tensors[f"hessian/{n}"] = h.float().contiguous()
    taps = Taps()
    taps.put("logits", logits)
    write(f"gradients-{name}", family, dialect, config, keys, shape, taps, extra, integers, tensors,
          {"labels": json.dumps(labels.tolist()), "loss": repr(loss.item()), "curvature": repr(dot(product, v).item())})


def hdv_transformers():
    from models.mixer import Mixer
    from models.pit import PiT
    from models.swin import Swin

    model = Swin(num_classes=5, depths=(2, 2, 2, 2), dims=(8, 8, 8, 12), heads=(2, 2, 2, 2), dims_mlp=(16, 16, 16, 16), dim_head=4,
                 window_size=4, pools=(1, 2, 2, 2))
    record("swin-hdv", "swin", "hdv", dict(image=[32, 32], dims=[8, 8, 8, 12], depths=[2, 2, 2, 2], heads=[2, 2, 2, 2], head_dim=4,
           mlp=[16, 16, 16, 16], window=4, pools=[1, 2, 2, 2], classes=5, eps=1e-5), model, (2, 3, 32, 32), [HDV])
    model = PiT(image_size=16, patch_size=4, stride=2, num_classes=5, dims=(8, 8, 16), depths=(1, 2, 1), heads=(2, 2, 4),
                dims_head=(4, 4, 4), dims_mlp=(16, 24, 40))
    record("pit-hdv", "pit", "hdv", dict(image=[16, 16], patch=4, stride=2, dims=[8, 8, 16], depths=[1, 2, 1], heads=[2, 2, 4],
           head_dims=[4, 4, 4], mlp=[16, 24, 40], classes=5, prefix=1, eps=1e-5), model, (2, 3, 16, 16), [HDV])
    model = Mixer(image_size=8, patch_size=2, num_classes=5, hidden_dim=12, spatial_dim=6, channel_dim=24, depth=2)
    record("mixer-hdv", "mixer", "hdv", dict(image=[8, 8], patch=2, dim=12, depth=2, token_mlp=6, channel_mlp=24, classes=5,
           eps=1e-5), model, (2, 3, 8, 8), [HDV])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--hdv", required=True)
    parser.add_argument("--refiner", required=True)
    args = parser.parse_args()

    from hierarchical import PIT, SWIN, swin_words
    from vit import SMALL, words

    small = VisionTransformer(**SMALL)
    record("vit", "vit", "timm", words(small, [8, 8]), small, (2, 3, 8, 8))
    deit3 = VisionTransformer(**SMALL, no_embed_class=True, init_values=1e-6)
    record("deit3", "vit", "timm", words(deit3, [8, 8], layer_scale=True, no_embed_class=True), deit3, (2, 3, 8, 8))
    gap = VisionTransformer(**SMALL, global_pool="avg", class_token=False)
    record("vit-gap", "vit", "timm", words(gap, [8, 8], pool="avg", fc_norm=True), gap, (2, 3, 8, 8))

    config = dict(SWIN, img_size=16, num_heads=(1, 2))
    record("swin", "swin", "timm", swin_words(config, image=[16, 16], qkv_bias=True), SwinTransformer(**config), (2, 3, 16, 16))
    config = dict(PIT, img_size=10)
    record("pit", "pit", "timm", dict(image=[10, 10], patch=2, stride=1, base=4, heads=[2, 4, 8], depths=[1, 1, 1], classes=5,
           eps=1e-6, prefix=1), PoolingVisionTransformer(**config), (2, 3, 10, 10))
    record("mixer", "mixer", "timm", dict(image=[8, 8], patch=2, dim=12, depth=2, token_mlp=6, channel_mlp=48, classes=5, eps=1e-6),
           MlpMixer(img_size=8, patch_size=2, embed_dim=12, num_blocks=2, num_classes=5), (2, 3, 8, 8))

    use_checkout(args.hdv)
    hdv_transformers()
    from alternet import narrow as narrow_alternet
    from resnet import hdv_models

    for name, model, shape, w in hdv_models():
        if name in ("resnet-hdv-basic-cifar-narrow", "resnet-hdv-bottleneck-stem-narrow", "preresnet-hdv-basic-cifar-narrow",
                    "preresnet-hdv-bottleneck-cifar-narrow"):
            record(name.replace("-narrow", "").replace("-hdv", ""), name.split("-")[0], "hdv", dict(image=list(shape[-2:]), **w),
                   model, shape, [HDV])
    for kind, widths in [("basic", [4, 8, 8, 12]), ("bottleneck", [2, 4, 4, 6])]:
        w = dict(widths=widths, blocks=[1, 2, 2, 2], msa=[0, 1, 1, 1], heads=[1, 1, 1, 1], window=2, classes=5)
        record(f"alternet-{kind}", "alternet", "hdv", dict(w, image=[16, 16], block=kind, stem="cifar", head_dim=64),
               narrow_alternet(kind, **w), (2, 3, 16, 16), [HDV])

    import sys

    for name in [m for m in sys.modules if m == "models" or m.startswith("models.")]:
        del sys.modules[name]  # both checkouts call their package `models`
    use_checkout(args.refiner)
    from refiner import build

    model = build([False, True, False, True], cnn=False, dim=12, heads=3, patch=4, image_size=16)
    record("refiner", "refiner", "refiner", dict(image=[16, 16], patch=4, dim=12, depth=4, heads=3, mlp=36, qkv_bias=True, classes=5,
           eps=1e-6, dense=True, embed="plain", pattern="own,share,own,share", dla="conv_exapnd", expand=3), model, (2, 3, 16, 16),
           [REFINER])
    model = build([False, False], [False, True], dense=False, cnn=False, dim=12, heads=3, patch=4, image_size=16)
    record("refiner-transform", "refiner", "refiner", dict(image=[16, 16], patch=4, dim=12, depth=2, heads=3, mlp=36, qkv_bias=True,
           classes=5, eps=1e-6, dense=False, embed="plain", pattern="own,own*", transform=[1], dla="conv_exapnd", expand=6), model,
           (2, 3, 16, 16), [REFINER])


if __name__ == "__main__":
    main()
