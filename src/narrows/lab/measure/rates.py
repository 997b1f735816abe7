"""Rate against quality of a few models: BD-rate, and the quality at a rate, by `narrows compare`'s own curves."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from narrows.compare.curves import LEAST_OVERLAP, LEAST_POINTS, Curve, Difference, bd_rate, quality_at_rate, rising


@dataclass(frozen=True, kw_only=True)
class RatePoint:
    """One setting: bits per image position, and a quality that rises with it (PSNR in dB for a BD-rate)."""

    bpp: float
    quality: float


def curve(points: Iterable[RatePoint], label: str = "") -> Curve:
    """The points by rising rate; those that cannot be drawn (an infinite quality, no bits) are left out."""
    kept = sorted(
        (point for point in points if math.isfinite(point.quality) and point.bpp > 0), key=lambda point: point.bpp
    )
    return Curve(
        coder=label,
        label=label,
        settings=tuple(float(index) for index in range(len(kept))),
        rate_bpp=tuple(point.bpp for point in kept),
        quality=tuple(point.quality for point in kept),
    )


def bd_rate_percent(
    anchor: Iterable[RatePoint], test: Iterable[RatePoint], *, labels: tuple[str, str] = ("anchor", "test"),
    least: float = LEAST_OVERLAP,
) -> Difference:  # fmt: skip
    """How much rate `test` needs at equal quality, in percent of `anchor`'s, with the interval; negative: less.

    `value` is None and `reason` says why where the curves do not share `least` units of quality, or one has fewer than
    four points that rise.
    """
    both = (curve(anchor, labels[0]), curve(test, labels[1]))
    for one in both:
        if len(one.quality) < LEAST_POINTS:
            reason = f"{one.label} has {len(one.quality)} points, a BD-rate needs {LEAST_POINTS}"
            return Difference(value=None, low=math.nan, high=math.nan, points=0, reason=reason)
    return bd_rate(*both, least=least)


def at_rate(points: Iterable[RatePoint], bpp: float) -> float | None:
    """The quality at a rate; None outside the points' range.

    Between points: akima over the log of the rate, or straight lines over it where fewer than four points rise.
    """
    whole = rising(curve(points))
    if len(whole.quality) >= LEAST_POINTS:
        return quality_at_rate(whole, bpp)
    if not whole.rate_bpp or not whole.rate_bpp[0] <= bpp <= whole.rate_bpp[-1]:
        return None
    return float(np.interp(math.log(bpp), [math.log(rate) for rate in whole.rate_bpp], whole.quality))
