"""The report of study imagenette-depth: claims beside our figures, then what they rest on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from narrows.lab.data import Dataset
from narrows.lab.experiments.base import Measured, Setting
from narrows.lab.experiments.coded import Model, Point
from narrows.lab.experiments.depth_parts import (
    PAIRINGS,
    bars,
    chroma,
    colour_table,
    lossless_table,
    pairing_plates,
    study_quality,
)
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
from narrows.lab.measure.rates import at_rate, bd_rate_percent
from narrows.lab.report.document import Claim, Report, Section
from narrows.lab.report.figures import loss_chart, rate_chart
from narrows.lab.report.table import Cell, Column, Table

CLAIMED = {1: (36.3601, 0.9811), 2: (30.9173, 0.933599), 3: (25.2358, 0.780254)}
"""Layers -> mean PSNR in dB and the study's SSIM."""
CLAIMED_CODECS = {
    "jpeg": {25: (28.7273, 0.890781), 50: (31.2309, 0.934128), 75: (34.956, 0.968011)},
    "webp": {25: (30.2416, 0.914669), 50: (32.9438, 0.94992), 75: (35.1398, 0.968506)},
}
RATES = (0.5, 1.0, 2.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class CleanSources:
    """Photographs scaled to the study's size in one way: the deepest rated network and JPEG on them."""

    words: str
    pictures: int
    points: tuple[Point, ...]
    jpeg: tuple[Rival, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Findings:
    """All that was measured. `published`, `narrow`, `rated` and `linear` go by depth; `rivals` begin with JPEG, WebP.

    `whole` are JPEG and WebP on the whole test part, at the study's qualities.
    """

    setting: Setting
    data: Dataset
    published: tuple[Model, ...]
    narrow: tuple[Model, ...]
    rated: tuple[Model, ...]
    remedy: Model
    linear: tuple[Model, ...]
    rivals: tuple[tuple[Rival, ...], ...]
    lossless: tuple[Rival, ...]
    whole: tuple[tuple[Rival, ...], ...]
    clean: tuple[CleanSources, ...]

    def all(self) -> tuple[Model, ...]:
        return (*self.published, *self.narrow, *self.rated, self.remedy, *self.linear)

    def first_seeds(self) -> tuple[Model, ...]:
        """The published networks, each once."""
        return tuple(model for model in self.published if model.seed == 0)

    def best(self) -> Model:
        """The rated network with the highest mean PSNR at one bit per pixel, else the deepest."""
        found = [(at_rate(rate_points(model.points), 1.0), index) for index, model in enumerate(self.rated)]
        known = [(value, index) for value, index in found if value is not None]
        return self.rated[max(known)[1] if known else -1]


def depth_report(findings: Findings) -> Report:
    """The whole report, from what was measured."""
    metrics = [line for model in findings.all() for line in model_rows(model)]
    metrics += [line for codec in (*findings.rivals, findings.lossless) for line in rival_rows(codec)]
    sections = [_published(findings), _pairings(findings), _equal_bytes(findings), _conventional(findings)]
    sections += [_colour(findings)]
    if findings.clean:
        sections.append(_clean(findings))
    sections.append(_everything(findings))
    return Report(
        name="imagenette-depth",
        title="One, two or three layers at equal bytes",
        verdict=_verdict(findings),
        claims=tuple(_claims(findings)),
        sections=tuple(sections),
        command=findings.setting.command("imagenette-depth"),
        note=_note(findings),
        facts=(
            f"{len(findings.data.train):,} training, {len(findings.data.test):,} test pictures of 160 x 160",
            f"files of {len(findings.rivals[0][0].indices):,} of them",
            f"seeds of the published networks: {len({model.seed for model in findings.published})}",
        ),
        metrics=tuple(metrics),
    )


def _verdict(findings: Findings) -> str:
    best = findings.best()
    rate = bd_rate_percent(rate_points(findings.rivals[2]), rate_points(best.points)).value
    finest = [model.points[-1].bpp for model in findings.first_seeds()]
    against = "does not meet JPEG's curve" if rate is None else f"needs {signed(rate)} % bytes against JPEG"
    codes = ", ".join(f"{bpp:.0f}" for bpp in finest)
    return (
        f"As published, the codes of 1, 2 and 3 layers fill **{codes} bits per pixel** of files, where a picture has "
        f"24. At equal bytes the best depth is **{best.plan.label.split(',')[0]}**; with the rate in the loss it "
        f"**{against}** at equal mean PSNR."
    )


def _claims(findings: Findings) -> list[Claim]:
    claims = [_reached(findings)]
    for model, (depth, quality, words) in zip(findings.first_seeds(), PAIRINGS, strict=False):
        point = model.points[-1]
        jpeg, webp = (_at(codec, quality) for codec in findings.rivals[:2])
        wins = sum(point.result.mean_psnr_db >= rival.result.mean_psnr_db for rival in (jpeg, webp))
        good = depth < max(CLAIMED)
        claims.append(
            Claim(
                claimed=f"{model.plan.label} ({words}) against JPEG and WebP {quality}: "
                + ("satisfying." if good else "slightly bad."),
                found=f"{point.result.mean_psnr_db:.2f} dB at {point.bpp:.1f} bits per pixel of files; JPEG "
                f"{jpeg.result.mean_psnr_db:.2f} dB at {jpeg.bpp:.2f}, WebP {webp.result.mean_psnr_db:.2f} dB at "
                f"{webp.bpp:.2f}. That is {point.bpp / jpeg.bpp:.0f} times the bytes of JPEG.",
                verdict="false" if good and (wins == 0 or point.bpp > 2 * jpeg.bpp) else "partly" if wins else "holds",
            )
        )
    ratios = [(chroma(model, findings.data, findings.setting), model.plan.label) for model in findings.first_seeds()]
    faded = [ratio < FADED for ratio, _ in ratios]
    worst = ratios.index(min(ratios))
    claims.append(
        Claim(
            claimed="Colours are lost, mostly with two layers.",
            found="Mean chroma of the original that is left: "
            + ", ".join(f"{label} {ratio:.0%}" for ratio, label in ratios)
            + ". Neither of the study's metrics could see it.",
            verdict="false" if not any(faded) else "holds" if worst == 1 else "partly",
        )
    )
    return claims


FADED = 0.97
"""Chroma under this share of the original's is a loss: JPEG and WebP keep as much."""


def _reached(findings: Findings) -> Claim:
    """The study's figures for its three networks, and ours on our test pictures."""
    models = findings.first_seeds()
    quality = [study_quality(model, findings.data, findings.setting) for model in models]
    ours = [model.floats.mean_psnr_db for model in models]
    near = [abs(value - CLAIMED[depth][0]) < 1 or value > CLAIMED[depth][0] for depth, value in enumerate(ours, 1)]
    claimed = " / ".join(f"{psnr:.2f} dB, {ssim:.4f}" for psnr, ssim in CLAIMED.values())
    found = " / ".join(
        f"{value:.2f} dB, {one.ssim_uniform_7_grey or 0:.4f}" for value, one in zip(ours, quality, strict=True)
    )
    return Claim(
        claimed=f"One, two and three layers reach {claimed} (PSNR, and the study's own SSIM on grey).",
        found=f"{found} before quantisation, clipped to 8 bits, on our {len(findings.data.test):,} test pictures.",
        verdict="holds" if all(near) else "partly" if any(near) else "false",
    )


def _at(codec: Sequence[Rival], quality: int) -> Rival:
    return next(rival for rival in codec if rival.quality == quality)


def _published(findings: Findings) -> Section:
    models = findings.first_seeds()
    return Section(
        title="The networks as published",
        text="Trained on the squared error alone, the study's layers, activations and learning rates; its pixels ran "
        "from 0 to 255, ours from 0 to 1. The bars are the study's own metrics on the whole test part, its figures as "
        "diamonds: mean PSNR, and SSIM in windows of 7 x 7 on grey, which cannot see colour.",
        blocks=(
            network_table((*findings.published, *findings.narrow, *findings.rated, findings.remedy), "The networks"),
            bars(models, findings.whole, findings.data, findings.setting, CLAIMED, CLAIMED_CODECS),
            loss_chart("losses", "Losses over epochs", [losses(model) for model in models]),
            loss_chart("losses-rate", "With the rate in the loss", [losses(model) for model in findings.rated]),
        ),
    )


def _pairings(findings: Findings) -> Section:
    return Section(
        title="The study's three pairings, with bytes",
        text="One layer beside quality 75, two beside 50, three beside 25, as the study shows them; the network's "
        "file is that of 8 bits a number, entropy coded.",
        blocks=pairing_plates(findings.first_seeds(), findings.rivals[:2], findings.data.test.images),
    )


def _equal_bytes(findings: Findings) -> Section:
    groups = [(model.plan.label, model.points) for model in (*findings.narrow, *findings.rated, *findings.linear)]
    columns = (
        Column(name="model"), *(Column(name=f"at_{rate:g}", title=f"dB at {rate:g} bpp", form=".2f") for rate in RATES),
        Column(name="bd_rate", title="bytes against 1 layer, rated, %", form="+.1f"),
    )  # fmt: skip
    anchor = rate_points(findings.rated[0].points)
    rows: list[tuple[Cell, ...]] = []
    for label, points in groups:
        curve = rate_points(points)
        rate = None if points is findings.rated[0].points else bd_rate_percent(anchor, curve).value
        rows.append((label, *(at_rate(curve, rate_bpp) for rate_bpp in RATES), rate))
    shown = [(model.plan.label, model.points) for model in (*findings.rated, *findings.narrow)]
    return Section(
        title="Depth at equal bytes",
        text="What the study meant to ask. The narrow networks have as many channels as make one bit per pixel at 4 "
        "bits a number and are quantised after training; the rated ones learn several rates in one network, with "
        "leaky ReLU throughout. A network that does not beat the PCA of its blocks has shown nothing.",
        blocks=(
            rate_chart("depth", "Depth against bytes", [rate_series(label, points) for label, points in shown]),
            Table(columns=columns, rows=tuple(rows), caption="Mean PSNR at equal rates of files"),
        ),
    )


def _conventional(findings: Findings) -> Section:
    best = findings.best()
    curve = rate_points(best.points)
    names = ["JPEG as saved", "WebP", "JPEG optimised", "narrows", "AVIF"]
    series = [rate_series(model.plan.label, model.points, bold=model is best) for model in findings.rated]
    for name, codec in zip(names, findings.rivals, strict=False):
        series.append(rate_series(name, codec, family=codec[0].codec))
    pca = findings.linear[-1]
    series.append(rate_series(pca.plan.label, pca.points, family="published"))
    rows: list[tuple[Cell, ...]] = []
    for name, codec in zip(names, findings.rivals, strict=False):
        for quality in (25, 50, 75):
            rival = _at(codec, quality)
            ours = at_rate(curve, rival.bpp)
            gain = None if ours is None else ours - rival.result.mean_psnr_db
            rows.append((name, quality, rival.bpp, rival.result.mean_psnr_db, ours, gain))
    columns = (
        Column(name="codec"), Column(name="quality"), Column(name="bpp", title="bits per pixel", form=".3f"),
        Column(name="psnr", title="mean PSNR, dB", form=".2f"),
        Column(name="ours", title="ours at its bytes, dB", form=".2f"),
        Column(name="gain", title="difference", form="+.2f"),
    )  # fmt: skip
    differences = tuple(
        (name, bd_rate_percent(rate_points(codec), curve).value)
        for name, codec in zip(names, findings.rivals, strict=False)
    )
    return Section(
        title="Against JPEG, WebP, AVIF and narrows",
        text="The three depths with the rate in the loss, the codecs, and the profile that narrows ships, on the same "
        f"pictures by the same rule: one file a picture, headers counted. `ours` is {best.plan.label}, the best at one "
        "bit per pixel.",
        blocks=(
            rate_chart("codecs", "Mean PSNR against the rate of whole files", series),
            Table(columns=columns, rows=tuple(rows), caption="At the conventional codecs' own bytes"),
            Table(
                columns=(Column(name="codec"), Column(name="bd_rate", title="our bytes, %", form="+.1f")),
                rows=differences, caption="Bjontegaard differences",
            ),
            lossless_table(findings.lossless),
        ),
    )  # fmt: skip


def _colour(findings: Findings) -> Section:
    return Section(
        title="Colour",
        text="Errors of Y, Cb and Cr, CIEDE2000 (1 is just visible), and the chroma that is left. Rates are those of "
        "files; rated networks and codecs stand at their setting nearest to one bit per pixel. `luma-chroma` weighs "
        "the squared errors of Y, Cb and Cr apart: the remedy, and what it costs.",
        blocks=(
            colour_table(
                findings.first_seeds(), (*findings.rated, findings.remedy), findings.rivals[:2], findings.data,
                findings.setting,
            ),
        ),
    )  # fmt: skip


def _clean(findings: Findings) -> Section:
    columns = (
        Column(name="pictures"), Column(name="count"),
        *(Column(name=f"ours_{rate:g}", title=f"ours at {rate:g} bpp, dB", form=".2f") for rate in RATES),
        *(Column(name=f"jpeg_{rate:g}", title=f"JPEG at {rate:g} bpp, dB", form=".2f") for rate in RATES),
        Column(name="bd_rate", title="our bytes at equal mean PSNR, %", form="+.1f"),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for source in findings.clean:
        ours, jpeg = rate_points(source.points), rate_points(source.jpeg)
        values = [at_rate(curve, rate) for curve in (ours, jpeg) for rate in RATES]
        rows.append((source.words, source.pictures, *values, bd_rate_percent(jpeg, ours).value))
    return Section(
        title="Originals that were never JPEG at this size",
        text="The study's originals were squashed to a square and saved as JPEG once more, which favours JPEG's grid. "
        "The same photographs both ways, through the deepest rated network, which was trained on neither, and JPEG "
        "with optimised tables.",
        blocks=(Table(columns=columns, rows=tuple(rows), caption="The same photographs, prepared in two ways"),),
    )


def _everything(findings: Findings) -> Section:
    groups: list[tuple[str, Sequence[Measured]]] = [(model.plan.label, model.points) for model in findings.all()]
    groups += [(f"{codec[0].label}, {codec[0].rule}", codec) for codec in findings.rivals]
    return Section(title="Every setting", blocks=(rate_table(groups, "Files of every setting"),))


def _note(findings: Findings) -> str:
    recipe = findings.first_seeds()[0].plan.recipe
    words = ""
    if recipe is not None:
        words = (
            f"{recipe.epochs} epochs of random crops of {recipe.crop} pixels in batches of {recipe.batch}, where the "
            "study has up to 100 epochs of whole pictures; the learning rate falls to its hundredth. "
        )
    return (
        f"{findings.data.note}. {words}Quality before quantisation is of the whole test part, files are of a part of "
        "it, evenly spread. The search over widths, activations and learning rates is `narrows lab tune`. MS-SSIM is "
        "not defined at this size."
    )
