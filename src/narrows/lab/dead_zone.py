"""Plain rounding, and rounding with a dead zone that follows the row: what an encoder makes of residuals."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

LARGEST_SHIFT = 0.45


@dataclass(frozen=True, kw_only=True)
class DeadZone:
    """By how much a row's threshold moves at dead_zone 1: the square of slope x (last_row - row), 0 after last_row.

    `reach` rows below last_row it has come to LARGEST_SHIFT and stays there.
    """

    slope: float = 0.0
    last_row: float = 0.0

    @property
    def reach(self) -> float:
        return LARGEST_SHIFT**0.5 / self.slope if self.slope else 0.0

    def shift(self, row: Tensor) -> Tensor:
        """Of rows of any shape."""
        return self.slope**2 * (self.last_row - row).clamp(0, self.reach).square()


@dataclass(frozen=True, kw_only=True)
class Quantiser:
    """What the tables decide about quantisation: thresholds 1/2 + dead_zone x shift(row), zero in skipped rows."""

    curve: DeadZone
    first_coded: int
    dead_zone: float = 0.0

    def __call__(self, residual: Tensor, row: Tensor) -> Tensor:
        level = torch.floor(residual.abs() + 0.5 - self.dead_zone * self.curve.shift(row)).clamp_min(0)
        return torch.where(row < self.first_coded, 0.0, torch.sign(residual) * level)
