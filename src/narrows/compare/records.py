"""What the parts of a comparison hand to one another: plain records, no behaviour.

survey.py makes points, speed.py speeds, crops.py crops; curves.py, figures.py and the reports read them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
"""(H, W, 3), RGB."""


@dataclass(frozen=True, kw_only=True)
class Coder:
    """A codec at fixed options, as the reports name it; only its setting is free (codecs.py makes the working one).

    name      the key in tables and on the command line: "jpeg420", "narrows", "narrows:PATH"
    label     for people: "JPEG 4:2:0"
    family    what belongs together in a figure: "narrows", "jpeg", "webp", "avif", "jxl", "jpeg2000", "tiff"
    options   in words: "optimised, progressive"
    version   library and version: "libwebp 1.6.0"; for narrows its release, the profile's digest and the effort
    parameter what a setting means: "quality", "compression ratio"
    lossless  decodes to the very pixels; it has one setting and no curve
    """

    name: str
    label: str
    family: str
    options: str
    version: str
    parameter: str = "quality"
    lossless: bool = False


@dataclass(frozen=True, kw_only=True)
class PictureRecord:
    """A picture that was compared. `digest` is the beginning of the SHA-256 of its RGB samples, in hexadecimal."""

    name: str
    width: int
    height: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class Point:
    """One file: a picture coded by a coder at a setting, decoded from the file's bytes alone, and measured.

    ms_ssim is None where the shorter side is 160 or less, ssimulacra2 where it is under 8, psnr_db infinite for an
    exact copy. Higher is better in all but mse.
    """

    coder: str
    version: str
    setting: float
    picture: str
    digest: str
    width: int
    height: int
    bytes: int
    mse: float
    psnr_db: float
    ssim: float
    ms_ssim: float | None
    ssimulacra2: float | None

    @property
    def bpp(self) -> float:
        """Bits per pixel of the whole file."""
        return 8 * self.bytes / (self.width * self.height)


@dataclass(frozen=True, kw_only=True)
class Speed:
    """How fast a coder ran at `setting`; medians of the rounds, megapixels per second by the clock on the wall.

    encode_ratio and decode_ratio are to the reference coder (speed.py) in the same rounds. memory in MiB is the peak
    of a fresh process that codes one picture, less that of one that only imports the same packages; None if unknown.
    """

    coder: str
    setting: float
    bpp: float
    psnr_db: float
    encode_mps: float
    decode_mps: float
    encode_ratio: float
    decode_ratio: float
    encode_memory_mib: float | None
    decode_memory_mib: float | None


@dataclass(frozen=True, kw_only=True)
class SpeedReport:
    """All coders in one run. `reference` is the coder that ratios are to."""

    processor: str
    cores: int
    threads: int
    rounds: int
    pictures: int
    megapixels: float
    memory_megapixels: float
    load_average: float | None
    reference: str
    speeds: tuple[Speed, ...]
    cold_start_s: float | None
    """Median seconds of `narrows info FILE` as a new process; None without narrows."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Crop:
    """One coder's version of a place in a picture, and what its whole file was."""

    coder: str
    label: str
    setting: float
    bytes: int
    bpp: float
    psnr_db: float
    pixels: Pixels
    difference: Pixels
    """(H, W, 3): how far it is from the original, amplified; black is equal."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CropRow:
    """A place in a picture through several coders at equal bytes."""

    picture: str
    why: str
    """For the caption: "narrows wins most here"."""
    left: int
    top: int
    original: Pixels
    crops: tuple[Crop, ...]


@dataclass(frozen=True, kw_only=True)
class Published:
    """A curve that others published; rate and quality are means over a whole set. ms_ssim is linear, 0..1."""

    name: str
    kind: str
    bpp: tuple[float, ...]
    psnr_db: tuple[float, ...] | None
    ms_ssim: tuple[float, ...] | None
    source: str
    notes: str
    dataset: str = ""
    """The pictures that it is a mean over: "kodak"; "" if unknown."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Everything that a report says. The first coder is the one that is judged: narrows unless it was left out."""

    title: str
    command: str
    metric: str
    """Key of the metric that decides (metrics.METRICS)."""
    pictures: tuple[PictureRecord, ...]
    coders: tuple[Coder, ...]
    points: tuple[Point, ...]
    published: tuple[Published, ...] = ()
    drawn: tuple[str, ...] = ()
    """Names of the published curves that the figures show."""
    speed: SpeedReport | None = None
    left_out: tuple[tuple[str, str], ...] = ()
    """(picture, reason) of what could not be read or coded."""
    missing: tuple[str, ...] = ()
    """A line for each codec that is not installed, with how to get it."""
    versions: dict[str, str] = field(default_factory=dict)
    """Python, packages and libraries."""
