"""The linear baselines: PCA as a StudyNetwork, so that it goes through the same quantiser, tables and files.

    pca_network          cells: the whole picture onto its first m principal components
    block_pca_network    maps: every stride x stride block by itself, which is what a DCT does with a fixed basis
    equal_steps          one step for all components: for an orthonormal basis the right allocation of bits

The bases are orthonormal, so an error in the latent is the same error in the picture; samples run from 0 to 1 and are
rounded and clipped by the codec. A network that does not beat its PCA at the same bytes has shown nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from narrows.errors import OptionError
from narrows.lab.measure.arrays import Pictures, batches, require_pictures
from narrows.lab.nets.base import Geometry, StudyNetwork, stride_of_cell
from narrows.lab.study.quantiser import Steps

MOST_VALUES = 4096
"""Samples of a picture or block that a basis is computed for; its covariance has the square of that."""
DELTAS = tuple(2.0 ** (-k / 2) for k in range(13))
"""Steps from 1 to 1/64 of the range 0..1, two an octave: from a few bits to about 8 a component."""

Doubles = NDArray[np.float64]


def pca_network(train: Pictures, latent: int) -> StudyNetwork:
    """The first `latent` principal components of square pictures, uint8 (N, S, S) or (N, S, S, 3), as cells.

    OptionError for pictures that are not square, or more components than samples in a picture.
    """
    require_pictures(train)
    count, side, width = train.shape[:3]
    if side != width:
        raise OptionError(f"cells are square, the pictures are {side} x {width}: use block_pca_network")
    channels = 1 if train.ndim == 3 else 3
    samples = _planes(train).reshape(count, -1)
    mean = samples.mean(0, dtype=np.float64) / 255
    basis = _components(samples, mean, latent)
    into, out = nn.Linear(basis.shape[1], latent), nn.Linear(latent, basis.shape[1])
    _fill(into.weight, basis)
    _fill(into.bias, -basis @ mean)
    _fill(out.weight, basis.T)
    _fill(out.bias, mean)
    return StudyNetwork(
        Geometry(channels=channels, latent=latent, stride=stride_of_cell(side), cell=side),
        nn.Sequential(nn.Flatten(), into),
        nn.Sequential(out, nn.Unflatten(1, (channels, side, side))),
    ).eval()


def block_pca_network(train: Pictures, stride: int, latent: int, *, blocks: int = 200_000) -> StudyNetwork:
    """The first `latent` principal components of stride x stride blocks of pictures of any size, as a map.

    The basis is that of at most `blocks` whole blocks, evenly spread over pictures (N, H, W[, 3]); every channel of a
    block belongs to it. OptionError for a stride that is no power of two, or larger than the pictures.
    """
    require_pictures(train)
    channels = 1 if train.ndim == 3 else 3
    geometry = Geometry(channels=channels, latent=latent, stride=stride)
    samples = _blocks(_planes(train), stride, blocks)
    # A transposed convolution has one bias a channel, so the centre is one colour and not the mean block.
    colour = samples.reshape(len(samples), channels, -1).mean((0, 2), dtype=np.float64) / 255
    centre = np.repeat(colour, stride * stride)
    basis = _components(samples, centre, latent)
    into = nn.Conv2d(channels, latent, stride, stride=stride)
    out = nn.ConvTranspose2d(latent, channels, stride, stride=stride)
    kernels = basis.reshape(latent, channels, stride, stride)
    _fill(into.weight, kernels)
    _fill(into.bias, -basis @ centre)
    _fill(out.weight, kernels)
    _fill(out.bias, colour)
    return StudyNetwork(geometry, into, out).eval()


def equal_steps(latent: int, deltas: Sequence[float] = DELTAS) -> Steps:
    """Quantise every component with the same step, one quality a delta (in units of 0..1), the coarsest first.

    The lambdas are nominal: the slope that a uniform quantiser has at high rates. OptionError unless the deltas are
    different positive numbers.
    """
    falling = sorted(deltas, reverse=True)
    if not falling or len(set(falling)) != len(falling) or not falling[-1] > 0:
        raise OptionError(f"deltas {tuple(deltas)} must be different positive numbers")
    gain = np.repeat(1 / np.array(falling)[:, None], latent, axis=1).astype(np.float32)
    slope = 6 / math.log(2)  # of the rate in bits over the squared error delta^2 / 12
    return Steps(
        gain=gain,
        mean=np.zeros_like(gain),
        lambdas=tuple(slope / (255 * delta) ** 2 for delta in falling),
        nominal_lambdas=True,
    )


def _planes(pictures: Pictures) -> Pictures:
    """(N, C, H, W), the order of a network."""
    return pictures[:, None] if pictures.ndim == 3 else pictures.transpose(0, 3, 1, 2)


def _blocks(planes: Pictures, stride: int, most: int) -> Pictures:
    """Whole blocks as (M, C x stride x stride): all of every k-th picture, so that about `most` are left."""
    count, channels, height, width = planes.shape
    rows, columns = height // stride, width // stride
    if not rows * columns:
        raise OptionError(f"blocks of {stride} pixels do not fit into pictures of {height} x {width}")
    wanted = max(1, most // (rows * columns))
    taken = planes[:: -(-count // wanted), :, : rows * stride, : columns * stride]
    grid = taken.reshape(-1, channels, rows, stride, columns, stride).transpose(0, 2, 4, 1, 3, 5)
    return np.ascontiguousarray(grid).reshape(-1, channels * stride * stride)


def _components(samples: NDArray[np.uint8], centre: Doubles, latent: int) -> Doubles:
    """The orthonormal basis (latent, D) that keeps most of samples (M, D) / 255 - centre, its strongest row first."""
    size = samples.shape[1]
    if not 1 <= latent <= size <= MOST_VALUES:
        raise OptionError(f"{latent} components of {size} samples: 1 to {size} are possible, {MOST_VALUES} at most")
    covariance = np.zeros((size, size))
    for part in batches(samples):
        x = samples[part] / 255 - centre
        covariance += x.T @ x
    _, vectors = np.linalg.eigh(covariance)
    basis: Doubles = vectors[:, ::-1][:, :latent].T
    # The sign is the solver's choice; this one makes profiles the same everywhere.
    strongest = np.take_along_axis(basis, np.abs(basis).argmax(1)[:, None], axis=1)
    return np.ascontiguousarray(basis * np.sign(strongest))


@torch.no_grad()
def _fill(parameter: Any, values: Doubles) -> None:
    parameter.copy_(torch.from_numpy(np.ascontiguousarray(values)).float())
