"""The loop over trials. A search that is run again goes on; one that several processes run shares its trials."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from narrows.errors import OptionError
from narrows.lab.data import Dataset
from narrows.lab.tune.objective import Objective, Terms
from narrows.lab.tune.space import Goal
from narrows.lab.tune.storage import finished, open_storage, queue_again

Pruning = Literal["median", "hyperband", "none"]

DIRECTIONS: dict[Goal, list[StudyDirection]] = {
    "quality": [StudyDirection.MAXIMIZE],
    "rate-distortion": [StudyDirection.MINIMIZE],
    "pareto": [StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE],
}
_SETTINGS = "settings"
_WARM_UP_TRIALS = 5
_WARM_UP_EPOCHS = 2


@dataclass(frozen=True, kw_only=True)
class Search:
    """One search: `trials` in all, whoever runs them, kept under `name` in the database at `storage`."""

    name: str
    storage: str
    terms: Terms
    trials: int = 20
    pruning: Pruning = "median"
    heartbeat_seconds: int = 60

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise OptionError(f"a search has at least one trial, not {self.trials}")


def search(
    plan: Search, data: Dataset, output: Path, *, progress: bool = True, say: Callable[[str], None] = lambda line: None
) -> optuna.Study:
    """Run trials until `plan.trials` of the study have ended; the study. Runs lie in `output`/runs.

    Other processes may work on the same study at the same time; then up to one trial a process more may be run.
    `say` is told a line after every trial. Interrupting puts the running trial back into the queue. OptionError if
    the database has another search of that name: other terms, or other pictures.
    """
    study = open_study(plan, data)
    objective = Objective(plan.terms, data, output, progress=progress)
    try:
        while finished(study) < plan.trials:
            study.optimize(objective, n_trials=1, callbacks=[lambda _, trial: say(describe(trial))])
    except KeyboardInterrupt:
        if objective.started is not None and study.trials[objective.started].state == TrialState.FAIL:
            queue_again(study, objective.started)
        raise
    return study


def open_study(plan: Search, data: Dataset) -> optuna.Study:
    """The study of that name, made if it is not there. OptionError if it is another search's."""
    storage = open_storage(plan.storage, plan.heartbeat_seconds)
    study = optuna.create_study(
        storage=storage,
        study_name=plan.name,
        directions=DIRECTIONS[plan.terms.goal],
        sampler=SeededSampler(plan.terms.seed),
        pruner=_pruner(plan),
        load_if_exists=True,
    )
    wanted = _settings(plan.terms, data)
    held = study.user_attrs.get(_SETTINGS)
    if held is None:
        study.set_user_attr(_SETTINGS, wanted)
    elif held != wanted:
        different = sorted(key for key in {*held, *wanted} if held.get(key) != wanted.get(key))
        raise OptionError(
            f"the storage has another search named {plan.name!r}, which differs in {', '.join(different)}; "
            "choose another --name"
        )
    return study


class SeededSampler(BaseSampler):
    """TPE, whose draws for a trial follow from the seed, the trial's number, and what was known when it began.

    A plain TPESampler starts its generator anew with every process: a search that goes on would begin with the draws
    that it began with the first time, and two processes would draw alike.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._current: tuple[int, TPESampler] | None = None

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._of(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._of(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._of(trial).sample_independent(study, trial, param_name, param_distribution)

    def _of(self, trial: FrozenTrial) -> TPESampler:
        if self._current is None or self._current[0] != trial.number:
            (seed,) = np.random.SeedSequence((self._seed, trial.number)).generate_state(1)
            self._current = (trial.number, TPESampler(seed=int(seed)))
        return self._current[1]


def describe(trial: FrozenTrial) -> str:
    """One line: number, how it ended, its score, its choices."""
    if trial.state == TrialState.COMPLETE:
        outcome = ", ".join(f"{value:.4f}" for value in trial.values)
    else:
        outcome = str(trial.user_attrs.get("ended", trial.state.name.lower()))
    choices = ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in trial.params.items()
    )
    return f"trial {trial.number}: {outcome} ({choices})"


def _pruner(plan: Search) -> BasePruner:
    if plan.terms.goal == "pareto" or plan.pruning == "none":
        return NopPruner()
    if plan.pruning == "hyperband":
        return HyperbandPruner(min_resource=1, max_resource=plan.terms.epochs)
    return MedianPruner(n_startup_trials=_WARM_UP_TRIALS, n_warmup_steps=_WARM_UP_EPOCHS)


def _settings(terms: Terms, data: Dataset) -> dict[str, Any]:
    """What makes scores comparable: the terms and the pictures, as JSON keeps them."""
    parts = {
        f"{part}_pictures": [len(split), *split.images.shape[1:]]
        for part, split in (("training", data.train), ("validation", data.validation))
    }
    settings: dict[str, Any] = json.loads(json.dumps({**dataclasses.asdict(terms), "data": data.name, **parts}))
    return settings
