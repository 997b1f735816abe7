"""What the training loop (loop.py) and the things it trains have to know of each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from narrows.errors import OptionError

Precision = Literal["bf16-mixed", "32-true"]


@dataclass(frozen=True, kw_only=True)
class Plateau:
    """Multiply the learning rate by `factor` after `patience` evaluations without a better score, down to `floor`."""

    factor: float = 0.1
    patience: int = 5
    floor: float = 1e-4

    def __post_init__(self) -> None:
        if not (0 < self.factor < 1 and self.patience >= 1 and self.floor >= 0):
            raise OptionError("a plateau has a factor between 0 and 1, a patience from 1 and a floor from 0")


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """One run. The budget is `minutes` of training time or `steps`; evaluations come after minutes or steps too."""

    run: Path
    minutes: float | None = None
    steps: int | None = None
    seed: int = 0
    max_norm: float | None = 1.0
    ema_decay: float | None = None
    threads: int | None = None
    accelerator: str = "auto"
    processes: int = 1
    precision: Precision = "bf16-mixed"
    log_steps: int = 20
    save_minutes: float = 5
    evaluate_minutes: float | None = None
    evaluate_steps: int | None = None
    patience: int | None = None
    """Early stopping: so many evaluations in a row without a better score end the run."""
    plateau: Plateau | None = None

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise OptionError("give either minutes or steps as the budget")
        if (self.minutes or self.steps or 0) <= 0:
            raise OptionError("the budget must be positive")
        if (self.evaluate_minutes is None) == (self.evaluate_steps is None):
            raise OptionError("give either minutes or steps between evaluations")
        if self.patience is not None and self.patience < 1:
            raise OptionError(f"early stopping waits for at least one evaluation, not {self.patience}")

    def progress(self, step: int, seconds: float) -> float:
        """The part of the budget that is spent."""
        return step / self.steps if self.steps else seconds / (60 * (self.minutes or 1))


@dataclass(kw_only=True)
class RunState:
    """What a checkpoint remembers besides tensors."""

    step: int = 0
    seconds: float = 0.0
    megapixels: float = 0.0
    skipped: int = 0
    start: str = "linear"
    evaluated_step: int = 0
    evaluated_seconds: float = 0.0
    best_score: float | None = None
    best_step: int = 0
    since_best: int = 0
    since_reduced: int = 0
    rate_scale: float = 1.0
    finished: bool = False

    def judge(self, score: float, config: LoopConfig, base_rate: float) -> bool:
        """Take in the score of an evaluation, lower being better; whether it is the best so far."""
        if self.best_score is None or score < self.best_score:
            self.best_score, self.best_step, self.since_best, self.since_reduced = score, self.step, 0, 0
            return True
        self.since_best += 1
        self.since_reduced += 1
        plateau = config.plateau
        if plateau is not None and self.since_reduced >= plateau.patience:
            lowest = min(plateau.floor / base_rate, self.rate_scale)
            self.rate_scale, self.since_reduced = max(self.rate_scale * plateau.factor, lowest), 0
        if config.patience is not None and self.since_best >= config.patience:
            self.finished = True
        return False


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Rows for the log, and the score that early stopping and the best weights go by (lower is better)."""

    rows: Sequence[Mapping[str, object]]
    score: float | None = None
    stop: bool = False


class Task(Protocol):
    """What a run trains. Its `network` takes part in the loss with every parameter."""

    @property
    def name(self) -> str: ...

    @property
    def network(self) -> nn.Module: ...

    @property
    def optimizers(self) -> Sequence[Optimizer]: ...

    @property
    def rates(self) -> Sequence[float]:
        """The learning rate of each optimiser, before its factor."""

    @property
    def columns(self) -> Sequence[str]:
        """Of log.csv, beside the loop's own."""

    @property
    def megapixels(self) -> float:
        """That one step of one process sees."""

    @property
    def record(self) -> Mapping[str, Any]:
        """What a checkpoint says beside its state."""

    def restore(self, record: Mapping[str, Any]) -> None:
        """Take back such a record, when a run goes on."""

    def to(self, device: torch.device) -> None:
        """Bring the data to where the network is."""

    def rate_factor(self, progress: float, step: int) -> float:
        """What the rates are multiplied by when this part of the budget is spent."""

    def loss(self, network: nn.Module, step: int, seed: int) -> Tensor:
        """The loss of the batch of this step; `network` is self.network as the loop has wrapped it.

        torch is seeded with `seed`, which no other step and process has.
        """

    def evaluate(self, state: RunState) -> Evaluation:
        """Measure self.network; it holds the averaged weights where the run averages."""
