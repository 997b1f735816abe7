"""metrics.csv: every figure of an experiment on a line of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from narrows.compare.files import write_whole
from narrows.lab.report.table import csv_text


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One figure.

    model    what was measured: "decoder-01", "pca-32", "jpeg"
    setting  at what: "quality 3", "latent 32, 6 bits", "q 75, without tables"; "" where there is but one
    seed     of the training; None for what has none
    split    of the data: "train", "validation", "test"
    pictures how many; 0 where the figure is of no pictures (parameters, bytes of a decoder)
    metric   "mse", "psnr_db", "mean_psnr_db", "ssim", "bytes", "bpp", "live_units", ...
    value    the figure; unit "dB", "bytes", "bits per position"; "" for a pure number
    source   "measured", or "claimed" for what the study says
    """

    model: str
    metric: str
    value: float | None
    unit: str = ""
    setting: str = ""
    seed: int | None = None
    split: str = "test"
    pictures: int = 0
    source: str = "measured"


def metrics_csv(measurements: Sequence[Measurement]) -> str:
    """The lines of metrics.csv, in the order given, under the names of the fields."""
    names = [field.name for field in fields(Measurement)]
    return csv_text(names, [[getattr(line, name) for name in names] for line in measurements])


def write_metrics(path: Path, measurements: Sequence[Measurement]) -> Path:
    """Write metrics.csv whole or not at all; the path. OSError from the disk."""
    return write_whole(path, metrics_csv(measurements))
