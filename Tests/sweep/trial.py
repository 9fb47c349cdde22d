"""One trial: a network with random weights as files, what PyTorch makes of an array of images, and what vitprobe does."""
import dataclasses, json, os, re, shutil, subprocess
import numpy as np, torch
from safetensors.numpy import load_file
from safetensors.torch import save_file

RIGHT = "right"
ASSUMED = "assumed, printed"
REFUSED = "refused by name"
NAMELESS = "refused without a name"
WRONG = "WRONG"
OUTCOMES = [RIGHT, ASSUMED, REFUSED, NAMELESS, WRONG]


@dataclasses.dataclass
class Result:
    name: str
    form: str  # "folder" or "bare"
    outcome: str
    error: float | None
    said: str


def randomise(model, seed):
    """Every parameter and running statistic drawn so that each of them moves the output."""
    g = torch.Generator().manual_seed(seed)
    draw = lambda t: torch.randn(t.shape, generator=g)
    with torch.no_grad():
        for name, p in model.named_parameters():
            last = name.split(".")[-1]
            if p.ndim >= 2 and min(p.shape[:2]) > 1 and "pos" not in name:
                p.copy_(draw(p) * (1.5 if p.ndim == 4 else 2.5) / p[0].numel() ** 0.5)
            elif p.ndim >= 2:
                p.copy_(draw(p) * 0.5)
            elif "bias" in last:
                p.copy_(draw(p) * 0.2)
            else:
                p.copy_(1 + 0.3 * draw(p))
        for name, b in model.named_buffers():
            if name.endswith("running_mean"):
                b.copy_(draw(b) * 0.2)
            elif name.endswith("running_var"):
                b.copy_(0.5 + torch.rand(b.shape, generator=g))
    return model.eval()


def images(size, seed=1):
    g = torch.Generator().manual_seed(seed)
    height, width = size if isinstance(size, (tuple, list)) else (size, size)
    return torch.randn((2, 3, height, width), generator=g)


def write_tensors(model, path):
    tensors = {k: v.detach().clone().contiguous() for k, v in model.state_dict().items()}
    save_file(tensors, path, metadata={"format": "pt"})


def distance(features, expected, layer, pick):
    """The largest difference by the largest magnitude; infinite for other shapes."""
    if layer not in features:
        return None
    found = pick(features[layer])
    if found.shape != expected.shape:
        return float("inf")
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def run(program, subject, x, expected, name, form, words, folder, size=None, layer="logits",
        pick=lambda a: a):
    """Runs the program on `subject` in `folder`; `words` are names, any of which makes a refusal one by name."""
    np.save(f"{folder}/x.npy", x.numpy())
    out = f"{folder}/out"
    shutil.rmtree(out, ignore_errors=True)
    command = [program, "capture", subject, "--data", "x.npy", "--layers", layer, "-o", "out",
               "--no-progress", "--threads", "1"]
    if size:
        command += ["--image-size", str(size)]
    try:
        p = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120,
                           env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "NO_COLOR": "1"})
    except subprocess.TimeoutExpired:
        return Result(name, form, WRONG, None, "did not end in 120 s")
    said = " / ".join(l.strip() for l in (p.stderr + p.stdout).splitlines() if l.strip())
    if p.returncode in (64, 65):
        named = 'tensor "' in said or "heads=" in said or any(w and re.search(r"(?<![A-Za-z0-9])" + re.escape(w) + r"(?![A-Za-z0-9])", said)
                    for w in words)
        return Result(name, form, REFUSED if named else NAMELESS, None, said)
    if p.returncode != 0:
        return Result(name, form, WRONG, None, f"exit code {p.returncode}: {said}")
    features = load_file(f"{out}/features.safetensors")
    error = distance(features, expected, layer, pick)
    if error is not None and error < 1e-4:
        return Result(name, form, RIGHT, error, said)
    record = open(f"{out}/run.json").read() if os.path.exists(f"{out}/run.json") else ""
    printed = re.search(r"assum", p.stderr) and re.search(r"assum", record)
    outcome = ASSUMED if form == "bare" and printed else WRONG
    return Result(name, form, outcome, error, said)
