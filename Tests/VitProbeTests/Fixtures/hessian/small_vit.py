"""Eigenvalues of dense Hessians of a small vision transformer, for the Hessian tests of VitProbe.

    python small_vit.py

Writes beside itself `small-vit.safetensors`, the weights in timm's names, and `small-vit-hessian.safetensors`:

    images [10, 3, 8, 8], labels [10]
    block            the dense Hessian [107, 107] of images 0 to 3 by BLOCK, row by row
    eigenvalues/X    all eigenvalues, ascending, by all parameters, of the loss X:
        batch0, batch1, batch2   minibatches 0..4, 4..8, 8..10
        dataset                  the mean over the ten images
        smoothing                minibatch 0 with label smoothing 0.1
        mixup, cutmix            minibatch 0 mixed with itself in reverse order, smoothing 0.1, the shares and
                                 the rectangle below: what vitprobe draws for the seeds 3 and 2
    targets/X, loss/X

Everything is computed in float64 in evaluation mode by double backward, and eigenvalues by LAPACK; stored in float32.
The mixing of targets and images is timm's own (timm.data.mixup). Made with torch 2.15.0, timm 1.0.31, numpy 2.4.6.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from timm.data.mixup import mixup_target, rand_bbox
from timm.models.vision_transformer import VisionTransformer

HERE = Path(__file__).resolve().parent
BLOCK = ["blocks.0.attn.proj.weight", "norm.weight", "norm.bias", "head.weight", "head.bias"]
SHARE = {"mixup": 0.3205032896809632, "cutmix": 0.31997951675470937}
CORNER = (6, 7)  # row and column of the centre of the rectangle

torch.manual_seed(11)
model = VisionTransformer(img_size=8, patch_size=4, embed_dim=8, depth=1, num_heads=2, mlp_ratio=2, num_classes=3)
for m in model.modules():
    if hasattr(m, "fused_attn"):
        m.fused_attn = False
with torch.no_grad():
    for name, p in model.named_parameters():
        p.add_(torch.randn_like(p) * (0.3 if p.ndim < 2 else 0.35))
images = torch.randn(10, 3, 8, 8)
labels = torch.tensor([0, 1, 2, 0, 1, 2, 2, 0, 1, 1])
save_file({k: v.detach().clone().contiguous() for k, v in model.state_dict().items()}, HERE / "small-vit.safetensors")

model.double().eval()
names = [n for n, _ in model.named_parameters()]
shapes = [p.shape for p in model.parameters()]


def dense(x, targets, chosen):
    """The loss and the dense Hessian by the chosen parameters, one after the other."""
    parameters = dict(model.named_parameters())
    start = torch.cat([parameters[n].detach().reshape(-1) for n in chosen])

    def loss(vector):
        values, at = dict(parameters), 0
        for n in chosen:
            count = parameters[n].numel()
            values[n] = vector[at : at + count].reshape(parameters[n].shape)
            at += count
        return F.cross_entropy(torch.func.functional_call(model, values, (x.double(),)), targets)

    h = torch.autograd.functional.hessian(loss, start)
    return float(loss(start)), (h + h.T) / 2


out = {"images": images, "labels": labels.float()}
one_hot = F.one_hot(labels, 3).double()


def mixed(kind):
    x, y = images[:4].clone(), labels[:4]
    share = SHARE[kind]
    if kind == "mixup":
        x = x * share + x.flip(0) * (1 - share)
    else:
        side = np.sqrt(1 - share)
        h, w = int(8 * side), int(8 * side)
        (top, bottom), (left, right) = (np.clip([c - s // 2, c + s // 2], 0, 8) for c, s in zip(CORNER, (h, w)))
        x[:, :, top:bottom, left:right] = x.flip(0)[:, :, top:bottom, left:right].clone()
        share = 1 - (bottom - top) * (right - left) / 64
    return x, mixup_target(y, 3, share, smoothing=0.1).double()


smooth = mixup_target(labels[:4], 3, 1.0, smoothing=0.1).double()
cases = {
    "batch0": (images[:4], one_hot[:4]),
    "batch1": (images[4:8], one_hot[4:8]),
    "batch2": (images[8:], one_hot[8:]),
    "dataset": (images, one_hot),
    "smoothing": (images[:4], smooth),
    "mixup": mixed("mixup"),
    "cutmix": mixed("cutmix"),
}
for name, (x, targets) in cases.items():
    loss, h = dense(x, targets, names)
    values = np.linalg.eigvalsh(h.numpy())
    out[f"eigenvalues/{name}"] = torch.from_numpy(values).float()
    out[f"targets/{name}"] = targets.float().contiguous()
    out[f"loss/{name}"] = torch.tensor([loss])
    print(f"{name}: loss {loss:.6f}, {len(values)} values, {values[0]:.6f} ... {values[-1]:.6f}, trace {values.sum():.5f}, "
          f"below -1e-3 max {(values < -1e-3 * abs(values).max()).mean():.4f}")
_, block = dense(images[:4], one_hot[:4], BLOCK)
out["block"] = block.float().contiguous()
save_file({k: v.float() for k, v in out.items()}, HERE / "small-vit-hessian.safetensors")
