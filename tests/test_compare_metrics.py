"""compare/metrics.py: the values of the metrics, against those of other people's programs."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from narrows.compare.metrics import METRICS, Reference, Scores, decibels, psnr_of
from narrows.compare.records import Pixels, Point
from narrows.compare.ssimulacra2 import Original, recursive_gaussian
from narrows.errors import PictureError


def samples(values: NDArray[np.int64]) -> Pixels:
    return np.asarray(np.clip(values, 0, 255), np.uint8)


def zigzag(t: NDArray[np.int64], period: int) -> NDArray[np.int64]:
    return np.asarray(np.abs(t % (2 * period) - period))


def picture(height: int, width: int) -> Pixels:
    """Slopes, edges and fine texture, made of whole numbers alone so that every machine makes the same."""
    y, x = np.indices((height, width)).astype(np.int64)
    slope = zigzag(3 * x + 2 * y, 190) // 2
    discs = np.where((x % 61 - 30) ** 2 + (y % 47 - 23) ** 2 < 330, 70, 0)
    texture = zigzag(x * y // 8 + 5 * x, 23) * (y % 89 < 40)
    red, green, blue = slope + discs + texture, slope // 2 + 2 * texture + 60, 190 - slope + discs // 2 + zigzag(y, 31)
    return samples(np.stack([red, green, blue], axis=2))


def grain(a: Pixels, strength: int) -> Pixels:
    y, x, c = np.indices(a.shape).astype(np.int64)
    noise = ((x * 7919 + y * 104_729 + c * 1_299_709) * 2_654_435_761 >> 16) % (2 * strength + 1) - strength
    return samples(a.astype(np.int64) + noise)


def blur(a: Pixels) -> Pixels:
    wide = np.pad(a.astype(np.int64), ((1, 1), (1, 1), (0, 0)), mode="edge")
    rows = wide[:-2] + 2 * wide[1:-1] + wide[2:]
    return samples((rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:] + 8) // 16)


def blocks(a: Pixels) -> Pixels:
    height, width = a.shape[:2]
    return a[np.arange(height) // 8 * 8][:, np.arange(width) // 8 * 8]


def posterise(a: Pixels) -> Pixels:
    return a // 16 * 16 + 8


def cast(a: Pixels) -> Pixels:
    return samples(a.astype(np.int64) + np.array([6, -3, 10]))


def shift(a: Pixels) -> Pixels:
    return np.roll(a, 1, axis=1)


def negative(a: Pixels) -> Pixels:
    return 255 - a


def reference_ssim(a: Pixels, b: Pixels) -> float:
    metrics = pytest.importorskip("skimage.metrics")
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    return float(metrics.structural_similarity(a, b, channel_axis=2, **options))


CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "nothing": lambda a: a.copy(),
    "grain 1": lambda a: grain(a, 1),
    "grain 8": lambda a: grain(a, 8),
    "grain 40": lambda a: grain(a, 40),
    "blur": blur,
    "blocks": blocks,
    "posterise": posterise,
    "cast": cast,
    "shift": shift,
    "negative": negative,
}

# Scores of the tool of github.com/cloudinary/ssimulacra2 (2.1, commit 81feacf), and of the same tool with its blur in
# double precision: docs/decisions/0005-own-ssimulacra2.md
TOOL = [
    (200, 240, "grain 1", 96.18207897, 96.44096484),
    (200, 240, "grain 8", 76.83133766, 76.84831704),
    (200, 240, "grain 40", 32.4906933, 32.4848873),
    (200, 240, "blur", 59.49688817, 59.49847339),
    (200, 240, "blocks", -64.22892984, -64.22892976),
    (200, 240, "posterise", 54.56723523, 54.56267755),
    (200, 240, "cast", 77.33178353, 77.32490383),
    (200, 240, "shift", 25.47530059, 25.47618113),
    (187, 161, "grain 8", 76.3366884, 76.35004334),
    (187, 161, "blur", 61.10223161, 61.10438287),
    (129, 130, "posterise", 58.18472592, 58.17527089),
    (129, 130, "shift", 22.36464371, 22.36391195),
    (65, 33, "blur", 51.27858896, 51.33820136),
    (65, 33, "cast", 83.79465037, 83.74332965),
    (9, 31, "grain 40", 78.06468857, 78.06468506),
    (9, 31, "posterise", 93.2694292, 93.26948534),
    (8, 8, "grain 8", 92.96680122, 92.96689343),
    (8, 8, "shift", 89.7598427, 89.75983281),
]

# pytorch-msssim 1.0.0, ms_ssim(x, y, data_range=255) on tensors of float64
PYTORCH_MSSSIM = [
    (200, 240, "grain 8", 0.9775208358243418),
    (200, 240, "blur", 0.9872499282344767),
    (200, 240, "cast", 0.9996593046531679),
    (200, 240, "negative", 0.0),
    (187, 161, "grain 40", 0.8802811272748965),
    (187, 161, "blocks", 0.7458340845920773),
    (187, 161, "posterise", 0.9678989979920578),
    (187, 161, "shift", 0.9552030086193852),
]


def scores(height: int, width: int, change: str) -> Scores:
    a = picture(height, width)
    return Reference(a).scores(CHANGES[change](a))


@pytest.mark.parametrize(("height", "width", "change", "tool", "exact"), TOOL)
def test_ssimulacra2_is_that_of_its_own_tool(height: int, width: int, change: str, tool: float, exact: float) -> None:
    score = scores(height, width, change).ssimulacra2
    assert score == pytest.approx(exact, abs=0.03)
    # What the tool's own rounding takes from its score grows towards 100
    assert score == pytest.approx(tool, abs=0.1 if tool < 95 else 0.3)


@pytest.mark.parametrize(("height", "width", "change", "value"), PYTORCH_MSSSIM)
def test_ms_ssim_is_that_of_pytorch_msssim(height: int, width: int, change: str, value: float) -> None:
    assert scores(height, width, change).ms_ssim == pytest.approx(value, abs=5e-6)


@pytest.mark.parametrize("change", [name for name in CHANGES if name != "nothing"])
@pytest.mark.parametrize(("height", "width"), [(200, 240), (33, 65), (11, 11), (12, 300)])
def test_ssim_is_that_of_scikit_image(height: int, width: int, change: str) -> None:
    a = picture(height, width)
    b = CHANGES[change](a)
    # The negative of 11 x 11, one window, is the worst: nearly everything cancels
    assert Reference(a).scores(b).ssim == pytest.approx(reference_ssim(a, b), abs=2e-6)


def test_mse_and_psnr_are_those_of_the_definition() -> None:
    a = picture(50, 70)
    b = grain(a, 30)
    mse = float(np.mean((a.astype(np.float64) - b) ** 2))
    result = Reference(a).scores(b)
    assert result.mse == pytest.approx(mse, rel=1e-12)
    assert result.psnr_db == pytest.approx(10 * math.log10(255**2 / mse), rel=1e-12)
    worst = Reference(np.zeros((9, 9, 3), np.uint8)).scores(np.full((9, 9, 3), 255, np.uint8))
    assert (worst.mse, worst.psnr_db) == (65025, 0)


@pytest.mark.parametrize(("height", "width"), [(200, 240), (187, 161), (40, 60), (8, 8), (7, 9), (1, 1), (1, 50)])
def test_a_copy_has_the_highest_scores_there_are(height: int, width: int) -> None:
    result = scores(height, width, "nothing")
    assert (result.mse, result.psnr_db, result.ssim) == (0, math.inf, 1)
    assert result.ms_ssim == (1 if min(height, width) > 160 else None)
    assert result.ssimulacra2 == (100 if min(height, width) >= 8 else None)


@pytest.mark.parametrize(
    ("height", "width", "has_ms_ssim", "has_ssimulacra2"),
    [(161, 161, True, True), (160, 300, False, True), (8, 300, False, True), (7, 300, False, False)],
)
def test_a_picture_too_small_for_a_metric_has_none(
    height: int, width: int, has_ms_ssim: bool, has_ssimulacra2: bool
) -> None:
    result = scores(height, width, "grain 8")
    assert (result.ms_ssim is not None, result.ssimulacra2 is not None) == (has_ms_ssim, has_ssimulacra2)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (10, 10), (3, 400), (400, 3)])
def test_no_picture_is_too_small_for_ssim(height: int, width: int) -> None:
    assert -1 <= scores(height, width, "grain 8").ssim < 1


def test_every_metric_falls_as_the_grain_grows() -> None:
    a = picture(170, 180)
    reference = Reference(a)
    ladder = [reference.scores(grain(a, strength)) for strength in (1, 2, 4, 8, 16, 32, 64)]
    assert [s.mse for s in ladder] == sorted(s.mse for s in ladder)
    for field in ("psnr_db", "ssim", "ms_ssim", "ssimulacra2"):
        values = [getattr(s, field) for s in ladder]
        assert values == sorted(values, reverse=True)
        assert len(set(values)) == len(values)


@pytest.mark.parametrize("size", [(200, 240), (187, 161), (20, 30)])
def test_a_large_picture_that_keeps_less_scores_the_same(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    a = picture(*size)
    kept = Reference(a).scores(blur(a))
    monkeypatch.setattr("narrows.compare.ssim.KEEP_PIXELS", 0)
    monkeypatch.setattr("narrows.compare.ssimulacra2.KEEP_PIXELS", 0)
    assert Reference(a).scores(blur(a)) == kept


def test_a_reference_may_be_shared_by_threads() -> None:
    a = picture(170, 200)
    reference = Reference(a)
    versions = [change(a) for change in CHANGES.values()]
    expected = [reference.scores(b) for b in versions]
    found: list[list[Scores]] = [[] for _ in range(4)]

    def work(results: list[Scores]) -> None:
        results.extend(reference.scores(b) for b in versions)

    threads = [threading.Thread(target=work, args=(results,)) for results in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4


def test_read_only_and_strided_pictures_are_taken_and_left_as_they_are() -> None:
    wide = picture(60, 160)
    a = wide[:, ::2]
    a.flags.writeable = False
    before = wide.copy()
    assert Reference(a).scores(blur(a)) == Reference(a.copy()).scores(blur(a.copy()))
    assert np.array_equal(wide, before)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((9, 9), np.uint8),
        np.zeros((9, 9, 4), np.uint8),
        np.zeros((0, 9, 3), np.uint8),
        np.zeros((9, 9, 3), np.float32),
    ],
    ids=lambda a: f"{a.shape} {a.dtype}",
)
def test_what_is_no_picture_is_refused(wrong: Pixels) -> None:
    with pytest.raises(PictureError, match="metrics need"):
        Reference(wrong)
    with pytest.raises(PictureError, match=r"not \(9, 8, 3\) of uint8"):
        Reference(picture(9, 8)).scores(wrong)


def test_a_picture_turned_by_a_quarter_is_refused() -> None:
    with pytest.raises(PictureError, match=r"\(8, 9, 3\) of uint8, not \(9, 8, 3\) of uint8"):
        Reference(picture(9, 8)).scores(picture(8, 9))


def test_the_window_of_ssimulacra2_is_what_libjxl_runs_recursively() -> None:
    """Its recursion, (35) in gauss_blur.cc, of an impulse ends after nine samples and gives these taps."""
    taps = recursive_gaussian(1.5)
    assert taps.sum() == pytest.approx(1, abs=1e-12)
    assert taps[4:] == pytest.approx([0.2646211, 0.2129286, 0.10933538, 0.03601113, 0.00941438], abs=1e-6)
    assert taps == pytest.approx(taps[::-1], abs=1e-15)


def point(result: Scores) -> Point:
    return Point(
        coder="a",
        version="1",
        setting=1.0,
        picture="p",
        digest="0",
        width=9,
        height=9,
        bytes=9,
        mse=result.mse,
        psnr_db=result.psnr_db,
        ssim=result.ssim,
        ms_ssim=result.ms_ssim,
        ssimulacra2=result.ssimulacra2,
    )


def test_metrics_are_averaged_and_drawn_as_documented() -> None:
    p = point(Scores(mse=4.0, psnr_db=42.0, ssim=0.9, ms_ssim=0.99, ssimulacra2=80.0))
    drawn = {}
    for key, metric in METRICS.items():
        value = metric.of(p)
        assert value is not None
        assert metric.key == key
        drawn[key] = round(metric.axis(value), 6)
    expected = {"psnr": 42.0, "mse": round(psnr_of(4.0), 6), "ssim": 10.0, "ms-ssim": 20.0, "ssimulacra2": 80.0}
    assert drawn == expected
    assert list(METRICS) == ["psnr", "mse", "ssim", "ms-ssim", "ssimulacra2"]


def test_metrics_of_copies_and_of_small_pictures() -> None:
    values = {key: metric.of(point(scores(7, 7, "nothing"))) for key, metric in METRICS.items()}
    assert values == {"psnr": math.inf, "mse": 0, "ssim": 1, "ms-ssim": None, "ssimulacra2": None}
    assert METRICS["mse"].axis(0) == math.inf
    assert METRICS["ssim"].axis(1) == math.inf
    assert METRICS["ms-ssim"].of(point(scores(161, 161, "nothing"))) == math.inf


def test_axes_rise_with_quality() -> None:
    assert METRICS["mse"].axis(1.0) > METRICS["mse"].axis(2.0)
    for key in ("psnr", "ssim", "ms-ssim", "ssimulacra2"):
        assert METRICS[key].axis(0.9) > METRICS[key].axis(0.8)
    assert decibels(0.0) == 0


def test_ssimulacra2_alone_scores_like_the_reference() -> None:
    a = picture(90, 70)
    assert Original(a).score(blur(a)) == Reference(a).scores(blur(a)).ssimulacra2
