"""Trains one bundled network on Fashion-MNIST with one thread and writes it as safetensors.

    python train.py vit|resnet|alternet|refiner --data /usr/share/datasets/fashion-mnist --out ../checkpoints
"""

import argparse
import json
import math
import platform
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from data import MEAN, STD, augment, load, prepare
from networks import NETWORKS

# images seen, peak learning rate, weight decay, largest shift of the augmentation
RECIPES = {
    "vit": (180_000, 1.5e-3, 0.05, 0),
    "resnet": (180_000, 5e-3, 0.05, 2),
    "alternet": (150_000, 3e-3, 0.05, 1),
    "refiner": (100_000, 1.5e-3, 0.05, 0),
}
BATCH = 64


@torch.no_grad()
def correct(model, images, labels):
    model.eval()
    hits = [model(prepare(images[i : i + 500])).argmax(1).numpy() == labels[i : i + 500]
            for i in range(0, len(images), 500)]
    return np.concatenate(hits)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=NETWORKS)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--images", type=int, help="images seen, instead of the recipe's")
    args = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    network, architecture = NETWORKS[args.name]
    seen, peak, decay, shift = RECIPES[args.name]
    seen = args.images or seen
    model = network()
    # The fastest arithmetic on one core: bfloat16 pays for convolutions only. Evaluation is float32.
    convolutional = args.name != "vit"
    if convolutional:
        part = model.patch_embed if args.name == "refiner" else model
        part.to(memory_format=torch.channels_last)

    images, labels = load(args.data, "train")
    steps = seen // BATCH
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0}],
        lr=peak, betas=(0.9, 0.98),
    )
    warm = steps // 10
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda s: (s + 1) / warm if s < warm
        else 0.5 * (1 + math.cos(math.pi * (s - warm) / (steps - warm))) + 1e-3,
    )
    order = np.concatenate([rng.permutation(len(images)) for _ in range(-(-seen // len(images)))])
    start = time.time()
    model.train()
    running = 0.0
    for step in range(steps):
        pick = order[step * BATCH : (step + 1) * BATCH]
        x = prepare(augment(images[pick], rng, shift))
        if convolutional:
            x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=convolutional):
            logits = model(x)
        loss = F.cross_entropy(logits.float(), torch.from_numpy(labels[pick].astype(np.int64)))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        running += 0.02 * (loss.item() - running) if step else loss.item()
        if step % 100 == 0:
            print(f"{args.name} {step}/{steps} loss {running:.4f} {time.time() - start:.0f} s", flush=True)
    seconds = time.time() - start

    hits = correct(model, *load(args.data, "t10k"))
    test, bundled = hits.mean(), hits[:1024].mean()
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{args.name}: {parameters} parameters, test {test:.4f}, first 1024 {bundled:.4f}, {seconds:.0f} s")
    metadata = {
        "architecture": architecture,
        "dataset": "Fashion-MNIST",
        "preprocessing": "28x28 padded with 0 to 32x32, /255, (x-mean)/std, repeated over 3 channels",
        "mean": json.dumps([MEAN] * 3),
        "std": json.dumps([STD] * 3),
        "classes": json.dumps(["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal",
                               "Shirt", "Sneaker", "Bag", "Ankle boot"]),
        "parameters": str(parameters),
        "test_accuracy": f"{test:.4f}",
        "test_accuracy_first_1024": f"{bundled:.4f}",
        "training": f"AdamW, peak rate {peak}, decay {decay}, batch {BATCH}, {seen} images seen, mirror and "
                    f"shift of {shift}, warm-up and cosine",
        "seed": str(args.seed),
        "versions": f"torch {torch.__version__}, numpy {np.__version__}, python {platform.python_version()}",
        "licence": "CC0-1.0 (weights); Fashion-MNIST is MIT, Zalando SE",
        "format": "pt",
    }
    tensors = {k: v.contiguous() for k, v in model.state_dict().items()}
    Path(args.out).mkdir(parents=True, exist_ok=True)
    save_file(tensors, str(Path(args.out) / f"{args.name}_fmnist.safetensors"), metadata)


main()
