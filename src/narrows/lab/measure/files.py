"""Real files of a profile: written by narrows.Codec, weighed on the disk, decoded by another process from them alone.

There are two ways:

code_sheet   all pictures as one mosaic, one file a quality       what a picture costs among many
code_each    one file a picture and quality                       what it costs alone, header and all

A profile's own size is not in the rate; `decoder_bytes` gives it, to stand beside it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
import onnx

from narrows.codec import Codec
from narrows.errors import NarrowsError, OptionError
from narrows.lab.graphs import WEIGHTS_FILE
from narrows.lab.measure.arrays import Pictures, picture_pixels, require_pictures
from narrows.lab.measure.sheets import from_sheet, to_sheet
from narrows.profiles import MANIFEST

FileRule = Literal["sheet", "each"]

CHECKED = 8
"""Files of the first quality that are decoded in this process as well: both must give the same pixels, bit for bit."""
_ENCODER_ONLY = ("analysis.onnx", "quantise.onnx")


@dataclass(frozen=True, kw_only=True, eq=False)
class Coded:
    """Pictures coded at one quality: `bytes` are those of all files on the disk, `bpp` is per position of a picture.

    `quality` is the profile's index, `decoded` (N, H, W) or (N, H, W, 3) uint8, `files` what was written.
    """

    profile: str
    quality: int
    rule: FileRule
    bytes: int
    pictures: int
    bpp: float
    decoded: Pictures
    files: tuple[Path, ...]


def code_sheet(
    profile: Path, pictures: Pictures, *, folder: Path, qualities: Sequence[int] | None = None,
    threads: int | None = None,
) -> list[Coded]:  # fmt: skip
    """All pictures in one file for each quality index (None: all of the profile), as folder/sheet-Q.nrws.

    The mosaic's pitch is the profile's stride. The pixels of a map's neighbours reach over into a picture by the
    network's halo, so maps are judged by `code_each`; cells know nothing of each other. OptionError for an unknown
    quality or grey profile and colour pictures, NarrowsError if the other process fails or decodes other pixels.
    """
    require_pictures(pictures)
    codec = Codec(profile, threads=threads)
    sheet = to_sheet(pictures, codec.profile.manifest.latent_stride)
    folder.mkdir(parents=True, exist_ok=True)
    chosen = _chosen(codec, qualities)
    files = [_write(codec, sheet.pixels, quality, folder / f"sheet-{quality}.nrws") for quality in chosen]
    mosaics = _decode_elsewhere(profile, files, threads)
    _require_same(codec, files[:1], mosaics)
    return [
        _coded(codec, quality, "sheet", [file], from_sheet(mosaic, sheet.layout))
        for quality, file, mosaic in zip(chosen, files, mosaics, strict=True)
    ]


def code_each(
    profile: Path, pictures: Pictures, *, folder: Path, qualities: Sequence[int] | None = None,
    limit: int | None = None, threads: int | None = None,
) -> list[Coded]:  # fmt: skip
    """One file for each of the first `limit` pictures (None: all), as folder/each-Q/N.nrws; errors as code_sheet.

    One process decodes all of them.
    """
    require_pictures(pictures)
    if limit is not None and limit < 1:
        raise OptionError(f"limit is {limit}, it must be at least 1, or None for all pictures")
    codec = Codec(profile, threads=threads)
    taken = pictures[:limit]
    result: list[Coded] = []
    for quality in _chosen(codec, qualities):
        inside = folder / f"each-{quality}"
        inside.mkdir(parents=True, exist_ok=True)
        files = [_write(codec, picture, quality, inside / f"{n}.nrws") for n, picture in enumerate(taken)]
        decoded = _decode_elsewhere(profile, files, threads)
        if not result:
            _require_same(codec, files[:CHECKED], decoded)
        result.append(_coded(codec, quality, "each", files, decoded))
    return result


def decoder_bytes(profile: Path) -> int:
    """Bytes of a profile's files that a decoder needs: without the encoder's graphs and the weights that only they use.

    It is not counted in any rate and stands beside it.
    """
    manifest = Codec(profile).profile.manifest
    needed: set[tuple[int, int]] = set()
    encoder: set[tuple[int, int]] = set()
    for name in manifest.graph_inputs():
        (encoder if name in _ENCODER_ONLY else needed).update(_weights(profile / name))
    spared = sum(length for _, length in encoder - needed)
    return shipped_bytes(profile) - spared - sum((profile / name).stat().st_size for name in _ENCODER_ONLY)


def shipped_bytes(profile: Path) -> int:
    """Bytes of all of a profile's files, encoder and decoder: what somebody downloads."""
    manifest = Codec(profile).profile.manifest
    return sum((profile / name).stat().st_size for name in (*manifest.files, MANIFEST))


def _weights(graph: Path) -> Iterable[tuple[int, int]]:
    """Offset and length of each tensor of the weights' file that a graph points to."""
    for tensor in onnx.load(graph, load_external_data=False).graph.initializer:
        where = {entry.key: entry.value for entry in tensor.external_data}
        if where.get("location") == WEIGHTS_FILE:
            yield int(where["offset"]), int(where["length"])


def _chosen(codec: Codec, qualities: Sequence[int] | None) -> list[int]:
    count = codec.profile.manifest.qualities
    chosen = list(range(count)) if qualities is None else list(qualities)
    if not chosen or not all(0 <= quality < count for quality in chosen):
        raise OptionError(f"quality indices {chosen} must be from 0 to {count - 1}, at least one")
    return chosen


def _write(codec: Codec, pixels: Pictures, quality: int, file: Path) -> Path:
    """One file at exactly this quality index, which is this share of the codec's 0..100."""
    file.write_bytes(codec.encode(pixels, quality=100 * quality / max(codec.profile.manifest.qualities - 1, 1)))
    return file


def _coded(codec: Codec, quality: int, rule: FileRule, files: list[Path], decoded: Pictures) -> Coded:
    total = sum(file.stat().st_size for file in files)
    return Coded(
        profile=codec.profile.manifest.name,
        quality=quality,
        rule=rule,
        bytes=total,
        pictures=len(decoded),
        bpp=8 * total / (len(decoded) * picture_pixels(decoded)),
        decoded=decoded,
        files=tuple(files),
    )


def _require_same(codec: Codec, files: list[Path], decoded: Pictures) -> None:
    for file, there in zip(files, decoded, strict=False):
        if not np.array_equal(np.asarray(codec.decode(file)), there):
            raise NarrowsError("another process decodes other pixels from it than this one", source=str(file))


def _decode_elsewhere(profile: Path, files: list[Path], threads: int | None) -> Pictures:
    """The pictures of files of one size, (N, H, W) or (N, H, W, 3), decoded by one other process."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "decoded.npy"
        command = [sys.executable, "-m", "narrows.lab.measure.decoding", str(profile), str(result), str(threads or 0)]
        names = "\n".join(str(file) for file in files)
        done = subprocess.run(command, input=names, capture_output=True, encoding="utf-8", check=False)
        if done.returncode:
            said = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
            raise NarrowsError(f"the process that decodes failed: {said[0]}")
        return cast(Pictures, np.load(result))
