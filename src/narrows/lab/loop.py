"""The one training loop: CPU, one GPU, or several processes under torchrun, by Lightning Fabric.

What is trained is a `Task` (the flagship's in train.py, a study's in study/training.py); the loop knows budgets, seeds,
averaged weights, the log, checkpoints, early stopping and a plateau schedule. A run is a folder:

    log.csv        a row every few steps and the rows of every evaluation
    checkpoint/    everything that going on needs, optimisers included; replaced as a whole (checkpoint.py)
    best/          the weights of the best evaluation, where the task gives its evaluations a score
"""

from __future__ import annotations

import csv
import dataclasses
import logging
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from tqdm import tqdm

from narrows.errors import OptionError
from narrows.lab.checkpoint import has_checkpoint, load_checkpoint, save_checkpoint, save_tensors
from narrows.lab.task import LoopConfig, RunState, Task

LOOP_COLUMNS = (
    "kind", "step", "seconds", "megapixels", "megapixels_per_second", "learning_rate", "loss", "gradient_norm",
    "skipped",
)  # fmt: skip


def start_fabric(config: LoopConfig) -> Fabric:
    """Threads and processes of the run; the first thing to do, since under torchrun other processes wait for it."""
    if config.threads:
        torch.set_num_threads(config.threads)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # each run would say its precision again
    fabric = Fabric(
        accelerator=config.accelerator,
        devices=config.processes,
        strategy="ddp" if config.processes > 1 else "auto",
        precision=config.precision,
    )
    fabric.launch()
    return fabric


def check_folder(run: Path, resume: bool) -> None:
    """OptionError if the folder holds a run that would be overwritten, or none that could go on."""
    exists = has_checkpoint(run)
    if resume and not exists:
        raise OptionError(f"there is nothing to resume in {run}")
    if not resume and exists:
        raise OptionError(f"{run} holds a run already; go on with --resume or choose another folder")


def run_loop(fabric: Fabric, task: Task, config: LoopConfig, *, resume: bool, start: str = "linear",
             progress: bool = True) -> RunState:  # fmt: skip
    """Train to the end of the budget or an early stop. Interrupting (SIGINT, SIGTERM) saves a checkpoint.

    `resume` goes on from the run's checkpoint, optimisers included, as if it had never stopped.
    """
    raw = task.network
    average = config.ema_decay is not None
    ema = {name: parameter.detach().clone() for name, parameter in raw.named_parameters()} if average else {}
    state, checkpoint = RunState(start=start), config.run / "checkpoint"
    if resume:
        stored = load_checkpoint(checkpoint, raw, ema, list(task.optimizers))
        state = RunState(**stored["state"])
        task.restore(stored)
    network, *wrapped = fabric.setup(raw, *task.optimizers)
    task.to(fabric.device)
    ema = {name: value.to(fabric.device) for name, value in ema.items()}
    config.run.mkdir(parents=True, exist_ok=True)
    log = _Log(config.run / "log.csv", (*LOOP_COLUMNS, *task.columns), fabric.is_global_zero, upto=state.step)
    evaluator = _Evaluator(fabric, task, config, ema, log, state)

    def save() -> None:
        if fabric.is_global_zero:
            record = {"state": dataclasses.asdict(state), **task.record}
            save_checkpoint(checkpoint, raw, ema, list(task.optimizers), record)

    bar = tqdm(
        total=100, desc=f"train {task.name}", disable=None if progress and fabric.is_global_zero else True,
        initial=min(100, round(100 * config.progress(state.step, state.seconds))),
        bar_format="{l_bar}{bar}| {postfix}", leave=False,
    )  # fmt: skip
    saved = state.seconds
    try:
        if evaluator.missed():
            evaluator.evaluate()
        for row in interruptible(_updates(fabric, network, task, wrapped, ema, config, state)):
            bar.n = min(100, round(100 * config.progress(state.step, state.seconds)))
            bar.set_postfix_str(f"step {state.step}, {state.megapixels:.0f} MP")
            if row is not None:
                log.row(kind="train", **row)
            if evaluator.due():
                evaluator.evaluate()
            if state.seconds - saved > 60 * config.save_minutes:
                saved = state.seconds
                save()
        if state.evaluated_step != state.step:
            evaluator.evaluate()
        state.finished = True
    finally:
        save()
        bar.close()
    fabric.barrier()  # a process that leaves while another still saves takes it down
    return state


def interruptible(steps: Iterator[Any]) -> Iterator[Any]:
    """The same steps, during which SIGTERM, as machines are taken away, interrupts like Ctrl-C; in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield from steps
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield from steps
    finally:
        signal.signal(signal.SIGTERM, before)


def _updates(fabric: Fabric, network: Any, task: Task, optimizers: Sequence[Any], ema: dict[str, Tensor],
             config: LoopConfig, state: RunState) -> Iterator[dict[str, float] | None]:  # fmt: skip
    """Update until the budget is spent; yields a row for the log, or None after the steps that have none.

    `state` and `ema` move along.
    """
    world, rank = fabric.world_size, fabric.global_rank
    losses: list[Tensor] = []
    mark, mark_megapixels, last = time.monotonic(), state.megapixels, time.monotonic()
    network.train()
    while config.progress(state.step, state.seconds) < 1 and not state.finished:
        if state.evaluated_step == state.step:
            network.train()  # again: evaluations leave it in eval mode
        factor = task.rate_factor(config.progress(state.step, state.seconds), state.step) * state.rate_scale
        for optimizer, base in zip(optimizers, task.rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = base * factor
        seed = (config.seed * 1_000_003 + state.step) * world + rank
        torch.manual_seed(seed)  # with the batch's seed, so that a resumed run repeats an unbroken one
        loss = task.loss(network, state.step, seed)
        for optimizer in optimizers:
            optimizer.zero_grad()
        fabric.backward(loss)
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), config.max_norm or float("inf"))
        if bool(torch.isfinite(norm)):  # the same on every rank: gradients are averaged before
            for optimizer in optimizers:
                optimizer.step()
            if config.ema_decay is not None:
                _follow(ema, task.network, min(config.ema_decay, (1 + state.step) / (10 + state.step)))
        else:
            state.skipped += 1
        state.step += 1
        state.megapixels += task.megapixels * world
        losses.append(loss.detach())
        now = time.monotonic()
        spent = torch.tensor(now - last, dtype=torch.float64)
        last = now
        # One clock for all ranks, or they would leave the loop at different steps.
        state.seconds += float(fabric.broadcast(spent)) if world > 1 else float(spent)
        if state.step % config.log_steps == 0:
            yield {
                "step": state.step, "seconds": round(state.seconds, 1), "megapixels": round(state.megapixels, 2),
                "megapixels_per_second": round((state.megapixels - mark_megapixels) / (now - mark), 3),
                "learning_rate": round(factor, 5), "loss": float(f"{float(torch.stack(losses).mean()):.5g}"),
                "gradient_norm": round(float(norm), 4), "skipped": state.skipped,
            }  # fmt: skip
            losses.clear()
            mark, mark_megapixels = time.monotonic(), state.megapixels
        else:
            yield None
        last = time.monotonic()  # what the caller does between two steps (saving, evaluation) is not training time


@dataclass(frozen=True)
class _Evaluator:
    """Evaluates the averaged weights when it is time, keeps the best ones, and lets the state judge the score."""

    fabric: Fabric
    task: Task
    config: LoopConfig
    ema: dict[str, Tensor]
    log: _Log
    state: RunState

    def due(self) -> bool:
        if self.config.evaluate_steps:
            return self.state.step % self.config.evaluate_steps == 0
        return self.state.seconds - self.state.evaluated_seconds > 60 * (self.config.evaluate_minutes or 0)

    def missed(self) -> bool:
        """Whether a run was interrupted while it evaluated."""
        return self.config.evaluate_steps is not None and self.state.step > self.state.evaluated_step and self.due()

    def evaluate(self) -> None:
        """On the first process; the others wait, and are told whether to stop."""
        state = self.state
        if self.fabric.is_global_zero:
            with swapped(self.task.network, self.ema):
                found = self.task.evaluate(state)
                for row in found.rows:
                    self.log.row(
                        step=state.step, seconds=round(state.seconds, 1), megapixels=round(state.megapixels, 2), **row
                    )
                if found.score is not None and state.judge(found.score, self.config, self.task.rates[0]):
                    save_tensors(self.config.run / "best", self.task.network)
            state.finished = state.finished or found.stop
        state.evaluated_step, state.evaluated_seconds = state.step, state.seconds
        if self.fabric.world_size > 1:
            judged = [getattr(state, name) for name in _JUDGED]
            for name, value in zip(_JUDGED, self.fabric.broadcast(judged), strict=True):
                setattr(state, name, value)


_JUDGED = ("best_score", "best_step", "since_best", "since_reduced", "rate_scale", "finished")


@contextmanager
def swapped(network: nn.Module, ema: Mapping[str, Tensor]) -> Iterator[None]:
    """The network with these parameters instead of its own, for a while."""
    parameters = {name: parameter for name, parameter in network.named_parameters() if name in ema}
    kept = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    try:
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(ema[name])
        yield
    finally:
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(kept[name])


def _follow(ema: dict[str, Tensor], network: nn.Module, decay: float) -> None:
    with torch.no_grad():
        names = list(ema)
        parameters = dict(network.named_parameters())
        torch._foreach_lerp_([ema[n] for n in names], [parameters[n].detach() for n in names], 1 - decay)


class _Log:
    """log.csv, appended to. A resumed run drops what a killed one wrote after its last checkpoint."""

    def __init__(self, path: Path, columns: Sequence[str], active: bool, *, upto: int) -> None:
        self._path, self._columns, self._active = path, columns, active
        if not active:
            return
        kept: list[dict[str, str]] = []
        if path.exists():
            with path.open(newline="") as file:
                kept = [row for row in csv.DictReader(file) if int(row["step"]) <= upto]
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(kept)

    def row(self, **values: object) -> None:
        if self._active:
            with self._path.open("a", newline="") as file:
                csv.DictWriter(file, self._columns).writerow(values)
