"""The coders of a comparison by name, and working ones.

    "jpeg,webp,narrows" --expand--> names --available--> working coders, and a line for each that is not installed

A process that was spawned makes its own with `build`: a working coder holds networks and cannot be sent to it.
"""

from __future__ import annotations

from collections.abc import Sequence

from narrows.compare import mozjpeg, narrows_coder
from narrows.compare.pillow_codecs import PILLOW_CODECS
from narrows.compare.records import Pixels
from narrows.compare.working import SettingRange, WorkingCoder
from narrows.errors import OptionError

__all__ = ["DEFAULT", "NAMES", "SettingRange", "WorkingCoder", "available", "build", "expand", "nearest_setting"]

DEFAULT = "narrows,jpeg,webp,avif,jxl,jpeg2000,tiff"

_PILLOW = {codec.name: codec for codec in PILLOW_CODECS}
_JPEGS = 2  # mozjpeg follows them

NAMES = (narrows_coder.NAME, *list(_PILLOW)[:_JPEGS], mozjpeg.NAME, *list(_PILLOW)[_JPEGS:])
"""Every coder but other profiles of narrows, which are "narrows:FOLDER"."""


def expand(codecs: str | Sequence[str]) -> list[str]:
    """The coders that a list means, each once: names of coders, families, or "all"; a text is split at its commas.

    A family leaves out MozJPEG where it is not installed, since hardly anybody has it. OptionError for an empty list,
    and for an unknown name, with those that are known.
    """
    words = [word.strip() for word in (codecs.split(",") if isinstance(codecs, str) else codecs)]
    names = [name for word in words if word for name in _members(word)]
    if not names:
        raise OptionError(f"no codec is named; the known ones are {_known()}")
    return list(dict.fromkeys(names))


def available(
    names: Sequence[str], *, threads: int = 1, effort: int = 5
) -> tuple[tuple[WorkingCoder, ...], tuple[str, ...]]:
    """The working coders among `names`, and for each of the others a line that says what it needs."""
    reasons = {name: missing(name) for name in names}
    coders = tuple(build(name, threads=threads, effort=effort) for name, reason in reasons.items() if reason is None)
    return coders, tuple(f"{name}: {reason}" for name, reason in reasons.items() if reason is not None)


def missing(name: str) -> str | None:
    """Why a coder cannot run here, and what to do; None if it can. OptionError for an unknown name."""
    if narrows_coder.is_narrows(name):
        return None
    if name == mozjpeg.NAME:
        return mozjpeg.missing()
    if name not in _PILLOW:
        raise OptionError(f"there is no codec {name!r}; the known ones are {_known()}")
    return _PILLOW[name].missing


def build(name: str, *, threads: int = 1, effort: int = 5) -> WorkingCoder:
    """The coder of one name as `expand` gives it, with so many threads for one call of it.

    `effort` is narrows' own. OptionError for an unknown name, a value out of range, or a coder that is not installed;
    ProfileError for a profile that cannot be used.
    """
    if isinstance(threads, bool) or threads < 1:
        raise OptionError(f"threads is {threads}, it must be a positive whole number")
    reason = missing(name)
    if reason is not None:
        raise OptionError(f"{name}: {reason}")
    if narrows_coder.is_narrows(name):
        return narrows_coder.build(name, threads=threads, effort=effort)
    return mozjpeg.build(threads) if name == mozjpeg.NAME else _PILLOW[name].build(threads)


def nearest_setting(coder: WorkingCoder, pixels: Pixels, target_bytes: int) -> tuple[float, bytes]:
    """The setting whose file is nearest to `target_bytes`, and that file: bisection over the coder's range.

    At most log2(settings) + 2 encodings. Where a coder's bytes do not rise with its setting a nearer one may be missed.
    """
    tried: dict[int, bytes] = {}

    def size(index: int) -> int:
        if index not in tried:
            tried[index] = coder.encode(pixels, coder.range.at(index))
        return len(tried[index])

    below, above = 0, coder.range.count - 1
    if size(below) >= target_bytes:
        above = below
    while above - below > 1:
        middle = (below + above) // 2
        if size(middle) < target_bytes:
            below = middle
        else:
            above = middle
    size(above)
    best = min(tried, key=lambda index: (abs(len(tried[index]) - target_bytes), index))
    return coder.range.at(best), tried[best]


def _members(word: str) -> list[str]:
    """The coders of a word: itself if it is one, a family's, or all."""
    if narrows_coder.is_narrows(word):
        if word == narrows_coder.PREFIX:
            raise OptionError("narrows: names no profile; write narrows:FOLDER, or narrows for the default one")
        return [word]
    lower = word.lower()
    if lower == "all":
        return expand(DEFAULT)
    if lower in NAMES:
        return [lower]
    family = [codec.name for codec in PILLOW_CODECS if codec.family == lower]
    if not family:
        raise OptionError(f"there is no codec {word!r}; the known ones are {_known()}")
    return [*family, mozjpeg.NAME] if lower == "jpeg" and mozjpeg.missing() is None else family


def _known() -> str:
    families = sorted({codec.family for codec in PILLOW_CODECS} - set(NAMES))
    return f"{', '.join(NAMES)}, narrows:FOLDER, the families {', '.join(families)}, and all"
