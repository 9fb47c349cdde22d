"""Compares the networks of networks.py with the public code their checkpoints are compatible with.

    python check.py --hdv PATH --refiner PATH [--checkpoints ../checkpoints]

Uses the trained checkpoints where they exist, random weights otherwise; float64, evaluation mode.
"""

import argparse
import sys
import types
from functools import partial
from pathlib import Path

import timm  # before the checkouts, one of which carries an old copy of the package
import torch
from safetensors.torch import load_file
from torch import nn

from networks import NETWORKS


def leave(path):
    """Forgets the package `models`, which both checkouts define."""
    sys.path.remove(path)
    for name in [m for m in sys.modules if m == "models" or m.startswith("models.")]:
        del sys.modules[name]


def reference_vit():
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(img_size=32, patch_size=4, embed_dim=64, depth=6, num_heads=4, num_classes=10)


def reference_resnet():
    import models.resnet as resnet
    import models.resnet_dnn_block as blocks
    from models.classifier_block import GAPBlock

    model = resnet.dnn_18(10, stem=False)
    widths = (16, 32, 48, 80)
    model.layer0[0], model.layer0[1] = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
    cin = 16
    for s, w in enumerate(widths):
        setattr(model, f"layer{s + 1}", resnet.ResNet._make_layer(blocks.BasicBlock, cin, w, 2, 1 + (s > 0), [0.0, 0.0]))
        cin = w
    model.classifier = nn.Sequential(GAPBlock(cin, 10))
    return model


def reference_alternet():
    import models.alternet as alternet
    import models.preresnet_dnn_block as pre
    from models.classifier_block import BNGAPBlock

    model = alternet.dnn_18(10, stem=False, window_size=4)
    widths, heads = (16, 32, 64, 96), (1, 1, 2, 3)
    model.layer0.layer0[0] = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
    cin = 16
    for s, w in enumerate(widths):
        stage = alternet.AlterNet._make_layer(pre.BasicBlock, alternet.AttentionBasicBlockB, cin, w, 2, int(s > 0),
                                              stride=1 + (s > 0), heads=heads[s], sds=[0.0, 0.0], window_size=4)
        setattr(model, f"layer{s + 1}", stage)
        cin = w
    model.classifier = nn.Sequential(BNGAPBlock(cin, 10))
    return model


def reference_refiner():
    from models.refined_transformer import Refiner_ViT

    return Refiner_ViT(img_size=32, patch_size=4, embed_dim=64, depth=[False, True] * 3, num_heads=4, mlp_ratio=3, qkv_bias=True,
                       norm_layer=partial(nn.LayerNorm, eps=1e-6), share_atten=True, num_classes=10,
                       apply_transform=[False] * 6, return_dense=False, mix_token=False)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--hdv", required=True)
    parser.add_argument("--refiner", required=True)
    parser.add_argument("--checkpoints", default=Path(__file__).resolve().parent.parent / "checkpoints")
    args = parser.parse_args()
    sys.modules.setdefault("requests", types.ModuleType("requests"))
    torch.manual_seed(0)
    x = torch.randn(4, 3, 32, 32, dtype=torch.float64)
    for name, (network, _) in NETWORKS.items():
        where = args.refiner if name == "refiner" else args.hdv
        sys.path.insert(0, where)
        reference = globals()[f"reference_{name}"]().double().eval()
        leave(where)
        ours = network().double()
        file = Path(args.checkpoints) / f"{name}_fmnist.safetensors"
        if file.exists():
            state = {k: v.double() if v.is_floating_point() else v for k, v in load_file(str(file)).items()}
            ours.load_state_dict(state)
        else:
            ours.train()
            ours(torch.randn(64, 3, 32, 32, dtype=torch.float64))
        ours.eval()
        assert list(ours.state_dict()) == list(reference.state_dict()) or set(ours.state_dict()) == set(reference.state_dict())
        reference.load_state_dict(ours.state_dict())
        with torch.no_grad():
            a, b = ours(x), reference(x)
        print(f"{name}: {'checkpoint' if file.exists() else 'random weights'}, largest difference "
              f"{(a - b).abs().max():.1e} of {b.abs().max():.2f}")


main()
