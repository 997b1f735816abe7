"""JPEG, WebP, AVIF, lossless codecs and narrows on many small pictures, by more than one rule of what each costs.

A small picture's file is mostly header: a JPEG of 28 x 28 has 342 bytes before the first pixel. So the rules:

    each          one file a picture, with the codec's plain settings                        "as saved"
    optimised     JPEG: with Huffman tables made for the picture
    abbreviated   JPEG: without tables; one shared stream of tables is counted once and is what decoding uses
    sheet         one file for all pictures, as a mosaic; JPEG: optimised, progressive

"narrows" is the shipped profile, by the plugin for Pillow. `bytes` are the lengths of the streams, which is what they
take as files; `decoded` is decoded from those bytes alone.
JBIG2 is not here: no package at hand writes it.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image, features

import narrows.pillow  # noqa: F401 - Pillow knows narrows' format from here on
from narrows.errors import NarrowsError, OptionError
from narrows.lab.measure.arrays import Pictures, picture_pixels, require_pictures
from narrows.lab.measure.sheets import from_sheet, to_sheet

Conventional = Literal[
    "jpeg", "jpeg444", "webp", "avif", "narrows", "png", "webp-lossless", "tiff-lzw", "tiff-deflate", "g4"
]  # fmt: skip
Rule = Literal["each", "optimised", "abbreviated", "sheet"]

LOSSLESS = ("png", "webp-lossless", "tiff-lzw", "tiff-deflate")
QUALITIES = (5, 10, 15, 25, 35, 50, 65, 75, 85, 95)
THRESHOLD = 128
"""From this value on a pixel is white for a bilevel coder."""

_BLOCK = 16  # of JPEG with halved chroma, and WebP's: a picture of a mosaic begins on one
_TABLES_ONLY, _PICTURE_ONLY = 1, 2  # Pillow's streamtype
_MARKER_BYTES = 2
_TIFF_PREDICTOR = 317  # the tag; 2 is the difference to the pixel on the left


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """Pictures coded at one setting by one rule: all bytes together, and bits per position of a picture.

    `setting` is the codec's quality, the threshold of a bilevel one, None of a lossless one; `shared_bytes` are the
    part of `bytes` that is written once for all pictures. `decoded` has the shape of the pictures.
    """

    codec: Conventional
    setting: int | None
    rule: Rule
    bytes: int
    shared_bytes: int
    pictures: int
    bpp: float
    decoded: Pictures


def is_available(codec: Conventional) -> bool:
    """Whether this Pillow can write and read it."""
    if codec == "narrows":
        return True
    needed = {"webp": "webp", "webp-lossless": "webp", "avif": "avif", "tiff-lzw": "libtiff", "tiff-deflate": "libtiff"}
    return bool(features.check(needed.get(codec, "libtiff" if codec == "g4" else "jpg")))


def rules_of(codec: Conventional) -> tuple[Rule, ...]:
    """The rules that a codec can be judged by."""
    if codec in ("jpeg", "jpeg444"):
        return get_args(Rule)
    return "each", "sheet"


def code_conventional(
    codec: Conventional,
    pictures: Pictures,
    *,
    settings: Sequence[int] | None = None,
    rules: Sequence[Rule] | None = None,
) -> list[Row]:
    """A row for every rule (None: all that the codec knows) and setting (None: QUALITIES).

    `pictures` are uint8 (N, H, W) or (N, H, W, 3). Lossless codecs take no settings; "g4" is bilevel and decodes to 0
    and 255. OptionError for what a codec does not know or this Pillow lacks, or a mosaic over its largest side.
    """
    require_pictures(pictures)
    if codec not in get_args(Conventional):
        raise OptionError(f"a codec is one of {', '.join(get_args(Conventional))}, not {codec!r}")
    if not is_available(codec):
        raise OptionError(f"this Pillow cannot write {codec}: pip install -U Pillow")
    asked = rules_of(codec) if rules is None else tuple(rules)
    if unknown := set(asked) - set(rules_of(codec)):
        raise OptionError(f"{codec} has the rules {', '.join(rules_of(codec))}, not {', '.join(sorted(unknown))}")
    return [_row(codec, pictures, setting, rule) for rule in asked for setting in _settings(codec, settings)]


def _settings(codec: Conventional, settings: Sequence[int] | None) -> Sequence[int | None]:
    if codec in LOSSLESS:
        if settings is not None:
            raise OptionError(f"{codec} is lossless and has no settings to choose from")
        return (None,)
    if settings is None:
        return (THRESHOLD,) if codec == "g4" else QUALITIES
    highest = 255 if codec == "g4" else 99 if codec == "avif" else 100
    if not settings or not all(1 <= setting <= highest for setting in settings):
        raise OptionError(f"settings of {codec} go from 1 to {highest}, given are {list(settings)}")
    return settings


def _row(codec: Conventional, pictures: Pictures, setting: int | None, rule: Rule) -> Row:
    shared = 0
    if rule == "sheet":
        sheet = to_sheet(pictures, 1 if codec in LOSSLESS or codec == "g4" else _BLOCK)
        # A mosaic is large, and nobody would leave its tables as they are.
        data = _encode(codec, sheet.pixels, setting, optimise=True, progressive=True)
        total, decoded = len(data), from_sheet(_decode(data, pictures.ndim == 4), sheet.layout)
    elif rule == "abbreviated":
        tables = _encode(codec, pictures[0], setting, streamtype=_TABLES_ONLY)
        streams = [_encode(codec, picture, setting, streamtype=_PICTURE_ONLY) for picture in pictures]
        shared = len(tables)
        total = shared + sum(map(len, streams))
        decoded = _decode_all((_with_tables(stream, tables) for stream in streams), pictures)
    else:
        streams = [_encode(codec, picture, setting, optimise=rule == "optimised") for picture in pictures]
        total = sum(map(len, streams))
        decoded = _decode_all(streams, pictures)
    bpp = 8 * total / (len(pictures) * picture_pixels(pictures))
    if codec in LOSSLESS and not np.array_equal(decoded, pictures):
        raise NarrowsError(f"{codec} is lossless, but decodes to other pixels")
    return Row(
        codec=codec, setting=setting, rule=rule, bytes=total, shared_bytes=shared, pictures=len(pictures), bpp=bpp,
        decoded=decoded,
    )  # fmt: skip


def _with_tables(stream: bytes, tables: bytes) -> bytes:
    """An abbreviated JPEG with the segments of the tables' stream put in after its first marker, SOI."""
    return stream[:_MARKER_BYTES] + tables[_MARKER_BYTES:-_MARKER_BYTES] + stream[_MARKER_BYTES:]


def _encode(
    codec: Conventional, pixels: Pictures, setting: int | None, *, optimise: bool = False, progressive: bool = False,
    streamtype: int = 0,
) -> bytes:  # fmt: skip
    """One picture (H, W) or (H, W, 3) as a file of the codec; the keywords are JPEG's."""
    image = Image.fromarray(pixels)
    if codec == "g4":
        image = Image.fromarray(np.asarray(image.convert("L")) >= setting)
    jpeg = {"optimize": optimise, "progressive": progressive, "streamtype": streamtype}
    options = _options(codec, setting, colour=pixels.ndim == 3) | (jpeg if codec in ("jpeg", "jpeg444") else {})
    buffer = io.BytesIO()
    try:
        image.save(buffer, **options)
    except (OSError, ValueError) as error:
        raise OptionError(
            f"{codec} cannot write {image.width} x {image.height} pixels: {error}; fewer make a smaller sheet"
        ) from error
    return buffer.getvalue()


def _options(codec: Conventional, setting: int | None, *, colour: bool) -> dict[str, Any]:
    """The keywords of Image.save."""
    if codec in ("jpeg", "jpeg444"):
        subsampling = {"subsampling": "4:4:4" if codec == "jpeg444" else "4:2:0"} if colour else {}
        return {"format": "JPEG", "quality": setting, **subsampling}
    if codec == "webp":
        return {"format": "WEBP", "quality": setting, "method": 6}
    if codec == "webp-lossless":
        # At this quality method 5 takes four times as long and came out no smaller, method 6 over ten times.
        return {"format": "WEBP", "lossless": True, "quality": 100, "method": 4}
    if codec == "avif":
        subsampling = {"subsampling": "4:2:0" if colour else "4:0:0"}
        return {"format": "AVIF", "quality": setting, "max_threads": 1, **subsampling}
    if codec == "narrows":
        return {"format": "NARROWS", "quality": setting}
    if codec == "png":
        return {"format": "PNG", "optimize": True}
    if codec == "g4":
        return {"format": "TIFF", "compression": "group4"}
    compression = "tiff_lzw" if codec == "tiff-lzw" else "tiff_adobe_deflate"
    return {"format": "TIFF", "compression": compression, "tiffinfo": {_TIFF_PREDICTOR: 2}}


def _decode(data: bytes, colour: bool) -> Pictures:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB" if colour else "L"))


def _decode_all(streams: Iterable[bytes], pictures: Pictures) -> Pictures:
    decoded = np.empty_like(pictures)
    for index, stream in enumerate(streams):
        decoded[index] = _decode(stream, pictures.ndim == 4)
    return decoded
