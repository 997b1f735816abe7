"""Tables and charts of the report of bottleneck, each of one data set."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev

import numpy as np

from narrows.lab.experiments.base import Measured
from narrows.lab.experiments.bottleneck_findings import PIXELS, SetFindings
from narrows.lab.experiments.coded import Model, Point
from narrows.lab.experiments.rows import losses, rate_series, rate_table
from narrows.lab.measure.conventional import code_conventional
from narrows.lab.report.chart import Chart
from narrows.lab.report.clouds import class_chart
from narrows.lab.report.figures import Plot, Series, line_chart, loss_chart, rate_chart
from narrows.lab.report.table import Cell, Column, Table

PLANNED_QUALITY = 25
"""Of the one JPEG that the plan asks for."""
_FLOAT_BYTES = 4
_CODEC_RULES = (
    ("jpeg", "each", "JPEG as saved"), ("jpeg", "optimised", "JPEG, optimised tables"),
    ("jpeg", "abbreviated", "JPEG without tables"), ("jpeg", "sheet", "JPEG, one sheet"),
    ("webp", "each", "WebP as saved"), ("webp", "sheet", "WebP, one sheet"),
)  # fmt: skip


def front(models: Sequence[Model]) -> list[Point]:
    """Of all widths and bits those that no other beats in bytes and squared error at once, by rising rate."""
    kept: list[Point] = []
    for point in sorted((point for model in models for point in model.points), key=lambda point: point.bytes):
        if not kept or point.result.mse < kept[-1].result.mse:
            kept.append(point)
    return kept


def bytes_each(point: Measured) -> float:
    return point.bytes / point.result.pictures


def width_chart(found: SetFindings) -> Chart:
    families = {"convolutional": "narrows", "dense": "jpeg", "PCA": "other"}
    series = [
        Series(
            label=label, x=list(found.subject.widths), y=[model.floats.psnr_db for model in models],
            family=families[label], bold=label == "convolutional",
        )
        for label, models in found.families()
    ]  # fmt: skip
    plot = Plot(
        x="numbers in the bottleneck (logarithmic)", y="PSNR of the mean MSE, dB", log_x=True,
        ticks_x=tuple(map(float, found.subject.widths)),
    )  # fmt: skip
    name = f"{found.subject.name}-widths"
    return line_chart(name, f"{found.subject.label}: what so many numbers keep, before quantisation", series, plot)


def bits_chart(found: SetFindings) -> Chart:
    series = [rate_series(f"{model.geometry.latent} numbers", model.points, metric="psnr_db") for model in found.conv]
    return rate_chart(
        f"{found.subject.name}-bits", f"{found.subject.label}: width against bits, convolutional", series,
        y="PSNR of the mean MSE, dB",
    )  # fmt: skip


def byte_chart(found: SetFindings) -> Chart:
    """Everything that makes files, by squared error."""
    series = [
        rate_series("conv, rate in the loss", found.rated[0].points, metric="psnr_db", family="narrows", bold=True),
        rate_series("dense, rate in the loss", found.rated[1].points, metric="psnr_db"),
        rate_series("PCA, equal steps", found.stepped.points, metric="psnr_db", family="other"),
    ]
    names = (("conv", found.conv, "narrows"), ("PCA", found.pca, "other"))
    series += [
        rate_series(f"{label}, quantised after", front(models), metric="psnr_db", family=family)
        for label, models, family in names
    ]
    series += [
        rate_series(label, found.rival(codec, rule), metric="psnr_db", family=codec)
        for codec, rule, label in _CODEC_RULES
        if rule in ("abbreviated", "sheet") or codec == "webp"
    ]
    return rate_chart(
        f"{found.subject.name}-rate", f"{found.subject.label}: quality against bytes", series,
        y="PSNR of the mean MSE, dB",
    )  # fmt: skip


def similarity_chart(found: SetFindings) -> Chart:
    series = [
        rate_series("conv, rate in the loss", found.rated[0].points, metric="ssim", family="narrows", bold=True),
        rate_series("PCA, equal steps", found.stepped.points, metric="ssim", family="other"),
        rate_series("JPEG, one sheet", found.rival("jpeg", "sheet"), metric="ssim", family="jpeg"),
        rate_series("WebP, one sheet", found.rival("webp", "sheet"), metric="ssim", family="webp"),
    ]
    return rate_chart(f"{found.subject.name}-ssim", f"{found.subject.label}: SSIM against bytes", series, y="SSIM")


def sweep_table(found: SetFindings) -> Table:
    """A row a width: parameters and quality of the three families before quantisation."""
    columns = (
        Column(name="numbers"), Column(name="float_bpp", title="float32, bpp", form=".2f"),
        Column(name="conv_parameters", title="conv, parameters", form=","),
        Column(name="dense_parameters", title="dense, parameters", form=","),
        *(Column(name=f"{name}_db", title=f"{name}, dB", form=".2f") for name in ("conv", "dense", "PCA")),
        *(Column(name=f"{name}_ssim", title=f"{name}, SSIM", form=".4f") for name in ("conv", "dense", "PCA")),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for width, *models in zip(found.subject.widths, found.conv, found.dense, found.pca, strict=True):
        rows.append((
            width, 8 * _FLOAT_BYTES * width / found.subject.pixels, models[0].parameters, models[1].parameters,
            *(model.floats.psnr_db for model in models), *(model.floats.ssim for model in models),
        ))  # fmt: skip
    return Table(
        columns=columns, rows=tuple(rows), caption=f"{found.subject.label}: before quantisation, whole test part",
        note="dB is PSNR of the mean MSE; the MSE and the mean PSNR are in `metrics.csv`.",
        strong=(found.subject.widths.index(found.subject.reference),),
    )  # fmt: skip


def bits_table(found: SetFindings) -> Table:
    """The reference by bits: what counting says, what the file has, and what is lost."""
    width = found.subject.reference
    columns = (
        Column(name="network"), Column(name="quantised"),
        Column(name="counted", title="bytes counted", form=",.1f"),
        Column(name="bytes_each", title="in the file", form=",.1f"), Column(name="bpp", title="bpp", form=".3f"),
        Column(name="psnr_db", title="dB", form=".2f"), Column(name="loss_db", title="to floats, dB", form="+.2f"),
        Column(name="ssim", title="SSIM", form=".4f"), Column(name="live", title="live numbers"),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for label, models in found.families():
        model = found.at_reference(models)
        rows.append((
            label, "no: float32, not a file", float(_FLOAT_BYTES * width), None,
            8 * _FLOAT_BYTES * width / found.subject.pixels, model.floats.psnr_db, 0.0, model.floats.ssim, width,
        ))  # fmt: skip
        for point, live in reversed(list(zip(model.points, model.live, strict=True))):
            counted = int(point.setting.split()[0]) * width / 8
            lost = point.result.psnr_db - model.floats.psnr_db
            rows.append((
                label, f"after training, {point.setting}", counted, bytes_each(point), point.bpp,
                point.result.psnr_db, lost, point.result.ssim, live,
            ))  # fmt: skip
    for model in found.rated:
        for point, live in reversed(list(zip(model.points, model.live, strict=True))):
            rows.append((
                model.plan.label.split(",")[0], f"in training, {point.setting}", None, bytes_each(point), point.bpp,
                point.result.psnr_db, None, point.result.ssim, live,
            ))  # fmt: skip
    return Table(
        columns=columns, rows=tuple(rows),
        caption=f"{found.subject.label}: {width} numbers by bits, and {found.subject.widths[-1]} with the rate in the "
        "loss",
        note="Bytes are a picture's share of one file for the whole test part; dB is PSNR of the mean MSE. A number is "
        "live if it ever changes in training pictures.",
    )  # fmt: skip


def header_table(found: SetFindings) -> Table:
    """One picture's bytes by every rule, at the plan's JPEG quality and in our files."""
    columns = (
        Column(name="coder"), Column(name="setting"), Column(name="bytes_each", title="bytes a picture", form=",.1f"),
        Column(name="flat", title="a flat picture, bytes", form=","),
        Column(name="bpp", title="bits per pixel", form=".3f"),
        Column(name="psnr_db", title="PSNR of the mean MSE, dB", form=".2f"),
        Column(name="ssim", title="SSIM", form=".4f"),
    )  # fmt: skip
    flat = np.full_like(found.data.test.images[:1], 128)
    rows: list[tuple[Cell, ...]] = []
    for codec, rule, label in _CODEC_RULES:
        group = found.rival(codec, rule)
        point = next(one for one in group if one.quality == PLANNED_QUALITY)
        empty: int | None = None
        if rule != "sheet":
            [row] = code_conventional(point.codec, flat, settings=[PLANNED_QUALITY], rules=[point.rule])
            empty = row.bytes - row.shared_bytes
        rows.append((
            label, point.setting, bytes_each(point), empty, point.bpp, point.result.psnr_db, point.result.ssim
        ))  # fmt: skip
    for label, points in (
        ("conv, rate in the loss, one sheet", found.rated[0].points),
        ("conv, rate in the loss, a file each", found.alone.rated),
        ("PCA, equal steps, one sheet", found.stepped.points),
        ("PCA, equal steps, a file each", found.alone.linear),
    ):
        for ours in (points[0], points[-1]):
            rows.append((
                label, ours.setting, bytes_each(ours), None, ours.bpp, ours.result.psnr_db, ours.result.ssim
            ))  # fmt: skip
    return Table(
        columns=columns, rows=tuple(rows), caption=f"{found.subject.label}: what headers cost",
        note="A flat picture is almost all header. Our files each are of "
        f"{len(found.alone.indices)} pictures, all other rows of the whole test part.",
    )  # fmt: skip


def every_point(found: SetFindings) -> Table:
    groups: list[tuple[str, Sequence[Measured]]] = [(model.plan.label, model.points) for model in found.rated]
    groups.append((found.stepped.plan.label, found.stepped.points))
    groups += [(label, found.rival(codec, rule)) for codec, rule, label in _CODEC_RULES]
    caption = f"{found.subject.label}: every setting of what is in the chart; the sweep is in metrics.csv"
    return rate_table(groups, caption)


def seed_table(found: SetFindings) -> Table:
    """The reference's networks over their seeds, and the pair of near-equal parameters."""
    columns = (
        Column(name="network"), Column(name="parameters", form=","),
        Column(name="macs", title="MMAC, in + out", form=".2f"),
        Column(name="seeds"), Column(name="psnr_db", title="PSNR of the mean MSE, dB", form=".2f"),
        Column(name="spread", title="spread over seeds, dB", form=".3f"), Column(name="ssim", title="SSIM", form=".4f"),
        Column(name="mse", title="test MSE", form=".5f"), Column(name="minutes", form=".1f"),
    )  # fmt: skip
    firsts = (found.at_reference(found.conv), found.at_reference(found.dense), *found.matched)
    rows: list[tuple[Cell, ...]] = []
    for first in firsts:
        group = [first, *(model for model in found.repeats if model.plan.name == first.plan.name)]
        values = [model.floats.psnr_db for model in group]
        seconds = first.trained.history[-1].seconds if first.trained else None
        rows.append((
            first.plan.label, first.parameters, (first.encoder_macs + first.decoder_macs) / 1e6, len(group),
            fmean(values), stdev(values) if len(values) > 1 else None, fmean(model.floats.ssim for model in group),
            fmean(model.floats.mse for model in group), None if seconds is None else seconds / 60,
        ))  # fmt: skip
    caption = f"{found.subject.label}: convolutional against dense, {found.subject.reference} numbers"
    return Table(columns=columns, rows=tuple(rows), caption=caption, note="Spread: sample standard deviation.")


def loss_table(found: SetFindings) -> Table | None:
    """The two losses at the reference; None where the other was not trained."""
    if found.cross_entropy is None:
        return None
    columns = (
        Column(name="loss"), Column(name="mse", title="test MSE", form=".5f"),
        Column(name="psnr_db", title="PSNR of the mean MSE, dB", form=".2f"),
        Column(name="mean_psnr_db", title="mean PSNR, dB", form=".2f"), Column(name="ssim", title="SSIM", form=".4f"),
    )  # fmt: skip
    rows = tuple(
        (label, model.floats.mse, model.floats.psnr_db, model.floats.mean_psnr_db, model.floats.ssim)
        for label, model in (
            ("squared error", found.at_reference(found.conv)), ("cross-entropy from logits", found.cross_entropy),
        )
    )  # fmt: skip
    return Table(
        columns=columns, rows=rows, caption=f"{found.subject.label}: two losses, {found.subject.reference} numbers"
    )


def learning(found: SetFindings) -> Chart:
    models = (found.at_reference(found.conv), found.at_reference(found.dense), *found.rated)
    return loss_chart(
        f"{found.subject.name}-losses", f"{found.subject.label}: squared error over the epochs",
        [losses(model) for model in models],
    )  # fmt: skip


def epoch_table(sets: Sequence[SetFindings]) -> Table:
    """How much the epochs after the twentieth bring, which is where the plan would have begun to stop."""
    columns = (
        Column(name="network"), Column(name="epochs"),
        Column(name="early", title="best validation MSE to epoch 20", form=".5f"),
        Column(name="late", title="to the last", form=".5f"), Column(name="gain", title="gain, dB", form="+.2f"),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for found in sets:
        for model in (found.at_reference(found.conv), found.at_reference(found.dense), *found.rated):
            values = [epoch.validation_mse for epoch in model.trained.history] if model.trained else []
            if len(values) > 20:
                early, late = min(values[:20]), min(values)
                gain = 10 * float(np.log10(early / late))
                rows.append((f"{found.subject.label}, {model.plan.label}", len(values), early, late, gain))
    return Table(
        columns=columns, rows=tuple(rows), caption="20 epochs and more",
        note="The rate of learning falls over the whole run, so a run of 20 would end better than this one at 20.",
    )  # fmt: skip


def neighbour_table(found: SetFindings) -> Table:
    columns = (
        Column(name="numbers"), *(Column(name=label, form=".1%") for label, _ in found.families()),
    )  # fmt: skip
    rows = tuple(
        (width, *(found.neighbours[model.plan.name].accuracy for model in models))
        for width, *models in zip(found.subject.widths, found.conv, found.dense, found.pca, strict=True)
    )
    raw = found.neighbours[PIXELS]
    return Table(
        columns=columns, rows=rows,
        caption=f"{found.subject.label}: codes whose {raw.k} nearest others vote for their own class",
        note=f"Of {raw.codes:,} test codes, in the whole latent space. The pixels themselves: **{raw.accuracy:.1%}**; "
        f"saying the largest class every time: {raw.chance:.1%}.",
    )  # fmt: skip


def class_charts(found: SetFindings) -> tuple[Chart, ...]:
    labels = found.data.test.labels
    if labels is None:
        return ()
    name, title = found.subject.name, f"{found.subject.label}, {found.at_reference(found.conv).plan.label} numbers"
    flat, deep, near = found.classes.flat, found.classes.deep, found.classes.near
    axes = [f"axis {index + 1}, {share:.0%}" for index, share in enumerate(deep.explained)]
    names = found.data.classes
    return (
        class_chart(
            f"{name}-pca-2", f"{title}: PCA in two dimensions", flat.points, labels[flat.indices], names,
            axes=axes[:2],
        ),
        class_chart(
            f"{name}-tsne", f"{title}: t-SNE", near.points, labels[near.indices], names,
        ),
        class_chart(
            f"{name}-pca-3", f"{title}: PCA in three dimensions", deep.points, labels[deep.indices], names, axes=axes,
            caption=f"{deep.method}, seen along each axis. Above: {near.method}.",
        ),
    )  # fmt: skip
