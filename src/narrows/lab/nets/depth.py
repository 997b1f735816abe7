r"""Study imagenette-depth: one, two or three layers, each of which halves the picture once.

    x (B, 3, H, W) - [conv 3x3, activation, max-pool 2] per width [- conv 1x1 to the bottleneck]
    y (B, m, H / 2^n, W / 2^n)
      - [transposed conv 3x3 of stride 1, activation, nearest x2] per width, widest first - conv 3x3 to 3

From the study: the three networks of `PUBLISHED`, their activations and the linear end. Its latents are larger than
the picture: 128, 32 and 16 bits a pixel at 8 bits a number, where the picture has 24. Its pixels ran from 0 to 255,
ours from 0 to 1. Ours: the narrow bottleneck, a linear 1x1 convolution, which is what makes depths comparable at
equal bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import nn

from narrows.errors import OptionError
from narrows.lab.nets.base import Activation, Geometry, StudyNetwork, activation


@dataclass(frozen=True, kw_only=True)
class Depth:
    """One network of the study and the learning rate it was trained with (Adam)."""

    widths: tuple[int, ...]
    activation: Activation
    learning_rate: float


PUBLISHED = {
    1: Depth(widths=(64,), activation="relu", learning_rate=0.0015),
    2: Depth(widths=(32, 64), activation="leaky_relu", learning_rate=0.0017),
    3: Depth(widths=(32, 64, 128), activation="leaky_relu", learning_rate=0.0021),
}
"""Layers -> the study's network: 40,451, 75,651 and 333,955 parameters. Only the third came out of its search."""


def depth_network(
    widths: tuple[int, ...], *, kind: Activation = "leaky_relu", bottleneck: int | None = None, channels: int = 3
) -> StudyNetwork:
    """A network of len(widths) layers. Without a bottleneck its latent is the last max-pool's output, as published."""
    if not widths:
        raise OptionError("a network has at least one layer")
    latent = widths[-1] if bottleneck is None else bottleneck
    geometry = Geometry(channels=channels, latent=latent, stride=2 ** len(widths))
    down: list[nn.Module] = []
    for inputs, outputs in pairwise((channels, *widths)):
        down += [nn.Conv2d(inputs, outputs, 3, padding=1), activation(kind), nn.MaxPool2d(2)]
    if bottleneck is not None:
        down.append(nn.Conv2d(widths[-1], bottleneck, 1))
    up: list[nn.Module] = []
    for inputs, outputs in pairwise((latent, *reversed(widths))):
        up += [nn.ConvTranspose2d(inputs, outputs, 3, padding=1), activation(kind)]
        up.append(nn.Upsample(scale_factor=2, mode="nearest"))
    return StudyNetwork(
        geometry,
        nn.Sequential(*down),
        nn.Sequential(*up, nn.Conv2d(widths[0], channels, 3, padding=1)),
    )


def published_network(layers: int, *, bottleneck: int | None = None) -> StudyNetwork:
    """The study's network of 1, 2 or 3 layers, or the same around a narrow bottleneck. OptionError otherwise."""
    if layers not in PUBLISHED:
        raise OptionError(f"the study has 1 to {len(PUBLISHED)} layers, not {layers}")
    depth = PUBLISHED[layers]
    return depth_network(depth.widths, kind=depth.activation, bottleneck=bottleneck)
