"""The report of study sunset: claims beside our figures, then what they rest on."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np

from narrows.lab.data import Dataset
from narrows.lab.experiments.base import Indices, Measured, Setting
from narrows.lab.experiments.coded import Model
from narrows.lab.experiments.rivals import Rival
from narrows.lab.experiments.rows import (
    losses,
    model_rows,
    network_table,
    rate_points,
    rate_series,
    rate_table,
    rival_rows,
    signed,
)
from narrows.lab.experiments.sunset_parts import (
    Skips,
    ablation_table,
    difference_plates,
    skip_share,
    skip_table,
    texture_table,
    warm_table,
)
from narrows.lab.measure.rates import at_rate, bd_rate_percent
from narrows.lab.report.bars import Bar, Panel, bar_chart
from narrows.lab.report.chart import Chart
from narrows.lab.report.document import Claim, Report, Section
from narrows.lab.report.figures import Plot, Reference, Series, line_chart, loss_chart, rate_chart
from narrows.lab.report.plates import epoch_plate
from narrows.lab.report.table import Cell, Column, Table

CLAIMED_MSE = {"baseline": 0.0036, "enhanced": 0.0040}
"""Validation MSE after 20 epochs, read off the study's plot to within 0.0003."""
NOMINAL_BPP = 3.82
"""What the study's bottleneck would cost at one byte a number, if it has 128 channels."""
_EPOCHS_TO_JUDGE = 20
"""From so many on, what comes after the fifteenth says something."""
RATES = (0.25, 0.5, NOMINAL_BPP / 4)


@dataclass(frozen=True, kw_only=True, eq=False)
class Findings:
    """All that was measured; `published` begins with seed 0 of each network, `warm` are indices of test pictures."""

    setting: Setting
    data: Dataset
    published: tuple[Model, ...]
    ours: tuple[Model, ...]
    ablations: tuple[Model, ...]
    linear: tuple[Model, ...]
    rivals: tuple[tuple[Rival, ...], ...]
    warm: Indices

    def model(self, name: str) -> Model:
        """The first one of this name."""
        return next(model for model in self.all() if model.plan.name == name)

    def all(self) -> tuple[Model, ...]:
        return (*self.published, *self.ours, *self.linear, *self.ablations)

    def first_seeds(self) -> tuple[Model, ...]:
        """The published networks, each once."""
        return tuple(model for model in self.published if model.seed == 0)

    def coded(self) -> list[tuple[str, Sequence[Measured]]]:
        """Everything that made files, by label."""
        models = [(model.plan.label, model.points) for model in (*self.first_seeds(), *self.ours, *self.linear)]
        return [*models, *((codec[0].label, codec) for codec in self.rivals)]


def sunset_report(findings: Findings) -> Report:
    """The whole report, from what was measured."""
    skips = skip_share(findings.model("skips"), findings.data.test.images)
    metrics = [line for model in findings.all() for line in model_rows(model)]
    metrics += [line for codec in findings.rivals for line in rival_rows(codec)]
    return Report(
        name="sunset",
        title="A deeper autoencoder, and the skips it claims",
        verdict=_verdict(findings),
        claims=tuple(_claims(findings, skips)),
        sections=(
            _training(findings), _pictures(findings), _bytes(findings),
            Section(title="Skips, counted and not counted", text=_SKIPS, blocks=(skip_table(skips),)),
            Section(
                title="What each ingredient does", text=_INGREDIENTS,
                blocks=(ablation_table(findings.model("baseline"), findings.ablations),),
            ),
            Section(
                title="Grid and blur", text=_TEXTURE,
                blocks=(texture_table((*findings.first_seeds(), *findings.ours), findings.data, findings.setting),),
            ),
            Section(title="Warm skies", text=_WARM, blocks=(warm_table(findings.coded(), findings.warm, RATES[1]),)),
        ),
        command=findings.setting.command("sunset"),
        note=_note(findings),
        facts=(
            f"{len(findings.data.train):,} training, {len(findings.data.test):,} test pictures of 225 x 150",
            f"seeds of the published networks: {len({model.seed for model in findings.published})}",
        ),
        metrics=tuple(metrics),
    )  # fmt: skip


_SKIPS = (
    "A skip that the decoder needs belongs to the code. Here it is packed into the latent and lies in the file. "
    "Shares of bits are by the entropy of each channel's symbols; the last row decodes with the skips blanked."
)
_INGREDIENTS = (
    "Each row changes one ingredient of the baseline and nothing else, trained like it, judged before quantisation."
)
_TEXTURE = (
    "`grid` is how far a pattern of that period stands out of the spectrum, in dB over the original's: 0 is none. "
    "`sharpness` is the gradient energy left: under 1 is blurred. A squared error sees neither."
)
_WARM = (
    "The study's pictures are sunsets. These are the test pictures whose upper half is red rather than blue, in the "
    "same files; quality is interpolated at one rate."
)


def _verdict(findings: Findings) -> str:
    base, deep = findings.model("baseline"), findings.model("enhanced")
    gain = deep.floats.psnr_db - base.floats.psnr_db
    ours, jpeg = findings.model("enhanced-rate").points, findings.rivals[0]
    rate = bd_rate_percent(rate_points(jpeg), rate_points(ours)).value
    against = "does not meet JPEG's curve" if rate is None else f"needs {signed(rate)} % bytes against JPEG"
    return (
        f"With as many latents the enhanced network is **{signed(gain, '+.2f')} dB** from the baseline, before "
        f"quantisation. With a linear latent and the rate in the loss it **{against}** at equal mean PSNR."
    )


def _claims(findings: Findings, skips: Skips) -> list[Claim]:
    base, deep = findings.model("baseline"), findings.model("enhanced")
    assert base.trained is not None and deep.trained is not None  # both have recipes
    base_mse, deep_mse = (model.trained.history[-1].validation_mse for model in (base, deep) if model.trained)
    better = float(np.mean(deep.floats.mse_of < base.floats.mse_of))
    starts = deep.trained.history[0].validation_mse < base.trained.history[0].validation_mse
    late = [_late_gain(model) for model in (base, deep)]
    lines = at_rate(rate_points(deep.points), RATES[2]), at_rate(rate_points(findings.rivals[0]), RATES[2])
    below = max(base_mse, deep_mse) < 0.01
    epochs = len(base.trained.history)
    return [
        Claim(
            claimed="The enhanced network reconstructs consistently better.",
            found=f"With as many latents it has the smaller error on {better:.0%} of the test pictures "
            f"({deep.floats.psnr_db:.2f} against {base.floats.psnr_db:.2f} dB). The study's own plot says otherwise: "
            f"{CLAIMED_MSE['enhanced']} against {CLAIMED_MSE['baseline']}.",
            verdict="holds" if better > 0.9 else "partly" if better > 0.5 else "false",
        ),
        Claim(
            claimed="The final MSE is below 0.01 for both; read off its plot, 0.0036 and 0.0040.",
            found=f"{base_mse:.4f} (baseline) and {deep_mse:.4f} (enhanced) on our validation pictures, which are not "
            "sunsets.",
            verdict="holds" if below else "false",
        ),
        Claim(
            claimed="The enhanced network starts lower.",
            found=f"Validation MSE after the first epoch: {base.trained.history[0].validation_mse:.4f} (baseline), "
            f"{deep.trained.history[0].validation_mse:.4f} (enhanced).",
            verdict="holds" if starts else "false",
        ),
        Claim(
            claimed="Both converge after 10 to 15 epochs.",
            found=f"Trained for {epochs} epochs here, too few to say."
            if epochs < _EPOCHS_TO_JUDGE
            else f"From epoch 15 on the best validation MSE still falls by {late[0]:.0%} (baseline) and {late[1]:.0%} "
            "(enhanced).",
            verdict="open" if epochs < _EPOCHS_TO_JUDGE else "holds" if max(late) < 0.05 else "false",
        ),
        Claim(
            claimed="Encoder and decoder are joined by skip connections.",
            found="Its diagram has no such arrow. Where skips exist they are the code: ours carry "
            f"{skips.bit_share:.0%} of the bits; without them {skips.without_db:.1f} dB are left of "
            f"{skips.with_db:.1f}.",
            verdict="false" if skips.bit_share > 0.1 else "open",
        ),
        Claim(
            claimed='"Significant compression rates", without a figure.',
            found=f"At {RATES[2]:.2f} bits per pixel of real files the enhanced network as published reaches "
            f"{_db(lines[0])}, JPEG {_db(lines[1])}.",
            verdict="open" if None in lines else "holds" if (lines[0] or 0) >= (lines[1] or 0) else "false",
        ),
    ]  # fmt: skip


def _db(value: float | None) -> str:
    return "no such rate" if value is None else f"{value:.2f} dB"


def _late_gain(model: Model) -> float:
    """By which share the best validation MSE falls after epoch 15."""
    values = [epoch.validation_mse for epoch in model.trained.history] if model.trained else []
    return 1 - min(values) / min(values[:15])


def _training(findings: Findings) -> Section:
    models = findings.first_seeds()
    panels = (
        Panel(axis="PSNR of the mean MSE, dB", form=".2f"), Panel(axis="SSIM", form=".4f"),
        Panel(axis="validation MSE x 1000", form=".2f"),
    )  # fmt: skip
    bars = []
    for model in (*models, *findings.linear):
        validation = None if model.trained is None else 1000 * model.trained.history[-1].validation_mse
        claimed = CLAIMED_MSE.get(model.plan.name)
        bars.append(
            Bar(
                label=model.plan.label, values=(model.floats.psnr_db, model.floats.ssim, validation),
                claimed=(None, None, None if claimed is None else 1000 * claimed),
            )
        )  # fmt: skip
    references = [Reference(label=f"study, {name}", value=value) for name, value in CLAIMED_MSE.items()]
    rated = findings.model("enhanced-rate")
    history = rated.trained.history if rated.trained else ()
    rate = Series(
        label="validation bits per pixel", x=[epoch.epoch for epoch in history],
        y=[epoch.validation_bpp or np.nan for epoch in history], dashed=True,
    )  # fmt: skip
    strips = [(model.plan.label, model.trained.strip[:, 0]) for model in models if model.trained]
    return Section(
        title="Training, and quality before quantisation",
        text="Squared error alone, as published; crops, flips and the batch are ours. Quality is of decoded pictures "
        "clipped and rounded to 8 bits, over the whole test part.",
        blocks=(
            network_table(findings.published, "The networks as published"),
            bar_chart("quality", "Quality before quantisation", bars, panels, caption="Diamonds: the study's figures."),
            loss_chart("losses", "Losses over epochs", [losses(model) for model in models], references=references),
            loss_chart("losses-rate", "With the rate in the loss", [losses(model) for model in findings.ours]),
            line_chart(
                "rate-over-epochs", "The rate over epochs, enhanced network with the rate in the loss", [rate],
                Plot(x="epoch", y="bits per pixel, estimated", whole_x=True),
            ),
            epoch_plate(
                "epochs", "One validation picture after each epoch", strips,
                original=findings.data.validation.images[0], most=5,
            ),
        ),
    )  # fmt: skip


def _pictures(findings: Findings) -> Section:
    return Section(
        title="Pictures",
        text="Best, median and worst of the test part by the baseline, before quantisation. Errors are against the "
        "original, signed; the study showed the difference of its two networks to each other, unscaled.",
        blocks=difference_plates(findings.model("baseline"), findings.model("enhanced"), findings.data.test.images),
    )


def _bytes(findings: Findings) -> Section:
    groups = findings.coded()
    families = {codec[0].label: "jpeg" if codec[0].codec == "jpeg" else codec[0].codec for codec in findings.rivals}
    published = {model.plan.label for model in findings.first_seeds()}
    rated = {model.plan.label for model in findings.ours}
    best = findings.model("enhanced-rate").plan.label

    def chart(name: str, title: str, left_out: Set[str]) -> Chart:
        shown = [(label, points) for label, points in groups if label not in left_out]
        lines = [
            rate_series(label, points, family=families.get(label, ""), bold=label == best) for label, points in shown
        ]
        return rate_chart(name, title, lines)

    jpeg = rate_points(findings.rivals[0])
    columns = (
        Column(name="model"), *(Column(name=f"at_{rate:g}", title=f"at {rate:.2g} bpp", form=".2f") for rate in RATES),
        Column(name="bd_rate", title="bytes at equal mean PSNR, against JPEG, %", form="+.1f"),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for label, points in groups:
        curve = rate_points(points)
        difference = None if points is findings.rivals[0] else bd_rate_percent(jpeg, curve).value
        rows.append((label, *(at_rate(curve, rate) for rate in RATES), difference))
    nominal = ", ".join(
        f"{model.plan.label} {8 * model.geometry.values(150, 225) / (150 * 225):.2f}"
        for model in findings.first_seeds()
    )
    return Section(
        title="Quality against bytes",
        text="Every point is the size of files on disk, one a picture, header and all, and the quality of what another "
        f"process decoded from them. By count, at one byte a number, the codes have, in bits per pixel: {nominal}. "
        "JPEG has Huffman tables of its own for every picture; the model is not counted, its decoder's size is above.",
        blocks=(
            chart("rate-published", "As published, quantised afterwards", rated),
            chart("rate", "With the rate in the loss", published),
            Table(columns=columns, rows=tuple(rows), caption="Mean PSNR at equal rates"),
            rate_table(groups, "Every setting"),
        ),
    )  # fmt: skip


def _note(findings: Findings) -> str:
    recipe = findings.model("baseline").plan.recipe
    words = ""
    if recipe is not None:
        words = (
            f"All networks were trained for {recipe.epochs} epochs on random crops of {recipe.crop} pixels, batches of "
            f"{recipe.batch}; those with the rate in the loss for longer. "
        )
    return (
        f"{findings.data.note}. The study's about 1200 sunsets are not to be had, so its figures do not compare "
        f"directly. {words}One seed unless the facts say more. MS-SSIM is not defined at this size."
    )
