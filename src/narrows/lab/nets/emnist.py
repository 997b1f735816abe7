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

from torch import nn

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
