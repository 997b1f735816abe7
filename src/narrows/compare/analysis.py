"""What a comparison's points say: everything that the reports show, computed once, in plain typed records.

    samples.py --> curves.py --> pairs.py, levels.py --> per_metric.py --+
                                                     published.py -------+--> Analysis --> html, md, json
                                                     findings.py --------+

report.html, report.md, summary.json and README's table all render the Analysis that `analyse` makes, so that they
agree. All differences are of the judged coder against another: negative rates mean that the judged one needs fewer
bytes. None stands for what could not be computed; the Difference then holds the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from narrows.compare import findings
from narrows.compare.curves import falls
from narrows.compare.metrics import METRICS
from narrows.compare.pairs import Pair
from narrows.compare.per_metric import MetricAnalysis, analyse_metric
from narrows.compare.published import PublishedRow, note, rate_published
from narrows.compare.records import Comparison
from narrows.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class PictureRow:
    """A picture in the per-picture table: the judged coder's BD-rate against each opponent in the deciding metric.

    rates is in the order of Analysis.opponents, percent; None where there is none.
    """

    name: str
    width: int
    height: int
    rates: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True)
class LosslessRow:
    """A lossless coder: a note beside the curves. bpp is the mean over the pictures."""

    coder: str
    label: str
    bpp: float


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """A whole comparison.

    judged          the coder that is judged: name in tables, and label for people
    opponents       names of the coders that it is compared with in the deciding metric, in the order of the comparison
    metrics         the deciding metric first; never empty
    pictures        per-picture table, in the order of the comparison
    verdict         one sentence with numbers
    warnings        sentences: what the judged coder is bad at, and what the figures cannot say
    rises           bytes and quality rise with the judged coder's setting on every picture
    falls           a line for each place where they do not
    published_note  on which pictures the published curves were measured, and whether ours are the same; "" without any
    """

    judged: str
    judged_label: str
    opponents: tuple[str, ...]
    metrics: tuple[MetricAnalysis, ...]
    pictures: tuple[PictureRow, ...]
    lossless: tuple[LosslessRow, ...]
    published: tuple[PublishedRow, ...]
    published_note: str
    rises: bool
    falls: tuple[str, ...]
    verdict: str
    warnings: tuple[str, ...]

    @property
    def deciding(self) -> MetricAnalysis:
        """The metric that decides."""
        return self.metrics[0]


def analyse(comparison: Comparison) -> Analysis:
    """Everything that the reports show.

    OptionError for an unknown metric, without pictures or coders, and where the judged coder has fewer than four
    points in the metric that decides. Another metric without its curve is left out, with a line in the warnings.
    """
    if comparison.metric not in METRICS:
        raise OptionError(f"there is no metric {comparison.metric!r}; the known ones are {', '.join(METRICS)}")
    if not comparison.coders or not comparison.pictures:
        raise OptionError("there is nothing to compare: no coder or no picture")
    metrics, unjudged = _metrics(comparison)
    judged, deciding = comparison.coders[0], metrics[0]
    fallen = _falls(comparison, deciding)
    published = rate_published(comparison)
    return Analysis(
        judged=judged.name,
        judged_label=judged.label,
        opponents=tuple(pair.opponent for pair in deciding.pairs),
        metrics=tuple(metrics),
        pictures=tuple(_picture_rows(comparison, deciding.pairs)),
        lossless=tuple(_lossless_rows(comparison)),
        published=published,
        published_note=note(comparison),
        rises=not fallen,
        falls=fallen,
        verdict=findings.verdict(comparison, deciding),
        warnings=findings.warnings(comparison, metrics, published, fallen, unjudged),
    )


def _metrics(comparison: Comparison) -> tuple[list[MetricAnalysis], list[str]]:
    """The metrics that have a curve of the judged coder, the deciding one first, and a line for each other one."""
    metrics = [analyse_metric(comparison, METRICS[comparison.metric])]
    unjudged = []
    for key, metric in METRICS.items():
        if key != comparison.metric:
            try:
                metrics.append(analyse_metric(comparison, metric))
            except OptionError as error:
                unjudged.append(f"{error.message[:1].upper()}{error.message[1:]}.")
    return metrics, unjudged


def _falls(comparison: Comparison, deciding: MetricAnalysis) -> tuple[str, ...]:
    points = [point for point in comparison.points if point.coder == comparison.coders[0].name]
    return tuple(falls(points, METRICS[deciding.key]))


def _picture_rows(comparison: Comparison, pairs: Sequence[Pair]) -> Iterable[PictureRow]:
    rates = [{item.picture: item.rate.value for item in pair.pictures} for pair in pairs]
    for picture in comparison.pictures:
        yield PictureRow(
            name=picture.name,
            width=picture.width,
            height=picture.height,
            rates=tuple(found.get(picture.name) for found in rates),
        )


def _lossless_rows(comparison: Comparison) -> Iterable[LosslessRow]:
    for coder in comparison.coders:
        rates = [point.bpp for point in comparison.points if point.coder == coder.name]
        if coder.lossless and rates:
            yield LosslessRow(coder=coder.name, label=coder.label, bpp=sum(rates) / len(rates))
