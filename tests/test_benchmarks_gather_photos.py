"""benchmarks/gather_photos.py: originals from clones, shrunk, under the names and with the split of the index."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import gather_photos
import numpy as np
import pytest
from pictures import photo_like
from PIL import Image, features

NAMES = ["photo-0000.avif", "photo-0001.avif", "photo-0002.avif"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A tar of three windows and their index; the third one's repository is not to be had."""
    folder = tmp_path / "photos"
    folder.mkdir()
    with tarfile.open(folder / "part-00.tar", "w") as archive:
        for name in NAMES:
            entry = tarfile.TarInfo(name)
            entry.size = len(name)
            archive.addfile(entry, io.BytesIO(name.encode()))
    rows = ["file\trepository\tpath", *(f"{name}\tsome/one\tin here/{i}.png" for i, name in enumerate(NAMES[:2]))]
    (folder / "index.tsv").write_text("\n".join([*rows, f"{NAMES[2]}\tno/body\t2.png"]) + "\n")
    return folder


@pytest.fixture
def clones(tmp_path: Path) -> Path:
    clone = tmp_path / "clones" / "some+one"
    (clone / "in here").mkdir(parents=True)
    for index, (height, width) in enumerate([(900, 1200), (400, 600)]):
        Image.fromarray(photo_like(height, width)).save(clone / "in here" / f"{index}.png")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "pictures"]):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *identity, *command], cwd=clone, check=True)
    return clone.parent


def gathered(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> dict[str, bytes]:
    monkeypatch.setattr(sys, "argv", ["gather_photos", *map(str, arguments)])
    gather_photos.main()
    found = {}
    for path in sorted(Path(str(arguments[-1])).glob("*.tar")):
        with tarfile.open(path) as archive:
            for member in archive:
                file = archive.extractfile(member)
                assert file is not None
                found[member.name] = file.read()
    return found


def test_originals_are_shrunk_without_loss_and_windows_stand_in_for_what_is_missing_or_too_small(
    photos: Path, clones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    found = gathered(monkeypatch, photos, clones, "--lossless", "--short-side", 500, 500, "-o", out)
    assert list(found) == ["photo-0000.tif", "photo-0001.avif", "photo-0002.avif"]
    assert found["photo-0001.avif"] == b"photo-0001.avif"  # 400 / 1.5 is under 320
    expected = Image.fromarray(photo_like(900, 1200)).resize((667, 500), Image.Resampling.LANCZOS)
    with Image.open(io.BytesIO(found["photo-0000.tif"])) as image:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(expected))
    sources = [line.split("\t") for line in (out / "sources.tsv").read_text().splitlines()]
    assert [(row[0], row[3]) for row in sources[1:]] == list(zip(found, ["667x500", "window", "window"], strict=True))


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow writes no AVIF")
def test_by_default_they_are_stored_as_avif(
    photos: Path, clones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = gathered(monkeypatch, photos, clones, "--least-factor", 1, "-o", tmp_path / "out")
    assert list(found) == NAMES
    with Image.open(io.BytesIO(found[NAMES[1]])) as image:
        assert image.format == "AVIF"
        assert min(image.size) == 400  # never larger than it was
