"""Rate and distortion of narrows on a folder of pictures, beside JPEG, WebP and AVIF on the same pictures.

    python benchmarks/kodak_rd.py ../shared/data/kodak --name kodak
    python benchmarks/kodak_rd.py ../shared/data/photos_valid --name photos_valid

narrows is run as its command (`narrows encode`, then `narrows decode` in another process) on files on disk. Every point
lies in docs/results/NAME_points.csv and is measured once: a run that was stopped goes on where it was, and a new
profile has new rows. The opponents' points are kept the same way in docs/results/NAME_opponents.csv. From these tables
come docs/results/NAME.md (mean curves, BD-rates, their per-picture median and worst, the check that bytes and PSNR rise
with quality) and NAME.png.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from measure import (
    Curve,
    Point,
    append_points,
    bd_rate,
    bd_rate_between,
    curve,
    falls,
    find_pictures,
    load_rgb,
    overlap_db,
    psnr_db,
    read_points,
)
from opponents import OPPONENTS, Opponent
from tqdm import tqdm

from narrows import NarrowsError, __version__
from narrows.profiles import find

QUALITIES = (0, 6, 12, 20, 28, 36, 44, 52, 60, 68, 76, 84, 92, 100)
WINDOW_DB = (27.0, 38.0)  # the range in which photographs are mostly kept; above it 4:2:0 opponents stop gaining
RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, metavar="FOLDER", help="a folder of pictures")
    parser.add_argument("--name", help="name of the results (default: the folder's name)")
    parser.add_argument("--profile", default="default", help="a profile's name or folder (default: the shipped one)")
    parser.add_argument("--qualities", default=",".join(map(str, QUALITIES)), help="narrows' qualities, 0 to 100")
    parser.add_argument("--effort", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results (default: docs/results)")
    parser.add_argument("--opponents-only", action="store_true", help="measure the opponents and stop")
    options = parser.parse_args()

    name = options.name or options.pictures.resolve().name
    pictures = find_pictures(options.pictures)
    opponent_points = measure_opponents(pictures, options.out / f"{name}_opponents.csv")
    if options.opponents_only:
        return
    qualities = sorted({int(text) for text in options.qualities.split(",")})
    points = measure_narrows(
        pictures,
        options.out / f"{name}_points.csv",
        qualities=qualities,
        profile=options.profile,
        effort=options.effort,
        threads=options.threads,
    )
    command = f"python benchmarks/kodak_rd.py FOLDER --name {name}"
    if options.profile != "default":
        command += f" --profile {Path(options.profile).name}"
    if options.effort != 5:
        command += f" --effort {options.effort}"
    report = write_report(name, points, opponent_points, command)
    (options.out / f"{name}.md").write_text(report)
    draw(options.out / f"{name}.png", points, opponent_points, f"{name}: {len(pictures)} pictures")
    print(report)


def measure_opponents(pictures: Sequence[Path], table: Path) -> dict[Opponent, list[Point]]:
    """Every opponent's points on these pictures; what the table lacks is measured and added to it."""
    known = {point.key: point for point in read_points(table)}
    opponents = [opponent for opponent in OPPONENTS if opponent.available]
    wanted = [
        (opponent, quality, path) for opponent in opponents for quality in opponent.qualities for path in pictures
    ]
    missing = [
        (o, quality, path) for o, quality, path in wanted if (o.name, o.version, quality, path.stem) not in known
    ]
    for opponent, quality, path in tqdm(missing, desc="opponents", unit="file", disable=not missing):
        original = load_rgb(path)
        data = opponent.encode(original, quality)
        point = make_point(
            opponent.name, opponent.version, quality, path, len(data), psnr_db(original, opponent.decode(data))
        )
        append_points(table, [point])
        known[point.key] = point
    return {
        opponent: [
            known[opponent.name, opponent.version, quality, path.stem] for o, quality, path in wanted if o is opponent
        ]
        for opponent in opponents
    }


def measure_narrows(
    pictures: Sequence[Path], table: Path, *, qualities: Sequence[int], profile: str, effort: int, threads: int
) -> list[Point]:
    """narrows' points on these pictures; what the table lacks is measured, a quality after the other."""
    version = narrows_version(profile, effort)
    known = {point.key: point for point in read_points(table)}
    shared = ["--profile", profile, "--threads", str(threads), "--quiet"]
    for quality in tqdm(qualities, desc="narrows", unit="quality"):
        missing = [path for path in pictures if ("narrows", version, quality, path.stem) not in known]
        if not missing:
            continue
        with tempfile.TemporaryDirectory() as folder:
            coded, decoded = Path(folder, "coded"), Path(folder, "decoded")
            coded.mkdir()
            decoded.mkdir()
            narrows("encode", *missing, "-o", coded, "--quality", quality, "--effort", effort, *shared)
            files = [coded / f"{path.stem}.nrws" for path in missing]
            narrows("decode", *files, "-o", decoded, *shared)
            measured = [
                make_point(
                    "narrows",
                    version,
                    quality,
                    path,
                    file.stat().st_size,
                    psnr_db(load_rgb(path), load_rgb(decoded / f"{path.stem}.png")),
                )
                for path, file in zip(missing, files, strict=True)
            ]
        append_points(table, measured)
        known.update({point.key: point for point in measured})
    return [known["narrows", version, quality, path.stem] for quality in qualities for path in pictures]


def narrows_version(profile: str, effort: int) -> str:
    """What narrows' points are kept under: its release, the beginning of the profile's digest, the effort."""
    try:
        digest = hashlib.sha256((find(profile) / "manifest.json").read_bytes()).hexdigest()
    except NarrowsError as error:
        raise SystemExit(f"kodak_rd: {error}") from None
    return f"narrows {__version__} profile {digest[:8]} effort {effort}"


def narrows(*arguments: object) -> None:
    """Run the narrows command in a process of its own; SystemExit with what it said if it fails."""
    command = [sys.executable, "-m", "narrows", *map(str, arguments)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"narrows {arguments[0]} failed ({done.returncode}):\n{done.stderr}")


def make_point(codec: str, version: str, quality: int, path: Path, size_bytes: int, quality_db: float) -> Point:
    height, width, _ = load_rgb(path).shape
    return Point(
        codec=codec,
        version=version,
        quality=quality,
        picture=path.stem,
        width=width,
        height=height,
        bytes=size_bytes,
        psnr_db=quality_db,
    )


def write_report(name: str, points: Sequence[Point], opponents: dict[Opponent, list[Point]], command: str) -> str:
    """The results as Markdown."""
    ours = curve(points)
    pictures = sorted({point.picture for point in points})
    wrong = falls(points)
    low, high = WINDOW_DB
    lines = [
        f"# Rate and distortion on {name}",
        "",
        f"{len(pictures)} pictures; made by `{command}`. {points[0].version}.",
        "",
        "Rate: bytes of the files on disk x 8 / pixels, mean over the pictures. "
        "PSNR: RGB, peak 255, per picture, mean of the dB values, of the picture "
        "that a separate `narrows decode` made from the file. "
        "BD-rate: package bjontegaard, akima, on the mean curves, over the whole overlap and "
        f"from {low:g} to {high:g} dB (- where a curve does not reach so far); "
        "beside it the median and the worst of the pictures' own "
        "BD-rates over their overlaps. Negative: narrows needs fewer bytes.",
        "",
        f"| narrows against | overlap, dB | BD-rate | {low:g} to {high:g} dB | median | worst | worst picture |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for opponent, theirs in opponents.items():
        mean = curve(theirs)
        each = {picture: bd_rate(of_picture(theirs, picture), of_picture(points, picture)) for picture in pictures}
        finite = {picture: value for picture, value in each.items() if not math.isnan(value)}
        worst = max(finite, key=finite.__getitem__, default="-")
        shared = overlap_db(mean, ours)
        lines.append(
            f"| {opponent.label} | {shared[0]:.1f} to {shared[1]:.1f} | {percent(bd_rate(mean, ours))} | "
            f"{percent(bd_rate_between(mean, ours, low, high))} | "
            f"{percent(statistics.median(finite.values()) if finite else math.nan)} | "
            f"{percent(finite.get(worst, math.nan))} | {worst} |"
        )
    lines += ["", f"![Rate and distortion]({name}.png)", ""]
    lines += [
        f"Bytes and PSNR rise with quality on every picture ({len(pictures)} pictures, {len(ours[0])} qualities)."
        if not wrong
        else f"**Bytes or PSNR fail to rise with quality in {len(wrong)} places:**\n\n"
        + "\n".join(f"- {line}" for line in wrong),
        "",
        "| narrows quality | bits per pixel | PSNR, dB |",
        "| --- | --- | --- |",
    ]
    qualities = sorted({point.quality for point in points})
    lines += [f"| {quality} | {rate:.4f} | {db:.3f} |" for quality, rate, db in zip(qualities, *ours, strict=True)]
    lines += ["", "Opponents:", ""]
    lines += [f"- {opponent.label}: {opponent.settings}; {opponent.version}." for opponent in opponents]
    return "\n".join(lines) + "\n"


def of_picture(points: Sequence[Point], picture: str) -> Curve:
    return curve(point for point in points if point.picture == picture)


def percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:+.1f} %"


def draw(path: Path, points: Sequence[Point], opponents: dict[Opponent, list[Point]], title: str) -> None:
    """The mean curves, PSNR over the logarithm of the rate."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7.5, 5), layout="constrained")
    styles = zip(("#b0413e", "#c9a227", "#3b6ea5", "#7fa8cc"), ("s", "^", "D", "v"), strict=True)
    for (opponent, theirs), (colour, marker) in zip(opponents.items(), styles, strict=False):
        axes.plot(*curve(theirs), color=colour, marker=marker, markersize=3.5, linewidth=1.2, label=opponent.label)
    axes.plot(*curve(points), color="black", marker="o", markersize=4, linewidth=2, label="narrows")
    axes.set_xscale("log", base=2)
    ticks = [2.0**n for n in range(-5, 4)]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    means = [curve(theirs)[0] for theirs in opponents.values()] + [curve(points)[0]]
    axes.set_xlim(min(m[0] for m in means) * 0.9, max(m[-1] for m in means) * 1.1)
    axes.set_xlabel("bits per pixel (logarithmic)")
    axes.set_ylabel("PSNR (RGB), dB")
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=144)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
