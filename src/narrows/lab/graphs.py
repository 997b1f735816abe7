"""The graphs of a profile, written node by node from a trained network (docs/FORMAT.md, "Graphs").

Tensors are (1, C, H, W). Weights live once in weights.safetensors; the graphs point into it by offset.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from torch import Tensor, nn

from narrows.entropy import ESCAPE_LIMIT
from narrows.lab.context import PHASES
from narrows.lab.dead_zone import DeadZone
from narrows.lab.integer import LARGEST, SUM_UNIT, WEIGHT_UNIT, IntegerConv, IntegerDepthwise, IntegerLinear
from narrows.lab.network import (
    CONTEXT_SYMBOL_LIMIT,
    LOG_CAP,
    ROWS_PER_UNIT,
    SLOPE,
    Block,
    Flagship,
)
from narrows.lab.quality_table import QualityTable
from narrows.lab.rate import ROWS
from narrows.lab.side import PHASES_OF_MEAN, SCALES, SCALES_PER_UNIT, SHIFT_LIMIT, VALUE_LIMIT, SideNet

OPSET = 20
IR_VERSION = 10
WEIGHTS_FILE = "weights.safetensors"
_ELEMENT = {"float16": TensorProto.FLOAT16, "float32": TensorProto.FLOAT, "int8": TensorProto.INT8,
            "int32": TensorProto.INT32, "uint8": TensorProto.UINT8}  # fmt: skip

Array = NDArray[Any]
IntegerLayer = IntegerLinear | IntegerDepthwise | IntegerConv
_Module = TypeVar("_Module", bound=nn.Module)


class WeightStore:
    """Every tensor of a profile once, by name."""

    def __init__(self) -> None:
        self.tensors: dict[str, Array] = {}

    def add(self, name: str, array: Array) -> None:
        array = np.asarray(array, order="C")  # safetensors writes memory as it lies, whatever the strides say
        known = self.tensors.setdefault(name, array)
        if known is not array and not np.array_equal(known, array):
            raise ValueError(f"two tensors are called {name}")


class Graph:
    """One ONNX graph under construction. Values are strings, as in ONNX."""

    def __init__(self, name: str, store: WeightStore) -> None:
        self._name, self._store = name, store
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._widened: dict[str, str] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def input(self, name: str, dtype: int, shape: Sequence[int | str]) -> str:
        self._inputs.append(helper.make_tensor_value_info(name, dtype, list(shape)))
        return name

    def output(self, value: str, name: str, dtype: int, shape: Sequence[int | str]) -> None:
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, dtype, list(shape)))

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        result = f"v{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [result], **attributes))
        return result

    def cast(self, value: str, dtype: int) -> str:
        return self.op("Cast", value, to=dtype)

    def constant(self, value: Array | float) -> str:
        """A small constant kept in the graph itself, once; numbers are float32 scalars."""
        array = np.asarray(value, np.float32) if isinstance(value, (int, float)) else value
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = name = f"c{len(self._initializers)}"
            self._initializers[name] = onnx.numpy_helper.from_array(array, name)
        return self._constants[key]

    def weight(self, name: str, array: Array, shape: Sequence[int] | None = None) -> str:
        """A stored tensor, seen in another shape of as many values if `shape` is given, widened to float32."""
        self._store.add(name, array)
        if name not in self._widened:
            tensor = TensorProto(name=name, data_type=_ELEMENT[array.dtype.name], dims=shape or array.shape)
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=WEIGHTS_FILE)
            self._initializers[name] = tensor
            self._widened[name] = name if array.dtype == np.float32 else self.cast(name, TensorProto.FLOAT)
        return self._widened[name]

    def model(self, offsets: dict[str, tuple[int, int]]) -> onnx.ModelProto:
        """The finished model; `offsets` gives (offset, length) of each tensor in the weights file."""
        for name, tensor in self._initializers.items():
            if tensor.data_location == TensorProto.EXTERNAL:
                offset, length = offsets[name]
                tensor.external_data.add(key="offset", value=str(offset))
                tensor.external_data.add(key="length", value=str(length))
        graph = helper.make_graph(
            self._nodes, self._name, self._inputs, self._outputs, list(self._initializers.values())
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="narrows.lab")
        model.ir_version = IR_VERSION
        return model

    # The layers of network.py, by the parameter names they have there.

    def parameters(self, name: str, layer: nn.Linear) -> tuple[str, str]:
        """Weight (outputs, inputs, 1, 1) and bias (outputs,) of a layer."""
        w = self.weight(f"{name}.weight", _half(layer.weight), (*layer.weight.shape, 1, 1))
        return w, self.weight(f"{name}.bias", _single(layer.bias))

    def linear(self, x: str, name: str, layer: nn.Linear) -> str:
        return self.op("Conv", x, *self.parameters(name, layer))

    def patches(self, x: str, name: str, weight: Tensor, block: int, bias: str, scale: float = 1) -> str:
        """A layer of unshuffle(x x scale, block) as a convolution with a stride.

        weight (outputs, block x block x channels) is turned once, when a runtime loads the graph.
        """
        w = self.weight(f"{name}.weight", _half(weight), (len(weight), block, block, weight.shape[1] // block**2))
        w = self.op("Transpose", w, perm=[0, 3, 1, 2])
        if scale != 1:
            w = self.op("Mul", w, self.constant(scale))
        return self.op("Conv", x, w, bias, kernel_shape=[block, block], strides=[block, block])

    def leaky(self, x: str) -> str:
        return self.op("LeakyRelu", x, alpha=SLOPE)

    def block(self, x: str, name: str, layer: Block) -> str:
        w = self.weight(f"{name}.depthwise.weight", _half(layer.depthwise.weight))
        channels, side = layer.depthwise.out_channels, layer.depthwise.kernel_size[0]
        bias = self.weight(f"{name}.depthwise.bias", _single(layer.depthwise.bias))
        h = self.op("Conv", x, w, bias, group=channels, kernel_shape=[side, side], pads=[side // 2] * 4)
        h = self.leaky(self.linear(h, f"{name}.expand", layer.expand))
        return self.op("Add", x, self.linear(h, f"{name}.project", layer.project))

    def blocks(self, x: str, name: str, layers: nn.Sequential) -> str:
        for index, layer in enumerate(layers):
            assert isinstance(layer, Block)
            x = self.block(x, f"{name}.{index}", layer)
        return x

    def of_quality(self, name: str, table: Array, quality: str) -> str:
        """Row `quality` of a (qualities, C) table as (1, C, 1, 1)."""
        row = self.op("Gather", self.weight(name, table), quality, axis=0)
        return self.reshape(row, [1, -1, 1, 1])

    def feature_scale(self, x: str, name: str, table: QualityTable, quality: str) -> str:
        """x times the quality's features (quality_table.QualityTable).

        A product with what is not constant leaves x in ONNX's own layout. The identity as a convolution brings it back
        into that of onnxruntime's convolutions (16 channels side by side), where the sums of all residual blocks then
        stay; or each of them would be taken there and back.
        """
        x = self.op("Mul", x, self.of_quality(name, _single(1 + table.table()), quality))
        channels = table.knots.shape[1]
        return self.op("Conv", x, self.constant(np.ones((channels, 1, 1, 1), np.float32)), group=channels)

    def unshuffle(self, x: str, block: int) -> str:
        return self.op("SpaceToDepth", x, blocksize=block)

    def shuffle(self, x: str, block: int, channels: int) -> str:
        """DepthToSpace to `channels`: columns first, then whole rows, for which a runtime is twice as fast."""
        shape = [block, block, -1, 0]  # (block, block, channels x H, W)
        columns = self.op("Transpose", self.reshape(x, shape), perm=[0, 2, 3, 1])
        rows = self.op("Transpose", self.reshape(columns, [0, 0, 1, -1]), perm=[1, 0, 2, 3])
        return self.reshape(rows, [1, channels, -1, 0])

    def reshape(self, x: str, shape: Sequence[int]) -> str:
        """As ONNX has it: 0 is the dimension that was there, -1 what is left."""
        return self.op("Reshape", x, self.constant(np.array(shape, np.int64)))

    # Integers carried in float32.

    def integer_conv(self, x: str, name: str, layer: IntegerLayer) -> str:
        """Sums of integers; the half of a requantisation is in the bias."""
        weight = integer_weight(layer)
        w = self.weight(f"{name}.weight", weight, weight.shape if weight.ndim == 4 else (*weight.shape, 1, 1))
        inputs = [x, w] if layer.bias is None else [x, w, self.weight(f"{name}.bias", integer_bias(layer))]
        if weight.ndim == 2:
            return self.op("Conv", *inputs)
        group = len(weight) if isinstance(layer, IntegerDepthwise) else 1
        return self.op("Conv", *inputs, group=group, kernel_shape=[3, 3], pads=[1, 1, 1, 1])

    def floor_divide(self, x: str, power_of_two: int) -> str:
        return self.op("Floor", self.op("Div", x, self.constant(power_of_two)))

    def clip(self, x: str, low: float, high: float) -> str:
        return self.op("Clip", x, self.constant(low), self.constant(high))

    def requantise(self, x: str) -> str:
        """Sums to activations, 0..LARGEST; clipped first, which a runtime does within the convolution before."""
        return self.floor_divide(self.clip(x, 0, (LARGEST + 1) * WEIGHT_UNIT - 1), WEIGHT_UNIT)


def _single(tensor: Tensor | None) -> NDArray[np.float32]:
    if tensor is None:
        raise TypeError("the layer has no bias")
    array: NDArray[np.float32] = tensor.detach().cpu().float().numpy()
    return array


def _half(tensor: Tensor) -> NDArray[np.float16]:
    return tensor.detach().cpu().numpy().astype(np.float16)


def integer_weight(layer: IntegerLayer) -> NDArray[np.int8]:
    """Units of 1/64 within +-127, as the layer rounds them in training."""
    return (layer.weight.detach().cpu() * WEIGHT_UNIT).round().clamp(-LARGEST, LARGEST).to(torch.int8).numpy()


def integer_bias(layer: IntegerLayer) -> NDArray[np.int32]:
    """Units of 1/1024, and the 1/2 of the rounding that follows (WEIGHT_UNIT / 2)."""
    assert layer.bias is not None
    return (layer.bias.detach().cpu() * SUM_UNIT).round().to(torch.int32).numpy() + np.int32(WEIGHT_UNIT // 2)


def analysis_graph(network: Flagship, store: WeightStore) -> Graph:
    g = Graph("analysis", store)
    config, net = network.config, network.analysis
    picture = g.input("picture", TensorProto.UINT8, [1, config.channels, "height", "width"])
    quality = g.input("quality", TensorProto.INT64, [1])
    # The network sees x / 255 - 1/2: the shift is in the bias.
    bias = _single(net.stem.bias) - 0.5 * _half(net.stem.weight).astype(np.float32).sum(1)
    shifted = g.weight("analysis.stem.shifted_bias", bias.astype(np.float32))
    x = g.patches(g.cast(picture, TensorProto.FLOAT), "analysis.stem", net.stem.weight, 8, shifted, 1 / 255)
    x = g.feature_scale(x, "analysis.fine_scale", net.fine_scale, quality)
    x = g.blocks(x, "analysis.fine", net.fine)
    x = g.patches(x, "analysis.down", net.down.weight, 2, g.weight("analysis.down.bias", _single(net.down.bias)))
    x = g.feature_scale(x, "analysis.coarse_scale", net.coarse_scale, quality)
    x = g.linear(g.blocks(x, "analysis.coarse", net.coarse), "analysis.out", net.out)
    y = g.op("Mul", x, g.of_quality("analysis.gain", _single(net.gain()), quality))

    hyper = network.hyper_analysis
    magnitude = g.op("Mul", g.op("Log", g.op("Add", g.op("Abs", y), g.constant(1))), g.constant(1 / np.log(2)))
    value = g.op("Mul", g.clip(y, -LOG_CAP, LOG_CAP), g.constant(0.25))
    h = g.leaky(g.linear(g.op("Concat", magnitude, value, axis=1), "hyper_analysis.into", hyper.into))
    h = g.leaky(g.linear(g.unshuffle(h, 2), "hyper_analysis.down", hyper.down))
    z = g.linear(g.unshuffle(h, 2), "hyper_analysis.out", hyper.out)
    g.output(y, "y", TensorProto.FLOAT, [1, config.latent, "rows", "columns"])
    g.output(z, "z", TensorProto.FLOAT, [1, config.hyper_latent, "hyper_rows", "hyper_columns"])
    return g


def synthesis_graph(network: Flagship, store: WeightStore) -> Graph:
    g = Graph("synthesis", store)
    config, net = network.config, network.synthesis
    y_hat = g.input("y_hat", TensorProto.FLOAT, [1, config.latent, "rows", "columns"])
    quality = g.input("quality", TensorProto.INT64, [1])
    x = g.op("Mul", y_hat, g.of_quality("synthesis.gain", _single(net.gain()), quality))
    x = g.blocks(g.linear(x, "synthesis.into", net.into), "synthesis.coarse", net.coarse)
    x = g.shuffle(g.linear(x, "synthesis.up", net.up), 2, config.synthesis_width[0])
    x = g.feature_scale(x, "synthesis.fine_scale", net.fine_scale, quality)
    # The network gives x / 255 - 1/2.
    weight, bias = g.parameters("synthesis.out", net.out)
    weight, bias = g.op("Mul", weight, g.constant(255)), g.op("Mul", bias, g.constant(255))
    # Half a level more, since a cast drops what is behind the point: rounding would take a pass of its own.
    x = g.op("Conv", g.blocks(x, "synthesis.fine", net.fine), weight, g.op("Add", bias, g.constant(128)))
    # Moved about as bytes: a shuffle's time is that of memory.
    x = g.shuffle(g.cast(g.clip(x, 0, 255), TensorProto.UINT8), 8, config.channels)
    g.output(x, "picture", TensorProto.UINT8, [1, config.channels, "height", "width"])
    return g


class _Context:
    """The two context nets of one graph, in the parts that a step codes (context.py): (1, 4 k, H/2, W/2), phases first.

    A layer that a step needs at one group of channels a phase is a convolution of four groups over cells.
    """

    def __init__(self, g: Graph, network: Flagship) -> None:
        self.g, self.network, self.order = g, network, network.order

    def mean_features(self, z_hat: str) -> str:
        g, net = self.g, self.network.mean_net
        width = self.network.config.mean_width
        h = g.shuffle(g.leaky(g.linear(z_hat, "mean_net.into", net.into)), 2, width)
        h = g.block(h, "mean_net.block", net.block)
        return g.shuffle(g.leaky(g.linear(h, "mean_net.up", net.up)), 2, width)

    def mean(self, step: int, features: str, y_hat: Sequence[str]) -> tuple[str, str | None]:
        """The mean of one step's part, and its centroids where the network has them (network.Prediction).

        `y_hat` are the parts of all steps before.
        """
        g, net = self.g, self.network.mean_net
        layer = _as(nn.Linear, net.step_in[step])
        weight, bias = g.parameters(f"mean_net.step_in.{step}", layer)
        x = self._seeing(features, y_hat, weight, len(layer.weight), bias)
        h = g.block(g.leaky(x), f"mean_net.step_block.{step}", _as(Block, net.step_block[step]))
        mean = self._head(h, f"mean_net.step_out.{step}", net.step_out[step], step)
        if not len(net.step_centroid):
            return mean, None
        return mean, self._head(h, f"mean_net.step_centroid.{step}", net.step_centroid[step], step)

    def _head(self, h: str, name: str, module: nn.Module, step: int) -> str:
        return self._linear(h, *self.g.parameters(name, _as(nn.Linear, module)), step)

    def value(self, symbol: str, mean: str, centroid: str | None) -> str:
        """y_hat of symbols."""
        g = self.g
        value = g.op("Add", symbol, mean)
        sign = g.clip(symbol, -1, 1)
        return value if centroid is None else g.op("Add", value, g.op("Mul", centroid, sign))

    def scale_features(self, z_hat: str) -> str:
        g, net = self.g, self.network.scale_net
        width = self.network.config.scale_width
        h = g.shuffle(g.requantise(g.integer_conv(z_hat, "scale_net.into", net.into)), 2, width)
        return g.shuffle(g.requantise(g.integer_conv(h, "scale_net.up", net.up)), 2, width)

    def rows(self, step: int, features: str, symbols: Sequence[str], quality: str, *, whole: bool = False) -> str:
        """Rows of one step's part as whole numbers in float32; `symbols` are those of all steps before, as float32.

        `whole`: (1, m, H, W), with rows that nobody needs where other steps code; cheaper than a part put into place.
        """
        g, net = self.g, self.network.scale_net
        # Symbols count in halves (network.py), activations in sixteenths: a factor of eight.
        seen = [
            g.op("Mul", g.op("Min", g.op("Abs", part), g.constant(CONTEXT_SYMBOL_LIMIT)), g.constant(8))
            for part in symbols
        ]
        layer = _as(IntegerLinear, net.step_in[step])
        first = integer_weight(layer)
        weight = g.weight(f"scale_net.step_in.{step}.weight", first, (*first.shape, 1, 1))
        bias = g.weight(f"scale_net.step_in.{step}.bias", integer_bias(layer))
        h = g.requantise(self._seeing(features, seen, weight, len(first), bias))
        h = g.requantise(
            g.integer_conv(h, f"scale_net.step_depthwise.{step}", _as(IntegerDepthwise, net.step_depthwise[step]))
        )
        h = g.requantise(g.integer_conv(h, f"scale_net.step_mid.{step}", _as(IntegerLinear, net.step_mid[step])))
        last = integer_weight(_as(IntegerLinear, net.step_out[step]))
        weight = g.weight(f"scale_net.step_out.{step}.weight", last, (*last.shape, 1, 1))
        bias = g.of_quality("scale_net.row_bias", row_bias(self.network), quality)
        if whole:
            total = g.op("Add", g.op("Conv", h, weight), bias)
        else:
            total = g.op("Add", self._linear(h, weight, None, step), g.op("Gather", bias, self._chosen(step), axis=1))
        return g.clip(g.floor_divide(total, SUM_UNIT // ROWS_PER_UNIT), 0, ROWS - 1)

    def take(self, cells: str, step: int) -> str:
        """The step's part of a tensor in cells (1, 4 m, H/2, W/2)."""
        phase = np.arange(PHASES)[:, None] * self.order.channels
        return self.g.op("Gather", cells, self.g.constant((phase + self.order.chosen[step].numpy()).ravel()), axis=1)

    def joined(self, parts: Sequence[str]) -> str:
        """The parts of all steps as one tensor (1, m, H, W)."""
        chosen = self.order.chosen.numpy()
        place = np.empty((PHASES, self.order.channels), np.int64)
        for phase in range(PHASES):
            place[phase, chosen[:, phase]] = np.arange(chosen.size).reshape(chosen.shape)[:, phase]
        stacked = parts[0] if len(parts) == 1 else self.g.op("Concat", *parts, axis=1)
        gathered = self.g.op("Gather", stacked, self.g.constant(place.ravel()), axis=1)
        return self.g.shuffle(gathered, 2, self.order.channels)

    def _chosen(self, step: int) -> str:
        return self.g.constant(self.order.chosen[step].numpy().ravel())

    def _linear(self, x: str, weight: str, bias: str | None, step: int) -> str:
        """A layer of m outputs, each at the phase alone where the step codes it; weight (m, inputs, 1, 1)."""
        g = self.g
        inputs = [g.unshuffle(x, 2), g.op("Gather", weight, self._chosen(step), axis=0)]
        inputs += [] if bias is None else [g.op("Gather", bias, self._chosen(step), axis=0)]
        return g.op("Conv", *inputs, group=PHASES)

    def _seeing(self, features: str, parts: Sequence[str], weight: str, outputs: int, bias: str) -> str:
        """A layer of the features and of y_hat or symbols so far; weight (outputs, outputs + m, 1, 1).

        There are as many features as outputs. What is not known yet is zero, so nothing is computed for it.
        """
        g, order = self.g, self.order
        if not parts:
            return g.op("Conv", features, weight, bias)
        x = g.op("Conv", features, g.op("Gather", weight, g.constant(np.arange(outputs)), axis=1), bias)
        total = None
        for earlier, part in enumerate(parts):
            chosen = order.chosen[earlier].numpy()
            columns = g.op("Gather", weight, g.constant(outputs + chosen.ravel()), axis=1)
            split = g.reshape(columns, [outputs, PHASES, -1])
            grouped = g.op("Transpose", split, perm=[1, 0, 2])
            shape = [PHASES * outputs, chosen.shape[1], 1, 1]
            product = g.op("Conv", part, g.reshape(grouped, shape), group=PHASES)
            total = product if total is None else g.op("Add", total, product)
        assert total is not None
        return g.op("Add", x, g.shuffle(total, 2, outputs))


def _as(kind: type[_Module], module: object) -> _Module:
    if not isinstance(module, kind):
        raise TypeError(f"expected {kind.__name__}, found {type(module).__name__}")
    return module


def row_bias(network: Flagship) -> NDArray[np.int32]:
    """(qualities, latent) in units of 1/1024, as in training."""
    return (network.scale_net.row_bias.table().detach().cpu() * SUM_UNIT).round().to(torch.int32).numpy()


def _hyper_input(g: Graph, network: Flagship) -> str:
    z_hat = g.input("z_hat", TensorProto.INT32, [1, network.config.hyper_latent, "hyper_rows", "hyper_columns"])
    return g.cast(z_hat, TensorProto.FLOAT)


def _symbols_input(g: Graph, network: Flagship) -> str:
    symbols = g.input("symbols", TensorProto.INT32, [1, network.config.latent, "rows", "columns"])
    return g.cast(symbols, TensorProto.FLOAT)


def scales_graph(network: Flagship, store: WeightStore, step: int) -> Graph:
    g = Graph(f"scales.{step}", store)
    z_hat = _hyper_input(g, network)
    cells = g.unshuffle(_symbols_input(g, network), 2) if step else ""
    quality = g.input("quality", TensorProto.INT64, [1])
    context = _Context(g, network)
    parts = [context.take(cells, earlier) for earlier in range(step)]
    rows = context.rows(step, context.scale_features(z_hat), parts, quality, whole=True)
    g.output(
        g.cast(rows, TensorProto.UINT8), "rows", TensorProto.UINT8, [1, network.config.latent, "rows_", "columns_"]
    )
    return g


def side_graph(net: SideNet, store: WeightStore, step: int) -> Graph:
    """Rows of tables and whole shifts of one side step (side.SideNet), given at all positions."""
    g = Graph(f"side.{step}", store)
    values = g.cast(g.input("values", TensorProto.INT32, [1, net.hyper, "rows_in", "columns_in"]), TensorProto.FLOAT)
    quality = g.input("quality", TensorProto.INT64, [1])
    bias = g.of_quality(f"side_net.base.{step}", side_bias(net, step), quality)
    if step:
        # Values count in halves (side.py), activations in sixteenths: a factor of eight.
        seen = g.op("Mul", g.clip(values, -VALUE_LIMIT, VALUE_LIMIT), g.constant(8))
        layer, last = _as(IntegerConv, net.context_in[step - 1]), _as(IntegerLinear, net.context_out[step - 1])
        h = g.requantise(g.integer_conv(seen, f"side_net.context_in.{step - 1}", layer))
        total = g.op("Add", g.integer_conv(h, f"side_net.context_out.{step - 1}", last), bias)
        mean, scale = (
            g.op("Gather", total, g.constant(part), axis=1) for part in np.arange(2 * net.hyper).reshape(2, -1)
        )
    else:  # the values tell the size alone
        nothing = g.op("Mul", values, g.constant(0))
        parts = (g.op("Gather", bias, g.constant(part), axis=1) for part in np.arange(2 * net.hyper).reshape(2, -1))
        mean, scale = (g.op("Add", nothing, part) for part in parts)
    mean = g.clip(mean, -SHIFT_LIMIT * SUM_UNIT, SHIFT_LIMIT * SUM_UNIT)
    unit = SUM_UNIT // PHASES_OF_MEAN
    eighths = g.floor_divide(g.op("Add", mean, g.constant(unit // 2)), unit)
    moved = g.op("Add", eighths, g.constant(PHASES_OF_MEAN // 2))
    shift = g.floor_divide(moved, PHASES_OF_MEAN)
    phase = g.op("Sub", moved, g.op("Mul", shift, g.constant(PHASES_OF_MEAN)))
    row = g.clip(g.floor_divide(scale, SUM_UNIT // SCALES_PER_UNIT), 0, SCALES - 1)
    rows = g.op("Add", g.op("Mul", row, g.constant(PHASES_OF_MEAN)), phase)
    shape: list[int | str] = [1, net.hyper, "rows_", "columns_"]
    g.output(g.cast(rows, TensorProto.UINT8), "rows", TensorProto.UINT8, shape)
    g.output(g.cast(shift, TensorProto.INT32), "shift", TensorProto.INT32, shape)
    return g


def side_bias(net: SideNet, step: int) -> NDArray[np.int32]:
    """(qualities, 2 hyper) in units of 1/1024, as in training."""
    return (net.bias(step).detach().cpu() * SUM_UNIT).round().to(torch.int32).numpy()


def quantise_graph(network: Flagship, store: WeightStore, curve: DeadZone, first_coded: int) -> Graph:
    """`curve` moves the thresholds with the dead zone, rows before `first_coded` are skipped (dead_zone.Quantiser)."""
    g = Graph("quantise", store)
    cells = g.unshuffle(g.input("y", TensorProto.FLOAT, [1, network.config.latent, "rows", "columns"]), 2)
    z_hat = _hyper_input(g, network)
    quality = g.input("quality", TensorProto.INT64, [1])
    factor = g.op("Mul", g.input("dead_zone", TensorProto.FLOAT, [1]), g.constant(curve.slope**2))
    context = _Context(g, network)
    mean_features, scale_features = context.mean_features(z_hat), context.scale_features(z_hat)
    symbols: list[str] = []
    rows: list[str] = []
    y_hat: list[str] = []
    for step in range(network.config.context_steps):
        mean, centroid = context.mean(step, mean_features, y_hat)
        row = context.rows(step, scale_features, symbols, quality)
        below = g.clip(g.op("Sub", g.constant(curve.last_row), row), 0, curve.reach)
        shift = g.op("Mul", g.op("Mul", below, below), factor)
        # Far below zero in a skipped row, so that no residual reaches a level there; far above one elsewhere.
        ceiling = g.op("Mul", g.op("Sub", row, g.constant(first_coded - 0.5)), g.constant(1e9))
        offset = g.op("Min", g.op("Sub", g.constant(0.5), shift), ceiling)
        residual = g.op("Sub", context.take(cells, step), mean)
        level = g.clip(g.op("Floor", g.op("Add", g.op("Abs", residual), offset)), 0, ESCAPE_LIMIT)
        # The sign of what reaches a level; Sign takes five times as long.
        symbol = g.op("Mul", g.clip(g.op("Mul", residual, g.constant(1e30)), -1, 1), level)
        symbols.append(symbol)
        rows.append(g.cast(row, TensorProto.UINT8))
        if step + 1 < network.config.context_steps:
            y_hat.append(context.value(symbol, mean, centroid))
    shape: list[int | str] = [1, network.config.latent, "rows", "columns"]
    g.output(g.cast(context.joined(symbols), TensorProto.INT32), "symbols", TensorProto.INT32, shape)
    g.output(context.joined(rows), "rows", TensorProto.UINT8, shape)
    return g


def dequantise_graph(network: Flagship, store: WeightStore) -> Graph:
    g = Graph("dequantise", store)
    cells = g.unshuffle(_symbols_input(g, network), 2)
    z_hat = _hyper_input(g, network)
    quality = g.input("quality", TensorProto.INT64, [1])
    context = _Context(g, network)
    features = context.mean_features(z_hat)
    y_hat: list[str] = []
    for step in range(network.config.context_steps):
        mean, centroid = context.mean(step, features, y_hat)
        y_hat.append(context.value(context.take(cells, step), mean, centroid))
    # `quality` is part of the contract; this network's mean net does not need it.
    del quality
    g.output(context.joined(y_hat), "y_hat", TensorProto.FLOAT, [1, network.config.latent, "rows", "columns"])
    return g


def prove_exact(network: Flagship) -> int:
    """The largest partial sum that `scales` and `side` can meet, over all inputs; ValueError at 2^24 or more.

    Any partial sum of a channel is at most sum |w| x (largest input) + |bias|, in whatever order it is added up, and
    integers below 2^24 are exact in float32; so is their division by a power of two.
    """
    net = network.scale_net
    layers: list[tuple[object, NDArray[np.int32] | None]] = [(net.into, None), (net.up, None)]
    layers += [(m, None) for modules in (net.step_in, net.step_depthwise, net.step_mid) for m in modules]
    layers += [(m, row_bias(network)) for m in net.step_out]
    largest = 0
    if network.side_net is not None:
        side = network.side_net
        largest = int(np.abs(side_bias(side, 0)).max())  # of the first step, which has no layer
        layers += [(m, None) for m in side.context_in]
        layers += [(m, side_bias(side, step)) for step, m in enumerate(side.context_out, start=1)]
    for layer, bias in layers:
        assert isinstance(layer, IntegerLayer)
        weight = np.abs(integer_weight(layer).astype(np.int64))
        offset = integer_bias(layer) if bias is None else np.abs(bias.astype(np.int64)).max(0)
        total = weight.reshape(len(weight), -1).sum(1) * LARGEST + np.abs(offset.astype(np.int64))
        largest = max(largest, int(total.max()))
    if largest >= 2**24:
        raise ValueError(f"a sum of the integer nets can reach {largest}, 2^24 or more: it would not be exact")
    return largest
