"""Larger training photographs from the repositories that an index names.

    python benchmarks/gather_photos.py PHOTOS CLONES -o FOLDER [--short-side 560 900] [--quality 94 | --lossless]

PHOTOS is a folder of training photographs with an index.tsv: file, repository (owner/name) and path of the original of
each. CLONES holds clones of those repositories, as owner+name or owner+name/repo, with or without a work tree. Each
original is turned to sRGB and upright, shrunk by at least `--least-factor` with Lanczos to a short side drawn from the
range, and stored in tar files of at most 60 MB, as AVIF 4:4:4 or, with `--lossless`, as TIFF without compression (3
bytes a pixel, read in no time). What has no original at hand is copied from PHOTOS as
it is, so the names are the same, and with them the split into training and held out (narrows.lab.photos).

Written beside the pictures: sources.tsv, the repository and path of each and whether the original was used.
"""

from __future__ import annotations

import argparse
import csv
import io
import random
import subprocess
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image, ImageCms, ImageOps
from tqdm import tqdm

_TAR_BYTES = 60_000_000


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One picture of the index, and how it is shrunk."""

    file: str
    repository: str
    path: str
    short_side: int


def wanted(index: Path, low: int, high: int) -> list[Wanted]:
    with index.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [
        Wanted(
            file=row["file"],
            repository=row["repository"],
            path=row["path"],
            short_side=random.Random(row["file"]).randint(low, high),
        )
        for row in rows
    ]


def original(clones: Path, picture: Wanted) -> bytes | None:
    """The original's bytes from a clone's last commit; None where clone, path or object is missing."""
    clone = clones / picture.repository.replace("/", "+")
    for folder in (clone / "repo" / ".git", clone / "repo", clone / ".git", clone):
        if (folder / "HEAD").exists():
            command = ["git", f"--git-dir={folder}", "cat-file", "blob", f"HEAD:{picture.path}"]
            done = subprocess.run(command, capture_output=True, check=False)
            return done.stdout if done.returncode == 0 else None
    return None


def shrunk(data: bytes, short_side: int, least_factor: float) -> Image.Image | None:
    """Upright, in sRGB, smaller by at least `least_factor`; None if it cannot be read or would be under 320 pixels."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.draft("RGB", (4 * short_side, 4 * short_side))  # a JPEG by 2, 4, 8 while it is read
            icc = image.info.get("icc_profile")
            upright = ImageOps.exif_transpose(image)
    except (OSError, SyntaxError, ValueError):
        return None
    if upright.mode not in ("RGB", "L", "P"):
        return None
    rgb = upright.convert("RGB")
    if icc:
        try:
            target = ImageCms.createProfile("sRGB")
            rgb = ImageCms.profileToProfile(rgb, ImageCms.ImageCmsProfile(io.BytesIO(icc)), target) or rgb
        except (ImageCms.PyCMSError, OSError):
            return None
    side = min(short_side, int(min(rgb.size) / least_factor))
    if side < 320:
        return None
    scale = side / min(rgb.size)
    size = (round(rgb.width * scale), round(rgb.height * scale))
    return rgb.resize(size, Image.Resampling.LANCZOS)


def made(
    clones: Path, kept: dict[str, bytes], least_factor: float, quality: int | None, picture: Wanted
) -> tuple[str, bytes, str]:
    """The name of a picture's file, its bytes, and its size or "window"; no quality is TIFF."""
    data = original(clones, picture)
    image = shrunk(data, picture.short_side, least_factor) if data is not None else None
    if image is None:
        return picture.file, kept[picture.file], "window"
    file, name = io.BytesIO(), Path(picture.file)
    if quality is None:
        name = name.with_suffix(".tif")
        image.save(file, "TIFF")
    else:
        image.save(file, "AVIF", quality=quality, subsampling="4:4:4", speed=7, max_threads=1)
    return name.name, file.getvalue(), f"{image.width}x{image.height}"


def windows(photos: Path) -> dict[str, bytes]:
    """The pictures of PHOTOS by name, those in tar files too."""
    found = {path.name: path.read_bytes() for path in photos.glob("*.avif")}
    for path in sorted(photos.glob("*.tar")):
        with tarfile.open(path) as archive:
            for member in archive:
                file = archive.extractfile(member)
                if file is not None:
                    found[Path(member.name).name] = file.read()
    return found


def tars(folder: Path) -> Iterator[tarfile.TarFile]:
    for number in range(1000):
        with tarfile.open(folder / f"part-{number:02d}.tar", "w") as archive:
            yield archive


@contextmanager
def any_size() -> Iterator[None]:
    """Pillow without its limit: these are originals of cameras, named one by one."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("clones", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--short-side", type=int, nargs=2, default=(560, 900))
    parser.add_argument("--least-factor", type=float, default=1.5)
    parser.add_argument("--quality", type=int, default=94)
    parser.add_argument("--lossless", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    todo, kept = wanted(arguments.photos / "index.tsv", *arguments.short_side), windows(arguments.photos)
    todo = [picture for picture in todo if picture.file in kept]
    quality = None if arguments.lossless else arguments.quality
    work = partial(made, arguments.clones, kept, arguments.least_factor, quality)
    archives = tars(arguments.output)
    archive, size = next(archives), 0
    with (
        any_size(),
        ThreadPoolExecutor(arguments.threads) as pool,
        (arguments.output / "sources.tsv").open("w", encoding="utf-8") as sources,
    ):
        sources.write("file\trepository\tpath\tsize\n")
        for picture, (name, data, how) in zip(
            todo, tqdm(pool.map(work, todo), total=len(todo), disable=None), strict=True
        ):
            if size and size + len(data) > _TAR_BYTES:
                archive, size = next(archives), 0
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
            size += len(data)
            sources.write(f"{name}\t{picture.repository}\t{picture.path}\t{how}\n")
    archives.close()


if __name__ == "__main__":
    main()
