r"""Study bottleneck: a convolutional and a dense autoencoder around a vector, for 28 x 28 x 1 and 32 x 32 x 3.

    conv     x (B, 3, 32, 32) - conv 16, stride 2 - conv 32, stride 2     3x3, ReLU
               - flatten 2048 - dense m                                   linear: such a latent cannot die
             y (B, m)
               - dense 2048, ReLU - as 32 x 8 x 8
               - transposed conv 16, stride 2, ReLU - transposed conv 3, stride 2 - sigmoid

    dense    x - flatten 3072 - [dense hidden, ReLU ...] - dense m
             y - [dense hidden, ReLU ...] - dense 3072 - as 3 x 32 x 32 - sigmoid

From the study (a plan that was never run): the convolutional network at 32 x 32 x 3 and m = 128, its linear latent.
Ours: the 28 x 28 shape (the plan's fixed 8 x 8 map does not fit it: 28 becomes 14, then 7), all other sizes, the
widths, and the dense network, which without hidden layers (3072-128-3072) has 789,632 parameters. The plan's
cross-entropy would have met the sigmoid twice; `StudyNetwork.logits` gives what it needs.
"""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from narrows.errors import OptionError
from narrows.lab.nets.base import Geometry, StudyNetwork, stride_of_cell

LATENTS = (2, 4, 8, 16, 32, 64, 128, 256, 512)
"""The sweep of bottlenecks."""


def conv_autoencoder(
    latent: int = 128, *, side: int = 32, channels: int = 3, widths: tuple[int, ...] = (16, 32)
) -> StudyNetwork:
    """Every width halves the side once: 536,611 parameters as planned. OptionError if it cannot be halved so often."""
    if not widths:
        raise OptionError("a convolutional network has at least one width")
    inner, rest = divmod(side, 2 ** len(widths))
    if rest or inner < 1:
        raise OptionError(f"{len(widths)} layers of stride 2 need a side that {2 ** len(widths)} divides, not {side}")
    flat = widths[-1] * inner**2
    down: list[nn.Module] = []
    for inputs, outputs in pairwise((channels, *widths)):
        down += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.ReLU()]
    up: list[nn.Module] = []
    for inputs, outputs in pairwise((*reversed(widths), channels)):
        up += [nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1), nn.ReLU()]
    up[-1] = nn.Sigmoid()
    return StudyNetwork(
        Geometry(channels=channels, latent=latent, stride=stride_of_cell(side), cell=side),
        nn.Sequential(*down, nn.Flatten(), nn.Linear(flat, latent)),
        nn.Sequential(nn.Linear(latent, flat), nn.ReLU(), nn.Unflatten(1, (widths[-1], inner, inner)), *up),
    )


def dense_autoencoder(
    latent: int = 128, *, side: int = 32, channels: int = 3, hidden: tuple[int, ...] = ()
) -> StudyNetwork:
    """One ReLU layer per width of `hidden` on the way in, in reverse on the way out; without any, it is affine."""
    geometry = Geometry(channels=channels, latent=latent, stride=stride_of_cell(side), cell=side)
    into: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise((channels * side**2, *hidden, latent)):
        into += [nn.Linear(inputs, outputs), nn.ReLU()]
    out: list[nn.Module] = []
    for inputs, outputs in pairwise((latent, *reversed(hidden), channels * side**2)):
        out += [nn.Linear(inputs, outputs), nn.ReLU()]
    return StudyNetwork(
        geometry,
        nn.Sequential(*into[:-1]),  # the last layers of both are linear
        nn.Sequential(*out[:-1], nn.Unflatten(1, (channels, side, side)), nn.Sigmoid()),
    )
