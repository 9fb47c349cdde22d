"""Fixtures of the bundled checkpoints: logits of the first four bundled images, in float64.

    python bundled.py

`bundled-input` holds those four images as the networks take them; `bundled-NAME` the logits, the accuracy on
all bundled images and their mean cross-entropy.
"""

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).resolve().parents[4] / "notebooks-data"
OUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "make"))

from data import load, prepare
from networks import NETWORKS

images, labels = load(ROOT / "images", "fmnist-test-1024")
x, y = prepare(images), torch.tensor(labels.tolist())
save_file({"input": x[:4].contiguous()}, str(OUT / "bundled-input.safetensors"), {"labels": str(y[:4].tolist())})
for name, (network, architecture) in NETWORKS.items():
    file = ROOT / "checkpoints" / f"{name}_fmnist.safetensors"
    if not file.exists():
        print(f"{name}: no checkpoint")
        continue
    model = network()
    model.load_state_dict(load_file(str(file)))
    model.double().eval()
    with torch.no_grad():
        logits = torch.cat([model(b.double()) for b in x.split(128)])
    right = (logits.argmax(1) == y).sum().item()
    loss = F.cross_entropy(logits, y).item()
    with safe_open(str(file), "pt") as f:
        stored = f.metadata()
    assert stored["architecture"] == architecture and abs(float(stored["test_accuracy_first_1024"]) - right / 1024) < 2e-3
    save_file({"tap/logits": logits[:4].float().contiguous()}, str(OUT / f"bundled-{name}.safetensors"),
              {"architecture": architecture, "correct_of_1024": str(right), "loss_of_1024": repr(loss),
               "versions": f"torch {torch.__version__}"})
    print(f"{name}: {right} of 1024, loss {loss:.4f}, {file.stat().st_size} bytes")
