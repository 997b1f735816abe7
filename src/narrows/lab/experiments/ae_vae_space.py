"""What is asked of a latent space: loss terms apart, blur, units, samples, paths; and the linear floors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narrows.errors import OptionError
from narrows.lab.data import Split
from narrows.lab.experiments.base import Indices, Pictures, Setting, crc, evenly
from narrows.lab.experiments.coded import Model
from narrows.lab.experiments.kept import kept
from narrows.lab.latent_space import (
    Features,
    active_units,
    fitted_samples,
    frechet_distance,
    interpolations,
    path_distortion,
    prior_samples,
)
from narrows.lab.measure.arrays import picture_pixels
from narrows.lab.measure.artefacts import sharpness
from narrows.lab.nets.aevae import VariationalNetwork
from narrows.lab.nets.base import StudyNetwork
from narrows.lab.study.grid import reconstructed

_PATHS = 24
"""Pairs of pictures whose paths are measured."""
_MIDDLE = 3
"""Points on an interpolation whose middle one is looked at."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Gauge:
    """What latent spaces are measured with: real pictures, and others as many for the floor of a distance."""

    features: Features
    real: Pictures
    others: Pictures
    floor: float
    """Distance of two real sets of this size: no set of drawn pictures comes below it but by chance."""
    pairs: tuple[Pictures, Pictures]
    """Pictures to walk between, of two classes where there are labels."""


@dataclass(frozen=True, kw_only=True)
class Space:
    """Of one network; distances in the gauge's features. None where it makes no sense for this kind of network.

    nll_nats     a pixel, of the validation pictures, codes drawn at random: one term of the bound
    kl_bits      a picture, of the same: the other term
    random_mse   with such codes; the mean's is Model.floats.mse
    drawn        distance of pictures drawn from N(0, I) to real ones; fitted: from a Gaussian fitted to codes
    middles      of pictures half-way between two codes
    length, unevenness  of latent_space.PathDistortion
    """

    sharpness: float
    active: int
    nll_nats: float | None
    kl_bits: float | None
    random_mse: float | None
    decoded: float
    drawn: float | None
    fitted: float
    middles: float
    length: float
    unevenness: float


def gauge(features: Features, test: Split, others: Split, most: int) -> Gauge:
    """Up to `most` test pictures, and as many others as there are of both."""
    count = min(most, len(test), len(others))
    real, floor = test.images[evenly(len(test), count)], others.images[evenly(len(others), count)]
    return Gauge(
        features=features, real=real, others=floor, floor=frechet_distance(features, real, floor),
        pairs=_pairs(test, _PATHS),
    )  # fmt: skip


def _pairs(split: Split, count: int) -> tuple[Pictures, Pictures]:
    """Pictures and partners half the part away, of another class where there are labels."""
    first = evenly(len(split), min(count, max(1, len(split) // 2)))
    second = (first + len(split) // 2) % len(split)
    if split.labels is not None:
        second = np.array([_other(split.labels, a, b) for a, b in zip(first, second, strict=True)])
    return split.images[first], split.images[second]


def _other(labels: Indices, first: int, start: int) -> int:
    """The next picture from `start` on that is of another class; `start` where there is none."""
    order = (start + np.arange(len(labels))) % len(labels)
    different = order[labels[order] != labels[first]]
    return int(different[0]) if len(different) else int(start)


def free(model: Model) -> StudyNetwork:
    """The network as it was trained: variational where it is, which the settled one no longer is."""
    return model.network if model.trained is None else model.trained.network


def space(model: Model, tools: Gauge, setting: Setting) -> Space:
    """Measured once and kept."""
    key = f"{crc(model.floats.mse_of)} {crc(tools.real)} {crc(tools.others)} {tools.floor:.6g}"
    return kept(model.measured(setting) / "space.npz", key, Space, lambda: _space(model, tools))


def _space(model: Model, tools: Gauge) -> Space:
    network, size = free(model), (tools.real.shape[1], tools.real.shape[2])
    count = len(tools.real)
    decoded = reconstructed(network, tools.real)
    variational = isinstance(network, VariationalNetwork)
    drawn = prior_samples(network, count, size=size) if variational else None
    ends = _shuffled(tools.real)
    middles = interpolations(network, tools.real, ends, steps=_MIDDLE)[:, _MIDDLE // 2]
    nll, kl_bits, random_mse = _terms(model, picture_pixels(tools.real))
    try:
        path = path_distortion(network, *tools.pairs)
        length, unevenness = path.length, path.unevenness
    except OptionError:  # a network that draws one picture whatever it sees has no path
        length = unevenness = math.nan
    return Space(
        sharpness=sharpness(tools.real, decoded),
        active=active_units(network, tools.real).count,
        nll_nats=nll, kl_bits=kl_bits, random_mse=random_mse,
        decoded=frechet_distance(tools.features, tools.real, decoded),
        drawn=None if drawn is None else frechet_distance(tools.features, tools.real, drawn),
        fitted=frechet_distance(tools.features, tools.real, fitted_samples(network, tools.others, count)),
        middles=frechet_distance(tools.features, tools.real, middles),
        length=length, unevenness=unevenness,
    )  # fmt: skip


def _terms(model: Model, pixels: int) -> tuple[float | None, float | None, float | None]:
    """(nll in nats a pixel, KL in bits a picture, squared error with random codes) of the epoch that was kept."""
    trained = model.trained
    if trained is None or trained.recipe.beta is None:
        return None, None, None
    best = trained.history[trained.best - 1]
    if best.kl_bits is None:
        return None, None, best.validation_mse
    kl_nats = best.kl_bits * math.log(2) / pixels
    weighed = trained.recipe.beta * kl_nats if trained.recipe.beta else 0.0
    return best.validation_loss - weighed, best.kl_bits, best.validation_mse


def _shuffled(pictures: Pictures) -> Pictures:
    """Each picture's partner: the one half the set away."""
    return np.roll(pictures, len(pictures) // 2, axis=0)


@dataclass(frozen=True, kw_only=True)
class Floors:
    """Squared errors on test pictures (0..1) of what needs no network."""

    grey: float
    """One grey for all: the mean of all training samples."""
    mean_picture: float
    components: float
    """Of as many principal components of whole pictures as the vector has numbers."""


def floors(train: Pictures, test: Pictures, components: int) -> Floors:
    """From whole pictures, flattened; with fewer training pictures than components, as many as there are."""
    x, y = (part.reshape(len(part), -1).astype(np.float32) / 255 for part in (train, test))
    mean = x.mean(0)
    centred = x - mean
    values, vectors = np.linalg.eigh(centred @ centred.T)  # of pictures, not of samples: there are fewer of them
    chosen = [index for index in range(len(values))[::-1][:components] if values[index] > 1e-6 * values[-1]]
    basis = (vectors[:, chosen].T @ centred) / np.sqrt(values[chosen])[:, None]
    rest: NDArray[np.float32] = y - mean
    left = rest - (rest @ basis.T) @ basis
    return Floors(
        grey=float(np.square(y - mean.mean()).mean()), mean_picture=float(np.square(rest).mean()),
        components=float(np.square(left).mean()),
    )  # fmt: skip


def most_used(model: Model, pictures: Pictures, count: int) -> tuple[int, ...]:
    """The units whose code varies most over these pictures, or with a posterior those of the largest KL."""
    units = active_units(free(model), pictures)
    weight = units.variance if units.kl_bits is None else units.kl_bits
    return tuple(int(unit) for unit in np.argsort(-weight)[:count])
