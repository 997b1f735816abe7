"""Which networks the experiment bottleneck trains, on which pictures, and how."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import nn

from narrows.lab.experiments.base import Setting
from narrows.lab.experiments.coded import Plan
from narrows.lab.measure.linear import equal_steps
from narrows.lab.nets.base import StudyNetwork
from narrows.lab.nets.sizes import parameters
from narrows.lab.nets.vector import conv_autoencoder, dense_autoencoder
from narrows.lab.study.training import Loss, Recipe

BITS = (8, 6, 4, 3, 2)
QUICK_BITS = (4,)
CONV_WIDTHS = (16, 32)
"""Of the study's convolutions; with 128 numbers on 32 x 32 x 3 it is the one network that the plan describes."""
WIDER = (32, 64)
_DELTAS = tuple(2.0**-k for k in (1, 1.5, 2, 2.5, 3, 3.5, 4, 5))
_QUICK_DELTAS = (0.5, 0.125)
_BATCH, _RATE = 64, 3e-3  # many small steps: the epochs that are affordable are few


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One data set of the study.

    widths     numbers in the bottleneck, rising; the last is what the networks with the rate in the loss begin with
    reference  the one that is looked at closely: losses, seeds, classes
    hidden     whether the dense network has a hidden layer, as wide as brings it nearest to the convolutional one's
               parameters. At 32 x 32 x 3 that layer would be narrower than the bottleneck, so there it has none
    epochs     of every network but those with the rate in the loss, which have rated_epochs
    lambdas    of these
    """

    name: str
    label: str
    side: int
    channels: int
    widths: tuple[int, ...]
    reference: int
    hidden: bool
    epochs: int
    rated_epochs: int
    lambdas: tuple[float, ...]

    @property
    def pixels(self) -> int:
        """Positions of a picture."""
        return self.side**2

    @property
    def samples(self) -> int:
        """Bytes of a picture as it is."""
        return self.pixels * self.channels

    def conv(self, latent: int, widths: tuple[int, ...] = CONV_WIDTHS) -> StudyNetwork:
        return conv_autoencoder(latent, side=self.side, channels=self.channels, widths=widths)

    def dense(self, latent: int, hidden: tuple[int, ...]) -> StudyNetwork:
        return dense_autoencoder(latent, side=self.side, channels=self.channels, hidden=hidden)


def subjects(setting: Setting) -> tuple[Subject, ...]:
    """Both data sets; in a quick run with few widths."""
    return (
        Subject(
            name="mnist", label="MNIST", side=28, channels=1,
            widths=setting.pick((2, 4, 8, 16, 32, 64, 128), (2, 16)), reference=setting.pick(32, 16), hidden=True,
            epochs=6, rated_epochs=20, lambdas=setting.pick((1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2), (1e-4, 1e-3)),
        ),
        Subject(
            name="cifar10", label="CIFAR-10", side=32, channels=3,
            widths=setting.pick((2, 4, 8, 16, 32, 64, 128, 256), (16,)), reference=setting.pick(128, 16), hidden=False,
            epochs=40, rated_epochs=100, lambdas=setting.pick((3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1), (1e-3, 1e-2)),
        ),
    )  # fmt: skip


def conv_plan(subject: Subject, latent: int, setting: Setting, *, loss: Loss = "mse") -> Plan:
    """The study's network with this bottleneck, quantised after training."""
    name, label = f"{subject.name}-conv-{latent}", f"conv, {latent}"
    return Plan(
        name=name if loss == "mse" else f"{name}-bce",
        label=label if loss == "mse" else f"{label}, cross-entropy",
        build=partial(subject.conv, latent), recipe=_recipe(subject, setting, loss=loss),
        bits=setting.pick(BITS, QUICK_BITS), rule="sheet" if loss == "mse" else None,
        fitted=_fitted(setting), watch=1,
    )  # fmt: skip


def dense_plan(subject: Subject, latent: int, setting: Setting) -> Plan:
    """The dense network with this bottleneck; see Subject.hidden."""
    return Plan(
        name=f"{subject.name}-dense-{latent}", label=f"dense, {latent}",
        build=partial(subject.dense, latent, _hidden(subject, latent, CONV_WIDTHS) if subject.hidden else ()),
        recipe=_recipe(subject, setting), bits=setting.pick(BITS, QUICK_BITS), rule="sheet",
        fitted=_fitted(setting), watch=1,
    )  # fmt: skip


def pca_plan(subject: Subject, latent: int, widest: StudyNetwork, setting: Setting) -> Plan:
    """The first components of the widest PCA (measure.linear.pca_network), through the same quantiser."""
    return Plan(
        name=f"{subject.name}-pca-{latent}", label=f"PCA, {latent}",
        build=partial(shortened, widest, latent), recipe=None, bits=setting.pick(BITS, QUICK_BITS),
        rule="sheet", fitted=_fitted(setting),
    )  # fmt: skip


def matched_plans(subject: Subject, setting: Setting) -> tuple[Plan, Plan]:
    """A wider convolutional and a dense network with a hidden layer, of near-equal parameters; for floats alone."""
    latent = subject.reference
    hidden = _hidden(subject, latent, WIDER)
    recipe = _recipe(subject, setting)
    return (
        Plan(
            name=f"{subject.name}-conv-{latent}-wide", label=f"conv {WIDER[0]}, {WIDER[1]}; {latent}",
            build=partial(subject.conv, latent, WIDER), recipe=recipe, rule=None,
        ),
        Plan(
            name=f"{subject.name}-dense-{latent}-hidden", label=f"dense with a hidden layer of {hidden[0]}; {latent}",
            build=partial(subject.dense, latent, hidden), recipe=recipe, rule=None,
        ),
    )  # fmt: skip


def rated_plans(subject: Subject, setting: Setting) -> tuple[Plan, Plan]:
    """The widest bottleneck with the rate in the loss, convolutional and dense: the loss says how much is used."""
    latent = subject.widths[-1]
    dense = _hidden(subject, latent, CONV_WIDTHS) if subject.hidden else ()
    kinds = (("conv", partial(subject.conv, latent)), ("dense", partial(subject.dense, latent, dense)))
    first, second = (
        Plan(
            name=f"{subject.name}-{kind}-{latent}-rate", label=f"{kind}, rate in the loss", build=build,
            recipe=Recipe(
                epochs=setting.epochs_of(subject.rated_epochs), batch=_BATCH, rate=_RATE, schedule="cosine",
                lambdas=subject.lambdas, max_norm=1.0,
            ),
            rule="sheet", fitted=_fitted(setting), watch=1,
        )
        for kind, build in kinds
    )  # fmt: skip
    return first, second


def stepped_plan(subject: Subject, widest: StudyNetwork, setting: Setting) -> Plan:
    """All of the widest PCA with one step for all components, which is what suits an orthonormal basis."""
    latent = subject.widths[-1]
    return Plan(
        name=f"{subject.name}-pca-{latent}-steps", label="PCA, equal steps",
        build=partial(shortened, widest, latent), recipe=None,
        steps=lambda network: equal_steps(network.geometry.latent, setting.pick(_DELTAS, _QUICK_DELTAS)),
        rule="sheet", fitted=_fitted(setting),
    )  # fmt: skip


@torch.no_grad()
def shortened(widest: StudyNetwork, latent: int) -> StudyNetwork:
    """The first `latent` components of a PCA over whole pictures: what a PCA of so many would have found."""
    into, out = (next(layer for layer in half.modules() if isinstance(layer, nn.Linear)) for half in
                 (widest.encoder, widest.decoder))  # fmt: skip
    first, second = nn.Linear(into.in_features, latent), nn.Linear(latent, out.out_features)
    first.weight.copy_(into.weight[:latent])
    first.bias.copy_(into.bias[:latent])
    second.weight.copy_(out.weight[:, :latent])
    second.bias.copy_(out.bias)
    geometry = replace(widest.geometry, latent=latent)
    shape = (geometry.channels, widest.geometry.cell or 0, widest.geometry.cell or 0)
    return StudyNetwork(
        geometry, nn.Sequential(nn.Flatten(), first), nn.Sequential(second, nn.Unflatten(1, shape))
    ).eval()


def _recipe(subject: Subject, setting: Setting, *, loss: Loss = "mse") -> Recipe:
    return Recipe(
        epochs=setting.epochs_of(subject.epochs), batch=_BATCH, rate=_RATE, schedule="cosine", loss=loss
    )  # fmt: skip


def _hidden(subject: Subject, latent: int, widths: tuple[int, ...]) -> tuple[int]:
    """The hidden layer that brings the dense network nearest to the parameters of the convolutional one."""
    wanted = parameters(subject.conv(latent, widths))
    first, second = (parameters(subject.dense(latent, (width,))) for width in (1, 2))
    return (max(1, round(1 + (wanted - first) / (second - first))),)  # each unit of it has as many parameters


def _fitted(setting: Setting) -> int:
    return setting.pick(10_000, 200)
