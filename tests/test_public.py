"""The package as its users see it: names, quick import, functions that need no codec of their own."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pictures import photo_like

import narrows
from narrows import profiles, shared
from narrows.errors import NarrowsError, OptionError, ProfileError
from narrows.profile import Profile

PUBLIC = {
    "Codec",
    "ConversionWarning",
    "CorruptError",
    "FormatError",
    "Info",
    "LimitError",
    "Limits",
    "NarrowsError",
    "NotNarrowsError",
    "OptionError",
    "PictureError",
    "ProfileError",
    "TruncatedError",
    "UnsupportedError",
    "__version__",
    "decode",
    "encode",
    "info",
    "verify",
}


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_all_names_are_the_public_ones() -> None:
    assert set(narrows.__all__) == PUBLIC
    assert list(narrows.__all__) == sorted(narrows.__all__)
    for name in narrows.__all__:
        assert getattr(narrows, name) is not None
        assert name in dir(narrows)
    modules = {name for name, value in vars(narrows).items() if inspect.ismodule(value)}
    leftover = {name for name in vars(narrows) if not name.startswith("_")} - PUBLIC - modules
    assert leftover <= {"annotations", "TYPE_CHECKING", "Any"}
    with pytest.raises(AttributeError, match="nothing_of_this_name"):
        narrows.nothing_of_this_name  # noqa: B018


def test_errors_are_one_tree() -> None:
    for name in PUBLIC:
        if name.endswith("Error"):
            assert issubclass(getattr(narrows, name), NarrowsError)
    assert issubclass(OptionError, ValueError)


def test_import_is_quick_and_loads_no_network_library() -> None:
    """In processor time, and the best of five, since other work may run beside the tests."""
    code = "import time; t = time.process_time(); import narrows; print(time.process_time() - t)"
    assert min(float(python(code)) for _ in range(5)) < 0.2
    loaded = python(
        "import sys, narrows; print([m for m in ('onnxruntime', 'torch', 'numpy', 'PIL') if m in sys.modules])"
    )
    assert loaded.strip() == "[]"


def test_info_loads_no_network_library(codec: narrows.Codec, tmp_path: Path) -> None:
    (tmp_path / "photo.nrws").write_bytes(codec.encode(photo_like(30, 40)))
    path = str(tmp_path / "photo.nrws")
    code = (
        f"import sys, narrows; i = narrows.info({path!r}); narrows.verify({path!r}); "
        "print(i.width, i.height, [m for m in ('onnxruntime', 'torch', 'numpy') if m in sys.modules])"
    )
    assert python(code).strip() == "40 30 []"


def test_info_says_what_the_file_is(default_profile: Path) -> None:
    data = narrows.encode(photo_like(1100, 40, 4), quality=50)
    info = narrows.info(data)
    digest = Profile.load(default_profile).digest
    assert (info.width, info.height, info.mode, info.strips) == (40, 1100, "RGBA", 2)
    assert (info.quality_index, info.quality) == (4, 57.1)  # round(50 * 7 / 100) = 4 of 0..7
    assert (info.profile, info.profile_name) == (digest[:4].hex(), "toy")
    assert [chunk.name for chunk in info.chunks] == ["alpha", "side", "latents", "side", "latents"]
    assert info.size_bytes == len(data)
    assert info.bits_per_pixel == 8 * len(data) / 44000
    assert json.loads(json.dumps(info.as_dict()))["chunks"][0]["name"] == "alpha"


def test_info_knows_files_of_unknown_profiles(
    codec: narrows.Codec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(profiles, "_SHIPPED", tmp_path)
    info = narrows.info(codec.encode(photo_like(30, 40), quality=100))
    assert (info.quality, info.quality_index, info.profile_name) == (None, 7, None)
    assert info.profile == codec.profile.digest[:4].hex()


def test_the_functions_use_the_default_profile(default_profile: Path) -> None:
    picture = photo_like(60, 70)
    data = narrows.encode(picture, quality=90)
    assert narrows.Codec().encode(picture, quality=90) == data
    assert narrows.decode(data).size == (70, 60)
    assert narrows.decode(data, region=(1, 2, 3, 4)).size == (3, 4)
    narrows.verify(data)
    narrows.verify(data, deep=True)
    assert shared.shared_codec("default") is shared.shared_codec(default_profile)


def test_decode_finds_the_shipped_profile_of_a_file(default_profile: Path) -> None:
    data = narrows.encode(photo_like(60, 70, 1), profile="toy-grey")
    assert narrows.decode(data).mode == "L"
    with pytest.raises(ProfileError, match="needs the profile"):
        narrows.decode(data, profile="default")


def test_a_file_of_a_profile_that_is_not_shipped_says_what_to_do(
    codec: narrows.Codec, colour_profile: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(profiles, "_SHIPPED", tmp_path)
    data = codec.encode(photo_like(30, 30))
    narrows.verify(data)
    for call in (narrows.decode, lambda data: narrows.verify(data, deep=True)):
        with pytest.raises(ProfileError, match=rf"{codec.profile.digest[:4].hex()}.*-p FOLDER"):
            call(data)
    assert narrows.decode(data, profile=colour_profile).size == (30, 30)
    with pytest.raises(ProfileError, match="ships no profile"):
        narrows.encode(photo_like(30, 30))


def test_a_damaged_file_needs_no_profile_to_be_refused(codec: narrows.Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every flipped bit and every cut of a small file, by the same path that `narrows.decode` takes."""
    data = codec.encode(photo_like(8, 8), quality=0)

    def no_codec(*_: Any) -> None:
        pytest.fail("a damaged file reached a codec")

    monkeypatch.setattr(shared, "_codec", no_codec)
    monkeypatch.setattr(shared, "_codec_for", no_codec)
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(NarrowsError):
            narrows.decode(bytes(damaged))
    for length in range(len(data)):
        with pytest.raises(NarrowsError):
            narrows.decode(data[:length])
