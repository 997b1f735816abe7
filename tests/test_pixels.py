"""pixels.py and modes.py: pictures as people have them, in and out."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from odd_pictures import png, written
from PIL import Image, ImageCms

from narrows.container import Mode
from narrows.errors import ConversionWarning, LimitError, OptionError, PictureError, ProfileError
from narrows.limits import Limits
from narrows.pixels import Picture, from_planes, pad_edges, read_picture, to_image, to_planes

LIMITS = Limits()
ODD_FILES = Path(__file__).parents[2] / "shared" / "data" / "odd_files"


def _noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)


# Modes


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_the_four_modes_come_back_as_they_are(mode: str) -> None:
    image = Image.fromarray(_noise(9, 7, 4)).convert(mode)
    image.putalpha(image.getchannel("A").point(lambda value: max(value, 1))) if mode.endswith("A") else None
    picture = read_picture(image, LIMITS)
    assert picture.mode is Mode[mode]
    back = to_image(picture)
    assert back.mode == mode
    assert np.array_equal(np.asarray(back), np.asarray(image))


@pytest.mark.parametrize(
    ("mode", "expected", "warns"),
    [
        ("1", Mode.L, False),
        ("P", Mode.RGB, False),
        ("YCbCr", Mode.RGB, False),
        ("RGBX", Mode.RGB, False),
        ("La", Mode.LA, False),
        ("RGBa", Mode.RGBA, False),
        ("PA", Mode.RGBA, False),
        ("CMYK", Mode.RGB, True),
        ("HSV", Mode.RGB, True),
        ("LAB", Mode.RGB, True),
        ("I", Mode.L, True),
        ("F", Mode.L, True),
        ("I;16", Mode.L, True),
        ("I;16B", Mode.L, True),
    ],
)
def test_other_modes_are_converted(mode: str, expected: Mode, warns: bool) -> None:
    image = Image.new(mode, (5, 3))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        picture = read_picture(image, LIMITS)
    assert picture.mode is expected
    assert picture.samples.shape[:2] == (3, 5)
    assert [entry.category for entry in caught] == ([ConversionWarning] if warns else [])


def test_a_palette_becomes_its_colours() -> None:
    colours = Image.fromarray(_noise(4, 4, 3))
    indexed = colours.quantize(16)
    assert np.array_equal(read_picture(indexed, LIMITS).samples, np.asarray(indexed.convert("RGB")))


@pytest.mark.parametrize("transparency", [3, bytes([0, 128, 255, 7])])
def test_a_transparent_palette_entry_becomes_alpha(transparency: int | bytes) -> None:
    image = Image.frombytes("P", (4, 1), bytes(range(4)))
    image.putpalette([*range(0, 60, 5)])
    picture = read_picture(written(image, "PNG", transparency=transparency), LIMITS)
    assert picture.alpha is not None
    assert picture.alpha[0].tolist() == ([255, 255, 255, 0] if transparency == 3 else [0, 128, 255, 7])


def test_a_transparent_colour_becomes_alpha() -> None:
    grey = Image.frombytes("L", (3, 1), b"\1\2\3")
    picture = read_picture(written(grey, "PNG", transparency=2), LIMITS)
    assert picture.mode is Mode.LA
    assert picture.alpha is not None
    assert picture.alpha[0].tolist() == [255, 0, 255]
    colour = Image.frombytes("RGB", (2, 1), b"\1\2\3\4\5\6")
    picture = read_picture(written(colour, "PNG", transparency=(4, 5, 6)), LIMITS)
    assert picture.mode is Mode.RGBA
    assert picture.alpha is not None
    assert picture.alpha[0].tolist() == [255, 0]


def test_16_bits_are_rounded_not_cut() -> None:
    values = np.array([[0, 128, 129, 257, 32768, 65535]], np.uint16)
    with pytest.warns(ConversionWarning, match="16 bits"):
        picture = read_picture(Image.fromarray(values), LIMITS)
    assert picture.samples[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]


def test_a_16_bit_png_is_read_with_a_warning() -> None:
    rows = b"\0" + struct.pack(">6H", 0, 65535, 257, 514, 771, 1028)
    data = png(2, 1, 16, 2, rows, (b"tRNS", struct.pack(">3H", 514, 771, 1028)))
    with pytest.warns(ConversionWarning, match="more than 8 bits"):
        picture = read_picture(data, LIMITS)
    assert picture.samples.tolist()[0][0] == [0, 255, 1]
    assert picture.alpha is not None
    assert picture.alpha[0].tolist() == [255, 0]


def test_a_16_bit_grey_png_with_a_transparent_value() -> None:
    data = png(2, 1, 16, 0, b"\0" + struct.pack(">2H", 1000, 40000), (b"tRNS", struct.pack(">H", 1000)))
    with pytest.warns(ConversionWarning):
        picture = read_picture(data, LIMITS)
    assert picture.alpha is not None
    assert picture.alpha[0].tolist() == [0, 255]


def test_a_565_bitmap_is_no_16_bit_picture() -> None:
    header = struct.pack("<IiiHHIIiiII", 40, 2, 1, 1, 16, 0, 4, 0, 0, 0, 0)
    data = b"BM" + struct.pack("<IHHI", 14 + 40 + 4, 0, 0, 54) + header + bytes(4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_picture(data, LIMITS).mode is Mode.RGB


@pytest.mark.parametrize(
    ("values", "expected"), [([0.0, 0.5, 1.0], [0, 128, 255]), ([0.0, 99.6, 255.0], [0, 100, 255])]
)
def test_floats_are_taken_as_0_to_1_or_0_to_255(values: list[float], expected: list[int]) -> None:
    with pytest.warns(ConversionWarning, match="float"):
        picture = read_picture(Image.fromarray(np.array([values], np.float32)), LIMITS)
    assert picture.samples[0, :, 0].tolist() == expected


@pytest.mark.parametrize("values", [[-1.0, 0.0], [0.0, 256.0], [0.0, float("nan")], [0.0, float("inf")]])
def test_floats_of_no_known_range_are_refused(values: list[float]) -> None:
    with pytest.raises(PictureError, match="float samples"):
        read_picture(Image.fromarray(np.array([values], np.float32)), LIMITS)


@pytest.mark.parametrize("value", [-1, 65536])
def test_integers_beyond_16_bits_are_refused(value: int) -> None:
    with pytest.raises(PictureError, match="integer samples"):
        read_picture(Image.fromarray(np.array([[value]], np.int32)), LIMITS)


def test_cmyk_goes_without_its_profile() -> None:
    fake = bytes(16) + b"CMYK" + bytes(200)
    data = written(Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "JPEG", icc_profile=fake)
    with pytest.warns(ConversionWarning, match="CMYK"):
        picture = read_picture(data, LIMITS)
    assert picture.icc is None
    assert picture.samples[0, 0, 0] > 200
    assert picture.samples[0, 0, 1] < 60


def test_lab_is_converted_by_colorimetry() -> None:
    lab = Image.new("LAB", (1, 1), (128, 128, 128))  # half lightness, no colour
    with pytest.warns(ConversionWarning, match="LAB"):
        samples = read_picture(lab, LIMITS).samples
    assert np.ptp(samples.astype(int)) <= 2
    assert 110 < samples[0, 0, 0] < 130


def test_of_an_animation_the_first_frame_is_coded() -> None:
    frames = [Image.new("L", (3, 3), value) for value in (10, 200)]
    data = written(frames[0], "GIF", save_all=True, append_images=frames[1:])
    with pytest.warns(ConversionWarning, match="more than one"):
        picture = read_picture(data, LIMITS)
    assert set(picture.samples.ravel().tolist()) == {10}


def test_hidden_colour_is_made_cheap() -> None:
    samples = np.full((8, 8, 4), 180, np.uint8)
    samples[:, 4:] = 0
    assert np.array_equal(read_picture(samples, LIMITS).samples, np.full((8, 8, 3), 180))


# Arrays


@pytest.mark.parametrize(
    ("shape", "mode"),
    [((5, 4), Mode.L), ((5, 4, 1), Mode.L), ((5, 4, 2), Mode.LA), ((5, 4, 3), Mode.RGB), ((5, 4, 4), Mode.RGBA)],
)
def test_arrays(shape: tuple[int, ...], mode: Mode) -> None:
    array = _noise(*shape) | np.uint8(1)
    picture = read_picture(array, LIMITS)
    assert picture.mode is mode
    assert np.array_equal(np.asarray(to_image(picture)).reshape(shape), array)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((4, 4), np.float32), "float32"),
        (np.zeros((4, 4), np.uint16), "uint16"),
        (np.zeros((4, 4), np.bool_), "bool"),
        (np.zeros((4,), np.uint8), "shape"),
        (np.zeros((4, 4, 5), np.uint8), "shape"),
        (np.zeros((1, 4, 4, 3), np.uint8), "shape"),
        (np.zeros((0, 4), np.uint8), "shape"),
        (np.zeros((4, 4, 0), np.uint8), "shape"),
    ],
)
def test_other_arrays_are_refused(array: NDArray[Any], reason: str) -> None:
    with pytest.raises(OptionError, match=reason):
        read_picture(array, LIMITS)


def test_an_object_of_another_kind_is_refused() -> None:
    with pytest.raises(OptionError, match="list"):
        read_picture([1, 2], LIMITS)  # type: ignore[arg-type]


# Sources


def test_a_path_bytes_and_a_file_read_alike(tmp_path: Path) -> None:
    data = written(Image.fromarray(_noise(6, 5, 3)), "PNG")
    path = tmp_path / "a.png"
    path.write_bytes(data)
    expected = read_picture(data, LIMITS).samples
    for source in (path, str(path), bytearray(data), memoryview(data), io.BytesIO(data)):
        assert np.array_equal(read_picture(source, LIMITS).samples, expected)
    with path.open("rb") as file:
        assert np.array_equal(read_picture(file, LIMITS).samples, expected)


@pytest.mark.parametrize(
    "data", [b"", b"plain text, no picture at all", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe-3.0 EPSF-3.0\n"]
)
def test_what_is_no_picture_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "not.png"
    path.write_bytes(data)
    with pytest.raises(PictureError) as caught:
        read_picture(path, LIMITS)
    assert caught.value.source == str(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_picture(tmp_path / "missing.png", LIMITS)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF"])
@pytest.mark.parametrize("part", [0.2, 0.5, 0.8, 0.95])
def test_a_picture_cut_short_is_never_silently_grey(kind: str, part: float) -> None:
    data = written(Image.fromarray(_noise(64, 64, 3)), kind)
    with pytest.raises(PictureError):
        read_picture(data[: int(part * len(data))], LIMITS)


def test_limits_hold_before_pixels_are_decoded(tmp_path: Path) -> None:
    data = png(60000, 60000, 8, 0, b"")
    with pytest.raises(LimitError, match="60000 x 60000"):
        read_picture(data, LIMITS)
    with pytest.raises(LimitError, match="65535"):
        read_picture(png(70000, 1, 8, 0, bytes(70001)), LIMITS)
    with pytest.raises(LimitError):
        read_picture(Image.new("L", (11, 1)), Limits(max_pixels=10))
    with pytest.raises(LimitError):
        read_picture(np.zeros((11, 1), np.uint8), Limits(max_pixels=10))
    path = tmp_path / "a.bmp"
    path.write_bytes(written(Image.new("L", (40, 40)), "BMP"))
    with pytest.raises(LimitError, match="bytes"):
        read_picture(path, Limits(max_bytes=100))
    with pytest.raises(LimitError, match="bytes"):
        read_picture(path.read_bytes(), Limits(max_bytes=100))


def test_pillows_own_size_check_does_not_stand_in_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    data = written(Image.new("RGB", (40, 40)), "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(data))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_picture(data, LIMITS).samples.shape == (40, 40, 3)


def test_threads_may_read_at_once() -> None:
    data = written(Image.fromarray(_noise(30, 30, 3)), "PNG")
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(20):
                read_picture(data, LIMITS)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_warning_made_an_error_keeps_its_kind() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConversionWarning)
        with pytest.raises(ConversionWarning):
            read_picture(Image.new("CMYK", (2, 2)), LIMITS)


# Metadata

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<?xpacket begin="\xef\xbb\xbf"?><x:xmpmeta xmlns:x="adobe:ns:meta/">\xc3\xa9</x:xmpmeta><?xpacket end="w"?>'


def _exif_block() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "Camera"
    return exif.tobytes()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_metadata_is_kept_byte_for_byte(kind: str) -> None:
    exif = _exif_block()
    image = Image.fromarray(_noise(20, 30, 3))
    data = written(image, kind, icc_profile=ICC, exif=exif, **({} if kind == "PNG" else {"xmp": XMP}))
    if kind == "PNG":
        xmp_chunk = (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)
        rows = b"".join(b"\0" + bytes(90) for _ in range(20))
        iccp = (b"iCCP", b"icc\0\0" + zlib.compress(ICC))
        data = png(30, 20, 8, 2, rows, iccp, (b"eXIf", exif.removeprefix(b"Exif\0\0")), xmp_chunk)
    picture = read_picture(data, LIMITS)
    assert picture.icc == ICC
    assert picture.exif is not None
    assert picture.exif.removeprefix(b"Exif\0\0") == exif.removeprefix(b"Exif\0\0")
    assert picture.xmp == XMP
    assert picture.samples.shape == (20, 30, 3), "orientation 6 is not applied"
    info = to_image(picture).info
    assert (info["icc_profile"], info["exif"], info["xmp"]) == (picture.icc, picture.exif, picture.xmp)


def test_metadata_after_the_pixels_of_a_png_is_found() -> None:
    exif = _exif_block().removeprefix(b"Exif\0\0")
    data = bytearray(png(1, 1, 8, 0, b"\0\0"))
    chunk = b"eXIf" + exif
    data[-12:-12] = struct.pack(">I", len(exif)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    assert read_picture(bytes(data), LIMITS).exif == b"Exif\0\0" + exif


def test_exif_that_imagemagick_wrote_as_text() -> None:
    exif = _exif_block()
    text = f"\nexif\n{len(exif)}\n{exif.hex()}\n".encode()
    data = png(1, 1, 8, 0, b"\0\0", (b"tEXt", b"Raw profile type exif\0" + text))
    assert read_picture(data, LIMITS).exif == exif


def test_of_a_tiff_the_words_about_the_photograph_are_kept() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    exif[0x8769] = {0x829A: 0.5}
    picture = read_picture(written(Image.new("L", (3, 2)), "TIFF", exif=exif.tobytes()), LIMITS)
    assert picture.exif is not None
    kept = Image.Exif()
    kept.load(picture.exif)
    assert kept[0x010F] == "Camera"
    assert kept.get_ifd(0x8769)[0x829A] == 0.5
    assert 0x0111 not in kept, "where the strips lay in the TIFF file is of no use"


def test_a_grey_picture_keeps_its_profile() -> None:
    assert read_picture(written(Image.new("L", (3, 2)), "PNG", icc_profile=ICC), LIMITS).icc == ICC


def test_metadata_over_the_limit_is_left_out_with_a_warning() -> None:
    data = written(Image.new("L", (3, 2)), "PNG", icc_profile=ICC)
    with pytest.warns(ConversionWarning, match="ICC"):
        assert read_picture(data, Limits(max_metadata=10)).icc is None


# Planes


@pytest.mark.parametrize(("height", "width", "multiple"), [(1, 1, 64), (64, 64, 64), (65, 127, 64), (5, 9, 1)])
def test_padding_repeats_the_edge(height: int, width: int, multiple: int) -> None:
    samples = _noise(height, width, 3)
    padded = pad_edges(samples, multiple)
    assert padded.shape[0] % multiple == padded.shape[1] % multiple == 0
    assert padded.shape[0] - height < multiple
    assert np.array_equal(padded[:height, :width], samples)
    assert np.array_equal(padded[-1, :width], samples[-1])
    assert np.array_equal(padded[:height, -1], samples[:, -1])


@pytest.mark.parametrize("colours", [1, 3])
def test_planes_come_back(colours: int) -> None:
    samples = _noise(6, 5, colours)
    planes = to_planes(samples, 3)
    assert planes.shape == (1, 3, 6, 5)
    assert planes.flags.c_contiguous
    assert np.array_equal(from_planes(planes, 6, 5, colours), samples)
    assert np.array_equal(from_planes(planes, 2, 3, colours), samples[:2, :3])


def test_grey_is_the_rounded_mean() -> None:
    planes = np.array([0, 0, 1, 0, 1, 1, 255, 255, 254], np.uint8).reshape(3, 3).T.reshape(1, 3, 1, 3)
    assert from_planes(planes, 1, 3, 1)[0, :, 0].tolist() == [0, 1, 255]


def test_a_grey_profile_takes_no_colour() -> None:
    with pytest.raises(ProfileError, match="grey"):
        to_planes(_noise(2, 2, 3), 1)
    with pytest.raises(ProfileError, match="grey"):
        from_planes(_noise(1, 1, 2, 2), 2, 2, 3)


def test_a_picture_knows_its_mode() -> None:
    grey, alpha = _noise(2, 2, 1), _noise(2, 2)
    assert Picture(samples=grey).mode is Mode.L
    assert Picture(samples=grey, alpha=alpha).mode is Mode.LA


# Files from the test suites of other projects


@pytest.mark.skipif(not ODD_FILES.is_dir(), reason="the folder of odd files is not here")
def test_each_odd_file_gives_a_picture_or_a_clear_error() -> None:
    read, refused, messages = 0, [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in sorted(ODD_FILES.iterdir()):
            try:
                picture = read_picture(path, LIMITS)
            except (PictureError, LimitError) as error:
                refused.append(path.name)
                messages.append(str(error))
            else:
                assert picture.samples.ndim == 3
                read += 1
    assert all(message.startswith(str(ODD_FILES)) and "\n" not in message for message in messages)
    assert read >= 60
    assert {"truncated.png", "truncated_jpeg.jpg", "max_size.jpg", "zero_byte.jpg", "text_called.png"} <= set(refused)


def test_reading_leaves_pillows_settings_alone() -> None:
    code = (
        "from PIL import Image, ImageFile; before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES\n"
        "import numpy, narrows.pixels as p; from narrows.limits import Limits\n"
        "p.read_picture(Image.new('L', (2, 2)), Limits())\n"
        "assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES) == before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("size", [(0, 5), (5, 0)])
def test_a_picture_without_pixels(size: tuple[int, int]) -> None:
    with pytest.raises(PictureError, match="at least one"):
        read_picture(Image.new("RGB", size), Limits())
