"""Refinement of effort 9: what it promises, and the parts it is made of."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import photo_like

from narrows.codec import Codec
from narrows.errors import OptionError
from narrows.profile import find
from narrows.search import ERROR_WORTH, psnr_db

torch = pytest.importorskip("torch", reason="needs the [lab] extra")

from narrows.lab import refine  # noqa: E402
from narrows.lab.distortion import distortion  # noqa: E402
from narrows.lab.export import load_network, tables_of  # noqa: E402
from narrows.lab.refine import Refiner  # noqa: E402

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def shipped() -> Codec:
    return Codec(threads=1)


def decoded(codec: Codec, data: bytes) -> Pixels:
    return np.asarray(codec.decode(data))


def cost(codec: Codec, picture: Pixels, data: bytes, index: int) -> float:
    """What the refinement minimises, of a file and a picture (H, W) or (H, W, 3)."""
    before, after = (
        torch.tensor(part.reshape(1, *part.shape[:2], -1)) / 255 for part in (picture, decoded(codec, data))
    )
    pixels = picture.shape[0] * picture.shape[1]
    error = pixels * float(distortion(after, before, refine.MASKING))
    return 8 * len(data) + ERROR_WORTH * codec.profile.manifest.lambdas[index] * error


@pytest.mark.parametrize("quality", [15, 80])
@pytest.mark.parametrize("shape", [(128, 192), (167, 141)])
def test_a_refined_file_costs_less(quality: int, shape: tuple[int, int], shipped: Codec) -> None:
    picture = photo_like(*shape, seed=3)
    index = round(quality * 63 / 100)
    plain, refined = (shipped.encode(picture, quality=quality, effort=effort) for effort in (5, 9))
    assert cost(shipped, picture, refined, index) < 0.995 * cost(shipped, picture, plain, index)


def test_strips_are_refined_between_their_neighbours(shipped: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("narrows.container", "narrows.tiles", "narrows.codec"):
        monkeypatch.setattr(f"{place}.strip_rows", lambda width: 64)
    picture = photo_like(256, 96, seed=8)
    index = round(60 * 63 / 100)
    plain, refined = (shipped.encode(picture, quality=60, effort=effort) for effort in (5, 9))
    assert cost(shipped, picture, refined, index) < 0.99 * cost(shipped, picture, plain, index)


def test_at_equal_psnr_it_is_smaller(shipped: Codec) -> None:
    picture = photo_like(192, 192, seed=4)
    points = []
    for quality in (35, 40, 45, 50, 55, 60):
        data = shipped.encode(picture, quality=quality)
        points.append((psnr_db(picture, decoded(shipped, data)), np.log(len(data))))
    refined = shipped.encode(picture, quality=47, effort=9)
    reached = psnr_db(picture, decoded(shipped, refined))
    assert points[0][0] < reached < points[-1][0]
    assert np.log(len(refined)) < np.interp(reached, *zip(*points, strict=True)) - 0.02


def test_grey_pictures_and_progress(shipped: Codec) -> None:
    picture = photo_like(96, 160, seed=5)[:, :, 1]
    shares: list[float] = []
    data = shipped.encode(picture, quality=60, effort=9, progress=shares.append)
    index = round(60 * 63 / 100)
    assert cost(shipped, picture, data, index) <= cost(shipped, picture, shipped.encode(picture, quality=60), index)
    assert len(shares) > refine.PASSES
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_it_is_the_same_each_time(shipped: Codec) -> None:
    picture = photo_like(64, 128, seed=6)
    assert shipped.encode(picture, effort=9) == shipped.encode(picture, effort=9)


@pytest.fixture(scope="module")
def strip(shipped: Codec) -> Callable[..., Any]:
    """A strip of the shipped profile's, as the refiner makes it for a picture."""

    def make(height: int, width: int, size: tuple[int, int] | None = None) -> Any:
        profile = find("default")
        network = load_network(profile)
        picture = torch.from_numpy(photo_like(height, width, seed=7))[None]
        with torch.no_grad():
            y = network.analysis(picture.float() / 255, torch.tensor([30]))
            z_hat = network.hyper_analysis(y).round()
        made = refine._Strip(
            network=network, tables=refine._Costs(tables_of(profile).latents), picture=picture,
            size=size or (height, width), around=(y[:, :0], y[:, :0]), z_hat=z_hat,
            quality=torch.tensor([30]), lambda_rd=0.01,
            halo=shipped.profile.manifest.synthesis_halo // 16,
        )  # fmt: skip
        return made, y

    return make


def test_nothing_to_code_is_no_trouble(strip: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refine._Costs, "coded", lambda _, rows: torch.zeros_like(rows, dtype=torch.bool))
    made, y = strip(64, 128)
    predicted = made._quantised(y)
    assert not predicted.symbols.any()
    assert torch.equal(made.refined(y, pytest.fail), predicted.rounded)


def test_tiles_give_the_gradient_of_the_whole(strip: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    whole, y = strip(384, 512)
    gradient, error = whole._distortion(y.round())
    monkeypatch.setattr(refine, "TILE_PIXELS", 256 * 256)
    tiled, _ = strip(384, 512)
    assert len(tiled._tiles) == 4
    found, total = tiled._distortion(y.round())
    assert total == pytest.approx(error, rel=1e-4)
    assert float((found - gradient).norm() / gradient.norm()) < 0.02


def test_the_gradient_is_that_of_the_error(strip: Callable[..., Any]) -> None:
    made, y = strip(128, 128)
    start = y.round()
    gradient, error = made._distortion(start)
    step = -1e-3 * gradient / gradient.abs().max()
    _, below = made._distortion(start + step)
    assert error - below == pytest.approx(-float((gradient * step).sum()), rel=0.05)


def test_padding_is_not_judged(strip: Callable[..., Any]) -> None:
    made, y = strip(128, 128, size=(70, 30))
    gradient, _ = made._distortion(y.round())
    reach = made._halo
    assert not gradient[:, -(-70 // 16) + reach :].any()
    assert not gradient[:, :, -(-30 // 16) + reach :].any()
    assert gradient[:, :4, :1].any()


def test_the_context_gradient_is_of_the_symbols_that_see_it(strip: Callable[..., Any]) -> None:
    """Of those of the last step nobody sees any."""
    made, y = strip(128, 128)
    gradient = made._context_gradient(made._quantised(y))
    order = made._network.order
    assert order.take(gradient, 0).any()
    assert not order.take(gradient, order.steps - 1).any()


def test_the_curvature_is_what_two_gradients_say(strip: Callable[..., Any]) -> None:
    made, y = strip(128, 128)
    found = made._quantised(y)
    curvature = made._curvature(found, made._distortion(found.y_hat)[0])
    coded = made._tables.coded(found.rows)
    signs = (torch.randint(0, 2, y.shape, generator=torch.Generator().manual_seed(9)) * 2 - 1) * coded * 0.25
    ahead, behind = (made._distortion(found.y_hat + sign * signs)[0] for sign in (1, -1))
    assert curvature == pytest.approx(float((4 * signs * (ahead - behind)).sum()) * 2 / int(coded.sum()), rel=0.15)


def test_costs_are_those_of_the_coder() -> None:
    tables = tables_of(find("default")).latents
    costs = refine._Costs(tables)
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 64, 4000).astype(np.uint8)
    symbols = rng.integers(-3000, 3000, 4000) * ~tables.skipped[rows]
    found = costs.bits(torch.from_numpy(symbols).float(), torch.from_numpy(rows).float())
    assert float(found.sum()) == pytest.approx(tables.bits(rows, symbols), rel=1e-5)


@pytest.mark.parametrize("centroid", [None, -0.3, 0.2])
@pytest.mark.parametrize("weight", [1.0, 0.6])
def test_the_cheapest_symbol_is_the_best_of_all(weight: float, centroid: float | None) -> None:
    """Of all that are within two steps, for every row; and zero in skipped rows."""
    tables = tables_of(find("default")).latents
    costs = refine._Costs(tables)
    residual = torch.linspace(-4, 4, 161)
    for row in range(len(tables.radius)):
        rows = torch.full_like(residual, row)
        shift = None if centroid is None else torch.full_like(residual, centroid)
        chosen = costs.cheapest(residual, rows, shift, 16.0, weight)
        if tables.skipped[row]:
            assert not chosen.any()
            continue

        def price(symbol: Any, rows: Any = rows) -> Any:
            value = symbol + symbol.sign() * (centroid or 0.0)
            return 8 * (residual - value).square() + weight * costs.bits(symbol, rows)

        others = torch.stack([price(torch.full_like(residual, k)) for k in range(-6, 7)]).amin(0)
        assert bool((price(chosen) <= others + 1e-4).all()), row


def test_other_networks_are_refused(codec: Codec, grey_codec: Codec) -> None:
    for each, picture in ((codec, photo_like(64, 64)), (grey_codec, photo_like(64, 64)[:, :, 0])):
        with pytest.raises(OptionError, match="has another one; 8 is the most for it"):
            each.encode(picture, effort=9)


def test_a_folder_that_is_no_profile_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="not a profile of a flagship network"):
        Refiner(tmp_path, threads=1, halo=64)


def test_without_the_laboratory_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "narrows.lab.refine":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
        return real(name, *arguments, **options)

    real = builtins.__import__
    monkeypatch.setattr("builtins.__import__", absent)
    with pytest.raises(OptionError, match=r'needs torch: pip install "narrows\[lab\]"; 8 is the most without it'):
        Codec(threads=1).encode(photo_like(64, 64), effort=9)


def test_threads_of_pytorch_are_left_as_they_were(shipped: Codec) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        shipped.encode(photo_like(64, 64), effort=9)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
