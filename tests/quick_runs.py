"""What every experiment's quick run has to leave behind, and pictures for it to run on."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from click.testing import CliRunner
from numpy.typing import NDArray

from narrows.codec import Codec
from narrows.lab.experiments.command import run_command


def strokes(count: int, side: int = 28, seed: int = 0) -> NDArray[np.uint8]:
    """(count, side, side): light strokes on black, something like handwriting."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    pictures = np.zeros((count, side, side))
    for _ in range(3):
        angle, place = rng.uniform(0, np.pi, (2, count, 1, 1))
        distance = np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5) - 0.2 * (place - np.pi / 2) / np.pi
        inside = np.hypot(x - 0.5, y - 0.5) < 0.4
        pictures = np.maximum(pictures, inside * np.exp(-((distance / 0.05) ** 2)))
    result: NDArray[np.uint8] = np.rint(255 * pictures).astype(np.uint8)
    return result


def check_quick_run(name: str, sets: Path, output: Path) -> tuple[str, list[dict[str, str]]]:
    """Run `narrows lab run NAME --quick` on the sets in a folder; the page and the lines of metrics.csv."""
    command = [name, "--quick", "--data-root", str(sets), "-o", str(output), "--quiet"]
    done = CliRunner().invoke(run_command, command, catch_exceptions=False)
    assert done.exit_code == 0
    assert done.stdout.strip() == str(output / "report.html")
    page = (output / "report.html").read_text(encoding="utf-8")
    assert f"narrows lab run {name} --quick" in page
    assert "its figures mean nothing" in page
    assert str(sets) not in page
    with (output / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    sizes = [row for row in rows if row["metric"] == "bytes"]
    assert sizes
    assert all(float(row["value"]) > 0 for row in sizes)
    keys = [(row["model"], row["setting"], row["seed"], row["split"], row["metric"]) for row in rows]
    assert len(set(keys)) == len(keys), [key for key in keys if keys.count(key) > 1][:5]
    assert (output / "report.md").is_file()
    for profile in (output / "profiles").iterdir():
        Codec(profile)
    return page, rows
