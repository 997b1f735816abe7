"""A photograph to compare on when nobody has named one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from narrows.errors import NarrowsError

NAME = "coffee"


def write_sample(folder: Path) -> Path:
    """Write scikit-image's cup of coffee (600 x 400, CC0, by Rachel Michetti) as a PNG file into the folder; its path.

    NarrowsError if scikit-image is not installed, OSError if the file cannot be written.
    """
    try:
        from skimage import data as skimage_data
    except ModuleNotFoundError as error:
        raise NarrowsError('--sample needs scikit-image; run: pip install "narrows[compare]"') from error
    data: Any = skimage_data  # without types
    path = folder / f"{NAME}.png"
    Image.fromarray(data.coffee()).save(path)
    return path
