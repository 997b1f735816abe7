"""Pillow's image modes as 8-bit grey or RGB samples with an optional alpha channel.

    as they are     L, LA, RGB, RGBA
    exactly         1 -> L; P, PA -> RGB or RGBA; a transparent colour -> alpha
    as viewers do   YCbCr, RGBX -> RGB; La, RGBa -> LA, RGBA
    with a warning  I;16, I, F -> L; CMYK, LAB, HSV -> RGB

Any other mode is a PictureError. Where Pillow's mode does not tell how the file stored its samples, its raw mode does.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any
from warnings import warn

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from narrows.errors import ConversionWarning, PictureError

_DIRECT = {"1": "L", "La": "LA", "RGBa": "RGBA", "PA": "RGBA", "YCbCr": "RGB", "RGBX": "RGB"}
_WITH_ALPHA = {"L": "LA", "RGB": "RGBA"}
_BAND_PIXELS = 2**21  # that are converted at a time
_CMYK_SPACE = b"CMYK"  # an ICC profile's colour space, bytes 16 to 20
_FEW_LEVELS = 64  # of 256: a deep picture that uses no more of them comes back nearly black

# Pillow widens grey samples of 2 and 4 bits to 8 and leaves their transparent value as it was.
_NARROW_GREY = {"L;2": (3, 85), "L;4": (15, 17)}  # the value's bits, and what a sample was multiplied by

_DEEP_TOP = {"I;12": 4095}  # the largest sample, where it is not that of 16 bits

# 16 bits a sample rounded off by Pillow's unpacker: "RGB;16B", "LA;16B", ...; but "BGR;16" is 5 + 6 + 5 bits a pixel.
_DEEP = re.compile(r".*;16[BLN]|L;16")


def reduced_depth(image: Image.Image) -> bool:
    """Whether Pillow will reduce a file's samples to 8 bits when it loads the pixels; ask before loading."""
    for tile in getattr(image, "tile", []):
        args = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        if image.mode.startswith("I") or image.mode == "F":
            return False  # not reduced: `split_samples` will see all the bits
        if any(isinstance(arg, str) and _DEEP.fullmatch(arg) for arg in args):
            return True
        if tile[0].startswith("ppm") and isinstance(args[-1], int) and args[-1] > 255:
            return True
    return False


def raw_mode(image: Image.Image) -> str:
    """How a file stores its samples, in Pillow's words ("RGB;16B", "L;4"), or ""; ask before loading."""
    for tile in getattr(image, "tile", []):
        args = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        return next((arg for arg in args if isinstance(arg, str)), "")
    return ""


def split_samples(
    image: Image.Image, icc: bytes | None, raw: str = ""
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None, bytes | None]:
    """Samples (H, W, 1 or 3), alpha (H, W) or None, and the ICC profile if it still describes the samples.

    `raw` is what `raw_mode` said before the image was loaded. PictureError for a mode that is not listed above, or for
    values that have no known range.
    """
    if image.mode.startswith("I") or image.mode == "F":
        samples, alpha = _from_deep_grey(image, _DEEP_TOP.get(raw, 65535))
        return samples[:, :, None], alpha, icc
    if image.mode in ("CMYK", "LAB"):
        image, icc = _to_srgb(image, icc), None
    elif image.mode == "HSV":
        warn("is HSV, converted to RGB", ConversionWarning, stacklevel=5)
    return *_as_arrays(image, _mode_for(image, raw), _transparent(image, raw)), icc


def _mode_for(image: Image.Image, raw: str) -> str:
    """Which of the modes L, LA, RGB, RGBA holds the picture."""
    if raw == "LA;16B":  # grey with alpha of 16 bits, which Pillow reads as RGBA
        return "LA"
    if image.mode == "P":
        return "RGBA" if image.has_transparency_data else "RGB"
    mode = "RGB" if image.mode == "HSV" else _DIRECT.get(image.mode, image.mode)
    if mode not in ("L", "LA", "RGB", "RGBA"):
        raise PictureError(f"has Pillow mode {image.mode}, which is not supported; convert it to RGB first")
    return _WITH_ALPHA.get(mode, mode) if "transparency" in image.info else mode


def _transparent(image: Image.Image, raw: str) -> object:
    """A transparent colour or palette entries, if there are any, as samples of 8 bits have them."""
    key = image.info.get("transparency")
    if isinstance(key, tuple) and max(key) > 255:  # of a 16-bit file, whose samples lost their low bytes
        return tuple(value >> 8 for value in key)
    if isinstance(key, int) and raw in _NARROW_GREY:
        bits, factor = _NARROW_GREY[raw]
        return (key & bits) * factor
    return key


def _as_arrays(image: Image.Image, mode: str, key: object) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Samples (H, W, 1 or 3) and alpha (H, W) or None of an image as `mode`: L, LA, RGB or RGBA.

    `key` is transparent. Some rows at a time, since Pillow's conversions and its way to numpy hold two or three copies.
    """
    width, height = image.size
    has_alpha = mode in ("LA", "RGBA")
    samples = np.empty((height, width, 1 if mode in ("L", "LA") else 3), np.uint8)
    alpha = np.empty((height, width), np.uint8) if has_alpha else None
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, height, rows):
        band = image.crop((0, top, width, min(top + rows, height)))
        if key is not None:
            band.info["transparency"] = key
        pixels = np.asarray(band if band.mode == mode else band.convert(mode))
        pixels = pixels if pixels.ndim == 3 else pixels[:, :, None]
        samples[top : top + rows] = pixels[:, :, : samples.shape[2]]
        if alpha is not None:
            alpha[top : top + rows] = pixels[:, :, -1]
    return samples, alpha


def _from_deep_grey(image: Image.Image, top: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Samples (H, W) and alpha of the modes I;16, I (0..top) and F (0..1, or 0..255 if any is above 1)."""
    values: NDArray[Any] = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    key = image.info.get("transparency")
    alpha = np.where(values == key, 0, 255).astype(np.uint8) if isinstance(key, int) else None
    if image.mode == "F":
        if not (low >= 0 and high <= 255):  # also where a value is not a number
            expected = "expected 0 to 1 or 0 to 255; scale them first"
            raise PictureError(f"has float samples from {low:g} to {high:g}, {expected}")
        scale = 1 if high > 1 else 255
        warn(f"has float samples, taken as 0 to {255 // scale} and rounded to 8 bits", ConversionWarning, stacklevel=6)
        return _by_bands(lambda band: np.rint(band * scale), values), alpha
    if not (low >= 0 and high <= top):
        raise PictureError(f"has integer samples from {low:g} to {high:g}, expected 0 to {top}; scale them first")
    rounded = ((np.arange(top + 1) * 255 + top // 2) // top).astype(np.uint8)
    message = f"has {top.bit_length()} bits a sample, rounded to 8"
    if low < high and rounded[int(high)] < _FEW_LEVELS:
        levels = int(rounded[int(high)]) - int(rounded[int(low)]) + 1
        message += (
            f": its samples end at {high:g} of {top}, so at most {levels} of 256 levels are left; scale them first"
        )
    warn(message, ConversionWarning, stacklevel=6)
    return _by_bands(lambda band: rounded[band], values), alpha


def _by_bands(convert: Callable[[NDArray[Any]], NDArray[Any]], values: NDArray[Any]) -> NDArray[np.uint8]:
    """A function of each value, some rows at a time: what lies between is wider than both ends."""
    out = np.empty(values.shape, np.uint8)
    rows = max(1, _BAND_PIXELS // values.shape[1])
    for top in range(0, len(values), rows):
        out[top : top + rows] = convert(values[top : top + rows])
    return out


def _to_srgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    """CMYK or LAB as sRGB; CMYK through the picture's ICC profile if it has a fitting one, else by a plain formula."""
    fitting = io.BytesIO(icc) if icc is not None and icc[16:20] == _CMYK_SPACE else None
    try:
        source = ImageCms.createProfile("LAB") if image.mode == "LAB" else fitting
        if source is not None:
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            if converted is not None:
                warn(f"is {image.mode}, converted to sRGB", ConversionWarning, stacklevel=6)
                return converted
    except (ImageCms.PyCMSError, ImportError) as error:  # a damaged profile, or a Pillow without LittleCMS
        if image.mode == "LAB":
            raise PictureError(f"is LAB and could not be converted to sRGB: {error}") from error
    warn("is CMYK without a usable colour profile, its colours are converted roughly", ConversionWarning, stacklevel=6)
    return image.convert("RGB")
