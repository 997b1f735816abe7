"""How a study's latents become integers: steps per quality and channel, given or learned together with a prior.

    symbols = round(y * gain - mean)        y_hat = (symbols + mean) / gain

`Steps` holds these numbers for use and for export. They come from `uniform_sweep` (after training, b bits over the
range of the training latents) or from a `LatentQuantiser` (in training, with the rate in the loss).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from narrows.entropy import ESCAPE_LIMIT
from narrows.errors import OptionError

SWEEP_BITS = (8, 7, 6, 5, 4, 3, 2)
MOST_BITS = 12
_SMALLEST_PROBABILITY = 2.0**-40
_LOGISTIC_SCALE = math.sqrt(3) / math.pi  # of a logistic distribution whose standard deviation is 1

Noise = Literal["additive", "straight_through"]
Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Steps:
    """Gain and mean of each quality and channel, both float32 (qualities, m); OptionError unless they can be used.

    Quality indices rise with the rate. `lambdas` belong to the profile's manifest: what the loss weighed the error with
    (bits a pixel + lambda x squared error on the scale 0..255), rising. Where no rate was in the loss they are only
    nominal, and `nominal_lambdas` says so.
    """

    gain: NDArray[np.float32]
    mean: NDArray[np.float32]
    lambdas: tuple[float, ...]
    nominal_lambdas: bool = False

    def __post_init__(self) -> None:
        if self.gain.ndim != 2 or self.gain.shape != self.mean.shape or not 1 <= len(self.gain) <= 256:
            raise OptionError(f"gain {self.gain.shape} and mean {self.mean.shape} must both be (1..256 qualities, m)")
        if not (np.isfinite(self.gain).all() and np.isfinite(self.mean).all() and (self.gain > 0).all()):
            raise OptionError("gains must be positive and finite, means finite")
        rising = all(low < high for low, high in zip(self.lambdas, self.lambdas[1:], strict=False))
        if len(self.lambdas) != len(self.gain) or not rising or min(self.lambdas) <= 0:
            raise OptionError(f"lambdas {self.lambdas} must be {len(self.gain)} rising positive numbers, one a quality")

    @property
    def qualities(self) -> int:
        return int(self.gain.shape[0])

    @property
    def latent(self) -> int:
        return int(self.gain.shape[1])

    def symbols(self, y: NDArray[np.float32], quality: int) -> NDArray[np.int32]:
        """y (B, m, h, w) as the integers that a file holds."""
        level = np.rint(y * self.gain[quality][:, None, None] - self.mean[quality][:, None, None])
        symbols: NDArray[np.int32] = np.clip(level, -ESCAPE_LIMIT, ESCAPE_LIMIT).astype(np.int32)
        return symbols

    def values(self, symbols: NDArray[np.int32], quality: int) -> NDArray[np.float32]:
        """y_hat (B, m, h, w) of such integers."""
        shifted = symbols.astype(np.float32) + self.mean[quality][:, None, None]
        y_hat: NDArray[np.float32] = shifted / self.gain[quality][:, None, None]
        return y_hat

    def shifted(self, by: NDArray[np.int32]) -> Steps:
        """The same values with every symbol `by` (qualities, m) smaller."""
        mean = (self.mean + by).astype(np.float32)
        return Steps(gain=self.gain, mean=mean, lambdas=self.lambdas, nominal_lambdas=self.nominal_lambdas)


def uniform_sweep(y: Array | Tensor, bits: Sequence[int] = SWEEP_BITS) -> Steps:
    """One quality for each number of bits, the fewest first: 2^bits levels over each channel's own range in `y`.

    `y` are latents of training pictures, (N, m) or (N, m, h, w). The lowest level is the smallest value seen, so a
    ReLU's zero stays exactly zero, the highest is the largest; a value outside gets a symbol outside and is not
    clipped. A channel that never moves has the symbol 0 and costs nothing. The lambdas are nominal, 4^(bits - 8): at
    high rates the slope of rate against error grows so. OptionError for bits that repeat or are not in 1..12, or no
    usable samples.
    """
    values = torch.as_tensor(y).detach().cpu().double().numpy()
    if values.ndim not in (2, 4) or values.size == 0 or not np.isfinite(values).all():
        raise OptionError(f"latents are finite numbers (N, m) or (N, m, h, w), at least one, not {values.shape}")
    ordered = sorted(bits)
    if not ordered or len(set(ordered)) != len(ordered) or not all(1 <= b <= MOST_BITS for b in ordered):
        raise OptionError(f"bits {tuple(bits)} must be different whole numbers from 1 to {MOST_BITS}")
    axes = (0,) if values.ndim == 2 else (0, 2, 3)
    low, high = values.min(axes), values.max(axes)
    moving = high > low
    levels = np.array([2.0**b - 1 for b in ordered])[:, None]
    gain = np.where(moving, levels / np.where(moving, high - low, 1), 1)
    lambdas = tuple(4.0 ** (b - 8) for b in ordered)
    return Steps(
        gain=gain.astype(np.float32), mean=(low * gain).astype(np.float32), lambdas=lambdas, nominal_lambdas=True
    )


def live_channels(symbols: Array | Tensor) -> NDArray[np.bool_]:
    """(m,): which channels of symbols or latents (N, m) or (N, m, h, w) ever take more than one value."""
    values = torch.as_tensor(symbols).detach().cpu().numpy()
    if values.ndim not in (2, 4) or values.size == 0:
        raise OptionError(f"symbols are (N, m) or (N, m, h, w), at least one, not {values.shape}")
    axes = (0,) if values.ndim == 2 else (0, 2, 3)
    live: NDArray[np.bool_] = values.min(axes) < values.max(axes)
    return live


@dataclass(frozen=True, kw_only=True)
class Quantised:
    """y_hat (B, m, h, w) for the decoder, and the bits of each picture's latents (B,)."""

    y_hat: Tensor
    bits: Tensor


class LatentQuantiser(nn.Module):
    """Learned steps per quality and channel, and a factorised prior that says what the symbols cost.

        y --x gain[q, c]--> + noise in -1/2..1/2 (training) or rounding (eval) --/ gain[q, c]--> y_hat
                                            |
                      -log2 of the mass that the prior of channel c gives the bin

    A channel's prior is one mixture of logistic distributions over y itself, so all qualities share what they learn: a
    bin of quality q is 1 / gain[q, c] wide. Additive noise stands for rounding in the manner of Balle, Laparra and
    Simoncelli (arXiv:1611.01704). With noise="straight_through" the decoder sees rounded latents in training too, and
    only the rate sees the noise.

    `latent` is the geometry's m, skips included. OptionError for numbers below 1 or an unknown `noise`.
    """

    def __init__(self, latent: int, qualities: int, *, components: int = 3, noise: Noise = "additive") -> None:
        super().__init__()
        if latent < 1 or not 1 <= qualities <= 256 or components < 1:
            raise OptionError(
                f"latent {latent}, qualities {qualities}, components {components}: 1 or more, 256 qualities"
            )
        if noise not in get_args(Noise):
            raise OptionError(f"noise is one of {', '.join(get_args(Noise))}, not {noise!r}")
        self.noise = noise
        self.log_gain = nn.Parameter(torch.zeros(qualities, latent))
        self.weight_logits = nn.Parameter(torch.zeros(components, latent))
        spread = torch.linspace(-1, 1, components) if components > 1 else torch.zeros(1)
        self.location = nn.Parameter(spread[:, None].repeat(1, latent))
        self.log_scale = nn.Parameter(torch.full((components, latent), math.log(_LOGISTIC_SCALE)))

    @torch.no_grad()
    def start(self, y: Tensor, *, coarsest: float = 1.0, finest: float = 16.0) -> None:
        """Set prior and gains from latents (N, m) or (N, m, h, w) of training pictures.

        A channel's standard deviation becomes `coarsest` steps at quality 0 and `finest` at the last one.
        """
        flat = y.detach().to(self.location).reshape(len(y), self.location.shape[1], -1)
        mean, spread = flat.mean((0, 2)), flat.std((0, 2), correction=0)
        # A channel that hardly moves yet must not begin with an infinite gain.
        spread = spread.clamp_min(1e-2 * float(spread.max())).clamp_min(1e-6)
        components, qualities = len(self.location), len(self.log_gain)
        places = torch.linspace(-1, 1, components).to(mean) if components > 1 else torch.zeros(1).to(mean)
        self.weight_logits.zero_()
        self.location.copy_(mean + places[:, None] * spread)
        self.log_scale.copy_((spread * _LOGISTIC_SCALE).log().expand_as(self.log_scale))
        levels = torch.linspace(math.log(coarsest), math.log(finest), qualities).to(mean)
        self.log_gain.copy_(levels[:, None] - spread.log())

    def forward(self, y: Tensor, quality: Tensor) -> Quantised:
        """Quantise y (B, m, h, w) at the quality indices (B,) int64: with noise in training, rounded in eval mode."""
        gain = self.log_gain[quality].exp()[:, :, None, None]
        scaled = y * gain
        rounded = scaled
        if not self.training or self.noise == "straight_through":
            offset = self.mean()[quality][:, :, None, None]
            rounded = torch.round(scaled - offset) + offset
        if self.training:
            noisy = scaled + torch.rand_like(scaled) - 0.5
            seen = noisy if self.noise == "additive" else scaled + (rounded - scaled).detach()
        else:
            noisy = seen = rounded
        return Quantised(y_hat=seen / gain, bits=self._bits(noisy, gain).sum((1, 2, 3)))

    def _bits(self, value: Tensor, gain: Tensor) -> Tensor:
        """Bits of each value (B, m, h, w), in steps: the prior's mass within half a step of it."""
        weights = F.softmax(self.weight_logits, dim=0)
        total = torch.zeros_like(value)
        for weight, location, log_scale in zip(weights, self.location, self.log_scale, strict=True):
            # In steps; both arguments lie in the lower tail, where float32 keeps their difference.
            scale = log_scale.exp()[:, None, None] * gain
            distance = (value - location[:, None, None] * gain).abs()
            mass = torch.sigmoid((0.5 - distance) / scale) - torch.sigmoid((-0.5 - distance) / scale)
            total = total + weight[:, None, None] * mass
        return -torch.log2(total.clamp_min(_SMALLEST_PROBABILITY))

    @torch.no_grad()
    def mean(self) -> Tensor:
        """(qualities, m), in steps: where the prior is highest, so that the commonest latent is rebuilt exactly.

        The height is looked for at the components' centres.
        """
        scale = self.log_scale.exp()
        distance = (self.location[:, None] - self.location[None]) / scale[None]  # (at, of, m)
        half = torch.sigmoid(distance) * torch.sigmoid(-distance)
        density = (F.softmax(self.weight_logits, dim=0) * half / scale).sum(1)
        mode = self.location.gather(0, density.argmax(0, keepdim=True))[0]
        return mode * self.log_gain.exp()

    def steps(self, lambdas: Sequence[float]) -> Steps:
        """The steps as they are used after training; `lambdas` are those of the loss, rising, one a quality."""
        gain, mean = self.log_gain.detach().exp(), self.mean()
        return Steps(
            gain=gain.cpu().float().numpy(), mean=mean.cpu().float().numpy(), lambdas=tuple(map(float, lambdas))
        )
