"""Study ae-vae: a plain and a true variational autoencoder at identical layers, in bytes, and as a space to walk in.

The study's VAE was trained without its KL term, for 50 steps, on 200 faces that are not at hand. Here digits stand for
its vectors and photographs in grey for its maps: as published, then both kinds at the same layers, then at equal bytes.
"""

from __future__ import annotations

from narrows.lab.data import Dataset
from narrows.lab.experiments.ae_vae_parts import Findings
from narrows.lab.experiments.ae_vae_plans import (
    LATENT,
    MAP_SIDE,
    Sizes,
    beta_plans,
    linear_plans,
    map_plans,
    own_plans,
    padded,
    published_data,
    published_plans,
    rated_plan,
    ratio_plans,
    sizes_of,
    variational_model,
    vector_plans,
    wide_plan,
)
from narrows.lab.experiments.ae_vae_report import ae_vae_report
from narrows.lab.experiments.ae_vae_space import Gauge, floors, gauge, space
from narrows.lab.experiments.base import PHOTOGRAPHS, Experiment, Setting, evenly, has_photographs, load_data
from narrows.lab.experiments.coded import Model, Plan, coded_model
from narrows.lab.experiments.rivals import Rival, rivals
from narrows.lab.latent_space import PcaFeatures, train_classifier
from narrows.lab.measure.conventional import Conventional, is_available
from narrows.lab.report.document import Report

DIGITS, PICTURES = "mnist", "imagenette2-160"
_FEATURES = 64
_JUDGED = 2000
"""Pictures in each set of a distance, at most."""
_CLASSIFIED = 10_000


def run(setting: Setting) -> Report:
    """Train, code and measure everything."""
    sizes = sizes_of(setting)
    data, digits = _photographs(setting), _digits(setting)
    few = published_data(data)
    published = tuple(
        _model(plan, few, setting, sizes, seed=seed)
        for seed in setting.seed_list(sizes.seeds)
        for plan in published_plans(sizes)
    )
    maps = [_model(plan, data, setting, sizes) for plan in map_plans(sizes)]
    own = [_model(plan, data, setting, sizes) for plan in own_plans(data, sizes)]
    vectors = [
        [_model(plan, digits, setting, sizes, seed=seed) for plan in vector_plans(latent, sizes)]
        for latent in sizes.vectors
        for seed in (setting.seed_list(sizes.seeds) if latent == LATENT else (0,))
    ]
    betas = tuple(_model(plan, digits, setting, sizes) for plan in beta_plans(sizes))
    wide = coded_model(wide_plan(sizes), data, setting)
    rated = coded_model(rated_plan(wide, sizes), data, setting)
    ratios = tuple((wanted, coded_model(plan, data, setting)) for wanted, plan in ratio_plans(sizes))
    block, whole = linear_plans(data, digits, sizes)
    pca_map, pca_vector = coded_model(block, data, setting), coded_model(whole, digits, setting)
    setting.say("measuring the latent spaces")
    digit_gauge, map_gauge = _gauges(data, digits, setting)
    on_digits = [model for pair in vectors for model in pair] + list(betas)
    spaces = {(model.plan.name, model.seed): space(model, digit_gauge, setting) for model in on_digits}
    spaces |= {(model.plan.name, model.seed): space(model, map_gauge, setting) for model in (*published, *maps, *own)}
    findings = Findings(
        setting=setting, sizes=sizes, data=data, digits=digits, published=published,
        vectors=tuple((plain, bound) for plain, bound in vectors), betas=betas, maps=(maps[0], maps[1]), wide=wide,
        rated=rated, own=(own[0], own[1], own[2]), ratios=ratios, pca_map=pca_map, pca_vector=pca_vector,
        rivals=_rivals(data, setting, sizes), digit_rivals=_digit_rivals(digits, setting, sizes),
        floors=floors(data.train.images, data.test.images, LATENT), spaces=spaces, map_gauge=map_gauge,
        digit_gauge=digit_gauge,
    )  # fmt: skip
    setting.say("writing the report")
    return ae_vae_report(findings)


def _photographs(setting: Setting) -> Dataset:
    """Those of the folder where one is given, else Imagenette's; 160 x 160, in grey."""
    name = PHOTOGRAPHS if has_photographs(setting) else PICTURES
    return load_data(
        setting, name, size=(MAP_SIDE, MAP_SIDE), grey=True, limit=setting.pick(None, 60),
        train=setting.pick(None, 24), validation=setting.pick(None, 4), test=setting.pick(400, 8),
    )  # fmt: skip


def _digits(setting: Setting) -> Dataset:
    loaded = load_data(
        setting, DIGITS, train=setting.pick(24_000, 256), validation=setting.pick(2000, 64),
        test=setting.pick(None, 100),
    )  # fmt: skip
    return padded(loaded)


def _model(plan: Plan, data: Dataset, setting: Setting, sizes: Sizes, *, seed: int = 0) -> Model:
    if plan.recipe is not None and plan.recipe.beta is not None:
        return variational_model(plan, data, setting, sizes, seed=seed)
    return coded_model(plan, data, setting, seed=seed)


def _gauges(data: Dataset, digits: Dataset, setting: Setting) -> tuple[Gauge, Gauge]:
    """For digits a small classifier's features; for photographs principal components, which need no classes."""
    learned = train_classifier(
        digits.train.take(evenly(len(digits.train), _CLASSIFIED)), digits.validation, epochs=setting.pick(3, 1)
    )
    count = min(_FEATURES, len(data.train) - 1)
    coarse = PcaFeatures(data.train.images, count)
    most = setting.pick(_JUDGED, 32)
    return (
        gauge(learned, digits.test, digits.validation, most),
        gauge(coarse, data.test, data.train, most),
    )


def _rivals(data: Dataset, setting: Setting, sizes: Sizes) -> tuple[tuple[Rival, ...], ...]:
    """JPEG as saved, with optimised tables and without tables, WebP and AVIF, each rising in rate."""
    found = [
        rivals("jpeg", data, setting, settings=sizes.settings, rule=rule, coded=sizes.coded)
        for rule in ("optimised", "each", "abbreviated")
    ]
    modern: tuple[Conventional, ...] = ("webp", "avif")
    found += [
        rivals(codec, data, setting, settings=sizes.settings, coded=sizes.coded)
        for codec in modern
        if is_available(codec)
    ]
    return tuple(found)


def _digit_rivals(digits: Dataset, setting: Setting, sizes: Sizes) -> tuple[tuple[Rival, ...], ...]:
    codecs: tuple[Conventional, ...] = ("jpeg", "webp")
    return tuple(rivals(codec, digits, setting, settings=sizes.settings, rule="sheet") for codec in codecs)


AE_VAE = Experiment(
    name="ae-vae",
    title="What does the variational part of an autoencoder change, at identical layers and at equal bytes?",
    summary="The study's two autoencoders and its VAE without a KL as published; then plain and variational ones at "
    "identical layers, digits as vectors and photographs as maps, with files, samples and paths, against PCA, JPEG, "
    "WebP and AVIF. With --photos, those photographs.",
    sets=(DIGITS, PICTURES),
    run=run,
)
