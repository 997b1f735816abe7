"""Photographs for training: read once, held as bytes, crops drawn where the network runs."""

from __future__ import annotations

import io
import random
import tarfile
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, features
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from narrows.errors import OptionError, PictureError

SUFFIXES = {".avif", ".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
HELD_OUT_SHARE = 20
"""One photograph in this many is held out of training, for choices (docs/training.md)."""


@dataclass(frozen=True, kw_only=True)
class Photos:
    """Photographs as one run of bytes, so that a GPU can hold them whole."""

    samples: Tensor
    """uint8, all pictures (H, W, 3) one after another."""
    sizes: tuple[tuple[int, int], ...]
    offsets: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: int) -> Tensor:
        """(H, W, 3) uint8, a view."""
        (height, width), offset = self.sizes[index], self.offsets[index]
        return self.samples[offset : offset + height * width * 3].view(height, width, 3)

    @property
    def megapixels(self) -> float:
        return self.samples.numel() / 3e6

    def to(self, device: torch.device) -> Photos:
        return Photos(samples=self.samples.to(device), sizes=self.sizes, offsets=self.offsets)


def load_photos(
    folder: Path, *, least_side: int, limit: int | None = None, progress: bool = True
) -> tuple[Photos, Photos]:
    """Read every picture of a folder, its subfolders and the tar files in it; returns (training, held out).

    Pictures with a side under `least_side` and unreadable ones are left out with a warning. The held-out part is every
    20th picture after a shuffle with a fixed seed over the sorted names, whichever are left out: what one crop holds
    out, no other trains on. OptionError if fewer than two are left.
    """
    if not folder.is_dir():
        raise OptionError(f"photographs: {folder} is not a folder")
    entries = sorted(_entries(folder), key=lambda entry: entry[0])
    if any(name.endswith(".avif") for name, _ in entries) and not features.check("avif"):
        raise OptionError("photographs are AVIF, which this Pillow cannot read; install Pillow 11.3 or later")
    random.Random(0).shuffle(entries)
    if limit is not None:
        entries = entries[:limit]
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        bar = tqdm(
            pool.map(_decoded, entries), total=len(entries), desc="photographs", disable=None if progress else True
        )
        pictures = [(i, picture) for i, picture in enumerate(bar) if picture is not None and _fits(picture, least_side)]
    if len(pictures) < len(entries):
        warnings.warn(
            f"{len(entries) - len(pictures)} photographs are unreadable or under {least_side} pixels", stacklevel=2
        )
    if len(pictures) < 2:
        raise OptionError(f"photographs: {folder} has fewer than two of at least {least_side} pixels a side")
    kept_back = {index for index, _ in pictures if index % HELD_OUT_SHARE == 0} or {pictures[0][0]}
    held_out = [picture for index, picture in pictures if index in kept_back]
    training = [picture for index, picture in pictures if index not in kept_back]
    if not training:
        raise OptionError(f"photographs: {folder} has none left to train on")
    return _joined(training), _joined(held_out)


def _fits(picture: NDArray[np.uint8], least_side: int) -> bool:
    return bool(min(picture.shape[:2]) >= least_side)


def _entries(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES:
            yield path.relative_to(folder).as_posix(), path.read_bytes()
        elif path.suffix == ".tar":
            try:
                with tarfile.open(path) as archive:
                    for member in archive:
                        file = archive.extractfile(member) if member.isfile() else None
                        if file is not None and Path(member.name).suffix.lower() in SUFFIXES:
                            yield member.name, file.read()
            except tarfile.TarError as error:
                raise PictureError(f"is not a readable tar file: {error}", source=str(path)) from error


def _decoded(entry: tuple[str, bytes]) -> NDArray[np.uint8] | None:
    try:
        with Image.open(io.BytesIO(entry[1])) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def _joined(pictures: list[NDArray[np.uint8]]) -> Photos:
    sizes = tuple((p.shape[0], p.shape[1]) for p in pictures)
    offsets = np.concatenate([[0], np.cumsum([h * w * 3 for h, w in sizes])[:-1]])
    samples = torch.from_numpy(np.concatenate([p.reshape(-1) for p in pictures]))
    return Photos(samples=samples, sizes=sizes, offsets=tuple(int(o) for o in offsets))


def centre_crop(picture: Tensor, most: int = 320) -> Tensor:
    """The middle of a picture (H, W, 3) uint8 as (1, h, w, 3) in 0..1, sides multiples of 64 and at most `most`."""
    height, width = (min(most, side) // 64 * 64 for side in picture.shape[:2])
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return picture[top : top + height, left : left + width].float()[None] / 255


@dataclass(frozen=True, kw_only=True)
class CropConfig:
    """How training crops are drawn."""

    size: int = 256
    shrink_share: float = 0.25
    """Part of the crops that is shrunk by a random factor, so that no one scale leaves a signature."""
    shrink_least: float = 0.7


def draw_batch(photos: Photos, count: int, config: CropConfig, seed: int) -> Tensor:
    """(count, size, size, 3) in 0..1 on the photographs' device; a pure function of the seed, so that runs resume."""
    rng = random.Random(seed)
    crops = []
    for _ in range(count):
        picture = photos[rng.randrange(len(photos))]
        height, width = picture.shape[:2]
        size = config.size
        if rng.random() < config.shrink_share:
            size = min(int(config.size / rng.uniform(config.shrink_least, 1)), height, width)
        top, left = rng.randrange(height - size + 1), rng.randrange(width - size + 1)
        crop = picture[top : top + size, left : left + size].float().div_(255)
        if size != config.size:
            crop = _resized(crop, config.size, "bicubic" if rng.random() < 0.5 else "bilinear")
        if rng.random() < 0.5:
            crop = crop.flip(1)
        crops.append(crop)
    return torch.stack(crops)


def _resized(crop: Tensor, size: int, mode: str) -> Tensor:
    planes = F.interpolate(crop.permute(2, 0, 1)[None], (size, size), mode=mode, antialias=True)
    # Rounded to 8 bits, as every picture that the codec will see.
    return planes[0].clamp(0, 1).mul(255).round().div(255).permute(1, 2, 0)
