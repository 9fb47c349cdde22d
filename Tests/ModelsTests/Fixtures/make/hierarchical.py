"""Fixtures of Swin, PiT and MLP-Mixer: timm, torchvision, Hugging Face and (with --hdv) how-do-vits-work.

    python hierarchical.py [--hdv PATH] [--full]

Every token value is stored (B,N,C); the map between two stages is named after the stage before it
(`layers.0.downsample`, `transformers.0.pool`) whatever the dialect calls it.
"""

import argparse
from contextlib import contextmanager

import timm
import torch
import torch.nn.functional as F
from timm.models.mlp_mixer import MlpMixer
from timm.models.pit import PoolingVisionTransformer
from timm.models.swin_transformer import SwinTransformer, checkpoint_filter_fn

from fixture import HDV, Taps, expect, fill, image, use_checkout, write


def rows(v):
    """(B,H,W,C) -> (B,N,C)."""
    return v.flatten(1, 2) if v.ndim == 4 else v


def columns(v):
    """(B,C,H,W) -> (B,N,C)."""
    return v.flatten(2).transpose(1, 2)


def evaluate(name, model, taps, shape, printed=None):
    with torch.no_grad():
        logits = model(image(shape))
    logits = logits if torch.is_tensor(logits) else logits.logits
    taps.put("logits", logits)
    if printed:
        expect(name, [*logits[0, :4], logits[0].sum()], printed, 6e-8)


# ---------------------------------------------------------------- Swin


def swin_taps(model):
    taps = Taps()
    taps.output(model.patch_embed, "patch_embed", rows)
    for i, layer in enumerate(model.layers):
        if i > 0:
            taps.output(layer.downsample, f"layers.{i - 1}.downsample", rows)
        for j, block in enumerate(layer.blocks):
            name = f"layers.{i}.blocks.{j}"
            block.attn.fused_attn = False
            taps.output(block.attn.attn_drop, f"{name}.attn_map")
            taps.input(block.norm2, f"{name}.attn_res", rows)
            taps.output(block.mlp, f"{name}.mlp_branch", rows)
            taps.output(block, f"{name}.mlp_res", rows)
    taps.output(model.norm, "norm", rows)
    return taps


def before_2023(key):
    """timm <= 0.6 and Microsoft: the merging belongs to the stage before it, the head is one layer."""
    parts = key.split(".")
    if parts[0] == "layers" and parts[2] == "downsample":
        parts[1] = str(int(parts[1]) - 1)
    return ".".join(parts).replace("head.fc.", "head.")


def swin_words(config, **more):
    return dict(patch=config["patch_size"], window=config["window_size"], dim=config["embed_dim"],
                depths=list(config["depths"]), heads=list(config["num_heads"]), classes=config["num_classes"], eps=1e-5, **more)


SWIN = dict(img_size=32, patch_size=2, window_size=4, embed_dim=8, depths=(2, 2), num_heads=(2, 4), num_classes=5)
CIFAR_SWIN = dict(img_size=32, patch_size=1, window_size=4, embed_dim=96, depths=(2, 2, 6, 2), num_heads=(3, 6, 12, 24),
                  num_classes=100, qkv_bias=False)


def ignored_buffers(model, keys, window):
    """What files of the older spelling also hold."""
    found = []
    for name, m in model.named_modules():
        if hasattr(m, "relative_position_bias_table"):
            found.append([before_2023(f"{name}.relative_position_index"), [window**2, window**2]])
        mask = getattr(m, "attn_mask", None)
        if torch.is_tensor(mask):
            found.append([before_2023(f"{name}.attn_mask"), list(mask.shape)])
    return found


def swin_small():
    shape = (1, 3, 32, 32)
    for name, dialect, rename, printed in [
        ("swin-timm", "timm", lambda k: k, [0.27362642, -0.28764357, -0.47700959, -0.37315823, -0.4579505]),
        ("swin-microsoft", "microsoft", before_2023, None),
    ]:
        model = SwinTransformer(**SWIN)
        keys, integers = fill(model, rename)
        taps = swin_taps(model)
        evaluate(name, model, taps, shape, printed)
        ignored = ignored_buffers(model, keys, 4) if dialect == "microsoft" else []
        write(name, "swin", dialect, swin_words(SWIN, image=[32, 32], qkv_bias=True), keys, shape, taps, (), integers + ignored)
    # One window in the last stage (no shift there), three stages, no qkv bias, batch 2.
    config = dict(SWIN, img_size=16, depths=(2, 2, 2), num_heads=(1, 2, 4), window_size=2, qkv_bias=False)
    model = SwinTransformer(**config)
    keys, integers = fill(model)
    taps = swin_taps(model)
    evaluate("", model, taps, (2, 3, 16, 16))
    write("swin-timm-no-shift", "swin", "timm", swin_words(config, image=[16, 16], qkv_bias=False), keys, (2, 3, 16, 16), taps, (),
          integers)
    model = SwinTransformer(**CIFAR_SWIN)
    keys, integers = fill(model)
    taps = swin_taps(model)
    evaluate("CIFAR Swin-Ti", model, taps, shape, [-0.10070813, -0.22126556, -0.86128265, -0.07245854, -13.2702557])
    write("full-swin_tiny_cifar100", "swin", "timm", swin_words(CIFAR_SWIN, image=[32, 32], qkv_bias=False), keys, shape, taps, (),
          integers, limit=1024)
    swin_torchvision()
    swin_hf()
    swin_hf(absolute=True)
    swin_resized()


@contextmanager
def softmaxes(seen):
    """Collects the results of F.softmax, for code that keeps its attention to itself."""
    original = F.softmax

    def recording(*args, **kwargs):
        out = original(*args, **kwargs)
        seen.append(out.detach().clone())
        return out

    F.softmax = recording
    try:
        yield
    finally:
        F.softmax = original


def swin_torchvision():
    from torchvision.models.swin_transformer import SwinTransformer as TV

    model = TV(patch_size=[2, 2], embed_dim=8, depths=[2, 2], num_heads=[2, 4], window_size=[4, 4], num_classes=5)
    keys, integers = fill(model)
    taps, shape, seen = Taps(), (1, 3, 32, 32), []
    taps.output(model.features[0], "patch_embed", rows)
    names = []
    for i, stage in enumerate([model.features[1], model.features[3]]):
        if i > 0:
            taps.output(model.features[2 * i], f"layers.{i - 1}.downsample", rows)
        for j, block in enumerate(stage):
            name = f"layers.{i}.blocks.{j}"
            names.append(name)
            taps.input(block.norm2, f"{name}.attn_res", rows)
            taps.output(block.mlp, f"{name}.mlp_branch", rows)
            taps.output(block, f"{name}.mlp_res", rows)
    taps.output(model.norm, "norm", rows)
    with softmaxes(seen):
        evaluate("", model, taps, shape)
    for name, value in zip(names, seen, strict=True):
        taps.put(f"{name}.attn_map", value)
    write("swin-torchvision", "swin", "torchvision", swin_words(SWIN, image=[32, 32], qkv_bias=True), keys, shape, taps, (), integers)


def swin_hub_name(key):
    for new, old in [("q_proj", "self.query"), ("k_proj", "self.key"), ("v_proj", "self.value"), ("o_proj", "output.dense"),
                     ("relative_position_bias", "self")]:
        key = key.replace(f".attention.{new}.", f".attention.{old}.")
    return key.replace(".mlp.fc1.", ".intermediate.dense.").replace(".mlp.fc2.", ".output.dense.")


def swin_hf(absolute=False):
    from transformers import SwinConfig, SwinForImageClassification

    model = SwinForImageClassification(SwinConfig(
        image_size=32, patch_size=2, embed_dim=8, depths=[2, 2], num_heads=[2, 4], window_size=4, num_labels=5,
        attn_implementation="eager",
        use_absolute_embeddings=absolute))
    keys, integers = fill(model, swin_hub_name)
    taps, shape, swin = Taps(), (1, 3, 32, 32), model.swin
    taps.output(swin.embeddings, "patch_embed", rows)
    ignored = []
    for i, stage in enumerate(swin.encoder.layers):
        if stage.downsample is not None:
            taps.output(stage.downsample, f"layers.{i}.downsample", rows)
        for j, block in enumerate(stage.blocks):
            name = f"layers.{i}.blocks.{j}"
            block.attention.register_forward_hook(lambda m, a, o, n=name: taps.put(f"{n}.attn_map", o[1]))
            taps.input(block.layernorm_after, f"{name}.attn_res", rows)
            taps.output(block.mlp, f"{name}.mlp_branch", rows)
            taps.output(block, f"{name}.mlp_res", rows)
            ignored.append([f"swin.encoder.layers.{i}.blocks.{j}.attention.self.relative_position_index", [16, 16]])
    taps.output(swin.layernorm, "norm", rows)
    evaluate("", model, taps, shape)
    if absolute:
        taps.values = {n: v for n, v in taps.values.items() if n in ("patch_embed", "logits")}
    write("swin-hf-absolute" if absolute else "swin-hf", "swin", "hf", swin_words(SWIN, image=[32, 32], qkv_bias=True), keys, shape,
          taps, (), integers + ignored)


def swin_resized():
    """Weights for windows of 4 in networks that attend in larger windows, or have maps of 3 x 3 only."""
    for name, image_size, window, more in [("swin-timm-windows-of-5", 40, 5, dict(attended=[5, 5])), ("swin-timm-small-map", 12, 4, {})]:
        stored = SwinTransformer(**SWIN)
        keys, integers = fill(stored)
        model = SwinTransformer(**dict(SWIN, img_size=image_size, window_size=window)).double().eval()
        model.load_state_dict(checkpoint_filter_fn(stored.state_dict(), model))
        taps, shape = Taps(), (1, 3, image_size, image_size)
        evaluate("", model, taps, shape)
        write(name, "swin", "timm", swin_words(SWIN, image=[image_size, image_size], qkv_bias=True, **more), keys, shape, taps, (),
              integers)


def hdv_swin():
    from models.swin import Swin

    model = Swin(num_classes=5, depths=(2, 2, 2, 2), dims=(8, 16, 16, 16), heads=(2, 2, 2, 2), dims_mlp=(16, 16, 16, 16), dim_head=4,
                 window_size=4, pools=(1, 2, 2, 2))
    keys, integers = fill(model)
    taps, shape = Taps(), (1, 3, 32, 32)
    for i in range(4):
        stage = getattr(model, f"layer{i + 1}")
        taps.output(stage[0], f"layers.{i - 1}.downsample" if i else "patch_embed", columns)
        for j, block in enumerate(stage[1:]):
            name = f"layers.{i}.blocks.{j}"
            taps.pair(block.attn, name, columns)
            taps.input(block.norm2, f"{name}.attn_res", columns)
            taps.output(block.ff, f"{name}.mlp_branch", columns)
            taps.output(block, f"{name}.mlp_res", columns)
    evaluate("hdv swin", model, taps, shape, [0.46540605, 0.56879255, -0.40776425, 0.26439379, 1.5395031])
    write("swin-hdv", "swin", "hdv", dict(image=[32, 32], dims=[8, 16, 16, 16], depths=[2, 2, 2, 2], heads=[2, 2, 2, 2], head_dim=4,
          mlp=[16, 16, 16, 16], window=4, pools=[1, 2, 2, 2], classes=5, eps=1e-5), keys, shape, taps, [HDV], integers)


# ---------------------------------------------------------------- PiT


def pit_taps(model):
    taps = Taps()
    for s, stage in enumerate(model.transformers):
        taps.input(stage.blocks[0], f"transformers.{s - 1}.pool" if s else "embed")
        for j, block in enumerate(stage.blocks):
            name = f"transformers.{s}.blocks.{j}"
            block.attn.fused_attn = False
            taps.output(block.attn.attn_drop, f"{name}.attn_map")
            taps.output(block.attn.proj, f"{name}.attn_branch")
            taps.input(block.norm2, f"{name}.attn_res")
            taps.output(block.mlp, f"{name}.mlp_branch")
            taps.output(block, f"{name}.mlp_res")
    taps.output(model.norm, "norm")
    return taps


def old_pit(key):
    parts = key.split(".")
    if parts[0] == "transformers" and parts[2] == "pool":
        parts[1] = str(int(parts[1]) - 1)
    return ".".join(parts)


def naver_pit(key):
    parts = old_pit(key).split(".")
    return ".".join(["pools", parts[1]] + parts[3:]) if parts[2:3] == ["pool"] else key


PIT = dict(img_size=16, patch_size=2, stride=1, base_dims=(4, 4, 4), depth=(1, 1, 1), heads=(2, 4, 8), num_classes=5)


def pit_small():
    words = dict(image=[16, 16], patch=2, stride=1, base=4, heads=[2, 4, 8], depths=[1, 1, 1], classes=5, eps=1e-6)
    for name, dialect, distilled, rename, printed in [
        ("pit-timm", "timm", False, lambda k: k, [0.63521012, -0.78791150, 0.13678670, 0.16157551, 0.4124204]),
        ("pit-timm-distilled", "timm", True, lambda k: k, [0.26102615, -0.27179126, -0.32799277, 0.54786140, 0.1585317]),
        ("pit-timm-old", "timm-old", False, old_pit, None),
        ("pit-naver", "naver", True, naver_pit, None),
    ]:
        model = PoolingVisionTransformer(**PIT, distilled=distilled)
        keys, integers = fill(model, rename)
        taps, shape = pit_taps(model), (1, 3, 16, 16)
        evaluate(name, model, taps, shape, printed)
        write(name, "pit", dialect, dict(words, prefix=1 + distilled), keys, shape, taps, (), integers)
    config = dict(PIT, img_size=20, patch_size=4, stride=2, depth=(2, 1, 1))
    model = PoolingVisionTransformer(**config)
    keys, integers = fill(model)
    taps, shape = pit_taps(model), (2, 3, 20, 20)
    evaluate("", model, taps, shape)
    write("pit-timm-overlap", "pit", "timm", dict(words, image=[20, 20], patch=4, stride=2, depths=[2, 1, 1], prefix=1), keys, shape,
          taps, (), integers)


def hdv_pit():
    from models.pit import PiT

    model = PiT(image_size=16, patch_size=4, stride=2, num_classes=5, dims=(8, 16, 32), depths=(1, 2, 1), heads=(2, 4, 8),
                dims_head=(4, 4, 4), dims_mlp=(16, 24, 40))
    keys, integers = fill(model)
    taps, shape, s, j = Taps(), (2, 3, 16, 16), 0, 0
    taps.output(model.embedding, "embed")
    for block in model.transformers:
        if hasattr(block, "cls_ff"):
            taps.output(block, f"transformers.{s}.pool")
            s, j = s + 1, 0
            continue
        name = f"transformers.{s}.blocks.{j}"
        taps.pair(block.attn, name)
        taps.input(block.norm2, f"{name}.attn_res")
        taps.output(block.ff, f"{name}.mlp_branch")
        taps.output(block, f"{name}.mlp_res")
        j += 1
    evaluate("", model, taps, shape)
    write("pit-hdv", "pit", "hdv", dict(image=[16, 16], patch=4, stride=2, dims=[8, 16, 32], depths=[1, 2, 1], heads=[2, 4, 8],
          head_dims=[4, 4, 4], mlp=[16, 24, 40], classes=5, prefix=1, eps=1e-5), keys, shape, taps, [HDV], integers)


# ---------------------------------------------------------------- Mixer


def mixer_taps(blocks, embed, branches, norm):
    taps = Taps()
    taps.output(embed, "embed")
    for i, block in enumerate(blocks):
        tokens, channels = (getattr(block, b) for b in branches)
        transpose = (lambda v: v.transpose(1, 2)) if branches[0] == "mlp_tokens" else (lambda v: v)
        taps.output(tokens, f"blocks.{i}.token_branch", transpose)
        taps.input(block.norm2, f"blocks.{i}.token_res")
        taps.output(channels, f"blocks.{i}.mlp_branch")
        taps.output(block, f"blocks.{i}.mlp_res")
    taps.output(norm, "norm")
    return taps


def mixer_small():
    model = MlpMixer(img_size=8, patch_size=2, embed_dim=12, num_blocks=2, num_classes=5)
    keys, integers = fill(model)
    taps, shape = mixer_taps(model.blocks, model.stem, ("mlp_tokens", "mlp_channels"), model.norm), (2, 3, 8, 8)
    evaluate("mixer", model, taps, shape, [0.32471531, 0.23831329, -0.19222282, 0.10467190, 0.5926014])
    write("mixer-timm", "mixer", "timm", dict(image=[8, 8], patch=2, dim=12, depth=2, token_mlp=6, channel_mlp=48, classes=5,
          eps=1e-6), keys, shape, taps, (), integers)


def hdv_mixer():
    from models.mixer import Mixer

    model = Mixer(image_size=8, patch_size=2, num_classes=5, hidden_dim=12, spatial_dim=6, channel_dim=24, depth=2)
    keys, integers = fill(model)
    taps, shape = mixer_taps(model.mlps, model.embedding, ("ff1", "ff2"), model.classifier[0]), (2, 3, 8, 8)
    evaluate("hdv mixer", model, taps, shape, [0.07171275, -0.05736531, 0.27621839, -0.14929419, -0.0476043])
    write("mixer-hdv", "mixer", "hdv", dict(image=[8, 8], patch=2, dim=12, depth=2, token_mlp=6, channel_mlp=24, classes=5, eps=1e-5),
          keys, shape, taps, [HDV], integers)


def full():
    shape = (1, 3, 224, 224)
    for name, family, taps_of in [("swin_tiny_patch4_window7_224", "swin", swin_taps), ("pit_ti_224", "pit", pit_taps),
                                  ("mixer_s32_224", "mixer", None)]:
        model = timm.create_model(name)
        keys, integers = fill(model)
        taps = taps_of(model) if taps_of else mixer_taps(model.blocks, model.stem, ("mlp_tokens", "mlp_channels"), model.norm)
        evaluate("", model, taps, shape)
        write(f"full-{name}", family, "timm", dict(variant=name, image=[224, 224], classes=1000), keys, shape, taps, (), integers,
              limit=1024)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--hdv", help="a checkout of xxxnell/how-do-vits-work")
    parser.add_argument("--full", action="store_true")
    args = parser.parse_args()
    if args.full:
        full()
        return
    swin_small()
    pit_small()
    mixer_small()
    if args.hdv:
        use_checkout(args.hdv)
        hdv_swin()
        hdv_pit()
        hdv_mixer()


if __name__ == "__main__":
    main()
