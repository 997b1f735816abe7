"""`narrows lab tune`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import get_args

import click
import numpy as np

from narrows.errors import OptionError
from narrows.lab.data import Dataset, Split

FOLDER = click.Path(file_okay=False, path_type=Path)
_GOALS = ("quality", "rate-distortion", "pareto")  # space.Goal; not imported, since --help needs no Optuna
_PRUNINGS = ("median", "hyperband", "none")
_QUICK_TRIALS, _QUICK_PICTURES, _QUICK_CODED = 3, 64, 8


@click.command("tune")
@click.option("--data", required=True, metavar="SET|DIR", help="A data set by name, or a folder of pictures.")
@click.option("--data-root", type=FOLDER, help="Folder of your copies of data sets.  [default: fetch]")
@click.option("--size", nargs=2, type=int, metavar="H W", help="Bring photographs to one size.")
@click.option("--limit", type=click.IntRange(min=2), help="Train on so many pictures, drawn by the seed.")
@click.option("--objective", "goal", type=click.Choice(_GOALS), default="quality", show_default=True)
@click.option("--lambda", "trade_off", type=float, default=0.01, show_default=True, help="Of rate-distortion.")
@click.option("--trials", type=click.IntRange(min=1), default=20, show_default=True, help="In all, of all processes.")
@click.option("--epochs", type=click.IntRange(min=1), default=15, show_default=True, help="At most, a trial.")
@click.option("--batch", type=click.IntRange(min=1), default=32, show_default=True)
@click.option("--patience", type=click.IntRange(min=1), default=3, show_default=True, help="Early stopping, epochs.")
@click.option("--pruner", type=click.Choice(_PRUNINGS), default="median", show_default=True)
@click.option("--storage", metavar="URL", help="Database of the trials.  [default: an SQLite file in the output]")
@click.option("--name", help="Of the search in the database.  [default: SET-OBJECTIVE]")
@click.option("--heartbeat", type=click.IntRange(min=1), default=60, show_default=True, metavar="SECONDS",
              help="A trial silent for twice as long counts as killed and is retried.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("-o", "--output", type=FOLDER, help="Folder of runs and results.  [default: tune/NAME]")
@click.option("--quick", is_flag=True, help="A rehearsal: 3 trials of one epoch on 64 pictures.")
@click.option("--json", "as_json", is_flag=True, help="Print best.json instead of words.")
@click.option("--quiet", is_flag=True, help="No progress and no line a trial.")
def tune_command(
    data: str, data_root: Path | None, size: tuple[int, int] | None, limit: int | None, goal: str, trade_off: float,
    trials: int, epochs: int, batch: int, patience: int, pruner: str, storage: str | None, name: str | None,
    heartbeat: int, seed: int, output: Path | None, quick: bool, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Search for layers, activation and learning rate, as study imagenette-depth did.

    The score of "quality" is the study's, mean PSNR + mean SSIM, but with the true range 255; it leaves the rate out,
    so the widest latent wins. "rate-distortion" minimises bits a pixel + lambda x squared error, "pareto" looks for the
    whole curve of the two; there bits are those of files on disk. The test pictures are never looked at.

    Run again, a search goes on. The same command in several processes, or on several machines with one --storage such
    as postgresql+psycopg://USER@HOST/DATABASE, shares the work. A killed trial is retried from its last checkpoint.
    Writes trials.csv, best.json and figures.
    """
    import optuna
    from optuna.trial import TrialState

    from narrows.lab.data import load
    from narrows.lab.tune.objective import Terms
    from narrows.lab.tune.results import best_of, write_results
    from narrows.lab.tune.search import Pruning, Search, search
    from narrows.lab.tune.space import Goal
    from narrows.lab.tune.storage import default_storage

    chosen = next(one for one in get_args(Goal) if one == goal)
    pruning = next(one for one in get_args(Pruning) if one == pruner)
    name = name or f"{Path(data).resolve().name}-{goal}"
    output = output or Path("tune") / name
    terms = Terms(goal=chosen, epochs=epochs, batch=batch, patience=patience, trade_off=trade_off, seed=seed)
    if quick:
        trials, limit = min(trials, _QUICK_TRIALS), min(limit or _QUICK_PICTURES, _QUICK_PICTURES)
        terms = dataclasses.replace(terms, epochs=1, coded=_QUICK_CODED)
    pictures = _limited(load(data, root=data_root, size=size, progress=not quiet), limit, seed)
    output.mkdir(parents=True, exist_ok=True)
    plan = Search(
        name=name, storage=storage or default_storage(output), trials=trials, terms=terms, pruning=pruning,
        heartbeat_seconds=heartbeat,
    )  # fmt: skip
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = search(
        plan, pictures, output, progress=not quiet,
        say=lambda line: None if quiet else click.echo(line, err=True),
    )  # fmt: skip
    write_results(study, terms, output)
    if running := len(study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING))):
        click.echo(
            f"{running} more are queued or marked as running: by another process, or by one that was killed; the same "
            f"command with more --trials retries those after {2 * heartbeat} s of silence",
            err=True,
        )
    if as_json:
        click.echo(json.dumps(best_of(study, terms)))
        return
    for trial in study.best_trials[:1] if goal != "pareto" else study.best_trials:
        values = ", ".join(f"{value:.4f}" for value in trial.values)
        click.echo(f"best: trial {trial.number}, {values}: {trial.params}")
    click.echo(str(output))


def _limited(data: Dataset, limit: int | None, seed: int) -> Dataset:
    """The data set with at most `limit` pictures in training and in validation, drawn by the seed."""
    if limit is None:
        return data
    if limit < 2:
        raise OptionError(f"a search needs two pictures or more, not {limit}")

    def some(split: Split) -> Split:
        order = np.random.default_rng(seed).permutation(len(split)).astype(np.int64)
        return split.take(np.sort(order[:limit]))

    return dataclasses.replace(data, train=some(data.train), validation=some(data.validation))
