"""Every network of the five studies becomes a profile and writes files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("lightning_fabric")

from study_networks import assert_files_are_the_network, lively_norms, pictures  # noqa: E402

from narrows.lab.nets import aevae, depth, emnist, sunset, vector  # noqa: E402
from narrows.lab.nets.base import StudyNetwork  # noqa: E402
from narrows.lab.study import grid  # noqa: E402
from narrows.lab.study.profile import export_study  # noqa: E402
from narrows.lab.study.quantiser import uniform_sweep  # noqa: E402
from narrows.lab.study.settle import settled  # noqa: E402
from narrows.profile import Profile  # noqa: E402

NETWORKS: dict[str, Callable[[], StudyNetwork]] = {
    "sunset-baseline": sunset.baseline,
    "sunset-ablated": lambda: sunset.enhanced(
        (8, 12, 16),
        ingredients=sunset.Ingredients(
            batch_norm=False, activation="leaky_relu", downsampling="stride", upsampling="bilinear", dropout=0.2
        ),
    ),
    "sunset-enhanced": lambda: sunset.enhanced((8, 16, 32)),
    "sunset-skips": lambda: sunset.enhanced_with_skips((8, 16, 32), skips=(1, 2, 3)),
    "emnist-1": lambda: emnist.emnist_network(1),
    "emnist-4": lambda: emnist.emnist_network(4, latent_activation="leaky_relu"),
    "emnist-pooled": lambda: emnist.emnist_network(2, downsampling="max_pool", upsampling="nearest"),
    "vector-conv": lambda: vector.conv_autoencoder(16),
    "vector-dense": lambda: vector.dense_autoencoder(16, side=28, channels=1),
    "ae-16": aevae.ae_16,
    "vae-16": aevae.vae_16,
    "vae-map": lambda: aevae.map_vae(4),
    "depth-3": lambda: depth.depth_network((8, 12, 16)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_studys_network_writes_files(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = lively_norms(NETWORKS[name]())
    geometry = network.geometry
    side = geometry.cell or 48
    training = pictures(12, side, side, geometry.channels)
    steps = uniform_sweep(grid.sample_latents(settled(network), training), (3, 7))
    folder = export_study(network, steps, training, tmp_path / name, name=name, record={}, progress=False)
    manifest = Profile.load(folder).manifest
    assert (manifest.latent_channels, manifest.latent_stride) == (geometry.latent, geometry.stride)
    assert_files_are_the_network(folder, network, steps, pictures(1, side + 5, side - 7, geometry.channels, seed=5))
