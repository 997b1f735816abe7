"""Pictures on their way in and out: whatever Pillow or numpy holds <-> samples, alpha and metadata <-> network planes.

    file, bytes, Pillow image, array --read_picture--> Picture --pad_edges, to_planes--> (1, C, H', W')
    Pillow image <-------to_image--------------------- Picture <---------from_planes---- (1, C, H', W')

opening.py finds the reader of a file, modes.py knows Pillow's modes, alpha.py codes the alpha channel. Orientation is
metadata, never applied to the pixels.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias
from warnings import warn

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from narrows.alpha import Alpha, decode_alpha, encode_alpha, fill_transparent
from narrows.container import MAX_SIDE, Mode
from narrows.errors import ConversionWarning, LimitError, OptionError, PictureError, ProfileError
from narrows.inputs import Source as FileSource
from narrows.inputs import named, read_source
from narrows.limits import Limits
from narrows.modes import raw_mode, reduced_depth, split_samples
from narrows.opening import ANEW, opened, pillow_errors

__all__ = [
    "Picture",
    "Samples",
    "Source",
    "decode_alpha",
    "edge_part",
    "encode_alpha",
    "exif_of",
    "from_planes",
    "pad_edges",
    "read_picture",
    "to_image",
    "to_planes",
    "xmp_of",
]

Samples: TypeAlias = NDArray[np.uint8]  # (H, W, C), C = 1 (grey) or 3 (RGB)
Source: TypeAlias = FileSource | Image.Image | NDArray[np.uint8]

_SUBFILE_TYPE, _REDUCED = 254, 1  # of TIFF: this is a smaller version of another picture in the file
_DNG_VERSION = 50706

_USUAL_GAMMA = 1 / 2.2  # of PNG's gAMA; another one within a tenth looks the same

# The tags of a TIFF file that speak about the photograph; the others tell how this one file stores its pixels.
_DESCRIPTIVE_TAGS = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.Copyright,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """Samples (H, W, C) with C = 1 or 3, alpha (H, W) or None, and metadata as the bytes that the file held."""

    samples: Samples
    alpha: Alpha | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None

    @property
    def mode(self) -> Mode:
        """The format's name for what the samples mean."""
        if self.samples.shape[2] == 1:
            return Mode.L if self.alpha is None else Mode.LA
        return Mode.RGB if self.alpha is None else Mode.RGBA


def read_picture(source: Source, limits: Limits) -> Picture:
    """A picture from a path, the bytes of a file, a binary file, a Pillow image, or a uint8 array (H, W[, 1..4]).

    Other modes are converted, with a ConversionWarning where that loses something (docs/api.md has the list). Colour
    under alpha 0 is replaced by a cheap one. PictureError, LimitError (before a pixel is decoded), OptionError for an
    array or object of another kind, OSError if a file cannot be opened or read.
    """
    with named(source):
        if isinstance(source, np.ndarray):
            picture = _from_array(source, limits)
        elif isinstance(source, Image.Image):
            with pillow_errors():
                picture = _from_image(source, limits)
        elif isinstance(source, str | os.PathLike):
            with Path(source).open("rb") as file:
                if file.seekable():
                    limits.check_bytes(os.fstat(file.fileno()).st_size)
                picture = _from_file(file if file.seekable() else io.BytesIO(read_source(file, limits)), limits)
        else:
            picture = _from_file(io.BytesIO(read_source(source, limits)), limits)
    if picture.alpha is None:
        return picture
    samples = fill_transparent(picture.samples, picture.alpha)
    return Picture(samples=samples, alpha=picture.alpha, icc=picture.icc, exif=picture.exif, xmp=picture.xmp)


def to_image(picture: Picture) -> Image.Image:
    """A Pillow image of mode L, LA, RGB or RGBA; metadata in info["icc_profile"], info["exif"] and info["xmp"]."""
    samples = picture.samples
    if picture.alpha is not None:
        samples = np.dstack((samples, picture.alpha))
    image = Image.fromarray(samples[:, :, 0] if samples.shape[2] == 1 else samples)
    for key, content in (("icc_profile", picture.icc), ("exif", picture.exif), ("xmp", picture.xmp)):
        if content is not None:
            image.info[key] = content
    return image


def pad_edges(samples: Samples, multiple: int) -> Samples:
    """`samples` with the last row and column repeated until both sides are multiples of `multiple`."""
    height, width, _ = samples.shape
    rows, columns = -height % multiple, -width % multiple
    return np.pad(samples, ((0, rows), (0, columns), (0, 0)), mode="edge") if rows or columns else samples


def edge_part(samples: Samples, rows: slice, columns: slice) -> Samples:
    """A part of `pad_edges` of any multiple: beyond the end the last row and column go on."""
    part = samples[rows, columns]
    below, beside = rows.stop - rows.start - part.shape[0], columns.stop - columns.start - part.shape[1]
    return np.pad(part, ((0, below), (0, beside), (0, 0)), mode="edge") if below or beside else part


def to_planes(samples: Samples, channels: int) -> NDArray[np.uint8]:
    """Samples (H, W, C) as planes (1, channels, H, W): grey is repeated into 3 of them, ProfileError for RGB into 1."""
    if samples.shape[2] > channels:
        raise ProfileError("the profile codes grey pictures only; convert the picture, or use another profile")
    planes = np.broadcast_to(samples.transpose(2, 0, 1), (channels, *samples.shape[:2]))
    return np.ascontiguousarray(planes)[None]


def from_planes(planes: NDArray[np.uint8], height: int, width: int, colour_channels: int) -> Samples:
    """The upper left height x width part of planes (1, C, H, W) as samples; RGB to grey by the rounded mean (D6)."""
    part = planes[0, :, :height, :width]
    if colour_channels == 1 and part.shape[0] == 3:
        part = ((2 * part.sum(axis=0, dtype=np.uint16) + 3) // 6).astype(np.uint8)[None]
    elif colour_channels != part.shape[0]:
        raise ProfileError("the file is in colour and the profile codes grey pictures only: it is not its profile")
    return np.stack(tuple(part), axis=-1)  # a quarter of the time of a transposed copy


def _from_array(array: NDArray[Any], limits: Limits) -> Picture:
    if array.dtype != np.uint8:
        raise OptionError(f"the array holds {array.dtype}, expected uint8 samples from 0 to 255")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or not 1 <= array.shape[2] <= 4 or array.size == 0:
        raise OptionError(f"the array has shape {array.shape}, expected (height, width) or (height, width, 1 to 4)")
    _check_size(array.shape[1], array.shape[0], limits)
    colours = array.shape[2] - (array.shape[2] % 2 == 0)
    alpha = np.ascontiguousarray(array[:, :, -1]) if colours < array.shape[2] else None
    return Picture(samples=np.ascontiguousarray(array[:, :, :colours]), alpha=alpha)


def _from_file(file: BinaryIO, limits: Limits) -> Picture:
    with pillow_errors(), opened(file, limits) as image:
        return _from_image(image, limits)


def _from_image(image: Image.Image, limits: Limits) -> Picture:
    """Pillow's image as a Picture; the pixels of a file are decoded here, after its size was checked."""
    _check_size(*image.size, limits)
    _check_whole_picture(image)
    if getattr(image, "is_animated", False):
        warn("holds more than one picture, the first one is coded", ConversionWarning, stacklevel=4)
    if reduced_depth(image):
        warn("has more than 8 bits a sample, coded with 8", ConversionWarning, stacklevel=4)
    raw = raw_mode(image)
    image.load()
    _warn_of_gamma(image)
    samples, alpha, icc = split_samples(image, _bytes(image.info.get("icc_profile")), raw)
    metadata = {"ICC": icc, "EXIF": exif_of(image), "XMP": xmp_of(image)}
    for name, content in metadata.items():
        if content is not None and len(content) > limits.max_metadata:
            message = f"has {len(content)} bytes of {name}, left out: the limit is {limits.max_metadata}"
            warn(message, ConversionWarning, stacklevel=4)
            metadata[name] = None
    return Picture(samples=samples, alpha=alpha, icc=metadata["ICC"], exif=metadata["EXIF"], xmp=metadata["XMP"])


def _check_size(width: int, height: int, limits: Limits) -> None:
    if min(width, height) < 1:
        raise PictureError(f"is {width} x {height} pixels, a picture has at least one")
    limits.check_pixels(width, height)
    if max(width, height) > MAX_SIDE:
        raise LimitError(f"is {width} x {height} pixels, the format allows {MAX_SIDE} a side; cut it into parts")


def _check_whole_picture(image: Image.Image) -> None:
    """PictureError for what is only a preview: cameras' raw files are TIFF files that begin with a small one."""
    tags = getattr(image, "tag_v2", {})
    if _DNG_VERSION in tags or tags.get(_SUBFILE_TYPE, 0) & _REDUCED:
        raise PictureError(f"begins with a preview, as cameras' raw files do, and Pillow would read that alone; {ANEW}")


def _warn_of_gamma(image: Image.Image) -> None:
    """Of a PNG file that says how bright its samples are meant to be, unless its ICC profile or sRGB say it better."""
    gamma = image.info.get("gamma")
    if not isinstance(gamma, float) or image.info.get("icc_profile") or "srgb" in image.info:
        return
    if gamma > 0 and abs(gamma / _USUAL_GAMMA - 1) > 0.1:
        message = f"is meant for a gamma of {1 / gamma:.2g} (gAMA), which is not kept: it may look lighter or darker"
        warn(message, ConversionWarning, stacklevel=5)


def exif_of(image: Image.Image) -> bytes | None:
    """The EXIF block as the file held it; for TIFF, which has none, one made of the tags about the photograph."""
    info = image.info
    if _bytes(info.get("exif")):
        return _bytes(info["exif"])
    if "Raw profile type exif" in info:  # ImageMagick's PNG files before eXIf: a name, a length, then hexadecimal lines
        try:
            return bytes.fromhex("".join(str(info["Raw profile type exif"]).split("\n")[3:])) or None
        except ValueError:
            return None
    if not hasattr(image, "tag_v2"):
        return None
    found = image.getexif()
    kept = Image.Exif()
    for tag in _DESCRIPTIVE_TAGS:
        if tag in found:
            kept[tag] = found[tag]
    for group in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        if found.get_ifd(group):
            kept[group] = dict(found.get_ifd(group))
    return kept.tobytes() if len(kept) else None


def xmp_of(image: Image.Image) -> bytes | None:
    """The XMP block as the file held it."""
    text = image.info.get("XML:com.adobe.xmp")
    return _bytes(image.info.get("xmp")) or (text.encode() if isinstance(text, str) and text else None)


def _bytes(value: object) -> bytes | None:
    return value if isinstance(value, bytes) and value else None
