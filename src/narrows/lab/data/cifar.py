"""CIFAR-10's binary version: records of a label and 3072 samples, the red plane first, then green and blue.

Source: the data set's page, "Binary version".
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np

from narrows.errors import NarrowsError, OptionError
from narrows.lab.data.damage import damage_of
from narrows.lab.data.dataset import Split
from narrows.lab.data.sources import CIFAR10_ARCHIVE

_SIDE = 32
_RECORD = 1 + 3 * _SIDE * _SIDE
_BATCHES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
_TEST = "test_batch.bin"
_FOLDER = "cifar-10-batches-bin"


def read_cifar10(folder: Path, classes: int) -> tuple[Split, Split]:
    """(train, test), (N, 32, 32, 3), from the official archive, or else cifar-10-batches-bin/ or the files of it.

    Of the training batches the first must be there. NarrowsError for a damaged file, OptionError for a missing one.
    """
    files, place = _files(folder)
    for name in (_BATCHES[0], _TEST):
        if name not in files:
            raise OptionError("is missing", source=f"{place}/{name}")
    train = b"".join(_checked(files[name], f"{place}/{name}", classes) for name in _BATCHES if name in files)
    return _records(train), _records(_checked(files[_TEST], f"{place}/{_TEST}", classes))


def _files(folder: Path) -> tuple[dict[str, bytes], Path]:
    """The batches by name, from the archive if there is one, and where they are."""
    wanted = (*_BATCHES, _TEST)
    archive = folder / CIFAR10_ARCHIVE
    if archive.is_file():
        with damage_of(archive), tarfile.open(archive) as members:
            files = (
                (member.name.rpartition("/")[2], members.extractfile(member)) for member in members if member.isreg()
            )
            return {name: file.read() for name, file in files if file is not None and name in wanted}, archive
    place = folder / _FOLDER if (folder / _FOLDER).is_dir() else folder
    return {name: (place / name).read_bytes() for name in wanted if (place / name).is_file()}, place


def _checked(data: bytes, source: str, classes: int) -> bytes:
    if not data or len(data) % _RECORD:
        raise NarrowsError(f"has {len(data)} bytes, not whole records of {_RECORD}; get it again", source=source)
    label = max(data[::_RECORD])
    if label >= classes:
        raise NarrowsError(f"has a label {label}, expected 0 to {classes - 1}", source=source)
    return data


def _records(data: bytes) -> Split:
    records = np.frombuffer(data, np.uint8).reshape(-1, _RECORD)
    planes = records[:, 1:].reshape(-1, 3, _SIDE, _SIDE)
    return Split(images=planes.transpose(0, 2, 3, 1).copy(), labels=records[:, 0].astype(np.int64))
