"""The entropy coder against a plain one in Python integers, written from docs/FORMAT.md rules E1 to E13."""

import random
import struct
from contextlib import suppress
from typing import Any

import constriction
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from narrows import entropy
from narrows.entropy import ESCAPE_LIMIT, SKIP_BOUND, TOTAL, LatentTables, SideTables
from narrows.errors import CorruptError, NarrowsError, ProfileError

UNIFORM = [256] * 65536


def table(count: int, peak: int, seed: int) -> list[int]:
    """`count` positive integers that sum to 2^24, most of it near `peak`; ones at the far ends."""
    draw = random.Random(seed)
    weights = [draw.random() ** 3 * 2.0 ** -abs(i - peak) for i in range(count)]
    scale = (TOTAL - count) / sum(weights)
    entries = [1 + int(weight * scale) for weight in weights]
    entries[peak] += TOTAL - sum(entries)
    return entries


def plain_encode(items: list[tuple[int, list[int]]]) -> bytes:
    """(index, table) in reading order to bytes, as FORMAT.md says in section 6."""
    state, words = 0, []
    for index, frequencies in reversed(items):
        n, c = frequencies[index], sum(frequencies[:index])
        if state >> 40 >= n:
            words.append(state & 0xFFFFFFFF)
            state >>= 32
        state = ((state // n) << 24) + c + state % n
    while state:
        words.append(state & 0xFFFFFFFF)
        state >>= 32
    return struct.pack(f"<{len(words)}I", *words)


def plain_items(tables: LatentTables, steps: list[tuple[Any, Any]]) -> list[tuple[int, list[int]]]:
    """The order of rule E8."""
    items = []
    for rows, symbols in steps:
        for row in range(tables.radius.size):
            frequencies, radius = tables.frequencies(row).tolist(), int(tables.radius[row])
            if frequencies[radius] >= SKIP_BOUND:
                continue
            values = [int(v) for v in symbols[rows == row]]
            items += [(v + radius if abs(v) <= radius else 2 * radius + 1, frequencies) for v in values]
            items += [(v + 32768, UNIFORM) for v in values if abs(v) > radius]
    return items


RADII = [0, 1, 2, 3, 7, 30, 64, 2]


def make_tables() -> LatentTables:
    rows = [table(2 * radius + 2, radius, seed) for seed, radius in enumerate(RADII)]
    rows[-1] = [1, 1, TOTAL - 5, 1, 1, 1]  # skipped
    rows[3] = [1, 1, 1, SKIP_BOUND - 1, 1, 1, 1, TOTAL - SKIP_BOUND - 5]  # just not skipped
    return LatentTables(np.array(RADII, np.int32), np.array([n for row in rows for n in row], np.uint32))


TABLES = make_tables()


def sample(size: int, seed: int, spread: float) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    draw = np.random.default_rng(seed)
    rows = draw.integers(0, len(RADII), size).astype(np.uint8)
    symbols = np.clip(np.rint(draw.laplace(scale=spread, size=size)), -ESCAPE_LIMIT, ESCAPE_LIMIT).astype(np.int32)
    symbols[TABLES.skipped[rows]] = 0
    return rows, symbols


def decode(data: bytes, rows: list[NDArray[np.uint8]]) -> list[NDArray[np.int32]]:
    decoder = TABLES.decoder(data)
    result = [decoder.step(one) for one in rows]
    decoder.finish()
    return result


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.lists(st.integers(0, 300), max_size=3),
    seed=st.integers(0, 2**32),
    spread=st.sampled_from([0.1, 1.0, 8.0, 500.0, 40000.0]),
)
def test_the_bytes_are_those_of_the_plain_coder(sizes: list[int], seed: int, spread: float) -> None:
    steps = [sample(size, seed + k, spread) for k, size in enumerate(sizes)]
    data = TABLES.encode(steps)
    assert data == plain_encode(plain_items(TABLES, steps))
    for (_, expected), found in zip(steps, decode(data, [rows for rows, _ in steps]), strict=True):
        assert found.dtype == np.int32
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("count", [2, 3, 5, 64, 130, 1000, 65536])
@pytest.mark.parametrize("peak", [0, 1, -1])
def test_tables_are_reproduced_exactly(count: int, peak: int) -> None:
    """Each index alone gives a state of c[i]: every cumulative frequency inside constriction is the table's."""
    entries = table(count, peak % count, seed=count)
    model = entropy._model(np.array(entries, np.uint32), "the table")
    starts = np.concatenate(([0], np.cumsum(entries)))
    for index in sorted({0, 1, peak % count, count // 2, count - 2, count - 1}):
        for quantile in {starts[index], starts[index + 1] - 1}:
            # A state below 2^24 read with this model must give the index that owns it.
            words = np.array([quantile], np.uint32) if quantile else np.array([], np.uint32)
            assert constriction.stream.stack.AnsCoder(words).decode(model, 1) == [index]


def test_a_nearly_flat_and_a_nearly_certain_table() -> None:
    for entries in ([TOTAL // 2, TOTAL // 2], [1, TOTAL - 1], [TOTAL - 1, 1], [1] * 99 + [TOTAL - 99]):
        model = entropy._model(np.array(entries, np.uint32), "the table")
        indices = [k % len(entries) for k in range(500)]
        coder = constriction.stream.stack.AnsCoder()
        coder.encode_reverse(np.array(indices, np.int32), model)
        assert entropy._to_bytes(coder) == plain_encode([(i, entries) for i in indices])


def test_escapes_reach_the_limit_and_no_further() -> None:
    rows = np.zeros(4, np.uint8)
    symbols = np.array([ESCAPE_LIMIT, -ESCAPE_LIMIT, 1, -1], np.int32)
    assert np.array_equal(decode(TABLES.encode([(rows, symbols)]), [rows])[0], symbols)
    for value in (ESCAPE_LIMIT + 1, -ESCAPE_LIMIT - 1, -(2**31)):
        with pytest.raises(ProfileError, match="outside -32767"):
            TABLES.encode([(rows[:1], np.array([value], np.int32))])


@pytest.mark.parametrize("value", [0, 1, -1, 2, -2, -32768])
def test_an_escaped_value_that_belongs_into_the_table_is_refused(value: int) -> None:
    row = 2  # R = 2
    entries = TABLES.frequencies(row).tolist()
    data = plain_encode([(5, entries), (value + 32768, UNIFORM)])
    with pytest.raises(CorruptError, match="E10"):
        TABLES.decoder(data).step(np.array([row], np.uint8))


def test_steps_with_masks_are_coded_as_their_symbols_alone() -> None:
    """Rows elsewhere may be anything: graphs compute whole tensors, and a row is valid where its step codes."""
    rows, symbols = sample(3000, 11, 2.0)
    mask = np.random.default_rng(12).integers(0, 2, rows.size).astype(np.uint8)
    first, second = (np.where(own, rows, 255).astype(np.uint8) for own in (mask, 1 - mask))
    data = TABLES.encode([(first, symbols, mask), (second, symbols, 1 - mask)])
    parts = [(rows[own == 1], symbols[own == 1]) for own in (mask, 1 - mask)]
    assert data == TABLES.encode(parts)
    found, decoder = np.zeros(rows.size, np.int32), TABLES.decoder(data)
    decoder.step_into(found, first, mask)
    assert np.array_equal(found, symbols * mask)
    decoder.step_into(found, second, 1 - mask)
    decoder.finish()
    assert np.array_equal(found, symbols)
    with pytest.raises(ProfileError, match="row 255 of 8"):
        TABLES.encode([(first, symbols, 1 - mask)])
    with pytest.raises(ProfileError, match="skipped row"):
        TABLES.encode([(np.full(4, 7, np.uint8), np.array([1, 0, 0, 0], np.int32), np.ones(4, np.uint8))])
    TABLES.encode([(np.full(4, 7, np.uint8), np.array([1, 0, 0, 0], np.int32), np.array([0, 1, 1, 1], np.uint8))])


def test_skipped_rows_cost_nothing() -> None:
    rows = np.full(100_000, len(RADII) - 1, np.uint8)
    assert TABLES.skipped.tolist() == [False] * 7 + [True]
    assert TABLES.encode([(rows, np.zeros(rows.size, np.int32))]) == b""
    assert not decode(b"", [rows])[0].any()
    assert TABLES.bits(rows, np.zeros(rows.size, np.int32)) == 0


def test_a_symbol_in_a_skipped_row_is_not_lost_silently() -> None:
    with pytest.raises(ProfileError, match="skipped row"):
        TABLES.encode([(np.array([7, 1], np.uint8), np.array([1, 0], np.int32))])


def test_a_row_without_table_is_refused() -> None:
    rows, symbols = np.array([1, 8], np.uint8), np.zeros(2, np.int32)
    with pytest.raises(ProfileError, match="row 8 of 8"):
        TABLES.encode([(rows, symbols)])
    with pytest.raises(ProfileError, match="row 8 of 8"):
        TABLES.decoder(b"").step(rows)


def test_nothing_to_code_is_no_bytes() -> None:
    empty = (np.empty(0, np.uint8), np.empty(0, np.int32))
    assert TABLES.encode([]) == TABLES.encode([empty, empty]) == b""
    TABLES.decoder(b"").finish()


def test_the_stream_must_end_with_its_last_symbol() -> None:
    rows, symbols = sample(500, 1, 2.0)
    data = TABLES.encode([(rows, symbols)])
    for words in (b"\1\0\0\0", b"\xff\xff\xff\xff" * 2):
        with pytest.raises(CorruptError):
            decode(data + words, [rows])
        with pytest.raises(CorruptError):
            decode(words + data, [rows])
    with pytest.raises(CorruptError, match="E11"):
        decode(data, [rows[:-1]])
    with pytest.raises(CorruptError, match="E4"):
        TABLES.decoder(data + b"\1")
    with pytest.raises(CorruptError, match="E5"):
        TABLES.decoder(data + bytes(4))


@settings(deadline=None, max_examples=200)
@given(data=st.binary(max_size=80), seed=st.integers(0, 2**32), size=st.integers(0, 400))
def test_garbage_never_crashes_the_decoder(data: bytes, seed: int, size: int) -> None:
    """Whatever the bytes: an error of ours, or symbols that code to the same bytes again (one spelling)."""
    rows, _ = sample(size, seed, 1.0)
    try:
        (symbols,) = decode(data, [rows])
    except NarrowsError:
        return
    assert TABLES.encode([(rows, symbols)]) == data


def test_every_flipped_bit_of_a_stream_is_seen_or_decodes_to_other_symbols() -> None:
    rows, symbols = sample(200, 5, 3.0)
    data = TABLES.encode([(rows, symbols)])
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with suppress(CorruptError):
            assert not np.array_equal(decode(bytes(damaged), [rows])[0], symbols)


def test_bits_are_those_of_the_file() -> None:
    rows, symbols = sample(20_000, 9, 4.0)
    bits = TABLES.bits(rows, symbols)
    assert abs(8 * len(TABLES.encode([(rows, symbols)])) - bits) < 64
    shaped = TABLES.bits(rows.reshape(2, 100, 100), symbols.reshape(2, 100, 100))
    assert shaped == pytest.approx(bits)


@pytest.mark.parametrize(
    ("radius", "frequencies"),
    [
        ([], []),
        ([-1], []),
        ([40000], [1] * 80002),
        ([0], [TOTAL]),
        ([0], [TOTAL, 0]),
        ([0], [TOTAL - 1, 2]),
        ([0], [TOTAL - 2, 1]),
        ([0], [TOTAL - 1, 1, 1]),
        ([0] * 257, [TOTAL - 1, 1] * 257),
        ([[0]], [TOTAL - 1, 1]),
        ([0], [2**32 - 1, TOTAL + 1]),
    ],
)
def test_wrong_latent_tables_are_refused(radius: Any, frequencies: list[int]) -> None:
    with pytest.raises(ProfileError):
        LatentTables(np.array(radius, np.int32), np.array(frequencies, np.uint32))


def test_256_rows_are_allowed() -> None:
    tables = LatentTables(np.zeros(256, np.int32), np.array([TOTAL // 2] * 512, np.uint32))
    rows = np.arange(256, dtype=np.uint8)
    decoder = tables.decoder(tables.encode([(rows, np.zeros(256, np.int32))]))
    assert not decoder.step(rows).any()
    decoder.finish()


LIMIT = 4


@given(sizes=st.lists(st.integers(0, 60), min_size=2, max_size=4), seed=st.integers(0, 10**6))
def test_a_joint_stream_is_the_plain_coders_without_its_last_zero_bytes(sizes: list[int], seed: int) -> None:
    first, *others = [sample(size, seed + k, 3.0) for k, size in enumerate(sizes)]
    side = LatentTables(TABLES.radius[:5], np.concatenate([TABLES.frequencies(row) for row in range(5)]), "tables.z")
    first = (first[0] % 5, np.clip(first[1], -2, 2) * (~side.skipped)[first[0] % 5])
    data = entropy.encode_joint([(side, [first]), (TABLES, others)])
    plain = plain_encode(plain_items(side, [first]) + plain_items(TABLES, others))
    assert data == plain.rstrip(b"\0") and not data.endswith(b"\0")
    stream = entropy.open_joint(data)
    assert np.array_equal(side.reader(stream).step(first[0]), first[1])
    latents = TABLES.reader(stream)
    for rows, symbols in others:
        assert np.array_equal(latents.step(rows), symbols)
    latents.finish()


def test_a_joint_stream_does_not_end_in_zero_and_has_nothing_left_over() -> None:
    rows, symbols = sample(40, 3, 2.0)
    data = entropy.encode_joint([(TABLES, [(rows, symbols)])])
    with pytest.raises(CorruptError, match="E5"):
        entropy.open_joint(data + b"\0")
    reader = TABLES.reader(entropy.open_joint(data))
    reader.step(rows[:-1])
    with pytest.raises(CorruptError, match="E11"):
        reader.finish()


SIDE_FREQUENCIES = np.array([[table(2 * LIMIT + 1, LIMIT, 10 * k + c) for c in range(3)] for k in range(2)], np.uint32)
SIDE = SideTables(SIDE_FREQUENCIES)


@settings(deadline=None, max_examples=50)
@given(height=st.integers(0, 8), width=st.integers(0, 8), seed=st.integers(0, 2**32), cls=st.integers(0, 1))
def test_the_hyper_latent_comes_back_through_the_plain_coders_bytes(
    height: int, width: int, seed: int, cls: int
) -> None:
    z_hat = np.random.default_rng(seed).integers(-LIMIT, LIMIT + 1, (3, height, width)).astype(np.int32)
    data = SIDE.encode(z_hat, cls)
    items = [(int(v) + LIMIT, SIDE_FREQUENCIES[cls, c].tolist()) for c in range(3) for v in z_hat[c].reshape(-1)]
    assert data == plain_encode(items)
    assert np.array_equal(SIDE.decode(data, z_hat.shape, cls), z_hat)
    ideal = -sum(np.log2(frequencies[i] / TOTAL) for i, frequencies in items)
    assert SIDE.bits(z_hat, cls) == pytest.approx(ideal)


@given(data=st.binary(max_size=60))
def test_garbage_in_a_side_chunk(data: bytes) -> None:
    try:
        z_hat = SIDE.decode(data, (3, 2, 4), 0)
    except CorruptError:
        return
    assert SIDE.encode(z_hat, 0) == data


def test_a_side_chunk_must_end_with_its_last_value() -> None:
    z_hat = np.ones((3, 2, 2), np.int32)
    with pytest.raises(CorruptError, match="E11"):
        SIDE.decode(SIDE.encode(z_hat, 0), (3, 2, 1), 0)


@pytest.mark.parametrize("value", [LIMIT + 1, -LIMIT - 1, -(2**31)])
def test_the_hyper_latent_must_be_clipped(value: int) -> None:
    with pytest.raises(ProfileError, match="over 4"):
        SIDE.encode(np.full((3, 1, 1), value, np.int32), 0)
    with pytest.raises(ProfileError, match="2 channels"):
        SIDE.encode(np.zeros((2, 1, 1), np.int32), 0)


@pytest.mark.parametrize("shape", [(1, 3), (1, 1, 3), (0, 1, 3), (1, 0, 3), (1, 1, 1), (1, 1, 4)])
def test_wrong_side_tables_are_refused(shape: tuple[int, ...]) -> None:
    frequencies = np.full(shape, TOTAL // max(shape[-1], 1), np.uint32)
    with pytest.raises(ProfileError, match=r"tables\.z"):
        SideTables(frequencies)


def test_a_panic_of_the_coder_becomes_our_error() -> None:
    class PanicException(BaseException):
        """Named like pyo3's, which cannot be imported."""

    with pytest.raises(CorruptError, match="latents cannot be coded: boom"), entropy._translated("latents"):
        raise PanicException("boom")
    with pytest.raises(KeyboardInterrupt), entropy._translated("latents"):
        raise KeyboardInterrupt
