"""Writes JPEG files of the size of photographs (500 x 375, quality 90), noise on several scales: FOLDER [COUNT]."""

import os
import sys

import numpy
from PIL import Image

folder, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 256
os.makedirs(folder, exist_ok=True)
random = numpy.random.default_rng(0)
for number in range(count):
    image = numpy.zeros((375, 500, 3))
    for side in (4, 16, 64, 256):
        coarse = Image.fromarray(random.integers(0, 256, (side * 3 // 4, side, 3), dtype=numpy.uint8))
        image += numpy.asarray(coarse.resize((500, 375), Image.BICUBIC), dtype=float) * (4 / side) ** 0.5
    image = (image - image.min()) / (image.max() - image.min()) * 255
    image = (image + random.normal(0, 8, image.shape)).clip(0, 255)
    Image.fromarray(image.astype(numpy.uint8)).save(os.path.join(folder, f"{number:04}.jpg"), quality=90)
