"""Fixtures of the ViT family: timm, torchvision, Hugging Face and (with --hdv) how-do-vits-work.

    python vit.py [--hdv PATH] [--full]
"""

import argparse


import timm
import torch
import torch.nn.functional as F
from timm.models.deit import VisionTransformerDistilled
from timm.models.vision_transformer import VisionTransformer

from fixture import HDV, Taps, expect, fill, image, use_checkout, write

SMALL = dict(img_size=8, patch_size=2, embed_dim=12, num_heads=3, depth=2, num_classes=5)
PRINTED = {  # logits of these cases as first published with the fill
    "plain": [0.138510532, 0.557912451, 0.202945260, 0.460677151, -0.515995592],
    "no-qkv-bias": [-0.081282214, 0.754145911, 0.204769532, 0.427471463, -0.570501778],
    "distilled": [0.058430945, 0.408789585, 0.092645187, 0.069164024, -0.353544191],
    "deit3": [-0.459364187, 0.465281501, 0.073006924, 0.073156633, -0.104650021],
    "gap-fc-norm": [0.459364025, 0.763174869, 0.046313482, -0.078177937, -0.020144833],
    "gap-norm-mean": [0.008727928, 0.366926575, -0.021496250, 0.068820441, -0.623655346],
    "map": [-0.118591686, 0.451936439, -0.053106760, 0.192727515, -0.074097691],
}


def timm_taps(model):
    taps = Taps()
    taps.input(model.blocks[0], "embed")
    for i, block in enumerate(model.blocks):
        block.attn.fused_attn = False
        taps.output(block.attn.attn_drop, f"blocks.{i}.attn_map")
        taps.output(block.attn.proj, f"blocks.{i}.attn_branch")
        taps.input(block.norm2, f"blocks.{i}.attn_res")
        taps.output(block.mlp, f"blocks.{i}.mlp_branch")
        taps.output(block, f"blocks.{i}.mlp_res")
    if not isinstance(model.norm, torch.nn.Identity):
        taps.output(model.norm, "norm")
    if getattr(model, "attn_pool", None) is not None:
        # Its map has no module of its own: it is made of what goes into it, at the norms of queries and keys.
        heads = Taps()
        heads.output(model.attn_pool.q_norm, "q")
        heads.output(model.attn_pool.k_norm, "k")
        taps.output(model.attn_pool, "pool.attn_map", lambda _: (
            heads.values["q"] * model.attn_pool.scale @ heads.values["k"].transpose(-2, -1)).softmax(-1))
        taps.output(model.attn_pool, "pool")
    if not isinstance(getattr(model, "fc_norm", torch.nn.Identity()), torch.nn.Identity):
        taps.output(model.fc_norm, "fc_norm")
    return taps


def run(model, taps, shape, **options):
    with torch.no_grad():
        logits = model(image(shape), **options)
    if not torch.is_tensor(logits):
        logits = logits.logits
    taps.put("logits", logits)
    return logits


def words(model, image_size, **more):
    """The hyper-parameters of a timm model, in words."""
    b = model.blocks[0]
    return dict(image=image_size, patch=model.patch_embed.patch_size[0], dim=model.embed_dim,
                depth=len(model.blocks), heads=b.attn.num_heads, mlp=b.mlp.fc1.out_features,
                qkv_bias=b.attn.qkv.bias is not None, classes=model.num_classes,
                prefix=model.num_prefix_tokens, eps=1e-6, **more)


def timm_case(name, model, shape=(2, 3, 8, 8), dialect="timm", **more):
    keys, _ = fill(model)
    taps = timm_taps(model)
    logits = run(model, taps, shape)
    if name in PRINTED:
        expect(name, logits[0], PRINTED[name])
    if name == "plain":
        embed = taps.values["embed"][0]
        expect("plain embed mean, squares", [embed.mean(), embed.square().sum()], [-0.023109074, 20.0827513], 6e-8)
        last = taps.values["blocks.1.mlp_res"][0]
        grid = last[1:].T.reshape(-1, 4, 4)
        f = torch.log(torch.fft.fft2(grid).abs() + 1e-6).roll((2, 2), (1, 2)).mean(0).diagonal()[2:]
        expect("plain last mlp_res: mean, squares, variance, dlog",
               [last.mean(), last.square().sum(), grid.flatten(1).var(1).mean(), f[-1] - f[0]],
               [-0.056019403, 59.6106922, 0.136048877, -0.9579699], 6e-8)
    write(f"vit-{dialect}-{name}", "vit", dialect, words(model, shape[-2:], **more), keys, shape, taps)


def timm_small():
    timm_case("plain", VisionTransformer(**SMALL))
    timm_case("no-qkv-bias", VisionTransformer(**SMALL, qkv_bias=False))
    timm_case("distilled", VisionTransformerDistilled(**SMALL))
    timm_case("deit3", VisionTransformer(**SMALL, no_embed_class=True, init_values=1e-6), layer_scale=True,
              no_embed_class=True)
    gap = dict(**SMALL, global_pool="avg", class_token=False)
    timm_case("gap-fc-norm", VisionTransformer(**gap), pool="avg", fc_norm=True)
    timm_case("gap-norm-mean", VisionTransformer(**gap, fc_norm=False), pool="avg", fc_norm=False)
    timm_case("map", VisionTransformer(**SMALL, class_token=False, global_pool="map"), pool="map")
    dino = dict(SMALL, init_values=1e-5, num_classes=0)
    timm_case("dinov2", VisionTransformer(**dino), layer_scale=True)
    reg = dict(dino, reg_tokens=4, no_embed_class=True)
    timm_case("dinov2-reg4", VisionTransformer(**reg), layer_scale=True, registers=4, no_embed_class=True)
    from timm.layers import SwiGLUPacked

    timm_case("dinov2-giant", VisionTransformer(**reg, mlp_ratio=2.66667 * 2, mlp_layer=SwiGLUPacked,
                                                act_layer=torch.nn.SiLU),
              layer_scale=True, registers=4, no_embed_class=True, mlp_kind="swiglu")


def resampled_timm(name, trained, size, distilled=False, grid0=4):
    """Weights of image 8 (grid 4x4) in a model for another size: bicubic with antialiasing, in float64."""
    base = (VisionTransformerDistilled if distilled else VisionTransformer)(**dict(SMALL, img_size=trained))
    keys, _ = fill(base)
    model = (VisionTransformerDistilled if distilled else VisionTransformer)(**dict(SMALL, img_size=size))
    model.double().eval()
    state = base.state_dict()
    pos, prefix = state["pos_embed"], model.num_prefix_tokens
    side = trained // 2
    to = [s // 2 for s in size]
    rows = pos[:, prefix:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    rows = F.interpolate(rows, size=to, mode="bicubic", antialias=True, align_corners=False)
    state["pos_embed"] = torch.cat([pos[:, :prefix], rows.permute(0, 2, 3, 1).reshape(1, to[0] * to[1], -1)], 1)
    from timm.layers import resample_abs_pos_embed

    ours = resample_abs_pos_embed(pos, to, num_prefix_tokens=prefix)
    print(f"  timm's own resampling differs by {(ours - state['pos_embed']).abs().max():.1e} (it works in float32)")
    model.load_state_dict(state)
    taps = timm_taps(model)
    shape = (1, 3, *size)
    run(model, taps, shape)
    write(f"vit-timm-{name}", "vit", "timm", words(model, list(size), trained_grid=[side, side],
          resampling="bicubic, antialias"), keys, shape, taps)


def torchvision_taps(model):
    taps = Taps()
    layers = model.encoder.layers
    taps.input(layers[0], "embed")
    for i, block in enumerate(layers):
        def attention(m, inputs, out, i=i):
            x, a = inputs[0], m
            b, n, c = x.shape
            q, k, _ = F.linear(x, a.in_proj_weight, a.in_proj_bias).view(b, n, 3, a.num_heads, -1).permute(2, 0, 3, 1, 4)
            taps.put(f"blocks.{i}.attn_map", (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1))
        block.self_attention.register_forward_hook(attention)
        taps.output(block.self_attention, f"blocks.{i}.attn_branch")
        taps.input(block.ln_2, f"blocks.{i}.attn_res")
        taps.output(block.mlp, f"blocks.{i}.mlp_branch")
        taps.output(block, f"blocks.{i}.mlp_res")
    taps.output(model.encoder.ln, "norm")
    return taps


def torchvision_small():
    from torchvision.models.vision_transformer import VisionTransformer as TV

    for name, rename in [("plain", lambda k: k),
                         ("old-mlp", lambda k: k.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."))]:
        model = TV(image_size=8, patch_size=2, num_layers=2, num_heads=3, hidden_dim=12, mlp_dim=48, num_classes=5)
        keys, _ = fill(model, rename)
        taps = torchvision_taps(model)
        run(model, taps, (2, 3, 8, 8))
        write(f"vit-torchvision-{name}", "vit", "torchvision",
              dict(image=[8, 8], patch=2, dim=12, depth=2, heads=3, mlp=48, qkv_bias=True, classes=5, prefix=1, eps=1e-6),
              keys, (2, 3, 8, 8), taps)


def hub_name(key):
    """The spelling of published files; transformers 5 renames on loading."""
    if key.endswith("mask_token"):
        return key
    dino = ".encoder.layer." in key
    for prefix in ("vit.", "deit."):
        if key.startswith(prefix + "layers."):
            key = prefix + "encoder.layer." + key[len(prefix) + len("layers."):]
    for new, old in [("q_proj", "attention.query"), ("k_proj", "attention.key"), ("v_proj", "attention.value"),
                     ("o_proj", "output.dense")]:
        key = key.replace(f"attention.{new}.", f"attention.{old}.")
    if not dino:
        key = key.replace(".mlp.fc1.", ".intermediate.dense.").replace(".mlp.fc2.", ".output.dense.")
    return key


def hf_small():
    from transformers import (DeiTConfig, DeiTForImageClassification, DeiTForImageClassificationWithTeacher,
                              Dinov2Config, Dinov2ForImageClassification, Dinov2Model, Dinov2WithRegistersConfig,
                              Dinov2WithRegistersForImageClassification, ViTConfig, ViTForImageClassification)

    base = dict(hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=48, image_size=8,
                patch_size=2, num_labels=5, attn_implementation="eager")

    def case(name, cls, config, shape, prefix, **more):
        options = {"interpolate_pos_encoding": True} if more.pop("interpolate", False) else {}
        model = cls(config)
        # The fill draws attention logits wide enough that float32 softmax would show; keep double.
        keys, _ = fill(model, hub_name)
        inner = getattr(model, "vit", None) or getattr(model, "deit", None) or getattr(
            model, "dinov2", None) or getattr(model, "dinov2_with_registers", None)
        layers = getattr(inner, "layers", None) or inner.encoder.layer
        taps = Taps()
        taps.input(layers[0], "embed")
        for i, block in enumerate(layers):
            taps.pair(block.attention, f"blocks.{i}")
            taps.input(getattr(block, "norm2", None) or block.layernorm_after, f"blocks.{i}.attn_res")
            taps.output(block.mlp, f"blocks.{i}.mlp_branch")
            taps.output(block, f"blocks.{i}.mlp_res")
        taps.output(inner.layernorm, "norm")
        run(model, taps, shape, **options)
        eps = config.layer_norm_eps
        write(f"vit-hf-{name}", "vit", "hf", dict(
            image=list(shape[-2:]), patch=2, dim=12, depth=2, heads=3, mlp=list(keys_shape(keys, "fc1", "intermediate"))[0],
            qkv_bias=True, classes=5, prefix=prefix, eps=eps, **more), keys, shape, taps)

    def keys_shape(keys, *parts):
        for key, shape in keys:
            if any(p in key for p in parts) and key.endswith("weight") and ".0." in key:
                return shape
        return [0]

    two = (2, 3, 8, 8)
    case("plain", ViTForImageClassification, ViTConfig(**base, layer_norm_eps=1e-12), two, 1)
    case("resampled", ViTForImageClassification, ViTConfig(**base, layer_norm_eps=1e-12), (1, 3, 12, 16), 1, interpolate=True,
         trained_grid=[4, 4], resampling="bicubic")
    case("deit", DeiTForImageClassification, DeiTConfig(**base, layer_norm_eps=1e-12), two, 2)
    case("deit-distilled", DeiTForImageClassificationWithTeacher, DeiTConfig(**base, layer_norm_eps=1e-12), two, 2)
    dino = dict(base, layer_norm_eps=1e-6)
    del dino["intermediate_size"]
    more = dict(layer_scale=True, head="linear on [cls, mean of patches]")
    case("dinov2", Dinov2ForImageClassification, Dinov2Config(**dino), two, 1, **more)
    case("dinov2-swiglu", Dinov2ForImageClassification, Dinov2Config(**dino, use_swiglu_ffn=True), two, 1,
         mlp_kind="swiglu", **more)
    case("dinov2-resampled", Dinov2ForImageClassification, Dinov2Config(**dino), (1, 3, 12, 16), 1,
         trained_grid=[4, 4], resampling="bicubic", **more)
    reg = dict(dino, num_register_tokens=4)
    case("dinov2-reg4", Dinov2WithRegistersForImageClassification, Dinov2WithRegistersConfig(**reg), two, 5,
         registers=4, **more)
    case("dinov2-reg4-resampled", Dinov2WithRegistersForImageClassification, Dinov2WithRegistersConfig(**reg), (1, 3, 12, 16), 5,
         registers=4, trained_grid=[4, 4], resampling="bicubic, antialias", **more)


def hdv_small():
    from models.vit import ViT

    model = ViT(image_size=8, patch_size=2, num_classes=5, depth=2, dim=12, heads=3, dim_head=4, dim_mlp=48)
    keys, _ = fill(model)
    taps = Taps()
    taps.output(model.embedding, "embed")
    for i, block in enumerate(model.transformers):
        taps.pair(block.attn, f"blocks.{i}")
        taps.input(block.norm2, f"blocks.{i}.attn_res")
        taps.output(block.ff, f"blocks.{i}.mlp_branch")
        taps.output(block, f"blocks.{i}.mlp_res")
    logits = run(model, taps, (2, 3, 8, 8))
    expect("hdv vit", [*logits[0, :4], logits[0].sum()],
           [0.17668027, -0.01972883, 0.44192277, -0.65489429, -1.0976128], 6e-8)
    write("vit-hdv", "vit", "hdv", dict(image=[8, 8], patch=2, dim=12, depth=2, heads=3, head_dim=4, mlp=48,
          qkv_bias=False, classes=5, prefix=1, eps=1e-5), keys, (2, 3, 8, 8), taps, [HDV])


def full():
    for name in ["vit_tiny_patch16_224", "vit_small_patch16_224", "vit_small_patch32_224", "vit_base_patch16_224",
                 "deit_small_distilled_patch16_224", "deit3_small_patch16_224", "vit_small_patch14_reg4_dinov2"]:
        options = dict(img_size=224) if "dinov2" in name else {}
        model = timm.create_model(name, pretrained=False, **options)
        keys, _ = fill(model)
        taps = timm_taps(model)
        shape = (1, 3, 224, 224)
        run(model, taps, shape)
        write(f"full-{name}", "vit", "timm", words(model, [224, 224], variant=name), keys, shape, taps, limit=1024)
    model = VisionTransformer(img_size=32, patch_size=2, embed_dim=192, depth=12, num_heads=3, num_classes=100,
                              qkv_bias=False)
    keys, _ = fill(model)
    taps = timm_taps(model)
    run(model, taps, (1, 3, 32, 32))
    write("full-vit_tiny_patch2_32_cifar100", "vit", "timm", words(model, [32, 32], variant="CIFAR-100 ViT-Ti"), keys,
          (1, 3, 32, 32), taps, limit=1024)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--hdv", help="a checkout of xxxnell/how-do-vits-work")
    parser.add_argument("--full", action="store_true")
    args = parser.parse_args()
    if args.full:
        full()
        return
    timm_small()
    resampled_timm("resampled-larger", 8, (12, 16))
    resampled_timm("resampled-smaller", 12, (8, 8))
    resampled_timm("distilled-resampled", 8, (16, 12), distilled=True)
    torchvision_small()
    hf_small()
    if args.hdv:
        use_checkout(args.hdv)
        hdv_small()


if __name__ == "__main__":
    main()
