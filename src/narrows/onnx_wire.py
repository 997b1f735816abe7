"""The protobuf messages of an ONNX model, read so that no other reader can read them otherwise.

Protobuf lets a file say things twice: the last of two values holds, two messages in one field are merged, a field of an
unexpected wire type is passed over, an integer of too many bits is cut. Whoever checks a graph by other habits than the
runtime that loads it checks another graph. Here each field has one wire type, one place and one spelling, and every
field that is not in the table below is refused, so nothing can hide in one.

Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from narrows.errors import ProfileError

Fields: TypeAlias = dict[int, list[int | bytes]]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LENGTHS = {_FIXED64: 8, _FIXED32: 4}

# How a field may stand in a message: its wire types, and whether it may stand there more than once.
_INTEGER = ({_VARINT}, False)
_FLOAT = ({_FIXED32}, False)
_ONE = ({_BYTES}, False)  # a message, a text, bytes
_MANY = ({_BYTES}, True)
_INTEGERS = ({_VARINT, _BYTES}, True)  # packed or not
_FLOATS = ({_FIXED32, _BYTES}, True)

_MESSAGES: dict[str, dict[int, tuple[set[int], bool]]] = {
    "ModelProto": {
        **dict.fromkeys((1, 5), _INTEGER),  # versions
        **dict.fromkeys((2, 3, 4, 6, 7), _ONE),  # who made it, a text, the graph
        **dict.fromkeys((8, 14), _MANY),  # operator sets, notes
    },
    "OperatorSetIdProto": {1: _ONE, 2: _INTEGER},
    "GraphProto": {
        **dict.fromkeys((2, 10), _ONE),
        **dict.fromkeys((1, 5, 11, 12, 13, 16), _MANY),  # nodes, constants, inputs, outputs, shapes, notes
    },
    "NodeProto": {**dict.fromkeys((3, 4, 6, 7), _ONE), **dict.fromkeys((1, 2, 5, 9), _MANY)},
    "AttributeProto": {
        **dict.fromkeys((1, 4, 5, 13), _ONE),
        **dict.fromkeys((3, 20), _INTEGER),
        2: _FLOAT,
        7: _FLOATS,
        8: _INTEGERS,
        9: _MANY,
    },
    "TensorProto": {
        **dict.fromkeys((8, 9, 12), _ONE),
        **dict.fromkeys((2, 14), _INTEGER),
        **dict.fromkeys((1, 5, 7), _INTEGERS),
        4: _FLOATS,
        **dict.fromkeys((13, 16), _MANY),
    },
    "StringStringEntryProto": {1: _ONE, 2: _ONE},
    "ValueInfoProto": {1: _ONE, 2: _ONE, 3: _ONE, 4: _MANY},
    "TypeProto": {1: _ONE, 6: _ONE},
    "TypeProto.Tensor": {1: _INTEGER, 2: _ONE},
}


def fields(data: int | bytes, message: str) -> Fields:
    """All fields of one message by number, in order; ProfileError for one that it may not have, or not like this."""
    known = _MESSAGES[message]
    found: Fields = {}
    for number, kind, value in _wire(as_bytes(data)):
        if number not in known:
            raise ProfileError(
                f"has a {message} with the field {number}, which profiles may not "
                "(functions, subgraphs, what is not a tensor)"
            )
        kinds, repeated = known[number]
        if kind not in kinds:
            raise ProfileError(f"is not an ONNX model: field {number} of a {message} has the wire type {kind}")
        if number in found and not repeated:
            raise ProfileError(f"is not an ONNX model: field {number} of a {message} stands there twice")
        found.setdefault(number, []).append(value)
    return found


def number(found: Fields, at: int) -> int:
    """The integer in a field, 0 if it is not there."""
    value = found.get(at, [0])[0]
    if isinstance(value, bytes):
        raise ProfileError("is not an ONNX model: bytes stand where an integer is due")
    return value


def text(found: Fields, at: int) -> str:
    """The text in a field, empty if it is not there."""
    return as_text(found.get(at, [b""])[0])


def as_text(value: int | bytes) -> str:
    try:
        return as_bytes(value).decode()
    except UnicodeDecodeError as error:
        raise ProfileError("is not an ONNX model: a name is not UTF-8") from error


def as_bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ProfileError("is not an ONNX model: an integer stands where a message is due")
    return value


def integers(found: Fields, at: int) -> Iterator[int]:
    """The integers of a repeated field, packed or not, with their sign (64 bits)."""
    for value in found.get(at, []):
        if isinstance(value, int):
            yield signed(value)
            continue
        position = 0
        while position < len(value):
            integer, position = _varint(value, position)
            yield signed(integer)


def signed(value: int) -> int:
    """An unsigned integer of 64 bits as the signed one of the same bits."""
    return value - 2**64 if value >= 2**63 else value


def _wire(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """The fields of one protobuf message: (number, wire type, integer or bytes)."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        kind = key & 7
        if not 8 <= key < 2**32:
            raise ProfileError("is not a protobuf message: a field's number is out of range")
        if kind == _VARINT:
            value, position = _varint(data, position)
            yield key >> 3, kind, value
            continue
        if kind == _BYTES:
            length, position = _varint(data, position)
        elif kind in _LENGTHS:
            length = _LENGTHS[kind]
        else:
            raise ProfileError(f"is not a protobuf message: wire type {kind}")
        if length > len(data) - position:
            raise ProfileError("is not a protobuf message: a field is longer than the message")
        yield key >> 3, kind, data[position : position + length]
        position += length


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """An integer of at most 64 bits, and where it ends."""
    value = shift = 0
    while True:
        if position >= len(data) or shift > 63:
            raise ProfileError("is not a protobuf message: an integer has no end")
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            if value >= 2**64:
                raise ProfileError("is not a protobuf message: an integer has more than 64 bits")
            return value, position
        shift += 7
