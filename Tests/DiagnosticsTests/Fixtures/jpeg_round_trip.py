"""What JPEG makes of a small image, for the corruption tests of VitProbe.

    python jpeg_round_trip.py

The image has 17 x 13 pixels; sample (y, x, c) is (37 y + 11 x + 83 c + x y) mod 256. Writes `jpeg-round-trip.json`: the
samples after Pillow has saved it at a quality, with its defaults otherwise, and read it again; "grey" is channel 0 alone.
Made with Pillow 13.0.0 (libjpeg-turbo 3.2.0).
"""

import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

y, x, c = np.mgrid[0:17, 0:13, 0:3]
image = ((37 * y + 11 * x + 83 * c + x * y) % 256).astype(np.uint8)
out = {}
for name, array in {"rgb": image, "grey": image[..., 0]}.items():
    for quality in (25, 7):
        memory = io.BytesIO()
        Image.fromarray(array).save(memory, format="JPEG", quality=quality)
        out[f"{name} {quality}"] = np.asarray(Image.open(memory)).flatten().tolist()
Path(__file__).with_name("jpeg-round-trip.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")
