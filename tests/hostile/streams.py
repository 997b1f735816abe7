"""Streams in the tables of tests/golden/profile and tests/golden/v3/profile that say what an encoder never says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from craft import LATENTS, SIDE, Chunk, ans, words

from narrows import Codec
from narrows.entropy import ESCAPE_LIMIT, Step, encode_joint

GOLDEN = Path(__file__).parents[1] / "golden"
CODEC = Codec(GOLDEN / "profile", threads=1)
CODEC_3 = Codec(GOLDEN / "v3" / "profile", threads=1)
UNIFORM = [256] * 65536
SIZE = CODEC.profile.manifest.hyper_stride // CODEC.profile.manifest.latent_stride  # of one hyper-latent, in latents


def escaped(value: int) -> list[Chunk]:
    """A strip of one hyper-latent whose first coded symbol is an escape with this value.

    It is read first, so what follows it does not matter.
    """
    tables, rows = CODEC.profile.latent_tables, _first_rows(_z_hat(0))
    row = next(row for row in range(len(tables.radius)) if (rows == row).any() and not tables.skipped[row])
    frequencies, radius = tables.frequencies(row).tolist(), int(tables.radius[row])
    count = int((rows == row).sum())
    items = [(2 * radius + 1, frequencies), *[(radius, frequencies)] * (count - 1), (value + ESCAPE_LIMIT + 1, UNIFORM)]
    return [(SIDE, _side(_z_hat(0))), (LATENTS, ans(items))]


def left_over(kind: int) -> list[Chunk]:
    """An honest strip of one hyper-latent, with one word more below the others in one of the streams."""
    streams = dict(_strip(0, 0))
    streams[kind] = words(1, 11) + streams[kind]
    return list(streams.items())


def extreme(sign: int) -> list[Chunk]:
    """A valid strip of one hyper-latent in which every number is as large as it can be."""
    return _strip(sign * CODEC.profile.manifest.hyper_limit, sign * ESCAPE_LIMIT)


def _strip(hyper: int, symbol: int) -> list[Chunk]:
    """A strip of one hyper-latent: z_hat is `hyper`, and every symbol that is coded is `symbol`."""
    manifest, tables = CODEC.profile.manifest, CODEC.profile.latent_tables
    z_hat, quality = _z_hat(hyper), 7 if symbol else 0
    symbols = np.zeros((1, manifest.latent_channels, SIZE, SIZE), np.int32)
    flat, steps = symbols.reshape(-1), []
    for step, mask in enumerate(CODEC._strips._order.masks(SIZE, SIZE)):
        where = mask.astype(bool)
        rows = CODEC._networks.scales(step, z_hat, symbols, quality).reshape(-1)[where]
        flat[where] = np.where(tables.skipped[rows], 0, symbol)
        steps.append((rows, flat[where]))
    return [(SIDE, _side(z_hat, quality)), (LATENTS, tables.encode(steps))]


def _z_hat(value: int) -> np.ndarray:
    return np.full((1, CODEC.profile.manifest.hyper_channels, 1, 1), value, np.int32)


def _first_rows(z_hat: np.ndarray) -> np.ndarray:
    symbols = np.zeros((1, CODEC.profile.manifest.latent_channels, SIZE, SIZE), np.int32)
    rows = CODEC._networks.scales(0, z_hat, symbols, 0).reshape(-1)
    first: np.ndarray = rows[CODEC._strips._order.masks(SIZE, SIZE)[0].astype(bool)]
    return first


def _side(z_hat: np.ndarray, quality: int = 0) -> bytes:
    tables = CODEC.profile.side_tables
    assert tables is not None
    return tables.encode(z_hat[0], int(CODEC.profile.side_classes[quality]))


# ---------------------------------------------------------------------------------------------------------------------
# Version 3: one stream a strip, with tests/golden/v3/profile, whose networks are as large as those of the other one.


def joint(hyper: int, symbol: int, quality: int, columns: int = 1) -> bytes:
    """The stream of one row of hyper-latents: z_hat is `hyper`, and every symbol that is coded is `symbol`."""
    manifest, tables = CODEC_3.profile.manifest, CODEC_3.profile.latent_tables
    z_hat = np.full((1, manifest.hyper_channels, 1, columns), hyper, np.int32)
    symbols = np.zeros((1, manifest.latent_channels, SIZE, columns * SIZE), np.int32)
    rows = np.zeros(symbols.shape, np.uint8)
    for step, mask in enumerate(CODEC_3._strips._order.masks(*symbols.shape[2:])):
        now = mask.reshape(symbols.shape) == 1
        rows[now] = CODEC_3._networks.scales(step, z_hat, symbols, quality)[now]
        symbols[now] = np.where(tables.skipped[rows], 0, symbol)[now]
    return CODEC_3._strips.encode(symbols, rows, z_hat, quality).latents


def joint_side(wanted: np.ndarray, quality: int = 0) -> bytes:
    """A stream that ends after its hyper-latent, (hz, h, w), whatever the values are."""
    side = CODEC_3.profile.side_context
    assert side is not None and CODEC_3._strips._side_order is not None
    whole = (wanted - side.centre[quality][:, None, None]).astype(np.int32)[None]
    values, steps = np.zeros_like(whole), list[Step]()
    for step, mask in enumerate(CODEC_3._strips._side_order.masks(*whole.shape[2:])):
        rows, shift = CODEC_3._networks.side(step, values, quality)
        steps.append((rows.reshape(-1), (whole - shift).reshape(-1), mask))
        values = np.where(mask.reshape(whole.shape) == 1, whole, values)
    return encode_joint([(side.tables, steps)])


def far(value: int, columns: int) -> bytes:
    """A hyper-latent whose last value alone is `value`; with one column side step 0 reads it, with two step 2."""
    z_hat = np.zeros((CODEC_3.profile.manifest.hyper_channels, 1, columns), np.int32)
    z_hat[-1, 0, -1] = value
    return joint_side(z_hat)


def joint_escaped(value: int) -> bytes:
    """A stream whose first symbol, one of the hyper-latent's, is an escape with this value."""
    side, channels = CODEC_3.profile.side_context, CODEC_3.profile.manifest.hyper_channels
    assert side is not None
    rows, _ = CODEC_3._networks.side(0, np.zeros((1, channels, 1, 1), np.int32), 0)
    row = int(rows.min())
    frequencies, radius = side.tables.frequencies(row).tolist(), int(side.tables.radius[row])
    others = [(radius, frequencies)] * (int((rows == row).sum()) - 1)
    items = [(2 * radius + 1, frequencies), *others, (value + ESCAPE_LIMIT + 1, UNIFORM)]
    return ans(items).rstrip(b"\0")
