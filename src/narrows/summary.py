"""What a file says about itself. Loads no network, no profile and no numpy, so it is quick and safe on any file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from narrows import profiles
from narrows.container import MAX_HEADER, read_header, strip_count
from narrows.inputs import Source, named, read_start
from narrows.limits import Limits


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """One part of a file: its kind ("side", "latents", "alpha", "icc", "exif", "xmp") and bytes without checksum."""

    name: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Info:
    """What the header of a file says.

    mode             "L", "LA", "RGB" or "RGBA"
    quality          0..100, known if the file's profile is shipped with this installation, else None
    quality_index    the profile's own number of the quality
    profile          the beginning of the profile's digest, 8 hexadecimal digits
    profile_name     the shipped profile of that digest, else None
    bits_per_pixel   of the whole file
    """

    size_bytes: int
    format_version: int
    width: int
    height: int
    mode: str
    quality: float | None
    quality_index: int
    profile: str
    profile_name: str | None
    strips: int
    bits_per_pixel: float
    chunks: tuple[Chunk, ...]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, ready for JSON."""
        return asdict(self) | {"chunks": [asdict(chunk) for chunk in self.chunks]}


def info(source: Source, limits: Limits | None = None) -> Info:
    """Read a file's header and nothing else; see `verify` for what lies behind it. FormatError or LimitError."""
    limits = limits or Limits()
    with named(source):
        start, size_bytes = read_start(source, MAX_HEADER, limits)
        header = read_header(start, limits)
    known = profiles.name_and_qualities(header.profile)
    return Info(
        size_bytes=size_bytes,
        format_version=header.version,
        width=header.width,
        height=header.height,
        mode=header.mode.name,
        quality=None if known is None else quality_of(header.quality, known[1]),
        quality_index=header.quality,
        profile=header.profile.hex(),
        profile_name=None if known is None else known[0],
        strips=strip_count(header.width, header.height),
        bits_per_pixel=8 * size_bytes / (header.width * header.height),
        chunks=tuple(Chunk(name=chunk.name, size_bytes=chunk.length) for chunk in header.chunks),
    )


def quality_of(index: int, qualities: int) -> float:
    """The quality 0..100 that stands for an index, to one decimal."""
    return round(100 * index / max(qualities - 1, 1), 1)
