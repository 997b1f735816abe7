"""Small data sets in the official formats, made on the spot."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

CLASSES = ("n01440764", "n03888257")
"""The first and the last of Imagenette's folders."""


def characters(count: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(pictures (count, 28, 28), labels 0..9)."""
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, 28, 28), np.uint8), random.integers(0, 10, count, np.uint8)


def idx(array: NDArray[np.uint8]) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def idx_files(train: int = 40, test: int = 12) -> dict[str, bytes]:
    """MNIST's four files, unpacked, by their names without .gz."""
    files = {}
    for seed, (part, count) in enumerate((("train", train), ("t10k", test))):
        images, labels = characters(count, seed)
        files[f"{part}-images-idx3-ubyte"] = idx(images)
        files[f"{part}-labels-idx1-ubyte"] = idx(labels)
    return files


def write_mnist(folder: Path, *, packed: bool = True) -> Path:
    folder.mkdir(parents=True)
    for name, data in idx_files().items():
        (folder / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(data) if packed else data)
    return folder


def emnist_files(train: int = 40, test: int = 12) -> dict[str, bytes]:
    """The idx files of EMNIST-Balanced, packed, by their names: `characters` with rows and columns exchanged."""
    files = {}
    for seed, (part, count) in enumerate((("train", train), ("test", test))):
        images, labels = characters(count, seed)
        files[f"emnist-balanced-{part}-images-idx3-ubyte.gz"] = gzip.compress(idx(images.swapaxes(1, 2)))
        files[f"emnist-balanced-{part}-labels-idx1-ubyte.gz"] = gzip.compress(idx(labels))
    return files


def zipped(files: dict[str, bytes], prefix: str = "gzip/") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(prefix + name, data)
    return out.getvalue()


def tarred(files: dict[str, bytes], mode: str = "w:gz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def cifar_pictures(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(pictures (count, 32, 32, 3), labels 0..9)."""
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, 32, 32, 3), np.uint8), random.integers(0, 10, count, np.uint8)


def cifar_files(train: int = 20, test: int = 8, batches: int = 5) -> dict[str, bytes]:
    """CIFAR-10's binary batches under the names that the archive has."""
    files = {}
    names = [f"data_batch_{number + 1}" for number in range(batches)] + ["test_batch"]
    for seed, name in enumerate(names):
        images, labels = cifar_pictures(test if name == "test_batch" else train, seed)
        planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
        files[f"cifar-10-batches-bin/{name}.bin"] = np.column_stack([labels, planes]).tobytes()
    return files


def picture(height: int, width: int, seed: int, kind: str = "JPEG", mode: str = "RGB") -> bytes:
    samples = np.random.default_rng(seed).integers(0, 256, (max(1, height // 8), max(1, width // 8), 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(samples).resize((width, height)).convert(mode).save(out, kind)
    return out.getvalue()


def imagenette_files() -> dict[str, bytes]:
    """Ten pictures for training and three for test of two classes, below imagenette2-160/."""
    files = {}
    for part, count in (("train", 5), ("val", 1)):
        for label, name in enumerate(CLASSES):
            for index in range(count + label):
                size = (160, 213) if index % 2 else (200, 160)
                path = f"imagenette2-160/{part}/{name}/{name}_{index}.JPEG"
                files[path] = picture(*size, seed=len(files))
    return files


def unpack(files: dict[str, bytes], folder: Path) -> Path:
    """Write files by their names below a folder."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder
