"""A trained network becomes a profile: five kinds of graph over one weights file, integer tables, a manifest."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from narrows.entropy import LatentTables
from narrows.errors import OptionError
from narrows.lab.coding import code
from narrows.lab.dead_zone import Quantiser
from narrows.lab.graphs import (
    WEIGHTS_FILE,
    Graph,
    WeightStore,
    analysis_graph,
    dequantise_graph,
    prove_exact,
    quantise_graph,
    scales_graph,
    side_graph,
    synthesis_graph,
)
from narrows.lab.grow import fill
from narrows.lab.integer import SUM_UNIT, WEIGHT_UNIT
from narrows.lab.network import HYPER_LIMIT, HYPER_STRIDE, LATENT_STRIDE, Flagship, NetworkConfig
from narrows.lab.photos import Photos, centre_crop
from narrows.lab.side import SIDE_STEP_COUNT, SIDE_STEPS, SideNet
from narrows.lab.tables import Tables, fit_tables

SCHEMA = 1
"""Of profiles whose hyper-latent, if they have one, has no context."""
CONTEXT_SCHEMA = 2
LICENCE = "Apache-2.0"
_BLOCK_MATRIX = re.compile(r"\.(expand|project)\.weight$")
_STEPS_IN_SPREAD = 64
LABORATORY = "network."
"""Prefix of the tensors that only the laboratory reads back, to train on from a profile."""


def export(
    network: Flagship, training: Photos, held_out: Photos, destination: Path, *, version: str = "1", dead_zone: float,
    samples: int, record: dict[str, Any], progress: bool = True,
) -> Path:  # fmt: skip
    """Write the profile of `network` into the new folder `destination`; returns it.

    The network's float weights are rounded to float16 first, so that tables are fitted to what the codec will run.
    OptionError if the folder exists, ValueError if the scale net could leave the exact integers (prove_exact).
    """
    if destination.exists():
        raise OptionError(f"{destination} exists already; a profile is never written over another")
    network = network.eval()
    halve_weights(network)
    largest_sum = prove_exact(network)
    tables = fit_tables(network, training, dead_zone=dead_zone, samples=samples, progress=progress)
    record = record | {
        "largest_integer_sum": largest_sum,
        "network": dataclasses.asdict(network.config),
        "held_out": measure(network, tables, held_out, dead_zone),
        "table_samples": samples,
    }
    store, graphs = _graphs(network, tables)
    return write_profile(destination, store, graphs, _manifest(network.config, version, dead_zone, record))


def write_profile(destination: Path, store: WeightStore, graphs: dict[str, Graph], manifest: dict[str, Any]) -> Path:
    """Write weights, graphs and manifest beside the new folder `destination`, then rename; returns it.

    `graphs` are named by their files; `manifest` has every key but "files".
    """
    fresh = destination.with_name(destination.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    save_file(store.tensors, fresh / WEIGHTS_FILE)
    (fresh / WEIGHTS_FILE).chmod(0o644)
    offsets = tensor_offsets(fresh / WEIGHTS_FILE)
    for name, graph in graphs.items():
        onnx.save(graph.model(offsets), fresh / name)
        onnx.checker.check_model(str(fresh / name))
    files = sorted(path for path in fresh.iterdir())
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    (fresh / "manifest.json").write_bytes(canonical_json(manifest | {"files": hashes}))
    fresh.rename(destination)
    return destination


def canonical_json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def halve_weights(network: Flagship) -> None:
    """Round the float weights to what float16 can store; integer layers and tables stay as they are.

    The matrices of blocks, three quarters of all weights, become multiples of a power of two in each row, of which the
    row's root mean square holds 64 to 128: a profile is a sixth smaller in every archive then, and no worse (half as
    many cost 0.1 %).
    """
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if not name.endswith("weight") or name.startswith(("scale_net.", "side_net.")):
                continue
            if _BLOCK_MATRIX.search(name):
                spread = parameter.square().mean(1, keepdim=True).sqrt().clamp_min(2.0**-24)
                step = torch.exp2(torch.floor(torch.log2(spread / _STEPS_IN_SPREAD)))
                parameter.copy_((parameter / step).round() * step)
            parameter.copy_(parameter.half().float())


def measure(network: Flagship, tables: Tables, photos: Photos, dead_zone: float) -> list[dict[str, float]]:
    """Mean estimated bpp and PSNR of the held-out photographs at eight qualities, by the integer tables."""
    pictures = [centre_crop(photos[index]) for index in range(min(24, len(photos)))]
    result = []
    for quality in network.config.spread_qualities(8):
        bpp = psnr = 0.0
        for picture in pictures:
            estimate, decibels = estimated(network, tables, picture, quality, dead_zone)
            bpp += estimate / (picture.shape[1] * picture.shape[2])
            psnr += decibels
        result.append(
            {"quality": quality, "bpp": round(bpp / len(pictures), 5), "psnr_db": round(psnr / len(pictures), 4)}
        )
    return result


def estimated(
    network: Flagship, tables: Tables, picture: torch.Tensor, quality: int, dead_zone: float
) -> tuple[float, float]:
    """(bits by the tables, PSNR in dB of the 8-bit result) of one picture (1, H, W, C), sides multiples of 64."""
    bits, decoded = estimated_picture(network, tables, picture, quality, dead_zone)
    return bits, -10 * math.log10(max(float((decoded - picture).square().mean()), 1e-10))


@torch.no_grad()
def estimated_picture(
    network: Flagship, tables: Tables, picture: torch.Tensor, quality: int, dead_zone: float
) -> tuple[float, torch.Tensor]:
    """The same with the result itself, like `picture` in 0..1, in the place of its PSNR."""
    q = torch.tensor([quality])
    coded = code(network, picture, q, tables.quantiser(dead_zone))
    decoded = network.synthesis(coded.y_hat, q).clamp(0, 1).mul(255).round().div(255)
    return tables.bits(coded, int(network.class_of_quality[quality])), decoded


def _graphs(network: Flagship, tables: Tables) -> tuple[WeightStore, dict[str, Graph]]:
    store = WeightStore()
    graphs = {
        "analysis.onnx": analysis_graph(network, store),
        "quantise.onnx": quantise_graph(network, store, tables.dead_zone, tables.first_coded),
        "dequantise.onnx": dequantise_graph(network, store),
        "synthesis.onnx": synthesis_graph(network, store),
    }
    for step in range(network.config.context_steps):
        graphs[f"scales.{step}.onnx"] = scales_graph(network, store, step)
    store.add("context.steps", network.order.pattern.numpy().astype(np.uint8))
    store.add("tables.y.radius", tables.radius)
    store.add("tables.y.frequencies", np.concatenate(tables.frequencies))
    if network.side_net is not None:
        _add_side(network.side_net, tables, store, graphs)
    else:
        store.add("tables.z.frequencies", np.asarray(tables.side))
        store.add("tables.z.class", network.class_of_quality.numpy().astype(np.uint8))
    for name, parameter in network.named_parameters():
        if name not in store.tensors:  # knots and rate model: only training needs them
            store.add(LABORATORY + name, parameter.detach().numpy())
    return store, graphs


def _add_side(net: SideNet, tables: Tables, store: WeightStore, graphs: dict[str, Graph]) -> None:
    """What codes the hyper-latent in context: graphs, steps, tables and centres."""
    assert isinstance(tables.side, LatentTables)
    rows = range(tables.side.radius.size)
    for step in range(SIDE_STEP_COUNT):
        graphs[f"side.{step}.onnx"] = side_graph(net, store, step)
    store.add("side.steps", np.tile(np.array(SIDE_STEPS, np.uint8), (net.hyper, 1, 1)))
    store.add("tables.z.radius", tables.side.radius)
    store.add("tables.z.frequencies", np.concatenate([tables.side.frequencies(row) for row in rows]))
    store.add("tables.z.centre", net.centre().numpy().astype(np.int32))


def _manifest(config: NetworkConfig, version: str, dead_zone: float, record: dict[str, Any]) -> dict[str, Any]:
    return ({"side_steps": SIDE_STEP_COUNT} if config.side_width else {}) | {
        "schema": CONTEXT_SCHEMA if config.side_width else SCHEMA,
        "name": config.name,
        "version": version,
        "licence": LICENCE,
        "input_channels": config.channels,
        "latent_channels": config.latent,
        "latent_stride": LATENT_STRIDE,
        "hyper_channels": config.hyper_latent,
        "hyper_stride": HYPER_STRIDE,
        "hyper_limit": HYPER_LIMIT,
        "qualities": config.qualities,
        "lambdas": [float(f"{value:.8g}") for value in config.lambdas()],
        "context_steps": config.context_steps,
        "dead_zone": dead_zone,
        "analysis_halo": _halo(config.analysis_blocks, 3, HYPER_STRIDE),
        "synthesis_halo": _halo(config.synthesis_blocks, config.synthesis_kernel, LATENT_STRIDE),
        "training": record,
    }


def _halo(block_counts: tuple[int, int], fine_kernel: int, stride: int) -> int:
    """Reach of the depthwise layers in pixels, rounded up to whole positions of the stride."""
    fine, coarse = block_counts
    return math.ceil((8 * (fine_kernel // 2) * fine + LATENT_STRIDE * coarse) / stride) * stride


def tensor_offsets(path: Path) -> dict[str, tuple[int, int]]:
    """(offset in the file, length) of each tensor of a safetensors file."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    return {
        name: (8 + size + entry["data_offsets"][0], entry["data_offsets"][1] - entry["data_offsets"][0])
        for name, entry in header.items()
    }


def load_network(profile: Path) -> Flagship:
    """The network that a profile was exported from, in eval mode, its weights as the profile stores them."""
    try:
        fields = json.loads((profile / "manifest.json").read_text())["training"]["network"]
        config = NetworkConfig.from_json(fields)
    except (OSError, KeyError, ValueError) as error:
        raise OptionError(f"{profile} is not a profile of a flagship network: {error}") from error
    network = Flagship(config)
    load_parameters(network, profile)
    return network.eval()


def load_parameters(network: Flagship, profile: Path) -> None:
    """Fill a network from a profile of the same or a smaller one (grow.py). OptionError if it does not fit."""
    tensors = load_file(profile / WEIGHTS_FILE)
    # What only training needs is stored under its own name beside the form that the graphs read.
    trained = {name: array for name, array in tensors.items() if not name.startswith(LABORATORY)}
    trained |= {name.removeprefix(LABORATORY): tensors[name] for name in tensors if name.startswith(LABORATORY)}
    fill(network, {name: torch.from_numpy(_training_values(array)) for name, array in trained.items()}, profile)


def _training_values(stored: NDArray[Any]) -> NDArray[np.float32]:
    """Integers of the scale net back in the real units of training (integer.py)."""
    if stored.dtype == np.int8:
        return stored.astype(np.float32) / np.float32(WEIGHT_UNIT)
    if stored.dtype == np.int32:
        return (stored.astype(np.float32) - np.float32(WEIGHT_UNIT // 2)) / np.float32(SUM_UNIT)
    return stored.astype(np.float32)


def tables_of(profile: Path) -> Tables:
    """The integer tables of a profile as the laboratory uses them."""
    tensors = load_file(profile / WEIGHTS_FILE)
    radius = tensors["tables.y.radius"]
    ends = np.cumsum(2 * radius + 2)
    rows = tuple(np.split(tensors["tables.y.frequencies"], ends[:-1]))
    stored = tensors["tables.z.frequencies"]
    in_context = "tables.z.radius" in tensors
    side = LatentTables(tensors["tables.z.radius"], stored, "tables.z") if in_context else stored
    return Tables(radius=radius, frequencies=rows, side=side)


def quantiser_of(profile: Path) -> Quantiser:
    """What the encoder of a profile quantises with by default: its own tables and dead zone."""
    try:
        manifest = json.loads((profile / "manifest.json").read_text())
        return tables_of(profile).quantiser(float(manifest["dead_zone"]))
    except (OSError, KeyError, ValueError) as error:
        raise OptionError(f"{profile} is not a profile of a flagship network: {error}") from error
