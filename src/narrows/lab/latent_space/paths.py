"""Paths through a latent space: straight lines between two pictures' codes, and one unit moved at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narrows.errors import OptionError
from narrows.lab.latent_space.codes import Codes, Pictures, decode_codes, latents
from narrows.lab.measure.arrays import require_pictures
from narrows.lab.nets.base import StudyNetwork


@dataclass(frozen=True, kw_only=True, eq=False)
class PathDistortion:
    """How a straight line in code becomes a path in pictures; means over pairs, and a number for each pair.

    `length` is the path's length over the distance of its ends: 1 for a plain cross-fade, which is what a linear
    decoder does, more where the path bends. `unevenness` is the longest step over the mean step: 1 where the picture
    changes at an even pace, more where it jumps, at most the number of steps. Neither says whether the pictures on
    the way look real; `frechet_distance` of the middles does.
    """

    length: float
    unevenness: float
    lengths: NDArray[np.float64]
    unevennesses: NDArray[np.float64]
    steps: int


def interpolations(network: StudyNetwork, first: Pictures, second: Pictures, steps: int = 9) -> Pictures:
    """(pairs, steps, H, W[, 3]): `steps` decoded pictures on the line from each first picture's code to the second's.

    The ends are the two pictures as the network rebuilds them. OptionError for fewer than two steps or parts that
    are not alike.
    """
    return _decoded(network, _between(network, first, second, steps), first.shape[1:3])


def path_distortion(network: StudyNetwork, first: Pictures, second: Pictures, steps: int = 32) -> PathDistortion:
    """Length and evenness of the decoded paths between pairs of pictures, in `steps` steps of equal length in code.

    Distances are root mean squares over samples. Pictures are rounded to uint8 before, so many tiny steps would
    measure rounding. Pairs that are rebuilt alike have no path and are left out; OptionError if none remains.
    """
    require_pictures(first)
    lengths, unevennesses = [], []
    for pair in range(len(first)):  # one at a time: in floats all paths together would be large
        here = slice(pair, pair + 1)
        codes = _between(network, first[here], second[here] if len(second) == len(first) else second, steps + 1)
        path = _decoded(network, codes, first.shape[1:3])[0].reshape(steps + 1, -1).astype(np.float64)
        across = _rms(path[-1] - path[0])
        if across > 0:
            walked = _rms(np.diff(path, axis=0))
            lengths.append(float(walked.sum() / across))
            unevennesses.append(float(walked.max() / walked.mean()))
    if not lengths:
        raise OptionError("no pair of pictures is rebuilt as two different ones, so there is no path to measure")
    return PathDistortion(
        length=float(np.mean(lengths)),
        unevenness=float(np.mean(unevennesses)),
        lengths=np.array(lengths),
        unevennesses=np.array(unevennesses),
        steps=steps,
    )


def traversals(
    network: StudyNetwork,
    picture: NDArray[np.uint8],
    channels: Sequence[int],
    *,
    reference: Pictures,
    span: float = 3.0,
    steps: int = 9,
) -> Pictures:
    """(channels, steps, H, W[, 3]): one picture with one channel of its latent moved from -span to +span.

    The unit of `span` is the channel's standard deviation over the `reference` pictures (of the picture's size), so
    that codes of every scale are moved alike. An odd number of steps has the picture itself, rebuilt, in the middle.
    In a map all positions of the channel move together. OptionError for a channel that the latent has not.
    """
    if steps < 2 or not span > 0:
        raise OptionError(f"a traversal has two steps or more and a span above 0, not {steps} and {span:g}")
    if not channels or not all(0 <= channel < network.geometry.latent for channel in channels):
        raise OptionError(f"the latent has channels 0 to {network.geometry.latent - 1}, not {tuple(channels)}")
    code = latents(network, picture[None])[0].reshape(network.geometry.latent, -1)
    known = latents(network, reference).reshape(len(reference), network.geometry.latent, -1)
    spread = known.std(axis=(0, 2))
    moved = np.tile(code, (len(channels), steps, 1, 1))
    for row, channel in enumerate(channels):
        moved[row, :, channel] += np.linspace(-span, span, steps)[:, None] * spread[channel]
    return _decoded(network, moved.reshape(len(channels), steps, -1), picture.shape[:2])


def _between(network: StudyNetwork, first: Pictures, second: Pictures, points: int) -> Codes:
    """(pairs, points, code) on the lines between the codes of two parts, ends included."""
    if points < 2:
        raise OptionError("a path has its two ends at least")
    require_pictures(first)
    if first.shape != second.shape:
        raise OptionError(f"the pairs' first pictures are {first.shape}, the second ones {second.shape}")
    ends = latents(network, first), latents(network, second)
    share = np.linspace(0, 1, points, dtype=np.float32)[None, :, None]
    return (1 - share) * ends[0][:, None] + share * ends[1][:, None]


def _decoded(network: StudyNetwork, codes: Codes, size: tuple[int, ...]) -> Pictures:
    """Codes (rows, columns, code) as pictures in the same order."""
    height, width = size
    decoded = decode_codes(network, codes.reshape(-1, codes.shape[-1]), (height, width))
    return decoded.reshape(*codes.shape[:2], *decoded.shape[1:])


def _rms(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    result: NDArray[np.float64] = np.sqrt(np.mean(np.square(differences), axis=-1))
    return result
