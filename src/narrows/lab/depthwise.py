"""Depthwise convolutions whose kernels are larger than 3x3 and learn as fast.

oneDNN has no fast gradient of such kernels: that of a 5x5 kernel in bfloat16 takes some twenty times as long as all
the rest of the layer. It is put together from those of 3x3 kernels at several places of the larger one.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

_PART = 3
"""Side of the kernels that have a fast gradient."""


class Depthwise(nn.Conv2d):
    """A square kernel of odd side for each channel, zeros around the input; (B, C, H, W) to the same."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__(channels, channels, kernel, padding=kernel // 2, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        slow = self.kernel_size[0] > _PART and x.device.type == "cpu" and self.weight.requires_grad
        if not (slow and torch.is_grad_enabled()):
            return super().forward(x)
        found: Tensor = _InParts.apply(x, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return found


class _InParts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        kernel = weight.to(gradient.dtype)  # autocast may have computed in another type than it was given
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = _backward(gradient, x.to(gradient.dtype), kernel, kernel.shape[-1] // 2, 0).to(x.dtype)
        of_weight = weight_gradient(gradient, x.to(gradient.dtype), kernel).to(weight.dtype)
        return of_x, of_weight, gradient.sum((0, 2, 3), dtype=weight.dtype)


def weight_gradient(gradient: Tensor, x: Tensor, kernel: Tensor) -> Tensor:
    """That of depthwise kernels (C, 1, k, k), k odd and at least 3, from the output's gradient and the input x.

    An entry (i, j) is the sum of gradient x (x moved by (i, j)), whichever kernel it is part of.
    """
    side, (height, width) = kernel.shape[-1], x.shape[2:]
    seen = F.pad(x, (side // 2,) * 4)
    found = torch.empty_like(kernel)
    part = kernel[:, :, :_PART, :_PART].contiguous()  # its values do not matter
    for row, column in product({*range(0, side - _PART, _PART), side - _PART}, repeat=2):
        moved = seen[:, :, row : row + height + _PART - 1, column : column + width + _PART - 1]
        moved = moved.contiguous(memory_format=torch.channels_last)
        found[:, :, row : row + _PART, column : column + _PART] = _backward(gradient, moved, part, 0, 1)
    return found


def _backward(gradient: Tensor, x: Tensor, kernel: Tensor, padding: int, which: int) -> Tensor:
    """The gradient of a depthwise convolution's input (0) or kernel (1)."""
    wanted = [which == place for place in range(3)]
    found: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(
        gradient, x, kernel, [len(kernel)], [1, 1], [padding, padding], [1, 1], False, [0, 0], len(kernel), wanted
    )
    return found[which]
