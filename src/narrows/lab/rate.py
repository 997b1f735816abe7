"""What the symbols cost while training, before there are tables, and the loss that weighs it against the distortion.

A residual symbol in row k is coded by a mixture of a Gaussian and a Laplacian, both of the row's standard deviation;
the mixture's weight is a learned function of the row. At export each row's table is fitted to real residuals instead
(tables.py).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

ROWS = 64
LOWEST_LOG2_SCALE = -3.0
OCTAVES = 11.0
LOG2_SCALE_STEP = OCTAVES / (ROWS - 1)

# The Gaussian row whose zero reaches the format's skip bound, 1 - 2^-7: 2 Q(1 / (2 scale)) = 2^-7.
SKIPPED_SCALE = 0.188
SKIPPED_ROWS = int((torch.log2(torch.tensor(SKIPPED_SCALE)).item() - LOWEST_LOG2_SCALE) / LOG2_SCALE_STEP) + 1

_SMALLEST_PROBABILITY = 2.0**-24


def stratified_qualities(count: int, qualities: int) -> Tensor:
    """(count,) indices spread evenly over the range, in random places: uniform, with less variance than drawing."""
    return ((torch.arange(count) + torch.rand(count)) * qualities / count).long().clamp(max=qualities - 1)


def rate_distortion_loss(bpp: Tensor, weighted: Tensor, lambda_rd: Tensor) -> Tensor:
    """0.1 x the mean over the batch of (bpp + lambda distortion) / sqrt(lambda), all (B,); distortion on 0..255.

    Without the root the few highest lambdas would be all that the network hears. The product `weighted` is the
    caller's: in which order its factors round is part of what a run repeats when it goes on.
    """
    loss: Tensor = 0.1 * ((bpp + weighted) / lambda_rd.sqrt()).mean()
    return loss


def bits_of(probability: Tensor) -> Tensor:
    """Code length, and its gradient, down to a smallest probability."""
    return -torch.log2(probability.clamp_min(_SMALLEST_PROBABILITY))


def row_scale(row: Tensor) -> Tensor:
    """The standard deviation that a row stands for: 2^-3 to 2^8 in 64 steps of a ratio of 1.13."""
    return torch.exp2(LOWEST_LOG2_SCALE + LOG2_SCALE_STEP * row)


def gaussian_laplace_probability(residual: Tensor, scale: Tensor, laplace_weight: Tensor) -> Tensor:
    """Mass of [residual - 1/2, residual + 1/2] under the mixture; all shapes broadcast."""
    distance = residual.abs()
    upper = (0.5 - distance) / scale
    lower = (-0.5 - distance) / scale
    gauss = 0.5 * (torch.erfc(-upper * 0.5**0.5) - torch.erfc(-lower * 0.5**0.5))
    # Laplacian of the same standard deviation: its tails decay with scale / sqrt(2).
    tail = 0.5 * torch.exp(lower * 2**0.5)
    near = 0.5 * torch.exp(-upper.abs() * 2**0.5)
    laplace = torch.where(upper >= 0, 1 - near, near) - tail
    return gauss + laplace_weight * (laplace - gauss)


class ResidualRate(nn.Module):
    """Bits of residual symbols given their rows."""

    def __init__(self) -> None:
        super().__init__()
        self.mixture = nn.Parameter(torch.tensor([-1.0, 0.0, 0.0]))

    def laplace_weight(self, row: Tensor) -> Tensor:
        """The Laplacian's share, a smooth function of the row."""
        place = row / (ROWS - 1)
        return torch.sigmoid(self.mixture[0] + self.mixture[1] * place + self.mixture[2] * place.square())

    def forward(self, residual: Tensor, row: Tensor, *, shape_learns: bool = True) -> Tensor:
        """Bits of each residual (any shape), `row` continuous 0..63 with whole values forwards.

        Without `shape_learns` no gradient goes to the mixture's weight.
        """
        weight = self.laplace_weight(row.detach())
        if not shape_learns:
            weight = weight.detach()
        probability = gaussian_laplace_probability(residual, row_scale(row), weight)
        return bits_of(probability)


def logistic_probability(distance: Tensor, scale: Tensor) -> Tensor:
    """Mass of an interval of length 1 whose middle is so far from the mean; all shapes broadcast."""
    distance = distance.abs()
    return torch.sigmoid((0.5 - distance) / scale) - torch.sigmoid((-0.5 - distance) / scale)


class SideRate(nn.Module):
    """Bits of the hyper-latent: a logistic distribution per channel and class of qualities."""

    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(classes, channels))
        self.log_scale = nn.Parameter(torch.zeros(classes, channels))

    def forward(self, z: Tensor, quality_class: Tensor) -> Tensor:
        """Bits of each entry of z (B, h, w, hz); quality_class is (B,)."""
        mean = self.mean[quality_class][:, None, None, :]
        scale = torch.exp(self.log_scale[quality_class])[:, None, None, :]
        return bits_of(logistic_probability(z - mean, scale))
