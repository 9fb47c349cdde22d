"""A small graph as PyTorch before 2.9 saved it: its weights one file of `torch.save` within the archive.

Writes `graph-early.pt2`, as `torch.export.save` does but without example inputs, stack traces and the space between members, and `graph-early.safetensors`
as `graphs.py` does. Until 2.7 the graph is called `serialized_exported_program.json`; 2.8 has the layout of today, with
`data/weights/model.pt`. With --core the same module after `run_decompositions()`: `graph-core.*`.

    python early_archive.py         # needs torch 2.6 to 2.8 and safetensors
    python early_archive.py --core  # by the torch of the other graphs
    python early_archive.py --pooling  # the same: `graph-pooling.*`
"""

import io
import json
import sys
import zipfile

import torch
from fixture import OUT, filled
from safetensors.torch import save_file
from torch import nn


class Early(nn.Module):
    """A stem, attention over its places, and a head that shares a weight with it."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 4, stride=4, bias=False), nn.BatchNorm2d(8), nn.GELU())
        self.norm = nn.LayerNorm(8)
        self.attn = nn.MultiheadAttention(8, 2, batch_first=True)
        self.first = nn.Linear(8, 8)
        self.second = nn.Linear(8, 8)
        self.second.weight = self.first.weight
        self.head = nn.Linear(8, 5)
        self.register_buffer("shift", torch.zeros(1, 4, 1))

    def forward(self, x):
        x = self.stem(x).flatten(2).transpose(1, 2)
        y = self.norm(x)
        x = x + self.attn(y, y, y, need_weights=False)[0] * torch.tensor([0.5])
        x = x + self.second(torch.relu(self.first(x))) + self.shift
        return self.head(x.mean(1))


class Pooling(nn.Module):
    """A query of its own looks at all places, as SigLIP's head does."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, stride=4)
        self.probe = nn.Parameter(torch.zeros(1, 1, 8))
        self.attn = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = self.stem(x).flatten(2).transpose(1, 2)
        return self.head(self.attn(self.probe.repeat(x.shape[0], 1, 1), x, x)[0][:, 0])


def slim(data):
    """The archive without what is not read."""
    source, result = zipfile.ZipFile(io.BytesIO(data)), io.BytesIO()
    with zipfile.ZipFile(result, "w") as target:
        for name in source.namelist():
            if "example_inputs" in name or "sample_inputs" in name:
                continue
            content, way = source.read(name), zipfile.ZIP_STORED
            if name.endswith("program.json") or name.endswith("models/model.json"):
                document = json.loads(content)
                for node in document["graph_module"]["graph"]["nodes"]:
                    node["metadata"] = {key: value for key, value in node["metadata"].items() if key == "nn_module_stack"}
                content, way = json.dumps(document, separators=(",", ":")).encode(), zipfile.ZIP_DEFLATED
            target.writestr(zipfile.ZipInfo(name), content, way)
    return result.getvalue()


if __name__ == "__main__":
    is_core = "--core" in sys.argv
    is_pooling = "--pooling" in sys.argv
    out = "graph-core" if is_core else "graph-pooling" if is_pooling else "graph-early"
    model = (Pooling() if is_pooling else Early()).eval()
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if tensor.is_floating_point():
                tensor.copy_(filled(name, list(tensor.shape)))
    x = filled("input", [2, 3, 8, 8], signed=True).float()
    file = io.BytesIO()
    program = torch.export.export(model, (x[:1],))
    torch.export.save(program.run_decompositions() if is_core else program, file)
    (OUT / f"{out}.pt2").write_bytes(slim(file.getvalue()))
    taps, golden = {}, {}
    for name, module in model.named_modules():
        if name:
            def keep(_, __, y, name=name):
                if isinstance(y, torch.Tensor):
                    taps[name], golden["tap/" + name] = list(y.shape), y.detach().clone()
            module.register_forward_hook(keep)
    with torch.no_grad():
        golden["logits"] = model(x)
    save_file(
        golden, OUT / f"{out}.safetensors",
        {"family": "graph", "input_shape": json.dumps([2, 3, 8, 8]), "taps": json.dumps(taps), "versions": f"torch {torch.__version__}"})
    print(len(taps), "modules")
