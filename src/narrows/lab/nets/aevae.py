r"""Study ae-vae: a plain and a variational autoencoder of the same layers and latent size, as a map or a vector.

    map      x (B, 1, H, W) - conv 32 - conv 64 - conv 32 -+- conv m  -> mean: the latent, (B, m, H / 16, W / 16)
             3x3, stride 2, ReLU                           +- conv m  -> log-variance, of the variational form only
             y - transposed conv 32 - 64 - 32 - C, stride 2; ReLU, at the end a sigmoid

    vector   x (B, 1, side, side) - conv 32 - 64 - 32 - 16 - flatten -+- dense m  -> mean, (B, m)
                                                                      +- dense m  -> log-variance
             y - dense, ReLU, as 16 x side/16 x side/16 - transposed convs as above

From the study: the layers, AE-16 and AE-64 (maps with a ReLU on the latent) and the network called VAE (vector of 16,
side 256). Its VAE was trained on the squared error alone, with a random code even in testing: `elbo` with beta 0 is
that. Ours: the true bound, the AE forms of the vector and the VAE forms of the map, so that the two are compared at
one size, and linear latents. A file holds the mean: only the mean's path is exported.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from narrows.errors import OptionError
from narrows.lab.nets.base import Activation, Geometry, StudyNetwork, activation, stride_of_cell

WIDTHS = (32, 64, 32)
VECTOR_MAP = 16
"""Channels of the last map before a vector's dense layers: in the study, as many as the vector has numbers."""
SIDE = 256
LOG_TWO_PI = math.log(2 * math.pi)


def ae_16(channels: int = 1) -> StudyNetwork:
    """The study's AE: 16 channels at 1/16, ReLU on the latent; 41,904 + 41,889 parameters."""
    return map_autoencoder(16, latent_activation="relu", channels=channels)


def ae_64(channels: int = 1) -> StudyNetwork:
    """The study's AE for a ratio of 4: 64 channels, 111,489 parameters; as float32 no smaller than the picture."""
    return map_autoencoder(64, latent_activation="relu", channels=channels)


def vae_16() -> VariationalNetwork:
    """The network that the study calls a VAE: 16 numbers for 256 x 256 pixels, 284,529 parameters."""
    return vector_vae(16)


def map_autoencoder(latent: int, *, latent_activation: Activation = "linear", channels: int = 1) -> StudyNetwork:
    """Deterministic, a map. `bottleneck_for_ratio(ratio, stride=16)` says which latent a wanted ratio leaves."""
    geometry = Geometry(channels=channels, latent=latent, stride=16)
    encoder = nn.Sequential(_trunk(channels, WIDTHS), _half(WIDTHS[-1], latent), activation(latent_activation))
    return StudyNetwork(geometry, encoder, nn.Sequential(*_unfold(latent, channels)))


def map_vae(latent: int, *, channels: int = 1) -> VariationalNetwork:
    """The variational twin of a map_autoencoder with a linear latent."""
    geometry = Geometry(channels=channels, latent=latent, stride=16)
    decoder = nn.Sequential(*_unfold(latent, channels))
    heads = (_half(WIDTHS[-1], latent), _half(WIDTHS[-1], latent))
    return VariationalNetwork(geometry, _trunk(channels, WIDTHS), *heads, decoder)


def vector_autoencoder(latent: int, *, side: int = SIDE, channels: int = 1) -> StudyNetwork:
    """Deterministic, a linear vector."""
    geometry, trunk, flat = _vector_trunk(latent, side, channels)
    return StudyNetwork(
        geometry, nn.Sequential(trunk, nn.Linear(flat, latent)), _vector_decoder(latent, flat, side, channels)
    )


def vector_vae(latent: int = 16, *, side: int = SIDE, channels: int = 1) -> VariationalNetwork:
    """The variational twin of a vector_autoencoder."""
    geometry, trunk, flat = _vector_trunk(latent, side, channels)
    heads = (nn.Linear(flat, latent), nn.Linear(flat, latent))
    return VariationalNetwork(geometry, trunk, *heads, _vector_decoder(latent, flat, side, channels))


@dataclass(frozen=True)
class Posterior:
    """A diagonal Gaussian per picture, q(y | x): mean and log-variance, both (B, m, h, w)."""

    mean: Tensor
    log_variance: Tensor

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """mean + sigma x noise: the reparameterisation, which lets gradients through (arXiv:1312.6114, section 2.4)."""
        noise = torch.randn(self.mean.shape, generator=generator, device=self.mean.device, dtype=self.mean.dtype)
        return self.mean + torch.exp(self.log_variance / 2) * noise

    def kl_nats_per_unit(self) -> Tensor:
        """KL(q || N(0, 1)) of every latent number, (B, m, h, w); a mean over pictures near 0 is a unit not used."""
        return (self.mean.square() + self.log_variance.exp() - 1 - self.log_variance) / 2

    def kl_nats(self) -> Tensor:
        """KL(q || N(0, I)) of every picture, (B,): the sum over its latent numbers (arXiv:1312.6114, appendix B)."""
        return self.kl_nats_per_unit().flatten(1).sum(1)

    def kl_bits(self) -> Tensor:
        """The same in bits: what an ideal coder that draws the code at random would need. No file is that short."""
        return self.kl_nats() / math.log(2)


class VariationalNetwork(StudyNetwork):
    """Its encoder ends in a mean; beside that stands a log-variance head of the same shape, for training alone."""

    encoder: nn.Sequential

    def __init__(
        self, geometry: Geometry, trunk: nn.Module, mean: nn.Module, log_variance: nn.Module, decoder: nn.Module
    ) -> None:
        super().__init__(geometry, nn.Sequential(trunk, mean), decoder)
        self.log_variance = log_variance

    def posterior(self, x: Tensor) -> Posterior:
        """The Gaussian that the encoder has for pictures (B, C, H, W); its mean is `encode(x)`."""
        mean = self.encode(x)  # first, since it checks the shape
        log_variance: Tensor = self.log_variance(self.encoder[0](x))
        return Posterior(mean, log_variance.reshape(mean.shape))


class GaussianLikelihood(nn.Module):
    """p(x | y) = N(decode(y), sigma^2), one variance for all samples: given, or learned beside the network.

    The variance is what weighs the squared error against the KL: with sums on both sides and beta 1 there is no other
    weight to choose. OptionError for a variance that is not above zero.
    """

    def __init__(self, variance: float = 1.0, *, learned: bool = False) -> None:
        super().__init__()
        if not 0 < variance < math.inf:
            raise OptionError(f"a variance is above zero and finite, not {variance:g}")
        self.log_variance = nn.Parameter(torch.tensor(math.log(variance)), requires_grad=learned)

    def nll_nats(self, x_hat: Tensor, x: Tensor) -> Tensor:
        """-ln p(x | y) of every picture, (B,): a sum over samples, constant included; a density, so it may be < 0."""
        errors = (x_hat - x).square() * torch.exp(-self.log_variance)
        return (errors + self.log_variance + LOG_TWO_PI).flatten(1).sum(1) / 2


@dataclass(frozen=True)
class Elbo:
    """The terms of the evidence lower bound, (B,) each, in nats, as sums; and the pictures that were drawn."""

    nll_nats: Tensor
    kl_nats: Tensor
    x_hat: Tensor

    def loss(self, beta: float = 1.0) -> Tensor:
        """Mean over pictures of nll + beta x KL; beta 1 is minus the bound, beta 0 the study's noisy autoencoder."""
        if beta < 0:
            raise OptionError(f"beta is 0 or more, not {beta:g}")
        # not 0 x KL: with nothing to hold the variances, the KL may overflow, and 0 x infinity is no number
        return self.nll_nats.mean() if beta == 0 else (self.nll_nats + beta * self.kl_nats).mean()


def elbo(
    network: VariationalNetwork, likelihood: GaussianLikelihood, x: Tensor, generator: torch.Generator | None = None
) -> Elbo:
    """The bound with one random code per picture; x is (B, C, H, W) in 0..1."""
    posterior = network.posterior(x)
    x_hat = network.decode(posterior.sample(generator))
    return Elbo(likelihood.nll_nats(x_hat, x), posterior.kl_nats(), x_hat)


def _half(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)


def _double(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)


def _trunk(channels: int, widths: tuple[int, ...]) -> nn.Sequential:
    """One halving per width, each with a ReLU."""
    layers: list[nn.Module] = []
    for width in widths:
        layers += [_half(channels, width), nn.ReLU()]
        channels = width
    return nn.Sequential(*layers)


def _unfold(inputs: int, channels: int) -> list[nn.Module]:
    """The decoder's four doublings, from a map to a picture."""
    layers: list[nn.Module] = []
    for width in reversed(WIDTHS):
        layers += [_double(inputs, width), nn.ReLU()]
        inputs = width
    return [*layers, _double(inputs, channels), nn.Sigmoid()]


def _vector_trunk(latent: int, side: int, channels: int) -> tuple[Geometry, nn.Sequential, int]:
    """Geometry, the convolutions down to a flat vector, and its length."""
    if side < 16 or side % 16:
        raise OptionError(f"four layers of stride 2 need a side that 16 divides, not {side}")
    geometry = Geometry(channels=channels, latent=latent, stride=stride_of_cell(side), cell=side)
    trunk = nn.Sequential(*_trunk(channels, (*WIDTHS, VECTOR_MAP)), nn.Flatten())
    return geometry, trunk, VECTOR_MAP * (side // 16) ** 2


def _vector_decoder(latent: int, flat: int, side: int, channels: int) -> nn.Sequential:
    shape = (VECTOR_MAP, side // 16, side // 16)
    return nn.Sequential(nn.Linear(latent, flat), nn.ReLU(), nn.Unflatten(1, shape), *_unfold(VECTOR_MAP, channels))
