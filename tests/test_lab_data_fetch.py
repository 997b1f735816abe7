"""Fetching over HTTP, from a server on this machine: what arrives is checked, and nothing else is ever used."""

from __future__ import annotations

import gzip
import hashlib
import io
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from data_files import idx_files, unpack

pytest.importorskip("torch")
pytest.importorskip("pooch")

from narrows.errors import NarrowsError
from narrows.lab.data import load, loader
from narrows.lab.data.fetch import RemoteFile, cache_folder, fetch, is_official
from narrows.lab.data.sources import MNIST

DATA = gzip.compress(b"an official file" * 1000, mtime=0)


class Server:
    """A web server over a folder; `asked` lists the paths that were requested."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked = folder, list[str]()
        asked = self.asked

        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, *arguments: object) -> None:
                asked.append(self.path)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/{name}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    (tmp_path / "served").mkdir()
    made = Server(tmp_path / "served")
    yield made
    made.close()


def remote(name: str, data: bytes, *urls: str) -> RemoteFile:
    return RemoteFile(name=name, urls=urls, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def test_a_file_is_fetched_once(server: Server, tmp_path: Path) -> None:
    (server.folder / "a.gz").write_bytes(DATA)
    file = remote("a.gz", DATA, server.url("a.gz"))
    cache = tmp_path / "cache" / "set"
    assert not is_official(file, cache)
    assert fetch(file, cache, progress=False).read_bytes() == DATA
    assert is_official(file, cache)
    fetch(file, cache, progress=False)
    assert server.asked == ["/a.gz"]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("terminal", "progress"), [(True, True), (True, False), (False, True)])
def test_the_bar_is_shown_where_stderr_is_a_terminal(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminal: bool, progress: bool
) -> None:
    (server.folder / "a.gz").write_bytes(DATA)
    stream = _Terminal() if terminal else io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    fetch(remote("a.gz", DATA, server.url("a.gz")), tmp_path / "cache", progress=progress)
    assert ("a.gz: 100%" in stream.getvalue()) == (terminal and progress)
    assert (stream.getvalue() == "") == (not (terminal and progress))


def test_a_damaged_copy_is_replaced(server: Server, tmp_path: Path) -> None:
    (server.folder / "a.gz").write_bytes(DATA)
    (tmp_path / "a.gz").write_bytes(DATA[:-1])
    assert fetch(remote("a.gz", DATA, server.url("a.gz")), tmp_path, progress=False).read_bytes() == DATA


def test_the_next_address_is_tried(server: Server, tmp_path: Path) -> None:
    (server.folder / "wrong.gz").write_bytes(b"<html>sorry</html>")
    (server.folder / "right.gz").write_bytes(DATA)
    urls = [server.url(name) for name in ("missing.gz", "wrong.gz", "right.gz")]
    assert fetch(remote("a.gz", DATA, *urls), tmp_path, progress=False).read_bytes() == DATA
    assert server.asked[-1] == "/right.gz"


@pytest.mark.parametrize("served", [DATA[:-1], b"", b"x" * len(DATA)])
def test_a_wrong_checksum_is_refused_and_leaves_nothing(server: Server, tmp_path: Path, served: bytes) -> None:
    (server.folder / "a.gz").write_bytes(served)
    with pytest.raises(NarrowsError, match="a.gz: cannot be fetched .http.*does not match.*--data-root"):
        fetch(remote("a.gz", DATA, server.url("a.gz")), tmp_path / "cache", progress=False)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_server_that_does_not_answer_is_an_error_with_the_reason(server: Server, tmp_path: Path) -> None:
    with pytest.raises(NarrowsError, match="404"):
        fetch(remote("a.gz", DATA, server.url("a.gz")), tmp_path, progress=False)
    with pytest.raises(NarrowsError, match="cannot be fetched .http://127.0.0.1:9/a.gz: no connection.; try"):
        fetch(remote("a.gz", DATA, "http://127.0.0.1:9/a.gz"), tmp_path, progress=False)


def test_a_cache_that_cannot_be_written_is_an_error(server: Server, tmp_path: Path) -> None:
    (server.folder / "a.gz").write_bytes(DATA)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NarrowsError, match="a.gz: cannot be fetched"):
        fetch(remote("a.gz", DATA, server.url("a.gz")), tmp_path / "file" / "cache", progress=False)


def test_a_set_is_fetched_into_the_cache_and_read(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"{name}.gz": gzip.compress(data, mtime=0) for name, data in idx_files().items()}
    unpack(files, server.folder)
    official = replace(
        MNIST, files=tuple(remote(name, data, server.url(name)) for name, data in files.items()), train=40, test=12
    )
    monkeypatch.setattr(loader, "_SETS", {"mnist": official})
    cache = tmp_path / "cache"
    data = load("mnist", cache=cache, progress=False)
    assert data.note.startswith("MNIST, the official files: 40 training and 12 test pictures")
    assert (len(data.train), len(data.validation), len(data.test)) == (36, 4, 12)
    assert sorted(path.name for path in (cache / "mnist").iterdir()) == sorted(files)
    server.asked.clear()
    monkeypatch.setenv("NARROWS_DATA", str(cache))
    load("mnist", progress=False)
    load("mnist", root=cache, progress=False)  # a cache is a folder of copies too
    assert server.asked == []


def test_copies_are_never_fetched(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {f"{name}.gz": gzip.compress(data, mtime=0) for name, data in idx_files().items()}
    unpack(files, tmp_path / "copies" / "mnist")
    official = replace(
        MNIST, files=(remote("train-images-idx3-ubyte.gz", DATA, server.url("a.gz")),), train=40, test=12
    )
    monkeypatch.setattr(loader, "_SETS", {"mnist": official})
    note = load("mnist", root=tmp_path / "copies", progress=False).note
    assert "as many as the official set has; the files are not the official ones" in note
    assert server.asked == []


def test_the_cache_is_where_the_variable_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NARROWS_DATA", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("NARROWS_DATA")
    assert cache_folder().name == "data" and "narrows" in cache_folder().parts[-2]


@pytest.mark.parametrize("official", loader._SETS.values(), ids=lambda official: official.name)
def test_every_official_set_is_stated_whole(official: loader.OfficialSet) -> None:
    assert official.folders[0] == official.name
    assert official.train > official.test > 0 and len(set(official.classes)) == len(official.classes)
    for file in official.files:
        assert len(bytes.fromhex(file.sha256)) == 32 and file.size_bytes > 0
        assert file.urls and all(url.startswith("http") and url.endswith(f"/{file.name}") for url in file.urls)
