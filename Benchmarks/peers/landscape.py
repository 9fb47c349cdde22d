"""Loss and accuracy over a plane of weights of a ResNet-18 at 32 pixels (timm), as one would write it with care: directions
scaled filter by filter once, weights moved in place by one fused call a place, images in channels-last memory.
"""

import argparse

import torch.nn.functional as F

from common import images, report, timed, timm, torch

parser = argparse.ArgumentParser()
parser.add_argument("grid", type=int)
parser.add_argument("n", type=int)
parser.add_argument("batch", type=int)
parser.add_argument("--repeats", type=int, default=1)
options = parser.parse_args()

torch.manual_seed(0)
network = timm.create_model("resnet18", pretrained=False, num_classes=100)
network.conv1 = torch.nn.Conv2d(3, 64, 3, padding=1, bias=False)
network.maxpool = torch.nn.Identity()
network = network.eval().to(memory_format=torch.channels_last)
data = images(options.n, 32).contiguous(memory_format=torch.channels_last)
labels = torch.arange(options.n) % 10
moving = [p for p in network.parameters() if p.dim() > 1]
own = [p.detach().clone() for p in moving]


def direction():
    parts = [torch.randn_like(p) for p in own]
    for part, weight in zip(parts, own):
        axes = tuple(range(1, weight.dim()))
        part.mul_(torch.linalg.vector_norm(weight, dim=axes, keepdim=True)
                  / (torch.linalg.vector_norm(part, dim=axes, keepdim=True) + 1e-10))
    return parts


def run():
    first, second = direction(), direction()
    places = torch.linspace(-1, 1, options.grid).tolist()
    surface = []
    for y in places:
        for x in places:
            torch._foreach_copy_(moving, own)
            torch._foreach_add_(moving, first, alpha=x)
            torch._foreach_add_(moving, second, alpha=y)
            loss, hits = 0.0, 0
            for start in range(0, options.n, options.batch):
                scores = network(data[start:start + options.batch])
                target = labels[start:start + options.batch]
                loss += F.cross_entropy(scores, target, reduction="sum").item()
                hits += (scores.argmax(1) == target).sum().item()
            surface.append((x, y, loss / options.n, hits / options.n))
    return surface


with torch.no_grad():
    report(timed(run, options.repeats, warm=0), places=options.grid ** 2)
