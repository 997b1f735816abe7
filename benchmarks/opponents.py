"""The codecs that narrows is measured against, as Pillow ships them.

Each opponent is given the options named in its `settings`: JPEG, WebP and AVIF as people get them from Pillow, and AVIF
4:4:4 with `tune=psnr`, tuned for the metric that is measured. Library versions are recorded with every figure.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from measure import Pixels
from PIL import Image, features

THREADS = 2
"""Threads of the AVIF encoder. libaom's bytes differ between one thread and several, so it is fixed and stated."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Opponent:
    """One codec at fixed options; only its quality number is free. Compared by identity: a table may be keyed by it."""

    name: str
    label: str
    settings: str
    format: str
    suffix: str
    feature: str
    highest: int  # the highest quality number that still means a lossy encode of the usual kind
    qualities: tuple[int, ...]  # about 26 to 42 dB on Kodak
    options: dict[str, Any] = field(default_factory=dict)

    def encode(self, pixels: Pixels, quality: int) -> bytes:
        """One file as bytes; pixels are uint8 (H, W, 3)."""
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, self.format, quality=quality, **self.options)
        return buffer.getvalue()

    def decode(self, data: bytes) -> Pixels:
        """uint8 (H, W, 3) from the bytes alone."""
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))

    @cached_property
    def version(self) -> str:
        """Library and version, for instance `libavif 1.4.2 (dav1d 1.5.3, aom 3.14.1)`."""
        if self.feature == "avif":
            from PIL import _avif  # the only place that knows libaom's version

            codecs = re.sub(r" \[\w+\]:v?([^-, ]*)[^, ]*", r" \1", _avif.codec_versions())
            return f"libavif {features.version('avif')} ({codecs})"
        if self.feature == "webp":
            return f"libwebp {features.version('webp')}"
        turbo = features.version_feature("libjpeg_turbo")
        return f"libjpeg-turbo {turbo}" if turbo else f"libjpeg {features.version('jpg')}"

    @property
    def available(self) -> bool:
        return bool(features.check(self.feature))


JPEG = Opponent(
    name="jpeg420",
    label="JPEG",
    settings="4:2:0, optimised, progressive",
    format="JPEG",
    suffix="jpg",
    feature="jpg",
    highest=100,
    qualities=(5, 8, 12, 18, 25, 35, 45, 55, 65, 75, 85, 90, 94, 96),
    options={"subsampling": "4:2:0", "optimize": True, "progressive": True},
)
WEBP = Opponent(
    name="webp",
    label="WebP",
    settings="method 6",
    format="WEBP",
    suffix="webp",
    feature="webp",
    highest=100,
    qualities=(1, 5, 10, 20, 30, 40, 50, 60, 70, 78, 85, 90, 94),
    options={"method": 6},
)
AVIF = Opponent(
    name="avif",
    label="AVIF",
    settings=f"Pillow's default: 4:2:0, speed 6; {THREADS} threads",
    format="AVIF",
    suffix="avif",
    feature="avif",
    highest=99,  # 100 is lossless quantisation
    qualities=(5, 10, 15, 20, 28, 36, 44, 50, 58, 66, 74, 80, 86, 91),
    options={"max_threads": THREADS},
)
AVIF_PSNR = Opponent(
    name="avif444-psnr",
    label="AVIF 4:4:4 tune=psnr",
    settings=f"4:4:4, speed 6, tune=psnr; {THREADS} threads",
    format="AVIF",
    suffix="avif",
    feature="avif",
    highest=99,
    qualities=(5, 10, 15, 20, 28, 36, 44, 50, 58, 66, 74, 80, 86, 91),
    options={"max_threads": THREADS, "subsampling": "4:4:4", "speed": 6, "advanced": {"tune": "psnr"}},
)

OPPONENTS = (JPEG, WEBP, AVIF, AVIF_PSNR)
