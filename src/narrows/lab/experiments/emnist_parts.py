"""What the report of emnist-decoders is made of: the findings, their tables, charts and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np

from narrows.lab.data import Dataset
from narrows.lab.experiments.base import Measured, Setting
from narrows.lab.experiments.coded import Model
from narrows.lab.experiments.emnist_plans import LATENT
from narrows.lab.experiments.rivals import Rival
from narrows.lab.experiments.rows import losses, rate_series, rate_table
from narrows.lab.report.chart import Chart
from narrows.lab.report.clouds import Cloud, scatter_chart
from narrows.lab.report.figures import Plot, Reference, loss_chart, rate_chart
from narrows.lab.report.pictures import Plate
from narrows.lab.report.plates import Version, comparison_plate, epoch_plate
from narrows.lab.report.table import Cell, Column, Table

CLAIMED_PSNR = {1: 26.02, 2: 20.26, 3: 24.85, 4: 23.90}
"""dB, of ten test pictures, each against its own range."""
CLAIMED_SSIM = {1: 0.98057, 2: 0.92342, 3: 0.97389, 4: 0.96943}
CLAIMED_MSE = {1: 0.00401, 2: 0.01121, 3: 0.00421, 4: 0.00533}
"""The study's own losses on its whole test set, at the end of 15 epochs on 112,800 pictures."""
CLAIMED_LIVE = {1: 28, 2: 13, 3: 28, 4: 24}
"""Counted in the published weights: of 32."""
BAR_BPP, BAR_MSE = 0.25, 0.0030
STUDY_BPP = 8 * LATENT / 28**2
"""One byte a number, not coded: 0.327."""


@dataclass(frozen=True, kw_only=True)
class Character:
    """What is asked of the study's networks alone, before quantisation. The two metrics are the study's own."""

    live: int
    ssim_uniform_11: float | None
    psnr_own_range_db: float | None
    grid_db: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Findings:
    """All that was measured: every seed of the four models, and `characters` by plan name and seed."""

    setting: Setting
    data: Dataset
    published: tuple[Model, ...]
    linear: tuple[Model, ...]
    controls: tuple[Model, ...]
    own: Model
    pca: Model
    characters: Mapping[tuple[str, int], Character]
    rivals: tuple[tuple[Rival, ...], ...]

    def of(self, model: Model) -> Character:
        return self.characters[model.plan.name, model.seed]

    def seeds(self) -> int:
        return len({model.seed for model in self.published})


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A figure over the seeds."""

    values: tuple[float, ...]

    def __str__(self) -> str:
        """Mean and sample standard deviation: "0.00401 ± 0.00012"; without the latter for one value."""
        mean = f"{fmean(self.values):.4g}"
        return mean if len(self.values) < 2 else f"{mean} ± {stdev(self.values):.2g}"

    @property
    def mean(self) -> float:
        return fmean(self.values)


def mean_of(spread: Spread) -> float:
    return spread.mean


def groups(models: Sequence[Model]) -> list[tuple[int, list[Model]]]:
    """All seeds of each of the study's models, by its number."""
    numbers = sorted({_number(model) for model in models})
    return [(number, [model for model in models if _number(model) == number]) for number in numbers]


def _number(model: Model) -> int:
    return int(model.plan.name.split("-")[1])


def by_model(models: Sequence[Model], metric: str) -> dict[int, Spread]:
    return {
        number: Spread(values=tuple(float(getattr(model.floats, metric)) for model in group))
        for number, group in groups(models)
    }


def model_table(findings: Findings) -> Table:
    columns = (
        Column(name="model"), Column(name="latent"), Column(name="live", title=f"live of {LATENT}"),
        Column(name="mse", title="test MSE"), Column(name="psnr_db", title="PSNR of it, dB", form=".2f"),
        Column(name="mean_psnr_db", title="mean PSNR, dB", form=".2f"), Column(name="ssim", title="SSIM", form=".4f"),
        Column(name="macs", title="million MAC", form=".1f"), Column(name="claimed_live", title="study: live"),
        Column(name="claimed_mse", title="study: MSE", form=".5f"),
        Column(name="claimed_psnr", title="study: PSNR of ten, dB", form=".2f"),
        Column(name="claimed_ssim", title="study: SSIM of ten", form=".3f"),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for latent, models in (("ReLU", findings.published), ("linear", findings.linear)):
        for number, group in groups(models):
            claims: tuple[Cell, ...] = (None,) * 4
            if latent == "ReLU":
                claims = (CLAIMED_LIVE[number], CLAIMED_MSE[number], CLAIMED_PSNR[number], CLAIMED_SSIM[number])
            rows.append((
                f"{number:02d}", latent, str(Spread(values=tuple(findings.of(model).live for model in group))),
                str(Spread(values=tuple(model.floats.mse for model in group))),
                fmean(model.floats.psnr_db for model in group), fmean(model.floats.mean_psnr_db for model in group),
                fmean(model.floats.ssim for model in group),
                (group[0].encoder_macs + group[0].decoder_macs) / 1e6, *claims,
            ))  # fmt: skip
    return Table(
        columns=columns, rows=tuple(rows),
        caption=f"Before quantisation, on the whole test part; {findings.seeds()} seed(s)",
        note="The study's PSNR and SSIM are of ten pictures by metrics of its own; the claims above have ours by them.",
    )  # fmt: skip


def live_chart(findings: Findings) -> Chart:
    clouds = [
        Cloud(
            label=label, x=[findings.of(model).live for model in models], y=[model.floats.mse for model in models],
            family=family,
        )
        for label, models, family in (
            ("ReLU latent", findings.published, "jpeg"), ("linear latent", findings.linear, "narrows"),
        )
    ]  # fmt: skip
    study = Cloud(label="the study's own four", x=list(CLAIMED_LIVE.values()), y=list(CLAIMED_MSE.values()))
    return scatter_chart(
        "live", "The loss follows the number of live latents", [*clouds, study],
        Plot(x=f"live latents of {LATENT}", y="test MSE", whole_x=True),
        caption="A point for every training. The study's points are on its own set.",
    )  # fmt: skip


def control_table(findings: Findings) -> Table:
    columns = (
        Column(name="model"), Column(name="live", title=f"live of {LATENT}"),
        Column(name="mse", title="test MSE", form=".5f"), Column(name="psnr_db", title="PSNR of it, dB", form=".2f"),
        Column(name="ssim", title="SSIM", form=".4f"), Column(name="grid", title="grid, dB", form="+.2f"),
        Column(name="macs", title="million MAC", form=".1f"),
    )  # fmt: skip
    first = [model for model in (*findings.published, *findings.linear) if model.seed == 0]
    rows = tuple(
        (
            model.plan.label, findings.of(model).live, model.floats.mse, model.floats.psnr_db, model.floats.ssim,
            findings.of(model).grid_db, (model.encoder_macs + model.decoder_macs) / 1e6,
        )
        for model in (*first, *findings.controls)
    )  # fmt: skip
    return Table(columns=columns, rows=rows, caption="One training each (seed 0), before quantisation")


def _coded(findings: Findings) -> list[Model]:
    """The study's networks that made files, seed 0."""
    return [model for model in (*findings.published, *findings.linear) if model.points and model.seed == 0]


def character_chart(findings: Findings) -> Chart:
    series = [rate_series("ours", findings.own.points, metric="psnr_db", family="narrows", bold=True)]
    series += [rate_series(model.plan.label, model.points, metric="psnr_db") for model in _coded(findings)]
    series.append(rate_series(findings.pca.plan.label, findings.pca.points, metric="psnr_db"))
    for codec in findings.rivals:
        if codec[0].rule in ("sheet", "abbreviated") and codec[0].codec in ("jpeg", "webp"):
            family = "webp" if codec[0].codec == "webp" else "jpeg"
            series.append(rate_series(f"{codec[0].label}, {codec[0].rule}", codec, metric="psnr_db", family=family))
    return rate_chart(
        "rate", "Bytes against quality, the whole test part", series, y="PSNR of the mean MSE, dB",
        caption=f"The study's own rate, one byte a latent and no header, would be {STUDY_BPP:.3f} bits per pixel.",
    )  # fmt: skip


def rate_tables(findings: Findings) -> tuple[Table, ...]:
    ours: list[tuple[str, Sequence[Measured]]] = [("ours", findings.own.points)]
    ours += [(model.plan.label, model.points) for model in _coded(findings)]
    ours.append((findings.pca.plan.label, findings.pca.points))
    others = [(f"{codec[0].label}, {codec[0].rule}", codec) for codec in findings.rivals]
    return (
        rate_table(ours, "Networks and PCA: one file for the whole test part"),
        _seed_table(findings),
        rate_table(others, "Conventional codecs", "G4 is bilevel: its pictures are black and white only."),
    )


def _seed_table(findings: Findings) -> Table:
    """The same files over all seeds."""
    columns = (
        Column(name="model"), Column(name="setting"), Column(name="bytes_each", title="bytes a character"),
        Column(name="mse", title="MSE"), Column(name="psnr_db", title="PSNR of it, dB"),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for models in (findings.published, findings.linear):
        for _, group in groups([model for model in models if model.points]):
            for index, point in enumerate(group[0].points):
                points = [model.points[index] for model in group]
                rows.append((
                    group[0].plan.label, point.setting, str(Spread(values=tuple(bytes_each(one) for one in points))),
                    str(Spread(values=tuple(one.result.mse for one in points))),
                    str(Spread(values=tuple(one.result.psnr_db for one in points))),
                ))  # fmt: skip
    return Table(
        columns=columns, rows=tuple(rows), caption=f"The study's models in bytes over {findings.seeds()} seed(s)"
    )


def bytes_each(point: Measured) -> float:
    return point.bytes / point.result.pictures


def size_table(findings: Findings) -> Table:
    count = len(findings.data.test)
    pixels, model = count * 28**2, _coded(findings)[-1]
    columns = (
        Column(name="what"), Column(name="bytes", form=","),
        Column(name="share", title="of the pixels' bytes", form=".1%"),
        Column(name="psnr_db", title="PSNR of the mean MSE, dB", form=".2f"),
    )  # fmt: skip
    best = best_point(findings) or findings.own.points[0]
    png = next(codec[0] for codec in findings.rivals if codec[0].codec == "png" and codec[0].rule == "sheet")
    sized: list[tuple[str, float, float]] = [
        ("pixels as uint8", pixels, float("inf")),
        ("pixels as float32, which the study counts from", 4 * pixels, float("inf")),
        ("latents as float32, which it counts to", 4 * LATENT * count, model.floats.psnr_db),
        ("latents at one byte each, not coded", LATENT * count, model.points[-1].result.psnr_db),
        *((f"{model.plan.label}, {point.setting}, a real file", point.bytes, point.result.psnr_db)
          for point in model.points[::-1]),
        (f"ours, {best.setting}, a real file", best.bytes, best.result.psnr_db),
        ("PNG, one sheet", png.bytes, png.result.psnr_db),
    ]  # fmt: skip
    rows = tuple((what, round(size), size / pixels, psnr) for what, size, psnr in sized)
    return Table(columns=columns, rows=rows, caption=f"The test part, {count:,} characters")


def character_plate(findings: Findings) -> Plate:
    """Best, median and worst character of our network, and what the others make of them."""
    order = np.argsort(-findings.own.points[0].result.psnr_db_of)
    places = np.array([order[round(share * (len(order) - 1))] for share in (0, 0.25, 0.5, 0.75, 1)])
    shown: list[tuple[str, Measured]] = [("ours", best_point(findings) or findings.own.points[0])]
    shown += [(model.plan.label, model.points[-1]) for model in _coded(findings)]
    sheet = next(codec for codec in findings.rivals if codec[0].codec == "jpeg" and codec[0].rule == "sheet")
    near = min(sheet, key=lambda rival: abs(rival.bytes - shown[0][1].bytes))
    shown.append((f"JPEG, {near.setting}, sheet", near))
    versions = [
        Version(
            label=label, pictures=point.decoded(places),
            lines=tuple(
                (f"{bytes_each(point):.1f} bytes", f"{point.result.psnr_db_of[place]:.1f} dB") for place in places
            ),
        )
        for label, point in shown
    ]  # fmt: skip
    return comparison_plate(
        "characters", "The same characters through every coder", findings.data.test.images[places], versions,
        labels=("best", "upper quarter", "median", "lower quarter", "worst"), zoom=4,
        caption="Bytes are a character's share of the sheet. Ranked by our network's PSNR.",
    )  # fmt: skip


def epochs(findings: Findings) -> Plate:
    models = [model for model in (*findings.published, findings.own) if model.seed == 0 and model.trained is not None]
    return epoch_plate(
        "epochs", "A validation picture after every epoch",
        [(model.plan.label, model.trained.strip[:, 0]) for model in models if model.trained is not None],
        original=findings.data.validation.images[0], zoom=3,
    )  # fmt: skip


def learning(findings: Findings) -> Chart:
    models = [model for model in (*findings.published, *findings.linear) if model.seed == 0]
    return loss_chart(
        "losses", "Squared error over the epochs", [losses(model) for model in models],
        references=[Reference(label="study, model 01", value=CLAIMED_MSE[1])],
    )  # fmt: skip


def best_point(findings: Findings) -> Measured | None:
    """Our network's best setting within the rate that was asked for."""
    within = [point for point in findings.own.points if point.bpp <= BAR_BPP]
    return min(within, key=lambda point: point.result.mse) if within else None
