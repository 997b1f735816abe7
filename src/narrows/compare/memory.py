"""Peak memory of coding one picture: of a fresh process for each direction, less what importing its packages takes.

The peak is VmHWM of /proc/self/status, which begins anew with the process. getrusage's ru_maxrss does not: it is
inherited through exec, so a child of a large process would report its parent. Where there is no /proc nothing is said.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
from PIL import Image

from narrows.compare import codecs
from narrows.compare.narrows_coder import is_narrows
from narrows.compare.records import Pixels
from narrows.errors import NarrowsError

_STATUS = Path("/proc/self/status")
_LAZY = {"jxl": ("pillow_jxl",), "mozjpeg": ("imagecodecs",)}
_TIMEOUT_S = 600


@dataclass(frozen=True, kw_only=True)
class Job:
    """A coder and the setting at which its memory is measured."""

    coder: str
    setting: float


def peaks_mib(
    pixels: Pixels, jobs: Sequence[Job], *, threads: int, effort: int, at_once: int = 1
) -> dict[str, tuple[float, float] | None]:
    """For each coder the peak of encoding and of decoding `pixels` in MiB; None where the system does not tell it.

    `at_once` processes run side by side, which changes no peak. NarrowsError if one fails.
    """
    if peak_mib() is None:
        return {job.coder: None for job in jobs}
    with tempfile.TemporaryDirectory(prefix="narrows-compare-") as folder, ThreadPoolExecutor(at_once) as pool:
        source = Path(folder, "picture.npy")
        np.save(source, pixels)

        def both(numbered: tuple[int, Job]) -> tuple[float, float]:
            number, job = numbered
            coded = Path(folder, f"coded-{number}")
            words = [job.coder, f"{job.setting!r}", str(threads), str(effort), str(source), str(coded)]
            return _run("encode", words), _run("decode", words)

        return dict(zip([job.coder for job in jobs], pool.map(both, enumerate(jobs)), strict=True))


def peak_mib() -> float | None:
    """The largest resident set that this process ever had, in MiB; None where the system does not tell it."""
    try:
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    peaks = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(peaks[0]) / 1024 if peaks else None


def _run(direction: str, words: Sequence[str]) -> float:
    command = [sys.executable, "-m", "narrows.compare.memory", direction, *words]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise NarrowsError(f"measuring the memory of {words[0]} failed: {last}")
    return float(done.stdout)


def main(words: Sequence[str]) -> None:
    """In the fresh process: code one picture in one direction, and print by how much that raised the peak."""
    direction, name, setting, threads, effort, source, coded = words
    _import_packages(name)
    before = peak_mib()
    working = codecs.build(name, threads=int(threads), effort=int(effort))
    if direction == "encode":
        Path(coded).write_bytes(working.encode(np.load(source), float(setting)))
    else:
        working.decode(Path(coded).read_bytes())
    after = peak_mib()
    if before is None or after is None:
        raise NarrowsError("this system does not tell a process's peak memory")
    sys.stdout.write(f"{after - before:.3f}\n")


def _import_packages(name: str) -> None:
    """What a coder would import on its first use, beside what this file's own imports brought."""
    Image.init()  # Pillow's plugins, AVIF's among them
    lazy = ("onnxruntime", "constriction") if is_narrows(name) else _LAZY.get(name, ())
    for package in lazy:
        import_module(package)


if __name__ == "__main__":
    main(sys.argv[1:])
