"""Which default dead zone: python benchmarks/dead_zone.py RUN_OR_PROFILE --photos DIR [-o docs/results/dead_zone.md]

For each candidate the tables are fitted to training photographs quantised with it, and the held-out photographs are
measured by those tables (code length and PSNR at 9 qualities). BD-rate against dead zone 0; the choice is never made
on test pictures.
Needs the [lab] and [compare] extras.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from narrows.compare.curves import Curve, bd_rate
from narrows.lab.export import estimated, halve_weights, load_network
from narrows.lab.network import Flagship
from narrows.lab.photos import centre_crop, load_photos
from narrows.lab.tables import fit_tables
from narrows.lab.train import load_run

CANDIDATES = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8)
QUALITIES = 9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, metavar="RUN_OR_PROFILE")
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=400, help="crops for the tables")
    parser.add_argument("--limit", type=int, help="use at most this many photographs")
    parser.add_argument("--threads", type=int)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/results/dead_zone.md"))
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    network, name = _loaded(arguments.source)
    training, held_out = load_photos(arguments.photos, least_side=64, limit=arguments.limit)
    indices = network.config.spread_qualities(QUALITIES)
    pictures = [centre_crop(held_out[index]) for index in range(len(held_out))]
    curves = {}
    for dead_zone in CANDIDATES:
        tables = fit_tables(network, training, dead_zone=dead_zone, samples=arguments.samples)
        points = []
        for index in indices:
            measured = [estimated(network, tables, picture, index, dead_zone) for picture in pictures]
            pixels = [picture.shape[1] * picture.shape[2] for picture in pictures]
            bpp = np.mean([bits / n for (bits, _), n in zip(measured, pixels, strict=True)])
            points.append((float(bpp), float(np.mean([psnr for _, psnr in measured]))))
        curves[dead_zone] = Curve(
            coder=f"dead zone {dead_zone}",
            label=f"dead zone {dead_zone}",
            settings=tuple(map(float, indices)),
            rate_bpp=tuple(bpp for bpp, _ in points),
            quality=tuple(psnr for _, psnr in points),
        )
        print(dead_zone, [(round(bpp, 3), round(psnr, 3)) for bpp, psnr in points[:: QUALITIES // 2]], flush=True)
    plain = curves[0.0]
    lines = [
        "# Default dead zone",
        "",
        f"Made by `python benchmarks/dead_zone.py RUN_OR_PROFILE --photos DIR --samples {arguments.samples}` on "
        f"the held-out photographs ({len(pictures)}) of the training set; {name}. "
        "Code lengths by tables fitted for each dead zone; BD-rate (PSNR, akima) against plain rounding.",
        "",
        "| dead zone | BD-rate | lowest quality: bpp, dB | highest quality: bpp, dB |",
        "|---|---|---|---|",
    ]
    for dead_zone, curve in curves.items():
        rate = bd_rate(plain, curve).value
        cells = " | ".join(f"{curve.rate_bpp[end]:.4f}, {curve.quality[end]:.2f}" for end in (0, -1))
        lines.append(f"| {dead_zone} | {'-' if rate is None else f'{rate:+.2f} %'} | {cells} |")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def _loaded(source: Path) -> tuple[Flagship, str]:
    """The network of a profile or a run as a profile would hold it, and what to call it."""
    if (source / "manifest.json").exists():
        manifest = json.loads((source / "manifest.json").read_text())
        return load_network(source), f"profile {manifest['name']} {manifest['version']}"
    network, state = load_run(source)
    halve_weights(network)
    return network, f"network after {state['state']['megapixels']:.0f} megapixels"


if __name__ == "__main__":
    main()
