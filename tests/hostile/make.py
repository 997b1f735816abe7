"""Make the hostile files that do not exist yet, and their index: python tests/hostile/make.py

index.json says of every file what must come of it:

    error    the class in narrows.errors, or null where a picture must come out
    message  a part of what it says
    seen     who sees it first: "header" (info), "file" (verify), "content" (verify --deep, decode)
    limits   narrows.Limits that are set for this file, if any

All are files for tests/golden/profile, those of version 3 for tests/golden/v3/profile. Files that fuzzing found lie
here too; `FOUND` lists them, and no code makes them. A file is never made again, whatever a library would write today.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from craft import (
    ALPHA,
    EXIF,
    ICC,
    LA,
    LATENTS,
    PROFILE_3,
    RGBA,
    SIDE,
    SIGNATURE,
    XMP,
    L,
    body,
    file,
    header,
    tiff,
    u32,
    words,
)

HERE = Path(__file__).parent
EMPTY = [(SIDE, b""), (LATENTS, b"")]  # of a strip whose streams have no words: a valid one
NUMBER = b"\xff\xff\xff\xff\x0f"  # 2^32 - 1


@dataclass(frozen=True, kw_only=True)
class Case:
    """One file and what must come of it."""

    name: str
    data: bytes
    error: str | None
    message: str = ""
    seen: str = "header"
    limits: dict[str, int] = field(default_factory=dict)

    def record(self) -> dict[str, object]:
        entry: dict[str, object] = {"error": self.error, "message": self.message, "seen": self.seen}
        return entry | ({"limits": self.limits} if self.limits else {})


def cases() -> Iterator[Case]:
    """Every file that is made here, in the order of docs/FORMAT.md."""
    yield from _signature_and_version()
    yield from _numbers()
    yield from _bombs()
    yield from _lengths()
    yield from _chunks()
    yield from _streams()
    yield from _version_3()
    yield from _alpha()
    yield from _metadata()


def _signature_and_version() -> Iterator[Case]:
    good = file(EMPTY)
    other = {"error": "NotNarrowsError", "message": "begins with"}
    yield Case(name="h1-png", data=b"\x89PNG" + good[4:], **other)
    yield Case(name="h1-line-ends", data=good.replace(b"\r\n", b"\n"), **other)
    yield Case(name="h1-seven-bits", data=bytes(byte & 127 for byte in good), **other)
    yield Case(name="h1-empty", data=b"", error="TruncatedError", message="inside the header")
    yield Case(name="h1-signature-only", data=SIGNATURE, error="TruncatedError", message="inside the header")
    for version in (0, 4, 255):
        name = f"h2-version-{version}"
        yield Case(name=name, data=file(EMPTY, version=version), error="UnsupportedError", message=f"version {version}")
    data = file(EMPTY, version=3)  # once an unknown version; now it has a side chunk too many
    yield Case(name="h2-version-3", data=data, error="CorruptError", message="rules C3 to C7")
    for mode in (4, 130):
        name = f"h4-mode-{mode}"
        yield Case(name=name, data=file(EMPTY, mode=mode), error="UnsupportedError", message="rule H4")
    for version, width in ((1, 4097), (2, 4096), (1, 65535), (2, 1)):
        data = file(EMPTY, version=version, width=width)
        yield Case(name=f"h12-version-{version}-of-{width}", data=data, error="CorruptError", message="rule H12")


def _numbers() -> Iterator[Case]:
    malformed = {"error": "CorruptError", "message": "rule H3"}
    yield Case(name="h3-two-spellings", data=file(EMPTY, width=b"\x81\x00"), **malformed)
    yield Case(name="h3-2-to-the-32", data=file(EMPTY, width=b"\x80\x80\x80\x80\x10"), **malformed)
    yield Case(name="h3-six-bytes", data=file(EMPTY, width=b"\xff\xff\xff\xff\xff\x01"), **malformed)
    yield Case(name="h3-no-end", data=SIGNATURE + b"\x01\x02" + b"\xff" * 40, **malformed)
    yield Case(name="h3-count-of-two-spellings", data=file(EMPTY, count=b"\x82\x80\x00"), **malformed)
    for width, height in ((0, 1), (1, 0), (65536, 1), (1, 65536), (2**32 - 1, 2**32 - 1)):
        data = file(EMPTY, width=width, height=height)
        yield Case(name=f"h5-{width}-x-{height}", data=data, error="CorruptError", message="rule H5")
    for quality in (8, 255):
        data = file(EMPTY, quality=quality)
        message = f"quality index {quality}"
        yield Case(name=f"h6-quality-{quality}", data=data, error="CorruptError", message=message, seen="content")
    data = file(EMPTY, profile=b"none")
    yield Case(
        name="h7-other-profile", data=data, error="ProfileError", message="needs the profile 6e6f6e65", seen="content"
    )
    yield Case(name="h9-checksum", data=header([])[:-4] + bytes(4), error="CorruptError", message="rule H9")
    good = file(EMPTY, quality=1)
    flipped = good[:12] + bytes((good[12] ^ 1,)) + good[13:]  # the quality
    yield Case(name="h9-one-bit", data=flipped, error="CorruptError", message="rule H9")


def _bombs() -> Iterator[Case]:
    """Small files that claim to be large. The last two are valid, and within the limits of who allows it."""
    pixels = {"error": "LimitError", "message": "65535 x 65535 = 4294836225 pixels"}
    for version in (1, 2):
        data = file([*EMPTY, (70, bytes(16))], version=version, width=65535, height=65535)
        assert len(data) == 60
        yield Case(name=f"h10-65535-x-65535-version-{version}", data=data, **pixels)
    small = {"max_pixels": 25_000_000}
    for width, height, version in ((4096, 65535, 1), (16384, 16384, 2)):
        data = file(64 * EMPTY, version=version, width=width, height=height)
        name = f"h10-{width}-x-{height}"
        yield Case(name=name, data=data, error="LimitError", message="the limit is 25000000", limits=small)


def _lengths() -> Iterator[Case]:
    """Tables that claim more, or less, than there is."""
    for kind, name in ((ICC, "icc"), (EXIF, "exif"), (XMP, "xmp")):
        data = header([(kind, 2**32 - 1), (SIDE, 0), (LATENTS, 0)])
        message = f"4294967295 bytes of {name}"
        yield Case(name=f"h10-{name}-of-4-gib", data=data, error="LimitError", message=message)
    for name, kinds in (("side", (0,)), ("latents", (1,)), ("both", (0, 1))):
        lengths = [2**32 - 1 if place in kinds else 0 for place in (0, 1)]
        data = header([(SIDE, lengths[0]), (LATENTS, lengths[1])])
        message = "has more than 1073741824 bytes"
        yield Case(name=f"h10-{name}-of-4-gib", data=data, error="LimitError", message=message)
    data = header([(SIDE, 0), (LATENTS, 0), (70, 2**32 - 1)])
    yield Case(name="h10-unknown-of-4-gib", data=data, error="LimitError", message="has more than 1073741824 bytes")
    cut = {"error": "TruncatedError", "seen": "file", "message": "the end is missing"}
    yield Case(name="h11-latents-of-1-gib", data=header([(SIDE, 0), (LATENTS, 2**30 - 100)]), **cut)
    data = header([(ICC, 2**24), (SIDE, 0), (LATENTS, 0)])
    yield Case(name="h11-icc-of-16-mib", data=data, error="TruncatedError", seen="file", message=" end")
    good = file(EMPTY, quality=1)
    yield Case(name="h11-cut-in-the-header", data=good[:20], error="TruncatedError", message="inside the header")
    yield Case(name="h11-cut-in-a-checksum", data=good[:-1], **cut)
    yield Case(name="h11-cut-before-the-chunks", data=good[:-8], **cut)
    more = {"error": "CorruptError", "seen": "file", "message": "rule H11"}
    yield Case(name="h11-one-byte-more", data=good + b"\0", **more)
    yield Case(name="h11-a-zip-behind", data=good + b"PK\x03\x04" + bytes(26), **more)
    yield Case(name="h11-a-file-behind", data=good + good, **more)
    count = {"error": "CorruptError", "message": "rule H8"}
    yield Case(name="h8-4294967295-chunks", data=header([], count=NUMBER), **count)
    yield Case(name="h8-2049-chunks", data=file([(LATENTS, b"")] * 2049), **count)
    yield Case(name="h8-2048-chunks", data=file([(LATENTS, b"")] * 2048), error="CorruptError", message="C3 to C7")
    yield Case(name="h8-2048-chunks-of-none", data=header([], count=2048), error="TruncatedError", message="header")


def _chunks() -> Iterator[Case]:
    side, latents = EMPTY
    damaged = {"error": "CorruptError", "message": "rule C1"}
    yield Case(name="c1-latents", data=file(EMPTY)[:-1] + b"\0", seen="file", **damaged)
    head = header([(SIDE, 0), (LATENTS, 0)])
    yield Case(name="c1-types-exchanged", data=head + body(LATENTS, b"") + body(SIDE, b""), seen="file", **damaged)
    head = header([(ICC, 3), (SIDE, 0), (LATENTS, 0)])
    data = head + body(EXIF, b"icc") + body(SIDE, b"") + body(LATENTS, b"")
    yield Case(name="c1-exif-as-icc", data=data, seen="file", **damaged)
    head = header([(SIDE, 0), (LATENTS, 0), (70, 4)])
    data = head + body(SIDE, b"") + body(LATENTS, b"") + b"note" + bytes(4)
    yield Case(name="c1-unknown-chunk", data=data, seen="file", **damaged)
    for kind in (128, 2**32 - 1):
        data = file([*EMPTY, (kind, b"?")])
        yield Case(name=f"c2-type-{kind}", data=data, error="CorruptError", message="rule C2")
    for kind in (0, 4, 5, 6, 63):
        data = file([side, (kind, b"?"), latents])
        yield Case(name=f"c2-critical-{kind}", data=data, error="UnsupportedError", message=f"type {kind}")
    order = {"error": "CorruptError", "message": "rules C3 to C7"}
    icc, exif, alpha = (ICC, b"icc"), (EXIF, b"exif"), (ALPHA, zlib.compress(b"\0\xff"))
    yield Case(name="c3-latents-first", data=file([latents, side]), **order)
    yield Case(name="c3-icc-last", data=file([side, latents, icc]), **order)
    yield Case(name="c3-exif-before-icc", data=file([exif, icc, side, latents]), **order)
    yield Case(name="c3-alpha-last", data=file([side, latents, alpha], mode=RGBA), **order)
    yield Case(name="c3-unknown-first", data=file([(70, b"?"), side, latents]), **order)
    yield Case(name="c3-unknown-falling", data=file([side, latents, (71, b"?"), (70, b"?")]), **order)
    yield Case(name="c3-unknown-twice", data=file([side, latents, (70, b"?"), (70, b"?")]), **order)
    empty = {"error": "CorruptError", "message": "rule C4"}
    yield Case(name="c4-empty-icc", data=file([(ICC, b""), side, latents]), **empty)
    yield Case(name="c4-empty-xmp", data=file([(XMP, b""), side, latents]), **empty)
    yield Case(name="c4-two-exif", data=file([exif, exif, side, latents]), **order)
    yield Case(name="c5-alpha-of-rgb", data=file([alpha, side, latents]), **order)
    yield Case(name="c5-no-alpha", data=file([side, latents], mode=RGBA), **order)
    yield Case(name="c5-two-alphas", data=file([alpha, alpha, side, latents], mode=LA), **order)
    yield Case(name="c6-no-strip", data=file([]), **order)
    yield Case(name="c6-strip-missing", data=file(EMPTY, height=1025), **order)
    yield Case(name="c6-strip-too-many", data=file([*EMPTY, *EMPTY], height=1024), **order)
    yield Case(name="c6-strips-of-version-1", data=file(EMPTY, version=2, width=4097, height=513), **order)
    yield Case(name="c6-strips-of-the-widest", data=file(8 * EMPTY, version=2, width=16385, height=1025), **order)
    yield Case(name="c7-one-side-missing", data=file([side, latents, latents], height=1025), **order)
    yield Case(name="c7-side-only", data=file([side]), **order)
    message = "side chunks"
    yield Case(name="c7-no-side", data=file([latents]), error="CorruptError", message=message, seen="content")


def _streams() -> Iterator[Case]:
    """Streams under right checksums that no writer makes, and two that one might."""
    side, latents = EMPTY
    for count in (1, 2, 3, 5):
        for name, chunks in (
            ("e4-side", [(SIDE, words(2, 2)[:count]), latents]),
            ("e4-latents", [side, (LATENTS, words(2, 1)[:count])]),
        ):
            yield Case(
                name=f"{name}-of-{count}-bytes",
                data=file(chunks),
                error="CorruptError",
                message="rule E4",
                seen="content",
            )
    for name, content in (("zero-word", bytes(4)), ("zeros", bytes(400)), ("zero-last", words(3, 2) + bytes(4))):
        for kind, chunks in (("side", [(SIDE, content), latents]), ("latents", [side, (LATENTS, content)])):
            yield Case(
                name=f"e5-{kind}-{name}", data=file(chunks), error="CorruptError", message="rule E5", seen="content"
            )
    for kind, count in (("side", 1), ("side", 4), ("side", 40), ("latents", 400), ("latents", 401)):
        chunks = [(SIDE, words(count, count)), latents] if kind == "side" else [side, (LATENTS, words(count, count))]
        name = f"e11-{kind}-{count}-words-of-noise"
        yield Case(name=name, data=file(chunks, quality=3), error="CorruptError", message="rule E1", seen="content")
    for count in (1, 4, 40):  # every stream that is short enough is some picture's
        data = file([side, (LATENTS, words(count, count))], quality=3)
        yield Case(name=f"valid-{count}-words-of-noise", data=data, error=None, seen="content")
    data = file([(SIDE, words(50, 5)), (LATENTS, words(5000, 6))], width=200, height=200, quality=7)
    yield Case(name="e11-noise-200-x-200", data=data, error="CorruptError", message="rule E1", seen="content")
    yield from _crafted_streams()
    picture = {"error": None, "seen": "content"}
    yield Case(name="valid-no-words", data=file(EMPTY, width=640, height=480), **picture)
    yield Case(name="valid-no-words-two-strips", data=file(2 * EMPTY, width=3, height=1025, mode=L), **picture)
    yield Case(name="valid-no-words-wide", data=file(EMPTY, version=2, width=65535, height=1), **picture)
    yield Case(name="valid-no-words-tall", data=file(5 * EMPTY, width=1, height=4097), **picture)


def _crafted_streams() -> Iterator[Case]:
    """Streams in the tables of tests/golden/profile."""
    from streams import escaped, extreme, left_over

    for name, value in (("zero", 0), ("that-has-an-index", 1), ("below-all", -32768)):
        chunks = escaped(value)
        yield Case(
            name=f"e10-escape-{name}", data=file(chunks), error="CorruptError", message="rule E10", seen="content"
        )
    for kind in (SIDE, LATENTS):
        name = {SIDE: "side", LATENTS: "latents"}[kind]
        yield Case(
            name=f"e11-{name}-word-left",
            data=file(left_over(kind)),
            error="CorruptError",
            message="rule E11",
            seen="content",
        )
    for sign, name in ((1, "high"), (-1, "low")):
        yield Case(name=f"valid-extreme-{name}", data=file(extreme(sign), quality=7), error=None, seen="content")


def _version_3() -> Iterator[Case]:
    """Files of one stream a strip: what holds for them alone, or differs from versions 1 and 2."""
    from streams import CODEC_3, far, joint, joint_escaped

    def case(
        name: str,
        content: bytes,
        error: str | None = None,
        message: str = "",
        *,
        quality: int = 0,
        width: int = 1,
        height: int = 1,
    ) -> Case:
        data = file([(LATENTS, content)], version=3, profile=PROFILE_3, quality=quality, width=width, height=height)
        return Case(name=name, data=data, error=error, message=message, seen="content")

    other = {"error": "CorruptError", "message": "rule H12", "seen": "content"}
    side, latents = EMPTY
    yield Case(name="h12-version-3-of-schema-1", data=file([latents], version=3), **other)
    yield Case(name="h12-version-1-of-schema-2", data=file(EMPTY, profile=PROFILE_3), **other)
    yield Case(name="h12-version-1-of-schema-2-no-side", data=file([latents], profile=PROFILE_3), **other)
    data = file(EMPTY, version=2, width=4097, profile=PROFILE_3)
    yield Case(name="h12-version-2-of-schema-2", data=data, **other)
    data = file([latents, (70, bytes(22))], version=3, width=65535, height=65535, profile=PROFILE_3)
    assert len(data) == 60
    message = "65535 x 65535 = 4294836225 pixels"
    yield Case(name="h10-65535-x-65535-version-3", data=data, error="LimitError", message=message)
    order = {"error": "CorruptError", "message": "rules C3 to C7"}
    data = file(EMPTY, version=3, profile=PROFILE_3)
    yield Case(name="c7-side-in-version-3", data=data, **order)
    data = file([latents, latents, side], version=3, height=1025, profile=PROFILE_3)
    yield Case(name="c7-side-behind-in-version-3", data=data, **order)
    data = file([latents], version=3, height=1025, profile=PROFILE_3)
    yield Case(name="c6-strip-missing-in-version-3", data=data, **order)
    for name, content in (("zero", bytes(1)), ("zero-word", bytes(4)), ("zeros", bytes(401))):
        yield case(f"e5-joint-{name}", content, "CorruptError", "rule E5")
    honest, limit = joint(1, 2, 7), CODEC_3.profile.manifest.hyper_limit
    for count in (1, 2, 3, 4):
        yield case(f"e5-joint-{count}-zeros-last", honest + bytes(count), "CorruptError", "rule E5", quality=7)
    for name, value in (("zero", 0), ("that-has-an-index", 1), ("below-all", -32768)):
        yield case(f"e10-joint-escape-{name}", joint_escaped(value), "CorruptError", "rule E10")
    yield case("e11-joint-word-left", words(1, 11) + honest, "CorruptError", "rule E11", quality=7)
    for count in (400, 401):
        yield case(f"e11-joint-{count}-words-of-noise", words(count, count), "CorruptError", "rule E1", quality=3)
    for sign, name in ((1, "above"), (-1, "below")):
        for columns, step in ((1, "first"), (2, "last")):
            content = far(sign * (limit + 1), columns)
            yield case(f"e13-{name}-in-the-{step}-step", content, "CorruptError", "rule E13", width=64 * columns)
    yield case("e13-far-below", far(-32000, 1), "CorruptError", "rule E13")
    for count in (1, 2, 3, 4, 5, 40):  # bytes: a stream need not be whole words
        yield case(f"valid-joint-{count}-bytes-of-noise", words(10, count)[-count:], quality=3)
    for name, content in (("byte-missing", honest[:-1]), ("half", honest[: len(honest) // 2]), ("end", honest[4:])):
        yield case(f"valid-joint-{name}", content.rstrip(b"\0"), quality=7)  # cut short it is another picture's
    for sign, name in ((1, "high"), (-1, "low")):
        yield case(f"valid-joint-extreme-{name}", joint(sign * limit, sign * 32767, 7), quality=7)
    yield case("valid-joint-two-columns", joint(-2, 1, 5, columns=2), quality=5, width=65, height=3)
    yield case("valid-joint-no-words", b"")
    data = file(2 * [latents], version=3, width=3, height=1025, mode=L, profile=PROFILE_3)
    yield Case(name="valid-joint-no-words-two-strips", data=data, error=None, seen="content")
    data = file([latents], version=3, width=65535, height=1, profile=PROFILE_3)
    yield Case(name="valid-joint-no-words-wide", data=data, error=None, seen="content")


def _alpha() -> Iterator[Case]:
    plain = b"\0\xff" * 4  # 1 x 4
    stream = zlib.compress(plain, 9)

    def case(name: str, content: bytes, rule: str, **fields: int) -> Case:
        data = file([(ALPHA, content), *EMPTY], **({"mode": RGBA, "width": 1, "height": 4} | fields))
        return Case(name=name, data=data, error="CorruptError", message=f"rule {rule}", seen="content")

    yield case("a1-no-zlib", b"no zlib at all", "A1")
    yield case("a1-empty", b"", "A2")
    yield case("a1-wrong-checksum", stream[:-1] + bytes((stream[-1] ^ 1,)), "A1")
    yield case("a1-no-checksum", stream[:-4], "A1")
    yield case("a1-cut", stream[: len(stream) // 2], "A2")
    yield case("a1-bytes-behind", stream + b"hidden", "A1")
    yield case("a1-stream-behind", stream + stream, "A1")
    raw = zlib.compressobj(9, zlib.DEFLATED, -15)
    yield case("a1-raw-deflate", raw.compress(plain) + raw.flush(), "A1")
    gzip = zlib.compressobj(9, zlib.DEFLATED, 31)
    yield case("a1-gzip", gzip.compress(plain) + gzip.flush(), "A1")
    named = zlib.compressobj(9, zlib.DEFLATED, 15, zdict=b"dictionary")
    yield case("a1-dictionary", named.compress(plain) + named.flush(), "A1")
    yield case("a2-too-short", zlib.compress(plain[:-1]), "A2")
    yield case("a2-too-long", zlib.compress(plain + b"\0"), "A2")
    yield case("a2-bomb", zlib.compress(bytes(2**24), 9), "A2")
    inner = zlib.compress(bytes(2**24), 9)
    yield case("a2-bomb-in-a-bomb", zlib.compress(inner, 9), "A2")
    endless = zlib.compressobj(9)
    blocks = b"".join(endless.compress(b"") + endless.flush(zlib.Z_FULL_FLUSH) for _ in range(5000))
    yield case("a1-empty-blocks", blocks, "A2")
    for kind in (5, 255):
        yield case(f"a3-filter-{kind}", zlib.compress(bytes((kind, 0)) * 4), "A3")


def _metadata() -> Iterator[Case]:
    """Valid files. What is in their metadata is nobody's business until somebody takes it apart."""

    def case(name: str, **metadata: bytes) -> Case:
        kinds = {"icc": ICC, "exif": EXIF, "xmp": XMP}
        chunks = [(kinds[key], content) for key, content in metadata.items()]
        return Case(
            name=f"metadata-{name}", data=file([*chunks, *EMPTY], width=5, height=3), error=None, seen="content"
        )

    yield case("noise", icc=words(30, 7), exif=words(30, 8), xmp=words(30, 9))
    yield case("icc-of-cmyk", icc=u32(128) + bytes(12) + b"CMYK" + bytes(108))
    yield case("icc-that-claims-4-gib", icc=b"\xff\xff\xff\xff" + bytes(12) + b"RGB " + bytes(16) + b"acsp" + bytes(88))
    yield case("exif-prefix-only", exif=b"Exif\0\0")
    yield case("exif-cut", exif=b"Exif\0\0II*\0")
    yield case("exif-no-tiff", exif=b"garbage")
    yield case("exif-text-as-orientation", exif=tiff([(274, 2, 4, b"abc\0")]))
    yield case("exif-fraction-as-orientation", exif=tiff([(274, 5, 1, u32(8))]))
    yield case("exif-orientation-99", exif=tiff([(274, 3, 1, u32(99))]))
    yield case("exif-of-2-gib", exif=tiff([(270, 2, 2**31 - 1, u32(8))]))
    yield case("exif-in-itself", exif=tiff([(0x8769, 4, 1, u32(8)), (0x8825, 4, 1, u32(8))], following=8))
    storage = [(256, 65535), (257, 65535), (258, 1), (259, 5), (262, 0), (266, 2), (273, 2**31), (277, 9), (278, 0)]
    storage += [
        (279, 2**31),
        (284, 2),
        (317, 2),
        (320, 1),
        (322, 16),
        (324, 8),
        (338, 7),
        (339, 3),
        (700, 8),
        (34675, 8),
    ]
    yield case("exif-of-another-layout", exif=tiff([(tag, 4, 1, u32(value)) for tag, value in storage]))
    every = [(tag, tag % 14, 2**tag % 7, b"\1\2\3\4") for tag in range(254, 360)]
    yield case("exif-of-every-type", exif=tiff(every))
    yield case("xmp-not-utf-8", xmp=b"\xff\xfe<x/>")
    lol = b'<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">' + b"".join(
        f'<!ENTITY {after} "{f"&{before};" * 10}">'.encode()
        for before, after in zip("abcdefgh", "bcdefghi", strict=True)
    )
    yield case("xmp-billion-laughs", xmp=lol + b"]><x>&i;</x>")
    yield case("xmp-that-names-a-file", xmp=b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>')
    yield case("control-characters", icc=b"\x1b]0;title\x07", xmp=b"\x1b[2J\x07\0\r\n")
    unknown = [(kind, words(1, kind)) for kind in range(67, 128)]
    yield Case(name="valid-every-unknown-chunk", data=file([*EMPTY, *unknown]), error=None, seen="content")


FOUND: dict[str, dict[str, object]] = {}
"""Of the files that fuzzing found: what index.json says about them."""


def main() -> None:
    index = {}
    for case in cases():
        path = HERE / f"{case.name}.nrws"
        if not path.exists():
            path.write_bytes(case.data)
        index[path.name] = case.record()
    index |= FOUND
    text = json.dumps(index, indent=1, sort_keys=True)
    (HERE / "index.json").write_text(text + "\n")
    sys.stdout.write(f"{len(index)} files, {sum(path.stat().st_size for path in HERE.glob('*.nrws'))} bytes\n")


if __name__ == "__main__":
    main()
