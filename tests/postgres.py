"""A PostgreSQL server of our own for tests that need one, where its programs are installed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_SECONDS = 30


@contextmanager
def postgres_server() -> Iterator[str]:
    """The URL of an empty database on a server that listens on this machine only; it goes away at the end.

    Skips, saying why, where there is no server to start. A server refuses to run as root, so there it runs as nobody.
    """
    pytest.importorskip("psycopg", reason="the PostgreSQL driver is not installed")
    initdb, postgres = shutil.which("initdb"), shutil.which("postgres")
    if initdb is None or postgres is None:
        pytest.skip("no PostgreSQL server is installed (initdb and postgres are not on the path)")
    user = "nobody" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="narrows-postgres-"))
    if user:
        shutil.chown(folder, user)
    server = None
    try:
        data = folder / "data"
        made = subprocess.run(
            [initdb, "-D", str(data), "-U", "tester", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"],
            user=user, cwd=folder, capture_output=True, text=True,
        )  # fmt: skip
        if made.returncode:
            pytest.skip(f"initdb failed: {made.stderr.strip()}")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [postgres, "-D", str(data), "-p", str(port), "-k", str(folder), "-h", "127.0.0.1", "-F"]
        server = subprocess.Popen(command, user=user, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _wait(server, port)
        yield f"postgresql+psycopg://tester:secret@127.0.0.1:{port}/postgres"
    finally:
        if server is not None:
            server.send_signal(signal.SIGINT)  # its fast shutdown, which does not wait for clients
            server.wait(_SECONDS)
        shutil.rmtree(folder)


def _wait(server: subprocess.Popen[bytes], port: int) -> None:
    import psycopg

    last = time.monotonic() + _SECONDS
    while True:
        try:
            psycopg.connect(host="127.0.0.1", port=port, user="tester", dbname="postgres").close()
        except psycopg.OperationalError as error:
            if server.poll() is not None or time.monotonic() > last:
                pytest.skip(f"the PostgreSQL server did not start: {error}")
            time.sleep(0.1)
        else:
            return
