"""What a command says when the packages of its extra are not installed."""

from __future__ import annotations

from collections.abc import Collection

import click


def explained(error: ModuleNotFoundError, command: str, needed: Collection[str]) -> Exception:
    """What to install, if the missing module is of one of the packages `needed` by the command; else the error itself.

    The extra has the command's name.
    """
    if (error.name or "").split(".")[0] not in needed:
        return error
    return click.ClickException(
        f'{command}: needs {error.name}, which is not installed; run: pip install "narrows[{command}]"'
    )
