"""A plate as one picture with its words, for documents and for files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont

from narrows.compare.palette import LIGHT
from narrows.lab.report.pictures import Plate, Tile

_FONT = 12
_LINE = 18
_EDGE = 14
_GAP = 10


def plate_image(plate: Plate) -> Image.Image:
    """The plate on light paper: heads above, labels over their rows, lines below the pictures, whole zoom."""
    zoom, gap = plate.factor, 2 if plate.tight else _GAP
    columns = max((len(row.tiles) for row in plate.rows), default=0)
    widths = [_column_width(plate, index, zoom) for index in range(columns)]
    lefts = [_EDGE + sum(widths[:index]) + gap * index for index in range(columns)]
    labels = max((_width(row.label) for row in plate.rows), default=0)
    width = max(_EDGE + sum(widths) + gap * max(columns - 1, 0), _EDGE + labels) + _EDGE
    heads = [_wrapped(head, wide) for head, wide in zip(plate.heads, widths, strict=False)]
    top = _EDGE + (_LINE * max(map(len, heads)) + 4 if heads else 0)
    heights = [_row_height(row.label, row.tiles, zoom, gap) for row in plate.rows]
    image = Image.new("RGB", (width, top + sum(heights) + _EDGE - gap), LIGHT["paper"])
    draw = ImageDraw.Draw(image)
    for left, lines in zip(lefts, heads, strict=False):
        _write(draw, left, top - 4 - _LINE * len(lines), lines, LIGHT["ink"])
    for row, height in zip(plate.rows, heights, strict=True):
        y = top
        if row.label:
            _write(draw, _EDGE, y + 2, [row.label], LIGHT["muted"])
            y += _LINE + 6
        for left, tile in zip(lefts, row.tiles, strict=False):
            if tile is not None:
                _paste(image, draw, tile, left, y, zoom)
        top += height
    return image


def _paste(image: Image.Image, draw: ImageDraw.ImageDraw, tile: Tile, left: int, top: int, zoom: int) -> None:
    height, width = tile.pixels.shape[:2]
    pixels = Image.fromarray(tile.pixels).convert("RGB")
    image.paste(pixels.resize((width * zoom, height * zoom), Image.Resampling.NEAREST), (left, top))
    _write(draw, left, top + height * zoom + 3, tile.lines, LIGHT["muted"])


def _column_width(plate: Plate, index: int, zoom: int) -> int:
    tiles = [row.tiles[index] for row in plate.rows if index < len(row.tiles)]
    sides = [tile.pixels.shape[1] * zoom for tile in tiles if tile is not None]
    words = [_width(line) for tile in tiles if tile is not None for line in tile.lines]
    if index < len(plate.heads):
        words += [_width(word) for word in plate.heads[index].split()]
    widest: int = max([*sides, *words, 1])
    return widest


def _row_height(label: str, tiles: Sequence[Tile | None], zoom: int, gap: int) -> int:
    there = [tile for tile in tiles if tile is not None]
    inner = max((tile.pixels.shape[0] * zoom + _LINE * len(tile.lines) for tile in there), default=0)
    words = 5 if any(tile.lines for tile in there) else 0
    return inner + words + gap + (_LINE + 6 if label else 0)


def _wrapped(text: str, width: int) -> list[str]:
    """The words of a head in lines that fit, broken between words."""
    lines: list[str] = []
    for word in text.split():
        if lines and _width(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _write(draw: ImageDraw.ImageDraw, left: int, top: int, lines: Sequence[str], colour: str) -> None:
    for index, line in enumerate(lines):
        draw.text((left, top + _LINE * index), line, fill=colour, font=_font())


def _width(text: str) -> int:
    return round(_font().getlength(text)) + 1


@cache
def _font() -> ImageFont.FreeTypeFont:
    """That of the charts' files: it comes with matplotlib and has the signs that Pillow's own lacks."""
    return ImageFont.truetype(findfont("DejaVu Sans"), _FONT)
