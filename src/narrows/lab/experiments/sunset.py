"""Study sunset: a baseline with a small grid against an enhanced network with a larger one, and skips that are stored.

The study's pictures, about 1200 sunsets, cannot be had: here are photographs of all kinds at its size, and those of the
test part whose sky is warm stand in a row of their own. Its widths are unknown; nets/sunset.py says which are ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from narrows.lab.data import Dataset
from narrows.lab.experiments.base import PHOTOGRAPHS, Experiment, Indices, Pictures, Setting, load_data
from narrows.lab.experiments.coded import Model, Plan, coded_model
from narrows.lab.experiments.rivals import Rival, rivals
from narrows.lab.experiments.sunset_report import Findings, sunset_report
from narrows.lab.measure.conventional import Conventional, is_available
from narrows.lab.measure.linear import block_pca_network, equal_steps
from narrows.lab.nets.base import StudyNetwork
from narrows.lab.nets.sunset import (
    AS_PUBLISHED,
    BASELINE_WIDTHS,
    FAIR_BOTTLENECK,
    UNFAIR_BOTTLENECK,
    Ingredients,
    baseline,
    enhanced,
    enhanced_with_skips,
)
from narrows.lab.report.document import Report
from narrows.lab.study.quantiser import Steps
from narrows.lab.study.training import Recipe

SIZE = (150, 225)
EPOCHS = 20
CROP = 112
"""Side of the random crops that all networks train on: whole pictures would take the enhanced ones an hour each."""
LAMBDAS = (0.001, 0.003, 0.01, 0.03, 0.1)
RATED_RATE = 2e-3
SKIPS = (0, 4, 8)
WARM = 12.0
"""Grey levels by which red is above blue in the upper half of a picture with a warm sky, on average."""

LINEAR = replace(AS_PUBLISHED, latent_activation="linear")

ABLATIONS: tuple[tuple[str, str, Ingredients], ...] = (
    ("no-batch-norm", "no batch norm", replace(AS_PUBLISHED, batch_norm=False)),
    ("leaky-relu", "leaky ReLU", replace(AS_PUBLISHED, activation="leaky_relu", latent_activation="leaky_relu")),
    ("strides", "strides in place of max-pool", replace(AS_PUBLISHED, downsampling="stride")),
    ("bilinear", "bilinear upsampling", replace(AS_PUBLISHED, upsampling="bilinear")),
    ("dropout", "dropout of 0.1", replace(AS_PUBLISHED, dropout=0.1)),
    ("linear-latent", "linear latent", LINEAR),
)
"""One ingredient of the baseline changed at a time: name, label, ingredients."""


@dataclass(frozen=True, kw_only=True)
class _Sizes:
    """How much a run does."""

    epochs: int
    batch: int
    rated_epochs: int
    crop: int
    bits: tuple[int, ...]
    lambdas: tuple[float, ...]
    deltas: tuple[float, ...]
    settings: tuple[int, ...]
    ablations: int
    coded: int | None


def run(setting: Setting) -> Report:
    """Train, code and measure everything."""
    data = load_data(
        setting, PHOTOGRAPHS, size=SIZE, limit=setting.pick(None, 40), train=setting.pick(None, 24),
        validation=setting.pick(None, 4), test=setting.pick(None, 4),
    )  # fmt: skip
    sizes = setting.pick(_full(setting), _QUICK)
    seeds = setting.seed_list(1)
    published = [coded_model(plan, data, setting, seed=seed) for plan in _published(sizes) for seed in seeds]
    ours = [coded_model(plan, data, setting) for plan in _ours(sizes)]
    ablations = [coded_model(plan, data, setting) for plan in _ablations(sizes)]
    linear = [coded_model(plan, data, setting) for plan in _linear(data, sizes)]
    findings = Findings(
        setting=setting, data=data, published=tuple(published), ours=tuple(ours), ablations=tuple(ablations),
        linear=tuple(linear), rivals=_rivals(data, setting, sizes), warm=warm_skies(data.test.images),
    )  # fmt: skip
    setting.say("writing the report")
    return sunset_report(findings)


def warm_skies(pictures: Pictures) -> Indices:
    """Which of the pictures (N, H, W, 3) have an upper half that is red rather than blue: sunsets, and some walls."""
    upper = pictures[:, : pictures.shape[1] // 2].astype(np.float32)
    warmth = (upper[..., 0] - upper[..., 2]).mean((1, 2))
    return np.flatnonzero(warmth > WARM)


def _full(setting: Setting) -> _Sizes:
    return _Sizes(
        epochs=setting.epochs_of(EPOCHS), batch=16, rated_epochs=setting.epochs_of(30), crop=CROP,
        bits=(2, 3, 4, 5, 6, 8), lambdas=LAMBDAS, deltas=tuple(2.0**-k for k in range(1, 8)),
        settings=(5, 10, 15, 25, 35, 50, 65, 75, 85, 95),
        ablations=len(ABLATIONS), coded=None,
    )  # fmt: skip


_QUICK = _Sizes(
    epochs=2, batch=4, rated_epochs=1, crop=32, bits=(4, 8), lambdas=(0.003, 0.03), deltas=(0.5, 0.125),
    settings=(10, 50, 90), ablations=1, coded=None,
)  # fmt: skip


def _recipe(sizes: _Sizes) -> Recipe:
    return Recipe(epochs=sizes.epochs, batch=sizes.batch, rate=1e-3, crop=sizes.crop, flips=True)


def _published(sizes: _Sizes) -> list[Plan]:
    """The study's two, the enhanced one with as many channels as it probably had, and the skips that it claims."""
    networks: tuple[tuple[str, str, Callable[[], StudyNetwork]], ...] = (
        ("baseline", "baseline", baseline),
        ("enhanced", "enhanced", partial(enhanced, bottleneck=FAIR_BOTTLENECK)),
        ("enhanced-128", "enhanced-128", partial(enhanced, bottleneck=UNFAIR_BOTTLENECK)),
        ("skips", "with skips", partial(enhanced_with_skips, skips=SKIPS)),
    )
    return [
        Plan(
            name=name, label=label, build=build, recipe=_recipe(sizes), bits=sizes.bits, coded=sizes.coded, fitted=300,
            watch=1,
        )
        for name, label, build in networks
    ]  # fmt: skip


def _ours(sizes: _Sizes) -> list[Plan]:
    """The same two with a linear latent, and the rate in the loss."""
    # Small batches: the steps of the quantiser start fine, and what coarsens them is the number of updates.
    recipe = replace(
        _recipe(sizes), epochs=sizes.rated_epochs, batch=4, rate=RATED_RATE, schedule="cosine", lambdas=sizes.lambdas,
        max_norm=1.0,
    )  # fmt: skip
    longer = replace(recipe, epochs=2 * sizes.rated_epochs)
    return [
        Plan(
            name="baseline-rate", label="baseline, rated", build=partial(baseline, ingredients=LINEAR),
            recipe=longer, coded=sizes.coded,
        ),
        Plan(
            name="enhanced-rate", label="enhanced, rated",
            build=partial(enhanced, bottleneck=UNFAIR_BOTTLENECK, ingredients=LINEAR), recipe=recipe,
            coded=sizes.coded, watch=1,
        ),
    ]  # fmt: skip


def _ablations(sizes: _Sizes) -> list[Plan]:
    return [
        Plan(name=name, label=label, build=partial(baseline, ingredients=ingredients), recipe=_recipe(sizes), rule=None)
        for name, label, ingredients in ABLATIONS[: sizes.ablations]
    ]


def _linear(data: Dataset, sizes: _Sizes) -> list[Plan]:
    """The linear bar: blocks of the same grids, with as many numbers."""
    grids = (
        ("pca-16", "PCA 16 x 16", 16, BASELINE_WIDTHS[-1]),
        ("pca-8", "PCA 8 x 8", 8, UNFAIR_BOTTLENECK),
    )
    return [
        Plan(
            name=name, label=label, build=partial(block_pca_network, data.train.images, stride, latent), recipe=None,
            steps=partial(_equal, deltas=sizes.deltas), coded=sizes.coded, fitted=300,
        )
        for name, label, stride, latent in grids
    ]  # fmt: skip


def _equal(network: StudyNetwork, *, deltas: tuple[float, ...]) -> Steps:
    return equal_steps(network.geometry.latent, deltas)


def _rivals(data: Dataset, setting: Setting, sizes: _Sizes) -> tuple[tuple[Rival, ...], ...]:
    """JPEG with tables of its own, WebP and AVIF, each rising in rate."""
    jpeg = rivals("jpeg", data, setting, settings=sizes.settings, rule="optimised", coded=sizes.coded)
    modern: tuple[Conventional, ...] = ("webp", "avif")
    others = [
        rivals(codec, data, setting, settings=sizes.settings, coded=sizes.coded)
        for codec in modern
        if is_available(codec)
    ]
    return (jpeg, *others)


SUNSET = Experiment(
    name="sunset",
    title="Is a deeper autoencoder a better one, and do its skips carry the picture?",
    summary="A baseline and an enhanced convolutional autoencoder on photographs of 225 x 150, at equal latents and at "
    "equal bytes, with stored skips, six ablations, the rate in the loss, PCA, JPEG, WebP and AVIF.",
    sets=(PHOTOGRAPHS,),
    run=run,
)

__all__ = ["SUNSET", "Model", "run", "warm_skies"]
