"""What the experiment bottleneck measures beside files and their quality; everything is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from narrows.lab.data import Dataset
from narrows.lab.experiments.base import Indices, Pictures, Setting, crc, evenly
from narrows.lab.experiments.bottleneck_plans import Subject
from narrows.lab.experiments.coded import Model, Point, more_points
from narrows.lab.experiments.kept import kept
from narrows.lab.experiments.rivals import Rival
from narrows.lab.latent_space import Neighbours, Projection, latents, neighbour_accuracy, pca, tsne
from narrows.lab.study.grid import reconstructed

NEIGHBOURS = 5
PIXELS = "pixels"
"""In place of the name of a network, where there is none."""
_TSNE_MOST, _PERPLEXITY = 3000, 30.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Alone:
    """The best, the median and the worst test picture of a model (the first three) and some more, a file each."""

    indices: Indices
    rated: tuple[Point, ...]
    linear: tuple[Point, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Classes:
    """The codes of the reference's convolutional network as points: along two and three axes of PCA, and by t-SNE."""

    flat: Projection
    deep: Projection
    near: Projection


@dataclass(frozen=True, kw_only=True, eq=False)
class SetFindings:
    """All that was measured on one data set.

    conv, dense, pca   a model each width, seed 0, in the order of subject.widths
    repeats            further seeds of conv and dense at the reference width
    cross_entropy      the reference trained with the other loss, on the first set alone
    matched            networks of near-equal parameters, where dense ones are not those already
    rated              convolutional and dense, the rate in the loss
    stepped            the widest PCA with equal steps
    shown              which test pictures the slider has; tiles: by plan name and quality, -1 for not quantised
    neighbours         by plan name, and PIXELS
    """

    subject: Subject
    data: Dataset
    conv: tuple[Model, ...]
    dense: tuple[Model, ...]
    pca: tuple[Model, ...]
    repeats: tuple[Model, ...]
    cross_entropy: Model | None
    matched: tuple[Model, ...]
    rated: tuple[Model, Model]
    stepped: Model
    rivals: tuple[tuple[Rival, ...], ...]
    alone: Alone
    shown: Indices
    tiles: Mapping[tuple[str, int], Pictures]
    neighbours: Mapping[str, Neighbours]
    classes: Classes

    def families(self) -> tuple[tuple[str, tuple[Model, ...]], ...]:
        """The sweeps by name."""
        return ("convolutional", self.conv), ("dense", self.dense), ("PCA", self.pca)

    def at_reference(self, models: Sequence[Model]) -> Model:
        """That of a sweep with the reference's width."""
        return models[self.subject.widths.index(self.subject.reference)]

    def models(self) -> Iterator[Model]:
        yield from (*self.conv, *self.dense, *self.pca, *self.repeats, *self.matched, *self.rated, self.stepped)
        if self.cross_entropy is not None:
            yield self.cross_entropy

    def rival(self, codec: str, rule: str) -> tuple[Rival, ...]:
        """One conventional codec by one rule, rising in rate."""
        return next(group for group in self.rivals if (group[0].codec, group[0].rule) == (codec, rule))


@dataclass(frozen=True, kw_only=True, eq=False)
class Findings:
    setting: Setting
    sets: tuple[SetFindings, ...]


def alone(rated: Model, stepped: Model, data: Dataset, setting: Setting) -> Alone:
    """Ranks the test part by the finest setting of `rated`, and writes a file each for some of it."""
    order = np.argsort(-rated.points[-1].result.psnr_db_of, kind="stable")
    cases = order[[0, len(order) // 2, len(order) - 1]]
    indices = np.concatenate([cases, evenly(len(order), setting.pick(97, 2))])
    setting.say(f"{rated.plan.label}: a file each")
    pictures = data.test.images[indices]
    found = []
    for model in (rated, stepped):
        each = _with_rule_each(model)
        found.append(more_points(each, pictures, setting, "alone"))
    return Alone(indices=indices, rated=found[0], linear=found[1])


def _with_rule_each(model: Model) -> Model:
    return replace(model, plan=replace(model.plan, rule="each"))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Tiles:
    pixels: Pictures


def first_of_classes(data: Dataset, count: int) -> Indices:
    """The first test picture of each of the first `count` classes that have one; without classes evenly spread ones."""
    labels = data.test.labels
    if labels is None:
        return evenly(len(data.test), count)
    return np.sort(np.unique(labels, return_index=True)[1][:count]).astype(np.int64)


def tiles(model: Model, data: Dataset, shown: Indices, setting: Setting) -> dict[tuple[str, int], Pictures]:
    """The shown pictures as they come back from the model's files, and unquantised."""
    name, pictures = model.plan.name, data.test.images[shown]
    found = {(name, -1): reconstructed(model.network, pictures)}
    for point in model.points:
        key = f"{point.result.mse} {point.bytes} {crc(shown)}"
        found[name, point.quality] = kept(
            model.measured(setting) / f"tiles-{point.quality}.npz",
            key,
            _Tiles,
            lambda point=point: _Tiles(pixels=point.decoded(shown)),  # type: ignore[misc]
        ).pixels
    return found


def neighbours(models: Sequence[Model], data: Dataset, subject: Subject, setting: Setting) -> dict[str, Neighbours]:
    """How often the nearest codes are of one class, for each model and for the pixels; {} without classes."""
    labels = data.test.labels
    if labels is None:
        return {}
    setting.say(f"{subject.label}: neighbours")
    images, of_pixels = data.test.images, setting.output / "measured" / f"{subject.name}-{PIXELS}"
    found = {}
    for name, model in ((PIXELS, None), *((model.plan.name, model) for model in models)):
        folder = of_pixels if model is None else model.measured(setting)
        key = f"{crc(images)} {crc(labels)} {'' if model is None else model.floats.mse}"

        def make(model: Model | None = model) -> Neighbours:
            codes = images.reshape(len(images), -1) if model is None else latents(model.network, images)
            return neighbour_accuracy(codes.astype(np.float32), labels, k=NEIGHBOURS)

        found[name] = kept(folder / "neighbours.npz", key, Neighbours, make)
    return found


def classes(model: Model, data: Dataset, setting: Setting) -> Classes:
    """The model's codes of (at most some thousand) test pictures as points."""
    setting.say(f"{model.plan.label}: PCA and t-SNE of its codes")
    chosen = evenly(len(data.test), _TSNE_MOST)
    codes = latents(model.network, data.test.images[chosen])
    folder, key = model.measured(setting), f"{model.floats.mse} {crc(chosen)}"
    perplexity = min(_PERPLEXITY, len(chosen) / 4)
    flat = kept(folder / "pca-2.npz", key, Projection, lambda: pca(codes, 2))
    deep = kept(folder / "pca-3.npz", key, Projection, lambda: pca(codes, 3))
    near = kept(folder / "tsne.npz", key, Projection, lambda: tsne(codes, perplexity=perplexity))
    return Classes(**{name: _among(one, chosen) for name, one in (("flat", flat), ("deep", deep), ("near", near))})


def _among(projection: Projection, chosen: NDArray[np.int64]) -> Projection:
    """With the indices of the test part in place of those of the codes."""
    return replace(projection, indices=chosen[projection.indices])
