"""Errors and warnings as one line on stderr each, and as exit codes. No other file of the command line knows either."""

from __future__ import annotations

import json
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from enum import IntEnum
from typing import TextIO

import click

from narrows.errors import FormatError, LimitError, NarrowsError, OptionError, PictureError, ProfileError

DEBUG = "NARROWS_DEBUG"
"""An environment variable: if it is set, an error that nobody foresaw also shows its traceback."""

_LONGEST = 4000  # characters: a message may quote a stranger's profile

_current: ContextVar[str | None] = ContextVar("current", default=None)


class ExitCode(IntEnum):
    """What the command's exit code means; docs/cli.md promises it."""

    DONE = 0
    FAILED = 1  # input or output failed, or some inputs of many
    USAGE = 2
    NOT_VALID = 3  # not a valid narrows file, or not a picture
    PROFILE = 4
    LIMIT = 5
    INTERRUPTED = 130


_CODES: tuple[tuple[type[BaseException], ExitCode], ...] = (
    (KeyboardInterrupt, ExitCode.INTERRUPTED),
    (click.Abort, ExitCode.INTERRUPTED),
    (click.UsageError, ExitCode.USAGE),
    (OptionError, ExitCode.USAGE),
    (FormatError, ExitCode.NOT_VALID),
    (PictureError, ExitCode.NOT_VALID),
    (ProfileError, ExitCode.PROFILE),
    (LimitError, ExitCode.LIMIT),
    (MemoryError, ExitCode.LIMIT),
)


def exit_code(error: BaseException) -> ExitCode:
    """The code for an error that ends the command."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.FAILED)


def describe(error: BaseException, name: str | None = None) -> str:
    """An error as one line without the leading "narrows: "; `name` is the input, for errors that do not know theirs."""
    if isinstance(error, KeyboardInterrupt | click.Abort):
        said = str(error.__cause__ or error)  # click makes its own of a KeyboardInterrupt
        return f"interrupted; {said}" if said else "interrupted"
    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx else "narrows"
        message, name = f"{error.format_message().rstrip('.')}; see: {command} --help", None
    elif isinstance(error, click.ClickException):
        message, name = error.format_message(), None
    elif isinstance(error, NarrowsError):
        message, name = error.message, error.source or name
    elif isinstance(error, OSError):
        message = error.strerror or str(error) or type(error).__name__
        name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else name
    elif isinstance(error, MemoryError):
        message = "needs more memory than there is"
    else:
        if os.environ.get(DEBUG):
            traceback.print_exception(error)
        message = (
            f"{type(error).__name__}: {error}; this is a fault in narrows, please report it ({DEBUG}=1 shows more)"
        )
    return _one_line(message if name is None else f"{name}: {message}")


def report(error: BaseException, name: str | None = None) -> None:
    """Write the error's line to stderr."""
    tell(f"narrows: {describe(error, name)}")


def tell(text: str) -> None:
    """Write a line to stderr. If nobody is there to read it any more, the work goes on all the same."""
    with suppress(OSError):
        click.echo(text, err=True)


@contextmanager
def about(name: str) -> Iterator[None]:
    """Warnings in this block, and in this thread, are about the input `name`."""
    token = _current.set(name)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Every warning that is meant for a user becomes a line on stderr, each time; those for programmers are dropped."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        name = _current.get()
        text = f"{name}: warning: {message}" if name else f"warning: {message}"
        tell(f"narrows: {_one_line(text)}")

    with warnings.catch_warnings():
        if not sys.warnoptions:  # else the user, or a test, has said what warnings should do
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield


def silence_warnings() -> None:
    """For --quiet, within `warnings_as_lines`."""
    warnings.simplefilter("ignore")


def printable(text: str) -> str:
    r"""The text with every character that a terminal would obey, or could not show, in JSON's spelling of it: \u001b.

    Names of files and what a profile says come from strangers. A name that is no UTF-8 holds halves of surrogate pairs,
    which stdout would refuse. Lines stay lines, and JSON stays the same JSON.
    """
    return "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text)


def _one_line(text: str) -> str:
    text = " ".join(text.split())
    return printable(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")
