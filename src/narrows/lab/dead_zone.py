"""Plain rounding, and rounding with a dead zone that follows the row: what an encoder makes of residuals."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

LARGEST_SHIFT = 0.45


@dataclass(frozen=True, kw_only=True)
class DeadZone:
    """By how much a row's threshold moves at dead_zone 1: slope x (last_row - row) within 0..LARGEST_SHIFT."""

    slope: float = 0.0
    last_row: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Quantiser:
    """What the tables decide about quantisation: thresholds 1/2 + dead_zone x shift(row), zero in skipped rows."""

    line: DeadZone
    first_coded: int
    dead_zone: float = 0.0

    def __call__(self, residual: Tensor, row: Tensor) -> Tensor:
        shift = (self.line.slope * (self.line.last_row - row)).clamp(0, LARGEST_SHIFT)
        level = torch.floor(residual.abs() + 0.5 - self.dead_zone * shift).clamp_min(0)
        return torch.where(row < self.first_coded, 0.0, torch.sign(residual) * level)
