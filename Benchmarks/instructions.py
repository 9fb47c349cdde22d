#!/usr/bin/env python3
"""Counts the instructions of a few small fixed jobs: unlike times, they repeat on a busy machine.

    python3 Benchmarks/instructions.py            print the counts beside the recorded ones
    python3 Benchmarks/instructions.py --check    fail if one grew by more than 10 %
    python3 Benchmarks/instructions.py --record   write them to Benchmarks/instructions.csv

Under valgrind's callgrind, which knows no AVX-512: OpenBLAS is told to use its Haswell kernels, on one
thread. Counts depend on the compiler and on the versions of the libraries; record them anew when those
change, and say so.
"""

import argparse
import csv
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
RECORDED = os.path.join(HERE, "instructions.csv")
GROWTH = 0.10
VIT = "model=vit(image=32,patch=4,dim=96,depth=3,heads=3,classes=10)"
RESNET = "model=resnet(stem=cifar,depths=[1,1,1],block=basic,width=16,image=32,classes=10)"
JOBS = {
    "vit-forward": ["forward", VIT, "batch=16", "n=32"],
    "resnet-analyses": ["run", RESNET, "analyses=cka,fourier,variance", "batch=16", "n=32"],
    "vit-hessian-product": ["hvp", VIT, "batch=8"],
}


def count(driver, words):
    """Instructions of one run of the driver."""
    environment = dict(os.environ, OPENBLAS_CORETYPE="Haswell", OPENBLAS_NUM_THREADS="1",
                       OPENBLAS_L2_SIZE="512", SWIFT_DETERMINISTIC_HASHING="1")
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
               driver, *words, "threads=1", "repeats=1"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return int(found.group(1))


def recorded():
    if not os.path.exists(RECORDED):
        return {}
    with open(RECORDED, newline="") as file:
        return {row["job"]: int(row["instructions"]) for row in csv.DictReader(file)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--no-build", action="store_true")
    options = parser.parse_args()
    if not shutil.which("valgrind"):
        sys.exit("valgrind is not installed: apt-get install valgrind")
    if not options.no_build:
        subprocess.run(["swift", "build", "-c", "release", "--package-path", ROOT,
                        "--static-swift-stdlib", "--product", "BenchmarkDriver"],
                       check=True, stdout=sys.stderr)
    before, counts, grown = recorded(), {}, []
    with tempfile.TemporaryDirectory(prefix="vitprobe-instructions-") as scratch:
        # Debian 12's valgrind cannot read the debug information of recent Swift compilers.
        driver = os.path.join(scratch, "driver")
        subprocess.run(["strip", "--strip-debug", "-o", driver,
                        os.path.join(ROOT, ".build", "release", "BenchmarkDriver")], check=True)
        for job, words in JOBS.items():
            counts[job] = now = count(driver, words)
            change = "not recorded"
            if job in before:
                growth = now / before[job] - 1
                change = f"{growth:+.1%} against {before[job]:,}"
                if growth > GROWTH:
                    grown.append(job)
            print(f"{job:24} {now:>16,}  {change}", flush=True)
    if options.record:
        with open(RECORDED, "w", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(["job", "instructions"])
            table.writerows(counts.items())
    if options.check:
        missing = [job for job in JOBS if job not in before]
        if missing:
            sys.exit(f"no count is recorded for {', '.join(missing)}")
        if grown:
            sys.exit(f"more than {GROWTH:.0%} more instructions: {', '.join(grown)}")


if __name__ == "__main__":
    main()
