"""From latents to files: steps, tables, reach, export, and the codec on the profiles of study networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import reference_decoder
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytest.importorskip("onnx")

from study_networks import assert_files_are_the_network, cell_network, map_network, pictures  # noqa: E402
from torch import nn  # noqa: E402

from narrows.cli.main import run  # noqa: E402
from narrows.codec import Codec  # noqa: E402
from narrows.errors import OptionError  # noqa: E402
from narrows.lab.nets.base import StudyNetwork  # noqa: E402
from narrows.lab.study import grid  # noqa: E402
from narrows.lab.study.profile import export_study  # noqa: E402
from narrows.lab.study.quantiser import Steps, uniform_sweep  # noqa: E402
from narrows.lab.study.settle import settled  # noqa: E402


@pytest.fixture(scope="module")
def map_profile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StudyNetwork, Steps]:
    network = map_network()
    training = pictures(6, 64, 80, 3)
    steps = uniform_sweep(grid.sample_latents(settled(network), training), (8, 5, 2))
    folder = tmp_path_factory.mktemp("profiles") / "map"
    export_study(network, steps, training, folder, name="toy-map", record={"study": "test"}, progress=False)
    return folder, network, steps


@pytest.fixture(scope="module")
def cell_profile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StudyNetwork, Steps]:
    network = cell_network()
    training = np.stack(pictures(300, 28, 28, 1))
    steps = uniform_sweep(grid.sample_latents(settled(network), training), (8, 4, 2))
    folder = tmp_path_factory.mktemp("profiles") / "cells"
    export_study(network, steps, training, folder, name="toy-cells", record={}, progress=False)
    return folder, network, steps


def test_files_of_a_map_hold_what_the_network_says(map_profile: tuple[Path, StudyNetwork, Steps]) -> None:
    folder, network, steps = map_profile
    tests = [pictures(1, height, width, 3, seed=9)[0] for height, width in ((64, 80), (1, 1), (37, 101), (8, 200))]
    assert_files_are_the_network(folder, network, steps, tests)


def test_files_of_cells_hold_what_the_network_says(cell_profile: tuple[Path, StudyNetwork, Steps]) -> None:
    folder, network, steps = cell_profile
    tests = [pictures(1, height, width, 1, seed=9)[0] for height, width in ((28, 28), (1, 1), (33, 70), (130, 200))]
    assert_files_are_the_network(folder, network, steps, tests)


@pytest.mark.parametrize("cell", [32, 20])
def test_cells_of_other_sides_and_colours(tmp_path: Path, cell: int) -> None:
    network = cell_network(3, cell)
    training = pictures(40, cell, cell, 3)
    steps = uniform_sweep(grid.sample_latents(settled(network), training), (6,))
    export_study(network, steps, training, tmp_path / "p", name="toy", record={}, progress=False)
    assert_files_are_the_network(tmp_path / "p", network, steps, pictures(2, 50, 70, 3, seed=4))


def test_half_as_many_bytes_of_weights(tmp_path: Path) -> None:
    network = map_network(1)
    training = pictures(3, 40, 48, 1)
    steps = uniform_sweep(grid.sample_latents(settled(network, "float16"), training), (6,))
    for precision in ("float32", "float16"):
        export_study(
            network, steps, training, tmp_path / precision, name="toy", record={}, precision=precision,
            progress=False,  # type: ignore[arg-type]
        )  # fmt: skip
    sizes = [(tmp_path / p / "weights.safetensors").stat().st_size for p in ("float32", "float16")]
    weights = sum(p.numel() for p in settled(network).parameters() if p.ndim > 1)
    assert sizes[0] - sizes[1] >= 2 * weights * 0.98
    assert_files_are_the_network(tmp_path / "float16", network, steps, training[:1], "float16")


def test_a_mosaic_of_cells_is_its_cells(cell_profile: tuple[Path, StudyNetwork, Steps]) -> None:
    codec = Codec(cell_profile[0], threads=1)
    singles = [np.pad(p, ((0, 4), (0, 4)), mode="edge") for p in pictures(6, 28, 28, 1, seed=3)]
    sheet = np.block([singles[:3], singles[3:]])
    data = codec.encode(sheet, quality=50)
    decoded = np.asarray(codec.decode(data))
    total = 0
    for index, single in enumerate(singles):
        alone = codec.encode(single[:28, :28], quality=50)
        total += len(alone)
        top, left = 32 * (index // 3), 32 * (index % 3)
        assert (
            np.abs(decoded[top : top + 28, left : left + 28] - np.asarray(codec.decode(alone)).astype(int)).max() <= 1
        )
        assert (decoded[top + 28 : top + 32, left : left + 28] == decoded[top + 27, left : left + 28]).all()
    assert len(data) < total / 3  # one header instead of six


def test_dead_latents_cost_nothing(cell_profile: tuple[Path, StudyNetwork, Steps]) -> None:
    folder, network, _ = cell_profile
    codec = Codec(folder, threads=1)
    with torch.no_grad():
        live = (network.encode(torch.rand(50, 1, 28, 28)) > 0).any(0).flatten()
    assert not live[:3].any()
    rows = codec._networks.scales(0, None, np.zeros((1, 12, 1, 1), np.int32), 0)[0, :, 0, 0]
    assert codec.profile.latent_tables.skipped[rows[:3]].all()
    recorded = codec.profile.manifest.training["live_channels"]
    assert all(0 < count <= 9 for count in recorded)
    assert codec.profile.manifest.training["nominal_lambdas"] is True


def test_more_bits_make_more_bytes_and_a_smaller_error(map_profile: tuple[Path, StudyNetwork, Steps]) -> None:
    folder, network, _ = map_profile
    codec, plain = Codec(folder, threads=1), settled(network)
    picture = pictures(1, 64, 80, 3, seed=9)[0]
    unquantised = grid.decode(plain, grid.encode(plain, next(grid.batches([picture], network.geometry))))
    unquantised = unquantised[0].transpose(1, 2, 0).astype(int)
    files = [codec.encode(picture, quality=quality) for quality in (0, 50, 100)]
    errors = [float(np.square(unquantised - np.asarray(codec.decode(file))).mean()) for file in files]
    sizes = [len(file) for file in files]
    assert sizes == sorted(set(sizes))
    assert errors == sorted(errors, reverse=True) and errors[-1] < 1


def test_a_region_is_that_part_of_the_picture(map_profile: tuple[Path, StudyNetwork, Steps]) -> None:
    codec = Codec(map_profile[0], threads=1)
    data = codec.encode(pictures(1, 190, 230, 3, seed=2)[0], quality=100)
    whole = np.asarray(codec.decode(data)).astype(int)
    for x, y, width, height in ((0, 0, 8, 8), (96, 80, 8, 8), (90, 77, 31, 20), (229, 189, 1, 1)):
        part = np.asarray(codec.decode(data, region=(x, y, width, height))).astype(int)
        assert np.abs(part - whole[y : y + height, x : x + width]).max() <= 1


def test_the_command_line_and_the_reference_decoder_take_the_profile(
    map_profile: tuple[Path, StudyNetwork, Steps], tmp_path: Path
) -> None:
    folder = map_profile[0]
    source = tmp_path / "in.png"
    Image.fromarray(pictures(1, 45, 67, 3, seed=8)[0]).save(source)
    for arguments in (
        ["encode", str(source), "-o", str(tmp_path / "f.nrws"), "-p", str(folder), "-q", "80"],
        ["decode", str(tmp_path / "f.nrws"), "-o", str(tmp_path / "out.png"), "-p", str(folder)],
        ["verify", str(tmp_path / "f.nrws"), "-p", str(folder), "--deep"],
    ):
        assert run(arguments) == 0
    decoded = np.asarray(Image.open(tmp_path / "out.png")).astype(int)
    assert decoded.shape == (45, 67, 3)
    pixels, symbols, _ = reference_decoder.decode((tmp_path / "f.nrws").read_bytes(), folder)
    assert np.abs(pixels.astype(int) - decoded).max() <= 1
    assert symbols[0].any()


def test_a_clustered_profile_keeps_to_256_tables(tmp_path: Path) -> None:
    network = cell_network(1, 28, latent=130)
    training = np.stack(pictures(200, 28, 28, 1))
    steps = uniform_sweep(grid.sample_latents(settled(network), training), (7, 5, 3))
    export_study(network, steps, training, tmp_path / "p", name="toy", record={}, progress=False)
    assert Codec(tmp_path / "p").profile.latent_tables.radius.size == 256
    assert_files_are_the_network(tmp_path / "p", network, steps, pictures(2, 28, 28, 1, seed=9))


def test_what_cannot_be_exported_is_refused_by_name(tmp_path: Path) -> None:
    network, training = map_network(1), pictures(2, 16, 16, 1)
    steps = uniform_sweep(np.arange(20.0).reshape(2, 10), (4,))

    def exported(net: StudyNetwork, **changes: object) -> None:
        settings: dict[str, object] = {"name": "toy", "record": {}, "progress": False}
        export_study(net, steps, training, tmp_path / "p", **(settings | changes))  # type: ignore[arg-type]

    with pytest.raises(OptionError, match="cannot be a profile.*name"):
        exported(network, name="Not A Name")
    with pytest.raises(OptionError, match="10 channels, the network's latent has 12"):
        exported(cell_network())
    geometry = network.geometry
    strange = StudyNetwork(geometry, nn.Sequential(network.encoder, nn.GELU()), network.decoder)
    with pytest.raises(OptionError, match="GELU"):
        exported(strange)
    crooked = StudyNetwork(geometry, nn.Sequential(network.encoder, nn.MaxPool2d(2)), network.decoder)
    with pytest.raises(OptionError, match="must make"):
        exported(crooked)
    deep = [nn.Conv2d(10, 10, 25, padding=12) for _ in range(11)]
    with pytest.raises(OptionError, match="halo"):
        exported(StudyNetwork(geometry, nn.Sequential(network.encoder, *deep), network.decoder))
    with pytest.raises(OptionError, match="in colour"):
        export_study(network, steps, pictures(1, 16, 16, 3), tmp_path / "p", name="toy", record={}, progress=False)
    with pytest.raises(OptionError, match="no pictures"):
        export_study(network, steps, [], tmp_path / "p", name="toy", record={}, progress=False)
    assert not (tmp_path / "p").exists()
    exported(network)
    with pytest.raises(OptionError, match="exists already"):
        exported(network)
