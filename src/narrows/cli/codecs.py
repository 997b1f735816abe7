"""The codecs of one run of the command: one for each profile that its files need, shared by all threads."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from narrows import profiles
from narrows.errors import ProfileError
from narrows.limits import Limits

if TYPE_CHECKING:
    from narrows.codec import Codec


class Codecs:
    """Makes each codec on first use. `profile` is what -p said, or None for the one that each file names."""

    def __init__(self, profile: str | None, threads: int | None, limits: Limits) -> None:
        self._profile = profile
        self._threads = threads
        self._limits = limits
        self._made: dict[Path, Codec] = {}
        self._lock = Lock()

    def for_encoding(self) -> Codec:
        """The codec of -p, else of the default profile; ProfileError."""
        return self._of(profiles.find(self._profile or "default"))

    def for_file(self, digest_prefix: bytes) -> Codec:
        """The codec of -p, else of the shipped profile with this digest; ProfileError if there is none."""
        if self._profile is not None:
            return self._of(profiles.find(self._profile))
        folder = profiles.find_digest(digest_prefix)
        if folder is None:
            raise ProfileError(
                f"needs the profile {digest_prefix.hex()}, which is not among the shipped ones; name its folder with -p"
            )
        return self._of(folder)

    def _of(self, folder: Path) -> Codec:
        with self._lock:
            if folder not in self._made:
                from narrows.codec import Codec

                self._made[folder] = Codec(folder, threads=self._threads, limits=self._limits)
            return self._made[folder]
