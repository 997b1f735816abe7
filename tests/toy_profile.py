"""Profiles without any training, for tests: a cosine transform written down as a network.

    write_colour_profile   3 channels, hyper-latent, two context steps, integer scales, a predicted mean
    write_grey_profile     1 channel, no hyper-latent, one context step

They show what the profile contract asks for in a few lines of ONNX each, and they really compress. Whoever writes such
a folder gets files, the command line and the comparison.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from safetensors.numpy import load_file, save_file

TOTAL = 2**24
STRIDE = 16
HALO = 64
ROWS = 20
DEAD_ZONE_UNIT = 0.15
HYPER = 4  # channels of the colour profile's hyper-latent
HYPER_LIMIT = 15

_TYPES = {
    "picture": TensorProto.UINT8,
    "quality": TensorProto.INT64,
    "dead_zone": TensorProto.FLOAT,
    "y": TensorProto.FLOAT,
    "z": TensorProto.FLOAT,
    "z_hat": TensorProto.INT32,
    "symbols": TensorProto.INT32,
    "rows": TensorProto.UINT8,
    "y_hat": TensorProto.FLOAT,
}


class Weights:
    """The tensors of weights.safetensors, shared by the graphs. A Cast widens float16 ones where they are used."""

    def __init__(self) -> None:
        self.tensors: dict[str, NDArray[Any]] = {}

    def add(self, name: str, array: NDArray[Any]) -> str:
        self.tensors[name] = array
        return name

    def save(self, path: Path) -> dict[str, tuple[int, int]]:
        """Write the file; (offset, length) of each tensor in it."""
        save_file(self.tensors, path)
        data = path.read_bytes()
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size])
        return {name: (8 + size + header[name]["data_offsets"][0], self.tensors[name].nbytes) for name in self.tensors}


class GraphBuilder:
    """Collects the nodes of one graph; every method gives the name of its result."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.used: set[str] = set()

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def number(self, value: float | list[int], dtype: type = np.float32) -> str:
        """A small constant inside the graph."""
        name = f"c{len(self.constants)}"
        self.constants[name] = onnx.numpy_helper.from_array(np.array(value, dtype), name)
        return name

    def weight(self, name: str) -> str:
        """A tensor of the weights file as float32 (or int64, for shapes)."""
        self.used.add(name)
        return self.op("Cast", name, to=TensorProto.FLOAT) if self.weights.tensors[name].dtype != np.float32 else name

    def conv(self, value: str, name: str, **attributes: Any) -> str:
        return self.op("Conv", value, self.weight(name), **attributes)

    def pick(self, name: str) -> str:
        """The entry of a table (qualities, ...) for the quality that is fed."""
        return self.op("Gather", self.weight(name), "quality", axis=0)

    def cast(self, value: str, to: int) -> str:
        return self.op("Cast", value, to=to)

    def like(self, tile: str, reference: str, channels: int) -> str:
        """The 2x2 pattern `tile` (1, m, 2, 2) over the size of `reference`, which may be odd."""
        shape = self.op("Shape", reference)
        size = self.op("Slice", shape, self.number([2], np.int64), self.number([4], np.int64))
        half = self.op("Div", self.op("Add", size, self.number([1, 1], np.int64)), self.number([2, 2], np.int64))
        tiled = self.op("Tile", tile, self.op("Concat", self.number([1, 1], np.int64), half, axis=0))
        zero = self.number([0, 0], np.int64)
        return self.op("Slice", tiled, zero, size, self.number([2, 3], np.int64))

    def rename(self, value: str, name: str) -> None:
        self.nodes.append(helper.make_node("Identity", [value], [name]))

    def model(
        self, inputs: dict[str, list[Any]], outputs: dict[str, list[Any]], places: dict[str, tuple[int, int]]
    ) -> bytes:
        tensors = list(self.constants.values())
        for name in sorted(self.used):
            array = self.weights.tensors[name]
            tensor = TensorProto(name=name, dims=array.shape, data_type=helper.np_dtype_to_tensor_dtype(array.dtype))
            tensor.data_location = TensorProto.EXTERNAL
            offset, length = places[name]
            for key, value in (("location", "weights.safetensors"), ("offset", offset), ("length", length)):
                tensor.external_data.add(key=key, value=str(value))
            tensors.append(tensor)
        graph = helper.make_graph(
            self.nodes,
            "graph",
            [helper.make_tensor_value_info(name, _TYPES[name], shape) for name, shape in inputs.items()],
            [helper.make_tensor_value_info(name, _TYPES[name], shape) for name, shape in outputs.items()],
            tensors,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
        data: bytes = model.SerializeToString()
        return data


def cosine_basis(size: int, count: int) -> NDArray[np.float32]:
    """The count x count lowest functions of the orthonormal cosine transform of size x size: (count^2, size, size)."""
    k, n = np.arange(count)[:, None], np.arange(size)[None]
    line = np.cos(np.pi * (2 * n + 1) * k / (2 * size)) * np.sqrt(np.where(k == 0, 1, 2) / size)
    order = sorted(np.ndindex(count, count), key=lambda at: (at[0] + at[1], at))
    return np.array([np.outer(line[u], line[v]) for u, v in order], np.float32)


def make_tables(scales: NDArray[np.floating[Any]]) -> tuple[NDArray[np.int32], NDArray[np.uint32]]:
    """Laplacian frequency tables, one for each scale; the first is so narrow that its row is skipped."""
    radii, tables = [], []
    for scale in scales:
        radius = int(np.clip(np.ceil(6 * scale), 1, 60))
        values = np.abs(np.arange(-radius, radius + 1))
        share = np.exp(-values / scale)
        tables.append(whole_frequencies(np.append(share / share.sum(), 1e-6)))
        radii.append(radius)
    return np.array(radii, np.int32), np.concatenate(tables)


def whole_frequencies(shares: NDArray[np.floating[Any]]) -> NDArray[np.uint32]:
    """Positive integers that sum to 2^24, close to the shares."""
    counts = np.maximum(np.round(shares / shares.sum() * TOTAL), 1).astype(np.int64)
    counts[np.argmax(counts)] += TOTAL - counts.sum()
    frequencies: NDArray[np.uint32] = counts.astype(np.uint32)
    return frequencies


def write_folder(
    folder: Path,
    weights: Weights,
    graphs: dict[str, tuple[GraphBuilder, list[str], list[str]]],
    manifest: dict[str, Any],
) -> Path:
    """Save weights, graphs (builder, inputs, outputs) and a manifest with the digests of all."""
    folder.mkdir(parents=True, exist_ok=True)
    places = weights.save(folder / "weights.safetensors")
    shapes = {name: [None] * 4 for name in _TYPES} | {"quality": [1], "dead_zone": [1]}
    for name, (builder, inputs, outputs) in graphs.items():
        data = builder.model({key: shapes[key] for key in inputs}, {key: shapes[key] for key in outputs}, places)
        (folder / name).write_bytes(data)
    write_manifest(folder, manifest)
    return folder


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write manifest.json with the SHA-256 of every other file as it is now."""
    paths = [path for path in folder.iterdir() if path.suffix != ".json"]
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    text = json.dumps(manifest | {"files": files}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    (folder / "manifest.json").write_bytes(text.encode())


def read_manifest(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
    return content


def change_manifest(folder: Path, **changes: Any) -> None:
    manifest = read_manifest(folder) | changes
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    (folder / "manifest.json").write_bytes(text.encode())


def change_graph(folder: Path, name: str, change: Callable[[onnx.ModelProto], None]) -> None:
    """Change a graph and make the manifest agree with it, as an attacker would."""
    model = onnx.load(folder / name, load_external_data=False)
    change(model)
    (folder / name).write_bytes(model.SerializeToString())
    write_manifest(folder, read_manifest(folder))


def change_tensors(folder: Path, **changes: Any) -> None:
    """Replace (or with None remove) tensors; dots in names are written as two underscores."""
    tensors = load_file(folder / "weights.safetensors")
    for key, value in changes.items():
        name = key.replace("__", ".")
        if value is None:
            del tensors[name]
        else:
            tensors[name] = value
    save_file(tensors, folder / "weights.safetensors")
    write_manifest(folder, read_manifest(folder))


def write_colour_profile(folder: Path, name: str = "toy") -> Path:
    """A cosine transform of 16x16 blocks, 16 coefficients of each colour; every part of the contract is used."""
    per_colour, qualities = 16, 8
    m = 3 * per_colour
    steps = 48.0 / 1.6 ** np.arange(qualities)
    basis = cosine_basis(STRIDE, 4)
    kernel = np.zeros((m, 3, STRIDE, STRIDE), np.float32)
    for colour in range(3):
        kernel[colour * per_colour : (colour + 1) * per_colour, colour] = basis
    ring = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32)

    weights = Weights()
    ordered = kernel.transpose(0, 2, 3, 1).reshape(m, -1)  # row, column, colour: as SpaceToDepth has it
    weights.add("transform", ordered[:, :, None, None].astype(np.float16))
    weights.add("inverse", np.ascontiguousarray(ordered.T)[:, :, None, None].astype(np.float16))
    blur = np.zeros((m, 1, 3, 3), np.float32)
    blur[:, 0, 1, 1] = 1
    sharpen = blur + np.float32(0.002) * ring  # a little of the neighbours, so that a missing halo shows
    weights.add("spread", sharpen)
    weights.add("gather", blur - np.float32(0.002) * ring)
    weights.add("step", steps.astype(np.float32).reshape(qualities, 1, 1, 1))
    group = np.arange(m) % HYPER
    pool = np.zeros((HYPER, m * 16), np.float32)
    for channel in range(m):
        pool[group[channel], np.arange(16) * m + channel] = 1.0 / (16 * m / HYPER)
    weights.add("pool", pool[:, :, None, None])
    spread = np.zeros((m * 16, HYPER), np.float32)
    for channel in range(m):
        spread[np.arange(16) * m + channel, group[channel]] = 1
    weights.add("unpool", spread[:, :, None, None].astype(np.int8))
    weights.add("ring", np.broadcast_to(ring, (m, 1, 3, 3)).astype(np.int8).copy())
    parity = np.array([[0, 1], [1, 0]])
    context = (parity[None] + np.arange(m)[:, None, None]) % 2
    weights.add("second", context[None].astype(np.uint8))
    frequency = np.array([u + v for u, v in sorted(np.ndindex(4, 4), key=lambda at: (at[0] + at[1], at))])
    base = np.clip(2 * np.arange(qualities)[:, None] + 8 - 3 * np.tile(frequency, 3)[None], 0, ROWS - 6)
    weights.add("base", base.reshape(qualities, m, 1, 1).astype(np.uint8))
    radius, frequencies = make_tables(0.14 * 1.45 ** np.arange(ROWS))
    weights.add("tables.y.radius", radius)
    weights.add("tables.y.frequencies", frequencies)
    sides = np.abs(np.arange(-HYPER_LIMIT, HYPER_LIMIT + 1))
    side = np.array([[whole_frequencies(np.exp(-sides / (1.0 + k))) for _ in range(HYPER)] for k in range(2)])
    weights.add("tables.z.frequencies", side)
    weights.add("tables.z.class", (np.arange(qualities) >= 4).astype(np.uint8))
    weights.add("context.steps", context.astype(np.uint8))

    def rows(graph: GraphBuilder, seen: str | None) -> str:
        """Integers only: what the quality and the hyper-latent say, and what lies around."""
        z = graph.cast("z_hat", TensorProto.FLOAT)
        level = graph.op("DepthToSpace", graph.conv(z, "unpool"), blocksize=4, mode="DCR")
        total = graph.op("Add", level, graph.pick("base"))
        if seen is not None:
            small = graph.op("Clip", graph.op("Abs", seen), graph.number(0), graph.number(8))
            around = graph.conv(small, "ring", pads=[1, 1, 1, 1], group=m)
            total = graph.op("Add", total, graph.op("Floor", graph.op("Div", around, graph.number(4))))
        return graph.op("Clip", total, graph.number(0), graph.number(ROWS - 1))

    def mean(graph: GraphBuilder, y_hat: str) -> str:
        return graph.op("Mul", graph.conv(y_hat, "ring", pads=[1, 1, 1, 1], group=m), graph.number(0.05))

    def masks(graph: GraphBuilder, reference: str) -> tuple[str, str]:
        second = graph.like(graph.weight("second"), reference, m)
        return graph.op("Sub", graph.number(1), second), second

    analysis = GraphBuilder(weights)
    planes = analysis.op("Sub", analysis.cast("picture", TensorProto.FLOAT), analysis.number(128))
    y = analysis.conv(analysis.op("SpaceToDepth", planes, blocksize=STRIDE), "transform")
    y = analysis.op("Div", analysis.conv(y, "spread", pads=[1, 1, 1, 1], group=m), analysis.pick("step"))
    analysis.rename(y, "y")
    z = analysis.conv(analysis.op("SpaceToDepth", analysis.op("Abs", y), blocksize=4), "pool")
    analysis.rename(analysis.op("Mul", z, analysis.number(2)), "z")

    quantise = GraphBuilder(weights)
    first, second = masks(quantise, "y")

    def rounded(value: str, row: str) -> str:
        """Rounding with a wider bin around zero, and zero in the skipped row."""
        wide = quantise.op("Mul", "dead_zone", quantise.number(DEAD_ZONE_UNIT))
        size = quantise.op("Sub", quantise.op("Abs", value), wide)
        size = quantise.op("Floor", quantise.op("Add", size, quantise.number(0.5)))
        size = quantise.op("Clip", size, quantise.number(0), quantise.number(32767))
        coded = quantise.cast(quantise.op("GreaterOrEqual", row, quantise.number(1)), TensorProto.FLOAT)
        return quantise.op("Mul", quantise.op("Mul", quantise.op("Sign", value), size), coded)

    rows_0 = rows(quantise, None)
    symbols_0 = quantise.op("Mul", rounded("y", rows_0), first)
    mean_1 = mean(quantise, symbols_0)
    rows_1 = rows(quantise, symbols_0)
    symbols_1 = quantise.op("Mul", rounded(quantise.op("Sub", "y", mean_1), rows_1), second)
    quantise.rename(quantise.cast(quantise.op("Add", symbols_0, symbols_1), TensorProto.INT32), "symbols")
    both = quantise.op("Add", quantise.op("Mul", rows_0, first), quantise.op("Mul", rows_1, second))
    quantise.rename(quantise.cast(both, TensorProto.UINT8), "rows")

    scales_0, scales_1 = GraphBuilder(weights), GraphBuilder(weights)
    scales_0.rename(scales_0.cast(rows(scales_0, None), TensorProto.UINT8), "rows")
    seen = scales_1.cast("symbols", TensorProto.FLOAT)
    scales_1.rename(scales_1.cast(rows(scales_1, seen), TensorProto.UINT8), "rows")

    dequantise = GraphBuilder(weights)
    symbols = dequantise.cast("symbols", TensorProto.FLOAT)
    first, second = masks(dequantise, symbols)
    predicted = mean(dequantise, dequantise.op("Mul", symbols, first))
    dequantise.rename(dequantise.op("Add", symbols, dequantise.op("Mul", predicted, second)), "y_hat")

    synthesis = GraphBuilder(weights)
    y_hat = synthesis.op("Mul", "y_hat", synthesis.pick("step"))
    y_hat = synthesis.conv(y_hat, "gather", pads=[1, 1, 1, 1], group=m)
    planes = synthesis.op("DepthToSpace", synthesis.conv(y_hat, "inverse"), blocksize=STRIDE, mode="DCR")
    _finish_picture(synthesis, planes)

    return write_folder(
        folder,
        weights,
        {
            "analysis.onnx": (analysis, ["picture", "quality"], ["y", "z"]),
            "quantise.onnx": (quantise, ["y", "z_hat", "quality", "dead_zone"], ["symbols", "rows"]),
            "scales.0.onnx": (scales_0, ["z_hat", "quality"], ["rows"]),
            "scales.1.onnx": (scales_1, ["z_hat", "symbols", "quality"], ["rows"]),
            "dequantise.onnx": (dequantise, ["symbols"], ["y_hat"]),
            "synthesis.onnx": (synthesis, ["y_hat", "quality"], ["picture"]),
        },
        _manifest(name, channels=3, m=m, hyper=True, steps=2, quantiser_steps=steps),
    )


def write_grey_profile(folder: Path, name: str = "toy-grey") -> Path:
    """The same transform for grey pictures; the rows depend on the channel and the quality alone."""
    m, qualities = 16, 4
    steps = 32.0 / 2.0 ** np.arange(qualities)
    basis = cosine_basis(STRIDE, 4).reshape(m, -1)
    weights = Weights()
    weights.add("transform", basis[:, :, None, None].astype(np.float16))
    weights.add("inverse", np.ascontiguousarray(basis.T)[:, :, None, None].astype(np.float16))
    weights.add("step", steps.astype(np.float32).reshape(qualities, 1, 1, 1))
    base = np.clip(3 * np.arange(qualities)[:, None] + 8 - np.arange(m)[None] // 2, 0, ROWS - 1)
    weights.add("base", base.reshape(qualities, m, 1, 1).astype(np.uint8))
    radius, frequencies = make_tables(0.14 * 1.45 ** np.arange(ROWS))
    weights.add("tables.y.radius", radius)
    weights.add("tables.y.frequencies", frequencies)
    weights.add("context.steps", np.zeros((m, 2, 2), np.uint8))

    def rows(graph: GraphBuilder, reference: str) -> str:
        return graph.cast(graph.op("Expand", graph.pick("base"), graph.op("Shape", reference)), TensorProto.UINT8)

    analysis = GraphBuilder(weights)
    planes = analysis.op("Sub", analysis.cast("picture", TensorProto.FLOAT), analysis.number(128))
    y = analysis.conv(analysis.op("SpaceToDepth", planes, blocksize=STRIDE), "transform")
    analysis.rename(analysis.op("Div", y, analysis.pick("step")), "y")

    quantise = GraphBuilder(weights)
    wide = quantise.op("Mul", "dead_zone", quantise.number(DEAD_ZONE_UNIT))
    size = quantise.op("Sub", quantise.op("Abs", "y"), wide)
    size = quantise.op("Floor", quantise.op("Add", size, quantise.number(0.5)))
    size = quantise.op("Clip", size, quantise.number(0), quantise.number(32767))
    coded = quantise.cast(quantise.op("GreaterOrEqual", quantise.pick("base"), quantise.number(1)), TensorProto.FLOAT)
    symbols = quantise.op("Mul", quantise.op("Mul", quantise.op("Sign", "y"), size), coded)
    quantise.rename(quantise.cast(symbols, TensorProto.INT32), "symbols")
    quantise.rename(rows(quantise, "y"), "rows")

    scales = GraphBuilder(weights)
    scales.rename(rows(scales, "symbols"), "rows")

    dequantise = GraphBuilder(weights)
    dequantise.rename(dequantise.cast("symbols", TensorProto.FLOAT), "y_hat")

    synthesis = GraphBuilder(weights)
    y_hat = synthesis.conv(synthesis.op("Mul", "y_hat", synthesis.pick("step")), "inverse")
    _finish_picture(synthesis, synthesis.op("DepthToSpace", y_hat, blocksize=STRIDE, mode="DCR"))

    return write_folder(
        folder,
        weights,
        {
            "analysis.onnx": (analysis, ["picture", "quality"], ["y"]),
            "quantise.onnx": (quantise, ["y", "quality", "dead_zone"], ["symbols", "rows"]),
            "scales.0.onnx": (scales, ["symbols", "quality"], ["rows"]),
            "dequantise.onnx": (dequantise, ["symbols"], ["y_hat"]),
            "synthesis.onnx": (synthesis, ["y_hat", "quality"], ["picture"]),
        },
        _manifest(name, channels=1, m=m, hyper=False, steps=1, quantiser_steps=steps),
    )


def _finish_picture(graph: GraphBuilder, planes: str) -> None:
    shifted = graph.op("Round", graph.op("Add", planes, graph.number(128)))
    graph.rename(
        graph.cast(graph.op("Clip", shifted, graph.number(0), graph.number(255)), TensorProto.UINT8), "picture"
    )


def _manifest(
    name: str, *, channels: int, m: int, hyper: bool, steps: int, quantiser_steps: NDArray[np.floating[Any]]
) -> dict[str, Any]:
    return {
        "schema": 1,
        "name": name,
        "version": "1",
        "licence": "Apache-2.0",
        "input_channels": channels,
        "latent_channels": m,
        "latent_stride": STRIDE,
        "hyper_channels": HYPER if hyper else 0,
        "hyper_stride": 4 * STRIDE if hyper else STRIDE,
        "hyper_limit": HYPER_LIMIT if hyper else 0,
        "qualities": len(quantiser_steps),
        "lambdas": [float(value) for value in 8.66 / quantiser_steps**2],
        "context_steps": steps,
        "dead_zone": 0.5,
        "analysis_halo": HALO,
        "synthesis_halo": HALO,
        "training": {"made_by": "tests/toy_profile.py"},
    }
