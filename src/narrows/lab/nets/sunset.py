r"""Study sunset: a baseline with a small grid, an enhanced network with a larger one, a third with stored skips.

    baseline   x - 4 x [conv, BN, ReLU, max-pool]                    16-32-64-128 channels, to 1/16
               y - 3 x [x2, conv, BN, ReLU] - conv 3, sigmoid - x2   64-32-16 channels
    enhanced   x - 2 x conv - pool, 2 x conv - pool, 2 x conv - pool, conv m     32-64-128 channels, to 1/8
               y - x2, 2 x conv - x2, 2 x conv - x2, 2 x conv - conv 3, sigmoid  128-64-32; each conv with BN, ReLU
    skips      as enhanced; at every level with a skip width k the encoder's features go through a linear 1x1
               convolution to k channels, are packed by space-to-depth to 1/8 and lie behind the m channels of the
               latent. The decoder unpacks them and joins them to its features of that level.

From the study: the diagrams (order and number of layers, sizes of the grids), batch norm, ReLU, max-pool, the closing
sigmoid, and that skips are claimed, though its diagram has no such arrow. Ours, because the study does not say: all
widths (chosen so that both networks carry 16,128 latents on the floored grids of 150 x 225, 9 x 14 and 18 x 28),
kernels of 3, nearest upsampling. Ours too: pictures are padded, where the study's pools drop the last rows and an
interpolation stretches the rest back. So 150 x 225 is coded as 10 x 15 or 19 x 29 positions, 19,200 or 17,632
numbers, and the baseline's last x2 is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from narrows.errors import OptionError
from narrows.lab.nets.base import Activation, Geometry, StudyNetwork, activation

Downsampling = Literal["max_pool", "stride"]
Upsampling = Literal["nearest", "bilinear"]

BASELINE_WIDTHS = (16, 32, 64, 128)
ENHANCED_WIDTHS = (32, 64, 128)
FAIR_BOTTLENECK = 32
"""Of the enhanced network: as many latents as the baseline has."""
UNFAIR_BOTTLENECK = 128
"""As many channels as the baseline has, so four times the latents, which is how the study compared."""


@dataclass(frozen=True, kw_only=True)
class Ingredients:
    """What the study praises, each with a switch. The defaults are the study's. OptionError for unknown names."""

    batch_norm: bool = True
    activation: Activation = "relu"
    downsampling: Downsampling = "max_pool"
    """"stride": the convolution beside the pool takes its place with stride 2."""
    upsampling: Upsampling = "nearest"
    dropout: float = 0.0
    """Behind every activation except the latent's; 0 to below 1."""
    latent_activation: Activation = "relu"
    """"linear" leaves the last batch norm's output as it is, so that no channel can die."""

    def __post_init__(self) -> None:
        for name, value, known in (
            ("downsampling", self.downsampling, get_args(Downsampling)),
            ("upsampling", self.upsampling, get_args(Upsampling)),
            ("activation", self.activation, get_args(Activation)),
            ("latent activation", self.latent_activation, get_args(Activation)),
        ):
            if value not in known:
                raise OptionError(f"the {name} is one of {', '.join(known)}, not {value!r}")
        if not 0 <= self.dropout < 1:
            raise OptionError(f"dropout is 0 to below 1, not {self.dropout:g}")

    def conv(self, inputs: int, outputs: int, *, stride: int = 1) -> list[nn.Module]:
        """A convolution with what follows it."""
        layers = [*self._linear(inputs, outputs, stride), activation(self.activation)]
        return [*layers, nn.Dropout(self.dropout)] if self.dropout else layers

    def latent(self, inputs: int, outputs: int, *, stride: int = 1) -> list[nn.Module]:
        """The convolution whose output is the latent."""
        return [*self._linear(inputs, outputs, stride), activation(self.latent_activation)]

    def pool(self) -> tuple[list[nn.Module], int]:
        """What halves a grid: layers, and the stride of the convolution beside them."""
        return ([nn.MaxPool2d(2)], 1) if self.downsampling == "max_pool" else ([], 2)

    def double(self) -> nn.Upsample:
        """What doubles a grid."""
        if self.upsampling == "nearest":
            return nn.Upsample(scale_factor=2, mode="nearest")
        return nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)

    def _linear(self, inputs: int, outputs: int, stride: int) -> list[nn.Module]:
        conv = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)
        return [conv, nn.BatchNorm2d(outputs)] if self.batch_norm else [conv]


AS_PUBLISHED = Ingredients()


def baseline(
    widths: tuple[int, ...] = BASELINE_WIDTHS, *, ingredients: Ingredients = AS_PUBLISHED, channels: int = 3
) -> StudyNetwork:
    """The simple network: 195,459 parameters, widths[-1] latents per 16 x 16 pixels."""
    if len(widths) < 2:
        raise OptionError(f"the baseline has at least two widths, not {widths}")
    geometry = Geometry(channels=channels, latent=widths[-1], stride=2 ** len(widths))
    pool, stride = ingredients.pool()
    encoder: list[nn.Module] = []
    for inputs, outputs in pairwise((channels, *widths[:-1])):
        encoder += [*ingredients.conv(inputs, outputs, stride=stride), *ingredients.pool()[0]]
    encoder += [*ingredients.latent(widths[-2], widths[-1], stride=stride), *pool]
    decoder: list[nn.Module] = []
    for inputs, outputs in pairwise(reversed(widths)):
        decoder += [ingredients.double(), *ingredients.conv(inputs, outputs)]
    decoder += [nn.Conv2d(widths[0], channels, 3, padding=1), nn.Sigmoid(), ingredients.double()]
    return StudyNetwork(geometry, nn.Sequential(*encoder), nn.Sequential(*decoder))


def enhanced(
    widths: tuple[int, ...] = ENHANCED_WIDTHS,
    *,
    bottleneck: int = FAIR_BOTTLENECK,
    ingredients: Ingredients = AS_PUBLISHED,
    channels: int = 3,
) -> StudyNetwork:
    """The deeper network: 649,635 parameters with 32 latents per 8 x 8 pixels, 871,107 with 128."""
    if not widths:
        raise OptionError("the enhanced network has at least one width")
    geometry = Geometry(channels=channels, latent=bottleneck, stride=2 ** len(widths))
    encoder = [layer for level in _levels_down(widths, bottleneck, ingredients, channels) for layer in level]
    levels = _levels_up(widths, (bottleneck, *reversed(widths[1:])), ingredients)
    decoder = [layer for level in levels for layer in (ingredients.double(), *level)]
    end = (nn.Conv2d(widths[0], channels, 3, padding=1), nn.Sigmoid())
    return StudyNetwork(geometry, nn.Sequential(*encoder), nn.Sequential(*decoder, *end))


def enhanced_with_skips(
    widths: tuple[int, ...] = ENHANCED_WIDTHS,
    *,
    bottleneck: int = FAIR_BOTTLENECK,
    skips: tuple[int, ...] = (0, 4, 8),
    ingredients: Ingredients = AS_PUBLISHED,
    channels: int = 3,
) -> StudyNetwork:
    """The enhanced network with the skips it claims, as part of its latent: `skips[i]` channels at 1 / 2^i, 0 for none.

    Latent channel c belongs to the bottleneck below `bottleneck`; then come the skips, coarsest first. At full size
    one channel costs 64 latent channels, so widths as large as the features' own are possible and absurd: (32, 64,
    128) makes 3616.
    """
    if not widths:
        raise OptionError("the enhanced network has at least one width")
    if len(skips) != len(widths) or any(skip < 0 for skip in skips):
        raise OptionError(f"{len(widths)} levels need as many skip widths, each 0 or more, not {skips}")
    packed = [skip * 4 ** (len(widths) - level) for level, skip in enumerate(skips)]
    geometry = Geometry(channels=channels, latent=bottleneck + sum(packed), stride=2 ** len(widths))
    return StudyNetwork(
        geometry,
        SkippingEncoder(widths, bottleneck, skips, ingredients, channels),
        SkippingDecoder(widths, bottleneck, skips, ingredients, channels),
    )


class SkippingEncoder(nn.Module):
    """(B, C, H, W) to (B, m, H / s, W / s): the bottleneck, then the packed skips, coarsest first."""

    def __init__(
        self, widths: tuple[int, ...], bottleneck: int, skips: tuple[int, ...], ingredients: Ingredients, channels: int
    ) -> None:
        super().__init__()
        levels = _levels_down(widths, bottleneck, ingredients, channels)
        self.levels = nn.ModuleList(nn.Sequential(*level) for level in levels[:-1])
        self.bottom = nn.Sequential(*levels[-1])
        self.skips = nn.ModuleDict(
            {
                str(level): nn.Sequential(nn.Conv2d(width, skip, 1), nn.PixelUnshuffle(2 ** (len(widths) - level)))
                for level, (width, skip) in enumerate(zip(widths, skips, strict=True))
                if skip
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        packed: list[Tensor] = []
        for index, level in enumerate(self.levels):
            x = level(x)
            if str(index) in self.skips:
                packed.insert(0, self.skips[str(index)](x))
        return torch.cat([self.bottom(x), *packed], 1)


class SkippingDecoder(nn.Module):
    """The way back: each level doubles the grid, joins the level's skip if it has one, and convolves twice."""

    def __init__(
        self, widths: tuple[int, ...], bottleneck: int, skips: tuple[int, ...], ingredients: Ingredients, channels: int
    ) -> None:
        super().__init__()
        self.bottleneck = bottleneck
        inputs = [
            before + skip for before, skip in zip((bottleneck, *reversed(widths[1:])), reversed(skips), strict=True)
        ]
        levels = _levels_up(widths, inputs, ingredients)
        self.doubles = nn.ModuleList(ingredients.double() for _ in levels)
        self.levels = nn.ModuleList(nn.Sequential(*level) for level in levels)
        self.unpack = nn.ModuleDict()
        self.places: dict[str, tuple[int, int]] = {}
        begin = bottleneck
        for index, skip in enumerate(reversed(skips)):
            block = 2 ** (index + 1)
            end = begin + skip * block**2
            if skip:
                self.unpack[str(index)] = nn.PixelShuffle(block)
                self.places[str(index)] = (begin, end)
            begin = end
        self.end = nn.Sequential(nn.Conv2d(widths[0], channels, 3, padding=1), nn.Sigmoid())

    def forward(self, y_hat: Tensor) -> Tensor:
        x = y_hat[:, : self.bottleneck]
        for index, (double, level) in enumerate(zip(self.doubles, self.levels, strict=True)):
            x = double(x)
            if str(index) in self.unpack:
                begin, end = self.places[str(index)]
                x = torch.cat([x, self.unpack[str(index)](y_hat[:, begin:end])], 1)
            x = level(x)
        picture: Tensor = self.end(x)
        return picture


def _levels_down(
    widths: tuple[int, ...], bottleneck: int, ingredients: Ingredients, channels: int
) -> list[list[nn.Module]]:
    """The encoder's levels: two convolutions at full size, two behind each halving, the bottleneck's one at last."""
    levels = [[*ingredients.conv(channels, widths[0]), *ingredients.conv(widths[0], widths[0])]]
    for inputs, outputs in pairwise(widths):
        pool, stride = ingredients.pool()
        levels.append([*pool, *ingredients.conv(inputs, outputs, stride=stride), *ingredients.conv(outputs, outputs)])
    pool, stride = ingredients.pool()
    return [*levels, [*pool, *ingredients.latent(widths[-1], bottleneck, stride=stride)]]


def _levels_up(
    widths: tuple[int, ...], inputs: tuple[int, ...] | list[int], ingredients: Ingredients
) -> list[list[nn.Module]]:
    """The decoder's levels behind each doubling, coarsest first; `inputs` is what each of them is given."""
    return [
        [*ingredients.conv(before, width), *ingredients.conv(width, width)]
        for before, width in zip(inputs, reversed(widths), strict=True)
    ]
