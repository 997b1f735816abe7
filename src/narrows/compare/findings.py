"""The sentences of a comparison: the verdict, and what the judged coder is bad at, both computed from the figures.

Every sentence states its number. A warning is made by rule wherever the figures ask for one; none is written by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from narrows.compare.pairs import Pair
from narrows.compare.per_metric import MetricAnalysis
from narrows.compare.published import PublishedRow
from narrows.compare.records import Coder, Comparison, Speed, SpeedReport

_AS_MANY = 0.05  # percent; what one decimal shows as 0.0
_FEW_PICTURES = 8
_LEAST_POINTS = 6  # over the range compared, for a figure to be firm
_INTERPOLATIONS = 2.0  # percent between akima and pchip that deserve a word
_SLOWER = 1.25
_SHOWN = 4


def verdict(comparison: Comparison, metric: MetricAnalysis) -> str:
    """One sentence with numbers: the bytes at equal quality against the first coder of each family, and all losses.

    The judged coder's own family is left out of "the first of each": every other profile counts for itself.
    """
    judged = comparison.coders[0]
    pictures = _count(len(metric.pictures), "picture")
    named = _named(comparison, metric.pairs)
    if not named:
        return f"{judged.label} was measured on {pictures}, with nothing that it could be compared with."
    values = sorted(((_value(pair), pair.label) for pair in named), key=lambda item: item[0])
    fewer = [f"{-value:.1f} % fewer{{}} than {label}" for value, label in values if value <= -_AS_MANY]
    level = [f"as many{{}} as {label}" for value, label in values if abs(value) < _AS_MANY]
    more = [f"{value:.1f} % more{{}} than {label}" for value, label in values if value >= _AS_MANY]
    parts = [_list(texts) for texts in (fewer, level, more) if texts]
    said = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])}, but {parts[-1]}"
    said = said.replace("{}", " bytes", 1).replace("{}", "")  # the thing that is counted, said once
    return f"At equal {metric.label}, {judged.label} needs {said} (BD-rate on {pictures})."


def warnings(
    comparison: Comparison,
    metrics: Sequence[MetricAnalysis],
    published: Sequence[PublishedRow],
    falls: Sequence[str],
    unjudged: Sequence[str],
) -> tuple[str, ...]:
    """What the judged coder is bad at, the worst first, and then what the figures cannot say.

    `unjudged` are lines about metrics without a curve.
    """
    judged = comparison.coders[0]
    lines = [
        *_losses(judged, metrics[0]),
        *_lost_pictures(judged, metrics[0]),
        *_other_metrics(judged, metrics),
        *_slowness(comparison),
        *_memory(comparison),
        *_limits(comparison, metrics[0]),
        *_falls(judged, falls),
        *_stronger(judged, published),
        *_doubts(comparison, metrics[0]),
        *unjudged,
    ]
    return tuple(lines)


def _named(comparison: Comparison, pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs that a verdict names: the first coder of every family, and everybody who needs fewer bytes."""
    families = {coder.name: coder.family for coder in comparison.coders}
    own = comparison.coders[0].family
    seen: set[str] = set()
    named = []
    for pair in pairs:
        if pair.rate.value is None:
            continue
        family = families[pair.opponent]
        if family == own or family not in seen or pair.rate.value >= _AS_MANY:
            named.append(pair)
        seen.add(family)
    return named


def _losses(judged: Coder, metric: MetricAnalysis) -> Iterable[str]:
    for pair in sorted(metric.pairs, key=_value, reverse=True):
        window = pair.window.value if pair.window else None
        if _value(pair) >= _AS_MANY and pair.reverse.value is not None:
            yield (
                f"{pair.label} needs {-pair.reverse.value:.1f} % fewer bytes than {judged.label} at equal "
                f"{metric.label} (from {pair.rate.low:.1f} to {pair.rate.high:.1f} {metric.unit})."
            )
        elif window is not None and window >= _AS_MANY and metric.window:
            low, high = metric.window
            yield (
                f"From {low:g} to {high:g} {metric.unit} {judged.label} needs {window:.1f} % more bytes than "
                f"{pair.label}, though not over the whole range."
            )


def _lost_pictures(judged: Coder, metric: MetricAnalysis) -> Iterable[str]:
    for pair in metric.pairs:
        lost = sorted(
            ((item.rate.value, item.picture) for item in pair.pictures if (item.rate.value or 0) >= _AS_MANY),
            reverse=True,
        )
        if lost and len(pair.pictures) > 1 and _value(pair) < _AS_MANY:
            shown = ", ".join(f"{name} ({value:+.1f} %)" for value, name in lost[:_SHOWN] if value is not None)
            more = f" and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else ""
            yield (
                f"On {len(lost)} of {len(pair.pictures)} pictures {judged.label} needs more bytes than {pair.label}, "
                f"though not on the mean: {shown}{more}."
            )


def _other_metrics(judged: Coder, metrics: Sequence[MetricAnalysis]) -> Iterable[str]:
    for metric in metrics[1:]:
        lost = sorted((pair for pair in metric.pairs if _value(pair) >= _AS_MANY), key=_value, reverse=True)
        if lost:
            against = _list([f"{pair.label} ({_value(pair):+.1f} %)" for pair in lost])
            yield f"At equal {metric.label} {judged.label} needs more bytes than {against}."


def _slowness(comparison: Comparison) -> Iterable[str]:
    report = comparison.speed
    ours = _speed_of(report, comparison.coders[0])
    if report is None or ours is None:
        return
    for verb, word in (("Encoding", "encode"), ("Decoding", "decode")):
        mine: float = getattr(ours, f"{word}_ratio")
        found = [(getattr(s, f"{word}_ratio") / mine, _label(comparison, s.coder)) for s in report.speeds if s != ours]
        faster = sorted((item for item in found if item[0] >= _SLOWER), reverse=True)
        if faster:
            against = _list([f"{label} ({ratio:.2g} times as fast)" for ratio, label in faster])
            yield (
                f"{verb} is slower than that of {against}: {getattr(ours, f'{word}_mps'):.1f} megapixels/s "
                f"with {_count(report.threads, 'thread')}."
            )


def _memory(comparison: Comparison) -> Iterable[str]:
    report = comparison.speed
    ours = _speed_of(report, comparison.coders[0])
    if report is None or ours is None:
        return
    others = [s for s in report.speeds if s != ours]
    for word in ("encode", "decode"):
        mine: float | None = getattr(ours, f"{word}_memory_mib")
        known = [(value, s) for s in others if (value := getattr(s, f"{word}_memory_mib")) is not None]
        if mine is None or not known:
            continue
        most, greediest = max(known, key=lambda item: item[0])
        if mine > _SLOWER * most:
            yield (
                f"To {word} {report.memory_megapixels:.1f} megapixels {comparison.coders[0].label} takes {mine:.0f} "
                f"MiB of memory, where no other coder takes more than {most:.0f} "
                f"({_label(comparison, greediest.coder)})."
            )


def _limits(comparison: Comparison, metric: MetricAnalysis) -> Iterable[str]:
    """Where the judged coder's range ends before others' do."""
    judged, ours = comparison.coders[0], metric.curves[0]
    top, bottom = max(ours.quality), min(ours.rate_bpp)
    margin = 0.02 * (top - min(ours.quality))
    higher = [curve for curve in metric.curves[1:] if max(curve.quality) > top + margin]
    if higher:
        best = max(higher, key=lambda curve: max(curve.quality))
        yield (
            f"The settings of {judged.label} end at {top:.1f} {metric.unit} ({max(ours.rate_bpp):.2f} bits per pixel); "
            f"{best.label} was measured up to {max(best.quality):.1f}."
        )
    lower = [curve for curve in metric.curves[1:] if min(curve.rate_bpp) < bottom / 1.1]
    if lower:
        least = min(lower, key=lambda curve: min(curve.rate_bpp))
        yield (
            f"The smallest files of {judged.label} have {bottom:.3f} bits per pixel; {least.label} was measured "
            f"down to {min(least.rate_bpp):.3f}."
        )
    if judged.family == "narrows":
        yield f"{judged.label} has no lossless mode for colour: for exact copies use another format."


def _falls(judged: Coder, falls: Sequence[str]) -> Iterable[str]:
    if falls:
        yield f"Bytes or quality of {judged.label} fail to rise with its setting in {_count(len(falls), 'place')}."


def _stronger(judged: Coder, published: Sequence[PublishedRow]) -> Iterable[str]:
    ahead = [(row.rate.value, row.published.name) for row in published if row.drawn and (row.rate.value or 0) > 0]
    if ahead:
        against = _list([f"{name} ({value:+.1f} %)" for value, name in ahead])
        yield f"By published curves {judged.label} needs more bytes than {against}."


def _doubts(comparison: Comparison, metric: MetricAnalysis) -> Iterable[str]:
    """What the figures cannot say."""
    count = len(metric.pictures)
    if count < _FEW_PICTURES:
        yield f"{_count(count, 'picture')} cannot tell coders apart in general: the figures hold for these pictures."
    for pair in metric.pairs:
        if pair.rate.value is None:
            yield f"There is no BD-rate against {pair.label}: {pair.rate.reason}."
            continue
        if pair.rate.points < _LEAST_POINTS:
            yield f"Against {pair.label} only {_count(pair.rate.points, 'point')} lie in the common range."
        if pair.pchip.value is not None and abs(pair.pchip.value - pair.rate.value) > _INTERPOLATIONS:
            yield (
                f"Against {pair.label} the two interpolations differ: {pair.rate.value:+.1f} % (akima) and "
                f"{pair.pchip.value:+.1f} % (pchip)."
            )
    unread = [name for name, _ in comparison.left_out]
    if unread:
        yield f"{_count(len(unread), 'input')} could not be compared: {', '.join(unread[:_SHOWN])}" + (
            ", ..." if len(unread) > _SHOWN else "."
        )
    for what, why in metric.left_out:
        yield f"Not in the {metric.label} figures: {what} {why}."


def _speed_of(report: SpeedReport | None, coder: Coder) -> Speed | None:
    speeds = report.speeds if report else ()
    return next((speed for speed in speeds if speed.coder == coder.name), None)


def _label(comparison: Comparison, name: str) -> str:
    return next((coder.label for coder in comparison.coders if coder.name == name), name)


def _value(pair: Pair) -> float:
    return 0.0 if pair.rate.value is None else pair.rate.value


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")


def _list(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
