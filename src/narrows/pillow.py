"""The Pillow plugin: `import narrows.pillow`, and Pillow opens and saves .nrws like any other format.

    _accept -> NarrowsImageFile._open (header and metadata) -> Pillow's size check -> load (pixels)        Image.open
    _save: a Pillow image -> narrows.encode -> the file                                                    Image.save

Pillow tries its formats one by one and takes some errors for "not mine": SyntaxError, IndexError, TypeError and
struct.error. Here a wrong signature alone is one of those. What is wrong with a narrows file is told by the errors of
narrows.errors, each of which is here also the error that programs catch around Pillow:

    FormatError, ProfileError, PictureError    OSError, as Pillow's own errors about broken files are
    LimitError                                 PIL.Image.DecompressionBombError
    NotNarrowsError                            SyntaxError; Image.open goes on to the next format
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from PIL import Image, ImageFile

from narrows import container
from narrows.errors import (
    CorruptError,
    LimitError,
    NarrowsError,
    NotNarrowsError,
    OptionError,
    PictureError,
    ProfileError,
    TruncatedError,
    UnsupportedError,
)
from narrows.inputs import named, read_at_most
from narrows.limits import Limits
from narrows.shared import decode_shared, shared_codec, verify_shared

if TYPE_CHECKING:
    from PIL._imaging import PixelAccess

__all__ = ["EXTENSION", "FORMAT", "MIME", "NarrowsImageFile", "register"]

FORMAT = "NARROWS"
EXTENSION = ".nrws"
MIME = "image/x-narrows"

_PILLOWS_MAX_PIXELS = 2**30 // 4 // 3  # "limit to around a quarter gigabyte for a 24-bit (3 bpp) image"
_TELLING = 4  # bytes of the signature that no other format begins with
_METADATA_KEYS = ("icc_profile", "exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")  # in Image.info


class NotNarrowsFileError(NotNarrowsError, SyntaxError):
    """NotNarrowsError, which Image.open takes for "not mine"."""


class UnsupportedFileError(UnsupportedError, OSError):
    """UnsupportedError, for programs that catch OSError around Pillow."""


class TruncatedFileError(TruncatedError, OSError):
    """TruncatedError, for programs that catch OSError around Pillow; ImageFile.Parser then waits for more."""


class CorruptFileError(CorruptError, OSError):
    """CorruptError, for programs that catch OSError around Pillow."""


class MissingProfileError(ProfileError, OSError):
    """ProfileError, for programs that catch OSError around Pillow."""


class UnsavablePictureError(PictureError, OSError):
    """PictureError, for programs that catch OSError around Pillow."""


class OverLimitError(LimitError, Image.DecompressionBombError):
    """LimitError, for programs that catch DecompressionBombError around Pillow."""


_AS_PILLOW: dict[type[NarrowsError], type[NarrowsError]] = {
    NotNarrowsError: NotNarrowsFileError,
    UnsupportedError: UnsupportedFileError,
    TruncatedError: TruncatedFileError,
    CorruptError: CorruptFileError,
    ProfileError: MissingProfileError,
    PictureError: UnsavablePictureError,
    LimitError: OverLimitError,
}


class NarrowsImageFile(ImageFile.ImageFile):
    """A narrows file as a Pillow image: size, mode and metadata at once, the pixels when they are asked for.

    Image.open makes it. It can be made directly too, from a path or a binary file, where Image.open has no room for
    arguments: `profile` is a profile's name or folder, None for the shipped one that the file names; `limits` stands
    in the place of Pillow's MAX_IMAGE_PIXELS, which then nobody asks.
    """

    format = FORMAT
    format_description = "narrows learned image codec"
    n_frames = 1
    is_animated = False

    _profile: str | os.PathLike[str] | None = None
    _limits = Limits()
    _start = 0
    _waiting = False  # whether the pixels have yet to be decoded; stays so while that fails

    def __init__(
        self,
        fp: str | os.PathLike[str] | IO[bytes],
        filename: str | bytes | None = None,
        *,
        profile: str | os.PathLike[str] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._profile = profile
        self._limits = limits or Limits()
        super().__init__(fp, filename)

    def _open(self) -> None:
        """Read the header and the metadata: all that Pillow shows of a file before its pixels are asked for."""
        with self._file() as file:
            self._start = file.tell()
            start = read_at_most(file, container.MAX_HEADER)
            header = container.read_header(start, self._limits)
            start += read_at_most(file, header.metadata_end - len(start))
            metadata = container.read_metadata(start, header)
        self._size = (header.width, header.height)
        self._mode = header.mode.name
        self.tile = []  # no decoder of Pillow's; before 11 None stands here, for "cannot be loaded"
        for key, content in (("icc_profile", metadata.icc), ("exif", metadata.exif), ("xmp", metadata.xmp)):
            if content is not None:
                self.info[key] = content
        self._waiting = True

    def load(self) -> PixelAccess | None:
        """Decode the pixels, once. The file is checked as a whole before; nothing is ever shown of a damaged one."""
        if self._waiting:
            with self._file() as file:
                file.seek(self._start)
                image = decode_shared(file, None, self._profile, self._limits)
                if (image.size, image.mode) != (self.size, self.mode):
                    raise CorruptError("has been changed since it was opened; open it again")
            self.im = image.im
            self.readonly = 0
            self._waiting = False
            if self._exclusive_fp:
                file.close()
            self.fp = None
        return super().load()

    def verify(self) -> None:
        """Check every rule of the format and every checksum, without decoding. As Pillow has it, the file is closed."""
        with self._file() as file:
            try:
                file.seek(self._start)
                verify_shared(file, False, None, self._limits)
            finally:
                super().verify()

    @contextmanager
    def _file(self) -> Iterator[IO[bytes]]:
        """The open file; errors in the block get its name and become those that the head of this file lists."""
        if self.fp is None:
            raise ValueError("the file is closed; open it again")
        with _pillow_errors(self.filename or self.fp):
            yield self.fp


def register() -> None:
    """Make Pillow know the format. Importing this module does it; doing it again changes nothing.

    Where MAX_IMAGE_PIXELS still has Pillow's own value it is raised, so that Image.open refuses what Limits refuses by
    default, above 268 megapixels, and warns above half of that. What a program has set stays.
    """
    if Image.MAX_IMAGE_PIXELS == _PILLOWS_MAX_PIXELS:
        Image.MAX_IMAGE_PIXELS = Limits().max_pixels // 2  # Pillow warns above it, and refuses above its double
    Image.register_open(FORMAT, NarrowsImageFile, _accept)
    for name in (FORMAT, EXTENSION[1:]):  # Matplotlib takes the suffix for the format's name, and so do people
        Image.register_save(name, _save)
        Image.register_save_all(name, _save_all)
    Image.register_extension(FORMAT, EXTENSION)
    Image.register_mime(FORMAT, MIME)


def _accept(prefix: bytes) -> bool:
    """Whether a file begins as narrows files do. One that ends inside the signature is ours too: it is cut short."""
    return len(prefix) >= _TELLING and container.SIGNATURE.startswith(prefix[: len(container.SIGNATURE)])


def _save(image: Image.Image, file: IO[bytes], filename: str | bytes) -> None:
    """Write the image, or its current frame. The options are those of narrows.encode, and exif, icc_profile and xmp.

    Metadata that the image came with are kept, as everywhere in narrows; b"" or None instead of them leaves them out.
    """
    options = image.encoderinfo
    with _pillow_errors(filename):
        codec = shared_codec(options.get("profile") or "default", options.get("limits"))
        data = codec.encode(
            _with_metadata(image, options),
            quality=options.get("quality", 75),
            effort=options.get("effort", 5),
            target_bytes=options.get("target_bytes"),
            target_psnr=options.get("target_psnr"),
        )
    file.write(data)


def _save_all(image: Image.Image, file: IO[bytes], filename: str | bytes) -> None:
    """What save_all=True asks for, of a format that holds one picture."""
    if image.encoderinfo.get("append_images") or getattr(image, "n_frames", 1) > 1:
        raise OptionError("a narrows file holds one picture; save every frame by itself")
    _save(image, file, filename)


def _with_metadata(image: Image.Image, options: Mapping[str, Any]) -> Image.Image:
    """The pixels of `image` as a still of no file, with the metadata that the new file gets."""
    from narrows.pixels import exif_of, xmp_of  # late: opening a file needs no numpy

    exif = options.get("exif", exif_of(image))
    xmp = options.get("xmp", xmp_of(image))
    if isinstance(exif, Image.Exif):
        exif = exif.tobytes() if len(exif) else None
    if isinstance(xmp, str):
        xmp = xmp.encode()
    still = image._new(image.im)  # shares the pixels
    for key in _METADATA_KEYS:
        still.info.pop(key, None)
    chosen = {"icc_profile": options.get("icc_profile", image.info.get("icc_profile")), "exif": exif, "xmp": xmp}
    for key, content in chosen.items():
        if not isinstance(content, bytes | None):
            raise OptionError(f"{key} is of the type {type(content).__name__}, it must be bytes")
        if content:
            still.info[key] = content
    return still


@contextmanager
def _pillow_errors(source: object) -> Iterator[None]:
    """The errors of narrows about the file `source`, a name or an open file, as those at the head of this file."""
    try:
        with named(os.fsdecode(source) if isinstance(source, bytes) else source or None):
            yield
    except NarrowsError as error:
        kind = _AS_PILLOW.get(type(error))
        if kind is None:
            raise
        raise kind(error.message, source=error.source).with_traceback(error.__traceback__) from error.__cause__


register()
