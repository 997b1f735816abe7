r"""Study emnist-decoders: one encoder, four decoders that differ in which transposed convolution has stride 2.

    x (B, 1, 28, 28)
      | conv 32 - conv 64, stride 2 - conv 64 - conv 64            all 3x3 and ReLU
      | flatten 12544, dense 32, latent activation
      y (B, 32)
      | dense 12544, ReLU, as 64 x 14 x 14
      | transposed conv 64 - 64 - 64 - 32, ReLU                    one of the four has stride 2: 14 x 14 becomes 28 x 28
      | transposed conv 1, sigmoid
      (B, 1, 28, 28)

From the study: layers, widths, the ReLU on the latent (which kills units: 28, 13, 28 and 24 of 32 live in its models
1 to 4). Ours: a linear or leaky latent, other latent sizes, and two controls for what its text argues: max-pooling in
the place of the stride, nearest upsampling and a convolution in the place of the stride-2 transposed one. Both keep
every parameter count.
"""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor, nn

from narrows.errors import OptionError
from narrows.lab.nets.base import Activation, Geometry, StudyNetwork, activation, stride_of_cell

Downsampling = Literal["stride", "max_pool"]
Upsampling = Literal["transposed", "nearest"]

STRIDED_LAYER = {1: 3, 2: 4, 3: 2, 4: 1}
"""Model of the study -> which of its first four transposed convolutions, counted from 1, has stride 2."""
ENCODER_WIDTHS = (32, 64, 64, 64)
DECODER_WIDTHS = (64, 64, 64, 32)
SIDE = 28


def emnist_network(
    model: int,
    *,
    latent: int = 32,
    latent_activation: Activation = "relu",
    side: int = SIDE,
    downsampling: Downsampling = "stride",
    upsampling: Upsampling = "transposed",
) -> StudyNetwork:
    """Model 1 to 4 of the study: 494,112 + 543,489 parameters at 32 latents. OptionError for what does not exist."""
    if model not in STRIDED_LAYER:
        raise OptionError(f"the study has the models 1 to 4, not {model}")
    if side < 2 or side % 2:
        raise OptionError(f"the side of a picture is halved once, so it is even, not {side}")
    return StudyNetwork(
        Geometry(channels=1, latent=latent, stride=stride_of_cell(side), cell=side),
        encoder(latent, latent_activation, side=side, downsampling=downsampling),
        decoder(latent, STRIDED_LAYER[model], side=side, upsampling=upsampling),
    )


def encoder(latent: int, latent_activation: Activation, *, side: int, downsampling: Downsampling) -> nn.Sequential:
    """(B, 1, side, side) to (B, latent)."""
    if downsampling not in get_args(Downsampling):
        raise OptionError(f"downsampling is one of {', '.join(get_args(Downsampling))}, not {downsampling!r}")
    layers: list[nn.Module] = []
    inputs = 1
    for place, width in enumerate(ENCODER_WIDTHS):
        halves = place == 1
        strided = halves and downsampling == "stride"
        layers += [nn.Conv2d(inputs, width, 3, stride=2 if strided else 1, padding=1), nn.ReLU()]
        if halves and not strided:
            layers.append(nn.MaxPool2d(2))
        inputs = width
    flat = inputs * (side // 2) ** 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(flat, latent), activation(latent_activation))


def decoder(latent: int, strided_layer: int, *, side: int, upsampling: Upsampling) -> nn.Sequential:
    """(B, latent) to (B, 1, side, side); transposed convolution `strided_layer`, counted from 1, doubles the side."""
    if upsampling not in get_args(Upsampling):
        raise OptionError(f"upsampling is one of {', '.join(get_args(Upsampling))}, not {upsampling!r}")
    if not 1 <= strided_layer <= len(DECODER_WIDTHS):
        raise OptionError(f"the layer of stride 2 is 1 to {len(DECODER_WIDTHS)}, not {strided_layer}")
    half, inputs = side // 2, ENCODER_WIDTHS[-1]
    flat = inputs * half**2
    layers: list[nn.Module] = [nn.Linear(latent, flat), nn.ReLU(), nn.Unflatten(1, (inputs, half, half))]
    for place, width in enumerate(DECODER_WIDTHS, 1):
        if place != strided_layer:
            layers.append(nn.ConvTranspose2d(inputs, width, 3, padding=1))
        elif upsampling == "transposed":
            layers.append(nn.ConvTranspose2d(inputs, width, 3, stride=2, padding=1, output_padding=1))
        else:
            layers += [nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(inputs, width, 3, padding=1)]
        layers.append(nn.ReLU())
        inputs = width
    return nn.Sequential(*layers, nn.ConvTranspose2d(inputs, 1, 3, padding=1), nn.Sigmoid())


OWN_WIDTHS = (32, 64, 128)
OWN_LATENT = 64


def residual_network(
    *, latent: int = OWN_LATENT, widths: tuple[int, ...] = OWN_WIDTHS, blocks: int = 1, side: int = SIDE
) -> StudyNetwork:
    """Ours: residual blocks at every size, each width but the first halving the side; a linear vector of `latent`.

    Its end is linear too: with the rate in the loss, a closing sigmoid was driven to black at once and stayed there.
    As many multiplications as the study's model 3. OptionError for a side that cannot be halved so often.
    """
    if not widths or blocks < 0:
        raise OptionError(f"widths {widths}: at least one, and blocks {blocks}: none or more")
    inner, rest = divmod(side, 2 ** (len(widths) - 1))
    if rest or inner < 1:
        raise OptionError(f"a side of {side} cannot be halved {len(widths) - 1} times")
    flat = widths[-1] * inner**2
    down: list[nn.Module] = [nn.Conv2d(1, widths[0], 3, padding=1)]
    for place, width in enumerate(widths):
        if place:
            down.append(nn.Conv2d(widths[place - 1], width, 3, stride=2, padding=1))
        down += [Residual(width) for _ in range(blocks)]
    up: list[nn.Module] = [nn.Linear(latent, flat), nn.Unflatten(1, (widths[-1], inner, inner))]
    for place, width in reversed(list(enumerate(widths))):
        up += [Residual(width) for _ in range(blocks)]
        if place:
            up.append(nn.ConvTranspose2d(width, widths[place - 1], 3, stride=2, padding=1, output_padding=1))
    return StudyNetwork(
        Geometry(channels=1, latent=latent, stride=stride_of_cell(side), cell=side),
        nn.Sequential(*down, nn.ReLU(), nn.Flatten(), nn.Linear(flat, latent)),
        nn.Sequential(*up, nn.ReLU(), nn.Conv2d(widths[0], 1, 3, padding=1)),
    )


class Residual(nn.Module):
    """x + conv(ReLU(conv(ReLU(x)))), 3x3, width kept; begins as the identity (arXiv:1603.05027)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.relu = nn.ReLU()
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        branch: Tensor = self.second(self.relu(self.first(self.relu(x))))
        return x + branch
