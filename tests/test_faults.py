"""Faults of disks, places, streams and processes: whole files or none, one clear line, the right exit code.

Nothing here is simulated inside of narrows: processes are killed, disks are full, names are what file systems allow.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from pictures import photo_like
from PIL import Image

from narrows.cli.main import run
from narrows.codec import Codec

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX system")

CRAMPED = 16384  # bytes that a full disk still takes


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What a run of the command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


Command = Callable[..., Finished]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], colour_profile: Path) -> Command:
    """Run the command line here, with an untrained profile."""

    def call(name: str, *words: str | Path) -> Finished:
        profile = [] if name == "info" else ["-p", str(colour_profile)]
        code = run([name, *profile, *map(str, words)])
        captured = capsys.readouterr()
        return Finished(code=code, out=captured.out, err=captured.err)

    return call


def process(*words: str | Path | bytes, profile: Path, **options: object) -> subprocess.Popen[bytes]:
    """The command as a process of its own."""
    head, *rest = words
    arguments = [sys.executable, "-m", "narrows", head, "-p", profile, *rest]
    return subprocess.Popen(arguments, stderr=subprocess.PIPE, **options)  # type: ignore[call-overload, no-any-return]


def noise(seed: int = 0) -> Image.Image:
    """A picture that no format makes smaller than `CRAMPED`."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (400, 480, 3), dtype=np.uint8))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(photo_like(40, 56)).save(path)
    return path


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Kill -9

EVERY_LINE = """
import itertools, json, os, signal, sys
from pathlib import Path
from narrows.cli import files

folder, old, force = Path(sys.argv[1]), sys.argv[2] == "old", sys.argv[3] == "force"
path, before, after = folder / "photo.nrws", b"old" * 1000, b"new" * 30000

def pieces(file):
    for start in range(0, len(after), 30000):
        file.write(after[start : start + 30000])
        file.flush()

def write(moment):
    left = itertools.count(moment, -1)
    def trace(frame, event, argument):
        if frame.f_code.co_filename in (files.__file__, "<string>") and event == "line" and next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace
    sys.settrace(trace)
    files.write_whole(path, pieces, force=force)
    sys.settrace(None)

seen, killed = [], 0
for moment in itertools.count():
    for each in folder.iterdir():
        each.unlink()
    if old:
        path.write_bytes(before)
    child = os.fork()
    if child == 0:
        write(moment)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    names = sorted(each.name for each in folder.iterdir())
    content = path.read_bytes() if path.exists() else None
    seen.append("old" if content == before else "new" if content == after else "none" if content is None else "BROKEN")
    assert all(name == path.name or (name.startswith(".") and name.endswith(".part")) for name in names), names
    if status == 0:
        break
    killed += 1
print(json.dumps([killed, seen]))
"""


@pytest.mark.parametrize(("there", "force"), [("old", "force"), ("none", "force"), ("none", "careful")])
def test_a_kill_at_every_line_of_writing_leaves_the_old_file_or_the_new(there: str, force: str, tmp_path: Path) -> None:
    """And under the file's own name never a part of it; a part under a hidden name may stay."""
    words = [sys.executable, "-c", EVERY_LINE, str(tmp_path), there, force]
    killed, seen = json.loads(subprocess.run(words, check=True, capture_output=True, timeout=120).stdout)
    assert killed > 25
    assert set(seen) == {there, "new"}
    assert seen == [there] * seen.count(there) + ["new"] * seen.count("new"), "once new it stays new"
    assert seen[-1] == "new", "at last nobody kills it"


ANY_MOMENT = """
import json, os, random, signal, sys, time
from pathlib import Path
import constriction, numpy, onnxruntime, safetensors, narrows.codec, narrows.cli.saving  # once for all children
from narrows.cli.main import run

folder, profile, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
dice = random.Random(5)

def child(*words):
    number = os.fork()
    if number == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(run([*words, "--force", "--threads", "1", "-p", profile]))
    return number

def whole(*words):
    begun = time.perf_counter()
    assert os.waitpid(child(*words), 0)[1] == 0, words
    return time.perf_counter() - begun

jobs = {
    "x.nrws": [("encode", str(folder / name), "-o", str(folder / "x.nrws")) for name in ("a.png", "b.png")],
    "y.png": [("decode", str(folder / name), "-o", str(folder / "y.png")) for name in ("a.nrws", "b.nrws")],
}
results = {"killed": 0, "old": 0, "new": 0}
for target, two in jobs.items():
    path, contents, seconds = folder / target, [], 0.0
    for words in two:
        seconds = max(seconds, whole(*words))
        contents.append(path.read_bytes())
    now = 1
    for _ in range(rounds):
        number = child(*two[1 - now])
        time.sleep(dice.uniform(0.2, 1.1) * seconds)
        os.kill(number, signal.SIGKILL)
        results["killed"] += os.WIFSIGNALED(os.waitpid(number, 0)[1])
        found = path.read_bytes()
        assert found in contents, (target, len(found), [len(content) for content in contents])
        results["old" if found == contents[now] else "new"] += 1
        now = contents.index(found)
print(json.dumps(results))
"""


def test_a_kill_at_any_moment_of_an_encode_or_decode(tmp_path: Path, codec: Codec, colour_profile: Path) -> None:
    for seed, name in enumerate(("a", "b")):
        noise(seed).save(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.nrws").write_bytes(codec.encode(tmp_path / f"{name}.png", quality=90))
    words = [sys.executable, "-c", ANY_MOMENT, str(tmp_path), str(colour_profile), "20"]
    done = subprocess.run(words, capture_output=True, timeout=240)
    assert done.returncode == 0, done.stderr.decode()
    results = json.loads(done.stdout)
    assert results["killed"] > 10
    assert results["old"] > 0
    names = {"a.png", "a.nrws", "b.png", "b.nrws", "x.nrws", "y.png"}
    assert all(name.startswith(".") and name.endswith(".part") for name in set(listing(tmp_path)) - names)


# Full and read-only disks


def mounted(folder: Path) -> Path:
    """A small file system in memory, or skip."""
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={CRAMPED}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(words, capture_output=True, check=False)
    except OSError as error:
        pytest.skip(f"nothing can be mounted here: {error}")
    if done.returncode != 0:
        pytest.skip(f"nothing can be mounted here: {done.stderr.decode().strip()}")
    return folder


@dataclass(frozen=True, kw_only=True)
class Cramped:
    """A folder in which no file becomes larger than `CRAMPED` inside of `limit()`; what the system says of one."""

    folder: Path
    reason: str
    limit: Callable[[], AbstractContextManager[None]]


@pytest.fixture(params=["a full disk", "a limit on the size of files"])
def cramped(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cramped]:
    if request.param == "a full disk":
        folder = mounted(tmp_path / "disk")
        yield Cramped(folder=folder, reason=os.strerror(errno.ENOSPC), limit=nullcontext)
        subprocess.run(["umount", str(folder)], check=True)
        return
    (tmp_path / "disk").mkdir()
    yield Cramped(folder=tmp_path / "disk", reason=os.strerror(errno.EFBIG), limit=small_files)


@contextmanager
def small_files() -> Iterator[None]:
    """No file of this process becomes larger than `CRAMPED`, the log of the tests neither: for a command alone."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (CRAMPED, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, codec: Codec) -> Path:
    """A folder with a picture that no disk of `CRAMPED` takes, as PNG and coded."""
    folder = tmp_path_factory.mktemp("inputs")
    noise().save(folder / "n.png")
    (folder / "n.nrws").write_bytes(codec.encode(folder / "n.png", quality=100))
    return folder


@pytest.mark.parametrize("suffix", [".nrws", ".png", ".jpg", ".webp", ".tif", ".avif", ".bmp", ".ppm", ".tga"])
@pytest.mark.parametrize("there", [False, True])
def test_a_full_disk_is_said_and_leaves_nothing(
    suffix: str, there: bool, cramped: Cramped, inputs: Path, command: Command
) -> None:
    folder, reason = cramped.folder, cramped.reason
    target = folder / f"x{suffix}"
    if there:
        target.write_bytes(b"old")
    with cramped.limit():
        if suffix == ".nrws":
            done = command("encode", inputs / "n.png", "-o", target, "-q", "100", "--force")
        else:
            done = command("decode", inputs / "n.nrws", "-o", target, "--force")
    assert done.code == 1, done.out
    assert done.err == f"narrows: {target}: cannot be written: {reason}; choose another place with -o\n"
    assert listing(folder) == ([target.name] if there else [])
    assert not there or target.read_bytes() == b"old"


def test_of_many_files_those_that_fit_are_written(
    cramped: Cramped, inputs: Path, tmp_path: Path, command: Command
) -> None:
    folder = cramped.folder
    tiny = tmp_path / "tiny.png"
    noise().crop((0, 0, 16, 16)).save(tiny)
    with cramped.limit():
        done = command("encode", inputs / "n.png", tiny, "-o", f"{folder}/", "-q", "100")
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert listing(folder) == ["tiny.nrws"]
    assert command("verify", "--deep", folder).code == 0


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder that takes no file: locked for others than root, of a file system mounted to be read for root."""
    if os.geteuid() != 0:
        folder = tmp_path / "locked"
        folder.mkdir(mode=0o500)
        yield folder
        folder.chmod(0o700)
        return
    folder = mounted(tmp_path / "disk")
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("place", ["x.nrws", "new/x.nrws"])
def test_a_folder_that_is_read_only(place: str, read_only: Path, photo: Path, command: Command) -> None:
    done = command("encode", photo, "-o", read_only / place)
    assert done.code == 1
    reasons = {os.strerror(errno.EROFS), os.strerror(errno.EACCES)}
    lines = {
        f"narrows: {read_only / place}: cannot be written: {reason}; choose another place with -o\n"
        for reason in reasons
    }
    assert done.err in lines
    assert listing(read_only) == []


# Names

NAMES = {
    "spaces": b" two  words .png",
    "a line end": b"two\nlines.png",
    "a carriage return": b"over\rwritten.png",
    "a colour for terminals": b"\x1b[31mred.png",
    "turned around": "\u202egnp.png".encode(),
    "other alphabets": "ümläut 日本語 😀.png".encode(),
    "no UTF-8": b"latin \xfc \xff\xfe.png",
    "a dash": b"-o.png",
    "quotes": b'it\'s "quoted" \\ $HOME `ls`.png',
    "patterns": b"*?[a]{} %s %d.png",
    "hidden": b".hidden.png",
    "no suffix": b"photo.",
    "long": b"n" * 246 + b".png",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_file_may_have_any_name(
    name: bytes, photo: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    monkeypatch.chdir(folder)
    source = Path(os.fsdecode(name))
    try:
        source.write_bytes(photo.read_bytes())
    except (OSError, UnicodeEncodeError) as error:
        pytest.skip(f"this file system has no such names: {error}")
    coded = source.with_name(source.stem + ".nrws")
    done = command("encode", "--", source)
    assert (done.code, done.err) == (0, "")
    assert listing(folder) == sorted([str(source), str(coded)])
    assert done.out.count("\n") == 1
    assert all(letter.isprintable() for letter in done.out[:-1])
    assert json.loads(command("info", "--json", "--", coded).out)["input"] == str(coded)
    back = command("decode", "--json", "-o", "back.png", "--", coded)
    assert (back.code, json.loads(back.out)["input"]) == (0, str(coded))
    again = command("encode", "--", source)
    assert again.code == 1
    assert again.err.count("\n") == 1
    assert all(letter.isprintable() for letter in again.err[:-1])
    assert again.err.endswith(": exists already; --force overwrites it\n")


def test_a_name_that_stdout_cannot_spell_is_spelt_otherwise(photo: Path, tmp_path: Path, colour_profile: Path) -> None:
    name = tmp_path / "日本 😀.png"
    name.write_bytes(photo.read_bytes())
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1:strict"}
    for words in ((), ("--json",)):
        done = process(
            "encode", name, *words, "--force", profile=colour_profile, stdout=subprocess.PIPE, env=environment
        )
        out, err = done.communicate(timeout=60)
        assert (done.returncode, err) == (0, b"")
        text = out.decode("latin-1")
        found = json.loads(text)["input"] if words else text.split(" -> ")[0]
        assert found == (str(name) if words else str(name).encode("latin-1", "backslashreplace").decode())


# Links, and outputs that are inputs


def test_a_link_to_a_picture_is_the_picture(photo: Path, tmp_path: Path, command: Command) -> None:
    (tmp_path / "link.png").symlink_to("photo.png")
    assert command("encode", tmp_path / "link.png").code == 0
    assert (tmp_path / "link.nrws").is_file()


@pytest.mark.parametrize("target", ["nowhere", "nowhere/deep", "loop.png"])
def test_a_dangling_link_is_no_picture(target: str, photo: Path, tmp_path: Path, command: Command) -> None:
    link = tmp_path / "loop.png"
    link.symlink_to(tmp_path / target)
    done = command("encode", link)
    assert done.code == 1
    reason = os.strerror(errno.ELOOP) if target == link.name else "does not exist; check the name"
    assert done.err == f"narrows: {link}: {reason}\n"
    done = command("encode", tmp_path, "-o", f"{tmp_path}/out/")
    assert (done.code, done.err) == (0, ""), "the sound picture beside it is coded"
    assert listing(tmp_path / "out") == ["photo.nrws"]


def test_an_output_that_is_a_dangling_link_makes_the_file_it_names(
    photo: Path, tmp_path: Path, command: Command
) -> None:
    """Only with --force: the name is taken."""
    link = tmp_path / "link.nrws"
    link.symlink_to(tmp_path / "real.nrws")
    done = command("encode", photo, "-o", link)
    assert (done.code, done.err) == (1, f"narrows: {link}: exists already; --force overwrites it\n")
    assert command("encode", photo, "-o", link, "--force").code == 0
    assert link.is_symlink()
    assert command("verify", tmp_path / "real.nrws").code == 0


def test_a_link_in_a_circle_is_replaced_or_left(photo: Path, tmp_path: Path, command: Command) -> None:
    link = tmp_path / "loop.nrws"
    link.symlink_to(link)
    done = command("encode", photo, "-o", link)
    assert (done.code, done.err) == (1, f"narrows: {link}: exists already; --force overwrites it\n")
    assert command("encode", photo, "-o", link, "--force").code in (0, 1)
    assert listing(tmp_path) == ["loop.nrws", "photo.png"]


@pytest.mark.parametrize("how", ["itself", "symlink", "hard link", "linked folder", "input is the link"])
def test_no_input_is_its_own_output(how: str, photo: Path, tmp_path: Path, command: Command) -> None:
    before = photo.read_bytes()
    source, target = photo, tmp_path / "other.png"
    if how == "itself":
        target = tmp_path / "." / "photo.png"
    elif how == "symlink":
        target.symlink_to(photo)
    elif how == "hard link":
        target.hardlink_to(photo)
    elif how == "linked folder":
        (tmp_path / "folder").symlink_to(tmp_path)
        target = tmp_path / "folder" / "photo.png"
    else:
        target.symlink_to(photo)
        source, target = target, photo
    done = command("encode", source, "-o", target, "--force")
    assert done.code == 2
    assert done.err == f"narrows: {source}: would be overwritten by its own result; name another output with -o\n"
    assert photo.read_bytes() == before


def test_two_outputs_that_a_link_makes_one_are_refused(photo: Path, tmp_path: Path, command: Command) -> None:
    other = tmp_path / "b.png"
    other.write_bytes(photo.read_bytes())
    (tmp_path / "b.nrws").symlink_to(tmp_path / "photo.nrws")
    done = command("encode", photo, other, "--force")
    assert done.code == 2
    assert "would both become" in done.err
    assert not (tmp_path / "photo.nrws").exists()


# Streams


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("name", ["encode", "decode"])
def test_a_device_that_is_full(name: str, inputs: Path, colour_profile: Path, command: Command) -> None:
    source, full = inputs / ("n.png" if name == "encode" else "n.nrws"), os.strerror(errno.ENOSPC)
    if name == "encode":
        done = command(name, source, "-o", "/dev/full")
        assert done.code == 1
        assert done.err == f"narrows: /dev/full: cannot be written: {full}; choose another place with -o\n"
    with open("/dev/full", "wb") as out:  # noqa: PTH123
        child = process(name, source, "-o", "-", profile=colour_profile, stdout=out)
        _, err = child.communicate(timeout=60)
    assert (child.returncode, err.decode()) == (1, f"narrows: stdout: cannot be written: {full}\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_words_that_cannot_be_written(photo: Path, tmp_path: Path, colour_profile: Path) -> None:
    """On stdout they are results, and that they are lost is an error; on stderr nobody misses them."""
    with open("/dev/full", "wb") as out:  # noqa: PTH123
        child = process("encode", photo, profile=colour_profile, stdout=out)
        _, err = child.communicate(timeout=60)
    assert child.returncode == 1
    assert err.decode() == f"narrows: stdout: cannot be written: {os.strerror(errno.ENOSPC)}\n"
    Image.new("CMYK", (8, 8)).save(tmp_path / "warns.jpg")
    words = [
        sys.executable,
        "-m",
        "narrows",
        "encode",
        "-p",
        colour_profile,
        tmp_path / "warns.jpg",
        tmp_path / "missing",
    ]
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = subprocess.run(list(map(str, words)), stdout=subprocess.PIPE, stderr=full, timeout=60, check=False)
    assert done.returncode == 1, "one of two is missing"
    assert done.stdout.startswith(f"{tmp_path}/warns.jpg -> ".encode())
    assert (tmp_path / "warns.nrws").is_file()


@pytest.mark.parametrize("binary", [True, False])
def test_a_reader_that_has_gone(binary: bool, inputs: Path, tmp_path: Path, colour_profile: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    words: list[str | Path] = [inputs / "n.png", "-o", "-" if binary else tmp_path / "x.nrws"]
    child = process("encode", *words, profile=colour_profile, stdout=write)
    os.close(write)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 1
    assert b"Traceback" not in err
    if binary:
        assert err.decode() == f"narrows: stdout: cannot be written: {os.strerror(errno.EPIPE)}\n"
    else:
        assert listing(tmp_path) == ["x.nrws"]


@pytest.mark.parametrize(
    ("closed", "words", "code", "line"),
    [
        (1, ["photo.png", "-o", "-"], 1, "narrows: stdout: is closed; name a file with -o\n"),
        (1, ["photo.png", "-o", "x.nrws"], 0, ""),
        (0, ["-", "-o", "x.nrws"], 1, "narrows: stdin: is closed; name a file instead of '-'\n"),
        (0, ["photo.png", "-o", "x.nrws"], 0, None),
    ],
)
def test_streams_that_were_closed_before(
    closed: int, words: list[str], code: int, line: str | None, photo: Path, colour_profile: Path
) -> None:
    child = process(
        "encode",
        *words,
        profile=colour_profile,
        cwd=photo.parent,
        stdout=None if closed == 1 else subprocess.DEVNULL,
        preexec_fn=lambda: os.close(closed),
    )
    _, err = child.communicate(timeout=60)
    assert child.returncode == code, err
    assert line is None or err.decode() == line
    assert (photo.parent / "x.nrws").exists() == (code == 0)


def test_a_pipe_with_a_name(photo: Path, tmp_path: Path, colour_profile: Path) -> None:
    """It is read once, has no size, and gives what the file gives."""
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    child = process("encode", fifo, "-o", tmp_path / "x.nrws", profile=colour_profile, stdout=subprocess.PIPE)
    fifo.write_bytes(photo.read_bytes())
    out, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (0, b"")
    share = (tmp_path / "x.nrws").stat().st_size / photo.stat().st_size
    assert out.decode().endswith(f"{share:.1%} of the input\n")
