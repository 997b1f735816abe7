"""The masked error beside the squared error: where it agrees with it, where not, and that it can be trained on."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from narrows.compare.metrics import Reference
from narrows.lab.distortion import ALIGN, Distortion, distortion, masked_error, squared_error

SIDE = 128
NOISE = 4 / 255


def _noise(seed: int = 0) -> Tensor:
    """(1, SIDE, SIDE, 1) white noise of mean square 1, the same in all channels, so that it is all luma."""
    noise = torch.randn(1, SIDE, SIDE, 1, generator=torch.Generator().manual_seed(seed))
    return noise / noise.square().mean().sqrt()


def _half_textured() -> Tensor:
    """Flat at the left, noise of 25 levels at the right."""
    picture = torch.full((1, SIDE, SIDE, 3), 0.5)
    picture[:, :, SIDE // 2 :] += 25 / 255 * _noise(1)[:, :, SIDE // 2 :]
    return picture


@pytest.mark.parametrize(
    "picture", [torch.full((1, SIDE, SIDE, 3), 0.5), 0.5 + 20 / 255 * _noise(2).expand(-1, -1, -1, 3)]
)
def test_white_noise_counts_as_its_mean_square(picture: Tensor) -> None:
    decoded = picture + NOISE * _noise()
    assert float(masked_error(decoded, picture)) == pytest.approx(float(squared_error(decoded, picture)), rel=0.15)
    assert float(squared_error(decoded, picture)) == pytest.approx(16, rel=1e-4)


def test_the_same_noise_counts_more_where_nothing_hides_it() -> None:
    picture, left = _half_textured(), torch.zeros(1, SIDE, SIDE, 1)
    left[:, :, : SIDE // 2] = 1
    flat = masked_error(picture + NOISE * _noise() * left, picture)
    textured = masked_error(picture + NOISE * _noise() * (1 - left), picture)
    assert float(flat) > 3 * float(textured)


def test_a_region_that_is_too_dark_counts_more_than_noise() -> None:
    picture = _half_textured()
    coarse = F.interpolate(
        torch.randn(1, 1, 4, 4, generator=torch.Generator().manual_seed(3)), (SIDE, SIDE), mode="bilinear"
    )
    coarse = (coarse / coarse.square().mean().sqrt()).permute(0, 2, 3, 1)
    noisy, dark = (masked_error(picture + NOISE * error, picture) for error in (_noise(), coarse))
    assert float(dark) > 5 * float(noisy)


def test_it_ranks_as_ms_ssim_does_what_the_squared_error_calls_equal() -> None:
    picture = F.interpolate(_half_textured().permute(0, 3, 1, 2), scale_factor=2).permute(0, 2, 3, 1)
    picture = picture.mul(255).round().div(255)
    noise = NOISE * F.interpolate(_noise().permute(0, 3, 1, 2), scale_factor=2).permute(0, 2, 3, 1)
    reference, half = Reference(_bytes(picture)), slice(None, SIDE)
    found = []
    for columns in (half, slice(SIDE, None)):
        decoded = picture.clone()
        decoded[:, :, columns] += noise[:, :, half]
        decoded = decoded.mul(255).round().div(255)
        similarity = reference.scores(_bytes(decoded)).ms_ssim
        assert similarity is not None
        found.append((float(squared_error(decoded, picture)), float(masked_error(decoded, picture)), 1 - similarity))
    (plain, masked, lost), (plain_too, masked_less, lost_less) = found
    assert plain == pytest.approx(plain_too, rel=0.02)
    assert masked > 2 * masked_less
    assert lost > 2 * lost_less


def test_each_picture_of_a_batch_for_itself() -> None:
    pictures = torch.cat((_half_textured(), torch.full((1, SIDE, SIDE, 3), 0.2)))
    decoded = pictures + NOISE * torch.cat((_noise(4), 2 * _noise(5)))
    together = distortion(decoded, pictures, 0.3)
    alone = [distortion(decoded[i : i + 1], pictures[i : i + 1], 0.3) for i in (0, 1)]
    torch.testing.assert_close(together, torch.cat(alone))


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_share_mixes_both(share: float) -> None:
    picture = _half_textured()
    decoded = picture + NOISE * _noise()
    plain, masked = squared_error(decoded, picture), masked_error(decoded, picture)
    torch.testing.assert_close(distortion(decoded, picture, share), (1 - share) * plain + share * masked)


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("side", [8, 20, 64])
def test_gradients_of_flat_and_small_pictures_are_finite(value: float, channels: int, side: int) -> None:
    picture = torch.full((2, side, side, channels), value)
    decoded = (picture + 0.01).requires_grad_(True)
    masked_error(decoded, picture).sum().backward()
    assert decoded.grad is not None
    assert torch.isfinite(decoded.grad).all()
    assert float(decoded.grad.abs().sum()) > 0


def test_no_error_is_no_distortion() -> None:
    assert float(distortion(_half_textured(), _half_textured(), 0.5)) == 0


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_parts_of_a_picture_cost_what_the_whole_does(share: float) -> None:
    picture = _half_textured()
    error = (255 * NOISE * _noise()).expand(-1, -1, -1, 3).clone().requires_grad_(True)
    judge, middle = Distortion(picture, share), 3 * ALIGN
    whole, within = judge.cost(error, (0, 0), (slice(0, SIDE), slice(0, SIDE)))
    assert float(whole.detach()) == pytest.approx(within, rel=1e-5)
    # The windows of `masked_error` leave the edges out, nothing else is different.
    assert within / SIDE**2 == pytest.approx(float(distortion(picture + error.detach() / 255, picture, share)), rel=0.1)
    (gradient,) = torch.autograd.grad(whole, error)
    total = 0.0
    for rows in (slice(0, middle), slice(middle, SIDE)):
        for columns in (slice(0, middle), slice(middle, SIDE)):
            place = (max(rows.start - ALIGN, 0), max(columns.start - ALIGN, 0))
            inner = (
                slice(rows.start - place[0], rows.stop - place[0]),
                slice(columns.start - place[1], columns.stop - place[1]),
            )
            part = error.detach()[:, place[0] : rows.stop, place[1] : columns.stop].clone().requires_grad_(True)
            cost, share_within = judge.cost(part, place, inner)
            total += share_within
            (found,) = torch.autograd.grad(cost, part)
            torch.testing.assert_close(found[:, inner[0], inner[1]], gradient[:, rows, columns])
    assert total == pytest.approx(within, rel=1e-5)


@pytest.mark.parametrize("side", [ALIGN, 5 * ALIGN])
def test_a_picture_of_few_windows_is_judged_everywhere(side: int) -> None:
    error = torch.ones(1, side, side, 3, requires_grad=True)
    cost, _ = Distortion(torch.zeros(1, side, side, 3), 0.5).cost(error, (0, 0), (slice(0, side), slice(0, side)))
    (gradient,) = torch.autograd.grad(cost, error)
    assert float(gradient.min()) > 0
    assert float(gradient.max()) == pytest.approx(3 * float(gradient.min()), rel=1)


def _bytes(picture: Tensor):  # type: ignore[no-untyped-def]
    return picture[0].mul(255).round().clamp(0, 255).byte().numpy()
