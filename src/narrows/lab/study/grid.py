"""Pictures to latents and back in torch, the way the exported graphs do it: padding, cells, batches.

                          maps                            cells of side c on a grid of stride s
    planes uint8   (B, C, H, W)                    (B, C, H, W)
                     | / 255                         | / 255, cut into s x s, the upper left c x c of each kept
    network        encode                          encode, all cells of all pictures as one batch
                     |                               | vectors onto the grid
    y float32      (B, m, H/s, W/s)                (B, m, H/s, W/s)

On the way back a cell's missing rows and columns repeat its last ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from narrows.errors import OptionError
from narrows.lab.nets.base import Geometry, StudyNetwork
from narrows.pixels import pad_edges, to_planes

Planes = NDArray[np.uint8]
Latents = NDArray[np.float32]

BATCH_PIXELS = 2**19


def batches(pictures: Iterable[NDArray[Any] | Tensor], geometry: Geometry) -> Iterator[Planes]:
    """Pictures (H, W) or (H, W, C), uint8, as planes (B, C, H', W') padded as the codec pads them, in their order.

    Neighbours of one size share a batch. A grey picture is repeated into three channels where the network has three;
    OptionError for colour and a grey network, or something that is not such a picture.
    """
    waiting: list[Planes] = []
    for picture in pictures:
        planes = _planes(picture, geometry)
        if waiting and (planes.shape != waiting[0].shape or (len(waiting) + 1) * planes[0, 0].size > BATCH_PIXELS):
            yield np.concatenate(waiting)
            waiting = []
        waiting.append(planes)
    if waiting:
        yield np.concatenate(waiting)


@torch.no_grad()
def encode(network: StudyNetwork, planes: Planes) -> Latents:
    """Y (B, m, h, w) of planes (B, C, H, W) whose sides are multiples of the stride."""
    geometry = network.geometry
    x = torch.from_numpy(planes).float() / 255
    y = network.encode(x if geometry.cell is None else _cut(x, geometry.stride, geometry.cell))
    if geometry.cell is not None:
        rows, columns = planes.shape[2] // geometry.stride, planes.shape[3] // geometry.stride
        y = y.reshape(len(planes), rows, columns, geometry.latent).permute(0, 3, 1, 2)
    result: Latents = y.contiguous().numpy()
    return result


@torch.no_grad()
def decode(network: StudyNetwork, y_hat: Latents) -> Planes:
    """Planes (B, C, H, W) of y_hat (B, m, h, w): what a file gives, before it is cropped."""
    geometry, stride = network.geometry, network.geometry.stride
    y = torch.from_numpy(np.ascontiguousarray(y_hat))
    if geometry.cell is None:
        x = network.decode(y)
    else:
        batch, latent, rows, columns = y.shape
        cells = network.decode(y.permute(0, 2, 3, 1).reshape(-1, latent, 1, 1))
        missing = stride - geometry.cell
        cells = F.pad(cells, (0, missing, 0, missing), mode="replicate")
        x = cells.reshape(batch, rows, columns, geometry.channels, stride, stride).permute(0, 3, 1, 4, 2, 5)
        x = x.reshape(batch, geometry.channels, rows * stride, columns * stride)
    result: Planes = (x * 255).clamp(0, 255).round().to(torch.uint8).contiguous().numpy()
    return result


def reconstructed(network: StudyNetwork, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pictures (N, H, W) or (N, H, W, 3) through a network and back, not quantised, clipped and rounded to 8 bits."""
    height, width = pictures.shape[1:3]
    parts = [decode(network, encode(network, planes)) for planes in batches(pictures, network.geometry)]
    planes = np.concatenate([part[:, :, :height, :width] for part in parts])
    result: NDArray[np.uint8] = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
    return result[..., 0] if pictures.ndim == 3 else result


def sample_latents(network: StudyNetwork, pictures: Iterable[NDArray[Any] | Tensor]) -> Latents:
    """The latents of pictures, all positions as (N, m): for `uniform_sweep` or `LatentQuantiser.start`.

    The network is the settled one (settle.py) or any on the CPU in eval mode.
    """
    parts = [
        encode(network, planes).transpose(0, 2, 3, 1).reshape(-1, network.geometry.latent)
        for planes in batches(pictures, network.geometry)
    ]
    if not parts:
        raise OptionError("there are no pictures to take latents from")
    return np.concatenate(parts)


def _planes(picture: NDArray[Any] | Tensor, geometry: Geometry) -> Planes:
    array = picture.numpy() if isinstance(picture, Tensor) else np.asarray(picture)
    samples = array[:, :, None] if array.ndim == 2 else array
    if array.dtype != np.uint8 or samples.ndim != 3 or samples.shape[2] not in (1, 3) or samples.size == 0:
        raise OptionError(f"a picture is uint8 (H, W) or (H, W, 1 or 3), not {array.dtype} {array.shape}")
    if samples.shape[2] > geometry.channels:
        raise OptionError("the network codes grey pictures only, these are in colour")
    return to_planes(pad_edges(samples, geometry.stride), geometry.channels)


def _cut(x: Tensor, stride: int, cell: int) -> Tensor:
    """(B, C, H, W) to (B x h x w, C, cell, cell), cells in raster order."""
    batch, channels, height, width = x.shape
    rows, columns = height // stride, width // stride
    cells = x.reshape(batch, channels, rows, stride, columns, stride).permute(0, 2, 4, 1, 3, 5)
    return cells.reshape(-1, channels, stride, stride)[:, :, :cell, :cell]
