"""Golden files: every later release reads the same integers from them, and pixels within one level.

Four readers must agree: the codec (ONNX Runtime, constriction), the same with other threads and without graph
optimisation, the reference decoder (numpy, int64) and the laboratory's network (PyTorch).
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import reference_decoder
from numpy.typing import NDArray
from PIL import Image

from narrows import Codec, Limits, container
from narrows.container import Container
from narrows.profile import Profile

HERE = Path(__file__).parent
FOLDER = HERE / "golden"
FILES = sorted(FOLDER.glob("*.nrws"))


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = loaded
    spec.loader.exec_module(loaded)
    return loaded


make = module(FOLDER / "make.py")


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec(FOLDER / "profile", threads=1)


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


def test_there_are_golden_files_for_every_picture_of_the_maker() -> None:
    assert {path.stem for path in FILES} >= {name for name, _, _ in make.wanted()}


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_the_codec_reads_the_integers_and_pixels(codec: Codec, path: Path) -> None:
    assert make.digest_of(make.integers_of(codec, read(path))) == expected_digest(path)
    decoded = codec.decode(path)
    assert levels_apart(np.asarray(decoded), expected_pixels(path)) <= 1


@pytest.mark.parametrize("threads", [2, 4])
def test_threads_change_no_integer(threads: int) -> None:
    other = Codec(FOLDER / "profile", threads=threads)
    for path in FILES:
        assert make.digest_of(make.integers_of(other, read(path))) == expected_digest(path)


def test_encoding_gives_the_same_bytes_with_one_and_two_threads(codec: Codec) -> None:
    other = Codec(FOLDER / "profile", threads=2)
    for _, picture, quality in make.wanted():
        assert codec.encode(picture, quality=quality) == other.encode(picture, quality=quality)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_the_reference_decoder_reads_the_same(path: Path) -> None:
    pixels, symbols, z_hats = reference_decoder.decode(path.read_bytes(), FOLDER / "profile")
    assert make.digest_of(list(zip(symbols, z_hats, strict=True))) == expected_digest(path)
    wanted = expected_pixels(path)
    assert levels_apart(pixels.reshape(wanted.shape), wanted) <= 1


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_the_network_in_torch_reads_the_same(path: Path) -> None:
    """The rows come from the laboratory's scale net; only the coder is shared with the codec."""
    torch = pytest.importorskip("torch")
    from narrows.lab.coding import rows_of_step
    from narrows.lab.export import load_network

    network, profile, file = load_network(FOLDER / "profile"), Profile.load(FOLDER / "profile"), read(path)
    assert profile.side_tables is not None
    integers = []
    for number, strip in enumerate(file.strips):
        height = min(1024, -(-file.height // 64) * 64 - 1024 * number)
        width = -(-file.width // 64) * 64
        shape = (network.config.hyper_latent, height // 64, width // 64)
        assert strip.side is not None
        z_hat = profile.side_tables.decode(strip.side, shape, int(profile.side_classes[file.quality]))
        z = torch.from_numpy(z_hat.astype(np.float32))[None].permute(0, 2, 3, 1)
        symbols = np.zeros((network.config.latent, height // 16, width // 16), np.int32)
        pattern = np.tile(network.order.pattern.numpy(), (1, height // 32, width // 32))
        decoder = profile.latent_tables.decoder(strip.latents)
        for step in range(network.config.context_steps):
            seen = torch.from_numpy(symbols.astype(np.float32))[None].permute(0, 2, 3, 1)
            rows = rows_of_step(network, step, z, seen, torch.tensor([file.quality]))
            where = pattern == step
            symbols[where] = decoder.step(rows[0].permute(2, 0, 1).numpy().astype(np.uint8)[where])
        decoder.finish()
        integers.append((symbols, z_hat))
    assert make.digest_of(integers) == expected_digest(path)


@pytest.mark.parametrize("step", [0, 1])
def test_graph_optimisation_changes_no_row(codec: Codec, step: int) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        FOLDER / "profile" / f"scales.{step}.onnx", options, providers=["CPUExecutionProvider"]
    )
    manifest = codec.profile.manifest
    rng = np.random.default_rng(step)
    limit = manifest.hyper_limit
    for quality in range(manifest.qualities):
        z_hat = rng.integers(-limit, limit + 1, (1, manifest.hyper_channels, 3, 2)).astype(np.int32)
        symbols = rng.integers(-20, 21, (1, manifest.latent_channels, 12, 8)).astype(np.int32)
        feeds = {"z_hat": z_hat, "symbols": symbols, "quality": np.array([quality])}
        plain = session.run(None, {i.name: feeds[i.name] for i in session.get_inputs()})[0]
        assert np.array_equal(plain, codec._networks.scales(step, z_hat, symbols, quality))
