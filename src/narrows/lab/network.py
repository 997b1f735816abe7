r"""The flagship network: a fast transform pair, a hyper-latent, and context in a few parallel steps.

    picture (B, H, W, 3) in 0..1
      | analysis: unshuffle 8, blocks at 1/8, unshuffle 2, blocks at 1/16, x gain(quality)
      y ----------------------------------------------+
      | hyper-analysis                                 |  symbols = round(y - mean), y_hat = symbols + mean
      z -> z_hat -> mean net (float) -> mean ----------+                            + centroid x sign(symbols)
              \-> scale net (integers) -> rows: which table codes each symbol
                   both see what earlier context steps decoded
      y_hat -> synthesis: mirror of analysis -> picture

Tensors are (B, H, W, C) throughout and 1x1 convolutions are matrix products, which is what a CPU does fastest.
Unshuffle order is ONNX's SpaceToDepth: output channel = (row * block + column) * channels + channel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrows.errors import OptionError
from narrows.lab.context import ContextOrder
from narrows.lab.dead_zone import DeadZone, Quantiser
from narrows.lab.depthwise import Depthwise
from narrows.lab.integer import (
    ACTIVATION_UNIT,
    IntegerDepthwise,
    IntegerLinear,
    bounded,
    integer_activation,
    quantised_bias,
    quantised_weight,
    straight_through,
)
from narrows.lab.quality_table import QualityTable
from narrows.lab.rate import LOG2_SCALE_STEP, LOWEST_LOG2_SCALE, ROWS, SKIPPED_ROWS, ResidualRate, SideRate
from narrows.lab.side import SIDE_STEP_COUNT, SideNet

LATENT_STRIDE = 16
HYPER_STRIDE = 64
HYPER_LIMIT = 63
CONTEXT_SYMBOL_LIMIT = 15
ROWS_PER_UNIT = 8
"""A sum of 1 in the scale net's output moves the table by this many rows."""
SLOPE = 0.1
"""Of every leaky ReLU."""
LOG_CAP = 16.0


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """Widths and depths; one instance describes one network and is stored in the profile's training record."""

    name: str
    channels: int = 3
    analysis_width: tuple[int, int]
    """Channels at 1/8 and at 1/16."""
    analysis_blocks: tuple[int, int]
    synthesis_width: tuple[int, int]
    synthesis_blocks: tuple[int, int]
    synthesis_kernel: int = 3
    """Side of the depthwise kernels of the synthesis at 1/8; 5 reaches across two patches and hides their edges."""
    latent: int
    hyper_latent: int
    mean_width: int
    scale_width: int
    side_width: int = 0
    """Of the net that tells how the hyper-latent is coded; 0: by a fixed table a channel and class of qualities."""
    context_steps: int
    centroids: bool = False
    """Whether the mean net also says how far from the middle of its interval a value lies that is not zero."""
    qualities: int = 64
    quality_knots: int = 9
    quality_classes: int = 4
    lambda_min: float = 0.00025
    lambda_max: float = 0.45

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> NetworkConfig:
        """The configuration from dataclasses.asdict after a way through JSON. OptionError if a field is wrong."""
        try:
            values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
            return cls(**values)
        except TypeError as error:
            raise OptionError(f"is not a network's configuration: {error}") from error

    def lambdas(self) -> Tensor:
        """The trade of each quality: loss = bits per pixel + lambda x distortion on the 8-bit scale (distortion.py)."""
        steps = torch.arange(self.qualities, dtype=torch.float64) / (self.qualities - 1)
        return (self.lambda_min * (self.lambda_max / self.lambda_min) ** steps).float()

    def steps(self) -> Tensor:
        """Quantisation step of each quality for samples in 0..1, near the optimum of a uniform quantiser."""
        return torch.sqrt(8.66 / self.lambdas()) / 255

    def spread_qualities(self, count: int) -> list[int]:
        """At most `count` different quality indices from the lowest to the highest, evenly spread."""
        return sorted({round(i * (self.qualities - 1) / (count - 1)) for i in range(count)})

    def class_of_quality(self) -> Tensor:
        return torch.arange(self.qualities) * self.quality_classes // self.qualities


FLAGSHIP_S = NetworkConfig(
    name="s",
    analysis_width=(192, 320),
    analysis_blocks=(1, 3),
    synthesis_width=(128, 320),
    synthesis_blocks=(5, 3),
    synthesis_kernel=5,
    latent=320,
    hyper_latent=64,
    mean_width=128,
    scale_width=96,
    side_width=96,
    context_steps=2,
    centroids=True,
)
FLAGSHIP_M = NetworkConfig(
    name="m",
    analysis_width=(256, 384),
    analysis_blocks=(3, 4),
    synthesis_width=(144, 352),
    synthesis_blocks=(3, 3),
    latent=320,
    hyper_latent=96,
    mean_width=160,
    scale_width=128,
    side_width=128,
    context_steps=4,
    centroids=True,
)
TINY = NetworkConfig(
    name="tiny",
    analysis_width=(32, 48),
    analysis_blocks=(1, 1),
    synthesis_width=(32, 48),
    synthesis_blocks=(1, 1),
    latent=32,
    hyper_latent=8,
    mean_width=16,
    scale_width=16,
    side_width=16,
    context_steps=2,
    centroids=True,
    quality_knots=3,
    qualities=8,
)
"""For tests and golden files only."""


def unshuffle(x: Tensor, block: int) -> Tensor:
    """(B, H, W, C) to (B, H / block, W / block, block x block x C)."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // block, block, w // block, block, c).permute(0, 1, 3, 2, 4, 5)
    return x.reshape(b, h // block, w // block, block * block * c)


def shuffle(x: Tensor, block: int) -> Tensor:
    """The inverse of unshuffle."""
    b, h, w, c = x.shape
    c //= block * block
    x = x.reshape(b, h, w, block, block, c).permute(0, 1, 3, 2, 4, 5)
    return x.reshape(b, h * block, w * block, c)


class Block(nn.Module):
    """x + a depthwise kernel, 1x1 to twice the channels, leaky ReLU, 1x1 back; starts as the identity."""

    def __init__(self, channels: int, kernel: int = 3) -> None:
        super().__init__()
        self.depthwise = Depthwise(channels, kernel)
        self.expand = nn.Linear(channels, 2 * channels)
        self.project = nn.Linear(2 * channels, channels)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)
        nn.init.zeros_(self.depthwise.bias)  # type: ignore[arg-type]
        with torch.no_grad():
            self.depthwise.weight.mul_(0.3)
            self.depthwise.weight[:, :, kernel // 2, kernel // 2] += 1

    def forward(self, x: Tensor) -> Tensor:
        h = self.depthwise(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        change: Tensor = self.project(F.leaky_relu(self.expand(h), SLOPE))
        return x + change


def blocks(channels: int, count: int, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(*(Block(channels, kernel) for _ in range(count)))


def quality_table(config: NetworkConfig, channels: int) -> QualityTable:
    return QualityTable(config.qualities, config.quality_knots, channels)


class Analysis(nn.Module):
    """Picture to latent, before the gain."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        fine, coarse = config.analysis_width
        self.stem = nn.Linear(64 * config.channels, fine)
        self.fine_scale = quality_table(config, fine)
        self.fine = blocks(fine, config.analysis_blocks[0])
        self.down = nn.Linear(4 * fine, coarse)
        self.coarse_scale = quality_table(config, coarse)
        self.coarse = blocks(coarse, config.analysis_blocks[1])
        self.out = nn.Linear(coarse, config.latent)
        self.log_gain = quality_table(config, config.latent)
        self.register_buffer("inverse_step", 1 / config.steps(), persistent=False)
        self.inverse_step: Tensor

    def gain(self) -> Tensor:
        """(qualities, latent): what a latent is multiplied by."""
        gain: Tensor = torch.exp(self.log_gain.table()) * self.inverse_step[:, None]
        return gain

    def forward(self, picture: Tensor, quality: Tensor) -> Tensor:
        x = self.stem(unshuffle(picture - 0.5, 8))
        x = self.fine(x * (1 + self.fine_scale(quality)).to(x.dtype))
        x = self.down(unshuffle(x, 2))
        x = self.coarse(x * (1 + self.coarse_scale(quality)).to(x.dtype))
        y: Tensor = self.out(x)
        return y.float() * self.gain()[quality][:, None, None, :]


class Synthesis(nn.Module):
    """Quantised latent to picture, not clipped."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        fine, coarse = config.synthesis_width
        self.log_gain = quality_table(config, config.latent)
        self.into = nn.Linear(config.latent, coarse)
        self.coarse = blocks(coarse, config.synthesis_blocks[1])
        self.up = nn.Linear(coarse, 4 * fine)
        self.fine_scale = quality_table(config, fine)
        self.fine = blocks(fine, config.synthesis_blocks[0], config.synthesis_kernel)
        self.out = nn.Linear(fine, 64 * config.channels)
        self.register_buffer("step", config.steps(), persistent=False)
        self.step: Tensor

    def gain(self) -> Tensor:
        """(qualities, latent): the inverse gain."""
        return torch.exp(self.log_gain.table()) * self.step[:, None]

    def forward(self, y_hat: Tensor, quality: Tensor) -> Tensor:
        x = self.coarse(self.into(y_hat * self.gain()[quality][:, None, None, :]))
        x = shuffle(self.up(x), 2)
        x = self.fine(x * (1 + self.fine_scale(quality)).to(x.dtype))
        return shuffle(self.out(x), 8).float() + 0.5


class HyperAnalysis(nn.Module):
    """Latent to hyper-latent: sees magnitudes on a log scale and, capped, the values themselves."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        width = config.mean_width
        self.into = nn.Linear(2 * config.latent, width)
        self.down = nn.Linear(4 * width, width)
        self.out = nn.Linear(4 * width, config.hyper_latent)

    def forward(self, y: Tensor) -> Tensor:
        features = torch.cat([torch.log2(1 + y.abs()), y.clamp(-LOG_CAP, LOG_CAP) / 4], -1)
        h = F.leaky_relu(self.into(features), SLOPE)
        h = F.leaky_relu(self.down(unshuffle(h, 2)), SLOPE)
        z: Tensor = self.out(unshuffle(h, 2))
        return z.float()


class MeanNet(nn.Module):
    """Predicts y from z_hat and, step by step, from y_hat so far. Float: it never decides how bits are read."""

    def __init__(self, config: NetworkConfig, order: ContextOrder) -> None:
        super().__init__()
        self.order = order
        width = config.mean_width
        self.into = nn.Linear(config.hyper_latent, 4 * width)
        self.block = Block(width)
        self.up = nn.Linear(width, 4 * width)
        inputs = [width + (config.latent if step else 0) for step in range(config.context_steps)]
        self.step_in = nn.ModuleList(nn.Linear(n, width) for n in inputs)
        self.step_block = nn.ModuleList(Block(width) for _ in inputs)
        self.step_out = nn.ModuleList(nn.Linear(width, config.latent) for _ in inputs)
        heads = inputs if config.centroids else []
        self.step_centroid = nn.ModuleList(nn.Linear(width, config.latent) for _ in heads)
        for out in (*self.step_out, *self.step_centroid):
            nn.init.zeros_(out.weight)
            nn.init.zeros_(out.bias)

    def features(self, z_hat: Tensor) -> Tensor:
        h = F.leaky_relu(shuffle(self.into(z_hat), 2), SLOPE)
        return F.leaky_relu(shuffle(self.up(self.block(h)), 2), SLOPE)

    def forward(self, step: int, features: Tensor, y_hat: Tensor) -> Prediction:
        """The step's part of y; y_hat (B, H, W, latent) is zero where it is not known yet."""
        x = torch.cat([features, y_hat.to(features.dtype)], -1) if step else features
        h = self.step_block[step](F.leaky_relu(self.step_in[step](x), SLOPE))
        centroid = self._head(self.step_centroid[step], h, step) if len(self.step_centroid) else None
        return Prediction(self._head(self.step_out[step], h, step), centroid)

    def _head(self, layer: nn.Module, h: Tensor, step: int) -> Tensor:
        assert isinstance(layer, nn.Linear)
        return self.order.linear(h, layer.weight, layer.bias, step).float()


class Prediction(NamedTuple):
    """What the mean net knows of the part of y that one step codes, in steps of the quantiser.

    `centroid` is how much larger than |symbol| the magnitude of y - mean is expected to be, where a symbol is not zero:
    values are densest near zero, so it is mostly below zero, and the more so the less likely the symbol was.
    """

    mean: Tensor
    centroid: Tensor | None

    def value(self, symbol: Tensor) -> Tensor:
        """y_hat of symbols."""
        value = symbol + self.mean
        return value if self.centroid is None else value + self.centroid * torch.sign(symbol.detach())


class ScaleNet(nn.Module):
    """Rows of tables from z_hat and, step by step, from the symbols so far. Integers only (integer.py)."""

    def __init__(self, config: NetworkConfig, order: ContextOrder) -> None:
        super().__init__()
        self.order = order
        width = config.scale_width
        self.into = IntegerLinear(config.hyper_latent, 4 * width)
        self.up = IntegerLinear(width, 4 * width)
        inputs = [width + (config.latent if step else 0) for step in range(config.context_steps)]
        self.step_in = nn.ModuleList(IntegerLinear(n, width) for n in inputs)
        self.step_depthwise = nn.ModuleList(IntegerDepthwise(width) for _ in inputs)
        self.step_mid = nn.ModuleList(IntegerLinear(width, 2 * width) for _ in inputs)
        self.step_out = nn.ModuleList(IntegerLinear(2 * width, config.latent, bias=False) for _ in inputs)
        self.row_bias = quality_table(config, config.latent)
        for out in self.step_out:
            nn.init.zeros_(out.weight)  # type: ignore[arg-type]

    def features(self, z_hat: Tensor) -> Tensor:
        """z_hat whole numbers within +-HYPER_LIMIT."""
        h = integer_activation(shuffle(self.into(z_hat / ACTIVATION_UNIT), 2))
        return integer_activation(shuffle(self.up(h), 2))

    def row_bias_table(self) -> Tensor:
        """(qualities, latent) in units of 1/1024."""
        return quantised_bias(self.row_bias.table())

    def forward(self, step: int, features: Tensor, symbols: Tensor, quality: Tensor) -> Tensor:
        """Rows 0..63 of the step's part, whole numbers forwards, with a gradient to the continuous row.

        symbols (B, H, W, latent) are zero where they are not known yet.
        """
        x = features
        if step:
            magnitude = symbols.abs().clamp(max=CONTEXT_SYMBOL_LIMIT) / 2
            x = torch.cat([features, magnitude.to(features.dtype)], -1)
        h = integer_activation(self.step_in[step](x))
        h = integer_activation(self.step_depthwise[step](h))
        h = integer_activation(self.step_mid[step](h))
        weight = quantised_weight(self.step_out[step].weight)  # type: ignore[arg-type]
        bias = self.row_bias_table()[quality][:, self.order.chosen[step]]
        total = self.order.linear(h, weight, None, step).float() + bias[:, None, None]
        row = bounded(total * ROWS_PER_UNIT, 0, ROWS - 1)
        return straight_through(row, torch.floor(row.detach()))


def _with_noise(x: Tensor) -> Tensor:
    return x + torch.rand_like(x) - 0.5


_ROUNDING = Quantiser(curve=DeadZone(), first_coded=SKIPPED_ROWS)


class Coded(NamedTuple):
    """What one pass gives: all (B, ...), bits summed per picture."""

    picture: Tensor
    latent_bits: Tensor
    side_bits: Tensor


class Flagship(nn.Module):
    """The whole network; forward is the training pass."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.analysis = Analysis(config)
        self.hyper_analysis = HyperAnalysis(config)
        self.order = ContextOrder(config.latent, config.context_steps)
        self.mean_net = MeanNet(config, self.order)
        self.scale_net = ScaleNet(config, self.order)
        self.synthesis = Synthesis(config)
        self.residual_rate = ResidualRate()
        self.side_net = self.side_rate = None
        if config.side_width:
            sizes = (config.hyper_latent, config.side_width, config.qualities, config.quality_knots)
            self.side_net = SideNet(*sizes)
        else:
            self.side_rate = SideRate(config.quality_classes, config.hyper_latent)
        self.quantiser: Quantiser | None = None
        """That of the encoder whose symbols all behind it learn from; None while they learn from noise."""
        self.encoder_learns = True
        self.side_alone = False
        self.register_buffer("class_of_quality", config.class_of_quality(), persistent=False)
        self.class_of_quality: Tensor

    def learn_written(self, quantiser: Quantiser, *, encoder_learns: bool) -> None:
        """From now on learn from the symbols that an encoder with this quantiser writes.

        Without `encoder_learns` analysis and hyper-analysis are excluded from training.
        """
        self.quantiser = quantiser
        self.encoder_learns = encoder_learns
        for module in (self.analysis, self.hyper_analysis):
            module.requires_grad_(encoder_learns)

    def learn_side(self) -> None:
        """From now on learn how the hyper-latent is coded, and nothing else. OptionError without a side net."""
        if self.side_net is None:
            raise OptionError("the network has no side net to train; give it a side_width")
        self.side_alone = True
        self.requires_grad_(False)
        self.side_net.requires_grad_(True)

    def forward(self, picture: Tensor, quality: Tensor) -> Coded:
        """Picture (B, H, W, channels) in 0..1, H and W multiples of 64; quality (B,).

        Rounding (straight-through) goes to the decoder and the context, uniform noise to the rate while training
        (arXiv:2104.05168); in eval mode both are the rounded symbols. With a quantiser the nets behind the encoder
        see, and are rated by, the symbols that are really written; noise then tells the encoder alone what it costs.
        """
        if self.side_alone and self.training:
            return self._side_pass(picture, quality)
        quantise = self.quantiser or _ROUNDING
        y = self.analysis(picture, quality)
        z = self.hyper_analysis(y)
        z_hat = straight_through(z, z.detach().round().clamp(-HYPER_LIMIT, HYPER_LIMIT))
        z_rated = _with_noise(z) if self.training and self.encoder_learns else z_hat
        side_bits = self.side_bits(z_rated, z_hat, quality)

        mean_features, scale_features = self.mean_net.features(z_hat), self.scale_net.features(z_hat)
        y_hat, symbols = torch.zeros_like(y), torch.zeros_like(y)
        latent_bits = torch.zeros_like(side_bits)
        for step in range(self.config.context_steps):
            prediction = self.mean_net(step, mean_features, y_hat)
            row = self.scale_net(step, scale_features, symbols, quality)
            part = self.order.take(y, step)
            residual = part - prediction.mean
            coded = row.detach() >= quantise.first_coded
            symbol = straight_through(residual, quantise(residual.detach(), row.detach()))
            if not self.training:
                bits = self.residual_rate(symbol, row) * coded
            elif self.quantiser is None:
                bits = self.residual_rate(_with_noise(residual), row)
            else:
                bits = self._written_bits(part.detach() - prediction.mean, symbol.detach(), row, coded)
                if self.encoder_learns:
                    noisy = _with_noise(part - prediction.mean.detach())
                    noisy = self.residual_rate(noisy, row.detach(), shape_learns=False)
                    bits = straight_through(bits + noisy, bits.detach())
            latent_bits = latent_bits + bits.sum((1, 2, 3, 4))
            y_hat = y_hat + self.order.spread(prediction.value(symbol), step)
            symbols = symbols + self.order.spread(symbol, step)
        return Coded(self.synthesis(y_hat, quality), latent_bits, side_bits)

    def _side_pass(self, picture: Tensor, quality: Tensor) -> Coded:
        with torch.no_grad():
            z_hat = self.hyper_analysis(self.analysis(picture, quality)).round().clamp(-HYPER_LIMIT, HYPER_LIMIT)
        side_bits = self.side_bits(z_hat, z_hat, quality)
        return Coded(picture, torch.zeros_like(side_bits), side_bits)

    def side_bits(self, rated: Tensor, z_hat: Tensor, quality: Tensor) -> Tensor:
        """(B,) what the hyper-latent costs; `rated` (B, h, w, hyper) is z_hat or z with noise."""
        if self.side_net is not None:
            return self.side_net.bits(rated, z_hat, quality).sum((1, 2, 3))
        assert self.side_rate is not None
        bits: Tensor = self.side_rate(rated, self.class_of_quality[quality])
        return bits.sum((1, 2, 3))

    def start_side(self, mean: Tensor, log_scale: Tensor) -> None:
        """Begin the side net with the distributions of a network without one (rate.SideRate), (classes, hyper) both."""
        if self.side_net is not None:
            self.side_net.start(mean[self.class_of_quality], log_scale[self.class_of_quality] / math.log(2))

    def _written_bits(self, residual: Tensor, symbol: Tensor, row: Tensor, coded: Tensor) -> Tensor:
        """What a step's symbols cost, to learn means and rows by; also where rows are skipped: what plain rounding
        would cost there, or no row that once was skipped would ever be coded again.
        """
        symbol = torch.where(coded, symbol, residual.detach().round())
        bits: Tensor = self.residual_rate(straight_through(residual, symbol), row)
        return bits

    @torch.no_grad()
    def linear_start(self, pictures: Tensor) -> None:
        """Make the network a working transform codec: principal components of 16x16 patches, rows from their variance.

        pictures (N, H, W, channels) in 0..1. The stem becomes the components of 8x8 patches, `down` the step from four
        of those to the components of 16x16 patches, the synthesis its transpose; residual blocks are the identity.
        """
        config = self.config
        centred = pictures - 0.5
        _, basis8 = _principal_components(unshuffle(centred, 8))
        variance, basis16 = _principal_components(unshuffle(centred, 16))
        latent, inputs16 = config.latent, basis16.shape[1]
        fine_in, fine_out = basis8[: config.analysis_width[0]], basis8[: config.synthesis_width[0]]

        # Column j of `pyramid(v)` is what the two unshuffles and the stem v make of unit patch j.
        unit = shuffle(torch.eye(inputs16)[:, None, None, :], 16)
        pyramid8 = unshuffle(unit, 8)

        def pyramid(v: Tensor) -> Tensor:
            return unshuffle(pyramid8 @ v.T, 2).reshape(inputs16, -1).T

        self.analysis.stem.weight.zero_()
        self.analysis.stem.weight[: len(fine_in)].copy_(fine_in)
        self.synthesis.out.weight.zero_()
        self.synthesis.out.weight[:, : len(fine_out)].copy_(fine_out.T)
        for layer in (self.analysis.down, self.synthesis.up):
            nn.init.normal_(layer.weight, std=0.02)
        into_latent = basis16[:latent] @ pyramid(fine_in).T
        self.analysis.down.weight[:latent].copy_(into_latent)
        self.synthesis.up.weight[:, :latent].copy_(pyramid(fine_out) @ basis16[:latent].T)
        self.analysis.out.weight.copy_(torch.eye(latent, self.analysis.down.out_features))
        self.synthesis.into.weight.copy_(torch.eye(self.synthesis.into.out_features, latent))
        for module in (self.analysis, self.synthesis):
            for name, parameter in module.named_parameters():
                if name.endswith("bias"):
                    parameter.zero_()

        # A latent's standard deviation in steps, at each knot (log2 of the step is linear in the quality index).
        knots = torch.linspace(0, config.qualities - 1, config.quality_knots).round().long()
        deviation = variance[:latent].clamp_min(1e-8).sqrt()[None] * 0.5 / config.steps()[knots][:, None]
        row = (torch.log2(deviation + 0.05) - LOWEST_LOG2_SCALE) / LOG2_SCALE_STEP
        self.scale_net.row_bias.knots.copy_(row.clamp(0, ROWS - 1) / ROWS_PER_UNIT)


def _principal_components(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Variances, falling, and components (rows) of the last axis."""
    flat = patches.reshape(-1, patches.shape[-1]).double()
    variance, vectors = torch.linalg.eigh(flat.T @ flat / len(flat))
    return variance.flip(0).float(), vectors.flip(1).T.float()


def kilo_macs_per_pixel(config: NetworkConfig) -> tuple[float, float]:
    """Multiplications per pixel, in thousands, of (analysis with hyper-analysis, synthesis with its context nets)."""

    def block(c: int, kernel: int = 3) -> int:
        return 4 * c * c + kernel * kernel * c

    (a8, a16), (n8, n16) = config.analysis_width, config.analysis_blocks
    (s8, s16), (k8, k16) = config.synthesis_width, config.synthesis_blocks
    patch, m, hz, w, v = 64 * config.channels, config.latent, config.hyper_latent, config.mean_width, config.scale_width
    encode = (patch * a8 + n8 * block(a8)) / 64 + (4 * a8 * a16 + n16 * block(a16) + a16 * m) / 256
    encode += 2 * m * w / 256 + 4 * w * w / 1024 + 4 * w * hz / 4096
    decode = (patch * s8 + k8 * block(s8, config.synthesis_kernel)) / 64
    decode += (4 * s8 * s16 + k16 * block(s16) + s16 * m) / 256
    features = (hz * 4 * w + hz * 4 * v) / 4096 + (block(w) + 4 * w * w + 4 * v * v) / 1024
    context = 0.0
    for step in range(config.context_steps):
        seen = m * step / config.context_steps  # what is not coded yet is not looked at,
        heads = m / config.context_steps  # and what is not coded now is not computed
        context += (w + seen) * w + block(w) + (2 if config.centroids else 1) * w * heads
        context += (v + seen) * v + 9 * v + 2 * v * v + 2 * v * heads
    context /= 256
    if config.side_width:
        context += (SIDE_STEP_COUNT - 1) * (9 * hz + 2 * hz) * config.side_width / 4096
    return (encode + features + context) / 1000, (decode + features + context) / 1000


def parameter_count(module: nn.Module) -> int:
    return sum(math.prod(p.shape) for p in module.parameters())
