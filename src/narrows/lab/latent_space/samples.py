"""Pictures out of nothing but random numbers: what a generative model is for, and the control without one."""

from __future__ import annotations

import numpy as np

from narrows.errors import OptionError
from narrows.lab.latent_space.codes import Pictures, code_size, decode_codes, latents
from narrows.lab.measure.arrays import require_pictures
from narrows.lab.nets.aevae import VariationalNetwork
from narrows.lab.nets.base import StudyNetwork


def prior_samples(network: StudyNetwork, count: int, *, size: tuple[int, int], seed: int = 0) -> Pictures:
    """(count, H, W[, 3]): the decoded means of codes drawn from N(0, I), the prior a variational network trained for.

    OptionError for a plain autoencoder, which has no prior: `fitted_samples` is its control.
    """
    if not isinstance(network, VariationalNetwork):
        raise OptionError("only a variational network has a prior; draw a plain one's codes with fitted_samples")
    _require_count(count)
    codes = np.random.default_rng(seed).standard_normal((count, code_size(network.geometry, size)))
    return decode_codes(network, codes, size)


def fitted_samples(network: StudyNetwork, pictures: Pictures, count: int, *, seed: int = 0) -> Pictures:
    """(count, H, W[, 3]): decoded codes from the Gaussian with the mean and covariance of these pictures' codes.

    Drawn as mean + (random weights) x (centred codes): exactly that Gaussian without its covariance, which for a map
    would be large and, with fewer pictures than numbers, singular. OptionError for fewer than two pictures.
    """
    require_pictures(pictures, 2)
    _require_count(count)
    known = latents(network, pictures).astype(np.float64)
    mean = known.mean(0)
    weights = np.random.default_rng(seed).standard_normal((count, len(known))) / np.sqrt(len(known) - 1)
    height, width = pictures.shape[1:3]
    return decode_codes(network, mean + weights @ (known - mean), (height, width))


def _require_count(count: int) -> None:
    if count < 1:
        raise OptionError(f"at least one sample is drawn, not {count}")
