"""The pictures of a comparison: every kind of file becomes RGB of 8 bits, and what cannot be read is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import photo_like
from PIL import Image

from narrows.compare.pictures import digest, find_pictures, load_rgb, unique_names
from narrows.errors import PictureError

PHOTO = photo_like(40, 60)


def save(path: Path, pixels: NDArray[np.generic] = PHOTO, exif: Image.Exif | None = None) -> Path:
    Image.fromarray(pixels).save(path, exif=exif or Image.Exif())
    return path


def names(*inputs: Path) -> list[str]:
    return [record.name for record in find_pictures(inputs).records]


def test_a_folder_stands_for_its_pictures_by_name(tmp_path: Path) -> None:
    for name in ("b.png", "a.TIF", ".hidden.png"):
        save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "c.nrws").write_bytes(b"no picture either")
    (tmp_path / "folder.png").mkdir()
    save(tmp_path / "folder.png" / "deeper.png")
    found = find_pictures([tmp_path])
    assert [record.name for record in found.records] == ["a", "b"]
    assert found.left_out == ()
    assert (found.records[0].width, found.records[0].height) == (60, 40)


def test_inputs_keep_their_order_and_count_once(tmp_path: Path) -> None:
    z, a = save(tmp_path / "z.png"), save(tmp_path / "a.png")
    assert names(z, a) == ["z", "a"]
    assert names(z, tmp_path, z) == ["z", "a"]


def test_a_named_file_may_be_called_anything(tmp_path: Path) -> None:
    path = save(tmp_path / "picture.png").rename(tmp_path / "picture.data")
    assert names(path) == ["picture"]


def test_names_tell_pictures_apart(tmp_path: Path) -> None:
    paths = [Path("x/a.png"), Path("x/a.jpg"), Path("y/a.png"), Path("x/b.png")]
    assert unique_names(paths) == ["x/a.png", "a.jpg", "y/a.png", "b"]
    assert unique_names([Path("1/x/a.png"), Path("2/x/a.png")]) == ["x/a.png", "x/a.png (2)"]
    assert unique_names([Path("a\nb\x1b[31m.png")]) == ["a\ufffdb\ufffd[31m"]


def test_what_cannot_be_read_is_left_out_with_a_reason(tmp_path: Path) -> None:
    whole = save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:-600])
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "empty.png").touch()
    (tmp_path / "none").mkdir()
    found = find_pictures([tmp_path, tmp_path / "missing.png", tmp_path / "none"])
    assert [record.name for record in found.records] == ["whole"]
    reasons = dict(found.left_out)
    assert set(reasons) == {"cut", "text", "empty", str(tmp_path / "missing.png"), str(tmp_path / "none")}
    assert "damaged" in reasons["cut"]
    assert "not a picture" in reasons["text"]
    assert "empty" in reasons["empty"]
    assert "without pictures" in reasons[str(tmp_path / "none")]
    assert str(tmp_path) not in "".join(found.left_out[place][1] for place in range(3))


def test_nothing_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="no picture to compare"):
        find_pictures([])
    with pytest.raises(PictureError, match="without pictures"):
        find_pictures([tmp_path])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(tmp_path: Path, orientation: int) -> None:
    stored = {
        1: PHOTO,
        2: PHOTO[:, ::-1],
        3: PHOTO[::-1, ::-1],
        4: PHOTO[::-1],
        5: PHOTO.transpose(1, 0, 2),
        6: PHOTO.transpose(1, 0, 2)[::-1],
        7: PHOTO.transpose(1, 0, 2)[::-1, ::-1],
        8: PHOTO.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "turned.png", np.ascontiguousarray(stored), exif=exif)
    assert np.array_equal(load_rgb(path), PHOTO)


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    alpha = np.full((40, 60, 1), 255, np.uint8)
    alpha[:10], alpha[10:20] = 0, 51
    loaded = load_rgb(save(tmp_path / "alpha.png", np.concatenate([PHOTO, alpha], axis=2)))
    assert (loaded[:10] == 255).all()
    assert np.array_equal(loaded[10:20], np.rint(PHOTO[10:20] * 0.2 + 255 * 0.8).astype(np.uint8))
    assert np.array_equal(loaded[20:], PHOTO[20:])


def test_grey_and_deep_pictures_become_rgb(tmp_path: Path) -> None:
    grey = PHOTO[:, :, 0]
    assert np.array_equal(load_rgb(save(tmp_path / "grey.png", grey)), np.repeat(grey[:, :, None], 3, axis=2))
    deep = load_rgb(save(tmp_path / "deep.png", grey.astype(np.uint16) * 257))
    assert np.array_equal(deep, np.repeat(grey[:, :, None], 3, axis=2))


def test_palettes_and_cmyk_become_rgb(tmp_path: Path) -> None:
    Image.fromarray(PHOTO).quantize(32).save(tmp_path / "palette.png")
    Image.fromarray(PHOTO).convert("CMYK").save(tmp_path / "cmyk.tif")
    for name in ("palette.png", "cmyk.tif"):
        assert load_rgb(tmp_path / name).shape == PHOTO.shape


def test_the_digest_is_of_the_pixels_alone(tmp_path: Path) -> None:
    png, bmp = save(tmp_path / "a.png"), save(tmp_path / "a.bmp")
    first, second = find_pictures([png, bmp]).records
    assert first.digest == second.digest == digest(PHOTO)
    assert len(first.digest) == 16
    assert digest(PHOTO + np.uint8(1)) != digest(PHOTO)


def test_a_picture_that_changes_meanwhile_is_noticed(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png")
    (picture,) = find_pictures([path]).pictures
    assert np.array_equal(picture.load(), PHOTO)
    save(path, 255 - PHOTO)
    with pytest.raises(PictureError, match="changed while"):
        picture.load()
