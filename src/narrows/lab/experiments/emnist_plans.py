"""Which networks the experiment emnist-decoders trains, and how."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from narrows.lab.data import Dataset
from narrows.lab.experiments.base import Setting
from narrows.lab.experiments.coded import Plan
from narrows.lab.measure.linear import equal_steps, pca_network
from narrows.lab.nets.base import Activation
from narrows.lab.nets.emnist import (
    OWN_WIDTHS,
    STRIDED_LAYER,
    Downsampling,
    Upsampling,
    emnist_network,
    residual_network,
)
from narrows.lab.study.training import Recipe

LATENT = 32
SWEEP = (8, 6, 5, 4)
"""Bits a latent that the models with a rate are judged at."""
OWN_LAMBDAS = (3e-4, 8e-4, 2e-3, 4e-3, 8e-3)
CODED_MODELS = (1, 3)
"""Models of the study whose every seed becomes files."""
_PUBLISHED_EPOCHS = 5
_OWN_EPOCHS = 20
_BATCH = 32
_WARM_UP = 200
"""With 50 steps one of the first five trainings went black in its first epoch and stayed so."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One of the study's networks, as it is or with one thing changed."""

    model: int
    latent_activation: Activation = "relu"
    downsampling: Downsampling = "stride"
    upsampling: Upsampling = "transposed"

    @property
    def name(self) -> str:
        words = [f"model-{self.model}", self.latent_activation.replace("_", "-")]
        words += ["max-pool"] if self.downsampling == "max_pool" else []
        words += ["nearest"] if self.upsampling == "nearest" else []
        return "-".join(words)

    @property
    def label(self) -> str:
        words = {"relu": "as published", "linear": "linear latent", "leaky_relu": "leaky latent"}
        label = f"model {self.model}, {words[self.latent_activation]}"
        label += ", max-pool" if self.downsampling == "max_pool" else ""
        return label + (", nearest upsampling" if self.upsampling == "nearest" else "")


MODELS = tuple(STRIDED_LAYER)
PUBLISHED = tuple(Variant(model=model) for model in MODELS)
LINEAR = tuple(Variant(model=model, latent_activation="linear") for model in MODELS)
LEAKY = tuple(Variant(model=model, latent_activation="leaky_relu") for model in MODELS)
CONTROLS = (
    Variant(model=1, latent_activation="linear", downsampling="max_pool"),
    Variant(model=1, latent_activation="linear", upsampling="nearest"),
)


def plan(variant: Variant, setting: Setting, *, coded: bool) -> Plan:
    """One of the study's networks: its loss, optimiser and start, quantised after training."""
    return Plan(
        name=variant.name,
        label=variant.label,
        build=partial(
            emnist_network, variant.model, latent=LATENT, latent_activation=variant.latent_activation,
            downsampling=variant.downsampling, upsampling=variant.upsampling,
        ),
        recipe=Recipe(
            epochs=setting.epochs_of(_PUBLISHED_EPOCHS), batch=_BATCH, rate=1e-3, warm_up=_WARM_UP, keras_start=True,
        ),
        bits=setting.pick(SWEEP, (6,)),
        rule="sheet" if coded else None,
        watch=8,
    )  # fmt: skip


def own_plan(setting: Setting) -> Plan:
    """Our network for these pictures: residual blocks, a linear latent, the rate in the loss."""
    return Plan(
        name="own",
        label="ours",
        build=partial(residual_network, widths=setting.pick(OWN_WIDTHS, (8, 16, 32))),
        recipe=Recipe(
            epochs=setting.epochs_of(_OWN_EPOCHS), batch=64, rate=1e-3, schedule="cosine",
            lambdas=setting.pick(OWN_LAMBDAS, OWN_LAMBDAS[1::2]), max_norm=1.0,
        ),
        rule="sheet",
        fitted=setting.pick(10_000, 200),
        watch=8,
    )  # fmt: skip


def linear_plan(data: Dataset) -> Plan:
    """The linear baseline: as many principal components as the study has latents, through the same coder."""
    return Plan(
        name=f"pca-{LATENT}",
        label=f"PCA, {LATENT} components",
        build=partial(pca_network, data.train.images, LATENT),
        recipe=None,
        steps=lambda network: equal_steps(network.geometry.latent),
        rule="sheet",
    )
