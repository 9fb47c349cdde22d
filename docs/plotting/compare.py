"""Compares the drawings of figures.py with those of vitprobe: the same names, the same number of
panels, the same models' colours in each.

    python compare.py FOLDER OUT
"""

import re
import sys
from pathlib import Path

from figures import COLORS


# Figures that figures.py does not draw.
OTHERS = ("attention_offsets", "relations")


def colors(text):
    found = {match.lower() for match in re.findall(r"#[0-9a-fA-F]{6}", text)}
    # The last is that of letters too.
    return found & set(COLORS[:-1])


def main(folder, out):
    ours = {path.stem: path.read_text() for path in folder.glob("*.svg") if not path.stem.startswith(OTHERS)}
    theirs = {path.stem: path.read_text() for path in out.glob("*.svg")}
    faults = [f"{name}: drawn by figures.py alone" for name in sorted(theirs.keys() - ours.keys())]
    faults += [f"{name}: not drawn by figures.py" for name in sorted(ours.keys() - theirs.keys())]
    for name in sorted(ours.keys() & theirs.keys()):
        panels = len(re.findall(r'<g id="fig-[^"]*-panel-\d+"', ours[name]))
        bars = len(re.findall(r'<g id="fig-[^"]*-bar"', ours[name]))
        axes = len(re.findall(r'<g id="axes_\d+"', theirs[name]))
        if panels + bars != axes:
            faults.append(f"{name}: {panels} panels and {bars} colour bars, in figures.py {axes} axes")
        if colors(ours[name]) != colors(theirs[name]):
            faults.append(
                f"{name}: colours {sorted(colors(ours[name]))}, in figures.py {sorted(colors(theirs[name]))}")
    for fault in faults:
        print(fault, file=sys.stderr)
    if not faults:
        print(f"figures.py: {len(ours)} figures alike")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
