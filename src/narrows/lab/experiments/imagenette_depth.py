"""Study imagenette-depth: one, two or three layers, as published, at equal bytes, and with the rate in the loss.

The study compares codes of 128, 32 and 16 bits a pixel with JPEG at two. Here every network makes files, three narrow
ones and three with the rate in the loss at the rates of JPEG, and colour is measured.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from PIL import Image

from narrows.lab.data import Dataset, Fit, Split
from narrows.lab.experiments.base import (
    PHOTOGRAPHS,
    Experiment,
    Pictures,
    Setting,
    has_photographs,
    load_data,
)
from narrows.lab.experiments.coded import Model, Plan, coded_model, more_points
from narrows.lab.experiments.depth_report import CleanSources, Findings, depth_report
from narrows.lab.experiments.rivals import Rival, rivals
from narrows.lab.measure.conventional import Conventional, is_available
from narrows.lab.measure.linear import block_pca_network, equal_steps
from narrows.lab.nets.base import StudyNetwork
from narrows.lab.nets.depth import PUBLISHED, depth_network, published_network
from narrows.lab.nets.sizes import bottleneck_for_bpp
from narrows.lab.report.document import Report
from narrows.lab.study.quantiser import Steps
from narrows.lab.study.training import Recipe

SIZE = (160, 160)
CROP = 64
LAMBDAS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
RATED_RATE = 2e-3
RATED_BOTTLENECK = {1: 12, 2: 32, 3: 96}
"""Channels of the networks with the rate in the loss: more than they need, the loss leaves the rest at zero bits."""
NARROW_BITS, NARROW_BPP = 4, 1.0
"""The narrow networks have as many channels as make so many bits a pixel, at so many bits a number and by count."""
TWICE_CODED = 95
"""JPEG quality that TensorFlow saves with: every original of the study was coded a second time."""


@dataclass(frozen=True, kw_only=True)
class _Sizes:
    """How much a run does."""

    epochs: tuple[int, int, int]
    narrow_epochs: int
    rated_epochs: int
    batch: int
    crop: int
    bits: tuple[int, ...]
    lambdas: tuple[float, ...]
    deltas: tuple[float, ...]
    settings: tuple[int, ...]
    coded: int
    clean: int
    depths: tuple[int, ...] = (1, 2, 3)


_QUICK = _Sizes(
    epochs=(1, 1, 1), narrow_epochs=1, rated_epochs=1, batch=8, crop=32, bits=(4, 8), lambdas=(0.01, 0.1),
    deltas=(0.25, 0.0625), settings=(20, 25, 50, 75), coded=6, clean=12,
)  # fmt: skip


def run(setting: Setting) -> Report:
    """Train, code and measure everything."""
    data = load_data(
        setting, "imagenette2-160", limit=setting.pick(None, 60), train=setting.pick(None, 32),
        validation=setting.pick(None, 6), test=setting.pick(None, 12),
    )  # fmt: skip
    sizes = setting.pick(_full(setting), _QUICK)
    seeds = setting.seed_list(1)
    published = [
        coded_model(plan, data, setting, seed=seed) for plan in map(partial(_published, sizes), sizes.depths)
        for seed in seeds
    ]  # fmt: skip
    narrow = [coded_model(_narrow(sizes, depth), data, setting) for depth in sizes.depths]
    rated = [coded_model(_rated(sizes, depth), data, setting) for depth in sizes.depths]
    remedy = coded_model(_remedy(sizes, max(sizes.depths)), data, setting)
    linear = [coded_model(_linear(data, sizes, depth), data, setting) for depth in sizes.depths]
    findings = Findings(
        setting=setting, data=data, published=tuple(published), narrow=tuple(narrow), rated=tuple(rated),
        remedy=remedy, linear=tuple(linear), rivals=_rivals(data, setting, sizes),
        lossless=tuple(
            rivals(codec, data, setting, settings=None, coded=sizes.coded)[0] for codec in _LOSSLESS
        ), whole=tuple(rivals(codec, data, setting, settings=_STUDY_QUALITIES) for codec in _STUDY_CODECS),
        clean=_clean(setting, sizes, rated[-1]),
    )  # fmt: skip
    setting.say("writing the report")
    return depth_report(findings)


def _full(setting: Setting) -> _Sizes:
    one, two, three = (setting.epochs_of(epochs) for epochs in (150, 100, 100))
    return _Sizes(
        epochs=(one, two, three), narrow_epochs=setting.epochs_of(40), rated_epochs=setting.epochs_of(80), batch=8,
        crop=CROP, bits=(2, 3, 4, 5, 6, 8), lambdas=LAMBDAS, deltas=tuple(2.0**-k for k in range(1, 8)),
        settings=(5, 10, 15, 20, 25, 35, 50, 65, 75, 85, 95), coded=160, clean=200,
    )  # fmt: skip


def _recipe(sizes: _Sizes, depth: int) -> Recipe:
    """The study's learning rate; it falls here, because a run has far fewer steps than the study's.

    Three layers at 0.0021 diverged after 16 epochs where gradients were not clipped.
    """
    return Recipe(
        epochs=sizes.epochs[depth - 1], batch=sizes.batch, rate=PUBLISHED[depth].learning_rate, schedule="cosine",
        crop=sizes.crop, flips=True, keras_start=True, max_norm=1.0 if depth == 3 else None,
    )  # fmt: skip


def _layers(depth: int) -> str:
    return "1 layer" if depth == 1 else f"{depth} layers"


def _published(sizes: _Sizes, depth: int) -> Plan:
    return Plan(
        name=f"published-{depth}", label=_layers(depth), build=partial(published_network, depth),
        recipe=_recipe(sizes, depth), bits=sizes.bits, coded=sizes.coded, fitted=64, watch=1,
    )  # fmt: skip


def _narrow(sizes: _Sizes, depth: int) -> Plan:
    """The published layers around a linear bottleneck, quantised after training: depth at equal bytes, by count."""
    bottleneck = bottleneck_for_bpp(NARROW_BPP, stride=2**depth, bits=NARROW_BITS)
    return Plan(
        name=f"narrow-{depth}", label=f"{_layers(depth)}, {bottleneck} wide",
        build=partial(published_network, depth, bottleneck=bottleneck),
        recipe=replace(_recipe(sizes, depth), epochs=sizes.narrow_epochs), bits=sizes.bits, coded=sizes.coded,
        fitted=300,
    )  # fmt: skip


def _rated(sizes: _Sizes, depth: int) -> Plan:
    """The same with the rate in the loss, several rates in one network: depth at equal bytes, of files."""
    recipe = replace(
        _recipe(sizes, depth), epochs=sizes.rated_epochs, lambdas=sizes.lambdas, rate=RATED_RATE, max_norm=1.0
    )
    return Plan(
        name=f"rated-{depth}", label=f"{_layers(depth)}, rated", build=partial(_leaky, depth), recipe=recipe,
        coded=sizes.coded, fitted=400,
    )  # fmt: skip


def _remedy(sizes: _Sizes, depth: int) -> Plan:
    """The deepest with a loss that weighs luma and chroma apart."""
    plan = _rated(sizes, depth)
    if plan.recipe is None:
        raise RuntimeError("this plan has a recipe")
    return replace(
        plan,
        name="luma-chroma",
        label=f"{_layers(depth)}, luma-chroma",
        recipe=replace(plan.recipe, loss="luma_chroma"),
    )


def _leaky(depth: int) -> StudyNetwork:
    """The published widths with leaky ReLU throughout, so that depth is the only difference."""
    return depth_network(PUBLISHED[depth].widths, bottleneck=RATED_BOTTLENECK[depth])


def _linear(data: Dataset, sizes: _Sizes, depth: int) -> Plan:
    """The linear bar: blocks of the same grid with as many numbers."""
    stride, latent = 2**depth, RATED_BOTTLENECK[depth]
    return Plan(
        name=f"pca-{stride}", label=f"PCA {stride} x {stride}",
        build=partial(block_pca_network, data.train.images, stride, latent), recipe=None,
        steps=partial(_equal, deltas=sizes.deltas), coded=sizes.coded, fitted=300,
    )  # fmt: skip


def _equal(network: StudyNetwork, *, deltas: tuple[float, ...]) -> Steps:
    return equal_steps(network.geometry.latent, deltas)


_LOSSLESS: tuple[Conventional, ...] = ("tiff-lzw", "tiff-deflate", "png", "webp-lossless")


def _rivals(data: Dataset, setting: Setting, sizes: _Sizes) -> tuple[tuple[Rival, ...], ...]:
    """JPEG as saved (the study's), WebP (the study's), JPEG optimised, narrows and AVIF, each rising in rate."""
    plain = [rivals(codec, data, setting, settings=sizes.settings, coded=sizes.coded) for codec in _STUDY_CODECS]
    plain.append(rivals("jpeg", data, setting, settings=sizes.settings, rule="optimised", coded=sizes.coded))
    plain.append(rivals("narrows", data, setting, settings=sizes.settings, coded=sizes.coded))
    if is_available("avif"):
        plain.append(rivals("avif", data, setting, settings=sizes.settings, coded=sizes.coded))
    return tuple(plain)


_STUDY_CODECS: tuple[Conventional, ...] = ("jpeg", "webp")
_STUDY_QUALITIES = (25, 50, 75)


def _clean(setting: Setting, sizes: _Sizes, model: Model) -> tuple[CleanSources, ...]:
    """The deepest rated network and JPEG on photographs: scaled down with the aspect kept, and as the study did it."""
    if not has_photographs(setting):
        return ()
    fits: tuple[tuple[str, str, Fit], ...] = (
        ("cropped", "scaled down, aspect kept, never JPEG at this size", "crop"),
        ("squashed", "squashed and saved as JPEG once more, as in the study", "squash"),
    )
    found = []
    for name, words, fit in fits:
        loaded = load_data(setting, PHOTOGRAPHS, size=SIZE, fit=fit, limit=sizes.clean)
        images = np.concatenate([part.images for part in (loaded.train, loaded.validation, loaded.test)])
        data = replace(loaded, test=Split(images=twice_coded(images) if fit == "squash" else images))
        inside = replace(setting, output=setting.output / name)
        jpeg = rivals("jpeg", data, inside, settings=sizes.settings, rule="optimised")
        points = more_points(model, data.test.images, setting, name)
        found.append(CleanSources(words=words, pictures=len(images), points=points, jpeg=jpeg))
    return tuple(found)


def twice_coded(pictures: Pictures) -> Pictures:
    """The pictures (N, H, W, 3) as they come back from a JPEG of quality 95."""
    result = np.empty_like(pictures)
    for index, picture in enumerate(pictures):
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=TWICE_CODED)
        with Image.open(file) as image:
            result[index] = np.asarray(image)
    return result


IMAGENETTE_DEPTH = Experiment(
    name="imagenette-depth",
    title="How many layers are best, at equal bytes?",
    summary="One, two and three layers on Imagenette at 160 x 160: as published, around narrow bottlenecks, and with "
    "the rate in the loss, against PCA, JPEG, WebP, AVIF, the shipped profile and lossless codecs; colour is "
    "measured. With --photos, photographs that were never JPEG at this size too.",
    sets=("imagenette2-160",),
    run=run,
)
