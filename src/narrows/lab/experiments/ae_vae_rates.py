"""What the report of ae-vae says about bytes: files, ideal rates, and ratios that were asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence

from narrows.lab.experiments.ae_vae_parts import RATE, Findings, rival_label
from narrows.lab.experiments.ae_vae_plans import LATENT, SIDE, VARIANCE
from narrows.lab.experiments.rivals import Rival
from narrows.lab.experiments.rows import rate_points, rate_series
from narrows.lab.measure.rates import bd_rate_percent
from narrows.lab.nets.sizes import nominal_bpp
from narrows.lab.report.chart import Chart
from narrows.lab.report.figures import Plot, Series, line_chart, rate_chart
from narrows.lab.report.table import Cell, Column, Table


def digit_chart(findings: Findings) -> Chart:
    pairs = [pair for pair in findings.vectors if pair[0].seed == 0]
    series = []
    for plain, bound in pairs:
        first = plain.geometry.latent == LATENT
        series.append(rate_series(bound.plan.label, bound.points, metric="psnr_db", bold=first,
                                  family="narrows" if first else ""))  # fmt: skip
        series.append(rate_series(plain.plan.label, plain.points, metric="psnr_db"))
        found = findings.of(bound)
        if found.kl_bits is not None and found.random_mse:
            ideal = 10 * math.log10(1 / found.random_mse)
            series.append(Series(label=f"KL / ln 2, {plain.geometry.latent} numbers", x=[found.kl_bits / SIDE**2],
                                 y=[ideal], dashed=True))  # fmt: skip
    series.append(rate_series(findings.pca_vector.plan.label, findings.pca_vector.points, metric="psnr_db"))
    for codec in findings.digit_rivals:
        series.append(rate_series(rival_label(codec), codec, metric="psnr_db", family=codec[0].codec))
    return rate_chart(
        "digits", "A digit in bytes", series, y="PSNR of the mean MSE, dB",
        caption="One file for the whole test part. The hollow points are not files: the KL is what an ideal coder of "
        "random codes would need, shown with the error of such codes.",
    )  # fmt: skip


def ideal_table(findings: Findings) -> Table:
    """Bits of files beside the KL, for the variational networks."""
    columns = (
        Column(name="model"), Column(name="setting"), Column(name="kl", title="KL / ln 2, bits a picture", form=",.1f"),
        Column(name="bits", title="file, bits a picture", form=",.1f"),
        Column(name="share", title="file / KL", form=".2f"),
        Column(name="mse", title="MSE, file", form=".5f"), Column(name="random", title="MSE, random code", form=".5f"),
        Column(name="psnr_db", title="PSNR of the mean MSE, file, dB", form=".2f"),
    )  # fmt: skip
    models = [pair[1] for pair in findings.vectors if pair[0].seed == 0]
    rows: list[tuple[Cell, ...]] = []
    for model in (*models, findings.maps[1], findings.own[2]):
        found = findings.of(model)
        for point in model.points:
            bits = 8 * point.bytes / point.result.pictures
            share = bits / found.kl_bits if found.kl_bits else None
            rows.append((
                model.plan.label, point.setting, found.kl_bits, bits, share, point.result.mse, found.random_mse,
                point.result.psnr_db,
            ))  # fmt: skip
    return Table(
        columns=columns, rows=tuple(rows), caption="The ideal rate and the files",
        note="A file holds the mean, rounded in steps that are a multiple of the channel's sigma; it decodes to the "
        "same picture every time. At steps of 3.46 sigma rounding errs as much as the posterior's noise.",
    )  # fmt: skip


def map_chart(findings: Findings) -> Chart:
    looks = {findings.own[1].plan.label: "narrows", "WebP": "webp", "AVIF": "avif"}
    series = [
        rate_series(label, points, metric="psnr_db", bold=label == findings.own[1].plan.label,
                    family=looks.get(label, "jpeg" if label.startswith("JPEG") else ""))
        for label, points in findings.map_groups()
        if points[0].bpp > 0.02
    ]  # fmt: skip
    return rate_chart(
        "photographs", "Photographs in grey: bytes against quality", series, y="PSNR of the mean MSE, dB",
        caption="A file each, headers included.",
    )  # fmt: skip


def half_bit_table(findings: Findings) -> Table:
    columns = (
        Column(name="model"), Column(name="low", title="0.3 bpp", form=".2f"),
        Column(name="half", title=f"PSNR of the mean MSE at {RATE:g} bpp, dB", form=".2f"),
        Column(name="high", title="0.8 bpp", form=".2f"),
        Column(name="bd", title="BD-rate to optimised JPEG, %", form="+.1f"),
        Column(name="decoder", title="decoder, bytes", form=","),
    )  # fmt: skip
    shipped = {model.plan.label: model.decoder_bytes for model in findings.all()}
    anchor = jpeg(findings)
    rows: list[tuple[Cell, ...]] = []
    for label, points in findings.map_groups():
        bd = bd_rate_percent(rate_points(anchor, "psnr_db"), rate_points(points, "psnr_db"), labels=("JPEG", label))
        rows.append((
            label, findings.at(points, 0.3), findings.at(points), findings.at(points, 0.8),
            None if points is anchor else bd.value, shipped.get(label),
        ))  # fmt: skip
    return Table(
        columns=columns, rows=tuple(rows), caption="At equal bytes", strong=(0, 1),
        note="Between settings by interpolation over the logarithm of the rate; a dash is outside of what was "
        f"measured. Our VAE has a given variance of {VARIANCE:g} in its likelihood, chosen so that its rate lies near "
        f"{RATE:g} bits per pixel.",
    )  # fmt: skip


def jpeg(findings: Findings) -> Sequence[Rival]:
    """With optimised tables, a file each."""
    return next(codec for codec in findings.rivals if codec[0].codec == "jpeg" and codec[0].rule == "optimised")


def ratio_table(findings: Findings) -> Table:
    columns = (
        Column(name="wanted", title="wanted ratio", form="g"), Column(name="channels"),
        Column(name="nominal", title="8-bit latents, ratio", form=".1f"),
        Column(name="float32", title="float32 latents, ratio", form=".1f"),
        Column(name="achieved", title="files, ratio", form=".1f"),
        Column(name="bytes", title="bytes a picture", form=",.0f"),
        Column(name="psnr_db", title="PSNR of the mean MSE, dB", form=".2f"),
        Column(name="live", title="live channels"),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for wanted, model in findings.ratios:
        point, latent = model.points[-1], model.geometry.latent
        nominal = 8 / nominal_bpp(latent, stride=model.geometry.stride)
        rows.append((
            wanted, latent, nominal, nominal / 4, 8 / point.bpp, point.bytes / point.result.pictures,
            point.result.psnr_db, f"{model.live[-1]} of {latent}",
        ))  # fmt: skip
    return Table(
        columns=columns, rows=tuple(rows), caption="The study's rule, channels = 256 / ratio, in bytes of files",
        note="Against 8 bits a pixel. Entropy coding and dead channels make files smaller than the rule says, and the "
        "more so the more channels there are.",
    )  # fmt: skip


def ratio_chart(findings: Findings) -> Chart:
    wanted = [ratio for ratio, _ in findings.ratios]
    achieved = [8 / model.points[-1].bpp for _, model in findings.ratios]
    return line_chart(
        "ratio", "Wanted and achieved ratio",
        [Series(label="files", x=wanted, y=achieved, bold=True, family="narrows"),
         Series(label="as asked", x=wanted, y=wanted, dashed=True)],
        Plot(x="wanted ratio (logarithmic)", y="achieved ratio (logarithmic)", log_x=True, log_y=True),
    )  # fmt: skip
