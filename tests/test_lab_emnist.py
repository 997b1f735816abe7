"""The experiment emnist-decoders, quick and whole; and what its networks are."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from data_files import idx  # noqa: E402
from quick_runs import check_quick_run, strokes  # noqa: E402

from narrows.errors import OptionError  # noqa: E402
from narrows.lab.experiments.base import Setting  # noqa: E402
from narrows.lab.experiments.emnist_parts import Spread  # noqa: E402
from narrows.lab.experiments.emnist_plans import LINEAR, PUBLISHED, plan  # noqa: E402
from narrows.lab.nets.emnist import residual_network  # noqa: E402
from narrows.lab.nets.sizes import macs, parameters  # noqa: E402


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    folder = tmp_path / "sets" / "emnist47"
    folder.mkdir(parents=True)
    for seed, (part, count) in enumerate((("train", 340), ("test", 70))):
        images = strokes(count, seed=seed).swapaxes(1, 2)  # as EMNIST has them
        for kind, array in (("images-idx3", images), ("labels-idx1", np.arange(count, dtype=np.uint8) % 47)):
            path = folder / f"emnist-balanced-{part}-{kind}-ubyte.gz"
            path.write_bytes(gzip.compress(idx(array)))
    return tmp_path / "sets"


def test_a_quick_run_writes_a_whole_report(sets: Path, tmp_path: Path) -> None:
    _, rows = check_quick_run("emnist-decoders", sets, tmp_path / "result")
    live = {row["model"]: float(row["value"]) for row in rows if row["metric"] == "live_units"}
    assert {f"model-{number}-relu" for number in range(1, 5)} <= set(live)
    assert all(live[f"model-{number}-linear"] == 32 for number in range(1, 5))  # linear latents cannot die
    assert {row["model"] for row in rows} >= {"own", "pca-32", "jpeg", "webp", "png", "g4"}


def test_plans_have_names_of_their_own_and_the_studys_recipe() -> None:
    setting = Setting(output=Path())
    plans = [plan(variant, setting, coded=True) for variant in (*PUBLISHED, *LINEAR)]
    assert len({one.name for one in plans}) == 8
    assert {parameters(one.build()) for one in plans} == {1_037_601}
    assert all(one.recipe is not None and one.recipe.rate == 1e-3 and one.recipe.keras_start for one in plans)


def test_our_network_is_as_large_as_it_says_and_takes_only_sides_that_can_be_halved() -> None:
    network = residual_network()
    assert parameters(network) == 1_769_409
    assert macs(network.encoder, 1, 28, 28) == macs(network.decoder, 64) == 51_204_608
    x = torch.rand(2, 1, 28, 28)
    assert network(x).shape == x.shape
    with pytest.raises(OptionError, match="halved 2 times"):
        residual_network(side=30)
    with pytest.raises(OptionError, match="at least one"):
        residual_network(widths=())


def test_a_spread_is_mean_and_sample_deviation() -> None:
    assert str(Spread(values=(0.004, 0.005, 0.006))) == "0.005 ± 0.001"
    assert str(Spread(values=(28.0,))) == "28"
