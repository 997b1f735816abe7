"""Official files into a cache, each checked by its SHA-256: the only file that imports pooch and requests."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import pooch
import requests
from tqdm import tqdm

from narrows.errors import NarrowsError

CACHE_VARIABLE = "NARROWS_DATA"
"""An environment variable: the folder of the cache."""
_HEADERS = {"Accept-Encoding": "identity"}  # else some servers unpack a .gz on its way, and its checksum is another


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file that can be fetched: all addresses carry the same bytes and are tried in turn."""

    name: str
    urls: tuple[str, ...]
    size_bytes: int
    sha256: str


def cache_folder() -> Path:
    """NARROWS_DATA if it is set, else the platform's folder for caches. Not made here."""
    stated = os.environ.get(CACHE_VARIABLE)
    return Path(stated) if stated else Path(pooch.os_cache("narrows")) / "data"


def is_official(file: RemoteFile, folder: Path) -> bool:
    """Whether the folder holds the file, byte for byte."""
    path = folder / file.name
    if not path.is_file() or path.stat().st_size != file.size_bytes:
        return False
    return str(pooch.file_hash(str(path), alg="sha256")) == file.sha256


def fetch(file: RemoteFile, folder: Path, *, progress: bool = True) -> Path:
    """The path of the file in the folder, fetched if it is not there whole; a damaged copy is replaced.

    Nothing with another checksum ever lies under the file's name. NarrowsError, with a reason for every address, if
    none of them gives the file or the folder cannot be written.
    """
    if is_official(file, folder):
        return folder / file.name
    # pooch tells every download in a log line; the bar says it already.
    pooch.get_logger().setLevel(logging.WARNING)
    reasons = []
    for url in file.urls:
        with tqdm(
            desc=file.name, total=file.size_bytes, unit="B", unit_scale=True, disable=None if progress else True
        ) as bar:
            try:
                pooch.retrieve(
                    url,
                    known_hash=f"sha256:{file.sha256}",
                    fname=file.name,
                    path=folder,
                    downloader=pooch.HTTPDownloader(progressbar=bar, headers=_HEADERS),
                )
            except (OSError, ValueError) as error:  # requests' errors are OSErrors; a wrong checksum is a ValueError
                reasons.append(f"{url}: {_one_line(error)}")
                continue
        return folder / file.name
    raise NarrowsError(
        f"cannot be fetched ({'; '.join(reasons)}); try again later, or put a copy into {folder}, "
        "or name a folder of copies with --data-root",
        source=file.name,
    )


def _one_line(error: Exception) -> str:
    """What went wrong, in some words: a library's own tell every layer that a missing network goes through."""
    if isinstance(error, requests.exceptions.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.ConnectionError):
        return "no connection"
    return " ".join(str(error).split()) or type(error).__name__
