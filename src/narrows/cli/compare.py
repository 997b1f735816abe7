"""`narrows compare`: the door to narrows.compare, whose libraries are loaded only when somebody goes in."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from narrows.cli.extras import explained
from narrows.cli.failures import ExitCode, silence_warnings
from narrows.errors import OptionError

if TYPE_CHECKING:
    from types import ModuleType

_NEEDED = ("bjontegaard", "jinja2", "markupsafe", "matplotlib", "scipy")  # what the extra [compare] cannot do without
FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("compare", short_help="Compare narrows with JPEG, WebP, AVIF, JPEG XL and more on your pictures.")
@click.argument("pictures", nargs=-1, metavar="PICTURES...", type=click.Path(path_type=Path))
@click.option("--sample", is_flag=True, help="Compare on a photograph that comes with scikit-image.")
@click.option("--codecs", metavar="NAMES", help="Names or families with commas between; narrows:DIR is another "
              "profile, --list shows the rest.  [default: all]")  # fmt: skip
@click.option("--list", "listing", is_flag=True, help="List the codecs with their settings and versions, and leave.")
@click.option("-o", "--output", type=FOLDER, default="report", show_default=True, metavar="DIR",
              help="Folder of the report. A run that was stopped goes on from what lies there.")  # fmt: skip
@click.option("-j", "--jobs", type=click.IntRange(min=1), metavar="N", help="Processes.  [default: all cores]")
@click.option("--threads", type=click.IntRange(min=1), metavar="N",
              help="Threads of every codec while speed is measured.  [default: all cores]")  # fmt: skip
@click.option("--effort", type=click.IntRange(0, 9), default=5, show_default=True, metavar="0..9", help="Of narrows.")
@click.option("--metric", type=click.Choice(["psnr", "mse", "ssim", "ms-ssim", "ssimulacra2"]), default="psnr",
              show_default=True, help="What the verdict goes by. The report has them all.")  # fmt: skip
@click.option("--settings", multiple=True, metavar="CODEC=Q,Q,...",
              help="Measure a codec at these settings instead of its usual ones.")  # fmt: skip
@click.option("--published", type=FILE, metavar="FILE", help="Published curves (JSON) to rate and draw too.")
@click.option("--curves", metavar="NAMES", help="The published curves that are drawn, separated by commas.")
@click.option("--title", metavar="TEXT", help="Title of the report.  [default: the name of the folder or picture]")
@click.option("--crop-bpp", type=click.FloatRange(min=0.01), default=0.3, show_default=True, metavar="BPP",
              help="Mean bits per pixel of the pictures that are shown side by side.")  # fmt: skip
@click.option("--no-crops", is_flag=True, help="Show no part of any picture in the report.")
@click.option("--no-speed", is_flag=True, help="Measure neither speed nor memory.")
@click.option("--json", "as_json", is_flag=True, help="The summary as one JSON object instead of a table.")
@click.option("--quiet", is_flag=True, help="No results, warnings or progress: errors only.")
@click.pass_context
def compare(
    context: click.Context, pictures: tuple[Path, ...], sample: bool, codecs: str | None, listing: bool, output: Path,
    jobs: int | None, threads: int | None, effort: int, metric: str, settings: tuple[str, ...],
    published: Path | None, curves: str | None, title: str | None, crop_bpp: float, no_crops: bool, no_speed: bool,
    as_json: bool, quiet: bool,
) -> int:  # fmt: skip
    """Compare narrows with the codecs people use, on your own pictures.

    PICTURES are files or folders. Every codec makes real files of every picture over its range of settings; they are
    decoded from their bytes alone and measured. DIR/report.html shows what came out; points.csv, summary.json and
    report.md hold it as numbers.
    """
    if quiet:
        silence_warnings()
    run = _loaded()
    if listing:
        click.echo(run.listing(_names(codecs), effort=effort))
        return ExitCode.DONE
    if sample == bool(pictures):
        raise click.UsageError("name pictures or folders of pictures, or give --sample", context)
    plan = run.Plan(
        codecs=_names(codecs), folder=output, jobs=jobs, threads=threads, effort=effort, metric=metric,
        settings=_settings(settings), published=published, curves=_names(curves), title=title, crop_bpp=crop_bpp,
        crops=not no_crops, speed=not no_speed, command=_command(),
    )  # fmt: skip
    show = not quiet and sys.stderr.isatty()
    result = run.run(None if sample else pictures, plan, say=_quiet if quiet else _say, progress=show)
    if as_json:
        click.echo(result.summary_json())
    elif not quiet:
        click.echo(result.text())
    return ExitCode.FAILED if result.problems else ExitCode.DONE


def _loaded() -> ModuleType:
    """narrows.compare.run; an error that says what to install if its libraries are missing."""
    try:
        return import_module("narrows.compare.run")
    except ModuleNotFoundError as error:
        raise explained(error, "compare", _NEEDED) from error


def _names(text: str | None) -> tuple[str, ...] | None:
    """The names in a list with commas; None if the option was not given."""
    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise OptionError("an empty list of names was given; separate names by commas")
    return names


def _settings(texts: tuple[str, ...]) -> dict[str, tuple[float, ...]]:
    """{"webp": (10.0, 50.0)} from ("webp=10,50",)."""
    found: dict[str, tuple[float, ...]] = {}
    for text in texts:
        name, equals, values = text.rpartition("=")
        try:
            numbers = tuple(sorted({float(value) for value in values.split(",")}))
        except ValueError:
            numbers = ()
        if not (name and equals and numbers):
            raise OptionError(f"--settings {text!r} is not of the form CODEC=Q,Q,... such as webp=10,30,50,70,90")
        found[name] = numbers
    return found


def _command() -> str:
    """The command as it was given, for the report."""
    import shlex

    return shlex.join(["narrows", *sys.argv[1:]])


def _say(line: str) -> None:
    click.echo(f"narrows: {line}", err=True)


def _quiet(*_: Any) -> None:
    pass
