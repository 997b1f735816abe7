"""The codecs that Pillow and its JPEG XL plugin bring, each with its sensible options.

JPEG, WebP, AVIF and JPEG XL are as people get them, and once more tuned for PSNR where that is a setting (AVIF 4:4:4
`tune=psnr`, JPEG 4:4:4). JPEG 2000 is given the colour transform and the irreversible wavelet that Pillow leaves off.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module, metadata

import numpy as np
from PIL import Image, features

from narrows.compare.records import Coder, Pixels
from narrows.compare.working import SettingRange, WorkingCoder

SaveOptions = dict[str, object]

_JPEG_SETTINGS = (5.0, 10.0, 20.0, 35.0, 50.0, 65.0, 80.0, 90.0, 95.0, 97.0)
_AVIF_SETTINGS = (8.0, 16.0, 26.0, 36.0, 43.0, 50.0, 60.0, 70.0, 80.0, 90.0)
_RGB_BITS = 24
_TIFF_PREDICTOR = 317  # the tag; 2 is the difference to the pixel on the left


@dataclass(frozen=True, kw_only=True)
class PillowCodec:
    """What one coder is, and how Pillow is told: `save(setting, threads)` gives the keywords of Image.save."""

    name: str
    label: str
    family: str
    options: str
    format: str
    settings: tuple[float, ...]
    range: SettingRange
    save: Callable[[float, int], SaveOptions]
    parameter: str = "quality"
    lossless: bool = False
    threaded: bool = False

    @property
    def missing(self) -> str | None:
        """Why it cannot run here, and what to do; None if it can."""
        if self.format == "JXL":
            return None if _has_jxl() else "needs the package pillow-jxl-plugin: pip install pillow-jxl-plugin"
        feature = _FEATURES[self.format]
        if features.check(feature):
            return None
        newer = "11.3 or later: " if self.format == "AVIF" else "built with it: "
        return f"this Pillow has no {feature}; install one {newer}pip install -U Pillow"

    def build(self, threads: int) -> WorkingCoder:
        """The working coder; only where `missing` is None."""
        Image.init()  # else formats beyond the common ones are unknown
        options = self.options
        if self.threaded:
            options += f", {threads} thread{'s' if threads > 1 else ''}"
        coder = Coder(
            name=self.name,
            label=self.label,
            family=self.family,
            options=options,
            version=library_version(self.format),
            parameter=self.parameter,
            lossless=self.lossless,
        )
        return WorkingCoder(
            coder=coder,
            settings=self.settings,
            range=self.range,
            encode=partial(_encode, self, threads),
            decode=partial(decode, self.format, threads),
        )


def _encode(codec: PillowCodec, threads: int, pixels: Pixels, setting: float) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, codec.format, **codec.save(setting, threads))
    return buffer.getvalue()


def decode(format_name: str, threads: int, data: bytes) -> Pixels:
    """The RGB pixels (H, W, 3) of a file of this format.

    The format's own reader, not Image.open: that one would ask every other format first, and refuse large pictures.
    """
    _decoder_threads(format_name, threads)
    factory, _ = Image.OPEN[format_name]
    with factory(io.BytesIO(data), "") as image:
        return np.asarray(image.convert("RGB"))


def _decoder_threads(format_name: str, threads: int) -> None:
    """Both plugins take the number of a decoder's threads from a global alone."""
    if format_name == "AVIF":
        from PIL import AvifImagePlugin

        AvifImagePlugin.DEFAULT_MAX_THREADS = threads
    elif format_name == "JXL":
        from pillow_jxl import JpegXLImagePlugin

        JpegXLImagePlugin.DECODE_THREADS = _jxl_threads(threads)


def _jxl_threads(threads: int) -> int:
    """As the plugin counts: 0 is no thread beside the caller's."""
    return 0 if threads == 1 else threads


def _has_jxl() -> bool:
    try:
        import_module("pillow_jxl")  # which also registers the format with Pillow
    except ImportError:
        return False
    return True


def library_version(format_name: str) -> str:
    """The library behind a format and its version, for instance `libavif 1.4.2 (dav1d 1.5.3, aom 3.14.1)`."""
    if format_name == "AVIF":
        from PIL import _avif  # the only place that knows libaom's version

        inner = re.sub(r" \[\w+\]:v?([^-, ]*)[^, ]*", r" \1", _avif.codec_versions())
        return f"libavif {features.version('avif')} ({inner})"
    if format_name == "JXL":
        return _jxl_version()
    if format_name == "JPEG":
        turbo = features.version_feature("libjpeg_turbo")
        return f"libjpeg-turbo {turbo}" if turbo else f"libjpeg {features.version('jpg')}"
    library = {"WEBP": "libwebp", "JPEG2000": "OpenJPEG", "TIFF": "libtiff"}[format_name]
    return f"{library} {features.version(_FEATURES[format_name])}"


def _jxl_version() -> str:
    """The plugin's version, and libjxl's from the bill of materials in its wheel: neither tells it at run time."""
    plugin = metadata.distribution("pillow-jxl-plugin")
    name = f"pillow-jxl-plugin {plugin.version}"
    for file in plugin.files or ():
        if file.name.endswith(".cyclonedx.json"):
            found = re.search(r"libjxl-(\d+(?:\.\d+)+)", file.read_text(encoding="utf-8"))
            if found:
                return f"{name} (libjxl {found[1]})"
    return name


def _jpeg(subsampling: str, setting: float, threads: int) -> SaveOptions:
    return {"quality": round(setting), "subsampling": subsampling, "optimize": True, "progressive": True}


def _webp(setting: float, threads: int) -> SaveOptions:
    return {"quality": setting, "method": 6}


def _avif(subsampling: str, speed: int, tune: str | None, setting: float, threads: int) -> SaveOptions:
    advanced: SaveOptions = {} if tune is None else {"advanced": {"tune": tune}}
    return {
        "quality": round(setting),
        "subsampling": subsampling,
        "speed": speed,
        "max_threads": threads,
        **advanced,
    }


def _jxl(setting: float, threads: int) -> SaveOptions:
    return {"quality": setting, "effort": 7, "num_threads": _jxl_threads(threads)}


def _jpeg2000(setting: float, threads: int) -> SaveOptions:
    ratio = _RGB_BITS / setting
    return {"quality_mode": "rates", "quality_layers": [ratio], "irreversible": True, "mct": 1}


def _tiff(compression: str, setting: float, threads: int) -> SaveOptions:
    return {"compression": compression, "tiffinfo": {_TIFF_PREDICTOR: 2}}


_FEATURES = {"JPEG": "jpg", "WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000", "TIFF": "libtiff"}

FAST_SPEED = 7
"""The speed of AVIF's encoder that is nearest to narrows' own; `narrows compare` times both side by side."""

PILLOW_CODECS = (
    PillowCodec(
        name="jpeg420",
        label="JPEG 4:2:0",
        family="jpeg",
        options="optimised, progressive",
        format="JPEG",
        settings=_JPEG_SETTINGS,
        range=SettingRange(low=1, high=100),
        save=partial(_jpeg, "4:2:0"),
    ),
    PillowCodec(
        name="jpeg444",
        label="JPEG 4:4:4",
        family="jpeg",
        options="optimised, progressive",
        format="JPEG",
        settings=_JPEG_SETTINGS,
        range=SettingRange(low=1, high=100),
        save=partial(_jpeg, "4:4:4"),
    ),
    PillowCodec(
        name="webp",
        label="WebP",
        family="webp",
        options="method 6",
        format="WEBP",
        settings=(1.0, 6.0, 15.0, 30.0, 50.0, 70.0, 80.0, 88.0, 93.0, 97.0),
        range=SettingRange(low=0, high=100),
        save=_webp,
    ),
    PillowCodec(
        name="avif420",
        label="AVIF",
        family="avif",
        options="4:2:0, speed 6 (Pillow's default)",
        format="AVIF",
        settings=_AVIF_SETTINGS,
        range=SettingRange(low=0, high=99),  # 100 is another mode: the quantiser of lossless files
        save=partial(_avif, "4:2:0", 6, None),
        threaded=True,
    ),
    PillowCodec(
        name="avif444",
        label="AVIF 4:4:4 for PSNR",
        family="avif",
        options="4:4:4, speed 4, tune=psnr",
        format="AVIF",
        settings=(7.0, 14.0, 22.0, 32.0, 42.0, 54.0, 68.0, 85.0),  # the slowest coder: eight points are enough
        range=SettingRange(low=0, high=99),
        save=partial(_avif, "4:4:4", 4, "psnr"),
        threaded=True,
    ),
    PillowCodec(
        name="avif420-fast",
        label=f"AVIF speed {FAST_SPEED}",
        family="avif",
        options=f"4:2:0, speed {FAST_SPEED}",
        format="AVIF",
        settings=_AVIF_SETTINGS,
        range=SettingRange(low=0, high=99),
        save=partial(_avif, "4:2:0", FAST_SPEED, None),
        threaded=True,
    ),
    PillowCodec(
        name="jxl",
        label="JPEG XL",
        family="jxl",
        options="effort 7; below quality 20 libjxl itself codes a picture of half the size",
        format="JXL",
        # Hence only one setting there: several decibels are lost at once.
        settings=(8.0, 20.0, 30.0, 42.0, 55.0, 70.0, 80.0, 88.0, 93.0, 96.0),
        range=SettingRange(low=0, high=99.5, step=0.5),  # 100 is lossless
        save=_jxl,
    ),
    PillowCodec(
        name="jpeg2000",
        label="JPEG 2000",
        family="jpeg2000",
        options="9/7 wavelet, colour transform",
        format="JPEG2000",
        settings=(0.1, 0.15, 0.22, 0.32, 0.48, 0.7, 1.0, 1.4, 1.9, 2.5),
        range=SettingRange(low=0.02, high=16, step=0.005),
        save=_jpeg2000,
        parameter="bits per pixel aimed at",
    ),
    PillowCodec(
        name="tiff-lzw",
        label="TIFF LZW",
        family="tiff",
        options="horizontal predictor",
        format="TIFF",
        settings=(0.0,),
        range=SettingRange(low=0, high=0),
        save=partial(_tiff, "tiff_lzw"),
        parameter="none",
        lossless=True,
    ),
    PillowCodec(
        name="tiff-deflate",
        label="TIFF Deflate",
        family="tiff",
        options="horizontal predictor",
        format="TIFF",
        settings=(0.0,),
        range=SettingRange(low=0, high=0),
        save=partial(_tiff, "tiff_adobe_deflate"),
        parameter="none",
        lossless=True,
    ),
)
"""In the order of the reports."""
