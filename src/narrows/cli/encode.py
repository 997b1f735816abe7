"""`narrows encode`: pictures into narrows files."""

from __future__ import annotations

import click
from click.core import ParameterSource

from narrows import summary
from narrows.cli import options
from narrows.cli.batch import Manner, Progress, Result, run_jobs
from narrows.cli.codecs import Codecs
from narrows.cli.failures import silence_warnings
from narrows.cli.jobs import NARROWS_SUFFIXES, Job, find_jobs, plan_outputs
from narrows.inputs import PICTURE_SUFFIXES
from narrows.limits import Limits


@click.command("encode")
@options.inputs
@options.output
@click.option(
    "-q",
    "--quality",
    type=click.FloatRange(0, 100),
    default=75,
    show_default=True,
    metavar="0..100",
    help="Higher is better and larger.",
)
@click.option(
    "--effort",
    type=click.IntRange(0, 9),
    default=5,
    show_default=True,
    metavar="0..9",
    help="Higher takes longer to encode, for fewer bytes at equal PSNR; 9 needs narrows[lab]. Decoding time stays.",
)
@click.option(
    "--target-bytes",
    type=click.IntRange(min=1),
    metavar="N",
    help="The best quality in at most N bytes, instead of -q.",
)
@click.option(
    "--target-psnr",
    type=click.FloatRange(min=0, min_open=True),
    metavar="DB",
    help="The smallest file of at least DB decibels PSNR, instead of -q.",
)
@options.profile
@options.work
@options.limits
@click.option("--strip", is_flag=True, help="Leave out ICC profile, EXIF and XMP.")
@options.words
@click.pass_context
def encode(
    context: click.Context,
    inputs: tuple[str, ...],
    output: str | None,
    force: bool,
    quality: float,
    effort: int,
    target_bytes: int | None,
    target_psnr: float | None,
    profile: str | None,
    jobs: int,
    threads: int | None,
    limits: Limits,
    strip: bool,
    recursive: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Encode pictures into narrows files.

    IN is a picture, a folder of pictures, or - for stdin. Each result is written beside its input with the suffix
    .nrws, or where -o says.
    """
    _check_one_target(context)
    if quiet:
        silence_warnings()
    todo = find_jobs(inputs, PICTURE_SUFFIXES, recursive=recursive)
    todo = plan_outputs(todo, output, NARROWS_SUFFIXES[0], force=force)
    codecs = Codecs(profile, options.threads_each(threads, jobs), limits)
    if any(job.problem is None for job in todo):
        codecs.for_encoding()  # a missing profile is said once, not for every picture

    def work(job: Job, progress: Progress | None) -> Result:
        # A file is read by Pillow, as far as it needs it; a pipe has no size and is read here.
        source = job.path if job.path is not None and job.path.is_file() else job.read(limits)
        data = codecs.for_encoding().encode(
            source,
            quality=quality,
            effort=effort,
            target_bytes=target_bytes,
            target_psnr=target_psnr,
            metadata=not strip,
            progress=progress,
        )
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        return _result(job, data, size)

    manner = Manner(
        at_once=jobs,
        force=force,
        as_json=as_json,
        quiet=quiet,
        binary_stdout=any(job.target is None for job in todo),
    )
    return run_jobs(todo, work, manner)


def _check_one_target(context: click.Context) -> None:
    given = [
        option
        for option, name in (("-q", "quality"), ("--target-bytes", "target_bytes"), ("--target-psnr", "target_psnr"))
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} exclude each other; give one of them", context)


def _result(job: Job, data: bytes, input_bytes: int) -> Result:
    info = summary.info(data)
    target = "stdout" if job.target is None else str(job.target)
    share = len(data) / max(input_bytes, 1)
    rate = f"{info.bits_per_pixel:.3f} bpp, {share:.1%} of the input"
    return Result(
        line=f"{job.shown} -> {job.shown_target}: {len(data)} bytes, {rate}",
        record={
            "input": job.name,
            "output": target,
            "input_bytes": input_bytes,
            "bytes": len(data),
            "bits_per_pixel": info.bits_per_pixel,
            "ratio": share,
            "width": info.width,
            "height": info.height,
            "mode": info.mode,
            "quality": info.quality,
            "quality_index": info.quality_index,
            "profile": info.profile,
        },
        content=data,
    )
