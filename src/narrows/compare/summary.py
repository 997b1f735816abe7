"""summary.json: the whole analysis for programs, and what README's table is made of."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from narrows.compare.analysis import Analysis
from narrows.compare.records import Comparison
from narrows.errors import OptionError

SCHEMA = 1


def summarise(comparison: Comparison, analysis: Analysis) -> dict[str, Any]:
    """What summary.json holds: the comparison but for its points (points.csv has them), and the analysis.

    Only what JSON knows: str, int, float, bool, None, lists, dicts with str keys. What is not finite becomes None.
    Keys are the names of the fields of records.Comparison and analysis.Analysis.
    """
    held = asdict(comparison)
    points = held.pop("points")
    published = held.pop("published")  # analysis.published holds the same curves
    whole = {
        "schema": SCHEMA,
        **held,
        "files": len(points),
        "published_curves": len(published),
        "analysis": asdict(analysis),
    }
    result: dict[str, Any] = plain(whole)
    return result


def read_summary(path: Path) -> dict[str, Any]:
    """A summary as it was written. OptionError if the file is none or of another schema; OSError if unreadable."""
    try:
        summary = json.loads(path.read_bytes())
    except ValueError as error:
        raise OptionError(f"is no JSON ({error})", source=str(path)) from None
    if not isinstance(summary, dict) or summary.get("schema") != SCHEMA or "analysis" not in summary:
        raise OptionError(f"is no summary of narrows compare of schema {SCHEMA}", source=str(path))
    return summary


def plain(value: Any) -> Any:
    """The same with what JSON knows alone."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
