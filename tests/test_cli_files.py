"""cli/files.py and cli/jobs.py: files written whole or not at all, and which output belongs to which input."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO

import click
import pytest

from narrows.cli.files import check_writable, write_whole
from narrows.cli.jobs import NARROWS_SUFFIXES, Job, find_jobs, plan_outputs
from narrows.errors import OptionError, PictureError
from narrows.inputs import PICTURE_SUFFIXES

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX system")


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def _listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Writing


def test_a_file_is_written_and_nothing_else_stays(tmp_path: Path) -> None:
    write_whole(tmp_path / "new" / "a.nrws", b"bytes", force=False)
    assert (tmp_path / "new" / "a.nrws").read_bytes() == b"bytes"
    assert _listing(tmp_path / "new") == ["a.nrws"]


@posix
def test_a_function_writes_into_the_file_and_may_seek(tmp_path: Path) -> None:
    def content(file: BinaryIO) -> None:
        file.write(b"bytes")
        file.seek(0)
        file.write(b"B")

    write_whole(tmp_path / "a", content, force=False)
    assert (tmp_path / "a").read_bytes() == b"Bytes"
    reader, writer = os.pipe()  # in which nothing can seek
    write_whole(Path(f"/dev/fd/{writer}"), content, force=False)
    assert os.read(reader, 10) == b"Bytes"
    for end in (reader, writer):
        os.close(end)


def test_an_existing_file_needs_force(tmp_path: Path) -> None:
    _touch(tmp_path, "a")
    with pytest.raises(FileExistsError, match="--force"):
        write_whole(tmp_path / "a", b"new", force=False)
    assert (tmp_path / "a").read_bytes() == b"x"
    write_whole(tmp_path / "a", b"new", force=True)
    assert (tmp_path / "a").read_bytes() == b"new"
    assert _listing(tmp_path) == ["a"]


def test_a_file_that_appears_at_the_last_moment_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(descriptor: int) -> None:
        _touch(tmp_path, "a")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(FileExistsError, match="--force"):
        write_whole(tmp_path / "a", b"new", force=False)
    assert (tmp_path / "a").read_bytes() == b"x"
    assert _listing(tmp_path) == ["a"]


def test_a_file_system_without_links_still_gets_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", link)
    write_whole(tmp_path / "a", b"new", force=False)
    assert (tmp_path / "a").read_bytes() == b"new"
    assert _listing(tmp_path) == ["a"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()])
@pytest.mark.parametrize("force", [True, False])
def test_nothing_stays_of_a_file_that_could_not_be_finished(
    error: BaseException, force: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(descriptor: int) -> None:
        raise error

    _touch(tmp_path, "a") if force else None
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(type(error)):
        write_whole(tmp_path / "a", b"new", force=force)
    assert _listing(tmp_path) == (["a"] if force else [])
    assert not force or (tmp_path / "a").read_bytes() == b"x"


def test_a_file_used_as_a_folder_is_told_clearly(tmp_path: Path) -> None:
    _touch(tmp_path, "file")
    with pytest.raises(OSError, match=r"cannot be written: .*; choose another place with -o") as caught:
        write_whole(tmp_path / "file" / "a.nrws", b"", force=False)
    assert caught.value.filename == str(tmp_path / "file" / "a.nrws")


@posix
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc")
def test_a_folder_that_takes_no_files_is_told_clearly() -> None:
    with pytest.raises(OSError, match="cannot be written"):
        write_whole(Path("/proc/a.nrws"), b"", force=False)


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_told_clearly(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError, match="cannot be written"):
            write_whole(tmp_path / "a.nrws", b"", force=False)
    finally:
        tmp_path.chmod(0o700)


@posix
def test_a_device_is_written_to_and_not_replaced() -> None:
    write_whole(Path(os.devnull), b"bytes", force=False)
    write_whole(Path(os.devnull), b"bytes", force=True)
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


@posix
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    _touch(tmp_path, "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_whole(tmp_path / "link", b"new", force=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


@posix
def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "a", b"", force=False)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_a_folder_is_no_output_file(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="is a folder"):
        check_writable(tmp_path, force=True)


def test_a_long_name_fits(tmp_path: Path) -> None:
    name = "n" * 240 + ".nrws"
    write_whole(tmp_path / name, b"x", force=False)
    assert _listing(tmp_path) == [name]


# Inputs


def test_a_folder_stands_for_its_pictures(tmp_path: Path) -> None:
    _touch(tmp_path, "b.PNG", "a.jpeg", "notes.txt", ".hidden.png", "c.nrws", "deep/d.png", ".git/e.png")
    found = find_jobs([str(tmp_path)], PICTURE_SUFFIXES, recursive=False)
    assert [str(job.relative) for job in found] == ["a.jpeg", "b.PNG"]
    found = find_jobs([str(tmp_path)], PICTURE_SUFFIXES, recursive=True)
    assert [job.relative.as_posix() for job in found] == ["a.jpeg", "b.PNG", "deep/d.png"]
    found = find_jobs([str(tmp_path)], NARROWS_SUFFIXES, recursive=False)
    assert [str(job.relative) for job in found] == ["c.nrws"]


def test_a_file_may_be_called_anything(tmp_path: Path) -> None:
    _touch(tmp_path, "picture")
    [job] = find_jobs([str(tmp_path / "picture")], PICTURE_SUFFIXES, recursive=False)
    assert job.problem is None


@pytest.mark.parametrize(("recursive", "advice"), [(False, "--recursive"), (True, "without pictures")])
def test_a_folder_without_pictures_is_a_problem(recursive: bool, advice: str, tmp_path: Path) -> None:
    [job] = find_jobs([str(tmp_path)], PICTURE_SUFFIXES, recursive=recursive)
    assert isinstance(job.problem, PictureError)
    assert advice in str(job.problem)


@pytest.mark.parametrize("name", ["missing.png", "x" * 5000])
def test_a_missing_file_is_a_problem_of_its_own_only(name: str, tmp_path: Path) -> None:
    _touch(tmp_path, "a.png")
    first, second = find_jobs([str(tmp_path / name), str(tmp_path / "a.png")], PICTURE_SUFFIXES, recursive=False)
    assert isinstance(first.problem, OSError)
    assert second.problem is None


def test_stdin_is_read_once() -> None:
    with pytest.raises(click.UsageError, match="twice"):
        find_jobs(["-", "-"], PICTURE_SUFFIXES, recursive=False)


# Outputs


def _plan(tmp_path: Path, inputs: list[str], output: str | None, **options: bool) -> list[Job]:
    found = find_jobs(
        [str(tmp_path / name) for name in inputs], PICTURE_SUFFIXES, recursive=options.get("recursive", False)
    )
    return plan_outputs(found, output, ".nrws", force=options.get("force", False))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.png", "a.nrws"), ("a.b.png", "a.b.nrws"), ("a", "a.nrws"), (".a", ".a.nrws"), ("a.PNG", "a.nrws")],
)
def test_an_output_lies_beside_its_input(name: str, expected: str, tmp_path: Path) -> None:
    _touch(tmp_path, name)
    assert [job.target for job in _plan(tmp_path, [name], None)] == [tmp_path / expected]


def test_outputs_in_a_folder_keep_the_order_of_folders(tmp_path: Path) -> None:
    _touch(tmp_path, "in/a.png", "in/deep/a.png")
    planned = _plan(tmp_path, ["in"], f"{tmp_path}/out/", recursive=True)
    assert [job.target for job in planned] == [tmp_path / "out" / "a.nrws", tmp_path / "out" / "deep" / "a.nrws"]


def test_an_existing_folder_needs_no_slash(tmp_path: Path) -> None:
    _touch(tmp_path, "a.png", "out/x")
    assert [job.target for job in _plan(tmp_path, ["a.png"], str(tmp_path / "out"))] == [tmp_path / "out" / "a.nrws"]


def test_one_input_may_have_any_output(tmp_path: Path) -> None:
    _touch(tmp_path, "a.png")
    assert [job.target for job in _plan(tmp_path, ["a.png"], str(tmp_path / "b"))] == [tmp_path / "b"]


def test_many_inputs_do_not_go_into_one_file(tmp_path: Path) -> None:
    _touch(tmp_path, "a.png", "b.png")
    with pytest.raises(click.UsageError, match="one file and there are 2 inputs"):
        _plan(tmp_path, ["a.png", "b.png"], str(tmp_path / "out.nrws"))
    with pytest.raises(click.UsageError, match="stdout"):
        _plan(tmp_path, ["a.png", "b.png"], "-")


def test_two_inputs_of_one_output_are_told_before_any_work(tmp_path: Path) -> None:
    _touch(tmp_path, "a.png", "a.jpg")
    with pytest.raises(click.UsageError, match=r"a\.png and .*a\.jpg would both become .*a\.nrws"):
        _plan(tmp_path, ["a.png", "a.jpg"], None)
    with pytest.raises(click.UsageError, match="both become"):
        _plan(tmp_path, ["a.png", "a.png"], None)


def test_an_input_is_never_its_own_output(tmp_path: Path) -> None:
    _touch(tmp_path, "a.nrws", "b.png")
    [job] = _plan(tmp_path, ["a.nrws"], None, force=True)
    assert isinstance(job.problem, OptionError)
    [job] = _plan(tmp_path, ["b.png"], str(tmp_path / "x" / ".." / "b.png"), force=True)
    assert job.problem is None, "the folder x does not exist, so this is another path"
    [job] = _plan(tmp_path, ["b.png"], str(tmp_path / "." / "b.png"), force=True)
    assert isinstance(job.problem, OptionError)


def test_an_existing_output_is_a_problem_before_any_work(tmp_path: Path) -> None:
    _touch(tmp_path, "a.png", "a.nrws", "b.png")
    first, second = _plan(tmp_path, ["a.png", "b.png"], None)
    assert isinstance(first.problem, FileExistsError)
    assert second.problem is None
    assert [job.problem for job in _plan(tmp_path, ["a.png", "b.png"], None, force=True)] == [None, None]
