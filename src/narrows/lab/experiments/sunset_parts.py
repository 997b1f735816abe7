"""Tables and plates of study sunset that need a computation of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from narrows.compare.metrics import psnr_of
from narrows.lab.data import Dataset
from narrows.lab.experiments.base import Indices, Measured, Pictures, Setting, crc
from narrows.lab.experiments.coded import Model
from narrows.lab.experiments.kept import kept
from narrows.lab.latent_space import decode_codes, latents
from narrows.lab.measure.artefacts import grid_db, sharpness
from narrows.lab.measure.rates import RatePoint, at_rate
from narrows.lab.report.pictures import Plate, PlateRow, Tile, difference
from narrows.lab.report.plates import Version, comparison_plate
from narrows.lab.report.table import Cell, Column, Table
from narrows.lab.study.grid import reconstructed

_GAIN = 4


@dataclass(frozen=True, kw_only=True)
class Skips:
    """What the stored skips are of the code, at the finest quality: a share of its numbers and of its bits.

    with_db and without_db are the PSNR of the mean MSE before quantisation, as it is and with every skip's numbers
    replaced by their mean. bpp_file is that of the files.
    """

    value_share: float
    bit_share: float
    bpp_file: float
    with_db: float
    without_db: float


def skip_share(model: Model, pictures: Pictures) -> Skips:
    """Of a network whose latent is a bottleneck and then skips, on `pictures` (N, H, W, 3)."""
    network, steps, point = model.network, model.steps, model.points[-1]
    if steps is None:
        raise RuntimeError("this model has not been coded")
    first = bottleneck(model)
    height, width = pictures.shape[1:3]
    grid = network.geometry.grid(height, width)
    y = latents(network, pictures).reshape(len(pictures), network.geometry.latent, *grid)
    symbols = steps.symbols(y, point.quality)
    bits = np.array([_entropy(symbols[:, channel]) for channel in range(symbols.shape[1])])
    y[:, first:] = y[:, first:].mean((0, 2, 3), keepdims=True)
    without = decode_codes(network, y.reshape(len(y), -1), (height, width))
    errors = np.square(without.astype(np.float32) - pictures)
    return Skips(
        value_share=1 - first / symbols.shape[1],
        bit_share=float(bits[first:].sum() / max(bits.sum(), 1e-9)),
        bpp_file=point.bpp,
        with_db=model.floats.psnr_db,
        without_db=psnr_of(float(errors.mean(dtype=np.float64))),
    )


def bottleneck(model: Model) -> int:
    """Channels of the latent that are not a packed skip."""
    skips = model.network.encoder.state_dict()
    last = [tensor for name, tensor in skips.items() if ".bottom." in name and tensor.ndim == 4][-1]
    return int(last.shape[0])


def skip_table(skips: Skips) -> Table:
    columns = (
        Column(name="figure"),
        Column(name="with", title="skips counted"),
        Column(name="without", title="not counted"),
    )
    rows: tuple[tuple[Cell, ...], ...] = (
        ("share of the numbers", "100 %", f"{1 - skips.value_share:.1%}"),
        ("share of the bits", "100 %", f"{1 - skips.bit_share:.1%}"),
        ("bits per pixel, files", f"{skips.bpp_file:.3f}", f"{skips.bpp_file * (1 - skips.bit_share):.3f}"),
        ("PSNR before quantisation, dB", f"{skips.with_db:.2f}", f"{skips.without_db:.2f}"),
    )
    return Table(
        columns=columns, rows=rows, caption="The network with stored skips, at its finest quality",
        note="The right column is what a study reports that leaves the skips out of the rate; its last row leaves them "
        "out of the picture too.",
    )  # fmt: skip


def ablation_table(base: Model, ablations: Sequence[Model]) -> Table:
    columns = (
        Column(name="network"), Column(name="parameters", form=","),
        Column(name="validation_mse", title="validation MSE", form=".5f"),
        Column(name="psnr_db", title="PSNR of the mean MSE, dB", form=".2f"),
        Column(name="difference", title="to baseline, dB", form="+.2f"), Column(name="ssim", title="SSIM", form=".4f"),
        Column(name="minutes", title="training, minutes", form=".1f"),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for model in (base, *ablations):
        history = model.trained.history if model.trained else ()
        rows.append(
            (
                model.plan.label, model.parameters, min(epoch.validation_mse for epoch in history),
                model.floats.psnr_db, model.floats.psnr_db - base.floats.psnr_db, model.floats.ssim,
                history[-1].seconds / 60,
            )
        )  # fmt: skip
    return Table(columns=columns, rows=tuple(rows), caption="One ingredient changed at a time")


@dataclass(frozen=True, kw_only=True)
class _Texture:
    grid_2: float
    grid_4: float
    grid_8: float
    sharpness: float


def texture_table(models: Sequence[Model], data: Dataset, setting: Setting) -> Table:
    """The grid that upsampling leaves, and blur, on the test pictures before quantisation."""
    columns = (
        Column(name="network"), *(Column(name=f"grid_{n}", title=f"grid of {n}, dB", form="+.2f") for n in (2, 4, 8)),
        Column(name="sharpness", form=".3f"),
    )  # fmt: skip
    rows = []
    for model in models:
        found = _texture(model, data.test.images, setting)
        rows.append((model.plan.label, found.grid_2, found.grid_4, found.grid_8, found.sharpness))
    return Table(columns=columns, rows=tuple(rows), caption="What a squared error does not see")


def _texture(model: Model, original: Pictures, setting: Setting) -> _Texture:
    def made() -> _Texture:
        decoded = reconstructed(model.network, original)
        grids = [grid_db(original, decoded, period) for period in (2, 4, 8)]
        return _Texture(grid_2=grids[0], grid_4=grids[1], grid_8=grids[2], sharpness=sharpness(original, decoded))

    key = f"{crc(model.floats.mse_of)} {crc(original)}"
    return kept(model.measured(setting) / "texture.npz", key, _Texture, made)


def warm_table(groups: Sequence[tuple[str, Sequence[Measured]]], warm: Indices, rate: float) -> Table:
    """Mean PSNR at one rate over all coded pictures and over the warm ones among them; rates are those of all."""
    columns = (
        Column(name="model"), Column(name="all", title=f"all, dB at {rate:g} bpp", form=".2f"),
        Column(name="warm", title="warm skies, dB", form=".2f"), Column(name="pictures", title="warm pictures"),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for label, points in groups:
        chosen = [np.isin(point.indices, warm) for point in points]
        curves = [
            [
                RatePoint(bpp=p.bpp, quality=float(p.result.psnr_db_of[taken].mean()))
                for p, taken in zip(points, part, strict=True)
            ]
            for part in ([np.ones_like(taken) for taken in chosen], chosen)
            if part[0].any()
        ]
        values = [at_rate(curve, rate) for curve in curves]
        rows.append((label, values[0], values[1] if len(values) > 1 else None, int(chosen[0].sum())))
    return Table(columns=columns, rows=tuple(rows), caption="Warm skies beside all pictures")


def difference_plates(base: Model, deep: Model, pictures: Pictures) -> tuple[Plate, ...]:
    """Original, both networks and their errors; then the study's own map, enhanced less baseline."""
    order = np.argsort(base.floats.mse_of)
    places = order[[0, len(order) // 2, -1]]
    originals = pictures[places]
    versions = []
    for model in (base, deep):
        lines = tuple((f"{model.floats.psnr_db_of[place]:.2f} dB",) for place in places)
        versions.append(Version(label=model.plan.label, pictures=reconstructed(model.network, originals), lines=lines))
    first, second = (version.pictures for version in versions)
    rows = []
    for index in range(len(places)):
        tiles = tuple(
            Tile(pixels=difference(first[index], second[index], gain), alt=f"Enhanced less baseline, times {gain}")
            for gain in (1, 8)
        )
        rows.append(PlateRow(tiles=tiles))
    labels = ("best", "median", "worst")
    return (
        comparison_plate(
            "differences", "Original, baseline, enhanced, and their signed errors", originals, versions, labels=labels,
            gain=_GAIN, zoom=1,
        ),
        Plate(
            name="study-map", title="The study's own map: enhanced less baseline", rows=tuple(rows),
            heads=("as the study shows it", "8 times amplified"), zoom=1,
            caption="Near black (here grey) as published, it says nothing about either network's error.",
        ),
    )  # fmt: skip


def _entropy(symbols: Pictures | np.ndarray[tuple[int, ...], np.dtype[np.int32]]) -> float:
    """Bits of all symbols of a channel by their own histogram."""
    _, counts = np.unique(symbols, return_counts=True)
    return float(-(counts * np.log2(counts / counts.sum())).sum())
