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
    from narrows.container import Container

_MAKING = Lock()


def shared_codec(profile: str | os.PathLike[str], limits: Limits | None = None) -> Codec:
    """The codec of a profile with the default threads; a later call gives the same one, or one of the same networks."""
    folder = profiles.find(profile)
    with _MAKING:  # else two threads that come first would both load the networks
        codec = _codec(os.path.abspath(folder))
    return codec if limits is None else codec.limited(limits)


def decode_shared(
    data: Source, region: Region | None, profile: str | os.PathLike[str] | None, limits: Limits | None
) -> Image:
    """narrows.decode: the container is checked before any profile is looked for."""
    with named(data):
        file = _read(data, limits)
        codec = _codec_for(file.profile) if profile is None else shared_codec(profile)
        return codec.decode_container(file, region)


def verify_shared(data: Source, deep: bool, profile: str | os.PathLike[str] | None, limits: Limits | None) -> None:
    """narrows.verify."""
    with named(data):
        file = _read(data, limits)
        if deep:
            codec = _codec_for(file.profile) if profile is None else shared_codec(profile)
            for _ in codec.decode_parts(file):
                pass


def _read(data: Source, limits: Limits | None) -> Container:
    limits = limits or Limits()
    return container.read(read_source(data, limits), limits)


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
