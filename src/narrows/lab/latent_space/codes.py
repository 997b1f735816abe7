"""Pictures to codes and back: a code is the whole latent of one picture as a row of numbers, not quantised.

The way is that of files (study/grid.py): padded as the codec pads, cut into cells where the network sees cells, and
clipped and rounded to uint8 at the end. A variational network's code is its mean.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from narrows.errors import OptionError
from narrows.lab.measure.arrays import require_pictures
from narrows.lab.nets.base import Geometry, StudyNetwork
from narrows.lab.study import grid

Pictures = NDArray[np.uint8]
Codes = NDArray[np.float32]

_BATCH_VALUES = 2**21  # of latents or of samples, so that a batch stays within some tens of megabytes


def latents(network: StudyNetwork, pictures: Pictures) -> Codes:
    """(N, m x h x w): a code for each picture, maps flattened channel by channel.

    OptionError for no pictures, or for colour and a grey network.
    """
    require_pictures(pictures)
    return np.concatenate(
        [grid.encode(network, planes).reshape(len(planes), -1) for planes in grid.batches(pictures, network.geometry)]
    )


def decode_codes(network: StudyNetwork, codes: NDArray[np.floating], size: tuple[int, int]) -> Pictures:
    """Pictures of `size` (height, width) from codes (N, m x h x w): uint8 (N, H, W), or (N, H, W, 3) in colour.

    OptionError for codes that are not those of pictures of that size.
    """
    geometry = network.geometry
    shape = _grid_shape(geometry, size)
    if codes.ndim != 2 or codes.shape[1] != code_size(geometry, size):
        raise OptionError(
            f"codes of pictures of {size[0]} x {size[1]} are (N, {code_size(geometry, size)}), not {codes.shape}"
        )
    height, width = size
    step = max(1, _BATCH_VALUES // max(codes.shape[1], geometry.channels * height * width))
    parts = [np.zeros((0, height, width, geometry.channels), np.uint8)]
    for start in range(0, len(codes), step):
        batch = codes[start : start + step].astype(np.float32)
        planes = grid.decode(network, batch.reshape(len(batch), *shape))[:, :, :height, :width]
        parts.append(planes.transpose(0, 2, 3, 1))
    decoded = np.concatenate(parts)
    return decoded[..., 0] if geometry.channels == 1 else decoded


def code_size(geometry: Geometry, size: tuple[int, int]) -> int:
    """How many numbers the code of a picture of that (height, width) has."""
    return geometry.values(*size)


def _grid_shape(geometry: Geometry, size: tuple[int, int]) -> tuple[int, int, int]:
    return geometry.latent, *geometry.grid(*size)
