"""The reports of the laboratory: whole, self-contained, escaped, the same words on the page and in Markdown."""

from __future__ import annotations

import base64
import csv
import io
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from narrows.errors import OptionError
from narrows.lab.report import prose
from narrows.lab.report.bars import Bar, Panel, bar_chart
from narrows.lab.report.document import Axis, Claim, Position, Report, Section, Slider
from narrows.lab.report.figures import Losses, Series, loss_chart, rate_chart
from narrows.lab.report.markdown import report_md
from narrows.lab.report.metrics import Measurement, metrics_csv
from narrows.lab.report.page import render
from narrows.lab.report.pictures import Plate, PlateRow, Tile
from narrows.lab.report.table import Column, Table
from narrows.lab.report.write import write_document, write_report

HOSTILE = "x\"><script>alert('1')</script>{{ 7*7 }}&amp;|_*`"
VOID = {"meta", "input", "img", "br", "line", "path", "use", "link", "hr", "circle", "image"}
GREY = np.arange(64, dtype=np.uint8).reshape(8, 8)
COLOUR = np.stack([GREY, GREY.T, 255 - GREY], axis=-1)

TABLE = Table(
    columns=(
        Column(name="model"),
        Column(name="psnr_db", title="PSNR, dB", form=".2f"),
        Column(name="bytes", form=","),
    ),
    rows=(("PCA-32", 19.9, 23023), ("PNG", float("inf"), 312500), ("ours", -0.5, None)),
    caption="Whole test set",
    note="Bytes of **one** file.",
    strong=(2,),
)
SLIDER = Slider(
    name="slider",
    title="Turn it",
    axes=(Axis(label="size", stops=("2", "8", "32"), start=1), Axis(label="bits", stops=("4", "6"))),
    positions=tuple(
        Position(tiles=(Tile(pixels=GREY, alt=f"{size}/{bits}"),), facts=(("bytes", str(size * bits)),))
        for size in (2, 8, 32)
        for bits in (4, 6)
    ),
)
PLATE = Plate(
    name="plate",
    title="Side by side",
    heads=("Original", "ours"),
    rows=(
        PlateRow(
            label="best",
            tiles=(Tile(pixels=COLOUR, alt="the original"), Tile(pixels=COLOUR, alt="ours", lines=("12 bytes",))),
        ),
        PlateRow(label="", tiles=(Tile(pixels=GREY, alt="grey"), None)),
    ),
)


def report(words: str = "plain words") -> Report:
    charts = (
        rate_chart("rate", "Quality over rate", [Series(label=words, x=[0.1, 1], y=[20, 30], bold=True)]),
        loss_chart("loss", "Losses", [Losses(label=words, train=[0.1, 0.01], validation=[0.2, 0.02])]),
    )
    return Report(
        name="bottleneck",
        title=words,
        verdict=f"The result is **{words.replace('*', '')}**, see `metrics.csv`.",
        claims=(
            Claim(claimed=words, found="**0.0038**", verdict="false"),
            Claim(claimed="a", found="b", verdict="open"),
        ),
        sections=(
            Section(title="Quality", text=f"One.\n\n- {words}\n- two", blocks=(*charts, TABLE)),
            Section(title="Quality", blocks=(PLATE, SLIDER)),
        ),
        command="narrows lab run bottleneck",
        note=words,
        facts=(words,),
        metrics=(Measurement(model="ours", metric="psnr_db", value=24.25, unit="dB", seed=1, pictures=10),),
    )


class Page(HTMLParser):
    """A page whose tags balance: its words, its pictures, its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert tag in VOID or self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.words.append(data)

    def values(self, tag: str, name: str) -> list[str]:
        return [value for found, attribute, value in self.attributes if (found, attribute) == (tag, name)]

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def test_the_page_says_everything() -> None:
    page = Page(render(report()))
    for words in ("plain words", "does not hold", "not decided", "Whole test set", "PCA-32", "19.90", "23,023"):
        assert words in page.text
    for words in ("∞", "–", "\N{MINUS SIGN}0.50", "Side by side", "12 bytes", "narrows lab run bottleneck"):
        assert words in page.text


def test_the_page_loads_nothing() -> None:
    text = render(report())
    page = Page(text)
    assert page.values("link", "href") == page.values("script", "src") == []
    assert all(value.startswith("data:image/png;base64,") for value in page.values("img", "src"))
    assert not re.search(r"url\((?!#)|https?://", text)
    assert "default-src 'none'" in text


def test_words_from_outside_are_words() -> None:
    text = render(report(HOSTILE))
    page = Page(text)
    assert "<script>alert" not in text and "{{ 7*7 }}" in page.text and "<script>alert('1')" in page.text
    assert text.count("<script>") == 1


def test_every_picture_has_words_and_an_integer_zoom() -> None:
    page = Page(render(report()))
    pictures = page.values("img", "src")
    assert len(pictures) == 3 + 6 == len(page.values("img", "alt"))
    assert all(page.values("img", "alt"))
    assert Counter(page.values("svg", "aria-label")) == {"Quality over rate": 2, "Losses": 2}
    for source, width in zip(pictures, page.values("img", "width"), strict=True):
        size = Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))).size
        assert size == (8, 8) and int(width) % 8 == 0 and int(width) > 8


def test_pictures_of_the_page_are_pixel_for_pixel() -> None:
    sources = Page(render(report())).values("img", "src")
    first = np.asarray(Image.open(io.BytesIO(base64.b64decode(sources[0].partition(",")[2]))))
    assert np.array_equal(first, COLOUR)


def test_ids_and_links_of_the_page_meet() -> None:
    page = Page(render(report()))
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in page.values("a", "href")} <= set(ids)
    assert {"quality", "quality-2", "claims", "method", "rate", "plate", "slider"} <= set(ids)


def test_a_slider_lists_every_position_in_the_order_of_its_axes() -> None:
    page = Page(render(report()))
    assert page.values("section", "data-sizes") == ["3 2"]
    assert page.values("input", "max") == ["2", "1"] and page.values("input", "value") == ["1", "0"]
    assert SLIDER.place(3) == "size: 8, bits: 6"
    places = re.findall(r"size: (\d+), bits: (\d+) ", page.text)
    assert places == [(size, bits) for size in ("2", "8", "32") for bits in ("4", "6")]


@pytest.mark.parametrize(
    "change", [{"positions": SLIDER.positions[:5]}, {"axes": ()}, {"axes": (Axis(label="n", stops=()),)}]
)
def test_a_slider_without_all_positions_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(OptionError, match="positions"):
        replace(SLIDER, **change)  # type: ignore[arg-type]


def test_charts_that_follow_one_another_stand_in_a_pair() -> None:
    chart = rate_chart("other", "t", [Series(label="a", x=[1, 2], y=[1, 2])])
    alone = replace(report(), sections=(Section(title="a", blocks=(chart,)),))
    widths = [box.split()[2] for box in Page(render(alone)).values("svg", "viewbox")]
    assert "780" in widths and "590" not in widths
    widths = [box.split()[2] for box in Page(render(report())).values("svg", "viewbox")]
    assert widths.count("590") == 2 and "780" not in widths and widths.count("346") == 2


def test_markdown_says_the_same_and_links_its_figures() -> None:
    text = report_md(report(), figures="bottleneck/figures/")
    assert "| PCA-32 | 19.90 | 23,023 |" in text and "| **ours** | **-0.50** | **–** |" in text
    assert "| --- | ---: | ---: |" in text
    assert "| plain words | **0.0038** | does not hold |" in text
    assert "![Quality over rate](bottleneck/figures/rate.svg)" in text
    assert "![Side by side](bottleneck/figures/plate.png)" in text
    assert "| size: 32, bits: 6 | 192 |" in text


def test_words_from_outside_are_words_in_markdown() -> None:
    text = report_md(report(HOSTILE))
    assert "<script>" not in text
    cells = next(line for line in text.splitlines() if "does not hold" in line)
    assert len(re.findall(r"(?<!\\)\|", cells)) == 4


def test_a_report_is_five_kinds_of_files(tmp_path: Path) -> None:
    page = write_report(report(), tmp_path / "out")
    assert page == tmp_path / "out" / "report.html"
    files = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    figures = {f"figures/{name}" for name in ("rate.svg", "rate.png", "loss.svg", "loss.png", "plate.png")}
    assert files == {"report.html", "report.md", "metrics.csv", *figures}
    with Image.open(tmp_path / "out/figures/rate.png") as image:
        assert image.size == (2 * 780, 2 * 410)


def test_a_document_links_the_files_beside_it(tmp_path: Path) -> None:
    document = write_document(report(), tmp_path)
    assert document == tmp_path / "bottleneck.md"
    links = re.findall(r"!\[[^]]*\]\(([^)]+)\)", document.read_text(encoding="utf-8"))
    assert len(links) == 3 and all((tmp_path / link).is_file() for link in links)
    there = {f"bottleneck/figures/{path.name}" for path in (tmp_path / "bottleneck/figures").iterdir()}
    assert there == set(links)


def test_the_page_is_the_same_every_time() -> None:
    assert render(report()) == render(report())


@pytest.mark.parametrize("name", ["Rate", "a/b", "", "../x", "rate loss"])
def test_a_name_that_is_no_file_name_is_refused(name: str) -> None:
    with pytest.raises(OptionError, match="name for a figure"):
        replace(report(), sections=(Section(title="a", blocks=(replace(PLATE, name=name),)),))


def test_two_figures_of_one_name_are_refused() -> None:
    with pytest.raises(OptionError, match="'plate'"):
        replace(report(), sections=(Section(title="a", blocks=(PLATE, PLATE)),))


def test_a_table_reads_back_from_csv_to_the_last_digit() -> None:
    table = replace(TABLE, rows=(('a, "b"\n', 0.1 + 0.2, 7), ("c", float("nan"), None)))
    lines = list(csv.DictReader(io.StringIO(table.csv())))
    assert float(lines[0]["psnr_db"]) == 0.1 + 0.2 and lines[0]["model"] == 'a, "b"\n'
    assert lines[1] == {"model": "c", "psnr_db": "", "bytes": ""}


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(OptionError, match="3 columns, a row 2 cells"):
        replace(TABLE, rows=(("a", 1.0),))


def test_metrics_have_a_line_a_figure() -> None:
    lines = list(csv.DictReader(io.StringIO(metrics_csv(report().metrics))))
    assert [(line["model"], line["metric"], line["value"], line["seed"]) for line in lines] == [
        ("ours", "psnr_db", "24.25", "1")
    ]
    assert lines[0]["source"] == "measured" and lines[0]["setting"] == ""


def test_prose_knows_code_bold_and_lists_only() -> None:
    assert prose.to_html("a **b** `c<d` *e*") == "<p>a <b>b</b> <code>c&lt;d</code> *e*</p>"
    assert prose.to_html("- one\n- two\n\nthree") == "<ul><li>one</li><li>two</li></ul>\n<p>three</p>"
    assert prose.inline_markdown("a **b** `c|d` *e*") == r"a **b** `c\|d` \*e\*"
    assert prose.to_markdown("one\ntwo\n\n- three") == "one two\n\n- three"


def test_a_broad_chart_stands_alone() -> None:
    panels = [Panel(axis=name, form=".1f") for name in "abc"]
    broad = bar_chart("bars", "t", [Bar(label="x", values=(1, 2, 3))], panels)
    one = rate_chart("other", "t", [Series(label="a", x=[1, 2], y=[1, 2])])
    text = render(replace(report(), sections=(Section(title="a", blocks=(one, broad)),)))
    assert text.count('<div class="pair">') == 2
