"""The comparison as Markdown: report.md, which is committed as docs/results/NAME.md, and README's table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from narrows.compare.analysis import Analysis
from narrows.compare.curves import Difference
from narrows.compare.pairs import Pair
from narrows.compare.per_metric import MetricAnalysis
from narrows.compare.records import Comparison
from narrows.errors import OptionError

NONE = "-"


def report_md(comparison: Comparison, analysis: Analysis, *, figures: str | None = None) -> str:
    """The whole report as text and tables.

    `figures` is what goes before the names of the files of figures.write_figures in a link: "" where they lie beside
    the report, "kodak/" where they lie in that folder; without it there are no links. A table says no more than
    summary.json holds. Names from outside are escaped.
    """
    blocks = [
        f"# {escaped(comparison.title)}: {escaped(analysis.judged_label)} beside other codecs",
        escaped(analysis.verdict),
        f"{len(comparison.pictures)} pictures, {len(comparison.points)} files; made by `{_code(comparison.command)}`.",
        *_metric_block(analysis.deciding, analysis, deciding=True),
        "" if figures is None else _links(analysis.deciding, figures),
        "## What it is bad at, and what these figures cannot say" if analysis.warnings else "",
        "\n".join(f"- {escaped(line)}" for line in analysis.warnings),
        *(block for metric in analysis.metrics[1:] for block in _metric_block(metric, analysis, deciding=False)),
        *_pictures_block(analysis),
        *_curves_block(comparison, analysis),
        *_speed_block(comparison),
        *_published_block(analysis),
        *_method_block(comparison, analysis),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def readme_table(sets: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """A table of BD-rates: a row for each opponent, a column for each (title, summary of summarise).

    In brackets the BD-rate over the metric's window, where it has one. OptionError if the summaries were judged by
    different metrics or are none at all.
    """
    deciding = [(title, summary["analysis"]["metrics"][0], summary["coders"]) for title, summary in sets]
    if len({metric["key"] for _, metric, _ in deciding}) != 1:
        raise OptionError("a table needs summaries that were judged by one metric")
    judged = sets[0][1]["analysis"]["judged_label"]
    metric = deciding[0][1]
    options = {coder["name"]: coder["options"] for _, _, coders in deciding for coder in coders}
    rows: dict[str, str] = {pair["opponent"]: pair["label"] for _, m, _ in deciding for pair in m["pairs"]}
    heading = [f"bytes of {judged} at equal {metric['label']}, against", *(title for title, _, _ in deciding)]
    body = []
    for name, label in rows.items():
        cells = []
        for _, measured, _ in deciding:
            pair = next((pair for pair in measured["pairs"] if pair["opponent"] == name), None)
            cells.append(NONE if pair is None else _with_window(pair))
        body.append([f"{label} ({options[name]})", *cells])
    return table(heading, body)


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; every cell is escaped, so that it can hold any text on one line."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(escaped(cell) for cell in line) + " |" for line in lines)


def escaped(text: str) -> str:
    r"""Text that Markdown shows as it is: no cell, link, emphasis or markup is made by it.

    >>> escaped("a|b <c>_d_")
    'a\\|b &lt;c&gt;\\_d\\_'
    """
    flat = " ".join(text.split()).replace("\\", "\\\\").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for character in "|`*_[]":
        flat = flat.replace(character, "\\" + character)
    return flat


def percent(value: float | None) -> str:
    """A signed percentage with one decimal; a dash for None."""
    return NONE if value is None else f"{value:+.1f} %"


def _metric_block(metric: MetricAnalysis, analysis: Analysis, *, deciding: bool) -> Iterable[str]:
    yield f"## {escaped(metric.label)}" + (" (decides)" if deciding else "")
    if not metric.pairs:
        yield "There is nothing to compare with."
        return
    window = metric.window
    between = [] if window is None else [f"{window[0]:g} to {window[1]:g} {metric.unit}"]
    heading = [f"{analysis.judged_label} against", f"overlap, {metric.unit}", "BD-rate", *between]
    heading += ["pchip", "reverse", f"BD-quality, {metric.unit}", "median", "best", "worst", "won, level, lost"]
    yield table(heading, [_pair_row(pair, bool(between)) for pair in metric.pairs])
    if metric.equal_quality:
        yield f"Bits per pixel at equal {escaped(metric.label)}, and the difference in bytes from the first column:"
        yield _levels(metric, metric.equal_quality, metric.axis, ".3f", lambda value: f"{value:+.1f} %")
    if metric.equal_rate:
        yield f"{escaped(metric.label)} in {metric.unit} at equal bits per pixel, and the difference:"
        yield _levels(metric, metric.equal_rate, "bits per pixel", ".2f", lambda value: f"{value:+.2f}")


def _links(metric: MetricAnalysis, figures: str) -> str:
    names = ("rate", "relative") if metric.pairs else ("rate",)
    titles = {"rate": f"{metric.label} over bits per pixel", "relative": f"Bytes at equal {metric.label}"}
    return "\n\n".join(f"![{escaped(titles[name])}]({figures}{name}-{metric.key}.png)" for name in names)


def _pair_row(pair: Pair, window: bool) -> list[str]:
    spread = pair.spread
    between = [percent(pair.window.value if pair.window else None)] if window else []
    row = [pair.label, _range(pair.rate), percent(pair.rate.value), *between, percent(pair.pchip.value)]
    row += [percent(pair.reverse.value), NONE if pair.quality.value is None else f"{pair.quality.value:+.2f}"]
    row += [percent(spread.median), _extreme(spread.best), _extreme(spread.worst)]
    return [*row, f"{spread.won}, {spread.level}, {spread.lost}"]


def _levels(metric: MetricAnalysis, rows: Iterable[Any], first: str, form: str, spell: Any) -> str:
    names = [cell.coder for cell in next(iter(rows)).cells]
    labels = {curve.coder: curve.label for curve in metric.curves}
    body = []
    for row in rows:
        cells = []
        for index, cell in enumerate(row.cells):
            text = NONE if cell.value is None else format(cell.value, form)
            cells.append(text if index == 0 or cell.difference is None else f"{text} ({spell(cell.difference)})")
        body.append([f"{row.level:g}", *cells])
    return table([first, *(labels[name] for name in names)], body)


def _pictures_block(analysis: Analysis) -> Iterable[str]:
    if not analysis.opponents:
        return
    labels = {pair.opponent: pair.label for pair in analysis.deciding.pairs}
    yield "## Picture by picture"
    yield f"BD-rate of {escaped(analysis.judged_label)} in {escaped(analysis.deciding.label)} on each picture, against:"
    heading = ["picture", "size", *(labels[name] for name in analysis.opponents)]
    yield table(
        heading,
        [[row.name, f"{row.width} x {row.height}", *map(percent, row.rates)] for row in analysis.pictures],
    )


def _curves_block(comparison: Comparison, analysis: Analysis) -> Iterable[str]:
    """The judged coder's own curve in every metric, and the check that it rises."""
    judged = analysis.judged_label
    yield f"## The settings of {escaped(judged)}"
    if analysis.rises:
        yield "Bytes and quality rise with the setting on every picture."
    else:
        lines = [f"- {escaped(line)}" for line in analysis.falls]
        yield f"**Bytes or quality fail to rise with the setting in {len(lines)} places:**\n\n" + "\n".join(lines)
    curves = [metric.curves[0] for metric in analysis.metrics]
    found = [dict(zip(curve.settings, curve.quality, strict=True)) for curve in curves]
    rows = []
    for setting, rate in sorted(zip(curves[0].settings, curves[0].rate_bpp, strict=True)):
        values = [qualities.get(setting) for qualities in found]
        rows.append([f"{setting:g}", f"{rate:.4f}", *(NONE if v is None else f"{v:.3f}" for v in values)])
    parameter = comparison.coders[0].parameter
    yield table([parameter, "bits per pixel", *(metric.axis for metric in analysis.metrics)], rows)
    if analysis.lossless:
        notes = ", ".join(f"{escaped(row.label)} {row.bpp:.2f}" for row in analysis.lossless)
        yield f"Lossless, in bits per pixel: {notes}."


def _speed_block(comparison: Comparison) -> Iterable[str]:
    report = comparison.speed
    if report is None:
        return
    labels = {coder.name: coder.label for coder in comparison.coders}
    load = "" if report.load_average is None else f"; load average {report.load_average:.1f}"
    yield "## Speed and memory"
    reference = escaped(labels.get(report.reference, report.reference))
    yield (
        f"{escaped(report.processor)}, {report.cores} cores, {report.threads} threads; medians of {report.rounds} "
        f"rounds over {report.pictures} pictures ({report.megapixels:.1f} megapixels), coders alternating, each at the "
        f"setting nearest to one PSNR{load}. Ratios are to {reference} in the same rounds and hold better than the "
        "figures themselves. Memory: peak of a fresh process that codes "
        f"{report.memory_megapixels:.1f} megapixels, less that of one that imports the same packages."
    )
    rows = []
    for s in report.speeds:
        memory = [NONE if v is None else f"{v:.0f}" for v in (s.encode_memory_mib, s.decode_memory_mib)]
        speeds = [f"{s.encode_mps:.3g}", f"{s.encode_ratio:.2f}", f"{s.decode_mps:.3g}", f"{s.decode_ratio:.2f}"]
        rows.append([labels.get(s.coder, s.coder), f"{s.bpp:.2f}", f"{s.psnr_db:.1f}", *speeds, *memory])
    heading = [
        "codec",
        "bits per pixel",
        "PSNR, dB",
        "encoding, megapixels/s",
        "ratio",
        "decoding, megapixels/s",
        "ratio",
    ]
    yield table([*heading, "encoding, MiB", "decoding, MiB"], rows)
    if report.cold_start_s is not None:
        yield f"`narrows info FILE` as a new process: {report.cold_start_s:.2f} s."


def _published_block(analysis: Analysis) -> Iterable[str]:
    if not analysis.published:
        return
    yield "## Published curves"
    yield escaped(analysis.published_note)
    drawn = [row for row in analysis.published if row.drawn]
    if drawn:
        rows = [
            [row.published.name, row.metric, _range(row.rate), percent(row.rate.value), row.published.source]
            for row in drawn
        ]
        yield table([f"{analysis.judged_label} against", "metric", "overlap, dB", "BD-rate", "source"], rows)
    if len(drawn) < len(analysis.published):
        yield f"{len(analysis.published) - len(drawn)} more published curves are in summary.json."


def _method_block(comparison: Comparison, analysis: Analysis) -> Iterable[str]:
    yield "## Method"
    yield (
        "Rate: bytes of whole files on disk x 8 / pixels, mean over the pictures. Quality: between the 8-bit RGB "
        "original and the picture that a separate call decoded from the file's bytes alone. PSNR: peak 255 over all "
        "samples of a picture, mean of the dB values; beside it the PSNR of the mean MSE. BD-rate: akima interpolation "
        "of log rate over quality (package bjontegaard) on the mean curves, over the whole overlap; beside it the same "
        "by pchip, the other way round, and the median and extremes of the pictures' own BD-rates. Negative: "
        f"{escaped(analysis.judged_label)} needs fewer bytes. A picture within half a percent of 0 is level."
    )
    yield table(
        ["codec", "options", "settings", "library"],
        [_coder_row(comparison, name) for name in (coder.name for coder in comparison.coders)],
    )
    lines = [f"{name}: {reason}" for name, reason in comparison.left_out] + list(comparison.missing)
    if lines:
        yield "Left out:\n\n" + "\n".join(f"- {escaped(line)}" for line in lines)
    if comparison.versions:
        yield "Versions: " + ", ".join(f"{escaped(n)} {escaped(v)}" for n, v in comparison.versions.items()) + "."


def _coder_row(comparison: Comparison, name: str) -> list[str]:
    coder = next(coder for coder in comparison.coders if coder.name == name)
    settings = sorted({point.setting for point in comparison.points if point.coder == name})
    said = "lossless" if coder.lossless else f"{coder.parameter} " + ", ".join(f"{value:g}" for value in settings)
    return [coder.label, coder.options, said, coder.version]


def _with_window(pair: dict[str, Any]) -> str:
    whole = percent(pair["rate"]["value"])
    return whole if pair["window"] is None else f"{whole} ({percent(pair['window']['value'])})"


def _range(difference: Difference) -> str:
    return NONE if difference.value is None else f"{difference.low:.1f} to {difference.high:.1f}"


def _extreme(found: tuple[str, float] | None) -> str:
    return NONE if found is None else f"{found[1]:+.1f} % {found[0]}"


def _code(text: str) -> str:
    """Text between backquotes: it must hold none, nor a line's end."""
    return " ".join(text.replace("`", "'").split())
