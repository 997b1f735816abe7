"""Integer frequency tables, fitted to what the trained network really produces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from narrows.entropy import PRECISION, SKIP_BOUND, LatentTables, SideTables
from narrows.lab.coding import HardCoded, code
from narrows.lab.dead_zone import DeadZone, Quantiser
from narrows.lab.network import HYPER_LIMIT, Flagship
from narrows.lab.photos import Photos, centre_crop
from narrows.lab.rate import ROWS, SKIPPED_ROWS, gaussian_laplace_probability, logistic_probability, row_scale
from narrows.lab.side import PHASES_OF_MEAN, SHIFT_LIMIT, SIDE_ROWS, side_scale

TOTAL = 2**PRECISION
LARGEST_RADIUS = 2600
_PRIOR_WEIGHT = 200.0
"""Observations that the smooth shape counts for against a histogram."""
_ESCAPE_LEAST = 64
"""Frequency that an escape never falls under (18 bits): no picture may become unreasonably dear."""
CURVATURE = 16.0
"""Bits per squared step: the second derivative of lambda x distortion for a latent (docs/decisions/0011)."""
_LEAST_SAVING = 0.3
"""Bits. Where a 1 costs hardly more than a 0, no threshold has to move."""


@dataclass(frozen=True, kw_only=True)
class Tables:
    """The tables of docs/FORMAT.md, and what follows from them for the encoder."""

    radius: NDArray[np.int32]
    frequencies: tuple[NDArray[np.uint32], ...]
    side: NDArray[np.uint32] | LatentTables
    """(classes, channels, 2 L + 1), or a row for each that a side net chooses."""

    @property
    def first_coded(self) -> int:
        """Rows before this one are skipped, the others coded (fit_tables sees to it)."""
        zero = np.array([int(f[r]) for f, r in zip(self.frequencies, self.radius, strict=True)])
        return int(np.argmax(zero < SKIP_BOUND))

    @property
    def dead_zone(self) -> DeadZone:
        """How thresholds move so that a symbol becomes the next smaller one where rate and distortion say so.

        Rounding |r| down from 1 to 0 saves log2(f0 / f1) bits and costs (2 |r| - 1) x CURVATURE / 2, so without the
        context's share the best threshold is 1/2 + bits / CURVATURE. Over the rows its shift is nearly a parabola, and
        a graph evaluates that faster than it looks up a table.
        """
        rows = np.arange(self.first_coded, ROWS)
        zero = np.array([float(self.frequencies[k][self.radius[k]]) for k in rows])
        one = np.array([float(self.frequencies[k][self.radius[k] + 1]) for k in rows])
        saving = np.log2(zero / one)
        count = int(np.argmax(np.append(saving, 0.0) < _LEAST_SAVING))
        if count < 2:
            return DeadZone()
        slope, constant = np.polyfit(rows[:count], np.sqrt(saving[:count] / CURVATURE), 1)
        return DeadZone(slope=float(-slope), last_row=float(-constant / slope)) if slope < 0 else DeadZone()

    def quantiser(self, dead_zone: float) -> Quantiser:
        return Quantiser(curve=self.dead_zone, first_coded=self.first_coded, dead_zone=dead_zone)

    def bits(self, coded: HardCoded, quality_class: int) -> float:
        """Code length of one picture by these tables: a batch of 1."""
        rows, symbols = coded.rows.to(torch.uint8).numpy(), coded.symbols.int().numpy()
        return self.latents.bits(rows, symbols) + self._side_bits(coded, quality_class)

    def _side_bits(self, coded: HardCoded, quality_class: int) -> float:
        if isinstance(self.side, LatentTables):
            assert coded.side is not None
            return self.side.bits(coded.side.rows.to(torch.uint8).numpy(), coded.side.symbols.int().numpy())
        return SideTables(self.side).bits(coded.z_hat[0].int().permute(2, 0, 1).numpy(), quality_class)

    @cached_property
    def latents(self) -> LatentTables:
        """The codec's own tables of the latents' symbols."""
        return LatentTables(self.radius, np.concatenate(self.frequencies))


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Histograms of magnitudes per row (ROWS, LARGEST_RADIUS + 2; the last counts all beyond) and of the hyper-latent.

    `side` is (classes, channels, 2 L + 1) of z_hat, or of symbols per row (SIDE_ROWS, 2 SHIFT_LIMIT + 3), where the
    first and the last count all beyond.
    """

    magnitudes: NDArray[np.float64]
    side: NDArray[np.float64]


def fit_tables(network: Flagship, photos: Photos, *, dead_zone: float, samples: int, progress: bool = True) -> Tables:
    """Tables for symbols quantised with `dead_zone`, from `samples` crops of the training photographs.

    Two rounds where the dead zone moves thresholds: they depend on the tables, and the tables on them.
    """
    with torch.no_grad():
        scale = row_scale(torch.arange(ROWS)).numpy()
    radius = np.minimum(np.ceil(10 * scale) + 3, LARGEST_RADIUS).astype(np.int32)
    quantiser = Quantiser(curve=DeadZone(), first_coded=SKIPPED_ROWS, dead_zone=0.0)
    tables = None
    for _ in range(2):
        if tables is not None:
            quantiser = tables.quantiser(dead_zone)
        counts = _counted(network, photos, quantiser, samples, progress)
        rows = [_row_table(counts.magnitudes[k], int(radius[k]), float(scale[k])) for k in range(ROWS)]
        _keep_skipped_rows_together(rows, radius)
        side = _side_tables(network, counts.side) if network.side_net is None else _side_rows(counts.side)
        tables = Tables(radius=radius, frequencies=tuple(rows), side=side)
    assert tables is not None
    return tables


def _keep_skipped_rows_together(rows: list[NDArray[np.uint32]], radius: NDArray[np.int32]) -> None:
    """Only rows at the beginning may be skipped: cap the zero of a later one just under the bound, in place."""
    leading = True
    for row, r in zip(rows, radius, strict=True):
        leading = leading and row[r] >= SKIP_BOUND
        if not leading:
            _keep_coded(row, int(r))


def crops(photos: Photos, samples: int, qualities: int) -> Iterator[tuple[Tensor, int]]:
    """`samples` centre crops (1, H, W, 3) in 0..1 with qualities spread evenly, the same ones every time."""
    for index in range(samples):
        # Golden-ratio steps visit all qualities evenly whatever the number of samples.
        quality = int((index * 0.6180339887 % 1) * qualities)
        yield centre_crop(photos[index % len(photos)]), quality


def _counted(network: Flagship, photos: Photos, quantiser: Quantiser, samples: int, progress: bool) -> Counts:
    config = network.config
    magnitudes = np.zeros((ROWS, LARGEST_RADIUS + 2))
    side = np.zeros(
        (config.quality_classes, config.hyper_latent, 2 * HYPER_LIMIT + 1)
        if network.side_net is None
        else (SIDE_ROWS, 2 * SHIFT_LIMIT + 3)
    )
    channel = np.arange(config.hyper_latent)
    bar = tqdm(
        crops(photos, samples, config.qualities), total=samples, desc="tables", disable=None if progress else True
    )
    for picture, quality in bar:
        coded = code(network, picture, torch.tensor([quality]), quantiser)
        level = coded.symbols.abs().clamp(max=LARGEST_RADIUS + 1).long().flatten()
        flat = coded.rows.long().flatten() * (LARGEST_RADIUS + 2) + level
        magnitudes += torch.bincount(flat, minlength=magnitudes.size).reshape(magnitudes.shape).numpy()
        if coded.side is not None:
            place = coded.side.symbols.clamp(-SHIFT_LIMIT - 1, SHIFT_LIMIT + 1).long() + SHIFT_LIMIT + 1
            np.add.at(side, (coded.side.rows.long().numpy().ravel(), place.numpy().ravel()), 1)
            continue
        z = coded.z_hat[0].long().numpy().reshape(-1, config.hyper_latent) + HYPER_LIMIT
        quality_class = int(network.class_of_quality[quality])
        np.add.at(side[quality_class], (np.broadcast_to(channel, z.shape), z), 1)
    return Counts(magnitudes=magnitudes, side=side)


def _row_table(magnitudes: NDArray[np.float64], radius: int, scale: float) -> NDArray[np.uint32]:
    """One row: the histogram of |symbol|, split evenly between the signs, over a fitted Gaussian-Laplacian shape."""
    levels = torch.arange(radius + 1, dtype=torch.float64)
    seen = torch.from_numpy(magnitudes[: radius + 1])
    shape = _fitted_shape(levels, seen, scale).numpy()
    # A magnitude's mass, both signs; what lies beyond the radius goes to the escape.
    two_sided = np.where(np.arange(radius + 1) == 0, 1.0, 2.0)
    total = magnitudes.sum()
    mass = (magnitudes[: radius + 1] + _PRIOR_WEIGHT * shape * two_sided) / (total + _PRIOR_WEIGHT)
    beyond = magnitudes[radius + 1 :].sum() / (total + _PRIOR_WEIGHT)
    per_symbol = mass / two_sided
    probabilities = np.concatenate([per_symbol[:0:-1], per_symbol, [max(beyond, _ESCAPE_LEAST / TOTAL)]])
    return integer_frequencies(probabilities)


def _fitted_shape(levels: Tensor, seen: Tensor, scale: float) -> Tensor:
    """Probabilities of 0, 1, 2, ... (one sign) of the likeliest mixture; the row's own shape if empty."""
    parameters = torch.tensor([np.log(scale), np.log(scale), -1.0], dtype=torch.float64, requires_grad=True)

    def shape() -> Tensor:
        gauss = gaussian_laplace_probability(levels, parameters[0].exp(), torch.zeros(()))
        laplace = gaussian_laplace_probability(levels, parameters[1].exp(), torch.ones(()))
        weight = torch.sigmoid(parameters[2])
        return ((1 - weight) * gauss + weight * laplace).clamp_min(1e-12)

    if float(seen.sum()) > 100 and float(seen[1:].sum()) > 10:
        optimizer = torch.optim.LBFGS([parameters], max_iter=60, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss: Tensor = -(seen * shape().log()).sum() / seen.sum()
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        optimizer.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        if not bool(torch.isfinite(parameters).all()):
            parameters.copy_(torch.tensor([np.log(scale), np.log(scale), -1.0]))
        return shape()


def _side_tables(network: Flagship, counts: NDArray[np.float64]) -> NDArray[np.uint32]:
    """(classes, channels, 2 L + 1): histograms over the logistic distribution learned in training."""
    assert network.side_rate is not None
    values = torch.arange(-HYPER_LIMIT, HYPER_LIMIT + 1.0)
    classes, channels, size = counts.shape
    result = np.zeros((classes, channels, size), np.uint32)
    with torch.no_grad():
        for quality_class in range(classes):
            z = values[:, None].expand(-1, channels)[None, None]
            bits = network.side_rate(z, torch.tensor([quality_class]))[0, 0]
            prior = torch.exp2(-bits).numpy().T
            for channel in range(channels):
                observed = counts[quality_class, channel]
                # Wide enough to be cheap wherever training has been, and never free of a floor for what is new.
                mixed = observed + 30 * prior[channel] / max(float(prior[channel].sum()), 1e-9) + 0.02
                result[quality_class, channel] = integer_frequencies(mixed / mixed.sum())
    return result


def _side_rows(counts: NDArray[np.float64]) -> LatentTables:
    """A table a row of the side net: histograms over the logistic distribution that the row stands for."""
    radii, tables = [], []
    for row in range(SIDE_ROWS):
        scale = float(side_scale(torch.tensor(float(row // PHASES_OF_MEAN))))
        radius = min(int(np.ceil(12 * scale)) + 3, SHIFT_LIMIT)
        offset = (row % PHASES_OF_MEAN - PHASES_OF_MEAN / 2) / PHASES_OF_MEAN
        levels = torch.arange(-radius, radius + 1, dtype=torch.float64)
        shape = logistic_probability(levels - offset, torch.tensor(scale, dtype=torch.float64)).numpy()
        middle = SHIFT_LIMIT + 1
        seen, total = counts[row, middle - radius : middle + radius + 1], counts[row].sum()
        mass = (seen + _PRIOR_WEIGHT * shape) / (total + _PRIOR_WEIGHT)
        beyond = (total - seen.sum()) / (total + _PRIOR_WEIGHT)
        table = integer_frequencies(np.append(mass, max(beyond, _ESCAPE_LEAST / TOTAL)))
        _keep_coded(table, radius)
        radii.append(radius)
        tables.append(table)
    return LatentTables(np.array(radii, np.int32), np.concatenate(tables), "tables.z")


def _keep_coded(table: NDArray[np.uint32], radius: int) -> None:
    """Cap the zero of a row just under the bound from which on rows are skipped, in place."""
    excess = int(table[radius]) - (SKIP_BOUND - 1)
    if excess > 0:
        table[radius] -= excess
        table[radius - 1] += excess // 2
        table[radius + 1] += excess - excess // 2


def integer_frequencies(probabilities: NDArray[np.float64]) -> NDArray[np.uint32]:
    """Integers of at least 1 that sum to 2^24, near `probabilities` (any positive scale)."""
    count = len(probabilities)
    share = np.maximum(probabilities, 0) / probabilities.sum()
    frequencies = np.floor(share * (TOTAL - count)).astype(np.int64) + 1
    frequencies[int(np.argmax(frequencies))] += TOTAL - int(frequencies.sum())
    result: NDArray[np.uint32] = frequencies.astype(np.uint32)
    return result
