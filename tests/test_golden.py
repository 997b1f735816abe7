"""Golden files: every later release reads the same integers from them, and pixels within one level.

There are two sets, of a profile of schema 1 (versions 1 and 2 of the format) and of one of schema 2 (version 3).

Four readers must agree: the codec (ONNX Runtime, constriction), the same with other threads and without graph
optimisation, the reference decoder (numpy, int64) and the laboratory's network (PyTorch).
"""

from __future__ import annotations

import importlib.util
import json
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pytest
import reference_decoder
from numpy.typing import NDArray
from PIL import Image

from narrows import Codec, Limits, container
from narrows.container import Container, Strip
from narrows.entropy import LatentDecoder, open_joint
from narrows.profile import Profile

if TYPE_CHECKING:
    from narrows.lab.network import Flagship

HERE = Path(__file__).parent
FOLDER = HERE / "golden"
SETS = (FOLDER, FOLDER / "v3")
FILES = [path for folder in SETS for path in sorted(folder.glob("*.nrws"))]

every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
every_set = pytest.mark.parametrize("folder", SETS, ids=lambda folder: folder.name)


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = loaded
    spec.loader.exec_module(loaded)
    return loaded


make = module(FOLDER / "make.py")


@cache
def codec_of(folder: Path, threads: int = 1) -> Codec:
    """The codec of a set's profile."""
    return Codec(folder / "profile", threads=threads)


def expected_pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path.with_suffix(".png")) as image:
        return np.asarray(image)


def expected_digest(path: Path) -> str:
    digest: str = json.loads(path.with_suffix(".json").read_text())["integers"]
    return digest


def read(path: Path) -> Container:
    return container.read(path.read_bytes(), Limits())


def levels_apart(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> int:
    assert a.shape == b.shape
    return int(np.abs(a.astype(int) - b).max())


@every_set
def test_there_are_golden_files_for_every_picture_of_the_maker(folder: Path) -> None:
    names = {name for name, _, _ in make.wanted()}
    assert {path.stem for path in folder.glob("*.nrws")} >= names
    assert make.SETS == SETS


@every_file
def test_a_file_has_the_version_of_its_set(path: Path) -> None:
    expected = 3 if path.parent.name == "v3" else 1
    assert container.read_header(path.read_bytes(), Limits()).version == expected


def test_the_profiles_are_of_one_schema_each() -> None:
    old, new = (codec_of(folder).profile for folder in SETS)
    assert (old.manifest.schema, old.side_context) == (1, None)
    assert (new.manifest.schema, new.manifest.side_steps, new.side_tables) == (2, 3, None)


def test_the_side_net_of_version_3_says_something() -> None:
    """Centres, shifts and rows of the context: a reader that leaves one of them out reads other integers."""
    codec = codec_of(SETS[1])
    side = codec.profile.side_context
    assert side is not None
    found: set[object] = set()
    for path in sorted(SETS[1].glob("*.nrws")):
        file = read(path)
        centre = side.centre[file.quality][:, None, None]
        found |= {"centre"} if centre.any() else set()
        for _, z_hat in make.integers_of(codec, file):
            y, x = np.indices(z_hat.shape[1:]) % 2
            step_of = side.steps[:, y, x]
            for step in range(3):
                known, now = np.where(step_of < step, z_hat - centre, 0)[None], step_of == step
                rows, shift = codec._networks.side(step, known, file.quality)
                plain, _ = codec._networks.side(step, np.zeros_like(known), file.quality)
                found |= {("shift", step)} if shift[0][now].any() else set()
                found |= {("context", step)} if (rows != plain)[0][now].any() else set()
    assert found == {"centre", *(("shift", step) for step in range(3)), ("context", 1), ("context", 2)}


@every_file
def test_the_codec_reads_the_integers_and_pixels(path: Path) -> None:
    codec = codec_of(path.parent)
    assert make.digest_of(make.integers_of(codec, read(path))) == expected_digest(path)
    decoded = codec.decode(path)
    assert levels_apart(np.asarray(decoded), expected_pixels(path)) <= 1


@every_set
@pytest.mark.parametrize("threads", [2, 4])
def test_threads_change_no_integer(threads: int, folder: Path) -> None:
    other = Codec(folder / "profile", threads=threads)
    for path in folder.glob("*.nrws"):
        assert make.digest_of(make.integers_of(other, read(path))) == expected_digest(path)


@every_set
def test_encoding_gives_the_same_bytes_with_one_and_two_threads(folder: Path) -> None:
    codec, other = codec_of(folder), Codec(folder / "profile", threads=2)
    for _, picture, quality in make.wanted():
        assert codec.encode(picture, quality=quality) == other.encode(picture, quality=quality)


@every_file
def test_the_reference_decoder_reads_the_same(path: Path) -> None:
    pixels, symbols, z_hats = reference_decoder.decode(path.read_bytes(), path.parent / "profile")
    assert make.digest_of(list(zip(symbols, z_hats, strict=True))) == expected_digest(path)
    wanted = expected_pixels(path)
    assert levels_apart(pixels.reshape(wanted.shape), wanted) <= 1


@every_file
def test_the_network_in_torch_reads_the_same(path: Path) -> None:
    """The rows come from the laboratory's side and scale nets; only the coder is shared with the codec."""
    torch = pytest.importorskip("torch")
    from narrows.lab.coding import rows_of_step
    from narrows.lab.export import load_network

    folder, file = path.parent / "profile", read(path)
    network, profile = load_network(folder), Profile.load(folder)
    integers = []
    for number, strip in enumerate(file.strips):
        height = min(1024, -(-file.height // 64) * 64 - 1024 * number)
        width = -(-file.width // 64) * 64
        shape = (network.config.hyper_latent, height // 64, width // 64)
        read_side = _read_side if profile.side_context is None else _read_joint_side
        z_hat, decoder = read_side(network, profile, strip, shape, file.quality)
        z = torch.from_numpy(z_hat.astype(np.float32))[None].permute(0, 2, 3, 1)
        symbols = np.zeros((network.config.latent, height // 16, width // 16), np.int32)
        pattern = np.tile(network.order.pattern.numpy(), (1, height // 32, width // 32))
        for step in range(network.config.context_steps):
            seen = torch.from_numpy(symbols.astype(np.float32))[None].permute(0, 2, 3, 1)
            rows = rows_of_step(network, step, z, seen, torch.tensor([file.quality]))
            where = pattern == step
            symbols[where] = decoder.step(rows[0].permute(2, 0, 1).numpy().astype(np.uint8)[where])
        decoder.finish()
        integers.append((symbols, z_hat))
    assert make.digest_of(integers) == expected_digest(path)


def _read_side(
    network: Flagship, profile: Profile, strip: Strip, shape: tuple[int, int, int], quality: int
) -> tuple[NDArray[np.int32], LatentDecoder]:
    """z_hat of a strip of versions 1 and 2, which no network has a part in, and the reader of its latents."""
    assert network.side_net is None and profile.side_tables is not None and strip.side is not None
    z_hat = profile.side_tables.decode(strip.side, shape, int(profile.side_classes[quality]))
    return z_hat, profile.latent_tables.decoder(strip.latents)


def _read_joint_side(
    network: Flagship, profile: Profile, strip: Strip, shape: tuple[int, int, int], quality: int
) -> tuple[NDArray[np.int32], LatentDecoder]:
    """z_hat of a strip of version 3 with the means and scales of the side net, and the reader of what follows."""
    import torch

    from narrows.lab.side import PHASES_OF_MEAN, SIDE_STEP_COUNT, step_map

    assert network.side_net is not None and profile.side_context is not None and strip.side is None
    stream = open_joint(strip.latents)
    decoder, q = profile.side_context.tables.reader(stream), torch.tensor([quality])
    values, steps = np.zeros(shape, np.int32), step_map(*shape[1:]).numpy()
    for step in range(SIDE_STEP_COUNT):
        seen = torch.from_numpy(values.astype(np.float32))[None].permute(0, 2, 3, 1)
        with torch.no_grad():
            mean, scale = (part[0].permute(2, 0, 1).double() for part in network.side_net(step, seen, q))
        eighths = (mean * PHASES_OF_MEAN).round().long()
        shift = (eighths + PHASES_OF_MEAN // 2) // PHASES_OF_MEAN
        rows = PHASES_OF_MEAN * scale.round().long() + eighths + PHASES_OF_MEAN // 2 - PHASES_OF_MEAN * shift
        where = np.broadcast_to(steps == step, shape)
        values[where] = decoder.step(rows.numpy().astype(np.uint8)[where]) + shift.numpy()[where]
    centre = network.side_net.centre()[quality].numpy().astype(np.int32)
    return values + centre[:, None, None], profile.latent_tables.reader(stream)


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        *((SETS[0], f"scales.{step}") for step in range(2)),
        *((SETS[1], name) for name in ("scales.0", "scales.1", "side.0", "side.1", "side.2")),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else value,
)
def test_graph_optimisation_changes_no_row(folder: Path, name: str) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    codec = codec_of(folder)
    kind, step = name.split(".")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        folder / "profile" / f"{name}.onnx", options, providers=["CPUExecutionProvider"]
    )
    manifest = codec.profile.manifest
    rng = np.random.default_rng(int(step))
    limit = manifest.hyper_limit
    for quality in range(manifest.qualities):
        z_hat = rng.integers(-limit, limit + 1, (1, manifest.hyper_channels, 3, 2)).astype(np.int32)
        values = rng.integers(-2 * limit, 2 * limit + 1, z_hat.shape).astype(np.int32)
        values //= rng.choice([1, 8, 64], values.shape).astype(np.int32)  # nets see small ones best
        symbols = rng.integers(-20, 21, (1, manifest.latent_channels, 12, 8)).astype(np.int32)
        feeds = {"z_hat": z_hat, "symbols": symbols, "values": values, "quality": np.array([quality])}
        plain = session.run(None, {i.name: feeds[i.name] for i in session.get_inputs()})
        if kind == "side":
            found = codec._networks.side(int(step), values, quality)
        else:
            found = (codec._networks.scales(int(step), z_hat, symbols, quality),)
        assert all(np.array_equal(a, b) for a, b in zip(plain, found, strict=True))
