"""`narrows info`: what files say about themselves, without any network."""

from __future__ import annotations

from collections import Counter

import click

from narrows import summary
from narrows.cli import options
from narrows.cli.batch import Manner, Progress, Result, run_jobs
from narrows.cli.jobs import NARROWS_SUFFIXES, Job, find_jobs
from narrows.limits import Limits


@click.command("info")
@options.inputs
@options.limits
@options.words
def info(inputs: tuple[str, ...], limits: Limits, recursive: bool, as_json: bool, quiet: bool) -> int:
    """Show what narrows files say about themselves.

    IN is a narrows file, a folder of them (.nrws), or - for stdin. Only the header is checked; `narrows verify` checks
    the rest.
    """

    def work(job: Job, progress: Progress | None) -> Result:
        found = summary.info(job.read(limits) if job.path is None else job.path, limits)
        return Result(line=_lines(job.shown, found), record={"input": job.name} | found.as_dict())

    jobs = find_jobs(inputs, NARROWS_SUFFIXES, recursive=recursive)
    return run_jobs(jobs, work, Manner(as_json=as_json, quiet=quiet))


def _lines(name: str, found: summary.Info) -> str:
    quality = f"index {found.quality_index}" if found.quality is None else f"{found.quality:g}"
    profile = found.profile if found.profile_name is None else f"{found.profile_name} ({found.profile})"
    sizes: Counter[str] = Counter()
    for chunk in found.chunks:
        sizes[chunk.name] += chunk.size_bytes
    parts = ", ".join(f"{kind} {size}" for kind, size in sizes.items())
    size = f"{found.width} x {found.height} {found.mode}"
    return (
        f"{name}: {size}, {found.size_bytes} bytes, {found.bits_per_pixel:.3f} bpp\n"
        f"  quality {quality}, profile {profile}, format {found.format_version}\n"
        f"  bytes: {parts}; strips: {found.strips}"
    )
