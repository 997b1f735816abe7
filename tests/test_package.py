"""What `pip install .` installs: the whole package, the profiles and py.typed with it, under one version."""

from __future__ import annotations

import contextlib
import importlib.metadata
import re
from pathlib import Path

import narrows

ROOT = Path(__file__).parent.parent


def files(package: Path) -> set[str]:
    found = (path.relative_to(package) for path in package.rglob("*") if path.is_file())
    return {path.as_posix() for path in found if "__pycache__" not in path.parts}


def test_every_file_of_the_source_is_installed() -> None:
    source = files(ROOT / "src" / "narrows")
    assert {"py.typed", "__main__.py"} <= source
    assert source == files(Path(narrows.__file__).parent)


def test_there_is_one_version() -> None:
    (stated,) = re.findall(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), flags=re.MULTILINE)
    assert narrows.__version__ == stated
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # run from the source, without an installation
        assert importlib.metadata.version("narrows") == stated


def test_every_dependency_has_a_tested_version() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    needed = {name.lower() for name in re.findall(r'^    "([A-Za-z0-9-]+)[>=<]', text, flags=re.MULTILINE)}
    pinned = set(re.findall(r"^([a-z0-9_-]+)==", (ROOT / "constraints.txt").read_text().lower(), flags=re.MULTILINE))
    assert {"numpy", "torch", "pytest"} <= needed
    assert needed - pinned == set()
