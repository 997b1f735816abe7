"""The hard pass of the trained network: the symbols and rows that the codec writes, in float32 and exact integers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from narrows.lab.dead_zone import Quantiser
from narrows.lab.network import HYPER_LIMIT, Flagship
from narrows.lab.side import CodedSide


@dataclass(frozen=True, kw_only=True)
class Features:
    """What the mean net and the scale net make of z_hat once, for all context steps; of one batch at its quality."""

    mean: Tensor
    scale: Tensor
    quality: Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, network: Flagship, z_hat: Tensor, quality: Tensor) -> Features:
        mean, scale = network.mean_net.features(z_hat), network.scale_net.features(z_hat)
        return cls(mean=mean, scale=scale, quality=quality)


@dataclass(frozen=True, kw_only=True)
class CodedLatents:
    """Latents as they are coded, (B, H/16, W/16, latent) all; `rounded` is symbols + means, y_hat without centroids."""

    symbols: Tensor
    rows: Tensor
    rounded: Tensor
    y_hat: Tensor


@dataclass(frozen=True, kw_only=True)
class HardCoded:
    """One batch: symbols, rows, y_hat (B, H/16, W/16, latent); z_hat (B, H/64, W/64, hyper).

    `side` is how z_hat is coded in context, None where the network has fixed tables for it.
    """

    symbols: Tensor
    rows: Tensor
    z_hat: Tensor
    y_hat: Tensor
    side: CodedSide | None


@torch.no_grad()
def code(network: Flagship, picture: Tensor, quality: Tensor, quantiser: Quantiser) -> HardCoded:
    """Quantise a batch (B, H, W, C) in 0..1 as the exported graphs do."""
    y = network.analysis(picture, quality)
    z_hat = network.hyper_analysis(y).round().clamp(-HYPER_LIMIT, HYPER_LIMIT)
    features = Features.of(network, z_hat, quality)
    coded = code_latents(network, y, features, lambda residual, rows, _: quantiser(residual, rows))
    side = None if network.side_net is None else network.side_net.code(z_hat, quality)
    return HardCoded(symbols=coded.symbols, rows=coded.rows, z_hat=z_hat, y_hat=coded.y_hat, side=side)


@torch.no_grad()
def code_latents(
    network: Flagship, y: Tensor, features: Features, quantise: Callable[[Tensor, Tensor, Tensor | None], Tensor]
) -> CodedLatents:
    """Quantise y (B, H/16, W/16, latent) step by step, as the decoder will meet it.

    quantise(residuals, rows, centroids) gives the symbols of a part (network.Prediction).
    """
    order = network.order
    symbols, rows, rounded, y_hat = (torch.zeros_like(y) for _ in range(4))
    for step in range(order.steps):
        prediction = network.mean_net(step, features.mean, y_hat)
        row = network.scale_net(step, features.scale, symbols, features.quality)
        symbol = quantise(order.take(y, step) - prediction.mean, row, prediction.centroid)
        symbols, rows = symbols + order.spread(symbol, step), rows + order.spread(row, step)
        rounded = rounded + order.spread(symbol + prediction.mean, step)
        y_hat = y_hat + order.spread(prediction.value(symbol), step)
    return CodedLatents(symbols=symbols, rows=rows, rounded=rounded, y_hat=y_hat)


@torch.no_grad()
def rows_of_step(network: Flagship, step: int, z_hat: Tensor, symbols: Tensor, quality: Tensor) -> Tensor:
    """Rows (B, H/16, W/16, latent) of one context step as a decoder asks for them, zero where other steps code."""
    return network.order.spread(network.scale_net(step, network.scale_net.features(z_hat), symbols, quality), step)
