"""tests/hostile: what index.json says of every file is what comes of it, by every door, in bounded time and memory."""

from __future__ import annotations

import importlib.util
import io
import json
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageFile, UnidentifiedImageError

import narrows
import narrows.pillow
from narrows import errors, profiles, shared
from narrows.cli.failures import ExitCode
from narrows.cli.main import run
from narrows.cli.saving import image_writer
from narrows.compare.memory import peak_mib
from narrows.errors import FormatError, LimitError, NarrowsError, NotNarrowsError, ProfileError
from narrows.limits import Limits

FOLDER = Path(__file__).parent / "hostile"
GOLDEN = Path(__file__).parent / "golden"
INDEX: dict[str, dict[str, Any]] = json.loads((FOLDER / "index.json").read_text())
SECONDS = 5  # of the processor, for one file through one door; a picture of 4 megapixels is among them
MEBIBYTES = 96  # of Python's and numpy's memory at once
SUFFIXES = ("png", "jpg", "webp", "avif", "tif", "bmp", "ppm", "tga")

every_file = pytest.mark.parametrize("name", sorted(INDEX), ids=lambda name: name.removesuffix(".nrws"))


@pytest.fixture(scope="module", autouse=True)
def _shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An installation that ships the profiles of the golden files, so that no door needs to be told of them."""
    folder = tmp_path_factory.mktemp("shipped")
    (folder / "tiny").symlink_to(GOLDEN / "profile")
    (folder / "tiny-3").symlink_to(GOLDEN / "v3" / "profile")
    (folder / "DEFAULT").write_text("tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profiles, "_SHIPPED", folder)
        shared._codec.cache_clear()
        for name in ("every-unknown-chunk", "joint-two-columns"):
            narrows.decode(FOLDER / f"valid-{name}.nrws")  # the networks are loaded once, and not measured
        yield
    shared._codec.cache_clear()


@contextmanager
def bounded() -> Iterator[None]:
    """A block that must end within SECONDS and MEBIBYTES, however it ends."""
    tracemalloc.start()
    begun = time.process_time()
    try:
        yield
    finally:
        seconds, peak = time.process_time() - begun, tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
    assert seconds < SECONDS, f"took {seconds:.1f} seconds"
    assert peak < MEBIBYTES, f"took {peak:.0f} MiB"


@contextmanager
def refused(name: str, *, by: tuple[str, ...], also: tuple[type[Exception], ...] = (NarrowsError,)) -> Iterator[None]:
    """A block that raises the error that the index names, if a stage of `by` sees the fault; otherwise nothing.

    The error is one of `also` too.
    """
    expected = INDEX[name]
    with bounded():
        if expected["error"] is None or expected["seen"] not in by:
            yield
            return
        with pytest.raises(NarrowsError) as caught:
            yield
    kind = getattr(errors, expected["error"])
    assert isinstance(caught.value, kind) and isinstance(caught.value, also)
    assert len(str(caught.value)) < 1000
    assert expected["message"] in str(caught.value)


def limits_of(name: str) -> Limits:
    return Limits(**INDEX[name].get("limits", {}))


def test_the_index_names_every_file_and_no_other() -> None:
    assert set(INDEX) == {path.name for path in FOLDER.glob("*.nrws")}
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 300_000


def test_every_file_of_the_maker_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = importlib.util.spec_from_file_location("make_hostile", FOLDER / "make.py")
    assert spec is not None and spec.loader is not None
    make = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "make_hostile", make)
    spec.loader.exec_module(make)
    made = {f"{case.name}.nrws": case.record() for case in make.cases()}
    assert made | make.FOUND == INDEX


@every_file
def test_decode(name: str) -> None:
    with refused(name, by=("header", "file", "content")):
        image = narrows.decode(FOLDER / name, limits=limits_of(name))
        assert image.size == (narrows.info(FOLDER / name).width, narrows.info(FOLDER / name).height)


@every_file
def test_info(name: str) -> None:
    with refused(name, by=("header",)):
        narrows.info((FOLDER / name).read_bytes(), limits=limits_of(name))


@every_file
def test_verify(name: str) -> None:
    with refused(name, by=("header", "file")):
        narrows.verify(FOLDER / name, limits=limits_of(name))
    with refused(name, by=("header", "file", "content")), (FOLDER / name).open("rb") as file:
        narrows.verify(file, deep=True, limits=limits_of(name))


@every_file
def test_pillow(name: str) -> None:
    """Image.open, and the class itself where limits are set. Every error is also the one that Pillow's users catch."""
    expected = INDEX[name]
    if expected["error"] == "NotNarrowsError" or not (FOLDER / name).read_bytes():
        with pytest.raises(UnidentifiedImageError), bounded():
            Image.open(FOLDER / name)
        return
    with (
        refused(name, by=("header", "file", "content"), also=(OSError, Image.DecompressionBombError)),
        narrows.pillow.NarrowsImageFile(FOLDER / name, limits=limits_of(name)) as image,
    ):
        image.load()
    if "limits" not in expected:
        with refused(name, by=("header", "file", "content")), Image.open(FOLDER / name) as image:
            image.load()


@pytest.mark.parametrize(
    ("command", "seen"),
    [
        ("info", ("header",)),
        ("verify", ("header", "file")),
        ("verify --deep", ("header", "file", "content")),
        ("decode -o OUT", ("header", "file", "content")),
    ],
)
def test_command_line(command: str, seen: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All files at once, as an archive would be: one line for each, and none stops the others."""
    names = [name for name, expected in INDEX.items() if "limits" not in expected]
    words = [str(tmp_path) + "/" if word == "OUT" else word for word in command.split()]
    assert run([*words, "--json", *(str(FOLDER / name) for name in names)]) == ExitCode.FAILED
    out, err = capsys.readouterr()
    assert "fault in narrows" not in err
    for name, line in zip(names, out.splitlines(), strict=True):
        record, expected = json.loads(line), INDEX[name]
        error = expected["error"] if expected["seen"] in seen else None
        assert (name, record.get("error"), record.get("exit_code", 0)) == (name, error, _code(error))
        assert error is None or expected["message"] in record["message"]
        assert (tmp_path / name).with_suffix(".png").exists() == (error is None and words[0] == "decode")


@pytest.mark.parametrize("name", ["h1-png", "h9-one-bit", "a2-bomb", "h7-other-profile", "h10-65535-x-65535-version-2"])
def test_the_exit_code_of_one_file(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    expected = INDEX[f"{name}.nrws"]
    assert run(["verify", "--deep", str(FOLDER / f"{name}.nrws")]) == _code(expected["error"])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("narrows: ") and expected["message"] in line


def _code(error: str | None) -> ExitCode:
    if error is None:
        return ExitCode.DONE
    kind = getattr(errors, error)
    codes = {FormatError: ExitCode.NOT_VALID, ProfileError: ExitCode.PROFILE, LimitError: ExitCode.LIMIT}
    return next(code for parent, code in codes.items() if issubclass(kind, parent))


METADATA = [name for name in INDEX if name.startswith("metadata")]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_metadata_keep_a_picture_from_being_written(suffix: str) -> None:
    """They are left out with a warning if need be. Nor do they change a pixel: EXIF may tell of another layout."""
    for name in METADATA:
        image = narrows.decode(FOLDER / name)
        file = io.BytesIO()
        with bounded():
            image_writer(image.copy(), f".{suffix}")(file)
        with Image.open(file) as written:
            assert suffix in ("jpg", "avif") or written.convert("RGB").tobytes() == image.tobytes(), name


@every_file
def test_a_parser_that_is_fed_byte_by_byte_says_the_same(name: str) -> None:
    """Of the files that are short. ImageFile.Parser takes a cut header for one that is still coming."""
    data = (FOLDER / name).read_bytes()
    expected = INDEX[name]
    if len(data) > 200 or "limits" in expected:
        pytest.skip("long, or with limits that a parser cannot be given")
    with bounded():
        outcome = _fed(data)
    if expected["error"] is None:
        assert outcome is None
    else:
        assert isinstance(outcome, NarrowsError | UnidentifiedImageError) or "cannot parse" in str(outcome)


def _fed(data: bytes) -> Exception | None:
    """The error of a parser that got the file byte by byte, None if it gave a picture."""
    parser = ImageFile.Parser()
    try:
        for at in range(len(data)):
            parser.feed(data[at : at + 1])
        parser.close().load()
    except (NarrowsError, OSError, Image.DecompressionBombError) as error:
        return error
    return None


WALK = """
import io, sys
from pathlib import Path
import narrows
from narrows import profiles
from narrows.compare.memory import peak_mib
shipped, folder = map(Path, sys.argv[1:])
profiles._SHIPPED = shipped
for name in ("every-unknown-chunk", "joint-two-columns"):
    narrows.decode(folder / f"valid-{name}.nrws")
before = peak_mib()
for path in sorted(folder.glob("*.nrws")):
    try:
        narrows.decode(path, limits=narrows.Limits(max_pixels=25_000_000))
    except narrows.NarrowsError:
        pass
print(before, peak_mib())
"""


@pytest.mark.skipif(peak_mib() is None, reason="this system does not tell a process's peak memory")
def test_all_files_in_one_process_take_no_memory_to_speak_of() -> None:
    """The whole process, with what the networks' runtime keeps; bombs and claims of gigabytes are among the files."""
    arguments = [sys.executable, "-c", WALK, str(profiles._SHIPPED), str(FOLDER)]
    before, after = map(float, subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.split())
    assert after - before < 200


def test_a_file_object_that_gives_text_or_nothing_is_refused() -> None:
    with pytest.raises(narrows.OptionError, match="binary mode"):
        narrows.decode(io.StringIO("text"))  # type: ignore[arg-type]
    with pytest.raises(NotNarrowsError):
        narrows.decode(io.BytesIO(b"x"))


def test_names_of_strangers_are_shown_and_not_obeyed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name may hold what moves a cursor, or bytes that are no UTF-8: an archive is verified to its end."""
    good = (FOLDER / "valid-every-unknown-chunk.nrws").read_bytes()
    for name in (b"a\x1b[2J.nrws", b"b\xff.nrws", b"c.nrws"):
        try:
            Path(tmp_path / name.decode(errors="surrogateescape")).write_bytes(good)
        except OSError:
            pytest.skip("this file system wants other names")
    assert run(["verify", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "a\\u001b[2J.nrws: whole" in out and "b\\udcff.nrws: whole" in out and "c.nrws: whole" in out
    assert "\x1b" not in out
    assert run(["info", "--json", str(tmp_path)]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(record["input"]).name for record in records] == ["a\x1b[2J.nrws", "b\udcff.nrws", "c.nrws"]


def test_a_folder_deeper_than_the_stack_is_verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    depth = min(1100, (4000 - len(str(tmp_path))) // 2)
    folders = [tmp_path.joinpath(*"d" * above) for above in range(1, depth + 1)]
    file = folders[-1] / "file.nrws"
    try:
        for folder in folders:
            folder.mkdir()
        file.write_bytes((FOLDER / "valid-every-unknown-chunk.nrws").read_bytes())
        assert run(["verify", "--recursive", str(tmp_path)]) == 0
        assert capsys.readouterr().out.endswith("file.nrws: whole\n")
    finally:  # pytest would remove it recursively
        file.unlink(missing_ok=True)
        for folder in reversed(folders):
            folder.rmdir()


@pytest.mark.parametrize("character", ["a", "ä", "木", "🌲"])
def test_a_name_as_long_as_can_be_is_decoded(character: str, tmp_path: Path) -> None:
    name = character * ((255 - len(".nrws")) // len(character.encode()))
    try:
        (tmp_path / f"{name}.nrws").write_bytes((FOLDER / "valid-every-unknown-chunk.nrws").read_bytes())
    except OSError:
        pytest.skip("this file system has other limits")
    assert run(["decode", "--quiet", str(tmp_path / f"{name}.nrws")]) == 0
    assert (tmp_path / f"{name}.png").exists()
