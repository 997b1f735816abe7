"""Which inputs a command line means, and where each output goes. Decided before any work begins."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from narrows.cli.files import check_stdout, check_writable, read_stdin
from narrows.errors import NarrowsError, OptionError, PictureError
from narrows.inputs import read_source
from narrows.limits import Limits

STANDARD = "-"
NARROWS_SUFFIXES = (".nrws",)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One input and its output.

    name      how the input is called in messages
    path      None for stdin
    relative  where the output goes below a folder of outputs: the input's path below the folder that was named
    target    None for stdout, or for a command that writes no file
    problem   the error that is already certain; it is reported when the job's turn comes
    """

    name: str
    path: Path | None
    relative: Path
    target: Path | None = None
    problem: NarrowsError | OSError | None = None

    @property
    def shown(self) -> str:
        """The name for a line of text."""
        return on_one_line(self.name)

    @property
    def shown_target(self) -> str:
        """The output for a line of text."""
        return "stdout" if self.target is None else on_one_line(str(self.target))

    def read(self, limits: Limits) -> bytes:
        """The input's bytes; OSError or LimitError."""
        if self.path is None:
            return read_stdin(limits)
        return read_source(self.path, limits)


def on_one_line(name: str) -> str:
    r"""A file's name that does not break its line: names may hold line ends, which are spelt \n here."""
    return name.replace("\n", "\\n")


def find_jobs(inputs: Sequence[str], suffixes: Sequence[str], *, recursive: bool) -> list[Job]:
    """A job for every input; a folder stands for the files in it with one of `suffixes`, by name.

    What is missing or empty becomes a job with a problem. Usage error if stdin is named twice.
    """
    if list(inputs).count(STANDARD) > 1:
        raise click.UsageError("'-' (stdin) is named twice; it can be read once")
    return [job for name in inputs for job in _jobs_of(name, suffixes, recursive=recursive)]


def plan_outputs(jobs: list[Job], output: str | None, suffix: str, *, force: bool) -> list[Job]:
    """The jobs with their targets: beside each input with `suffix`, or where `output` (-o) says.

    Usage error if several jobs cannot go there, if two would write one file, or if a terminal would receive bytes.
    """
    planned = [replace(job, target=_target(job, jobs, output, suffix)) for job in jobs]
    writers: dict[str, Job] = {}
    for job in planned:
        if job.target is None:
            check_stdout()
            continue
        key = os.path.normcase(os.path.realpath(job.target))
        if key in writers:
            first = writers[key].name
            raise click.UsageError(
                f"{first} and {job.name} would both become {job.target}; rename one, or use two folders"
            )
        writers[key] = job
    return [_with_problem(job, force=force) for job in planned]


def names_folder(output: str) -> bool:
    """Whether -o means a folder: it is one, or it ends with a slash."""
    return output.endswith(("/", os.sep)) or Path(output).is_dir()


def _jobs_of(name: str, suffixes: Sequence[str], *, recursive: bool) -> Iterator[Job]:
    if name == STANDARD:
        yield Job(name="stdin", path=None, relative=Path("stdin"))
        return
    path = Path(name)
    itself = Job(name=name, path=path, relative=Path(path.name))
    try:
        if not path.is_dir():
            path.stat()
            yield itself
            return
        files = sorted(_files_below(path, suffixes, recursive=recursive))
    except FileNotFoundError:
        missing = FileNotFoundError(errno.ENOENT, "does not exist; check the name", name)
        yield replace(itself, problem=missing)
        return
    except OSError as error:
        yield replace(itself, problem=error)
        return
    if not files:
        kind = "narrows files (.nrws)" if tuple(suffixes) == NARROWS_SUFFIXES else "pictures (.jpg, .png, .webp, ...)"
        deeper = "" if recursive else "; --recursive looks into the folders below it"
        yield replace(itself, problem=PictureError(f"is a folder without {kind}{deeper}", source=name))
    for file in files:
        yield Job(name=str(file), path=file, relative=file.relative_to(path))


def _files_below(folder: Path, suffixes: Sequence[str], *, recursive: bool) -> Iterator[Path]:
    """Files with one of the suffixes; hidden files and folders are left out, linked folders are not entered."""
    folders = [folder]
    while folders:  # no recursion: an archive of strangers may be deeper than Python's stack
        folder = folders.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if recursive and entry.is_dir(follow_symlinks=False):
                    folders.append(folder / entry.name)
                elif Path(entry.name).suffix.lower() in suffixes and _is_file(entry):
                    yield folder / entry.name


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether it is a file, or a link that leads to one: a link in a circle is none and spoils no folder."""
    try:
        return entry.is_file()
    except OSError:
        return False


def _target(job: Job, jobs: list[Job], output: str | None, suffix: str) -> Path | None:
    if output == STANDARD or (output is None and job.path is None):
        if len(jobs) > 1:
            raise click.UsageError(f"{len(jobs)} inputs cannot all go to stdout; name a folder with -o")
        return None
    if output is None:
        return None if job.path is None else _with_suffix(job.path, suffix)
    if names_folder(output):
        return Path(output) / _with_suffix(job.relative, suffix)
    if len(jobs) > 1:
        raise click.UsageError(
            f"{output} is one file and there are {len(jobs)} inputs; name a folder (new ones end with /)"
        )
    return Path(output)


def _with_suffix(path: Path, suffix: str) -> Path:
    return path.with_name(path.stem + suffix)


def _with_problem(job: Job, *, force: bool) -> Job:
    """The job with the problem that its output will meet, so that no picture is coded in vain."""
    if job.problem is not None or job.target is None:
        return job
    if job.path is not None and job.target.exists() and job.path.exists() and job.target.samefile(job.path):
        return replace(job, problem=OptionError("would be overwritten by its own result; name another output with -o"))
    try:
        check_writable(job.target, force=force)
    except OSError as error:
        return replace(job, problem=error)
    return job
