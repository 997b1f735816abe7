"""What every study network is: an encoder, a decoder, and the geometry of the latent between them.

There are two kinds. A *map* is convolutional from end to end and takes any picture whose sides are multiples of the
stride; its latent is a grid of one position per stride x stride pixels. *Cells* are networks of fixed input size (a
dense layer, a flatten): they see one square of `cell` pixels and give one vector for it.

    map      x (B, C, H, W)       -> encoder -> y (B, m, H / s, W / s) -> decoder -> (B, C, H, W)
    cells    x (B, C, cell, cell) -> encoder -> vector (B, m)          -> decoder -> (B, C, cell, cell)

`StudyNetwork.encode` and `decode` hide the difference: there a vector is (B, m, 1, 1). Samples run from 0 to 1.

Padding. Keras' "same" with stride 2 on an even side pads the bottom and the right only, torch's padding=1 all four
sides. Every network here has torch's: the counts of parameters are those of the studies, the pixels sit half a step
apart from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor, nn
from torch.nn import functional as F

from narrows.errors import OptionError

Activation = Literal["relu", "leaky_relu", "linear"]
MAX_STRIDE = 1024
MAX_LATENT = 4096
LEAK = 0.2
"""Slope of leaky ReLU below zero: what Keras means by the name "leaky_relu", which is how the studies ask for it."""


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """How a picture and its latent lie on each other. OptionError for what no profile can have."""

    channels: int
    """Of the picture: 1 or 3."""
    latent: int
    """Channels m of the latent, skips that are stored included."""
    stride: int
    """Pixels of the coded picture per latent position, each way: a power of two."""
    cell: int | None = None
    """Side of a cell's input for networks of fixed input size, at most the stride; None for maps."""

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise OptionError(f"a picture has 1 or 3 channels, not {self.channels}")
        if not 1 <= self.latent <= MAX_LATENT:
            raise OptionError(f"a latent has 1 to {MAX_LATENT} channels, not {self.latent}")
        if not 1 <= self.stride <= MAX_STRIDE or self.stride & (self.stride - 1):
            raise OptionError(f"the stride is a power of two up to {MAX_STRIDE}, not {self.stride}")
        if self.cell is not None and not self.stride // 2 < self.cell <= self.stride:
            raise OptionError(f"a cell of {self.cell} pixels needs the next power of two as stride, not {self.stride}")

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the latent of a picture of that many pixels, padding included."""
        return -(-height // self.stride), -(-width // self.stride)

    def values(self, height: int, width: int) -> int:
        """How many numbers the latent of such a picture holds."""
        rows, columns = self.grid(height, width)
        return self.latent * rows * columns


def stride_of_cell(cell: int) -> int:
    """The stride of cells of that side: the smallest power of two that holds one."""
    return 1 << max(cell - 1, 0).bit_length()


class StudyNetwork(nn.Module):
    """An autoencoder whose two halves can be exported.

    `encoder` and `decoder` can be traced by torch.fx and are made of Conv2d, ConvTranspose2d, Linear, BatchNorm2d,
    ReLU, LeakyReLU, Sigmoid, Tanh, MaxPool2d(2), Upsample by 2, Flatten, Unflatten, Identity, Dropout, PixelShuffle,
    PixelUnshuffle, Sequential, torch.cat, sums and slices of channels (`x[:, a:b]`); nothing else. Parts that only
    training needs (a VAE's log-variance) are modules beside these two.
    """

    def __init__(self, geometry: Geometry, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.geometry = geometry
        self.encoder = encoder
        self.decoder = decoder

    def encode(self, x: Tensor) -> Tensor:
        """(B, C, H, W) in 0..1 to y (B, m, h, w). H and W are multiples of the stride, or else the cell's side."""
        require_shape(x, self.geometry)
        y: Tensor = self.encoder(x)
        return y if self.geometry.cell is None else y[:, :, None, None]

    def decode(self, y_hat: Tensor) -> Tensor:
        """(B, m, h, w), h = w = 1 for cells, to (B, C, H, W), not clipped."""
        x_hat: Tensor = self.decoder(y_hat if self.geometry.cell is None else y_hat[:, :, 0, 0])
        return x_hat

    def logits(self, y_hat: Tensor) -> Tensor:
        """What `decode` has before its closing sigmoid, for a cross-entropy. OptionError if it ends in another way."""
        if not isinstance(self.decoder, nn.Sequential) or not isinstance(self.decoder[-1], nn.Sigmoid):
            raise OptionError("this decoder does not end in a sigmoid, so it has no logits")
        logits: Tensor = self.decoder[:-1](y_hat if self.geometry.cell is None else y_hat[:, :, 0, 0])
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """The picture through the network and back, not quantised, not clipped. A map pads and crops any size."""
        if self.geometry.cell is not None:
            return self.decode(self.encode(x))
        height, width = x.shape[-2:]
        return self.decode(self.encode(pad_to_stride(x, self.geometry.stride)))[..., :height, :width]


def require_shape(x: Tensor, geometry: Geometry) -> None:
    """OptionError unless x is (B, C, H, W) as `geometry` wants it."""
    if x.ndim != 4 or x.shape[1] != geometry.channels:
        raise OptionError(f"pictures are (B, {geometry.channels}, H, W), not {tuple(x.shape)}")
    height, width = x.shape[-2:]
    if geometry.cell is not None and (height, width) != (geometry.cell, geometry.cell):
        raise OptionError(f"this network sees {geometry.cell} x {geometry.cell} pixels, not {height} x {width}")
    if geometry.cell is None and (height % geometry.stride or width % geometry.stride):
        raise OptionError(f"{height} x {width} pixels: both sides must be multiples of {geometry.stride}")


def pad_to_stride(x: Tensor, stride: int) -> Tensor:
    """(B, C, H, W) with its last row and column repeated up to multiples of the stride, as the codec does it."""
    height, width = x.shape[-2:]
    return F.pad(x, (0, -width % stride, 0, -height % stride), mode="replicate")


def activation(kind: Activation) -> nn.Module:
    """A layer of that kind; "linear" is the identity. OptionError for another name."""
    if kind not in get_args(Activation):
        raise OptionError(f"an activation is one of {', '.join(get_args(Activation))}, not {kind!r}")
    if kind == "linear":
        return nn.Identity()
    return nn.ReLU() if kind == "relu" else nn.LeakyReLU(LEAK)


def keras_start(network: nn.Module) -> None:
    """Give every layer the start that Keras would: Glorot's uniform weights, zero biases. Three studies began so.

    torch's own start differs: biases are not zero, and a layer's outputs begin about 1.7 times smaller (a third of
    the variance). Which ReLU units die depends on it, so a study redone as published needs it.
    """
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
