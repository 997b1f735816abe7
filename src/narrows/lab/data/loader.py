"""load(): a data set by its name or folder, from the cache or from copies at hand."""

from __future__ import annotations

from pathlib import Path

from narrows.errors import OptionError
from narrows.lab.data.cifar import read_cifar10
from narrows.lab.data.dataset import Dataset, Split, hold_out
from narrows.lab.data.fetch import cache_folder, fetch, is_official
from narrows.lab.data.idx import read_emnist, read_mnist
from narrows.lab.data.pictures import Fit, Framing, read_folder, read_imagenette
from narrows.lab.data.sources import CIFAR10, EMNIST_BALANCED, FASHION_MNIST, IMAGENETTE_160, MNIST, OfficialSet

_SETS = {official.name: official for official in (MNIST, FASHION_MNIST, EMNIST_BALANCED, CIFAR10, IMAGENETTE_160)}
NAMES = tuple(_SETS)
"""The data sets that have a name; anything else is a folder of pictures."""
_IMAGENETTE_SIZE = (160, 160)


def load(
    name: str,
    *,
    root: Path | None = None,
    cache: Path | None = None,
    progress: bool = True,
    size: tuple[int, int] | None = None,
    fit: Fit = "crop",
    limit: int | None = None,
) -> Dataset:
    """The data set of this name, or the pictures of the folder of this name, whole in memory.

    With `root`, a set is read from a folder of its name there (emnist47 and the folders that torchvision makes count
    too) and nothing is fetched: official files, or others of their formats. Else its official files are fetched into
    `cache` (fetch.cache_folder() unless said), each checked by its SHA-256; the second time they are there.

    Validation is a tenth of the training pictures, by a fixed seed; test is the official one (Imagenette: its val). A
    folder is dealt out to training, validation and test by a fixed seed. `size` (height, width) and `fit` say how
    photographs come to one size: without them Imagenette's are cropped to 160 x 160 and a folder's are left alone.
    `limit` reads only so many photographs, evenly spread over their names: of a folder, or of each part of Imagenette.

    OptionError for an unknown name, a missing folder or file, a size or limit for a set that has one; NarrowsError,
    with the file's name, for files that are damaged, do not belong together or cannot be fetched, PictureError for a
    picture.
    """
    official = _SETS.get(name)
    if official is None:
        if not Path(name).is_dir():
            raise OptionError(f"there is no data set or folder {name!r}; the sets are {', '.join(NAMES)}")
        return read_folder(Path(name), Framing(size=size, fit=fit, limit=limit), progress=progress)
    if official.name != IMAGENETTE_160.name and (size is not None or limit is not None):
        raise OptionError(f"{official.title} has pictures of one size; a size and a limit are for photographs")
    if root is None:
        folder = (cache or cache_folder()) / official.name
        for file in official.files:
            fetch(file, folder, progress=progress)
        whole = True
    else:
        folder = _copies(official, root)
        whole = all(is_official(file, folder) for file in official.files)
    framing = Framing(size=size or _IMAGENETTE_SIZE, fit=fit, limit=limit)
    train, test, remark = _read(official, folder, framing, progress)
    kept, held_out = hold_out(len(train))
    return Dataset(
        name=name,
        train=train.take(kept),
        validation=train.take(held_out),
        test=test,
        classes=official.classes,
        note=f"{_provenance(official, len(train), len(test), whole)}{remark}; {len(held_out)} of the training pictures "
        "are for validation, by a fixed seed",
    )


def _copies(official: OfficialSet, root: Path) -> Path:
    if not root.is_dir():
        raise OptionError("is not a folder; --data-root names the folder of your copies", source=str(root))
    for folder in official.folders:
        if (root / folder).is_dir():
            return root / folder
    raise OptionError(
        f"has no {' or '.join(official.folders)} with a copy of {official.title}; leave --data-root out to fetch it",
        source=str(root),
    )


def _read(official: OfficialSet, folder: Path, framing: Framing, progress: bool) -> tuple[Split, Split, str]:
    """(train, test, what the note has to add)."""
    if official.name == IMAGENETTE_160.name:
        train, test, remark = read_imagenette(folder, framing, progress)
        return train, test, f"; {remark}"
    if official.name == CIFAR10.name:
        return *read_cifar10(folder, len(official.classes)), ""
    if official.name == EMNIST_BALANCED.name:
        return *read_emnist(folder, len(official.classes)), ""
    return *read_mnist(folder, len(official.classes)), ""


def _provenance(official: OfficialSet, train: int, test: int, whole: bool) -> str:
    """What the files show: the official ones by checksum, others with the official counts, or something else."""
    counts = f"{train} training and {test} test pictures"
    if whole:
        return f"{official.title}, the official files: {counts}"
    if (train, test) == (official.train, official.test):
        return f"{official.title}: {counts}, as many as the official set has; the files are not the official ones"
    return (
        f"not the official {official.title} but {counts} in its format (official: {official.train} and "
        f"{official.test}); figures do not compare with published ones"
    )
