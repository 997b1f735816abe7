"""Study emnist-decoders: one encoder and four decoders for characters; what the ReLU on the latent did, and bytes.

The study's figures are of ten test pictures of EMNIST-Balanced. Here every network meets the whole test part of the set
that is given, several seeds each; then the latents become bytes, and our own network stands beside the study's.
"""

from __future__ import annotations

from collections.abc import Iterable

from narrows.lab.data import Dataset
from narrows.lab.experiments.base import Experiment, Setting, load_data
from narrows.lab.experiments.coded import Model, coded_model
from narrows.lab.experiments.emnist_parts import Character, Findings
from narrows.lab.experiments.emnist_plans import (
    CODED_MODELS,
    CONTROLS,
    LEAKY,
    LINEAR,
    PUBLISHED,
    Variant,
    linear_plan,
    own_plan,
    plan,
)
from narrows.lab.experiments.emnist_report import emnist_report
from narrows.lab.experiments.kept import kept
from narrows.lab.experiments.rivals import Rival, rivals
from narrows.lab.measure.artefacts import grid_db
from narrows.lab.measure.conventional import Conventional, Rule
from narrows.lab.measure.seeds import seed_metrics
from narrows.lab.report.document import Report
from narrows.lab.study.grid import reconstructed, sample_latents
from narrows.lab.study.quantiser import live_channels

SET = "emnist-balanced"
_RIVALS: tuple[tuple[Conventional, Rule, tuple[int, ...] | None], ...] = (
    ("jpeg", "each", (5, 25, 50, 75)),
    ("jpeg", "optimised", (5, 25, 50, 75)),
    ("jpeg", "abbreviated", (5, 10, 25, 50, 75)),
    ("jpeg", "sheet", (5, 10, 25, 50, 75)),
    ("webp", "each", (5, 25, 50, 75)),
    ("webp", "sheet", (5, 10, 25, 50, 75)),
    ("png", "each", None),
    ("png", "sheet", None),
    ("g4", "sheet", (128,)),
)
"""Codec, rule and settings; a file for all characters costs no header, a file each hardly anything else."""


def run(setting: Setting) -> Report:
    """Train, code and measure everything."""
    data = load_data(
        setting, SET, train=setting.pick(None, 256), validation=setting.pick(None, 48), test=setting.pick(None, 64)
    )
    seeds = setting.seed_list(3)
    published = _trained(PUBLISHED, data, setting, seeds)
    linear = _trained(LINEAR, data, setting, seeds)
    controls = _trained((*CONTROLS, *setting.pick(LEAKY, ())), data, setting, seeds[:1])
    own, pca = coded_model(own_plan(setting), data, setting), coded_model(linear_plan(data), data, setting)
    studied = (*published, *linear, *controls)
    findings = Findings(
        setting=setting, data=data, published=published, linear=linear, controls=controls, own=own, pca=pca,
        characters={(model.plan.name, model.seed): _character(model, data, setting) for model in studied},
        rivals=_rivals(data, setting),
    )  # fmt: skip
    setting.say("writing the report")
    return emnist_report(findings)


def _trained(variants: Iterable[Variant], data: Dataset, setting: Setting, seeds: tuple[int, ...]) -> tuple[Model, ...]:
    return tuple(
        coded_model(plan(variant, setting, coded=_is_coded(variant)), data, setting, seed=seed)
        for seed in seeds
        for variant in variants
    )


def _is_coded(variant: Variant) -> bool:
    return variant.model in CODED_MODELS and variant in (*PUBLISHED, *LINEAR)


def _character(model: Model, data: Dataset, setting: Setting) -> Character:
    """What is asked of the study's networks alone, before quantisation, on the whole test part."""

    def make() -> Character:
        decoded = reconstructed(model.network, data.test.images)
        metrics = seed_metrics(data.test.images, decoded)
        return Character(
            live=int(live_channels(sample_latents(model.network, data.test.images)).sum()),
            ssim_uniform_11=metrics.ssim_uniform_11, psnr_own_range_db=metrics.psnr_own_range_db,
            grid_db=grid_db(data.test.images, decoded, 2),
        )  # fmt: skip

    key = f"{model.floats.mse} {model.floats.ssim}"  # which no other weights and pictures share
    return kept(model.measured(setting) / "character.npz", key, Character, make)


def _rivals(data: Dataset, setting: Setting) -> tuple[tuple[Rival, ...], ...]:
    return tuple(rivals(codec, data, setting, settings=settings, rule=rule) for codec, rule, settings in _RIVALS)


EMNIST_DECODERS = Experiment(
    name="emnist-decoders",
    title="Four decoders for handwritten characters, and the latents that died",
    summary="Trains the study's four autoencoders and their linear-latent twins on EMNIST with several seeds, counts "
    "live latents, and codes the whole test part into files beside JPEG, WebP, PCA and a network of ours.",
    sets=(SET,),
    run=run,
)
