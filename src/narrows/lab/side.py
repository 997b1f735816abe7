"""How the hyper-latent is coded: which of a few tables, and around which value, says an integer net step by step.

A cell is 2x2 positions. A quarter of the hyper-latent is coded first, then the positions diagonally between, then the
rest between four that are known; all channels of a position at once. The tables are discretised logistic
distributions, a row for each of 32 scales and 8 places of the mean between two integers.

                    quality -> centre, mean, scale
    values so far -> 3x3, ReLU, 1x1 -> change of mean and scale -> shift (whole steps), phase (eighths), scale -> row

Everything is integer (integer.py), since it decides how bits are read.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrows.lab.integer import (
    IntegerConv,
    IntegerLinear,
    bounded,
    integer_activation,
    quantised_bias,
    quantised_weight,
    straight_through,
)
from narrows.lab.quality_table import QualityTable
from narrows.lab.rate import bits_of, logistic_probability

SIDE_STEPS = ((0, 2), (2, 1))
"""The step at (row parity, column parity)."""
SIDE_STEP_COUNT = 3
PHASES_OF_MEAN = 8
SCALES = 32
SIDE_ROWS = PHASES_OF_MEAN * SCALES
SCALES_PER_UNIT = 8
"""A sum of 1 moves the scale by so many rows, four an octave."""
LOWEST_LOG2_SCALE = -4.0
LOG2_SCALE_STEP = 0.25
VALUE_LIMIT = 15
"""Larger values are seen as this."""
SHIFT_LIMIT = 126
CENTRE_LIMIT = 63


class CodedSide(NamedTuple):
    """What is coded of z_hat, (B, h, w, hyper) both; rows are 8 x scale + phase."""

    symbols: Tensor
    rows: Tensor


def side_scale(row: Tensor) -> Tensor:
    """The logistic scale of a row of scales: 2^-4 to 2^3.75; the standard deviation is 1.8 times as much."""
    return torch.exp2(LOWEST_LOG2_SCALE + LOG2_SCALE_STEP * row)


def step_map(rows: int, columns: int) -> Tensor:
    """(rows, columns): the step that codes each position."""
    return torch.tensor(SIDE_STEPS).repeat(-(-rows // 2), -(-columns // 2))[:rows, :columns]


class SideNet(nn.Module):
    """Tables for z_hat (B, h, w, hyper) from the quality and, step by step, from what is known of z_hat."""

    def __init__(self, hyper: int, width: int, qualities: int, knots: int) -> None:
        super().__init__()
        self.hyper = hyper
        self.context_in = nn.ModuleList(IntegerConv(hyper, width) for _ in range(SIDE_STEP_COUNT - 1))
        self.context_out = nn.ModuleList(
            IntegerLinear(width, 2 * hyper, bias=False) for _ in range(SIDE_STEP_COUNT - 1)
        )
        self.base = nn.ModuleList(QualityTable(qualities, knots, 2 * hyper) for _ in range(SIDE_STEP_COUNT))
        for out in self.context_out:
            nn.init.zeros_(out.weight)  # type: ignore[arg-type]
        self.start(torch.zeros(qualities, hyper), torch.full((qualities, hyper), -2.0))

    @torch.no_grad()
    def start(self, mean: Tensor, log2_scale: Tensor) -> None:
        """Begin with these distributions, (qualities, hyper) both, and without context."""
        row = (log2_scale - LOWEST_LOG2_SCALE) / LOG2_SCALE_STEP
        wanted = torch.cat([mean, row.clamp(0, SCALES - 1) / SCALES_PER_UNIT], 1)
        for table in self.base:
            assert isinstance(table, QualityTable)
            table.knots.copy_(torch.linalg.lstsq(table.interpolation, wanted).solution)

    def bias(self, step: int) -> Tensor:
        """(qualities, 2 hyper): means, which count from the centre, and scales."""
        return quantised_bias(self._table(step)) - F.pad(self.centre(), (0, self.hyper))

    def centre(self) -> Tensor:
        """(qualities, hyper): whole numbers that are taken from z_hat before anything else, so that 0 says nothing."""
        return self._table(0).detach()[:, : self.hyper].round().clamp(-CENTRE_LIMIT, CENTRE_LIMIT)

    def _table(self, step: int) -> Tensor:
        module = self.base[step]
        assert isinstance(module, QualityTable)
        return module.table()

    def forward(self, step: int, values: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
        """Means, in eighths from the centre, and rows of scales; values (B, h, w, hyper) are 0 where not known yet."""
        total = self.bias(step)[quality][:, None, None].expand(*values.shape[:3], -1)
        if step:
            seen = values.clamp(-VALUE_LIMIT, VALUE_LIMIT) / 2
            h = integer_activation(self.context_in[step - 1](seen))
            weight = quantised_weight(self.context_out[step - 1].weight)  # type: ignore[arg-type]
            total = total + F.linear(h, weight)
        mean = bounded(total[..., : self.hyper], -SHIFT_LIMIT, SHIFT_LIMIT)
        row = bounded(total[..., self.hyper :] * SCALES_PER_UNIT, 0, SCALES - 1)
        eighths = torch.floor(mean.detach() * PHASES_OF_MEAN + 0.5)
        return straight_through(mean, eighths / PHASES_OF_MEAN), straight_through(row, torch.floor(row.detach()))

    def bits(self, rated: Tensor, z_hat: Tensor, quality: Tensor) -> Tensor:
        """Code length of each entry of `rated`, z_hat or z with noise, in the context of z_hat; (B, h, w, hyper)."""
        with torch.autocast(z_hat.device.type, enabled=False):
            centre = self.centre()[quality][:, None, None]
            values, rated = z_hat.float() - centre, rated.float() - centre
            steps = step_map(*z_hat.shape[1:3]).to(z_hat.device)[None, :, :, None]
            bits = torch.zeros_like(values)
            for step in range(SIDE_STEP_COUNT):
                mean, row = self(step, values * (steps < step), quality)
                bits = bits + bits_of(logistic_probability(rated - mean, side_scale(row))) * (steps == step)
        return bits

    @torch.no_grad()
    def code(self, z_hat: Tensor, quality: Tensor) -> CodedSide:
        """Symbols and rows as the exported graphs give them."""
        values = z_hat - self.centre()[quality][:, None, None]
        steps = step_map(*z_hat.shape[1:3])[None, :, :, None]
        symbols, rows = torch.zeros_like(values), torch.zeros_like(values)
        for step in range(SIDE_STEP_COUNT):
            mean, row = self(step, values * (steps < step), quality)
            eighths, row = (
                (mean * PHASES_OF_MEAN).round(),
                row.round(),
            )  # whole but for what adding and taking away left
            shift = torch.floor((eighths + PHASES_OF_MEAN / 2) / PHASES_OF_MEAN)
            phase = eighths + PHASES_OF_MEAN / 2 - PHASES_OF_MEAN * shift
            symbols = torch.where(steps == step, values - shift, symbols)
            rows = torch.where(steps == step, PHASES_OF_MEAN * row + phase, rows)
        return CodedSide(symbols, rows)
