"""Integer tables for a study's symbols: one for each quality and channel, or shared where there are more than 256.

Only histograms of training symbols go in. A table is the histogram mixed with a smoothed copy of itself; how much of
each is chosen by the code length that one half of the pictures gives the other, so few samples are smoothed and many
are not.
Format rules: docs/FORMAT.md, P8 and E9.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.entropy import MAX_ROWS, SKIP_BOUND, LatentTables
from narrows.errors import OptionError
from narrows.lab.tables import TOTAL, integer_frequencies

LARGEST_RADIUS = 4095
MOST_SKIPPED = 2.0**-7
"""Share of symbols other than 0 that a row may have and still be skipped (E9)."""
_ESCAPE_LEAST = 64 / TOTAL
_BANDWIDTHS = (0.05, 0.15, 0.5)  # of the symbols' standard deviation
_SMOOTH_SHARES = (0.0, 0.02, 0.2, 0.7, 0.98)
_ROUNDS = 25

Counts = NDArray[np.int64]
Shares = NDArray[np.float64]


class Histograms:
    """How often each symbol was seen at each quality in each channel, in two halves of the pictures.

    `counts` is (2, qualities, m, 2 window + 1) for the symbols -window..window; the window grows as it must.
    `beyond` (2, qualities, m) counts the symbols over LARGEST_RADIUS.
    """

    def __init__(self, qualities: int, latent: int) -> None:
        self.counts: Counts = np.zeros((2, qualities, latent, 2 * 16 + 1), np.int64)
        self.beyond: Counts = np.zeros((2, qualities, latent), np.int64)

    @property
    def window(self) -> int:
        return int(self.counts.shape[3]) // 2

    def add(self, symbols: NDArray[np.int32], quality: int, half: int) -> None:
        """Count symbols (B, m, h, w) into half 0 or 1."""
        latent = self.counts.shape[2]
        flat = symbols.transpose(1, 0, 2, 3).reshape(latent, -1).astype(np.int64)
        outside = np.abs(flat) > LARGEST_RADIUS
        self.beyond[half, quality] += outside.sum(1)
        kept = np.where(outside, 0, flat)
        self._grow(int(np.abs(kept).max(initial=0)))
        size = 2 * self.window + 1
        index = (np.arange(latent)[:, None] * size + kept + self.window)[~outside]
        self.counts[half, quality] += np.bincount(index, minlength=latent * size).reshape(latent, size)

    def centred(self) -> tuple[Histograms, NDArray[np.int32]]:
        """The same with the commonest symbol of each quality and channel moved to 0, and by how much (qualities, m)."""
        total = self.counts.sum(0)
        mode = total.argmax(2) - self.window
        result = Histograms(*mode.shape)
        result.beyond = self.beyond.copy()
        result._grow(min(self.window + int(np.abs(mode).max()), LARGEST_RADIUS))
        for half, quality, channel in np.ndindex(2, *mode.shape):
            symbols = np.arange(-self.window, self.window + 1) - mode[quality, channel]
            inside = np.abs(symbols) <= result.window
            seen = self.counts[half, quality, channel]
            result.counts[half, quality, channel, symbols[inside] + result.window] = seen[inside]
            result.beyond[half, quality, channel] += seen[~inside].sum()
        return result, mode.astype(np.int32)

    def _grow(self, largest: int) -> None:
        window = self.window
        while window < largest:
            window = min(2 * window, LARGEST_RADIUS)
        if window > self.window:
            margin = window - self.window
            self.counts = np.pad(self.counts, ((0, 0), (0, 0), (0, 0), (margin, margin)))


@dataclass(frozen=True, kw_only=True, eq=False)
class StudyTables:
    """The tables of docs/FORMAT.md and which one codes what. `rows` and `coded` are (qualities, m).

    Where `coded` is false every symbol must be 0: the row is skipped and costs nothing.
    """

    radius: NDArray[np.int32]
    frequencies: tuple[NDArray[np.uint32], ...]
    rows: NDArray[np.uint8]
    coded: NDArray[np.bool_]

    def latent_tables(self) -> LatentTables:
        return LatentTables(self.radius, np.concatenate(self.frequencies))

    def bits(self, symbols: NDArray[np.int32], quality: int) -> float:
        """Code length of symbols (B, m, h, w) in bits; those of channels that are not coded must be 0."""
        rows = np.broadcast_to(self.rows[quality][:, None, None], symbols.shape)
        return self.latent_tables().bits(rows, symbols)


def fit_tables(histograms: Histograms, *, skip_share: float = 0.0) -> StudyTables:
    """Tables for centred histograms (`Histograms.centred`).

    A channel is skipped at a quality where at most `skip_share` of its symbols (0..2^-7) are not 0: by default those
    that never moved. Every other row is coded, at 0.011 bits a symbol or more, which is what the format has between the
    two. With more than 256 different (quality, channel) pairs those whose symbols cost least together share a table.
    OptionError for histograms without a symbol, or another skip_share.
    """
    if not 0 <= skip_share <= MOST_SKIPPED:
        raise OptionError(f"skip_share is {skip_share}, it must be from 0 to 2^-7")
    _, qualities, latent, size = histograms.counts.shape
    pairs = histograms.counts.reshape(2, qualities * latent, size)
    beyond = histograms.beyond.reshape(2, -1)
    total = pairs.sum((0, 2)) + beyond.sum(0)
    if (total == 0).any():
        raise OptionError("there is a channel without a symbol: tables need pictures to be fitted to")
    coded = total - pairs[:, :, size // 2].sum(0) > skip_share * total
    live = np.flatnonzero(coded)
    first = int(live.size < coded.size)  # the skipped row, if one is needed, is row 0
    labels = np.arange(live.size)
    if live.size > MAX_ROWS - first:
        labels = _clusters(pairs[:, live].sum(0), MAX_ROWS - first)
    radii, tables = ([0], [np.array([TOTAL - 1, 1], np.uint32)]) if first else ([], [])
    for label in range(int(labels.max(initial=-1)) + 1):
        members = live[labels == label]
        table = _table(pairs[:, members].sum(1), int(beyond[:, members].sum()))
        radii.append(table.size // 2 - 1)
        tables.append(table)
    rows = np.zeros(coded.size, np.uint8)
    rows[live] = labels + first
    return StudyTables(
        radius=np.array(radii, np.int32), frequencies=tuple(tables),
        rows=rows.reshape(qualities, latent), coded=coded.reshape(qualities, latent),
    )  # fmt: skip


def _clusters(counts: Counts, most: int) -> NDArray[np.int64]:
    """A label 0..most-1 for each histogram (pairs, symbols): Lloyd's rounds with the code length as the distance."""
    used = np.flatnonzero(counts.any(0))
    seen = counts[:, used[0] : used[-1] + 1].astype(np.float64)
    share = seen / np.maximum(seen.sum(1, keepdims=True), 1)
    places = np.arange(seen.shape[1])
    centre = share @ places
    spread = np.sqrt(np.maximum(share @ places**2 - centre**2, 0))
    labels = np.empty(len(seen), np.int64)
    labels[np.argsort(spread, kind="stable")] = np.arange(len(seen)) * most // len(seen)
    for _ in range(_ROUNDS):
        sums = np.stack([seen[labels == label].sum(0) for label in range(most)])
        tables = (sums + 0.02) / (sums + 0.02).sum(1, keepdims=True)
        cost = -seen @ np.log2(tables.T)
        nearest = cost.argmin(1)
        # A table that nobody wants goes to the histogram that is worst off with its own.
        own = cost[np.arange(len(seen)), nearest] + (seen * np.log2(np.maximum(share, 1e-300))).sum(1)
        spare = iter(np.argsort(-own, kind="stable"))
        for label in np.setdiff1d(np.arange(most), nearest):
            moved = next(index for index in spare if np.count_nonzero(nearest == nearest[index]) > 1)
            nearest[moved] = label
        if (nearest == labels).all():
            break
        labels = nearest
    return labels


def _table(halves: Counts, beyond: int) -> NDArray[np.uint32]:
    """Frequencies of -R..R and the escape, for counts (2, symbols) around 0."""
    window = halves.shape[1] // 2
    counts = halves.sum(0)
    places = np.arange(-window, window + 1)
    total = int(counts.sum())
    spread = float(np.sqrt((counts * places**2).sum() / max(total, 1)))
    seen = np.abs(places[counts > 0]).max(initial=0)
    # A little further than training went: a new picture's largest symbol should not be an escape at once.
    radius = min(int(seen) + 1 + int(spread), LARGEST_RADIUS)
    margin = radius - window
    if margin >= 0:
        halves = np.pad(halves, ((0, 0), (margin, margin)))
    else:
        halves = halves[:, -margin:margin]
    inside = _chosen(halves, spread)
    escape = max((beyond + 0.5) / (total + beyond + 1), _ESCAPE_LEAST)
    frequencies = integer_frequencies(np.append(inside * (1 - escape), escape))
    excess = int(frequencies[radius]) - (SKIP_BOUND - 1)
    if excess > 0:  # a row over the bound would be skipped, and this one is not
        frequencies[radius] -= excess
        frequencies[radius - 1] += excess // 2
        frequencies[radius + 1] += excess - excess // 2
    return frequencies


def _chosen(halves: Counts, spread: float) -> Shares:
    """Probabilities of the symbols: the mixture by which each half codes the other best, made of both."""
    best: tuple[float, tuple[float, float]] | None = None
    for bandwidth in _BANDWIDTHS:
        for share in _SMOOTH_SHARES:
            settings = (max(bandwidth * spread, 0.3), share)
            bits = -sum(
                float((other * np.log2(_mixed(half, *settings, spread))).sum())
                for half, other in (halves, halves[::-1])
            )
            if best is None or bits < best[0]:
                best = (bits, settings)
    if best is None:
        raise RuntimeError("there is no candidate")
    return _mixed(halves.sum(0), *best[1], spread)


def _mixed(counts: Counts, bandwidth: float, share: float, spread: float) -> Shares:
    """The histogram, `share` of it smeared by a Gaussian, over one observation's worth of a broad Laplacian."""
    radius = counts.size // 2
    places = np.arange(-radius, radius + 1)
    total = float(counts.sum())
    mixed: NDArray[Any] = (1 - share) * counts
    if share:
        reach = min(int(np.ceil(4 * bandwidth)), radius)
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / bandwidth) ** 2)
        mixed = mixed + share * np.convolve(counts, kernel / kernel.sum(), mode="same")
    broad = np.exp(-np.abs(places) / (1 + spread))
    result: Shares = (mixed + broad / broad.sum()) / (float(mixed.sum()) + 1) if total else broad / broad.sum()
    return result
