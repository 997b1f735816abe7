"""How a network learned: python benchmarks/training_curve.py LOG.csv [LOG.csv ...] --name training_s

Reads the logs of a run and of those that went on from it, in order, and writes docs/results/NAME.md and NAME.png: the
held-out photographs' estimated rate and PSNR against megapixels seen, each evaluation's BD-rate against the last one,
and the trainer's speed. Needs the [compare] extra.
"""

from __future__ import annotations

import argparse
import csv
import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from narrows.compare.curves import Curve, bd_rate
from narrows.compare.svg import png_file

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"


@dataclass(kw_only=True)
class History:
    """Evaluations by megapixels seen since the first log began."""

    curves: dict[float, list[tuple[int, float, float]]] = field(default_factory=lambda: defaultdict(list))
    hours: dict[float, float] = field(default_factory=dict)
    speeds: list[float] = field(default_factory=list)
    falling_from: float | None = None


def read_history(logs: list[Path]) -> History:
    history = History()
    before_megapixels = before_hours = 0.0
    for log in logs:
        seen = hours = 0.0
        history.falling_from = None
        with log.open(newline="") as file:
            for row in csv.DictReader(file):
                seen, hours = float(row["megapixels"]), float(row["seconds"]) / 3600
                total = before_megapixels + seen
                if row["kind"] == "train":
                    history.speeds.append(float(row["megapixels_per_second"]))
                    if history.falling_from is None and float(row["learning_rate"]) < 1 and int(row["step"]) > 100:
                        history.falling_from = total
                else:
                    history.curves[total].append((int(row["quality"]), float(row["bpp"]), float(row["psnr_db"])))
                    history.hours[total] = before_hours + hours
        before_megapixels, before_hours = before_megapixels + seen, before_hours + hours
    return history


def curve_of(points: list[tuple[int, float, float]]) -> Curve:
    """The curve of one evaluation from (quality index, bpp, PSNR in dB)."""
    settings, rates, qualities = zip(*sorted(points), strict=True)
    return Curve(
        coder="network", label="the network", settings=tuple(map(float, settings)), rate_bpp=rates, quality=qualities
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", type=Path, nargs="+")
    parser.add_argument("--name", default="training_s")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    history = read_history(arguments.logs)
    if not history.curves:
        parser.error("the logs hold no evaluation")
    last = curve_of(history.curves[max(history.curves)])
    names = " ".join(f"docs/results/{log.name}" for log in arguments.logs)
    lines = [
        "# How the shipped profile learned",
        "",
        f"Made by `python benchmarks/training_curve.py {names} --name {arguments.name}`.",
        "",
        "Held-out photographs (24 of the 5 % never trained on, centre crops), averaged weights, hard symbols; bits "
        "estimated by the rate model, since tables exist only after export. BD-rate (PSNR) of the last evaluation "
        "against each: what was gained since. The learning rate falls from "
        f"{history.falling_from or 0:.0f} megapixels on.",
        "",
        "| megapixels | hours | lowest quality: bpp, dB | middle: bpp, dB | highest: bpp, dB | last against this |",
        "|---|---|---|---|---|---|",
    ]
    for megapixels, points in sorted(history.curves.items()):
        points = sorted(points)
        cells = " | ".join(f"{b:.4f}, {p:.2f}" for _, b, p in (points[0], points[len(points) // 2], points[-1]))
        gained = bd_rate(curve_of(points), last).value
        since = "-" if gained is None else f"{gained:+.1f} %"
        lines.append(f"| {megapixels:.0f} | {history.hours[megapixels]:.2f} | {cells} | {since} |")
    lines += [
        "",
        f"Speed while training, median over rows of 20 steps: {statistics.median(history.speeds):.2f} megapixels/s "
        f"(best tenth {statistics.quantiles(history.speeds, n=10)[-1]:.2f}); the machine was shared with other work.",
        "",
        f"![Learning curve]({arguments.name}.png)",
    ]
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / f"{arguments.name}.md").write_text("\n".join(lines) + "\n")
    draw(arguments.out / f"{arguments.name}.png", history)
    print("\n".join(lines))


def draw(path: Path, history: History) -> None:
    """PSNR and rate of every evaluated quality over megapixels."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (quality_axes, rate_axes) = pyplot.subplots(1, 2, figsize=(9, 4), layout="constrained")
    by_quality: dict[int, list[tuple[float, float, float]]] = defaultdict(list)
    for megapixels, points in sorted(history.curves.items()):
        for quality, bpp, psnr in points:
            by_quality[quality].append((megapixels, bpp, psnr))
    colours = pyplot.get_cmap("viridis")
    for number, (quality, rows) in enumerate(sorted(by_quality.items())):
        colour = colours(0.9 * number / max(len(by_quality) - 1, 1))
        seen, bpps, psnrs = zip(*rows, strict=True)
        quality_axes.plot(seen, psnrs, color=colour, marker="o", markersize=3, label=f"index {quality}")
        rate_axes.plot(seen, bpps, color=colour, marker="o", markersize=3)
    for axes in (quality_axes, rate_axes):
        axes.set_xlabel("megapixels seen")
        axes.grid(alpha=0.3)
        if history.falling_from is not None:
            axes.axvline(history.falling_from, color="grey", linewidth=0.8, linestyle=":")
    quality_axes.set_ylabel("PSNR, dB")
    rate_axes.set_ylabel("bits per pixel (estimate)")
    rate_axes.set_yscale("log")
    figure.legend(loc="outside lower center", frameon=False, fontsize=8, ncols=len(by_quality))
    path.write_bytes(png_file(figure, drawing=True))
    pyplot.close(figure)


if __name__ == "__main__":
    main()
