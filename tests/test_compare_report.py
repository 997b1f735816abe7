"""report.html: whole, self-contained, escaped, and saying everything that the analysis says."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from compare_example import CODERS, PICTURES, comparison

from narrows.compare import wording
from narrows.compare.analysis import analyse
from narrows.compare.records import Comparison, Crop, CropRow
from narrows.compare.report import png_uri, render, write_report

VOID = {"meta", "input", "img", "br", "line", "path", "use", "link", "hr"}
HOSTILE = "x\"><script>alert('1')</script>{{ 7*7 }}&amp;"


class Page(HTMLParser):
    """Tags that balance, the text that is seen, and every attribute."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.tags: Counter[str] = Counter()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert tag in VOID or self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        """All text, spaces and their kinds made one."""
        return re.sub(r"\s+", " ", " ".join(self.words))


def crop_row(picture: str = PICTURES[0]) -> CropRow:
    square = np.arange(16 * 16 * 3, dtype=np.uint32).reshape(16, 16, 3).astype(np.uint8)
    crops = tuple(
        Crop(
            coder=c.name,
            label=c.label,
            setting=30,
            bytes=size,
            bpp=0.25,
            psnr_db=31.5,
            pixels=square,
            difference=square,
        )
        for c, size in zip(CODERS[:3], (4000, 4100, 3900), strict=True)
    )
    return CropRow(picture=picture, why="it does best", left=32, top=64, original=square, crops=crops)


def page_of(example: Comparison, *rows: CropRow) -> Page:
    return Page(render(example, analyse(example), rows))


@pytest.fixture(scope="module")
def source() -> str:
    """The page of the example; making one takes a second or two."""
    return render(comparison(), analyse(comparison()), [crop_row()])


@pytest.fixture(scope="module")
def page(source: str) -> Page:
    return Page(source)


def test_the_page_is_whole(page: Page) -> None:
    assert page.open == []
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    for _, name, value in page.attributes:
        if name in ("aria-labelledby", "for"):
            assert value in ids
        if name == "href":
            assert value.startswith("#") and value[1:] in ids


def test_every_coder_and_picture_is_named(page: Page) -> None:
    for name in (*PICTURES, *(c.label for c in CODERS), *(c.version for c in CODERS), "An Old <b>Standard</b>"):
        assert name in page.text
    for words in ("is damaged", "broken.png", "pip install pillow-jxl-plugin", "narrows compare pictures -o report"):
        assert words in page.text


def test_the_verdict_and_all_warnings_are_said(page: Page) -> None:
    analysis = analyse(comparison())
    for sentence in (analysis.verdict, *analysis.warnings):
        assert re.sub(r"\s+", " ", sentence) in page.text


def test_the_figures_are_those_of_the_analysis(page: Page) -> None:
    analysis = analyse(comparison())
    for metric in analysis.metrics:
        for pair in metric.pairs:
            assert re.sub(r"\s+", " ", wording.percent(pair.rate.value)) in page.text


def test_nothing_is_loaded_from_anywhere(source: str, page: Page) -> None:
    assert not re.search(r"(?:https?:)?//[a-z0-9]", re.sub(r"base64,[A-Za-z0-9+/=]+", "", source), re.IGNORECASE)
    assert "default-src 'none'" in source and source.count("<style") == 1
    for tag, name, value in page.attributes:
        if name in ("src", "srcset", "href", "action", "poster", "data"):
            assert value.startswith(("data:image/png;base64,", "#")), (tag, name)


def test_pictures_and_figures_have_words_and_tables_have_headings(page: Page) -> None:
    described = sum(tag == "img" and name == "alt" and bool(value) for tag, name, value in page.attributes)
    assert described == page.tags["img"] > 0
    labelled = sum(t == "svg" and n in ("aria-label", "aria-hidden") for t, n, _ in page.attributes)
    assert labelled == page.tags["svg"]
    assert all(value in ("col", "row") for tag, name, value in page.attributes if tag == "th" and name == "scope")
    scoped = sum(tag == "th" and name in ("scope", "aria-hidden") for tag, name, _ in page.attributes)
    assert scoped == page.tags["th"]
    assert page.tags["h1"] == 1 and page.tags["main"] == 1 and page.tags["html"] == 1


def test_hostile_words_stay_words_wherever_they_come_from() -> None:
    example = comparison()
    hostile = replace(
        example,
        title=HOSTILE + "title",
        command=HOSTILE + "command",
        coders=(
            CODERS[0],
            replace(CODERS[1], label=HOSTILE + "label", options=HOSTILE + "options", version=HOSTILE + "version"),
            *CODERS[2:],
        ),
        pictures=tuple(replace(p, name=HOSTILE if p.name == "boat" else p.name) for p in example.pictures),
        points=tuple(replace(p, picture=HOSTILE if p.picture == "boat" else p.picture) for p in example.points),
        published=(replace(example.published[0], name=HOSTILE + "curve", source=HOSTILE + "source", notes=HOSTILE),),
        drawn=(HOSTILE + "curve",),
        left_out=((HOSTILE + "left", HOSTILE + "reason"),),
        missing=(HOSTILE + "missing",),
        versions={HOSTILE + "package": HOSTILE + "1.0"},
    )
    page = page_of(hostile, crop_row(HOSTILE))
    assert page.tags["script"] == 1 and page.open == []
    ends = "title command label options version curve source left reason missing package 1.0"
    for end in ("", *ends.split()):
        assert HOSTILE + end in page.text, end
    assert any(name == "alt" and value.startswith(HOSTILE) for _, name, value in page.attributes)


def test_crops_carry_their_pixels_bytes_and_differences(page: Page) -> None:
    row = crop_row()
    sources = [value for tag, name, value in page.attributes if tag == "img" and name == "src"]
    assert sources.count(png_uri(row.crops[0].pixels)) == 2 * len(row.crops)
    assert any(name == "style" and png_uri(row.original) in value for _, name, value in page.attributes)
    assert "4 100 bytes" in page.text and "+2.5 %" in page.text and "0.250 bpp, 31.50 dB" in page.text
    assert page.tags["button"] == len(row.crops)


def test_a_page_without_crops_speed_or_published_curves_is_a_page() -> None:
    page = page_of(comparison(speed=False, published=False))
    anchors = {value for tag, name, value in page.attributes if tag == "section" and name == "id"}
    assert anchors == {"summary", "warnings", "quality", "pictures", "method"}


def test_a_coder_without_opponents_has_a_page() -> None:
    example = comparison(speed=False, published=False)
    alone = replace(example, coders=CODERS[:1], points=tuple(p for p in example.points if p.coder == "narrows"))
    page = page_of(alone)
    assert page.open == [] and "boat" in page.text


def test_the_report_is_written_whole(tmp_path: Path) -> None:
    example = comparison()
    path = write_report(tmp_path, example, analyse(example), [crop_row()])
    assert path == tmp_path / "report.html" and [path] == list(tmp_path.iterdir())
    assert path.read_text(encoding="utf-8").endswith("</html>")


def test_how_numbers_are_spelled() -> None:
    assert wording.percent(-17.34) == "−17.3\N{NARROW NO-BREAK SPACE}%"
    assert wording.percent(0.04) == "0.0\N{NARROW NO-BREAK SPACE}%" and wording.percent(None) == "–"
    assert wording.percent(231.4).startswith("+231\N{NARROW NO-BREAK SPACE}")
    assert wording.times(0.0864) == "0.086×" and wording.times(12.3) == "12×" and wording.times(None) == "–"
    assert wording.digits(0.99999) == "1.00" and wording.digits(1234.0) == "1230" and wording.digits(0) == "–"
    assert wording.number(float("nan"), 2) == wording.number(float("inf"), 2) == "–"
    assert wording.thousands(1234567) == "1\N{NARROW NO-BREAK SPACE}234\N{NARROW NO-BREAK SPACE}567"
    assert [wording.tone(v) for v in (-1.0, 1.0, 0.01, None)] == ["good", "bad", "", ""]


def test_a_bar_begins_in_the_middle() -> None:
    assert wording.bar_place(-10, 20) == "left: 25.00%; width: 25.00%"
    assert wording.bar_place(40, 20) == "left: 50.00%; width: 50.00%"
