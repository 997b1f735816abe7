"""benchmarks/ab.py and benchmarks/held_out.py: arms from their texts, runs that go on, the tables."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytest.importorskip("bjontegaard")

import ab
import held_out

from narrows.profile import find


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(4):
        coarse = rng.integers(0, 256, (9, 11, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((128, 96), Image.Resampling.BICUBIC).save(folder / f"{index}.png")
    return folder


def called(monkeypatch: pytest.MonkeyPatch, module: object, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark", *map(str, arguments)])
    module.main()  # type: ignore[attr-defined]


def test_arms_train_for_as_many_megapixels_and_are_not_trained_twice(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arms = ["base:crop=64,batch=2", "wide:crop=64,batch=1,synthesis_width=48x64"]
    settings = ["--photos", photos, "--recipe", "tiny", "--megapixels", 8 * 64 * 64 / 1e6]
    called(monkeypatch, ab, tmp_path / "out", *arms, *settings)
    table = capsys.readouterr().out.splitlines()
    assert table[2].startswith("| base | 0 |") and "| +0.00 % |" in table[2] and table[3].startswith("| wide |")
    runs = {name: json.loads((tmp_path / "out" / name / "config.json").read_text()) for name in ("base", "wide")}
    assert runs["base"]["train"]["steps"] == 4 and runs["wide"]["train"]["steps"] == 8
    assert runs["wide"]["network"]["synthesis_width"] == [48, 64]
    logs = {name: (tmp_path / "out" / name / "log.csv").stat().st_mtime_ns for name in runs}
    called(monkeypatch, ab, tmp_path / "out", *arms, *settings)
    assert logs == {name: (tmp_path / "out" / name / "log.csv").stat().st_mtime_ns for name in runs}


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        (["a:colour=3"], "has a setting colour"),
        (["a:batch=many"], "a:batch=many"),
        (["a:batch=0"], "batch must be at least 1"),
        (["a", "a:batch=4"], "a name of its own"),
    ],
)
def test_arms_that_make_no_sense_are_refused(
    arms: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        called(monkeypatch, ab, tmp_path, *arms, "--photos", tmp_path, "--minutes", 1)
    assert message in capsys.readouterr().err


def profile(folder: Path, share: float) -> Path:
    rows = [{"quality": q, "bpp": share * 2.0**q, "psnr_db": 24 + 3.0 * q} for q in range(5)]
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({"training": {"held_out": rows}}))
    return folder


def test_profiles_are_compared_by_their_manifests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    called(monkeypatch, held_out, profile(tmp_path / "a", 0.1), profile(tmp_path / "b", 0.09))
    printed = capsys.readouterr().out.splitlines()
    assert printed[1] == "PSNR (RGB), dB: -10.00 %" and printed[4].endswith("| -10.0% | +0.000 |")


def test_profiles_are_measured_anew_on_other_photographs(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shipped = find("default")
    stale = tmp_path / "stale"
    shutil.copytree(shipped, stale)
    manifest = json.loads((stale / "manifest.json").read_text())
    manifest["training"]["held_out"] = []
    (stale / "manifest.json").write_text(json.dumps(manifest | {"dead_zone": 0.0}))
    called(monkeypatch, held_out, shipped, shipped, stale, "--photos", photos)
    printed = capsys.readouterr().out.splitlines()
    same, other = (line for line in printed if line.startswith("PSNR (RGB)"))
    assert same.endswith("+0.00 %")
    assert not other.endswith("+0.00 %"), "its dead zone is another one"
    assert {line.split(":")[0] for line in printed if line.endswith(" %")} >= {"SSIM, dB", "SSIMULACRA 2"}


def test_a_run_may_stand_in_the_place_of_a_profile(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arms = ["base:crop=64,batch=2", "other:crop=64,batch=2,masking=1"]
    called(monkeypatch, ab, tmp_path, *arms, "--photos", photos, "--recipe", "tiny", "--megapixels", 8 * 64 * 64 / 1e6)
    called(monkeypatch, held_out, tmp_path / "base", tmp_path / "base", tmp_path / "other", "--photos", photos)
    same, other = (line for line in capsys.readouterr().out.splitlines() if line.startswith("PSNR (RGB)"))
    assert same.endswith("+0.00 %") and not other.endswith("+0.00 %"), "it was trained for another distortion"
