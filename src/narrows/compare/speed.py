"""How fast the coders are, side by side: one process, the same threads for all, in turn, from and to memory.

Every round encodes and decodes every picture with every coder, picture by picture, so that other work on the machine
disturbs all alike; the first rounds warm up and do not count. A figure is the median over the rounds, a ratio the
median of the rounds' own ratios. Each coder runs at the setting that comes nearest to one PSNR for all.
"""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from narrows.compare import codecs, memory
from narrows.compare.codecs import WorkingCoder
from narrows.compare.narrows_coder import is_narrows
from narrows.compare.pictures import SourcePicture
from narrows.compare.records import Pixels, Point, Speed, SpeedReport
from narrows.errors import OptionError
from narrows.runtime import default_threads
from narrows.search import psnr_db

REFERENCE = "avif420"
MIN_ROUNDS = 5
MAX_PICTURES = 6
MAX_PIXELS = 2_000_000
"""A larger picture is cut to its middle: the slowest encoders take seconds a megapixel."""

_COLD_STARTS = 7
_HIGHEST_DB = 99.0  # stands for the infinite PSNR of an exact copy

T = TypeVar("T")
Progress: TypeAlias = Callable[[int, int], None]


def measure_speed(
    pictures: Sequence[SourcePicture],
    names: Sequence[str],
    points: Sequence[Point],
    *,
    threads: int | None = None,
    effort: int = 5,
    rounds: int = MIN_ROUNDS,
    seconds: float = 90.0,
    progress: Progress | None = None,
) -> SpeedReport:
    """Time all coders on up to six of the pictures, spread evenly.

    names    the coders; ratios are to AVIF, or to the first one where that is not among them
    points   of these coders, from survey: they say which setting reaches the common PSNR
    threads  for one call of a coder that can use them; None for all cores
    rounds   that count, at least 5
    seconds  about how long all rounds may take: fewer pictures are timed where six would take longer, at least one

    OptionError for a value out of range; else what a coder raises.
    """
    if rounds < MIN_ROUNDS:
        raise OptionError(f"rounds is {rounds}, it must be at least {MIN_ROUNDS}")
    if not pictures or not names:
        raise OptionError("the speed of no coder, or on no picture, cannot be measured")
    threads = default_threads() if threads is None else threads
    coders = [codecs.build(name, threads=threads, effort=effort) for name in names]
    settings = common_settings(coders, points)
    contest = _Contest(coders, settings)
    samples = [_middle(pictures[place].load()) for place in _spread(len(pictures), MAX_PICTURES)]
    samples = samples[: contest.affordable(samples, seconds / (rounds + 1))]
    times, bpp, quality_db = contest.rounds(samples, rounds, progress)
    megapixels = sum(_megapixels(pixels) for pixels in samples)
    reference = names.index(REFERENCE) if REFERENCE in names else 0
    largest = max(samples, key=lambda pixels: pixels.size)
    peaks = memory.peaks_mib(
        largest,
        [memory.Job(coder=name, setting=setting) for name, setting in zip(names, settings, strict=True)],
        threads=threads,
        effort=effort,
        at_once=default_threads(),
    )
    speeds = []
    for place, name in enumerate(names):
        encode, decode = np.median(megapixels / times[:, place], axis=0)
        encode_ratio, decode_ratio = np.median(times[:, reference] / times[:, place], axis=0)
        peak = peaks[name]
        speeds.append(
            Speed(
                coder=name,
                setting=settings[place],
                bpp=float(bpp[place]),
                psnr_db=float(quality_db[place]),
                encode_mps=float(encode),
                decode_mps=float(decode),
                encode_ratio=float(encode_ratio),
                decode_ratio=float(decode_ratio),
                encode_memory_mib=None if peak is None else peak[0],
                decode_memory_mib=None if peak is None else peak[1],
            )
        )
    return SpeedReport(
        processor=processor(),
        cores=default_threads(),
        threads=threads,
        rounds=rounds,
        pictures=len(samples),
        megapixels=megapixels,
        memory_megapixels=_megapixels(largest),
        load_average=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        reference=names[reference],
        speeds=tuple(speeds),
        cold_start_s=_cold_start(coders, settings, samples[0]),
    )


def common_settings(coders: Sequence[WorkingCoder], points: Sequence[Point]) -> list[float]:
    """For each coder the setting nearest to one mean PSNR: the first lossy coder's at its middle setting.

    Where some curve does not reach so far, the nearest PSNR that all reach. Between measured settings the PSNR is taken
    as a straight line. A coder without points runs at its middle setting.
    """
    curves = {coder.coder.name: _mean_psnr(coder, points) for coder in coders if not coder.coder.lossless}
    curves = {name: curve for name, curve in curves.items() if curve}
    if not curves:
        return [coder.settings[len(coder.settings) // 2] for coder in coders]
    first = next(iter(curves.values()))
    target = first[len(first) // 2][1]
    lowest = max(curve[0][1] for curve in curves.values())
    highest = min(curve[-1][1] for curve in curves.values())
    if lowest <= highest:
        target = min(max(target, lowest), highest)
    return [_setting_at(coder, curves.get(coder.coder.name), target) for coder in coders]


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


class _Contest:
    """The coders in turn, each at its setting."""

    def __init__(self, coders: Sequence[WorkingCoder], settings: Sequence[float]) -> None:
        self._entries = list(zip(coders, settings, strict=True))

    def affordable(self, samples: Sequence[Pixels], seconds: float) -> int:
        """How many of the samples, from the first on, one round of so many seconds can take; at least one."""
        self._turn(samples[0])  # loads the networks, the plugins and the tables
        _, took = _timed(lambda: self._turn(samples[0]))
        pace = took / samples[0].size
        sizes = np.cumsum([pixels.size for pixels in samples])
        return max(1, int(np.searchsorted(sizes * pace, seconds, side="right")))

    def rounds(
        self, samples: Sequence[Pixels], rounds: int, progress: Progress | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Seconds (rounds, coders, 2) of encoding and decoding all samples; mean bits per pixel and PSNR by coder."""
        seconds = np.zeros((rounds + 1, len(self._entries), 2))
        sizes = np.zeros((len(samples), len(self._entries)))
        qualities = np.zeros_like(sizes)
        for number in range(rounds + 1):
            for place, pixels in enumerate(samples):
                if progress is not None:
                    progress(number * len(samples) + place, (rounds + 1) * len(samples))
                took, files, decoded = self._turn(pixels)
                seconds[number] += took
                sizes[place] = [8 * len(file) / (pixels.size / 3) for file in files]
                qualities[place] = [psnr_db(pixels, picture) for picture in decoded]
        if progress is not None:
            progress((rounds + 1) * len(samples), (rounds + 1) * len(samples))
        return seconds[1:], sizes.mean(axis=0), qualities.mean(axis=0)

    def _turn(self, pixels: Pixels) -> tuple[NDArray[np.float64], list[bytes], list[Pixels]]:
        """One picture through every coder: seconds (coders, 2), the files and what they decode to."""
        seconds = np.zeros((len(self._entries), 2))
        files, pictures = [], []
        for place, (coder, setting) in enumerate(self._entries):
            data, seconds[place, 0] = _timed(partial(coder.encode, pixels, setting))
            decoded, seconds[place, 1] = _timed(partial(coder.decode, data))
            files.append(data)
            pictures.append(decoded)
        return seconds, files, pictures


def _timed(action: Callable[[], T]) -> tuple[T, float]:
    """What an action returns, and its seconds by the clock on the wall."""
    start = time.perf_counter()
    result = action()
    return result, time.perf_counter() - start


def _mean_psnr(coder: WorkingCoder, points: Sequence[Point]) -> list[tuple[float, float]]:
    """(setting, mean PSNR over its pictures), both rising; an exact copy counts as 99 dB."""
    by_setting: dict[float, list[float]] = {}
    for point in points:
        if point.coder == coder.coder.name:
            by_setting.setdefault(point.setting, []).append(min(point.psnr_db, _HIGHEST_DB))
    curve: list[tuple[float, float]] = []
    for setting in sorted(by_setting):
        quality_db = statistics.fmean(by_setting[setting])
        if not curve or quality_db > curve[-1][1]:
            curve.append((setting, quality_db))
    return curve


def _setting_at(coder: WorkingCoder, curve: Sequence[tuple[float, float]] | None, target_db: float) -> float:
    if not curve:
        return coder.settings[len(coder.settings) // 2]
    settings, qualities = zip(*curve, strict=True)
    return coder.range.nearest(float(np.interp(target_db, qualities, settings)))


def _spread(available: int, wanted: int) -> list[int]:
    """Up to `wanted` places out of `available`, evenly spread."""
    number = min(available, wanted)
    return [place * available // number for place in range(number)]


def _middle(pixels: Pixels) -> Pixels:
    """The middle of a picture in its own proportions, of at most MAX_PIXELS pixels; the whole where that fits."""
    height, width, _ = pixels.shape
    if height * width <= MAX_PIXELS:
        return pixels
    scale = (MAX_PIXELS / (height * width)) ** 0.5
    rows = max(1, min(int(height * scale), MAX_PIXELS))
    columns = min(width, MAX_PIXELS // rows)
    top, left = (height - rows) // 2, (width - columns) // 2
    return np.ascontiguousarray(pixels[top : top + rows, left : left + columns])


def _megapixels(pixels: Pixels) -> float:
    return pixels.size / 3 / 1e6


def _cold_start(coders: Sequence[WorkingCoder], settings: Sequence[float], pixels: Pixels) -> float | None:
    """Median seconds of `narrows info FILE` as a new process; None if narrows is not among the coders."""
    ours = [pair for pair in zip(coders, settings, strict=True) if is_narrows(pair[0].coder.name)]
    if not ours:
        return None
    coder, setting = ours[0]
    script = shutil.which("narrows", path=str(Path(sys.executable).parent))
    command = [script] if script else [sys.executable, "-m", "narrows"]
    with tempfile.TemporaryDirectory(prefix="narrows-compare-") as folder:
        file = Path(folder, "picture.nrws")
        file.write_bytes(coder.encode(pixels, setting))
        run = [
            _timed(lambda: subprocess.run([*command, "info", str(file)], check=True, capture_output=True))[1]
            for _ in range(_COLD_STARTS)
        ]
    return statistics.median(run)
