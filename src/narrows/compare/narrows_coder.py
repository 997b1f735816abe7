"""narrows as one of the coders: the shipped profile, or any other by its folder."""

from __future__ import annotations

from functools import partial

import numpy as np

from narrows import __version__
from narrows.codec import Codec
from narrows.compare.records import Coder, Pixels
from narrows.compare.working import SettingRange, WorkingCoder
from narrows.errors import OptionError

NAME = "narrows"
PREFIX = NAME + ":"

_SETTINGS = tuple(float(quality) for quality in range(0, 101, 10))


def is_narrows(name: str) -> bool:
    """Whether a coder's name means narrows: "narrows" with its default profile, "narrows:PROFILE" with another."""
    return name == NAME or name.startswith(PREFIX)


def build(name: str, *, threads: int, effort: int) -> WorkingCoder:
    """narrows with the profile that the name says; ProfileError, or OptionError for an effort or profile of no use."""
    if isinstance(effort, bool) or not 0 <= effort <= 9:
        raise OptionError(f"effort is {effort}, it must be a whole number from 0 to 9")
    profile = name.removeprefix(PREFIX) if name.startswith(PREFIX) else "default"
    codec = Codec(profile, threads=threads)
    manifest = codec.profile.manifest
    if manifest.input_channels != 3:
        raise OptionError(f"{name}: the profile {manifest.name} codes grey pictures only; the comparison is in colour")
    coder = Coder(
        name=name,
        label=NAME if name == NAME else f"narrows ({manifest.name} {codec.profile.digest.hex()[:8]})",
        family=NAME,
        options=f"profile {manifest.name} {manifest.version}, effort {effort}",
        version=f"narrows {__version__} profile {codec.profile.digest.hex()[:8]} effort {effort}",
    )
    last = manifest.qualities - 1
    return WorkingCoder(
        coder=coder,
        settings=_settings(last),
        range=SettingRange(low=0, high=100, step=100 / last) if last else SettingRange(low=0, high=0),
        encode=partial(_encode, codec, effort),
        decode=partial(_decode, codec),
    )


def _settings(last: int) -> tuple[float, ...]:
    """The usual qualities, but each of the profile's own only once: a profile may have fewer than there are here."""
    by_index: dict[int, float] = {}
    for setting in _SETTINGS:
        by_index.setdefault(round(setting * last / 100), setting)
    return tuple(by_index.values())


def _encode(codec: Codec, effort: int, pixels: Pixels, setting: float) -> bytes:
    return codec.encode(pixels, quality=setting, effort=effort)


def _decode(codec: Codec, data: bytes) -> Pixels:
    return np.asarray(codec.decode(data))
