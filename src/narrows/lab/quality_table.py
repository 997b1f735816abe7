"""Vectors that depend on the quality."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class QualityTable(nn.Module):
    """A vector per quality, linear between a few knots, so that neighbouring qualities learn together."""

    def __init__(self, qualities: int, knots: int, channels: int) -> None:
        super().__init__()
        self.knots = nn.Parameter(torch.zeros(knots, channels))
        place = torch.linspace(0, knots - 1, qualities)[:, None]
        weights = (1 - (place - torch.arange(knots)).abs()).clamp_min(0)
        self.register_buffer("interpolation", weights, persistent=False)
        self.interpolation: Tensor

    def table(self) -> Tensor:
        """(qualities, channels), in float32 whatever the autocast."""
        with torch.autocast(self.knots.device.type, enabled=False):
            table: Tensor = self.interpolation @ self.knots
        return table

    def forward(self, quality: Tensor) -> Tensor:
        """(B,) to (B, 1, 1, channels)."""
        return self.table()[quality][:, None, None, :]
