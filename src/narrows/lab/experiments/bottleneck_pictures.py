"""Pictures of the report of bottleneck: the slider, the same bytes through every coder, epochs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from narrows.lab.experiments.base import Pictures, Shown
from narrows.lab.experiments.bottleneck_findings import SetFindings
from narrows.lab.experiments.bottleneck_parts import bytes_each
from narrows.lab.experiments.coded import Model, Point
from narrows.lab.measure.conventional import Conventional, Rule, code_conventional
from narrows.lab.measure.quality import Quality, measure
from narrows.lab.report.document import Axis, Position, Slider
from narrows.lab.report.pictures import Plate, Tile, mosaic
from narrows.lab.report.plates import Version, comparison_plate, epoch_plate, facts_line

_CASES = ("best", "median", "worst")
_QUALITIES = (1, 2, 3, 5, 7, 10, 14, 19, 25, 32, 40, 50, 60, 70, 80, 90, 95)


def bottleneck_slider(found: SetFindings) -> Slider:
    """Numbers in the bottleneck and bits for each, to turn."""
    subject = found.subject
    settings = [point.setting for point in found.conv[0].points]
    stops = (*settings, "not quantised")
    places = product(range(len(subject.widths)), range(len(stops)))
    return Slider(
        name=f"{subject.name}-slider",
        title=f"{subject.label} through a bottleneck",
        axes=(
            Axis(
                label="numbers in the bottleneck", stops=tuple(map(str, subject.widths)),
                start=subject.widths.index(subject.reference),
            ),
            Axis(label="each number in", stops=stops, start=len(settings) // 2),
        ),
        positions=tuple(_position(found, width, bits) for width, bits in places),
        caption="Bytes are a picture's share of a file with the whole test part, dB is PSNR of the mean MSE over it; "
        "the pictures come out of that file. Not quantised there is no file: four bytes a number, by count.",
        zoom=3 if subject.channels == 1 else 4,  # so that two coders stand side by side on a narrow page
    )  # fmt: skip


def _position(found: SetFindings, width: int, bits: int) -> Position:
    subject = found.subject
    originals = found.data.test.images[found.shown]
    shown = [Tile(pixels=_sheet(originals), alt="The originals", lines=("original", f"{subject.samples:,} bytes"))]
    facts = []
    for label, models in found.families():
        model = models[width]
        quantised = bits < len(model.points)
        point = model.points[bits] if quantised else None
        size = bytes_each(point) if point else 4.0 * subject.widths[width]
        result: Quality = point.result if point else model.floats
        pixels = found.tiles[model.plan.name, point.quality if point else -1]
        words = f"{size:,.1f} bytes" if point else f"{size:,.0f} bytes by count"
        shown.append(Tile(pixels=_sheet(pixels), alt=f"Through {label}", lines=(label, words)))
        facts.append((label, f"{size:,.1f} B, {result.psnr_db:.2f} dB, SSIM {result.ssim:.3f}"))
        if point and label == "convolutional":
            facts.append(("its bits per pixel", f"{point.bpp:.3f}"))
            counted = int(point.setting.split()[0]) * subject.widths[width] / 8
            facts.append(("by count", f"{counted:,.1f} B"))
    return Position(tiles=tuple(shown), facts=tuple(facts))


def _sheet(pictures: Pictures) -> Pictures:
    return mosaic(pictures, 2 if pictures.ndim == 3 else 1)


def same_bytes_plate(found: SetFindings) -> Plate:
    """Best, median and worst pictures as files of their own, at as nearly the same bytes as each coder can."""
    cases = found.alone.indices[: len(_CASES)]
    originals = found.data.test.images[cases]
    ours = [found.alone.rated[-1].shown(place) for place in range(len(cases))]
    linear = [_nearest_point(found.alone.linear, place, ours[place].bytes) for place in range(len(cases))]
    versions = [_version("conv, rate in the loss", ours), _version("PCA, equal steps", linear)]
    coders: tuple[tuple[str, Conventional, Rule], ...] = (
        ("JPEG without tables", "jpeg", "abbreviated"), ("JPEG, optimised tables", "jpeg", "optimised"),
        ("WebP", "webp", "each"),
    )  # fmt: skip
    for label, codec, rule in coders:
        nearest = [
            _nearest_file(codec, rule, original[None], mine.bytes)
            for original, mine in zip(originals, ours, strict=True)
        ]
        versions.append(_version(label, nearest))
    return comparison_plate(
        f"{found.subject.name}-same-bytes",
        f"{found.subject.label}: as nearly the same bytes as each coder can", originals, versions, labels=_CASES,
        zoom=4,
        caption="A file each, headers included; JPEG without tables is without them. Ranked over the whole test part "
        "by the first coder's PSNR. Where a coder has more bytes than the first, it cannot write less.",
    )  # fmt: skip


def _version(label: str, shown: Sequence[Shown]) -> Version:
    return Version(
        label=label, pictures=np.stack([one.pixels for one in shown]),
        lines=tuple(facts_line(one.bytes, one.psnr_db) for one in shown),
    )  # fmt: skip


def _nearest_point(points: Sequence[Point], place: int, wanted: float) -> Shown:
    """The picture at the setting whose file has nearest to so many bytes."""
    sizes = [abs(point.files[place].stat().st_size - wanted) for point in points]
    return points[int(np.argmin(sizes))].shown(place)


def _nearest_file(codec: Conventional, rule: Rule, picture: Pictures, wanted: float) -> Shown:
    """The same of a conventional codec; tables that are shared are not counted."""
    rows = code_conventional(codec, picture, settings=_QUALITIES, rules=[rule])
    row = min(rows, key=lambda row: (abs(row.bytes - row.shared_bytes - wanted), row.bytes))
    psnr_db = measure(picture, row.decoded).psnr_db
    return Shown(pixels=row.decoded[0], bytes=row.bytes - row.shared_bytes, psnr_db=psnr_db)


def width_plate(found: SetFindings) -> Plate:
    """The slider's first pictures over all widths, before quantisation."""
    originals = found.data.test.images[found.shown][:4]
    versions = [
        Version(label=str(width), pictures=found.tiles[model.plan.name, -1][:4])
        for width, model in zip(found.subject.widths, found.conv, strict=True)
    ]
    title = f"{found.subject.label}: the same pictures through every width, convolutional, before quantisation"
    return comparison_plate(f"{found.subject.name}-over-widths", title, originals, versions, zoom=3)


def epochs(found: SetFindings) -> Plate:
    models: tuple[Model, ...] = (found.at_reference(found.conv), found.at_reference(found.dense), found.rated[0])
    strips = [(model.plan.label, model.trained.strip[:, 0]) for model in models if model.trained is not None]
    return epoch_plate(
        f"{found.subject.name}-epochs", f"{found.subject.label}: a validation picture after each epoch", strips,
        original=found.data.validation.images[0], zoom=2,
    )  # fmt: skip
