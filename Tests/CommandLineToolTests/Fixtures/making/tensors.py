"""Tensors on the way to the output that no one asked for, those beside it, and weights that are no real numbers."""
import torch
from torch import nn
from case import Case, capture
from networks import normal, output, resnet, vit
from safetensors.torch import save_file

VIT = "vit(heads=2)@m.pth"


def one(name, thread, state, says=None, expected=None, subject=VIT, x=None, layer="logits", more=(), notes=(), code=65):
    x = normal(2, 3, 8, 8) if x is None else x
    with Case("tensors", name, thread, capture(subject, "x.npy", layer, *more), expected, says, code, notes) as case:
        case.array(x)
        case.torch(state)


def cases():
    model = vit()
    x = normal(2, 3, 8, 8)
    plain, right = model.state_dict(), output(model, x)
    clip = "huggingface/pytorch-image-models #2120"
    ones = lambda *s: 1 + 0.3 * normal(*s)
    for name, key, value in [
        ("patch_norm", "patch_embed.norm.weight", ones(8)),
        ("rope_periods", "rope_embed.periods", ones(2)),
        ("rope_frequencies", "rope.freqs", ones(2, 1)),
        ("storage_tokens", "storage_tokens", ones(1, 4, 8)),
        ("prompts", "prompt_embeddings", ones(1, 3, 8)),
        ("shared_positions", "rel_pos_bias.relative_position_bias_table", ones(12, 2)),
        ("query_norm", "blocks.0.attn.q_norm.weight", ones(4)),
        ("adapter", "blocks.0.adaptmlp.down_proj.weight", ones(2, 8)),
    ]:
        one(name, clip, {**plain, key: value}, says=[key.rsplit(".", 1)[0] if name == "patch_norm" else key])
    one("normed_first", clip, {**plain, "norm_pre.gain": ones(8)}, says=["norm_pre.gain"])
    one("swin_scale", "microsoft/Swin-Transformer PR #388", swin_with("layers.0.blocks.0.attn.logit_scale", ones(2, 1, 1)),
        says=["logit_scale"], subject="m.pth", x=normal(1, 3, 16, 16), more=("--image-size", "16"))
    one("resnet_squeeze", "own case", {**resnet().state_dict(), "layer1.0.gate.weight": ones(1, 1, 3)},
        says=["layer1.0.gate.weight"], subject="m.pth", x=normal(1, 3, 16, 16), more=("--image-size", "16"))
    one("ignored_by_request", clip, {**plain, "prompt_embeddings": ones(1, 3, 8)}, expected=right,
        more=("--ignore-tensors", "prompt_*"), notes=["prompt_embeddings"])
    for name, key, value in [("decoder", "decoder_embed.weight", ones(4, 8)), ("projector", "projector.0.weight", ones(6, 8)),
                             ("second_head", "aux_head.weight", ones(3, 8))]:
        one(f"note_{name}", "facebookresearch/mae #8", {**plain, key: value}, expected=right, notes=[key])
    for name, kind in [("int8", torch.int8), ("uint8", torch.uint8), ("int64", torch.int64), ("bool", torch.bool)]:
        state = {**plain, "blocks.0.attn.qkv.weight": (plain["blocks.0.attn.qkv.weight"] * 10).to(kind)}
        one(f"weight_of_{name}", "own case", state, says=["blocks.0.attn.qkv.weight"])


def swin_with(key, value):
    from timm.models.swin_transformer import SwinTransformer
    from networks import randomise
    model = randomise(SwinTransformer(img_size=16, patch_size=4, embed_dim=8, depths=(2, 1), num_heads=(2, 2), window_size=2,
                                      mlp_ratio=2, num_classes=5))
    return {**model.state_dict(), key: value}
