"""Forward passes of Refiner as published, with a hook that keeps the output of every block.

REFINER_VIT names a checkout of zhoudaquan/Refiner_ViT.
"""

import argparse
import os
import sys
import types

from common import images, report_forward, torch

# Its download helper wants this module and is not needed.
sys.modules.setdefault("requests", types.ModuleType("requests"))
sys.path.append(os.environ["REFINER_VIT"])
from models.refined_transformer import Refiner_ViT_S

parser = argparse.ArgumentParser()
parser.add_argument("batch", type=int)
parser.add_argument("n", type=int)
parser.add_argument("--repeats", type=int, default=3)
options = parser.parse_args()

torch.manual_seed(0)
network, data = Refiner_ViT_S().eval(), images(options.n)
names = [f"blocks.{index}" for index in range(len(network.blocks))]
report_forward(network, data, names, options.batch, options.repeats)
