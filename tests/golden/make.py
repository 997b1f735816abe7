"""Make golden files that do not exist yet: python tests/golden/make.py

A golden file is never made again: later releases must read the old ones. For every NAME.nrws there are NAME.json, with
the SHA-256 of its integers (symbols, then z_hat, strip after strip, as little-endian int32), and NAME.png, its pixels.

    here    a profile of schema 1: the recipe `tiny` of narrows.lab after 300 steps, when it had no side net
    v3      a profile of schema 2: the same recipe with one, after 300 steps and 300 of the side net alone, which
            brings centres and shifts that are not 0:
            narrows lab train tiny --photos PHOTOS --steps 300 --limit 400 -o RUN
            narrows lab train tiny --photos PHOTOS --steps 300 --limit 400 -o SIDE --init RUN --stage side --rate 0.01
            narrows lab export SIDE -o tests/golden/v3/profile --photos PHOTOS --dead-zone 0.5 --samples 300 --limit 400
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from narrows import Codec, Limits, container
from narrows.container import Container
from narrows.tiles import Box, padded, strips

HERE = Path(__file__).parent
SETS = (HERE, HERE / "v3")
"""The folders of golden files, each with the folder of its profile."""

Integers = list[tuple[NDArray[np.int32], NDArray[np.int32]]]


def scene(width: int, height: int) -> NDArray[np.uint8]:
    """Soft colours, edges, a fine checkerboard and noise, in arithmetic that no library decides."""
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    red = 40 + x * 180 // max(width - 1, 1)
    green = 255 - y * 200 // max(height - 1, 1)
    blue = (x * x + y * y) // max(width, 1) % 256
    picture = np.stack([red, green, blue], -1)
    picture[(x // 11 + y // 17) % 5 == 0] = (230, 60, 30)
    board = (x < width // 5) & (y < height // 4)
    picture[board] = (((x + y) % 2) * 255)[board, None]
    noise = (x * 7919 + y * 104729 + x * y * 31) % 64 - 32
    patch = (x > width * 3 // 4) & (y > height * 2 // 3)
    picture[patch] += noise[patch, None]
    return np.clip(picture, 0, 255).astype(np.uint8)


def wanted() -> Iterator[tuple[str, Image.Image, float]]:
    """(name, picture, quality) of every golden file."""
    yield "rgb-low", Image.fromarray(scene(100, 70)), 0
    yield "rgb-middle", Image.fromarray(scene(192, 128)), 60
    yield "rgb-high", Image.fromarray(scene(129, 65)), 100
    yield "rgb-1x1", Image.fromarray(scene(1, 1)), 50
    yield "rgb-1xn", Image.fromarray(scene(1, 90)), 50
    yield "rgb-two-strips", Image.fromarray(scene(20, 1100)), 40
    yield "grey", Image.fromarray(scene(80, 60)).convert("L"), 70
    rgba = Image.fromarray(scene(90, 64)).convert("RGBA")
    rgba.putalpha(Image.fromarray(scene(90, 64)[:, :, 2]))
    yield "rgba", rgba, 70
    la = Image.merge("LA", (Image.fromarray(scene(33, 47)[:, :, 0]), Image.fromarray(scene(33, 47)[:, :, 1])))
    yield "grey-alpha", la, 30
    tagged = Image.fromarray(scene(64, 64))
    tagged.info = {
        "icc_profile": b"not a real ICC profile",
        "exif": b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x00\x00",
        "xmp": b"<x/>",
    }
    yield "metadata", tagged, 20
    loud = (scene(64, 64).astype(np.int64) * 97 % 256).astype(np.uint8)
    yield "noise", Image.fromarray(loud), 100


def integers_of(codec: Codec, file: Container) -> Integers:
    """(symbols, z_hat) of every strip."""
    unit = codec.profile.manifest.hyper_stride
    bounds = Box(top=0, bottom=padded(file.height, unit), left=0, right=padded(file.width, unit))
    result = []
    for strip, box in zip(file.strips, strips(bounds), strict=True):
        symbols, z_hat = codec.read_symbols(strip, box, file.quality)
        assert z_hat is not None
        result.append((symbols[0], z_hat[0]))
    return result


def digest_of(integers: Integers) -> str:
    digest = hashlib.sha256()
    for pair in integers:
        for array in pair:
            digest.update(np.ascontiguousarray(array, "<i4").tobytes())
    return digest.hexdigest()


def main() -> None:
    for folder in SETS:
        codec = Codec(folder / "profile", threads=1)
        for name, picture, quality in wanted():
            path = folder / f"{name}.nrws"
            if not path.exists():
                _make(codec, path, picture, quality)


def _make(codec: Codec, path: Path, picture: Image.Image, quality: float) -> None:
    data = codec.encode(picture, quality=quality)
    path.write_bytes(data)
    record = {"integers": digest_of(integers_of(codec, container.read(data, Limits())))}
    path.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
    Image.fromarray(np.asarray(codec.decode(data))).save(path.with_suffix(".png"))
    sys.stdout.write(f"{path.relative_to(HERE)}: {len(data)} bytes\n")


if __name__ == "__main__":
    main()
