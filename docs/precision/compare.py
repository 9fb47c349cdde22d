"""What products in bfloat16 do to results: the tables of `run` in float32 and in bf16, side by side.

    python compare.py VITPROBE [WHEELS] [--compute bf16]

The bundled checkpoints on all bundled images; with WHEELS, the folder of docs/graphs/trained.py, also the trained
networks there on photographs (needs torch, timm, torchvision, pillow). Prints a Markdown table: the largest and the median
difference over all rows of a table, and the largest in standard errors of the float32 run where it has some.
"""

import argparse
import csv
import math
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

BUNDLED = ("demo:vit", "demo:refiner", "demo:alternet", "demo:resnet")
# Table, column, what it is, what identifies an error bar, whether differences are relative.
QUANTITIES = (
    ("cka", "cka", "CKA of pairs of layers", None, False),
    ("fourier", "delta_log_amp", "relative log-amplitude", "delta_se", False),
    ("variance", "value", "feature-map variance, relative", "se", True),
    ("attention", "value", "attention statistics, relative", "se", True),
)


def rows(path):
    with open(path) as file:
        return list(csv.DictReader(file))


def number(text):
    return float(text) if text else math.nan


def measure(program, subject, more, compute, folder):
    command = [program, "run", subject, *more, "--analyses", "cka,fourier,variance,attention", "--compute", compute, "-q",
               "-o", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        # Of a network without attention.
        command[command.index("--analyses") + 1] = "cka,fourier,variance"
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


def compare(name, exact, coarse):
    for table, column, title, error, relative in QUANTITIES:
        if not (exact / f"{table}.csv").exists():
            continue
        differences, errors = [], []
        for a, b in zip(rows(exact / f"{table}.csv"), rows(coarse / f"{table}.csv"), strict=True):
            x, y = number(a[column]), number(b[column])
            if math.isnan(x) or math.isnan(y):
                continue
            difference = abs(x - y)
            if error and number(a[error]) > 0:
                errors.append(difference / number(a[error]))
            differences.append(difference / abs(x) if relative and x else difference)
        if not differences:
            continue
        most = f"{max(errors):.2f}" if errors else "–"
        print(f"| `{name}` | {title} | {len(differences)} | {max(differences):.1e} | {statistics.median(differences):.1e} | {most} |")
    first, second = (rows(folder / "metrics.csv")[0] if (folder / "metrics.csv").exists() else None for folder in (exact, coarse))
    if first and first["acc"]:
        print(f"| `{name}` | accuracy, NLL: {float(first['acc']):.4f}, {float(first['nll']):.4f} | {first['n']} | "
              f"{abs(float(first['acc']) - float(second['acc'])):.1e}, {abs(float(first['nll']) - float(second['nll'])):.1e} | – | – |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("wheels", nargs="?")
    parser.add_argument("--compute", default="bf16")
    options = parser.parse_args()
    print("| network | quantity | rows | largest difference | median | largest, in standard errors |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        cases = [(name, name, ["--limit", "1024"]) for name in BUNDLED]
        if options.wheels:
            sys.path.append(str(Path(__file__).parent.parent / "graphs"))
            import torch
            import trained

            images = scratch / "photographs"
            images.mkdir()
            trained.photographs(options.wheels, images)
            for name, make in (("tf_efficientnet_lite0", trained.efficientnet), ("mobilenet_v2", trained.mobilenet)):
                with torch.no_grad():
                    export = torch.export.export(make(options.wheels).eval(), (torch.zeros(1, 3, 224, 224),))
                torch.export.save(export, scratch / f"{name}.pt2")
                mean, std = trained.MEAN_STD[name]
                cases.append((name, f"m={scratch / name}.pt2", [
                    "--data", str(images), "--mean", ",".join(map(str, mean)), "--std", ",".join(map(str, std)),
                    "--crop-pct", "1", "--batch-size", "12", "--bootstrap", "0"]))
        for number_, (name, subject, more) in enumerate(cases):
            exact, coarse = (measure(options.program, subject, more, compute, scratch / f"{number_}-{compute}")
                             for compute in ("float32", options.compute))
            compare(name, exact, coarse)


if __name__ == "__main__":
    main()
