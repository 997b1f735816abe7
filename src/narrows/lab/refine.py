"""Latents that decode better than those the analysis gives: effort 9, and the laboratory's upper bound of an encoder.

The analysis has to serve every picture at once. For the one at hand, the gradient of the distortion (distortion.py)
says how its latents should have been: trained with steps of one size, it is nearly the same quadratic in all latents
(its curvature is measured, see `_curvature`), so a single Newton step from what was quantised leads close to the best
real values, t = y_hat - gradient / curvature. These are quantised by rate and distortion with the profile's own tables,
the result is decoded and differentiated again, and so on; what a symbol costs the symbols that see it in their context
is part of the gradient. The decoder is unchanged.

Source of the idea: J. Campos et al., "Content adaptive optimization for neural image compression", arXiv:1906.01223;
Y. Yang et al., "Improving inference for neural image compression", arXiv:2006.04240. Both descend on real latents for
hundreds to thousands of steps; why not here: docs/decisions/0011.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from narrows.entropy import LatentTables
from narrows.lab.coding import CodedLatents, Features, code_latents
from narrows.lab.distortion import Distortion
from narrows.lab.export import load_network, tables_of
from narrows.lab.network import LATENT_STRIDE, Flagship

PASSES = 24
SEEN_WEIGHT = 0.8
"""Of a symbol's own bits when it is chosen and later context steps see it: it also tells these what to expect."""
FIRST_STEP, LAST_STEP = 0.6, 0.06
"""How far the targets follow the Newton step of the first and the last pass, falling by one ratio: the latents move
together, and choices that many make at once have to settle.
"""
MOMENTUM = 0.5
"""What of a target's last movement goes into its next one."""
MASKING = 0.15
"""Share of the masked error in what is minimised: half of the shipped profile's, where PSNR gains most."""
TILE_PIXELS = 2**20
"""About how many pixels are differentiated at once: some 0.5 GB of activations."""

Planes = NDArray[np.uint8]  # (1, C, H, W)
Latents = NDArray[np.float32]  # (1, m, h, w)
Symbols = NDArray[np.int32]  # (1, m, h, w), or z_hat (1, hz, h', w')

_set_threads = threading.Lock()


class Refiner:
    """Refines the latents of one profile's strips. Threads may share it.

    `profile` is the folder of a profile that `narrows lab export` made (else OptionError), `threads` how many threads
    one call uses, `halo` how far in pixels the synthesis sees.
    """

    def __init__(self, profile: Path, *, threads: int, halo: int) -> None:
        self._network = load_network(profile)
        for parameter in self._network.parameters():
            parameter.requires_grad_(False)
        self._tables = _Costs(tables_of(profile).latents)
        self._threads = threads
        self._halo = halo // LATENT_STRIDE

    def __call__(
        self,
        picture: Planes,
        size: tuple[int, int],
        latents: tuple[Latents | None, Latents, Latents | None],
        z_hat: Symbols,
        quality: int,
        lambda_rd: float,
        progress: Callable[[float], None],
    ) -> Latents:
        """Latents (1, m, h, w) of a strip that lie whole steps from their predictions: plain rounding keeps them.

        picture    the strip with the rows above and below it that go with their latents, padded
        size       (height, width) of the upper left part of it that is the picture and not padding
        latents    of the neighbour above, as it will be decoded; y of the strip; of the neighbour below
        z_hat      of the strip
        lambda_rd  what a distortion (distortion.py) of 1 is worth in bits a pixel
        """
        above, y, below = (None if part is None else _channels_last(part) for part in latents)
        assert y is not None
        with _threads(self._threads):
            strip = _Strip(
                network=self._network,
                tables=self._tables,
                picture=torch.from_numpy(picture).permute(0, 2, 3, 1),
                size=size,
                around=(y[:, :0] if above is None else above, y[:, :0] if below is None else below),
                z_hat=_channels_last(z_hat),
                quality=torch.tensor([quality]),
                lambda_rd=lambda_rd,
                halo=self._halo,
            )
            refined = strip.refined(y, progress)
            return np.ascontiguousarray(refined.permute(0, 3, 1, 2).numpy())


class _Strip:
    """One strip and all that does not change while it is refined; tensors are (1, h, w, channels)."""

    def __init__(
        self, *, network: Flagship, tables: _Costs, picture: Tensor, size: tuple[int, int],
        around: tuple[Tensor, Tensor], z_hat: Tensor, quality: Tensor, lambda_rd: float, halo: int,
    ) -> None:  # fmt: skip
        self._network, self._tables, self._quality = network, tables, quality
        self._picture, self._size, self._lambda, self._halo = picture, size, lambda_rd, halo
        self._features = Features.of(network, z_hat, quality)
        self._judge = Distortion(picture / 255, MASKING)
        self._above, self._below = around
        rows, columns = (side // LATENT_STRIDE for side in picture.shape[1:3])
        rows -= self._above.shape[1] + self._below.shape[1]
        self._tiles = list(_tiles(rows, columns))

    def refined(self, y: Tensor, progress: Callable[[float], None]) -> Tensor:
        """The best targets that were met, in whole steps from their means, by bits + lambda x distortion."""
        found = self._quantised(y)
        gradient, error = self._distortion(found.y_hat)
        best, least = found.rounded, self._bits(found) + error
        curvature = self._curvature(found, gradient)
        if curvature is None:
            return best
        target, movement = y, torch.zeros_like(y)
        for number in range(PASSES):
            gradient = gradient + self._context_gradient(found)
            step = FIRST_STEP * (LAST_STEP / FIRST_STEP) ** (number / (PASSES - 1))
            movement = MOMENTUM * movement + step * (found.y_hat - gradient / curvature - target)
            target = target + movement
            found = self._quantised(target, curvature)
            gradient, error = self._distortion(found.y_hat)
            cost = self._bits(found) + error
            if cost < least:
                best, least = found.rounded, cost
            progress((number + 1) / PASSES)
        return best

    def _quantised(self, target: Tensor, curvature: float | None = None) -> CodedLatents:
        """The targets coded; plainly rounded without a curvature."""
        steps = self._network.order.steps
        weights = iter([SEEN_WEIGHT] * (steps - 1) + [1.0])  # one is asked for by each context step

        def choose(residual: Tensor, rows: Tensor, centroid: Tensor | None) -> Tensor:
            if curvature is None:
                return residual.round() * self._tables.coded(rows)
            return self._tables.cheapest(residual, rows, centroid, curvature, next(weights))

        return code_latents(self._network, target, self._features, choose)

    def _bits(self, found: CodedLatents) -> float:
        return float(self._tables.bits(found.symbols, found.rows).sum())

    def _distortion(self, y_hat: Tensor) -> tuple[Tensor, float]:
        """The gradient of lambda x distortion for y_hat, and its value; tile by tile with halos."""
        gradient, total = torch.zeros_like(y_hat), 0.0
        whole, first = torch.cat((self._above, y_hat, self._below), 1), self._above.shape[1]
        height, width = whole.shape[1:3]
        for rows, columns in self._tiles:
            top, bottom = max(first + rows.start - self._halo, 0), min(first + rows.stop + self._halo, height)
            left, right = max(columns.start - self._halo, 0), min(columns.stop + self._halo, width)
            part = whole[:, top:bottom, left:right].clone().requires_grad_(True)
            decoded = self._network.synthesis(part, self._quality).clamp(0, 1)
            lines = slice(top * LATENT_STRIDE, min(bottom * LATENT_STRIDE, self._size[0]))
            original = self._picture[:, lines, left * LATENT_STRIDE : min(right * LATENT_STRIDE, self._size[1])]
            error = 255 * decoded[:, : original.shape[1], : original.shape[2]] - original
            unseen = (decoded.shape[2] - error.shape[2], decoded.shape[1] - error.shape[1])
            error = F.pad(error, (0, 0, 0, unseen[0], 0, unseen[1]))
            inner = (
                slice(first + rows.start - top, first + rows.stop - top),
                slice(columns.start - left, columns.stop - left),
            )
            down, across = (slice(side.start * LATENT_STRIDE, side.stop * LATENT_STRIDE) for side in inner)
            cost, within = self._judge.cost(error, (top * LATENT_STRIDE, left * LATENT_STRIDE), (down, across))
            (found,) = torch.autograd.grad(self._lambda * cost, part)
            gradient[:, rows, columns] = found[:, inner[0], inner[1]]
            total += self._lambda * within
        return gradient, total

    def _curvature(self, found: CodedLatents, gradient: Tensor) -> float | None:
        """Second derivative of the distortion for a latent, in bits per squared step; None if there is nothing to code.

        The mean over the latents that are coded, by Hutchinson's estimate v H v with random signs v: latents trained
        with steps of one size all have nearly the same.
        """
        coded = self._tables.coded(found.rows)
        signs = (torch.randint(0, 2, coded.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1) * coded * 0.5
        count = int(coded.sum())
        if count == 0:
            return None
        moved, _ = self._distortion(found.y_hat + signs)
        estimate = float((2 * signs * (moved - gradient)).sum()) * 2 / count
        return estimate if estimate > 0 else None

    def _context_gradient(self, found: CodedLatents) -> Tensor:
        """The gradient, for y_hat, of the bits of the symbols that see it in their context: means and rows move."""
        network, order = self._network, self._network.order
        moving = found.y_hat.clone().requires_grad_(True)
        symbols = found.symbols + (moving - found.y_hat)
        coded = self._tables.coded(found.rows)
        bits = torch.zeros(())
        y_hat, magnitudes = torch.zeros_like(moving), torch.zeros_like(moving)
        for step in range(order.steps):
            if step:
                mean = network.mean_net(step, self._features.mean, y_hat).mean
                row = network.scale_net(step, self._features.scale, magnitudes, self._quality)
                rate = network.residual_rate(order.take(found.y_hat, step) - mean, row)
                bits = bits + (rate * order.take(coded.float(), step)).sum()
            y_hat = y_hat + order.spread(order.take(moving, step), step)
            magnitudes = magnitudes + order.spread(order.take(symbols, step), step)
        if not bits.requires_grad:  # one step: nobody sees anything
            return torch.zeros_like(moving)
        (gradient,) = torch.autograd.grad(bits, moving)
        return gradient


class _Costs:
    """The latents' tables as tensors: bits of symbols, and the choice of symbols by rate and distortion."""

    def __init__(self, tables: LatentTables) -> None:
        self._costs = torch.from_numpy(tables.costs).float()
        self._starts = torch.from_numpy(tables.starts)
        self._radius = torch.from_numpy(tables.radius).long()
        self._coded = torch.from_numpy(~tables.skipped)

    def coded(self, rows: Tensor) -> Tensor:
        """Whether each row is coded, of rows in whole numbers."""
        return self._coded[rows.long()]

    def bits(self, symbols: Tensor, rows: Tensor) -> Tensor:
        """Code length of each symbol in bits; of one shape."""
        row = rows.long()
        radius = self._radius[row]
        inside = symbols.abs() <= radius
        return self._costs[self._starts[row] + torch.where(inside, symbols.long() + radius, 2 * radius + 1)]

    def cheapest(
        self, residual: Tensor, rows: Tensor, centroid: Tensor | None, curvature: float, weight: float
    ) -> Tensor:
        """Of both symbols whose values are next to each residual, and zero, that of least distortion + weight x bits.

        The value of a symbol that is not zero is |symbol| + centroid, with its sign (network.Prediction).
        """
        shift = torch.zeros_like(residual) if centroid is None else centroid
        best = torch.zeros_like(residual)
        least = curvature / 2 * residual.square() + weight * self.bits(best, rows)
        below = (residual.abs() - shift).floor().clamp_min(0)
        for magnitude in (below, below + 1):
            symbol = residual.sign() * magnitude
            error = residual.abs() - magnitude - shift * (magnitude > 0)
            cost = curvature / 2 * error.square() + weight * self.bits(symbol, rows)
            best, least = torch.where(cost < least, symbol, best), torch.minimum(cost, least)
        return best * self.coded(rows)


def _tiles(rows: int, columns: int) -> Iterator[tuple[slice, slice]]:
    """Cores that cover a strip of so many latents, nearly square, of about TILE_PIXELS each."""
    side = int((TILE_PIXELS / LATENT_STRIDE**2) ** 0.5)
    down, across = (-(-count // side) for count in (rows, columns))
    if rows * columns <= side**2:
        down = across = 1  # long and narrow is one tile as well
    for i in range(down):
        for j in range(across):
            yield (
                slice(i * rows // down, (i + 1) * rows // down),
                slice(j * columns // across, (j + 1) * columns // across),
            )


def _channels_last(array: Latents | Symbols) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.float32)).permute(0, 2, 3, 1).contiguous()


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """PyTorch with so many threads: its setting is the process's, so calls take turns."""
    with _set_threads:
        before = torch.get_num_threads()
        torch.set_num_threads(count)
        try:
            yield
        finally:
            torch.set_num_threads(before)
