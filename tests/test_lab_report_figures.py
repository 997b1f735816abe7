"""Charts and plates of the laboratory's reports: what is drawn is what was given."""

from __future__ import annotations

import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from narrows.compare.canvas import NARROW
from narrows.compare.palette import DARK, LIGHT
from narrows.compare.svg import inline_svg, svg_file
from narrows.errors import OptionError
from narrows.lab.report.bars import Bar, Panel, bar_chart
from narrows.lab.report.chart import ALONE, Chart, series_styles
from narrows.lab.report.clouds import Cloud, Values, class_chart, class_colours, histogram_chart, scatter_chart
from narrows.lab.report.figures import Losses, Plot, Reference, Series, line_chart, loss_chart, rate_chart
from narrows.lab.report.pictures import Plate, PlateRow, Tile, difference, fitting_zoom, mosaic
from narrows.lab.report.plates import Version, comparison_plate, epoch_plate, sample_plate, spread, strip_plate
from narrows.lab.report.sheet import plate_image

PICTURES = np.random.default_rng(1).integers(0, 256, (4, 8, 6), dtype=np.uint8)
PLOT = Plot(x="n", y="dB")
HOSTILE = "<b>&$x^2$_"


def _luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 has it, of #rrggbb."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def words(figure: Figure) -> list[str]:
    """Every text of a figure as the reader gets it: what the SVG file holds."""
    return re.findall(r">([^<>]+)</text>", svg_file(figure, "t"))


def charts(label: str) -> list[Chart]:
    points = np.random.default_rng(0).normal(size=(60, 3))
    labels = np.arange(60) % 3
    return [
        line_chart("a", "t", [Series(label=label, x=[1, 2], y=[3, 4])], PLOT),
        loss_chart("b", "t", [Losses(label=label, train=[0.1, 0.05], validation=[0.2, 0.1])]),
        bar_chart("c", "t", [Bar(label=label, values=(1.0,))], [Panel(axis="dB", form=".1f")]),
        scatter_chart("d", "t", [Cloud(label=label, x=[1, 2], y=[1, 2])], PLOT),
        class_chart("e", "t", points, labels, (label, "b", "c"), axes=("1", "2", "3")),
        histogram_chart("f", "t", [Values(label=label, values=points[:, 0])], x="dB"),
    ]


@pytest.mark.parametrize("index", range(6))
def test_charts_are_as_large_as_they_say_in_both_sizes_and_name_nothing_from_outside(index: int) -> None:
    chart = charts("one")[index]
    for size in (chart.wide, NARROW):
        figure = chart.draw(size)
        assert round(figure.get_figwidth() * 72) in (size.width, 560)
        assert not re.search(r"href=\"(?!#|data:)", inline_svg(figure, "x", "t"))


@pytest.mark.parametrize("index", range(6))
def test_names_are_text_and_never_formulas(index: int) -> None:
    figure = charts(HOSTILE)[index].draw(ALONE)
    assert "&lt;b&gt;&amp;$x^2$_" in " ".join(words(figure))


def test_a_narrow_chart_has_its_names_in_the_legend() -> None:
    chart = rate_chart("a", "t", [Series(label="ours", x=[1, 2], y=[3, 4]), Series(label="PCA", x=[1, 2], y=[2, 3])])
    assert {"ours", "PCA"} <= set(words(chart.draw(ALONE)))
    assert not {"ours", "PCA"} & set(words(chart.draw(NARROW)))
    assert [key.label for key in chart.legend] == ["ours", "PCA"]


def test_names_beside_lines_never_lie_over_one_another() -> None:
    chart = rate_chart("a", "t", [Series(label=f"line {n}", x=[1, 2], y=[3, 4 + n / 1000]) for n in range(6)])
    texts = [text for text in chart.draw(ALONE).axes[0].texts if text.get_text().startswith("line")]
    heights = sorted(text.get_position()[1] for text in texts)
    assert len(heights) == 6 and min(np.diff(heights)) * 330 > 12


def test_what_is_not_finite_is_left_out() -> None:
    series = Series(label="a", x=[0.0, 1, 2, 3], y=[1, float("inf"), 5, float("nan")])
    line = line_chart("a", "t", [series], Plot(x="x", y="y", log_x=True)).draw(ALONE).axes[0].lines[0]
    assert list(line.get_xdata()) == [2.0] and list(line.get_ydata()) == [5.0]
    with pytest.raises(OptionError, match="no point"):
        line_chart("a", "t", [Series(label="a", x=[1.0], y=[float("nan")])], PLOT)


def test_a_claim_is_drawn_unless_it_would_flatten_the_lines() -> None:
    losses = [Losses(label="a", train=[0.1, 0.01], validation=[0.1, 0.01])]
    claims = [Reference(label="the study", value=0.006), Reference(label="far away", value=900.0)]
    chart = loss_chart("a", "t", losses, references=claims)
    labels = [key.label for key in chart.legend]
    assert labels == ["a, train", "a, validation", "the study"]
    assert chart.draw(ALONE).axes[0].get_ylim()[1] < 1


def test_losses_share_a_colour_and_differ_in_dashes() -> None:
    losses = [Losses(label=name, train=[1, 0.5], validation=[1, 0.6]) for name in ("a", "b")]
    looks = [key.style for key in loss_chart("a", "t", losses).legend]
    assert looks[0].name == looks[1].name != looks[2].name == looks[3].name
    assert looks[0].dashes and not looks[1].dashes


def test_styles_give_families_their_colour_and_others_one_that_is_free() -> None:
    looks = series_styles([("", True, False), ("jpeg", False, False), ("", False, False), ("jpeg", False, False)])
    assert [style.name for style in looks] == ["ink", "jpeg", "narrows", "jpeg"]
    assert looks[1].dashes == () != looks[3].dashes
    assert series_styles([("nonsense", False, True)])[0].name == "other"
    assert series_styles([("", False, True)])[0].dashes
    nine = series_styles([("", False, False)] * 9)
    assert len({(style.name, style.dashes) for style in nine}) == 9


def test_bars_are_as_long_as_their_values() -> None:
    bars = [
        Bar(label="a", values=(10.0, None)),
        Bar(label="exact", values=(float("inf"), 1.0)),
        Bar(label="c", values=(5.0, 0.5)),
    ]
    figure = bar_chart("a", "t", bars, [Panel(axis="dB", form=".2f", low=2), Panel(axis="SSIM", form=".3f")]).draw(
        ALONE
    )
    ends = [patch.get_x() + patch.get_width() for patch in figure.axes[0].patches]
    assert ends[0] == 10 and ends[2] == 5 and ends[1] == figure.axes[0].get_xlim()[1] > 10
    assert figure.axes[0].get_xlim()[0] == 2
    assert {"10.00", "∞", "5.00", "–", "1.000", "0.500"} <= set(words(figure))


def test_a_claim_beside_a_bar_is_in_the_drawing_even_where_it_is_larger() -> None:
    bar = Bar(label="a", values=(10.0,), claimed=(36.0,), spread=((9.0, 11.0),))
    axes = bar_chart("a", "t", [bar], [Panel(axis="dB", form=".1f")]).draw(ALONE).axes[0]
    assert axes.get_xlim()[1] > 36
    assert any(list(line.get_xdata()) == [36.0] and line.get_marker() == "D" for line in axes.lines)
    assert any(list(line.get_xdata()) == [9.0, 11.0] for line in axes.lines)


@pytest.mark.parametrize(
    "bars", [[], [Bar(label="a", values=(1.0, 2.0))], [Bar(label="a", values=(1.0,), claimed=(1.0, 2.0))]]
)
def test_bars_that_do_not_fit_the_panels_are_refused(bars: list[Bar]) -> None:
    with pytest.raises(OptionError):
        bar_chart("a", "t", bars, [Panel(axis="dB", form=".1f")])


def test_classes_are_named_where_they_are() -> None:
    labels = np.repeat(np.arange(47), 5)
    points = np.stack([labels % 7, labels // 7], axis=1).astype(np.float64)
    figure = class_chart("a", "t", points, labels, [f"c{n}" for n in range(47)]).draw(ALONE)
    places = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
    assert len(places) == 47 and places["c10"] == (3.0, 1.0)
    assert len(set(class_colours(47))) == 47


def test_class_colours_are_seen_on_light_and_on_dark_paper() -> None:
    light, dark = _luminance(LIGHT["paper"]), _luminance(DARK["paper"])
    for colour in class_colours(47):
        assert (light + 0.05) / (_luminance(colour) + 0.05) > 2.7
        assert (_luminance(colour) + 0.05) / (dark + 0.05) > 2.7


@pytest.mark.parametrize("labels", [np.array([0, 3]), np.array([-1, 0]), np.array([0])])
def test_labels_without_a_class_are_refused(labels: np.ndarray) -> None:
    with pytest.raises(OptionError):
        class_chart("a", "t", np.zeros((2, 2)), labels, ("a", "b", "c"))


def test_many_points_are_drawn_as_pixels() -> None:
    numbers = list(range(5000))
    page = inline_svg(scatter_chart("a", "t", [Cloud(label="a", x=numbers, y=numbers)], PLOT).draw(ALONE), "a", "t")
    assert "data:image/png" in page and len(page) < 200_000


def test_a_histogram_has_shares_of_each_group() -> None:
    groups = [Values(label="a", values=np.zeros(10)), Values(label="b", values=np.r_[np.zeros(5), np.ones(15)])]
    figure = histogram_chart("a", "t", groups, x="x", bins=2).draw(ALONE)
    assert [list(patch.get_data().values) for patch in figure.axes[0].patches[::2]] == [[100, 0], [25, 75]]
    with pytest.raises(OptionError, match="no value"):
        histogram_chart("a", "t", [Values(label="a", values=np.array([np.nan]))], x="x")


def test_a_difference_is_signed_scaled_and_clipped() -> None:
    original = np.array([[100, 100, 100, 100]], np.uint8)
    decoded = np.array([[100, 103, 98, 255]], np.uint8)
    assert difference(original, decoded, 4).tolist() == [[128, 140, 120, 255]]
    with pytest.raises(OptionError):
        difference(original, decoded.T, 4)


def test_a_mosaic_holds_every_picture_where_it_belongs() -> None:
    sheet = mosaic(PICTURES[:3], 2, gap=1)
    assert sheet.shape == (17, 13)
    assert np.array_equal(sheet[:8, 7:], PICTURES[1]) and np.array_equal(sheet[9:, :6], PICTURES[2])
    assert (sheet[8] == 255).all() and (sheet[9:, 7:] == 255).all()
    assert mosaic(PICTURES[:1], 8).shape == (8, 6)
    with pytest.raises(OptionError):
        mosaic(PICTURES[:0], 2)


@pytest.mark.parametrize("pixels", [np.zeros((8, 8)), np.zeros((8, 8, 4), np.uint8), np.zeros((0, 8), np.uint8)])
def test_what_is_no_picture_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(OptionError, match="a picture is uint8"):
        Tile(pixels=pixels, alt="x")


def test_a_comparison_has_errors_to_the_original() -> None:
    versions = [Version(label=name, pictures=255 - PICTURES, lines=(("1 byte",),) * 4) for name in ("a", "b")]
    plate = comparison_plate("p", "t", PICTURES, versions, gain=2, labels=("w", "x", "y", "z"))
    assert plate.heads == ("Original", "a", "b", "a, error × 2", "b, error × 2")
    row = plate.rows[1]
    assert row.label == "x" and all(tile is not None for tile in row.tiles)
    tiles = [tile for tile in row.tiles if tile is not None]
    assert np.array_equal(tiles[0].pixels, PICTURES[1]) and tiles[1].lines == ("1 byte",)
    assert np.array_equal(tiles[3].pixels, difference(PICTURES[1], 255 - PICTURES[1], 2))
    with pytest.raises(OptionError, match="the originals are"):
        comparison_plate("p", "t", PICTURES, [Version(label="a", pictures=PICTURES[:2])])


def test_epochs_are_spread_with_the_first_and_the_last() -> None:
    strip = np.repeat(np.arange(20, dtype=np.uint8), 64).reshape(20, 8, 8)
    plate = epoch_plate("p", "t", [("long", strip), ("short", strip[:7])], original=strip[0], most=4)
    assert plate.heads == ("epoch 1", "7", "14", "20", "original")
    levels = [[None if tile is None else int(tile.pixels[0, 0]) for tile in row.tiles] for row in plate.rows]
    assert levels == [[0, 6, 13, 19, 0], [0, 6, None, None, 0]]
    assert spread(5, 10) == [0, 1, 2, 3, 4]
    with pytest.raises(OptionError):
        epoch_plate("p", "t", [])


def test_strips_and_samples_hold_all_pictures() -> None:
    strips = np.stack([PICTURES, PICTURES[::-1]])
    plate = strip_plate("p", "t", strips, labels=("a", "b"), heads=("0", "", "", "1"))
    assert [len(row.tiles) for row in plate.rows] == [4, 4] and plate.tight
    tile = sample_plate("p", "t", [("a", PICTURES)], columns=2).rows[0].tiles[0]
    assert tile is not None and tile.pixels.shape == (17, 13)


def test_zoom_is_whole_and_large_pictures_keep_their_size() -> None:
    assert fitting_zoom([Tile(pixels=np.zeros((225, 150, 3), np.uint8), alt="x")]) == 1
    assert fitting_zoom([Tile(pixels=np.zeros((32, 32), np.uint8), alt="x")]) == 3


def test_a_plate_as_a_picture_repeats_whole_pixels() -> None:
    tiles = tuple(Tile(pixels=picture, alt="x", lines=("12 bytes",)) for picture in PICTURES[:2])
    rows = (PlateRow(label="a long label over a row", tiles=tiles), PlateRow(tiles=(None, tiles[0])))
    image = np.asarray(plate_image(Plate(name="p", title="t", rows=rows, heads=("first one", "×"), zoom=3)))
    enlarged = np.kron(PICTURES[0], np.ones((3, 3), np.uint8))
    window = np.lib.stride_tricks.sliding_window_view(image[..., 0], enlarged.shape)
    assert int((window == enlarged).all(axis=(2, 3)).sum()) == 2
    assert tuple(image[0, 0]) == tuple(int(LIGHT["paper"][at : at + 2], 16) for at in (1, 3, 5))
