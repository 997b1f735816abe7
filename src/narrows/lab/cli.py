"""`narrows lab train` and `narrows lab export`."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import click

from narrows.errors import OptionError
from narrows.lab.network import FLAGSHIP_M, FLAGSHIP_S, TINY, kilo_macs_per_pixel
from narrows.lab.optimizer import OPTIMIZERS, OptimizerName
from narrows.lab.photos import load_photos
from narrows.lab.train import STAGES, Stage, TrainConfig, load_run, train

RECIPES = {"flagship-s": FLAGSHIP_S, "flagship-m": FLAGSHIP_M, "tiny": TINY}
FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command("train")
@click.argument("recipe", type=click.Choice(list(RECIPES)))
@click.option("--photos", type=FOLDER, required=True, help="Folder of photographs; tar files in it are read too.")
@click.option("-o", "--run", type=FOLDER, help="Folder of the run.  [default: runs/RECIPE]")
@click.option("--minutes", type=float, help="Budget in minutes of training.  [default: 60]")
@click.option("--steps", type=int, help="Budget in steps, instead of minutes.")
@click.option("--resume", is_flag=True, help="Go on from the run's checkpoint, optimiser included.")
@click.option("--init", "start", type=FOLDER, help="Begin from the weights of this profile or run.")
@click.option("--stage", type=click.Choice(STAGES), default="noise", show_default=True, help="What learns from what.")
@click.option("--batch", type=int, default=8, show_default=True, help="Crops a step and process.")
@click.option("--crop", type=int, default=256, show_default=True, help="Side of a crop in pixels, a multiple of 64.")
@click.option(
    "--optimizer",
    type=click.Choice(OPTIMIZERS),
    default="soap",
    show_default=True,
    help="Of the 1x1 weights; AdamW trains all the rest.",
)
@click.option(
    "--matrix-rate",
    type=float,
    default=3e-3,
    show_default=True,
    help="Learning rate of the 1x1 weights; a tenth of it in the later stages, about 1e-2 with muon.",
)
@click.option("--rate", type=float, default=1e-3, show_default=True, help="Learning rate of AdamW.")
@click.option("--masking", type=float, default=0.3, show_default=True, help="Share of the masked error in the loss.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--threads", type=int, help="CPU threads.  [default: all cores]")
@click.option("--accelerator", type=click.Choice(["auto", "cpu", "gpu"]), default="auto", show_default=True)
@click.option("--processes", type=int, default=1, show_default=True, help="Processes, when started by torchrun.")
@click.option("--limit", type=int, help="Use at most this many photographs.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def train_command(
    recipe: str, photos: Path, run: Path | None, minutes: float | None, steps: int | None, resume: bool,
    start: Path | None, stage: Stage, batch: int, crop: int, optimizer: OptimizerName, matrix_rate: float,
    rate: float, masking: float, seed: int, threads: int | None, accelerator: str, processes: int, limit: int | None,
    quiet: bool,
) -> None:  # fmt: skip
    """Train RECIPE on photographs.

    The run's folder receives a checkpoint every five minutes, log.csv and config.json; interrupting saves, and --resume
    goes on. Half of a run's gain comes while the learning rate falls at its end, so choose the budget beforehand.

    The stage `noise` trains everything, with noise in the place of rounding. The later ones begin from a profile
    (--init): synthesis and entropy nets learn from the very symbols that its encoder writes, dead zone included. In
    `written` the encoder learns too, in `decoder` it stays as it is. The stage `side` trains how the hyper-latent is
    coded, from a profile or a run, and nothing else.
    """
    if resume and start is not None:
        raise OptionError("--resume goes on with a run's own weights, --init starts a new one; give one of them")
    if minutes is None and steps is None:
        minutes = 60.0
    config = TrainConfig(
        photos=photos, run=run or Path("runs") / recipe, minutes=minutes, steps=steps, batch=batch, crop=crop,
        optimizer=optimizer, matrix_rate=matrix_rate, rate=rate, masking=masking, seed=seed, threads=threads,
        accelerator=accelerator, processes=processes, photo_limit=limit, stage=stage,
    )  # fmt: skip
    folder = train(RECIPES[recipe], config, resume=resume, start=start, progress=not quiet)
    click.echo(str(folder))


@click.command("export")
@click.argument("run", type=click.Path(file_okay=False, exists=True, path_type=Path))
@click.option("-o", "--output", type=FOLDER, required=True, help="Folder of the profile; must not exist.")
@click.option("--photos", type=FOLDER, help="Photographs for the tables.  [default: those of the run]")
@click.option("--name", help="The profile's name.  [default: the recipe's]")
@click.option("--profile-version", default="1", show_default=True)
@click.option("--dead-zone", type=float, default=0.0, show_default=True, help="Default dead zone of the encoder.")
@click.option("--samples", type=int, default=1500, show_default=True, help="Crops that the tables are fitted to.")
@click.option("--limit", type=int, help="Use at most this many photographs.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def export_command(
    run: Path, output: Path, photos: Path | None, name: str | None, profile_version: str, dead_zone: float,
    samples: int, limit: int | None, quiet: bool,
) -> None:  # fmt: skip
    """Export RUN's averaged weights as a profile.

    The exporter proves that the integer part is exact, fits the tables to the training photographs, measures them on
    the held-out ones, and refuses to overwrite.
    """
    from narrows.lab.export import export  # late: training needs neither onnx nor the codec's own packages

    if not 0 <= dead_zone <= 2:
        raise OptionError(f"the dead zone must be 0 to 2, not {dead_zone}")
    network, state = load_run(run)
    settings = _run_settings(run)
    folder = photos or Path(settings["train"]["photos"])
    training, held_out = load_photos(folder, least_side=64, limit=limit, progress=not quiet)
    if name:
        network.config = dataclasses.replace(network.config, name=name)
    record = {
        "run": state["state"],
        "settings": {key: settings["train"][key] for key in _RECORDED if key in settings["train"]},
        "photographs": settings["photographs"],
        "parameters": settings["parameters"],
        "kmac_per_pixel": kilo_macs_per_pixel(network.config),
        "history": _held_out_history(run),
    }
    export(
        network, training, held_out, output, version=profile_version, dead_zone=dead_zone, samples=samples,
        record=record, progress=not quiet,
    )  # fmt: skip
    click.echo(str(output))


_RECORDED = (
    "minutes", "steps", "batch", "crop", "optimizer", "matrix_rate", "rate", "masking", "ema_decay", "seed",
    "processes", "stage",
)  # fmt: skip


def _run_settings(run: Path) -> dict[str, Any]:
    try:
        settings: dict[str, Any] = json.loads((run / "config.json").read_text())
    except (OSError, ValueError) as error:
        raise OptionError(f"{run} is not the folder of a run: {error}") from error
    return settings


def _held_out_history(run: Path) -> list[dict[str, float]]:
    """The held-out rows of the log: megapixels, quality, bpp, PSNR."""
    with (run / "log.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "held-out"]
    keys = ("megapixels", "quality", "bpp", "psnr_db")
    return [{key: float(row[key]) for key in keys} for row in rows]
