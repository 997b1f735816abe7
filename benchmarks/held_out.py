"""Profiles beside each other on held-out photographs: python benchmarks/held_out.py A B ... [--photos DIR]

Without --photos: what `narrows lab export` measured by the integer tables and wrote into each manifest, bits per pixel
and PSNR at eight qualities. Prints the BD-rate (PSNR) of each profile against the first one, and both at equal quality
index. Only profiles that were exported with the same photographs can be compared so.

With --photos they are measured anew on the held-out photographs of that folder, each with its own tables and dead zone,
and compared by every metric; a run of `narrows lab train` may stand in the place of a profile, its bits are then those
of the rate model. Needs the [compare] extra, with --photos the [lab] extra too.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from training_curve import curve_of

from narrows.compare.curves import Curve, bd_rate, mean_curve
from narrows.compare.metrics import METRICS, Reference
from narrows.compare.records import Point

if TYPE_CHECKING:
    from torch import Tensor


def measured(profile: Path) -> dict[str, Curve]:
    """The curve in PSNR by the manifest."""
    rows = json.loads((profile / "manifest.json").read_text())["training"]["held_out"]
    return {"psnr": curve_of([(row["quality"], row["bpp"], row["psnr_db"]) for row in rows])}


def measured_on(photos: Path, sources: list[Path]) -> list[dict[str, Curve]]:
    """The curve of each source in every metric, on the centres of the held-out photographs of a folder."""
    from narrows.lab.photos import centre_crop, load_photos
    from narrows.lab.train import EVALUATION_PHOTOS

    held_out = load_photos(photos, least_side=64)[1]
    pictures = [centre_crop(held_out[index]) for index in range(min(EVALUATION_PHOTOS, len(held_out)))]
    references = [Reference(_bytes(picture)) for picture in pictures]
    curves = []
    for source in sources:
        coded, qualities = coder_of(source)
        points = []
        for quality in qualities:
            for index, (picture, reference) in enumerate(zip(pictures, references, strict=True)):
                bits, decoded = coded(picture, quality)
                scores = reference.scores(_bytes(decoded))
                points.append(
                    Point(
                        coder=str(source), version="", setting=quality, picture=str(index), digest="",
                        width=picture.shape[2], height=picture.shape[1], bytes=round(bits / 8), **vars(scores),
                    )
                )  # fmt: skip
        metrics = [metric for metric in METRICS.values() if any(metric.of(point) is not None for point in points)]
        curves.append({metric.key: mean_curve(points, metric) for metric in metrics})
    return curves


def coder_of(source: Path) -> tuple[Callable[[Tensor, int], tuple[float, Tensor]], list[int]]:
    """(picture (1, H, W, 3) and quality to bits and decoded picture, qualities to measure) of a profile or a run."""
    import torch

    from narrows.lab.export import estimated_picture, load_network, tables_of
    from narrows.lab.train import EVALUATION_QUALITIES, load_run, stored_quantiser

    if (source / "manifest.json").exists():
        network, tables = load_network(source), tables_of(source)
        dead_zone = float(json.loads((source / "manifest.json").read_text())["dead_zone"])
        return (
            lambda picture, quality: estimated_picture(network, tables, picture, quality, dead_zone)
        ), network.config.spread_qualities(EVALUATION_QUALITIES)

    network, state = load_run(source)
    network.quantiser = stored_quantiser(state)

    @torch.no_grad()
    def coded(picture: Tensor, quality: int) -> tuple[float, Tensor]:
        found = network(picture, torch.tensor([quality]))
        return float(found.latent_bits + found.side_bits), found.picture

    return coded, network.config.spread_qualities(EVALUATION_QUALITIES)


def _bytes(picture: Tensor) -> np.ndarray:
    return np.asarray(picture[0].clamp(0, 1).mul(255).round().byte())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("anchor", type=Path)
    parser.add_argument("others", type=Path, nargs="+")
    parser.add_argument("--photos", type=Path)
    arguments = parser.parse_args()
    sources = [arguments.anchor, *arguments.others]
    anchor, *others = (
        measured_on(arguments.photos, sources) if arguments.photos else [measured(source) for source in sources]
    )
    for source, curves in zip(arguments.others, others, strict=True):
        if curves["psnr"].settings != anchor["psnr"].settings:
            parser.error(f"{source} was measured at other qualities than {arguments.anchor}")
        print(f"{source}: BD-rate against {arguments.anchor}")
        for key, curve in curves.items():
            difference = bd_rate(anchor[key], curve)
            print(f"{METRICS[key].label}: " + (difference.reason or f"{difference.value:+.2f} %"))
        print("| quality | bits per pixel | PSNR, dB | bits | dB |\n|---|---|---|---|---|")
        old, new = anchor["psnr"], curves["psnr"]
        for row in zip(old.settings, old.rate_bpp, old.quality, new.rate_bpp, new.quality, strict=True):
            quality, old_bpp, old_psnr, bpp, psnr = row
            print(f"| {quality:g} | {bpp:.4f} | {psnr:.2f} | {bpp / old_bpp - 1:+.1%} | {psnr - old_psnr:+.3f} |")


if __name__ == "__main__":
    main()
