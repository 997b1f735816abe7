"""Studies on the one training loop: epochs, early stopping, the plateau, the best weights, going on."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")

from narrows.errors import OptionError  # noqa: E402
from narrows.lab.data.dataset import Split  # noqa: E402
from narrows.lab.nets.aevae import map_vae, vector_vae  # noqa: E402
from narrows.lab.nets.base import StudyNetwork  # noqa: E402
from narrows.lab.nets.depth import depth_network  # noqa: E402
from narrows.lab.nets.sunset import baseline  # noqa: E402
from narrows.lab.nets.vector import conv_autoencoder  # noqa: E402
from narrows.lab.study.model import StudyModel, Terms  # noqa: E402
from narrows.lab.study.training import Epoch, Plateau, Recipe, train_study  # noqa: E402
from narrows.lab.task import LoopConfig, RunState  # noqa: E402

CPU = {"accelerator": "cpu"}


def pictures(count: int, side: int = 16, *, colour: bool = False, seed: int = 0) -> Split:
    """Soft blobs: a few numbers each, so that a small network learns them."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    centre = rng.uniform(3, side - 3, (count, 2, 1, 1))
    blobs = 255 * np.exp(-((y - centre[:, 0]) ** 2 + (x - centre[:, 1]) ** 2) / 12)
    grey = blobs.astype(np.uint8)
    return Split(images=np.stack([grey, grey // 2, 255 - grey], -1) if colour else grey)


def small() -> StudyNetwork:
    return conv_autoencoder(4, side=16, channels=1, widths=(4, 8))


def recipe(**changes: object) -> Recipe:
    return Recipe(**({"epochs": 3, "batch": 16, "rate": 3e-3, **CPU} | changes))  # type: ignore[arg-type]


def log_rows(run: Path, kind: str) -> list[dict[str, str]]:
    with (run / "log.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["kind"] == kind]


TRAIN, VALIDATION = pictures(64), pictures(24, seed=1)


def test_training_learns_and_keeps_a_log_and_a_strip(tmp_path: Path) -> None:
    told: list[Epoch] = []

    def hear(epoch: Epoch) -> bool:
        told.append(epoch)
        return False

    settings = recipe(epochs=40, rate=1e-2)
    done = train_study(small, TRAIN, VALIDATION, settings, tmp_path, watch=5, progress=False, on_epoch=hear)
    assert [epoch.epoch for epoch in done.history] == list(range(1, 41))
    # Well below what the mean picture would give: a network that has gone black or grey has learned nothing.
    assert done.history[-1].validation_mse < 0.25 * float(np.var(VALIDATION.images / 255, axis=0).mean())
    assert done.history == tuple(told)
    assert done.strip.shape == (40, 5, 16, 16) and not np.array_equal(done.strip[0], done.strip[-1])
    assert not done.network.training and done.quantiser is None
    with pytest.raises(OptionError, match="uniform_sweep"):
        done.steps()


def broken_after(epochs: int) -> Callable[[Epoch], bool]:
    def hear(epoch: Epoch) -> bool:
        if epoch.epoch == epochs:
            raise KeyboardInterrupt
        return False

    return hear


@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_run_that_was_interrupted_ends_as_an_unbroken_one(tmp_path: Path, batch_norm: bool) -> None:
    build = (lambda: baseline((4, 6), channels=1)) if batch_norm else small
    settings = recipe(epochs=4, schedule="cosine", lambdas=(0.001, 0.01))
    whole = train_study(build, TRAIN, VALIDATION, settings, tmp_path / "whole", watch=2, progress=False)
    with pytest.raises(KeyboardInterrupt):
        train_study(
            build, TRAIN, VALIDATION, settings, tmp_path / "broken", watch=2, progress=False, on_epoch=broken_after(2)
        )
    resumed = train_study(build, TRAIN, VALIDATION, settings, tmp_path / "broken", watch=2, progress=False)
    assert [replace(e, seconds=0) for e in resumed.history] == [replace(e, seconds=0) for e in whole.history]
    assert np.array_equal(resumed.strip, whole.strip)
    state, expected = resumed.network.state_dict(), whole.network.state_dict()
    assert all(torch.equal(state[name], expected[name]) for name in expected)


def test_every_step_trains_and_no_evaluation_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[bool] = []
    forward = StudyModel.forward

    def heard(self: StudyModel, *arguments: torch.Tensor) -> Terms:
        modes.append(self.training and all(module.training for module in self.modules()))
        return forward(self, *arguments)

    monkeypatch.setattr(StudyModel, "forward", heard)
    settings = recipe(batch=32)  # two steps an epoch, and one evaluation
    with pytest.raises(KeyboardInterrupt):
        train_study(small, TRAIN, VALIDATION, settings, tmp_path, progress=False, on_epoch=broken_after(2))
    assert modes == [True, True, False] * 2
    modes.clear()
    train_study(small, TRAIN, VALIDATION, settings, tmp_path, progress=False)
    assert modes == [False, True, True, False]  # first the evaluation that was interrupted


def test_a_finished_run_is_loaded_and_another_one_refused(tmp_path: Path) -> None:
    first = train_study(small, TRAIN, VALIDATION, recipe(), tmp_path, progress=False)

    def never(epoch: Epoch) -> bool:
        raise AssertionError("trained again")

    again = train_study(small, TRAIN, VALIDATION, recipe(), tmp_path, progress=False, on_epoch=never)
    assert again.history == first.history and again.best == first.best
    for name, value in first.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name])
    config = json.loads((tmp_path / "config.json").read_text())
    del config["identity"]["recipe"]["warm_up"]  # as if it had begun before there was such a thing
    (tmp_path / "config.json").write_text(json.dumps(config))
    train_study(small, TRAIN, VALIDATION, recipe(), tmp_path, progress=False, on_epoch=never)
    with pytest.raises(OptionError, match="recipe differ"):
        train_study(small, TRAIN, VALIDATION, recipe(warm_up=3), tmp_path, progress=False)
    with pytest.raises(OptionError, match="recipe differ"):
        train_study(small, TRAIN, VALIDATION, recipe(seed=1), tmp_path, progress=False)
    with pytest.raises(OptionError, match="pictures differ"):
        train_study(small, VALIDATION, TRAIN, recipe(), tmp_path, progress=False)
    with pytest.raises(OptionError, match="network differ"):
        train_study(
            lambda: conv_autoencoder(5, side=16, channels=1, widths=(4, 8)), TRAIN, VALIDATION, recipe(), tmp_path,
            progress=False,
        )  # fmt: skip
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(OptionError, match="not of a study's run"):
        train_study(small, TRAIN, VALIDATION, recipe(), tmp_path, progress=False)


def test_the_best_epoch_is_what_is_kept(tmp_path: Path) -> None:
    # So high a rate that the loss jumps about: whichever epoch was best, its weights are returned.
    done = train_study(small, TRAIN, VALIDATION, recipe(epochs=8, rate=0.3), tmp_path, progress=False)
    losses = [epoch.validation_loss for epoch in done.history]
    assert done.best == 1 + int(np.argmin(losses)) and losses[done.best - 1] < losses[-1]
    x = torch.from_numpy(VALIDATION.images)[:, None].float() / 255
    with torch.no_grad():
        mse = float((done.network(x) - x).square().mean())
    assert mse == pytest.approx(done.history[done.best - 1].validation_mse, rel=1e-3)


def test_early_stopping_and_the_plateau(tmp_path: Path) -> None:
    settings = recipe(epochs=30, rate=0.3, patience=4, plateau=Plateau(factor=0.5, patience=2, floor=1e-3))
    done = train_study(small, TRAIN, VALIDATION, settings, tmp_path, progress=False)
    assert len(done.history) < 30
    assert len(done.history) - done.best == 4
    assert {float(row["learning_rate"]) for row in log_rows(tmp_path, "train")} & {0.5, 0.25}


def test_the_plateau_reduces_by_its_factor_down_to_its_floor() -> None:
    config = LoopConfig(run=Path(), steps=1, evaluate_steps=1, plateau=Plateau(factor=0.1, patience=2, floor=1e-4))
    state = RunState()
    assert state.judge(1.0, config, 1e-3)
    scales = []
    for _ in range(6):
        assert not state.judge(2.0, config, 1e-3)
        scales.append(round(state.rate_scale, 6))
    assert scales == [1, 0.1, 0.1, 0.1, 0.1, 0.1]
    assert state.judge(0.5, config, 1e-3) and state.since_best == 0


def test_rates_in_the_loss_give_steps_whose_rate_rises(tmp_path: Path) -> None:
    settings = recipe(epochs=30, lambdas=(3e-4, 3e-2), schedule="cosine")
    done = train_study(small, TRAIN, VALIDATION, settings, tmp_path, progress=False)
    assert done.quantiser is not None
    steps = done.steps()
    assert steps.lambdas == (3e-4, 3e-2)
    assert (steps.gain[1] > steps.gain[0]).all()
    x = torch.from_numpy(VALIDATION.images)[:, None].float() / 255
    with torch.no_grad():
        y = done.network.encode(x)
        low, high = (done.quantiser(y, torch.full((len(x),), quality)).bits.mean() for quality in (0, 1))
    assert float(low) < float(high)
    assert done.history[-1].validation_bpp is not None and done.history[-1].kl_bits is None


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_the_elbo_holds_the_kl(tmp_path: Path, beta: float) -> None:
    done = train_study(
        lambda: vector_vae(3, side=16), TRAIN, VALIDATION, recipe(epochs=20, beta=beta, variance=0.02), tmp_path,
        progress=False,
    )  # fmt: skip
    first, last = done.history[0].kl_bits, done.history[-1].kl_bits
    assert first is not None and last is not None and last > 0
    assert done.history[-1].validation_mse < done.history[0].validation_mse
    if beta:
        free = train_study(
            lambda: vector_vae(3, side=16), TRAIN, VALIDATION, recipe(epochs=20, beta=0.0, variance=0.02),
            tmp_path / "free", progress=False,
        )  # fmt: skip
        assert free.history[-1].kl_bits is not None and last < free.history[-1].kl_bits


def test_the_other_losses_train_too(tmp_path: Path) -> None:
    entropy = train_study(
        small, TRAIN, VALIDATION, recipe(epochs=5, loss="cross_entropy"), tmp_path / "a", progress=False
    )
    assert entropy.history[-1].validation_mse < entropy.history[0].validation_mse
    colour = pictures(32, colour=True)
    chroma = train_study(
        lambda: depth_network((4, 6), bottleneck=3), colour, colour,
        recipe(epochs=4, loss="luma_chroma", crop=8, flips=True), tmp_path / "b", watch=1, progress=False,
    )  # fmt: skip
    assert chroma.history[-1].validation_loss < chroma.history[0].validation_loss
    assert chroma.strip.shape == (4, 1, 16, 16, 3)


def test_a_grey_error_weighs_the_same_in_both_squared_losses_and_a_colour_error_more() -> None:
    flat, weighted = (StudyModel(depth_network((4,)), loss=loss) for loss in ("mse", "luma_chroma"))  # type: ignore[arg-type]
    grey = torch.full((1, 3, 4, 4), 0.1)
    assert float(weighted._distortion(grey)) == pytest.approx(float(flat._distortion(grey)), rel=1e-4)
    red_green = torch.tensor([0.1, -0.0509, 0.0])[None, :, None, None].expand(1, 3, 4, 4)  # hardly any luma
    assert float(weighted._distortion(red_green)) > 2 * float(flat._distortion(red_green))


def test_a_step_of_every_picture_each_epoch_whatever_the_batch(tmp_path: Path) -> None:
    done = train_study(small, pictures(17), VALIDATION, recipe(epochs=2, batch=5), tmp_path, progress=False)
    assert done.best in (1, 2)
    assert [int(row["step"]) for row in log_rows(tmp_path, "epoch")] == [4, 8]


@pytest.mark.parametrize(
    ("build", "changes", "message"),
    [
        (small, {"beta": 1.0}, "beta goes with"),
        (lambda: map_vae(4), {}, "beta goes with"),
        (lambda: map_vae(4), {"beta": 1.0, "lambdas": (0.1,)}, "neither lambdas"),
        (small, {"loss": "cross_entropy", "lambdas": (0.1,)}, "cross-entropy"),
        (small, {"loss": "luma_chroma"}, "no chroma"),
        (small, {"crop": 8}, "for maps"),
        (lambda: baseline((4, 6), channels=1), {"crop": 64}, "no larger"),
        (lambda: baseline((4, 6)), {}, "channels"),
    ],
)
def test_what_does_not_go_together_is_said(
    tmp_path: Path, build: Callable[[], StudyNetwork], changes: dict[str, object], message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        train_study(build, TRAIN, VALIDATION, recipe(**changes), tmp_path, progress=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs 0"), ({"warm_up": -1}, "warm-up -1"), ({"rate": 0.0}, "rate 0"),
        ({"crop": 4}, "8 pixels"),
        ({"lambdas": (0.1, 0.1)}, "rise"), ({"lambdas": (-1.0,)}, "positive"),
    ],
)  # fmt: skip
def test_recipes_make_sense(changes: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        recipe(**changes)


def test_plateaus_and_loops_make_sense() -> None:
    with pytest.raises(OptionError, match="plateau"):
        Plateau(factor=1.5)
    with pytest.raises(OptionError, match="between evaluations"):
        LoopConfig(run=Path(), steps=1)
    with pytest.raises(OptionError, match="early stopping"):
        LoopConfig(run=Path(), steps=1, evaluate_steps=1, patience=0)
