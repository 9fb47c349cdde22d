"""Forward passes of published networks of local layers, with a hook that keeps the output of every block.

LOCAL_NETWORKS names a folder with checkouts of Atten4Vis/DemystifyLocalViT, d-li14/involution, whai362/PVT and
leaderj1001/Stand-Alone-Self-Attention, each under its own name. They are loaded as for the fixtures of the tests: involutions
are the plain ones of the repository, which need no graphics processor.
"""

import argparse
import os
import re
import sys
from functools import partial

from common import images, report_forward, torch

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "..", "Tests", "ModelsTests", "Fixtures", "make"))
import attention
import local

ROOT = os.environ["LOCAL_NETWORKS"]


def dwnet(kind, groups=None):
    options = {"groups": groups} if groups else {}
    return local.dwnet_model(local.local_modules(f"{ROOT}/DemystifyLocalViT"), kind, img_size=224, embed_dim=96,
                             depths=[2, 2, 6, 2], num_classes=1000, **options)


def rednet50():
    modules = local.rednet_modules(f"{ROOT}/involution")
    return local.RedNetClassifier(modules.RedNet(50), 2048, 1000)


def pvt_small():
    return local.pvt_modules(f"{ROOT}/PVT").PyramidVisionTransformer(
        patch_size=4, embed_dims=[64, 128, 320, 512], num_heads=[1, 2, 5, 8], mlp_ratios=[8, 8, 4, 4], qkv_bias=True,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6), depths=[3, 4, 6, 3], sr_ratios=[8, 4, 2, 1])


def sasa26(form):
    module = attention.published_sasa(f"{ROOT}/Stand-Alone-Self-Attention")
    return attention.sasa_model(module, form, [1, 2, 4, 1], 64, 64, 8, 7, 1000, large=True)


NETWORKS = {
    "dwnet_tiny": partial(dwnet, "static"), "dynamic_dwnet_tiny": partial(dwnet, "dynamic"),
    "i_dynamic_dwnet_tiny": partial(dwnet, "inhomogeneous", [3, 6, 12, 24]), "rednet50": rednet50, "pvt_small": pvt_small,
    "sasa_resnet26": partial(sasa26, "paper"), "sasa_resnet26_published": partial(sasa26, "published"),
}

parser = argparse.ArgumentParser()
parser.add_argument("network", choices=NETWORKS)
parser.add_argument("batch", type=int)
parser.add_argument("n", type=int)
parser.add_argument("--repeats", type=int, default=3)
options = parser.parse_args()

torch.manual_seed(0)
network, data = NETWORKS[options.network]().eval(), images(options.n)
block = re.compile(r"(layers\.\d+\.blocks|(backbone\.)?layer\d|block\d)\.\d+")
names = [name for name, _ in network.named_modules() if block.fullmatch(name)]
report_forward(network, data, names, options.batch, options.repeats)
