#!/usr/bin/env python3
"""Compares vitprobe with what one would use instead, pair by pair, on this machine.

    make bench                        every row whose peers are installed
    python3 Benchmarks/run.py --rows 'forward-*' --rounds 3
    python3 Benchmarks/run.py --quick --rounds 1       only to see that everything runs

A round runs ours and then each peer, one process after the other, and the next round again: what changes
slowly on the machine hits both. Before and after every process a quarter of a second of multiply-adds
measures how much machine there is; a round in which it was below 80 % of the best is marked, and left out
of the medians where enough others remain. Needs nothing but Python's standard library itself; the peers
need what `--list` says.
"""

import argparse
import csv
import fnmatch
import json
import os
import platform
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path.insert(0, HERE)

from rows import rows  # noqa: E402

SLOWED = 0.8
TABLE_START, TABLE_END = "<!-- table: begin -->", "<!-- table: end -->"
# Settings that some shells export and that would decide the race.
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS",
         "MKL_NUM_THREADS", "MKL_DEBUG_CPU_TYPE", "MALLOC_ARENA_MAX")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", action="append", metavar="GLOB", help="rows by name; repeatable")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--quick", action="store_true",
                        help="one repeat in a process: whether it runs, not how fast")
    parser.add_argument("--python", default=sys.executable, help="the peers' interpreter")
    parser.add_argument("--out", default=os.path.join(HERE, "results.csv"))
    parser.add_argument("--docs", metavar="FILE", help="replace the table in this Markdown file")
    parser.add_argument("--list", action="store_true", help="name the rows and stop")
    parser.add_argument("--no-build", action="store_true")
    return parser.parse_args()


class Machine:
    """Where commands run: paths, environment, calibration."""

    def __init__(self, options, scratch):
        self.options = options
        self.scratch = scratch
        self.calibrator = self.build_calibrator()
        self.modules = {}
        self.best_rate = 0.0
        self.paths = {
            "driver": os.path.join(ROOT, ".build", "release", "BenchmarkDriver"),
            "vitprobe": os.path.join(ROOT, ".build", "release", "vitprobe"),
            "python": options.python, "here": HERE, "scratch": scratch,
            "threads": str(options.threads), "images": os.path.join(scratch, "images.npy"),
            "photographs": os.path.join(scratch, "photographs"),
            "weights": os.path.join(scratch, "weights"),
            "exported": os.environ.get("EXPORTED_GRAPHS", os.path.join(scratch, "exported")),
            "bundled": os.path.join(ROOT, "notebooks-data", "images", "fmnist-test-1024-images-idx3-ubyte.gz"),
        }

    def build_calibrator(self):
        path = os.path.join(self.scratch, "calibrate")
        compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("clang")
        if not compiler:
            return None
        source = os.path.join(HERE, "calibrate.c")
        done = subprocess.run([compiler, "-O3", "-march=native", "-ffp-contract=fast", "-pthread",
                               source, "-o", path], capture_output=True)
        return path if done.returncode == 0 else None

    def calibrate(self):
        """GFLOP/s of plain multiply-adds right now; 0 where there is no C compiler."""
        if not self.calibrator:
            return 0.0
        done = subprocess.run([self.calibrator, str(self.options.threads)], capture_output=True,
                              text=True, check=True)
        rate = float(done.stdout)
        self.best_rate = max(self.best_rate, rate)
        return rate

    def words(self, side):
        words = []
        for word in side.command:
            for name, value in self.paths.items():
                word = word.replace("{" + name + "}", value)
            words.append(word)
        if self.options.quick and any("driver" in w for w in words[:1]):
            words = [w for w in words if not w.startswith("repeats=")] + ["repeats=1"]
        if self.options.quick and any(w.endswith(".py") for w in words) \
                and not any(w.endswith("hessian.py") for w in words):
            words += ["--repeats", "1"]
        return words

    def missing(self, side):
        """Why a side cannot run; empty if it can."""
        first = self.words(side)[0]
        if not shutil.which(first):
            return f"{os.path.basename(first)} is not there"
        for name in side.variables:
            if name not in os.environ:
                return f"{name} is not set"
        for name in side.modules:
            if name not in self.modules:
                check = [self.options.python, "-W", "ignore", "-c", f"import {name}"]
                done = subprocess.run(check, capture_output=True, text=True)
                reason = (done.stderr.strip().splitlines() or [""])[-1]
                self.modules[name] = "" if done.returncode == 0 else reason
            if self.modules[name]:
                return f"{name}: {self.modules[name]}"
        return ""

    def run(self, side, is_process):
        """One process of a side: its time, its peak memory, what it printed."""
        environment = {k: v for k, v in os.environ.items() if k not in UNSET}
        environment.update(side.environment)
        threads = str(self.options.threads)
        environment["BENCHMARK_THREADS"] = threads
        if side.modules:
            environment.update(OMP_NUM_THREADS=threads, MKL_NUM_THREADS=threads)
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            start = time.perf_counter()
            process = subprocess.Popen(self.words(side), stdout=out, stderr=err, env=environment,
                                       cwd=self.scratch)
            try:
                _, status, usage = os.wait4(process.pid, 0)
            except BaseException:
                process.kill()
                raise
            wall = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            err.seek(0)
            lines, complaint = out.read().strip().splitlines(), err.read()
        if process.returncode:
            last = (complaint.strip().splitlines() or ["no message"])[-1]
            raise RuntimeError(f"{side.label} ended with {process.returncode}: {last}")
        printed = {} if is_process and not lines else parsed(lines)
        return {"seconds": wall if is_process else printed["seconds"],
                "peak_rss_mib": usage.ru_maxrss / 1024, "printed": printed}


def parsed(lines):
    try:
        value = json.loads(lines[-1])
        return value if isinstance(value, dict) else {}
    except (IndexError, ValueError):
        return {}


def write_images(path, count=256, side=224):
    """Random pixels as uint8 [count, side, side, 3], .npy version 1.0."""
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({count}, {side}, {side}, 3), }}"
    header += " " * (63 - (len(header) + 10) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
        for _ in range(count):
            file.write(os.urandom(side * side * 3))


def measure(row, machine, peers, rounds, log):
    """All rounds of a row, as one record a process."""
    records = []
    for number in range(rounds):
        before = machine.calibrate()
        for role, side in [("ours", row.ours)] + [("peer", peer) for peer in peers]:
            result = machine.run(side, row.kind == "process")
            after = machine.calibrate()
            records.append({
                "row": row.name, "kind": row.kind, "round": number, "role": role,
                "side": side.label, "seconds": result["seconds"],
                "peak_rss_mib": result["peak_rss_mib"], "calibration_before": before,
                "calibration_after": after, "printed": result["printed"],
                "share": share(result, (before + after) / 2)})
            log(f"  round {number + 1}: {side.label}: {result['seconds']:.4g} s, "
                f"{result['peak_rss_mib']:.0f} MiB, calibration {before:.0f} -> {after:.0f} GFLOP/s")
            before = after
    return records


def share(result, rate):
    """What part of the rate of bare multiply-adds, measured around it, a process reached; None where it does not
    say what it computed."""
    work, seconds = result["printed"].get("gflop"), result["printed"].get("seconds")
    return work / seconds / rate if work and seconds and rate else None


def mark_slowed(records, best):
    """A process is slowed if the machine was, before or after it."""
    for record in records:
        rate = min(record["calibration_before"], record["calibration_after"])
        record["slowed"] = best > 0 and rate < SLOWED * best


def summary(row, peer, records):
    """Medians of one pair, over rounds at full speed if there are at least two of them."""
    ours = {r["round"]: r for r in records if r["role"] == "ours"}
    theirs = {r["round"]: r for r in records if r["role"] == "peer" and r["side"] == peer.label}
    rounds = sorted(ours.keys() & theirs.keys())
    full = [n for n in rounds if not ours[n]["slowed"] and not theirs[n]["slowed"]]
    used = full if len(full) >= 2 else rounds
    own, other = [ours[n]["seconds"] for n in used], [theirs[n]["seconds"] for n in used]
    memory = [statistics.median(side[n]["peak_rss_mib"] for n in used) for side in (ours, theirs)]
    return {"row": row, "peer": peer, "ours": own, "theirs": other, "memory": memory,
            "full": len(full), "rounds": len(rounds),
            "shares": [ours[n]["share"] for n in used if ours[n]["share"]],
            "ratio": statistics.median(b / a for a, b in zip(own, other)),
            "ratios": [b / a for a, b in zip(own, other)]}


def spread(values):
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.4g} ({low:.4g}–{high:.4g})"


def markdown(summaries, skipped, environment):
    lines = ["| job | ours, s (min–max) | peer | peer, s (min–max) | ratio (min–max) | goal (aim) |"
             " share of the limit (goal) | peak MiB, ours / peer | rounds at full speed |",
             "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    for s in summaries:
        peer = s["peer"]
        met = "" if s["ratio"] >= peer.least else " **below**"
        part = f"{100 * statistics.median(s['shares']):.0f} %" if s["shares"] else "–"
        if s["row"].share:
            part += f" ({100 * s['row'].share:.0f} %)"
        lines.append(
            f"| {s['row'].title} | {spread(s['ours'])} | {peer.label} | {spread(s['theirs'])} "
            f"| {s['ratio']:.2f} ({min(s['ratios']):.2f}–{max(s['ratios']):.2f}){met} "
            f"| {peer.least:g} ({peer.aim:g}) | {part} | {s['memory'][0]:.0f} / {s['memory'][1]:.0f} "
            f"| {s['full']}/{s['rounds']} |")
    if skipped:
        lines += ["", "Not run:", ""] + [f"- {name}: {reason}" for name, reason in skipped]
    lines += ["", "Environment:", ""] + [f"- {key}: {value}" for key, value in environment.items()]
    return "\n".join(lines)


def processor():
    try:
        with open("/proc/cpuinfo") as file:
            found = dict(line.split(":", 1) for line in file.read().split("\n\n")[0].splitlines()
                         if ":" in line)
        facts = {key.strip(): value.strip() for key, value in found.items()}
        wide = [flag for flag in ("avx2", "fma", "avx512f", "avx512_bf16", "asimd")
                if flag in facts.get("flags", facts.get("Features", "")).split()]
        return (f"{facts.get('model name', platform.machine())}, family {facts.get('cpu family', '?')}"
                f" model {facts.get('model', '?')}, {os.cpu_count()} processors, {' '.join(wide)}")
    except OSError:
        return platform.machine()


def versions(machine, records):
    """What ran on what."""
    script = ("import importlib.metadata as m\n"
              "for n in 'torch timm torch_cka pytorch-cka onnxruntime pyhessian hessian-eigenthings curvlinops-for-pytorch"
              " numpy scipy'.split():\n"
              "  try: print(n, m.version(n))\n"
              "  except m.PackageNotFoundError: pass\n")
    done = subprocess.run([machine.options.python, "-c", script], capture_output=True, text=True)
    kernels = {r["printed"].get("kernels") for r in records} - {None}
    commit = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"],
                            capture_output=True, text=True).stdout.strip()
    return {
        "vitprobe": commit or "unknown", "CPU": processor(),
        "threads": machine.options.threads,
        "best calibration": f"{machine.best_rate:.0f} GFLOP/s of multiply-adds",
        "kernels of ours": "; ".join(sorted(kernels)) or "unknown",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "peers": ", ".join(" ".join(line.split()) for line in done.stdout.splitlines()) or "none",
    }


def write_weights(machine):
    """The checkpoints that are read, as PyTorch and safetensors write them."""
    subprocess.run([machine.options.python, os.path.join(HERE, "peers", "reading.py"), "--make",
                    machine.paths["weights"]], check=False)


def write_exported(machine, rows):
    """The graphs that are run, as PyTorch exports them."""
    words = [word for row in rows for word in row.ours.command if "{exported}/" in word]
    names = sorted({word.split("{exported}/")[1].removesuffix(".pt2") for word in words})
    if names:
        subprocess.run([machine.options.python, os.path.join(HERE, "peers", "exporting.py"),
                        machine.paths["exported"], *names], check=False)


def write_csv(path, records):
    names = ["row", "kind", "round", "role", "side", "seconds", "peak_rss_mib",
             "calibration_before", "calibration_after", "share", "slowed"]
    with open(path, "w", newline="") as file:
        table = csv.DictWriter(file, names, extrasaction="ignore", lineterminator="\n")
        table.writeheader()
        for record in records:
            table.writerow(dict(record, seconds=f"{record['seconds']:.6g}",
                                peak_rss_mib=f"{record['peak_rss_mib']:.1f}",
                                share=f"{record['share']:.3f}" if record["share"] else "",
                                slowed=int(record["slowed"])))


def replace_table(path, table):
    with open(path) as file:
        text = file.read()
    before, rest = text.split(TABLE_START, 1)
    after = rest.split(TABLE_END, 1)[1]
    with open(path, "w") as file:
        file.write(before + TABLE_START + "\n\n" + table + "\n\n" + TABLE_END + after)


def main():
    options = parse()
    wanted = [row for row in rows() if not options.rows
              or any(fnmatch.fnmatch(row.name, glob) for glob in options.rows)]
    if not wanted:
        sys.exit(f"no row is called {' or '.join(options.rows)}; --list names them")
    if options.list:
        for row in wanted:
            needs = sorted({name for peer in row.peers for name in peer.modules})
            print(f"{row.name:24} {row.title} [{row.kind}; {', '.join(needs) or 'no packages'}]")
        return

    def log(text):
        print(text, file=sys.stderr, flush=True)

    if not options.no_build:
        subprocess.run(["swift", "build", "-c", "release", "--package-path", ROOT,
                        "--static-swift-stdlib", "--product", "BenchmarkDriver"],
                       check=True, stdout=sys.stderr)
    records, summaries, skipped = [], [], []
    with tempfile.TemporaryDirectory(prefix="vitprobe-bench-") as scratch:
        machine = Machine(options, scratch)
        for _ in range(4):
            machine.calibrate()
        if any("{images}" in word for row in wanted for side in [row.ours, *row.peers] for word in side.command):
            write_images(machine.paths["images"])
        if any("{photographs}" in word for row in wanted for word in row.ours.command):
            subprocess.run([options.python, os.path.join(HERE, "peers", "photographs.py"), machine.paths["photographs"]],
                           check=False)
        reading = [row for row in wanted if any("{weights}" in word for word in row.ours.command)]
        if any(not machine.missing(peer) for row in reading for peer in row.peers):
            write_weights(machine)
        write_exported(machine, wanted)
        for row in wanted:
            reason = machine.missing(row.ours)
            if reason:
                skipped.append((row.name, reason))
                continue
            peers = []
            for peer in row.peers:
                reason = machine.missing(peer)
                if reason:
                    skipped.append((f"{row.name} against {peer.label}", reason))
                else:
                    peers.append(peer)
            if not peers:
                continue
            log(f"{row.name}: {row.title}")
            try:
                found = measure(row, machine, peers, options.rounds, log)
            except RuntimeError as error:
                log(f"  {error}")
                skipped.append((row.name, str(error)))
                continue
            records += found
            summaries += [(row, peer) for peer in peers]
            # Row by row, so that a run that is stopped leaves what it measured.
            mark_slowed(records, machine.best_rate)
            write_csv(options.out, records)
        table = markdown(
            [summary(row, peer, [r for r in records if r["row"] == row.name])
             for row, peer in summaries], skipped, versions(machine, records))
    if options.docs:
        replace_table(options.docs, table)
    print(table)


if __name__ == "__main__":
    main()
