"""Experiment ae-vae: networks that begin as their linear baseline, codes of a posterior, and a whole quick run."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data_files import CLASSES, write_mnist
from numpy.typing import NDArray
from pictures import photo_like
from PIL import Image
from quick_runs import check_quick_run

torch = pytest.importorskip("torch")

from narrows.errors import OptionError  # noqa: E402
from narrows.lab.data import Dataset, Split  # noqa: E402
from narrows.lab.experiments.ae_vae import DIGITS, PICTURES  # noqa: E402
from narrows.lab.experiments.ae_vae_plans import (  # noqa: E402
    beta_plans,
    padded,
    posterior_of,
    published_data,
    ratio_plans,
    sizes_of,
    variational_model,
    vector_plans,
)
from narrows.lab.experiments.ae_vae_space import floors, gauge, space  # noqa: E402
from narrows.lab.experiments.base import Setting  # noqa: E402
from narrows.lab.experiments.coded import Plan, coded_model  # noqa: E402
from narrows.lab.latent_space import PcaFeatures  # noqa: E402
from narrows.lab.measure.linear import block_pca_network  # noqa: E402
from narrows.lab.nets.digits import digit_autoencoder, digit_vae  # noqa: E402
from narrows.lab.nets.principal import principal_autoencoder, principal_vae  # noqa: E402
from narrows.lab.study.training import Recipe  # noqa: E402


def greys(count: int, side: int = 48, first: int = 0) -> NDArray[np.uint8]:
    return np.stack([photo_like(side, side, seed=first + seed)[..., 1] for seed in range(count)])


def digits(count: int) -> Dataset:
    """Blobs, whose codes differ."""
    rows, columns = np.mgrid[:32, :32]
    random = np.random.default_rng(0)
    places = random.uniform(8, 24, (count, 2))
    distance = (rows - places[:, :1, None]) ** 2 + (columns - places[:, 1:, None]) ** 2
    images = (255 * np.exp(-distance / 20)).astype(np.uint8)
    part = Split(images=images, labels=np.arange(count, dtype=np.int64) % 2)
    return Dataset(name="blobs", train=part, validation=part, test=part, classes=(), note="made up")


def test_our_maps_begin_as_the_principal_components_of_blocks() -> None:
    pictures = greys(6)
    x = torch.from_numpy(pictures[:, None]).float() / 255
    linear, plain = block_pca_network(pictures, 16, 12), principal_autoencoder(pictures, 12, widths=(8, 8, 8))
    with torch.no_grad():
        torch.testing.assert_close(plain(x), linear(x), atol=1e-5, rtol=1e-4)
        code = plain.encode(x)
    torch.testing.assert_close(code.std((0, 2, 3)), torch.ones(12), atol=1e-3, rtol=1e-3)
    assert all(parameter.requires_grad for parameter in plain.parameters())


def test_the_variational_map_begins_with_the_noise_that_was_asked_for() -> None:
    pictures, noise = greys(6), 1e-3
    bound = principal_vae(pictures, 12, noise=noise, widths=(8, 8, 8))
    x = torch.from_numpy(pictures[:, None]).float() / 255
    linear = block_pca_network(pictures, 16, 12)
    with torch.no_grad():
        spread = linear.encode(x).std((0, 2, 3))
        posterior = bound.posterior(x)
        torch.testing.assert_close(bound.decode(posterior.mean), linear(x), atol=1e-5, rtol=1e-4)
        sigma = torch.exp(posterior.log_variance / 2).mean((0, 2, 3)) * spread
    torch.testing.assert_close(sigma, torch.minimum(spread, torch.tensor(noise).sqrt()), atol=1e-5, rtol=1e-3)


def test_the_vectors_of_digits_are_twins() -> None:
    plain, bound = digit_autoencoder(5), digit_vae(5)
    counts = [sum(one.numel() for one in net.parameters()) for net in (plain, bound)]
    assert counts[1] - counts[0] == sum(one.numel() for one in bound.log_variance.parameters())
    x = torch.rand(2, 1, 32, 32)
    assert plain.encode(x).shape == bound.encode(x).shape == (2, 5, 1, 1)
    assert plain(x).shape == bound(x).shape == x.shape
    with pytest.raises(OptionError, match="4 divides"):
        digit_vae(5, side=30)


def test_floors_fall_with_what_is_known() -> None:
    train = greys(12, 16)
    found = floors(train, train, 4)
    assert found.grey > found.mean_picture > found.components > 0
    assert floors(train, train, 12).components < 1e-6  # as many components as pictures
    expected = np.square(train / 255 - (train / 255).mean()).mean()
    assert found.grey == pytest.approx(expected, rel=1e-5)


def test_digits_are_padded_and_the_study_s_part_is_as_small_as_the_study_s() -> None:
    images = np.full((3, 28, 28), 7, np.uint8)
    part = Split(images=images, labels=np.zeros(3, np.int64))
    data = padded(Dataset(name="d", train=part, validation=part, test=part, classes=(), note="n"))
    assert data.train.images.shape == (3, 32, 32)
    assert data.test.images.sum() == images.sum()
    np.testing.assert_array_equal(data.test.images[:, 2:30, 2:30], images)
    many = Split(images=np.zeros((300, 2, 2), np.uint8))
    few = published_data(Dataset(name="d", train=many, validation=many, test=many, classes=(), note=""))
    assert (len(few.train), len(few.validation), len(few.test)) == (160, 40, 300)


def test_plans_hold_what_the_study_asks(tmp_path: Path) -> None:
    sizes = sizes_of(Setting(output=tmp_path))
    betas = [plan.recipe.beta for plan in beta_plans(sizes) if plan.recipe is not None]
    assert 0 in betas
    assert any(beta is not None and beta > 1 for beta in betas)
    plain, bound = vector_plans(16, sizes)
    assert plain.recipe is not None and bound.recipe is not None
    assert replace(bound.recipe, beta=None) == plain.recipe
    assert [plan.build().geometry.latent for _, plan in ratio_plans(sizes)] == [64, 32, 16, 8, 4]
    names = [plan.name for plan in (plain, bound, *beta_plans(sizes), *(plan for _, plan in ratio_plans(sizes)))]
    assert len(set(names)) == len(names)


def test_the_posterior_of_each_channel() -> None:
    bound = digit_vae(3)
    with torch.no_grad():
        bound.log_variance.weight.zero_()
        bound.log_variance.bias.copy_(torch.tensor([0.0, 2.0, -2.0]))
    pictures = digits(8).train.images
    found = posterior_of(bound, pictures)
    np.testing.assert_allclose(found.sigma, np.exp([0.0, 1.0, -1.0]), rtol=1e-6)
    with torch.no_grad():
        code = bound.encode(torch.from_numpy(pictures[:, None]).float() / 255)[:, :, 0, 0]
    np.testing.assert_allclose(found.mean, code.mean(0), atol=1e-6)


def test_noise_that_has_died_out_still_gives_steps() -> None:
    torch.manual_seed(0)  # for one start of the network; another may have a spread under the floor of 1e-6
    bound = digit_vae(3)
    with torch.no_grad():
        bound.log_variance.weight.zero_()
        bound.log_variance.bias.fill_(-2000.0)
    pictures = digits(8).train.images
    found = posterior_of(bound, pictures)
    with torch.no_grad():
        code = bound.encode(torch.from_numpy(pictures[:, None]).float() / 255)[:, :, 0, 0].double().numpy()
    np.testing.assert_allclose(found.sigma, code.std(0) / 1000, rtol=1e-3)


@pytest.fixture(scope="module")
def small_vae(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Setting, Plan]:
    setting = Setting(output=tmp_path_factory.mktemp("vae"), quick=True)
    recipe = Recipe(epochs=20, batch=16, rate=2e-3, beta=1.0, precision="32-true", accelerator="cpu")
    plan = replace(vector_plans(16, sizes_of(setting))[1], recipe=recipe)
    return digits(64), setting, plan


def test_steps_follow_the_posterior_s_sigma(small_vae: tuple[Dataset, Setting, Plan]) -> None:
    data, setting, plan = small_vae
    model = variational_model(plan, data, setting, sizes_of(setting))
    assert model.steps is not None and model.trained is not None
    found = posterior_of(model.trained.network, data.train.images)  # type: ignore[arg-type]
    widths = 1 / model.steps.gain / found.sigma
    np.testing.assert_allclose(widths[0], math.sqrt(12) / 0.5, rtol=1e-4)
    np.testing.assert_allclose(widths[1], math.sqrt(12) / 2, rtol=1e-4)
    assert [point.setting for point in model.points] == ["steps / sigma 6.93", "steps / sigma 1.73"]
    assert model.points[0].bytes < model.points[1].bytes
    again = model.points[1].decoded()
    np.testing.assert_array_equal(again, model.points[1].decoded())  # nothing is drawn at random


def test_a_plain_network_has_no_posterior(small_vae: tuple[Dataset, Setting, Plan], tmp_path: Path) -> None:
    data, setting, _ = small_vae
    plain = replace(
        vector_plans(16, sizes_of(setting))[0],
        recipe=Recipe(epochs=1, batch=64, precision="32-true", accelerator="cpu"),
    )
    with pytest.raises(OptionError, match="no variational network"):
        variational_model(plain, data, Setting(output=tmp_path), sizes_of(setting))


def test_the_terms_of_the_bound_add_up_to_its_loss(small_vae: tuple[Dataset, Setting, Plan]) -> None:
    data, setting, plan = small_vae
    model = coded_model(replace(plan, rule=None), data, setting)
    tools = gauge(PcaFeatures(data.train.images, 4), data.test, data.train, 40)
    found = space(model, tools, setting)
    assert model.trained is not None and found.nll_nats is not None and found.kl_bits is not None
    best = model.trained.history[model.trained.best - 1]
    assert found.nll_nats + found.kl_bits * math.log(2) / 32**2 == pytest.approx(best.validation_loss, rel=1e-5)
    assert found.kl_bits > 0
    assert found.drawn is not None and found.drawn >= 0
    assert found.random_mse == best.validation_mse
    assert tools.floor < found.drawn
    first, second = tools.pairs
    assert not np.array_equal(first, second)
    assert space(model, tools, setting) == found


def write_pictures(folder: Path) -> None:
    seed = 0
    for part, count in (("train", 20), ("val", 5)):
        for kind in CLASSES:
            inside = folder / part / kind
            inside.mkdir(parents=True)
            for index in range(count):
                seed += 1
                Image.fromarray(photo_like(160, 160, seed=seed)).save(inside / f"{index}.JPEG", quality=95)


def test_a_quick_run_writes_a_whole_report(tmp_path: Path) -> None:
    root = tmp_path / "sets"
    write_pictures(root / PICTURES)
    write_mnist(root / DIGITS)
    page, rows = check_quick_run("ae-vae", root, tmp_path / "result")
    for title in (
        "Walks between digits",
        "Digits out of random numbers",
        "One number moved at a time",
        "At equal bytes",
    ):
        assert title in page
    assert {"kl_bits", "frechet_prior", "frechet_fitted", "path_length", "active_units", "sharpness"} <= {
        row["metric"] for row in rows
    }
