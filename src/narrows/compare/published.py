"""Curves that others published: reading them, choosing which are drawn, and rating the judged coder against them.

Nothing here was run by us. A published curve is a mean over a data set, so it is compared only where the comparison's
pictures may be that set.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from narrows.compare.curves import LEAST_POINTS, Curve, Difference, bd_rate, mean_curve
from narrows.compare.metrics import METRICS, Metric, decibels
from narrows.compare.records import Comparison, PictureRecord, Published
from narrows.compare.samples import select
from narrows.errors import OptionError

SCHEMA = 1

WELL_KNOWN = ("VVC VTM 4:4:4", "AV1 (libaom)", "BPG 4:4:4", "bmshj2018-hyperprior", "ELIC")
"""Those that are drawn unless others are named, if the file has them."""

_SETS = {"kodak": (24, {(768, 512), (512, 768)})}  # dataset -> number of pictures, (width, height)

# Published MS-SSIM is the mean of the linear values, so ours is averaged the same way before it becomes dB.
_MS_SSIM = Metric(
    key="ms-ssim", label="MS-SSIM of the mean, dB", unit="dB", of=lambda point: point.ms_ssim, axis=decibels
)


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """A published curve beside ours: `rate` is the judged coder's BD-rate against it, percent, akima.

    metric  "psnr", or "ms-ssim" for coders that were optimised for MS-SSIM or published in it alone
    drawn   the figures show it
    """

    published: Published
    metric: str
    curve: Curve
    rate: Difference
    drawn: bool


def read_published(path: Path) -> tuple[Published, ...]:
    """The curves of a JSON file, in its order, each by rising rate.

    The file is {"schema": 1, "dataset": name, "curves": [{"name", "kind", "bpp": [...], "psnr": [...] or null,
    "ms_ssim": [...] or null, "source", "notes"}, ...]}; "curves_ms_ssim_only" may hold more, other keys are ignored.
    OptionError, with the place, for anything else; OSError if it cannot be read.
    """
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:  # of JSON and of UTF-8
        raise OptionError(f"is no JSON ({error})", source=str(path)) from None
    try:
        return _read(content)
    except OptionError as error:
        error.source = str(path)
        raise


def choose_drawn(curves: Sequence[Published], names: Sequence[str] | None = None) -> tuple[str, ...]:
    """The names of the curves to draw: `names`, or the well-known ones that are there, or the first five.

    OptionError for a name that is not there, with the names most like it.
    """
    known = [curve.name for curve in curves]
    if names is None:
        return tuple(name for name in WELL_KNOWN if name in known) or tuple(known[: len(WELL_KNOWN)])
    by_lower = {name.lower(): name for name in known}
    for name in names:
        if name.lower() not in by_lower:
            like = [other for other in known if name.lower() in other.lower()] or known
            shown = ", ".join(like[:8]) + (", ..." if len(like) > 8 else "")
            raise OptionError(f"there is no published curve {name!r}; there is {shown or 'none at all'}")
    return tuple(dict.fromkeys(by_lower[name.lower()] for name in names))


def rate_published(comparison: Comparison) -> tuple[PublishedRow, ...]:
    """Every published curve with the judged coder's BD-rate against it; drawn ones first, then the strongest.

    Without a number, and never drawn, where the comparison's pictures are evidently not the set.
    """
    curves = {metric.key: _judged_curve(comparison, metric) for metric in (METRICS["psnr"], _MS_SSIM)}
    rows = []
    for published in comparison.published:
        metric = _metric_of(published)
        curve = _curve_of(published, metric)
        same = same_set(published.dataset, comparison.pictures)
        rate = _rate(curve, curves[metric]) if same is not False else _none("measured on other pictures")
        drawn = published.name in comparison.drawn and same is not False
        rows.append(PublishedRow(published=published, metric=metric, curve=curve, rate=rate, drawn=drawn))
    return tuple(sorted(rows, key=lambda row: (not row.drawn, -_or_least(row.rate.value))))


def note(comparison: Comparison) -> str:
    """A sentence or two on which pictures the published curves are of; "" if there are none."""
    sentences = []
    for dataset in dict.fromkeys(curve.dataset for curve in comparison.published):
        name = dataset or "a set that the file does not name"
        said = f"The published curves are means over {name}, as their authors give them; they were not measured here."
        same = same_set(dataset, comparison.pictures)
        if same is None:
            said += " Whether the pictures of this comparison are that set was not checked."
        elif same:
            said += " The pictures of this comparison have the number and the sizes of that set."
        else:
            count, sizes = _SETS[dataset]
            width, height = max(sizes)
            said += (
                f" The pictures of this comparison are not that set ({count} pictures of {width} x {height}), "
                "so the curves are neither drawn nor compared."
            )
        sentences.append(said)
    if any(_metric_of(curve) == "ms-ssim" for curve in comparison.published):
        sentences.append(
            "Published MS-SSIM is averaged before it is expressed in dB; for BD-rates against such curves ours is too, "
            "while the figures show means of dB, which lie a little higher."
        )
    return " ".join(sentences)


def same_set(dataset: str, pictures: Sequence[PictureRecord]) -> bool | None:
    """Whether the pictures have the number and the sizes of a known data set; None if the set is not known."""
    if dataset not in _SETS:
        return None
    count, sizes = _SETS[dataset]
    return len(pictures) == count and all((picture.width, picture.height) in sizes for picture in pictures)


def _judged_curve(comparison: Comparison, metric: Metric) -> Curve | None:
    judged = comparison.coders[0]
    points = select(comparison, metric).points.get(judged.name)
    return mean_curve(points, metric, label=judged.label) if points else None


def _metric_of(published: Published) -> str:
    optimised = published.ms_ssim is not None and "ms-ssim optimised" in published.name.lower()
    return "ms-ssim" if optimised or published.psnr_db is None else "psnr"


def _curve_of(published: Published, metric: str) -> Curve:
    if metric == "psnr":
        quality = published.psnr_db or ()
    else:
        quality = tuple(decibels(value) for value in published.ms_ssim or ())
    settings = tuple(float(index) for index in range(len(quality)))
    return Curve(coder=published.name, label=published.name, settings=settings, rate_bpp=published.bpp, quality=quality)


def _rate(anchor: Curve, judged: Curve | None) -> Difference:
    if judged is None or len(judged.quality) < LEAST_POINTS:
        return _none("the judged coder has no curve in this metric")
    if len(anchor.quality) < LEAST_POINTS:
        return _none(f"{len(anchor.quality)} points were published, {LEAST_POINTS} are needed")
    return bd_rate(anchor, judged)


def _none(reason: str) -> Difference:
    return Difference(value=None, low=0.0, high=0.0, points=0, reason=reason)


def _or_least(value: float | None) -> float:
    return -math.inf if value is None else value


def _read(content: Any) -> tuple[Published, ...]:
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise OptionError(f'is no file of published curves: a JSON object with "schema": {SCHEMA} is expected')
    dataset = content.get("dataset")
    if not isinstance(dataset, str):
        raise OptionError('"dataset" must be the name of the pictures')
    curves: dict[str, Published] = {}
    for part in ("curves", "curves_ms_ssim_only"):
        entries = content.get(part, [])
        if not isinstance(entries, list):
            raise OptionError(f'"{part}" must be a list')
        for index, entry in enumerate(entries):
            curve = _entry(entry, f"{part}[{index}]", dataset)
            if curve.name in curves:
                raise OptionError(f"{part}[{index}]: there are two curves named {curve.name!r}")
            curves[curve.name] = curve
    if not curves:
        raise OptionError("holds no curve")
    return tuple(curves.values())


def _entry(entry: Any, place: str, dataset: str) -> Published:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str) or not entry["name"]:
        raise OptionError(f"{place}: a curve is an object with a name")
    place = f"{place} ({entry['name']})"
    bpp = _numbers(entry, "bpp", place, 0.0, math.inf)
    psnr = _numbers(entry, "psnr", place, -math.inf, math.inf)
    ms_ssim = _numbers(entry, "ms_ssim", place, 0.0, 1.0)
    if not bpp or (psnr is None and ms_ssim is None):
        raise OptionError(f'{place}: needs "bpp" and one of "psnr" and "ms_ssim"')
    for key, values in (("psnr", psnr), ("ms_ssim", ms_ssim)):
        if values is not None and len(values) != len(bpp):
            raise OptionError(f'{place}: "{key}" has {len(values)} values, "bpp" has {len(bpp)}')
    order = sorted(range(len(bpp)), key=bpp.__getitem__)
    return Published(
        name=entry["name"],
        kind=str(entry.get("kind") or ""),
        bpp=tuple(bpp[index] for index in order),
        psnr_db=None if psnr is None else tuple(psnr[index] for index in order),
        ms_ssim=None if ms_ssim is None else tuple(ms_ssim[index] for index in order),
        source=str(entry.get("source") or ""),
        notes=str(entry.get("notes") or ""),
        dataset=dataset,
    )


def _numbers(entry: dict[str, Any], key: str, place: str, low: float, high: float) -> list[float] | None:
    """A list of finite numbers between low and high, both excluded; None if it is null or missing."""
    values = entry.get(key)
    if values is None:
        return None
    if not isinstance(values, list):
        raise OptionError(f'{place}: "{key}" must be a list of numbers or null')
    for value in values:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or not low < value < high:
            wanted = "a finite number" if low == -math.inf else f"above {low:g}" + (f", below {high:g}" * (high == 1))
            raise OptionError(f'{place}: "{key}" holds {value!r}, each must be {wanted}')
    return [float(value) for value in values]
