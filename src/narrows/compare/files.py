"""Files of a report: whole or not there."""

from __future__ import annotations

import secrets
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> Path:
    """Write a text as UTF-8, or bytes, beside the place and rename; the path. OSError from the disk.

    Whatever goes wrong leaves nothing behind. Several processes may write the same file: the last one's stays.
    """
    beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")
    try:
        beside.write_bytes(content.encode() if isinstance(content, str) else content)  # open()'s own permissions
        return beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
