"""Bytes against estimates: python benchmarks/estimate_gap.py PROFILE PICTURES [-o docs/results/estimate.md]

At eight qualities, over all pictures of a folder: the payload that the codec writes (chunks `side` and `latents`), the
code length of the same pictures by the profile's integer tables, computed by the laboratory's network in PyTorch
without the codec, and the estimate of the rate model that the network was trained with. The first two must agree
within 0.5 %: that the codec codes what was trained, and the coder wastes nothing. The third says what tables gained.
Needs the [lab] extra.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from narrows import Codec, Limits, container
from narrows.lab.coding import code
from narrows.lab.export import load_network, tables_of
from narrows.lab.network import Flagship
from narrows.pixels import pad_edges

BAR_PERCENT = 0.5


def payload_bytes(data: bytes) -> int:
    return sum(len(strip.side or b"") + len(strip.latents) for strip in container.read(data, Limits()).strips)


@torch.no_grad()
def rate_model_bits(network: Flagship, x: torch.Tensor, quality: int) -> float:
    coded = network(x, torch.tensor([quality]))
    return float(coded.latent_bits + coded.side_bits)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("profile", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/results/estimate.md"))
    arguments = parser.parse_args()
    pictures = sorted(arguments.pictures.glob("*.png")) + sorted(arguments.pictures.glob("*.webp"))
    if not pictures:
        parser.error(f"no pictures in {arguments.pictures}")

    codec, network, tables = Codec(arguments.profile), load_network(arguments.profile), tables_of(arguments.profile)
    manifest = codec.profile.manifest
    count = manifest.qualities
    indices = network.config.spread_qualities(8)
    totals = np.zeros((8, 3))
    pixels = 0
    for path in tqdm(pictures, disable=None):
        with Image.open(path) as image:
            samples = np.asarray(image.convert("RGB"))
        if samples.shape[0] > container.STRIP_ROWS:
            parser.error(f"{path} has more than one strip; the estimate is of one")
        pixels += samples.shape[0] * samples.shape[1]
        x = torch.from_numpy(pad_edges(samples, manifest.hyper_stride)).float()[None] / 255
        for row, index in enumerate(indices):
            data = codec.encode(samples, quality=100 * index / (count - 1))
            coded = code(network, x, torch.tensor([index]), tables.quantiser(manifest.dead_zone))
            by_tables = tables.bits(coded, int(network.class_of_quality[index]))
            totals[row] += (8 * payload_bytes(data), by_tables, rate_model_bits(network, x, index))
    gaps = 100 * (totals[:, 0] / totals[:, 1] - 1)
    lines = [
        "# Bytes against estimates",
        "",
        f"Made by `python benchmarks/estimate_gap.py PROFILE FOLDER` ({arguments.pictures.name}, {len(pictures)} "
        f"pictures; profile {manifest.name} {manifest.version}, {codec.profile.digest[:4].hex()}). Bits per pixel over "
        "all of them.",
        "",
        "| quality index | payload written | code length by the tables (PyTorch) | payload against it | "
        "estimate of the training's rate model, dead zone 0 |",
        "|---|---|---|---|---|",
    ]
    for index, total, gap in zip(indices, totals / pixels, gaps, strict=True):
        lines.append(f"| {index} | {total[0]:.5f} | {total[1]:.5f} | {gap:+.3f} % | {total[2]:.5f} |")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    worst = float(np.abs(gaps).max())
    print(f"worst gap {worst:.3f} %, bar {BAR_PERCENT} %")
    return 0 if worst <= BAR_PERCENT else 1


if __name__ == "__main__":
    sys.exit(main())
