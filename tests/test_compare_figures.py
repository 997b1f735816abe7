"""Figures: what they show, that they are one document's guests, and that names in them stay names."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from compare_example import CODERS, comparison
from matplotlib.figure import Figure
from PIL import Image

from narrows.compare.analysis import analyse
from narrows.compare.canvas import NARROW, WIDE, WIDER, apart, shortened
from narrows.compare.charts import picture_figure, speed_figure
from narrows.compare.curves import Curve
from narrows.compare.figures import Line, lines_of, rate_figure, relative_figure, write_figures
from narrows.compare.palette import DARK, LIGHT, Style, styles
from narrows.compare.svg import inline_svg, png_file, svg_file

HOSTILE = '<script>alert(1)</script> & $\\frac{1}{0}$ "quoted" --> é'
STYLE = Style(name="ink", dashes=(), width=2)


def line(label: str, factor: float = 1.0, low: float = 26.0) -> Line:
    qualities = tuple(low + 2 * k for k in range(6))
    rates = tuple(factor * 0.1 * 2 ** (k / 2) for k in range(6))
    curve = Curve(coder=label, label=label, settings=tuple(range(6)), rate_bpp=rates, quality=qualities)
    return Line(end=label, curve=curve, style=STYLE)


def texts(figure: Figure) -> list[str]:
    """What is written in a figure, as a reader of its SVG finds it."""
    root = ElementTree.fromstring(svg_file(figure, "title"))
    return ["".join(node.itertext()).strip() for node in root.iter("{http://www.w3.org/2000/svg}text")]


def test_every_coder_and_drawn_published_curve_has_a_line_the_judged_first() -> None:
    example = comparison()
    analysis = analyse(example)
    found = lines_of(analysis.deciding, analysis.published, styles(CODERS, "narrows"))
    assert found[0].end == "narrows" and found[0].style.judged
    assert [item.end for item in found if not item.published] == [c.label for c in CODERS if not c.lossless]
    assert [item.end for item in found if item.published] == ["An Old <b>Standard</b>"]


def test_the_names_stand_at_the_ends_of_the_lines_of_the_wide_figure() -> None:
    lines = [line("judged"), line("other", 1.5), line("third", 0.8, low=28)]
    wide, narrow = relative_figure(lines, "PSNR, dB", WIDER), relative_figure(lines, "PSNR, dB", NARROW)
    assert wide is not None and {"judged", "other", "third"} <= set(texts(wide))
    assert narrow is not None and not {"other", "third"} & set(texts(narrow))


def test_without_any_overlap_there_is_no_relative_figure() -> None:
    assert relative_figure([line("judged"), line("far", low=60)], "PSNR, dB") is None
    assert relative_figure([line("judged")], "PSNR, dB") is None


def test_bytes_at_equal_quality_are_drawn_in_percent_of_the_judged() -> None:
    figure = relative_figure([line("judged"), line("double", 2.0)], "PSNR, dB")
    assert figure is not None
    ratios = np.asarray(figure.axes[0].lines[1].get_ydata(), dtype=float)
    assert len(ratios) > 20 and np.allclose(ratios, 200)


def test_the_window_of_the_rate_figure_is_the_judged_coders() -> None:
    figure = rate_figure([line("judged"), line("other", 40.0)], "PSNR, dB", WIDE)
    low, high = figure.axes[0].get_xlim()
    assert 0.08 < low < 0.1 and 0.56 < high < 0.7
    assert "PSNR, dB" in texts(figure)


@pytest.mark.parametrize("name", [HOSTILE, "a" * 300, "$x", "\N{GREEK SMALL LETTER PI}\N{CJK UNIFIED IDEOGRAPH-4E2D}"])
@pytest.mark.filterwarnings("ignore:Glyph:UserWarning")  # DejaVu has no such letter; the page's font may
def test_a_name_is_text_whatever_it_holds(name: str) -> None:
    figure = relative_figure([line("judged"), line(name, 1.5)], name)
    assert figure is not None
    assert shortened(name, 22) in texts(figure)  # parsed as XML: nothing became markup
    bars = picture_figure([(name, 1.0), ("other", -2.0)], name, name)
    assert shortened(name, 16) in texts(bars)
    assert "<script" not in inline_svg(bars, "p", name) and "onload" not in inline_svg(bars, "p", name)


def test_an_inline_figure_names_no_address_and_takes_the_pages_colours() -> None:
    markup = inline_svg(rate_figure([line("judged"), line("other", 2.0)], "PSNR, dB"), "a", 'a "title"')
    assert "http" not in markup and "xmlns" not in markup and "<style" not in markup
    assert "var(--ink)" in markup and "font-family" not in markup and "DejaVu" not in markup
    assert not re.search(r"#[0-9a-f]{6}", markup)
    assert 'aria-label="a &quot;title&quot;"' in markup


def test_two_figures_in_a_page_share_no_id() -> None:
    def ids(prefix: str) -> set[str]:
        return set(re.findall(r' id="([^"]*)"', inline_svg(rate_figure([line("judged")], "x"), prefix, "t")))

    assert ids("a") and not ids("a") & ids("b")
    markup = inline_svg(rate_figure([line("judged")], "x"), "a", "t")
    assert set(re.findall(r"(?:href=\"#|url\(#)([^\")]+)", markup)) == ids("a")


def test_the_same_figure_is_the_same_text() -> None:
    first, second = (svg_file(rate_figure([line("judged"), line("b", 2.0)], "x"), "t") for _ in range(2))
    assert first == second


def test_all_figures_are_written_as_svg_and_png(tmp_path: Path) -> None:
    example = comparison()
    analysis = analyse(example)
    written = write_figures(tmp_path, example, analysis)
    assert sorted(written) == sorted(tmp_path.iterdir())
    names = {path.stem for path in written}
    assert {"pictures", "speed"} <= names
    assert {f"{kind}-{m.key}" for m in analysis.metrics for kind in ("rate", "relative")} <= names
    for path in written:
        if path.suffix == ".svg":
            ElementTree.fromstring(path.read_text(encoding="utf-8"))
        else:
            with Image.open(path) as image:
                assert image.size[0] in (2 * WIDE.width, 2 * WIDER.width)


def test_a_drawing_looks_the_same_and_takes_half_of_the_bytes() -> None:
    figure = rate_figure([line("judged"), line("b", 2.0)], "x")
    whole, drawing = png_file(figure), png_file(figure, drawing=True)
    first, second = (np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.int32) for data in (whole, drawing))
    assert first.shape == second.shape
    assert (np.abs(first - second).max(2) > 16).mean() < 0.005
    assert len(drawing) < len(whole) / 2


def test_many_pictures_have_bars_without_names() -> None:
    figure = picture_figure([(f"picture{k}", k - 100.0) for k in range(200)], "narrows", "AVIF")
    assert figure.get_size_inches()[1] * 72 < 1100
    assert not any(text.startswith("picture0") for text in texts(figure))


def test_one_coder_has_a_speed_too() -> None:
    report = comparison().speed
    assert report is not None
    alone = replace(report, speeds=report.speeds[:1])
    for size in (WIDE, NARROW):
        assert "6.00" in texts(speed_figure(alone, {"narrows": "narrows"}, styles(CODERS, "narrows"), size))


@pytest.mark.parametrize("wanted", [[], [5.0], [0.0, 0.0, 0.0], [10.0, 11.0, 90.0, 91.0, 91.5], [99.0] * 30])
def test_labels_never_stand_on_one_another(wanted: list[float]) -> None:
    placed = apart(wanted, 12, 0, 100)
    gap = min(12.0, 100 / max(len(wanted) - 1, 1))
    assert len(placed) == len(wanted)
    assert all(b - a > gap - 1e-6 for a, b in pairwise(placed))
    assert all(-1e-6 <= at <= 100 + 1e-6 for at in placed)


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colours", [LIGHT, DARK])
def test_text_can_be_read_on_its_paper(colours: dict[str, str]) -> None:
    for paper in ("paper", "raised"):
        for name in set(colours) - {"paper", "raised", "rule", "grid", "published"}:
            bright, dark = sorted((luminance(colours[paper]), luminance(colours[name])), reverse=True)
            assert (bright + 0.05) / (dark + 0.05) >= 4.5, (name, paper)


def test_colours_can_be_told_apart_by_their_value_alone() -> None:
    assert len(set(LIGHT.values())) == len(LIGHT) and LIGHT.keys() == DARK.keys()


def test_coders_of_one_family_differ_in_dashes() -> None:
    found = styles(CODERS, "narrows")
    assert found["avif420"].name == found["avif444"].name == "avif"
    assert found["avif420"].dash_array == "none" != found["avif444"].dash_array
