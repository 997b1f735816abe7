"""Which units of a latent are used. A unit is a channel: one number of a vector, one plane of a map."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from narrows.errors import OptionError
from narrows.lab.latent_space.codes import Pictures
from narrows.lab.measure.arrays import require_pictures
from narrows.lab.nets.aevae import VariationalNetwork
from narrows.lab.nets.base import StudyNetwork
from narrows.lab.study import grid

THRESHOLD = 0.01


@dataclass(frozen=True, kw_only=True, eq=False)
class Units:
    """What is known of each unit over some pictures (and, in a map, all positions); every array is (m,).

    `variance` is that of the code; `kl_bits` the mean KL of a number of the unit to N(0, 1), None for a plain
    network; `active` which units count as used, by the rule in `active_units`.
    """

    variance: NDArray[np.float64]
    kl_bits: NDArray[np.float64] | None
    active: NDArray[np.bool_]
    threshold: float

    @property
    def count(self) -> int:
        """How many units are active."""
        return int(self.active.sum())


def active_units(network: StudyNetwork, pictures: Pictures, threshold: float = THRESHOLD) -> Units:
    """Which units are used on these pictures, by one of two rules.

    variational   the variance of the mean over pictures is above `threshold` (Burda, Grosse, Salakhutdinov 2016,
                  arXiv:1509.00519, section 5.2, with 0.01): the prior's variance is 1, so the scale is known
    plain         the variance is above `threshold` x the largest unit's, since its scale is free; a dead ReLU has 0

    `kl_bits` says the same in another way: near 0 is a unit that the posterior leaves at the prior.
    """
    require_pictures(pictures, 2)
    if not threshold >= 0:
        raise OptionError(f"a threshold is 0 or more, not {threshold:g}")
    codes = _by_unit(network, pictures)
    variance = codes.var(0)
    if not isinstance(network, VariationalNetwork):
        active = variance > threshold * variance.max()
        return Units(variance=variance, kl_bits=None, active=active, threshold=threshold)
    surprise = StudyNetwork(network.geometry, _UnitKl(network), nn.Identity())
    kl_bits = _by_unit(surprise, pictures).mean(0) / math.log(2)
    return Units(variance=variance, kl_bits=kl_bits, active=variance > threshold, threshold=threshold)


class _UnitKl(nn.Module):
    """In the place of an encoder: the KL of every latent number, in nats, in the shape of the latent."""

    def __init__(self, network: VariationalNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        kl = self.network.posterior(x).kl_nats_per_unit()
        return kl if self.network.geometry.cell is None else kl[:, :, 0, 0]


def _by_unit(network: StudyNetwork, pictures: Pictures) -> NDArray[np.float64]:
    """What the encoder gives, all pictures and positions as (n, m)."""
    return grid.sample_latents(network, pictures).astype(np.float64)
