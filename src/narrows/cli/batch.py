"""One or many jobs: a failure is reported and the rest go on; results come in the order of the inputs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from threading import Event, Lock
from typing import Any, TextIO, TypeAlias

import click

from narrows.cli.failures import ExitCode, about, describe, exit_code, printable, report, tell
from narrows.cli.files import Content, write_stdout, write_whole
from narrows.cli.jobs import Job

Progress: TypeAlias = Callable[[float], None]  # takes the share done, 0 to 1


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a job gives: its words, the same as values for JSON, and the content of the file that the command writes."""

    line: str
    record: dict[str, Any]
    content: Content | None = None


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How the jobs are done: how many at once, whether files are overwritten, and what is said on the way.

    `binary_stdout`: the result itself goes to stdout, so words and JSON go to stderr. `verdict`: what is said at the
    end of how many of several inputs, such as "are whole"; nothing if it is empty.
    """

    at_once: int = 1
    force: bool = False
    as_json: bool = False
    quiet: bool = False
    binary_stdout: bool = False
    verdict: str = ""


Work: TypeAlias = Callable[[Job, Progress | None], Result]


def run_jobs(jobs: Sequence[Job], work: Work, manner: Manner) -> ExitCode:
    """Do all jobs. DONE, or the error's own code if there was a single job, or FAILED if any of many failed.

    An interrupt ends the jobs at work before they write, then says which were done: KeyboardInterrupt has their number.
    """
    bar = _Bar(len(jobs), wanted=_is_terminal(sys.stderr) and not manner.quiet)
    failures: list[ExitCode] = []
    done = _Done()
    try:
        with bar.shown(), _outcomes(jobs, partial(_perform, work, manner, bar, done), manner) as outcomes:
            for job, outcome in outcomes:
                try:
                    result = outcome()
                except Exception as error:
                    failures.append(exit_code(error))
                    with bar.aside():
                        report(error, job.name)
                        _say(manner, None, _failure(job, error))
                else:
                    with bar.aside():
                        _say(manner, result.line, result.record)
                    done.unsaid.remove(result)
                bar.advance()
    except KeyboardInterrupt:
        for result in done.unsaid:
            _say(manner, result.line, result.record)
        count = f"{done.count} of {len(jobs)} files are done" if len(jobs) > 1 else ""
        raise KeyboardInterrupt(count) from None
    if manner.verdict and len(jobs) > 1 and not (manner.as_json or manner.quiet):
        click.echo(f"{len(jobs) - len(failures)} of {len(jobs)} {manner.verdict}")
    if not failures:
        return ExitCode.DONE
    return failures[0] if len(jobs) == 1 else ExitCode.FAILED


class _Done:
    """What has been done by any thread: how many jobs, and the results that were not told yet."""

    def __init__(self) -> None:
        self.count = 0
        self.unsaid: list[Result] = []
        self._lock = Lock()

    def add(self, result: Result) -> None:
        with self._lock:
            self.count += 1
            self.unsaid.append(result)


def _perform(work: Work, manner: Manner, bar: _Bar, done: _Done, stop: Event, job: Job) -> Result:
    """One job, from its input to its written output, and onto `done`. It writes nothing once `stop` is set."""

    def progress(share: float) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        bar.share(share)

    if job.problem is not None:
        raise job.problem
    with about(job.name):
        result = work(job, progress)
        if stop.is_set():
            raise KeyboardInterrupt
        if result.content is not None and job.target is None:
            write_stdout(result.content)
        elif result.content is not None and job.target is not None:
            write_whole(job.target, result.content, force=manner.force)
    result = replace(result, content=None)
    done.add(result)
    return result


@contextmanager
def _outcomes(
    jobs: Sequence[Job], perform: Callable[[Event, Job], Result], manner: Manner
) -> Iterator[Iterable[tuple[Job, Callable[[], Result]]]]:
    """Each job with a call that gives its result or raises its error.

    With several at once they are at work already. Leaving the block early stops them before they write.
    """
    stop = Event()
    if manner.at_once == 1 or len(jobs) == 1:
        yield ((job, partial(perform, stop, job)) for job in jobs)
        return
    pool = ThreadPoolExecutor(manner.at_once, thread_name_prefix="narrows")
    try:
        futures = [(job, pool.submit(perform, stop, job)) for job in jobs]
        yield ((job, future.result) for job, future in futures)
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _say(manner: Manner, line: str | None, record: dict[str, Any]) -> None:
    if manner.as_json:
        stream = sys.stderr if manner.binary_stdout else sys.stdout
        encoding = getattr(stream, "encoding", None) or ""
        unicode = encoding.lower() in ("utf-8", "utf8")  # else all but ASCII is escaped, as JSON has it
        line = json.dumps(record, ensure_ascii=not unicode)
    elif manner.quiet:
        return
    if line is None:
        return
    if manner.binary_stdout:
        tell(printable(line))
        return
    try:
        click.echo(printable(line))
    except OSError as error:
        raise OSError(error.errno, f"cannot be written: {error.strerror}", "stdout") from error


def _is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody looks at it; a stream that was closed before the program began is None."""
    return stream is not None and stream.isatty()


def _failure(job: Job, error: Exception) -> dict[str, Any]:
    return {
        "input": job.name,
        "error": type(error).__name__,
        "message": describe(error, job.name),
        "exit_code": int(exit_code(error)),
    }


class _Bar:
    """A progress bar on stderr: over the jobs, or within the only one. Does nothing unless `wanted`."""

    def __init__(self, count: int, *, wanted: bool) -> None:
        self._count = count
        self._wanted = wanted
        self._bar: Any = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        if not self._wanted:
            yield
            return
        from tqdm import tqdm

        one = "{percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
        layout = {"total": 1.0, "bar_format": one} if self._count == 1 else {"total": self._count, "unit": "file"}
        with tqdm(**layout, file=sys.stderr, leave=False, delay=0.5, dynamic_ncols=True) as self._bar:
            yield

    def share(self, share: float) -> None:
        """The only job has come so far; of one job among many it is no news."""
        if self._bar is not None and self._count == 1:
            self._bar.update(share - self._bar.n)

    def advance(self) -> None:
        if self._bar is not None and self._count > 1:
            self._bar.update()

    def aside(self) -> AbstractContextManager[None]:
        """A block that may write lines: the bar makes room."""
        if self._bar is None:
            return nullcontext()
        from tqdm import tqdm

        return tqdm.external_write_mode(file=sys.stderr)  # type: ignore[no-any-return]
