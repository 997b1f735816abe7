"""What a trial may choose: the space that study imagenette-depth searched, and what a rate adds to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from optuna.trial import BaseTrial

from narrows.lab.nets.base import Activation, StudyNetwork
from narrows.lab.nets.depth import depth_network

Goal = Literal["quality", "rate-distortion", "pareto"]

WIDTHS = {"32": (32,), "32-64": (32, 64), "32-64-128": (32, 64, 128)}
"""From the study: its three sets of filters, named by what a trial's record shows."""
ACTIVATIONS: dict[str, Activation] = {"relu": "relu", "leaky_relu": "leaky_relu"}
LEARNING_RATES = (1e-4, 1e-2)
BOTTLENECKS = (8, 16, 32, 64)
"""Ours: channels of the linear bottleneck of networks that pay for their rate."""
TRADE_OFFS = (1e-3, 1e-1)
"""Ours, where a whole curve is wanted: lambdas, from some 0.1 to 2 bits a pixel for photographs."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One choice. Without a rate there is no bottleneck, as published, and no trade-off."""

    widths: tuple[int, ...]
    activation: Activation
    learning_rate: float
    bottleneck: int | None = None
    trade_off: float | None = None
    """Lambda of the loss: bits a pixel + lambda x squared error on 0..255."""

    def build(self, channels: int) -> StudyNetwork:
        """The network for grey (1) or colour (3) pictures, with torch's fresh weights."""
        return depth_network(self.widths, kind=self.activation, bottleneck=self.bottleneck, channels=channels)


def suggest(trial: BaseTrial, goal: Goal, trade_off: float) -> Candidate:
    """What this trial is to try. "quality" has the study's space; "rate-distortion" adds a bottleneck at the given
    `trade_off`; "pareto" chooses the trade-off too.
    """  # fmt: skip
    widths = WIDTHS[trial.suggest_categorical("widths", list(WIDTHS))]
    activation = ACTIVATIONS[trial.suggest_categorical("activation", list(ACTIVATIONS))]
    rate = trial.suggest_float("learning_rate", *LEARNING_RATES, log=True)
    if goal == "quality":
        return Candidate(widths=widths, activation=activation, learning_rate=rate)
    bottleneck = trial.suggest_categorical("bottleneck", list(BOTTLENECKS))
    if goal == "pareto":
        trade_off = trial.suggest_float("trade_off", *TRADE_OFFS, log=True)
    return Candidate(
        widths=widths, activation=activation, learning_rate=rate, bottleneck=bottleneck, trade_off=trade_off
    )
