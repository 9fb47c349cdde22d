"""One case: a folder of small input files, and `case.json` with the arguments and what is right."""
import json, os
import numpy as np, torch

ROOT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "cases")
ALL = []


class Case:
    """`values`: what the first tensor of features.safetensors is; `says`: words of the refusal, with its `code`.

    `notes` are words that stderr and run.json hold; `cells` are pieces of text of files of the output.
    """

    def __init__(self, kind, name, thread, arguments, values=None, says=None, code=65, notes=(), cells=None):
        self.folder = os.path.join(ROOT, kind, name)
        os.makedirs(self.folder, exist_ok=True)
        self.record = {"thread": thread, "arguments": list(arguments)}
        if values is not None:
            values = np.asarray(values, dtype=np.float32)
            self.record["shape"] = list(values.shape)
            self.record["values"] = [float("%.7g" % v) for v in values.reshape(-1)]
        if says is not None:
            self.record["code"] = code
            self.record["says"] = list(says)
        if notes:
            self.record["notes"] = list(notes)
        if cells:
            self.record["cells"] = cells
        ALL.append(f"{kind}/{name}")

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        with open(self.path("case.json"), "w") as f:
            json.dump(self.record, f, indent=1, ensure_ascii=False)
            f.write("\n")

    def path(self, name):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def array(self, x, name="x.npy"):
        np.save(self.path(name), x.detach().numpy() if torch.is_tensor(x) else x)

    def text(self, text, name):
        with open(self.path(name), "w") as f:
            f.write(text)

    def json(self, value, name):
        self.text(json.dumps(value, indent=1) + "\n", name)

    def bytes(self, data, name):
        with open(self.path(name), "wb") as f:
            f.write(bytes(data))

    def torch(self, value, name="m.pth", **options):
        torch.save(value, self.path(name), **options)


def capture(subject, data="x.npy", layer="logits", *more):
    return ["capture", subject, "--data", data, "--layers", layer, *more]
