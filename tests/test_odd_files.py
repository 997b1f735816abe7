"""Odd picture files: each gives a picture that is the right one, or a NarrowsError; never anything else.

What is promised in docs/api.md, "Pictures", is held for files that Pillow, cameras and other programs write, for
damaged ones, and for the folder of odd files where it is there.
"""

from __future__ import annotations

import contextlib
import json
import random
import struct
import subprocess
import sys
import time
import warnings
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from odd_pictures import (
    BROKEN_EXIF,
    PREFIX,
    cmyk_profile,
    exif,
    grey_tiff_of_12_bits,
    icons_of,
    png,
    whole_files,
    with_exif,
    without_adobe_marker,
    written,
)
from pictures import photo_like
from PIL import Image

from narrows.cli.main import run
from narrows.codec import Codec
from narrows.errors import ConversionWarning, LimitError, NarrowsError, PictureError
from narrows.limits import Limits
from narrows.pixels import Picture, read_picture

ODD_FILES = Path(__file__).parents[2] / "shared" / "data" / "odd_files"
INDEX = "INDEX.md"
LIMITS = Limits()
WHOLE = whole_files()
CONVERTED = ("CMYK", "LAB")

odd_files = pytest.mark.skipif(not ODD_FILES.is_dir(), reason="the folder of odd files is not here")


def read(source: bytes | Path | Image.Image, limits: Limits = LIMITS) -> tuple[Picture, list[str]]:
    """The picture that would be coded, and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        picture = read_picture(source, limits)
    return picture, [str(entry.message) for entry in caught if entry.category is ConversionWarning]


def grey_of(picture: Picture) -> list[int]:
    values: list[int] = picture.samples[:, :, 0].ravel().tolist()
    return values


def alpha_of(picture: Picture) -> list[int]:
    assert picture.alpha is not None
    values: list[int] = picture.alpha.ravel().tolist()
    return values


@pytest.fixture
def quiet() -> Iterator[None]:
    """Without the words of Pillow and of conversions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# The folder of odd files


def names() -> list[str]:
    return sorted(path.name for path in ODD_FILES.iterdir() if path.name != INDEX)


@odd_files
@pytest.mark.usefixtures("quiet")
def test_the_command_line_codes_each_odd_file_or_says_why_not(
    tmp_path: Path,
    colour_profile: Path,
    codec: Codec,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And what it writes is what the API gives; what the API gives has all that docs/api.md promises to keep."""
    monkeypatch.chdir(ODD_FILES)
    groups = defaultdict(list)  # files of one suffix have names of their own
    for name in names():
        groups[Path(name).suffix].append(name)
    records: dict[str, dict[str, str | int]] = {}
    lines = []
    for suffix, group in groups.items():
        out = tmp_path / suffix[1:]
        run(["encode", *group, "-o", f"{out}/", "--json", "--threads", "1", "-p", str(colour_profile)])
        captured = capsys.readouterr()
        records |= {record["input"]: record for record in map(json.loads, captured.out.splitlines())}
        lines += captured.err.splitlines()
    assert set(records) == set(names())
    assert all(line.startswith("narrows: ") for line in lines)
    refused = {name: record for name, record in records.items() if "error" in record}
    assert all(record["error"] in ("PictureError", "LimitError") for record in refused.values()), refused
    assert all(record["exit_code"] == (5 if record["error"] == "LimitError" else 3) for record in refused.values())
    assert {line for line in lines if ": warning: " not in line} == {
        f"narrows: {record['message']}" for record in refused.values()
    }
    for name, record in records.items():
        if name not in refused:
            coded = codec.encode(name)
            assert Path(str(record["output"])).read_bytes() == coded
            check_kept(Path(name), codec.decode(coded))
    # Those that any program could make nothing of, and those that Pillow 13 by itself has no reader for.
    assert {"zero_byte.jpg", "text_called.png", "truncated.png", "max_size.jpg", "cgbi.png"} <= set(refused)
    assert 60 <= len(records) - len(refused) <= 72


def check_kept(source: Path, after: Image.Image) -> None:
    """Size, mode, alpha and metadata are those that Pillow by itself reads of the file."""
    with Image.open(source) as before:
        before.load()
        grey = before.mode in ("1", "L", "LA", "F") or before.mode.startswith("I")
        assert after.size == before.size, source
        assert after.mode == ("L" if grey else "RGB") + ("A" if before.has_transparency_data else ""), source
        if after.mode.endswith("A"):
            was_alpha, alpha = (np.asarray(image.convert("RGBA").getchannel("A")) for image in (before, after))
            assert np.array_equal(was_alpha, alpha), source
        for key in ("icc_profile", "exif", "xmp"):
            expected = before.info.get(key)
            if (key == "icc_profile" and before.mode in CONVERTED) or (key == "exif" and before.format == "TIFF"):
                continue
            assert after.info.get(key) == expected, (source, key)


@odd_files
@pytest.mark.skipif(sys.platform != "linux", reason="measures memory by /proc")
def test_no_odd_file_costs_much_memory_or_time(colour_profile: Path) -> None:
    """All of them in one process that may not have more than 2 GiB of addresses."""
    code = f"""
import resource, sys, time, warnings
resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
warnings.simplefilter("ignore")
from narrows.codec import Codec
from narrows.compare.memory import peak_mib
from narrows.errors import NarrowsError
codec, longest = Codec({str(colour_profile)!r}, threads=1), 0.0
for name in sys.argv[1:]:
    begun = time.process_time()
    try:
        codec.encode(name)
    except NarrowsError:
        pass
    longest = max(longest, time.process_time() - begun)
print(peak_mib(), longest)
"""
    arguments = [sys.executable, "-c", code, *names()]
    done = subprocess.run(arguments, cwd=ODD_FILES, check=True, capture_output=True, timeout=240)
    peak, longest = map(float, done.stdout.split())
    assert peak < 600, "MiB, of which Python, numpy, Pillow and ONNX Runtime take about 150"
    assert longest < 10, "processor seconds for one file"


# Samples: grey, 16 bits, palettes, CMYK


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_transparent_grey_of_any_depth_becomes_alpha(depth: int) -> None:
    """Pillow widens the samples to 8 bits and not the value that is transparent."""
    top = 2**depth - 1
    for key in {0, 1, top // 2, top}:
        values = np.array([0, 1, top // 2, top] * 2, np.uint8)
        bits = (values[:, None] >> np.arange(depth)[::-1]) & 1
        rows = b"\0" + np.packbits(bits.ravel()).tobytes()
        picture, _ = read(png(8, 1, depth, 0, rows, (b"tRNS", struct.pack(">H", key))))
        assert alpha_of(picture) == [0 if value == key else 255 for value in values]
        assert picture.samples.shape[2] == 1
        seen = values != key  # the colour of the others is not kept
        assert np.array_equal(picture.samples[0, seen, 0], values[seen].astype(int) * 255 // top)


def test_grey_with_alpha_of_16_bits_stays_grey() -> None:
    rows = b"\0" + struct.pack(">6H", 65535, 65535, 0x8000, 0x80FF, 0x1234, 0)
    picture, said = read(png(3, 1, 16, 4, rows))
    assert picture.mode.name == "LA"
    assert alpha_of(picture) == [255, 0x80, 0]
    assert grey_of(picture)[:2] == [255, 0x80]
    assert said == ["has more than 8 bits a sample, coded with 8"]


def test_colour_with_alpha_of_16_bits() -> None:
    rows = b"\0" + struct.pack(">8H", 65535, 0x00FF, 0x0100, 0xFFFF, 1, 2, 3, 0x01FF)
    picture, said = read(png(2, 1, 16, 6, rows))
    assert picture.samples.tolist() == [[[255, 0, 1], [0, 0, 0]]]
    assert alpha_of(picture) == [255, 1]
    assert said == ["has more than 8 bits a sample, coded with 8"]


@pytest.mark.parametrize(
    ("opacities", "expected"),
    [([0, 128], [0, 128, 255, 255]), ([255, 1, 254, 0], [255, 1, 254, 0]), ([7], [7, *[255] * 3])],
)
def test_a_palette_with_partial_alpha(opacities: list[int], expected: list[int]) -> None:
    palette = (b"PLTE", bytes(range(12)))
    picture, said = read(png(4, 1, 2, 3, b"\0\x1b", palette, (b"tRNS", bytes(opacities))))
    assert alpha_of(picture) == expected
    seen = np.array(expected) > 0
    assert np.array_equal(picture.samples[0][seen], np.arange(12).reshape(4, 3)[seen])
    assert said == []


def test_12_bits_reach_white() -> None:
    values = np.array([[0, 2048], [4095, 1000]], np.uint16)
    picture, said = read(grey_tiff_of_12_bits(values))
    assert grey_of(picture) == [0, 128, 255, 62]
    assert said == ["has 12 bits a sample, rounded to 8"]


@pytest.mark.parametrize(("end", "levels"), [(694, 4), (255, 2), (16000, 63), (16600, None), (65535, None)])
def test_a_16_bit_picture_that_comes_back_nearly_black_says_so(end: int, levels: int | None) -> None:
    _, said = read(Image.fromarray(np.linspace(0, end, 64).astype(np.uint16).reshape(8, 8)))
    few = f": its samples end at {end} of 65535, so at most {levels} of 256 levels are left; scale them first"
    assert said == ["has 16 bits a sample, rounded to 8" + (few if levels else "")]


def test_a_black_16_bit_picture_is_black() -> None:
    _, said = read(Image.new("I;16", (4, 4)))
    assert said == ["has 16 bits a sample, rounded to 8"]


@pytest.mark.parametrize(
    ("gamma", "others", "warned"),
    [
        (100000, [], "is meant for a gamma of 1 (gAMA), which is not kept: it may look lighter or darker"),
        (62500, [], "is meant for a gamma of 1.6 (gAMA), which is not kept: it may look lighter or darker"),
        (45455, [], None),
        (100000, [(b"sRGB", b"\0")], None),
        (100000, [(b"iCCP", b"x\0\0" + zlib.compress(bytes(200)))], None),
        (0, [], None),
    ],
)
def test_a_gamma_that_is_lost_is_told(gamma: int, others: list[tuple[bytes, bytes]], warned: str | None) -> None:
    picture, said = read(png(1, 1, 8, 0, b"\0\x80", (b"gAMA", struct.pack(">I", gamma)), *others))
    assert said == ([warned] if warned else [])
    assert grey_of(picture) == [128]


def test_significant_bits_change_nothing() -> None:
    picture, said = read(png(1, 1, 8, 2, b"\0\x80\1\2", (b"sBIT", b"\5\6\5")))
    assert (picture.samples.tolist(), said) == ([[[128, 1, 2]]], [])


def test_cmyk_with_and_without_the_adobe_marker() -> None:
    """Inverted either way, as browsers have it: a picture must not become its negative for want of a marker."""
    data = written(Image.new("CMYK", (16, 16), (255, 0, 0, 0)), "JPEG", quality=100, subsampling=0)
    for each in (data, without_adobe_marker(data)):
        picture, said = read(each)
        red, green, blue = picture.samples.reshape(-1, 3).mean(axis=0)
        assert red < 10
        assert min(green, blue) > 245
        assert said == ["is CMYK without a usable colour profile, its colours are converted roughly"]


def test_cmyk_goes_through_its_profile() -> None:
    image = Image.new("CMYK", (2, 1))
    image.putpixel((1, 0), (255, 0, 0, 0))
    picture, said = read(written(image, "TIFF", icc_profile=cmyk_profile()))
    paper, ink = picture.samples[0].astype(int)
    assert paper.min() >= 254
    assert np.ptp(ink) <= 2, "cyan is grey on this press"
    assert ink.max() < 50
    assert picture.icc is None
    assert said == ["is CMYK, converted to sRGB"]


# Size


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 700), (700, 1), (65, 1), (1, 65)])
def test_sides_of_one_pixel(width: int, height: int, channels: int, codec: Codec) -> None:
    pixels = photo_like(height, width, channels)
    pixels[..., -1] |= 1
    image = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)
    back = codec.decode(codec.encode(written(image, "PNG")))
    assert (back.size, back.mode) == (image.size, image.mode)
    if channels in (2, 4):
        assert np.array_equal(np.asarray(back)[:, :, -1], pixels[:, :, -1])
    assert np.abs(np.asarray(back).astype(int) - np.asarray(image)).mean() < 16


@pytest.mark.parametrize("turned", [False, True])
def test_65535_pixels_a_side_and_no_more(turned: bool, codec: Codec) -> None:
    def bar(length: int) -> bytes:
        size = (1, length) if turned else (length, 1)
        return written(Image.new("L", size, 77), "PNG")

    back = codec.decode(codec.encode(bar(65535)))
    assert max(back.size) == 65535
    assert np.abs(np.asarray(back).astype(int) - 77).max() <= 2
    with pytest.raises(LimitError, match="the format allows 65535 a side; cut it into parts"):
        codec.encode(bar(65536))


@pytest.mark.parametrize("kind", ["ICO", "ICNS"])
@pytest.mark.usefixtures("quiet")
def test_an_icon_that_holds_more_than_it_says_is_over_the_limit(kind: str) -> None:
    """Before its pixels are decoded."""
    image = Image.new("RGBA", (300, 200))
    for inside in ("PNG", "JPEG2000") if kind == "ICNS" else ("PNG",):
        data = icons_of(written(image, inside)[:150])[kind]
        with pytest.raises(LimitError, match="300 x 200 = 60000 pixels, the limit is 50000"):
            read_picture(data, Limits(max_pixels=50_000))
    data = icons_of(written(image.resize((128, 128)), "PNG"))[kind]
    assert read_picture(data, Limits(max_pixels=50_000)).samples.shape == (128, 128, 3)


# Several pictures in one file


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF", "TIFF", "MPO"])
def test_of_everything_animated_the_first_is_coded(kind: str) -> None:
    frames = [Image.new("RGB", (24, 16), (value, value, value)) for value in (20, 120, 220)]
    picture, said = read(written(frames[0], kind, save_all=True, append_images=frames[1:]))
    assert said == ["holds more than one picture, the first one is coded"]
    assert np.abs(picture.samples.astype(int) - 20).max() <= 3


def test_a_cameras_raw_file_is_not_its_preview() -> None:
    for tags in ({254: 1}, {50706: b"\1\4\0\0"}):
        with pytest.raises(PictureError, match="begins with a preview, as cameras' raw files do"):
            read(written(Image.new("RGB", (16, 12)), "TIFF", tiffinfo=tags))
    assert read(written(Image.new("RGB", (16, 12)), "TIFF", tiffinfo={254: 0}))[1] == []


# Metadata


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_each_orientation_stays_what_it_is(kind: str, orientation: int, codec: Codec) -> None:
    """EXIF's byte for byte, with the pixels as they lie; TIFF pictures come upright, and say nothing more of it."""
    image = Image.fromarray(photo_like(24, 40))
    data = written(image, kind, exif=PREFIX + exif(orientation))
    back = codec.decode(codec.encode(data))
    if kind == "TIFF":
        assert back.size == ((40, 24) if orientation < 5 else (24, 40))
        assert back.getexif().get(0x0112, 1) == 1
    else:
        assert back.size == (40, 24)
        assert back.getexif().get(0x0112, 1) == orientation
    if kind in ("JPEG", "PNG", "WEBP"):
        assert back.info["exif"].removeprefix(PREFIX) == exif(orientation)


@pytest.mark.parametrize("block", BROKEN_EXIF.values(), ids=BROKEN_EXIF)
@pytest.mark.usefixtures("quiet")
def test_broken_exif_is_kept_and_never_costs_the_picture(
    block: bytes, tmp_path: Path, codec: Codec, colour_profile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = with_exif(written(Image.fromarray(photo_like(24, 40)), "JPEG"), block)
    coded = codec.encode(data)
    assert codec.decode(coded).info["exif"] == PREFIX + block
    source = tmp_path / "x.nrws"
    source.write_bytes(coded)
    for suffix in (".png", ".jpg", ".webp", ".avif", ".tif", ".bmp"):
        target = source.with_suffix(suffix)
        assert run(["decode", str(source), "-o", str(target), "-p", str(colour_profile)]) == 0, capsys.readouterr().err
        with Image.open(target) as image:
            assert image.size == (40, 24)
            if suffix == ".jpg":
                assert image.info["exif"] == PREFIX + block


def test_a_huge_profile_is_kept_up_to_the_limit(codec: Codec) -> None:
    huge = np.random.default_rng(3).bytes(3 * 2**20)
    image = Image.fromarray(photo_like(8, 8))
    for kind in ("JPEG", "WEBP", "TIFF"):
        data = written(image, kind, icc_profile=huge)
        assert codec.decode(codec.encode(data)).info["icc_profile"] == huge
        picture, said = read(data, Limits(max_metadata=2**20))
        assert picture.icc is None
        assert said == [f"has {len(huge)} bytes of ICC, left out: the limit is {2**20}"]


@pytest.mark.parametrize("chunk", [b"iCCP", b"zTXt"])
def test_what_pillow_does_not_inflate_is_a_limit_and_no_damage(chunk: bytes) -> None:
    data = png(1, 1, 8, 0, b"\0\x80", (chunk, b"x\0\0" + zlib.compress(bytes(2**21))))
    with pytest.raises(LimitError, match="more text or a larger colour profile than Pillow reads"):
        read(data)


def test_a_profile_that_cannot_be_inflated_is_left_out() -> None:
    picture, _ = read(png(1, 1, 8, 0, b"\0\x80", (b"iCCP", b"x\0\0garbage")))
    assert (picture.icc, grey_of(picture)) == (None, [128])


# Damage


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.usefixtures("quiet")
def test_a_file_cut_anywhere_gives_its_picture_or_none(kind: str) -> None:
    """Cut in its header, at every tile of JPEG 2000, among its pixels, and in what follows them."""
    data = WHOLE[kind]
    whole = read_picture(data, LIMITS).samples
    places = {*range(1, 40), *range(40, len(data), max(1, len(data) // 60)), *range(len(data) - 30, len(data))}
    places |= {at + 2 for at in range(len(data)) if data[at : at + 2] in (b"\xff\x90", b"\xff\x93")}  # SOT and SOD
    given = 0
    for place in sorted(places):
        with contextlib.suppress(NarrowsError):
            assert np.array_equal(read_picture(data[:place], LIMITS).samples, whole), place
            given += 1
    assert given < 60, "more than the end can be missing"


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.usefixtures("quiet")
def test_damage_gives_a_picture_or_a_narrows_error(kind: str, tmp_path: Path) -> None:
    """From a file, since the system too has something to say about places that do not exist."""
    dice, limits = random.Random(kind), Limits(max_pixels=10**6)
    path = tmp_path / "damaged"
    for _ in range(60):
        data = bytearray(WHOLE[kind])
        for _ in range(dice.choice((1, 2, 8))):
            data[dice.randrange(dice.choice((32, 300, len(data)))) % len(data)] = dice.choice(
                (0, 255, dice.randrange(256))
            )
        path.write_bytes(data)
        begun = time.process_time()
        with contextlib.suppress(NarrowsError):
            picture = read_picture(path, limits)
            assert picture.samples.size <= 3 * 10**6
        assert time.process_time() - begun < 5


def test_a_place_that_no_file_has_is_damage_and_no_fault_of_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "big.tif"
    path.write_bytes(b"II+\0\x08\0\0\0" + struct.pack("<Q", 2**62) + bytes(64))
    with pytest.raises(PictureError, match=r"big\.tif: is damaged"):
        read(path)


# What is said


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (
            b"\0\0\0\x1cftypheic\0\0\0\0mif1heic",
            "is a HEIF picture, which Pillow cannot read without a plugin; save it as",
        ),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "is a JPEG XL picture, which Pillow cannot read without a plugin; save it as"),
        (
            b"\x89PNG\r\n\x1a\n\0\0\0\4CgBI\x50\0\x20\2",
            "is a PNG file of Apple's own kind (CgBI), which Pillow cannot read",
        ),
        (
            b"no picture",
            "is not a picture that Pillow can read (it begins with b'no picture'); if it is one, save it as",
        ),
        (b"\x89PNG\r\n\x1a\n\0\0\0\4", "is not a picture that Pillow can read (PNG plugin: "),
        (WHOLE["png"][:900], "is damaged or cut short, Pillow says: image file is truncated"),
        (WHOLE["jpeg 2000"][:900], "is cut short, its end is missing; get it again, or save it as PNG or JPEG"),
    ],
)
def test_a_refusal_says_what_to_do(data: bytes, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(data)
    monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name not in ("JXL", "HEIF")])  # of other tests
    with pytest.raises(PictureError) as caught:
        read(path)
    assert caught.value.message.startswith(line)
    assert "with a program that opens it" in caught.value.message
    assert "\n" not in caught.value.message
