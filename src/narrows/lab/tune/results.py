"""What a search leaves for people: trials.csv, best.json, and figures of every trial.

trials.csv   a row a trial, with choices, score, metrics, how it ended and what it retries
best.json    the best trial, or all that no other one beats in both rate and quality; what the score means
history      score over trials, for one number                     (svg and png)
pareto       PSNR over bits a pixel, where the rate was counted    (svg and png)
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, ScalarFormatter
from optuna.trial import FrozenTrial, TrialState

from narrows.compare.canvas import WIDE, add_plot, look, new_figure, titles
from narrows.compare.files import write_whole
from narrows.compare.palette import LIGHT
from narrows.compare.svg import png_file, svg_file
from narrows.lab.tune.objective import Terms
from narrows.lab.tune.space import WIDTHS, Goal
from narrows.lab.tune.storage import original_number

SCORES: dict[Goal, str] = {
    "quality": "mean PSNR in dB + mean SSIM of 8-bit validation pictures, range 255; larger is better; no rate in it",
    "rate-distortion": "bits a pixel of files + lambda x squared error on 0..255, on validation pictures; smaller",
    "pareto": "bits a pixel of files (smaller) and PSNR of the mean squared error (larger), on validation pictures",
}
_AXES: dict[Goal, str] = {
    "quality": "mean PSNR + mean SSIM",
    "rate-distortion": "bits a pixel + lambda x squared error",
    "pareto": "",
}
_COLOURS = dict(zip(WIDTHS, ("jpeg", "webp", "avif"), strict=True))
_PARAMS = ("widths", "activation", "learning_rate", "bottleneck", "trade_off")
_ATTRS = ("mean_psnr_db", "psnr_db", "ssim", "mse", "bpp", "bytes", "parameters", "epochs", "best_epoch")
_BROAD = 120  # room for the names of the widths


def write_results(study: optuna.Study, terms: Terms, folder: Path) -> tuple[Path, ...]:
    """Write all of the above into an existing folder; the paths. Several processes may do so at once."""
    trials = study.get_trials(deepcopy=False)
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    written = [
        write_whole(folder / "trials.csv", trials_csv(trials, terms.goal)),
        write_whole(folder / "best.json", json.dumps(best_of(study, terms), indent=1) + "\n"),
    ]
    figures: dict[str, tuple[Figure, str]] = {}
    if done and terms.goal != "pareto":
        figures["history"] = history_figure(done, terms.goal), f"{_AXES[terms.goal]} of every finished trial"
    if done and terms.goal != "quality":
        figures["pareto"] = pareto_figure(done, study.best_trials), "PSNR over bits a pixel of every finished trial"
    for name, (figure, title) in figures.items():
        written.append(write_whole(folder / f"{name}.svg", svg_file(figure, title)))
        written.append(write_whole(folder / f"{name}.png", png_file(figure)))
    return tuple(written)


def trials_csv(trials: Sequence[FrozenTrial], goal: Goal) -> str:
    """A row a trial; cells that do not apply are empty."""
    values = ("cost_bpp", "cost_psnr_db") if goal == "pareto" else ("score",)
    file = io.StringIO()
    columns = ("trial", "state", *values, *_PARAMS, *_ATTRS, "seconds", "retries", "ended", "run")
    writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for trial in trials:
        scores = trial.values if trial.state == TrialState.COMPLETE else ()
        original = original_number(trial)
        row: dict[str, Any] = {
            "trial": trial.number,
            "state": trial.state.name.lower(),
            "seconds": "" if trial.duration is None else round(trial.duration.total_seconds(), 1),
            "retries": "" if original == trial.number else original,
            "ended": trial.user_attrs.get("ended", ""),
            "run": trial.user_attrs.get("run", ""),
        }
        row |= dict(zip(values, scores, strict=False)) | trial.params
        row |= {name: trial.user_attrs[name] for name in _ATTRS if trial.user_attrs.get(name) is not None}
        writer.writerow(row)
    return file.getvalue()


def best_of(study: optuna.Study, terms: Terms) -> dict[str, Any]:
    """best.json as what JSON can hold."""
    trials = study.get_trials(deepcopy=False)
    states = [trial.state.name.lower() for trial in trials]
    return {
        "search": study.study_name,
        "goal": terms.goal,
        "score": SCORES[terms.goal],
        "settings": study.user_attrs.get("settings", {}),
        "trials": {state: states.count(state) for state in sorted(set(states))},
        "best": [
            {"trial": trial.number, "values": trial.values, "choices": trial.params, **_attributes(trial)}
            for trial in sorted(study.best_trials, key=lambda trial: trial.values)
        ],
    }


def history_figure(done: Sequence[FrozenTrial], goal: Goal) -> Figure:
    """The score of every finished trial over its number, in the colour of its widths, and the best so far as a line."""
    with look(WIDE):
        figure = new_figure(WIDE.width, WIDE.height)
        axes = add_plot(figure, 52, 46, _BROAD, 34)
        better = max if goal == "quality" else min
        best, numbers, line = None, [], []
        for trial in done:
            best = trial.values[0] if best is None else better(best, trial.values[0])
            numbers.append(trial.number)
            line.append(best)
        axes.step(numbers, line, where="post", color=LIGHT["ink"], linewidth=1.6, zorder=2)
        _dots(axes, done, [(trial.number, trial.values[0]) for trial in done])
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(7))
        titles(axes, f"{_AXES[goal]}, best so far as a line", "trial (those that ended early are left out)")
    return figure


def pareto_figure(done: Sequence[FrozenTrial], front: Sequence[FrozenTrial]) -> Figure:
    """PSNR over bits a pixel of every finished trial; a line joins those of `front`."""
    with look(WIDE):
        figure = new_figure(WIDE.width, WIDE.height)
        axes = add_plot(figure, 46, 46, _BROAD, 34)
        best = sorted((trial.user_attrs["bpp"], trial.user_attrs["psnr_db"]) for trial in front)
        axes.plot(*zip(*best, strict=True), color=LIGHT["ink"], linewidth=1.6, zorder=2)
        axes.plot(
            *zip(*best, strict=True), linestyle="none", marker="o", markersize=11, markerfacecolor="none",
            markeredgecolor=LIGHT["ink"], markeredgewidth=1.2,
        )  # fmt: skip
        _dots(axes, done, [(trial.user_attrs["bpp"], trial.user_attrs["psnr_db"]) for trial in done])
        axes.xaxis.set_major_locator(MaxNLocator(7))
        axes.xaxis.set_major_formatter(ScalarFormatter(useOffset=False))
        axes.yaxis.set_major_locator(MaxNLocator(7))
        titles(axes, "PSNR of the mean squared error, dB; the best are ringed", "bits a pixel of files")
    return figure


def _dots(axes: Axes, trials: Sequence[FrozenTrial], places: Sequence[tuple[float, float]]) -> None:
    """A dot a trial, and the names of the widths in their colours beside the plot."""
    shown = [widths for widths in WIDTHS if any(trial.params["widths"] == widths for trial in trials)]
    for row, widths in enumerate(shown):
        points = [place for trial, place in zip(trials, places, strict=True) if trial.params["widths"] == widths]
        colour = LIGHT[_COLOURS[widths]]
        axes.plot(*zip(*points, strict=True), linestyle="none", marker="o", markersize=6, color=colour, zorder=3)
        axes.annotate(
            f"widths {widths}", (1, 1), xycoords="axes fraction", xytext=(10, -8 - 18 * row),
            textcoords="offset points", color=colour, va="center",
        )  # fmt: skip


def _attributes(trial: FrozenTrial) -> dict[str, Any]:
    return {name: trial.user_attrs[name] for name in (*_ATTRS, "run") if trial.user_attrs.get(name) is not None}
