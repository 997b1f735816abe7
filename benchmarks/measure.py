"""What the benchmarks measure and how: pictures, PSNR, points in a CSV file, mean curves and BD-rates.

Rate is the size of a real file in bytes x 8 / pixels. Distortion is measured between the 8-bit original and the picture
decoded from the file's bytes alone.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import bjontegaard
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Curve = tuple[NDArray[np.float64], NDArray[np.float64]]  # bits per pixel, PSNR in dB; both rising

MIN_OVERLAP_DB = 1.0
SUFFIXES = (".png", ".webp", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".ppm")
FIELDS = ("codec", "version", "quality", "picture", "width", "height", "bytes", "bpp", "psnr_db")


def find_pictures(folder: Path) -> list[Path]:
    """The pictures directly in a folder, sorted by name; SystemExit with a reason if there are none."""
    if not folder.is_dir():
        raise SystemExit(f"{folder}: not a folder of pictures")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not found:
        raise SystemExit(f"{folder}: holds no picture ({' '.join(SUFFIXES)})")
    if len({path.stem for path in found}) < len(found):
        raise SystemExit(f"{folder}: two pictures have the same name but for the suffix")
    return found


def load_rgb(path: Path) -> Pixels:
    """A picture as uint8 (H, W, 3)."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def psnr_db(original: Pixels, decoded: Pixels) -> float:
    """Peak signal-to-noise ratio over all samples, peak 255, in dB; infinite when the pictures are equal.

    >>> psnr_db(np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8))
    0.0
    """
    if original.shape != decoded.shape:
        raise ValueError(f"the decoded picture has shape {decoded.shape}, the original {original.shape}")
    difference = original.astype(np.int32) - decoded  # wider first: uint8 would wrap
    error = float(np.mean(difference * difference))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


@dataclass(frozen=True, kw_only=True)
class Point:
    """One file: a picture coded by a codec at a quality."""

    codec: str
    version: str
    quality: int
    picture: str
    width: int
    height: int
    bytes: int
    psnr_db: float

    @property
    def bpp(self) -> float:
        return 8 * self.bytes / (self.width * self.height)

    @property
    def key(self) -> tuple[str, str, int, str]:
        """What makes a point unique in a table; a point with this key is not measured again."""
        return self.codec, self.version, self.quality, self.picture


def read_points(path: Path) -> list[Point]:
    """The points of a CSV file, none if it does not exist yet."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [
            Point(
                codec=row["codec"],
                version=row["version"],
                quality=int(row["quality"]),
                picture=row["picture"],
                width=int(row["width"]),
                height=int(row["height"]),
                bytes=int(row["bytes"]),
                psnr_db=float(row["psnr_db"]),
            )
            for row in csv.DictReader(file)
        ]


def append_points(path: Path, points: Iterable[Point]) -> None:
    """Add points to a CSV file, which is made with its heading if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(FIELDS)
        for p in points:
            row = (
                p.codec,
                p.version,
                p.quality,
                p.picture,
                p.width,
                p.height,
                p.bytes,
                f"{p.bpp:.5f}",
                f"{p.psnr_db:.4f}",
            )
            writer.writerow(row)


def curve(points: Iterable[Point]) -> Curve:
    """The curve of one codec: for each quality the means of bits per pixel and of the PSNRs over the pictures."""
    by_quality: dict[int, list[Point]] = {}
    for point in points:
        by_quality.setdefault(point.quality, []).append(point)
    pictures = {frozenset(point.picture for point in group) for group in by_quality.values()}
    if len(pictures) > 1:
        raise ValueError("the qualities were measured on different pictures; finish the table first")
    qualities = sorted(by_quality)
    rate = np.array([np.mean([point.bpp for point in by_quality[q]]) for q in qualities])
    quality_db = np.array([np.mean([point.psnr_db for point in by_quality[q]]) for q in qualities])
    return rate, quality_db


def overlap_db(anchor: Curve, test: Curve) -> tuple[float, float]:
    """The PSNR interval that both curves cover; empty where the first number is not below the second."""
    return max(anchor[1][0], test[1][0]), min(anchor[1][-1], test[1][-1])


def rising(curve: Curve) -> Curve:
    """A curve without the points at which the PSNR does not rise: only a function of the PSNR can be interpolated."""
    highest = np.maximum.accumulate(np.concatenate([[-np.inf], curve[1][:-1]]))
    keep = curve[1] > highest
    return curve[0][keep], curve[1][keep]


def bd_rate(anchor: Curve, test: Curve) -> float:
    """Mean difference in rate at equal PSNR over the curves' overlap, in percent; negative: `test` needs fewer bytes.

    Akima interpolation of log rate over PSNR, by the package bjontegaard. NaN where less than 1 dB overlaps.
    """
    anchor, test = rising(anchor), rising(test)
    low, high = overlap_db(anchor, test)
    if high - low < MIN_OVERLAP_DB:
        return math.nan
    result = bjontegaard.bd_rate(*anchor, *test, method="akima", require_matching_points=False, min_overlap=0)
    return float(result)


def bd_rate_between(anchor: Curve, test: Curve, low_db: float, high_db: float) -> float:
    """The BD-rate over a stated PSNR interval, in percent; NaN where a curve does not cover the whole of it."""
    anchor, test = rising(anchor), rising(test)
    low, high = overlap_db(anchor, test)
    if low > low_db or high < high_db:
        return math.nan
    _, anchor_log, test_log = bjontegaard.bd_rate(
        *anchor, *test, method="akima", require_matching_points=False, min_overlap=0, interpolators=True
    )
    area = float(test_log.integrate(low_db, high_db)) - float(anchor_log.integrate(low_db, high_db))
    return 100 * (10 ** (area / (high_db - low_db)) - 1)


def falls(points: Sequence[Point]) -> list[str]:
    """Where bytes or PSNR of one codec do not rise with quality on a picture, a line each."""
    lines = []
    for picture in sorted({point.picture for point in points}):
        steps = sorted((point for point in points if point.picture == picture), key=lambda point: point.quality)
        for below, above in pairwise(steps):
            if above.bytes <= below.bytes or above.psnr_db <= below.psnr_db:
                lines.append(
                    f"{picture}, quality {below.quality} to {above.quality}: {below.bytes} to {above.bytes} bytes, "
                    f"{below.psnr_db:.3f} to {above.psnr_db:.3f} dB"
                )
    return lines


def nearest_quality(measure: Callable[[int], float], target_db: float, low: int, high: int) -> int:
    """The quality in low..high whose PSNR is nearest to `target_db`, by bisection; `measure` must not fall.

    It measures about log2(high - low) qualities, and both neighbours of the target are among them.
    """
    seen: dict[int, float] = {}

    def at(quality: int) -> float:
        if quality not in seen:
            seen[quality] = measure(quality)
        return seen[quality]

    below, above = low, high
    if at(below) >= target_db:
        return below
    if at(above) <= target_db:
        return above
    while above - below > 1:
        middle = (below + above) // 2
        if at(middle) < target_db:
            below = middle
        else:
            above = middle
    return min((below, above), key=lambda quality: abs(at(quality) - target_db))
