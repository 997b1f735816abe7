"""Profiles beside each other on held-out photographs: python benchmarks/held_out.py PROFILE PROFILE ...

Reads what `narrows lab export` measured by the integer tables and wrote into each manifest: bits per pixel and PSNR at
eight qualities. Prints the BD-rate (PSNR) of each profile against the first one, and both at equal quality index. Only
profiles whose photographs were the same can be compared. Needs the [compare] extra.
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("anchor", type=Path)
    parser.add_argument("profiles", type=Path, nargs="+")
    arguments = parser.parse_args()
    anchor = measured(arguments.anchor)
    for profile in arguments.profiles:
        points = measured(profile)
        if [point[0] for point in points] != [point[0] for point in anchor]:
            parser.error(f"{profile} was measured at other qualities than {arguments.anchor}")
        difference = bd_rate(curve_of(anchor), curve_of(points))
        print(f"{profile}: " + (difference.reason or f"BD-rate {difference.value:+.2f} %"))
        print("| quality | bits per pixel | PSNR, dB | bits | dB |\n|---|---|---|---|---|")
        for (quality, old_bpp, old_psnr), (_, bpp, psnr) in zip(anchor, points, strict=True):
            print(f"| {quality} | {bpp:.4f} | {psnr:.2f} | {bpp / old_bpp - 1:+.1%} | {psnr - old_psnr:+.3f} |")


if __name__ == "__main__":
    main()
