"""Which networks the experiment ae-vae trains, and how."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from narrows.errors import OptionError
from narrows.lab.data import Dataset, Split
from narrows.lab.experiments.base import Pictures, Setting, evenly
from narrows.lab.experiments.coded import Model, Plan, coded_model
from narrows.lab.measure.linear import block_pca_network, equal_steps, pca_network
from narrows.lab.nets.aevae import (
    VariationalNetwork,
    ae_16,
    ae_64,
    map_autoencoder,
    map_vae,
    vector_vae,
)
from narrows.lab.nets.base import StudyNetwork, pad_to_stride
from narrows.lab.nets.digits import digit_autoencoder, digit_vae
from narrows.lab.nets.principal import STRIDE, principal_autoencoder, principal_vae
from narrows.lab.nets.sizes import bottleneck_for_ratio
from narrows.lab.study.quantiser import Steps
from narrows.lab.study.training import Recipe

CROP = 96
SIDE = 32
"""Of a digit: 28 and black around it."""
MAP_SIDE = 160
STUDY_TRAIN, STUDY_VALIDATION = 160, 40
LATENT = 16
WIDE_LATENT = 64
OWN_LATENT = 96
LAMBDAS = (0.001, 0.0025, 0.006, 0.015, 0.04)
VARIANCE = 0.002
"""Of the likelihood of our spatial VAE, given: the squared error that its code may cost, so it sets the rate."""
SHARES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""How fine a VAE's mean is quantised; at 1 the error of rounding is as large as the posterior's own noise."""
_SAMPLED, _BATCH = 500, 50
_LEAST_SIGMA = 1e-3


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much a run does."""

    published_epochs: int
    map_epochs: int
    own_epochs: int
    ratio_epochs: int
    vector_epochs: int
    widths: tuple[int, int, int]
    own_latent: int
    betas: tuple[float, ...]
    vectors: tuple[int, ...]
    ratios: tuple[float, ...]
    bits: tuple[int, ...]
    shares: tuple[float, ...]
    deltas: tuple[float, ...]
    lambdas: tuple[float, ...]
    settings: tuple[int, ...]
    coded: int
    fitted: int
    seeds: int


def sizes_of(setting: Setting) -> Sizes:
    """Those of a full run, or of a quick one."""
    if setting.quick:
        return Sizes(
            published_epochs=1, map_epochs=1, own_epochs=1, ratio_epochs=1, vector_epochs=6, widths=(8, 8, 8),
            own_latent=8, betas=(0.0,), vectors=(LATENT,), ratios=(16,), bits=(4, 8), shares=(0.5, 2.0),
            deltas=(0.5, 0.2), lambdas=LAMBDAS[1::2], settings=(10, 50), coded=4, fitted=16, seeds=1,
        )  # fmt: skip
    return Sizes(
        published_epochs=10, map_epochs=setting.epochs_of(50), own_epochs=setting.epochs_of(50),
        ratio_epochs=setting.epochs_of(15), vector_epochs=setting.epochs_of(20), widths=(48, 96, 128),
        own_latent=OWN_LATENT, betas=(0.0, 0.25, 4.0), vectors=(LATENT, WIDE_LATENT), ratios=(4, 8, 16, 32, 64),
        bits=(2, 3, 4, 5, 6, 8), shares=SHARES, deltas=(1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12),
        lambdas=LAMBDAS, settings=(2, 5, 8, 10, 15, 20, 30, 40, 55, 75), coded=80, fitted=300, seeds=3,
    )  # fmt: skip


def published_data(data: Dataset) -> Dataset:
    """As few pictures as the study had, for training and for validation; the test part stays whole."""

    def first(split: Split, count: int) -> Split:
        return split.take(evenly(len(split), count))

    return replace(data, train=first(data.train, STUDY_TRAIN), validation=first(data.validation, STUDY_VALIDATION))


def padded(data: Dataset) -> Dataset:
    """Digits of 28 x 28 in the middle of 32 x 32 black pixels."""

    def pad(split: Split) -> Split:
        edge = SIDE - split.images.shape[1]
        before = edge // 2
        images = np.pad(split.images, ((0, 0), (before, edge - before), (before, edge - before)))
        return Split(images=images, labels=split.labels)

    return replace(
        data, train=pad(data.train), validation=pad(data.validation), test=pad(data.test),
        note=f"{data.note}; padded to {SIDE} x {SIDE}",
    )  # fmt: skip


def published_plans(sizes: Sizes) -> tuple[Plan, ...]:
    """The study's three, with its loss, optimiser, start and number of steps (at 160 x 160 in the place of 256)."""
    recipe = Recipe(epochs=sizes.published_epochs, batch=32, rate=1e-3, keras_start=True, precision="32-true")
    networks: tuple[tuple[str, str, Callable[[], StudyNetwork], Recipe], ...] = (
        ("published-ae-16", "AE-16, published", ae_16, recipe),
        ("published-ae-64", "AE-64, published", ae_64, recipe),
        (
            "published-vae-16", "“VAE” (beta 0), published", partial(vector_vae, LATENT, side=MAP_SIDE),
            replace(recipe, beta=0.0, variance=1.0),
        ),
    )  # fmt: skip
    return tuple(
        Plan(
            name=name, label=label, build=build, recipe=own, bits=sizes.bits, coded=sizes.coded, fitted=STUDY_TRAIN,
            watch=1,
        )
        for name, label, build, own in networks
    )  # fmt: skip


def map_plans(sizes: Sizes) -> tuple[Plan, ...]:
    """The study's layers as maps of 16 channels on the whole training part: plain, then variational."""
    recipe = _map_recipe(sizes.map_epochs)
    common = _coded_maps(sizes)
    return (
        replace(common, name="map-ae-16", label="AE map, 16", build=partial(map_autoencoder, LATENT), recipe=recipe),
        replace(
            common, name="map-vae-16", label="VAE map, 16", build=partial(map_vae, LATENT),
            recipe=replace(recipe, beta=1.0),
        ),
    )  # fmt: skip


def wide_plan(sizes: Sizes) -> Plan:
    """The study's layers with a wide linear latent."""
    return replace(
        _coded_maps(sizes), name="study-wide", label="study's layers, wide", recipe=_map_recipe(sizes.map_epochs),
        build=partial(map_autoencoder, sizes.own_latent),
    )  # fmt: skip


def rated_plan(wide: Model, sizes: Sizes) -> Plan:
    """The wide one trained on with the rate in the loss: how far the study's layers come at equal bytes.

    From random weights the rate wins: every number is silent before the decoder has learned what any of them says.
    """
    if wide.trained is None:
        raise OptionError(f"{wide.plan.label} was not trained")
    return replace(
        wide.plan, name="study-rate", label="study's layers, rated", build=partial(deepcopy, wide.trained.network),
        recipe=replace(_map_recipe(sizes.map_epochs), lambdas=sizes.lambdas),
    )  # fmt: skip


def own_plans(data: Dataset, sizes: Sizes) -> tuple[Plan, ...]:
    """Our layers: plain, with the rate in the loss, and variational; the last at a rate near half a bit a pixel."""
    recipe, common = _map_recipe(sizes.own_epochs), _coded_maps(sizes)
    images = data.train.images
    plain = partial(principal_autoencoder, images, sizes.own_latent, widths=sizes.widths)
    bound = partial(principal_vae, images, sizes.own_latent, noise=VARIANCE, widths=sizes.widths)
    return (
        replace(common, name="own-ae", label="our AE, plain", build=plain, recipe=recipe),
        replace(
            common, name="own-ae-rated", label="our AE, rated", build=plain,
            recipe=replace(recipe, lambdas=sizes.lambdas),
        ),
        replace(
            common, name="own-vae", label="our VAE", build=bound,
            recipe=replace(recipe, rate=5e-4, beta=1.0, variance=VARIANCE),
        ),
    )  # fmt: skip


def ratio_plans(sizes: Sizes) -> tuple[tuple[float, Plan], ...]:
    """For each wanted ratio the study's network with as many channels as its rule gives, stored at 8 bits a number."""
    return tuple(
        (
            ratio,
            replace(
                _coded_maps(sizes), name=f"ratio-{ratio:g}", label=f"ratio {ratio:g}", bits=(8,),
                build=partial(
                    map_autoencoder, bottleneck_for_ratio(ratio, stride=STRIDE), latent_activation="relu"
                ),
                recipe=_map_recipe(sizes.ratio_epochs),
            ),
        )
        for ratio in sizes.ratios
    )  # fmt: skip


def vector_plans(latent: int, sizes: Sizes) -> tuple[Plan, Plan]:
    """Digits as a vector of that many numbers, plain and variational: the same layers, recipe and seed."""
    recipe = Recipe(epochs=sizes.vector_epochs, batch=64, rate=1e-3, schedule="cosine", precision="32-true")
    plain = Plan(
        name=f"vector-ae-{latent}", label=f"AE, {latent} numbers", recipe=recipe, bits=sizes.bits, rule="sheet",
        build=partial(digit_autoencoder, latent, side=SIDE),
    )  # fmt: skip
    bound = replace(
        plain, name=f"vector-vae-{latent}", label=f"VAE, {latent} numbers", recipe=replace(recipe, beta=1.0),
        build=partial(digit_vae, latent, side=SIDE),
    )  # fmt: skip
    return plain, bound


def beta_plans(sizes: Sizes) -> tuple[Plan, ...]:
    """The VAE of 16 numbers with its KL weighed in other ways; 0 is the study's network, and not variational at all."""
    _, bound = vector_plans(LATENT, sizes)
    assert bound.recipe is not None
    return tuple(
        replace(
            bound, name=f"{bound.name}-beta-{beta:g}", label=f"VAE, {LATENT} numbers, beta {beta:g}",
            recipe=replace(bound.recipe, beta=beta),
        )
        for beta in sizes.betas
    )  # fmt: skip


def linear_plans(maps: Dataset, digits: Dataset, sizes: Sizes) -> tuple[Plan, Plan]:
    """The linear bars: blocks of 16 x 16 for maps, whole digits for vectors, one step for all components."""
    steps = partial(_equal, deltas=sizes.deltas)
    block = partial(block_pca_network, maps.train.images, STRIDE, sizes.own_latent)
    return (
        replace(
            _coded_maps(sizes), name="pca-map", label=f"PCA {STRIDE} x {STRIDE}", build=block, recipe=None, steps=steps
        ),
        Plan(
            name="pca-vector", label=f"PCA, {LATENT} numbers", recipe=None, steps=steps, rule="sheet",
            build=partial(pca_network, digits.train.images, LATENT),
        ),
    )  # fmt: skip


def variational_model(plan: Plan, data: Dataset, setting: Setting, sizes: Sizes, *, seed: int = 0) -> Model:
    """As coded_model, for a variational network: its mean is quantised in steps that follow the posterior's sigma.

    A plain rounding in steps of sqrt(12) sigma makes an error of variance sigma^2, as the noise in training did.
    """
    trained = coded_model(replace(plan, rule=None), data, setting, seed=seed).trained
    if trained is None or not isinstance(trained.network, VariationalNetwork):
        raise OptionError(f"{plan.label} is no variational network that was trained")
    posterior = posterior_of(trained.network, data.train.images[evenly(len(data.train), _SAMPLED)])
    shares = sorted(sizes.shares)
    gain = np.array(shares)[:, None] / (math.sqrt(12) * posterior.sigma)
    steps = Steps(
        gain=gain.astype(np.float32), mean=(posterior.mean * gain).astype(np.float32), nominal_lambdas=True,
        lambdas=tuple(share**2 for share in shares),
    )  # fmt: skip
    names = tuple(f"steps / sigma {math.sqrt(12) / share:.3g}" for share in shares)
    coded = replace(plan, steps=lambda network: steps, names=names)
    return coded_model(coded, data, setting, seed=seed)


@dataclass(frozen=True, kw_only=True, eq=False)
class Posterior:
    """Of each channel, (m,), over pictures and in a map all positions.

    mean   of the code, as which a silent unit is rebuilt
    sigma  root of the mean variance around it; at least a thousandth of the code's own spread, since without a KL it
           dies out, and finer steps than that would store noise of the arithmetic
    """

    mean: NDArray[np.float64]
    sigma: NDArray[np.float64]


def posterior_of(network: VariationalNetwork, pictures: Pictures) -> Posterior:
    """From pictures (N, H, W[, 3]), which are what the network sees: no cells are cut from them."""
    geometry = network.geometry
    means, squares, variances = [], [], []
    with torch.no_grad():
        for part in np.array_split(pictures, -(-len(pictures) // _BATCH)):
            planes = (part if part.ndim == 4 else part[..., None]).transpose(0, 3, 1, 2)
            x = torch.from_numpy(np.ascontiguousarray(planes)).float() / 255
            found = network.posterior(x if geometry.cell is not None else pad_to_stride(x, geometry.stride))
            means.append(found.mean.double().mean((2, 3)).numpy())
            squares.append(found.mean.double().square().mean((2, 3)).numpy())
            variances.append(found.log_variance.double().exp().mean((2, 3)).numpy())
    mean = np.concatenate(means).mean(0)
    spread = np.sqrt(np.maximum(np.concatenate(squares).mean(0) - mean**2, 0))
    sigma = np.sqrt(np.concatenate(variances).mean(0))
    return Posterior(mean=mean, sigma=np.maximum(sigma, np.maximum(_LEAST_SIGMA * spread, 1e-6)))


def _map_recipe(epochs: int) -> Recipe:
    return Recipe(
        epochs=epochs, batch=8, rate=1e-3, schedule="cosine", crop=CROP, flips=True, max_norm=1.0
    )  # fmt: skip


def _coded_maps(sizes: Sizes) -> Plan:
    """What all maps have in common; name, build and recipe are to be replaced."""
    return Plan(
        name="map", label="", build=ae_16, recipe=None, bits=sizes.bits, coded=sizes.coded, fitted=sizes.fitted,
        watch=1,
    )  # fmt: skip


def _equal(network: StudyNetwork, *, deltas: tuple[float, ...]) -> Steps:
    return equal_steps(network.geometry.latent, deltas)
