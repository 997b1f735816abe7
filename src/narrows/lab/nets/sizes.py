"""Counts that the studies argue with: parameters, multiplications, and how wide a bottleneck a wanted ratio leaves.

A ratio here is one of *nominal* sizes, 8 bits a sample against some bits a latent, which is what the studies call
compression. The ratio of file sizes is measured elsewhere, on files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from narrows.errors import OptionError


def parameters(module: nn.Module) -> int:
    """How many numbers training changes; the running means and variances of batch norms are not among them."""
    return sum(one.numel() for one in module.parameters())


def macs(module: nn.Module, *shape: int) -> int:
    """Multiply-accumulates of convolutions and dense layers for one input of that shape, such as 3, 160, 160.

    A transposed convolution is counted where it reads: each input position is multiplied by the whole kernel once.
    (Counted where it writes, one of stride 2 would seem to cost four times as much, three quarters of it by zeros.)
    """
    total = 0

    def count(layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.Conv2d):
            total += layer.weight.numel() * output.shape[-2] * output.shape[-1]
        elif isinstance(layer, nn.ConvTranspose2d):
            total += layer.weight.numel() * inputs[0].shape[-2] * inputs[0].shape[-1]
        elif isinstance(layer, nn.Linear):
            total += layer.weight.numel()

    handles = [layer.register_forward_hook(count) for layer in module.modules()]
    training = module.training
    module.eval()
    try:
        first = next(module.parameters(), None)
        device = torch.device("cpu") if first is None else first.device
        with torch.no_grad():
            module(torch.zeros(1, *shape, device=device))
    finally:
        module.train(training)
        for handle in handles:
            handle.remove()
    return total


def nearest_width(build: Callable[[int], nn.Module], wanted: int, widths: Iterable[int]) -> int:
    """The width whose network has nearest to `wanted` parameters; of two, the narrower. No weight is allotted or drawn.

    >>> from narrows.lab.nets.vector import conv_autoencoder
    >>> nearest_width(lambda w: conv_autoencoder(latent=128, widths=(w // 2, w)), 789_632, range(8, 100, 2))
    46
    """
    with torch.device("meta"):
        counts = {width: parameters(build(width)) for width in sorted(widths)}
    if not counts:
        raise OptionError("there is no width to choose from")
    return min(counts, key=lambda width: abs(counts[width] - wanted))


def bottleneck_for_ratio(ratio: float, *, stride: int, channels: int = 1, bits: float = 8) -> int:
    """Channels that make a latent, one position per stride x stride pixels, `ratio` times smaller than the picture.

    The picture has `channels` samples of 8 bits a pixel, the latent numbers have `bits` each; at 8 the ratio is one
    of counts, as study ae-vae has it. Rounded to whole channels. OptionError where less than half a channel would be
    left.

    >>> [bottleneck_for_ratio(ratio, stride=16) for ratio in (4, 16)]
    [64, 16]
    """
    if not ratio > 0:
        raise OptionError(f"a ratio is above zero, not {ratio:g}")
    return bottleneck_for_bpp(8 * channels / ratio, stride=stride, bits=bits)


def bottleneck_for_bpp(bpp: float, *, stride: int, bits: float = 8) -> int:
    """Channels of such a latent that make `bpp` bits a pixel at `bits` a number: bpp x stride^2 / bits, rounded.

    OptionError where less than half a channel would be left.

    >>> bottleneck_for_bpp(0.75, stride=8, bits=3)
    16
    """
    if not (bpp > 0 and bits > 0 and stride > 0):
        raise OptionError(f"bits a pixel, bits a number and stride are above zero, not {bpp:g}, {bits:g} and {stride}")
    wanted = bpp * stride**2 / bits
    if wanted < 0.5:
        raise OptionError(
            f"{bpp:g} bits a pixel at {bits:g} bits a number leave {wanted:.2g} channels at stride {stride}"
        )
    return int(wanted + 0.5)


def nominal_bpp(latent: int, *, stride: int, bits: float = 8) -> float:
    """Bits a pixel of a latent of so many channels at `bits` a number, uncoded: the 8-bit and float32 columns."""
    return latent * bits / stride**2
