"""What every fixture script shares: the deterministic fill, recording of values, and the file layout.

Fill. hash = FNV-1a 64 of the UTF-8 key. Element i = 1... (row-major) takes the SplitMix64 output of
z = hash + i * 0x9E3779B97F4A7C15; u = (z >> 40) / 2^24. Value, by state_dict key and rank r:
`*running_var` 0.5 + u; r = 1 and `*weight` 0.5 + u; other r <= 1 0.2 (2u - 1); r >= 2
(2u - 1) / sqrt(numel / shape[0]). Input: the key `input`, 2u - 1. Integer buffers keep their values.

A file holds, in float32 from a float64 evaluation in evaluation mode:
  tap/NAME      a whole value: tokens (B,N,C), maps (B,C,H,W), attention (B,h,N,N)
  stats/NAME    float64 [largest magnitude, mean, sum of squares] of a value too large to store, and
  sample/NAME   its elements z_k mod numel, k = 1...256, z the SplitMix64 outputs of the key `sample/NAME`
  gradient/KEY  d loss / d parameter
  hessian/KEY   (H v) of the parameter, v filled by the rule above for the keys `v/KEY`
Metadata (all strings): family, dialect, config (JSON), keys (JSON [[name, shape], ...] in the order of the
state dict, floating-point tensors only), integers (JSON, the same for integer buffers), input_key,
input_shape (JSON), versions. With gradients: labels (JSON), loss (repr of a float64).
"""

import json
import platform
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

MASK = (1 << 64) - 1
OUT = Path(__file__).resolve().parent.parent
LIMIT = 2_500  # elements; a larger value is stored as statistics and samples


def splitmix(key, count):
    h = 0xCBF29CE484222325
    for byte in key.encode():
        h = ((h ^ byte) * 0x100000001B3) & MASK
    with np.errstate(over="ignore"):
        z = np.uint64(h) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z ^= z >> np.uint64(30)
        z *= np.uint64(0xBF58476D1CE4E5B9)
        z ^= z >> np.uint64(27)
        z *= np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return z


def uniform(key, count):
    return (splitmix(key, count) >> np.uint64(40)).astype(np.float64) / 2**24


def filled(key, shape, signed=False):
    count = int(np.prod(shape)) if len(shape) else 1
    u = uniform(key, count)
    if signed:
        value = 2 * u - 1
    elif key.endswith("running_var") or (len(shape) == 1 and key.endswith("weight")):
        value = 0.5 + u
    elif len(shape) <= 1:
        value = 0.2 * (2 * u - 1)
    else:
        value = (2 * u - 1) / np.sqrt(count / shape[0])
    return torch.from_numpy(value.reshape(shape))


def same(name):
    return name


def fill(model, rename=same):
    """Fills `model` (made float64, evaluation mode); `rename` maps its keys to the file's spelling.

    A key renamed to None stays as it is and is left out of the list."""
    model.double().eval()
    state, keys, integers = model.state_dict(), [], []
    for key, value in state.items():
        name = rename(key)
        if name is None:
            continue
        if not value.is_floating_point():
            integers.append([name, list(value.shape)])
            continue
        state[key] = filled(name, tuple(value.shape))
        keys.append([name, list(value.shape)])
    model.load_state_dict(state)
    return keys, integers


def image(shape):
    return filled("input", tuple(shape), signed=True)


class Taps:
    """Values in the order they were recorded. Everything is cloned: activations may work in place."""

    def __init__(self):
        self.values = {}

    def put(self, name, value):
        self.values[name] = value.detach().clone()

    def output(self, module, name, convert=same):
        module.register_forward_hook(lambda m, i, o: self.put(name, convert(first(o))))

    def input(self, module, name, convert=same):
        module.register_forward_pre_hook(lambda m, i: self.put(name, convert(first(i))))

    def softmax(self, module, name, convert=same):
        """The last softmax taken within a module: a map that no module of its own gives."""
        places, found, kept = [(torch.nn.functional, "softmax"), (torch.Tensor, "softmax")], [], []

        def recording(function):
            def softmax(*arguments, **options):
                found.append(function(*arguments, **options))
                return found[-1]

            return softmax

        def before(m, i):
            kept[:] = [getattr(*place) for place in places]
            for place, function in zip(places, kept):
                setattr(*place, recording(function))

        def after(m, i, o):
            for place, function in zip(places, kept):
                setattr(*place, function)
            self.put(name, convert(found[-1]))

        module.register_forward_pre_hook(before)
        module.register_forward_hook(after)

    def pair(self, module, name, convert=same):
        """An attention module that returns (branch, map)."""

        def hook(m, i, o):
            self.put(f"{name}.attn_map", o[1])
            self.put(f"{name}.attn_branch", convert(o[0]))

        module.register_forward_hook(hook)


def first(value):
    return value[0] if isinstance(value, (tuple, list)) else value


def versions(*extra):
    import timm
    import torchvision
    import transformers

    parts = [f"python {platform.python_version()}", f"torch {torch.__version__}", f"timm {timm.__version__}",
             f"torchvision {torchvision.__version__}", f"transformers {transformers.__version__}"]
    return ", ".join(parts + list(extra))


HDV = "xxxnell/how-do-vits-work 9571ff1"
REFINER = "zhoudaquan/Refiner_ViT b3e8cb0"


def write(name, family, dialect, config, keys, shape, taps, extra=(), integers=(), tensors=None,
          metadata=None, limit=LIMIT):
    out = {}
    for tap, value in taps.values.items():
        assert torch.isfinite(value).all(), (name, tap)
        if value.numel() <= limit:
            out[f"tap/{tap}"] = value.float().contiguous()
        else:
            flat = value.reshape(-1)
            pick = (splitmix(f"sample/{tap}", 256) % np.uint64(flat.numel())).astype(np.int64)
            out[f"sample/{tap}"] = flat[torch.from_numpy(pick)].float().contiguous()
            out[f"stats/{tap}"] = torch.stack([flat.abs().max(), flat.mean(), flat.square().sum()]).double()
    out.update(tensors or {})
    text = {
        "family": family,
        "dialect": dialect,
        "config": json.dumps(config),
        "keys": json.dumps([list(k) for k in keys], separators=(",", ":")),
        "integers": json.dumps([list(k) for k in integers], separators=(",", ":")),
        "input_key": "input",
        "input_shape": json.dumps(list(shape)),
        "taps": json.dumps({t: list(v.shape) for t, v in taps.values.items()}, separators=(",", ":")),
        "versions": versions(*extra),
    }
    text.update(metadata or {})
    path = OUT / f"{name}.safetensors"
    save_file(out, str(path), text)
    print(f"{path.name}: {len(keys)} tensors, {len(taps.values)} taps, {path.stat().st_size} bytes", flush=True)


def expect(name, found, printed, tolerance=6e-9):
    """Compares with numbers published beside the definition; says so instead of stopping."""
    found = [float(x) for x in found]
    worst = max(abs(a - b) for a, b in zip(found, printed))
    print(f"  {'ok' if worst < tolerance else 'MISMATCH'} {name}: {worst:.1e}"
          + ("" if worst < tolerance else f" found {found} printed {printed}"), flush=True)


def use_checkout(path):
    """Makes the packages of a reference checkout importable; its download helper is not needed."""
    import sys
    import types

    sys.modules.setdefault("requests", types.ModuleType("requests"))
    sys.path.insert(0, path)
