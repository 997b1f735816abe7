"""A second decoder of narrows files, written from docs/FORMAT.md with numpy and the standard library alone.

    python reference_decoder.py FILE PROFILE_FOLDER -o OUT.png|OUT.npy [--dump-symbols OUT.npz]

It is slow, keeps everything in memory and reads like the specification: the comments name its rules. All that decides
how bits are read is evaluated in int64, so it also proves that a profile's integer path (P7) is what it claims to be.
It shares no code with the narrows package; tests compare the two.
"""

from __future__ import annotations

import argparse
import bisect
import hashlib
import json
import math
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

SIGNATURE = b"\x89NRW\r\n\x1a\n"
TOTAL = 2**24
SKIP_BOUND = 2**24 - 2**17
SIDE, LATENTS, ALPHA, ICC, EXIF, XMP = 1, 2, 3, 64, 65, 66
GREY_MODES, ALPHA_MODES = (0, 1), (1, 3)


class InvalidError(Exception):
    """The file or the profile breaks a rule of docs/FORMAT.md."""


def require(condition: bool, rule: str, what: str) -> None:
    if not condition:
        raise InvalidError(f"{what} (rule {rule})")


# ---------------------------------------------------------------------------------------------------------------------
# Sections 3 and 4: the file


class File:
    """The header's fields and the chunks as (type, content), after every check that needs no profile."""

    def __init__(self, data: bytes) -> None:
        self._data, self._position = data, 0
        require(self._take(8) == SIGNATURE, "H1", "not a narrows file")
        self.version = self._take(1)[0]
        require(self.version in (1, 2, 3), "H2", f"unknown format version {self.version}")
        self.mode = self._take(1)[0]
        self.width = self._varint()
        self.height = self._varint()
        self.quality = self._take(1)[0]
        self.profile = self._take(4)
        count = self._varint()
        require(count <= 2048, "H8", f"{count} chunks")
        table = [(self._varint(), self._varint()) for _ in range(count)]
        checksum = struct.pack("<I", zlib.crc32(data[: self._position]))
        require(self._take(4) == checksum, "H9", "wrong checksum of the header")
        require(self.mode <= 3, "H4", f"unknown mode {self.mode}")
        require(1 <= self.width <= 65535 and 1 <= self.height <= 65535, "H5", "a side outside of 1..65535")
        due = 1 if self.width <= 4096 else 2
        require(self.version in (due, 3), "H12", f"version {self.version} of so wide a picture")
        self.strip_rows = 1024 // 2 ** sum(self.width > bound for bound in (4096, 8192, 16384))
        self._check_order([kind for kind, _ in table])
        self.chunks = []
        for kind, length in table:
            require(length > 0 or kind not in (ICC, EXIF, XMP), "C4", "empty metadata")
            content = self._take(length)
            checksum = struct.pack("<I", zlib.crc32(bytes([kind]) + content))
            require(self._take(4) == checksum, "C1", f"wrong checksum of a chunk of type {kind}")
            self.chunks.append((kind, content))
        require(self._position == len(data), "H11", "bytes after the last chunk")

    def all(self, wanted: int) -> list[bytes]:
        return [content for kind, content in self.chunks if kind == wanted]

    def _check_order(self, types: list[int]) -> None:
        require(all(kind < 128 for kind in types), "C2", "a type of 128 or more")
        unknown = sorted({kind for kind in types if kind not in (SIDE, LATENTS, ALPHA, ICC, EXIF, XMP)})
        require(all(kind >= 64 for kind in unknown), "C2", f"unknown critical chunks among {unknown}")
        expected = [kind for kind in (ICC, EXIF, XMP) if kind in types]
        expected += [ALPHA] if self.mode in ALPHA_MODES else []
        strip = [SIDE, LATENTS] if SIDE in types and self.version < 3 else [LATENTS]  # C7
        expected += strip * math.ceil(self.height / self.strip_rows)
        require(types == expected + unknown, "C3", f"chunks {types} where {expected + unknown} are due")

    def _take(self, size: int) -> bytes:
        require(self._position + size <= len(self._data), "H11", "the file is cut short")
        self._position += size
        return self._data[self._position - size : self._position]

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 35, 7):
            (byte,) = self._take(1)
            value |= (byte & 127) << shift
            if byte < 128:
                require((byte > 0 or shift == 0) and value < 2**32, "H3", "a malformed number")
                return value
        raise InvalidError("a malformed number (rule H3)")


# ---------------------------------------------------------------------------------------------------------------------
# Section 5: the profile


class Profile:
    """A profile folder: manifest, tensors of weights.safetensors by name, graphs by file name."""

    def __init__(self, folder: Path) -> None:
        manifest = (folder / "manifest.json").read_bytes()
        self.digest = hashlib.sha256(manifest).digest()
        self.manifest: dict[str, Any] = json.loads(manifest)
        canonical = json.dumps(self.manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        require(canonical.encode() == manifest, "P1", "the manifest is not canonical JSON")
        require(self.manifest["schema"] in (1, 2), "P3", f"unknown schema {self.manifest['schema']}")
        require(self.manifest["schema"] == 1 or self.manifest["hyper_channels"] > 0, "P3", "schema 2, no hyper-latent")
        files = {name: (folder / name).read_bytes() for name in self.manifest["files"]}
        for name, content in files.items():
            require(hashlib.sha256(content).hexdigest() == self.manifest["files"][name], "P2", f"{name} is damaged")
        self.weights = files["weights.safetensors"]
        self.tensors = read_safetensors(self.weights)
        self.graphs = {name: content for name, content in files.items() if name.endswith(".onnx")}
        self.latent_tables = self._tables("tables.y")
        self.side_tables = self._tables("tables.z") if self.manifest["schema"] == 2 else []
        require(not any(table.skipped for table in self.side_tables), "P8", "a row of the hyper-latent is skipped")

    def _tables(self, name: str) -> list[Table]:
        radii = self.tensors[f"{name}.radius"]
        ends = np.cumsum(2 * radii.astype(np.int64) + 2)
        tables = np.split(self.tensors[f"{name}.frequencies"], ends[:-1])
        return [Table(table, -int(radius)) for table, radius in zip(tables, radii, strict=True)]

    def graph(self, name: str, *, integer: bool = False) -> Graph:
        return Graph(self.graphs[name], self.weights, integer=integer)


def read_safetensors(data: bytes) -> dict[str, Array]:
    """All tensors of a safetensors file: u64 length of a JSON header, that header, then the tensors' bytes."""
    types = {"U8": "<u1", "I8": "<i1", "I32": "<i4", "U32": "<u4", "I64": "<i8", "F16": "<f2", "F32": "<f4"}
    (size,) = struct.unpack_from("<Q", data)
    entries = json.loads(data[8 : 8 + size])
    entries.pop("__metadata__", None)
    tensors = {}
    for name, entry in entries.items():
        start, stop = (8 + size + offset for offset in entry["data_offsets"])
        tensors[name] = np.frombuffer(data[start:stop], types[entry["dtype"]]).reshape(entry["shape"])
    return tensors


# ---------------------------------------------------------------------------------------------------------------------
# Section 6: entropy coding


class Table:
    """A frequency table; index i stands for the symbol i + first (E1, E2)."""

    def __init__(self, frequencies: Array, first: int) -> None:
        self.frequencies = [int(n) for n in frequencies]
        require(sum(self.frequencies) == TOTAL and min(self.frequencies) >= 1, "P8", "a table is not a distribution")
        self.starts = [0]
        for n in self.frequencies[:-1]:
            self.starts.append(self.starts[-1] + n)
        self.first = first

    @property
    def skipped(self) -> bool:  # E9
        return self.frequencies[-self.first] >= SKIP_BOUND


class Stream:
    """The ANS coder's reading half, in Python's integers."""

    def __init__(self, data: bytes, version: int) -> None:
        if version == 3:
            require(not data.endswith(b"\0"), "E5", "a stream that ends in a zero byte")
            data += bytes(-len(data) % 4)  # E4
        require(len(data) % 4 == 0, "E4", "a stream of broken words")
        self.words = [word for (word,) in struct.iter_unpack("<I", data)]
        require(not self.words or self.words[-1] != 0, "E5", "a stream that ends in a zero word")
        self.state = 0
        while self.words and self.state < 2**32:  # E6
            self.state = self.state << 32 | self.words.pop()

    def read(self, table: Table) -> int:
        """One symbol: E7. The escape's symbol is R + 1."""
        quantile = self.state % TOTAL
        index = bisect.bisect_right(table.starts, quantile) - 1
        self._advance(table.frequencies[index], quantile - table.starts[index])
        return index + table.first

    def read_escaped(self) -> int:
        """The value after an escape: E10."""
        quantile = self.state % TOTAL
        self._advance(256, quantile % 256)
        return quantile // 256 - 32768

    def _advance(self, frequency: int, rest: int) -> None:
        self.state = (self.state >> 24) * frequency + rest
        if self.state < 2**32 and self.words:
            self.state = self.state << 32 | self.words.pop()

    def finish(self) -> None:
        require(self.state == 0 and not self.words, "E11", "a stream does not end with its last symbol")


def read_side(data: bytes, profile: Profile, quality: int, height: int, width: int) -> Array:
    """z_hat (hz, height, width) of one strip in versions 1 and 2: E12."""
    stream = Stream(data, 1)
    tables = profile.tensors["tables.z.frequencies"][profile.tensors["tables.z.class"][quality]]
    limit = profile.manifest["hyper_limit"]
    z_hat = [[stream.read(table) for _ in range(height * width)] for table in (Table(t, -limit) for t in tables)]
    stream.finish()
    return np.array(z_hat, np.int64).reshape(len(tables), height, width)


def read_joint_side(stream: Stream, profile: Profile, quality: int, height: int, width: int) -> Array:
    """z_hat (hz, height, width) of one strip in version 3, from the beginning of its one stream: E13."""
    limit, centre = profile.manifest["hyper_limit"], profile.tensors["tables.z.centre"][quality][:, None, None]
    values = np.zeros((len(centre), height, width), np.int32)
    for k, now in enumerate(positions(profile.tensors["side.steps"], profile.manifest["side_steps"], values.shape)):
        side = profile.graph(f"side.{k}.onnx", integer=True)
        found = side.run({"values": values[None], "quality": np.array([quality], np.int64)})
        rows, shift = found["rows"], found["shift"]
        require(rows.shape == shift.shape == (1, *values.shape), "P6", f"side gives {rows.shape} and {shift.shape}")
        require(int(np.abs(shift).max()) <= 32767, "P7", "a shift outside of -32767..32767")
        values[now] = read_step(stream, rows[0][now].tolist(), profile.side_tables) + shift[0][now]
        z_hat = values + centre
        require(int(np.abs(z_hat[now]).max(initial=0)) <= limit, "E13", f"a hyper-latent outside of -{limit}..{limit}")
    return np.asarray(z_hat)


def positions(step_of: Array, steps: int, shape: tuple[int, ...]) -> Iterator[Array]:
    """For each context or side step, which positions (c, y, x) of a strip belong to it."""
    y, x = np.arange(shape[1])[:, None] % 2, np.arange(shape[2]) % 2
    for k in range(steps):
        yield step_of[:, y, x] == k


def read_step(stream: Stream, rows: list[int], tables: list[Table]) -> list[int]:
    """The symbols of one context or side step, in the order of `rows`: E8 to E10."""
    symbols = [0] * len(rows)
    require(max(rows, default=0) < len(tables), "P6", "a row without a table")
    for row, table in enumerate(tables):
        if table.skipped:
            continue
        radius = -table.first
        places = [place for place, one in enumerate(rows) if one == row]
        for place in places:
            symbols[place] = stream.read(table)
        for place in places:
            if symbols[place] == radius + 1:
                symbols[place] = stream.read_escaped()
                require(radius < abs(symbols[place]) <= 32767, "E10", "an escaped value that belongs into its table")
    return symbols


# ---------------------------------------------------------------------------------------------------------------------
# Sections 7 and 8: from a file to a picture


def decode(data: bytes, profile_folder: Path) -> tuple[Array, list[Array], list[Array]]:
    """Pixels uint8 (height, width, samples), and of every strip the symbols (m, h, w) and z_hat (hz, h, w)."""
    file, profile = File(data), Profile(profile_folder)
    manifest = profile.manifest
    require(file.quality < manifest["qualities"], "H6", f"quality index {file.quality}")
    require(profile.digest[:4] == file.profile, "H7", "the file was made with another profile")
    schema = manifest["schema"]
    require((file.version == 3) == (schema == 2), "H12", f"version {file.version} and a profile of schema {schema}")
    has_side = manifest["hyper_channels"] > 0 and schema == 1
    require(bool(file.all(SIDE)) == has_side, "C7", "side chunks do not fit the profile")
    channels, s, t = manifest["input_channels"], manifest["latent_stride"], manifest["hyper_stride"]
    require(channels == 3 or file.mode in GREY_MODES, "D6", "a colour picture and a grey profile")

    require(file.strip_rows % t == 0, "D7", f"strips of {file.strip_rows} rows and a hyper-latent stride of {t}")
    padded_height, padded_width = (math.ceil(side / t) * t for side in (file.height, file.width))
    quality = np.array([file.quality], np.int64)
    symbols, z_hats, y_hats = [], [], []
    sides: list[bytes | None] = [*file.all(SIDE)] or [None] * len(file.all(LATENTS))
    for k, (side, latents) in enumerate(zip(sides, file.all(LATENTS), strict=True)):
        height = min(file.strip_rows, padded_height - k * file.strip_rows)
        stream = Stream(latents, file.version)
        known = {"quality": quality}
        if manifest["hyper_channels"] > 0:  # D1
            place = (profile, file.quality, height // t, padded_width // t)
            z_hat = read_joint_side(stream, *place) if side is None else read_side(side, *place)
            z_hats.append(z_hat.astype(np.int32))
            known["z_hat"] = z_hat[None].astype(np.int32)
        strip = read_latents(stream, profile, known, (manifest["latent_channels"], height // s, padded_width // s))
        symbols.append(strip)
        dequantise = profile.graph("dequantise.onnx")  # D3
        y_hats.append(dequantise.run(known | {"symbols": strip[None]})["y_hat"])
    y_hat = np.concatenate(y_hats, axis=2)
    planes = profile.graph("synthesis.onnx").run({"y_hat": y_hat, "quality": quality})["picture"]  # D4
    shape = (1, channels, padded_height, padded_width)
    require(planes.dtype == np.uint8 and planes.shape == shape, "P6", f"synthesis gives {planes.dtype} {planes.shape}")
    pixels = planes[0].transpose(1, 2, 0)[: file.height, : file.width]  # D5
    if file.mode in GREY_MODES and channels == 3:  # D6
        pixels = ((2 * pixels.astype(np.int64).sum(axis=2, keepdims=True) + 3) // 6).astype(np.uint8)
    for alpha in file.all(ALPHA):
        pixels = np.concatenate([pixels, read_alpha(alpha, file.height, file.width)[:, :, None]], axis=2)
    return pixels, symbols, z_hats


def read_latents(stream: Stream, profile: Profile, known: dict[str, Array], shape: tuple[int, int, int]) -> Array:
    """The symbols (m, h, w) int32 of one strip: D2. `known` holds quality and, if there is one, z_hat."""
    symbols = np.zeros(shape, np.int32)
    for k, now in enumerate(positions(profile.tensors["context.steps"], profile.manifest["context_steps"], shape)):
        scales = profile.graph(f"scales.{k}.onnx", integer=True)
        rows = scales.run(known | {"symbols": symbols[None]})["rows"]
        require(rows.shape == (1, *shape), "P6", f"scales returns the shape {rows.shape}")
        symbols[now] = read_step(stream, rows[0][now].tolist(), profile.latent_tables)
    stream.finish()
    return symbols


def read_alpha(data: bytes, height: int, width: int) -> Array:
    """The alpha channel (height, width) uint8: A1 to A3."""
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(data, height * (width + 1) + 1)
    except zlib.error as error:
        raise InvalidError(f"alpha: {error} (rule A1)") from error
    require(len(raw) == height * (width + 1), "A2", "alpha has another size than the picture")
    require(inflater.eof and not inflater.unused_data, "A1", "alpha does not end with its chunk")
    above = [0] * width
    rows = []
    for start in range(0, len(raw), width + 1):
        kind, row = raw[start], list(raw[start + 1 : start + 1 + width])
        require(kind <= 4, "A3", f"unknown filter {kind}")
        for x in range(width):
            left, up, corner = (row[x - 1], above[x], above[x - 1]) if x else (0, above[x], 0)
            row[x] = (row[x] + (0, left, up, (left + up) // 2, paeth(left, up, corner))[kind]) % 256
        rows.append(row)
        above = row
    return np.array(rows, np.uint8)


def paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    return min((left, up, corner), key=lambda value: abs(guess - value))  # the first of equals, as PNG wants


# ---------------------------------------------------------------------------------------------------------------------
# Graphs: a protobuf reader (field numbers from onnx.proto) and an interpreter of the allowed operators


def varint(data: bytes, position: int) -> tuple[int, int]:
    """The integer at this position and the position after it."""
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, position


def fields(data: bytes) -> dict[int, list[Any]]:
    """The fields of a protobuf message by number: integers, or bytes for the other wire types."""
    result: dict[int, list[Any]] = {}
    position = 0
    while position < len(data):
        key, position = varint(data, position)
        kind = key & 7
        require(kind in (0, 1, 2, 5), "P4", "not a protobuf message")
        value: int | bytes
        if kind == 0:
            value, position = varint(data, position)
        else:
            size, position = varint(data, position) if kind == 2 else ({1: 8, 5: 4}[kind], position)
            require(position + size <= len(data), "P4", "a protobuf message is cut short")
            value = data[position : position + size]
            position += size
        result.setdefault(key >> 3, []).append(value)
    return result


def integers(values: list[Any]) -> list[int]:
    """A repeated signed integer field, packed or not."""
    result = []
    for value in values:
        if isinstance(value, int):
            result.append(value)
            continue
        position = 0
        while position < len(value):
            one, position = varint(value, position)
            result.append(one)
    return [one - 2**64 if one >= 2**63 else one for one in result]


TYPES = {1: "<f4", 2: "<u1", 3: "<i1", 6: "<i4", 7: "<i8", 9: "?", 10: "<f2", 11: "<f8", 12: "<u4"}
FLOATS = (1, 10, 11)


def read_tensor(data: bytes, weights: bytes) -> Array:
    """A TensorProto, its bytes inside or in weights.safetensors."""
    tensor = fields(data)
    kind = tensor[2][-1]
    dtype, shape = np.dtype(TYPES[kind]), integers(tensor.get(1, []))
    if tensor.get(14, [0])[-1] == 1:  # P5
        place = {entry[1][-1].decode(): entry[2][-1].decode() for entry in map(fields, tensor[13])}
        require(place["location"] == "weights.safetensors", "P5", f"external data in {place['location']}")
        raw = weights[int(place["offset"]) : int(place["offset"]) + int(place["length"])]
    elif 9 in tensor:
        raw = tensor[9][-1]
    elif 4 in tensor:  # float_data
        raw = b"".join(tensor[4])
    else:  # int32_data or int64_data; float16 is there as its bits
        values = integers(tensor.get(5, []) + tensor.get(7, []))
        raw = np.array(values, np.int64).astype("<u2" if kind == 10 else dtype).tobytes()
    return np.frombuffer(raw, dtype).reshape(shape)


def read_attribute(attribute: dict[int, list[Any]], weights: bytes) -> Any:
    """The value of an AttributeProto by its type; graphs and other types have no place in a profile."""
    kind = attribute[20][-1]
    require(kind in (1, 2, 3, 4, 6, 7), "P4", f"an attribute of type {kind}")
    if kind == 1:
        return struct.unpack("<f", attribute.get(2, [bytes(4)])[-1])[0]
    if kind == 2:
        return integers(attribute.get(3, [0]))[-1]
    if kind == 3:
        return attribute.get(4, [b""])[-1].decode()
    if kind == 4:
        return read_tensor(attribute[5][-1], weights)
    return np.frombuffer(b"".join(attribute.get(7, [])), "<f4") if kind == 6 else integers(attribute.get(8, []))


class Node:
    """One operation: operator, names of inputs and outputs, attributes by name."""

    def __init__(self, data: bytes, weights: bytes) -> None:
        node = fields(data)
        self.operator = node[4][-1].decode()
        self.inputs = [name.decode() for name in node.get(1, [])]
        self.outputs = [name.decode() for name in node.get(2, [])]
        require(node.get(7, [b""])[-1] == b"", "P4", "an operator of another domain")
        self.attributes: dict[str, Any] = {}
        for attribute in map(fields, node.get(5, [])):
            self.attributes[attribute[1][-1].decode()] = read_attribute(attribute, weights)


class Graph:
    """A graph that runs in float32, or, if `integer`, in int64 with the checks of P7."""

    def __init__(self, data: bytes, weights: bytes, *, integer: bool = False) -> None:
        graph = fields(fields(data)[7][-1])
        self.integer = integer
        self.nodes = [Node(node, weights) for node in graph.get(1, [])]
        self.constants = {fields(t)[8][-1].decode(): read_tensor(t, weights) for t in graph.get(5, [])}
        self.input_names = [fields(value)[1][-1].decode() for value in graph.get(11, [])]
        self.output_names = [fields(value)[1][-1].decode() for value in graph.get(12, [])]

    def run(self, values: dict[str, Array]) -> dict[str, Array]:
        """The outputs by name; of `values` only the graph's inputs are used."""
        known: dict[str, Array] = {name: values[name] for name in self.input_names if name not in self.constants}
        known |= self.constants
        floats = {name for name, value in known.items() if value.dtype.kind == "f"}
        if self.integer:
            known = {name: exact(value) if value.dtype.kind != "b" else value for name, value in known.items()}
        last_use = {name: i for i, node in enumerate(self.nodes) for name in node.inputs}
        for i, node in enumerate(self.nodes):
            inputs = [known[name] if name else None for name in node.inputs]
            if self.integer:
                result = self._run_integer(node, inputs, floats)
            else:
                operator = OPERATORS.get(node.operator)
                require(operator is not None, "P4", f"the operator {node.operator} is not known here")
                result = operator(inputs, node.attributes)  # type: ignore[misc]
            known[node.outputs[0]] = result
            for name in set(node.inputs) - set(self.output_names):
                if name and last_use[name] == i:
                    del known[name]
        return {name: known[name] for name in self.output_names}

    def _run_integer(self, node: Node, inputs: list[Any], floats: set[str]) -> Array:
        """One operation of the integer path; `floats` collects the names that carry integers in floats."""
        operator, attributes = node.operator, node.attributes
        require(operator in OPERATORS.keys() - FLOAT_OPERATORS, "P7", f"{operator} has no place in the integer path")
        if operator == "Cast":
            is_float = attributes["to"] in FLOATS
        elif operator in ("Constant", "ConstantOfShape"):
            value = constant(attributes) if operator == "Constant" else attributes.get("value", np.zeros(1, np.float32))
            is_float = value.dtype.kind == "f"
        else:
            decisive = node.inputs[1 if operator == "Where" else 0]
            is_float = operator not in ("Shape", "Equal", "Less", "GreaterOrEqual") and decisive in floats
        if is_float:
            floats.add(node.outputs[0])
        if operator == "Div" and is_float:
            readers = {other.operator for other in self.nodes if node.outputs[0] in other.inputs}
            floored = readers == {"Floor"} and node.outputs[0] not in self.output_names
            require(floored, "P7", f"Div is read by {readers}")
            divisor = inputs[1]
            require(bool(np.all((divisor > 0) & (divisor & (divisor - 1) == 0))), "P7", "Div by no power of two")
            return np.asarray(inputs[0] // divisor)  # floors at once
        if operator in ("Floor", "Round"):
            return np.asarray(inputs[0])
        if operator == "Cast":
            result = cast_exactly(inputs[0], attributes["to"])
        else:
            result = OPERATORS[operator](inputs, attributes)
            if operator in ("Constant", "ConstantOfShape") and result.dtype.kind != "b":
                result = exact(result)
        if is_float:
            require(result.size == 0 or int(np.abs(result).max()) < TOTAL, "P7", f"{operator} reaches 2^24")
        return result


def exact(value: Array) -> Array:
    """As int64, if all values are integers."""
    result = value.astype(np.int64)
    require(bool(np.all(result == value)), "P7", "a constant of the integer path is no integer")
    return result


def cast_exactly(value: Array, kind: int) -> Array:
    """A Cast of the integer path: nothing may be lost."""
    if TYPES[kind] == "?":
        return np.asarray(value != 0)
    if kind in FLOATS:
        return value.astype(np.int64)
    result = value.astype(TYPES[kind])
    require(bool(np.all(result == value)), "P7", f"a Cast to {TYPES[kind]} loses something")
    return result if kind == 2 else result.astype(np.int64)


FLOAT_OPERATORS = frozenset(("Exp", "LeakyRelu", "Log", "Resize", "Sigmoid", "Softplus", "Tanh"))

Inputs = list[Any]
Attributes = dict[str, Any]


def constant(attributes: Attributes) -> Array:
    """The value of a Constant."""
    ((name, value),) = attributes.items()
    types = {"value_int": np.int64, "value_ints": np.int64, "value_float": np.float32, "value_floats": np.float32}
    return np.asarray(value, types.get(name))


def divide(inputs: Inputs, _: Attributes) -> Array:
    a, b = inputs
    if a.dtype.kind == "f":
        return np.asarray(a / b)
    return np.asarray(np.abs(a) // np.abs(b) * np.sign(a) * np.sign(b))  # integers: toward zero


def clip(inputs: Inputs, _: Attributes) -> Array:
    x, low, high = (*inputs, None, None)[:3]
    x = x if low is None else np.maximum(x, low)
    return np.asarray(x if high is None else np.minimum(x, high))


def reshape(inputs: Inputs, attributes: Attributes) -> Array:
    x, shape = inputs[0], [int(n) for n in inputs[1]]
    if not attributes.get("allowzero", 0):
        shape = [x.shape[i] if n == 0 else n for i, n in enumerate(shape)]
    return np.asarray(x.reshape(shape))


def slice_(inputs: Inputs, _: Attributes) -> Array:
    x, starts, stops, axes, steps = (*inputs, None, None)[:5]
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    index = [slice(None)] * x.ndim
    for start, stop, axis, step in zip(starts, stops, axes, steps, strict=True):
        stop = None if step < 0 and stop < -x.shape[axis] else int(stop)
        index[axis] = slice(int(start), stop, int(step))
    return np.asarray(x[tuple(index)])


def unsqueeze(inputs: Inputs, _: Attributes) -> Array:
    return np.expand_dims(inputs[0], tuple(int(axis) for axis in inputs[1]))


def shape_of(inputs: Inputs, attributes: Attributes) -> Array:
    shape = inputs[0].shape[attributes.get("start", 0) : attributes.get("end")]
    return np.array(shape, np.int64)


def flatten(inputs: Inputs, attributes: Attributes) -> Array:
    x, axis = inputs[0], attributes.get("axis", 1)
    axis += x.ndim if axis < 0 else 0
    return np.asarray(x.reshape(math.prod(x.shape[:axis]), -1))


def depth_to_space(inputs: Inputs, attributes: Attributes) -> Array:
    x, b = inputs[0], attributes["blocksize"]
    n, c, h, w = x.shape
    if attributes.get("mode", "DCR") == "DCR":
        x = x.reshape(n, b, b, c // b**2, h, w).transpose(0, 3, 4, 1, 5, 2)
    else:
        x = x.reshape(n, c // b**2, b, b, h, w).transpose(0, 1, 4, 2, 5, 3)
    return np.asarray(x.reshape(n, c // b**2, h * b, w * b))


def space_to_depth(inputs: Inputs, attributes: Attributes) -> Array:
    x, b = inputs[0], attributes["blocksize"]
    n, c, h, w = x.shape
    return np.asarray(x.reshape(n, c, h // b, b, w // b, b).transpose(0, 3, 5, 1, 2, 4).reshape(n, -1, h // b, w // b))


def gemm(inputs: Inputs, attributes: Attributes) -> Array:
    a, b, c = (*inputs, None)[:3]
    a = a.T if attributes.get("transA", 0) else a
    b = b.T if attributes.get("transB", 0) else b
    alpha, beta = (np.array(attributes.get(name, 1.0)).astype(a.dtype) for name in ("alpha", "beta"))
    whole = alpha == attributes.get("alpha", 1) and beta == attributes.get("beta", 1)
    require(a.dtype.kind == "f" or bool(whole), "P7", "Gemm with factors that are no integers")
    return np.asarray(alpha * (a @ b) if c is None else alpha * (a @ b) + beta * c)


def modulo(inputs: Inputs, attributes: Attributes) -> Array:
    return np.asarray(np.fmod(*inputs) if attributes.get("fmod", 0) else np.mod(*inputs))


def pad(inputs: Inputs, attributes: Attributes) -> Array:
    x, pads, value, axes = (*inputs, None, None)[:4]
    axes = range(x.ndim) if axes is None else [int(axis) for axis in axes]
    require(min(pads, default=0) >= 0, "P4", "negative padding is not known here")
    widths = [(0, 0)] * x.ndim
    for i, axis in enumerate(axes):
        widths[axis] = (int(pads[i]), int(pads[i + len(axes)]))
    mode = attributes.get("mode", "constant")
    if mode == "constant":
        return np.pad(x, widths, constant_values=0 if value is None else value.reshape(()))
    return np.pad(x, widths, mode)


def windows(attributes: Attributes, size: tuple[int, int]) -> tuple[list[int], list[int], list[int]]:
    """(strides, pads, dilations) of a convolution or pooling with this kernel size."""
    padding = attributes.get("auto_pad", "NOTSET")
    require(padding in ("NOTSET", "VALID") and len(size) == 2, "P4", f"auto_pad {padding} or a kernel of {size}")
    strides, dilations = attributes.get("strides", [1, 1]), attributes.get("dilations", [1, 1])
    return strides, attributes.get("pads", [0, 0, 0, 0]), dilations


def patches(x: Array, size: tuple[int, int], attributes: Attributes, fill: Any) -> Iterator[tuple[int, int, Array]]:
    """For every place (i, j) of the kernel, the samples (N, C, h, w) that meet it."""
    (sh, sw), (top, left, bottom, right), (dh, dw) = windows(attributes, size)
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    h = (x.shape[2] - dh * (size[0] - 1) - 1) // sh + 1
    w = (x.shape[3] - dw * (size[1] - 1) - 1) // sw + 1
    for i in range(size[0]):
        for j in range(size[1]):
            yield i, j, x[:, :, i * dh : i * dh + (h - 1) * sh + 1 : sh, j * dw : j * dw + (w - 1) * sw + 1 : sw]


def conv(inputs: Inputs, attributes: Attributes) -> Array:
    x, weight, bias = (*inputs, None)[:3]
    n, groups = x.shape[0], attributes.get("group", 1)
    result: Array | None = None
    for i, j, patch in patches(x, weight.shape[2:], attributes, 0):
        h, w = patch.shape[2:]
        kernel = weight[:, :, i, j].reshape(groups, weight.shape[0] // groups, weight.shape[1])
        part = kernel @ patch.reshape(n, groups, weight.shape[1], h * w)
        result = part if result is None else result + part
    assert result is not None
    result = result.reshape(n, weight.shape[0], h, w)
    return result if bias is None else result + bias[:, None, None]


def conv_transpose(inputs: Inputs, attributes: Attributes) -> Array:
    x, weight, bias = (*inputs, None)[:3]
    n, c, h, w = x.shape
    groups, (kh, kw) = attributes.get("group", 1), weight.shape[2:]
    (sh, sw), (top, left, bottom, right), (dh, dw) = windows(attributes, (kh, kw))
    require("output_shape" not in attributes, "P4", "output_shape is not known here")
    more_h, more_w = attributes.get("output_padding", [0, 0])
    channels = weight.shape[1] * groups
    height, width = (h - 1) * sh + dh * (kh - 1) + 1 + more_h, (w - 1) * sw + dw * (kw - 1) + 1 + more_w
    result = np.zeros((n, channels, height, width), x.dtype)
    flat = x.reshape(n, groups, c // groups, h * w)
    for i in range(kh):
        for j in range(kw):
            kernel = weight[:, :, i, j].reshape(groups, c // groups, weight.shape[1]).transpose(0, 2, 1)
            part = (kernel @ flat).reshape(n, channels, h, w)
            result[:, :, i * dh : i * dh + (h - 1) * sh + 1 : sh, j * dw : j * dw + (w - 1) * sw + 1 : sw] += part
    result = result[:, :, top : height - bottom, left : width - right]
    return result if bias is None else result + bias[:, None, None]


def max_pool(inputs: Inputs, attributes: Attributes) -> Array:
    (x,) = inputs
    require(not attributes.get("ceil_mode", 0), "P4", "ceil_mode is not known here")
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    size = tuple(attributes["kernel_shape"])
    return np.asarray(np.maximum.reduce([patch for _, _, patch in patches(x, size, attributes, lowest)]))


def resize(inputs: Inputs, attributes: Attributes) -> Array:
    """Resize by repeating or linearly, axis after axis."""
    x, _, scales, sizes = (*inputs, None, None, None)[:4]
    place = attributes.get("coordinate_transformation_mode", "half_pixel")
    mode, nearest = attributes.get("mode", "nearest"), attributes.get("nearest_mode", "round_prefer_floor")
    known = place in ("half_pixel", "asymmetric") and mode in ("nearest", "linear") and "axes" not in attributes
    require(known and nearest in ("round_prefer_floor", "floor"), "P4", f"Resize {attributes} is not known here")
    if scales is None or not scales.size:
        scales = [size / old for size, old in zip(sizes, x.shape, strict=True)]
    for axis, scale in enumerate(scales):
        if scale == 1:
            continue
        old = x.shape[axis]
        at = np.arange(math.floor(old * scale))
        where = (at + 0.5) / scale - 0.5 if place == "half_pixel" else at / scale
        if mode == "nearest":
            index = np.ceil(where - 0.5) if nearest == "round_prefer_floor" else np.floor(where)
            x = np.take(x, np.clip(index, 0, old - 1).astype(np.int64), axis)
        else:
            where = np.clip(where, 0, old - 1)
            low = np.floor(where).astype(np.int64)
            part = (where - low).astype(x.dtype).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
            x = np.take(x, low, axis) * (1 - part) + np.take(x, np.minimum(low + 1, old - 1), axis) * part
    return np.asarray(x)


def softplus(inputs: Inputs, _: Attributes) -> Array:
    return np.asarray(np.logaddexp(inputs[0], np.zeros_like(inputs[0])))


def sigmoid(inputs: Inputs, _: Attributes) -> Array:
    return np.asarray(np.exp(-np.logaddexp(-inputs[0], np.zeros_like(inputs[0]))))


OPERATORS: dict[str, Callable[[Inputs, Attributes], Array]] = {
    "Abs": lambda x, a: np.abs(x[0]),
    "Add": lambda x, a: x[0] + x[1],
    "Cast": lambda x, a: x[0].astype(TYPES[a["to"]]),
    "Clip": clip,
    "Concat": lambda x, a: np.concatenate(x, a["axis"]),
    "Constant": lambda x, a: constant(a),
    "ConstantOfShape": lambda x, a: np.full(x[0], *a.get("value", np.zeros(1, np.float32))),
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "DepthToSpace": depth_to_space,
    "Div": divide,
    "Equal": lambda x, a: x[0] == x[1],
    "Exp": lambda x, a: np.exp(x[0]),
    "Expand": lambda x, a: x[0] * np.ones([int(n) for n in x[1]], x[0].dtype),
    "Flatten": flatten,
    "Floor": lambda x, a: np.floor(x[0]),
    "Gather": lambda x, a: np.take(x[0], x[1], a.get("axis", 0)),
    "Gemm": gemm,
    "GreaterOrEqual": lambda x, a: x[0] >= x[1],
    "Identity": lambda x, a: x[0],
    "LeakyRelu": lambda x, a: np.where(x[0] < 0, x[0] * np.float32(a.get("alpha", 0.01)), x[0]),
    "Less": lambda x, a: x[0] < x[1],
    "Log": lambda x, a: np.log(x[0]),
    "MatMul": lambda x, a: x[0] @ x[1],
    "Max": lambda x, a: np.maximum.reduce(np.broadcast_arrays(*x)),
    "MaxPool": max_pool,
    "Min": lambda x, a: np.minimum.reduce(np.broadcast_arrays(*x)),
    "Mod": modulo,
    "Mul": lambda x, a: x[0] * x[1],
    "Pad": pad,
    "Range": lambda x, a: np.arange(*x, dtype=x[0].dtype),
    "Relu": lambda x, a: np.maximum(x[0], 0),
    "Reshape": reshape,
    "Resize": resize,
    "Round": lambda x, a: np.rint(x[0]),
    "Shape": shape_of,
    "Sigmoid": sigmoid,
    "Sign": lambda x, a: np.sign(x[0]),
    "Slice": slice_,
    "Softplus": softplus,
    "SpaceToDepth": space_to_depth,
    "Sub": lambda x, a: x[0] - x[1],
    "Tanh": lambda x, a: np.tanh(x[0]),
    "Tile": lambda x, a: np.tile(x[0], [int(n) for n in x[1]]),
    "Transpose": lambda x, a: np.transpose(x[0], a.get("perm")),
    "Unsqueeze": unsqueeze,
    "Where": lambda x, a: np.asarray(np.where(x[0], x[1], x[2])),
}


# ---------------------------------------------------------------------------------------------------------------------
# Output


def write_png(pixels: Array) -> bytes:
    """A PNG of (height, width, 1 to 4) uint8: grey, grey and alpha, RGB or RGBA."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width, samples = pixels.shape
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[samples]
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def main() -> int:
    parser = argparse.ArgumentParser(description="Decode a narrows file slowly and by the book.")
    parser.add_argument("file", type=Path)
    parser.add_argument("profile", type=Path, help="folder of the profile that the file was made with")
    parser.add_argument("-o", "--output", type=Path, required=True, help="a .png or .npy file")
    parser.add_argument("--dump-symbols", type=Path, metavar="OUT.npz", help="write the integers of every strip")
    options = parser.parse_args()
    if options.output.suffix not in (".png", ".npy"):
        parser.error("the output must end in .png or .npy")
    try:
        pixels, symbols, z_hats = decode(options.file.read_bytes(), options.profile)
    except (InvalidError, OSError) as error:
        print(f"{options.file}: {error}", file=sys.stderr)
        return 1
    if options.output.suffix == ".png":
        options.output.write_bytes(write_png(pixels))
    else:
        np.save(options.output, pixels)
    if options.dump_symbols:
        named: dict[str, Any] = {f"symbols.{k}": strip for k, strip in enumerate(symbols)}
        named |= {f"z_hat.{k}": strip for k, strip in enumerate(z_hats)}
        np.savez(options.dump_symbols, **named)
    return 0


if __name__ == "__main__":
    sys.exit(main())
