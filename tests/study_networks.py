"""Small study networks with every layer that one may have, and what a file of one must hold; for several tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from narrows import container
from narrows.codec import Codec
from narrows.lab.nets.base import Geometry, StudyNetwork
from narrows.lab.study import grid
from narrows.lab.study.quantiser import Steps
from narrows.lab.study.settle import settled
from narrows.tiles import Box, strips

Pictures = list[NDArray[np.uint8]]


class Forked(nn.Module):
    """What an encoder or a decoder may do besides a chain of layers: join, add, cut."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: Tensor) -> Tensor:
        one = self.first(x)
        two = self.second(x[:, 1:])
        return torch.cat([0.5 * one + two, two[:, :2] - one[:, -2:] * 0.3], 1)


def lively_norms(network: StudyNetwork) -> StudyNetwork:
    """Batch norms as training leaves them, not as they begin."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.8, 1.2)
            nn.init.uniform_(layer.bias, -0.1, 0.1)
            nn.init.uniform_(layer.running_mean, -0.1, 0.1)  # type: ignore[arg-type]
            nn.init.uniform_(layer.running_var, 0.02, 0.05)  # type: ignore[arg-type]
    return network.eval()


def map_network(channels: int = 3) -> StudyNetwork:
    """A map with every layer that one may have, stride 8."""
    torch.manual_seed(0)
    encoder = nn.Sequential(
        nn.Conv2d(channels, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 6, 5, stride=2, padding=2, groups=2), nn.LeakyReLU(0.2), nn.BatchNorm2d(6),
        Forked(nn.Conv2d(6, 4, 3, padding="same"), nn.Conv2d(5, 4, 1)), nn.PixelUnshuffle(2), nn.Dropout(0.5),
        nn.Conv2d(24, 10, 1),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.ConvTranspose2d(10, 8, 3, stride=2, padding=1, output_padding=1), nn.BatchNorm2d(8), nn.Tanh(),
        nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.PixelShuffle(2),
        nn.Conv2d(4, 6, 3, padding=2, dilation=2), nn.Upsample(scale_factor=2), nn.MaxPool2d(2), nn.Identity(),
        nn.Conv2d(6, channels, 3, padding=1), nn.Sigmoid(),
    )  # fmt: skip
    return lively_norms(StudyNetwork(Geometry(channels=channels, latent=10, stride=8), encoder, decoder))


def cell_network(channels: int = 1, cell: int = 28, latent: int = 12) -> StudyNetwork:
    """The shape of the studies on small pictures, with ReLU latents of which some are dead."""
    torch.manual_seed(1)
    side = cell // 4
    encoder = nn.Sequential(
        nn.Conv2d(channels, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.Linear(16 * side * side, latent), nn.ReLU(),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.Linear(latent, 16 * side * side), nn.ReLU(), nn.Unflatten(1, (16, side, side)),
        nn.ConvTranspose2d(16, 8, 3, stride=2, padding=1, output_padding=1), nn.ReLU(),
        nn.ConvTranspose2d(8, channels, 3, stride=2, padding=1, output_padding=1), nn.Sigmoid(),
    )  # fmt: skip
    network = StudyNetwork(Geometry(channels=channels, latent=latent, stride=32, cell=cell), encoder, decoder)
    with torch.no_grad():
        encoder[6].bias[:3] -= 100  # three units that never fire
        encoder[6].weight *= 4
        decoder[0].weight *= 6
        decoder[5].weight *= 4
    return lively_norms(network)


def pictures(count: int, height: int, width: int, channels: int, seed: int = 0) -> Pictures:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 5, 6, channels), dtype=np.uint8)
    mode = (lambda a: a) if channels == 3 else (lambda a: a[:, :, 0])
    return [
        np.asarray(Image.fromarray(mode(one)).resize((width, height), Image.Resampling.BICUBIC)).copy()
        for one in coarse
    ]


def assert_files_are_the_network(
    profile: Path, network: StudyNetwork, steps: Steps, tests: Pictures, precision: str = "float32"
) -> None:
    """Symbols of the network, its pixels within one level, its tables' bytes within 0.5 % and 8 (the coder's state)."""
    codec = Codec(profile, threads=1)
    geometry = network.geometry
    plain = settled(network, precision)  # type: ignore[arg-type]
    for quality in range(steps.qualities):
        ideal = written = 0.0
        for picture in tests:
            height, width = picture.shape[:2]
            data = codec.encode(picture, quality=100 * quality / max(steps.qualities - 1, 1))
            file = container.read(data, codec.limits)
            assert file.quality == quality
            bottom, right = (-(-side // geometry.stride) * geometry.stride for side in (height, width))
            (box,) = strips(Box(top=0, bottom=bottom, left=0, right=right))
            symbols, _ = codec.read_symbols(file.strips[0], box, quality)
            y = grid.encode(plain, next(grid.batches([picture], geometry)))
            expected = steps.symbols(y, quality)
            moved = symbols - expected
            constant = moved - np.round(np.median(moved, axis=(0, 2, 3), keepdims=True))  # tables are centred
            if symbols.shape[2] * symbols.shape[3] > 8:
                assert np.count_nonzero(constant) <= 0.001 * constant.size
            y_hat = codec._networks.dequantise(symbols, None, quality)
            assert np.abs(y_hat - y).max() <= 0.5001 / steps.gain[quality].min()
            decoded = np.asarray(codec.decode(data)).astype(int)
            torch_decoded = grid.decode(plain, y_hat)[0, :, :height, :width].transpose(1, 2, 0)
            assert np.abs(decoded.reshape(torch_decoded.shape) - torch_decoded).max() <= 1
            rows = codec._networks.scales(0, None, symbols, quality)
            ideal += codec.profile.latent_tables.bits(rows, symbols) / 8
            written += len(file.strips[0].latents)
        assert abs(written - ideal) <= 0.005 * ideal + 8 * len(tests)
