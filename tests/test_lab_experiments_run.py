"""`narrows lab run NAME --quick`, whole: from pictures to a report. Slow for a test, about half a minute each."""

from __future__ import annotations

from pathlib import Path

import pytest
from data_files import CLASSES
from pictures import photo_like
from PIL import Image
from quick_runs import check_quick_run

from narrows.lab.experiments.imagenette_depth import twice_coded
from narrows.lab.experiments.sunset import warm_skies


def write_photographs(folder: Path, count: int, height: int, width: int) -> Path:
    folder.mkdir(parents=True)
    for seed in range(count):
        Image.fromarray(photo_like(height, width, seed=seed)).save(folder / f"{seed}.png")
    return folder


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for --data-root: Imagenette in small, and photographs."""
    root = tmp_path_factory.mktemp("sets")
    seed = 100
    for part, count in (("train", 20), ("val", 8)):
        for kind in CLASSES:
            folder = root / "imagenette2-160" / part / kind
            folder.mkdir(parents=True)
            for index in range(count):
                seed += 1
                Image.fromarray(photo_like(160, 160, seed=seed)).save(folder / f"{index}.JPEG", quality=95)
    write_photographs(root / "photographs", 20, 170, 240)
    return root


@pytest.mark.parametrize("name", ["sunset", "imagenette-depth"])
def test_a_quick_run_writes_a_whole_report(name: str, sets: Path, tmp_path: Path) -> None:
    check_quick_run(name, sets, tmp_path / "result")


def test_a_warm_sky_is_red_rather_than_blue() -> None:
    pictures = twice_coded(photo_like(64, 64, seed=1)[None].repeat(3, 0))
    pictures[1, :32] = (200, 120, 60)
    pictures[2, :32] = (60, 120, 200)
    pictures[0, :32] = 128
    assert warm_skies(pictures).tolist() == [1]
