"""What a data set is in memory, and the one way to take a validation part from training pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from narrows.errors import OptionError

Bytes: TypeAlias = NDArray[np.uint8]

HELD_OUT_SHARE = 10
"""One picture in this many becomes validation: 5,000 of CIFAR-10's 50,000, as is usual."""
_SEED = 0


@dataclass(frozen=True, kw_only=True)
class Split:
    """Pictures of one part of a data set, all of one size, and their classes.

    `images` is uint8 (N, H, W) grey or (N, H, W, 3) RGB, `labels` int64 (N,), the index of a class, or None where the
    data set has none. Both can be written to, so torch.from_numpy takes them. OptionError for any other form.
    """

    images: Bytes
    labels: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        shape = self.images.shape
        if self.images.dtype != np.uint8 or not (len(shape) == 3 or (len(shape) == 4 and shape[3] == 3)):
            raise OptionError(f"pictures must be uint8 (N, H, W) or (N, H, W, 3), not {self.images.dtype} {shape}")
        if self.labels is not None and (self.labels.dtype != np.int64 or self.labels.shape != shape[:1]):
            raise OptionError(f"labels must be int64 ({shape[0]},), not {self.labels.dtype} {self.labels.shape}")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def channels(self) -> int:
        return 1 if self.images.ndim == 3 else 3

    def take(self, indices: NDArray[np.int64]) -> Split:
        """The pictures at these indices, copied, in their order."""
        return Split(images=self.images[indices], labels=None if self.labels is None else self.labels[indices])

    def grey(self) -> Split:
        """The same pictures in grey (N, H, W): luma as Pillow's mode L has it (ITU-R BT.601, in 16-bit integers)."""
        if self.channels == 1:
            return self
        luma = np.empty(self.images.shape[:3], np.uint8)
        for index, picture in enumerate(self.images):  # one by one: in uint32 a whole data set is four times as large
            red, green, blue = (picture[:, :, channel].astype(np.uint32) for channel in range(3))
            luma[index] = (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16
        return Split(images=luma, labels=self.labels)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set, whole in memory. `note` says, in words for a report, what its files are and what they are not."""

    name: str
    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]
    note: str

    def grey(self) -> Dataset:
        """The same data set in grey."""
        if self.train.channels == 1:
            return self
        train, validation, test = (part.grey() for part in (self.train, self.validation, self.test))
        return replace(self, train=train, validation=validation, test=test, note=f"{self.note}; in grey")


def hold_out(count: int, parts: int = 1) -> list[NDArray[np.int64]]:
    """Indices 0..count-1 dealt out by a fixed seed: what remains, then `parts` parts of a tenth each, all ascending.

    The same on every machine and release: numpy promises never to change RandomState's stream. OptionError if a part
    would be empty.
    """
    size = max(1, count // HELD_OUT_SHARE)
    if count <= parts * size:
        raise OptionError(f"{count} pictures are too few for {parts + 1} parts")
    order = np.random.RandomState(_SEED).permutation(count).astype(np.int64)
    return [np.sort(part) for part in np.split(order, [count - size * part for part in range(parts, 0, -1)])]
