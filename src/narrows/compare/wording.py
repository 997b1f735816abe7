"""Numbers and sentences of the page: how a figure is spelled, and what is said about how it was measured."""

from __future__ import annotations

import math
from collections.abc import Iterable

from narrows.compare.analysis import Analysis
from narrows.compare.records import Comparison

_MINUS = "\N{MINUS SIGN}"
_SPACE = "\N{NARROW NO-BREAK SPACE}"
_NOTHING = "\N{EN DASH}"


def number(value: float | None, decimals: int) -> str:
    """A number with so many decimals; a dash for None and what is not finite.

    >>> number(0.5586, 3), number(None, 3)
    ('0.559', '–')
    """
    if value is None or not math.isfinite(value):
        return _NOTHING
    return f"{value:.{decimals}f}".replace("-", _MINUS)


def signed(value: float | None, decimals: int) -> str:
    """As number, with its sign; a rounded 0 has none."""
    if value is None or not math.isfinite(value):
        return _NOTHING
    text = f"{value:+.{decimals}f}"
    return text[1:] if float(text) == 0 else text.replace("-", _MINUS)


def percent(value: float | None) -> str:
    """A difference in percent with one decimal and its sign; whole percents from 100 on."""
    if value is None or not math.isfinite(value):
        return _NOTHING
    return signed(value, 1 if abs(value) < 99.95 else 0) + _SPACE + "%"


def plain(value: float) -> str:
    """A setting or a level as short as it is, to a thousandth: 50, 0.25."""
    return f"{round(value, 3):g}".replace("-", _MINUS)


def digits(value: float, meaning: int = 3) -> str:
    """A positive number with so many digits that mean something, never as a power of ten.

    >>> digits(0.01634), digits(6.049), digits(1234.0)
    ('0.0163', '6.05', '1230')
    """
    if not math.isfinite(value) or value <= 0:
        return _NOTHING
    rounded = float(f"{value:.{meaning - 1}e}")
    return f"{rounded:.{max(0, meaning - 1 - math.floor(math.log10(rounded)))}f}"


def times(value: float | None) -> str:
    """A ratio: "1.8×", "0.087×", "12×"."""
    if value is None or not math.isfinite(value) or value <= 0:
        return _NOTHING
    return digits(value, 2) + "×"


def thousands(value: int) -> str:
    """A whole number, its thousands apart."""
    return f"{value:,}".replace(",", _SPACE)


def short(label: str) -> str:
    """A metric's label without its unit: "PSNR (RGB)" of "PSNR (RGB), dB"."""
    return label.partition(",")[0]


def together(text: str, labels: Iterable[str]) -> str:
    """A sentence for a page: names of codecs are not torn apart at line ends, nor a number and its %."""
    for label in labels:
        text = text.replace(label, label.replace(" ", "\N{NO-BREAK SPACE}"))
    return text.replace(" %", _SPACE + "%").replace(" dB", "\N{NO-BREAK SPACE}dB")


def tone(value: float | None) -> str:
    """The class of a BD-rate: "good" below 0, "bad" above, "" for none and for what is spelled 0.0."""
    if value is None or not math.isfinite(value) or abs(value) < 0.05:
        return ""
    return "good" if value < 0 else "bad"


def facts(comparison: Comparison) -> str:
    """The line below the verdict: how much was measured, and with what."""
    judged = comparison.coders[0]
    megapixels = sum(picture.width * picture.height for picture in comparison.pictures) / 1e6
    return (
        f"{_count(len(comparison.pictures), 'picture')} ({digits(megapixels)} megapixels), "
        f"{_count(len(comparison.coders), 'codec')}, {_count(len(comparison.points), 'file')}: each one written to "
        f"disk, read back, decoded by itself and measured. {judged.version}."
    )


def speed_facts(comparison: Comparison) -> str:
    """Where and how speed was measured; "" where it was not."""
    report = comparison.speed
    if report is None:
        return ""
    load = "" if report.load_average is None else f" The machine's load average was {report.load_average:.1f}."
    return (
        f"{report.processor}, {_count(report.threads, 'thread')} on {_count(report.cores, 'core')}: "
        f"{_count(report.pictures, 'picture')} ({digits(report.megapixels)} megapixels), every codec at the "
        f"setting nearest to one PSNR, in turns, the median of {_count(report.rounds, 'round')} after a warm-up.{load} "
        "Ratios within a run hold better than the figures themselves."
    )


def memory_facts(comparison: Comparison) -> str:
    """What the columns of memory mean, and the cold start."""
    report = comparison.speed
    if report is None:
        return ""
    start = (
        ""
        if report.cold_start_s is None
        else f" narrows info FILE, as a new process, takes {report.cold_start_s:.2f} s."
    )
    return (
        f"Memory is the peak of a fresh process that codes one picture of {digits(report.memory_megapixels)} "
        f"megapixels, less that of one that only imports the same packages.{start}"
    )


def method(comparison: Comparison, analysis: Analysis) -> list[str]:
    """How the figures came about, a sentence or two each."""
    keys = {metric.key for metric in analysis.metrics}
    lines = [
        "Bytes are those of whole files on disk, header and checksums included; bits per pixel are eight times that by "
        "the number of pixels. Nothing is estimated.",
        "Quality is measured between the 8-bit RGB original and what a separate call decoded from the file alone.",
    ]
    lines += [text for key, text in _METRICS.items() if key in keys]
    lines += [
        "A curve has the mean rate and the mean quality of the same pictures at each setting.",
        "BD-rate: Akima interpolation of log rate over quality (package bjontegaard), over all the quality that both "
        "curves reach; PCHIP stands beside it as a check. Below zero, the codec named first needs fewer bytes.",
    ]
    if analysis.published:
        lines.append(
            "Published curves are means over a whole set as their authors gave them; they are never measured here."
        )
    return lines


_METRICS = {
    "psnr": "PSNR: RGB, peak 255, per picture; the mean of the values in dB.",
    "mse": "PSNR of the mean MSE: the squared error averaged over all pictures first, then in dB.",
    "ssim": "SSIM: Gaussian window of 11, sigma 1.5, on R, G and B; the mean as −10 log10(1 − s) dB.",
    "ms-ssim": "MS-SSIM: five scales, on R, G and B, where the shorter side is above 160; per picture as "
    "−10 log10(1 − m) dB, then the mean.",
    "ssimulacra2": "SSIMULACRA 2: a score of how a picture looks to people; 100 for an exact copy, 90 and more hardly "
    "to be told apart from it, 50 middling. The mean of the scores.",
}


def _count(amount: int, noun: str) -> str:
    return f"{thousands(amount)} {noun}{'' if amount == 1 else 's'}"


def largest(values: Iterable[float | None]) -> float:
    """The largest absolute value, at least 1: the scale of bars."""
    return max((abs(value) for value in values if value is not None and math.isfinite(value)), default=1.0) or 1.0


def bar_place(value: float, scale: float) -> str:
    """CSS of a bar from the middle of its cell: to the left below 0, to the right above; half the cell is `scale`."""
    width = 50 * min(abs(value) / scale, 1)
    return f"left: {50 - width if value < 0 else 50:.2f}%; width: {width:.2f}%"
