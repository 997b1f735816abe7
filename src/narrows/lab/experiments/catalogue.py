"""The experiments that there are, in the order of the studies."""

from __future__ import annotations

from narrows.errors import OptionError
from narrows.lab.experiments.ae_vae import AE_VAE
from narrows.lab.experiments.base import Experiment
from narrows.lab.experiments.bottleneck import BOTTLENECK
from narrows.lab.experiments.emnist_decoders import EMNIST_DECODERS
from narrows.lab.experiments.imagenette_depth import IMAGENETTE_DEPTH
from narrows.lab.experiments.sunset import SUNSET

EXPERIMENTS: tuple[Experiment, ...] = (SUNSET, EMNIST_DECODERS, BOTTLENECK, AE_VAE, IMAGENETTE_DEPTH)


def find(name: str) -> Experiment:
    """The experiment of this name; OptionError if there is none."""
    for experiment in EXPERIMENTS:
        if experiment.name == name:
            return experiment
    raise OptionError(f"there is no experiment {name!r}; there are {', '.join(one.name for one in EXPERIMENTS)}")
