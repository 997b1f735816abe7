"""Results on disk, so that what was measured once is not measured again: flat dataclasses as .npz files."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from narrows.compare.files import write_whole

R = TypeVar("R")

_KEY, _PLAIN = "key", "plain"


def kept(file: Path, key: str, kind: type[R], make: Callable[[], R]) -> R:
    """What `make` gives, from `file` if it was made before for the same key; else made now and kept there.

    `kind` is a dataclass whose fields hold arrays, numbers, strings or None. A file that cannot be read is made anew.
    """
    found = _read(file, key, kind)
    if found is not None:
        return found
    value = make()
    _write(file, key, value)
    return value


def _read(file: Path, key: str, kind: type[R]) -> R | None:
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as stored:
            if str(stored[_KEY]) != key:
                return None
            plain: dict[str, Any] = json.loads(str(stored[_PLAIN]))
            arrays = {name: stored[name] for name in stored.files if name not in (_KEY, _PLAIN)}
        return kind(**plain, **arrays)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):  # not there, cut short, outdated
        return None


def _write(file: Path, key: str, value: Any) -> None:
    values = {field.name: getattr(value, field.name) for field in fields(value)}
    arrays = {name: one for name, one in values.items() if isinstance(one, np.ndarray)}
    plain = json.dumps({name: one for name, one in values.items() if name not in arrays})
    file.parent.mkdir(parents=True, exist_ok=True)
    stored: dict[str, Any] = arrays | {_KEY: np.array(key), _PLAIN: np.array(plain)}
    packed = io.BytesIO()
    np.savez_compressed(packed, **stored)
    write_whole(file, packed.getvalue())
