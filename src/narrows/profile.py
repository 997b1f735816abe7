"""A profile folder, read and checked: the contract between whoever trains a network and the codec.

A profile is data from a stranger. Nothing of it is used before its manifest, every file's SHA-256, every graph and
every table has been checked; after that it is immutable. docs/FORMAT.md, section 5, says what each file holds.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize

from narrows.container import STRIP_ROWS
from narrows.entropy import LatentTables, SideTables
from narrows.errors import ProfileError
from narrows.inputs import read_at_most
from narrows.onnx_check import WEIGHTS, Graph, check_graph
from narrows.profiles import MANIFEST, MAX_MANIFEST, find

__all__ = ["Manifest", "Profile", "find"]

SCHEMAS = (1, 2)
MAX_GRAPH = 2**26  # bytes
MAX_WEIGHTS = 2**31  # bytes

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TENSOR_TYPES: dict[str, np.dtype[Any]] = {"U8": np.dtype("<u1"), "I32": np.dtype("<i4"), "U32": np.dtype("<u4")}


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The keys of manifest.json, in its units: strides and halos in pixels. Checked on construction (ProfileError).

    `side_steps` is a key of schema 2 alone: in how many steps the hyper-latent is coded, 0 where it has no context.
    """

    schema: int
    name: str
    version: str
    licence: str
    input_channels: int
    latent_channels: int
    latent_stride: int
    hyper_channels: int
    hyper_stride: int
    hyper_limit: int
    qualities: int
    lambdas: tuple[float, ...]
    context_steps: int
    dead_zone: float
    analysis_halo: int
    synthesis_halo: int
    files: dict[str, str]
    training: dict[str, Any]
    side_steps: int = 0

    def __post_init__(self) -> None:
        for key in ("name", "version"):
            value = getattr(self, key)
            proper = isinstance(value, str) and _NAME.fullmatch(value)
            _require(proper, f"{key} {value!r} must be 1 to 64 of a-z 0-9 . _ -")
        _require(isinstance(self.licence, str), "licence must be a text")
        _integer("input_channels", self.input_channels, 1, 3)
        _require(self.input_channels != 2, "input_channels must be 1 or 3")
        _integer("latent_channels", self.latent_channels, 1, 4096)
        _integer("latent_stride", self.latent_stride, 1, STRIP_ROWS)
        _integer("hyper_stride", self.hyper_stride, self.latent_stride, STRIP_ROWS)
        # So that strips begin on whole latents.
        _require(
            STRIP_ROWS % self.hyper_stride == 0 and self.hyper_stride % self.latent_stride == 0,
            f"the strides {self.latent_stride} and {self.hyper_stride} must divide each other and {STRIP_ROWS}",
        )
        _integer("hyper_channels", self.hyper_channels, 0, 4096)
        _integer("hyper_limit", self.hyper_limit, 0, 32767)
        if self.hyper_channels == 0:
            _require(
                self.hyper_stride == self.latent_stride and self.hyper_limit == 0,
                "without a hyper-latent hyper_stride must be latent_stride and hyper_limit 0",
            )
        else:
            _require(self.hyper_limit >= 1, "hyper_limit must be at least 1")
        if self.schema == 1:
            _require(self.side_steps == 0, "side_steps is a key of schema 2")
        else:
            _require(self.hyper_channels, "schema 2 is for profiles with a hyper-latent")
            _integer("side_steps", self.side_steps, 1, 256)
        _integer("qualities", self.qualities, 1, 256)
        _require(
            len(self.lambdas) == self.qualities
            and all(_is_number(value) and value > 0 for value in self.lambdas)
            and all(low < high for low, high in zip(self.lambdas, self.lambdas[1:], strict=False)),
            f"lambdas must be {self.qualities} rising positive numbers",
        )
        _integer("context_steps", self.context_steps, 1, 256)
        _require(_is_number(self.dead_zone) and 0 <= self.dead_zone <= 64, "dead_zone must be a number from 0 to 64")
        for key, stride in (("analysis_halo", "hyper_stride"), ("synthesis_halo", "latent_stride")):
            _integer(key, getattr(self, key), 0, STRIP_ROWS)
            _require(getattr(self, key) % getattr(self, stride) == 0, f"{key} must be a multiple of {stride}")
        _require(isinstance(self.files, dict) and isinstance(self.training, dict), "files and training must be objects")
        expected = {*self.graph_inputs(), WEIGHTS}
        _require(set(self.files) == expected, f"files must name exactly {sorted(expected)}")
        _require(
            all(isinstance(value, str) and _SHA256.fullmatch(value) for value in self.files.values()),
            "files must give each file's SHA-256 as 64 hexadecimal digits in lower case",
        )

    def graph_inputs(self) -> dict[str, dict[str, str]]:
        """Of each graph: the names and element types of the inputs that the codec can feed."""
        hyper = {"z_hat": "int32"} if self.hyper_channels else {}
        symbols = {"symbols": "int32", **hyper, "quality": "int64"}
        return {
            "analysis.onnx": {"picture": "uint8", "quality": "int64"},
            "quantise.onnx": {"y": "float32", **hyper, "quality": "int64", "dead_zone": "float32"},
            **{f"scales.{step}.onnx": symbols for step in range(self.context_steps)},
            **{f"side.{step}.onnx": {"values": "int32", "quality": "int64"} for step in range(self.side_steps)},
            "dequantise.onnx": symbols,
            "synthesis.onnx": {"y_hat": "float32", "quality": "int64"},
        }

    def graph_outputs(self, name: str) -> dict[str, str]:
        """The names and element types of the outputs that a graph must have, in this order."""
        if name == "analysis.onnx":
            return {"y": "float32", "z": "float32"} if self.hyper_channels else {"y": "float32"}
        if name == "quantise.onnx":
            return {"symbols": "int32", "rows": "uint8"}
        if name == "dequantise.onnx":
            return {"y_hat": "float32"}
        if name.startswith("side."):
            return {"rows": "uint8", "shift": "int32"}
        return {"picture": "uint8"} if name == "synthesis.onnx" else {"rows": "uint8"}


@dataclass(frozen=True, kw_only=True, eq=False)
class SideContext:
    """How a profile of schema 2 codes the hyper-latent: `steps` (hz, 2, 2) as those of the latents.

    `centre` (qualities, hz) is taken off its values first.
    """

    tables: LatentTables
    steps: NDArray[np.uint8]
    centre: NDArray[np.int32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Profile:
    """A checked profile. `steps` (m, 2, 2): the context step of each channel at (row parity, column parity).

    With a hyper-latent either `side_tables` and `side_classes` say how it is coded (schema 1), or `side_context`.
    """

    folder: Path
    digest: bytes
    manifest: Manifest
    graphs: dict[str, Graph]
    latent_tables: LatentTables
    side_tables: SideTables | None
    side_classes: NDArray[np.uint8]
    side_context: SideContext | None
    steps: NDArray[np.uint8]

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Profile:
        """Read a profile folder and check all of it; ProfileError names the file and the fault. Loads no network."""
        folder = Path(folder)
        with _source(folder / MANIFEST):
            text = _read(folder / MANIFEST, MAX_MANIFEST)
            manifest = _parse_manifest(text)
        _check_listing(folder, {MANIFEST, *manifest.files})
        with _source(folder / WEIGHTS):
            weights = _read_hashed(folder, WEIGHTS, MAX_WEIGHTS, manifest)
            start = _data_start(weights)
            tables = _Tables(weights)
            steps = tables.steps("context.steps", manifest.latent_channels, manifest.context_steps)
            latent_tables = tables.rows("tables.y")
            side_tables, side_classes = _side_tables(tables, manifest)
            side_context = _side_context(tables, manifest)
        graphs = {}
        for name, inputs in manifest.graph_inputs().items():
            with _source(folder / name):
                data = _read_hashed(folder, name, MAX_GRAPH, manifest)
                graphs[name] = check_graph(data, weights_start=start, weights_end=len(weights))
                _check_signature(graphs[name], inputs, manifest.graph_outputs(name))
        return cls(
            folder=folder,
            digest=hashlib.sha256(text).digest(),
            manifest=manifest,
            graphs=graphs,
            latent_tables=latent_tables,
            side_tables=side_tables,
            side_classes=side_classes,
            side_context=side_context,
            steps=steps,
        )


class _Tables:
    """The integer tensors of weights.safetensors by name."""

    def __init__(self, weights: bytes) -> None:
        try:
            tensors: Any = deserialize(weights)  # type: ignore[no-untyped-call]
        except SafetensorError as error:
            raise ProfileError(f"is not a safetensors file: {error}") from error
        self._tensors: dict[str, dict[str, Any]] = dict(tensors)

    def take(self, name: str, kind: str, shape: tuple[int | None, ...]) -> NDArray[Any]:
        """One tensor as an array; None in `shape` stands for any length of at least 1."""
        if name not in self._tensors:
            raise ProfileError(f"lacks the tensor {name}")
        tensor = self._tensors[name]
        found = tuple(tensor["shape"])
        fits = len(found) == len(shape) and all(
            n == want or (want is None and n > 0) for n, want in zip(found, shape, strict=True)
        )
        if tensor["dtype"] != kind or not fits:
            wanted = tuple("n" if want is None else want for want in shape)
            raise ProfileError(f"tensor {name} is {tensor['dtype']} {found}, expected {kind} {wanted}")
        array: NDArray[Any] = np.frombuffer(bytes(tensor["data"]), _TENSOR_TYPES[kind]).reshape(found)
        return array  # of bytes, so read-only

    def rows(self, name: str) -> LatentTables:
        """The tables of `name`.radius and `name`.frequencies."""
        radius = self.take(f"{name}.radius", "I32", (None,))
        return LatentTables(radius, self.take(f"{name}.frequencies", "U32", (None,)), name)

    def steps(self, name: str, channels: int, count: int) -> NDArray[np.uint8]:
        """(channels, 2, 2): which of `count` steps codes a channel at (row parity, column parity)."""
        steps: NDArray[np.uint8] = self.take(name, "U8", (channels, 2, 2))
        _require(int(steps.max()) < count, f"{name} names a step over {count - 1}")
        return steps


def _side_tables(tables: _Tables, manifest: Manifest) -> tuple[SideTables | None, NDArray[np.uint8]]:
    if not manifest.hyper_channels or manifest.side_steps:
        return None, np.zeros(manifest.qualities, np.uint8)
    shape = (None, manifest.hyper_channels, 2 * manifest.hyper_limit + 1)
    frequencies = tables.take("tables.z.frequencies", "U32", shape)
    classes = tables.take("tables.z.class", "U8", (manifest.qualities,))
    _require(int(classes.max()) < len(frequencies), f"tables.z.class names a class over {len(frequencies) - 1}")
    return SideTables(frequencies), classes


def _side_context(tables: _Tables, manifest: Manifest) -> SideContext | None:
    if not manifest.side_steps:
        return None
    centre = tables.take("tables.z.centre", "I32", (manifest.qualities, manifest.hyper_channels))
    limit = manifest.hyper_limit
    _require(bool((np.abs(centre.astype(np.int64)) <= limit).all()), f"tables.z.centre leaves -{limit}..{limit}")
    rows = tables.rows("tables.z")
    _require(not rows.skipped.any(), "tables.z.frequencies has a row that is skipped")
    return SideContext(
        tables=rows,
        steps=tables.steps("side.steps", manifest.hyper_channels, manifest.side_steps),
        centre=centre.astype(np.int32),
    )


def _parse_manifest(text: bytes) -> Manifest:
    try:
        content = json.loads(text)
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        canonical_bytes = canonical.encode()
    except (ValueError, RecursionError) as error:  # one is a half of a surrogate pair, which UTF-8 cannot say
        raise ProfileError(f"is not JSON: {error}") from error
    _require(isinstance(content, dict), "is not a JSON object")
    # The schema decides what the other keys mean, so it is looked at first.
    schema = content.get("schema")
    known = schema in SCHEMAS and type(schema) is int
    _require(
        known,
        f"schema is {schema!r}, this release reads {' and '.join(map(str, SCHEMAS))}; try: pip install -U narrows",
    )
    _require(canonical_bytes == text, "is not canonical JSON (sorted keys, no spaces), so its digest would not be one")
    names = {field.name for field in fields(Manifest)} - ({"side_steps"} if schema == 1 else set())
    _require(set(content) == names, f"has the wrong keys: missing or unknown {sorted(names ^ set(content))}")
    _require(isinstance(content["lambdas"], list), "lambdas must be a list")
    return Manifest(**{**content, "lambdas": tuple(content["lambdas"])})


def _check_listing(folder: Path, expected: set[str]) -> None:
    """A profile is exactly its files; names with a leading dot belong to the system and are passed over."""
    found = {entry.name for entry in folder.iterdir() if not entry.name.startswith(".")}
    if found != expected:
        missing, extra = sorted(expected - found), sorted(found - expected)
        message = f"is not a whole profile: missing {missing}, not named in the manifest {extra}"
        raise ProfileError(message, source=str(folder))


def _read(path: Path, limit: int) -> bytes:
    try:
        # A pipe in the folder would wait for a writer for ever, a device may never end.
        _require(stat.S_ISREG(path.stat().st_mode), "is not a plain file")
        with path.open("rb") as file:
            data = read_at_most(file, limit + 1)
    except OSError as error:
        raise ProfileError(f"cannot be read: {error.strerror or error}") from error
    _require(len(data) <= limit, f"has more than {limit} bytes")
    return data


def _read_hashed(folder: Path, name: str, limit: int, manifest: Manifest) -> bytes:
    data = _read(folder / name, limit)
    found, expected = hashlib.sha256(data).hexdigest(), manifest.files[name]
    _require(found == expected, f"is damaged: its SHA-256 begins {found[:16]}, the manifest says {expected[:16]}")
    return data


def _data_start(weights: bytes) -> int:
    """Where the tensors begin in a safetensors file: after the length (u64) and the JSON header."""
    start = 8 + int.from_bytes(weights[:8], "little")
    _require(len(weights) >= 8 and start <= len(weights), "is not a safetensors file: its header is cut off")
    return start


def _check_signature(graph: Graph, inputs: dict[str, str], outputs: dict[str, str]) -> None:
    for name, kind in graph.inputs.items():
        _require(inputs.get(name) == kind, f"asks for the input {name} ({kind}), may ask for {_listed(inputs)}")
    same = list(graph.outputs.items()) == list(outputs.items())
    _require(same, f"gives {_listed(graph.outputs)}, must give {_listed(outputs)}")


def _listed(values: dict[str, str]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in values.items())


def _integer(key: str, value: object, low: int, high: int) -> None:
    proper = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    _require(proper, f"{key} is {value!r}, it must be a whole number from {low} to {high}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def _require(condition: object, message: str) -> None:
    if not condition:
        raise ProfileError(message)


@contextmanager
def _source(path: Path) -> Iterator[None]:
    """Name the file in a ProfileError that passes, unless it has a name already."""
    try:
        yield
    except ProfileError as error:
        error.source = error.source or str(path)
        raise
