"""Fixtures of Refiner, from a checkout of zhoudaquan/Refiner_ViT.

    python refiner.py --refiner PATH [--full]
"""

import argparse
from functools import partial

import timm  # before the checkout, which carries an old copy of the package
import torch
from torch import nn

from fixture import REFINER, Taps, expect, fill, image, use_checkout, write

NORM = partial(nn.LayerNorm, eps=1e-6)


def build(pattern, transform=None, dense=True, cnn=True, image_size=32, patch=8, dim=24, heads=4, **more):
    from models.refined_transformer import Refiner_ViT

    return Refiner_ViT(img_size=image_size, patch_size=patch, embed_dim=dim, depth=pattern, num_heads=heads, mlp_ratio=3,
                       qkv_bias=True, norm_layer=NORM, share_atten=True, head_expand=6, num_classes=5,
                       apply_transform=transform or [False] * len(pattern), use_cnn_embed=cnn, return_dense=dense,
                       mix_token=dense, **more)


def refiner_taps(model):
    taps = Taps()
    taps.input(model.blocks[0], "embed")
    for i, block in enumerate(model.blocks):
        a, name = block.attn, f"blocks.{i}"
        if not a.share_atten:
            def raw(m, inputs, out, a=a, name=name):
                b, n, _ = out.shape
                q, k, _ = out.view(b, n, 3, a.num_heads, -1).permute(2, 0, 3, 1, 4)
                taps.put(f"{name}.attn_map_raw", (a.scale * q @ k.transpose(-1, -2)).softmax(-1))
            a.qkv.register_forward_hook(raw)
        if hasattr(a, "DLA"):
            taps.output(a.DLA, f"{name}.attn_map_dla")
            taps.output(a.adapt_bn, f"{name}.attn_map", partial(torch.mul, a.scale) if a.share_atten else lambda v: v)
        else:
            taps.output(a.attn_drop, f"{name}.attn_map")
        taps.output(a.proj, f"{name}.attn_branch")
        taps.input(block.norm2, f"{name}.attn_res", lambda v: v / block.adjust_ratio)
        taps.output(block.mlp, f"{name}.mlp_branch")
        taps.output(block, f"{name}.mlp_res")
    taps.output(model.norm, "norm")
    taps.output(model.head, "logits_cls")
    if model.return_dense:
        taps.output(model.aux_head, "logits_aux")
    return taps


def with_dla(model, **options):
    """The same network with another DLA in its share blocks."""
    from models.refiner_utils import DLA

    for block in model.blocks:
        if block.attn.share_atten:
            block.attn.DLA = DLA(block.attn.num_heads, block.attn.num_heads, **options)
    return model


def cases():
    own, share = False, True
    yield ("dense", build([own, share, own, share]), (2, 3, 32, 32), dict(pattern="own,share,own,share", dla="conv_exapnd", expand=3),
           [0.583563322, -0.418434572, -0.067458358, -0.723713351, -1.259183138])
    yield ("transform", build([own] * 4, [False, False, True, True]), (2, 3, 32, 32),
           dict(pattern="own,own,own*,own*", transform=[2, 3], dla="conv_exapnd", expand=6),
           [-0.482599114, 0.050436355, -0.043478270, -0.719484619, -0.585726767])
    yield ("plain-embed", build([own, share], dense=False, cnn=False), (2, 3, 32, 32),
           dict(pattern="own,share", dla="conv_exapnd", expand=3),
           [0.077842871, 0.361945655, 0.478299388, -0.050327082, -1.057045882])
    yield ("cnn-not-dense", build([own, share, share], dense=False), (2, 3, 32, 32),
           dict(pattern="own,share,share", dla="conv_exapnd", expand=3), None)
    yield ("conv-mode", with_dla(build([own, share], cnn=False), refine_mode="conv", expand_ratio=1), (2, 3, 32, 32),
           dict(pattern="own,share", dla="conv", expand=1), None)
    yield ("expand-1", with_dla(build([own, share], cnn=False), refine_mode="conv_exapnd", expand_ratio=1), (2, 3, 32, 32),
           dict(pattern="own,share", dla="conv_exapnd", expand=1), None)
    yield ("kernel-5", with_dla(build([own, share], cnn=False), refine_mode="conv_exapnd", kernel_size=5), (2, 3, 32, 32),
           dict(pattern="own,share", dla="conv_exapnd", expand=3, kernel=5), None)
    # The published resampling keeps its source grid at 14 x 14.
    yield ("interpolated", build([own, share], image_size=56, patch=4, dim=8, heads=2, interpolate_pos_embedding=True),
           (1, 3, 40, 48), dict(pattern="own,share", dla="conv_exapnd", expand=3, trained_grid=[14, 14],
                                resampling="bilinear, align_corners"), None)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--refiner", required=True)
    parser.add_argument("--full", action="store_true")
    args = parser.parse_args()
    use_checkout(args.refiner)
    if args.full:
        from models.refined_transformer import Refiner_ViT_S

        model, shape = Refiner_ViT_S(), (1, 3, 224, 224)
        keys, integers = fill(model)
        taps = refiner_taps(model)
        with torch.no_grad():
            logits = model(image(shape))
        taps.put("logits", logits)
        expect("Refiner_ViT_S", [*logits[0, :4], logits.sum()], [-0.34659861, 1.50628710, 0.10662670, 0.59117830, 18.60852204], 6e-8)
        write("full-Refiner_ViT_S", "refiner", "refiner", dict(image=[224, 224], variant="Refiner_ViT_S", classes=1000, dense=True),
              keys, shape, taps, [REFINER], integers, limit=1024)
        return
    for name, model, shape, more, printed in cases():
        keys, integers = fill(model)
        taps = refiner_taps(model)
        with torch.no_grad():
            logits = model(image(shape))
        taps.put("logits", logits)
        if printed:
            expect(name, logits[0], printed)
        if name == "dense":
            squares = [taps.values[t][0].square().sum() for b in range(4) for t in
                       (f"blocks.{b}.attn_res", f"blocks.{b}.attn_map", f"blocks.{b}.mlp_res")]
            expect("sums of squares", squares, [195.6395063, 4.0630683, 206.6733720, 204.4393498, 0.1667420, 210.3827326,
                   633.5286286, 7.9480954, 643.7257227, 1371.8967584, 20.0858991, 1375.9944535], 1e-6)
        b = model.blocks[0]
        write(f"refiner-{name}", "refiner", "refiner", dict(
            image=list(shape[-2:]), patch=model.patch_embed.patch_size[0], dim=model.embed_dim, depth=len(model.blocks),
            heads=b.attn.num_heads, mlp=b.mlp.fc1.out_features, qkv_bias=True, classes=5, eps=1e-6, dense=model.return_dense,
            embed="cnn" if hasattr(model.patch_embed, "conv1") else "plain", **more), keys, shape, taps, [REFINER], integers)


if __name__ == "__main__":
    main()
