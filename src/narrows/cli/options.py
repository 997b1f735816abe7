"""Options and arguments that several commands share, each said once."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import click

from narrows.limits import Limits

Command = TypeVar("Command", bound=Callable[..., Any])


def inputs(command: Command) -> Command:
    """IN...: files, folders, or - for stdin."""
    return click.argument("inputs", nargs=-1, required=True, metavar="IN...")(command)


def output(command: Command) -> Command:
    """-o and --force, of the commands that write files."""
    command = click.option("--force", is_flag=True, help="Overwrite existing files.")(command)
    return click.option(
        "-o",
        "--output",
        metavar="OUT|DIR|-",
        help="A file, a folder (there, or ending with /), or - for stdout.  [default: beside each input]",
    )(command)


def profile(command: Command) -> Command:
    """-p, where the default stands for the command's own choice."""
    return click.option("-p", "--profile", metavar="NAME|DIR", help="A shipped profile's name, or the folder of one.")(
        command
    )


def limits(command: Command) -> Command:
    """--max-pixels, --max-bytes and --max-metadata, handed on as one argument `limits`."""

    @wraps(command)
    def limited(*args: Any, max_pixels: int, max_bytes: int, max_metadata: int, **kwargs: Any) -> Any:
        chosen = Limits(max_pixels=max_pixels, max_bytes=max_bytes, max_metadata=max_metadata)
        return command(*args, limits=chosen, **kwargs)

    described: Any = limited
    for name, text in (
        ("max_metadata", "ICC, EXIF or XMP of more bytes than this, each."),
        ("max_bytes", "A file of more bytes than this."),
        ("max_pixels", "A picture of more pixels than this."),
    ):
        described = click.option(
            f"--{name.replace('_', '-')}",
            type=click.IntRange(min=1),
            default=getattr(Limits(), name),
            show_default=True,
            metavar="N",
            help=f"Refuse: {text}",
        )(described)
    return cast(Command, described)


def work(command: Command) -> Command:
    """-j and --threads."""
    command = click.option(
        "--threads", type=click.IntRange(min=1), metavar="N", help="Threads in all.  [default: all cores]"
    )(command)
    return click.option(
        "-j", "--jobs", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="Files at once."
    )(command)


def words(command: Command) -> Command:
    """--recursive, --json and --quiet."""
    command = click.option("--quiet", is_flag=True, help="No results, warnings or progress: errors only.")(command)
    command = click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for each input.")(command)
    return click.option("--recursive", is_flag=True, help="Look into the folders below a folder too.")(command)


def threads_each(threads: int | None, jobs: int) -> int | None:
    """Threads for each of `jobs` files at once; None is all cores, for one file alone."""
    if jobs == 1:
        return threads
    return max(1, (threads or _cores()) // jobs)


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
