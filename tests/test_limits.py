"""Limits are checked when they are made and when they are used: on every path, before memory is spent."""

from __future__ import annotations

import io
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from pictures import photo_like
from PIL import Image

import narrows
from narrows import container
from narrows.codec import Codec
from narrows.container import Mode
from narrows.errors import LimitError, OptionError
from narrows.inputs import read_at_most, read_source, read_start
from narrows.limits import Limits
from narrows.pillow import NarrowsImageFile


def test_the_defaults() -> None:
    assert (Limits().max_pixels, Limits().max_bytes, Limits().max_metadata) == (2**28, 2**30, 2**24)


@pytest.mark.parametrize("name", ["max_pixels", "max_bytes", "max_metadata"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "1", None, True])
def test_a_limit_is_a_positive_integer(name: str, value: Any) -> None:
    with pytest.raises(OptionError, match=name):
        Limits(**{name: value})


def test_pixels_up_to_the_limit() -> None:
    limits = Limits(max_pixels=12)
    limits.check_pixels(3, 4)
    with pytest.raises(LimitError, match="13 x 1 = 13 pixels, the limit is 12"):
        limits.check_pixels(13, 1)


def test_every_refusal_names_the_limit_and_both_ways_to_raise_it() -> None:
    limits = Limits(max_pixels=1, max_bytes=2, max_metadata=3)
    calls: list[tuple[Callable[[], None], str]] = [
        (lambda: limits.check_pixels(1, 2), "limit is 1; .*Limits.max_pixels, --max-pixels"),
        (lambda: limits.check_bytes(3), "more than 2 bytes, the limit; .*Limits.max_bytes, --max-bytes"),
        (
            lambda: limits.check_metadata("icc", 4),
            "4 bytes of icc, .*limit is 3; .*Limits.max_metadata, --max-metadata",
        ),
    ]
    for call, message in calls:
        with pytest.raises(LimitError, match=message):
            call()
    limits.check_bytes(2)
    limits.check_metadata("icc", 3)


def claiming(width: int, height: int) -> bytes:
    """A file of 60 bytes with right checksums, that says it has so many pixels: a strip's chunk of no bytes each."""
    header = container.SIGNATURE + bytes((1, Mode.RGB))
    for side in (width, height):
        header += bytes((side & 127 | 128, side >> 7 & 127 | 128, side >> 14)) if side >= 2**14 else b"\x08"
    header += b"\0abcd" + bytes((1, container.ChunkType.LATENTS, 0))
    whole = header + crc32(header).to_bytes(4, "little") + crc32(b"\x02").to_bytes(4, "little")
    return whole.ljust(60, b"\0")


PATHS: dict[str, Callable[[Any], object]] = {
    "decode": narrows.decode,
    "info": narrows.info,
    "verify": narrows.verify,
    "deep verify": lambda data: narrows.verify(data, deep=True),
    "Pillow": lambda data: Image.open(data if isinstance(data, Path) else io.BytesIO(data)),
    "Pillow's class": lambda data: NarrowsImageFile(data if isinstance(data, Path) else io.BytesIO(data)),
}


@pytest.mark.parametrize("name", PATHS)
def test_sixty_bytes_that_claim_four_gigapixels_are_refused_at_once(name: str, tmp_path: Path) -> None:
    data = claiming(65535, 65535)
    assert len(data) == 60
    (tmp_path / "claim.nrws").write_bytes(data)
    for source in (data, tmp_path / "claim.nrws"):
        tracemalloc.start()
        try:
            with pytest.raises(LimitError, match="65535 x 65535 = 4294836225 pixels, the limit is 268435456"):
                PATHS[name](source)
            assert tracemalloc.get_traced_memory()[1] < 2**21
        finally:
            tracemalloc.stop()


def test_a_codec_refuses_it_too(codec: Codec) -> None:
    for call in (codec.decode, codec.verify):
        with pytest.raises(LimitError, match="4294836225 pixels"):
            call(claiming(65535, 65535))


LIMITED: dict[str, Callable[[bytes, Limits], object]] = {
    "decode": lambda data, limits: narrows.decode(data, limits=limits),
    "info": lambda data, limits: narrows.info(data, limits=limits),
    "verify": lambda data, limits: narrows.verify(data, limits=limits),
    "Pillow's class": lambda data, limits: NarrowsImageFile(io.BytesIO(data), limits=limits),
}


@pytest.mark.parametrize("name", LIMITED)
@pytest.mark.usefixtures("default_profile")
def test_limits_of_the_caller(name: str, codec: Codec) -> None:
    image = Image.fromarray(photo_like(30, 40))
    image.info["icc_profile"] = bytes(500)
    data = codec.encode(image)
    LIMITED[name](data, Limits(max_pixels=1200, max_bytes=len(data), max_metadata=500))
    for limits in (Limits(max_pixels=1199), Limits(max_bytes=len(data) - 1), Limits(max_metadata=499)):
        with pytest.raises(LimitError):
            LIMITED[name](data, limits)


@pytest.mark.usefixtures("default_profile")
def test_limits_of_encoding(codec: Codec, tmp_path: Path) -> None:
    picture = photo_like(30, 40)
    limits = Limits(max_pixels=1200)
    assert narrows.encode(picture, limits=limits) == codec.encode(picture)
    with pytest.raises(LimitError, match="the limit is 1199"):
        narrows.encode(picture, limits=Limits(max_pixels=1199))
    with pytest.raises(LimitError, match="the limit is 1199"):
        codec.limited(Limits(max_pixels=1199)).encode(picture)
    assert codec.encode(picture)  # its own limits are as they were
    Image.fromarray(picture).save(tmp_path / "photo.png")
    size = (tmp_path / "photo.png").stat().st_size
    for source in (tmp_path / "photo.png", (tmp_path / "photo.png").read_bytes()):
        assert narrows.encode(source, limits=Limits(max_bytes=size))
        with pytest.raises(LimitError, match="max_bytes"):
            narrows.encode(source, limits=Limits(max_bytes=size - 1))


class Measured(io.BytesIO):
    """Counts what is read."""

    got = 0

    def read(self, size: int | None = -1) -> bytes:
        part = super().read(size)
        self.got += len(part)
        return part


class Pipe(Measured):
    """Cannot be measured beforehand, and gives less than it is asked for."""

    def seekable(self) -> bool:
        return False

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size or 0, 3))


def test_what_can_be_measured_is_refused_unread() -> None:
    file = Measured(bytes(101))
    with pytest.raises(LimitError):
        read_source(file, Limits(max_bytes=100))
    assert file.got == 0
    pipe = Pipe(bytes(10000))
    with pytest.raises(LimitError):
        read_source(pipe, Limits(max_bytes=100))
    assert pipe.got == 101
    assert read_source(Pipe(bytes(100)), Limits(max_bytes=100)) == bytes(100)


def test_the_start_of_a_file() -> None:
    content = bytes(range(100))
    limits = Limits(max_bytes=100)
    for source in (content, bytearray(content), io.BytesIO(content), Pipe(content)):
        assert read_start(source, 10, limits) == (content[:10], 100)
    file = Measured(b"before" + content)
    file.seek(6)
    assert read_start(file, 10, limits) == (content[:10], 100)
    assert file.got == 10
    assert read_at_most(io.BytesIO(content), 0) == b""
    assert read_at_most(io.BytesIO(content), 101) == content


def test_info_reads_the_header_alone(codec: Codec) -> None:
    image = Image.fromarray(photo_like(8, 8))
    image.info["exif"] = bytes(100_000)
    file = Measured(codec.encode(image))
    assert narrows.info(file).size_bytes == len(file.getvalue())
    assert file.got == container.MAX_HEADER


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on memory is Linux's")
def test_a_small_file_asks_for_little_memory(codec: Codec, tmp_path: Path) -> None:
    """Not for max_bytes of it, which `read(max_bytes)` would set aside."""
    (tmp_path / "photo.nrws").write_bytes(codec.encode(photo_like(8, 8)))
    code = (
        "import resource, sys, narrows\n"
        "pages = int(open('/proc/self/statm').read().split()[0])\n"
        "bound = pages * resource.getpagesize() + 2**28\n"
        "resource.setrlimit(resource.RLIMIT_AS, (bound, bound))\n"
        f"narrows.verify({str(tmp_path / 'photo.nrws')!r})\n"
        "narrows.verify(sys.stdin.buffer)"
    )
    data = (tmp_path / "photo.nrws").read_bytes()
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.usefixtures("default_profile")
def test_the_example_for_uploads(codec: Codec) -> None:
    text = (Path(__file__).parent.parent / "SECURITY.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(text.split("```python\n")[1].split("```")[0], names)
    data = codec.encode(photo_like(30, 40))
    assert names["picture"](data).size == (40, 30)
    for refused in (data[:-1], claiming(6000, 5000), b"no narrows file"):
        with pytest.raises(ValueError, match="refused: "):
            names["picture"](refused)
