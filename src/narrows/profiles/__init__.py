"""Where profiles are found: those shipped in this folder, by name or by digest, and any folder the caller names.

Standard library only, so that `narrows.info` can name a file's profile without loading one.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from narrows.errors import ProfileError

MANIFEST = "manifest.json"
MAX_MANIFEST = 2**20  # bytes; a real one has a few thousand
PREFIX_BYTES = 4  # of a profile's digest are written into every file (docs/FORMAT.md)

_SHIPPED = Path(__file__).parent
_DEFAULT = "DEFAULT"  # a text file that names the folder which "default" stands for


def find(name_or_path: str | os.PathLike[str]) -> Path:
    """The folder of a profile: "default", the name of a shipped one, or the path of a folder; else ProfileError.

    A plain word is a shipped name first; write ./word for a folder of the same name.
    """
    name = os.fspath(name_or_path)
    if name == "default":
        return _default()
    shipped = {folder.name: folder for folder in shipped_folders()}
    if name in shipped:
        return shipped[name]
    folder = Path(name)
    if (folder / MANIFEST).is_file():
        return folder
    if folder.is_dir():
        raise ProfileError(f"has no {MANIFEST}, so it is not a profile", source=name)
    names = ", ".join(sorted(shipped)) or "none"
    raise ProfileError(f"no profile of the name {name!r} (shipped: {names}) and no such folder")


def find_digest(prefix: bytes) -> Path | None:
    """The shipped profile whose digest begins with these bytes, or None. The default one is asked first."""
    folders = shipped_folders()
    if (_SHIPPED / _DEFAULT).is_file():
        folders.sort(key=lambda folder: folder.name != _default_name())
    for folder in folders:
        if hashlib.sha256(_read_manifest(folder)).digest().startswith(prefix):
            return folder
    return None


def name_and_qualities(prefix: bytes) -> tuple[str, int] | None:
    """Name and number of qualities of the shipped profile with this digest prefix, or None if none is shipped."""
    folder = find_digest(prefix)
    if folder is None:
        return None
    try:
        manifest = json.loads(_read_manifest(folder))
        return str(manifest["name"]), int(manifest["qualities"])
    except (ValueError, KeyError, TypeError) as error:
        raise ProfileError(f"is not a manifest: {error}", source=str(folder / MANIFEST)) from error


def shipped_folders() -> list[Path]:
    """The folders of all shipped profiles, by name."""
    return sorted(path.parent for path in _SHIPPED.glob(f"*/{MANIFEST}"))


def _default() -> Path:
    if not (_SHIPPED / _DEFAULT).is_file():
        raise ProfileError("this installation ships no profile; name one: -p FOLDER, or profile=FOLDER in Python")
    folder = _SHIPPED / _default_name()
    if not (folder / MANIFEST).is_file():
        raise ProfileError(f"the default profile {folder.name!r} is missing from this installation; reinstall narrows")
    return folder


def _default_name() -> str:
    return (_SHIPPED / _DEFAULT).read_text(encoding="utf-8").strip()


def _read_manifest(folder: Path) -> bytes:
    with (folder / MANIFEST).open("rb") as file:
        return file.read(MAX_MANIFEST)
