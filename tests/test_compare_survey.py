"""The survey: real files, the same pictures for all coders, and what is left when it is stopped, killed or failed."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import photo_like
from PIL import Image

from narrows.compare import codecs, workers
from narrows.compare.metrics import Reference
from narrows.compare.pictures import SourcePicture, find_pictures
from narrows.compare.points import read_points
from narrows.compare.records import Point
from narrows.compare.survey import survey
from narrows.compare.workers import Failure, Task, measure
from narrows.errors import NarrowsError, OptionError

SETTINGS = {"jpeg420": (50.0, 90.0), "webp": (50.0,)}
TOO_WIDE = 16400  # WebP's limit is 16383 a side


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    yield
    assert multiprocessing.active_children() == []


@pytest.fixture(autouse=True)
def temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Coded files go into a folder of the test's own, and none is left there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield
    assert list(folder.iterdir()) == []


def save(path: Path, pixels: NDArray[np.uint8]) -> Path:
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[SourcePicture, ...]:
    save(tmp_path / "one.png", photo_like(40, 56))
    save(tmp_path / "two.png", photo_like(33, 20, seed=1))
    return find_pictures([tmp_path]).pictures


def task(picture: SourcePicture, coder: str, *settings: float) -> Task:
    return Task(picture=picture, coder=coder, effort=5, settings=settings)


def test_every_picture_coder_and_setting_is_measured_once(
    pictures: tuple[SourcePicture, ...], tmp_path: Path, colour_profile: Path
) -> None:
    ours = f"narrows:{colour_profile}"
    names = [ours, "jpeg420", "tiff-lzw"]
    settings = {ours: (0.0, 60.0), "jpeg420": (50.0, 90.0)}
    table = tmp_path / "report" / "points.csv"
    steps: list[tuple[int, int]] = []
    found = survey(
        pictures,
        names,
        table=table,
        jobs=2,
        settings=settings,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert [coder.name for coder in found.coders] == names
    assert found.pictures == pictures
    assert (found.left_out, found.missing) == ((), ())
    assert steps == [(done, 10) for done in range(11)]
    assert [(point.coder, point.setting, point.picture) for point in found.points] == [
        (name, setting, picture)
        for name in names
        for setting in settings.get(name, (0.0,))
        for picture in ("one", "two")
    ]
    assert sorted(read_points(table), key=repr) == sorted(found.points, key=repr)

    original = pictures[0].load()
    coder = codecs.build("jpeg420")
    data = coder.encode(original, 90)
    scores = Reference(original).scores(coder.decode(data))
    point = next(p for p in found.points if (p.coder, p.setting, p.picture) == ("jpeg420", 90, "one"))
    assert point.bytes == len(data)
    assert (point.width, point.height) == (56, 40)
    assert point.psnr_db == pytest.approx(scores.psnr_db, rel=1e-6)
    assert point.ssim == pytest.approx(scores.ssim, rel=1e-6)
    assert point.ms_ssim is None
    assert all(p.mse == 0 and p.psnr_db == math.inf for p in found.points if p.coder == "tiff-lzw")

    size = table.stat().st_size
    again = survey(pictures, names, table=table, jobs=2, settings=settings)
    assert again == found
    assert table.stat().st_size == size, "something was measured again"

    save(pictures[1].path, photo_like(33, 20, seed=2))
    changed = find_pictures([tmp_path]).pictures
    third = survey(changed, ["jpeg420"], table=table, jobs=1, settings=settings)
    assert len(read_points(table)) == len(found.points) + 2
    assert {p.digest for p in third.points} == {picture.record.digest for picture in changed}


def test_a_picture_that_one_coder_cannot_code_is_left_out_for_all(tmp_path: Path) -> None:
    save(tmp_path / "good.png", photo_like(24, 24))
    save(tmp_path / "wide.png", photo_like(1, TOO_WIDE))
    both = find_pictures([tmp_path]).pictures
    found = survey(both, ["jpeg420", "webp"], table=tmp_path / "points.csv", jobs=1, settings=SETTINGS)
    assert [picture.record.name for picture in found.pictures] == ["good"]
    assert {point.picture for point in found.points} == {"good"}
    ((name, reason),) = found.left_out
    assert name == "wide"
    assert reason.startswith("webp cannot code it: ")
    assert found.missing == ()
    kept = {(point.coder, point.picture) for point in read_points(tmp_path / "points.csv")}
    assert kept == {("jpeg420", "good"), ("jpeg420", "wide"), ("webp", "good")}


def test_a_coder_that_fails_on_every_picture_is_left_out_itself(tmp_path: Path) -> None:
    wide = find_pictures([save(tmp_path / "wide.png", photo_like(1, TOO_WIDE))]).pictures
    found = survey(wide, ["jpeg420", "webp"], table=tmp_path / "points.csv", jobs=1, settings=SETTINGS)
    assert [coder.name for coder in found.coders] == ["jpeg420"]
    assert len(found.points) == 2
    assert found.left_out == ()
    assert found.missing[0].startswith("webp: failed on every picture (")
    with pytest.raises(NarrowsError, match="no picture could be coded"):
        survey(wide, ["webp"], table=tmp_path / "points.csv", jobs=1, settings=SETTINGS)


def test_a_picture_that_changes_meanwhile_is_left_out(pictures: tuple[SourcePicture, ...], tmp_path: Path) -> None:
    save(pictures[0].path, photo_like(40, 56, seed=9))
    found = survey(pictures, ["jpeg420"], table=tmp_path / "points.csv", jobs=1, settings=SETTINGS)
    assert [picture.record.name for picture in found.pictures] == ["two"]
    assert found.left_out == (("one", "changed while it was compared"),)


def test_a_codec_that_is_not_installed_is_missed_and_the_rest_goes_on(
    pictures: tuple[SourcePicture, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    found = survey(pictures, ["jxl", "jpeg420"], table=tmp_path / "points.csv", jobs=1, settings=SETTINGS)
    assert [coder.name for coder in found.coders] == ["jpeg420"]
    assert "pillow-jxl-plugin" in found.missing[0]
    with pytest.raises(OptionError, match="none of the codecs is installed"):
        survey(pictures, ["jxl"], table=tmp_path / "points.csv")


@pytest.mark.parametrize("jobs", [0, -2])
def test_jobs_out_of_range_are_refused(pictures: tuple[SourcePicture, ...], tmp_path: Path, jobs: int) -> None:
    with pytest.raises(OptionError, match="jobs is"):
        survey(pictures, ["jpeg420"], table=tmp_path / "points.csv", jobs=jobs)


def stop_after(points: int, action: Callable[[], None]) -> Callable[[int, int], None]:
    def progress(done: int, total: int) -> None:
        if done == points:
            action()

    return progress


def test_an_interrupt_leaves_a_whole_table(pictures: tuple[SourcePicture, ...], tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    table = tmp_path / "points.csv"
    with pytest.raises(KeyboardInterrupt):
        survey(pictures, ["jpeg420", "webp"], table=table, jobs=2, progress=stop_after(2, interrupt))
    assert len(read_points(table)) == 2
    assert table.read_bytes().endswith(b"\n")


def test_a_dead_process_is_a_clear_error(pictures: tuple[SourcePicture, ...], tmp_path: Path) -> None:
    def kill() -> None:
        for process in multiprocessing.active_children():
            process.kill()

    table = tmp_path / "points.csv"
    with pytest.raises(NarrowsError, match=r"a worker process died while it coded (one|two) with .*signal 9"):
        survey(pictures, ["narrows", "avif444"], table=table, jobs=1, progress=stop_after(1, kill))
    assert read_points(table)


SCRIPT = """
    import multiprocessing, sys, tempfile
    from pathlib import Path
    from narrows.compare.pictures import find_pictures
    from narrows.compare.survey import survey

    def progress(done, total):
        if done == 1:
            print(*[process.pid for process in multiprocessing.active_children()], flush=True)

    if __name__ == "__main__":
        folder = Path(sys.argv[1])
        tempfile.tempdir = str(folder / "coded")
        pictures = find_pictures([folder]).pictures
        survey(pictures, ["avif444", "avif420"], table=folder / "points.csv", jobs=2, progress=progress)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_however_it_is_killed_no_process_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "pictures"
    (folder / "coded").mkdir(parents=True)
    for seed in range(4):
        save(folder / f"{seed}.png", photo_like(256, 256, seed=seed))
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a background job of a shell ignores SIGINT, and so would its children
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    children = [int(word) for word in process.stdout.readline().split()]
    assert len(children) == 2
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == (128 + number if number == signal.SIGTERM else -number)
    end = time.monotonic() + 30
    while any(alive(child) for child in children) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(alive(child) for child in children)
    assert 1 <= len(read_points(folder / "points.csv")) < 4 * 18
    if number != signal.SIGKILL:
        assert list((folder / "coded").iterdir()) == []


def alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process_id}/stat")
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")


# ---------------------------------------------------------------- what a worker does, without one


@pytest.fixture
def fresh_caches() -> Iterator[None]:
    workers._original.cache_clear()
    workers._coder.cache_clear()
    yield
    workers._original.cache_clear()
    workers._coder.cache_clear()


@pytest.mark.usefixtures("fresh_caches")
def test_a_coder_that_raises_is_a_failure_and_is_not_tried_again(
    pictures: tuple[SourcePicture, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = codecs.build("jpeg420")

    def encode(pixels: object, setting: float) -> bytes:
        if setting > 60:
            raise ValueError("quality\n is too much")
        return real.encode(pictures[0].load(), setting)

    monkeypatch.setattr(codecs, "build", lambda name, threads, effort: replace(real, encode=encode))
    messages = list(measure(task(pictures[0], "jpeg420", 50, 70, 90), tmp_path / "file"))
    assert isinstance(messages[0], Point)
    assert messages[1:] == [Failure(picture="one", coder="jpeg420", reason="quality is too much")]


@pytest.mark.usefixtures("fresh_caches")
@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("jpeg420", lambda pixels: pixels[1:], "decodes to the shape"),
        ("tiff-lzw", lambda pixels: pixels ^ 1, "is lossless, but decodes to other pixels"),
    ],
)
def test_a_wrong_decoder_is_found(
    name: str,
    change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
    reason: str,
    pictures: tuple[SourcePicture, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = codecs.build(name)
    wrong = replace(real, decode=lambda data: change(real.decode(data)))
    monkeypatch.setattr(codecs, "build", lambda name, threads, effort: wrong)
    (message,) = measure(task(pictures[0], name, real.settings[0]), tmp_path / "file")
    assert isinstance(message, Failure)
    assert message.coder == name
    assert message.reason.startswith(reason)


@pytest.mark.usefixtures("fresh_caches")
def test_the_size_is_that_of_the_file_and_its_bytes_alone_are_decoded(
    pictures: tuple[SourcePicture, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = codecs.build("webp")
    seen: list[bytes] = []

    def decode(data: bytes) -> NDArray[np.uint8]:
        seen.append(data)
        return real.decode(data)

    monkeypatch.setattr(codecs, "build", lambda name, threads, effort: replace(real, decode=decode))
    (point,) = measure(task(pictures[0], "webp", 50), tmp_path / "file")
    assert isinstance(point, Point)
    assert (tmp_path / "file").read_bytes() == seen[0]
    assert point.bytes == len(seen[0])
    assert point.version == real.coder.version
