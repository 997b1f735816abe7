"""The codecs behind narrows.encode and narrows.decode: one for each profile, made on first use and kept."""

from __future__ import annotations

import os
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

from narrows import container, profiles
from narrows.errors import ProfileError
from narrows.inputs import Source, named, read_source
from narrows.limits import Limits

if TYPE_CHECKING:
    from PIL.Image import Image

    from narrows.codec import Codec, Region

_MAKING = Lock()


def shared_codec(profile: str | os.PathLike[str]) -> Codec:
    """The codec of a profile with the default threads and limits; a later call gives the same one."""
    folder = profiles.find(profile)
    with _MAKING:  # else two threads that come first would both load the networks
        return _codec(os.path.abspath(folder))


def decode_shared(data: Source, region: Region | None, profile: str | os.PathLike[str] | None) -> Image:
    """narrows.decode: the container is checked before any profile is looked for."""
    with named(data):
        limits = Limits()
        file = container.read(read_source(data, limits), limits)
        codec = _codec_for(file.profile) if profile is None else shared_codec(profile)

        from narrows.pixels import to_image

        return to_image(codec.decode_container(file, region))


def verify_shared(data: Source, deep: bool, profile: str | os.PathLike[str] | None) -> None:
    """narrows.verify."""
    with named(data):
        limits = Limits()
        file = container.read(read_source(data, limits), limits)
        if deep:
            codec = _codec_for(file.profile) if profile is None else shared_codec(profile)
            codec.decode_container(file)


def _codec_for(prefix: bytes) -> Codec:
    folder = profiles.find_digest(prefix)
    if folder is None:
        raise ProfileError(
            f"needs the profile {prefix.hex()}, which this installation does not ship; "
            "name its folder: -p FOLDER, or profile=FOLDER in Python"
        )
    return shared_codec(folder)


@lru_cache(maxsize=8)
def _codec(folder: str) -> Codec:
    from narrows.codec import Codec

    return Codec(folder)
