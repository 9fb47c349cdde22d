#!/usr/bin/env python3
"""Prints every figure of the bundled models as PDF at single-column width with other fonts on the machine each time,
and lays the pages out on one sheet a situation: print_liberation.png, print_dejavu.png.

Usage: docs/images/print.py [PROGRAM] [OUT]

Without any font the program must refuse; pages printed elsewhere have their letters inside, so that such a machine shows
them to the pixel as they are: that is compared, and needs no sheet of its own. Needs pdftoppm (Debian: poppler-utils),
Pillow 10 or later, and the fonts Liberation and DejaVu.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageChops

HERE = Path(__file__).resolve().parent
FONTS = {"liberation": "/usr/share/fonts/truetype/liberation", "dejavu": "/usr/share/fonts/truetype/dejavu", "none": None}
# Pixels an inch, and columns of a sheet.
RESOLUTION, COLUMNS = 64, 8
# Few colours make small files: grays, those of models full and paler, and steps of the colour scales.
MODELS = ["1257c8", "c8500a", "45a08c", "55156e", "f0b41c"]
GRAYS = [0, 77, 127, 190, 236, 255]
SCALES = [
    "000004", "1d1147", "51127c", "832681", "b73779", "e75263", "fc8961", "fec488", "fcfdbf",
    "0d0887", "4c02a1", "7e03a8", "a92395", "cc4778", "e56b5d", "f89540",
    "440154", "3b528b", "21918c", "5ec962", "fde725",
]  # fmt: skip
ALL, TWO = ["demo:vit", "demo:refiner", "demo:resnet", "demo:alternet"], ["demo:vit", "demo:resnet"]
# What is computed, once; the figures are drawn anew from the records in each situation.
RUNS = {
    "run": [*ALL, "--limit", "256", "--analyses", "cka,fourier,variance,attention"],
    "hessian": [*ALL, "--limit", "32", "--steps", "10"],
    "lesion": [*TWO, "--limit", "64", "--heads"],
    "robustness": [*TWO, "--limit", "32", "--tests", "frequency,corruptions,fourier,gradient", "--map-size", "7"],
    "landscape": [*TWO, "--limit", "32", "--grid", "9"],
}


def environment(work, fonts):
    """One in which these fonts are all that fontconfig finds."""
    config = work / "fonts.conf"
    folder = f"<dir>{fonts}</dir>" if fonts else ""
    config.write_text(f"<fontconfig>{folder}<cachedir>{work}/cache</cachedir></fontconfig>")
    return os.environ | {"FONTCONFIG_FILE": str(config)}


def pages(folder, work, env):
    """Each PDF of a folder as an image."""
    found = []
    for path in sorted(folder.glob("*/*.pdf")):
        stem = work / path.stem
        subprocess.run(["pdftoppm", "-r", str(RESOLUTION), "-png", "-singlefile", path, stem], check=True, env=env)
        found.append(Image.open(f"{stem}.png").convert("RGB"))
    return found


def palette():
    """An image whose colours are all that a sheet has."""
    def parts(text):
        return [int(text[place:place + 2], 16) for place in (0, 2, 4)]

    colors = [[gray] * 3 for gray in GRAYS] + [parts(text) for text in SCALES]
    for share in (1, 0.4, 0.15):
        colors += [[round(255 - share * (255 - part)) for part in parts(text)] for text in MODELS]
    whole = Image.new("P", (1, 1))
    whole.putpalette(sum(colors, []))
    return whole


def sheet(images):
    """Images in columns, each below the shortest column so far."""
    width = max(image.width for image in images) + 8
    heights, places = [8] * COLUMNS, []
    for image in sorted(images, key=lambda image: -image.height):
        column = heights.index(min(heights))
        places.append((image, (8 + column * width, heights[column])))
        heights[column] += image.height + 8
    whole = Image.new("RGB", (8 + COLUMNS * width, max(heights)), "white")
    for image, place in places:
        whole.paste(image, place)
    return whole.quantize(palette=palette(), dither=Image.Dither.NONE)


def draw(program, parts, work, env):
    """All figures as PDF in the folder `work`/NAME of each run; what came of it."""
    for name in RUNS:
        command = [program, "merge", parts / name, "--format", "pdf", "--figure-width", "single", "--no-titles", "-q"]
        result = subprocess.run([*command, "-o", work / name], env=env, capture_output=True, text=True)
        if result.returncode:
            return result
    return result


def main(program, out):
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        for name, arguments in RUNS.items():
            command = [program, name, *arguments, "--shard", "1/1", "-q", "-o", top / "parts" / name]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        printed = []
        for name, fonts in FONTS.items():
            work = top / name
            work.mkdir()
            env = environment(work, fonts)
            result = draw(program, top / "parts", work, env)
            if not fonts:
                assert result.returncode == 64 and "font" in result.stderr, result.stderr
                shown = pages(top / "liberation", work, env)
                pairs = zip(shown, printed, strict=True)
                assert all(not ImageChops.difference(a, b).getbbox() for a, b in pairs), "pages differ without fonts"
                print(f"none: printing is refused; {len(shown)} pages printed elsewhere look the same")
                continue
            assert result.returncode == 0, result.stderr
            found = pages(work, work, env)
            printed = printed or found
            out.mkdir(parents=True, exist_ok=True)
            path = out / f"print_{name}.png"
            sheet(found).save(path, optimize=True)
            print(f"{path.name}: {len(found)} pages, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main(
        Path(sys.argv[1] if len(sys.argv) > 1 else HERE.parents[1] / ".build/debug/vitprobe").resolve(),
        Path(sys.argv[2]) if len(sys.argv) > 2 else HERE)
