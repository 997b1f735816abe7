"""What context saves of the hyper-latent: python benchmarks/hyper_latent.py PROFILE --photos DIR

On the held-out photographs of a folder, at eight qualities: the hyper-latent's share of all bits, and its bits by the
profile's side net against those by fixed tables, one for each channel and each sixteen qualities, as profiles of schema
1 have them, fitted to the same network's hyper-latents on crops of the training photographs. Needs the [lab] extra.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm
from training_curve import curve_of

from narrows.compare.curves import bd_rate
from narrows.entropy import SideTables
from narrows.lab.coding import code
from narrows.lab.export import estimated, load_network, tables_of
from narrows.lab.network import HYPER_LIMIT, Flagship
from narrows.lab.photos import Photos, centre_crop, load_photos
from narrows.lab.tables import crops, integer_frequencies

SIDE = 640


@torch.no_grad()
def hyper_latent(network: Flagship, picture: torch.Tensor, quality: int) -> torch.Tensor:
    """z_hat (1, h, w, hyper)."""
    y = network.analysis(picture, torch.tensor([quality]))
    return network.hyper_analysis(y).round().clamp(-HYPER_LIMIT, HYPER_LIMIT)


def fixed_tables(network: Flagship, photos: Photos, samples: int) -> SideTables:
    """Histograms by class and channel, none of their entries free."""
    config = network.config
    counts: NDArray[np.float64] = np.full((config.quality_classes, config.hyper_latent, 2 * HYPER_LIMIT + 1), 0.05)
    channel = np.arange(config.hyper_latent)
    for picture, quality in tqdm(crops(photos, samples, config.qualities), total=samples, disable=None):
        z = hyper_latent(network, picture, quality)[0].long().numpy().reshape(-1, config.hyper_latent) + HYPER_LIMIT
        np.add.at(counts[int(network.class_of_quality[quality])], (np.broadcast_to(channel, z.shape), z), 1)
    flat = counts.reshape(-1, counts.shape[-1])
    return SideTables(np.stack([integer_frequencies(row / row.sum()) for row in flat]).reshape(counts.shape))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("profile", type=Path)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=1200, help="Crops that the fixed tables are fitted to.")
    parser.add_argument("--limit", type=int, default=24, help="Held-out photographs.")
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/results/hyper_latent.md"))
    arguments = parser.parse_args()
    network, tables = load_network(arguments.profile), tables_of(arguments.profile)
    manifest = json.loads((arguments.profile / "manifest.json").read_text())
    training, held_out = load_photos(arguments.photos, least_side=64)
    fixed = fixed_tables(network, training, arguments.samples)
    count = min(arguments.limit, len(held_out))
    lines, with_context, without = [], [], []
    for quality in tqdm(network.config.spread_qualities(8), disable=None):
        quality_class = int(network.class_of_quality[quality])
        side = side_fixed = bits = decibels = pixels = 0.0
        for index in range(count):
            picture = centre_crop(held_out[index], SIDE)
            whole, psnr = estimated(network, tables, picture, quality, manifest["dead_zone"])
            coded = code(network, picture, torch.tensor([quality]), tables.quantiser(manifest["dead_zone"]))
            rows, symbols = coded.rows.to(torch.uint8).numpy(), coded.symbols.int().numpy()
            side += whole - tables.latents.bits(rows, symbols)
            side_fixed += fixed.bits(coded.z_hat[0].int().permute(2, 0, 1).numpy(), quality_class)
            bits, decibels = bits + whole, decibels + psnr
            pixels += picture.shape[1] * picture.shape[2]
        with_context.append((quality, bits / pixels, decibels / count))
        without.append((quality, (bits - side + side_fixed) / pixels, decibels / count))
        lines.append(
            f"| {quality} | {bits / pixels:.4f} | {side / bits:.1%} | {side_fixed / pixels:.5f} | {side / pixels:.5f} "
            f"| {side / side_fixed - 1:+.1%} | {bits / (bits - side + side_fixed) - 1:+.2%} |"
        )
    difference = bd_rate(curve_of(without), curve_of(with_context))
    heading = [
        "# The hyper-latent in context",
        "",
        f"Made by `python benchmarks/hyper_latent.py PROFILE --photos DIR` (profile {manifest['name']} "
        f"{manifest['version']}; {count} held-out photographs of {arguments.photos.name}, their middle {SIDE} x {SIDE} "
        f"pixels at most; fixed tables fitted to {arguments.samples} crops). Code lengths by the tables.",
        "",
        f"All bits, BD-rate (PSNR) against the fixed tables: {difference.reason or f'{difference.value:+.2f} %'}.",
        "",
        "| quality index | all bits | hyper-latent's share | hyper-latent by fixed tables | in context | | all bits |",
        "|---|---|---|---|---|---|---|",
    ]
    arguments.output.write_text("\n".join([*heading, *lines]) + "\n")
    print("\n".join([*heading, *lines]))


if __name__ == "__main__":
    main()
