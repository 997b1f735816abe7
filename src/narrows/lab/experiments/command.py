"""`narrows lab list` and `narrows lab run`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from narrows.lab.experiments.base import Setting
from narrows.lab.experiments.catalogue import EXPERIMENTS, find
from narrows.lab.report.write import write_report

FOLDER = click.Path(file_okay=False, path_type=Path)
SOURCE = click.Path(file_okay=False, exists=True, path_type=Path)


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def list_command(as_json: bool) -> None:
    """The experiments: what each one asks, and which data sets it reads."""
    if as_json:
        records = [
            {"name": one.name, "title": one.title, "summary": one.summary, "sets": list(one.sets)}
            for one in EXPERIMENTS
        ]
        click.echo(json.dumps(records, indent=1, ensure_ascii=False))
        return
    width = max(len(one.name) for one in EXPERIMENTS)
    for one in EXPERIMENTS:
        click.echo(f"{one.name:{width}}  {one.title} ({', '.join(one.sets)})")


@click.command("run")
@click.argument("name", type=click.Choice([one.name for one in EXPERIMENTS]))
@click.option("-o", "--output", type=FOLDER, help="Folder of the result.  [default: studies/NAME, -quick behind it]")
@click.option("--data-root", type=SOURCE, help="Folder with copies of the data sets.  [default: they are fetched]")
@click.option("--photos", type=SOURCE, help="Folder of photographs, where some are wanted.")
@click.option("--quick", is_flag=True, help="Everything in a minute, on a few pictures: its figures mean nothing.")
@click.option("--seeds", type=click.IntRange(1), help="Trainings of each network.  [default: the experiment's own]")
@click.option("--epochs", type=float, default=1.0, show_default=True, help="Factor on all numbers of epochs.")
@click.option("--quiet", is_flag=True, help="Say nothing on the way.")
def run_command(
    name: str, output: Path | None, data_root: Path | None, photos: Path | None, quick: bool, seeds: int | None,
    epochs: float, quiet: bool,
) -> None:  # fmt: skip
    """Redo the study NAME: train, export, code, measure, and write one report.

    The folder receives report.html, report.md, metrics.csv, the figures, the profiles and the coded files. What was
    trained and measured stays in it: a run that was stopped goes on where it was. As it stands a run is planned for
    two CPU cores and about an hour; --epochs 10 is for a GPU.
    """
    setting = Setting(
        output=output or Path("studies") / (f"{name}-quick" if quick else name),
        data_root=data_root,
        photos=photos,
        quick=quick,
        seeds=seeds,
        epochs=epochs,
        progress=not quiet,
        say=(lambda line: None) if quiet else (lambda line: click.echo(line, err=True)),
    )
    click.echo(str(write_report(find(name).redo(setting), setting.output)))
