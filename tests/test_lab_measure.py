"""The studies' measures: quality of many small pictures, colour, grids and blur, mosaics, rates."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("bjontegaard")
pytest.importorskip("skimage")
pytest.importorskip("torch")  # narrows.lab is the laboratory's extra as a whole

from numpy.typing import NDArray
from PIL import Image, ImageFilter
from skimage.color import deltaE_ciede2000, rgb2lab, rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from study_networks import pictures

from narrows.compare.metrics import Reference
from narrows.errors import OptionError, PictureError
from narrows.lab.measure import arrays, colour, quality
from narrows.lab.measure.artefacts import blockiness, grid_db, sharpness
from narrows.lab.measure.rates import RatePoint, at_rate, bd_rate_percent
from narrows.lab.measure.seeds import seed_metrics
from narrows.lab.measure.sheets import from_sheet, to_sheet

Pictures = NDArray[np.uint8]


def stack(count: int, height: int, width: int, channels: int, seed: int = 0) -> Pictures:
    return np.stack(pictures(count, height, width, channels, seed))


def noisy(a: Pictures, strength: float, seed: int = 1) -> Pictures:
    noise = np.random.default_rng(seed).normal(0, strength, a.shape)
    return np.clip(np.rint(a + noise), 0, 255).astype(np.uint8)


def blurred(a: Pictures, radius: float) -> Pictures:
    return np.stack([np.asarray(Image.fromarray(p).filter(ImageFilter.GaussianBlur(radius))) for p in a])


# --- quality


@pytest.mark.parametrize("channels", [1, 3])
def test_quality_is_that_of_each_picture_alone(channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "BATCH_SAMPLES", 3 * 28 * 40 * channels)  # several batches
    original = stack(7, 28, 40, channels)
    decoded = noisy(original, 12)
    decoded[2] = noisy(original[2:3], 40)[0]
    found = quality.measure(original, decoded)
    mse = np.mean((original.astype(float) - decoded) ** 2, axis=tuple(range(1, original.ndim)))
    psnr = [peak_signal_noise_ratio(x, y) for x, y in zip(original, decoded, strict=True)]
    assert found.pictures == 7 and found.exact == 0
    assert found.mse_255 == pytest.approx(mse.mean(), rel=1e-12)
    assert found.mse == pytest.approx(mse.mean() / 255**2, rel=1e-12)
    assert found.psnr_db == pytest.approx(10 * math.log10(255**2 / mse.mean()))
    assert found.mean_psnr_db == pytest.approx(np.mean(psnr)) and found.mean_psnr_db > found.psnr_db + 0.5
    assert found.psnr_db_of == pytest.approx(psnr) and found.mse_of == pytest.approx(mse / 255**2)
    luma = (lambda p: p @ [0.299, 0.587, 0.114]) if channels == 3 else (lambda p: p)
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    ssim = [
        structural_similarity(luma(x).astype(float), luma(y).astype(float), **settings)
        for x, y in zip(original, decoded, strict=True)
    ]
    assert found.ssim_of == pytest.approx(ssim, abs=2e-6) and found.ssim == pytest.approx(np.mean(ssim), abs=2e-6)
    if channels == 1:
        assert found.ssim_rgb is None
    else:
        scores = [Reference(x).scores(y) for x, y in zip(original, decoded, strict=True)]
        assert found.ssim_rgb == pytest.approx(np.mean([score.ssim for score in scores]), abs=1e-6)


def test_an_exact_picture_makes_one_mean_infinite_and_is_counted() -> None:
    original = stack(3, 28, 28, 1)
    decoded = noisy(original, 9)
    decoded[1] = original[1]
    found = quality.measure(original, decoded)
    assert found.exact == 1 and found.mean_psnr_db == math.inf and 20 < found.psnr_db < 40
    assert found.ssim_of[1] == 1 and found.ssim < 1


def test_what_is_not_an_8_bit_pair_is_refused() -> None:
    original = stack(2, 28, 28, 1)
    with pytest.raises(OptionError, match="uint8"):
        quality.measure(original / 255, original)  # type: ignore[arg-type]
    with pytest.raises(PictureError, match="clip, round and crop"):
        quality.measure(original, original / 255)  # type: ignore[arg-type]
    with pytest.raises(PictureError, match="27"):
        quality.measure(original, original[:, :27])


def test_the_studies_own_metrics_are_theirs() -> None:
    original = stack(4, 28, 28, 1)
    original[3] = 77  # flat: it has no range of its own
    decoded = noisy(original, 15)
    found = seed_metrics(original, decoded)
    pairs = list(zip(original / 255, decoded / 255, strict=True))
    eleven = [structural_similarity(x, y, win_size=11, data_range=1) for x, y in pairs]
    seven = [structural_similarity(x, y, data_range=1) for x, y in pairs]
    psnr = [peak_signal_noise_ratio(x, y, data_range=x.max() - x.min()) for x, y in pairs[:3]]
    assert found.ssim_uniform_11 == pytest.approx(np.mean(eleven), abs=2e-6)
    assert found.ssim_uniform_7_grey == pytest.approx(np.mean(seven), abs=2e-6)
    assert found.psnr_own_range_db == pytest.approx(np.mean(psnr))
    assert found.ssim_uniform_11 != pytest.approx(quality.measure(original, decoded).ssim, abs=1e-3)
    tiny = stack(2, 6, 9, 1)
    assert seed_metrics(tiny, tiny).ssim_uniform_7_grey is None


# --- colour


def test_colour_agrees_with_scikit_image() -> None:
    original = stack(3, 20, 24, 3)
    decoded = noisy(original, 10)
    found = colour.colour(original, decoded)
    difference = np.mean(deltaE_ciede2000(rgb2lab(original), rgb2lab(decoded)))
    assert found.ciede2000 == pytest.approx(difference, rel=1e-6) and found.ciede_pictures == 3
    planes = rgb2ycbcr(original) - rgb2ycbcr(decoded)  # studio range: 219 and 224 levels
    for plane, (span, psnr) in enumerate(((219, found.psnr_y_db), (224, found.psnr_cb_db), (224, found.psnr_cr_db))):
        mse = np.mean((planes[..., plane] * 255 / span) ** 2)
        assert psnr == pytest.approx(10 * math.log10(255**2 / mse), abs=0.01)


def test_faded_colours_are_seen_where_luma_is_blind() -> None:
    original = np.clip(stack(3, 32, 32, 3), 60, 190)
    luma = original @ np.array([0.299, 0.587, 0.114])
    faded = np.rint(luma[..., None] + 0.6 * (original - luma[..., None])).astype(np.uint8)
    found = colour.colour(original, faded)
    assert found.chroma_ratio == pytest.approx(0.6, abs=0.01)
    assert found.psnr_y_db > 50 > 40 > max(found.psnr_cb_db, found.psnr_cr_db)
    assert colour.colour(original, original).chroma_ratio == 1


def test_ciede_is_computed_on_an_even_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    original = stack(9, 16, 16, 3)
    decoded = original.copy()
    decoded[[1, 2, 3, 5, 6, 7]] = 0  # not among the pictures 0, 4 and 8
    monkeypatch.setattr(colour, "CIEDE_PIXELS", 3 * 16 * 16)
    found = colour.colour(original, decoded)
    assert found.ciede_pictures == 3 and found.ciede2000 == 0


def test_grey_has_no_colour() -> None:
    grey = stack(2, 16, 16, 1)
    for without in (grey, np.repeat(grey[..., None], 3, axis=3)):
        with pytest.raises(OptionError, match="grey"):
            colour.colour(without, without)


# --- artefacts


def natural(count: int, side: int, seed: int = 0) -> Pictures:
    """Noise whose spectrum falls like that of photographs."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij"))
    shape = (count, *frequency.shape)
    spectrum = (rng.normal(size=shape) + 1j * rng.normal(size=shape)) / np.maximum(frequency, 1 / side)
    planes = np.fft.irfft2(spectrum, (side, side))
    return np.clip(128 + 45 * planes / planes.std(), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("period", [2, 4, 8])
def test_a_grid_shows_at_its_period_and_no_other(period: int) -> None:
    original = natural(24, 96)
    row, column = np.indices((96, 96)) // (period // 2) % 2
    pattern = np.where((row + column) % 2, -1, 1)
    contrast = 0.06 * (original.astype(float) - 40)  # it follows the picture, so no fixed pattern could be taken off
    grid = np.clip(np.rint(blurred(original, 0.8) + contrast * pattern), 0, 255).astype(np.uint8)
    found = {p: grid_db(original, grid, p) for p in (2, 4, 8)}
    assert found[period] > 6
    assert all(abs(value) < 2.5 for p, value in found.items() if p > period)
    assert found[period] == max(found.values())


def test_blur_noise_and_nothing_are_no_grid() -> None:
    original = natural(24, 96)
    for decoded in (original, blurred(original, 1.5), noisy(original, 8)):
        assert all(abs(grid_db(original, decoded, period)) < 1.5 for period in (2, 4, 8))


@pytest.mark.parametrize("period", [2, 4, 8])
def test_blocks_show_at_their_side(period: int) -> None:
    original = natural(24, 96)
    n = 96 // period
    means = original.reshape(24, n, period, n, period).mean((2, 4))
    blocks = means.repeat(period, 1).repeat(period, 2).astype(np.uint8)
    assert blockiness(original, blocks, period) == pytest.approx(period, rel=0.05)
    half = ((blocks.astype(int) + original) // 2).astype(np.uint8)
    assert 1.1 < blockiness(original, half, period) < 0.9 * period
    for decoded in (original, blurred(original, 1.5), noisy(original, 8)):
        assert blockiness(original, decoded, period) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("period", [1, 3, 8])
def test_a_grid_that_cannot_be_seen_is_refused(period: int) -> None:
    small = natural(2, 28)
    for measure in (grid_db, blockiness):
        with pytest.raises(OptionError, match="power of two"):
            measure(small, small, period)


def test_sharpness_is_the_energy_of_differences() -> None:
    original = natural(4, 64)
    assert sharpness(original, original) == 1
    assert sharpness(original, blurred(original, 2)) < 0.7
    assert sharpness(original, noisy(original, 20)) > 1.2
    ramp = np.tile(np.arange(0, 64, 2, dtype=np.uint8), (1, 32, 1))
    assert sharpness(ramp, ramp // 2) == pytest.approx(0.25)
    flat = np.zeros((1, 28, 28), np.uint8)
    for measure in (sharpness, lambda x, y: blockiness(x, y, 2)):
        with pytest.raises(OptionError, match="flat"):
            measure(flat, flat)
    assert grid_db(flat, flat, 4) == 0


# --- sheets


@pytest.mark.parametrize(
    ("count", "shape", "pitch", "size"),
    [
        (12, (28, 28), 32, (128, 96)),
        (7, (28, 28, 3), 16, (128, 64)),
        (100, (32, 32, 3), 32, (320, 320)),
        (6, (20, 50), 8, (72, 112)),
        (1, (5, 5), 1, (5, 5)),
    ],
)
def test_a_mosaic_comes_back(count: int, shape: tuple[int, ...], pitch: int, size: tuple[int, int]) -> None:
    many = np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)
    sheet = to_sheet(many, pitch)
    assert sheet.pixels.shape == (*size, *shape[2:]) and sheet.layout.shape == size
    assert np.array_equal(from_sheet(sheet.pixels, sheet.layout), many)
    tall, wide = sheet.layout.cell
    assert tall % pitch == wide % pitch == 0
    right = sheet.pixels[: shape[0], shape[1] : wide]
    assert (right == many[0][:, -1:]).all() and (
        sheet.pixels[shape[0] : tall, :wide] == sheet.pixels[shape[0] - 1, :wide]
    ).all()


@pytest.mark.parametrize("count", [1, 2, 47, 1964, 10_000, 18_800])
def test_a_mosaic_wastes_little_and_is_nearly_square(count: int) -> None:
    layout = to_sheet(np.zeros((count, 2, 2), np.uint8), 2).layout
    assert layout.rows * layout.columns - count <= 0.05 * count
    assert 0.45 <= layout.rows / layout.columns <= 2.2


def test_a_mosaic_of_another_size_is_refused() -> None:
    sheet = to_sheet(stack(6, 28, 28, 1), 32)
    with pytest.raises(PictureError, match="layout"):
        from_sheet(sheet.pixels[:-1], sheet.layout)
    with pytest.raises(OptionError, match="pitch"):
        to_sheet(stack(6, 28, 28, 1), 0)


# --- rates


def line(shift_db: float, rates: tuple[float, ...] = (0.1, 0.2, 0.4, 0.8, 1.6)) -> list[RatePoint]:
    return [RatePoint(bpp=rate, quality=30 + 6 * math.log2(rate) + shift_db) for rate in rates]


def test_6_db_are_half_the_rate() -> None:
    found = bd_rate_percent(line(0), line(6))
    assert found.value == pytest.approx(-50, abs=0.01) and found.points >= 3
    assert bd_rate_percent(line(0), line(0, (0.1, 0.2, 0.4))).value is None
    assert "test has 3 points" in bd_rate_percent(line(0), line(0, (0.1, 0.2, 0.4))).reason
    exact = RatePoint(bpp=8, quality=math.inf)
    assert bd_rate_percent([*line(0), exact], line(6)).value == pytest.approx(-50, abs=0.01)


@pytest.mark.parametrize("rates", [(0.1, 0.2, 0.4, 0.8, 1.6), (0.25, 1.0)])
def test_the_quality_at_a_rate_lies_on_the_curve(rates: tuple[float, ...]) -> None:
    assert at_rate(line(0, rates), 0.5) == pytest.approx(24, abs=1e-6)
    assert at_rate(line(0, rates), 0.05) is None and at_rate(line(0, rates), 2) is None


def test_one_point_has_one_rate() -> None:
    assert at_rate(line(0, (0.5,)), 0.5) == pytest.approx(24)
    assert at_rate(line(0, (0.5,)), 0.6) is None and at_rate([], 0.5) is None
