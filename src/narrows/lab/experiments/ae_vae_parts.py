"""What the report of ae-vae is made of: the findings, their tables and charts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from narrows.lab.data import Dataset
from narrows.lab.experiments.ae_vae_plans import LATENT, MAP_SIDE, Sizes
from narrows.lab.experiments.ae_vae_space import Floors, Gauge, Space
from narrows.lab.experiments.base import Measured, Setting
from narrows.lab.experiments.coded import Model
from narrows.lab.experiments.rivals import Rival
from narrows.lab.experiments.rows import rate_points
from narrows.lab.measure.rates import at_rate
from narrows.lab.report.chart import Chart
from narrows.lab.report.clouds import Cloud, scatter_chart
from narrows.lab.report.figures import Plot
from narrows.lab.report.table import Cell, Column, Table

CLAIMED_MSE = {"published-ae-16": 0.0249, "published-ae-64": 0.0151, "published-vae-16": 0.0539}
"""Of the study's last epoch, on its 40 validation faces."""
CLAIMED_RATIO = {"published-ae-16": 16.0, "published-ae-64": 4.0, "published-vae-16": 4096.0}
CLAIMED_GREY = 0.0625
"""What one grey for all gives on those faces."""
RATE = 0.5
BAR_DB = 24.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Findings:
    """All that was measured.

    published  every seed of the study's three; vectors: (plain, variational) of each size and seed; betas: of the VAE
    of 16 numbers, other weights of the KL; maps: the study's layers, plain and variational; own: plain, rated, VAE;
    ratios: (wanted, model); spaces: by plan name and seed
    """

    setting: Setting
    sizes: Sizes
    data: Dataset
    digits: Dataset
    published: tuple[Model, ...]
    vectors: tuple[tuple[Model, Model], ...]
    betas: tuple[Model, ...]
    maps: tuple[Model, Model]
    wide: Model
    rated: Model
    own: tuple[Model, Model, Model]
    ratios: tuple[tuple[float, Model], ...]
    pca_map: Model
    pca_vector: Model
    rivals: tuple[tuple[Rival, ...], ...]
    digit_rivals: tuple[tuple[Rival, ...], ...]
    floors: Floors
    spaces: Mapping[tuple[str, int], Space]
    map_gauge: Gauge
    digit_gauge: Gauge

    def all(self) -> tuple[Model, ...]:
        pairs = [model for pair in self.vectors for model in pair]
        ratios = [model for _, model in self.ratios]
        return (
            *self.published, *self.maps, self.wide, self.rated, *self.own, *ratios, self.pca_map, *pairs, *self.betas,
            self.pca_vector,
        )  # fmt: skip

    def of(self, model: Model) -> Space:
        return self.spaces[model.plan.name, model.seed]

    def first(self, name: str) -> Model:
        """Seed 0 of the plan of this name."""
        return next(model for model in self.all() if model.plan.name == name and model.seed == 0)

    def vector_pair(self, latent: int = LATENT) -> tuple[Model, Model]:
        """Seed 0 of the vectors of that many numbers."""
        return next(pair for pair in self.vectors if pair[0].geometry.latent == latent and pair[0].seed == 0)

    def map_groups(self) -> list[tuple[str, Sequence[Measured]]]:
        """Everything that made files of the photographs, by label; every network once."""
        models = [self.own[1], self.own[2], self.own[0], self.rated, self.wide, *self.maps, self.pca_map]
        models += [model for model in self.published if model.seed == 0]
        return [
            *((one.plan.label, one.points) for one in models),
            *((rival_label(codec), codec) for codec in self.rivals),
        ]

    def at(self, points: Sequence[Measured], rate: float = RATE) -> float | None:
        """PSNR of the mean MSE at a rate, in dB; None outside of what was measured."""
        return at_rate(rate_points(points, "psnr_db"), rate)


def rival_label(codec: Sequence[Rival]) -> str:
    """For people: "JPEG 4:2:0, optimised"."""
    return codec[0].label if codec[0].rule == "each" else f"{codec[0].label}, {codec[0].rule}"


def published_table(findings: Findings) -> Table:
    columns = (
        Column(name="model"), Column(name="seed"),
        Column(name="validation_mse", title="validation MSE", form=".4f"),
        Column(name="claimed", title="study: validation MSE", form=".4f"),
        Column(name="mse", title="test MSE", form=".4f"),
        Column(name="psnr_db", title="PSNR of it, dB", form=".2f"), Column(name="ssim", title="SSIM", form=".3f"),
        Column(name="sharpness", form=".3f"), Column(name="live", title="live channels"),
        Column(name="bpp8", title="bpp, 8 bits uncoded", form=".4f"), Column(name="bpp", title="bpp, file", form=".4f"),
        Column(name="ratio", title="ratio, files", form=".1f"),
        Column(name="printed", title="study: ratio", form=",.0f"),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for model in findings.published:
        trained, point = model.trained, model.points[-1]
        assert trained is not None  # all of these are trained
        stored = model.geometry.values(MAP_SIDE, MAP_SIDE) * 8 / MAP_SIDE**2
        rows.append((
            model.plan.label, model.seed, trained.history[-1].validation_mse,
            CLAIMED_MSE[model.plan.name], model.floats.mse, model.floats.psnr_db,
            model.floats.ssim, findings.of(model).sharpness, f"{model.live[-1]} of {model.geometry.latent}", stored,
            point.bpp, 8 / point.bpp, CLAIMED_RATIO[model.plan.name],
        ))  # fmt: skip
    grounds = findings.floors
    return Table(
        columns=columns, rows=tuple(rows), caption="The study's three networks after its own number of steps",
        note=f"On these pictures one grey for all has an MSE of {grounds.grey:.4f} (the study's faces: "
        f"{CLAIMED_GREY}), the mean picture {grounds.mean_picture:.4f}, and {LATENT} principal components of whole "
        f"pictures {grounds.components:.4f}. Files: {findings.published[0].points[-1].result.pictures} pictures at "
        f"{findings.sizes.bits[-1]} bits a number (the “VAE” in its finest steps), entropy coded. The validation "
        "MSE of the “VAE” is with random codes, as the study's; its test MSE is with the mean.",
    )  # fmt: skip


def pair_table(findings: Findings) -> Table:
    """Plain and variational, row by row, at the same layers and latent."""
    columns = (
        Column(name="model"), Column(name="seed"), Column(name="code"), Column(name="loss"),
        Column(name="nll", title="-ln p(x | y), nats a pixel", form=".3f"),
        Column(name="kl", title="KL, bits a picture", form=",.1f"), Column(name="mse", title="test MSE", form=".5f"),
        Column(name="random", title="MSE, random code", form=".5f"),
        Column(name="psnr_db", title="PSNR, dB", form=".2f"), Column(name="ssim", title="SSIM", form=".4f"),
        Column(name="sharpness", form=".3f"), Column(name="active", title="active units"),
        Column(name="bytes", title="bytes a picture, finest", form=",.1f"),
    )  # fmt: skip
    return Table(
        columns=columns, rows=tuple(_pair_row(findings, model) for model in _pairs(findings)),
        caption="Plain and variational at identical layers: digits as vectors, photographs as maps",
        note="The loss terms are of validation pictures, with random codes. Bytes are those of real files at the "
        "finest setting; all settings are below.",
    )  # fmt: skip


def space_table(findings: Findings) -> Table:
    """The same networks as spaces to draw from and to walk in."""
    columns = (
        Column(name="model"), Column(name="seed"), Column(name="decoded", title="Fréchet, decoded", form=".3g"),
        Column(name="drawn", title="drawn from N(0, I)", form=".3g"),
        Column(name="fitted", title="from a fitted Gaussian", form=".3g"),
        Column(name="middles", title="half-way between two", form=".3g"),
        Column(name="length", title="path length", form=".2f"), Column(name="uneven", title="unevenness", form=".2f"),
    )  # fmt: skip
    rows = []
    for model in _pairs(findings):
        found = findings.of(model)
        rows.append((
            model.plan.label, model.seed, found.decoded, found.drawn, found.fitted, found.middles, found.length,
            found.unevenness,
        ))  # fmt: skip
    return Table(
        columns=columns, rows=tuple(rows), caption="Distances to real pictures, and paths between them",
        note="Fréchet distances are the substitute for FID, whose network knows colour photographs alone. Digits: "
        f"{findings.digit_gauge.features.description}; two real sets of {len(findings.digit_gauge.real):,} are "
        f"{findings.digit_gauge.floor:.3g} apart. Photographs: {findings.map_gauge.features.description}; two real "
        f"sets of {len(findings.map_gauge.real):,} are {findings.map_gauge.floor:.3g} apart. Compare within one kind "
        "only. Path length 1 is a cross-fade, unevenness 1 an even pace.",
    )  # fmt: skip


def _pairs(findings: Findings) -> list[Model]:
    return [*(model for pair in findings.vectors for model in pair), *findings.maps, *findings.own]


def _pair_row(findings: Findings, model: Model) -> tuple[Cell, ...]:
    found, recipe = findings.of(model), model.plan.recipe
    assert recipe is not None  # all of these are trained
    code, loss = "numbers", "MSE"
    if recipe.beta is not None:
        weight = "learned" if recipe.variance is None else f"{recipe.variance:g}"
        code, loss = "distribution", f"ELBO, variance {weight}"
    elif recipe.lambdas:
        loss = "rate + MSE"
    finest = model.points[-1]
    return (
        model.plan.label, model.seed, code, loss, found.nll_nats, found.kl_bits, model.floats.mse, found.random_mse,
        model.floats.psnr_db, model.floats.ssim, found.sharpness, f"{found.active} of {model.geometry.latent}",
        finest.bytes / finest.result.pictures,
    )  # fmt: skip


def _by_beta(findings: Findings) -> list[tuple[float, Model]]:
    models = [findings.vector_pair()[1], *findings.betas]
    found = [(model.plan.recipe.beta, model) for model in models if model.plan.recipe is not None]
    return sorted(((beta, model) for beta, model in found if beta is not None), key=lambda pair: pair[0])


def beta_table(findings: Findings) -> Table:
    columns = (
        Column(name="beta", form="g"), Column(name="nll", title="-ln p(x | y), nats a pixel", form=".3f"),
        Column(name="kl", title="KL, bits a digit", form=",.1f"), Column(name="mse", title="test MSE", form=".5f"),
        Column(name="random", title="MSE, random code", form=".5f"),
        Column(name="psnr_db", title="PSNR of the mean MSE, dB", form=".2f"), Column(name="sharpness", form=".3f"),
        Column(name="active", title="active units"), Column(name="drawn", title="Fréchet, N(0, I)", form=".3g"),
        Column(name="middles", title="half-way", form=".3g"), Column(name="length", title="path length", form=".2f"),
        Column(name="bytes", title="bytes a digit, steps as sigma", form=".2f"),
    )  # fmt: skip
    rows = []
    for beta, model in _by_beta(findings):
        found, point = findings.of(model), _matched(model)
        rows.append((
            beta, found.nll_nats, found.kl_bits, model.floats.mse, found.random_mse, model.floats.psnr_db,
            found.sharpness, f"{found.active} of {model.geometry.latent}", found.drawn, found.middles, found.length,
            point.bytes / point.result.pictures,
        ))  # fmt: skip
    return Table(
        columns=columns, rows=tuple(rows), caption=f"The weight of the KL, digits as {LATENT} numbers",
        note="The likelihood is a Gaussian of one learned variance, summed over pixels, the KL over numbers: only "
        "beta 1 is a bound. Beta 0 is the study's network.",
    )  # fmt: skip


def _matched(model: Model) -> Measured:
    """The point whose rounding error is that of the posterior's noise."""
    assert model.plan.names
    wanted = math.sqrt(12)
    return min(model.points, key=lambda point: abs(math.log(float(point.setting.split()[-1]) / wanted)))


def beta_chart(findings: Findings) -> Chart:
    clouds = []
    for beta, model in _by_beta(findings):
        found = findings.of(model)
        if found.kl_bits is not None and 0 < found.kl_bits < math.inf:
            clouds.append(Cloud(label=f"beta {beta:g}", x=[found.kl_bits], y=[model.floats.mse], bold=beta == 1))
    return scatter_chart(
        "beta", "What the weight of the KL buys", clouds,
        Plot(x="KL, bits a digit (logarithmic)", y="test MSE, code at its mean", log_x=True),
        caption="To the right more bits, below less error.",
    )  # fmt: skip
