"""Losses of the small vision transformer on the line to another checkpoint, for the landscape tests of VitProbe.

    python small_vit_line.py

Reads weights and images beside the Hessian tests (`../hessian/small_vit.py`). The other checkpoint has every tensor's values
back to front. Writes `small-vit-line.json`: the negative log-likelihood of each of the ten images by the share of the way, in
float64. Made with torch 2.15.0, timm 1.0.31.
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
model.double().eval()
start = {k: v.double() for k, v in load_file(HESSIAN / "small-vit.safetensors").items()}
end = {k: v.flatten().flip(0).reshape(v.shape) for k, v in start.items()}
data = load_file(HESSIAN / "small-vit-hessian.safetensors")
images, labels = data["images"].double(), data["labels"].long()
out = {}
for share in [-0.25, 0.0, 0.5, 1.0]:
    model.load_state_dict({k: (1 - share) * start[k] + share * end[k] for k in start})
    with torch.no_grad():
        losses = F.cross_entropy(model(images), labels, reduction="none")
    out[str(share)] = [round(float(v), 9) for v in losses]
(HERE / "small-vit-line.json").write_text(json.dumps(out, indent=1) + "\n")
