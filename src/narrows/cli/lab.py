"""`narrows lab`: the door to narrows.lab, which needs PyTorch and is loaded only when somebody goes in."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from narrows.cli.extras import explained

_NEEDED = (
    "torch", "lightning_fabric", "lightning", "onnx", "optuna", "pooch", "sklearn",
    "bjontegaard", "jinja2", "matplotlib", "scipy", "skimage",
)  # fmt: skip
"""What the extra [lab] installs."""

_COMMANDS = {
    "export": "narrows.lab.cli:export_command",
    "list": "narrows.lab.experiments.command:list_command",
    "run": "narrows.lab.experiments.command:run_command",
    "train": "narrows.lab.cli:train_command",
    "tune": "narrows.lab.tune.command:tune_command",
}
"""Where each command is. Only what is asked for is imported: a machine that trains need not have what a study needs."""


class LabGroup(click.Group):
    """The commands of the laboratory, imported on the first look at them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name].partition(":")
        try:
            command: click.Command = getattr(import_module(module), attribute)
        except ModuleNotFoundError as error:
            raise explained(error, "lab", _NEEDED) from error
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            raise explained(error, "lab", _NEEDED) from error


@click.group(
    "lab",
    cls=LabGroup,
    invoke_without_command=True,
    short_help="Train networks, redo the studies, search (needs PyTorch).",
)
@click.pass_context
def lab(context: click.Context) -> None:
    """Train networks and export them as profiles; redo five studies of autoencoder compression.

    Needs PyTorch: pip install "narrows[lab]".
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
