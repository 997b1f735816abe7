"""Layers whose values are integers, trained through straight-through rounding.

What decides how bits are read must be the same on every machine (docs/FORMAT.md, "The integer path"). These layers
compute in real units that are powers of two, so that the float tensors of training *are* scaled integers:

    activations   k / 16     0 <= k <= 127       (hyper-latents and symbols: signed, |k| <= 127)
    weights       k / 64     |k| <= 127
    sums, biases  k / 1024

The exporter multiplies the units away and proves that every partial sum of the integers stays under 2^24.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ACTIVATION_UNIT = 16
WEIGHT_UNIT = 64
SUM_UNIT = ACTIVATION_UNIT * WEIGHT_UNIT
LARGEST = 127


def straight_through(x: Tensor, value: Tensor) -> Tensor:
    """`value` forwards, to its last bit, and the gradient of `x` backwards."""
    return value.detach() + (x - x.detach())


class _Bounded(torch.autograd.Function):
    """Clamp whose gradient still passes where it points back into the range, so that no unit gets stuck outside."""

    @staticmethod
    def forward(ctx, x, low, high):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x)
        ctx.low, ctx.high = low, high
        return x.clamp(low, high)

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        (x,) = ctx.saved_tensors
        inward = ((x >= ctx.low) | (gradient < 0)) & ((x <= ctx.high) | (gradient > 0))
        return gradient * inward, None, None


def bounded(x: Tensor, low: float, high: float) -> Tensor:
    """X clamped to low..high; a gradient that would move a value outside further out is dropped."""
    clamped: Tensor = _Bounded.apply(x, low, high)  # type: ignore[no-untyped-call]
    return clamped


def integer_activation(total: Tensor) -> Tensor:
    """Requantise sums (units of 1/1024) to activations (units of 1/16, 0..127): add half, floor, clip.

    In integers: clip(floor((total + 32) / 64), 0, 127), a division by a power of two.
    """
    level = torch.floor(total.detach() * ACTIVATION_UNIT + 0.5)
    rounded = straight_through(total, level / ACTIVATION_UNIT)
    return rounded.clamp(0, LARGEST / ACTIVATION_UNIT)


class IntegerLinear(nn.Module):
    """A 1x1 convolution over (..., inputs) with int8 weights; returns sums in units of 1/1024."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / inputs**0.5)
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, quantised_weight(self.weight), None if self.bias is None else quantised_bias(self.bias))


class IntegerConv(nn.Module):
    """A 3x3 convolution over (B, H, W, inputs), zeros beyond the edge, int8 weights; sums in units of 1/1024."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3) / (9 * inputs) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = quantised_weight(self.weight), quantised_bias(self.bias)
        return F.conv2d(x.permute(0, 3, 1, 2), weight, bias, padding=1).permute(0, 2, 3, 1)


class IntegerDepthwise(nn.Module):
    """A depthwise 3x3 convolution over (B, H, W, C), zeros beyond the edge, int8 weights; sums in units of 1/1024."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        weight = torch.randn(channels, 1, 3, 3) * 0.1
        weight[:, :, 1, 1] += 1
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        total = F.conv2d(
            x.permute(0, 3, 1, 2),
            quantised_weight(self.weight),
            quantised_bias(self.bias),
            padding=1,
            groups=len(self.bias),
        )
        return total.permute(0, 2, 3, 1)


def quantised_weight(weight: Tensor) -> Tensor:
    """Weights rounded to units of 1/64 within +-127/64."""
    limit = LARGEST / WEIGHT_UNIT
    return straight_through(weight, (weight.detach() * WEIGHT_UNIT).round().div(WEIGHT_UNIT).clamp(-limit, limit))


def quantised_bias(bias: Tensor) -> Tensor:
    """Biases rounded to units of 1/1024, the unit of the sums they join."""
    return straight_through(bias, (bias.detach() * SUM_UNIT).round().div(SUM_UNIT))
