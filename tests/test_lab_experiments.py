"""What every experiment is made of: pictures, one network trained, coded and measured, results kept, the commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from pictures import photo_like

from narrows.errors import OptionError
from narrows.lab.data import Dataset, Split
from narrows.lab.experiments.base import Setting, evenly, load_data, reduced
from narrows.lab.experiments.catalogue import EXPERIMENTS, find
from narrows.lab.experiments.coded import Model, Plan, coded_model, more_points
from narrows.lab.experiments.command import list_command, run_command
from narrows.lab.experiments.kept import kept
from narrows.lab.experiments.rivals import rivals
from narrows.lab.experiments.rows import model_rows, rate_table
from narrows.lab.measure.linear import block_pca_network, equal_steps
from narrows.lab.nets.base import StudyNetwork
from narrows.lab.nets.depth import depth_network
from narrows.lab.nets.vector import dense_autoencoder
from narrows.lab.study.grid import reconstructed
from narrows.lab.study.quantiser import Steps
from narrows.lab.study.training import Recipe


def photographs(count: int, height: int = 32, width: int = 48) -> NDArray[np.uint8]:
    return np.stack([photo_like(height, width, seed=seed) for seed in range(count)])


def dataset(images: NDArray[np.uint8]) -> Dataset:
    third = len(images) // 3
    train, validation, test = (Split(images=images[k * third : (k + 1) * third]) for k in range(3))
    return Dataset(name="made up", train=train, validation=validation, test=test, classes=(), note="made up")


def network() -> StudyNetwork:
    return depth_network((4, 8), bottleneck=6)


RECIPE = Recipe(epochs=1, batch=4, precision="32-true", accelerator="cpu")
MAP = Plan(name="map", label="a map", build=network, recipe=RECIPE, bits=(3, 6), coded=2, watch=1)


@pytest.fixture(scope="module")
def map_setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    return Setting(output=tmp_path_factory.mktemp("result"))


@pytest.fixture(scope="module")
def map_model(map_setting: Setting) -> Model:
    return coded_model(MAP, dataset(photographs(12)), map_setting)


@dataclass(frozen=True, kw_only=True)
class Result:
    number: float
    word: str | None
    array: NDArray[np.float64]


def counting(calls: list[int]) -> Callable[[], Result]:
    def make() -> Result:
        calls.append(len(calls))
        return Result(number=float("inf"), word=None, array=np.arange(3.0))

    return make


def test_a_result_is_made_once_for_a_key(tmp_path: Path) -> None:
    calls: list[int] = []
    file = tmp_path / "folder" / "result.npz"
    first = kept(file, "a", Result, counting(calls))
    again = kept(file, "a", Result, counting(calls))
    assert len(calls) == 1
    assert (again.number, again.word) == (first.number, first.word)
    np.testing.assert_array_equal(again.array, first.array)
    kept(file, "b", Result, counting(calls))
    assert len(calls) == 2


@pytest.mark.parametrize("size", [0, 1, 40, -1])
def test_a_result_that_was_cut_short_is_made_again(tmp_path: Path, size: int) -> None:
    file, calls = tmp_path / "result.npz", list[int]()
    kept(file, "a", Result, counting(calls))
    file.write_bytes(file.read_bytes()[:size])
    kept(file, "a", Result, counting(calls))
    assert len(calls) == 2


def test_a_result_whose_fields_have_changed_is_made_again(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Other:
        another: float

    file, calls = tmp_path / "result.npz", list[int]()
    kept(file, "a", Result, counting(calls))
    assert kept(file, "a", Other, partial(Other, 1.0)) == Other(1.0)


def test_fewer_pictures_are_evenly_spread_and_named_in_the_note() -> None:
    data = dataset(photographs(12))
    fewer = reduced(data, train=2, test=100)
    np.testing.assert_array_equal(fewer.train.images, data.train.images[[0, 2]])
    assert len(fewer.test) == 4
    assert fewer.note == "made up; used here: 2 of 4 for training"
    assert evenly(970, 160).tolist() == sorted(set(evenly(970, 160).tolist()))


def test_a_quick_run_has_one_seed_unless_somebody_says(tmp_path: Path) -> None:
    full, quick = Setting(output=tmp_path), Setting(output=tmp_path, quick=True)
    assert full.seed_list(3) == (0, 1, 2)
    assert quick.seed_list(3) == (0,)
    assert replace(quick, seeds=2).seed_list(3) == (0, 1)
    assert (full.epochs_of(20), replace(full, epochs=0.1).epochs_of(20), quick.epochs_of(20)) == (20, 2, 1)
    with pytest.raises(OptionError, match="seeds is 0"):
        Setting(output=tmp_path, seeds=0)
    with pytest.raises(OptionError, match="above 0"):
        Setting(output=tmp_path, epochs=0)


def test_the_command_of_a_report_names_no_folder_of_this_machine(tmp_path: Path) -> None:
    setting = Setting(output=tmp_path, data_root=tmp_path, photos=tmp_path, quick=True, seeds=2, epochs=3)
    assert setting.command("sunset") == (
        "narrows lab run sunset --quick --data-root DIR --photos DIR --seeds 2 --epochs 3"
    )


def test_photographs_are_asked_for_where_there_are_none(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--photos"):
        load_data(Setting(output=tmp_path, data_root=tmp_path), "photographs")


def test_a_map_is_trained_coded_and_measured(map_model: Model) -> None:
    assert map_model.trained is not None
    assert map_model.floats.pictures == 4
    assert [point.setting for point in map_model.points] == ["3 bits", "6 bits"]
    coarse, fine = map_model.points
    assert coarse.bytes < fine.bytes
    assert fine.bytes == sum(file.stat().st_size for file in fine.files)
    assert fine.bpp == 8 * fine.bytes / (2 * 32 * 48)
    assert fine.indices.tolist() == [0, 2]
    assert map_model.parameters > 0
    assert map_model.encoder_macs > 0
    assert map_model.decoder_bytes is not None


def test_a_point_decodes_and_shows_what_was_measured(map_model: Model) -> None:
    pictures = dataset(photographs(12)).test.images
    point = map_model.points[1]
    decoded = point.decoded()
    errors = np.square(decoded.astype(np.float64) - pictures[point.indices]).mean((1, 2, 3)) / 255**2
    np.testing.assert_allclose(errors, point.result.mse_of)
    shown = point.shown(1)
    np.testing.assert_array_equal(shown.pixels, decoded[1])
    assert shown.bytes == point.files[1].stat().st_size
    np.testing.assert_array_equal(point.decoded(np.array([1])), decoded[1:])


def test_files_hold_what_the_trained_network_gives(map_model: Model) -> None:
    """The weights of a network trained in channels_last lie in another order in memory."""
    pictures = dataset(photographs(12)).test.images
    plain = reconstructed(map_model.network, pictures)[map_model.points[1].indices].astype(int)
    assert np.abs(plain - map_model.points[1].decoded()).mean() < 0.1


def test_nothing_is_done_twice(map_model: Model, map_setting: Setting) -> None:
    before = {file: file.stat().st_mtime_ns for file in map_setting.output.rglob("*") if file.is_file()}
    again = coded_model(MAP, dataset(photographs(12)), map_setting)
    after = {file: file.stat().st_mtime_ns for file in map_setting.output.rglob("*") if file.is_file()}
    assert after == before
    assert [point.bytes for point in again.points] == [point.bytes for point in map_model.points]


def test_a_file_that_is_gone_is_coded_again(map_model: Model, map_setting: Setting) -> None:
    lost = map_model.points[0].files[1]
    size = lost.stat().st_size
    lost.unlink()
    again = coded_model(MAP, dataset(photographs(12)), map_setting)
    assert lost.stat().st_size == size
    assert again.points[0].result.mse == map_model.points[0].result.mse


def test_other_pictures_are_coded_by_the_same_profile(map_model: Model, map_setting: Setting) -> None:
    pictures = photographs(3)[:, :24, :24]
    points = more_points(map_model, pictures, map_setting, "others")
    assert [point.profile for point in points] == [map_model.profile] * 2
    assert points[1].result.pictures == 3
    assert points[1].bpp == 8 * points[1].bytes / (3 * 24 * 24)


def test_metrics_hold_every_point_and_the_network_before_quantisation(map_model: Model) -> None:
    rows = list(model_rows(map_model))
    values = {(row.setting, row.metric): row.value for row in rows if row.split == "test"}
    assert values["3 bits, each", "bytes"] == map_model.points[0].bytes
    assert values["before quantisation", "mse"] == map_model.floats.mse
    assert values["6 bits", "live_channels"] == map_model.live[1]
    assert len({(row.setting, row.metric, row.split) for row in rows}) == len(rows)


def test_a_sheet_of_cells_shares_one_file(tmp_path: Path) -> None:
    images = photographs(12, 16, 16)[..., 0].copy()
    build = partial(dense_autoencoder, 4, side=16, channels=1)
    plan = Plan(name="cells", label="cells", build=build, recipe=RECIPE, bits=(5,), rule="sheet")
    data = dataset(images)
    model = coded_model(plan, data, Setting(output=tmp_path))
    [point] = model.points
    assert len(point.files) == 1
    assert point.shown(3).bytes == point.bytes / 4
    errors = np.square(point.decoded().astype(float) - data.test.images).mean((1, 2)) / 255**2
    np.testing.assert_allclose(errors, point.result.mse_of)
    table = rate_table([("cells", model.points)], "rates")
    assert table.rows[0][:3] == ("cells", "5 bits", 4)


def test_a_network_without_a_recipe_is_used_as_it_is(tmp_path: Path) -> None:
    data = dataset(photographs(12))

    def steps(found: StudyNetwork) -> Steps:
        return equal_steps(found.geometry.latent, (0.5, 0.05))

    plan = Plan(
        name="pca", label="PCA", build=partial(block_pca_network, data.train.images, 4, 12), recipe=None, steps=steps
    )
    model = coded_model(plan, data, Setting(output=tmp_path))
    assert model.trained is None
    assert [point.setting for point in model.points] == ["step 0.5", "step 0.05"]
    assert model.points[0].result.mse > model.points[1].result.mse


def test_a_plan_without_a_rule_makes_no_files(tmp_path: Path) -> None:
    model = coded_model(replace(MAP, rule=None), dataset(photographs(12)), Setting(output=tmp_path))
    assert model.points == ()
    assert not (tmp_path / "profiles").exists()
    with pytest.raises(OptionError, match="no profile"):
        more_points(model, photographs(3), Setting(output=tmp_path), "others")


@pytest.mark.parametrize("rule", ["each", "abbreviated", "sheet"])
def test_a_rival_shows_what_was_measured(tmp_path: Path, rule: str) -> None:
    data, setting = dataset(photographs(12)), Setting(output=tmp_path)
    found = rivals("jpeg", data, setting, settings=(80, 20), rule=rule, coded=3)  # type: ignore[arg-type]
    assert [rival.quality for rival in found] == [20, 80]
    rival = found[0]
    errors = np.square(rival.decoded().astype(float) - data.test.images[rival.indices]).mean((1, 2, 3)) / 255**2
    np.testing.assert_allclose(errors, rival.result.mse_of)
    total = sum(rival.shown(place).bytes for place in range(3)) + rival.shared_bytes
    assert total == pytest.approx(rival.bytes)
    again = rivals("jpeg", data, setting, settings=(80, 20), rule=rule, coded=3)  # type: ignore[arg-type]
    assert again[0].bytes == rival.bytes


def test_the_list_names_every_experiment_and_its_sets() -> None:
    lines = CliRunner().invoke(list_command).stdout.splitlines()
    assert [line.split()[0] for line in lines] == [one.name for one in EXPERIMENTS]
    records = json.loads(CliRunner().invoke(list_command, ["--json"]).stdout)
    assert [record["sets"] for record in records] == [list(one.sets) for one in EXPERIMENTS]


def test_an_unknown_experiment_is_a_mistake_of_usage() -> None:
    with pytest.raises(OptionError, match="there are sunset"):
        find("sunrise")
    assert CliRunner().invoke(run_command, ["sunrise"]).exit_code == 2
