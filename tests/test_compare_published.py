"""Published curves: reading and refusing files, what is drawn, and that nothing is compared across pictures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import comparisons
import pytest

from narrows.compare import published
from narrows.compare.curves import Curve, bd_rate
from narrows.compare.metrics import decibels
from narrows.compare.records import Comparison, Published
from narrows.errors import OptionError

ANCHORS = Path(__file__).parent.parent.parent / "shared" / "anchors" / "kodak_rd.json"


def entry(name: str = "A", **changes: Any) -> dict[str, Any]:
    whole = {
        "name": name, "kind": "learned", "bpp": [0.4, 0.1, 0.2, 0.8], "psnr": [32.0, 28.0, 30.0, 34.0],
        "ms_ssim": None, "source": "a paper", "notes": "none", "complexity": {"any": "thing"},
    }  # fmt: skip
    return whole | changes


def written(folder: Path, *entries: Any, **changes: Any) -> Path:
    path = folder / "published.json"
    path.write_text(json.dumps({"schema": 1, "dataset": "things", "curves": list(entries)} | changes))
    return path


def test_curves_are_read_by_rising_rate(tmp_path: Path) -> None:
    only = entry("B", psnr=None, ms_ssim=[0.98, 0.9, 0.95, 0.99])
    first, second = published.read_published(written(tmp_path, entry(), curves_ms_ssim_only=[only]))
    assert first == Published(
        name="A", kind="learned", bpp=(0.1, 0.2, 0.4, 0.8), psnr_db=(28, 30, 32, 34), ms_ssim=None, source="a paper",
        notes="none", dataset="things",
    )  # fmt: skip
    assert second.ms_ssim == (0.9, 0.95, 0.98, 0.99)


@pytest.mark.parametrize(
    ("entries", "changes", "reason"),
    [
        ([entry()], {"schema": 2}, '"schema": 1 is expected'),
        ([entry()], {"dataset": None}, '"dataset" must be'),
        ([], {}, "holds no curve"),
        ([], {"curves": {}}, '"curves" must be a list'),
        (["A"], {}, r"curves\[0\]: a curve is an object with a name"),
        ([entry(name="")], {}, "with a name"),
        ([entry(), entry()], {}, r"curves\[1\]: there are two curves named 'A'"),
        ([entry(psnr=[1, 2])], {}, r"curves\[0\] \(A\): \"psnr\" has 2 values, \"bpp\" has 4"),
        ([entry(psnr=None)], {}, 'one of "psnr" and "ms_ssim"'),
        ([entry(bpp=None)], {}, 'needs "bpp"'),
        ([entry(bpp="0.1")], {}, "must be a list of numbers"),
        ([entry(bpp=[0.0, 1, 2, 3])], {}, '"bpp" holds 0.0, each must be above 0'),
        ([entry(bpp=[True, 1, 2, 3])], {}, "holds True"),
        ([entry(ms_ssim=[0.5, 0.9, 15.0, 0.7])], {}, "holds 15.0, each must be above 0, below 1"),
        ([entry(psnr=[30, float("nan"), 2, 3])], {}, "holds nan, each must be a finite number"),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, entries: list[Any], changes: Any, reason: str) -> None:
    path = written(tmp_path, *entries, **changes)
    with pytest.raises(OptionError, match=reason) as caught:
        published.read_published(path)
    assert caught.value.source == str(path)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[]"])
def test_what_is_no_json_object_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(OptionError, match=r"is no (JSON|file of published curves)"):
        published.read_published(tmp_path / "x.json")
    with pytest.raises(OSError, match="missing"):
        published.read_published(tmp_path / "missing.json")


def test_what_is_drawn(tmp_path: Path) -> None:
    curves = published.read_published(written(tmp_path, *(entry(name) for name in ("ELIC", "B", "BPG 4:4:4"))))
    assert published.choose_drawn(curves) == ("BPG 4:4:4", "ELIC")
    assert published.choose_drawn(curves[1:2]) == ("B",)
    assert published.choose_drawn(curves, ["b", "elic", "ELIC"]) == ("B", "ELIC")
    assert published.choose_drawn(curves, []) == published.choose_drawn(()) == ()
    with pytest.raises(OptionError, match=r"no published curve 'bp'; there is BPG 4:4:4"):
        published.choose_drawn(curves, ["bp"])
    with pytest.raises(OptionError, match="none at all"):
        published.choose_drawn((), ["x"])


def known(scale: float, **changes: Any) -> Published:
    """A published curve that is `scale` times the rate of narrows in comparisons.comparison."""
    steps = range(10)
    whole = Published(
        name=f"curve {scale}", kind="learned", bpp=tuple(scale * 0.1 * 1.3**step for step in steps),
        psnr_db=tuple(25.0 + 2 * step for step in steps), ms_ssim=None, source="", notes="", dataset="things",
    )  # fmt: skip
    return replace(whole, **changes)


def with_published(*curves: Published, drawn: tuple[str, ...] = ()) -> Comparison:
    return replace(comparisons.comparison({"narrows": 1.0, "webp": 2.0}), published=curves, drawn=drawn)


def test_the_judged_coder_is_rated_against_them() -> None:
    few = replace(known(1.0), name="few", bpp=(0.1, 0.2), psnr_db=(30, 31))
    rows = published.rate_published(with_published(known(2.0), known(0.5), few, known(1.25), drawn=("curve 1.25",)))
    assert [row.published.name for row in rows] == ["curve 1.25", "curve 0.5", "curve 2.0", "few"]
    assert [row.drawn for row in rows] == [True, False, False, False]
    assert [row.rate.value for row in rows[:3]] == pytest.approx([-20, 100, -50], abs=0.01)
    assert rows[3].rate.reason == "2 points were published, 4 are needed"
    assert all(row.metric == "psnr" and row.curve.label == row.published.name for row in rows)


def test_ms_ssim_is_averaged_as_the_published_one_is() -> None:
    values = tuple(1 - 10 ** (-(25.0 + 2 * step) / 20) for step in range(10))
    only = known(2.0, psnr_db=None, ms_ssim=values)
    both = known(2.0, name="X (MS-SSIM optimised)", ms_ssim=values)
    rows = published.rate_published(with_published(only, both))
    assert [row.metric for row in rows] == ["ms-ssim", "ms-ssim"]
    assert rows[0].curve.quality[0] == pytest.approx(decibels(values[0])) == pytest.approx(12.5)
    assert rows[0].rate.value == pytest.approx(-50, abs=0.01)
    assert "averaged before" in published.note(with_published(only))


def test_other_pictures_are_not_compared() -> None:
    kodak = known(2.0, dataset="kodak")
    ours = with_published(kodak, drawn=(kodak.name,))
    (row,) = published.rate_published(ours)
    assert (row.rate.value, row.rate.reason, row.drawn) == (None, "measured on other pictures", False)
    assert "are not that set (24 pictures of 768 x 512)" in published.note(ours)
    real = comparisons.pictures(23, 768, 512) + comparisons.pictures(1, 512, 768)
    assert published.same_set("kodak", real)
    assert published.same_set("kodak", real[:-1]) is False
    assert "have the number and the sizes of that set" in published.note(replace(ours, pictures=real))
    assert "not checked" in published.note(with_published(known(1.0)))
    assert "does not name" in published.note(with_published(known(1.0, dataset="")))
    assert published.note(with_published()) == ""


@pytest.mark.skipif(not ANCHORS.exists(), reason="the anchors are not beside this clone")
def test_bd_rates_of_the_field_are_reproduced() -> None:
    """CompressAI's curves on Kodak against its JPEG."""
    curves = {curve.name: curve for curve in published.read_published(ANCHORS)}
    assert len(curves) == 101
    drawn = published.choose_drawn(tuple(curves.values()))
    assert drawn == published.WELL_KNOWN

    def curve(name: str) -> Curve:
        found = curves[name]
        settings = tuple(float(i) for i in range(len(found.bpp)))
        return Curve(coder=name, label=name, settings=settings, rate_bpp=found.bpp, quality=found.psnr_db or ())

    for name, expected in {"WebP": -36.2, "AV1 (libaom)": -62.4, "VVC VTM 4:4:4": -67.6}.items():
        assert bd_rate(curve("JPEG"), curve(name)).value == pytest.approx(expected, abs=0.1)
