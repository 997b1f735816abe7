"""Measures every picture with every coder at every setting, as far as the table does not know it yet.

All coders are compared on the same pictures. A picture that a coder cannot code is left out for all, and a coder that
can code none of them is left out itself; both are said. The table keeps every point.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from narrows.compare import codecs
from narrows.compare.codecs import WorkingCoder
from narrows.compare.pictures import SourcePicture
from narrows.compare.points import Key, PointsFile, key, read_points
from narrows.compare.records import Coder, Point
from narrows.compare.workers import Failure, Task, Workers, termination_raises
from narrows.errors import NarrowsError, OptionError
from narrows.runtime import default_threads

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the points that are done, and with all there will be."""

_NO_SETTINGS: Mapping[str, Sequence[float]] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What was measured.

    coders    in the order asked for, without those that are missing or failed on every picture
    pictures  those that all coders coded
    points    every coder on every picture at every setting; by coder, then setting, then picture
    left_out  (picture, reason) of the other pictures
    missing   a line for each coder that is left out
    """

    coders: tuple[Coder, ...]
    pictures: tuple[SourcePicture, ...]
    points: tuple[Point, ...]
    left_out: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]


def survey(
    pictures: Sequence[SourcePicture],
    names: Sequence[str],
    *,
    table: Path,
    jobs: int | None = None,
    effort: int = 5,
    settings: Mapping[str, Sequence[float]] = _NO_SETTINGS,
    progress: Progress | None = None,
) -> Survey:
    """Measure and keep in `table` (points.csv) what it does not hold yet.

    names     as codecs.expand gives them
    jobs      processes of one thread each; None for as many as there are cores
    effort    narrows' own
    settings  other settings than a coder's usual ones, by its name

    A KeyboardInterrupt or SIGTERM ends the processes and leaves a whole table. OptionError for an unknown name, a value
    out of range, or if no coder is left; ProfileError; NarrowsError if a process dies or nothing could be coded.
    """
    if jobs is not None and (isinstance(jobs, bool) or jobs < 1):
        raise OptionError(f"jobs is {jobs}, it must be a positive whole number")
    coders, missing = codecs.available(names, effort=effort)
    coders = _with_settings(coders, settings)
    if not coders:
        raise OptionError("none of the codecs is installed: " + "; ".join(missing))
    wanted = {
        _key(coder, setting, picture): (coder, setting, picture)
        for picture in pictures
        for coder in coders
        for setting in coder.settings
    }
    known = {key(point): point for point in read_points(table) if key(point) in wanted}
    tasks = _tasks(pictures, coders, set(wanted) - set(known), effort)
    failures: list[Failure] = []
    report = progress or (lambda done, total: None)
    report(len(known), len(wanted))
    with (
        termination_raises(),
        tempfile.TemporaryDirectory(prefix="narrows-compare-") as folder,
        PointsFile(table) as file,
        Workers(jobs or default_threads(), Path(folder)) as workers,
    ):
        for message in workers.run(tasks):
            if isinstance(message, Failure):
                failures.append(message)
                continue
            file.add([message])
            known[key(message)] = message
            report(len(known), len(wanted))
    return _same_pictures(pictures, coders, known, failures, missing)


def _with_settings(coders: Sequence[WorkingCoder], settings: Mapping[str, Sequence[float]]) -> tuple[WorkingCoder, ...]:
    return tuple(
        coder.with_settings(settings[coder.coder.name]) if coder.coder.name in settings else coder for coder in coders
    )


def _key(coder: WorkingCoder, setting: float, picture: SourcePicture) -> Key:
    return coder.coder.name, coder.coder.version, setting, picture.record.name, picture.record.digest


def _tasks(
    pictures: Sequence[SourcePicture], coders: Sequence[WorkingCoder], lacking: set[Key], effort: int
) -> list[Task]:
    """Picture by picture, so that a worker seldom has to read another one."""
    found = []
    for picture in pictures:
        for coder in coders:
            settings = tuple(setting for setting in coder.settings if _key(coder, setting, picture) in lacking)
            if settings:
                found.append(Task(picture=picture, coder=coder.coder.name, effort=effort, settings=settings))
    return found


def _same_pictures(
    pictures: Sequence[SourcePicture],
    coders: Sequence[WorkingCoder],
    known: Mapping[Key, Point],
    failures: Sequence[Failure],
    missing: Sequence[str],
) -> Survey:
    """What all the coders that work coded."""
    reasons: dict[str, str] = {}
    lines = list(missing)
    spoiled = {failure.picture: failure.reason for failure in failures if failure.coder is None}
    left = [picture for picture in pictures if picture.record.name not in spoiled]
    for coder in coders:
        failed = {failure.picture: failure.reason for failure in failures if failure.coder == coder.coder.name}
        if left and all(picture.record.name in failed for picture in left):
            lines.append(f"{coder.coder.name}: failed on every picture ({failed[left[0].record.name]})")
            coders = [other for other in coders if other is not coder]
            continue
        for name, reason in failed.items():
            reasons.setdefault(name, f"{coder.coder.name} cannot code it: {reason}")
    reasons.update(spoiled)
    shared = [picture for picture in pictures if picture.record.name not in reasons]
    if not shared or not coders:
        why = "; ".join([*(f"{name}: {reason}" for name, reason in reasons.items()), *lines])
        raise NarrowsError(f"no picture could be coded by all codecs ({why})")
    points = [
        known[_key(coder, setting, picture)] for coder in coders for setting in coder.settings for picture in shared
    ]
    return Survey(
        coders=tuple(coder.coder for coder in coders),
        pictures=tuple(shared),
        points=tuple(points),
        left_out=tuple(
            (picture.record.name, reasons[picture.record.name])
            for picture in pictures
            if picture.record.name in reasons
        ),
        missing=tuple(lines),
    )
