"""The recipe of the how-do-vits-work notebook on the features of a timm model: fft2, log amplitude, mean,
half of the shifted diagonal, for every latent. The forward pass is not timed."""

import argparse
import copy
import math

from common import images, model, report, timed, torch

nn = torch.nn
parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("batch", type=int)
parser.add_argument("n", type=int)
parser.add_argument("--repeats", type=int, default=3)
options = parser.parse_args()
network = model(options.model)


class Embedding(nn.Module):
    def __init__(self, whole):
        super().__init__()
        self.whole = copy.deepcopy(whole)

    def forward(self, x):
        x = self.whole.patch_embed(x)
        token = self.whole.cls_token.expand(x.shape[0], -1, -1)
        return self.whole.pos_drop(torch.cat((token, x), 1) + self.whole.pos_embed)


class Residual(nn.Module):
    def __init__(self, *parts):
        super().__init__()
        self.parts = nn.Sequential(*parts)

    def forward(self, x):
        return self.parts(x) + x


is_transformer = options.model.startswith("vit")
if is_transformer:
    steps = [Embedding(network)]
    for block in network.blocks:
        steps += [Residual(block.norm1, block.attn), Residual(block.norm2, block.mlp)]
else:
    stem = nn.Sequential(network.conv1, network.bn1, network.act1, network.maxpool)
    steps = [stem, *network.layer1, *network.layer2, *network.layer3, *network.layer4]


def latents(x):
    result = []
    for step in steps:
        x = step(x)
        result.append(x[:, 1:] if is_transformer else x)
    return result


def spectrum(latent):
    if latent.dim() == 3:
        b, n, c = latent.shape
        side = math.isqrt(n)
        latent = latent.permute(0, 2, 1).reshape(b, c, side, side)
    half = latent.shape[2] // 2
    amplitude = (torch.fft.fft2(latent).abs() + 1e-6).log()
    shifted = torch.roll(amplitude, shifts=(half, latent.shape[3] // 2), dims=(2, 3))
    line = shifted.mean(dim=(0, 1)).diag()[half:]
    return line - line[0]


with torch.no_grad():
    data = images(options.n)
    batches = [latents(data[first:first + options.batch])
               for first in range(0, options.n, options.batch)]
    seconds = timed(lambda: [[spectrum(x) for x in batch] for batch in batches], options.repeats)
report(seconds, latents=len(steps))
