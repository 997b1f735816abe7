"""A whole comparison, from pictures to a folder with a report.

    find_pictures -> survey (points.csv) -> measure_speed (speed.json) -> analyse -> make_crops -> the report's files

What takes long is kept in the folder as it comes, so a run that was stopped goes on where it was.
"""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from tqdm import tqdm

from narrows.compare import codecs, published
from narrows.compare.analysis import Analysis, analyse
from narrows.compare.crops import CROP_CODERS, TARGET_BPP, choose_pictures, make_crops
from narrows.compare.figures import write_figures
from narrows.compare.files import write_whole
from narrows.compare.markdown import report_md
from narrows.compare.pictures import PictureSet, find_pictures
from narrows.compare.records import Comparison, CropRow, Speed, SpeedReport
from narrows.compare.report import write_report
from narrows.compare.sample import write_sample
from narrows.compare.speed import measure_speed, processor
from narrows.compare.summary import plain, summarise
from narrows.compare.survey import Survey, survey
from narrows.errors import NarrowsError, OptionError, PictureError
from narrows.runtime import default_threads

PACKAGES = ("narrows", "numpy", "Pillow", "onnxruntime", "constriction", "pillow-jxl-plugin", "imagecodecs",
            "bjontegaard", "scipy")  # fmt: skip

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is compared and how.

    folder      where the report goes, and what a stopped run goes on from
    codecs      names or families (codecs.expand); None is all of them. The first is judged
    jobs        processes of the survey; None is one a core
    threads     threads of every coder while speed is measured; None is all cores
    settings    coder -> settings, instead of its usual ones
    published   a file of published curves; `curves` says which are drawn, None a handful
    title       of the report; None is the name of the folder or the picture
    crop_bpp    mean bits per pixel of the pictures that are shown side by side
    command     the command line, for the report
    """

    folder: Path
    codecs: tuple[str, ...] | None = None
    jobs: int | None = None
    threads: int | None = None
    effort: int = 5
    metric: str = "psnr"
    settings: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    published: Path | None = None
    curves: tuple[str, ...] | None = None
    title: str | None = None
    crop_bpp: float = TARGET_BPP
    crops: bool = True
    speed: bool = True
    command: str = ""

    def names(self) -> list[str]:
        """The coders by name; OptionError if one is unknown, or has settings and is not among them."""
        names = codecs.expand(codecs.DEFAULT if self.codecs is None else self.codecs)
        for name in self.settings:
            if name not in names:
                raise OptionError(f"settings are given for {name}, which is not among the codecs {', '.join(names)}")
        return names


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a run gave. `problems` are the pictures that were left out, each with its reason."""

    comparison: Comparison
    analysis: Analysis
    report: Path
    problems: tuple[NarrowsError, ...]

    def summary_json(self) -> str:
        """What summary.json holds."""
        return _json(summarise(self.comparison, self.analysis))

    def text(self) -> str:
        """The verdict and a line for each opponent, for a terminal."""
        lines = [self.analysis.verdict]
        pairs = self.analysis.metrics[0].pairs if self.analysis.metrics else ()
        if pairs:
            lines.append(f"\nBD-rate of {self.analysis.judged_label} ({self.analysis.deciding.label}) against")
        width = max((len(pair.label) for pair in pairs), default=0)
        for pair in pairs:
            value = "       -" if pair.rate.value is None else f"{pair.rate.value:+6.1f} %"
            lines.append(f"  {pair.label:{width}}  {value}  {pair.rate.reason}".rstrip())
        return "\n".join([*lines, "", str(self.report)])


def run(inputs: Sequence[Path] | None, plan: Plan, *, say: Say = lambda line: None, progress: bool = False) -> Result:
    """Compare the coders on files and folders of pictures; None is a photograph that comes with scikit-image.

    Writes points.csv, speed.json, summary.json, report.html, report.md and figures/ into plan.folder. `say` gets
    a line for whatever is left out. PictureError if no picture remains, OptionError for a wrong plan or too few
    settings for a curve, OSError for a folder that cannot be written; what was measured before stays in the folder.
    """
    names = plan.names()
    _writable(plan.folder)
    with _in_folder(plan.folder):
        return _run(inputs, names, plan, say, progress)


def _run(inputs: Sequence[Path] | None, names: Sequence[str], plan: Plan, say: Say, progress: bool) -> Result:
    curves = published.read_published(plan.published) if plan.published else ()
    drawn = published.choose_drawn(curves, plan.curves)
    files: Sequence[Path] = [write_sample(plan.folder)] if inputs is None else inputs
    pictures = find_pictures(files)
    for name, reason in pictures.left_out:
        say(f"{name}: {reason}; left out")
    surveyed = _survey(pictures, names, plan, progress)
    for line in surveyed.missing:
        say(f"{line}; left out")
    for name, reason in surveyed.left_out:
        say(f"{name}: {reason}; left out")
    comparison = Comparison(
        title=plan.title or _title(files),
        command=plan.command,
        metric=plan.metric,
        pictures=tuple(picture.record for picture in surveyed.pictures),
        coders=surveyed.coders,
        points=surveyed.points,
        published=curves,
        drawn=drawn,
        left_out=(*pictures.left_out, *surveyed.left_out),
        missing=surveyed.missing,
        versions=_versions(),
    )
    analysis = analyse(comparison)  # what is wrong with the points is said before minutes are spent on speed
    if plan.speed:
        comparison = replace(comparison, speed=_speed(surveyed, plan, progress))
        analysis = analyse(comparison)
    crops = _crops(surveyed, comparison, analysis, plan, say) if plan.crops else ()
    return Result(
        comparison=comparison,
        analysis=analysis,
        report=_write(plan.folder, comparison, analysis, crops),
        problems=tuple(PictureError(reason, source=name) for name, reason in comparison.left_out),
    )


def listing(names: tuple[str, ...] | None, *, effort: int) -> str:
    """The coders by name, with label, options, settings and library; those that are not installed with the reason."""
    coders, missing = codecs.available(codecs.expand(codecs.NAMES if names is None else names), effort=effort)
    lines = []
    for coder in coders:
        c = coder.coder
        settings = "lossless" if c.lossless else f"{c.parameter} {', '.join(f'{value:g}' for value in coder.settings)}"
        lines.append(f"{c.name:13} {c.label}: {c.options}; {c.version}\n{'':13} {settings}")
    return "\n".join([*lines, *missing])


def _writable(folder: Path) -> None:
    """Make the folder; OSError that says so if nothing can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial = folder / ".writable"
        trial.write_bytes(b"")
        trial.unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(error.errno, f"cannot be written: {reason}; name another folder with -o", str(folder)) from error


@contextmanager
def _in_folder(folder: Path) -> Iterator[None]:
    """A disk that is full says so without a name, since a file that is open has none; here it gets the folder's."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        reason = f"cannot be written: {error.strerror}; what was measured is kept, the same command goes on from there"
        raise OSError(error.errno, reason, str(folder)) from error


def _survey(pictures: PictureSet, names: Sequence[str], plan: Plan, progress: bool) -> Survey:
    with tqdm(desc="files", unit="file", disable=not progress, smoothing=0.02) as bar:

        def advance(done: int, total: int) -> None:
            if bar.total is None:
                bar.total, bar.initial = total, done  # what an earlier run has done says nothing about the speed
            bar.n = done
            bar.refresh()

        return survey(
            pictures.pictures, names, table=plan.folder / "points.csv", jobs=plan.jobs, effort=plan.effort,
            settings=plan.settings, progress=advance,
        )  # fmt: skip


def _speed(surveyed: Survey, plan: Plan, progress: bool) -> SpeedReport:
    """What speed.json holds if it is of this comparison on this machine; else measured, and kept there."""
    path = plan.folder / "speed.json"
    names = [coder.name for coder in surveyed.coders]
    about = {
        "processor": processor(),
        "threads": plan.threads or default_threads(),
        "pictures": [picture.record.digest for picture in surveyed.pictures],
        "coders": {coder.name: [coder.version, coder.options] for coder in surveyed.coders},
    }
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["about"] == about:
            speeds = tuple(_speed_of(speed) for speed in kept["report"].pop("speeds"))
            return SpeedReport(**kept["report"], speeds=speeds)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # there is none, or not one of ours: it is measured
    with tqdm(desc="speed", unit="round", disable=not progress) as bar:

        def advance(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        report = measure_speed(
            surveyed.pictures, names, surveyed.points, threads=plan.threads, effort=plan.effort, progress=advance
        )
    write_whole(path, _json({"about": about, "report": plain(asdict(report))}))
    return report


def _speed_of(kept: dict[str, Any]) -> Speed:
    """A speed as speed.json holds it; JSON has no infinity, which an exact copy's PSNR is."""
    return Speed(**kept | {"psnr_db": math.inf if kept["psnr_db"] is None else kept["psnr_db"]})


def _crops(surveyed: Survey, comparison: Comparison, analysis: Analysis, plan: Plan, say: Say) -> tuple[CropRow, ...]:
    choices = choose_pictures(comparison, analysis, target_bpp=plan.crop_bpp)
    names = [coder.name for coder in surveyed.coders]
    shown = [analysis.judged, *(name for name in CROP_CODERS if name in names and name != analysis.judged)]
    working = [codecs.build(name, threads=plan.threads or default_threads(), effort=plan.effort) for name in shown]
    by_name = {picture.record.name: picture for picture in surveyed.pictures}
    return make_crops(choices, lambda name: by_name[name].load(), working, say=say)


def _write(folder: Path, comparison: Comparison, analysis: Analysis, crops: tuple[CropRow, ...]) -> Path:
    write_whole(folder / "summary.json", _json(summarise(comparison, analysis)))
    figures = folder / "figures"
    figures.mkdir(exist_ok=True)
    write_figures(figures, comparison, analysis)
    write_whole(folder / "report.md", report_md(comparison, analysis, figures="figures/"))
    return write_report(folder, comparison, analysis, crops)


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _title(files: Sequence[Path]) -> str:
    first = files[0].resolve()
    name = first.name if first.is_dir() else first.stem
    return name if len(files) == 1 else f"{name} and {len(files) - 1} more"


def _versions() -> dict[str, str]:
    found = {"Python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
