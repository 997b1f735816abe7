"""The five graphs of a study's profile (docs/FORMAT.md, "Graphs"): no hyper-latent, one context step, a fixed prior.

    analysis     picture -> / 255 -> [cut into cells] -> encoder -> [onto the grid] -> x gain[q]         = y
    quantise     round(y - mean[q]), 0 in channels that are not coded; rows[q] for every position
    scales.0     rows[q]
    dequantise   (symbols + mean[q]) / gain[q]                                                          = y_hat
    synthesis    y_hat -> [as a batch of cells] -> decoder -> x 255, clipped, rounded -> [joined]        = picture

The dead zone is not asked for: a study's symbols are plainly rounded, and its profile says dead_zone 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto
from torch import fx, nn

from narrows.entropy import ESCAPE_LIMIT
from narrows.errors import OptionError
from narrows.lab.graphs import Graph, WeightStore
from narrows.lab.nets.base import Geometry, StudyNetwork
from narrows.lab.study.fx_export import write_network
from narrows.lab.study.quantiser import Steps
from narrows.lab.study.settle import Precision
from narrows.lab.study.tables import StudyTables


@dataclass(frozen=True, kw_only=True, eq=False)
class StudyGraphs:
    """Everything that the graphs are made from; `network` is settled (settle.py)."""

    network: StudyNetwork
    precision: Precision
    steps: Steps
    tables: StudyTables

    @property
    def geometry(self) -> Geometry:
        return self.network.geometry

    @property
    def _grid(self) -> list[int | str]:
        """The shape of latents, symbols and rows."""
        return [1, self.geometry.latent, "rows", "columns"]

    def all(self, store: WeightStore) -> dict[str, Graph]:
        """Each graph by its file's name; their weights and tables go into `store`."""
        return {
            "analysis.onnx": self.analysis(store),
            "quantise.onnx": self.quantise(store),
            "scales.0.onnx": self.scales(store),
            "dequantise.onnx": self.dequantise(store),
            "synthesis.onnx": self.synthesis(store),
        }

    def analysis(self, store: WeightStore) -> Graph:
        g = Graph("analysis", store)
        geometry = self.geometry
        picture = g.input("picture", TensorProto.UINT8, [1, geometry.channels, "height", "width"])
        quality = g.input("quality", TensorProto.INT64, [1])
        x = g.op("Div", g.cast(picture, TensorProto.FLOAT), g.constant(255))
        grid = x
        if geometry.cell is not None:
            x, grid = _cut(g, x, geometry, geometry.cell)
        y = write_network(g, _traced(self.network.encoder), x, "encoder", self.precision)
        if geometry.cell is not None:
            y = _onto_grid(g, y, grid, geometry.latent)
        y = g.op("Mul", y, g.of_quality("steps.gain", self.steps.gain, quality))
        g.output(y, "y", TensorProto.FLOAT, self._grid)
        return g

    def quantise(self, store: WeightStore) -> Graph:
        g = Graph("quantise", store)
        y = g.input("y", TensorProto.FLOAT, self._grid)
        quality = g.input("quality", TensorProto.INT64, [1])
        level = g.op("Round", g.op("Sub", y, g.of_quality("steps.mean", self.steps.mean, quality)))
        level = g.clip(level, -ESCAPE_LIMIT, ESCAPE_LIMIT)
        level = g.op("Mul", level, g.of_quality("steps.coded", self.tables.coded.astype(np.uint8), quality))
        g.output(g.cast(level, TensorProto.INT32), "symbols", TensorProto.INT32, self._grid)
        g.output(self._rows(g, y, quality), "rows", TensorProto.UINT8, self._grid)
        return g

    def scales(self, store: WeightStore) -> Graph:
        g = Graph("scales.0", store)
        symbols = g.input("symbols", TensorProto.INT32, self._grid)
        quality = g.input("quality", TensorProto.INT64, [1])
        g.output(self._rows(g, symbols, quality), "rows", TensorProto.UINT8, self._grid)
        return g

    def dequantise(self, store: WeightStore) -> Graph:
        g = Graph("dequantise", store)
        symbols = g.input("symbols", TensorProto.INT32, self._grid)
        quality = g.input("quality", TensorProto.INT64, [1])
        value = g.op("Add", g.cast(symbols, TensorProto.FLOAT), g.of_quality("steps.mean", self.steps.mean, quality))
        y_hat = g.op("Div", value, g.of_quality("steps.gain", self.steps.gain, quality))
        g.output(y_hat, "y_hat", TensorProto.FLOAT, self._grid)
        return g

    def synthesis(self, store: WeightStore) -> Graph:
        g = Graph("synthesis", store)
        geometry = self.geometry
        y_hat = g.input("y_hat", TensorProto.FLOAT, self._grid)
        x = y_hat
        if geometry.cell is not None:
            x = g.op("Transpose", y_hat, perm=[0, 2, 3, 1])
            x = g.reshape(x, [-1, geometry.latent])
        x = write_network(g, _traced(self.network.decoder), x, "decoder", self.precision)
        x = g.op("Round", g.clip(g.op("Mul", x, g.constant(255)), 0, 255))
        if geometry.cell is not None:
            x = _joined(g, x, y_hat, geometry, geometry.cell)
        shape: list[int | str] = [1, geometry.channels, "height", "width"]
        g.output(g.cast(x, TensorProto.UINT8), "picture", TensorProto.UINT8, shape)
        return g

    def _rows(self, g: Graph, like: str, quality: str) -> str:
        """The row of every position of `like`: whole numbers from a table, so there is nothing to round."""
        row = g.of_quality("steps.rows", self.tables.rows, quality)
        return g.cast(g.op("Expand", row, g.op("Shape", like)), TensorProto.UINT8)


def _cut(g: Graph, x: str, geometry: Geometry, cell: int) -> tuple[str, str]:
    """Cells (h x w, C, cell, cell) of a picture, and its grid (1, s x s x C, h, w)."""
    stride, channels = geometry.stride, geometry.channels
    grid = g.unshuffle(x, stride)  # a position's channels are its pixels: row, column, colour
    flat = g.op("Transpose", grid, perm=[0, 2, 3, 1])
    cells = g.reshape(flat, [-1, stride, stride, channels])
    cells = g.op("Transpose", cells, perm=[0, 3, 1, 2])
    if cell < stride:
        first, last, axes = ([0, 0], [cell, cell], [2, 3])
        cells = g.op("Slice", cells, *(g.constant(np.array(edge, np.int64)) for edge in (first, last, axes)))
    return cells, grid


def _onto_grid(g: Graph, vectors: str, grid: str, channels: int) -> str:
    """Vectors (h x w, channels) as (1, channels, h, w), h and w those of `grid`."""
    one, count = (g.constant(np.array([side], np.int64)) for side in (1, channels))
    shape = g.op("Concat", one, g.op("Shape", grid, start=2, end=4), count, axis=0)
    return g.op("Transpose", g.op("Reshape", vectors, shape), perm=[0, 3, 1, 2])


def _joined(g: Graph, cells: str, grid: str, geometry: Geometry, cell: int) -> str:
    """Cells (h x w, C, cell, cell) as one picture, their last rows and columns repeated up to the stride."""
    stride, channels = geometry.stride, geometry.channels
    missing = stride - cell
    if missing:
        pads = g.constant(np.array([0, 0, 0, 0, 0, 0, missing, missing], np.int64))
        cells = g.op("Pad", cells, pads, mode="edge")
    flat = g.op("Transpose", cells, perm=[0, 2, 3, 1])
    flat = g.reshape(flat, [-1, stride * stride * channels])
    return g.shuffle(_onto_grid(g, flat, grid, stride * stride * channels), stride, channels)


def _traced(half: nn.Module) -> fx.GraphModule:
    if not isinstance(half, fx.GraphModule):
        raise OptionError("the network is not settled: narrows.lab.study.settle.settled(network)")
    return half
