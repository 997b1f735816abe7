"""Conventional codecs on the very pictures that a model coded, measured once and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from narrows.errors import NarrowsError
from narrows.lab.data import Dataset
from narrows.lab.experiments.base import Indices, Pictures, Setting, Shown, crc, evenly
from narrows.lab.experiments.kept import kept
from narrows.lab.measure.arrays import picture_pixels
from narrows.lab.measure.conventional import Conventional, Row, Rule, code_conventional
from narrows.lab.measure.quality import Quality, measure
from narrows.shared import shared_codec

NAMES: dict[Conventional, str] = {
    "jpeg": "JPEG 4:2:0", "jpeg444": "JPEG 4:4:4", "webp": "WebP", "avif": "AVIF", "narrows": "narrows", "png": "PNG",
    "webp-lossless": "WebP lossless", "tiff-lzw": "TIFF LZW", "tiff-deflate": "TIFF deflate", "g4": "G4 (bilevel)",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Rival:
    """Test pictures through a conventional codec at one setting; the fields are those of coded.Point.

    quality       the codec's setting, None of a lossless one
    shared_bytes  what of `bytes` is written once for all pictures
    """

    codec: Conventional
    label: str
    quality: int | None
    setting: str
    rule: Rule
    bytes: int
    shared_bytes: int
    bpp: float
    indices: Indices
    result: Quality
    pictures: Pictures

    def decoded(self, places: Indices | None = None) -> Pictures:
        """The pictures at these places among `indices` (None: all), coded once more."""
        chosen = np.arange(len(self.indices)) if places is None else places
        if self.rule == "sheet":
            decoded: Pictures = self._row(self.pictures).decoded[chosen]
            return decoded
        return self._row(self.pictures[chosen]).decoded

    def shown(self, place: int) -> Shown:
        """One picture and its bytes; under the rule "sheet", its share of the sheet's bytes."""
        psnr_db = float(self.result.psnr_db_of[place])
        if self.rule == "sheet":
            pixels = self.decoded(np.array([place]))[0]
            return Shown(pixels=pixels, bytes=self.bytes / len(self.indices), psnr_db=psnr_db)
        row = self._row(self.pictures[place : place + 1])
        return Shown(pixels=row.decoded[0], bytes=row.bytes - row.shared_bytes, psnr_db=psnr_db)

    def _row(self, pictures: Pictures) -> Row:
        return _code(self.codec, pictures, self.quality, self.rule)


def rivals(
    codec: Conventional, data: Dataset, setting: Setting, *, settings: Sequence[int] | None, rule: Rule = "each",
    coded: int | None = None,
) -> tuple[Rival, ...]:  # fmt: skip
    """The codec on data.test at each setting (None: a lossless codec, which has none), rising in rate.

    `coded` pictures, evenly spread, as Plan.coded chooses them.
    """
    indices = evenly(len(data.test), coded)
    pictures = data.test.images[indices]
    folder = setting.output / "measured" / "rivals"
    setting.say(f"{NAMES[codec]}, {rule}")
    wanted: Sequence[int | None] = [None] if settings is None else settings
    found = [_rival(codec, indices, pictures, quality, rule, folder) for quality in wanted]
    return tuple(sorted(found, key=lambda rival: rival.bpp))


@dataclass(frozen=True, kw_only=True)
class _Sizes:
    bytes: int
    shared_bytes: int


def _rival(
    codec: Conventional, indices: Indices, pictures: Pictures, quality: int | None, rule: Rule, folder: Path
) -> Rival:
    name = f"{codec}-{rule}-{len(pictures)}" + ("" if quality is None else f"-{quality}")
    key = crc(pictures) + (shared_codec("default").profile.digest.hex() if codec == "narrows" else "")

    @cache
    def row() -> Row:
        return _code(codec, pictures, quality, rule)

    sizes = kept(
        folder / f"{name}-bytes.npz", key, _Sizes,
        lambda: _Sizes(bytes=row().bytes, shared_bytes=row().shared_bytes),
    )  # fmt: skip
    result = kept(folder / f"{name}.npz", key, Quality, lambda: measure(pictures, row().decoded))
    return Rival(
        codec=codec, label=NAMES[codec], quality=quality, setting="" if quality is None else f"quality {quality}",
        rule=rule, bytes=sizes.bytes, shared_bytes=sizes.shared_bytes,
        bpp=8 * sizes.bytes / (len(pictures) * picture_pixels(pictures)), indices=indices, result=result,
        pictures=pictures,
    )  # fmt: skip


def _code(codec: Conventional, pictures: Pictures, quality: int | None, rule: Rule) -> Row:
    settings = None if quality is None else [quality]
    rows = code_conventional(codec, pictures, settings=settings, rules=[rule])
    if len(rows) != 1:
        raise NarrowsError(f"{codec} gave {len(rows)} results for one setting")
    return rows[0]
