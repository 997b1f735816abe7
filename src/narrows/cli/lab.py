"""`narrows lab`: the door to narrows.lab, which needs PyTorch and is loaded only when somebody goes in."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from narrows.cli.extras import explained

_NEEDED = ("torch", "lightning_fabric", "lightning", "onnx", "pooch")  # what the extra [lab] installs


class LabGroup(click.Group):
    """The commands of narrows.lab.cli, imported on the first look at them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._loaded())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return self._loaded().get(cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            raise explained(error, "lab", _NEEDED) from error

    def _loaded(self) -> dict[str, click.Command]:
        try:
            commands: tuple[click.Command, ...] = import_module("narrows.lab.cli").COMMANDS
        except ModuleNotFoundError as error:
            raise explained(error, "lab", _NEEDED) from error
        return {command.name: command for command in commands if command.name}


@click.group(
    "lab",
    cls=LabGroup,
    invoke_without_command=True,
    short_help="Train networks and export them as profiles (needs PyTorch).",
)
@click.pass_context
def lab(context: click.Context) -> None:
    """Train networks and export them as profiles.

    Needs PyTorch: pip install "narrows[lab]".
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
