"""The command `narrows`: its commands, its version, and its way out."""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from narrows import __version__, container, profiles
from narrows.cli.compare import compare
from narrows.cli.decode import decode
from narrows.cli.encode import encode
from narrows.cli.failures import exit_code, report, warnings_as_lines
from narrows.cli.info import info
from narrows.cli.lab import lab
from narrows.cli.verify import verify
from narrows.errors import ProfileError


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that the terminal's encoding lacks is no fault; as on stderr
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code, after one line on stderr for an error. `arguments` None is sys.argv[1:]."""
    with warnings_as_lines():
        try:
            code = commands.main(arguments, prog_name="narrows", standalone_mode=False)
        except (Exception, KeyboardInterrupt) as error:
            report(error)
            return int(exit_code(error))
    return int(code) if isinstance(code, int) else 0


def _show_version(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        click.echo(f"narrows {__version__}\nformat {container.VERSIONS[-1]}\n{_default_profile()}")
        context.exit()


def _default_profile() -> str:
    try:
        folder = profiles.find("default")
        digest = hashlib.sha256((folder / profiles.MANIFEST).read_bytes()).hexdigest()
    except (ProfileError, OSError):
        return "no default profile in this installation"
    return f"default profile {folder.name}, digest {digest}"


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the versions of program, format and default profile.",
)
@click.pass_context
def commands(context: click.Context) -> None:
    """Photographs into small files and back, with a network that this project trained.

    Exit codes: 0 done, 1 input or output failed or some inputs of many, 2 usage, 3 not a valid narrows file or picture,
    4 profile missing or other, 5 over a limit, 130 interrupted.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for _command in (encode, decode, info, verify, compare, lab):
    commands.add_command(_command)
