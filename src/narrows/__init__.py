"""narrows: photographs into small files, with a network that this project trained.

>>> import narrows
>>> data = narrows.encode("photo.jpg", quality=75)    # doctest: +SKIP
>>> image = narrows.decode(data)                      # doctest: +SKIP

Importing the package loads no network library: what needs one imports it when it is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from narrows.errors import (
    ConversionWarning,
    CorruptError,
    FormatError,
    LimitError,
    NarrowsError,
    NotNarrowsError,
    OptionError,
    PictureError,
    ProfileError,
    TruncatedError,
    UnsupportedError,
)
from narrows.limits import Limits

if TYPE_CHECKING:
    import os

    from PIL.Image import Image

    from narrows.codec import Codec, Region
    from narrows.inputs import Source
    from narrows.pixels import Source as PictureSource
    from narrows.summary import Info

__all__ = [
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
]

__version__ = "0.1.0"


def encode(
    picture: PictureSource,
    *,
    quality: float = 75,
    effort: int = 5,
    profile: str | os.PathLike[str] = "default",
    target_bytes: int | None = None,
    target_psnr: float | None = None,
    metadata: bool = True,
    limits: Limits | None = None,
) -> bytes:
    """The picture as the bytes of a narrows file; `Codec.encode` says what each option does."""
    from narrows.shared import shared_codec

    return shared_codec(profile, limits).encode(
        picture,
        quality=quality,
        effort=effort,
        target_bytes=target_bytes,
        target_psnr=target_psnr,
        metadata=metadata,
    )


def decode(
    data: Source,
    *,
    region: Region | None = None,
    profile: str | os.PathLike[str] | None = None,
    limits: Limits | None = None,
) -> Image:
    """The picture of a narrows file: bytes, a path or an open binary file; see `Codec.decode`.

    `profile` None takes the shipped profile that the file names; ProfileError if none is the one.
    """
    from narrows.shared import decode_shared

    return decode_shared(data, region, profile, limits)


def info(data: Source, *, limits: Limits | None = None) -> Info:
    """What a file's header says: size, mode, quality, profile, chunks. Reads the header alone, loads no network."""
    from narrows import summary

    return summary.info(data, limits)


def verify(
    data: Source,
    *,
    deep: bool = False,
    profile: str | os.PathLike[str] | None = None,
    limits: Limits | None = None,
) -> None:
    """Raise the error that `decode` would: of the container alone (loads no network), or with `deep` of everything."""
    from narrows.shared import verify_shared

    verify_shared(data, deep, profile, limits)


def __getattr__(name: str) -> Any:
    if name == "Codec":
        from narrows.codec import Codec

        return Codec
    if name == "Info":
        from narrows.summary import Info

        return Info
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
