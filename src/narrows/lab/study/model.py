"""A study's network with what training needs beside it, and the losses that the studies and we train with."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrows.errors import OptionError
from narrows.lab.nets.aevae import GaussianLikelihood, VariationalNetwork, elbo
from narrows.lab.nets.base import StudyNetwork, pad_to_stride
from narrows.lab.rate import rate_distortion_loss
from narrows.lab.study.quantiser import LatentQuantiser

Loss = Literal["mse", "cross_entropy", "luma_chroma"]

CHROMA_WEIGHT = 3.0
"""Of the squared error of Cb and Cr in the luma-chroma loss, against 1 for luma. (In RGB it is about 0.8 and 1.1.)"""
_YCBCR = torch.tensor(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
)  # JPEG's (JFIF 1.02)


class Terms(NamedTuple):  # which Fabric can convert, unlike a frozen dataclass
    """What one batch costs; `bpp` with the rate in the loss, `kl_bits` with the ELBO. All but the loss are for logs."""

    loss: Tensor
    mse: Tensor
    """Mean squared error of pictures in 0..1, not clipped, not rounded."""
    bpp: Tensor | None = None
    """Mean bits per image position of the pictures as they are, without padding."""
    kl_bits: Tensor | None = None
    """Mean over pictures of KL(posterior || prior)."""


class StudyModel(nn.Module):
    """Network, quantiser and likelihood as one module, so that one set of parameters is trained and saved.

    Without `lambdas` and `beta` it is a plain autoencoder. With `lambdas`, rising, one quality each, the rate is in the
    loss and the latent is quantised. With `beta`, of a VariationalNetwork, the loss is minus the ELBO; `variance` is
    the likelihood's, None learns it. OptionError for what does not go together.
    """

    def __init__(
        self, network: StudyNetwork, *, loss: Loss = "mse", lambdas: tuple[float, ...] = (), beta: float | None = None,
        variance: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if (beta is not None) != isinstance(network, VariationalNetwork):
            raise OptionError("beta goes with a variational network, and a variational network with beta")
        if beta is not None and (lambdas or loss != "mse"):
            raise OptionError("the ELBO has its own rate and its own distortion: neither lambdas nor another loss")
        if loss == "cross_entropy" and lambdas:
            raise OptionError("lambdas weigh a squared error against the rate, not a cross-entropy")
        if loss == "luma_chroma" and network.geometry.channels != 3:
            raise OptionError("a grey picture has no chroma to weigh")
        self.network = network
        self.distortion = loss
        self.beta = beta
        self.quantiser = LatentQuantiser(network.geometry.latent, len(lambdas)) if lambdas else None
        self.likelihood = None if beta is None else GaussianLikelihood(variance or 0.05, learned=variance is None)
        self.register_buffer("lambdas", torch.tensor(lambdas, dtype=torch.float32), persistent=False)
        self.register_buffer("ycbcr", _YCBCR, persistent=False)
        self.lambdas: Tensor
        self.ycbcr: Tensor

    def forward(self, planes: Tensor, quality: Tensor | None = None) -> Terms:
        """The loss of pictures (B, C, H, W), uint8; `quality` (B,) int64 where there are lambdas.

        Bytes, because mixed precision would round floats on their way in, and the pictures are the target too.
        """
        x = planes.float() / 255
        if self.beta is not None:
            return self._bound(x)
        if self.quantiser is not None:
            if quality is None:
                raise OptionError("a network for several rates needs the quality of each picture")
            return self._rate_distortion(x, quality)
        if self.distortion == "cross_entropy":
            return self._cross_entropy(x)
        error = self.network(x).float() - x
        return Terms(self._distortion(error).mean(), error.detach().square().mean())

    def _rate_distortion(self, x: Tensor, quality: Tensor) -> Terms:
        height, width = x.shape[-2:]
        y = self.network.encode(pad_to_stride(x, self._stride()))
        assert self.quantiser is not None  # forward has looked
        with torch.autocast(x.device.type, enabled=False):  # the difference of two sigmoids needs float32
            coded = self.quantiser(y.float(), quality)
        error = self.network.decode(coded.y_hat)[..., :height, :width].float() - x
        bpp = coded.bits / (height * width)
        weight = self.lambdas[quality]
        loss = rate_distortion_loss(bpp, weight * 255**2 * self._distortion(error), weight)
        return Terms(loss, error.detach().square().mean(), bpp=bpp.detach().mean())

    def _bound(self, x: Tensor) -> Terms:
        """Nats per sample instead of per picture, so that learning rates mean the same as with the squared error."""
        assert isinstance(self.network, VariationalNetwork) and self.likelihood is not None and self.beta is not None
        with torch.autocast(x.device.type, enabled=False):  # sums over all pixels need float32
            bound = elbo(self.network, self.likelihood, x)
        mse = (bound.x_hat.detach().float() - x).square().mean()
        kl_bits = bound.kl_nats.detach().mean() / math.log(2)
        return Terms(bound.loss(self.beta) / x[0].numel(), mse, kl_bits=kl_bits)

    def _cross_entropy(self, x: Tensor) -> Terms:
        logits = self.network.logits(self.network.encode(x)).float()
        mse = (torch.sigmoid(logits.detach()) - x).square().mean()
        return Terms(F.binary_cross_entropy_with_logits(logits, x), mse)

    def _distortion(self, error: Tensor) -> Tensor:
        """(B,): mean squared error of each picture, or the weighted one of luma and chroma."""
        if self.distortion == "mse":
            return error.square().mean((1, 2, 3))
        planes = torch.einsum("kc,bchw->bkhw", self.ycbcr.to(error), error)
        weights = planes.new_tensor([1.0, CHROMA_WEIGHT, CHROMA_WEIGHT])
        return planes.square().mean((2, 3)) @ weights

    def _stride(self) -> int:
        """What pictures are padded to in training: cells come in their own size."""
        return 1 if self.network.geometry.cell is not None else self.network.geometry.stride
