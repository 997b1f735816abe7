"""The same place in a picture through several coders at equal bytes: what the figures mean to the eye.

    choose_pictures  ->  nearest bytes per coder  ->  detailed_place  ->  crop and difference map

Three rules keep this honest, and the report states them. The pictures are those on which the judged coder wins and
loses most, as many of each. The judged coder has one setting for all of them, the others come as near to its bytes as
their settings allow. The place is chosen from the original alone, before anything is decoded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narrows.compare.analysis import Analysis
from narrows.compare.codecs import WorkingCoder, nearest_setting
from narrows.compare.records import Comparison, Crop, CropRow, Pixels
from narrows.errors import OptionError
from narrows.search import psnr_db

SIDE = 192
TARGET_BPP = 0.3
"""Mean over all pictures: low enough to see differences, high enough for a file that somebody might keep."""
DIFFERENCE_GAIN = 4
RIVAL = "avif420"
CROP_CODERS = ("narrows", "jpeg420", "webp", "avif420", "jxl")
PLACE_RULE = (
    "the square with the most edges that survive shrinking the original to a quarter of its size, "
    "so outlines rather than grain"
)

_SHRINK = 4
_STEP = 16
_TOO_FAR = 1.5  # times the wanted bytes, either way: beyond it "equal bytes" is no longer what is shown


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A picture to show, why it was chosen (for the caption), and the size of the files in bytes."""

    picture: str
    why: str
    target_bytes: int


def choose_pictures(
    comparison: Comparison, analysis: Analysis, *, wins: int = 2, losses: int = 2, target_bpp: float = TARGET_BPP
) -> tuple[Choice, ...]:
    """The pictures that the judged coder does best and worst on against the opponent of rival_of, none twice.

    The files' size is that of the judged coder at the one setting whose mean rate is nearest to `target_bpp`. Where
    there are no BD-rates to go by, the first pictures of the comparison. Empty without a curve of the judged coder.
    OptionError for a rate that is not above 0.
    """
    if not (target_bpp > 0 and math.isfinite(target_bpp)):
        raise OptionError(f"crops at {target_bpp:g} bits per pixel: it must be above 0")
    sizes = _sizes(comparison, analysis, target_bpp)
    rival = rival_of(analysis)
    pair = next((p for metric in analysis.metrics[:1] for p in metric.pairs if p.opponent == rival), None)
    items = [(item.rate.value, item.picture) for item in pair.pictures] if pair is not None else []
    known = sorted((value, name) for value, name in items if value is not None and name in sizes)
    if pair is None or not known:
        first = [row.name for row in analysis.pictures if row.name in sizes][:wins]
        return tuple(Choice(picture=n, why="one of the first in the list", target_bytes=sizes[n]) for n in first)
    best = known[: min(wins, math.ceil(len(known) / 2))]
    worst = known[max(len(best), len(known) - losses) :][::-1]
    return tuple(
        Choice(
            picture=name,
            why=_caption(value, place, side, analysis.judged_label, pair.label),
            target_bytes=sizes[name],
        )
        for side, group in (("best", best), ("worst", worst))
        for place, (value, name) in enumerate(group)
    )


def rival_of(analysis: Analysis) -> str | None:
    """The opponent that pictures are sorted by: AVIF as Pillow makes it, or whoever comes first; None if nobody."""
    return RIVAL if RIVAL in analysis.opponents else next(iter(analysis.opponents), None)


def make_crops(
    choices: Sequence[Choice],
    load: Callable[[str], Pixels],
    coders: Sequence[WorkingCoder],
    *,
    side: int = SIDE,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[CropRow, ...]:
    """A row per chosen picture: the original and every coder's version of one place, all files of about equal size.

    The first coder is set to the bytes nearest to the choice's, the others to the bytes nearest to its file. A coder
    that fails on a picture, or cannot come within a factor of 1.5 of those bytes, is left out of that row; `say` gets
    a line about it. `load` gives a picture (H, W, 3) by its name. OptionError for a side below 1.
    """
    if side < 1:
        raise OptionError(f"crops of {side} pixels a side: it must be at least 1")
    rows = []
    for choice in choices:
        original = load(choice.picture)
        top, left = detailed_place(original, side)
        crops = _row(choice, original, (top, left, side), coders, say)
        if crops:
            shown = np.ascontiguousarray(original[top : top + side, left : left + side])
            rows.append(
                CropRow(picture=choice.picture, why=choice.why, left=left, top=top, original=shown, crops=tuple(crops))
            )
    return tuple(rows)


def detailed_place(original: Pixels, side: int) -> tuple[int, int]:
    """(top, left) of the square of `side` pixels with the most outlines, on a grid of 16 pixels; see PLACE_RULE.

    In a picture smaller than the square the crop is what there is: (0, 0) in that direction.
    """
    height, width = original.shape[:2]
    energy = _outlines(original)
    sums = np.pad(energy.cumsum(0).cumsum(1), ((1, 0), (1, 0)))

    def total(top: int, left: int) -> float:
        y0, x0 = top // _SHRINK, left // _SHRINK
        y1, x1 = min(y0 + side // _SHRINK, energy.shape[0]), min(x0 + side // _SHRINK, energy.shape[1])
        return float(sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0])

    places = [
        (top, left)
        for top in range(0, max(height - side, 0) + 1, _STEP)
        for left in range(0, max(width - side, 0) + 1, _STEP)
    ]
    return max(places, key=lambda place: total(*place))  # of equal ones the first: deterministic


def difference_map(original: Pixels, decoded: Pixels, gain: float = DIFFERENCE_GAIN) -> Pixels:
    """How far each sample is from the original, times `gain`, cut at 255; black is equal. Same shape as both."""
    distance = np.abs(original.astype(np.int16) - decoded)
    amplified: Pixels = np.minimum(distance * gain, 255).astype(np.uint8)
    return amplified


def _sizes(comparison: Comparison, analysis: Analysis, target_bpp: float) -> dict[str, int]:
    """The judged coder's bytes for each picture at the setting whose mean rate is nearest to `target_bpp`."""
    if not analysis.metrics:
        return {}
    curve = analysis.metrics[0].curves[0]
    steps = zip(curve.rate_bpp, curve.settings, strict=True)
    _, setting = min(steps, key=lambda step: abs(math.log(step[0] / target_bpp)))
    points = (p for p in comparison.points if p.coder == analysis.judged and p.setting == setting)
    return {point.picture: point.bytes for point in points}


def _row(
    choice: Choice,
    original: Pixels,
    square: tuple[int, int, int],
    coders: Sequence[WorkingCoder],
    say: Callable[[str], None],
) -> list[Crop]:
    """The crops of all coders, the first one's bytes being the target of the others; empty if the first one fails."""
    target_bytes = choice.target_bytes
    crops: list[Crop] = []
    for working in coders:
        try:
            crop = _crop(original, square, working, target_bytes)
        except Exception as error:  # a codec library may raise anything; one coder less is better than no report
            say(f"{choice.picture}: {working.coder.label} is left out of the crops: {' '.join(str(error).split())}")
            crop = None
        if crop is not None and not target_bytes / _TOO_FAR <= crop.bytes <= target_bytes * _TOO_FAR and crops:
            say(f"{choice.picture}: {working.coder.label} cannot come near {target_bytes} bytes, left out of the crops")
            continue
        if crop is not None:
            crops.append(crop)
            target_bytes = crops[0].bytes
        elif not crops:
            break
    return crops


def _crop(original: Pixels, square: tuple[int, int, int], working: WorkingCoder, target_bytes: int) -> Crop:
    top, left, side = square
    setting, data = nearest_setting(working, original, target_bytes)
    decoded = working.decode(data)
    if decoded.shape != original.shape:
        raise ValueError(f"decodes to {decoded.shape}, the original is {original.shape}")
    part = np.ascontiguousarray(decoded[top : top + side, left : left + side])
    return Crop(
        coder=working.coder.name,
        label=working.coder.label,
        setting=setting,
        bytes=len(data),
        bpp=8 * len(data) / (original.shape[0] * original.shape[1]),
        psnr_db=psnr_db(original, decoded),
        pixels=part,
        difference=difference_map(original[top : top + side, left : left + side], part),
    )


def _outlines(original: Pixels) -> NDArray[np.float64]:
    """Strength of the edges of the luma shrunk by boxes of 4x4, (ceil(H/4), ceil(W/4)); its root, so many count more.

    Without the root one hard border would outweigh a face.
    """
    luma = original.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    luma = np.pad(luma, ((0, -luma.shape[0] % _SHRINK), (0, -luma.shape[1] % _SHRINK)), mode="edge")
    rows, columns = luma.shape[0] // _SHRINK, luma.shape[1] // _SHRINK
    small = luma.reshape(rows, _SHRINK, columns, _SHRINK).mean(axis=(1, 3))
    down, across = np.zeros_like(small), np.zeros_like(small)
    down[1:] = np.diff(small, axis=0)
    across[:, 1:] = np.diff(small, axis=1)
    strength: NDArray[np.float64] = np.sqrt(np.hypot(down, across))
    return strength


def _caption(value: float, place: int, side: str, judged: str, opponent: str) -> str:
    """Such as "narrows needs 21.3 % fewer bytes than AVIF 4:2:0 at equal quality: its best picture of all"."""
    amount = f"{abs(value):.1f} % {'fewer' if value < 0 else 'more'} bytes than {opponent} at equal quality"
    rank = {0: f"its {side}", 1: f"its second {side}", 2: f"its third {side}"}.get(place, f"among its {side}")
    return f"{judged} needs {amount}, {rank} picture"
