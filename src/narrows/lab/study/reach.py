"""How far a map looks: which pixels one latent depends on, and which latents a pixel.

The codec works in tiles and gives each a halo. Walking a traced network from its result back to its input with integer
intervals says exactly how wide it must be, whatever the order of strides, poolings and upsamplings.
"""

from __future__ import annotations

import math
import operator

import torch
from torch import fx, nn

from narrows.errors import OptionError

Interval = tuple[int, int]
"""First and last index, the ends included; negative ones lie before the picture's corner."""

POINTWISE = (nn.Identity, nn.Dropout, nn.Dropout2d, nn.ReLU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh)


def analysis_reach(encoder: fx.GraphModule, stride: int) -> int:
    """Pixels around the stride x stride pixels of a latent that it depends on."""
    return max(max(-low, high - (stride - 1), 0) for low, high in _needed(encoder, (0, 0)))


def synthesis_reach(decoder: fx.GraphModule, stride: int) -> int:
    """Pixels of the latents around a position on which its stride x stride pixels depend: whole positions."""
    return stride * max(max(-low, high, 0) for low, high in _needed(decoder, (0, stride - 1)))


def _needed(module: fx.GraphModule, wanted: Interval) -> tuple[Interval, Interval]:
    """Rows and columns of the input on which `wanted` rows and columns of the output depend."""
    nodes = list(module.graph.nodes)
    needed: dict[fx.Node, tuple[Interval, Interval]] = {nodes[-1]: (wanted, wanted)}
    for node in reversed(nodes):
        if node not in needed:  # its result is not used
            continue
        if node.op == "placeholder":
            return needed[node]
        rows, columns = (_before(module, node, axis, needed[node][axis]) for axis in (0, 1))
        for source in node.all_input_nodes:
            known = needed.get(source, (rows, columns))
            needed[source] = (_hull(known[0], rows), _hull(known[1], columns))
    raise OptionError("the network's result does not depend on its input")


def _before(module: fx.GraphModule, node: fx.Node, axis: int, wanted: Interval) -> Interval:
    """The part of a node's inputs that its `wanted` part depends on, along one axis."""
    if node.op == "output" or node.target in (torch.cat, torch.concat, operator.getitem):
        return wanted
    if node.op == "call_function":  # sums and products: fx_export.py refuses all others
        return wanted
    if node.op != "call_module":
        raise OptionError(f"{node.format_node()}: a study network is made of layers, sums and slices")
    layer = module.get_submodule(str(node.target))
    low, high = wanted
    if isinstance(layer, POINTWISE):
        return wanted
    if isinstance(layer, nn.Conv2d):
        stride, span = layer.stride[axis], layer.dilation[axis] * (layer.kernel_size[axis] - 1)
        pad = convolution_padding(layer)[axis]
        # A position's own pixels are part of the tile in any case; with them no inner value is beyond the tile's edge.
        return _hull((low * stride, high * stride + stride - 1), (low * stride - pad, high * stride - pad + span))
    if isinstance(layer, nn.ConvTranspose2d):
        stride, span = layer.stride[axis], layer.dilation[axis] * (layer.kernel_size[axis] - 1)
        pad = int(layer.padding[axis])
        first, last = math.ceil((low + pad - span) / stride), (high + pad) // stride
        return _hull((low // stride, high // stride), (first, last))
    if isinstance(layer, nn.MaxPool2d):
        kernel, stride, pad, dilation = (
            _of_axis(value, axis) for value in (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
        )
        own = (low * stride, high * stride + stride - 1)
        return _hull(own, (low * stride - pad, high * stride - pad + dilation * (kernel - 1)))
    if isinstance(layer, nn.Upsample):
        factor = upsampling_factor(layer)
        if layer.mode == "nearest":
            return low // factor, high // factor
        # Sample o lies at (o + 1/2) / factor - 1/2, between its two neighbours.
        first, last = (2 * low + 1 - factor) // (2 * factor), -((-(2 * high + 1 - factor)) // (2 * factor))
        return _hull((low // factor, high // factor), (first, last))
    if isinstance(layer, nn.PixelShuffle):
        return low // layer.upscale_factor, high // layer.upscale_factor
    if isinstance(layer, nn.PixelUnshuffle):
        return low * layer.downscale_factor, high * layer.downscale_factor + layer.downscale_factor - 1
    raise OptionError(f"{node.target} is {type(layer).__name__}, which a map cannot have: its reach is not limited")


def convolution_padding(layer: nn.Conv2d) -> tuple[int, int]:
    """Zeros before the first row and column. OptionError for other paddings than zeros, or uneven ones."""
    if layer.padding_mode != "zeros":
        raise OptionError(f"a convolution pads with {layer.padding_mode}, which is not supported: zeros are")
    if not isinstance(layer.padding, str):
        return layer.padding[0], layer.padding[1]
    if layer.padding == "valid":
        return 0, 0
    spans = [dilation * (side - 1) for dilation, side in zip(layer.dilation, layer.kernel_size, strict=True)]
    if any(span % 2 for span in spans):
        raise OptionError(f'padding="same" with a kernel of {layer.kernel_size} is uneven; give the padding in numbers')
    return spans[0] // 2, spans[1] // 2


def upsampling_factor(layer: nn.Upsample) -> int:
    """The whole factor of a nearest or bilinear upsampling; OptionError for any other."""
    factor = layer.scale_factor
    sides = {float(side) for side in factor} if isinstance(factor, tuple) else {float(factor or 0)}
    side = sides.pop()
    if sides or side < 1 or side != int(side):
        raise OptionError(
            f"Upsample(scale_factor={layer.scale_factor}, size={layer.size}): give one whole scale_factor"
        )
    if layer.mode not in ("nearest", "bilinear") or layer.align_corners:
        raise OptionError(f"Upsample has the mode {layer.mode}: nearest or bilinear without align_corners is supported")
    return int(side)


def _of_axis(value: int | tuple[int, ...], axis: int) -> int:
    return value if isinstance(value, int) else value[axis]


def _hull(one: Interval, other: Interval) -> Interval:
    return min(one[0], other[0]), max(one[1], other[1])
