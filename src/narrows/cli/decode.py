"""`narrows decode`: narrows files into pictures that every program reads."""

from __future__ import annotations

from pathlib import Path

import click

from narrows import container
from narrows.cli import options
from narrows.cli.batch import Manner, Progress, Result, run_jobs
from narrows.cli.codecs import Codecs
from narrows.cli.failures import silence_warnings
from narrows.cli.jobs import NARROWS_SUFFIXES, STANDARD, Job, find_jobs, names_folder, plan_outputs
from narrows.limits import Limits

_DEFAULT_SUFFIX = ".png"


def _region(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, int, int, int] | None:
    """--region as four whole numbers; whether they lie inside the picture is for the codec to say."""
    if value is None:
        return None
    try:
        x, y, width, height = (int(part) for part in value.split(","))
    except ValueError:
        message = f"{value!r} is not of the form X,Y,W,H with four whole numbers of pixels"
        raise click.BadParameter(message, context, parameter) from None
    return x, y, width, height


@click.command("decode")
@options.inputs
@options.output
@click.option(
    "--region", callback=_region, metavar="X,Y,W,H", help="Only this part, in pixels from the upper left corner."
)
@options.profile
@options.work
@options.limits
@options.words
def decode(
    inputs: tuple[str, ...],
    output: str | None,
    force: bool,
    region: tuple[int, int, int, int] | None,
    profile: str | None,
    jobs: int,
    threads: int | None,
    limits: Limits,
    recursive: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Decode narrows files into pictures.

    IN is a narrows file, a folder of them (.nrws), or - for stdin. Each result is written beside its input as PNG, or
    where -o says, in the format that the suffix of OUT names.
    """
    if quiet:
        silence_warnings()
    todo = find_jobs(inputs, NARROWS_SUFFIXES, recursive=recursive)
    todo = plan_outputs(todo, output, _DEFAULT_SUFFIX, force=force)
    suffix = _suffix(output)
    codecs = Codecs(profile, options.threads_each(threads, jobs), limits)

    def work(job: Job, progress: Progress | None) -> Result:
        file = container.read(job.read(limits), limits)  # a damaged file is told before any profile is looked for
        image = codecs.for_file(file.profile).decode_container(file, region, progress)

        from narrows.cli.saving import image_writer

        target = "stdout" if job.target is None else str(job.target)
        return Result(
            line=f"{job.shown} -> {job.shown_target}: {image.width} x {image.height} {image.mode}",
            record={
                "input": job.name,
                "output": target,
                "width": image.width,
                "height": image.height,
                "mode": image.mode,
            },
            content=image_writer(image, suffix),
        )

    manner = Manner(
        at_once=jobs,
        force=force,
        as_json=as_json,
        quiet=quiet,
        binary_stdout=any(job.target is None for job in todo),
    )
    return run_jobs(todo, work, manner)


def _suffix(output: str | None) -> str:
    """The suffix that says the format of the results; usage error for one that is not known."""
    if output is None or output == STANDARD or names_folder(output):
        return _DEFAULT_SUFFIX

    from narrows.cli.saving import SUFFIXES

    suffix = Path(output).suffix.lower()
    if suffix not in SUFFIXES:
        raise click.UsageError(f"{output}: the suffix {suffix!r} names no format to write; use {', '.join(SUFFIXES)}")
    return suffix
