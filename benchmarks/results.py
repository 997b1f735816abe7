r"""All published comparisons: docs/results/kodak.md, docs/results/photos_valid.md, and README's table and figure.

    python benchmarks/results.py                measure what is not measured yet, and write them
    python benchmarks/results.py --check        exit 1 if README's table is not what the summaries give

The comparisons are these commands; what they leave in docs/results/NAME is kept, so that only what changed (a profile,
a library) is measured again:

    narrows compare ../shared/data/kodak --published ../shared/anchors/kodak_rd.json --title Kodak --no-crops \
        -o docs/results/kodak
    narrows compare ../shared/data/photos_valid --title "24 photographs of 0.9 megapixels" --no-crops \
        -o docs/results/photos_valid

Needs the [compare] extra, and an idle machine: speed is measured too.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

from narrows.compare.markdown import readme_table
from narrows.compare.summary import read_summary

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results"
README = ROOT / "README.md"
BEGIN = "<!-- results: written by benchmarks/results.py -->"
END = "<!-- end of results -->"
DATA = Path("..", "shared", "data")
SETS = {
    "kodak": ("Kodak", DATA / "kodak", ["--published", str(Path("..", "shared", "anchors", "kodak_rd.json"))]),
    "photos_valid": ("24 photographs of 0.9 megapixels", DATA / "photos_valid", []),
}
"""Name of the results -> title, folder of the pictures, further arguments; as seen from the repository's root."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="measure and write nothing; exit 1 if README is not right")
    parser.add_argument("--only", choices=list(SETS), help="measure this set alone")
    options = parser.parse_args()
    if not options.check:
        for name in SETS if options.only is None else [options.only]:
            measure(name)
    text = README.read_text(encoding="utf-8")
    wanted = with_table(text, table(RESULTS))
    if options.check and wanted != text:
        sys.exit("README.md: the table of results is not up to date; run: python benchmarks/results.py")
    README.write_text(wanted, encoding="utf-8")


def measure(name: str) -> None:
    """Run one comparison and write docs/results/NAME.md from its report.md."""
    title, pictures, further = SETS[name]
    folder = Path("docs", "results", name)
    command = ["compare", str(pictures), *further, "--title", title, "--no-crops", "-o", str(folder)]
    subprocess.run([sys.executable, "-m", "narrows", *command], cwd=ROOT, check=True)
    report = (ROOT / folder / "report.md").read_text(encoding="utf-8")
    (RESULTS / f"{name}.md").write_text(report.replace("](figures/", f"]({name}/figures/"), encoding="utf-8")


def with_table(text: str, rows: str) -> str:
    """README's text with another table between the two marks."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{rows}{END}{tail}"


def table(results: Path) -> str:
    """README's part as Markdown, from the summaries of the sets that were measured."""
    sets = {name: results / name / "summary.json" for name in SETS}
    summaries = {name: read_summary(path) for name, path in sets.items() if path.is_file()}
    if not summaries:
        return "\nNot measured yet.\n\n"
    made = ", ".join(f"[{name}](docs/results/{name}.md)" for name in summaries)
    first = next(iter(summaries))
    window = summaries[first]["analysis"]["metrics"][0]["window"]
    brackets = f" (in brackets: from {window[0]:g} to {window[1]:g} dB)" if window else ""
    return "\n".join(
        [
            "",
            readme_table([(SETS[name][0], summary) for name, summary in summaries.items()]),
            "",
            f"BD-rate of the mean curves over their whole overlap{brackets}; bytes are those of files on disk, PSNR "
            f"that of the pictures decoded from them. Made by `python benchmarks/results.py`: {made}.",
            "",
            other_metrics(summaries),
            "",
            speed(summaries[first]),
            "",
            f"![Bytes at equal quality on {SETS[first][0]}](docs/results/{first}/figures/relative-psnr.png)",
            "",
            "",
        ]
    )


def other_metrics(summaries: dict[str, dict[str, Any]], rival: str = "avif420") -> str:
    """The BD-rates against one opponent by the metrics that do not decide, as a sentence; "" if it was left out."""
    by_metric: dict[str, list[str]] = {}
    label = ""
    for summary in summaries.values():
        for metric in summary["analysis"]["metrics"][1:]:
            for pair in metric["pairs"]:
                if pair["opponent"] == rival and pair["rate"]["value"] is not None:
                    label = pair["label"]
                    by_metric.setdefault(metric["label"], []).append(f"{pair['rate']['value']:+.1f} %")
    values = "; ".join(f"{metric} {' and '.join(rates)}" for metric, rates in by_metric.items())
    return f"Against {label} by other metrics, in the same order: {values}." if values else ""


def speed(summary: dict[str, Any], rival: str = "avif420") -> str:
    """How fast the judged coder and one opponent were, as a sentence; "" if either was not timed."""
    measured = summary["speed"] or {"speeds": []}
    found = {row["coder"]: row for row in measured["speeds"]}
    judged = summary["analysis"]["judged"]
    if judged not in found or rival not in found:
        return ""
    ours, theirs = found[judged], found[rival]
    label = next(coder["label"] for coder in summary["coders"] if coder["name"] == rival)
    return (
        f"On {measured['threads']} cores ({measured['processor']}) encoding runs at {ours['encode_mps']:.1f} "
        f"megapixels/s, {label} at {theirs['encode_mps']:.1f}; decoding at {ours['decode_mps']:.1f}, {label} at "
        f"{theirs['decode_mps']:.0f}."
    )


if __name__ == "__main__":
    main()
