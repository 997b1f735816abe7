"""Real files of study profiles, decoded by another process, and the linear baselines that go the same way."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("bjontegaard")

from numpy.typing import NDArray  # noqa: E402
from study_networks import assert_files_are_the_network, cell_network, map_network, pictures  # noqa: E402

from narrows import container  # noqa: E402
from narrows.codec import Codec  # noqa: E402
from narrows.errors import NarrowsError, OptionError  # noqa: E402
from narrows.lab.measure import files  # noqa: E402
from narrows.lab.measure.files import code_each, code_sheet, decoder_bytes, shipped_bytes  # noqa: E402
from narrows.lab.measure.linear import block_pca_network, equal_steps, pca_network  # noqa: E402
from narrows.lab.measure.quality import measure  # noqa: E402
from narrows.lab.nets.base import StudyNetwork  # noqa: E402
from narrows.lab.study import grid  # noqa: E402
from narrows.lab.study.profile import export_study  # noqa: E402
from narrows.lab.study.quantiser import Steps, uniform_sweep  # noqa: E402
from narrows.lab.study.settle import settled  # noqa: E402

Pictures = NDArray[np.uint8]


def stack(count: int, height: int, width: int, channels: int, seed: int = 0) -> Pictures:
    return np.stack(pictures(count, height, width, channels, seed))


def profile_of(network: StudyNetwork, steps: Steps, training: Pictures, folder: Path) -> Path:
    return export_study(network, steps, training, folder, name="toy", record={}, progress=False)


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network, training = cell_network(), stack(200, 28, 28, 1)
    steps = uniform_sweep(grid.sample_latents(settled(network), training), (8, 5, 2))
    return profile_of(network, steps, training, tmp_path_factory.mktemp("profiles") / "cells")


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network, training = map_network(), stack(4, 40, 56, 3)
    steps = uniform_sweep(grid.sample_latents(settled(network), training), (6, 3))
    return profile_of(network, steps, training, tmp_path_factory.mktemp("profiles") / "maps")


def test_a_sheet_is_one_file_a_quality_and_its_bytes_are_the_files(cells: Path, tmp_path: Path) -> None:
    original = stack(30, 28, 28, 1, seed=5)
    coded = code_sheet(cells, original, folder=tmp_path / "new", threads=1)
    assert [one.quality for one in coded] == [0, 1, 2]
    assert len(list((tmp_path / "new").iterdir())) == 3
    codec = Codec(cells, threads=1)
    for one in coded:
        (file,) = one.files
        assert container.read(file.read_bytes(), codec.limits).quality == one.quality
        assert one.bytes == file.stat().st_size and one.bpp == 8 * one.bytes / (30 * 28 * 28)
        assert one.decoded.shape == original.shape and one.pictures == 30 and one.rule == "sheet"
    assert coded[0].bytes < coded[1].bytes < coded[2].bytes
    single = codec.decode(codec.encode(original[17], quality=50))
    assert np.abs(np.asarray(single).astype(int) - coded[1].decoded[17]).max() <= 1


def test_one_file_a_picture(maps: Path, tmp_path: Path) -> None:
    original = stack(5, 37, 50, 3, seed=5)  # no multiple of the stride
    (coded,) = code_each(maps, original, qualities=[1], limit=4, folder=tmp_path, threads=1)
    assert coded.pictures == len(coded.files) == 4 and coded.quality == 1 and coded.rule == "each"
    assert coded.bytes == sum(file.stat().st_size for file in tmp_path.rglob("*.nrws"))
    assert coded.bpp == 8 * coded.bytes / (4 * 37 * 50)
    codec = Codec(maps, threads=1)
    for picture, file, decoded in zip(original, coded.files, coded.decoded, strict=False):
        assert file.read_bytes() == codec.encode(picture, quality=100)
        assert np.array_equal(np.asarray(codec.decode(file)), decoded)


def test_every_index_of_a_long_sweep_is_hit(tmp_path: Path) -> None:
    network, training = cell_network(), stack(60, 28, 28, 1)
    steps = equal_steps(12, [2.0 ** (-k / 3) for k in range(24)])
    folder = profile_of(network, steps, training, tmp_path / "p")
    coded = code_sheet(folder, training[:4], folder=tmp_path / "files", threads=1)
    limits = Codec(folder).limits
    assert [container.read(one.files[0].read_bytes(), limits).quality for one in coded] == list(range(24))


def test_pixels_of_another_process_that_differ_are_an_error(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = files._decode_elsewhere

    def tampered(profile: Path, names: list[Path], threads: int | None) -> Pictures:
        decoded = there(profile, names, threads)
        decoded.reshape(-1)[3] ^= 1
        return decoded

    monkeypatch.setattr(files, "_decode_elsewhere", tampered)
    for code in (code_each, code_sheet):
        with pytest.raises(NarrowsError, match="other pixels"):
            code(cells, stack(3, 28, 28, 1), qualities=[0], folder=tmp_path, threads=1)


def test_the_other_process_says_what_failed(cells: Path, tmp_path: Path) -> None:
    (coded,) = code_each(cells, stack(2, 28, 28, 1), qualities=[0], folder=tmp_path, threads=1)
    damaged = coded.files[1]
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(NarrowsError, match=rf"failed: .*{re.escape(damaged.name)}"):
        files._decode_elsewhere(cells, list(coded.files), 1)


@pytest.mark.parametrize("qualities", [[], [3], [-1]])
def test_a_quality_that_the_profile_has_not_is_refused(cells: Path, tmp_path: Path, qualities: list[int]) -> None:
    with pytest.raises(OptionError, match="0 to 2"):
        code_sheet(cells, stack(2, 28, 28, 1), qualities=qualities, folder=tmp_path)
    with pytest.raises(OptionError, match="limit"):
        code_each(cells, stack(2, 28, 28, 1), limit=0, folder=tmp_path)


def test_a_decoder_is_shipped_without_the_encoder(cells: Path) -> None:
    whole = shipped_bytes(cells)
    assert whole == sum(path.stat().st_size for path in cells.iterdir() if path.name != "LICENSE")
    weights = sum(parameter.numel() for parameter in settled(cell_network()).encoder.parameters())
    graphs = sum((cells / name).stat().st_size for name in ("analysis.onnx", "quantise.onnx"))
    assert 0 <= whole - graphs - 4 * weights - decoder_bytes(cells) < 1000  # tables of the quantiser


# --- linear baselines


def low_rank(count: int, rank: int, side: int, channels: int) -> Pictures:
    rng = np.random.default_rng(3)
    shape = (side, side) if channels == 1 else (side, side, 3)
    patterns = rng.normal(size=(rank, *shape))
    planes = np.tensordot(rng.normal(size=(count, rank)), patterns, 1)
    return np.clip(np.rint(128 + 14 * planes), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_pca_is_the_best_linear_code(channels: int) -> None:
    train = low_rank(400, 5, 12, channels)
    flat = train.reshape(400, -1) / 255
    spectrum = np.linalg.svd(flat - flat.mean(0), compute_uv=False) ** 2
    for latent in (1, 5, 20):
        network = pca_network(train, latent)
        x = torch.from_numpy(train.reshape(400, 12, 12, channels)).permute(0, 3, 1, 2).float() / 255
        with torch.no_grad():
            error = float(((network(x) - x) ** 2).sum())
        assert error == pytest.approx(spectrum[latent:].sum(), rel=1e-3)
    assert network.geometry.latent == 20 and network.geometry.stride == 16 and network.geometry.cell == 12


@pytest.mark.parametrize("channels", [1, 3])
def test_pca_of_blocks_is_the_best_linear_code_of_blocks(channels: int) -> None:
    train = stack(12, 64, 48, channels)
    network = block_pca_network(train, 8, 6)
    planes = train.reshape(12, 64, 48, channels).transpose(0, 3, 1, 2) / 255
    blocks = planes.reshape(12, channels, 8, 8, 6, 8).transpose(0, 2, 4, 1, 3, 5).reshape(-1, channels, 64)
    centred = (blocks - blocks.mean((0, 2), keepdims=True)).reshape(len(blocks), -1)
    spectrum = np.linalg.svd(centred, compute_uv=False) ** 2
    with torch.no_grad():
        x = torch.from_numpy(planes).float()
        error = float(((network(x) - x) ** 2).sum())
    assert error == pytest.approx(spectrum[6:].sum(), rel=1e-3)
    assert np.prod(network.encode(x).shape) == 12 * 8 * 6 * 6


def test_a_basis_of_a_share_of_the_blocks_is_nearly_as_good() -> None:
    train = stack(40, 32, 32, 1)
    x = torch.from_numpy(train)[:, None].float() / 255
    with torch.no_grad():
        whole, share = (
            float(((block_pca_network(train, 8, 4, blocks=blocks)(x) - x) ** 2).mean()) for blocks in (10_000, 160)
        )
    assert whole < share < 1.5 * whole


def test_linear_baselines_go_through_real_files(tmp_path: Path) -> None:
    train, test = stack(150, 28, 28, 1), stack(20, 28, 28, 1, seed=7)
    for name, network in (("cells", pca_network(train, 10)), ("maps", block_pca_network(train, 4, 5))):
        steps = equal_steps(network.geometry.latent, (0.5, 0.125, 0.03))
        folder = profile_of(network, steps, train, tmp_path / name)
        assert_files_are_the_network(folder, network, steps, list(test[:2]))
        coded = code_sheet(folder, test, folder=tmp_path / f"{name}-files", threads=1)
        found = [measure(test, one.decoded).psnr_db for one in coded]
        assert found[0] < found[1] < found[2] and coded[0].bytes < coded[1].bytes < coded[2].bytes


def test_equal_steps_are_equal_and_the_coarsest_comes_first() -> None:
    steps = equal_steps(3, (0.1, 0.4, 0.2))
    assert np.allclose(steps.gain, np.repeat([[2.5], [5], [10]], 3, axis=1)) and not steps.mean.any()
    assert steps.nominal_lambdas
    for wrong in ((), (0.1, 0.1), (0.0, 1.0)):
        with pytest.raises(OptionError, match="deltas"):
            equal_steps(3, wrong)


def test_impossible_bases_are_refused() -> None:
    with pytest.raises(OptionError, match="square"):
        pca_network(stack(5, 8, 12, 1), 2)
    with pytest.raises(OptionError, match="65 components"):
        pca_network(stack(5, 8, 8, 1), 65)
    with pytest.raises(OptionError, match="do not fit"):
        block_pca_network(stack(5, 8, 12, 1), 16, 2)
    with pytest.raises(OptionError, match="power of two"):
        block_pca_network(stack(5, 12, 12, 1), 12, 2)
