"""A settled network as nodes of a profile's graphs: torch.fx nodes become ONNX operators one by one.

    Conv2d, ConvTranspose2d      Conv, ConvTranspose
    Linear                       Gemm
    ReLU, LeakyReLU, Sigmoid, Tanh, MaxPool2d
    Upsample                     Resize (nearest: repeated; bilinear: half pixel)
    PixelShuffle                 DepthToSpace (CRD)
    PixelUnshuffle               SpaceToDepth, then Gather: torch puts the channel first, ONNX the position in the block
    Flatten, Unflatten           Flatten, Reshape
    torch.cat, +, -, *           Concat, Add, Sub, Mul
    x[:, a:b]                    Slice
    Identity, Dropout            nothing

Everything else is refused by name. Maps and cells differ only in what lies around the network (graphs.py).
"""

from __future__ import annotations

import operator
import sys
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from narrows.errors import OptionError
from narrows.lab.graphs import Graph
from narrows.lab.study.reach import convolution_padding, upsampling_factor
from narrows.lab.study.settle import Precision

_ARITHMETIC = {
    operator.add: "Add", torch.add: "Add", operator.sub: "Sub", torch.sub: "Sub", operator.mul: "Mul", torch.mul: "Mul",
}  # fmt: skip


def write_network(g: Graph, module: fx.GraphModule, x: str, prefix: str, precision: Precision) -> str:
    """Append a settled half to the graph, its weights named `prefix`.layer; the name of its result.

    OptionError for a layer or function that is not in the table above.
    """
    values: dict[fx.Node, str] = {}
    for node in module.graph.nodes:
        if node.op == "placeholder":
            values[node] = x
        elif node.op == "output":
            return values[_operand(node.args[0], node)]
        elif node.op == "call_module":
            source = _operand(node.args[0], node)
            writer = _Writer(g, f"{prefix}.{node.target}", precision, _shape(source))
            values[node] = writer.layer(module.get_submodule(str(node.target)), values[source])
        elif node.op == "call_function":
            values[node] = _function(g, node, values)
        else:
            raise _refused(node)
    raise OptionError("the network gives no result")


class _Writer:
    """Writes one layer: `name` is that of its weights, `shape` that of an example of its input."""

    def __init__(self, g: Graph, name: str, precision: Precision, shape: tuple[int, ...]) -> None:
        self.g, self.name, self.precision, self.shape = g, name, precision, shape

    def layer(self, layer: nn.Module, x: str) -> str:
        g = self.g
        if isinstance(layer, (nn.Identity, nn.Dropout, nn.Dropout2d)):
            return x
        if isinstance(layer, nn.ReLU):
            return g.op("Relu", x)
        if isinstance(layer, nn.LeakyReLU):
            return g.op("LeakyRelu", x, alpha=layer.negative_slope)
        if isinstance(layer, nn.Sigmoid):
            return g.op("Sigmoid", x)
        if isinstance(layer, nn.Tanh):
            return g.op("Tanh", x)
        if isinstance(layer, nn.Conv2d):
            rows, columns = convolution_padding(layer)
            return self.convolution("Conv", layer, x, pads=[rows, columns, rows, columns])
        if isinstance(layer, nn.ConvTranspose2d):
            rows, columns = (int(side) for side in layer.padding)
            added = [int(side) for side in layer.output_padding]
            return self.convolution("ConvTranspose", layer, x, pads=[rows, columns] * 2, output_padding=added)
        if isinstance(layer, nn.Linear):
            if len(self.shape) != 2:
                raise OptionError(f"{self.name} is a Linear on {self.shape}: flatten before it")
            return g.op("Gemm", x, self.weight(layer.weight), *self.bias(layer.bias), transB=1)
        if isinstance(layer, nn.MaxPool2d):
            return self.pool(layer, x)
        if isinstance(layer, nn.Upsample):
            return self.upsample(layer, x)
        if isinstance(layer, nn.PixelShuffle):
            return g.op("DepthToSpace", x, blocksize=layer.upscale_factor, mode="CRD")
        if isinstance(layer, nn.PixelUnshuffle):
            return self.unshuffle(layer.downscale_factor, x)
        if isinstance(layer, nn.Flatten) and layer.start_dim == 1 and layer.end_dim == -1:
            return g.op("Flatten", x, axis=1)
        if isinstance(layer, nn.Unflatten) and layer.dim == 1:
            sides = [int(side) for side in layer.unflattened_size]
            return g.reshape(x, [0, *sides])
        raise OptionError(f"{self.name} is {layer}, which cannot be exported: see narrows.lab.study.fx_export")

    def convolution(self, kind: str, layer: nn.Conv2d | nn.ConvTranspose2d, x: str, **attributes: Any) -> str:
        return self.g.op(
            kind, x, self.weight(layer.weight), *self.bias(layer.bias), kernel_shape=list(layer.kernel_size),
            strides=list(layer.stride), dilations=list(layer.dilation), group=layer.groups, **attributes,
        )  # fmt: skip

    def weight(self, tensor: Tensor) -> str:
        array = tensor.detach().numpy()
        return self.g.weight(f"{self.name}.weight", array.astype(np.float16) if self.precision == "float16" else array)

    def bias(self, tensor: Tensor | None) -> list[str]:
        return [] if tensor is None else [self.g.weight(f"{self.name}.bias", tensor.detach().numpy())]

    def pool(self, layer: nn.MaxPool2d, x: str) -> str:
        if layer.ceil_mode or layer.return_indices:
            raise OptionError(f"{self.name} is {layer}: ceil_mode and return_indices are not supported")
        return self.g.op(
            "MaxPool", x, kernel_shape=_pair(layer.kernel_size), strides=_pair(layer.stride),
            pads=_pair(layer.padding) * 2, dilations=_pair(layer.dilation),
        )  # fmt: skip

    def upsample(self, layer: nn.Upsample, x: str) -> str:
        factor = upsampling_factor(layer)
        scales = self.g.constant(np.array([1, 1, factor, factor], np.float32))
        if layer.mode == "nearest":
            return self.g.op(
                "Resize", x, "", scales, mode="nearest", coordinate_transformation_mode="asymmetric",
                nearest_mode="floor",
            )  # fmt: skip
        return self.g.op("Resize", x, "", scales, mode="linear", coordinate_transformation_mode="half_pixel")

    def unshuffle(self, block: int, x: str) -> str:
        x = self.g.unshuffle(x, block)
        channels = self.shape[1]
        order = np.arange(channels * block * block, dtype=np.int64).reshape(block * block, channels).T.reshape(-1)
        return x if channels == 1 else self.g.op("Gather", x, self.g.constant(np.ascontiguousarray(order)), axis=1)


def _function(g: Graph, node: fx.Node, values: dict[fx.Node, str]) -> str:
    """A call of torch.cat, of arithmetic, or a slice of channels."""
    if node.target in (torch.cat, torch.concat):
        tensors, *rest = node.args
        axis = node.kwargs.get("dim", rest[0] if rest else 0)
        if axis != 1 or not isinstance(tensors, (list, tuple)):
            raise OptionError(f"{node.format_node()}: only channels (dim=1) can be joined")
        return g.op("Concat", *(values[_operand(tensor, node)] for tensor in tensors), axis=1)
    if node.target in _ARITHMETIC and len(node.args) == 2 and not node.kwargs:
        operands = [
            g.constant(float(operand)) if isinstance(operand, (int, float)) else values[_operand(operand, node)]
            for operand in node.args
        ]
        return g.op(_ARITHMETIC[node.target], *operands)
    if node.target is operator.getitem:
        source, index = node.args
        if not (isinstance(index, tuple) and len(index) == 2 and index[0] == slice(None)):
            raise OptionError(f"{node.format_node()}: only channels can be cut, x[:, a:b]")
        cut = index[1]
        if not isinstance(cut, slice) or cut.step not in (None, 1):
            raise OptionError(f"{node.format_node()}: channels are cut as x[:, a:b], one after another")
        first, last = (
            g.constant(np.array([edge], np.int64))
            for edge in (0 if cut.start is None else cut.start, sys.maxsize if cut.stop is None else cut.stop)
        )
        return g.op("Slice", values[_operand(source, node)], first, last, g.constant(np.array([1], np.int64)))
    raise _refused(node)


def _operand(value: object, node: fx.Node) -> fx.Node:
    if not isinstance(value, fx.Node):
        raise _refused(node)
    return value


def _refused(node: fx.Node) -> OptionError:
    return OptionError(f"{node.format_node()}: a study network is made of layers, torch.cat, +, -, * and x[:, a:b]")


def _shape(node: fx.Node) -> tuple[int, ...]:
    """Of the example that settle.py sent through the network."""
    return tuple(node.meta["tensor_meta"].shape)


def _pair(value: int | tuple[int, ...]) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)
