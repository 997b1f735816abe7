"""The door to the refinement of effort 9: narrows.lab.refine needs PyTorch and is imported on first use."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.errors import OptionError
from narrows.profile import Profile
from narrows.runtime import Latents, Symbols
from narrows.search import ERROR_WORTH


class Refinement:
    """Refines the latents of strips with one profile's network. Threads may share it."""

    def __init__(self, profile: Profile, threads: int) -> None:
        self._profile = profile
        self._threads = threads
        self._lock = Lock()
        self._refiner: Any = None

    def __call__(
        self,
        picture: NDArray[np.uint8],
        size: tuple[int, int],
        latents: tuple[Latents | None, Latents, Latents | None],
        z_hat: Symbols | None,
        quality: int,
        progress: Callable[[float], None],
    ) -> Latents:
        """Latents (1, m, h, w) that plain rounding turns into better symbols, as narrows.lab.refine.Refiner says.

        OptionError if the laboratory is not installed, or if the profile's network is none that it can differentiate.
        """
        if z_hat is None:
            raise _foreign(self._profile)
        refiner = self._made()
        lambda_rd = ERROR_WORTH * self._profile.manifest.lambdas[quality]
        refined: Latents = refiner(picture, size, latents, z_hat, quality, lambda_rd, progress)
        return refined

    def _made(self) -> Any:
        with self._lock:
            if self._refiner is None:
                try:
                    from narrows.lab.refine import Refiner
                except ModuleNotFoundError as error:
                    if (error.name or "narrows").split(".")[0] == "narrows":  # a fault of ours, nothing to install
                        raise
                    raise OptionError(
                        f'effort 9 refines with PyTorch and needs {error.name}: pip install "narrows[lab]"; '
                        "8 is the most without it"
                    ) from error
                halo = self._profile.manifest.synthesis_halo
                try:
                    self._refiner = Refiner(self._profile.folder, threads=self._threads, halo=halo)
                except OptionError as error:
                    raise _foreign(self._profile) from error
            return self._refiner


def _foreign(profile: Profile) -> OptionError:
    manifest = profile.manifest
    return OptionError(
        f"effort 9 refines with networks of `narrows lab train`, the profile {manifest.name} {manifest.version} has "
        "another one; 8 is the most for it"
    )
