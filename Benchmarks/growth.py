#!/usr/bin/env python3
"""How the cost of an analysis grows with images, with layers and with pairs of layers.

    python3 Benchmarks/growth.py
    python3 Benchmarks/growth.py --rounds 5 --docs docs/performance.md

Processor seconds, user and system, of the whole program on one thread, the least of some rounds: a busy
neighbour adds to them less than to the time on the clock. Needs nothing but Python's standard library.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
PROGRAM = os.path.join(ROOT, ".build", "release", "vitprobe")
DRIVER = os.path.join(ROOT, ".build", "release", "BenchmarkDriver")
IMAGES = os.path.join(ROOT, "notebooks-data", "images", "fmnist-test-1024-images-idx3-ubyte.gz")
ANALYSES = ("cka", "fourier", "variance")
START, END = "<!-- growth: begin -->", "<!-- growth: end -->"


def processor_seconds(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def analysis(name, scratch, subject, *words):
    return [PROGRAM, name, subject, *words, "--threads", "1", "-q", "--force", "-o", scratch,
            *(["--bootstrap", "0"] if name == "cka" else [])]


def images(name, scratch, count):
    return analysis(name, scratch, "demo:resnet", "--limit", str(count))


def blocks(name, scratch, depth):
    model = f"vit(image=32,patch=4,dim=64,depth={depth},heads=2,classes=10)@random"
    return analysis(name, scratch, model, "--data", IMAGES, "--limit", "512", "--image-size", "32")


def rows(rounds, scratch):
    """Per row its title, and for each analysis the least seconds at every size."""
    for title, command, sizes in (
            ("bundled ResNet, 256 / 512 / 1024 images", images, (256, 512, 1024)),
            ("ViT of width 64, 6 / 12 / 24 blocks, 512 images", blocks, (6, 12, 24))):
        least = {(name, size): float("inf") for name in ANALYSES for size in sizes}
        for _ in range(rounds):
            for name, size in least:
                seconds = processor_seconds(command(name, scratch, size))
                least[name, size] = min(least[name, size], seconds)
        yield title, [[least[name, size] for size in sizes] for name in ANALYSES]


def pairs(rounds):
    """Milliseconds of Gram matrices and all pairs of 12, 24 and 48 layers, the driver's median."""
    found = []
    for layers in (12, 24, 48):
        command = [DRIVER, "grams", f"layers={layers}", "n=64", "features=4096", "threads=1",
                   f"repeats={5 * rounds}"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
        found.append(1e3 * json.loads(done.stdout)["seconds"])
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--docs", metavar="FILE", help="replace the table in this Markdown file")
    parser.add_argument("--no-build", action="store_true")
    options = parser.parse_args()
    if not options.no_build:
        for product in ("vitprobe", "BenchmarkDriver"):
            subprocess.run(["swift", "build", "-c", "release", "--package-path", ROOT,
                            "--static-swift-stdlib", "--product", product], check=True)
    lines = ["| what grows | " + " | ".join(f"`{name}`" for name in ANALYSES) + " |",
             "| --- |" + " --- |" * len(ANALYSES)]
    with tempfile.TemporaryDirectory() as scratch:
        for title, cells in rows(options.rounds, os.path.join(scratch, "out")):
            texts = [" / ".join(f"{seconds:.2f}" for seconds in cell) for cell in cells]
            lines.append(f"| {title} | " + " | ".join(texts) + " |")
    milliseconds = " / ".join(f"{value:.1f}" for value in pairs(options.rounds))
    lines += ["", "Gram matrices and pairs of 12 / 24 / 48 layers (64 images, 4,096 features, one thread): "
              + milliseconds + " ms."]
    table = "\n".join(lines)
    print(table)
    if options.docs:
        with open(options.docs) as file:
            text = file.read()
        if START not in text or END not in text:
            sys.exit(f"{options.docs} has no lines {START} and {END} to put the table between")
        head, _, rest = text.partition(START)
        _, _, tail = rest.partition(END)
        with open(options.docs, "w") as file:
            file.write(f"{head}{START}\n\n{table}\n\n{END}{tail}")


if __name__ == "__main__":
    main()
