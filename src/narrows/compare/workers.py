"""Processes that measure: each takes a picture and a coder at a time, and sends a point for every setting.

    survey.py --Task--> worker: encode -> file on disk -> read back -> decode -> metrics --Point or Failure--> survey.py

They are spawned, one thread each, and never outlive the process that started them, however that ends.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, lru_cache
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType, TracebackType
from typing import NoReturn, TypeAlias

import numpy as np

from narrows.compare import codecs
from narrows.compare.metrics import Reference
from narrows.compare.pictures import SourcePicture
from narrows.compare.records import Pixels, Point
from narrows.errors import NarrowsError

_PATIENCE_S = 5.0  # that a worker is given to end by itself
_DIGITS = 7  # of a metric that are kept; the table stays readable, and what is read from it equals what was measured
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True, kw_only=True)
class Task:
    """A picture for one coder at some settings."""

    picture: SourcePicture
    coder: str
    effort: int
    settings: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A coder, or None for the picture itself, that failed on a picture; its other settings are not tried."""

    picture: str
    coder: str | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class _Done:
    """The worker is ready for another task."""


Message: TypeAlias = Point | Failure


class Workers:
    """So many processes, for use in a `with`: leaving it, by an error or a signal too, ends them all.

    `folder` exists and is theirs for the coded files.
    """

    def __init__(self, number: int, folder: Path) -> None:
        self._number = number
        self._folder = folder
        self._workers: list[_Worker] = []

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.connection.close()  # one that waits for a task ends by itself
            if kind is not None:
                worker.process.terminate()
        for worker in self._workers:
            worker.process.join(_PATIENCE_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()

    def run(self, tasks: Sequence[Task]) -> Iterator[Message]:
        """What comes of the tasks, in the order of its coming; NarrowsError if a worker dies."""
        waiting = deque(tasks)
        while len(self._workers) < min(self._number, len(waiting)):
            self._workers.append(_start(self._folder, len(self._workers)))
        for worker in self._workers:
            worker.give(waiting)
        while busy := {worker.connection: worker for worker in self._workers if worker.task is not None}:
            for connection in wait(list(busy)):
                worker = next(worker for worker in busy.values() if worker.connection is connection)
                message = worker.receive()
                if isinstance(message, _Done):
                    worker.give(waiting)
                else:
                    yield message


@dataclass(kw_only=True, eq=False)
class _Worker:
    process: SpawnProcess
    connection: Connection
    task: Task | None = field(default=None)

    def give(self, waiting: deque[Task]) -> None:
        """Start on the next task, if there is one."""
        self.task = waiting.popleft() if waiting else None
        if self.task is not None:
            try:
                self.connection.send(self.task)
            except OSError as error:
                raise self._death() from error

    def receive(self) -> Message | _Done:
        try:
            message: Message | _Done = self.connection.recv()
        except (EOFError, OSError) as error:
            raise self._death() from error
        return message

    def _death(self) -> NarrowsError:
        self.process.join(_PATIENCE_S)
        doing = f" while it coded {self.task.picture.record.name} with {self.task.coder}" if self.task else ""
        code = self.process.exitcode
        why = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return NarrowsError(
            f"a worker process died{doing} ({why}); if memory ran out, try fewer at a time (-j 1). "
            "What was measured is kept: the same command goes on from there"
        )


def _start(folder: Path, number: int) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, folder / f"coded-{number}"), daemon=True)
    with _environment(_ONE_THREAD):
        process.start()
    theirs.close()  # so that its death ends the connection
    return _Worker(process=process, connection=ours)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Variables for the processes that are started inside; libraries read them when they are loaded."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def termination_raises() -> Iterator[None]:
    """SIGTERM ends the block as an exception (SystemExit), so that what must be closed is; in the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


# ---------------------------------------------------------------- inside a worker


def _work(connection: Connection, file: Path) -> None:
    """Measure what is asked until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the one who asks decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            task: Task = connection.recv()
            for message in measure(task, file):
                connection.send(message)
            connection.send(_Done())
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
    os._exit(1)  # no clean-up: whatever this process is doing, nobody waits for it


def measure(task: Task, file: Path) -> Iterator[Message]:
    """A point for every setting, or a failure and no more. `file` is written again and again."""
    picture = task.picture.record
    try:
        original, reference = _original(task.picture)
    except (OSError, NarrowsError) as error:
        yield Failure(picture=picture.name, coder=None, reason=_one_line(error))
        return
    working = _coder(task.coder, task.effort)
    for setting in task.settings:
        try:
            size, decoded = through_a_file(working, original, setting, file)
        except Exception as error:  # a library may raise anything
            yield Failure(picture=picture.name, coder=task.coder, reason=_one_line(error))
            return
        scores = reference.scores(decoded)
        yield Point(
            coder=task.coder,
            version=working.coder.version,
            setting=setting,
            picture=picture.name,
            digest=picture.digest,
            width=picture.width,
            height=picture.height,
            bytes=size,
            mse=_rounded(scores.mse),
            psnr_db=_rounded(scores.psnr_db),
            ssim=_rounded(scores.ssim),
            ms_ssim=None if scores.ms_ssim is None else _rounded(scores.ms_ssim),
            ssimulacra2=None if scores.ssimulacra2 is None else _rounded(scores.ssimulacra2),
        )


def through_a_file(working: codecs.WorkingCoder, original: Pixels, setting: float, file: Path) -> tuple[int, Pixels]:
    """The size on disk of the coded picture, and what decoding the file's bytes gives.

    NarrowsError if that has another shape, or differs at all though the coder is lossless; else what the coder raises.
    """
    file.write_bytes(working.encode(original, setting))
    size = file.stat().st_size
    decoded = working.decode(file.read_bytes())
    if decoded.shape != original.shape:
        raise NarrowsError(f"decodes to the shape {decoded.shape}, the picture has {original.shape}")
    if working.coder.lossless and not np.array_equal(decoded, original):
        raise NarrowsError("is lossless, but decodes to other pixels")
    return size, decoded


@lru_cache(maxsize=1)
def _original(picture: SourcePicture) -> tuple[Pixels, Reference]:
    """One picture's pixels and what the metrics need of them; tasks come picture by picture."""
    pixels = picture.load()
    return pixels, Reference(pixels)


@cache
def _coder(name: str, effort: int) -> codecs.WorkingCoder:
    return codecs.build(name, threads=1, effort=effort)


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _one_line(error: Exception) -> str:
    text = " ".join((error.message if isinstance(error, NarrowsError) else str(error)).split())
    return text or type(error).__name__
