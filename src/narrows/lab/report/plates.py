"""The plates that the studies need, made from arrays (see pictures.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from narrows.errors import OptionError
from narrows.lab.report.pictures import Picture, Plate, PlateRow, Tile, difference, mosaic


@dataclass(frozen=True, kw_only=True)
class Version:
    """Pictures as a coder or a model gave them back: (N, H, W) or (N, H, W, 3).

    lines: for each picture the words below it, or () for none: (("312 bytes", "31.20 dB"), ...).
    """

    label: str
    pictures: Picture
    lines: tuple[tuple[str, ...], ...] = ()


def facts_line(size_bytes: float, psnr_db: float) -> tuple[str, ...]:
    """The two lines below a picture that was coded.

    >>> facts_line(1312, 31.2)
    ('1,312 bytes', '31.20 dB')
    """
    return f"{size_bytes:,.0f} bytes", f"{psnr_db:.2f} dB"


def comparison_plate(
    name: str,
    title: str,
    originals: Picture,
    versions: Sequence[Version],
    *,
    labels: Sequence[str] = (),
    gain: int = 0,
    zoom: int = 0,
    caption: str = "",
) -> Plate:
    """A row a picture: the original, every version, and with a gain the differences of the versions to the original.

    `labels`, if any, is a label a picture ("best", "median", "worst"). OptionError if a version has other shapes.
    """
    for version in versions:
        if version.pictures.shape != originals.shape:
            raise OptionError(f"{version.label} is {version.pictures.shape}, the originals are {originals.shape}")
    heads = ["Original", *(version.label for version in versions)]
    heads += [f"{version.label}, error × {gain}" for version in versions] if gain else []
    rows = []
    for index, original in enumerate(originals):
        tiles = [Tile(pixels=original, alt=f"Picture {index + 1}, the original")]
        for version in versions:
            lines = version.lines[index] if version.lines else ()
            alt = ", ".join([f"Picture {index + 1} through {version.label}", *lines])
            tiles.append(Tile(pixels=version.pictures[index], alt=alt, lines=lines))
        if gain:
            for version in versions:
                alt = f"Error of {version.label} on picture {index + 1}, {gain} times amplified"
                tiles.append(Tile(pixels=difference(original, version.pictures[index], gain), alt=alt))
        rows.append(PlateRow(label=labels[index] if labels else "", tiles=tuple(tiles)))
    return Plate(name=name, title=title, rows=tuple(rows), heads=tuple(heads), caption=caption, zoom=zoom)


def epoch_plate(
    name: str,
    title: str,
    strips: Sequence[tuple[str, Picture]],
    *,
    original: Picture | None = None,
    most: int = 10,
    zoom: int = 0,
    caption: str = "",
) -> Plate:
    """A row a model: one picture after each epoch, (label, (epochs, H, W[, 3])); at most `most` of them, the last too.

    `original` (H, W[, 3]) ends every row. Heads are the epochs from 1.
    """
    longest = max((len(strip) for _, strip in strips), default=0)
    if not longest:
        raise OptionError("a plate over epochs needs strips with at least one epoch")
    chosen = spread(longest, most)
    rows = []
    for label, strip in strips:
        tiles: list[Tile | None] = [
            Tile(pixels=strip[index], alt=f"{label} after epoch {index + 1}") if index < len(strip) else None
            for index in chosen
        ]
        if original is not None:
            tiles.append(Tile(pixels=original, alt="The original"))
        rows.append(PlateRow(label=label, tiles=tuple(tiles)))
    heads = [f"epoch {index + 1}" if index == 0 else str(index + 1) for index in chosen] + (
        ["original"] if original is not None else []
    )
    return Plate(name=name, title=title, rows=tuple(rows), heads=tuple(heads), caption=caption, zoom=zoom, tight=True)


def strip_plate(
    name: str,
    title: str,
    strips: Picture,
    *,
    labels: Sequence[str] = (),
    heads: Sequence[str] = (),
    zoom: int = 0,
    caption: str = "",
) -> Plate:
    """A row a strip of (rows, steps, H, W[, 3]): interpolations, traversals. `labels` a row, `heads` a step."""
    rows = []
    for index, strip in enumerate(strips):
        label = labels[index] if labels else ""
        alt = label or f"Row {index + 1}"
        tiles = tuple(Tile(pixels=pixels, alt=f"{alt}, step {step + 1}") for step, pixels in enumerate(strip))
        rows.append(PlateRow(label=label, tiles=tiles))
    return Plate(name=name, title=title, rows=tuple(rows), heads=tuple(heads), caption=caption, zoom=zoom, tight=True)


def sample_plate(
    name: str,
    title: str,
    groups: Sequence[tuple[str, Picture]],
    *,
    columns: int = 8,
    zoom: int = 2,
    caption: str = "",
) -> Plate:
    """Groups of pictures (label, (N, H, W[, 3])) side by side, each as one mosaic: samples of several models."""
    tiles = tuple(
        Tile(pixels=mosaic(pictures, columns), alt=f"{len(pictures)} pictures: {label}") for label, pictures in groups
    )
    heads = tuple(label for label, _ in groups)
    return Plate(name=name, title=title, rows=(PlateRow(tiles=tiles),), heads=heads, caption=caption, zoom=zoom)


def spread(count: int, most: int) -> list[int]:
    """At most `most` whole numbers below `count`, evenly spread, the first and the last among them.

    >>> spread(20, 5), spread(3, 5)
    ([0, 5, 10, 14, 19], [0, 1, 2])
    """
    if count <= most or most < 2:
        return list(range(count))
    return [round(index * (count - 1) / (most - 1)) for index in range(most)]
