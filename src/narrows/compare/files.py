"""Files of a report: whole or not there."""

from __future__ import annotations

from pathlib import Path


def write_whole(path: Path, text: str) -> Path:
    """Write a text beside its place and rename it; the path. OSError from the disk, which leaves nothing behind."""
    beside = path.with_name(path.name + ".new")
    try:
        beside.write_text(text, encoding="utf-8")
        return beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
