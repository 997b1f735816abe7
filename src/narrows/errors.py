"""Every error that narrows raises on purpose.

NarrowsError                 everything below
├── FormatError              the bytes break a rule of docs/FORMAT.md
│   ├── NotNarrowsError      the signature is missing: some other kind of file
│   ├── UnsupportedError     a valid file of a later format, or a part that this release cannot read
│   ├── TruncatedError       bytes are missing at the end
│   └── CorruptError         the bytes contradict themselves: checksum, order, spelling, bytes left over
├── ProfileError             a profile is missing, damaged, not allowed, or not the one the file needs
├── LimitError               the file asks for more than the caller's Limits allow
├── PictureError             a picture cannot be read or is of no supported kind
└── OptionError              the caller passed a value outside its range (also a ValueError)

ConversionWarning            a picture was converted on its way in (CMYK, 16 bits a sample, an animation's first frame)
"""

from __future__ import annotations


class NarrowsError(Exception):
    """Base of all errors of this package.

    `source` is the file's name. The layer that finds a fault saw only bytes; the one that knows the name sets it later.
    """

    def __init__(self, message: str, *, source: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.source = source

    def __str__(self) -> str:
        return self.message if self.source is None else f"{self.source}: {self.message}"


class FormatError(NarrowsError):
    """The bytes break a rule of docs/FORMAT.md."""


class NotNarrowsError(FormatError):
    """The bytes do not begin with the narrows signature."""


class UnsupportedError(FormatError):
    """The file needs a later release: its version or a critical part is unknown to this one."""


class TruncatedError(FormatError):
    """Bytes are missing at the end of the file."""


class CorruptError(FormatError):
    """The bytes contradict themselves: a checksum, an order, a spelling, or bytes left over."""


class ProfileError(NarrowsError):
    """A profile is missing, damaged, asks for what is not allowed, or is not the one that the file needs."""


class LimitError(NarrowsError):
    """The file or picture is larger than the caller's Limits allow."""


class PictureError(NarrowsError):
    """A picture cannot be read, or is of a kind that this package does not code."""


class OptionError(NarrowsError, ValueError):
    """The caller passed a value outside its range."""


class ConversionWarning(UserWarning):
    """A picture was converted to 8 bits a sample and one of the modes L, LA, RGB or RGBA before coding."""
