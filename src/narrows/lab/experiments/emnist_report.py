"""The report of study emnist-decoders: claims beside our figures, then what they rest on."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from narrows.lab.experiments.coded import Model
from narrows.lab.experiments.emnist_parts import (
    BAR_BPP,
    STUDY_BPP,
    Findings,
    Spread,
    best_point,
    by_model,
    bytes_each,
    character_chart,
    character_plate,
    control_table,
    epochs,
    groups,
    learning,
    live_chart,
    mean_of,
    model_table,
    rate_tables,
    size_table,
)
from narrows.lab.experiments.emnist_plans import LATENT
from narrows.lab.experiments.rows import model_rows, rival_rows
from narrows.lab.report.document import Claim, Report, Section
from narrows.lab.report.metrics import Measurement


def emnist_report(findings: Findings) -> Report:
    """The whole report, from what was measured."""
    models = (*findings.published, *findings.linear, *findings.controls, findings.own, findings.pca)
    metrics = [line for model in models for line in model_rows(model)]
    metrics += [
        line for model in models if model not in (findings.own, findings.pca) for line in _rows(findings, model)
    ]
    metrics += [line for codec in findings.rivals for line in rival_rows(codec)]
    return Report(
        name="emnist-decoders",
        title="Four decoders, and the latents that died",
        verdict=_verdict(findings),
        claims=tuple(_claims(findings)),
        sections=(
            Section(title="The four models", text=_FOUR, blocks=(model_table(findings), live_chart(findings))),
            Section(title="What else could matter", text=_CONTROLS, blocks=(control_table(findings),)),
            Section(
                title="What a character costs", text=_BYTES,
                blocks=(character_chart(findings), *rate_tables(findings)),
            ),
            Section(title="The set in bytes", text=_SIZES, blocks=(size_table(findings),)),
            Section(title="To look at", text=_LOOK, blocks=(character_plate(findings), epochs(findings))),
            Section(title="Learning", blocks=(learning(findings),)),
        ),
        command=findings.setting.command("emnist-decoders"),
        note=_note(findings),
        facts=(
            f"{len(findings.data.train):,} training, {len(findings.data.test):,} test pictures of 28 x 28",
            f"{findings.seeds()} seed(s) of each of the study's models",
        ),
        metrics=tuple(metrics),
    )  # fmt: skip


_FOUR = (
    "One encoder, four decoders that differ in which transposed convolution has stride 2. **Live** latents are those "
    "that ever change on the test pictures: a ReLU whose input is never above zero writes the same number into every "
    "code. With a linear latent nothing can die. Means over seeds, and the spread (sample standard deviation) over "
    "them. The study's loss is of its own, larger set."
)
_CONTROLS = (
    "Model 1 with a linear latent and one thing changed at a time: the study argues for strides and transposed "
    "convolutions. `grid` is how far a checkerboard of period 2 stands out of the spectrum, in dB over the originals'."
)
_BYTES = (
    "Rate is the size of files on disk over 28 x 28 positions a character, decoded by a separate process. `sheet` is "
    "one file for the whole test part, headers included. A file for each character costs more in headers than in "
    "pictures, so JPEG is shown in four ways: as saved, with optimised tables, with tables written once for all "
    "(abbreviated), and as a sheet. The model is not in the rate; its bytes are in the table of networks."
)
_SIZES = "What the study calls the data set's size, and what it is. Its ratio compares float32 with float32."
_LOOK = "Pictures of the test part at their own size, enlarged without smoothing."


def _verdict(findings: Findings) -> str:
    relu, linear = (by_model(models, "mse") for models in (findings.published, findings.linear))
    best = best_point(findings)
    own = (
        f"Our network writes a character in **{best.bytes / best.result.pictures:.1f} bytes ({best.bpp:.3f} bits per "
        f"pixel) at an MSE of {best.result.mse:.5f}**, everything included."
        if best
        else f"Our network has no setting at or below {BAR_BPP} bits per pixel."
    )
    told = (
        "so what looked like a ranking of decoders was one of dead latents"
        if _worst_over_best(linear) < _worst_over_best(relu)
        else "so here the linear latent did not bring the decoders together"
    )
    return (
        f"With the study's ReLU the four models end at an MSE of {_listed(relu)}, with a linear latent at "
        f"{_listed(linear)}: {told}. {own}"
    )


def _worst_over_best(models: Mapping[int, Spread]) -> float:
    means = [spread.mean for spread in models.values()]
    return max(means) / min(means)


def _listed(spreads: Mapping[int, Spread]) -> str:
    return " / ".join(f"{spread.mean:.4f}" for spread in spreads.values())


def _claims(findings: Findings) -> list[Claim]:
    relu, linear = (by_model(models, "mse") for models in (findings.published, findings.linear))
    live = {key: Spread(values=tuple(findings.of(m).live for m in group)) for key, group in groups(findings.published)}
    spread = [_worst_over_best(ranks) for ranks in (relu, linear)]
    uniform = _uniform(findings)
    ratio = 8 / (8 * bytes_each(findings.pca.points[-1]) / 28**2)
    return [
        Claim(
            claimed="Model 01 is best, model 02 far behind (MSE 0.0040 / 0.0112 / 0.0042 / 0.0053).",
            found=f"MSE {_listed(relu)} with {' / '.join(map(str, live.values()))} of {LATENT} latents alive; with "
            f"a linear latent {_listed(linear)}. Worst over best: {spread[0]:.2f} with the ReLU, "
            f"{spread[1]:.2f} without.",
            verdict="false" if spread[1] < spread[0] else "open",
        ),
        Claim(
            claimed="PSNR 26.0 / 20.3 / 24.9 / 23.9 dB and SSIM 0.981 / 0.923 / 0.974 / 0.969, on ten pictures.",
            found=f"On {len(findings.data.test):,} pictures by the same two metrics: {uniform}.",
            verdict="partly",
        ),
        Claim(
            claimed="337 MB become 14 MB: a ratio of 24.5.",
            found="Float32 against float32, nothing written to disk. Against the bytes of the pictures it is 6.1; one "
            f"byte a latent is {STUDY_BPP:.3f} bits per pixel, and the sizes of real files are below.",
            verdict="false",
        ),
        Claim(
            claimed="Dimensionality is reduced by the network.",
            found=f"{LATENT} principal components, which need no network, give an MSE of "
            f"{findings.pca.floats.mse:.4f} ({ratio:.0f}:1 in real bytes at their finest step).",
            verdict="holds" if findings.pca.floats.mse > min(linear.values(), key=mean_of).mean else "false",
        ),
    ]  # fmt: skip


def _uniform(findings: Findings) -> str:
    parts = []
    for metric, form in (("psnr_own_range_db", ".1f"), ("ssim_uniform_11", ".3f")):
        means = []
        for _, group in groups(findings.published):
            values = [getattr(findings.of(model), metric) for model in group]
            means.append(format(fmean(values), form) if None not in values else "none")
        parts.append(" / ".join(means))
    return f"PSNR {parts[0]} dB, SSIM {parts[1]}"


def _rows(findings: Findings, model: Model) -> list[Measurement]:
    found, count = findings.of(model), len(findings.data.test)
    figures: list[tuple[str, float | None, str]] = [
        ("live_units", found.live, ""), ("ssim_uniform_11", found.ssim_uniform_11, ""),
        ("psnr_own_range_db", found.psnr_own_range_db, "dB"), ("grid_2_db", found.grid_db, "dB"),
    ]  # fmt: skip
    return [
        Measurement(model=model.plan.name, seed=model.seed, pictures=count, metric=metric, value=value, unit=unit)
        for metric, value, unit in figures
        if value is not None
    ]


def _note(findings: Findings) -> str:
    recipe, own = findings.published[0].plan.recipe, findings.own.plan.recipe
    assert recipe is not None and own is not None  # both are trained
    return (
        f"Data: {findings.data.note}. The study's networks: {recipe.epochs} epochs in batches of {recipe.batch} "
        "(the study: 15 epochs of 112,800 pictures in batches of 128; smaller batches make up for some steps), Adam "
        f"at {recipe.rate:g}, Keras' start, squared error, no rate in the loss; the epoch is chosen on validation "
        f"pictures. Ours: {own.epochs} epochs in batches of {own.batch}, one network for all its rates. Quantised "
        "models store every latent in 2^bits steps over its range in training pictures; dead latents cost nothing."
    )
