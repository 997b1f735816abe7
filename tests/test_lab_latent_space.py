"""narrows.lab.latent_space: codes, paths, samples and units, on small networks whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from study_networks import cell_network, map_network
from study_networks import pictures as drawn
from torch import nn

from narrows.errors import OptionError
from narrows.lab.latent_space import (
    active_units,
    code_size,
    decode_codes,
    fitted_samples,
    interpolations,
    latents,
    path_distortion,
    prior_samples,
    traversals,
)
from narrows.lab.nets.aevae import VariationalNetwork, map_vae, vector_vae
from narrows.lab.nets.base import Geometry, StudyNetwork

SIDE = 8


def linear_network() -> StudyNetwork:
    """A cell of 8 x 8 whose code is its 64 samples, and whose decoder gives them back: every answer is known."""
    network = StudyNetwork(
        Geometry(channels=1, latent=SIDE**2, stride=SIDE, cell=SIDE),
        nn.Sequential(nn.Flatten()),
        nn.Sequential(nn.Unflatten(1, (1, SIDE, SIDE))),
    )
    return network.eval()


def grey(count: int, height: int = SIDE, width: int = SIDE, seed: int = 0) -> NDArray[np.uint8]:
    return np.stack(drawn(count, height, width, 1, seed))


def colour(count: int, height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.stack(drawn(count, height, width, 3, seed))


def small_vae() -> VariationalNetwork:
    torch.manual_seed(2)
    return vector_vae(6, side=16).eval()


# ---------------------------------------------------------------- codes


def test_codes_are_those_of_the_network_and_lead_back_to_its_pictures() -> None:
    network, pictures = linear_network(), grey(5)
    codes = latents(network, pictures)
    np.testing.assert_allclose(codes, pictures.reshape(5, -1) / np.float32(255), atol=1e-7)
    assert np.array_equal(decode_codes(network, codes, (SIDE, SIDE)), pictures)


def test_a_map_is_padded_as_the_codec_pads_and_cropped_again() -> None:
    network, pictures = map_network(), colour(3, 20, 27)
    codes = latents(network, pictures)
    assert codes.shape == (3, code_size(network.geometry, (20, 27))) == (3, 10 * 3 * 4)
    decoded = decode_codes(network, codes, (20, 27))
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        expected = (network(x) * 255).clamp(0, 255).round().permute(0, 2, 3, 1).numpy()
    assert decoded.shape == pictures.shape
    assert decoded.dtype == np.uint8
    assert np.abs(decoded.astype(int) - expected).max() <= 1


def test_a_mosaic_of_cells_has_a_code_for_every_cell() -> None:
    network = cell_network()
    assert latents(network, grey(2, 64, 32)).shape == (2, 12 * 2)
    assert decode_codes(network, np.zeros((3, 12), np.float32), (28, 28)).shape == (3, 28, 28)


def test_codes_of_another_size_are_refused() -> None:
    with pytest.raises(OptionError, match="are \\(N, 64\\)"):
        decode_codes(linear_network(), np.zeros((1, 63), np.float32), (SIDE, SIDE))


@pytest.mark.parametrize("wrong", [np.zeros((0, 8, 8), np.uint8), np.zeros((1, 8, 8)), np.zeros((8, 8), np.uint8)])
def test_what_is_not_pictures_is_refused(wrong: NDArray[np.generic]) -> None:
    with pytest.raises(OptionError):
        latents(linear_network(), wrong)  # type: ignore[arg-type]


# ---------------------------------------------------------------- paths


def test_a_linear_network_interpolates_by_cross_fading() -> None:
    network, first, second = linear_network(), grey(3), grey(3, seed=1)
    paths = interpolations(network, first, second, steps=5)
    shares = np.linspace(0, 1, 5)[None, :, None, None]
    expected = (1 - shares) * first[:, None] + shares * second[:, None]
    assert paths.shape == (3, 5, SIDE, SIDE)
    assert np.abs(paths - expected).max() <= 0.51
    assert np.array_equal(paths[:, 0], first)
    assert np.array_equal(paths[:, -1], second)


def test_a_cross_fade_is_straight_and_even() -> None:
    distortion = path_distortion(linear_network(), grey(4), grey(4, seed=1), steps=8)
    assert distortion.length == pytest.approx(1, abs=0.02)
    assert distortion.unevenness == pytest.approx(1, abs=0.05)
    assert distortion.lengths.shape == distortion.unevennesses.shape == (4,)


def test_a_decoder_that_jumps_is_uneven_by_the_number_of_its_steps() -> None:
    network = linear_network()
    with torch.no_grad():
        step = nn.Linear(SIDE**2, SIDE**2)
        step.weight.copy_(1e4 * torch.eye(SIDE**2))
        step.bias.fill_(-5e3 + 1)  # everything below one half becomes 0, all else 1
    network.decoder = nn.Sequential(step, nn.Sigmoid(), nn.Unflatten(1, (1, SIDE, SIDE)))
    black, white = np.zeros((1, SIDE, SIDE), np.uint8), np.full((1, SIDE, SIDE), 255, np.uint8)
    assert path_distortion(network, black, white, steps=7).unevenness == pytest.approx(7)


def test_a_decoder_that_makes_a_detour_has_a_longer_path() -> None:
    network = linear_network()
    there_and_back = nn.Linear(SIDE**2, SIDE**2)
    with torch.no_grad():
        there_and_back.weight.copy_(torch.eye(SIDE**2))
        there_and_back.bias.fill_(-0.5)
    network.decoder = nn.Sequential(there_and_back, _Square(), nn.Unflatten(1, (1, SIDE, SIDE)))
    dark, light = np.full((1, SIDE, SIDE), 25, np.uint8), np.full((1, SIDE, SIDE), 204, np.uint8)
    # squares of -0.402 to 0.3: from 0.16 down to 0 and up to 0.09
    assert path_distortion(network, dark, light, steps=16).length == pytest.approx(0.2516 / 0.0716, rel=0.1)


class _Square(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * x


def test_pairs_that_are_alike_have_no_path() -> None:
    with pytest.raises(OptionError, match="no pair"):
        path_distortion(linear_network(), grey(2), grey(2))
    pairs = grey(2), np.stack([grey(1)[0], grey(1, seed=5)[0]])
    assert len(path_distortion(linear_network(), *pairs).lengths) == 1


@pytest.mark.parametrize("measure", [interpolations, path_distortion])
def test_parts_that_are_not_pairs_are_refused(measure: object) -> None:
    with pytest.raises(OptionError, match="second ones"):
        measure(linear_network(), grey(1), grey(2))  # type: ignore[operator]


def test_a_traversal_moves_one_unit_by_its_own_spread() -> None:
    network, reference = linear_network(), grey(20)
    picture = np.full((SIDE, SIDE), 128, np.uint8)
    rows = traversals(network, picture, [3, 40], reference=reference, span=1, steps=3)
    assert rows.shape == (2, 3, SIDE, SIDE)
    for row, channel in zip(rows, (3, 40), strict=True):
        place = divmod(channel, SIDE)
        spread = reference[:, place[0], place[1]].std()
        assert np.array_equal(row[1], picture)
        assert row[2][place] - 128.0 == pytest.approx(spread, abs=1)
        assert 128.0 - row[0][place] == pytest.approx(spread, abs=1)
        others = np.delete(row.reshape(3, -1), channel, axis=1)
        assert (others == 128).all()


def test_a_traversal_of_a_channel_that_is_not_there_is_refused() -> None:
    with pytest.raises(OptionError, match="channels 0 to 63"):
        traversals(linear_network(), grey(1)[0], [64], reference=grey(3))


# ---------------------------------------------------------------- samples


def test_samples_of_the_prior_follow_from_the_seed_and_are_unlike() -> None:
    network = small_vae()
    first = prior_samples(network, 4, size=(16, 16), seed=1)
    assert first.shape == (4, 16, 16)
    assert np.array_equal(first, prior_samples(network, 4, size=(16, 16), seed=1))
    assert not np.array_equal(first, prior_samples(network, 4, size=(16, 16), seed=2))
    codes = np.random.default_rng(1).standard_normal((4, 6))
    assert np.array_equal(first, decode_codes(network, codes, (16, 16)))


def test_a_map_has_prior_samples_of_any_size() -> None:
    assert prior_samples(map_vae(4, channels=3).eval(), 2, size=(20, 40)).shape == (2, 20, 40, 3)


def test_a_plain_network_has_no_prior_but_a_fitted_gaussian() -> None:
    with pytest.raises(OptionError, match="fitted_samples"):
        prior_samples(linear_network(), 1, size=(SIDE, SIDE))
    known = np.random.default_rng(0).integers(100, 156, (500, SIDE, SIDE), np.uint8)
    known[:, 4:] = known[:, :4]  # half of the samples repeat the other half, and so must the drawn ones
    samples = fitted_samples(linear_network(), known, 400, seed=3)
    assert np.array_equal(samples, fitted_samples(linear_network(), known, 400, seed=3))
    assert np.array_equal(samples[:, 4:], samples[:, :4])
    assert samples.mean() == pytest.approx(known.mean(), abs=1)
    assert samples.std() == pytest.approx(known.std(), rel=0.05)


# ---------------------------------------------------------------- units


def test_units_that_do_not_move_are_not_active() -> None:
    network = cell_network()  # its first three units never fire
    units = active_units(network, grey(40, 28, 28))
    assert units.kl_bits is None
    assert not units.active[:3].any()
    assert units.count == int((units.variance > 0.01 * units.variance.max()).sum()) >= 5


def test_a_variational_network_has_a_kl_for_every_unit() -> None:
    network, pictures = small_vae(), grey(30, 16, 16)
    with torch.no_grad():
        mean, log_variance = network.encoder[1], network.log_variance
        assert isinstance(mean, nn.Linear)
        assert isinstance(log_variance, nn.Linear)
        mean.weight *= 200
        for head in (mean, log_variance):  # the second unit is left at the prior
            head.weight[1] = 0
            head.bias[1] = 0
    units = active_units(network, pictures)
    posterior = network.posterior(torch.from_numpy(pictures[:, None]).float() / 255)
    expected = posterior.kl_nats_per_unit().mean((0, 2, 3)).detach().numpy() / np.log(2)
    assert units.kl_bits is not None
    np.testing.assert_allclose(units.kl_bits, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(units.variance, posterior.mean.detach().numpy()[:, :, 0, 0].var(0), rtol=1e-4)
    assert units.kl_bits[1] == 0
    assert not units.active[1]
    assert units.count == int((units.variance > 0.01).sum()) >= 1


def test_a_network_whose_codes_never_move_has_no_active_unit() -> None:
    assert active_units(linear_network(), np.full((3, SIDE, SIDE), 7, np.uint8)).count == 0
