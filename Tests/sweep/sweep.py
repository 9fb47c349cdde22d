"""What vitprobe makes of every name of a family: right, refused by name, or wrong.

    python3 sweep.py --program .build/release/vitprobe [--only GLOB] [--write docs/sweep.md]

Each network is made small, with random weights, as files; its output for two images is PyTorch's in float32.
Written with torch 2.15.0, timm 1.0.31, transformers 5.24.0, safetensors 0.8.
"""
import argparse, collections, fnmatch, json, os, shutil, sys, tempfile, time
import torch
import timm_names, huggingface, trial


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default="vitprobe")
    parser.add_argument("--only", default="*", help="a glob of names")
    parser.add_argument("--groups", default="*", help="a glob of groups")
    parser.add_argument("--write", help="the table's file")
    parser.add_argument("--log", help="a file for one JSON object a trial")
    options = parser.parse_args()
    torch.set_num_threads(1)
    program = shutil.which(options.program) or options.program
    program = os.path.abspath(program)
    log = open(options.log, "w") if options.log else None
    results, unmade = collections.defaultdict(list), []

    def work(group, name, make):
        folder = tempfile.mkdtemp(prefix="sweep-")
        try:
            for result in make(folder):
                results[group].append(result)
                print(f"{group} | {result.name} | {result.form} | {result.outcome} | {result.error} | "
                      f"{result.said[:300] if result.outcome != trial.RIGHT else ''}", flush=True)
                if log:
                    log.write(json.dumps({"group": group, **vars(result)}) + "\n")
                    log.flush()
        except Exception as error:
            unmade.append((group, name, f"{type(error).__name__}: {error}"))
            print(f"{group} | {name} | not made: {type(error).__name__}: {error}"[:400], flush=True)
        finally:
            shutil.rmtree(folder)

    for group, modules in {**timm_names.FAMILIES, **timm_names.RELATIVES}.items():
        for module, name in timm_names.names(modules):
            if fnmatch.fnmatch(name, options.only) and fnmatch.fnmatch(group, options.groups):
                work(group, name, lambda folder: timm_names.trials(program, module, name, folder))
    for case in huggingface.cases():
        if fnmatch.fnmatch(case.name, options.only) and fnmatch.fnmatch(case.group, options.groups):
            work(case.group, case.name, lambda folder: huggingface.trials(program, case, folder))

    import report
    text = report.table(results, unmade)
    print(text)
    if options.write:
        open(options.write, "w").write(text)
    return 1 if any(r.outcome == trial.WRONG for rs in results.values() for r in rs) else 0


if __name__ == "__main__":
    sys.exit(main())
