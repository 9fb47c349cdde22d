"""Losses of the small vision transformer without its branches and heads, for the lesion tests of VitProbe.

    python small_vit_lesions.py

Reads weights and images beside the Hessian tests (`../hessian/small_vit.py`) and writes `small-vit-lesions.json`: for
each lesion the negative log-likelihood of each of the ten images, in minibatches of five, by zero and by the mean over
the minibatch. `blocks.0.attn_branch#1` is head 1, whose attention map is replaced. Everything is float64 in evaluation
mode. Made with torch 2.15.0, timm 1.0.31.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from timm.models.vision_transformer import VisionTransformer

HERE = Path(__file__).resolve().parent
HESSIAN = HERE.parent / "hessian"
model = VisionTransformer(img_size=8, patch_size=4, embed_dim=8, depth=1, num_heads=2, mlp_ratio=2, num_classes=3)
model.load_state_dict(load_file(HESSIAN / "small-vit.safetensors"))
model.double().eval()
data = load_file(HESSIAN / "small-vit-hessian.safetensors")
images, labels = data["images"].double(), data["labels"].long()
block = model.blocks[0]


def replaced(x, by):
    return torch.zeros_like(x) if by == "zero" else x.mean(0, keepdim=True).expand_as(x)


def logits(x, lesion, by):
    x = model._pos_embed(model.patch_embed(x))
    a = block.attn
    n, t, d = x.shape
    q, k, v = a.qkv(block.norm1(x)).reshape(n, t, 3, a.num_heads, -1).permute(2, 0, 3, 1, 4)
    maps = (q @ k.transpose(-2, -1) * a.scale).softmax(-1)
    if "#" in lesion:
        head = int(lesion[-1])
        maps = torch.cat([replaced(maps[:, [h]], by) if h == head else maps[:, [h]] for h in range(2)], 1)
    branch = a.proj((maps @ v).transpose(1, 2).reshape(n, t, d))
    x = x + (replaced(branch, by) if lesion == "blocks.0.attn_branch" else branch)
    branch = block.mlp(block.norm2(x))
    x = x + (replaced(branch, by) if lesion == "blocks.0.mlp_branch" else branch)
    return model.head(model.norm(x)[:, 0])


assert torch.allclose(logits(images, "none", "zero"), model(images), atol=1e-12)
out = {}
for lesion in ["none", "blocks.0.attn_branch", "blocks.0.attn_branch#0", "blocks.0.attn_branch#1", "blocks.0.mlp_branch"]:
    for by in ["zero", "mean"]:
        with torch.no_grad():
            losses = [F.cross_entropy(logits(x, lesion, by), y, reduction="none")
                      for x, y in zip(images.split(5), labels.split(5))]
        out[f"{lesion} {by}"] = [round(float(v), 9) for v in torch.cat(losses)]
(HERE / "small-vit-lesions.json").write_text(json.dumps(out, indent=1) + "\n")
