"""Codes as points in two or three dimensions, and whether points of one class lie together, as a number.

A t-SNE picture proves nothing about compression: distances between its groups and their sizes mean little. It is for
looking; `neighbour_accuracy` is for saying, and is taken in the whole latent space, not in the picture of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA  # type: ignore[import-untyped]
from sklearn.manifold import TSNE  # type: ignore[import-untyped]
from sklearn.neighbors import NearestNeighbors  # type: ignore[import-untyped]
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from narrows.errors import OptionError

Rows = NDArray[np.floating]

_TSNE_INPUTS = 50  # more dimensions than that are first brought down by PCA, as its authors advise


@dataclass(frozen=True, kw_only=True, eq=False)
class Projection:
    """Points (n, k) of the codes at `indices` (n,); `method` says how they were made, with every parameter.

    `explained` (k,) is each axis' share of the codes' variance, the largest first; empty where axes have none (t-SNE).
    """

    points: NDArray[np.float64]
    indices: NDArray[np.int64]
    explained: NDArray[np.float64]
    method: str


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """How many of `codes` points have the class that most of their `k` nearest others have, as a share.

    `chance` is the share of the largest class: what saying that class every time would reach.
    """

    accuracy: float
    chance: float
    k: int
    codes: int


def pca(codes: Rows, k: int = 2, *, seed: int = 0) -> Projection:
    """The codes (N, m) on their `k` directions of largest variance, centred. OptionError for k above N or m."""
    values = _checked(codes, 2)
    if not 1 <= k <= min(values.shape):
        raise OptionError(f"codes {values.shape} have 1 to {min(values.shape)} principal directions, not {k}")
    found = PCA(n_components=k, random_state=seed)
    with np.errstate(invalid="ignore"):  # codes that are all alike have shares of 0 / 0
        points = found.fit_transform(values)
    shares = np.nan_to_num(found.explained_variance_ratio_)
    return Projection(
        points=points, indices=np.arange(len(values)), explained=shares, method=f"PCA to {k} of {values.shape[1]}"
    )


def tsne(codes: Rows, *, seed: int = 0, perplexity: float = 30.0, limit: int = 5000) -> Projection:
    """The codes (N, m) in two dimensions so that near ones stay near (van der Maaten and Hinton 2008).

    Of more than `limit` codes, that many are drawn by the seed. It starts from PCA, runs on one thread, and so gives
    the same points each time on one machine. OptionError unless the perplexity is below the number of codes.
    """
    values = _checked(codes, 3)
    indices = np.arange(len(values))
    if len(values) > limit:
        indices = np.sort(np.random.default_rng(seed).permutation(len(values))[:limit])
        values = values[indices]
    if not 0 < perplexity < len(values):
        raise OptionError(f"a perplexity for {len(values)} codes is above 0 and below that, not {perplexity:g}")
    inputs = values.shape[1]
    if inputs > _TSNE_INPUTS:
        values = pca(values, min(_TSNE_INPUTS, len(values)), seed=seed).points
    found = TSNE(n_components=2, perplexity=perplexity, init="pca", learning_rate="auto", random_state=seed, n_jobs=1)
    with threadpool_limits(1):  # the order of its sums depends on the threads
        points = found.fit_transform(values.astype(np.float32))
    before = "" if values.shape[1] == inputs else f" by PCA to {values.shape[1]}"
    method = (
        f"t-SNE of {len(values)} of {len(codes)} codes, {inputs} numbers{before}, perplexity {perplexity:g}, "
        f"{found.n_iter_ + 1} iterations, seed {seed}"
    )
    return Projection(points=points.astype(np.float64), indices=indices, explained=np.zeros(0), method=method)


def neighbour_accuracy(codes: Rows, labels: NDArray[np.integer], *, k: int = 5) -> Neighbours:
    """Each code (N, m) is given the class of most of its k nearest others (Euclidean): how often it is its own.

    No code votes for itself. Of classes with equally many votes the one with the nearest voter wins. `labels` is
    (N,), whole numbers from 0. OptionError unless 1 <= k < N.
    """
    values = _checked(codes, 2)
    if labels.shape != values.shape[:1] or labels.min() < 0:
        raise OptionError(f"labels are whole numbers from 0, one for each of {len(values)} codes, not {labels.shape}")
    if not 1 <= k < len(values):
        raise OptionError(f"of {len(values)} codes each has 1 to {len(values) - 1} neighbours, not {k}")
    nearest = NearestNeighbors(n_neighbors=k).fit(values).kneighbors(return_distance=False)
    votes = np.zeros((len(values), int(labels.max()) + 1))
    rows = np.arange(len(values))
    for place in range(k):
        # a later vote is worth a little less, so that ties fall to the nearer; all of it together less than one vote
        np.add.at(votes, (rows, labels[nearest[:, place]]), 1 - place / (k * (k + 1)))
    counts = np.bincount(labels)
    return Neighbours(
        accuracy=float(np.mean(votes.argmax(1) == labels)),
        chance=float(counts.max() / len(labels)),
        k=k,
        codes=len(values),
    )


def _checked(codes: Rows, least: int) -> NDArray[np.float64]:
    if codes.ndim != 2 or len(codes) < least or codes.shape[1] < 1 or not np.isfinite(codes).all():
        raise OptionError(f"codes are finite numbers (N, m), at least {least} of them, not {codes.shape}")
    return codes.astype(np.float64)
