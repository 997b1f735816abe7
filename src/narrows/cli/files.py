"""Bytes from stdin, to stdout, and into files that are written whole or not at all.

What is written is bytes, or a function that writes them into the file that it is given: no copy of a large result lies
in memory then. It may seek.
"""

from __future__ import annotations

import errno
import io
import os
import secrets
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeAlias

import click

from narrows.inputs import read_source
from narrows.limits import Limits

Content: TypeAlias = bytes | Callable[[BinaryIO], object]


def read_stdin(limits: Limits) -> bytes:
    """All of stdin; a terminal is a usage error, more than `limits.max_bytes` a LimitError."""
    if sys.stdin is None:
        raise OSError(errno.EBADF, "is closed; name a file instead of '-'", "stdin")
    if sys.stdin.isatty():
        raise click.UsageError("'-' is stdin, which is a terminal here; redirect a file or a pipe into it")
    return read_source(sys.stdin.buffer, limits)


def check_stdout() -> None:
    """Usage error if stdout is a terminal: bytes would only disturb it. OSError if it is closed."""
    if sys.stdout is None:
        raise OSError(errno.EBADF, "is closed; name a file with -o", "stdout")
    if sys.stdout.isatty():
        raise click.UsageError("the result is binary and stdout is a terminal; redirect it, or name a file with -o")


def write_stdout(content: Content) -> None:
    """All of `content` to stdout; OSError if its reader has gone."""
    data = _as_bytes(content)
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        raise OSError(error.errno, f"cannot be written: {error.strerror}", "stdout") from error


def check_writable(path: Path, *, force: bool) -> None:
    """FileExistsError if `path` is there and may not be replaced, IsADirectoryError if it is a folder.

    A device or a pipe, /dev/null for instance, is not replaced but written to, which needs no force.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder; name a file with -o", str(path))
    if not force and os.path.lexists(path) and not _is_stream(path):
        raise FileExistsError(errno.EEXIST, "exists already; --force overwrites it", str(path))


def write_whole(path: Path, content: Content, *, force: bool) -> None:
    """Make `path` a file with this content, or leave everything as it was: written beside, synced, renamed.

    Missing folders above it are made. FileExistsError as in `check_writable`, also if the file came into being just
    now; any other OSError says what could not be written.
    """
    check_writable(path, force=force)
    try:
        if _is_stream(path):
            path.write_bytes(_as_bytes(content))
            return
        target = Path(os.path.realpath(path))  # a link stays a link, the file that it names is replaced
        target.parent.mkdir(parents=True, exist_ok=True)
        # A part of the name, so that it can be told where it came from: 255 bytes are all that a file system gives.
        beside = target.with_name(f".{target.name[:40]}.{secrets.token_hex(8)}.part")
        try:
            with open(beside, "xb") as file:  # noqa: PTH123
                _put(content, file)
                file.flush()
                os.fsync(file.fileno())
            _move(beside, target, force=force)
        except BaseException:  # an interrupt too leaves nothing behind
            beside.unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)
    except FileExistsError as error:
        check_writable(path, force=force)
        raise _unwritable(error, path) from error
    except OSError as error:
        raise _unwritable(error, path) from error


def _put(content: Content, file: BinaryIO) -> None:
    if isinstance(content, bytes):
        file.write(content)
    else:
        content(file)


def _as_bytes(content: Content) -> bytes:
    """For pipes and devices, in which nothing can seek."""
    if isinstance(content, bytes):
        return content
    file = io.BytesIO()
    content(file)
    return file.getvalue()


def _move(beside: Path, target: Path, *, force: bool) -> None:
    """Rename; without force never over a file that another process made meanwhile, where the file system can tell."""
    if force:
        beside.replace(target)
        return
    try:
        os.link(beside, target)
    except FileExistsError:
        raise
    except OSError:  # no hard links here
        beside.replace(target)
    else:
        beside.unlink()


def _sync_folder(folder: Path) -> None:
    """Make the new name as durable as the bytes, where a folder can be opened for that."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def _is_stream(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _unwritable(error: OSError, path: Path) -> OSError:
    reason = error.strerror or str(error)
    return OSError(error.errno, f"cannot be written: {reason}; choose another place with -o", str(path))
