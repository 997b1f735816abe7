"""A study's network becomes a profile: real files through narrows.Codec, the command line and the comparison."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, fx
from tqdm import tqdm

from narrows.errors import OptionError, ProfileError
from narrows.lab.export import LICENCE, SCHEMA, write_profile
from narrows.lab.graphs import WEIGHTS_FILE, WeightStore
from narrows.lab.nets.base import StudyNetwork
from narrows.lab.study.graphs import StudyGraphs
from narrows.lab.study.grid import batches, encode
from narrows.lab.study.quantiser import Steps
from narrows.lab.study.reach import analysis_reach, synthesis_reach
from narrows.lab.study.settle import Precision, settled
from narrows.lab.study.tables import Histograms, StudyTables, fit_tables
from narrows.profile import Manifest


def export_study(
    network: StudyNetwork, steps: Steps, samples: Iterable[NDArray[Any] | Tensor], destination: Path, *,
    name: str, record: dict[str, Any], version: str = "1", precision: Precision = "float32", skip_share: float = 0.0,
    progress: bool = True,
) -> Path:  # fmt: skip
    """Write the profile of `network` into the new folder `destination`; returns it.

    steps       from `uniform_sweep` or `LatentQuantiser.steps`: one quality index each
    samples     training pictures, uint8 (H, W) or (H, W, C) of any size: the tables are fitted to them
    record      goes into the manifest's "training", and may hold what JSON can. Added to it: the geometry, the
                precision, the number of samples, and for each quality the channels that live and the bits a position
    precision   in which weights are stored; biases are always float32
    skip_share  see tables.fit_tables

    OptionError if the folder exists or something does not fit together.
    """
    if destination.exists():
        raise OptionError(f"{destination} exists already; a profile is never written over another")
    plain = settled(network, precision)
    geometry = plain.geometry
    if steps.latent != geometry.latent:
        raise OptionError(f"the steps are for {steps.latent} channels, the network's latent has {geometry.latent}")
    halos = _halos(plain)
    histograms, pictures = _counted(plain, steps, samples, progress)
    centred, shift = histograms.centred()
    tables = fit_tables(centred, skip_share=skip_share)
    manifest = _manifest(plain, steps, halos) | {"name": name, "version": version}
    manifest["training"] = record | {
        "geometry": asdict(geometry),
        "precision": precision,
        "nominal_lambdas": steps.nominal_lambdas,
        "table_samples": pictures,
        "skip_share": skip_share,
        "live_channels": [int(count) for count in tables.coded.sum(1)],
        "bits_per_position": [round(bits, 4) for bits in _bits_per_position(tables, centred)],
    }
    _check(manifest)
    store = WeightStore()
    graphs = StudyGraphs(network=plain, precision=precision, steps=steps.shifted(shift), tables=tables).all(store)
    store.add("context.steps", np.zeros((geometry.latent, 2, 2), np.uint8))
    store.add("tables.y.radius", tables.radius)
    store.add("tables.y.frequencies", np.concatenate(tables.frequencies))
    return write_profile(destination, store, graphs, manifest)


def _counted(
    network: StudyNetwork, steps: Steps, samples: Iterable[NDArray[Any] | Tensor], progress: bool
) -> tuple[Histograms, int]:
    """Histograms of the samples' symbols at every quality, and the number of samples."""
    histograms = Histograms(steps.qualities, steps.latent)
    count = 0
    bar = tqdm(desc="tables", unit=" pictures", disable=None if progress else True)
    with bar:
        for planes in batches(samples, network.geometry):
            y = encode(network, planes)
            if not np.isfinite(y).all():
                raise OptionError("the encoder gives a latent that is not finite")
            for quality in range(steps.qualities):
                symbols = steps.symbols(y, quality)
                # Halves of the pictures, since a picture's own symbols are alike; of one picture, halves of its rows.
                if len(symbols) > 1:
                    halves = (symbols[::2], symbols[1::2])
                else:
                    halves = (symbols[:, :, ::2], symbols[:, :, 1::2])
                for half, part in enumerate(halves):
                    histograms.add(part, quality, half)
            count += len(planes)
            bar.update(len(planes))
    if not count:
        raise OptionError("there are no pictures to fit tables to")
    return histograms, count


def _bits_per_position(tables: StudyTables, histograms: Histograms) -> list[float]:
    """Mean code length of all channels of one position by the tables, on the samples, for each quality."""
    counts, window = histograms.counts.sum(0), histograms.window
    result = []
    for rows, coded, seen in zip(tables.rows, tables.coded, counts, strict=True):
        bits = 0.0
        for row, live, histogram in zip(rows, coded, seen, strict=True):
            if live:
                radius, table = int(tables.radius[row]), tables.frequencies[row]
                share = histogram / max(histogram.sum(), 1)
                symbols = np.flatnonzero(histogram)
                index = np.minimum(np.abs(symbols - window), radius + 1)
                inside = index <= radius
                cost = np.full(symbols.size, 24 + 16 - math.log2(int(table[-1])))
                cost[inside] = 24 - np.log2(table[symbols[inside] - window + radius])
                bits += float((share[symbols] * cost).sum())
        result.append(bits)
    return result


def _halos(network: StudyNetwork) -> tuple[int, int]:
    """Halos of analysis and synthesis in pixels, whole positions; cells know nothing of each other."""
    geometry, encoder, decoder = network.geometry, network.encoder, network.decoder
    if geometry.cell is not None or not isinstance(encoder, fx.GraphModule) or not isinstance(decoder, fx.GraphModule):
        return 0, 0
    reaches = analysis_reach(encoder, geometry.stride), synthesis_reach(decoder, geometry.stride)
    analysis, synthesis = (-(-reach // geometry.stride) * geometry.stride for reach in reaches)
    return analysis, synthesis


def _manifest(network: StudyNetwork, steps: Steps, halos: tuple[int, int]) -> dict[str, Any]:
    geometry = network.geometry
    return {
        "schema": SCHEMA,
        "licence": LICENCE,
        "input_channels": geometry.channels,
        "latent_channels": geometry.latent,
        "latent_stride": geometry.stride,
        "hyper_channels": 0,
        "hyper_stride": geometry.stride,
        "hyper_limit": 0,
        "qualities": steps.qualities,
        "lambdas": [float(f"{value:.8g}") for value in steps.lambdas],
        "context_steps": 1,
        "dead_zone": 0.0,
        "analysis_halo": halos[0],
        "synthesis_halo": halos[1],
    }


def _check(manifest: dict[str, Any]) -> None:
    """OptionError for what no manifest may say, before anything is written."""
    names = [f"{name}.onnx" for name in ("analysis", "quantise", "scales.0", "dequantise", "synthesis")]
    files = dict.fromkeys([*names, WEIGHTS_FILE], "0" * 64)
    try:
        Manifest(**(manifest | {"lambdas": tuple(manifest["lambdas"]), "files": files}))
    except ProfileError as error:
        raise OptionError(f"this cannot be a profile: {error}") from error
