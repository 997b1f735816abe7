"""A coder that works: the record that names it, its settings, and both directions from and to memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from narrows.compare.records import Coder, Pixels
from narrows.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class SettingRange:
    """The settings that a search may try: `low`, `low` + `step`, ..., `high`; a higher one is a better picture."""

    low: float
    high: float
    step: float = 1.0

    @property
    def count(self) -> int:
        """How many settings there are."""
        return round((self.high - self.low) / self.step) + 1

    def at(self, index: int) -> float:
        """The setting number `index` from below, 0..count - 1."""
        return round(self.low + index * self.step, 6)

    def nearest(self, setting: float) -> float:
        """The setting of the range that is nearest to `setting`."""
        return self.at(min(max(round((setting - self.low) / self.step), 0), self.count - 1))


@dataclass(frozen=True, kw_only=True, eq=False)
class WorkingCoder:
    """A codec at fixed options, made by codecs.build.

    coder     what the reports call it
    settings  those that a curve is measured at, rising in quality; one of them for a lossless coder
    range     those that a search may try
    encode    pixels (H, W, 3) and a setting -> the whole file
    decode    a file -> pixels (H, W, 3)

    Both may raise whatever their library raises.
    """

    coder: Coder
    settings: tuple[float, ...]
    range: SettingRange
    encode: Callable[[Pixels, float], bytes]
    decode: Callable[[bytes], Pixels]

    def with_settings(self, settings: Sequence[float]) -> WorkingCoder:
        """The same coder with other settings; OptionError if there is none or one lies outside the range."""
        chosen = tuple(sorted({float(setting) for setting in settings}))
        if self.coder.lossless:
            raise OptionError(f"{self.coder.name} is lossless and has no settings to choose from")
        if not chosen or not all(self.range.low <= setting <= self.range.high for setting in chosen):
            given = ", ".join(f"{setting:g}" for setting in chosen) or "none"
            raise OptionError(
                f"settings of {self.coder.name} are {given}; "
                f"its {self.coder.parameter} goes from {self.range.low:g} to {self.range.high:g}"
            )
        return replace(self, settings=chosen)
