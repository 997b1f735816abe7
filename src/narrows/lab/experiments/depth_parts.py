"""Tables, bars and plates of study imagenette-depth that need a computation of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from narrows.lab.data import Dataset
from narrows.lab.experiments.base import Measured, Pictures, Setting, crc
from narrows.lab.experiments.coded import Model
from narrows.lab.experiments.kept import kept
from narrows.lab.experiments.rivals import Rival
from narrows.lab.measure.colour import Colour, colour
from narrows.lab.measure.seeds import SeedQuality, seed_metrics
from narrows.lab.report.bars import Bar, Panel, bar_chart
from narrows.lab.report.chart import Chart
from narrows.lab.report.pictures import Plate
from narrows.lab.report.plates import Version, comparison_plate, facts_line
from narrows.lab.report.table import Cell, Column, Table
from narrows.lab.study.grid import reconstructed

PAIRINGS = ((1, 75, "a grid of 80 x 80"), (2, 50, "40 x 40"), (3, 25, "20 x 20"))
"""Layers, the JPEG and WebP quality that the study shows beside them, and the size of its latent's grid."""

_CROP = 64  # pixels of a plate's enlarged part
Claimed = Mapping[int, tuple[float, float]]


def study_quality(model: Model, data: Dataset, setting: Setting) -> SeedQuality:
    """The study's own metrics on the whole test part, before quantisation."""
    return kept(
        model.measured(setting) / "study.npz", _key(model), SeedQuality,
        lambda: seed_metrics(data.test.images, reconstructed(model.network, data.test.images)),
    )  # fmt: skip


def chroma(model: Model, data: Dataset, setting: Setting) -> float:
    """The share of the original's mean chroma that is left before quantisation, on the whole test part."""
    return _colour_before(model, data, setting).chroma_ratio


def bars(
    models: Sequence[Model], rivals: Sequence[Sequence[Rival]], data: Dataset, setting: Setting, claimed: Claimed,
    claimed_codecs: Mapping[str, Claimed],
) -> Chart:  # fmt: skip
    """The study's two bar charts as one: PSNR and its SSIM, its own figures as diamonds."""
    found = []
    for depth, model in enumerate(models, 1):
        ssim = study_quality(model, data, setting).ssim_uniform_7_grey
        found.append(Bar(label=model.plan.label, values=(model.floats.mean_psnr_db, ssim), claimed=claimed[depth]))
    for codec in rivals:
        for rival in codec:
            file = setting.output / "measured" / "rivals" / f"study-{rival.codec}-{rival.quality}.npz"
            quality = kept(file, crc(rival.result.mse_of), SeedQuality, partial(_study_of, rival, data.test.images))
            found.append(
                Bar(
                    label=f"{rival.label} {rival.quality}", family=rival.codec,
                    values=(rival.result.mean_psnr_db, quality.ssim_uniform_7_grey),
                    claimed=claimed_codecs[rival.codec][rival.quality or 0],
                )
            )  # fmt: skip
    found.append(Bar(label="TIFF", values=(np.inf, 1.0), claimed=(None, 1.0)))
    panels = (Panel(axis="mean PSNR, dB", form=".2f"), Panel(axis="the study's SSIM", form=".4f", low=0.6))
    return bar_chart(
        "study-bars",
        "The study's bars, before quantisation",
        found,
        panels,
        caption="Diamonds: the study's own figures. The networks' codes are many times larger than the codecs' files.",
    )


def _study_of(rival: Rival, original: Pictures) -> SeedQuality:
    return seed_metrics(original, rival.decoded())


def lossless_table(lossless: Sequence[Rival]) -> Table:
    """The lossless bar: the study shows TIFF with infinite PSNR and no size."""
    columns = (
        Column(name="codec"), Column(name="bytes_each", title="bytes a picture", form=",.0f"),
        Column(name="bpp", title="bits per pixel", form=".2f"),
    )  # fmt: skip
    rows = tuple((rival.label, rival.bytes / len(rival.indices), rival.bpp) for rival in lossless)
    return Table(columns=columns, rows=rows, caption="Without loss")


def colour_table(
    published: Sequence[Model], rated: Sequence[Model], rivals: Sequence[Sequence[Rival]], data: Dataset,
    setting: Setting,
) -> Table:  # fmt: skip
    """Errors of colour: the published networks before quantisation, the others nearest to one bit per pixel."""
    columns = (
        Column(name="model"), Column(name="bpp", title="bits per pixel", form=".2f"),
        Column(name="psnr_y_db", title="Y, dB", form=".2f"), Column(name="psnr_cb_db", title="Cb, dB", form=".2f"),
        Column(name="psnr_cr_db", title="Cr, dB", form=".2f"), Column(name="ciede2000", title="CIEDE2000", form=".2f"),
        Column(name="chroma_ratio", title="chroma left", form=".1%"),
        Column(name="ssim", title="SSIM (luma)", form=".4f"),
        Column(name="ssim_rgb", title="SSIM (R, G, B)", form=".4f"),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for model in published:
        seen = _colour_before(model, data, setting)
        rows.append(
            (f"{model.plan.label}, not quantised", None, *_cells(seen), model.floats.ssim, model.floats.ssim_rgb)
        )
    for model in rated:
        rows.append(_colour_row(model.plan.label, model.points, data, setting, model.plan.name))
    for codec in rivals:
        rows.append(_colour_row(codec[0].label, codec, data, setting, f"{codec[0].codec}-{codec[0].rule}"))
    return Table(columns=columns, rows=tuple(rows), caption="What becomes of colour")


def pairing_plates(models: Sequence[Model], rivals: Sequence[Sequence[Rival]], test: Pictures) -> tuple[Plate, ...]:
    """A picture through the network and both codecs at each pairing, bytes below, whole and a part enlarged."""
    plates = []
    for model, (depth, quality, words) in zip(models, PAIRINGS, strict=False):
        point = model.points[-1]
        order = np.argsort(point.result.psnr_db_of)
        places = [int(order[index]) for index in (-1, len(order) // 2, 0)]
        originals = test[point.indices[places]]
        coders: list[tuple[str, Measured]] = [(model.plan.label, point)]
        coders += [
            (f"{rival.label} {quality}", rival) for codec in rivals for rival in codec if rival.quality == quality
        ]
        versions, parts = [], []
        for label, coder in coders:
            shown = [coder.shown(place) for place in places]
            pixels = np.stack([one.pixels for one in shown])
            lines = tuple(facts_line(one.bytes, one.psnr_db) for one in shown)
            versions.append(Version(label=label, pictures=pixels, lines=lines))
            parts.append(Version(label=label, pictures=_middle(pixels)))
        labels = ("best", "median", "worst")
        title = f"{model.plan.label}, {words}, beside quality {quality}"
        plates.append(comparison_plate(f"pairing-{depth}", title, originals, versions, labels=labels, zoom=1))
        plates.append(
            comparison_plate(
                f"pairing-{depth}-part", f"The same, the middle {_CROP} pixels", _middle(originals), parts,
                labels=labels, zoom=3,
            )
        )  # fmt: skip
    return tuple(plates)


def _middle(pictures: Pictures) -> Pictures:
    top, left = ((side - _CROP) // 2 for side in pictures.shape[1:3])
    return pictures[:, top : top + _CROP, left : left + _CROP]


def _colour_before(model: Model, data: Dataset, setting: Setting) -> Colour:
    return kept(
        model.measured(setting) / "colour.npz", _key(model), Colour,
        lambda: colour(data.test.images, reconstructed(model.network, data.test.images)),
    )  # fmt: skip


def _colour_row(label: str, points: Sequence[Measured], data: Dataset, setting: Setting, name: str) -> tuple[Cell, ...]:
    point = min(points, key=lambda one: abs(np.log(one.bpp)))
    seen = kept(
        setting.output / "measured" / "colour" / f"{name}.npz", crc(point.result.mse_of), Colour,
        lambda: colour(data.test.images[point.indices], point.decoded()),
    )  # fmt: skip
    return (f"{label}, {point.setting}", point.bpp, *_cells(seen), point.result.ssim, point.result.ssim_rgb)


def _cells(seen: Colour) -> tuple[Cell, ...]:
    return seen.psnr_y_db, seen.psnr_cb_db, seen.psnr_cr_db, seen.ciede2000, seen.chroma_ratio


def _key(model: Model) -> str:
    return crc(model.floats.mse_of)
