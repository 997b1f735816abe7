"""Symbols to bytes and back with a profile's integer tables: docs/FORMAT.md, section 6, rules E1 to E13.

The coder is constriction's AnsCoder (32-bit words, 64-bit state, 24-bit frequencies), and this is the only file that
imports it. All symbols that share a table are coded in one call, so half a million symbols take milliseconds.
Source of the coder: J. Duda, "Asymmetric numeral systems", arXiv:1311.2540; R. Bamler, arXiv:2201.01741.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import constriction
import numpy as np
from numpy.typing import NDArray

from narrows.errors import CorruptError, NarrowsError, ProfileError

PRECISION = 24
TOTAL = 1 << PRECISION
SKIP_BOUND = TOTAL - (1 << 17)
ESCAPE_LIMIT = 32767
ESCAPE_BITS = 16
MAX_ROWS = 256

_WORD = np.dtype("<u4")

Rows = NDArray[np.uint8]
Symbols = NDArray[np.int32]
Frequencies = NDArray[np.uint32]
Mask = NDArray[np.uint8]
"""(n,) 1 where a symbol belongs to a context step, 0 elsewhere."""
Step = tuple[Rows, Symbols] | tuple[Rows, Symbols, Mask]
Stream = Any
"""A coder of constriction that is being read."""


class LatentTables:
    """The frequency tables of the latents' symbols, one per row; in profiles of schema 2 those of the hyper-latent too.

    `radius` (rows,) holds R of each row; `frequencies` (sum of 2R+2,) holds row after row the frequencies of the
    symbols -R..R and then of the escape. ProfileError unless every row sums to 2^24 with no entry below 1. Read-only
    after construction, so threads may share it. `costs` (as long as `frequencies`) has the bits of each of these,
    zero in rows that are `skipped` (rows,), and `starts` (rows + 1,) where a row begins.
    """

    def __init__(self, radius: NDArray[np.int32], frequencies: NDArray[np.uint32], name: str = "tables.y") -> None:
        if radius.ndim != 1 or not 1 <= radius.size <= MAX_ROWS:
            raise ProfileError(f"{name}.radius has shape {radius.shape}, expected 1 to {MAX_ROWS} rows")
        if radius.min() < 0 or radius.max() > ESCAPE_LIMIT:
            raise ProfileError(f"{name}.radius holds a value outside 0..{ESCAPE_LIMIT}")
        sizes = 2 * radius.astype(np.int64) + 2
        if frequencies.ndim != 1 or frequencies.size != sizes.sum():
            raise ProfileError(f"{name}.frequencies has shape {frequencies.shape}, the radii need ({sizes.sum()},)")
        self.radius: Symbols = radius.astype(np.int32)
        self._radii: list[int] = radius.tolist()  # of which one is ten times as fast to take
        self.starts = np.concatenate(([0], np.cumsum(sizes)))
        self._frequencies: Frequencies = frequencies.astype(np.uint32)
        tables = [self.frequencies(row) for row in range(radius.size)]
        self._models = [_model(table, f"row {row} of {name}.frequencies") for row, table in enumerate(tables)]
        self.skipped: NDArray[np.bool_] = np.array(
            [table[r] >= SKIP_BOUND for table, r in zip(tables, radius, strict=True)]
        )
        self._kinds = _kinds(self.skipped)
        costs = PRECISION - np.log2(self._frequencies)
        costs[self.starts[1:] - 1] += ESCAPE_BITS
        for row in np.flatnonzero(self.skipped):
            costs[self.starts[row] : self.starts[row + 1]] = 0
        self.costs: NDArray[np.float64] = costs

    def frequencies(self, row: int) -> Frequencies:
        """The 2R+2 frequencies of one row: symbols -R..R, then the escape."""
        return self._frequencies[self.starts[row] : self.starts[row + 1]]

    def encode(self, steps: Sequence[Step]) -> bytes:
        """Code each context step's rows and symbols, both (n,) in raster order (c, y, x), where its mask is 1.

        A step without a mask has all of them.
        ProfileError if a row has no table, a symbol is out of -32767..32767, or one is not zero in a skipped row: the
        graphs of a valid profile produce none of these.
        """
        coder = constriction.stream.stack.AnsCoder()
        self._push(coder, steps)
        return _to_bytes(coder)

    def _push(self, coder: Any, steps: Sequence[Step]) -> None:
        for rows, symbols, *masks in reversed(steps):  # a stack: what is read first is written last
            groups = self._group(rows, *masks)
            sorted_symbols = symbols[groups.positions]
            if np.count_nonzero(sorted_symbols) != np.count_nonzero((symbols != 0) & masks[0] if masks else symbols):
                raise ProfileError("the profile's graphs give a symbol that is not zero in a skipped row")
            if sorted_symbols.size and (sorted_symbols.min() < -ESCAPE_LIMIT or sorted_symbols.max() > ESCAPE_LIMIT):
                raise ProfileError(f"the profile's graphs give a symbol outside -{ESCAPE_LIMIT}..{ESCAPE_LIMIT}")
            radius = np.repeat(self.radius, groups.counts)
            index = sorted_symbols + radius
            outside = np.abs(sorted_symbols) > radius
            index[outside] = 2 * radius[outside] + 1
            escaping = set(rows[groups.positions[outside]].tolist())
            for row, start, stop in reversed(groups.spans):
                if row in escaping:
                    escaped = sorted_symbols[start:stop][outside[start:stop]]
                    coder.encode_reverse(escaped + np.int32(ESCAPE_LIMIT + 1), _UNIFORM)
                coder.encode_reverse(index[start:stop], self._models[row])

    def _group(self, rows: Rows, mask: Mask | None = None) -> _Groups:
        """The symbols of `rows` (n,) that are coded where `mask` is 1; ProfileError if a row has no table."""
        # By bytes.translate: an array of indices takes three times as long.
        kind = np.frombuffer(rows.tobytes().translate(self._kinds), np.uint8)
        if mask is not None:
            kind = kind * mask
        if kind.size and kind.max() == 2:
            raise ProfileError(f"the profile's graphs ask for row {rows[kind == 2].max()} of {self.radius.size}")
        positions = np.flatnonzero(kind.view(np.bool_))
        kept = rows[positions]
        # Stable, so raster order stays; numpy sorts uint8 by radix, which makes this linear.
        positions = positions[np.argsort(kept, kind="stable")]
        counts = np.bincount(kept, minlength=self.radius.size)
        present = np.flatnonzero(counts)
        stops = np.cumsum(counts[present])
        spans = zip(present.tolist(), (stops - counts[present]).tolist(), stops.tolist(), strict=True)
        return _Groups(positions, counts, list(spans))

    def decoder(self, data: bytes) -> LatentDecoder:
        """Begin to read a `latents` chunk of versions 1 and 2; CorruptError if it cannot be a stream of the coder."""
        return LatentDecoder(self, _from_bytes(data, "latents"))

    def reader(self, stream: Stream) -> LatentDecoder:
        """Read on in a stream of version 3."""
        return LatentDecoder(self, stream)

    def bits(self, rows: Rows, symbols: Symbols) -> float:
        """Ideal code length in bits, from the tables; rows and symbols have one shape. Escapes count 16 bits more."""
        flat_rows, flat = rows.reshape(-1), symbols.reshape(-1)
        radius = self.radius[flat_rows]
        index = np.where(np.abs(flat) > radius, 2 * radius + 1, flat + radius)
        return float(self.costs[self.starts[flat_rows] + index].sum())


class LatentDecoder:
    """Reads the symbols of one `latents` chunk, context step by context step. Not shared between threads."""

    def __init__(self, tables: LatentTables, coder: Stream) -> None:
        self._tables = tables
        self._coder = coder

    def step(self, rows: Rows) -> Symbols:
        """Decode the symbols of the next context step, (n,) int32 for rows (n,) uint8; errors as in step_into."""
        symbols = np.zeros(rows.size, np.int32)
        self.step_into(symbols, rows)
        return symbols

    def step_into(self, symbols: Symbols, rows: Rows, mask: Mask | None = None) -> None:
        """Put the symbols of the next context step into `symbols` (n,), zeros so far, for rows (n,) where `mask` is 1.

        Never reads past what `rows` asks for; CorruptError if an escaped value belongs into the table (E10).
        """
        tables = self._tables
        groups = tables._group(rows, mask)
        index = np.empty(groups.positions.size, np.int32)
        with _translated("latents"):
            for row, start, stop in groups.spans:
                values = self._coder.decode(tables._models[row], stop - start)
                radius = tables._radii[row]
                if values[values.argmax()] > 2 * radius:
                    self._read_escapes(values, row, radius)
                index[start:stop] = values
        symbols[groups.positions] = index - np.repeat(tables.radius, groups.counts)

    def _read_escapes(self, values: Symbols, row: int, radius: int) -> None:
        """Put what was escaped, plus the radius, into the places of `values` that say so."""
        places = np.flatnonzero(values > 2 * radius)
        escaped = self._coder.decode(_UNIFORM, places.size) - np.int32(ESCAPE_LIMIT + 1)
        size = np.abs(escaped)
        if size.min() <= radius or size.max() > ESCAPE_LIMIT:
            raise CorruptError(f"an escaped symbol of row {row} is outside {radius + 1}..{ESCAPE_LIMIT} (rule E10)")
        values[places] = escaped + np.int32(radius)

    def finish(self) -> None:
        """Raise CorruptError unless the stream has been read to its very end (E11)."""
        _require_empty(self._coder, "latents")


def encode_joint(parts: Sequence[tuple[LatentTables, Sequence[Step]]]) -> bytes:
    """One stream of version 3: for each part in the order of reading its tables and its steps, as LatentTables.encode.

    Zero bytes at its end are left out (E4).
    """
    coder = constriction.stream.stack.AnsCoder()
    for tables, steps in reversed(parts):
        tables._push(coder, steps)
    return _to_bytes(coder).rstrip(b"\0")


def open_joint(data: bytes) -> Stream:
    """Begin to read a stream of version 3 with LatentTables.reader; CorruptError if no writer ends one so (E5)."""
    if data.endswith(b"\0"):
        raise CorruptError("chunk latents ends in a zero byte, no encoder writes one (rule E5)")
    return _from_bytes(data + bytes(-len(data) % _WORD.itemsize), "latents")


class SideTables:
    """The tables of the hyper-latent in schema 1: `frequencies` (classes, channels, 2L+1), for the values -L..L.

    ProfileError unless every table sums to 2^24 with no entry below 1. Threads may share it.
    """

    def __init__(self, frequencies: NDArray[np.uint32]) -> None:
        if frequencies.ndim != 3 or 0 in frequencies.shape or frequencies.shape[2] < 3 or frequencies.shape[2] % 2 == 0:
            raise ProfileError(
                f"tables.z.frequencies has shape {frequencies.shape}, expected (classes, channels, 2L+1)"
            )
        self.limit = frequencies.shape[2] // 2
        self._frequencies: Frequencies = frequencies.astype(np.uint32)
        if (self._frequencies.sum(2, dtype=np.uint64) != TOTAL).any() or self._frequencies.min() < 1:
            raise ProfileError(f"tables.z.frequencies must hold positive frequencies that sum to {TOTAL} in each table")
        self._models: dict[int, list[Any]] = {}

    def encode(self, z_hat: Symbols, cls: int) -> bytes:
        """Code z_hat (channels, h, w) with the tables of quality class `cls`; ProfileError if it leaves -L..L."""
        index = self._index(z_hat)
        coder = constriction.stream.stack.AnsCoder()
        for channel, model in reversed(list(enumerate(self._of_class(cls)))):
            coder.encode_reverse(index[channel].reshape(-1), model)
        return _to_bytes(coder)

    def decode(self, data: bytes, shape: tuple[int, int, int], cls: int) -> Symbols:
        """Read z_hat (channels, h, w) from one `side` chunk; CorruptError if the stream does not end exactly there."""
        coder = _from_bytes(data, "side")
        z_hat = np.empty(shape, np.int32)
        for channel, model in enumerate(self._of_class(cls)):
            with _translated("side"):
                z_hat[channel] = coder.decode(model, shape[1] * shape[2]).reshape(shape[1:])
        _require_empty(coder, "side")
        z_hat -= np.int32(self.limit)
        return z_hat

    def bits(self, z_hat: Symbols, cls: int) -> float:
        """Ideal code length of z_hat (channels, h, w) in bits, from the tables."""
        index = self._index(z_hat)
        frequencies = np.take_along_axis(self._frequencies[cls], index.reshape(index.shape[0], -1), 1)
        return float((PRECISION - np.log2(frequencies)).sum())

    def _of_class(self, cls: int) -> list[Any]:
        """The models of one class, made on first use: a picture needs one of many. Two threads may both make them."""
        if cls not in self._models:
            self._models[cls] = [_model(table, "tables.z.frequencies") for table in self._frequencies[cls]]
        return self._models[cls]

    def _index(self, z_hat: Symbols) -> Symbols:
        channels = self._frequencies.shape[1]
        if z_hat.shape[0] != channels or (z_hat.size and (z_hat.min() < -self.limit or z_hat.max() > self.limit)):
            raise ProfileError(
                f"the hyper-latent has {z_hat.shape[0]} channels or values over {self.limit}, "
                f"the tables hold {channels} channels of -{self.limit}..{self.limit}"
            )
        return np.ascontiguousarray(z_hat, np.int32) + np.int32(self.limit)


@dataclass(frozen=True)
class _Groups:
    """Positions of the coded symbols sorted by row, raster order within a row.

    counts (rows,) tell how many each row has; spans are (row, start, stop) in the positions, where there is any.
    """

    positions: NDArray[np.intp]
    counts: NDArray[np.intp]
    spans: list[tuple[int, int, int]]


def _kinds(skipped: NDArray[np.bool_]) -> bytes:
    """For each of MAX_ROWS rows 1 if it is coded, 0 if it is skipped, 2 if it has no table."""
    kinds = np.full(MAX_ROWS, 2, np.uint8)
    kinds[: skipped.size] = ~skipped
    return kinds.tobytes()


def _model(table: Frequencies, name: str) -> Any:
    """The model of constriction that holds exactly these frequencies.

    Its fast quantiser gives symbol i the cumulative frequency i + floor(scale * (p_0 + ... + p_(i-1))) with
    scale = (2^24 - count) / sum(p). With p_i = n_i - 1 the scale is 1 and every sum is an exact integer in float64, so
    it returns n_0 + ... + n_(i-1). A test compares it with a plain ANS coder in Python integers.
    """
    if int(table.sum(dtype=np.uint64)) != TOTAL or table.min() < 1:
        raise ProfileError(f"{name} must hold positive frequencies that sum to {TOTAL}")
    with _translated(name, ProfileError):
        return constriction.stream.model.Categorical(table.astype(np.float64) - 1, lazy=False, perfect=False)


_UNIFORM: Any = constriction.stream.model.Uniform(1 << ESCAPE_BITS)


def _to_bytes(coder: Any) -> bytes:
    words: bytes = coder.get_compressed().astype(_WORD).tobytes()
    return words


def _from_bytes(data: bytes, name: str) -> Any:
    if len(data) % _WORD.itemsize:  # E4
        raise CorruptError(f"chunk {name} has {len(data)} bytes, a stream is whole words of {_WORD.itemsize} (rule E4)")
    words = np.frombuffer(data, _WORD).astype(np.uint32)
    if words.size and words[-1] == 0:  # E5
        raise CorruptError(f"chunk {name} ends in a zero word, no encoder writes one (rule E5)")
    with _translated(name):
        return constriction.stream.stack.AnsCoder(words)


def _require_empty(coder: Any, name: str) -> None:
    if not coder.is_empty():
        raise CorruptError(f"chunk {name} does not end with its last symbol (rule E11)")


@contextmanager
def _translated(name: str, error: type[NarrowsError] = CorruptError) -> Iterator[None]:
    """Turn constriction's exceptions, and its Rust panics, into ours: none is expected, and none may pass."""
    try:
        yield
    except NarrowsError:
        raise
    except BaseException as fault:  # a panic derives from BaseException and its class cannot be imported
        if not isinstance(fault, Exception) and type(fault).__name__ != "PanicException":
            raise
        raise error(f"{name} cannot be coded: {fault}") from fault
