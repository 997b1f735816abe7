"""Pictures made on the spot."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def photo_like(height: int, width: int, channels: int = 3, seed: int = 0) -> NDArray[np.uint8]:
    """A smooth picture with edges and a little noise, uint8 (height, width, channels)."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    planes = []
    for _ in range(channels):
        a, b, c = random.uniform(0.01, 0.06, 3)
        waves = 60 * np.sin(a * x + b * y) + 40 * np.cos(c * (x - 2 * y))
        planes.append(128 + waves + 30 * ((x // 48 + y // 64) % 2))
    return np.clip(np.stack(planes, -1) + random.normal(0, 3, (height, width, channels)), 0, 255).astype(np.uint8)
