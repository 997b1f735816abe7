"""Profiles beside each other on held-out photographs: python benchmarks/held_out.py PROFILE PROFILE ... [--photos DIR]

Reads what `narrows lab export` measured by the integer tables and wrote into each manifest: bits per pixel and PSNR at
eight qualities. Prints the BD-rate (PSNR) of each profile against the first one, and both at equal quality index. Only
profiles that were exported with the same photographs can be compared so; with --photos they are measured anew on the
held-out ones of that folder, each with its own tables and dead zone (which needs the [lab] extra too). Needs the
[compare] extra.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from training_curve import curve_of

from narrows.compare.curves import bd_rate


def measured(profile: Path) -> list[tuple[int, float, float]]:
    """(quality index, bits per pixel, PSNR in dB) of the held-out photographs."""
    rows = json.loads((profile / "manifest.json").read_text())["training"]["held_out"]
    return [(row["quality"], row["bpp"], row["psnr_db"]) for row in rows]


def measured_on(photos: Path, profiles: list[Path]) -> list[list[tuple[int, float, float]]]:
    """The same of each profile on the held-out photographs of a folder."""
    from narrows.lab.export import load_network, measure, tables_of
    from narrows.lab.photos import load_photos

    held_out = load_photos(photos, least_side=64)[1]
    curves = []
    for profile in profiles:
        dead_zone = float(json.loads((profile / "manifest.json").read_text())["dead_zone"])
        rows = measure(load_network(profile), tables_of(profile), held_out, dead_zone)
        curves.append([(int(row["quality"]), row["bpp"], row["psnr_db"]) for row in rows])
    return curves


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("anchor", type=Path)
    parser.add_argument("profiles", type=Path, nargs="+")
    parser.add_argument("--photos", type=Path)
    arguments = parser.parse_args()
    profiles = [arguments.anchor, *arguments.profiles]
    anchor, *others = (
        measured_on(arguments.photos, profiles) if arguments.photos else [measured(profile) for profile in profiles]
    )
    for profile, points in zip(arguments.profiles, others, strict=True):
        if [point[0] for point in points] != [point[0] for point in anchor]:
            parser.error(f"{profile} was measured at other qualities than {arguments.anchor}")
        difference = bd_rate(curve_of(anchor), curve_of(points))
        print(f"{profile}: " + (difference.reason or f"BD-rate {difference.value:+.2f} %"))
        print("| quality | bits per pixel | PSNR, dB | bits | dB |\n|---|---|---|---|---|")
        for (quality, old_bpp, old_psnr), (_, bpp, psnr) in zip(anchor, points, strict=True):
            print(f"| {quality} | {bpp:.4f} | {psnr:.2f} | {bpp / old_bpp - 1:+.1%} | {psnr - old_psnr:+.3f} |")


if __name__ == "__main__":
    main()
