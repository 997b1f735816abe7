"""Which graphs a profile may hold: read from the protobuf bytes, before any runtime sees them.

A profile is data from a stranger, and a graph is a program. ONNX as such allows functions, loops, custom operators and
external data anywhere on the disk; a profile's graph has none of them. The reader below knows the few messages of
onnx.proto3 that are needed and refuses every field that it does not know, so that nothing can hide in one.

Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from narrows.errors import ProfileError

OPSET = 20
WEIGHTS = "weights.safetensors"
MAX_INLINE = 2**20  # bytes of all constants inside one graph: weights belong into the weights file

# docs/FORMAT.md lists the same names
OPERATORS = frozenset(
    """
    Abs Add Cast Clip Concat Constant ConstantOfShape Conv ConvTranspose DepthToSpace Div Equal Exp Expand
    Flatten Floor Gather Gemm GreaterOrEqual Identity LeakyRelu Less Log MatMul Max MaxPool Min Mod Mul Pad
    Range Relu Reshape Resize Round Shape Sigmoid Sign Slice Softplus SpaceToDepth Sub Tanh Tile Transpose
    Unsqueeze Where
    """.split()
)

# TensorProto.DataType: float, uint8, int8, int32, int64, bool, half, uint32
_ITEM_BYTES = {1: 4, 2: 1, 3: 1, 6: 4, 7: 8, 9: 1, 10: 2, 12: 4}
_TYPE_NAMES = {1: "float32", 2: "uint8", 6: "int32", 7: "int64"}

# the fields read or harmless, per message: name of the message -> numbers
_KNOWN = {
    "ModelProto": {1, 2, 3, 4, 5, 6, 7, 8, 14},
    "GraphProto": {1, 2, 5, 10, 11, 12, 13, 16},
    "NodeProto": {1, 2, 3, 4, 5, 6, 7, 9},
    "AttributeProto": {1, 2, 3, 4, 5, 7, 8, 9, 13, 20},
    "TensorProto": {1, 2, 4, 5, 7, 8, 9, 12, 13, 14, 16},
}


@dataclass(frozen=True, kw_only=True)
class Graph:
    """Names and element types of a graph's inputs and outputs, such as {"quality": "int64"}."""

    inputs: dict[str, str]
    outputs: dict[str, str]


def check_graph(data: bytes, *, weights_start: int, weights_end: int) -> Graph:
    """Refuse a model that is more than a plain graph of the allowed operators; else say what goes in and out.

    External data must lie in the weights file between the two offsets (its data section). Raises ProfileError.
    """
    model = _fields(data, "ModelProto")
    opsets = [_fields(_bytes(value), None) for value in model.get(8, [])]
    if [(_text(one, 1), _number(one, 2)) for one in opsets] != [("", OPSET)]:
        raise ProfileError(f"must import the standard operators of opset {OPSET} and nothing else")
    if len(model.get(7, [])) != 1:
        raise ProfileError("must hold exactly one graph")
    graph = _fields(_bytes(model[7][0]), "GraphProto")
    tensors = [_bytes(value) for value in graph.get(5, [])]
    for value in graph.get(1, []):
        tensors += _check_node(_bytes(value))
    inline = sum(_check_tensor(tensor, weights_start, weights_end) for tensor in tensors)
    if inline > MAX_INLINE:
        raise ProfileError(f"holds {inline} bytes of constants, at most {MAX_INLINE} may lie outside of {WEIGHTS}")
    return Graph(inputs=_values(graph.get(11, [])), outputs=_values(graph.get(12, [])))


def _check_node(data: bytes) -> list[bytes]:
    """Check one node's operator and attributes; its constant tensors, for the caller to check."""
    node = _fields(data, "NodeProto")
    domain, operator = _text(node, 7), _text(node, 4)
    if domain != "" or operator not in OPERATORS:
        raise ProfileError(f"uses the operator {domain + '.' if domain else ''}{operator}, which profiles may not")
    # A subgraph stands in a field that _KNOWN lacks, so reading the attributes refuses loops and branches.
    attributes = [_fields(_bytes(value), "AttributeProto") for value in node.get(5, [])]
    return [_bytes(tensor) for attribute in attributes for tensor in attribute.get(5, [])]


def _check_tensor(data: bytes, weights_start: int, weights_end: int) -> int:
    """Check where a constant's bytes lie and that they are as many as its shape says; the number of inline bytes."""
    tensor = _fields(data, "TensorProto")
    name = _text(tensor, 8)
    item = _ITEM_BYTES.get(_number(tensor, 2))
    if item is None:
        raise ProfileError(f"constant {name!r} has the element type {_number(tensor, 2)}, which profiles may not use")
    size = item * math.prod(_numbers(tensor.get(1, [])))
    if _number(tensor, 14) != 1:  # inside the graph
        if 13 in tensor:
            raise ProfileError(f"constant {name!r} names external data but says that it has none")
        if size > MAX_INLINE:
            raise ProfileError(f"constant {name!r} claims {size} bytes inside the graph, the limit is {MAX_INLINE}")
        return size
    entries = [_fields(_bytes(value), None) for value in tensor.get(13, [])]
    place = {_text(entry, 1): _text(entry, 2) for entry in entries}
    if len(place) != len(entries) or set(place) != {"location", "offset", "length"} or place["location"] != WEIGHTS:
        raise ProfileError(f"constant {name!r} must lie in {WEIGHTS} at a stated offset and length, says {place}")
    if not all(place[key].isascii() and place[key].isdigit() and len(place[key]) < 16 for key in ("offset", "length")):
        raise ProfileError(f"constant {name!r} has no proper offset and length: {place}")
    start, length = int(place["offset"]), int(place["length"])
    if length != size or start < weights_start or start + length > weights_end:
        raise ProfileError(
            f"constant {name!r} needs {size} bytes and takes {start}..{start + length} of {WEIGHTS}, "
            f"whose tensors lie in {weights_start}..{weights_end}"
        )
    return 0


def _values(values: list[int | bytes]) -> dict[str, str]:
    """Names and element types of ValueInfoProto messages; only tensors are allowed."""
    result: dict[str, str] = {}
    for value in values:
        info = _fields(_bytes(value), None)
        name = _text(info, 1)
        try:
            tensor = _fields(_bytes(_fields(_bytes(info[2][0]), None)[1][0]), None)
        except KeyError as error:
            raise ProfileError(f"input or output {name!r} is not a tensor") from error
        if name in result:
            raise ProfileError(f"input or output {name!r} is declared twice")
        result[name] = _TYPE_NAMES.get(_number(tensor, 1), f"type {_number(tensor, 1)}")
    return result


def _fields(data: bytes, message: str | None) -> dict[int, list[int | bytes]]:
    """All fields of one message by number, in order; a field that `message` may not have is refused."""
    fields: dict[int, list[int | bytes]] = {}
    for number, value in _wire(data):
        if message is not None and number not in _KNOWN[message]:
            raise ProfileError(
                f"has a {message} with the field {number}, which profiles may not (functions, subgraphs)"
            )
        fields.setdefault(number, []).append(value)
    return fields


def _wire(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of one protobuf message: (number, integer or bytes)."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, position = _varint(data, position)
            yield number, value
            continue
        if kind == 2:
            length, position = _varint(data, position)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ProfileError(f"is not a protobuf message: wire type {kind}")
        if length > len(data) - position:
            raise ProfileError("is not a protobuf message: a field is longer than the message")
        yield number, data[position : position + length]
        position += length


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(data) or shift > 63:
            raise ProfileError("is not a protobuf message: an integer has no end")
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ProfileError("is not an ONNX model: an integer stands where a message is due")
    return value


def _last(fields: dict[int, list[int | bytes]], number: int) -> int | bytes | None:
    values = fields.get(number)
    return values[-1] if values else None


def _number(fields: dict[int, list[int | bytes]], number: int) -> int:
    value = _last(fields, number)
    if isinstance(value, bytes):
        raise ProfileError("is not an ONNX model: bytes stand where an integer is due")
    return value or 0


def _text(fields: dict[int, list[int | bytes]], number: int) -> str:
    value = _last(fields, number)
    try:
        return b"".decode() if value is None else _bytes(value).decode()
    except UnicodeDecodeError as error:
        raise ProfileError("is not an ONNX model: a name is not UTF-8") from error


def _numbers(values: list[int | bytes]) -> list[int]:
    """A repeated integer field, packed or not."""
    result: list[int] = []
    for value in values:
        if isinstance(value, int):
            result.append(value)
            continue
        position = 0
        while position < len(value):
            number, position = _varint(value, position)
            result.append(number)
    return result
