"""Profiles changed at random, with digests that agree: a list of patches to a folder that is a good one.

patch     the name of a file, where in it (WHOLE: all of it), and the bytes that stand there then
packed    how a fuzzer sees a list of patches: one string of bytes
"""

from __future__ import annotations

import hashlib
import json
import random
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from craft import varint
from fuzz_files import Change, noise

from narrows.onnx_check import OPERATORS

Patch = tuple[str, int, bytes]

WHOLE = 2**32 - 1
NAMES = (
    *("manifest.json", "weights.safetensors", "analysis.onnx", "quantise.onnx", "scales.0.onnx", "scales.1.onnx"),
    *("dequantise.onnx", "synthesis.onnx", "side.0.onnx", "side.1.onnx", "side.2.onnx"),
)
_NUMBERS = (
    0,
    1,
    2,
    3,
    7,
    8,
    15,
    16,
    20,
    64,
    127,
    128,
    255,
    256,
    2**16,
    2**31 - 1,
    2**31,
    2**32,
    2**62,
    2**63,
    2**64 - 1,
)
_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1,
    2,
    3,
    16,
    4096,
    2**31,
    2**70,
    0.5,
    1e308,
    "",
    "a",
    "\ud800",
    [],
    [1],
    {},
)
_TEXTS = [
    *sorted(name.encode() for name in OPERATORS),
    *(name.encode() for name in "y_hat z_hat symbols quality t0 t1 c0 c1".split()),
]
_DEPTH = 6


def packed(patches: list[Patch]) -> bytes:
    return b"".join(
        struct.pack("<BII", NAMES.index(name), offset, len(content)) + content for name, offset, content in patches
    )


def unpacked(data: bytes) -> list[Patch]:
    """The patches of any bytes; what is cut off at the end is as it is."""
    patches, position = [], 0
    while position + 9 <= len(data):
        number, offset, length = struct.unpack_from("<BII", data, position)
        position += 9
        patches.append((NAMES[number % len(NAMES)], offset, data[position : position + length]))
        position += length
    return patches


def seeds(folder: Path) -> list[bytes]:
    """Every file of a folder as a patch of its own; of the weights the header alone."""
    found = []
    for name in NAMES:
        if (folder / name).exists():
            data = (folder / name).read_bytes()
            if name == "weights.safetensors":
                found.append(packed([(name, 0, data[: 8 + int.from_bytes(data[:8], "little")])]))
            else:
                found.append(packed([(name, WHOLE, data)]))
    return found


def patched(base: Path, folder: Path, data: bytes) -> None:
    """Write the profile that `base` is after the patches; the digests of all files agree if the manifest is JSON."""
    contents = {path.name: path.read_bytes() for path in base.iterdir()}
    for name, offset, content in unpacked(data):
        if name not in contents:
            continue
        old = contents[name]
        contents[name] = content if offset == WHOLE else old[:offset] + content + old[offset + len(content) :]
    with suppress(ValueError, RecursionError, LookupError, TypeError):
        manifest = json.loads(contents["manifest.json"])
        files = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items() if name in manifest["files"]}
        text = json.dumps(manifest | {"files": files}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        contents["manifest.json"] = text.encode()
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def mutated(data: bytes, draw: random.Random, change: Change | None = None) -> bytes:
    """Other patches: JSON whose values are others, graphs whose messages are others, or bytes."""
    change = change or noise(draw)
    patches = unpacked(data)
    if not patches:
        return change(data)
    at = draw.randrange(len(patches))
    name, offset, content = patches[at]
    for _ in range(draw.choice((1, 1, 2, 3))):
        if draw.random() < 0.1:
            content = change(content)
        elif name == "manifest.json":
            content = _json_changed(content, draw, change)
        elif name == "weights.safetensors":
            content = content[:8] + _json_changed(content[8:], draw, change)
            if draw.random() < 0.7:
                content = max(len(content) - 8, 0).to_bytes(8, "little") + content[8:]
        else:
            content = _message_changed(content, draw, change, _DEPTH)
    patches[at] = (name, offset, content)
    return packed(patches)


def _json_changed(text: bytes, draw: random.Random, change: Change) -> bytes:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return change(text)
    place = content
    while isinstance(place, dict | list) and place:
        key = draw.choice(sorted(place)) if isinstance(place, dict) else draw.randrange(len(place))
        inner = place[key]
        if not (isinstance(inner, dict | list) and inner) or draw.random() < 0.2:
            kind = draw.randrange(8)
            if kind == 0:
                del place[key]
            elif kind == 1 and isinstance(place, dict):
                place[draw.choice(("", "extra", *map(str, place)))] = inner
            elif kind == 2 and isinstance(inner, int | float):
                place[key] = draw.choice((-inner, inner + 1, inner - 1, inner * 2, inner * 2**32))
            else:
                place[key] = draw.choice(_VALUES)
            break
        place = inner
    out = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=draw.random() < 0.1)
    return out.encode(errors="surrogatepass")


def _message_changed(data: bytes, draw: random.Random, change: Change, depth: int) -> bytes:
    """A protobuf message with one of its fields changed, or one of a message inside."""
    fields = _fields(data)
    if fields is None or not fields:
        return draw.choice((change(data), draw.choice(_TEXTS)))
    at = draw.randrange(len(fields))
    number, kind, value = fields[at]
    deeper = kind == 2 and depth and _fields(_bytes(value))
    if deeper and draw.random() < 0.8:
        fields[at] = (number, kind, _message_changed(_bytes(value), draw, change, depth - 1))
        return _assembled(fields)
    actions: list[Callable[[], object]] = [
        lambda: fields.pop(at),
        lambda: fields.insert(draw.randrange(len(fields) + 1), fields[at]),
        lambda: fields.append(fields.pop(at)),
        lambda: fields.__setitem__(at, (draw.randrange(1, 32), kind, value)),
        lambda: fields.insert(at, (number, draw.choice((0, 1, 2, 5)), draw.choice(_NUMBERS))),
    ]
    values: tuple[int | bytes, ...] = _NUMBERS if isinstance(value, int) else (*_TEXTS, change(_bytes(value)))
    actions += 5 * [lambda: fields.__setitem__(at, (number, kind, draw.choice(values)))]
    draw.choice(actions)()
    return _assembled(fields)


def _fields(data: bytes) -> list[tuple[int, int, int | bytes]] | None:
    """The fields of a message, (number, wire type, value); None if the bytes are none."""
    found: list[tuple[int, int, int | bytes]] = []
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        number, kind = key >> 3, key & 7
        if not number or number > 100 or kind not in (0, 1, 2, 5) or position > len(data):
            return None
        value: int | bytes
        if kind == 0:
            value, position = _varint(data, position)
        else:
            length, position = _varint(data, position) if kind == 2 else ({1: 8, 5: 4}[kind], position)
            value, position = data[position : position + length], position + length
        if position > len(data):
            return None
        found.append((number, kind, value))
    return found


def _assembled(fields: list[tuple[int, int, int | bytes]]) -> bytes:
    out = bytearray()
    for number, kind, value in fields:
        out += varint(number << 3 | kind)
        if kind == 0:
            out += varint(value if isinstance(value, int) else len(value))
            continue
        content = _bytes(value)
        if kind == 2:
            out += varint(len(content))
        else:
            content = content[: {1: 8, 5: 4}[kind]].ljust({1: 8, 5: 4}[kind], b"\0")
        out += content
    return bytes(out)


def _bytes(value: int | bytes) -> bytes:
    return value if isinstance(value, bytes) else varint(value)


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data) and shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, position
    return value, len(data) + 1
