"""The other process of files.py: `python -m narrows.lab.measure.decoding PROFILE RESULT THREADS`, names on stdin.

It has nothing but the profile and the files: their pixels go to RESULT as one array (numpy's .npy). THREADS 0 is all.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from narrows.codec import Codec
from narrows.errors import NarrowsError


def main(profile: str, result: str, threads: str) -> None:
    """Decode every file; NarrowsError, with its name, for one that is damaged or of another size than the first."""
    codec = Codec(profile, threads=int(threads) or None)
    files = [Path(name) for name in sys.stdin.read().splitlines()]
    first = np.asarray(codec.decode(files[0]))
    pictures = np.empty((len(files), *first.shape), np.uint8)
    pictures[0] = first
    for index, file in enumerate(files[1:], 1):
        picture = np.asarray(codec.decode(file))
        if picture.shape != first.shape:
            raise NarrowsError(f"is {picture.shape}, {files[0]} is {first.shape}", source=str(file))
        pictures[index] = picture
    np.save(result, pictures)


if __name__ == "__main__":
    main(*sys.argv[1:])
