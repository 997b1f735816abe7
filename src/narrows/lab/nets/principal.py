r"""Study ae-vae, ours: a map that begins as the principal components of its blocks, as a plain and a variational form.

    x (B, 1, H, W) -+- conv 16 x 16, stride 16: components of unit variance ----------------------+
                    +- unshuffled by 4 - conv - conv, stride 2 - conv, stride 2      3x3, ReLU ---+- 1x1 -> mean: y
                                                                                                  +- 1x1 -> log-variance
    y (B, m, H / 16, W / 16) -+- transposed conv 16 x 16, stride 16: the components again --------+- sum
                              +- conv, residual - up 2, residual - up 2 - conv, shuffled by 4 ----+

Both branches of convolutions begin at zero, so the network begins as the linear baseline and learns what that cannot:
to look over a block's border. From a random start the study's layers need many hours on a CPU to come as far. All
weights are trained.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from narrows.lab.measure.arrays import Pictures
from narrows.lab.measure.linear import block_pca_network
from narrows.lab.nets.aevae import VariationalNetwork
from narrows.lab.nets.base import Geometry, StudyNetwork
from narrows.lab.nets.emnist import Residual

STRIDE = 16
WIDTHS = (48, 96, 128)
_FINEST = 4
_STARTING_PICTURES = 256


def principal_autoencoder(pictures: Pictures, latent: int, *, widths: tuple[int, int, int] = WIDTHS) -> StudyNetwork:
    """Deterministic; `pictures` (N, H, W[, 3]) give the components. OptionError as by block_pca_network."""
    start = _start(pictures, latent)
    trunk, decoder = _Trunk(start.into, widths), _Decoder(start.out, latent, widths)
    return StudyNetwork(start.geometry, nn.Sequential(trunk, _head(latent, widths)), decoder)


def principal_vae(
    pictures: Pictures, latent: int, *, noise: float, widths: tuple[int, int, int] = WIDTHS
) -> VariationalNetwork:
    """Its variational twin. `noise`, the squared error that the code begins with (0..1), sets the first variances."""
    start = _start(pictures, latent)
    trunk, decoder = _Trunk(start.into, widths), _Decoder(start.out, latent, widths)
    head, log_variance = _head(latent, widths), nn.Conv2d(latent + widths[2], latent, 1)
    with torch.no_grad():
        log_variance.weight.zero_()
        assert log_variance.bias is not None
        log_variance.bias.copy_((noise / start.spread.square()).clamp(max=1).log())
    return VariationalNetwork(start.geometry, trunk, head, log_variance, decoder)


@dataclass(frozen=True, kw_only=True)
class _Start:
    """The linear network, its code scaled to unit variance, and the components' standard deviations (m,) before."""

    geometry: Geometry
    into: nn.Conv2d
    out: nn.ConvTranspose2d
    spread: Tensor


@torch.no_grad()
def _start(pictures: Pictures, latent: int) -> _Start:
    linear = block_pca_network(pictures, STRIDE, latent)
    into, out = linear.encoder, linear.decoder
    assert isinstance(into, nn.Conv2d) and isinstance(out, nn.ConvTranspose2d) and into.bias is not None
    taken = torch.from_numpy(pictures[:: -(-len(pictures) // _STARTING_PICTURES)])
    planes = (taken if taken.ndim == 4 else taken[..., None]).permute(0, 3, 1, 2).float() / 255
    spread = into(planes).std((0, 2, 3)).clamp_min(1e-4)
    into.weight /= spread[:, None, None, None]
    into.bias /= spread
    out.weight *= spread[:, None, None, None]
    return _Start(geometry=linear.geometry, into=into, out=out, spread=spread)


def _head(latent: int, widths: tuple[int, int, int]) -> nn.Conv2d:
    """From components and features to the code: at the start, the components."""
    head = nn.Conv2d(latent + widths[2], latent, 1)
    with torch.no_grad():
        head.weight.zero_()
        head.weight[:, :latent, 0, 0] = torch.eye(latent)
        assert head.bias is not None
        head.bias.zero_()
    return head


class _Trunk(nn.Module):
    """(B, C, H, W) to components and features, (B, m + w, H / 16, W / 16)."""

    def __init__(self, into: nn.Conv2d, widths: tuple[int, int, int]) -> None:
        super().__init__()
        self.into = into
        shuffled = into.in_channels * _FINEST**2
        layers: list[nn.Module] = [nn.PixelUnshuffle(_FINEST), nn.Conv2d(shuffled, widths[0], 3, padding=1), nn.ReLU()]
        for inputs, outputs in ((widths[0], widths[1]), (widths[1], widths[2])):
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.ReLU()]
        self.deep = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.into(x), self.deep(x)], 1)


class _Decoder(nn.Module):
    """(B, m, h, w) to (B, C, 16 h, 16 w): the components and what the blocks around say beyond them."""

    def __init__(self, out: nn.ConvTranspose2d, latent: int, widths: tuple[int, int, int]) -> None:
        super().__init__()
        self.out = out
        last = nn.Conv2d(widths[0], out.out_channels * _FINEST**2, 3, padding=1)
        with torch.no_grad():
            last.weight.zero_()
            assert last.bias is not None
            last.bias.zero_()
        layers: list[nn.Module] = [nn.Conv2d(latent, widths[2], 3, padding=1), Residual(widths[2]), nn.ReLU()]
        layers += [_double(widths[2], widths[1]), Residual(widths[1]), nn.ReLU(), _double(widths[1], widths[0])]
        self.deep = nn.Sequential(*layers, nn.ReLU(), last, nn.PixelShuffle(_FINEST))

    def forward(self, y: Tensor) -> Tensor:
        return self.out(y) + self.deep(y)  # type: ignore[no-any-return]


def _double(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)
