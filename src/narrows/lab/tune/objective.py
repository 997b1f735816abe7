"""One trial: train the candidate, report every epoch, score what came out on validation pictures.

    goal              score                                       told to the pruner after every epoch
    quality           mean PSNR + mean SSIM, larger is better     PSNR of the validation error
    rate-distortion   bits a pixel + lambda x squared error       the same, as training estimates it
    pareto            bits a pixel, smaller; PSNR, larger         nothing: two numbers cannot be ranked

"quality" is the study's score with one correction: the range of both metrics is 255 and decoded pictures are rounded
to 8 bits, where the study took each picture's own span as its range, so that overshooting paid. It adds decibels to
a number below 1, so PSNR outweighs SSIM some thirty to one, and the rate is not in it: the widest latent wins. That is
the reason for the other two, in which bits are those of files on disk, coded with the candidate's own profile.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
from optuna.trial import FrozenTrial, Trial

from narrows.errors import OptionError
from narrows.lab.data import Dataset
from narrows.lab.measure.files import code_each
from narrows.lab.measure.quality import Quality, measure
from narrows.lab.nets.sizes import parameters
from narrows.lab.study.grid import reconstructed
from narrows.lab.study.profile import export_study
from narrows.lab.study.training import Epoch, Recipe, Trained, train_study
from narrows.lab.task import Precision
from narrows.lab.tune.space import Candidate, Goal, suggest
from narrows.lab.tune.storage import original_number

_TABLE_SAMPLES = 500


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What all trials of one search share, and what must not change when it goes on."""

    goal: Goal = "quality"
    epochs: int = 15
    """From the study, as are batch and patience."""
    batch: int = 32
    patience: int = 3
    trade_off: float = 0.01
    """Lambda of "rate-distortion"."""
    coded: int = 100
    """Validation pictures that are coded into files where the rate counts."""
    seed: int = 0
    precision: Precision = "bf16-mixed"

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch, self.patience, self.coded) < 1 or not self.trade_off > 0:
            raise OptionError("epochs, batch, patience and coded pictures are 1 or more, lambda is above 0")

    def recipe(self, candidate: Candidate) -> Recipe:
        """How the candidate is trained."""
        return Recipe(
            epochs=self.epochs,
            batch=self.batch,
            rate=candidate.learning_rate,
            patience=self.patience,
            lambdas=() if candidate.trade_off is None else (candidate.trade_off,),
            precision=self.precision,
            seed=self.seed,
        )


@dataclass(frozen=True, kw_only=True)
class Score:
    """What a candidate reached on validation pictures; `bpp` and `bytes` are None without a rate."""

    mean_psnr_db: float
    psnr_db: float
    ssim: float
    mse: float
    """On the scale 0..1."""
    bpp: float | None = None
    bytes: int | None = None

    def values(self, goal: Goal, trade_off: float) -> tuple[float, ...]:
        """The number or numbers that the search goes by."""
        if goal == "quality":
            return (self.mean_psnr_db + self.ssim,)
        if self.bpp is None:
            raise OptionError(f"{goal} needs the bits of files")
        return (self.bpp, self.psnr_db) if goal == "pareto" else (cost(self.bpp, self.mse, trade_off),)


def cost(bpp: float, mse: float, trade_off: float) -> float:
    """Bits a pixel + lambda x squared error; `mse` is on 0..1, lambda weighs it on 0..255."""
    return bpp + trade_off * 255**2 * mse


class Objective:
    """What Optuna calls for every trial. `started` is the number of the trial begun last."""

    def __init__(self, terms: Terms, data: Dataset, output: Path, *, progress: bool = True) -> None:
        self.terms, self.data, self.output, self.progress = terms, data, output, progress
        self.started: int | None = None

    def __call__(self, trial: Trial) -> float | tuple[float, ...]:
        """Train and score. Raises optuna.TrialPruned where the pruner or a training without a finite loss ends it."""
        self.started = trial.number
        candidate = suggest(trial, self.terms.goal, self.terms.trade_off)
        record = trial.study.trials[trial.number]
        run = self.output / "runs" / run_name(record, candidate, self.terms)
        trained = self._trained(trial, set(record.intermediate_values), candidate, run)
        score = self._score(trained)
        for name, value in dataclasses.asdict(score).items():
            trial.set_user_attr(name, value)
        trial.set_user_attr("parameters", parameters(trained.network))
        trial.set_user_attr("epochs", len(trained.history))
        trial.set_user_attr("best_epoch", trained.best)
        trial.set_user_attr("run", run.relative_to(self.output).as_posix())
        values = score.values(self.terms.goal, self.terms.trade_off)
        return values[0] if len(values) == 1 else values

    def _trained(self, trial: Trial, known: set[int], candidate: Candidate, run: Path) -> Trained:
        """`known` are the epochs that were reported by the trial that this one takes up again."""
        terms = self.terms
        ended: list[str] = []

        def on_epoch(epoch: Epoch) -> bool:
            if not math.isfinite(epoch.validation_loss):
                ended.append(f"no finite loss after epoch {epoch.epoch}")
            elif terms.goal != "pareto":
                if epoch.epoch not in known:
                    trial.report(_interim(epoch, terms), epoch.epoch)
                if trial.should_prune():
                    ended.append(f"hopeless after epoch {epoch.epoch}")
            return bool(ended)

        trained = train_study(
            lambda: candidate.build(self.data.train.channels), self.data.train, self.data.validation,
            terms.recipe(candidate), run, name=f"trial {trial.number}", progress=self.progress, on_epoch=on_epoch,
        )  # fmt: skip
        if not ended and not math.isfinite(trained.history[-1].validation_loss):
            ended.append("no finite loss")  # of a run that an earlier trial had ended
        if ended:
            trial.set_user_attr("ended", ended[-1])
            trial.set_user_attr("epochs", len(trained.history))
            raise optuna.TrialPruned(ended[-1])
        return trained

    def _score(self, trained: Trained) -> Score:
        pictures = self.data.validation.images
        if trained.quantiser is None:
            return _scored(measure(pictures, reconstructed(trained.network, pictures)))
        pictures = pictures[: self.terms.coded]
        samples = self.data.train.images[:: max(1, len(self.data.train) // _TABLE_SAMPLES)]
        with tempfile.TemporaryDirectory() as scratch:
            profile = export_study(
                trained.network, trained.steps(), samples, Path(scratch) / "profile", name="trial", record={},
                progress=False,
            )  # fmt: skip
            (coded,) = code_each(profile, pictures, qualities=[0], folder=Path(scratch) / "files")
        return dataclasses.replace(_scored(measure(pictures, coded.decoded)), bpp=coded.bpp, bytes=coded.bytes)


def run_name(trial: FrozenTrial, candidate: Candidate, terms: Terms) -> str:
    """Of the folder that a trial trains in: a retried trial has that of the one it takes up, and goes on there."""
    settings = json.dumps([dataclasses.asdict(candidate), dataclasses.asdict(terms)], sort_keys=True)
    return f"{original_number(trial):04d}-{hashlib.sha256(settings.encode()).hexdigest()[:10]}"


def _interim(epoch: Epoch, terms: Terms) -> float:
    """What the pruner compares: in decibels, or the cost with the bits that the prior estimates."""
    if terms.goal == "quality":
        return -10 * math.log10(max(epoch.validation_mse, 1e-12))
    return cost(epoch.validation_bpp or 0.0, epoch.validation_mse, terms.trade_off)


def _scored(quality: Quality) -> Score:
    finite = np.isfinite(quality.psnr_db_of)  # a picture that came back exactly would make every mean infinite
    mean = float(quality.psnr_db_of[finite].mean()) if finite.any() else math.inf
    return Score(mean_psnr_db=mean, psnr_db=quality.psnr_db, ssim=quality.ssim, mse=quality.mse)
