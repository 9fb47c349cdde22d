"""Noise limited to a ring of frequencies as how-do-vits-work makes it (`FreqAttack`), for the tests of VitProbe.

    python frequency_noise.py

Writes `frequency-noise.json` beside itself: for masks and frequencies, the real part of the inverse transform of a masked
spectrum, of the 16 x 16 image z[i] = ((7 i i + 3 i) mod 11) / 5 - 1, row by row, s = 0.2, in float64; and the share of the
imaginary part that is left out. Made with numpy 2.4.6.
"""

import json
from pathlib import Path

import numpy as np

N = 16
i = np.arange(N * N)
z = (((7 * i * i + 3 * i) % 11) / 5 - 1).reshape(N, N)


def square(width):
    pad = (N - width) // 2
    return np.pad(np.ones((width, width)), ((pad, N - width - pad),) * 2)


def mask(kind, f, s=0.2):
    w1 = np.clip(2 * int(np.floor((f * np.pi + s) * N / (2 * np.pi))), 0, N)
    w2 = np.clip(2 * int(np.floor((f * np.pi - s) * N / (2 * np.pi))), 0, N)
    if kind == "hdvw":
        return square(w1) - square(w2)
    k = np.abs(np.arange(N) - N // 2)
    most = np.maximum(k[:, None], k[None, :])
    return ((most >= w2 / 2) & (most <= w1 / 2)).astype(float)


out = {}
for kind, f in [("hdvw", 0.3), ("hdvw", 0.9), ("symmetric", 0.5)]:
    shifted = np.roll(np.fft.fft2(z), (N // 2, N // 2), (0, 1)) * mask(kind, f)
    y = np.fft.ifft2(np.roll(shifted, (-(N // 2), -(N // 2)), (0, 1)))
    print(kind, f, "mask", mask(kind, f).sum(), "real rms", np.sqrt((y.real**2).mean()), "imaginary", np.sqrt((y.imag**2).mean()))
    out[f"{kind} {f}"] = [round(float(v), 8) for v in y.real.ravel()]
(Path(__file__).resolve().parent / "frequency-noise.json").write_text(json.dumps(out) + "\n")
