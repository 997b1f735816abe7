"""A model's figures as lines of metrics.csv, lines of charts and rows of tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from narrows.lab.experiments.base import Measured
from narrows.lab.experiments.coded import Model
from narrows.lab.experiments.rivals import Rival
from narrows.lab.measure.quality import Quality
from narrows.lab.measure.rates import RatePoint
from narrows.lab.report.figures import Losses, Series
from narrows.lab.report.metrics import Measurement
from narrows.lab.report.table import Cell, Column, Table

UNQUANTISED = "before quantisation"

RATE_COLUMNS = (
    Column(name="model"),
    Column(name="setting"),
    Column(name="pictures", form=","),
    Column(name="bytes_each", title="bytes a picture", form=",.0f"),
    Column(name="bpp", title="bits per pixel", form=".3f"),
    Column(name="mean_psnr_db", title="mean PSNR, dB", form=".2f"),
    Column(name="psnr_db", title="PSNR of the mean MSE, dB", form=".2f"),
    Column(name="ssim", title="SSIM", form=".4f"),
)


def quality_rows(
    label: str, result: Quality, *, setting: str = "", seed: int | None = None, split: str = "test"
) -> Iterator[Measurement]:
    """mse, psnr_db, mean_psnr_db, ssim and ssim_rgb of decoded pictures."""
    figures: list[tuple[str, float | None, str]] = [
        ("mse", result.mse, ""), ("psnr_db", result.psnr_db, "dB"), ("mean_psnr_db", result.mean_psnr_db, "dB"),
        ("ssim", result.ssim, ""), ("ssim_rgb", result.ssim_rgb, ""),
    ]  # fmt: skip
    for metric, value, unit in figures:
        if value is not None:
            yield Measurement(
                model=label, setting=setting, seed=seed, split=split, pictures=result.pictures, metric=metric,
                value=value, unit=unit,
            )  # fmt: skip


def point_rows(label: str, point: Measured, *, seed: int | None = None) -> Iterator[Measurement]:
    """The bytes of the files of one setting, and the quality of what came back from them."""
    setting = ", ".join(word for word in (point.setting, point.rule) if word)
    for metric, value, unit in (("bytes", point.bytes, "bytes"), ("bpp", point.bpp, "bits per pixel")):
        yield Measurement(
            model=label, setting=setting, seed=seed, pictures=point.result.pictures, metric=metric, value=value,
            unit=unit,
        )  # fmt: skip
    yield from quality_rows(label, point.result, setting=setting, seed=seed)


def model_rows(model: Model) -> Iterator[Measurement]:
    """Everything that is known of a model."""
    name, seed = model.plan.name, None if model.trained is None else model.seed
    sizes: list[tuple[str, float | None, str]] = [
        ("parameters", model.parameters, ""), ("encoder_macs", model.encoder_macs, ""),
        ("decoder_macs", model.decoder_macs, ""), ("decoder_bytes", model.decoder_bytes, "bytes"),
    ]  # fmt: skip
    for metric, value, unit in sizes:
        if value is not None:
            yield Measurement(model=name, metric=metric, value=value, unit=unit, seed=seed, split="")
    if model.trained is not None:
        best = model.trained.history[model.trained.best - 1]
        for split, metric, number in (
            ("train", "best_epoch", model.trained.best), ("train", "loss", best.train_loss),
            ("train", "mse", best.train_mse), ("train", "seconds", model.trained.history[-1].seconds),
            ("validation", "loss", best.validation_loss), ("validation", "mse", best.validation_mse),
        ):  # fmt: skip
            yield Measurement(model=name, metric=metric, value=number, seed=seed, split=split, setting=UNQUANTISED)
    yield from quality_rows(name, model.floats, setting=UNQUANTISED, seed=seed)
    for point, live in zip(model.points, model.live, strict=True):
        yield from point_rows(name, point, seed=seed)
        yield Measurement(model=name, setting=point.setting, seed=seed, metric="live_channels", value=live)


def rival_rows(rivals: Iterable[Rival]) -> Iterator[Measurement]:
    """Lines of metrics.csv for conventional codecs."""
    for rival in rivals:
        yield from point_rows(rival.codec, rival)


def rate_series(
    label: str, points: Sequence[Measured], *, metric: str = "mean_psnr_db", family: str = "", bold: bool = False
) -> Series:
    """A line of a rate chart. `metric` is a field of Quality: psnr_db, mean_psnr_db, ssim, ssim_rgb."""
    return Series(
        label=label, x=[point.bpp for point in points], y=[float(getattr(point.result, metric)) for point in points],
        family=family, bold=bold,
    )  # fmt: skip


def rate_points(points: Sequence[Measured], metric: str = "mean_psnr_db") -> list[RatePoint]:
    """The same for measure.rates: BD-rates, and the quality at a rate."""
    return [RatePoint(bpp=point.bpp, quality=float(getattr(point.result, metric))) for point in points]


def rate_row(label: str, point: Measured) -> tuple[Cell, ...]:
    """A row under RATE_COLUMNS."""
    result = point.result
    return (
        label, point.setting, result.pictures, point.bytes / result.pictures, point.bpp, result.mean_psnr_db,
        result.psnr_db, result.ssim,
    )  # fmt: skip


def rate_table(groups: Sequence[tuple[str, Sequence[Measured]]], caption: str, note: str = "") -> Table:
    """Every point of every group (label, points)."""
    rows = tuple(rate_row(label, point) for label, points in groups for point in points)
    return Table(columns=RATE_COLUMNS, rows=rows, caption=caption, note=note)


def losses(model: Model, *, family: str = "") -> Losses:
    """The learning curve of a trained model by MSE; OptionError by the chart if nothing was trained."""
    history = () if model.trained is None else model.trained.history
    return Losses(
        label=model.plan.label, train=[epoch.train_mse for epoch in history],
        validation=[epoch.validation_mse for epoch in history], family=family,
    )  # fmt: skip


def network_table(models: Sequence[Model], caption: str, note: str = "") -> Table:
    """What each network is, how it was trained, and how good it is before quantisation, on the whole test part.

    "MMAC" are millions of multiply-accumulates of encoder and decoder for one picture.
    """
    columns = (
        Column(name="model"), Column(name="parameters", form=","),
        Column(name="latent"), Column(name="macs", title="MMAC, in + out"),
        Column(name="decoder_bytes", title="decoder, bytes", form=","), Column(name="epochs"), Column(name="best"),
        Column(name="minutes", title="minutes", form=".1f"),
        Column(name="validation_mse", title="validation MSE", form=".5f"),
        Column(name="mse", title="test MSE", form=".5f"), Column(name="psnr_db", title="PSNR of it, dB", form=".2f"),
        Column(name="mean_psnr_db", title="mean PSNR, dB", form=".2f"), Column(name="ssim", title="SSIM", form=".4f"),
    )  # fmt: skip
    return Table(columns=columns, rows=tuple(_network_row(model) for model in models), caption=caption, note=note)


def _network_row(model: Model) -> tuple[Cell, ...]:
    geometry, trained, floats = model.geometry, model.trained, model.floats
    latent = f"{geometry.latent} a cell" if geometry.cell else f"{geometry.latent} at 1/{geometry.stride}"
    macs = f"{model.encoder_macs / 1e6:.0f} + {model.decoder_macs / 1e6:.0f}"
    training: tuple[Cell, ...] = (None, None, None, None)
    if trained is not None:
        best = trained.history[trained.best - 1]
        training = (len(trained.history), trained.best, trained.history[-1].seconds / 60, best.validation_mse)
    return (
        model.plan.label, model.parameters, latent, macs, model.decoder_bytes, *training, floats.mse, floats.psnr_db,
        floats.mean_psnr_db, floats.ssim,
    )  # fmt: skip


def signed(value: float | None, form: str = "+.1f") -> str:
    """A difference in words, "not decided" where there is none.

    >>> signed(-12.34), signed(None)
    ('-12.3', 'not decided')
    """
    return "not decided" if value is None or not math.isfinite(value) else format(value, form)
