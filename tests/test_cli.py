"""The command line: every command, flag and exit code that docs/cli.md promises, with an untrained profile."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from pictures import photo_like
from PIL import Image, ImageCms, JpegImagePlugin
from PIL.PngImagePlugin import PngInfo

import narrows
from narrows.cli.batch import Manner, Result, run_jobs
from narrows.cli.failures import DEBUG, describe, exit_code
from narrows.cli.jobs import Job
from narrows.cli.main import run
from narrows.cli.options import threads_each
from narrows.codec import Codec
from narrows.errors import ConversionWarning, FormatError, LimitError, OptionError, PictureError, ProfileError

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/">é</x:xmpmeta>'.encode()


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What a run of the command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The only line on stderr."""
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("narrows: ")
        assert "Traceback" not in self.err
        return self.err.removeprefix("narrows: ").rstrip("\n")


Command = Callable[..., Finished]


@pytest.fixture
def command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, colour_profile: Path
) -> Command:
    """Run the command line here, in an empty folder; "PROFILE" among the arguments is a profile's folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Finished:
        code = run([str(colour_profile) if argument == "PROFILE" else argument for argument in arguments])
        captured = capsys.readouterr()
        return Finished(code=code, out=captured.out, err=captured.err)

    return call


def shell(*arguments: str | Path, stdin: bytes = b"", folder: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run the command as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "narrows", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        cwd=folder,
        check=False,
    )


def save_photo(path: Path, height: int = 40, width: int = 56, channels: int = 3, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(photo_like(height, width, channels).squeeze()).save(path, **options)
    return path


def opened(path: str | Path) -> Image.Image:
    """A picture whose file is read and closed."""
    with Image.open(path) as image:
        image.load()
        return image


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return save_photo(tmp_path / "photo.png")


@pytest.fixture
def coded(tmp_path: Path, codec: Codec) -> Path:
    path = tmp_path / "coded.nrws"
    path.write_bytes(codec.encode(photo_like(40, 56)))
    return path


# Encode and decode


def test_a_photo_goes_in_and_comes_back(command: Command, photo: Path) -> None:
    done = command("encode", "photo.png", "-p", "PROFILE")
    assert done.code == 0
    size = Path("photo.nrws").stat().st_size
    assert done.out.startswith(f"photo.png -> photo.nrws: {size} bytes, {8 * size / (40 * 56):.3f} bpp, ")
    assert done.out.rstrip().endswith("% of the input")
    assert done.err == ""
    done = command("decode", "photo.nrws", "-o", "back.png", "-p", "PROFILE")
    assert (done.code, done.out) == (0, "photo.nrws -> back.png: 56 x 40 RGB\n")
    assert opened("back.png").size == (56, 40)


def test_pipes(tmp_path: Path, photo: Path, colour_profile: Path) -> None:
    encoded = shell("encode", "-", "-p", colour_profile, stdin=photo.read_bytes())
    assert encoded.returncode == 0
    assert encoded.stdout.startswith(b"\x89NRW")
    assert encoded.stderr.startswith(b"stdin -> stdout: ")
    decoded = shell("decode", "-", "--quiet", "-p", colour_profile, stdin=encoded.stdout)
    assert (decoded.returncode, decoded.stderr) == (0, b"")
    assert Image.open(io.BytesIO(decoded.stdout)).size == (56, 40)
    written = shell("encode", photo, "-o", "-", "--json", "-p", colour_profile)
    assert written.stdout == encoded.stdout
    assert json.loads(written.stderr)["bytes"] == len(encoded.stdout)
    to_file = shell("encode", "-", "-o", tmp_path / "x.nrws", "-p", colour_profile, stdin=photo.read_bytes())
    assert to_file.returncode == 0
    assert (tmp_path / "x.nrws").read_bytes() == encoded.stdout


def test_a_folder_in_and_a_folder_out(command: Command, tmp_path: Path) -> None:
    names = ["a.png", "b.jpg", "c.bmp", "deep/d.png"]
    for name in names:
        save_photo(tmp_path / "in" / name)
    done = command("encode", "in", "-o", "out/", "--recursive", "-p", "PROFILE")
    assert done.code == 0
    assert [line.split(" -> ")[0] for line in done.out.splitlines()] == [str(Path("in") / name) for name in names]
    done = command("decode", "out", "-o", "back/", "--recursive", "-p", "PROFILE")
    assert done.code == 0
    assert all((Path("back") / name).with_suffix(".png").is_file() for name in names)


def test_several_at_once_give_the_same_in_the_same_order(command: Command, tmp_path: Path) -> None:
    for number in range(9):
        Image.fromarray(photo_like(16 + 8 * number, 30, seed=number)).save(tmp_path / f"{number}.png")
    (tmp_path / "4.png").write_bytes(b"damaged")
    one = command("encode", str(tmp_path), "-o", "one/", "-p", "PROFILE", "--threads", "1")
    many = command("encode", str(tmp_path), "-o", "many/", "-p", "PROFILE", "-j", "4", "--threads", "4")
    assert one.code == many.code == 1
    assert one.out.replace("one", "many") == many.out
    assert one.error == many.error
    assert "4.png: is not a picture" in many.error
    assert sorted(path.name for path in Path("many").iterdir()) == [f"{n}.nrws" for n in range(9) if n != 4]
    for path in Path("one").iterdir():
        assert path.read_bytes() == (Path("many") / path.name).read_bytes()


def test_threads_are_divided_among_files() -> None:
    assert threads_each(None, 1) is None
    assert threads_each(6, 1) == 6
    assert threads_each(6, 4) == 1
    assert threads_each(8, 4) == 2
    assert (threads_each(None, 10**6)) == 1


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        (".png", "PNG"),
        (".jpg", "JPEG"),
        (".JPEG", "JPEG"),
        (".webp", "WEBP"),
        (".tif", "TIFF"),
        (".bmp", "BMP"),
        (".tga", "TGA"),
    ],
)
def test_the_suffix_says_the_format(suffix: str, kind: str, command: Command, coded: Path) -> None:
    assert command("decode", "coded.nrws", "-o", f"x{suffix}", "-p", "PROFILE").code == 0
    assert opened(f"x{suffix}").format == kind


def test_jpeg_is_written_with_all_its_colour(command: Command, coded: Path) -> None:
    assert command("decode", "coded.nrws", "-o", "x.jpg", "-p", "PROFILE").code == 0
    expected = io.BytesIO()
    Image.new("RGB", (8, 8)).save(expected, "JPEG", quality=95, subsampling=0)
    image, like = opened("x.jpg"), Image.open(expected)
    assert isinstance(image, JpegImagePlugin.JpegImageFile)
    assert isinstance(like, JpegImagePlugin.JpegImageFile)
    assert JpegImagePlugin.get_sampling(image) == 0
    assert image.quantization == like.quantization


def test_an_unknown_suffix_is_a_usage_error(command: Command, coded: Path) -> None:
    done = command("decode", "coded.nrws", "-o", "x.xyz", "-p", "PROFILE")
    assert done.code == 2
    assert "x.xyz: the suffix '.xyz' names no format to write; use .png, .jpg" in done.error


@pytest.mark.parametrize(("suffix", "name"), [(".jpg", "JPEG"), (".webp", "WEBP")])
def test_a_format_that_cannot_hold_the_picture_is_told(suffix: str, name: str, command: Command, codec: Codec) -> None:
    Path("wide.nrws").write_bytes(codec.encode(np.zeros((1, 65535), np.uint8), quality=0))
    done = command("decode", "wide.nrws", "-o", f"x{suffix}", "-p", "PROFILE")
    assert done.code == 2
    assert f"wide.nrws: a {name} file cannot hold this picture of 65535 x 1" in done.error
    assert "name another format with -o" in done.error
    assert not list(Path().glob("*x*"))


def test_a_region_is_cut_out(command: Command, coded: Path, codec: Codec) -> None:
    assert command("decode", "coded.nrws", "--region", "8,4,20,10", "-p", "PROFILE").code == 0
    part = np.asarray(opened("coded.png"))
    whole = np.asarray(codec.decode(coded.read_bytes()))
    assert part.shape == (10, 20, 3)
    assert np.abs(part.astype(int) - whole[4:14, 8:28]).max() <= 1


@pytest.mark.parametrize(
    ("region", "reason"),
    [
        ("1,2,3", "X,Y,W,H"),
        ("a,b,c,d", "X,Y,W,H"),
        ("0,0,57,40", "not inside"),
        ("0,0,0,4", "not inside"),
    ],
)
def test_a_wrong_region_is_a_usage_error(region: str, reason: str, command: Command, coded: Path) -> None:
    done = command("decode", "coded.nrws", "--region", region, "-p", "PROFILE")
    assert done.code == 2
    assert reason in done.error
    assert not Path("coded.png").exists()


def test_quality_and_targets(command: Command, tmp_path: Path) -> None:
    save_photo(tmp_path / "p.png", 96, 128)
    sizes = []
    for quality in ("0", "50.5", "100"):
        assert command("encode", "p.png", "-q", quality, "--force", "-p", "PROFILE").code == 0
        sizes.append(Path("p.nrws").stat().st_size)
    assert sizes == sorted(sizes)
    limit = str(sizes[1])
    assert command("encode", "p.png", "--target-bytes", limit, "--force", "-p", "PROFILE").code == 0
    assert Path("p.nrws").stat().st_size <= sizes[1]
    done = command("encode", "p.png", "--target-bytes", "10", "--force", "-p", "PROFILE")
    assert done.code == 2
    assert "target_bytes is 10" in done.error
    assert command("encode", "p.png", "--target-psnr", "20", "--force", "-p", "PROFILE").code == 0
    done = command("encode", "p.png", "--target-psnr", "90", "--force", "-p", "PROFILE")
    assert done.code == 0
    assert "p.png: warning: target_psnr" in done.err


def test_effort_is_passed_on(command: Command, photo: Path) -> None:
    for effort in ("0", "8"):
        assert command("encode", "photo.png", "--effort", effort, "--force", "-p", "PROFILE").code == 0


# Metadata and alpha


def _with_metadata(path: Path) -> Path:
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    return save_photo(path, icc_profile=ICC, exif=EXIF, pnginfo=info)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_metadata_goes_all_the_way(suffix: str, command: Command, tmp_path: Path) -> None:
    _with_metadata(tmp_path / "m.png")
    assert command("encode", "m.png", "-p", "PROFILE").code == 0
    done = command("decode", "m.nrws", "-o", f"back{suffix}", "-p", "PROFILE")
    assert (done.code, done.err) == (0, "")
    image = opened(f"back{suffix}")
    assert image.info["icc_profile"] == ICC
    assert image.info["exif"].removeprefix(b"Exif\0\0") == EXIF.removeprefix(b"Exif\0\0")
    assert image.info["xmp"] == XMP
    assert image.size == (56, 40), "the orientation stays in EXIF"


def test_a_tiff_file_takes_the_metadata_as_its_own(command: Command, tmp_path: Path) -> None:
    _with_metadata(tmp_path / "m.png")
    assert command("encode", "m.png", "-p", "PROFILE").code == 0
    assert command("decode", "m.nrws", "-o", "back.tif", "-p", "PROFILE").code == 0
    with Image.open("back.tif") as image:
        assert image.info["icc_profile"] == ICC
        assert image.info["xmp"] == XMP
        assert image.getexif()[0x0112] == 6


def test_what_a_format_cannot_hold_is_said(command: Command, tmp_path: Path) -> None:
    _with_metadata(tmp_path / "m.png")
    assert command("encode", "m.png", "-p", "PROFILE").code == 0
    done = command("decode", "m.nrws", "-o", "back.bmp", "-p", "PROFILE")
    assert done.code == 0
    assert [line.split(": ", 3)[3] for line in done.err.splitlines()] == [
        f"BMP holds no {name}, it is left out" for name in ("ICC", "EXIF", "XMP")
    ]


def test_metadata_too_long_for_jpeg_is_left_out(command: Command, tmp_path: Path) -> None:
    save_photo(tmp_path / "m.webp", xmp=bytes(70000), exif=EXIF)
    assert command("encode", "m.webp", "-p", "PROFILE").code == 0
    done = command("decode", "m.nrws", "-o", "back.jpg", "-p", "PROFILE")
    assert done.code == 0
    assert "XMP has 70000 bytes" in done.error
    assert "exif" in opened("back.jpg").info


def test_xmp_that_is_no_text_does_not_fit_into_png(command: Command, tmp_path: Path) -> None:
    save_photo(tmp_path / "m.webp", xmp=b"\xff\xfe")
    assert command("encode", "m.webp", "-p", "PROFILE").code == 0
    assert "not UTF-8" in command("decode", "m.nrws", "-p", "PROFILE").error


def test_strip_leaves_metadata_out(command: Command, tmp_path: Path) -> None:
    _with_metadata(tmp_path / "m.png")
    assert command("encode", "m.png", "--strip", "-p", "PROFILE").code == 0
    assert {chunk.name for chunk in narrows.info("m.nrws").chunks} == {"side", "latents"}


@pytest.mark.parametrize("channels", [2, 4])
def test_transparency(channels: int, command: Command, tmp_path: Path) -> None:
    pixels = photo_like(40, 56, channels)
    pixels[:20, :, -1] = 0
    pixels[20:, :, -1] = 200
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert command("encode", "a.png", "-p", "PROFILE").code == 0
    assert command("decode", "a.nrws", "-o", "b.png", "-p", "PROFILE").code == 0
    assert np.array_equal(np.asarray(opened("b.png"))[:, :, -1], pixels[:, :, -1])
    done = command("decode", "a.nrws", "-o", "b.jpg", "-p", "PROFILE")
    assert done.code == 0
    assert "JPEG holds no transparency" in done.error
    drawn = np.asarray(opened("b.jpg"))
    assert opened("b.jpg").mode == ("L" if channels == 2 else "RGB")
    assert drawn[:12].min() > 245


def test_a_converted_picture_is_said_every_time(command: Command, tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        Image.new("CMYK", (20, 20)).save(tmp_path / name)
    done = command("encode", "a.jpg", "b.jpg", "-p", "PROFILE")
    assert done.code == 0
    lines = done.err.splitlines()
    assert [line.split(":")[1].strip() for line in lines] == ["a.jpg", "b.jpg"]
    assert all("warning: is CMYK" in line for line in lines)
    done = command("encode", "a.jpg", "b.jpg", "--force", "--quiet", "-p", "PROFILE")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_warnings_of_the_caller_are_left_as_they_were(command: Command, photo: Path) -> None:
    before = list(warnings.filters)
    command("encode", "photo.png", "--quiet", "-p", "PROFILE")
    assert list(warnings.filters) == before


# Info, verify, version, lab


def test_info(command: Command, coded: Path) -> None:
    done = command("info", "coded.nrws")
    size = coded.stat().st_size
    assert done.code == 0
    assert done.out.startswith(f"coded.nrws: 56 x 40 RGB, {size} bytes, ")
    done = command("info", "coded.nrws", "--json")
    values = json.loads(done.out)
    assert values["input"] == "coded.nrws"
    assert (values["width"], values["height"], values["mode"], values["size_bytes"]) == (56, 40, "RGB", size)
    assert [chunk["name"] for chunk in values["chunks"]] == ["side", "latents"]


def test_verify(command: Command, coded: Path) -> None:
    assert command("verify", "coded.nrws").out == "coded.nrws: whole\n"
    assert command("verify", "coded.nrws", "--deep", "-p", "PROFILE").out == "coded.nrws: whole, and it decodes\n"
    data = bytearray(coded.read_bytes())
    data[-20] ^= 1
    coded.write_bytes(data)
    done = command("verify", "coded.nrws")
    assert done.code == 3
    assert "checksum of chunk latents does not match" in done.error


def test_verify_of_an_archive(command: Command, coded: Path, tmp_path: Path) -> None:
    """Every file of every folder is looked at, each failure is told, and a last line says how many there were."""
    data = coded.read_bytes()
    for name, content in (("a/one.nrws", data), ("a/b/two.nrws", data[:-1]), ("a/b/three.nrws", data)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "a" / "note.txt").write_text("no narrows file, and none of our business")
    done = command("verify", "a", "--recursive")
    assert done.code == 1
    assert done.out == "a/b/three.nrws: whole\na/one.nrws: whole\n2 of 3 files are whole\n"
    assert done.error.startswith("a/b/two.nrws: has ")
    assert done.error.endswith("the end is missing")
    assert command("verify", "a", "--recursive", "-j", "2").out == done.out
    assert command("verify", "a").out == "a/one.nrws: whole\n"
    quiet = command("verify", "a", "coded.nrws", "--recursive", "--quiet")
    assert (quiet.code, quiet.out, quiet.err) == (1, "", done.err)
    assert command("verify", "a", "coded.nrws", "--quiet").code == 0
    deep = command("verify", "a", "coded.nrws", "--deep", "-p", "PROFILE")
    assert deep.code == 0
    assert deep.out.endswith("coded.nrws: whole, and it decodes\n2 of 2 files are whole\n")


def test_verify_as_json(command: Command, coded: Path, codec: Codec) -> None:
    Path("cut.nrws").write_bytes(coded.read_bytes()[:-1])
    whole, cut = map(json.loads, command("verify", "coded.nrws", "cut.nrws", "--json").out.splitlines())
    assert whole == {
        "input": "coded.nrws",
        "valid": True,
        "deep": False,
        "size_bytes": coded.stat().st_size,
        "profile": codec.profile.digest[:4].hex(),
    }
    assert (cut["error"], cut["exit_code"]) == ("TruncatedError", 3)


def test_info_and_verify_need_no_heavy_library(coded: Path) -> None:
    code = (
        "import sys\nfrom narrows.cli.main import run\n"
        f"assert run(['info', {str(coded)!r}]) == 0\n"
        f"assert run(['verify', {str(coded)!r}]) == 0\n"
        "heavy = {'numpy', 'PIL', 'onnxruntime', 'torch', 'constriction', 'safetensors', 'tqdm'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_version_names_program_format_and_profile(
    command: Command, monkeypatch: pytest.MonkeyPatch, colour_profile: Path
) -> None:
    monkeypatch.setattr("narrows.profiles.find", lambda name: colour_profile)
    digest = Codec(colour_profile).profile.digest.hex()
    done = command("--version")
    assert done.code == 0
    assert (
        done.out == f"narrows {narrows.__version__}\nformat 3\ndefault profile {colour_profile.name}, digest {digest}\n"
    )

    def missing(name: str) -> Path:
        raise ProfileError("none")

    monkeypatch.setattr("narrows.profiles.find", missing)
    assert command("--version").out.endswith("no default profile in this installation\n")


def test_help_names_every_command(command: Command) -> None:
    for arguments in ([], ["--help"], ["-h"]):
        done = command(*arguments)
        assert done.code == 0
        assert all(f"\n  {name} " in done.out for name in ("encode", "decode", "info", "verify", "lab"))


def test_the_laboratory_is_offered_and_not_loaded(command: Command) -> None:
    code = "import sys\nfrom narrows.cli.main import run\nrun(['--help'])\nassert 'narrows.lab' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("arguments", [["lab"], ["lab", "train"], ["lab", "--help"]])
def test_without_torch_the_laboratory_says_what_to_install(
    arguments: list[str], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr("narrows.cli.lab.import_module", missing)
    done = command(*arguments)
    assert done.code == 1
    assert done.error == 'lab: needs torch, which is not installed; run: pip install "narrows[lab]"'


def test_a_module_that_is_missing_inside_the_laboratory_is_no_missing_torch(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError("No module named 'narrows.lab.cli'", name="narrows.lab.cli")

    monkeypatch.setattr("narrows.cli.lab.import_module", missing)
    done = command("lab")
    assert done.code == 1
    assert "fault in narrows" in done.error


# Bad input: each with its exit code and one line


def test_a_text_file(command: Command, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "other.nrws").write_text("no narrows file")
    done = command("encode", "text.png", "-p", "PROFILE")
    assert done.code == 3
    assert done.error.startswith("text.png: is not a picture")
    for name in ("decode", "info", "verify"):
        done = command(name, "other.nrws")
        assert done.code == 3
        assert done.error.startswith("other.nrws: begins with b'no narro', a narrows file begins with ")


def test_an_empty_file(command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert "empty: is empty: 0 bytes" in command("encode", "empty", "-p", "PROFILE").error
    for name in ("encode", "decode", "info", "verify"):
        done = command(name, "empty", *(["-p", "PROFILE"] if name == "encode" else []))
        assert done.code == 3
        assert done.error.startswith("empty: ")


def test_a_missing_file(command: Command) -> None:
    for name in ("encode", "decode", "info", "verify"):
        done = command(name, "missing")
        assert done.code == 1
        assert done.error == "missing: does not exist; check the name"


def test_a_missing_file_among_others(command: Command, photo: Path) -> None:
    done = command("encode", "missing", "photo.png", "-p", "PROFILE")
    assert done.code == 1
    assert done.error == "missing: does not exist; check the name"
    assert done.out.startswith("photo.png -> photo.nrws")


def test_a_file_of_another_profile(command: Command, coded: Path, grey_profile: Path) -> None:
    done = command("decode", "coded.nrws", "-p", str(grey_profile))
    assert done.code == 4
    assert done.error.startswith("coded.nrws: ")
    done = command("decode", "coded.nrws")
    assert done.code == 4
    assert "name its folder with -p" in done.error
    assert command("verify", "coded.nrws", "--deep").code == 4


def test_a_missing_profile(command: Command, photo: Path, tmp_path: Path) -> None:
    done = command("encode", "photo.png", "photo.png", "-o", "x/", "-p", "nowhere")
    assert done.code == 2, "two inputs with one output come first"
    save_photo(tmp_path / "b.png")
    done = command("encode", "photo.png", "b.png", "-p", "nowhere")
    assert done.code == 4
    assert "nowhere" in done.error


def test_a_damaged_file_is_told_before_a_missing_profile(command: Command, coded: Path) -> None:
    coded.write_bytes(coded.read_bytes()[:-1])
    done = command("decode", "coded.nrws")
    assert done.code == 3
    assert "the end is missing" in done.error


def test_a_folder_without_pictures(command: Command, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name, kind in (("encode", "pictures"), ("decode", "narrows files"), ("info", "narrows files")):
        done = command(name, "folder")
        assert done.code == 3
        assert done.error.startswith(f"folder: is a folder without {kind}")


def test_an_existing_output(command: Command, photo: Path) -> None:
    Path("photo.nrws").write_bytes(b"precious")
    done = command("encode", "photo.png", "-p", "PROFILE")
    assert done.code == 1
    assert done.error == "photo.nrws: exists already; --force overwrites it"
    assert Path("photo.nrws").read_bytes() == b"precious"
    assert command("encode", "photo.png", "--force", "-p", "PROFILE").code == 0
    assert Path("photo.nrws").read_bytes() != b"precious"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["-q", "101"], "101"),
        (["-q", "-1"], "-1"),
        (["-q", "nan"], "nan"),
        (["-q", "high"], "high"),
        (["--effort", "10"], "10"),
        (["--target-bytes", "0"], "0"),
        (["--target-psnr", "0"], "0"),
        (["--target-psnr", "inf"], "inf"),
        (["--target-bytes", "9", "--target-psnr", "30"], "exclude each other"),
        (["-q", "75", "--target-bytes", "9"], "exclude each other"),
        (["-j", "0"], "0"),
        (["--threads", "0"], "0"),
        (["--no-such-option"], "--no-such-option"),
        (["photo.png"], "both become"),
    ],
)
def test_usage_errors(arguments: list[str], reason: str, command: Command, photo: Path) -> None:
    done = command("encode", "photo.png", "-p", "PROFILE", *arguments)
    assert done.code == 2
    assert reason in done.error
    assert not Path("photo.nrws").exists()


def test_more_usage_errors(command: Command) -> None:
    assert "Missing argument 'IN...'" in command("encode").error
    assert command("encode").code == 2
    assert "No such command 'squeeze'" in command("squeeze").error
    assert command("squeeze").code == 2


def test_no_bytes_on_stdin(colour_profile: Path) -> None:
    for name in ("encode", "decode"):
        done = shell(name, "-", "-p", colour_profile)
        assert done.returncode == 3
        assert done.stdout == b""
        assert done.stderr.startswith(b"narrows: stdin: ")
        assert done.stderr.count(b"\n") == 1
    assert shell("info", "-").returncode == 3


def test_an_output_that_cannot_be_written(command: Command, photo: Path) -> None:
    Path("file").touch()
    for place in ("file/x.nrws", *(["/proc/x.nrws"] if Path("/proc").is_dir() else [])):
        done = command("encode", "photo.png", "-o", place, "-p", "PROFILE")
        assert done.code == 1
        assert done.error.startswith(f"{place}: cannot be written: ")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(command: Command, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    done = command("encode", "photo.png", "-o", "locked", "-p", "PROFILE")
    assert done.code == 1
    assert "Permission denied" in done.error


def test_an_input_as_its_own_output(command: Command, photo: Path) -> None:
    before = photo.read_bytes()
    done = command("encode", "photo.png", "-o", "photo.png", "--force", "-p", "PROFILE")
    assert done.code == 2
    assert done.error == "photo.png: would be overwritten by its own result; name another output with -o"
    assert photo.read_bytes() == before


def test_many_inputs_and_one_output(command: Command, photo: Path, tmp_path: Path) -> None:
    save_photo(tmp_path / "b.png")
    done = command("encode", "photo.png", "b.png", "-o", "x.nrws", "-p", "PROFILE")
    assert done.code == 2
    assert "one file and there are 2 inputs" in done.error


def test_a_picture_over_the_limits(command: Command, tmp_path: Path) -> None:
    Image.new("1", (66000, 1)).save(tmp_path / "wide.png")
    done = command("encode", "wide.png", "-p", "PROFILE")
    assert done.code == 5
    assert "the format allows 65535 a side" in done.error


@pytest.mark.parametrize("name", ["encode", "decode", "info", "verify"])
def test_limits_of_the_caller(name: str, command: Command, coded: Path, photo: Path) -> None:
    source = photo if name == "encode" else coded
    options = ["-p", "PROFILE", "--force"] if name in ("encode", "decode") else []
    size = source.stat().st_size
    assert command(name, source.name, *options, "--max-pixels", "2240", "--max-bytes", str(size)).code == 0
    for option, limit in (("--max-pixels", 2239), ("--max-bytes", size - 1)):
        done = command(name, source.name, *options, option, str(limit))
        assert done.code == 5
        assert done.error.endswith(option)
        assert str(limit) in done.error


def test_a_limit_on_metadata(command: Command, codec: Codec) -> None:
    image = Image.fromarray(photo_like(16, 16))
    image.info["icc_profile"] = bytes(300)
    Path("icc.nrws").write_bytes(codec.encode(image))
    assert command("info", "icc.nrws", "--max-metadata", "300").code == 0
    done = command("info", "icc.nrws", "--max-metadata", "299")
    assert (done.code, "300 bytes of icc, the limit is 299" in done.error) == (5, True)


def test_failures_as_json(command: Command, tmp_path: Path, photo: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    done = command("encode", "text.png", "photo.png", "--json", "-p", "PROFILE")
    failure, success = map(json.loads, done.out.splitlines())
    assert failure["input"] == "text.png"
    assert (failure["error"], failure["exit_code"]) == ("PictureError", 3)
    assert (success["input"], success["output"]) == ("photo.png", "photo.nrws")
    assert success["ratio"] == success["bytes"] / success["input_bytes"]


def test_quiet_still_tells_errors(command: Command) -> None:
    assert "missing" in command("info", "missing", "--quiet").error


# Terminals


def test_bytes_do_not_go_to_a_terminal(command: Command, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    done = command("encode", "photo.png", "-o", "-", "-p", "PROFILE")
    assert done.code == 2
    assert "stdout is a terminal" in done.error


def test_stdin_is_not_a_terminal(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    done = command("info", "-")
    assert done.code == 2
    assert "stdin, which is a terminal" in done.error


def test_progress_is_shown_on_a_terminal_only(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "b.png", "c.png"):
        save_photo(tmp_path / name)
    assert command("encode", ".", "-o", "x/", "-p", "PROFILE").err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr("tqdm.std.tqdm.__init__", _eager(monkeypatch))
    assert "100%" in command("encode", ".", "-o", "y/", "-p", "PROFILE").err
    assert "100%" in command("encode", "a.png", "-o", "z/", "-p", "PROFILE").err
    done = command("encode", ".", "-o", "w/", "--quiet", "-p", "PROFILE")
    assert done.err == ""


def _eager(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """tqdm without its delay, which would hide the bar of a quick job."""
    from tqdm import tqdm

    original = tqdm.__init__

    def start(self: Any, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **{**options, "delay": 0, "mininterval": 0})

    return start


# Interruption


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("at_once", ["1", "2"])
def test_an_interrupt_leaves_whole_files_only(at_once: str, tmp_path: Path, colour_profile: Path) -> None:
    for number in range(300):
        save_photo(tmp_path / "in" / f"{number:03}.png", 64, 64)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "narrows", "encode", tmp_path / "in", "-o", f"{tmp_path}/out/"),
            *("-j", at_once, "-p", str(colour_profile), "--effort", "8"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # a background job of a shell ignores SIGINT, and so would its children
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert err.strip().startswith(b"narrows: interrupted; ")
    assert err.endswith(b" of 300 files are done\n")
    written = list((tmp_path / "out").iterdir())
    assert 0 < len(written) < 300
    assert all(path.suffix == ".nrws" for path in written)
    for path in written:
        narrows.verify(path)


def test_nothing_is_written_after_an_interrupt(tmp_path: Path) -> None:
    jobs = [Job(name=str(n), path=None, relative=Path(str(n)), target=tmp_path / str(n)) for n in range(2)]
    first_failed = threading.Event()

    def work(job: Job, progress: object) -> Result:
        if job.name == "0":
            raise KeyboardInterrupt
        first_failed.wait(0.5)
        return Result(line="", record={}, content=b"late")

    with pytest.raises(KeyboardInterrupt):
        run_jobs(jobs, work, Manner(at_once=2))
    time.sleep(0)
    assert list(tmp_path.iterdir()) == []


# Errors and exit codes


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError("disk"), 1),
        (RuntimeError("unforeseen"), 1),
        (click.UsageError("usage"), 2),
        (OptionError("option"), 2),
        (FormatError("format"), 3),
        (PictureError("picture"), 3),
        (ProfileError("profile"), 4),
        (LimitError("limit"), 5),
        (MemoryError(), 5),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
    ],
)
def test_each_error_has_its_exit_code_and_one_line(error: BaseException, code: int) -> None:
    assert exit_code(error) == code
    assert "\n" not in describe(error, "name")
    assert describe(error)


def test_a_fault_of_ours_is_one_line_too(
    command: Command, coded: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("narrows.container.read", broken)
    done = command("verify", "coded.nrws")
    assert done.code == 1
    assert done.error.startswith("coded.nrws: RuntimeError: two lines; this is a fault in narrows")
    monkeypatch.setenv(DEBUG, "1")
    assert "Traceback" in command("verify", "coded.nrws").err


def test_a_warning_has_one_line(command: Command, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def warn(*_: object, **__: object) -> bytes:
        warnings.warn("two\nlines", ConversionWarning, stacklevel=1)
        raise OptionError("no")

    monkeypatch.setattr(Codec, "encode", warn)
    done = command("encode", "photo.png", "-p", "PROFILE")
    assert done.err.splitlines() == ["narrows: photo.png: warning: two lines", "narrows: photo.png: no"]
