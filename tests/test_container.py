"""The container: what is written is read, and nothing else is."""

from dataclasses import replace
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrows.container import (
    MAX_HEADER,
    SIGNATURE,
    STRIP_ROWS,
    ChunkType,
    Container,
    Metadata,
    Mode,
    Strip,
    read,
    read_header,
    read_metadata,
    strip_count,
    strip_rows,
    write,
)
from narrows.errors import (
    CorruptError,
    LimitError,
    NarrowsError,
    NotNarrowsError,
    OptionError,
    TruncatedError,
    UnsupportedError,
)
from narrows.limits import Limits

PLAIN = Container(
    mode=Mode.RGB,
    width=768,
    height=512,
    quality=40,
    profile=b"\x01\x02\x03\x04",
    strips=(Strip(side=b"side", latents=b"latents!"),),
)
FULL = replace(
    PLAIN,
    mode=Mode.LA,
    width=200,
    height=STRIP_ROWS + 1,
    strips=(Strip(side=b"first", latents=b"one"), Strip(side=b"", latents=b"two")),
    alpha=b"alpha",
    icc=b"icc",
    exif=b"exif",
    xmp=b"<x/>",
)


def crafted(chunks: list[tuple[int, bytes]], *, mode: int = 2, size: bytes = b"\x03\x05", version: int = 1) -> bytes:
    """A file with right checksums around whatever is given; lengths below 128."""
    header = SIGNATURE + bytes((version, mode)) + size + b"\x28abcd" + bytes([len(chunks)])
    header += b"".join((bytes([kind]) if kind < 128 else b"\x80\x01") + bytes([len(body)]) for kind, body in chunks)
    body = b"".join(body + crc32(bytes([kind]) + body).to_bytes(4, "little") for kind, body in chunks)
    return header + crc32(header).to_bytes(4, "little") + body


@st.composite
def containers(draw: st.DrawFn) -> Container:
    tall = st.tuples(st.integers(1, 4000), st.integers(1, 65535) | st.integers(1, 5000))
    width, height = draw(tall | st.tuples(st.integers(1, 65535), st.integers(1, 1000)))
    has_side = draw(st.booleans())
    mode = draw(st.sampled_from(Mode))
    some_bytes = st.binary(max_size=200)
    metadata = st.none() | st.binary(min_size=1, max_size=300)
    strips = [
        Strip(side=draw(some_bytes) if has_side else None, latents=draw(some_bytes))
        for _ in range(strip_count(width, height))
    ]
    return Container(
        mode=mode,
        width=width,
        height=height,
        quality=draw(st.integers(0, 255)),
        profile=draw(st.binary(min_size=4, max_size=4)),
        strips=tuple(strips),
        alpha=draw(some_bytes) if mode.has_alpha else None,
        icc=draw(metadata),
        exif=draw(metadata),
        xmp=draw(metadata),
    )


@given(containers())
def test_what_is_written_is_read(container: Container) -> None:
    data = write(container)
    assert read(data, Limits()) == container
    header = read_header(data, Limits())
    assert (header.mode, header.width, header.height) == (container.mode, container.width, container.height)
    version = 1 if container.width <= 4096 else 2
    assert (header.version, header.quality, header.profile) == (version, container.quality, container.profile)


@given(st.binary(max_size=60))
def test_garbage_is_refused(data: bytes) -> None:
    for prefix in (b"", SIGNATURE, SIGNATURE + b"\x01", SIGNATURE + b"\x02"):
        with pytest.raises(NarrowsError):
            read(prefix + data, Limits())


@pytest.mark.parametrize("container", [PLAIN, FULL], ids=["plain", "full"])
def test_every_single_bit_matters(container: Container) -> None:
    data = write(container)
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(NarrowsError):
            read(bytes(damaged), Limits())


@pytest.mark.parametrize("container", [PLAIN, FULL], ids=["plain", "full"])
def test_a_file_cut_anywhere_is_refused(container: Container) -> None:
    data = write(container)
    for length in range(len(data)):
        with pytest.raises(TruncatedError):
            read(data[:length], Limits())


@pytest.mark.parametrize("extra", [b"\0", b"\n", b"PK\x03\x04", write(PLAIN)], ids=["zero", "newline", "zip", "file"])
def test_nothing_may_follow(extra: bytes) -> None:
    with pytest.raises(CorruptError, match="after the last chunk"):
        read(write(PLAIN) + extra, Limits())


def test_the_header_needs_only_its_own_bytes() -> None:
    data = write(FULL)
    header = read_header(data, Limits())
    whole = next(n for n in range(len(data)) if _reads(data[:n]))
    assert read_header(data[:whole], Limits()) == header
    assert whole == len(data) - sum(chunk.length + 4 for chunk in header.chunks)
    assert [chunk.name for chunk in header.chunks] == [
        "icc",
        "exif",
        "xmp",
        "alpha",
        "side",
        "latents",
        "side",
        "latents",
    ]


def _reads(data: bytes) -> bool:
    try:
        read_header(data, Limits())
    except TruncatedError:
        return False
    return True


def test_a_plain_picture_has_at_most_40_bytes_of_overhead() -> None:
    side, latents = bytes(400), bytes(20_000)
    assert len(write(replace(PLAIN, strips=(Strip(side=side, latents=latents),)))) - 20_400 <= 40
    large = replace(PLAIN, width=65535, height=128, strips=(Strip(side=bytes(20_000), latents=bytes(2_000_000)),))
    assert len(write(large)) - 2_020_000 <= 42  # longer numbers, in a file of two megabytes


@pytest.mark.parametrize("data", [b"hello", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", SIGNATURE[:7] + b"\r\n"])
def test_another_kind_of_file(data: bytes) -> None:
    with pytest.raises(NotNarrowsError, match="begins with"):
        read(data, Limits())


LATENTS = (2, b"abcd")


def test_the_crafted_file_is_a_good_one() -> None:
    assert read(crafted([LATENTS]), Limits()).strips == (Strip(side=None, latents=b"abcd"),)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (crafted([LATENTS], version=4), UnsupportedError, "version 4"),
        (crafted([(1, b"side"), LATENTS], version=3), CorruptError, "C3 to C7"),
        (crafted([LATENTS], version=2), CorruptError, "H12"),
        (crafted([LATENTS], version=0), UnsupportedError, "version 0"),
        (crafted([LATENTS], mode=4), UnsupportedError, "mode 4"),
        (crafted([LATENTS], mode=0x82), UnsupportedError, "mode 130"),
        (crafted([LATENTS], size=b"\x00\x05"), CorruptError, "0 x 5"),
        (crafted([LATENTS], size=b"\x05\x00"), CorruptError, "5 x 0"),
        (crafted([LATENTS], size=b"\x80\x80\x04\x05"), CorruptError, "65536 x 5"),
        (crafted([LATENTS], size=b"\x83\x00\x05"), CorruptError, "malformed number"),
        (crafted([LATENTS], size=b"\x83\x80\x80\x80\x00\x05"), CorruptError, "malformed number"),
        (crafted([LATENTS], size=b"\xff\xff\xff\xff\x10\x05"), CorruptError, "malformed number"),
        (crafted([LATENTS], size=b"\xff\xff\xff\xff\xff\x01\x05"), CorruptError, "malformed number"),
        (crafted([]), CorruptError, "C3 to C7"),
        (crafted([(1, b"side")]), CorruptError, "C3 to C7"),
        (crafted([LATENTS, LATENTS]), CorruptError, "C3 to C7"),
        (crafted([LATENTS, (1, b"side")]), CorruptError, "C3 to C7"),
        (crafted([LATENTS], mode=3), CorruptError, "C3 to C7"),
        (crafted([(3, b"alpha"), LATENTS]), CorruptError, "C3 to C7"),
        (crafted([LATENTS, (64, b"icc")]), CorruptError, "C3 to C7"),
        (crafted([(65, b"exif"), (64, b"icc"), LATENTS]), CorruptError, "C3 to C7"),
        (crafted([(64, b"icc"), (64, b"icc"), LATENTS]), CorruptError, "C3 to C7"),
        (crafted([(64, b""), LATENTS]), CorruptError, "empty chunk icc"),
        (crafted([(70, b"?"), LATENTS]), CorruptError, "C3 to C7"),
        (crafted([LATENTS, (70, b"?"), (70, b"?")]), CorruptError, "C3 to C7"),
        (crafted([LATENTS, (71, b"?"), (70, b"?")]), CorruptError, "C3 to C7"),
        (crafted([LATENTS, (128, b"?")]), CorruptError, "type 128"),
        (crafted([(0, b"?"), LATENTS]), UnsupportedError, "type 0"),
        (crafted([(4, b"map"), LATENTS]), UnsupportedError, "type 4"),
        (crafted([LATENTS, (5, b"frame")]), UnsupportedError, "type 5"),
        (crafted([LATENTS, (6, b"thumbnail")]), UnsupportedError, "type 6"),
        (crafted([LATENTS, (63, b"?")]), UnsupportedError, "type 63"),
        (SIGNATURE + b"\x01\x02\x03\x05\x28abcd\xff\xff\xff\xff\x0f", CorruptError, "4294967295 chunks"),
    ],
)
def test_a_broken_rule_has_its_error(data: bytes, error: type[NarrowsError], message: str) -> None:
    with pytest.raises(error, match=message):
        read(data, Limits())
    with pytest.raises(error, match=message):
        read_header(data, Limits())


def test_unknown_ancillary_chunks_are_checked_and_skipped() -> None:
    data = crafted([LATENTS, (70, b"new"), (99, b"")])
    assert read(data, Limits()) == read(crafted([LATENTS]), Limits())
    assert [chunk.name for chunk in read_header(data, Limits()).chunks] == ["latents", "unknown 70", "unknown 99"]
    with pytest.raises(CorruptError, match="unknown 70"):
        read(data.replace(b"new", b"old"), Limits())


def test_the_checksum_of_a_chunk_covers_its_type() -> None:
    data = crafted([LATENTS])
    assert data[-4:] == crc32(b"\x02abcd").to_bytes(4, "little")


def test_limits_hold_before_the_bytes_are_there() -> None:
    header = write(FULL)[: -sum(chunk.length + 4 for chunk in read_header(write(FULL), Limits()).chunks)]
    for limits in (Limits(max_pixels=200 * 1025 - 1), Limits(max_bytes=len(write(FULL)) - 1), Limits(max_metadata=3)):
        with pytest.raises(LimitError):
            read_header(header, limits)
        with pytest.raises(LimitError):
            read(write(FULL), limits)
    exact = Limits(max_pixels=200 * 1025, max_bytes=len(write(FULL)), max_metadata=4)
    assert read(write(FULL), exact) == FULL


def test_empty_metadata_counts_as_none() -> None:
    assert write(replace(PLAIN, icc=b"", exif=b"", xmp=b"")) == write(PLAIN)


@pytest.mark.parametrize(
    "container",
    [
        replace(PLAIN, width=0),
        replace(PLAIN, height=65536),
        replace(PLAIN, quality=256),
        replace(PLAIN, quality=-1),
        replace(PLAIN, profile=b"abc"),
        replace(PLAIN, strips=()),
        replace(PLAIN, height=1025),
        replace(FULL, strips=(Strip(side=None, latents=b""), Strip(side=b"", latents=b""))),
        replace(PLAIN, alpha=b"alpha"),
        replace(PLAIN, mode=Mode.RGBA),
    ],
)
def test_what_the_format_cannot_hold_is_not_written(container: Container) -> None:
    with pytest.raises(OptionError):
        write(container)


def test_modes_and_types_keep_their_numbers() -> None:
    assert {mode.name: (mode.value, mode.channels, mode.has_alpha) for mode in Mode} == {
        "L": (0, 1, False),
        "LA": (1, 1, True),
        "RGB": (2, 3, False),
        "RGBA": (3, 3, True),
    }
    assert {kind.name: kind.value for kind in ChunkType} == {
        "SIDE": 1, "LATENTS": 2, "ALPHA": 3, "QUALITY_MAP": 4, "FRAME": 5, "THUMBNAIL": 6,
        "ICC": 64, "EXIF": 65, "XMP": 66,
    }  # fmt: skip


@pytest.mark.parametrize(("height", "strips"), [(1, 1), (1023, 1), (1024, 1), (1025, 2), (2048, 2), (65535, 64)])
def test_strips_of_1024_rows(height: int, strips: int) -> None:
    assert strip_count(4096, height) == strips


@pytest.mark.parametrize("width", [1, 4096, 4097, 8192, 8193, 16384, 16385, 65535])
def test_no_strip_is_larger_than_the_format_says(width: int) -> None:
    padded = -(-width // 128) * 128
    assert strip_rows(padded) == strip_rows(width) in (1024, 512, 256, 128)
    assert strip_rows(width) * width <= (2**22 if width <= 32768 else 2**23)
    assert strip_rows(width) == 1024 or 2 * strip_rows(width) * width > 2**22


@pytest.mark.parametrize(("width", "version"), [(1, 1), (4096, 1), (4097, 2), (65535, 2)])
def test_a_wide_picture_is_of_version_2(width: int, version: int) -> None:
    data = write(replace(PLAIN, width=width, height=100))
    assert data[8] == version
    assert read(data, Limits()).width == width
    header = read_header(data, Limits())
    other = data[:8] + bytes([3 - version]) + data[9 : header.size_bytes - 4]
    with pytest.raises(CorruptError, match="H12"):
        read_header(other + crc32(other).to_bytes(4, "little"), Limits())
    assert header.version == version


def test_the_largest_picture_can_be_listed() -> None:
    strips = strip_count(65535, 65535)
    largest = replace(FULL, mode=Mode.RGBA, width=65535, height=65535, strips=(Strip(side=b"", latents=b""),) * strips)
    assert read(write(largest), Limits(max_pixels=2**32)) == largest


def test_metadata_are_read_from_the_beginning_of_a_file() -> None:
    data = write(FULL)
    header = read_header(data, Limits())
    assert data[header.size_bytes :].startswith(b"icc")
    start = data[: header.metadata_end]
    assert start[-8:-4] == b"<x/>"
    expected = Metadata(icc=b"icc", exif=b"exif", xmp=b"<x/>")
    assert read_metadata(start, header) == read_metadata(data, header) == expected
    with pytest.raises(TruncatedError, match="inside the metadata"):
        read_metadata(start[:-1], header)
    with pytest.raises(CorruptError, match="chunk exif"):
        read_metadata(start.replace(b"exif", b"exit"), header)
    assert read_metadata(start + b"damaged", header) == expected
    plain = read_header(write(PLAIN), Limits())
    assert plain.metadata_end == plain.size_bytes
    assert read_metadata(write(PLAIN), plain) == Metadata()


def test_no_header_is_longer_than_it_may_be() -> None:
    number = b"\xff\xff\xff\xff\x0f"
    header = SIGNATURE + b"\x01\x02" + 2 * number + b"\x28abcd" + b"\x80\x10" + 2 * 2048 * number
    header += crc32(header).to_bytes(4, "little")
    assert len(header) == MAX_HEADER - 3  # the number of chunks has two bytes: with five it would be over 2048
    with pytest.raises(CorruptError, match="4294967295 x 4294967295"):
        read_header(header, Limits())
    with pytest.raises(TruncatedError):
        read_header(header[:-1], Limits())


@pytest.mark.parametrize("width", [1, 4097])
def test_joint_streams_are_version_3_at_every_width(width: int) -> None:
    strips = (Strip(side=None, latents=b"joint"),)
    file = Container(
        mode=Mode.RGB, width=width, height=3, quality=1, profile=b"abcd", strips=strips, joint=True, icc=b"icc"
    )
    data = write(file)
    assert data[8] == 3
    assert read(data, Limits()) == file
    with pytest.raises(OptionError, match="without side chunks"):
        write(replace(file, strips=(Strip(side=b"", latents=b""),)))
