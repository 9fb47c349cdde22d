"""Trains one bundled network on Fashion-MNIST with one thread and writes it as safetensors.

    python train.py vit|resnet|alternet|refiner --data /usr/share/datasets/fashion-mnist --out ../checkpoints
"""

import argparse
import json
import math
import platform
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from data import MEAN, STD, augment, load, prepare
from networks import NETWORKS


@dataclass
class Recipe:
    images: int  # seen during training
    rate: float  # peak of the schedule
    shift: int  # pixels of the augmentation
    bfloat16: bool = True  # on one core it pays for convolutions only; evaluation is float32
    muon: bool = False  # orthogonalised steps for the matrices of the blocks (fewer images needed)
    dropped: float = 0  # part of the training that looks at half of the patches (PatchDropout)


RECIPES = {
    "vit": Recipe(300_000, 3e-3, 0, bfloat16=False, muon=True, dropped=0.75),
    "resnet": Recipe(180_000, 5e-3, 2),
    "alternet": Recipe(150_000, 3e-3, 1),
    "refiner": Recipe(160_000, 2e-3, 0, muon=True),
}
DECAY = 0.05
BATCH = 64


@torch.no_grad()
def correct(model, images, labels):
    model.eval()
    hits = [model(prepare(images[i : i + 500])).argmax(1).numpy() == labels[i : i + 500]
            for i in range(0, len(images), 500)]
    return np.concatenate(hits)


def describe(name, model, recipe, seen, seed, test, bundled):
    """What the file says about itself. A crop larger than the image pads it with 0, here to 32 x 32."""
    preprocessing = {"input_size": [3, 32, 32], "crop_pct": 1.14, "interpolation": "bilinear", "mean": [MEAN] * 3,
                     "std": [STD] * 3}
    training = (f"{seen} images seen, batch {BATCH}, {'Muon and AdamW' if recipe.muon else 'AdamW'}, peak rate {recipe.rate}, "
                f"decay {DECAY}, warm-up and cosine, mirror and shift of {recipe.shift}")
    if recipe.dropped:
        training += f", half of the patches for {recipe.dropped:.0%} of the training"
    return {
        "architecture": NETWORKS[name][1],
        "preprocessing": json.dumps(preprocessing),
        "dataset": "Fashion-MNIST",
        "classes": json.dumps(["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
                               "Ankle boot"]),
        "parameters": str(sum(p.numel() for p in model.parameters())),
        "test_accuracy": f"{test:.4f}",
        "test_accuracy_first_1024": f"{bundled:.4f}",
        "training": training,
        "seed": str(seed),
        "versions": f"torch {torch.__version__}, numpy {np.__version__}, python {platform.python_version()}",
        "licence": "CC0-1.0; trained on Fashion-MNIST, MIT, Zalando SE",
        "format": "pt",
    }


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
    network, _ = NETWORKS[args.name]
    recipe = RECIPES[args.name]
    seen = args.images or recipe.images
    model = network()
    if recipe.bfloat16:
        part = model.patch_embed if args.name == "refiner" else model
        part.to(memory_format=torch.channels_last)

    images, labels = load(args.data, "train")
    steps = seen // BATCH
    hidden = [p for n, p in model.named_parameters() if recipe.muon and n.startswith("blocks.") and p.ndim == 2]
    chosen = {id(p) for p in hidden}
    matrices = [p for p in model.parameters() if p.ndim > 1 and id(p) not in chosen]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    optimisers = [torch.optim.AdamW(
        [{"params": matrices, "weight_decay": DECAY}, {"params": vectors, "weight_decay": 0}],
        lr=recipe.rate, betas=(0.9, 0.98),
    )]
    if hidden:
        optimisers.append(torch.optim.Muon(hidden, lr=recipe.rate, weight_decay=DECAY, adjust_lr_fn="match_rms_adamw"))
    warm = steps // 10
    schedules = [torch.optim.lr_scheduler.LambdaLR(
        o,
        lambda s: (s + 1) / warm if s < warm
        else 0.5 * (1 + math.cos(math.pi * (s - warm) / (steps - warm))) + 1e-3,
    ) for o in optimisers]
    order = np.concatenate([rng.permutation(len(images)) for _ in range(-(-seen // len(images)))])
    start = time.time()
    model.train()
    running = 0.0
    for step in range(steps):
        pick = order[step * BATCH : (step + 1) * BATCH]
        x = prepare(augment(images[pick], rng, recipe.shift))
        if recipe.bfloat16:
            x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
            if step < recipe.dropped * steps:
                patches = model.pos_embed.shape[1] - 1
                logits = model(x, torch.from_numpy(rng.permutation(patches)[: patches // 2]))
            else:
                logits = model(x)
        loss = F.cross_entropy(logits.float(), torch.from_numpy(labels[pick].astype(np.int64)))
        model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for o, schedule in zip(optimisers, schedules):
            o.step()
            schedule.step()
        running += 0.02 * (loss.item() - running) if step else loss.item()
        if step % 100 == 0:
            print(f"{args.name} {step}/{steps} loss {running:.4f} {time.time() - start:.0f} s", flush=True)
    seconds = time.time() - start

    hits = correct(model, *load(args.data, "t10k"))
    test, bundled = hits.mean(), hits[:1024].mean()
    print(f"{args.name}: test {test:.4f}, first 1024 {bundled:.4f}, {seconds:.0f} s")
    metadata = describe(args.name, model, recipe, seen, args.seed, test, bundled)
    tensors = {k: v.contiguous() for k, v in model.state_dict().items()}
    Path(args.out).mkdir(parents=True, exist_ok=True)
    save_file(tensors, str(Path(args.out) / f"{args.name}_fmnist.safetensors"), metadata)


if __name__ == "__main__":
    main()
