"""Narrows files changed at random and made whole again: what is written here has right checksums, mostly.

A fuzzer that changes bytes alone never comes behind a CRC-32. Here a file is taken apart into a draft, the draft is
changed, and the file is assembled anew; in some of them the rules about the order and number of chunks are broken too.
`Random` decides everything, so the same seed makes the same file.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from craft import ALPHA, EXIF, ICC, LATENTS, PROFILE, PROFILE_3, SIDE, SIGNATURE, XMP, Chunk, file

from narrows.container import STRIP_PIXELS, strip_count, version_of

Change = Callable[[bytes], bytes]
"""What changes bytes at random: the fuzzer's own, or `noise`."""

_SIDES = (1, 2, 3, 16, 63, 64, 65, 127, 128, 129, 200, 1023, 1024, 1025, 2049, 4096, 4097, 8193, 65535)
_WRONG_SIDES = (0, 65536, 2**31, 2**32 - 1)
_TYPES = (SIDE, LATENTS, ALPHA, ICC, EXIF, XMP, 0, 4, 5, 6, 7, 63, 67, 70, 127, 128, 255, 2**32 - 1)
_STREAMS = (SIDE, LATENTS)
_INFLATED = 2**20  # bytes of alpha at most that are changed under its zlib stream


@dataclass
class Draft:
    """What a file says, in parts that can be changed one by one."""

    version: int = 1
    mode: int = 2
    width: int = 1
    height: int = 1
    quality: int = 0
    profile: bytes = PROFILE
    chunks: list[Chunk] = field(default_factory=list)
    behind: bytes = b""

    def data(self) -> bytes:
        fields = {"version": self.version, "mode": self.mode, "width": self.width, "height": self.height}
        return file(self.chunks, quality=self.quality, profile=self.profile, **fields) + self.behind


def noise(draw: random.Random) -> Change:
    """Changes bytes: some are replaced, put in, left out or repeated."""

    def change(data: bytes) -> bytes:
        out = bytearray(data)
        for _ in range(draw.choice((1, 1, 2, 4, 16))):
            at, count = draw.randrange(len(out) + 1), draw.choice((1, 1, 4, draw.randrange(1, 64)))
            kind = draw.randrange(5)
            if kind == 0:
                out[at : at + 1] = bytes((draw.randrange(256),))
            elif kind == 1 and at < len(out):
                out[at] ^= 1 << draw.randrange(8)
            elif kind == 2:
                out[at:at] = draw.randbytes(count)
            elif kind == 3:
                del out[at : at + count]
            else:
                out[at:at] = out[at : at + count]
        return bytes(out)

    return change


def mutated(data: bytes, draw: random.Random, change: Change | None = None, *, streams_only: bool = False) -> bytes:
    """Another file: of the same parts, some of them changed.

    `change` changes bytes, `noise` if it is not given. With `streams_only` the container stays a valid one.
    """
    change = change or noise(draw)
    draft = taken_apart(data)
    if draft is None:
        if not streams_only and draw.random() < 0.5:
            return change(data)
        draft = Draft(chunks=[(SIDE, b""), (LATENTS, change(data))])
    for _ in range(draw.choice((1, 1, 2, 3))):
        draw.choice((_change_content,) if streams_only else (_change_content, _change_header, _change_chunks))(
            draft, draw, change
        )
    if streams_only or draw.random() < 0.8:
        _put_in_order(draft, draw)
    if not streams_only and draw.random() < 0.05:
        return change(draft.data())
    return draft.data()


def taken_apart(data: bytes) -> Draft | None:
    """The draft of a file, whether its checksums are right or not; None if it has no header to speak of."""
    if not data.startswith(SIGNATURE):
        return None
    try:
        position = len(SIGNATURE) + 2
        width, position = _number(data, position)
        height, position = _number(data, position)
        quality, profile = data[position], data[position + 1 : position + 5]
        count, position = _number(data, position + 5)
        table = []
        for _ in range(min(count, 2048)):
            kind, position = _number(data, position)
            length, position = _number(data, position)
            table.append((kind, length))
    except IndexError:
        return None
    draft = Draft(version=data[8], mode=data[9], width=width, height=height, quality=quality)
    draft.profile = profile.ljust(4, b"\0")
    position += 4
    for kind, length in table:
        draft.chunks.append((kind, data[position : position + length]))
        position = min(position + length + 4, len(data))
    draft.behind = data[position:]
    return draft


def _change_header(draft: Draft, draw: random.Random, change: Change) -> None:
    kind = draw.randrange(6)
    if kind == 0:
        draft.width = draw.choice(_SIDES if draw.random() < 0.9 else _WRONG_SIDES)
    elif kind == 1:
        draft.height = draw.choice(_SIDES if draw.random() < 0.9 else _WRONG_SIDES)
    elif kind == 2:
        draft.mode = draw.randrange(4) if draw.random() < 0.9 else draw.randrange(256)
    elif kind == 3:
        draft.quality = draw.randrange(8) if draw.random() < 0.9 else draw.randrange(256)
    elif kind == 4:
        draft.version = draw.choice((0, 1, 2, 3, 255))
    else:
        draft.profile = draw.choice((PROFILE, PROFILE_3, draw.randbytes(4)))


def _change_chunks(draft: Draft, draw: random.Random, change: Change) -> None:
    chunks = draft.chunks
    kind = draw.randrange(6)
    at = draw.randrange(len(chunks)) if chunks else 0
    if kind == 0 or not chunks:
        chunks.insert(at, (draw.choice(_TYPES), draw.randbytes(draw.choice((0, 1, 4, 40)))))
    elif kind == 1:
        del chunks[at]
    elif kind == 2:
        chunks.append(chunks[at])
    elif kind == 3:
        other = draw.randrange(len(chunks))
        chunks[at], chunks[other] = chunks[other], chunks[at]
    elif kind == 4:
        chunks[at] = (draw.choice(_TYPES), chunks[at][1])
    else:
        draft.behind = draw.choice((b"", draw.randbytes(draw.randrange(1, 9))))


def _change_content(draft: Draft, draw: random.Random, change: Change) -> None:
    if not draft.chunks:
        return
    at = draw.randrange(len(draft.chunks))
    kind, content = draft.chunks[at]
    if kind == ALPHA and draw.random() < 0.7:
        content = _change_alpha(content, draft, draw, change)
    elif draw.random() < 0.1:
        content = draw.choice((b"", content * 2, content[: len(content) // 2], draw.randbytes(4 * draw.randrange(300))))
    else:
        content = change(content)
    if kind in _STREAMS and draw.random() < 0.9:  # else no more than E4 and E5 would be met
        if draft.profile == PROFILE_3:  # the last byte not zero
            content = content.rstrip(b"\0")
        else:  # whole words, the last one not zero
            content = content[: len(content) // 4 * 4]
            content = content if content[-4:] != bytes(4) else content[:-1] + b"\1"
    draft.chunks[at] = (kind, content)


def _change_alpha(content: bytes, draft: Draft, draw: random.Random, change: Change) -> bytes:
    """Rows of another picture, or with other filters, in a zlib stream that is right."""
    try:
        rows = zlib.decompressobj().decompress(content, _INFLATED)
    except zlib.error:
        rows = b""
    expected = min(draft.height * (draft.width + 1), _INFLATED)
    rows = change(rows)
    if draw.random() < 0.8:
        rows = rows[:expected].ljust(expected, b"\0")
    return zlib.compress(rows, draw.randrange(10))


def _put_in_order(draft: Draft, draw: random.Random) -> None:
    """As the rules about versions, orders and numbers of chunks want it, so that what lies deeper is met."""
    draft.width, draft.height = (min(max(side, 1), 65535) for side in (draft.width, draft.height))
    if draft.width * draft.height > STRIP_PIXELS:
        draft.height = 1 + draft.height % 64
    if draw.random() < 0.9:  # small ones are quick
        draft.width, draft.height = 1 + (draft.width - 1) % 1024, 1 + (draft.height - 1) % 1100
    draft.mode %= 4
    draft.quality %= 8
    draft.profile = draft.profile if draft.profile == PROFILE_3 else PROFILE
    joint = (draft.profile == PROFILE_3) != (draw.random() < 0.02)  # the other way round H12 is met
    draft.version, draft.behind = version_of(draft.width, joint=joint), b""
    by_type: dict[int, list[bytes]] = {}
    for kind, content in draft.chunks:
        by_type.setdefault(kind, []).append(content)
    ordered = [(kind, by_type[kind][0]) for kind in (ICC, EXIF, XMP) if by_type.get(kind, [b""])[0]]
    if draft.mode in (1, 3):
        plain = zlib.compress(bytes(min(draft.height * (draft.width + 1), _INFLATED)))
        ordered.append((ALPHA, by_type.get(ALPHA, [plain])[0]))
    for strip in range(strip_count(draft.width, draft.height)):
        for kind in (LATENTS,) if joint else _STREAMS:
            contents = by_type.get(kind, [b""])
            ordered.append((kind, contents[strip % len(contents)]))
    ordered += [(kind, by_type[kind][0]) for kind in sorted(by_type) if 66 < kind < 128]
    draft.chunks = ordered


def _number(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while data[position] & 128 and shift < 28:
        value |= (data[position] & 127) << shift
        position, shift = position + 1, shift + 7
    return (value | data[position] << shift) % 2**32, position + 1
