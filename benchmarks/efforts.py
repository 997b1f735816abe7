"""What each effort costs and brings: python benchmarks/efforts.py PHOTO|FOLDER ... [-o docs/results/efforts.md]

Every picture is encoded at each effort and quality, decoded by a separate call, and its bytes and scores are noted in
the CSV beside the page, from which a later call goes on. Time is of the processor, all threads together, so that it can
be compared between runs on a shared machine. BD-rates are against effort 5, of the means over the pictures. Decoding is
the same for all. Needs the [lab] and [compare] extras.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
from tqdm import tqdm

from narrows.codec import Codec
from narrows.compare.curves import Curve, bd_rate
from narrows.compare.metrics import Reference, decibels
from narrows.compare.pictures import find_pictures

EFFORTS = (0, 5, 6, 7, 8, 9)
ANCHOR = 5
SCORES = {"psnr_db": "PSNR", "ms_ssim_db": "MS-SSIM", "ssimulacra2": "SSIMULACRA 2"}
QUALITIES = (5.0, 20.0, 35.0, 50.0, 65.0, 80.0, 95.0)


@dataclass(frozen=True, kw_only=True)
class Coded:
    """One picture at one effort and quality."""

    profile: str
    picture: str
    pixels: int
    effort: int
    quality: float
    bytes: int
    psnr_db: float
    ms_ssim_db: float | None
    ssimulacra2: float | None
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="+")
    parser.add_argument("-p", "--profile", default="default")
    parser.add_argument("--efforts", type=int, nargs="+", default=EFFORTS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/results/efforts.md"))
    arguments = parser.parse_args()
    codec = Codec(arguments.profile, threads=arguments.threads)
    table = arguments.output.with_suffix(".csv")
    rows = list(measured(codec, arguments.pictures, sorted({ANCHOR, *arguments.efforts}), table))
    text = "\n".join(page(codec, rows)) + "\n"
    arguments.output.write_text(text, encoding="utf-8")
    print(text)


def measured(codec: Codec, inputs: Sequence[str], efforts: Sequence[int], table: Path) -> Iterator[Coded]:
    """Every row that is asked for, those that are missing measured now and added to the table."""
    known = {_key(row): row for row in _read(table)}
    profile = codec.profile.digest.hex()[:8]
    pictures = find_pictures(inputs).pictures
    wanted = [(picture, effort, quality) for picture in pictures for effort in efforts for quality in QUALITIES]
    if not table.exists():
        table.write_text(",".join(field.name for field in fields(Coded)) + "\n", encoding="utf-8")
    name, reference = "", None
    for picture, effort, quality in tqdm(wanted, unit="file", disable=None):
        key = (profile, picture.record.name, effort, quality)
        if key not in known:
            pixels = picture.load()
            if reference is None or name != picture.record.name:
                name, reference = picture.record.name, Reference(pixels)
            begun = time.process_time()
            data = codec.encode(pixels, quality=quality, effort=effort)
            seconds = time.process_time() - begun
            scores = reference.scores(np.asarray(codec.decode(data)))
            known[key] = Coded(
                profile=profile, picture=picture.record.name, pixels=pixels.shape[0] * pixels.shape[1], effort=effort,
                quality=quality, bytes=len(data), psnr_db=round(scores.psnr_db, 4),
                ms_ssim_db=None if scores.ms_ssim is None else round(decibels(scores.ms_ssim), 4),
                ssimulacra2=None if scores.ssimulacra2 is None else round(scores.ssimulacra2, 4),
                seconds=round(seconds, 3),
            )  # fmt: skip
            with table.open("a", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerow(astuple(known[key]))
        yield known[key]


def page(codec: Codec, rows: Sequence[Coded]) -> Iterator[str]:
    """The page's lines."""
    manifest, names = codec.profile.manifest, {row.picture for row in rows}
    yield from ("# Efforts of the encoder", "")
    yield (
        f"Made by `python benchmarks/efforts.py FOLDER`: profile {manifest.name} {manifest.version}, {len(names)} "
        f"pictures, qualities {', '.join(f'{quality:g}' for quality in QUALITIES)}, {len(rows)} files. BD-rates "
        "against effort 5 (akima); processor seconds a megapixel, median over the files. Decoding is the same for all."
    )
    scores = [score for score in SCORES if all(getattr(row, score) is not None for row in rows)]
    yield from ("", f"| effort | {' | '.join(map(SCORES.__getitem__, scores))} | seconds a megapixel |")
    yield f"| --- |{' ---: |' * (len(scores) + 1)}"
    anchors = [_curve(ANCHOR, rows, score) for score in scores]
    for effort in sorted({row.effort for row in rows}):
        curves = anchors if effort == ANCHOR else [_curve(effort, rows, score) for score in scores]
        changes = [_change(anchor, curve) for anchor, curve in zip(anchors, curves, strict=True)]
        seconds = np.median([1e6 * row.seconds / row.pixels for row in rows if row.effort == effort])
        yield f"| {effort} | {' | '.join(changes)} | {seconds:.2f} |"


def _change(anchor: Curve, curve: Curve) -> str:
    if curve is anchor:
        return "–"
    rate = bd_rate(anchor, curve).value
    return "no overlap" if rate is None else f"{rate:+.2f} %"


def _curve(effort: int, rows: Sequence[Coded], score: str) -> Curve:
    """Mean bits per pixel and mean score of the pictures at each quality."""
    groups = [[row for row in rows if row.effort == effort and row.quality == quality] for quality in QUALITIES]
    return Curve(
        coder=str(effort),
        label=f"effort {effort}",
        settings=QUALITIES,
        rate_bpp=tuple(float(np.mean([8 * row.bytes / row.pixels for row in group])) for group in groups),
        quality=tuple(float(np.mean([getattr(row, score) for row in group])) for group in groups),
    )


def _key(row: Coded) -> tuple[str, str, int, float]:
    return row.profile, row.picture, row.effort, row.quality


def _read(table: Path) -> Iterator[Coded]:
    if not table.exists():
        return
    with table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield Coded(
                profile=row["profile"], picture=row["picture"], pixels=int(row["pixels"]), effort=int(row["effort"]),
                quality=float(row["quality"]), bytes=int(row["bytes"]), psnr_db=float(row["psnr_db"]),
                ms_ssim_db=float(row["ms_ssim_db"]) if row["ms_ssim_db"] else None,
                ssimulacra2=float(row["ssimulacra2"]) if row["ssimulacra2"] else None, seconds=float(row["seconds"]),
            )  # fmt: skip


if __name__ == "__main__":
    main()
