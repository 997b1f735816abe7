"""How far apart two sets of pictures are: the Frechet distance, which is what FID computes, in features of ours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from narrows.errors import OptionError
from narrows.lab.latent_space.codes import Pictures
from narrows.lab.latent_space.features import Features


def frechet_distance(features: Features, real: Pictures, generated: Pictures) -> float:
    """The squared Frechet distance of two Gaussians, fitted to the features of two sets of pictures; 0 if they agree.

    |mean - mean'|^2 + trace(S + S' - 2 (S S')^(1/2)), as in Heusel et al. 2017 (arXiv:1706.08500, equation 6). With
    few pictures it is too large, the more so the fewer: give both sets the same size, and print beside it the
    distance of two real sets of that size, which is the floor. OptionError for fewer than two pictures in a set.
    """
    first, second = features(real), features(generated)
    if min(len(first), len(second)) < 2:
        raise OptionError("a distance of sets needs at least two pictures in each")
    shift = first.mean(0) - second.mean(0)
    one, other = _covariance(first), _covariance(second)
    # The trace of (S S')^(1/2) from a symmetric matrix with the same eigenvalues: no complex roots to throw away.
    root = _root(one)
    shared = np.sqrt(np.clip(np.linalg.eigvalsh(root @ other @ root), 0, None)).sum()
    return max(0.0, float(shift @ shift + np.trace(one) + np.trace(other) - 2 * shared))


def _covariance(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """(k, k), also for one feature."""
    centred = rows - rows.mean(0)
    result: NDArray[np.float64] = centred.T @ centred / (len(rows) - 1)
    return result


def _root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The symmetric square root of a covariance; eigenvalues that rounding made negative count as 0."""
    values, vectors = np.linalg.eigh(matrix)
    result: NDArray[np.float64] = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    return result
