"""A decoded picture as a file of another format, with its metadata where that format holds any."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, BinaryIO, cast
from warnings import warn

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from narrows.errors import ConversionWarning, OptionError

_JPEG_SEGMENT = 65533 - len(b"http://ns.adobe.com/xap/1.0/\0")  # bytes of EXIF or XMP that fit into a JPEG file
_EXIF_PREFIX = b"Exif\0\0"
_XMP_TAG = 700  # of TIFF
_PNG_LEVEL = 3  # of zlib: as small as Pillow's 6 for photographs, in less than half the time
# TIFF's own tags that say how a file stores its pixels. EXIF may hold those of the file that it came from.
_STORAGE_TAGS = frozenset(
    number
    for first, last in (
        *((254, 259), (262, 266), (273, 273), (277, 281), (284, 285), (288, 293), (297, 297), (301, 301)),
        *((317, 325), (330, 347), (351, 351), (400, 405), (433, 437), (512, 532), (559, 559), (34675, 34675)),
    )
    for number in range(first, last + 1)
)


@dataclass(frozen=True, kw_only=True)
class _Format:
    """How Pillow names a format, what it can hold, and how it is written.

    `parses_exif`: Pillow's writer takes EXIF apart, and fails on what it cannot read.
    """

    name: str
    alpha: bool = False
    metadata: bool = False
    parses_exif: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


_JPEG = _Format(name="JPEG", metadata=True, options={"quality": 95, "subsampling": 0})
_TIFF = _Format(name="TIFF", alpha=True, metadata=True, parses_exif=True)
_AVIF_OPTIONS = {"quality": 95, "subsampling": "4:4:4"}
_FORMATS = {
    ".png": _Format(name="PNG", alpha=True, metadata=True, options={"compress_level": _PNG_LEVEL}),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".webp": _Format(name="WEBP", alpha=True, metadata=True, options={"lossless": True, "exact": True}),
    ".avif": _Format(name="AVIF", alpha=True, metadata=True, parses_exif=True, options=_AVIF_OPTIONS),
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".bmp": _Format(name="BMP"),
    ".ppm": _Format(name="PPM"),
    ".pgm": _Format(name="PPM"),
    ".tga": _Format(name="TGA", alpha=True),
}
SUFFIXES = tuple(_FORMATS)


def image_writer(image: Image.Image, suffix: str) -> Callable[[BinaryIO], None]:
    """What writes a decoded image, with the metadata in its info, into a file that can seek.

    `suffix`, one of SUFFIXES, says the format. A ConversionWarning says what it cannot hold; OptionError, on writing,
    if it cannot hold the picture.
    """
    target = _FORMATS[suffix]
    # Some writers would take the metadata from info, some would not: each is passed on by name.
    keys = (("ICC", "icc_profile"), ("EXIF", "exif"), ("XMP", "xmp"))
    present = [(name, image.info.pop(key, None)) for name, key in keys]
    if image.mode in ("LA", "RGBA") and not target.alpha:
        _warn(f"{target.name} holds no transparency, the picture is drawn on white")
        image = _on_white(image)
    metadata = {name: content for name, content in present if content is not None and _fits(target, name, content)}
    options = {**target.options, **_metadata_options(target, metadata)}

    def write(file: BinaryIO) -> None:
        try:
            image.save(cast("IO[bytes]", _Plain(file)), target.name, **options)
        except (OSError, ValueError, struct.error) as error:
            if isinstance(error, OSError) and error.errno is not None:  # of the disk
                raise
            size = f"{image.width} x {image.height}"
            raise OptionError(
                f"a {target.name} file cannot hold this picture of {size} ({error}); name another format with -o"
            ) from error

    return write


class _Plain:
    """A file without a descriptor: Pillow's coders would write to one by themselves and forget the system's errors."""

    def __init__(self, file: BinaryIO) -> None:
        self.write, self.seek, self.tell, self.flush = file.write, file.seek, file.tell, file.flush


def _fits(target: _Format, name: str, content: bytes) -> bool:
    if not target.metadata:
        _warn(f"{target.name} holds no {name}, it is left out")
        return False
    if target.name == "JPEG" and name != "ICC" and len(content) > _JPEG_SEGMENT:
        _warn(f"{name} has {len(content)} bytes, JPEG holds {_JPEG_SEGMENT}, it is left out")
        return False
    if name == "EXIF" and target.parses_exif:
        return _takes_exif(target, content)
    return True


def _takes_exif(target: _Format, exif: bytes) -> bool:
    """Whether a picture of one pixel can be written with this EXIF, before the real one fails for it."""
    try:
        Image.new("L", (1, 1)).save(io.BytesIO(), target.name, **_metadata_options(target, {"EXIF": exif}))
    except Exception:  # Pillow's reader of EXIF raises nearly anything on damaged blocks
        _warn(f"EXIF is damaged and {target.name} must take it apart, it is left out")
        return False
    return True


def _metadata_options(target: _Format, metadata: Mapping[str, bytes]) -> dict[str, Any]:
    """The metadata as the arguments by which Pillow's writer of the format takes it."""
    options: dict[str, Any] = {}
    if "ICC" in metadata:
        options["icc_profile"] = metadata["ICC"]
    if target.name == "TIFF":
        options["exif"] = _tiff_tags(metadata)
        return options
    if "EXIF" in metadata:  # WebP and AVIF files hold it without the prefix, JPEG needs it, and all writers know it
        options["exif"] = _EXIF_PREFIX + metadata["EXIF"].removeprefix(_EXIF_PREFIX)
    if "XMP" in metadata and target.name == "PNG":
        options["pnginfo"] = _png_text(metadata["XMP"])
    elif "XMP" in metadata:
        options["xmp"] = metadata["XMP"]
    return options


def _png_text(xmp: bytes) -> PngInfo:
    info = PngInfo()
    try:
        info.add_itxt("XML:com.adobe.xmp", xmp.decode())
    except UnicodeDecodeError:
        _warn("XMP is not UTF-8, which PNG needs, it is left out")
    return info


def _tiff_tags(metadata: Mapping[str, bytes]) -> Image.Exif:
    tags = Image.Exif()
    tags.load(metadata.get("EXIF", b""))
    for tag in _STORAGE_TAGS.intersection(tags):
        del tags[tag]
    if "XMP" in metadata:
        tags[_XMP_TAG] = metadata["XMP"]
    return tags


def _on_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB" if image.mode == "RGBA" else "L")


def _warn(message: str) -> None:
    warn(message, ConversionWarning, stacklevel=2)
