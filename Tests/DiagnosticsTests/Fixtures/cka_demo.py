"""Writes cka_demo.f32: X [100, 10] and Y [100, 10] of the demonstration of centred kernel alignment by
Kornblith et al. (google-research/google-research, representation_similarity/Demo.ipynb), as Float32.

Made with Python 3.11 and NumPy 2.4.6. The notebook prints 0.55761 (linear), 0.51346 (debiased) and 0.65483
(RBF, threshold 0.5) for these numbers.
"""

from pathlib import Path

import numpy as np

random = np.random.RandomState(1337)
x = random.randn(100, 10)
y = random.randn(100, 10) + x
np.concatenate([x, y]).astype("<f4").tofile(Path(__file__).with_suffix(".f32"))
