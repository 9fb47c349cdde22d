#!/usr/bin/env python3
"""How jobs get faster with threads, what is left when they do not, and what that lets one expect of more threads.

    python3 Benchmarks/scaling.py
    python3 Benchmarks/scaling.py --threads 1,2,4,8,16,32,64 --rounds 3

Of each job and number of threads the least time of some rounds, from the start of the process to its end. By Amdahl's
law t(n) = t(1) (s + (1 - s) / n) these give the share s of the work on one thread that more threads do not make
faster, by least squares in t(n) / t(1). Processor seconds grow where threads get in each other's way (memory, caches, a
core that two threads share). Memory is what `--dry-run` announces. Needs nothing but Python's standard library.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = os.path.join(ROOT, ".build", "release", "vitprobe")
IMAGES = os.path.join(ROOT, "notebooks-data", "images", "fmnist-test-1024-images-idx3-ubyte.gz")
EXPECTED = (4, 16, 64)


def jobs(images, batch):
    """Per title the words of a command: a pass with hardly anything beside it, and CKA, each with enough minibatches for
    every thread; then a single minibatch, whose operations are shared out."""
    model = "vit_tiny_patch16_224@random"
    data = ["--data", IMAGES, "--batch-size", str(batch)]
    many, one = [*data, "--limit", str(images)], [*data, "--limit", str(batch)]
    yield f"passes alone (`variance` of the last map): {images} images", ["variance", model, "--layers", "blocks.11.mlp_res", *many]
    yield f"`cka` of all blocks: {images} images", ["cka", model, "--bootstrap", "0", *many]
    yield f"`variance`: one minibatch of {batch}", ["variance", model, *one]


def run(words, threads, scratch):
    """Seconds on the clock, and of processors."""
    command = [PROGRAM, *words, "--threads", str(threads), "-q", "--no-progress", "--force", "-o", scratch]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return seconds, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def announced(words, threads):
    """MiB at once."""
    command = [PROGRAM, *words, "--threads", str(threads), "--dry-run", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)["peak_memory_bytes"] / 2 ** 20


def serial_share(times):
    """s of times by number of threads, relative to one thread; 0 where more than all of it is shared out."""
    one = times[1]
    # t(n) / t(1) - 1 / n = s (1 - 1 / n)
    points = [(1 - 1 / n, seconds / one - 1 / n) for n, seconds in times.items() if n > 1]
    return max(0.0, sum(x * y for x, y in points) / sum(x * x for x, _ in points))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", help="numbers of threads, 1 among them (1, 2, 4, ... up to the processors)")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--images", type=int, default=128, help="of jobs with many minibatches")
    parser.add_argument("--batch", type=int, default=16)
    options = parser.parse_args()
    if options.threads:
        counts = sorted({int(n) for n in options.threads.split(",")})
    else:
        processors = len(os.sched_getaffinity(0))
        counts = [n for n in (1, 2, 4, 8, 16, 32, 64, 128) if n <= processors]
    if len(counts) < 2 or counts[0] != 1 or options.rounds < 1:
        parser.error("one thread and at least one other number are needed, and a round")
    if options.images < 2 * counts[-1] * options.batch:
        parser.error(f"--images: {2 * counts[-1] * options.batch} or more, two minibatches for each thread")
    print("| job | threads | s | speed-up | processor s, to one thread | announced MiB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    shares = []
    with tempfile.TemporaryDirectory() as scratch:
        for title, words in jobs(options.images, options.batch):
            least = {n: (float("inf"), float("inf")) for n in counts}
            for _ in range(options.rounds):
                for n in counts:
                    least[n] = min(least[n], run(words, n, scratch))
            for n in counts:
                (one, work), (seconds, own) = least[1], least[n]
                print(f"| {title if n == 1 else ''} | {n} | {seconds:.2f} | {one / seconds:.2f} | {own / work:.2f} | "
                      f"{announced(words, n):.0f} |")
            shares.append((title, serial_share({n: seconds for n, (seconds, _) in least.items()})))
    print("\n| job | serial share | " + " | ".join(f"expected of {n} threads" for n in EXPECTED) + " |")
    print("| --- | ---: |" + " ---: |" * len(EXPECTED))
    for title, share in shares:
        expected = " | ".join(f"{1 / (share + (1 - share) / n):.1f}" for n in EXPECTED)
        print(f"| {title} | {100 * share:.1f} % | {expected} |")


if __name__ == "__main__":
    main()
