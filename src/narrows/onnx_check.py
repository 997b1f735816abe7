"""Which graphs a profile may hold: read from the protobuf bytes, before any runtime sees them.

A profile is data from a stranger, and a graph is a program. ONNX as such allows functions, loops, custom operators and
external data anywhere on the disk; a profile's graph has none of them. onnx_wire.py reads the bytes, and refuses every
field that is not needed here; this file says what may stand in the others. Some of it is valid ONNX that ends the
process instead of the run: an integer division that overflows, a group of 0.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from itertools import islice

from narrows.errors import ProfileError
from narrows.onnx_wire import Fields, as_bytes, as_text, fields, integers, number, signed, text

OPSET = 20
WEIGHTS = "weights.safetensors"
MAX_INLINE = 2**20  # bytes of all constants inside one graph: weights belong into the weights file
MAX_NODES = 2048  # the runtime takes 2 seconds to read so many, and four times as long for twice as many
MAX_DIMENSIONS = 8

# docs/FORMAT.md lists the same names
OPERATORS = frozenset(
    """
    Abs Add Cast Clip Concat Constant ConstantOfShape Conv ConvTranspose DepthToSpace Div Equal Exp Expand
    Flatten Floor Gather Gemm GreaterOrEqual Identity LeakyRelu Less Log MatMul Max MaxPool Min Mod Mul Pad
    Range Relu Reshape Resize Round Shape Sigmoid Sign Slice Softplus SpaceToDepth Sub Tanh Tile Transpose
    Unsqueeze Where
    """.split()
)
_POSITIVE = frozenset(("blocksize", "dilations", "group", "kernel_shape", "strides"))  # attributes

# TensorProto.DataType
_FLOAT, _UINT8, _INT8, _INT32, _INT64, _BOOL, _HALF, _DOUBLE, _UINT32 = 1, 2, 3, 6, 7, 9, 10, 11, 12
_ITEM_BYTES = {_FLOAT: 4, _UINT8: 1, _INT8: 1, _INT32: 4, _INT64: 8, _BOOL: 1, _HALF: 2, _UINT32: 4}
_INTEGERS = frozenset((_UINT8, _INT8, _INT32, _INT64, _UINT32))
_TYPE_NAMES = {_FLOAT: "float32", _UINT8: "uint8", _INT32: "int32", _INT64: "int64"}


@dataclass(frozen=True, kw_only=True)
class Graph:
    """Names and element types of a graph's inputs and outputs, such as {"quality": "int64"}."""

    inputs: dict[str, str]
    outputs: dict[str, str]


def check_graph(data: bytes, *, weights_start: int, weights_end: int) -> Graph:
    """Refuse a model that is more than a plain graph of the allowed operators; else say what goes in and out.

    External data must lie in the weights file between the two offsets (its data section). Raises ProfileError.
    """
    model = fields(data, "ModelProto")
    opsets = [fields(value, "OperatorSetIdProto") for value in model.get(8, [])]
    if [(text(one, 1), number(one, 2)) for one in opsets] != [("", OPSET)]:
        raise ProfileError(f"must import the standard operators of opset {OPSET} and nothing else")
    if 7 not in model:
        raise ProfileError("must hold exactly one graph")
    graph = fields(model[7][0], "GraphProto")
    if len(graph.get(1, [])) > MAX_NODES:
        raise ProfileError(f"has {len(graph[1])} nodes, a profile's graph has at most {MAX_NODES}")
    nodes = [_Node(value) for value in graph.get(1, [])]
    constants = [fields(value, "TensorProto") for value in graph.get(5, [])]
    inline = [*constants, *(tensor for node in nodes for tensor in node.tensors)]
    size = sum(_check_tensor(tensor, weights_start, weights_end) for tensor in inline)
    if size > MAX_INLINE:
        raise ProfileError(f"holds {size} bytes of constants, at most {MAX_INLINE} may lie outside of {WEIGHTS}")
    inputs, outputs = _values(graph.get(11, [])), _values(graph.get(12, []))
    given = [name for node in nodes for name in node.outputs if name]
    _check_names([*inputs, *(text(tensor, 8) for tensor in constants), *given])
    _check_divisions(nodes, inputs, constants)
    return Graph(inputs=_type_names(inputs), outputs=_type_names(outputs))


class _Node:
    """One node, its operator and attributes checked."""

    def __init__(self, value: int | bytes) -> None:
        node = fields(value, "NodeProto")
        domain, self.operator = text(node, 7), text(node, 4)
        if domain != "" or self.operator not in OPERATORS:
            name = f"{domain + '.' if domain else ''}{self.operator}"
            raise ProfileError(f"uses the operator {name}, which profiles may not")
        self.inputs = [as_text(name) for name in node.get(1, [])]
        self.outputs = [as_text(name) for name in node.get(2, [])]  # an empty one stands for none
        # A subgraph stands in a field that no attribute may have, so reading them refuses loops and branches.
        self.attributes: dict[str, Fields] = {}
        for entry in node.get(5, []):
            attribute = fields(entry, "AttributeProto")
            name = text(attribute, 1)
            if name in self.attributes:
                raise ProfileError(f"gives the attribute {name!r} of a {self.operator} twice")
            if name in _POSITIVE and any(value < 1 for value in _integers_of(attribute)):
                raise ProfileError(f"gives the attribute {name!r} of a {self.operator} a value below 1")
            self.attributes[name] = attribute
        self.tensors = [
            fields(attribute[5][0], "TensorProto") for attribute in self.attributes.values() if 5 in attribute
        ]


def _integers_of(attribute: Fields) -> list[int]:
    """The integers of an attribute, whether it holds one or several."""
    return [*map(signed, (number(attribute, 3),) if 3 in attribute else ()), *integers(attribute, 8)]


def _check_tensor(tensor: Fields, weights_start: int, weights_end: int) -> int:
    """Check where a constant's bytes lie and that they are as many as its shape says; the number of inline bytes."""
    name = text(tensor, 8)
    item = _ITEM_BYTES.get(number(tensor, 2))
    if item is None:
        raise ProfileError(f"constant {name!r} has the element type {number(tensor, 2)}, which profiles may not use")
    dimensions = list(islice(integers(tensor, 1), MAX_DIMENSIONS + 1))
    if len(dimensions) > MAX_DIMENSIONS or min(dimensions, default=0) < 0:
        raise ProfileError(f"constant {name!r} must have at most {MAX_DIMENSIONS} dimensions, none of them negative")
    size = item * math.prod(dimensions)
    if number(tensor, 14) > 1:
        raise ProfileError(f"constant {name!r} lies neither in the graph nor in {WEIGHTS}")
    if number(tensor, 14) == 0:  # inside the graph
        if 13 in tensor:
            raise ProfileError(f"constant {name!r} names external data but says that it has none")
        if size > MAX_INLINE:
            raise ProfileError(f"constant {name!r} claims {size} bytes inside the graph, the limit is {MAX_INLINE}")
        return size
    entries = [fields(value, "StringStringEntryProto") for value in tensor.get(13, [])]
    place = {text(entry, 1): text(entry, 2) for entry in entries}
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


def _values(values: list[int | bytes]) -> dict[str, int]:
    """Names and element types of ValueInfoProto messages; only tensors are allowed."""
    result: dict[str, int] = {}
    for value in values:
        info = fields(value, "ValueInfoProto")
        name = text(info, 1)
        kind = fields(info[2][0], "TypeProto") if 2 in info else {}
        if 1 not in kind:
            raise ProfileError(f"input or output {name!r} is not a tensor")
        if name in result:
            raise ProfileError(f"input or output {name!r} is declared twice")
        result[name] = number(fields(kind[1][0], "TypeProto.Tensor"), 1)
    return result


def _type_names(types: dict[str, int]) -> dict[str, str]:
    return {name: _TYPE_NAMES.get(kind, f"type {kind}") for name, kind in types.items()}


def _check_names(names: list[str]) -> None:
    """Each name is given once: a constant that is an input as well may be replaced by what is fed."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ProfileError(f"gives the name {twice[0]!r} to more than one value")


def _check_divisions(nodes: list[_Node], inputs: dict[str, int], constants: list[Fields]) -> None:
    """Refuse to divide integers by anything but constants of at least 1.

    -2^63 / -1 has no result, and the processor ends the process for it. Types are followed from node to node; where one
    is not known the division is refused.
    """
    types = {**inputs, **{text(tensor, 8): number(tensor, 2) for tensor in constants}}
    known = {text(tensor, 8): tensor for tensor in constants}
    positive: dict[str, bool] = {}  # each constant is looked at once, however many divisions name it
    for node in nodes:
        if node.operator in ("Div", "Mod"):
            divisor = node.inputs[-1] if node.inputs else ""
            if divisor in known and divisor not in positive:
                positive[divisor] = _is_positive(known[divisor])
            if types.get(divisor) not in (_FLOAT, _HALF, _DOUBLE) and not positive.get(divisor):
                raise ProfileError(f"divides integers by {divisor!r}, which is no constant of at least 1 in the graph")
        if node.operator == "Constant" and len(node.tensors) == len(node.outputs) == 1:
            known[node.outputs[0]] = node.tensors[0]
        types.update((name, kind) for name, kind in zip(node.outputs, _result_types(node, types), strict=False) if name)


def _result_types(node: _Node, types: dict[str, int]) -> tuple[int, ...]:
    """Element types of a node's results by ONNX's rules; 0 where it is unknown."""
    of_inputs = [types.get(name, 0) for name in node.inputs]
    if node.operator == "Cast":
        return (number(node.attributes.get("to", {}), 3),)
    if node.operator == "Shape":
        return (_INT64,)
    if node.operator in ("Equal", "Less", "GreaterOrEqual"):
        return (_BOOL,)
    if node.operator in ("Constant", "ConstantOfShape"):
        if node.tensors:
            return (number(node.tensors[0], 2),)
        return (_FLOAT if node.operator == "ConstantOfShape" else 0,)
    if node.operator == "Where":
        return tuple(of_inputs[1:2])
    if node.operator == "MaxPool":
        return (*of_inputs[:1], _INT64)
    return tuple(of_inputs[:1])


def _is_positive(tensor: Fields) -> bool:
    """Whether a constant inside the graph holds integers of at least 1 alone, as many as its shape says."""
    kind = number(tensor, 2)
    size = _ITEM_BYTES[kind]
    if 9 in tensor:
        data = as_bytes(tensor[9][0])
        values = [int.from_bytes(data[at : at + size], "little") for at in range(0, len(data), size)]
    else:
        values = list(integers(tensor, 7 if kind == _INT64 else 5))
    whole = len(values) == math.prod(integers(tensor, 1)) and number(tensor, 14) == 0
    # The highest bit is the sign of some types, and of the others no divisor needs it.
    return kind in _INTEGERS and whole and all(1 <= value < 2 ** (8 * size - 1) for value in values)
