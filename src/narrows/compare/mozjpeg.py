"""MozJPEG through the package imagecodecs, where that was built with it; Pillow's JPEG decoder reads its files."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from narrows.compare.pillow_codecs import decode
from narrows.compare.records import Coder, Pixels
from narrows.compare.working import SettingRange, WorkingCoder

NAME = "mozjpeg"


def missing() -> str | None:
    """Why it cannot run here, and what to do; None if it can."""
    try:
        import imagecodecs
    except ImportError:
        return "needs the package imagecodecs, built with MozJPEG: pip install imagecodecs"
    if not imagecodecs.MOZJPEG.available:
        return f"this imagecodecs {imagecodecs.__version__} was built without MozJPEG; install a build that has it"
    return None


def build(threads: int) -> WorkingCoder:
    """The working coder; only where `missing` gives None."""
    import imagecodecs

    Image.init()
    coder = Coder(
        name=NAME,
        label="MozJPEG 4:2:0",
        family="jpeg",
        options="optimised, progressive, trellis",
        version=str(imagecodecs.mozjpeg_version()),
    )
    return WorkingCoder(
        coder=coder,
        settings=(5.0, 10.0, 20.0, 35.0, 50.0, 65.0, 80.0, 90.0, 95.0, 97.0),
        range=SettingRange(low=1, high=100),
        encode=partial(_encode, imagecodecs),
        decode=partial(decode, "JPEG", threads),
    )


def _encode(imagecodecs: Any, pixels: Pixels, setting: float) -> bytes:
    data = imagecodecs.mozjpeg_encode(
        np.ascontiguousarray(pixels), level=round(setting), subsampling="420", optimize=True, progressive=True
    )
    return bytes(data)
