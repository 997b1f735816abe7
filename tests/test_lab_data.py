"""Data sets: what is read is what the files hold, in parts that share nothing; what is wrong is said by name."""

from __future__ import annotations

import gzip
import lzma
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from data_files import (
    CLASSES,
    characters,
    cifar_files,
    cifar_pictures,
    emnist_files,
    idx,
    idx_files,
    imagenette_files,
    picture,
    tarred,
    unpack,
    write_mnist,
    zipped,
)
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("pooch")

from narrows.errors import NarrowsError, OptionError, PictureError  # noqa: E402
from narrows.lab.data import NAMES, Dataset, Split, load  # noqa: E402
from narrows.lab.data.dataset import hold_out  # noqa: E402

SHARED = Path(__file__).parent.parent.parent / "shared"


def rows(*parts: Split) -> list[bytes]:
    return [image.tobytes() for part in parts for image in part.images]


def assert_parts(data: Dataset, train: int, validation: int, test: int) -> None:
    assert (len(data.train), len(data.validation), len(data.test)) == (train, validation, test)
    pictures = rows(data.train, data.validation, data.test)
    assert len(set(pictures)) == len(pictures)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_mnist_is_read_from_idx_files(tmp_path: Path, name: str, packed: bool) -> None:
    write_mnist(tmp_path / name, packed=packed)
    data = load(name, root=tmp_path, progress=False)
    assert_parts(data, 36, 4, 12)
    assert len(data.classes) == 10
    images, labels = characters(40)
    assert sorted(rows(data.train, data.validation)) == sorted(rows(Split(images=images)))
    assert np.array_equal(data.test.images, characters(12, seed=1)[0])
    assert data.test.labels is not None
    assert np.array_equal(data.test.labels, characters(12, seed=1)[1])
    index = [row.tobytes() for row in images].index(data.validation.images[0].tobytes())
    assert data.validation.labels is not None
    assert data.validation.labels[0] == labels[index]


def test_a_set_that_is_not_the_official_one_says_so(tmp_path: Path) -> None:
    write_mnist(tmp_path / "mnist")
    note = load("mnist", root=tmp_path, progress=False).note
    assert "not the official MNIST but 40 training and 12 test pictures" in note
    assert "(official: 60000 and 10000)" in note


def test_arrays_go_into_torch_without_a_copy_or_a_warning(tmp_path: Path) -> None:
    write_mnist(tmp_path / "mnist")
    unpack(cifar_files(), tmp_path / "cifar10")
    for name in ("mnist", "cifar10"):
        data = load(name, root=tmp_path, progress=False)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for part in (data.train, data.validation, data.test):
                assert torch.from_numpy(part.images).is_contiguous()


@pytest.mark.parametrize("layout", ["zip", "loose", "torchvision"])
def test_emnist_comes_upright_from_every_layout(tmp_path: Path, layout: str) -> None:
    files = emnist_files()
    if layout == "zip":
        unpack(
            {"gzip.zip": zipped({**files, "emnist-letters-test-images-idx3-ubyte.gz": b""})},
            tmp_path / "emnist-balanced",
        )
    elif layout == "loose":
        unpack(files, tmp_path / "emnist47")
    else:
        plain = {name.removesuffix(".gz"): gzip.decompress(data) for name, data in files.items()}
        unpack(plain, tmp_path / "EMNIST" / "raw")
    data = load("emnist-balanced", root=tmp_path, progress=False)
    assert_parts(data, 36, 4, 12)
    assert np.array_equal(data.test.images, characters(12, seed=1)[0])
    assert len(data.classes) == 47 and data.classes[10] == "A" and data.classes[-1] == "t"


@pytest.mark.parametrize("layout", ["archive", "folder", "files"])
def test_cifar_is_read_from_every_layout(tmp_path: Path, layout: str) -> None:
    folder = tmp_path / "cifar10"
    files = cifar_files()
    if layout == "archive":
        unpack({"cifar-10-binary.tar.gz": tarred(files)}, folder)
    elif layout == "folder":
        unpack(files, folder)
    else:
        unpack({name.rpartition("/")[2]: data for name, data in files.items()}, folder)
    data = load("cifar10", root=tmp_path, progress=False)
    assert_parts(data, 90, 10, 8)
    images, labels = cifar_pictures(8, seed=5)
    assert np.array_equal(data.test.images, images)
    assert data.test.labels is not None
    assert np.array_equal(data.test.labels, labels)
    assert np.array_equal(data.train.images[0], cifar_pictures(20, seed=0)[0][0])  # the official order stays


def test_cifar_with_some_batches_is_a_subset_and_says_so(tmp_path: Path) -> None:
    unpack(cifar_files(batches=1), tmp_path / "cifar10")
    data = load("cifar10", root=tmp_path, progress=False)
    assert_parts(data, 18, 2, 8)
    assert "not the official CIFAR-10 but 20 training and 8 test pictures" in data.note


@pytest.mark.parametrize("layout", ["archive", "folders"])
def test_imagenette_is_read_from_every_layout(tmp_path: Path, layout: str) -> None:
    files = imagenette_files()
    if layout == "archive":
        unpack(
            {"imagenette2-160/imagenette2-160.tgz": tarred({**files, "imagenette2-160/train/._x.JPEG": b""})}, tmp_path
        )
    else:
        unpack({**files, "imagenette2-160/noisy.csv": b"path"}, tmp_path)
    data = load("imagenette2-160", root=tmp_path, progress=False)
    assert_parts(data, 10, 1, 3)
    assert data.train.images.shape == (10, 160, 160, 3)
    assert data.test.labels is not None
    assert data.test.labels.tolist() == [0, 9, 9]
    assert (data.classes[0], data.classes[9]) == ("tench", "parachute")
    assert "cropped with the aspect kept to 160 x 160" in data.note


def test_photographs_are_cropped_or_squashed_as_asked(tmp_path: Path) -> None:
    wide = np.zeros((40, 80, 3), np.uint8)
    wide[:, 20:60] = 200  # the middle of the aspect-keeping crop
    for index in range(3):
        wide[:4, 30:34] = 80 * index  # else they would be one picture three times
        Image.fromarray(wide).save(tmp_path / f"{index}.png")
    cropped = load(str(tmp_path), progress=False, size=(20, 20)).test.images[0]
    squashed = load(str(tmp_path), progress=False, size=(20, 20), fit="squash").test.images[0]
    assert cropped[10].min() > 180
    assert squashed[10, 0].max() < 10 and squashed[10, 10].min() > 180


def test_a_folder_is_dealt_out_and_nothing_is_in_two_parts(tmp_path: Path) -> None:
    for index in range(18):
        (tmp_path / "sub").mkdir(exist_ok=True)
        (tmp_path / "sub" / f"{index:02}.png").write_bytes(picture(48, 64, index, "PNG"))
    (tmp_path / "again.png").write_bytes(picture(48, 64, 3, "PNG"))  # the same pixels under another name
    (tmp_path / "more.tar").write_bytes(tarred({"a/18.png": picture(48, 64, 18, "PNG"), "a/x.txt": b""}, mode="w"))
    (tmp_path / "more2.tar").write_bytes(
        tarred({"19.png": picture(48, 64, 19, "PNG")})
    )  # compressed, whatever its name
    data = load(str(tmp_path), progress=False)
    assert_parts(data, 16, 2, 2)
    assert data.classes == () and data.train.labels is None
    assert "20 pictures of" in data.note and "1 repeated and left out" in data.note
    again = load(str(tmp_path), progress=False)
    assert rows(data.validation, data.test) == rows(again.validation, again.test)


def test_unreadable_pictures_of_a_folder_are_left_out_with_a_warning(tmp_path: Path) -> None:
    for index in range(4):
        (tmp_path / f"{index}.png").write_bytes(picture(16, 16, index, "PNG"))
    (tmp_path / "broken.jpg").write_bytes(picture(64, 64, 9)[:100])
    Image.fromarray(np.full((16, 16), 40000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.warns(UserWarning, match="2 pictures cannot be read"):
        data = load(str(tmp_path), progress=False)
    assert "2 unreadable and left out" in data.note


def test_enlarged_pictures_are_counted(tmp_path: Path) -> None:
    for index, side in enumerate((16, 32, 64, 31)):
        (tmp_path / f"{index}.png").write_bytes(picture(side, 64, index, "PNG"))
    note = load(str(tmp_path), progress=False, size=(32, 32)).note
    assert "cropped with the aspect kept to 32 x 32; 2 enlarged" in note


def test_pictures_of_the_wanted_size_are_left_as_they_are(tmp_path: Path) -> None:
    for index in range(3):
        (tmp_path / f"{index}.png").write_bytes(picture(24, 40, index, "PNG"))
    own, framed = load(str(tmp_path), progress=False), load(str(tmp_path), progress=False, size=(24, 40))
    assert rows(own.train, own.validation, own.test) == rows(framed.train, framed.validation, framed.test)
    assert own.note == framed.note and "as they are in their files" in own.note


def test_pictures_come_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    for index in range(3):
        Image.new("RGB", (32, 16), (index, 0, 0)).save(tmp_path / f"{index}.png", exif=exif)
    assert load(str(tmp_path), progress=False).train.images.shape == (1, 32, 16, 3)


def test_grey_is_pillows_grey(tmp_path: Path) -> None:
    unpack(cifar_files(), tmp_path / "cifar10")
    data = load("cifar10", root=tmp_path, progress=False)
    grey = data.grey()
    assert grey.train.channels == 1 and grey.grey() is grey
    assert grey.note == f"{data.note}; in grey"
    for colour, found in zip(data.test.images, grey.test.images, strict=True):
        assert np.array_equal(np.asarray(Image.fromarray(colour).convert("L")), found)


def test_parts_are_dealt_out_alike_for_ever() -> None:
    kept, held_out = hold_out(20)
    assert held_out.tolist() == [12, 15]
    assert sorted([*kept, *held_out]) == list(range(20))
    assert [len(part) for part in hold_out(37130)] == [33417, 3713]
    assert [len(part) for part in hold_out(3, parts=2)] == [1, 1, 1]
    with pytest.raises(OptionError, match="too few"):
        hold_out(2, parts=2)


@pytest.mark.parametrize(
    ("images", "labels", "reason"),
    [
        (np.zeros((2, 28, 28), np.float32), None, "uint8"),
        (np.zeros((2, 28, 28, 4), np.uint8), None, "uint8"),
        (np.zeros((2, 28, 28), np.uint8), np.zeros(3, np.int64), "labels"),
        (np.zeros((2, 28, 28), np.uint8), np.zeros(2, np.int32), "labels"),
    ],
)
def test_a_split_of_another_form_is_refused(images: np.ndarray, labels: np.ndarray | None, reason: str) -> None:
    with pytest.raises(OptionError, match=reason):
        Split(images=images, labels=labels)


# What is wrong, and how it is said.


def test_unknown_names_and_missing_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no data set or folder 'minst'; the sets are mnist, fashion-mnist"):
        load("minst", progress=False)
    with pytest.raises(OptionError, match="not-here: is not a folder"):
        load("mnist", root=tmp_path / "not-here", progress=False)
    for name in NAMES:
        with pytest.raises(OptionError, match="leave --data-root out to fetch it"):
            load(name, root=tmp_path, progress=False)


def test_a_size_for_pictures_of_one_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="MNIST has pictures of one size"):
        load("mnist", root=tmp_path, size=(32, 32), progress=False)
    with pytest.raises(OptionError, match="at least one pixel"):
        load(str(tmp_path), size=(0, 4), progress=False)
    with pytest.raises(OptionError, match="crop or squash"):
        load(str(tmp_path), fit="stretch", progress=False)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_folder_of_copies_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(OptionError, match=name):
        load(name, root=tmp_path, progress=False)


def test_a_missing_idx_file_is_named(tmp_path: Path) -> None:
    folder = write_mnist(tmp_path / "mnist")
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(OptionError, match="t10k-labels-idx1-ubyte: is missing"):
        load("mnist", root=tmp_path, progress=False)


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
WHOLE = idx_files()


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        (IMAGES, WHOLE[IMAGES][:-1], "is truncated: 31359 bytes of samples, its header says 31360"),
        (IMAGES, WHOLE[IMAGES] + b"\0", "has bytes after the 31360"),
        (IMAGES, WHOLE[IMAGES][:9], "ends in its header"),
        (IMAGES, WHOLE[LABELS], "an idx file of 3 dimensions was expected"),
        (IMAGES, b"", "an idx file of 3 dimensions"),
        (IMAGES, idx(np.zeros((40, 32, 32), np.uint8)), "has pictures of 32 x 32, expected 28 x 28"),
        (IMAGES, idx(np.zeros((0, 28, 28), np.uint8)), "has no pictures"),
        (IMAGES, WHOLE[IMAGES][:4] + b"\xff" * 4 + WHOLE[IMAGES][8:], "is truncated"),
        (LABELS, idx(np.zeros(39, np.uint8)), "has 39 labels for 40 pictures"),
        (LABELS, idx(np.full(40, 10, np.uint8)), "has a label 10, expected 0 to 9"),
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_a_damaged_idx_file_is_refused_by_name(
    tmp_path: Path, name: str, data: bytes, reason: str, packed: bool
) -> None:
    folder = write_mnist(tmp_path / "mnist", packed=packed)
    (folder / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(NarrowsError, match=reason) as caught:
        load("mnist", root=tmp_path, progress=False)
    assert name in str(caught.value.source)


@pytest.mark.parametrize("spoil", [lambda data: data[: len(data) // 2], lambda data: b"<html>no</html>"])
def test_a_damaged_gzip_file_is_refused_by_name(tmp_path: Path, spoil: object) -> None:
    folder = write_mnist(tmp_path / "mnist")
    path = folder / f"{IMAGES}.gz"
    path.write_bytes(spoil(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(NarrowsError, match="get it again") as caught:
        load("mnist", root=tmp_path, progress=False)
    assert caught.value.source == str(path)


def test_damaged_archives_are_refused_by_name(tmp_path: Path) -> None:
    files = {
        "emnist-balanced": ("gzip.zip", zipped(emnist_files())),
        "cifar10": ("cifar-10-binary.tar.gz", tarred(cifar_files())),
        "imagenette2-160": ("imagenette2-160.tgz", tarred(imagenette_files())),
    }
    for name, (archive, data) in files.items():
        for spoilt in (data[: len(data) // 2], b"no archive"):
            unpack({archive: spoilt}, tmp_path / name)
            with pytest.raises(NarrowsError, match="get it again") as caught:
                load(name, root=tmp_path, progress=False)
            assert caught.value.source == str(tmp_path / name / archive)


def test_archives_without_what_they_should_hold_are_refused(tmp_path: Path) -> None:
    unpack({"gzip.zip": zipped({"other.gz": b""})}, tmp_path / "emnist-balanced")
    with pytest.raises(NarrowsError, match="has no member emnist-balanced-train-images-idx3-ubyte.gz"):
        load("emnist-balanced", root=tmp_path, progress=False)
    unpack({"cifar-10-binary.tar.gz": tarred({"other.bin": b""})}, tmp_path / "cifar10")
    with pytest.raises(OptionError, match="data_batch_1.bin: is missing"):
        load("cifar10", root=tmp_path, progress=False)
    unpack({"imagenette2-160.tgz": tarred({"a/train/cats/1.JPEG": b""})}, tmp_path / "imagenette2-160")
    with pytest.raises(NarrowsError, match="has a/train/cats/1.JPEG, expected"):
        load("imagenette2-160", root=tmp_path, progress=False)


def test_damaged_cifar_batches_are_refused_by_name(tmp_path: Path) -> None:
    files = cifar_files()
    unpack(files, tmp_path / "cifar10")
    batch = tmp_path / "cifar10" / "cifar-10-batches-bin" / "data_batch_2.bin"
    for data, reason in (
        (batch.read_bytes()[:-1], "not whole records of 3073"),
        (b"", "0 bytes"),
        (b"\x0a" * 3073, "10"),
    ):
        batch.write_bytes(data)
        with pytest.raises(NarrowsError, match=reason) as caught:
            load("cifar10", root=tmp_path, progress=False)
        assert caught.value.source == str(batch)
    (tmp_path / "cifar10" / "cifar-10-batches-bin" / "test_batch.bin").unlink()
    with pytest.raises(OptionError, match="test_batch.bin: is missing"):
        load("cifar10", root=tmp_path, progress=False)


def test_imagenette_needs_every_picture_and_both_parts(tmp_path: Path) -> None:
    files = imagenette_files()
    unpack(files, tmp_path)
    broken = f"imagenette2-160/train/{CLASSES[0]}/{CLASSES[0]}_1.JPEG"
    (tmp_path / broken).write_bytes(files[broken][:200])
    with pytest.raises(PictureError, match="cannot be read as a picture") as caught:
        load("imagenette2-160", root=tmp_path, progress=False)
    assert str(caught.value.source).endswith(f"{CLASSES[0]}_1.JPEG")
    unpack({name: data for name, data in files.items() if "/train/" in name}, tmp_path / "half")
    with pytest.raises(OptionError, match="has no pictures in val"):
        load("imagenette2-160", root=tmp_path / "half", progress=False)


def test_folders_without_enough_pictures_of_one_size_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture(16, 16, 0, "PNG"))
    with pytest.raises(OptionError, match="has 1 different pictures, at least 3"):
        load(str(tmp_path), progress=False)
    (tmp_path / "b.png").write_bytes(picture(16, 24, 1, "PNG"))
    with pytest.raises(OptionError, match="several sizes .a.png: 16 x 16, b.png: 24 x 16.; say to which size"):
        load(str(tmp_path), progress=False)


# The copies beside the repository, where there are any.


def test_the_copy_of_mnist_is_the_official_one(tmp_path: Path) -> None:
    script = SHARED / "data" / "unpack.py"
    if not script.is_file():
        pytest.skip("../shared/data is not there")
    subprocess.run([sys.executable, str(script), str(tmp_path), "--only", "mnist"], check=True, capture_output=True)
    data = load("mnist", root=tmp_path, progress=False)
    assert (len(data.train), len(data.validation), len(data.test)) == (54000, 6000, 10000)
    assert data.note.startswith("MNIST, the official files: 60000 training and 10000 test pictures")
    assert data.test.labels is not None
    assert data.test.labels[:4].tolist() == [7, 2, 1, 0]


def test_the_copy_of_emnist_is_upright_and_not_the_official_split(tmp_path: Path) -> None:
    packs = SHARED / "data" / "sets"
    if not packs.is_dir():
        pytest.skip("../shared/data is not there")
    folder = tmp_path / "emnist47"
    folder.mkdir()
    for pack in packs.glob("emnist-balanced-*-ubyte.xz"):  # unpack.py would spend most of its time on gzip
        (folder / pack.stem).write_bytes(lzma.decompress(pack.read_bytes()))
    data = load("emnist-balanced", root=tmp_path, progress=False)
    assert (len(data.train), len(data.validation), len(data.test)) == (33417, 3713, 5499)
    assert "not the official EMNIST-Balanced but 37130 training and 5499 test pictures" in data.note
    assert data.test.labels is not None
    assert np.bincount(data.test.labels).tolist() == [117] * 47
    mapping = (packs / "emnist-balanced-mapping.txt").read_text().splitlines()
    assert tuple(chr(int(line.split()[1])) for line in mapping if line) == data.classes
    ones = data.test.images[data.test.labels == 1].astype(float).mean(0)
    assert ones.sum(0).max() > 1.5 * ones.sum(1).max()  # a stroke from top to bottom
