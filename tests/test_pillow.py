"""The Pillow plugin: .nrws files as any other picture, and what happens with those that are none or are damaged."""

from __future__ import annotations

import copy
import io
import os
import pickle
import subprocess
import sys
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from pictures import photo_like
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

import narrows
import narrows.pillow
from narrows import container, errors, profiles
from narrows.codec import Codec
from narrows.container import Container, Mode, Strip
from narrows.pillow import NarrowsImageFile

pytestmark = pytest.mark.usefixtures("default_profile")

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a/></x:xmpmeta>'


@pytest.fixture
def data(codec: Codec) -> bytes:
    return codec.encode(photo_like(40, 56))


@pytest.fixture
def path(data: bytes, tmp_path: Path) -> Path:
    (tmp_path / "photo.nrws").write_bytes(data)
    return tmp_path / "photo.nrws"


def rotated() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "Maker"
    return exif


def saved(image: Image.Image, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, "NARROWS", **options)
    return out.getvalue()


def claiming(width: int, height: int) -> bytes:
    """A whole file of a few bytes whose strips are empty."""
    strips = tuple(Strip(side=b"", latents=b"") for _ in range(container.strip_count(width, height)))
    return container.write(
        Container(mode=Mode.RGB, width=width, height=height, quality=0, profile=bytes(4), strips=strips)
    )


# Open


@pytest.mark.parametrize("channels", MODES)
def test_pixels_are_those_of_decode(channels: int, codec: Codec) -> None:
    data = codec.encode(photo_like(1040, 24, channels).squeeze())
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.mode, image.size) == ("NARROWS", MODES[channels], (24, 1040))
        assert np.array_equal(np.asarray(image), np.asarray(narrows.decode(data)))


def test_opening_loads_neither_pixels_nor_networks(tmp_path: Path, codec: Codec) -> None:
    image = Image.fromarray(photo_like(40, 56))
    image.info |= {"icc_profile": b"icc" * 6000, "exif": rotated().tobytes(), "xmp": XMP}  # longer than any header
    (tmp_path / "photo.nrws").write_bytes(codec.encode(image)[:-1])  # which nobody sees before the pixels are asked for
    code = (
        "import sys, narrows.pillow\nfrom PIL import Image\n"
        f"with Image.open({str(tmp_path / 'photo.nrws')!r}) as image:\n"
        "    print(image.size, image.mode, sorted(image.info), image.getexif()[0x0112])\n"
        "print([name for name in ('numpy', 'onnxruntime', 'constriction') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert done.splitlines() == ["(56, 40) RGB ['exif', 'icc_profile', 'xmp'] 6", "[]"]


class Unseekable(io.BytesIO):
    def seek(self, *_: Any) -> int:
        raise io.UnsupportedOperation("a pipe")


class Plain:
    """What Pillow asks of a file object, and no more."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)
        self.read, self.seek, self.tell = self._file.read, self._file.seek, self._file.tell


def test_from_wherever_the_file_comes(path: Path, data: bytes) -> None:
    expected = narrows.decode(data)
    sources: list[Any] = [path, str(path), os.fsencode(path), io.BytesIO(data), Unseekable(data), Plain(data)]
    for source in sources:
        with Image.open(source) as image:
            assert image.convert("RGB") == expected
    with path.open("rb") as file, Image.open(file) as image:
        image.load()
        assert not file.closed


def test_the_class_itself_reads_from_where_the_file_stands(path: Path, data: bytes) -> None:
    file = io.BytesIO(b"before" + data)
    file.seek(6)
    image = NarrowsImageFile(file)
    image.verify()
    file.seek(6)
    assert NarrowsImageFile(file).convert("RGB") == narrows.decode(data)
    with NarrowsImageFile(path) as image:
        assert image.getpixel((0, 0)) == narrows.decode(data).getpixel((0, 0))


def test_one_frame(path: Path) -> None:
    image: Any
    with Image.open(path) as image:
        assert (image.n_frames, image.is_animated, image.tell()) == (1, False, 0)
        image.seek(0)
        with pytest.raises(EOFError):
            image.seek(1)
        image.load()
        with pytest.raises(EOFError):
            image.seek(1)


def test_a_file_opened_by_name_is_closed_after_loading(path: Path) -> None:
    image = Image.open(path)
    file = image.fp
    image.load()
    assert file is not None and file.closed
    image.putpixel((0, 0), (1, 2, 3))  # the pixels belong to the image
    assert image.getpixel((0, 0)) == (1, 2, 3)
    image.close()
    with pytest.raises(ValueError, match="closed image"):
        image.load()


def test_an_image_that_was_closed_before_loading_says_so(path: Path) -> None:
    with Image.open(path) as image:
        pass
    for _ in range(2):
        with pytest.raises(ValueError, match="closed; open it again"):
            image.load()


def test_copies(path: Path, data: bytes) -> None:
    expected = narrows.decode(data)
    with Image.open(path) as image:
        assert image.copy() == expected
    makers: list[Callable[[Image.Image], Image.Image]] = [
        copy.copy,
        copy.deepcopy,
        lambda image: cast(Image.Image, pickle.loads(pickle.dumps(image))),
    ]
    for make in makers:
        with Image.open(path) as image:
            assert make(image).convert("RGB") == expected
    with Image.open(path) as image:
        image.thumbnail((20, 20))
        assert image.size == (20, 14)
    with Image.open(path) as image:
        assert image.crop((1, 2, 11, 22)) == expected.crop((1, 2, 11, 22))


def test_a_parser_that_gets_the_file_in_pieces(data: bytes) -> None:
    parser = ImageFile.Parser()
    for start in range(0, len(data), 7):
        parser.feed(data[start : start + 7])
        if start > 60:  # the header has been seen
            assert parser.image is not None and parser.image.size == (56, 40)
    assert parser.close().convert("RGB") == narrows.decode(data)
    parser = ImageFile.Parser()
    parser.feed(data[:-1])
    with pytest.raises(OSError, match="the end is missing"):
        parser.close()


# Save


def test_what_is_saved_is_what_encode_gives(tmp_path: Path, codec: Codec) -> None:
    image = Image.fromarray(photo_like(40, 56))
    options: dict[str, Any] = {"quality": 30, "effort": 7}
    expected = codec.encode(image, **options)
    image.save(tmp_path / "a.nrws", **options)
    image.save(str(tmp_path / "b.NRWS"), **options)
    with (tmp_path / "c.nrws").open("wb") as file:
        image.save(file, **options)
    image.save(tmp_path / "d.any", "nrws", **options)
    assert {(tmp_path / name).read_bytes() for name in ("a.nrws", "b.NRWS", "c.nrws", "d.any")} == {expected}
    assert saved(image) == codec.encode(image)
    assert len(saved(image, target_bytes=400)) <= 400
    assert saved(image, target_psnr=15) == codec.encode(image, target_psnr=15)


def test_another_profile(grey_profile: Path, grey_codec: Codec) -> None:
    image = Image.fromarray(photo_like(40, 56, 1).squeeze())
    assert saved(image, profile=grey_profile) == grey_codec.encode(image) == saved(image, profile="toy-grey")


def test_a_file_saved_onto_itself(path: Path) -> None:
    with Image.open(path) as image:
        again = saved(image, quality=100)
        image.save(path, quality=100)
    assert path.read_bytes() == again


def test_metadata_are_kept_replaced_and_left_out() -> None:
    image = Image.fromarray(photo_like(16, 16))
    image.info |= {"icc_profile": b"icc", "exif": b"Exif\0\0II", "xmp": XMP, "dpi": (72, 72)}
    own = {"icc_profile": b"icc", "exif": b"Exif\0\0II", "xmp": XMP}
    assert Image.open(io.BytesIO(saved(image))).info == own
    other = {"icc_profile": b"other", "exif": rotated().tobytes(), "xmp": b"<b/>"}
    assert Image.open(io.BytesIO(saved(image, **other))).info == other
    assert Image.open(io.BytesIO(saved(image, **(other | {"exif": rotated(), "xmp": "<b/>"})))).info == other
    for nothing in (None, b""):
        assert Image.open(io.BytesIO(saved(image, icc_profile=nothing, exif=nothing, xmp=nothing))).info == {}
    assert "exif" not in Image.open(io.BytesIO(saved(image, exif=Image.Exif()))).info
    assert image.info == own | {"dpi": (72, 72)}


def test_metadata_of_other_formats_come_along() -> None:
    files = {}
    formats: dict[str, dict[str, Any]] = {"JPEG": {"xmp": XMP}, "PNG": {}, "WEBP": {"xmp": XMP}, "TIFF": {}}
    for name, options in formats.items():
        files[name] = io.BytesIO()
        Image.new("RGB", (16, 16)).save(files[name], name, exif=rotated(), icc_profile=b"icc", **options)
    for name, file in files.items():
        with Image.open(file) as image:
            back = Image.open(io.BytesIO(saved(image)))
        assert back.getexif()[0x010F] == "Maker", name
        assert back.getexif().get(0x0112) == (None if name == "TIFF" else 6), name  # Pillow turns TIFF files upright
        assert back.info["icc_profile"] == b"icc"
        assert ("xmp" in back.info) == (name in ("JPEG", "WEBP"))


def test_orientation_stays_and_can_be_applied(path: Path) -> None:
    with Image.open(path) as image:
        image.save(path, exif=rotated())
    with Image.open(path) as image:
        assert image.size == (56, 40)
        assert image.getexif()[0x0112] == 6
        upright = ImageOps.exif_transpose(image)
        assert upright.size == (40, 56)
        upright.save(path)
    with Image.open(path) as image:
        assert (image.size, 0x0112 in image.getexif()) == ((40, 56), False)


@pytest.mark.parametrize("option", ["exif", "icc_profile", "xmp"])
def test_metadata_of_another_type_are_a_usage_error(option: str, tmp_path: Path) -> None:
    with pytest.raises(narrows.OptionError, match=f"{option} is of the type int"):
        Image.new("RGB", (8, 8)).save(tmp_path / "x.nrws", **{option: 5})
    assert not (tmp_path / "x.nrws").exists()


@pytest.mark.parametrize("options", [{"quality": 101}, {"quality": "keep"}, {"quality": None}, {"effort": 11}])
def test_a_wrong_option_is_a_value_error_and_leaves_no_file(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be"):
        Image.new("RGB", (8, 8)).save(tmp_path / "x.nrws", **options)
    assert not (tmp_path / "x.nrws").exists()


ODD_MODES = {
    **dict.fromkeys(("1", "L"), ("L", None)),
    **dict.fromkeys(("I;16", "I;16B", "I", "F"), ("L", "has ")),
    **dict.fromkeys(("LA", "La"), ("LA", None)),
    **dict.fromkeys(("RGB", "RGBX", "YCbCr", "P"), ("RGB", None)),
    **dict.fromkeys(("CMYK", "LAB", "HSV"), ("RGB", "is ")),
    **dict.fromkeys(("RGBA", "RGBa", "PA"), ("RGBA", None)),
}


@pytest.mark.parametrize("mode", ODD_MODES)
def test_every_mode_of_pillow(mode: str) -> None:
    expected, warning = ODD_MODES[mode]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert Image.open(io.BytesIO(saved(Image.new(mode, (9, 7))))).mode == expected
    assert [str(entry.message).startswith(str(warning)) for entry in caught] == ([True] if warning else [])


def test_transparency_that_is_no_channel() -> None:
    palette = Image.new("P", (9, 7))
    palette.putpalette([10, 20, 30, 200, 100, 50])
    palette.info["transparency"] = 0
    assert Image.open(io.BytesIO(saved(palette))).getchannel("A").getextrema() == (0, 0)


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (0, 0)])
def test_a_picture_without_pixels(size: tuple[int, int], tmp_path: Path) -> None:
    with pytest.raises(narrows.PictureError, match="at least one") as caught:
        Image.new("RGB", size).save(tmp_path / "x.nrws")
    assert isinstance(caught.value, OSError)
    assert caught.value.source == str(tmp_path / "x.nrws")
    assert not (tmp_path / "x.nrws").exists()


def test_a_picture_with_sides_too_long() -> None:
    with pytest.raises(narrows.LimitError, match="65535 a side"):
        saved(Image.new("1", (65536, 1)))


def test_limits_of_saving() -> None:
    with pytest.raises(Image.DecompressionBombError, match="80 pixels, the limit is 79"):
        saved(Image.new("RGB", (8, 10)), limits=narrows.Limits(max_pixels=79))


def test_the_current_frame_is_saved(tmp_path: Path) -> None:
    frames = [Image.new("L", (16, 16), level) for level in (0, 255)]
    frames[0].save(tmp_path / "two.gif", save_all=True, append_images=frames[1:])
    with Image.open(tmp_path / "two.gif") as image:
        image.seek(1)
        assert saved(image) == saved(image.copy()) != saved(frames[0])
        with pytest.raises(narrows.OptionError, match="one picture"):
            saved(image, save_all=True)
    with pytest.raises(narrows.OptionError, match="one picture"):
        saved(frames[0], append_images=frames[1:])
    assert saved(frames[0], save_all=True) == saved(frames[0])


# Registration


def test_pillow_knows_the_format() -> None:
    narrows.pillow.register()
    narrows.pillow.register()
    assert Image.ID.count("NARROWS") == 1
    assert Image.registered_extensions()[".nrws"] == "NARROWS"
    assert Image.MIME["NARROWS"] == "image/x-narrows"
    with Image.open(io.BytesIO(saved(Image.new("L", (8, 8))))) as image:
        assert image.get_format_mimetype() == "image/x-narrows"


def test_narrows_files_can_be_encoded_again(path: Path, data: bytes, codec: Codec) -> None:
    assert narrows.encode(path) == codec.encode(narrows.decode(data))


# What is no narrows file, and what is a damaged one


@pytest.mark.parametrize("content", [b"", b"\x89", b"\x89NR", b"no picture at all", b"\x89NRW\n\x1a\n" + b"x" * 60])
def test_another_signature_is_left_to_other_plugins(content: bytes) -> None:
    for formats in (None, ["NARROWS"]):
        with pytest.raises(UnidentifiedImageError):
            Image.open(io.BytesIO(content), formats=formats)


def test_another_signature_told_directly() -> None:
    with pytest.raises(narrows.NotNarrowsError, match="begins with b'no narro'"):
        NarrowsImageFile(io.BytesIO(b"no narrows file"))


@pytest.mark.parametrize("allowed", [False, True])
def test_a_file_cut_anywhere_is_refused(allowed: bool, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a program has told Pillow to show what there is of cut pictures: the format forbids that."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", allowed)
    for length in range(4):
        with pytest.raises(UnidentifiedImageError):
            Image.open(io.BytesIO(data[:length]))
    for length in range(4, len(data)):
        with pytest.raises(narrows.TruncatedError, match=f"^has {length} bytes") as caught:
            Image.open(io.BytesIO(data[:length])).load()
        assert isinstance(caught.value, OSError)


@pytest.mark.parametrize("length", [20, 100])
def test_the_error_names_the_file(length: int, path: Path, data: bytes) -> None:
    path.write_bytes(data[:length])
    for source in (path, os.fsencode(path)):
        with pytest.raises(narrows.TruncatedError, match=f"has {length} bytes") as caught, Image.open(source) as image:
            image.load()
        assert caught.value.source == str(path)
    with path.open("rb") as file, pytest.raises(narrows.TruncatedError, match=f"photo.nrws: has {length} bytes"):
        Image.open(file).load()


def test_every_flipped_bit_is_found(data: bytes) -> None:
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(UnidentifiedImageError if bit < 64 else narrows.NarrowsError):
            Image.open(io.BytesIO(damaged)).load()


def test_bytes_after_the_end_are_refused(data: bytes) -> None:
    with (
        pytest.raises(narrows.CorruptError, match="after the last chunk"),
        Image.open(io.BytesIO(data + b"x")) as image,
    ):
        image.load()


def test_damaged_metadata_are_found_at_once(codec: Codec) -> None:
    image = Image.fromarray(photo_like(16, 16))
    image.info["exif"] = b"Exif\0\0" + b"e" * 20000
    data = bytearray(codec.encode(image))
    data[15000] ^= 1
    with pytest.raises(narrows.CorruptError, match="chunk exif"):
        Image.open(io.BytesIO(data))
    with pytest.raises(narrows.TruncatedError, match="inside the metadata"):
        Image.open(io.BytesIO(data[:15000]))


def test_a_load_that_failed_fails_again(data: bytes) -> None:
    with Image.open(io.BytesIO(data[:-1])) as image:
        for _ in range(2):
            with pytest.raises(narrows.TruncatedError):
                image.load()
        with pytest.raises(narrows.TruncatedError):
            np.asarray(image)


def test_a_file_that_changes_between_opening_and_loading(path: Path, codec: Codec) -> None:
    with Image.open(path) as image:
        path.write_bytes(codec.encode(photo_like(30, 30, 1).squeeze()))
        with pytest.raises(narrows.CorruptError, match="changed since"):
            image.load()


def test_verify(path: Path, data: bytes) -> None:
    image = Image.open(path)
    file = image.fp
    image.verify()
    assert file is not None and file.closed
    with pytest.raises(ValueError, match="open it again"):
        image.verify()
    path.write_bytes(data[:-1])
    image = Image.open(path)
    file = image.fp
    with pytest.raises(narrows.TruncatedError, match="photo.nrws: has"):
        image.verify()
    assert file is not None and file.closed


def test_the_profile_of_a_file(
    path: Path, codec: Codec, colour_profile: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(profiles, "_SHIPPED", tmp_path)
    with Image.open(path) as image:
        assert image.size == (56, 40)
        with pytest.raises(narrows.ProfileError, match=f"needs the profile {codec.profile.digest[:4].hex()}") as caught:
            image.load()
        assert isinstance(caught.value, OSError)
    with NarrowsImageFile(path, profile=colour_profile) as image:
        assert image.convert("RGB") == codec.decode(path)


# Limits


def test_a_huge_claim_is_refused_before_memory_is_spent() -> None:
    data = claiming(65535, 65535)
    assert len(data) < 8000
    tracemalloc.start()
    try:
        with pytest.raises(narrows.LimitError, match="65535 x 65535") as caught:
            Image.open(io.BytesIO(data))
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    assert isinstance(caught.value, Image.DecompressionBombError)


def test_limits_of_the_class() -> None:
    data = claiming(100, 80)
    NarrowsImageFile(io.BytesIO(data), limits=narrows.Limits(max_pixels=8000, max_bytes=len(data)))
    for limits in (narrows.Limits(max_pixels=7999), narrows.Limits(max_bytes=len(data) - 1)):
        with pytest.raises(narrows.LimitError):
            NarrowsImageFile(io.BytesIO(data), limits=limits)


def test_image_open_takes_what_limits_take() -> None:
    """docs/decisions/0009: 100 megapixels without a word, a warning for what is unusual, bombs refused."""
    assert Image.open(io.BytesIO(claiming(10000, 10000))).size == (10000, 10000)
    with pytest.warns(Image.DecompressionBombWarning):
        assert Image.open(io.BytesIO(claiming(16384, 16384))).size == (16384, 16384)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(claiming(16384, 16385)))


def test_a_programs_own_limit_holds_for_image_open_alone(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    narrows.pillow.register()
    assert Image.MAX_IMAGE_PIXELS == 1000
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(data))
    assert NarrowsImageFile(io.BytesIO(data)).convert("RGB") == narrows.decode(data)


def test_pillows_own_value_is_the_one_that_is_raised() -> None:
    code = (
        "from PIL import Image; before = Image.MAX_IMAGE_PIXELS\n"
        "import narrows; assert Image.MAX_IMAGE_PIXELS == before\n"
        "import narrows.pillow; assert Image.MAX_IMAGE_PIXELS == narrows.Limits().max_pixels // 2 != before\n"
        "Image.MAX_IMAGE_PIXELS = None; narrows.pillow.register(); assert Image.MAX_IMAGE_PIXELS is None"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Errors


def test_every_error_of_a_file_has_a_parent_that_programs_catch() -> None:
    plain = {errors.NarrowsError, errors.FormatError, errors.OptionError}  # two are never raised, one is a ValueError
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.NarrowsError)}
    assert set(narrows.pillow._AS_PILLOW) == kinds - plain
    for kind, ours in narrows.pillow._AS_PILLOW.items():
        assert issubclass(ours, kind)
        error = ours("is wrong", source="x.nrws")
        assert str(error) == "x.nrws: is wrong"
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again)) == (ours, "x.nrws: is wrong")


# Other packages on top of Pillow


def test_imageio(path: Path, data: bytes, tmp_path: Path) -> None:
    iio = pytest.importorskip("imageio.v3")
    expected = np.asarray(narrows.decode(data))
    assert np.array_equal(iio.imread(path), expected)
    assert np.array_equal(iio.imread(data, extension=".nrws"), expected)
    assert iio.improps(path).shape == (40, 56, 3)
    assert iio.immeta(path)["mode"] == "RGB"
    iio.imwrite(tmp_path / "again.nrws", expected, quality=90)
    assert iio.imread(tmp_path / "again.nrws").shape == (40, 56, 3)
    path.write_bytes(data[:-1])
    with pytest.raises(narrows.TruncatedError):
        iio.imread(path)


def test_matplotlib(path: Path, data: bytes, tmp_path: Path) -> None:
    image = pytest.importorskip("matplotlib.image")
    assert np.array_equal(image.imread(path), np.asarray(narrows.decode(data)))
    image.imsave(str(tmp_path / "again.nrws"), photo_like(30, 40))
    assert image.imread(tmp_path / "again.nrws").shape == (30, 40, 4)
