"""Damaged files, said in one way: what the packers of the standard library raise, with the file's name."""

from __future__ import annotations

import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from narrows.errors import NarrowsError


@contextmanager
def damage_of(source: Path) -> Iterator[None]:
    """Errors of gzip, zip and tar in this block become NarrowsErrors about `source`; NarrowsErrors get its name."""
    try:
        yield
    except NarrowsError as error:
        error.source = error.source or str(source)
        raise
    except EOFError as error:
        raise NarrowsError("is truncated; get it again", source=str(source)) from error
    except (gzip.BadGzipFile, zipfile.BadZipFile, tarfile.TarError, zlib.error) as error:
        raise NarrowsError(f"is damaged ({error}); get it again", source=str(source)) from error
