"""Writes features of a ViT and a ResNet (feature_maps.f32) and their spectra and variances
(feature_maps.txt), evaluated by the recipe of the notebooks of Park and Kim (xxxnell/how-do-vits-work)
in Float64: two-dimensional transform, log(|F| + 1e-6), mean, roll, diagonal.

Made with Python 3.11, NumPy 2.4.6, torch 2.15.0, timm 1.0.31 and the photographs of scikit-image. The models
have random weights of a fixed seed; the first 32 channels are kept.

feature_maps.txt: a line `tap NAME images height width channels prefix` for each tap in the order of the
Float32 file ([image, token, channel], [image, height, width, channel]), then lines `QUANTITY values...`.
"""

from pathlib import Path

import numpy as np
import skimage.data
import timm
import torch

CHANNELS = 32
here = Path(__file__).parent


def photographs(size):
    images = [
        skimage.data.astronaut(), skimage.data.chelsea()[:, 75:375], skimage.data.coffee()[:, 100:500]
    ]
    resized = [
        torch.nn.functional.interpolate(
            torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255, size, mode="bilinear", antialias=True)
        for image in images
    ]
    return (torch.cat(resized) - 0.5) / 0.25


def features():
    torch.manual_seed(0)
    vit = timm.create_model("vit_tiny_patch16_224", img_size=128, depth=4).eval()
    resnet = timm.create_model("resnet18").eval()
    taps = []
    with torch.no_grad():
        tokens = vit.forward_intermediates(photographs(128), indices=[0, 3], output_fmt="NLC", return_prefix_tokens=True,
                                           intermediates_only=True)
        for name, (patches, prefix) in zip(["vit.0", "vit.3"], tokens):
            value = torch.cat([prefix, patches], 1)[..., :CHANNELS].numpy()
            taps.append((name, value, value[:, 1:].reshape(3, 8, 8, CHANNELS), 1))
        maps = resnet.forward_intermediates(photographs(112), indices=[2, 4], intermediates_only=True)
        for name, value in zip(["resnet.2", "resnet.4"], maps):
            value = value.permute(0, 2, 3, 1)[..., :CHANNELS].contiguous().numpy()
            taps.append((name, value, value, 0))
    return taps


def relative(curve):
    return [value - curve[0] for value in curve]


def quantities(maps):
    x = maps.astype(np.float64).transpose(0, 3, 1, 2)
    images, channels, h, w = x.shape
    f = np.fft.fft2(x)
    logs = np.log(np.abs(f) + 1e-6)

    def centre_diagonal(plane):
        rolled = np.roll(plane, (h // 2, w // 2), axis=(-2, -1))
        return np.diagonal(rolled, axis1=-2, axis2=-1)[..., h // 2:]

    yield "diag", relative(centre_diagonal(logs.mean((0, 1))))
    each = centre_diagonal(logs.mean(1))
    yield "diag_se", (each - each[:, :1]).std(0, ddof=1) / images**0.5
    count = (h + 1) // 2
    yield "axis", relative([(logs[..., k, 0].mean() + logs[..., 0, k].mean()) / 2 for k in range(count)])
    ky, kx = np.meshgrid(np.fft.fftfreq(h) * h, np.fft.fftfreq(w) * w, indexing="ij")
    radius = np.round(np.hypot(ky, kx))
    yield "radial", relative([logs[..., radius == b].mean() for b in range(h // 2 + 1)])
    power = centre_diagonal((np.abs(f) ** 2).mean((0, 1)))
    yield "power", relative(0.5 * np.log(power))
    variance = x.reshape(images, channels, -1).var(-1, ddof=1).mean(1)
    yield "spatial", [variance.mean(), variance.std(ddof=1) / images**0.5]
    yield "normalised", [variance.mean() / (x**2).mean()]
    yield "sample", [x.var(0, ddof=1).mean()]


lines = []
with open(here / "feature_maps.f32", "wb") as out:
    for name, value, maps, prefix in features():
        images, h, w, channels = maps.shape
        out.write(np.ascontiguousarray(value).astype("<f4").tobytes())
        lines.append(f"tap {name} {images} {h} {w} {channels} {prefix}")
        for quantity, values in quantities(maps):
            lines.append(" ".join([quantity] + [repr(float(v)) for v in values]))
(here / "feature_maps.txt").write_text("\n".join(lines) + "\n")
