"""Odd picture files, made on the spot: what Pillow writes by itself, and what other programs write."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pictures import photo_like
from PIL import Image

PREFIX = b"Exif\0\0"


def written(image: Image.Image, kind: str, **options: Any) -> bytes:
    """A file as Pillow writes it."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG file of packed rows, each after its filter byte, with any chunks between IHDR and IDAT."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )
    return b"\x89PNG\r\n\x1a\n" + body


def exif(orientation: int) -> bytes:
    """An EXIF block that says no more than the orientation, without its prefix."""
    return b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0) + bytes(4)


BROKEN_EXIF = {
    "no TIFF header": b"garbage, garbage",
    "nothing at all": b"",
    "an offset beyond the end": b"II*\0\xff\xff\0\0",
    "a directory that names itself as the next": b"II*\0\x08\0\0\0\0\0\x08\0\0\0",
    "cut in an entry": b"MM\0*\0\0\0\x08\0\x05\x01\x12",
    "an orientation of 99": exif(99),
    "an orientation that is text": exif(6).replace(b"\x01\x12\0\x03", b"\x01\x12\0\x02"),
    "4294967295 orientations": exif(6).replace(b"\0\x03\0\0\0\x01", b"\0\x03\xff\xff\xff\xff"),
    "a fraction over zero": b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHII", 0x011A, 5, 1, 26) + bytes(8) + b"\0\0\0\1",
    "a camera's directory beyond the end": b"MM\0*\0\0\0\x08\0\x01"
    + struct.pack(">HHII", 0x8769, 4, 1, 999)
    + bytes(4),
    "60000 bytes of nothing": b"MM\0*\0\0\0\x08\0\0" + bytes(60000),
}


def with_exif(jpeg: bytes, block: bytes) -> bytes:
    """A JPEG file with this EXIF block, whatever it holds."""
    content = PREFIX + block
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + jpeg[2:]


def without_adobe_marker(jpeg: bytes) -> bytes:
    """A JPEG file without its APP14 segment, which says how the four samples of CMYK are meant."""
    start = jpeg.index(b"\xff\xee\0\x0eAdobe")
    return jpeg[:start] + jpeg[start + 16 :]


def grey_tiff_of_12_bits(values: NDArray[np.uint16]) -> bytes:
    """An uncompressed TIFF file with 12 bits a sample, as scanners and medical devices write them."""
    height, width = values.shape
    packed = bytearray()
    for first, second in values.reshape(-1, 2).tolist():
        packed += bytes((first >> 4, (first & 15) << 4 | second >> 8, second & 255))
    entries = [(256, 3, width), (257, 3, height), (258, 3, 12), (259, 3, 1), (262, 3, 1)]
    entries += [(273, 4, 8), (277, 3, 1), (278, 3, height), (279, 4, len(packed))]
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries) + bytes(4)
    return struct.pack("<4sI", b"II*\0", 8 + len(packed)) + packed + directory


def cmyk_profile() -> bytes:
    """An ICC profile of a press whose every ink is grey: white paper, and black wherever any ink is full."""
    corners = b"".join(bytes((255 if ink == 0 else 128, 128, 128)) for ink in range(16))
    matrix = [65536 * (index % 4 == 0) for index in range(9)]
    straight = bytes(range(256))
    table = struct.pack(">4sIBBBx9i", b"mft1", 0, 4, 3, 2, *matrix) + straight * 4 + corners + straight * 3
    white = struct.pack(">3i", 63190, 65536, 54061)
    tags = {
        b"A2B0": table,
        b"desc": struct.pack(">4sII", b"desc", 0, 2) + b"x\0" + bytes(78),
        b"cprt": b"text\0\0\0\0x\0",
        b"wtpt": b"XYZ \0\0\0\0" + white,
    }
    start = 132 + 12 * len(tags)
    directory, body = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        directory += struct.pack(">4sII", name, start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(">I4xI4s4s4s12x4s", start + len(body), 0x02100000, b"prtr", b"CMYK", b"Lab ", b"acsp")
    return header.ljust(68, b"\0") + white.ljust(60, b"\0") + directory + body


def icons_of(picture: bytes) -> dict[str, bytes]:
    """Icons for Windows and for macOS that hold any file and say another size of it, 16 x 16 and 128 x 128."""
    entry = struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(picture), 22)
    boxes = struct.pack(">4sI4sI", b"icns", len(picture) + 16, b"ic07", len(picture) + 8)
    return {"ICO": entry + picture, "ICNS": boxes + picture}


def whole_files() -> dict[str, bytes]:
    """One picture of 33 x 47 in many kinds of file."""
    colour = Image.fromarray(photo_like(33, 47))
    grey, palette = colour.convert("L"), colour.quantize(64)
    clear = colour.copy()
    clear.putalpha(grey)
    return {
        "png": written(colour, "PNG"),
        "png palette": written(palette, "PNG"),
        "jpeg": written(colour, "JPEG"),
        "jpeg progressive": written(colour, "JPEG", progressive=True),
        "jpeg restarts": written(colour, "JPEG", restart_marker_blocks=2),
        "gif": written(palette, "GIF"),
        "bmp": written(colour, "BMP"),
        "tiff": written(colour, "TIFF"),
        "tiff lzw": written(colour, "TIFF", compression="tiff_lzw"),
        "tiff deflate": written(colour, "TIFF", compression="tiff_adobe_deflate"),
        "tiff jpeg": written(colour, "TIFF", compression="jpeg"),
        "webp": written(colour, "WEBP"),
        "webp lossless": written(clear, "WEBP", lossless=True),
        "avif": written(colour, "AVIF"),
        "jpeg 2000": written(colour, "JPEG2000"),
        "jpeg 2000 tiles": written(colour, "JPEG2000", tile_size=(16, 16)),
        "jpeg 2000 bare": written(colour, "JPEG2000", no_jp2=True),
        "ppm": written(colour, "PPM"),
        "tga": written(colour, "TGA"),
        "tga packed": written(colour, "TGA", compression="tga_rle"),
        "pcx": written(colour, "PCX"),
        "ico": written(clear, "ICO", sizes=[(32, 32)]),
        "qoi": written(colour, "QOI"),
    }
