"""Fixtures that many tests share: untrained profiles (tests/toy_profile.py)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from toy_profile import write_colour_profile, write_grey_profile

from narrows import profiles, shared
from narrows.codec import Codec


@pytest.fixture(scope="session")
def colour_profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_colour_profile(tmp_path_factory.mktemp("profiles") / "toy")


@pytest.fixture(scope="session")
def grey_profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_grey_profile(tmp_path_factory.mktemp("profiles") / "toy-grey")


@pytest.fixture
def profile_copy(colour_profile: Path, tmp_path: Path) -> Path:
    """A colour profile to spoil."""
    return Path(shutil.copytree(colour_profile, tmp_path / "toy"))


@pytest.fixture(scope="session")
def codec(colour_profile: Path) -> Codec:
    return Codec(colour_profile, threads=1)


@pytest.fixture(scope="session")
def grey_codec(grey_profile: Path) -> Codec:
    return Codec(grey_profile, threads=1)


@pytest.fixture
def default_profile(monkeypatch: pytest.MonkeyPatch, colour_profile: Path, grey_profile: Path, tmp_path: Path) -> Path:
    """An installation that ships the colour profile as the default, and the grey one."""
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / "toy").symlink_to(colour_profile)
    (tmp_path / "shipped" / "toy-grey").symlink_to(grey_profile)
    (tmp_path / "shipped" / "DEFAULT").write_text("toy")
    monkeypatch.setattr(profiles, "_SHIPPED", tmp_path / "shipped")
    shared._codec.cache_clear()
    return tmp_path / "shipped" / "toy"
