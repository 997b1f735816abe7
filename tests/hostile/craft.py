"""Files that break rules on purpose: a header, a table and chunks with right checksums around whatever is given."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from zlib import crc32

SIGNATURE = b"\x89NRW\r\n\x1a\n"
PROFILE = bytes.fromhex("0d149ec5")  # of tests/golden/profile, whose qualities are 0 to 7
PROFILE_3 = bytes.fromhex("9d639634")  # of tests/golden/v3/profile, which makes version 3; its qualities are the same

Chunk = tuple[int, bytes]

SIDE, LATENTS, ALPHA, ICC, EXIF, XMP = 1, 2, 3, 64, 65, 66
L, LA, RGB, RGBA = range(4)


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def header(
    chunks: Sequence[tuple[int, int]],
    *,
    version: int = 1,
    mode: int = RGB,
    width: int | bytes = 1,
    height: int | bytes = 1,
    quality: int = 0,
    profile: bytes = PROFILE,
    count: int | bytes | None = None,
) -> bytes:
    """A header with its checksum; `chunks` are (type, length), and numbers given as bytes are written as they are."""
    data = SIGNATURE + bytes((version, mode))
    count = len(chunks) if count is None else count
    data += _number(width) + _number(height) + bytes((quality,)) + profile + _number(count)
    data += b"".join(varint(kind) + varint(length) for kind, length in chunks)
    return data + u32(crc32(data))


def body(kind: int, content: bytes) -> bytes:
    """A chunk's content and its checksum."""
    return content + u32(crc32(bytes((kind,)) + content))


def file(chunks: Sequence[Chunk], **fields: int | bytes) -> bytes:
    """A whole file."""
    head = header([(kind, len(content)) for kind, content in chunks], **fields)  # type: ignore[arg-type]
    return head + b"".join(body(kind % 256, content) for kind, content in chunks)


def words(count: int, seed: int) -> bytes:
    """So many 32-bit words of noise, the same on every machine; the last one is not zero."""
    noise = hashlib.shake_128(f"narrows {seed}".encode()).digest(4 * count)
    return noise[:-1] + b"\x01" if count else b""


def ans(items: Sequence[tuple[int, Sequence[int]]]) -> bytes:
    """The stream of (index, table) in reading order, as FORMAT.md says in section 6."""
    state, out = 0, []
    for index, table in reversed(items):
        n = table[index]
        if state >> 40 >= n:
            out.append(state & 0xFFFFFFFF)
            state >>= 32
        state = ((state // n) << 24) + sum(table[:index]) + state % n
    while state:
        out.append(state & 0xFFFFFFFF)
        state >>= 32
    return struct.pack(f"<{len(out)}I", *out)


def tiff(entries: Sequence[tuple[int, int, int, bytes]], following: int = 0) -> bytes:
    """An EXIF block of one directory: (tag, type, count, four bytes of value or offset)."""
    rows = b"".join(struct.pack("<HHI", tag, kind, count) + value for tag, kind, count, value in entries)
    return b"II*\0" + u32(8) + struct.pack("<H", len(entries)) + rows + u32(following)


def u32(value: int) -> bytes:
    return value.to_bytes(4, "little")


def _number(value: int | bytes) -> bytes:
    return value if isinstance(value, bytes) else varint(value)
