"""Which latents a context step codes, and how its networks compute for these alone.

A cell is 2x2 positions, its phases are numbered row by row. Channels are in `steps` groups (channel c in group
c % steps), and a step codes one group at each phase, another one at each where there are enough: so every step sees
every position (arXiv:2103.15306 for two steps, the quadtree order of arXiv:2302.14402 for four). What belongs to one
step is a *part*, (B, H/2, W/2, 4, channels / steps): phase by phase the channels of its group, rising.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PHASES = 4

_GROUPS = {
    1: ((0, 0, 0, 0),),
    2: ((0, 1, 1, 0), (1, 0, 0, 1)),
    4: ((0, 1, 3, 2), (2, 3, 1, 0), (1, 0, 2, 3), (3, 2, 0, 1)),
}
"""Steps in all -> for each step the group that it codes at each phase.

The first two of four steps are together the first of two: so a network of two can grow to four (grow.py).
"""


class ContextOrder(nn.Module):
    """The order of the steps for `channels` latents. ValueError unless `steps` is 1, 2 or 4 and divides them."""

    def __init__(self, channels: int, steps: int) -> None:
        super().__init__()
        if steps not in _GROUPS:
            raise ValueError(f"context steps must be 1, 2 or 4, not {steps}")
        if channels % steps:
            raise ValueError(f"{steps} context steps need channels in as many groups, not {channels}")
        self.steps, self.channels = steps, channels
        groups = torch.tensor(_GROUPS[steps])
        group_of = torch.arange(channels) % steps
        coded = groups[:, :, None] == group_of  # (steps, phases, channels)
        self.register_buffer("pattern", coded.int().argmax(0).T.reshape(channels, 2, 2), persistent=False)
        self.register_buffer("chosen", coded.nonzero()[:, 2].reshape(steps, PHASES, -1), persistent=False)
        self.register_buffer("one_hot", F.one_hot(groups, steps).float()[:, :, None], persistent=False)
        self.pattern: Tensor
        """(channels, 2, 2): the step that codes a channel at each parity of row and column."""
        self.chosen: Tensor
        """(steps, phases, channels / steps): the channels of each part."""
        self.one_hot: Tensor

    def take(self, x: Tensor, step: int) -> Tensor:
        """The part of x (B, H, W, channels) that the step codes; H and W are even."""
        cells = _cells(x)
        grouped = cells.reshape(*cells.shape[:-1], -1, self.steps)
        return (grouped * self.one_hot[step].to(x.dtype)).sum(-1)

    def spread(self, part: Tensor, step: int) -> Tensor:
        """A part at its places in (B, H, W, channels), zero elsewhere."""
        return _from_cells((part[..., None] * self.one_hot[step].to(part.dtype)).flatten(-2))

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor | None, step: int) -> Tensor:
        """The step's part of F.linear(x, weight, bias), and nothing else of it; weight (channels, inputs)."""
        parts = []
        for phase, chosen in enumerate(self.chosen[step]):
            own = x[:, phase // 2 :: 2, phase % 2 :: 2]
            parts.append(F.linear(own, weight[chosen], None if bias is None else bias[chosen]))
        return torch.stack(parts, -2)


def _cells(x: Tensor) -> Tensor:
    """(B, H, W, C) to (B, H/2, W/2, 4, C)."""
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 2, 4, 5).reshape(b, h // 2, w // 2, PHASES, c)


def _from_cells(cells: Tensor) -> Tensor:
    """The inverse of _cells."""
    b, h, w, _, c = cells.shape
    return cells.reshape(b, h, w, 2, 2, c).permute(0, 1, 3, 2, 4, 5).reshape(b, 2 * h, 2 * w, c)
