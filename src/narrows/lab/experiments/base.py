"""What an experiment is, what it is run with, and how it comes by its pictures."""

from __future__ import annotations

import shlex
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from narrows.errors import OptionError
from narrows.lab.data import Dataset, Fit, Split, load
from narrows.lab.measure.quality import Quality
from narrows.lab.report.document import Report

T = TypeVar("T")
Say: TypeAlias = Callable[[str], None]
Pictures: TypeAlias = NDArray[np.uint8]
"""(N, H, W) grey or (N, H, W, 3) RGB."""
Indices: TypeAlias = NDArray[np.int64]

PHOTOGRAPHS = "photographs"
"""The name, among an experiment's data sets, of a folder of pictures."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What an experiment is run with.

    output      the folder of the result; what was trained and measured stays in it, so a stopped run goes on
    data_root   a folder with copies of the data sets; None: they are fetched
    photos      a folder of photographs, for experiments that want some
    quick       a look at everything in under a minute: few pictures, an epoch or two, one seed; figures mean nothing
    seeds       how many trainings of each network; None is what the experiment finds affordable
    epochs      multiplies every number of epochs of a full run
    progress    progress bars on stderr
    say         gets a line whenever something begins
    """

    output: Path
    data_root: Path | None = None
    photos: Path | None = None
    quick: bool = False
    seeds: int | None = None
    epochs: float = 1.0
    progress: bool = False
    say: Say = lambda line: None

    def __post_init__(self) -> None:
        if self.seeds is not None and self.seeds < 1:
            raise OptionError(f"seeds is {self.seeds}, there must be at least one")
        if not self.epochs > 0:
            raise OptionError(f"epochs is a factor above 0, not {self.epochs:g}")

    def pick(self, full: T, quick: T) -> T:
        """`quick` in a quick run, `full` in a full one."""
        return quick if self.quick else full

    def epochs_of(self, full: int, quick: int = 1) -> int:
        """How many epochs to train that a full run trains `full` epochs, and a quick one `quick`."""
        return self.pick(max(1, round(full * self.epochs)), quick)

    def seed_list(self, full: int) -> tuple[int, ...]:
        """The seeds to train with: 0 alone in a quick run, `full` of them in a full one, unless somebody said."""
        return tuple(range(self.seeds or self.pick(full, 1)))

    def command(self, name: str) -> str:
        """The command line that makes this result again, without the names of folders of this machine."""
        words = ["narrows", "lab", "run", name]
        words += ["--quick"] if self.quick else []
        words += ["--data-root", "DIR"] if self.data_root else []
        words += ["--photos", "DIR"] if self.photos else []
        words += ["--seeds", str(self.seeds)] if self.seeds else []
        words += ["--epochs", f"{self.epochs:g}"] if self.epochs != 1 else []
        return shlex.join(words)


_QUICK = "**A quick run: its figures mean nothing.**"


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One study, redone. `run` leaves all that it made in setting.output and returns the report, to be written.

    name     as the command line knows it: "sunset"
    title    a line: what is asked
    summary  a sentence or two: what is trained and measured
    sets     names of the data sets it reads (narrows.lab.data.NAMES), "photographs" for a folder of pictures
    """

    name: str
    title: str
    summary: str
    sets: tuple[str, ...]
    run: Callable[[Setting], Report]

    def redo(self, setting: Setting) -> Report:
        """`run`, with a warning at the head of the report of a quick one."""
        report = self.run(setting)
        return replace(report, verdict=f"{_QUICK} {report.verdict}") if setting.quick else report


def load_data(
    setting: Setting, name: str, *, train: int | None = None, validation: int | None = None, test: int | None = None,
    size: tuple[int, int] | None = None, fit: Fit = "crop", grey: bool = False, limit: int | None = None,
) -> Dataset:  # fmt: skip
    """The data set of this name with at most so many pictures a part, evenly spread; its note says so.

    "photographs" is the folder setting.photos, else data_root/photographs; OptionError where there is neither. `size`,
    `fit` and `limit` are for photographs: see narrows.lab.data.load.
    """
    setting.say(f"loading {name}")
    if name == PHOTOGRAPHS:
        folder = photographs(setting)
        data = load(str(folder), size=size, fit=fit, limit=limit, progress=setting.progress)
    else:
        data = load(
            name, root=setting.data_root, size=size, fit=fit, limit=limit, progress=setting.progress
        )  # fmt: skip
    data = data.grey() if grey else data
    return reduced(data, train=train, validation=validation, test=test)


def photographs(setting: Setting) -> Path:
    """The folder of photographs; OptionError if there is none."""
    folder = setting.photos or (setting.data_root / PHOTOGRAPHS if setting.data_root else None)
    if folder is None or not folder.is_dir():
        raise OptionError(
            f"this experiment needs a folder of photographs: give it with --photos, or as {PHOTOGRAPHS} in --data-root"
        )
    return folder


def has_photographs(setting: Setting) -> bool:
    """Whether there is such a folder, for experiments that can do without."""
    return setting.photos is not None or (setting.data_root is not None and (setting.data_root / PHOTOGRAPHS).is_dir())


def reduced(
    data: Dataset, *, train: int | None = None, validation: int | None = None, test: int | None = None
) -> Dataset:
    """The data set with at most so many pictures a part (None: all), evenly spread over it; its note names them."""
    words: list[str] = []

    def most(split: Split, count: int | None, purpose: str) -> Split:
        if count is None or count >= len(split):
            return split
        words.append(f"{count} of {len(split)} for {purpose}")
        return split.take(evenly(len(split), count))

    kept = replace(
        data, train=most(data.train, train, "training"), validation=most(data.validation, validation, "validation"),
        test=most(data.test, test, "testing"),
    )  # fmt: skip
    return replace(kept, note=f"{data.note}; used here: {', '.join(words)}") if words else kept


def evenly(count: int, most: int | None) -> Indices:
    """At most `most` indices below `count`, evenly spread and rising; None: all.

    >>> evenly(10, 4).tolist(), evenly(3, None).tolist()
    ([0, 2, 5, 7], [0, 1, 2])
    """
    if most is None or most >= count:
        return np.arange(count)
    return np.arange(most) * count // most


def crc(array: NDArray[Any]) -> str:
    """A short name for the contents of an array."""
    return f"{zlib.crc32(np.ascontiguousarray(array).tobytes()):08x}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """One picture for a plate, as it came back from its file."""

    pixels: Pictures
    bytes: float
    psnr_db: float


class Measured(Protocol):
    """Test pictures at one setting of a coder, the network's (coded.Point) or a conventional one (rivals.Rival)."""

    @property
    def setting(self) -> str: ...
    @property
    def rule(self) -> str: ...
    @property
    def bytes(self) -> int: ...
    @property
    def bpp(self) -> float: ...
    @property
    def indices(self) -> Indices: ...
    @property
    def result(self) -> Quality: ...

    def decoded(self, places: Indices | None = None) -> Pictures:
        """The pictures at these places among `indices`; None: all."""
        ...

    def shown(self, place: int) -> Shown:
        """The picture at this place among `indices`, with its bytes and its PSNR."""
        ...
