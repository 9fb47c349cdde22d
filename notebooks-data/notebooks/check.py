#!/usr/bin/env python3
"""Runs the code of pandas.ipynb, cell after cell, and compares what it prints with what stands in the notebook.

Usage: notebooks-data/notebooks/check.py

Needs pandas and matplotlib, and no Jupyter; without them it says so and ends well.
"""

import contextlib
import importlib.util
import io
import json
import os
import pathlib
import sys
import warnings


def main():
    missing = [name for name in ("pandas", "matplotlib") if importlib.util.find_spec(name) is None]
    if missing:
        print(f"skipped: Python has no {' and no '.join(missing)}")
        return
    import matplotlib

    matplotlib.use("Agg")
    # A window that does not open is no news here.
    warnings.filterwarnings("ignore", message=".*non-interactive.*")
    os.chdir(pathlib.Path(__file__).resolve().parent)
    names = {"__name__": "__main__"}
    for number, cell in enumerate(json.loads(pathlib.Path("pandas.ipynb").read_text())["cells"]):
        if cell["cell_type"] != "code":
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("".join(cell["source"]), f"pandas.ipynb, cell {number}", "exec"), names)
        expected = "".join(
            "".join(output["text"]) for output in cell["outputs"] if output.get("name") == "stdout")
        if printed.getvalue() != expected:
            sys.exit(f"cell {number} prints\n{printed.getvalue()}\nand not\n{expected}")
        print(f"pandas.ipynb, cell {number}: ok")


if __name__ == "__main__":
    main()
