"""The experiment bottleneck: its plans, what it measures beside files, and a quick run on tiny sets, whole."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from data_files import idx, tarred
from numpy.typing import NDArray
from pictures import photo_like
from quick_runs import check_quick_run

from narrows.lab.data import Dataset, Split
from narrows.lab.experiments.base import Setting
from narrows.lab.experiments.bottleneck_findings import first_of_classes
from narrows.lab.experiments.bottleneck_parts import front
from narrows.lab.experiments.bottleneck_pictures import _nearest_file
from narrows.lab.experiments.bottleneck_plans import (
    conv_plan,
    dense_plan,
    matched_plans,
    rated_plans,
    shortened,
    stepped_plan,
    subjects,
)
from narrows.lab.experiments.coded import Plan, coded_model
from narrows.lab.measure.linear import pca_network
from narrows.lab.nets.sizes import parameters


def colour(count: int, first: int = 0) -> NDArray[np.uint8]:
    return np.stack([photo_like(32, 32, seed=first + seed) for seed in range(count)])


def dataset(count: int = 24) -> Dataset:
    labels = np.arange(count) % 3
    train, test = (Split(images=colour(count, first), labels=labels) for first in (0, count))
    return Dataset(name="cifar10", train=train, validation=test, test=test, classes=("a", "b", "c"), note="made up")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    return Setting(output=tmp_path_factory.mktemp("result"))


def test_the_plan_s_one_network_is_in_the_sweep(full: Setting) -> None:
    subject = subjects(full)[1]
    assert subject.reference == 128
    plan = conv_plan(subject, subject.reference, full)
    assert parameters(plan.build()) == 536_611
    assert plan.recipe is not None
    assert plan.recipe.lambdas == ()
    assert parameters(dense_plan(subject, 128, full).build()) == 789_632


def test_dense_networks_have_nearly_the_parameters_of_convolutional_ones(full: Setting) -> None:
    digits, pictures = subjects(full)
    pairs = [(conv_plan(digits, width, full), dense_plan(digits, width, full)) for width in digits.widths[2:]]
    pairs.append(matched_plans(pictures, full))
    for first, second in pairs:
        assert parameters(second.build()) == pytest.approx(parameters(first.build()), rel=0.03)
    # no layer of a dense network is narrower than its bottleneck
    for width in digits.widths:
        assert min(layer.shape[0] for layer in dense_plan(digits, width, full).build().encoder.parameters()) == width


def test_every_plan_of_a_set_has_folders_of_its_own(full: Setting) -> None:
    names: list[str] = []
    for subject in subjects(full):
        plans: list[Plan] = [*rated_plans(subject, full), *matched_plans(subject, full)]
        plans += [conv_plan(subject, 32, full, loss="cross_entropy")]
        for width in subject.widths:
            plans += [conv_plan(subject, width, full), dense_plan(subject, width, full)]
        names += [plan.name for plan in plans]
    assert len(set(names)) == len(names)


def test_the_front_has_no_point_that_another_beats(tmp_path: Path) -> None:
    data, setting = dataset().grey(), Setting(output=tmp_path)
    plan = stepped_plan(subjects(setting)[1], pca_network(data.train.images, 256), setting)
    model = coded_model(plan, data, setting)
    best = front([model, model])
    assert len(best) > 3
    for one, other in pairwise(best):
        assert one.bytes < other.bytes
        assert one.result.mse > other.result.mse
    for point in model.points:
        assert any(one.bytes <= point.bytes and one.result.mse <= point.result.mse for one in best)


def test_the_first_components_of_a_pca_are_a_pca() -> None:
    pictures = colour(24)[..., 0].copy()
    direct, short = pca_network(pictures, 3), shortened(pca_network(pictures, 9), 3)
    x = torch.from_numpy(pictures[:, None]).float() / 255
    with torch.no_grad():
        torch.testing.assert_close(short.encode(x), direct.encode(x))
        torch.testing.assert_close(short(x), direct(x))
    assert short.geometry == direct.geometry


def test_shown_pictures_are_of_different_classes() -> None:
    data = dataset()
    chosen = first_of_classes(data, 2)
    assert chosen.tolist() == [0, 1]
    assert data.test.labels is not None
    shifted = replace(data, test=Split(images=data.test.images, labels=np.roll(data.test.labels, 1)))
    assert first_of_classes(shifted, 3).tolist() == [0, 1, 2]
    bare = replace(data, test=Split(images=data.test.images))
    assert first_of_classes(bare, 4).tolist() == [0, 6, 12, 18]


def test_the_nearest_file_is_as_near_as_any_setting_comes() -> None:
    picture = colour(1)
    small, large = (_nearest_file("jpeg", "abbreviated", picture, wanted) for wanted in (0, 10**6))
    assert small.bytes < large.bytes
    assert small.psnr_db < large.psnr_db
    again = _nearest_file("jpeg", "abbreviated", picture, large.bytes)
    assert again.bytes == large.bytes


def write_sets(root: Path) -> Path:
    """MNIST and CIFAR-10 in their formats, of pictures that can be learned from."""
    (root / "mnist").mkdir(parents=True)
    for part, count, first in (("train", 40, 0), ("t10k", 12, 100)):
        images = colour(count, first)[:, :28, :28, 0].copy()
        (root / "mnist" / f"{part}-images-idx3-ubyte").write_bytes(idx(images))
        (root / "mnist" / f"{part}-labels-idx1-ubyte").write_bytes(idx((np.arange(count) % 10).astype(np.uint8)))
    files = {}
    for number in range(6):
        name, count = (f"data_batch_{number + 1}", 8) if number < 5 else ("test_batch", 12)
        planes = colour(count, 200 + 20 * number).transpose(0, 3, 1, 2).reshape(count, -1)
        labels = (np.arange(count) % 10).astype(np.uint8)
        files[f"cifar-10-batches-bin/{name}.bin"] = np.column_stack([labels, planes]).tobytes()
    (root / "cifar10").mkdir()
    (root / "cifar10" / "cifar-10-binary.tar.gz").write_bytes(tarred(files))
    return root


def test_a_quick_run_writes_a_whole_report(tmp_path: Path) -> None:
    """Slow for a test, about half a minute."""
    page, rows = check_quick_run("bottleneck", write_sets(tmp_path / "sets"), tmp_path / "result")
    assert page.count('class="slider"') == 2
    assert {row["model"] for row in rows} >= {"mnist-conv-2", "mnist-jpeg", "cifar10-webp", "cifar10-conv-16-rate"}
