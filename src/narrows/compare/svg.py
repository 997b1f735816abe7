"""Figures of matplotlib as SVG, inline in a page whose colours they take over or as a file, and as PNG files."""

from __future__ import annotations

import io
import re
from html import escape

import matplotlib as mpl
from matplotlib.figure import Figure
from PIL import Image

from narrows.compare.palette import DARK, LIGHT, css_variables

POINTS_PER_INCH = 72
"""matplotlib writes SVG in points; at 72 to the inch one of its points is one unit of the viewBox."""

_TOKENS = {value: token for token, value in LIGHT.items()}
_STROKES = 'stroke-linejoin="round" stroke-linecap="butt"'  # what matplotlib's own style would set, for the whole page
_FONT = "ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def inline_svg(figure: Figure, prefix: str, title: str) -> str:
    """The figure as an <svg> element for an HTML page: no size of its own but a shape, colours as CSS variables.

    `prefix` makes the ids of this element differ from those of others in the page; `title` is what a screen reader
    says. The element names no address, loads nothing, and takes its font from the page.
    """
    body, width, height = _body(figure, prefix)
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" {_STROKES} role="img" '
        f'aria-label="{escape(title, quote=True)}">{body}</svg>'
    )


def svg_file(figure: Figure, title: str) -> str:
    """The figure as an SVG file: transparent, light or dark as the reader's system is."""
    body, width, height = _body(figure, "f")
    style = (
        f"svg {{ {css_variables(LIGHT)} font-family: {_FONT}; }} "
        f"@media (prefers-color-scheme: dark) {{ svg {{ {css_variables(DARK)} }} }}"
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f"{_STROKES}><title>{escape(title)}</title><style>{style}</style>{body}</svg>\n"
    )


def png_file(figure: Figure, *, drawing: bool = False) -> bytes:
    """The figure as a PNG file: on light paper, two pixels to a CSS pixel.

    A `drawing`, without photographs, gets along with 64 colours: a quarter of the bytes, and no difference to be seen.
    """
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=2 * POINTS_PER_INCH, facecolor=LIGHT["paper"])
    if not drawing:
        return file.getvalue()
    with Image.open(file) as image:
        few = image.convert("RGB").quantize(64, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    file = io.BytesIO()
    few.save(file, "PNG", optimize=True, dpi=(2 * POINTS_PER_INCH,) * 2)
    return file.getvalue()


def _body(figure: Figure, prefix: str) -> tuple[str, int, int]:
    """What is inside the <svg> element, and its width and height in CSS pixels."""
    file = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "narrows"}):  # text as text; the same ids every time
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = file.getvalue()
    text = text[text.index(">", text.index("<svg")) + 1 : text.rindex("</svg>")]
    text = re.sub(
        r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->|<title>.*?</title>", "", text, flags=re.DOTALL
    )
    text = text.replace("xlink:href", "href")
    text = re.sub(r" ?font-family: [^;\"]*;", "", text)  # the page's own
    text = re.sub(r"font: (?:(bold|[0-9]+) )?([0-9.]+)px [^;\"]*", _font, text)
    text = re.sub(r"#[0-9a-f]{6}\b", lambda match: _variable(match.group()), text)
    text = _own_ids(text, prefix)
    text = re.sub(r"\s*\n\s*", "\n", text).strip()
    width, height = (round(inches * POINTS_PER_INCH) for inches in figure.get_size_inches())
    return text, width, height


def _font(match: re.Match[str]) -> str:
    weight, size = match.groups()
    return f"font-size: {size}px" + (f"; font-weight: {weight}" if weight else "")


def _variable(colour: str) -> str:
    return f"var(--{_TOKENS[colour]})" if colour in _TOKENS else colour


def _own_ids(text: str, prefix: str) -> str:
    """Only the ids that something refers to, each with the prefix."""
    used = set(re.findall(r"(?:href=\"#|url\(#)([^\")]+)", text))
    text = re.sub(
        r' id="([^"]*)"', lambda match: f' id="{prefix}-{match.group(1)}"' if match.group(1) in used else "", text
    )
    return re.sub(r"(href=\"#|url\(#)([^\")]+)", rf"\g<1>{prefix}-\g<2>", text)
