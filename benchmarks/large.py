"""Large pictures: peak memory, seams and what a window costs, for docs/reliability.md.

    python benchmarks/large.py PHOTO [--megapixels 1 12 100] [--codecs narrows,avif420,jxl] [-o docs/results/large.md]

PHOTO is cut, or laid out again and again, mirrored, so that it fills pictures of as many megapixels, in the shape 3:2.

Memory: as `narrows compare` measures it. A fresh process for each direction codes an array of pixels that it holds
already; its peak, less what importing the packages took. Also the whole process of `narrows encode` and `narrows
decode`, from a JPEG file and to a PNG file.

Seams: the largest picture's middle, 3072 x 2048 pixels, decoded in tiles and as a single one.

Windows: squares in the middle of the largest picture, beside the whole of it; processor seconds, median of three.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from narrows import Codec, container, tiles
from narrows.compare import codecs
from narrows.compare.memory import Job, peaks_mib

QUALITY = 75.0
SETTINGS = {"narrows": QUALITY, "avif420": 65.0, "jxl": 85.0, "webp": 85.0, "jpeg420": 85.0}
"""Usual ones for photographs; memory hardly depends on them."""

WINDOWS = (64, 512, 1024, 2048)
_ROUNDS, _SEAM_SIDES = 3, (2048, 3072)

Pixels = NDArray[np.uint8]


def enlarged(photo: Pixels, megapixels: float) -> Pixels:
    """The photograph, mirrored on and on, as a picture of the shape 3:2."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    width = round(1.5 * height)
    pads = [(0, max(0, side - have)) for side, have in zip((height, width), photo.shape, strict=False)]
    return np.ascontiguousarray(np.pad(photo, (*pads, (0, 0)), mode="symmetric")[:height, :width])


def memory_rows(pictures: dict[float, Pixels], names: Sequence[str]) -> Iterator[str]:
    yield (
        "| megapixels | size | " + " | ".join(f"{name} {way}" for name in names for way in ("encode", "decode")) + " |"
    )
    yield "| --- | --- |" + " --- |" * 2 * len(names)
    for megapixels, pixels in pictures.items():
        jobs = [Job(coder=name, setting=SETTINGS[name]) for name in names]
        peaks = peaks_mib(pixels, jobs, threads=2, effort=5)
        cells = [f"{peak:.0f}" for name in names for peak in peaks[name] or (float("nan"),) * 2]
        yield f"| {megapixels:g} | {pixels.shape[1]} x {pixels.shape[0]} | " + " | ".join(cells) + " |"


def command_rows(pictures: dict[float, Pixels], folder: Path) -> Iterator[str]:
    """Peak of the command line's whole process, in MiB, and the bytes of the file."""
    yield "| megapixels | `narrows encode` a JPEG | `narrows decode` to PNG | bits per pixel |"
    yield "| --- | --- | --- | --- |"
    for megapixels, pixels in pictures.items():
        source, coded, back = (folder / f"{megapixels:g}{suffix}" for suffix in (".jpg", ".nrws", ".png"))
        Image.fromarray(pixels).save(source, quality=95)
        encode = _peak_of("encode", str(source), "-o", str(coded), "-q", f"{QUALITY:g}", "--force")
        decode = _peak_of("decode", str(coded), "-o", str(back), "--force")
        bpp = 8 * coded.stat().st_size / (pixels.shape[0] * pixels.shape[1])
        yield f"| {megapixels:g} | {encode:.0f} | {decode:.0f} | {bpp:.3f} |"


def _peak_of(*words: str) -> float:
    """MiB of resident memory that a process of the command line needed at most."""
    code = (
        "import sys; from narrows.cli.main import run; from narrows.compare.memory import peak_mib\n"
        "code = run(sys.argv[1:]); print(peak_mib()); sys.exit(code)"
    )
    command = [sys.executable, "-c", code, *words, "--quiet"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def seam_lines(pixels: Pixels, codec: Codec) -> Iterator[str]:
    """How far the tiled picture is from the untiled one, of one file."""
    top, left = ((have - side) // 2 for have, side in zip(pixels.shape, _SEAM_SIDES, strict=False))
    part = pixels[max(top, 0) :, max(left, 0) :][: _SEAM_SIDES[0], : _SEAM_SIDES[1]]
    data = codec.encode(part, quality=QUALITY)
    tiled = np.asarray(codec.decode(data)).astype(np.int16)
    limit = tiles.TILE_PIXELS
    try:
        tiles.TILE_PIXELS = part.size
        untiled = np.asarray(codec.decode(data)).astype(np.int16)
        whole = codec.encode(part, quality=QUALITY)
    finally:
        tiles.TILE_PIXELS = limit
    difference = np.abs(tiled - untiled)
    yield f"- decoded in tiles of {limit} pixels and as a single one: at most {difference.max()} level apart,"
    yield f"  {np.mean(difference > 0):.2e} of all samples differ"
    yield f"- encoded in tiles and as a single one: {len(data)} and {len(whole)} bytes"


def window_rows(pixels: Pixels, codec: Codec) -> Iterator[str]:
    data = codec.encode(pixels, quality=QUALITY)
    height, width = pixels.shape[:2]
    rows = container.strip_rows(width)
    whole = _seconds(partial(codec.decode, data))
    yield "| window | strips it crosses | processor seconds | share of the whole picture's |"
    yield "| --- | --- | --- | --- |"
    for side in (side for side in WINDOWS if side <= min(height, width)):
        region = ((width - side) // 2, (height - side) // 2, side, side)
        seconds = _seconds(partial(codec.decode, data, region))
        halo = codec.profile.manifest.synthesis_halo
        first, last = (region[1] - halo) // rows, (region[1] + side + halo - 1) // rows
        strips = last - first + 1
        yield f"| {side} x {side} | {strips} of {width} x {rows} | {seconds:.2f} | {seconds / whole:.1%} |"
    yield f"| {width} x {height} | {container.strip_count(width, height)} | {whole:.2f} | 100 % |"


def _seconds(call: Callable[[], object]) -> float:
    def once() -> float:
        begun = time.process_time()
        call()
        return time.process_time() - begun

    return statistics.median(once() for _ in range(_ROUNDS))


def page(pictures: dict[float, Pixels], names: Sequence[str]) -> Iterator[str]:
    """The page's lines; `pictures` by their megapixels, rising."""
    largest, codec = list(pictures.values())[-1], Codec(threads=2)
    yield from ("# Large pictures", "", f"Made by `python benchmarks/large.py PHOTO --codecs {','.join(names)}`.", "")
    yield from ("## Peak memory, MiB", "", ", ".join(f"{name} at {SETTINGS[name]:g}" for name in names) + ".", "")
    yield from memory_rows(pictures, names)
    yield from ("", "The whole process of the command line:", "")
    with tempfile.TemporaryDirectory(prefix="narrows-large-") as folder:
        yield from command_rows(pictures, Path(folder))
    yield from ("", "## Seams", "", *seam_lines(largest, codec), "", "## Windows", "")
    yield from window_rows(largest, codec)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[1, 12, 100])
    parser.add_argument("--codecs", default="narrows,avif420,jxl")
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/results/large.md"))
    arguments = parser.parse_args()
    names = codecs.expand(arguments.codecs)
    if not set(names) <= set(SETTINGS):
        parser.error(f"--codecs takes {', '.join(SETTINGS)}")
    with Image.open(arguments.photo) as image:
        photo = np.asarray(image.convert("RGB"))
    pictures = {megapixels: enlarged(photo, megapixels) for megapixels in sorted(arguments.megapixels)}
    with arguments.output.open("w", encoding="utf-8") as file:
        for line in page(pictures, names):
            print(line, flush=True)
            file.write(line + "\n")


if __name__ == "__main__":
    main()
