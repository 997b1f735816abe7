"""A narrows file as bytes, in the order of docs/FORMAT.md, sections 3 and 4; the comments name its rules.

Standard library only. Nothing here knows what a chunk's bytes mean: entropy.py and pixels.py do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import zip_longest
from zlib import crc32

from narrows.errors import CorruptError, NotNarrowsError, OptionError, TruncatedError, UnsupportedError
from narrows.limits import Limits

SIGNATURE = b"\x89NRW\r\n\x1a\n"
VERSIONS = (1, 2, 3)
STRIP_ROWS = 1024
STRIP_PIXELS = 2**22
LEAST_STRIP_ROWS = 128
MAX_SIDE = 65535
MAX_CHUNKS = 2048
DIGEST_BYTES = 4

_CRC_BYTES = 4
_NUMBER_BYTES = 5  # of a varint, at most
_FIRST_ANCILLARY = 64
_TYPE_LIMIT = 128

MAX_HEADER = len(SIGNATURE) + 3 + DIGEST_BYTES + (3 + 2 * MAX_CHUNKS) * _NUMBER_BYTES + _CRC_BYTES
"""No header has more bytes: the signature, version, mode, quality, profile, three numbers, the table, the checksum."""


class Mode(IntEnum):
    """What the samples of a picture mean, 8 bits each."""

    L = 0
    LA = 1
    RGB = 2
    RGBA = 3

    @property
    def has_alpha(self) -> bool:
        return self in (Mode.LA, Mode.RGBA)

    @property
    def channels(self) -> int:
        """Colour channels, without alpha: 1 or 3."""
        return 1 if self in (Mode.L, Mode.LA) else 3


class ChunkType(IntEnum):
    """Numbers given once and never used again. Below 64 a reader must know the type, from 64 it may skip it."""

    SIDE = 1
    LATENTS = 2
    ALPHA = 3
    QUALITY_MAP = 4  # reserved
    FRAME = 5  # reserved
    THUMBNAIL = 6  # reserved
    ICC = 64
    EXIF = 65
    XMP = 66


_METADATA = (ChunkType.ICC, ChunkType.EXIF, ChunkType.XMP)
_KNOWN = (*_METADATA, ChunkType.ALPHA, ChunkType.SIDE, ChunkType.LATENTS)


@dataclass(frozen=True, kw_only=True)
class Strip:
    """The coded streams of one strip of the picture; `side` is None if the profile has no hyper-latent.

    In version 3 `latents` holds the hyper-latent as well.
    """

    side: bytes | None
    latents: bytes


@dataclass(frozen=True, kw_only=True)
class ChunkInfo:
    """One entry of the chunk table: type 0..127, length in bytes without the checksum."""

    type: int
    length: int

    @property
    def name(self) -> str:
        """The type in lower case, or "unknown 70"."""
        return ChunkType(self.type).name.lower() if self.type in list(ChunkType) else f"unknown {self.type}"


@dataclass(frozen=True, kw_only=True)
class Header:
    """All that the header says.

    `quality` is the profile's quality index, `profile` the first 4 bytes of its digest, `size_bytes` the length of the
    header itself: the first chunk begins there. The metadata lie in front of all other chunks.
    """

    version: int
    mode: Mode
    width: int
    height: int
    quality: int
    profile: bytes
    chunks: tuple[ChunkInfo, ...]
    size_bytes: int

    @property
    def metadata_end(self) -> int:
        """Where the metadata end in the file: so many bytes from its beginning are enough for `read_metadata`."""
        return self.size_bytes + sum(chunk.length + _CRC_BYTES for chunk in self.chunks if chunk.type in _METADATA)


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """The bytes of the metadata as the file holds them; empty ones do not exist."""

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Container:
    """All that a file holds, as written and as read. Empty metadata counts as none.

    `joint`: each strip is one stream, hyper-latent and latents, as version 3 has it.
    """

    mode: Mode
    width: int
    height: int
    quality: int
    profile: bytes
    strips: tuple[Strip, ...]
    joint: bool = False
    alpha: bytes | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None


def strip_rows(width: int) -> int:
    """How many rows a strip has in a picture of this width, padded or not: 1024, and fewer beyond 4096 columns.

    >>> [strip_rows(width) for width in (1, 4096, 4097, 8193, 65535)]
    [1024, 1024, 512, 256, 128]
    """
    rows = STRIP_ROWS
    while rows * width > STRIP_PIXELS and rows > LEAST_STRIP_ROWS:
        rows //= 2
    return rows


def strip_count(width: int, height: int) -> int:
    """Number of strips of a picture of this size."""
    return -(-height // strip_rows(width))


def version_of(width: int, *, joint: bool = False) -> int:
    """The format version: 3 where streams are joint, else by the width, since 1 knows strips of 1024 rows alone."""
    if joint:
        return 3
    return 1 if strip_rows(width) == STRIP_ROWS else 2


def write(container: Container) -> bytes:
    """The file that `read` gives back as the same container; OptionError if the format cannot hold it."""
    _check_writable(container)
    chunks = list(_chunks(container))
    if max(len(content) for _, content in chunks) >= 2**32:  # H3
        raise OptionError("a chunk has 4 GiB or more, its length cannot be written")
    header = b"".join(
        (
            SIGNATURE,
            bytes((version_of(container.width, joint=container.joint), container.mode)),
            _varint(container.width),
            _varint(container.height),
            bytes((container.quality,)),
            container.profile,
            _varint(len(chunks)),
            *(_varint(kind) + _varint(len(content)) for kind, content in chunks),
        )
    )
    parts = [header, _u32(crc32(header))]
    for kind, content in chunks:
        parts += (content, _u32(_chunk_crc(kind, content)))
    return b"".join(parts)


def read_header(data: bytes, limits: Limits) -> Header:
    """Read and check the header alone; `data` may end right after it, or hold the whole file.

    NotNarrowsError, UnsupportedError, TruncatedError, CorruptError, or LimitError.
    """
    signature = data[: len(SIGNATURE)]
    if not SIGNATURE.startswith(signature):  # H1
        raise NotNarrowsError(f"begins with {signature!r}, a narrows file begins with {SIGNATURE!r}")
    cursor = _Cursor(data, len(SIGNATURE))
    version = cursor.byte()
    if version not in VERSIONS:  # H2: before any later field, whose meaning it decides
        known = f"{VERSIONS[0]} to {VERSIONS[-1]}"
        raise UnsupportedError(f"has format version {version}, this release reads {known}; try: pip install -U narrows")
    mode = cursor.byte()
    width = cursor.varint()
    height = cursor.varint()
    quality = cursor.byte()
    profile = cursor.take(DIGEST_BYTES)
    count = cursor.varint()
    if count > MAX_CHUNKS:  # H8: before the table is read, so a damaged count costs nothing
        raise CorruptError(f"lists {count} chunks, the format allows {MAX_CHUNKS} (rule H8)")
    chunks = tuple([ChunkInfo(type=cursor.varint(), length=cursor.varint()) for _ in range(count)])
    checksum = _u32(crc32(data[: cursor.position]))
    if cursor.take(_CRC_BYTES) != checksum:  # H9
        raise CorruptError("the checksum of the header does not match: the file is damaged (rule H9)")

    if mode not in list(Mode):  # H4
        raise UnsupportedError(f"has mode {mode}, this release reads 0 to {max(Mode)} (rule H4)")
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):  # H5
        raise CorruptError(f"is {width} x {height} pixels, each side must be 1 to {MAX_SIDE} (rule H5)")
    limits.check_pixels(width, height)  # H10
    if version < 3 and version != version_of(width):  # H12
        raise CorruptError(f"has format version {version}, a width of {width} needs {version_of(width)} (rule H12)")
    _check_order([chunk.type for chunk in chunks], Mode(mode), strip_count(width, height), joint=version >= 3)
    for chunk in chunks:
        if chunk.type in _METADATA:
            limits.check_metadata(chunk.name, chunk.length)  # H10
        if chunk.type in _METADATA and chunk.length == 0:  # C4
            raise CorruptError(f"has an empty chunk {chunk.name} (rule C4)")
    limits.check_bytes(cursor.position + sum(chunk.length + _CRC_BYTES for chunk in chunks))  # H10
    return Header(
        version=version,
        mode=Mode(mode),
        width=width,
        height=height,
        quality=quality,
        profile=profile,
        chunks=chunks,
        size_bytes=cursor.position,
    )


def read_metadata(data: bytes, header: Header) -> Metadata:
    """The metadata of the file that begins with `data`, checked by C1; TruncatedError if it ends before they do."""
    if len(data) < header.metadata_end:
        raise TruncatedError(f"has {len(data)} bytes: it ends inside the metadata")
    found = dict(_contents(data[: header.metadata_end], header))
    return Metadata(icc=found.get(ChunkType.ICC), exif=found.get(ChunkType.EXIF), xmp=found.get(ChunkType.XMP))


def read(data: bytes, limits: Limits) -> Container:
    """Read a whole file and check every rule that needs no profile; the errors of `read_header`."""
    limits.check_bytes(len(data))
    header = read_header(data, limits)
    expected = header.size_bytes + sum(chunk.length + _CRC_BYTES for chunk in header.chunks)
    if len(data) < expected:  # H11
        raise TruncatedError(f"has {len(data)} bytes of {expected}: the end is missing")
    if len(data) > expected:  # H11
        raise CorruptError(f"has {len(data) - expected} bytes after the last chunk (rule H11)")

    others: dict[int, bytes] = {}
    side: bytes | None = None
    strips: list[Strip] = []
    for kind, content in _contents(data, header):
        if kind == ChunkType.SIDE:
            side = content
        elif kind == ChunkType.LATENTS:
            strips.append(Strip(side=side, latents=content))
        else:
            others[kind] = content
    return Container(
        mode=header.mode,
        width=header.width,
        height=header.height,
        quality=header.quality,
        profile=header.profile,
        strips=tuple(strips),
        joint=header.version >= 3,
        alpha=others.get(ChunkType.ALPHA),
        icc=others.get(ChunkType.ICC),
        exif=others.get(ChunkType.EXIF),
        xmp=others.get(ChunkType.XMP),
    )


def _contents(data: bytes, header: Header) -> Iterator[tuple[int, bytes]]:
    """Type and content of each chunk that lies in `data` whole, its checksum checked."""
    position = header.size_bytes
    for chunk in header.chunks:
        end = position + chunk.length + _CRC_BYTES
        if end > len(data):
            return
        content = data[position : end - _CRC_BYTES]
        if data[end - _CRC_BYTES : end] != _u32(_chunk_crc(chunk.type, content)):  # C1
            raise CorruptError(f"the checksum of chunk {chunk.name} does not match: the file is damaged (rule C1)")
        yield chunk.type, content
        position = end


def _check_order(types: list[int], mode: Mode, strips: int, *, joint: bool) -> None:
    """Rules C2 to C7: there is exactly one order for each set of chunks."""
    for kind in types:
        if kind >= _TYPE_LIMIT:  # C2
            raise CorruptError(f"has a chunk of type {kind}, types are below {_TYPE_LIMIT} (rule C2)")
        if kind < _FIRST_ANCILLARY and kind not in _KNOWN:  # C2
            raise UnsupportedError(f"has a critical chunk of type {kind}, unknown to this release (rule C2)")
    unknown = sorted({kind for kind in types if kind not in _KNOWN})
    metadata = [kind for kind in _METADATA if kind in types]
    has_side = ChunkType.SIDE in types and not joint
    strip = [ChunkType.SIDE, ChunkType.LATENTS] if has_side else [ChunkType.LATENTS]
    expected = [*metadata, *([ChunkType.ALPHA] if mode.has_alpha else []), *(strip * strips), *unknown]
    for place, (found, due) in enumerate(zip_longest(types, expected), start=1):
        if found != due:  # C3 to C7
            raise CorruptError(f"has {_named(found)} at place {place}, expected {_named(due)} (rules C3 to C7)")


def _named(kind: int | None) -> str:
    return "no chunk" if kind is None else f"the chunk {ChunkInfo(type=kind, length=0).name}"


def _check_writable(container: Container) -> None:
    if not (1 <= container.width <= MAX_SIDE and 1 <= container.height <= MAX_SIDE):
        raise OptionError(f"the picture is {container.width} x {container.height}, each side must be 1 to {MAX_SIDE}")
    if not 0 <= container.quality <= 255:
        raise OptionError(f"the quality index is {container.quality}, it must be 0 to 255")
    if len(container.profile) != DIGEST_BYTES:
        raise OptionError(
            f"the profile's digest has {len(container.profile)} bytes here, expected its first {DIGEST_BYTES}"
        )
    expected = strip_count(container.width, container.height)
    if len(container.strips) != expected:
        raise OptionError(
            f"{len(container.strips)} strips, a picture of {container.width} x {container.height} has {expected}"
        )
    if len({strip.side is None for strip in container.strips}) != 1:
        raise OptionError("some strips have a side chunk and some have none")
    if container.joint and container.strips[0].side is not None:
        raise OptionError("joint streams go without side chunks")
    if (container.alpha is not None) != container.mode.has_alpha:
        raise OptionError(f"an alpha chunk goes with the modes LA and RGBA, and the mode is {container.mode.name}")


def _chunks(container: Container) -> Iterator[tuple[ChunkType, bytes]]:
    """Every chunk as (type, bytes), in the order of rule C3."""
    for kind, content in zip(_METADATA, (container.icc, container.exif, container.xmp), strict=True):
        if content:
            yield kind, content
    if container.alpha is not None:
        yield ChunkType.ALPHA, container.alpha
    for strip in container.strips:
        if strip.side is not None:
            yield ChunkType.SIDE, strip.side
        yield ChunkType.LATENTS, strip.latents


class _Cursor:
    """Reads fields one after the other; TruncatedError at the end of the bytes."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data = data
        self.position = position

    def take(self, size: int) -> bytes:
        field = self.data[self.position : self.position + size]
        if len(field) < size:
            raise TruncatedError(f"has {len(self.data)} bytes: it ends inside the header")
        self.position += size
        return field

    def byte(self) -> int:
        return self.take(1)[0]

    def varint(self) -> int:
        value = 0
        for shift in range(0, 35, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if (byte == 0 and shift) or value >= 2**32:  # H3: one spelling a number
                    break
                return value
        raise CorruptError(f"has a malformed number before byte {self.position} (rule H3)")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _u32(value: int) -> bytes:
    return value.to_bytes(4, "little")


def _chunk_crc(kind: int, content: bytes) -> int:
    return crc32(content, crc32(bytes((kind,))))
