r"""Study ae-vae, ours: small pictures as a vector, a plain and a variational form of the same layers.

    x (B, 1, 32, 32) - conv 32, stride 2 - conv 64, stride 2 - flatten - dense 256 -+- dense m -> mean: y (B, m)
                       3x3, ReLU                                          ReLU      +- dense m -> log-variance
    y - dense 256 - dense 4096, as 64 x 8 x 8 - transposed conv 32 - transposed conv 1 - sigmoid

The study's own vector layers halve a side four times: of a digit they leave 64 values before the dense layer, too few
to draw one from. Here 4,096 are left, as the study's have of a face of 256 x 256.
"""

from __future__ import annotations

from torch import nn

from narrows.errors import OptionError
from narrows.lab.nets.aevae import VariationalNetwork
from narrows.lab.nets.base import Geometry, StudyNetwork, stride_of_cell

WIDTHS = (32, 64)
HIDDEN = 256


def digit_autoencoder(latent: int, *, side: int = 32) -> StudyNetwork:
    """Deterministic, a linear vector. OptionError for a side that 4 does not divide."""
    geometry = _geometry(latent, side)
    return StudyNetwork(
        geometry, nn.Sequential(_trunk(side), nn.Linear(HIDDEN, latent)), _decoder(latent, side)
    )  # fmt: skip


def digit_vae(latent: int, *, side: int = 32) -> VariationalNetwork:
    """The variational twin of a digit_autoencoder."""
    geometry = _geometry(latent, side)
    heads = (nn.Linear(HIDDEN, latent), nn.Linear(HIDDEN, latent))
    return VariationalNetwork(geometry, _trunk(side), *heads, _decoder(latent, side))


def _geometry(latent: int, side: int) -> Geometry:
    if side < 4 or side % 4:
        raise OptionError(f"two layers of stride 2 need a side that 4 divides, not {side}")
    return Geometry(channels=1, latent=latent, stride=stride_of_cell(side), cell=side)


def _trunk(side: int) -> nn.Sequential:
    flat = WIDTHS[1] * (side // 4) ** 2
    first, second = (nn.Conv2d(inputs, outputs, 3, stride=2, padding=1) for inputs, outputs in ((1, WIDTHS[0]), WIDTHS))
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Flatten(), nn.Linear(flat, HIDDEN), nn.ReLU())


def _decoder(latent: int, side: int) -> nn.Sequential:
    shape = (WIDTHS[1], side // 4, side // 4)
    layers: list[nn.Module] = [nn.Linear(latent, HIDDEN), nn.ReLU()]
    layers += [nn.Linear(HIDDEN, shape[0] * shape[1] * shape[2]), nn.ReLU(), nn.Unflatten(1, shape)]
    for inputs, outputs in ((WIDTHS[1], WIDTHS[0]), (WIDTHS[0], 1)):
        layers += [nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1), nn.ReLU()]
    return nn.Sequential(*layers[:-1], nn.Sigmoid())
