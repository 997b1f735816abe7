"""`narrows verify`: whether files are whole."""

from __future__ import annotations

import click

from narrows import container
from narrows.cli import options
from narrows.cli.batch import Manner, Progress, Result, run_jobs
from narrows.cli.codecs import Codecs
from narrows.cli.jobs import NARROWS_SUFFIXES, Job, find_jobs
from narrows.limits import Limits


@click.command("verify")
@options.inputs
@click.option("--deep", is_flag=True, help="Decode too; needs the file's profile.")
@options.profile
@options.work
@options.limits
@options.words
def verify(
    inputs: tuple[str, ...],
    deep: bool,
    profile: str | None,
    jobs: int,
    threads: int | None,
    limits: Limits,
    recursive: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Check that narrows files are whole.

    IN is a narrows file, a folder of them (.nrws), or - for stdin. All rules of the format and all checksums are
    checked; with --deep every symbol and the alpha channel too, by decoding. Nothing is written. The exit code is 0
    if every file is whole; --quiet shows the damaged ones alone.
    """
    codecs = Codecs(profile, options.threads_each(threads, jobs), limits)

    def work(job: Job, progress: Progress | None) -> Result:
        data = job.read(limits)
        file = container.read(data, limits)
        if deep:
            for _ in codecs.for_file(file.profile).decode_parts(file, progress=progress):
                pass
        return Result(
            line=f"{job.shown}: {'whole, and it decodes' if deep else 'whole'}",
            record={
                "input": job.name,
                "valid": True,
                "deep": deep,
                "size_bytes": len(data),
                "profile": file.profile.hex(),
            },
        )

    todo = find_jobs(inputs, NARROWS_SUFFIXES, recursive=recursive)
    return run_jobs(todo, work, Manner(at_once=jobs, as_json=as_json, quiet=quiet, verdict="files are whole"))
