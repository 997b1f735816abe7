"""Load: many pictures in one process, many threads on one codec, and an interrupt in the middle of a batch."""

from __future__ import annotations

import csv
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import photo_like
from PIL import Image

import narrows
from narrows import container, profiles
from narrows.cli.batch import Manner, Result, run_jobs
from narrows.cli.jobs import Job
from narrows.codec import Codec
from narrows.errors import CorruptError, PictureError
from narrows.limits import Limits
from narrows.tiles import Box, padded, strips

SOAK = Path(__file__).parents[1] / "benchmarks" / "soak.py"


# Memory


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory by /proc")
@pytest.mark.skipif(not SOAK.is_file(), reason="the benchmarks are not here")
def test_memory_stays_and_threads_agree(tmp_path: Path) -> None:
    """The published measurement in small, with the shipped profile."""
    words = [sys.executable, str(SOAK), "--rounds", "80", "--megapixels", "0.1", "-o", str(tmp_path / "soak.csv")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 threads at once: 192 results compared, 0 are different" in done.stdout
    with (tmp_path / "soak.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["round"]) for row in rows] == list(range(1, 81))
    memory = [float(row["resident_mib"]) for row in rows]
    assert max(memory) < 500
    assert {row["mode"] for row in rows} == {"L", "LA", "RGB", "RGBA"}
    assert (tmp_path / "soak.svg").read_text().startswith("<?xml")


# Threads


def results_of(codec: Codec, image: Image.Image, quality: float) -> list[NDArray[np.generic]]:
    """The file, every strip's symbols, the pixels, and a part of them."""
    data = codec.encode(image, quality=quality)
    file = container.read(data, Limits())
    stride = codec.profile.manifest.hyper_stride
    bounds = Box(top=0, bottom=padded(file.height, stride), left=0, right=padded(file.width, stride))
    pairs = zip(file.strips, strips(bounds), strict=True)
    symbols = [codec.read_symbols(strip, box, file.quality)[0] for strip, box in pairs]
    region = (file.width // 4, file.height // 4, file.width // 2, file.height // 2)
    parts = [codec.decode(data), codec.decode(data, region=region)]
    return [np.frombuffer(data, np.uint8), *symbols, *map(np.asarray, parts)]


@pytest.mark.parametrize("threads_each", [1, 2])
@pytest.mark.parametrize("profile", ["toy", "shipped"])
def test_threads_on_one_codec_get_what_one_alone_gets(profile: str, threads_each: int, colour_profile: Path) -> None:
    """Eight at a time, each in another order, with failures among them; a codec that none of them has used before."""
    folder = colour_profile if profile == "toy" else profiles.find("default")
    dice = random.Random(2)
    tasks = [
        (
            Image.fromarray(photo_like(dice.randrange(1, 300), dice.randrange(2, 300), dice.choice((2, 3, 4)))),
            dice.uniform(0, 100),
        )
        for _ in range(5)
    ]
    tasks.append((Image.fromarray(photo_like(1100, 40)), 30.0))  # two strips
    alone = Codec(folder, threads=threads_each)
    expected = [results_of(alone, *task) for task in tasks]
    together = Codec(folder, threads=threads_each)
    start = threading.Barrier(8)

    def work(seed: int) -> int:
        order = list(range(len(tasks)))
        random.Random(seed).shuffle(order)
        start.wait()
        agreed = 0
        for number in order:
            with pytest.raises(PictureError):
                together.encode(b"no picture")
            with pytest.raises(CorruptError):
                together.decode(expected[number][0].tobytes() + b"\0")
            agreed += all(map(np.array_equal, results_of(together, *tasks[number]), expected[number]))
        return agreed

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [len(tasks)] * 8


# Interrupts


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("command", ["encode", "decode"])
def test_an_interrupted_batch_says_what_is_done(
    command: str, tmp_path: Path, codec: Codec, colour_profile: Path
) -> None:
    """Its files are whole, no part of one stays, and each that is there was reported."""
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for number in range(200):
        image = Image.fromarray(photo_like(120, 160, seed=number))
        path = source / f"{number:03}"
        if command == "encode":
            image.save(path.with_suffix(".png"))
        else:
            path.with_suffix(".nrws").write_bytes(codec.encode(image) if number < 4 else b"")
            if number >= 4:
                path.with_suffix(".nrws").write_bytes((source / f"{number % 4:03}.nrws").read_bytes())
    words = [command, str(source), "-o", f"{target}/", "-j", "2", "-p", str(colour_profile)]
    process = subprocess.Popen(
        [sys.executable, "-m", "narrows", *words],
        bufsize=0,  # else a line may lie in the buffer of readline, where communicate does not look
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # a background job of a shell ignores SIGINT, and so would its children
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    first = [process.stdout.readline() for _ in range(3)]
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - begun < 20
    assert process.returncode == 130
    said = re.fullmatch(rb"narrows: interrupted; (\d+) of 200 files are done", err.strip())
    assert said, err
    reported = {line.split(b" -> ")[1].split(b": ")[0] for line in b"".join([*first, out]).splitlines()}
    written = {os.fsencode(path) for path in target.iterdir()}
    assert reported == written
    assert len(written) == int(said[1])
    assert 3 <= len(written) < 200
    for path in target.iterdir():
        if command == "encode":
            narrows.verify(path)
        else:
            with Image.open(path) as image:
                image.load()


def test_work_that_can_say_how_far_it_is_ends_at_once(tmp_path: Path) -> None:
    """An interrupt does not wait for the pictures that other threads have begun."""
    jobs = [Job(name=str(n), path=None, relative=Path(str(n)), target=tmp_path / str(n)) for n in range(3)]
    begun, ended = threading.Event(), threading.Event()

    def work(job: Job, progress: object) -> Result:
        assert callable(progress)
        if job.name == "0":
            begun.wait(10)
            raise KeyboardInterrupt
        begun.set()
        try:
            for step in range(10**6):
                progress(step / 10**6)
                time.sleep(0.001)
        finally:
            ended.set()
        raise AssertionError("nobody stopped it")

    with pytest.raises(KeyboardInterrupt, match="^0 of 3 files are done$"):
        run_jobs(jobs, work, Manner(at_once=2))
    assert ended.is_set()
    assert list(tmp_path.iterdir()) == []
