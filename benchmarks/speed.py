"""Speed of narrows beside AVIF in one process, profile loaded, codecs alternating, on the same threads.

    python benchmarks/speed.py ../shared/data/kodak

Every round encodes and decodes every picture with narrows and with AVIF (Pillow, 4:2:0, speed 6, at the quality nearest
in mean PSNR), picture by picture in turn, from and to memory; the first round warms up and does not count. A figure is
the median over the rounds of all pictures' megapixels by the round's seconds; a ratio is the median of the rounds' own
ratios, which other work on the machine disturbs less. The cold start is the time of `narrows info` as a process of its
own.
Writes docs/results/speed.md and speed.json.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from measure import Pixels, find_pictures, load_rgb, nearest_quality, psnr_db
from opponents import AVIF
from PIL import AvifImagePlugin, Image

import narrows

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
SPEED = 6
COLD_STARTS = 7

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One codec over the counted rounds, in megapixels a second."""

    encode_mps: float
    decode_mps: float
    bpp: float
    psnr_db: float


@dataclass(frozen=True, kw_only=True)
class Report:
    pictures: int
    megapixels: float
    threads: int
    rounds: int
    processor: str
    load_average: float
    profile: str
    quality: float
    effort: int
    avif_quality: int
    avif: str
    narrows: Timing
    opponent: Timing
    encode_ratio: float
    decode_ratio: float
    info_cold_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, metavar="FOLDER", help="a folder of pictures")
    parser.add_argument("-q", "--quality", type=float, default=50, help="narrows' quality (default: 50)")
    parser.add_argument("--effort", type=int, default=5)
    parser.add_argument("-p", "--profile", default="default")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count, at least 5 (default: 5)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results (default: docs/results)")
    options = parser.parse_args()
    if options.rounds < 5:
        raise SystemExit("speed: --rounds must be at least 5")
    pictures = [load_rgb(path) for path in find_pictures(options.pictures)]
    try:
        report = measure(
            pictures,
            quality=options.quality,
            effort=options.effort,
            profile=options.profile,
            threads=options.threads,
            rounds=options.rounds,
        )
    except narrows.NarrowsError as error:
        raise SystemExit(f"speed: {error}") from None
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "speed.json").write_text(json.dumps(asdict(report), indent=1) + "\n")
    text = describe(report, options.pictures.resolve().name)
    (options.out / "speed.md").write_text(text)
    print(text)


def measure(
    pictures: Sequence[Pixels], *, quality: float, effort: int, profile: str, threads: int, rounds: int
) -> Report:
    """Time both codecs; SystemExit if this Pillow has no AVIF."""
    if not AVIF.available:
        raise SystemExit("speed: this Pillow has no AVIF")
    AvifImagePlugin.DEFAULT_MAX_THREADS = threads  # Pillow's only way to say how many threads decode
    codec = narrows.Codec(profile, threads=threads)

    def narrows_encode(pixels: Pixels) -> bytes:
        return codec.encode(pixels, quality=quality, effort=effort)

    def narrows_decode(data: bytes) -> Pixels:
        return np.asarray(codec.decode(data))

    def avif_encode(pixels: Pixels, avif_quality: int) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "AVIF", quality=avif_quality, speed=SPEED, max_threads=threads)
        return buffer.getvalue()

    target = statistics.fmean(psnr_db(pixels, narrows_decode(narrows_encode(pixels))) for pixels in pictures)
    avif_quality = nearest_quality(
        lambda q: statistics.fmean(psnr_db(pixels, AVIF.decode(avif_encode(pixels, q))) for pixels in pictures),
        target,
        0,
        AVIF.highest,
    )

    seconds = np.zeros((rounds + 1, 4))  # narrows encode, decode, AVIF encode, decode
    sizes, qualities_db = np.zeros((len(pictures), 2)), np.zeros((len(pictures), 2))
    for number in range(rounds + 1):
        for place, pixels in enumerate(pictures):
            ours, took_0 = timed(lambda pixels=pixels: narrows_encode(pixels))
            ours_decoded, took_1 = timed(lambda ours=ours: narrows_decode(ours))
            theirs, took_2 = timed(lambda pixels=pixels: avif_encode(pixels, avif_quality))
            theirs_decoded, took_3 = timed(lambda theirs=theirs: AVIF.decode(theirs))
            seconds[number] += took_0, took_1, took_2, took_3
            sizes[place] = [8 * len(data) / (pixels.size / 3) for data in (ours, theirs)]
            qualities_db[place] = [psnr_db(pixels, decoded) for decoded in (ours_decoded, theirs_decoded)]
    counted = seconds[1:]
    megapixels = sum(pixels.size / 3 for pixels in pictures) / 1e6
    speeds = np.median(megapixels / counted, axis=0)
    bpp, means_db = sizes.mean(axis=0), qualities_db.mean(axis=0)
    return Report(
        pictures=len(pictures),
        megapixels=round(megapixels, 3),
        threads=threads,
        rounds=rounds,
        processor=processor(),
        load_average=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else -1.0,
        profile=f"{codec.profile.manifest.name} {codec.profile.digest.hex()[:8]}",
        quality=quality,
        effort=effort,
        avif_quality=avif_quality,
        avif=AVIF.version,
        narrows=Timing(encode_mps=speeds[0], decode_mps=speeds[1], bpp=bpp[0], psnr_db=means_db[0]),
        opponent=Timing(encode_mps=speeds[2], decode_mps=speeds[3], bpp=bpp[1], psnr_db=means_db[1]),
        encode_ratio=float(np.median(counted[:, 2] / counted[:, 0])),
        decode_ratio=float(np.median(counted[:, 3] / counted[:, 1])),
        info_cold_s=cold_info(narrows_encode(pictures[0])),
    )


def timed(action: Callable[[], T]) -> tuple[T, float]:
    """What an action returns, and its seconds by the clock on the wall."""
    start = time.perf_counter()
    result = action()
    return result, time.perf_counter() - start


def cold_info(data: bytes) -> float:
    """Median seconds of `narrows info FILE` as a new process."""
    script = shutil.which("narrows", path=str(Path(sys.executable).parent))
    command = [script] if script else [sys.executable, "-m", "narrows"]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "picture.nrws")
        file.write_bytes(data)
        run = [
            timed(lambda: subprocess.run([*command, "info", str(file)], check=True, capture_output=True))[1]
            for _ in range(COLD_STARTS)
        ]
    return statistics.median(run)


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def describe(report: Report, folder: str) -> str:
    """The report as Markdown."""
    ours, theirs = report.narrows, report.opponent
    return "\n".join(
        [
            "# Speed",
            "",
            f"`python benchmarks/speed.py FOLDER -q {report.quality:g} --effort {report.effort} "
            f"--threads {report.threads} --rounds {report.rounds}` on {folder}: "
            f"{report.pictures} pictures, {report.megapixels:.2f} megapixels, "
            f"{report.threads} threads, one process, profile {report.profile} loaded, codecs alternating, median of "
            f"{report.rounds} rounds after a warm-up. "
            f"{report.processor}, load average {report.load_average:g} at the end. "
            f"{report.avif}, 4:2:0, speed {SPEED}, quality {report.avif_quality}.",
            "",
            "| | bits per pixel | PSNR, dB | encode, megapixels/s | decode, megapixels/s |",
            "| --- | --- | --- | --- | --- |",
            f"| narrows | {ours.bpp:.3f} | {ours.psnr_db:.2f} | {ours.encode_mps:.2f} | {ours.decode_mps:.2f} |",
            f"| AVIF | {theirs.bpp:.3f} | {theirs.psnr_db:.2f} | {theirs.encode_mps:.2f} | {theirs.decode_mps:.2f} |",
            f"| narrows / AVIF | | | {report.encode_ratio:.2f} | {report.decode_ratio:.2f} |",
            "",
            f"`narrows info` as a new process: {report.info_cold_s:.2f} s (median of {COLD_STARTS}).",
            "",
        ]
    )


if __name__ == "__main__":
    main()
