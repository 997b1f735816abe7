"""Write the table of results in README.md from the points in docs/results.

    python benchmarks/readme_table.py            write it
    python benchmarks/readme_table.py --check    exit 1 if it is not what the points give

The points come from benchmarks/kodak_rd.py; those of the shipped profile at the default effort are taken.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from kodak_rd import RESULTS, WINDOW_DB, narrows_version, percent
from measure import Point, bd_rate, bd_rate_between, curve, read_points
from opponents import OPPONENTS

README = RESULTS.parent.parent / "README.md"
BEGIN = "<!-- results: written by benchmarks/readme_table.py -->"
END = "<!-- end of results -->"
SETS = {"kodak": "Kodak", "photos_valid": "24 photographs of about 0.9 megapixels"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if the table is not up to date")
    check = parser.parse_args().check
    text = README.read_text(encoding="utf-8")
    wanted = with_table(text, table(RESULTS))
    if check and wanted != text:
        sys.exit("README.md: the table of results is not up to date; run: python benchmarks/readme_table.py")
    README.write_text(wanted, encoding="utf-8")


def with_table(text: str, rows: str) -> str:
    """README's text with another table between the two marks."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{rows}{END}{tail}"


def table(folder: Path) -> str:
    """The table as Markdown, or a sentence that there are no points of the shipped profile yet."""
    low, high = WINDOW_DB
    sets = {name: narrows_points(folder / f"{name}_points.csv") for name in SETS}
    sets = {name: points for name, points in sets.items() if points}
    if not sets:
        return "\nNot measured yet for this profile.\n\n"
    lines = [
        "",
        "| bytes of narrows at equal PSNR, against | " + " | ".join(SETS[name] for name in sets) + " |",
        "| --- |" + " --- |" * len(sets),
    ]
    for opponent in OPPONENTS:
        cells = []
        for name, points in sets.items():
            theirs = [
                point
                for point in read_points(folder / f"{name}_opponents.csv")
                if (point.codec, point.quality in opponent.qualities) == (opponent.name, True)
            ]
            whole = percent(bd_rate(curve(theirs), curve(points)))
            window = percent(bd_rate_between(curve(theirs), curve(points), low, high))
            cells.append(f"{whole} ({window})")
        lines.append(f"| {opponent.label} ({opponent.settings}) | " + " | ".join(cells) + " |")
    made = ", ".join(f"[{name}](docs/results/{name}.md)" for name in sets)
    lines += [
        "",
        f"BD-rate of the mean curves over their whole overlap (in brackets: from {low:g} to {high:g} dB); "
        "bytes are those of files on disk, PSNR "
        f"that of the pictures decoded from them. Made by `benchmarks/kodak_rd.py`: {made}.",
        "",
    ]
    return "\n".join(lines) + "\n"


def narrows_points(table: Path) -> list[Point]:
    """The shipped profile's points."""
    version = narrows_version("default", 5)
    return [point for point in read_points(table) if point.version == version]


if __name__ == "__main__":
    main()
