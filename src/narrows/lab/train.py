"""The one training loop: CPU, one GPU, or several processes under torchrun, by Lightning Fabric."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from narrows.errors import OptionError
from narrows.lab.checkpoint import load_checkpoint, read_state, read_tensors, save_checkpoint
from narrows.lab.grow import fill
from narrows.lab.network import Flagship, NetworkConfig, kilo_macs_per_pixel, parameter_count
from narrows.lab.optimizer import build_optimizers, rate_factor
from narrows.lab.photos import CropConfig, Photos, centre_crop, draw_batch, load_photos

EVALUATION_QUALITIES = 8
EVALUATION_PHOTOS = 24
LOG_FIELDS = (
    "kind", "step", "seconds", "megapixels", "megapixels_per_second", "learning_rate", "loss", "gradient_norm",
    "skipped", "quality", "bpp", "psnr_db",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One run. The budget is `minutes` of training time or `steps`, whichever is given."""

    photos: Path
    run: Path
    minutes: float | None = None
    steps: int | None = None
    batch: int = 8
    crop: int = 256
    matrix_rate: float = 1e-2
    rate: float = 1e-3
    max_norm: float = 1.0
    ema_decay: float = 0.998
    seed: int = 0
    threads: int | None = None
    accelerator: str = "auto"
    processes: int = 1
    save_minutes: float = 5
    evaluate_minutes: float = 5
    photo_limit: int | None = None

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise OptionError("give either minutes or steps as the budget")
        if (self.minutes or self.steps or 0) <= 0:
            raise OptionError("the budget must be positive")
        if self.batch < 1 or self.crop < 64 or self.crop % 64:
            raise OptionError(f"batch must be at least 1 and crop a multiple of 64, not {self.batch} and {self.crop}")

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


def rate_distortion_loss(network: torch.nn.Module, lambdas: Tensor, x: Tensor, quality: Tensor) -> Tensor:
    """Mean over the batch of (bpp + lambda MSE) / sqrt(lambda), x (B, H, W, C) in 0..1.

    Without the root the few highest lambdas would be all that the network hears.
    """
    coded = network(x, quality)
    lambda_rd = lambdas[quality]
    mse = 255**2 * (coded.picture - x).square().mean((1, 2, 3))
    bpp = (coded.latent_bits + coded.side_bits) / (x.shape[1] * x.shape[2])
    loss: Tensor = 0.1 * ((bpp + lambda_rd * mse) / lambda_rd.sqrt()).mean()
    return loss


def train(network_config: NetworkConfig, config: TrainConfig, *, resume: bool = False, start: Path | None = None,
          progress: bool = True) -> Path:  # fmt: skip
    """Train to the end of the budget; returns the run's folder with checkpoint/, log.csv and config.json.

    `resume` goes on from the run's own checkpoint, optimiser included; `start` begins from the weights of a profile or
    of another run. Interrupting (SIGINT, SIGTERM) saves a checkpoint. OptionError if the folder holds another run or
    nothing to resume.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    fabric = Fabric(
        accelerator=config.accelerator,
        devices=config.processes,
        strategy="ddp" if config.processes > 1 else "auto",
        precision="bf16-mixed",
    )
    fabric.launch()
    _check_folder(config.run, resume)
    torch.manual_seed(config.seed)
    raw = Flagship(network_config)
    optimizers = list(build_optimizers(raw, config.matrix_rate, config.rate))
    ema = {name: parameter.detach().clone() for name, parameter in raw.named_parameters()}

    show = progress and fabric.is_global_zero
    training, held_out = load_photos(config.photos, least_side=config.crop, limit=config.photo_limit, progress=show)
    state = RunState()
    checkpoint = config.run / "checkpoint"
    if resume:
        state = RunState(**load_checkpoint(checkpoint, raw, ema, list(optimizers))["state"])
    elif start is not None:
        load_start(raw, start)
        state.start = str(start.name)
    else:
        raw.linear_start(draw_batch(training, 128, CropConfig(size=config.crop), seed=config.seed))
    if not resume:
        ema = {name: parameter.detach().clone() for name, parameter in raw.named_parameters()}
    network, *wrapped = fabric.setup(raw, *optimizers)
    training, held_out = training.to(fabric.device), held_out.to(fabric.device)
    ema = {name: value.to(fabric.device) for name, value in ema.items()}

    if fabric.is_global_zero:
        config.run.mkdir(parents=True, exist_ok=True)
        (config.run / "config.json").write_text(
            json.dumps({"network": dataclasses.asdict(network_config), "train": dataclasses.asdict(config),
                        "photographs": len(training), "held_out": len(held_out), "parameters": parameter_count(raw),
                        "kmac_per_pixel": kilo_macs_per_pixel(network_config)}, indent=1, default=str)
        )  # fmt: skip

    def save() -> None:
        if fabric.is_global_zero:
            save_checkpoint(
                checkpoint, raw, ema, list(optimizers),
                {"state": dataclasses.asdict(state), "network": dataclasses.asdict(network_config)},
            )  # fmt: skip

    log = _Log(config.run / "log.csv", fabric.is_global_zero)
    bar = tqdm(
        total=100,
        desc=f"train {network_config.name}",
        disable=None if show else True,
        initial=round(100 * config.progress(state.step, state.seconds)),
        bar_format="{l_bar}{bar}| {postfix}",
    )
    saved = evaluated = state.seconds
    try:
        for step in interruptible(updates(fabric, network, raw, wrapped, training, ema, config, state)):
            bar.n = min(100, round(100 * config.progress(state.step, state.seconds)))
            bar.set_postfix_str(
                f"step {state.step}, {state.megapixels:.0f} MP, {step['megapixels_per_second']:.2f} MP/s"
            )
            log.row(kind="train", **step)
            if state.seconds - evaluated > 60 * config.evaluate_minutes:
                evaluated = state.seconds
                _log_evaluation(log, fabric, raw, ema, held_out, state)
            if state.seconds - saved > 60 * config.save_minutes:
                saved = state.seconds
                save()
    finally:
        save()
        bar.close()
    _log_evaluation(log, fabric, raw, ema, held_out, state)
    return config.run


def interruptible(steps: Iterator[dict[str, float]]) -> Iterator[dict[str, float]]:
    """The same steps, during which SIGTERM, as machines are taken away, interrupts like Ctrl-C; in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield from steps
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield from steps
    finally:
        signal.signal(signal.SIGTERM, before)


def updates(fabric: Fabric, network: Any, raw: Flagship, optimizers: list[Any], photos: Photos, ema: dict[str, Tensor],
            config: TrainConfig, state: RunState) -> Iterator[dict[str, float]]:  # fmt: skip
    """Update until the budget is spent; yields a row for the log every 20 steps. `state` and `ema` move along."""
    lambdas = raw.config.lambdas().to(fabric.device)
    crop = CropConfig(size=config.crop)
    world, rank = fabric.world_size, fabric.global_rank
    losses: list[Tensor] = []
    mark, mark_megapixels, last = time.monotonic(), state.megapixels, time.monotonic()
    network.train()
    while config.progress(state.step, state.seconds) < 1:
        factor = rate_factor(config.progress(state.step, state.seconds), state.step)
        for optimizer, base in zip(optimizers, (config.matrix_rate, config.rate), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = base * factor
        seed = (config.seed * 1_000_003 + state.step) * world + rank
        torch.manual_seed(seed)  # with the batch's seed, so that a resumed run repeats an unbroken one
        x = draw_batch(photos, config.batch, crop, seed)
        loss = rate_distortion_loss(
            network, lambdas, x, stratified_qualities(config.batch, raw.config.qualities).to(x.device)
        )
        for optimizer in optimizers:
            optimizer.zero_grad()
        fabric.backward(loss)
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), config.max_norm)
        if bool(torch.isfinite(norm)):  # the same on every rank: gradients are averaged before
            for optimizer in optimizers:
                optimizer.step()
            _follow(ema, raw, min(config.ema_decay, (1 + state.step) / (10 + state.step)))
        else:
            state.skipped += 1
        state.step += 1
        state.megapixels += config.batch * world * config.crop**2 / 1e6
        losses.append(loss.detach())
        now = time.monotonic()
        spent = torch.tensor(now - last, dtype=torch.float64)
        last = now
        # One clock for all ranks, or they would leave the loop at different steps.
        state.seconds += float(fabric.broadcast(spent)) if world > 1 else float(spent)
        if state.step % 20 == 0:
            yield {
                "step": state.step, "seconds": round(state.seconds, 1), "megapixels": round(state.megapixels, 2),
                "megapixels_per_second": round((state.megapixels - mark_megapixels) / (now - mark), 3),
                "learning_rate": round(factor, 5), "loss": round(float(torch.stack(losses).mean()), 4),
                "gradient_norm": round(float(norm), 4), "skipped": state.skipped,
            }  # fmt: skip
            losses.clear()
            # What the caller does between two rows (saving, evaluation) is not training time.
            mark, mark_megapixels, last = time.monotonic(), state.megapixels, time.monotonic()


def stratified_qualities(count: int, qualities: int) -> Tensor:
    """(count,) indices spread evenly over the range, in random places: uniform, with less variance than drawing."""
    return ((torch.arange(count) + torch.rand(count)) * qualities / count).long().clamp(max=qualities - 1)


@torch.no_grad()
def evaluate(
    network: Flagship, photos: Photos, qualities: list[int], *, limit: int = EVALUATION_PHOTOS
) -> list[tuple[int, float, float]]:
    """(quality, mean estimated bpp, mean PSNR in dB) over centre crops, hard rounding, pictures rounded to 8 bits."""
    was_training = network.training
    network.eval()
    device = photos.samples.device
    rows = []
    for quality in qualities:
        bpp, psnr = 0.0, 0.0
        count = min(limit, len(photos))
        for index in range(count):
            x = centre_crop(photos[index])
            with torch.autocast(device.type, torch.bfloat16):
                coded = network(x, torch.tensor([quality], device=device))
            decoded = coded.picture.clamp(0, 1).mul(255).round().div(255)
            mse = float(F.mse_loss(decoded, x))
            bpp += float(coded.latent_bits + coded.side_bits) / (x.shape[1] * x.shape[2])
            psnr += -10 * math.log10(max(mse, 1e-10))
        rows.append((quality, bpp / count, psnr / count))
    network.train(was_training)
    return rows


def load_start(network: Flagship, start: Path) -> None:
    """Fill the network from a run's averaged weights or from an exported profile."""
    if (start / "manifest.json").exists():
        from narrows.lab.export import load_parameters  # only here: the trainer's path stays free of the codec

        load_parameters(network, start)
        return
    tensors = read_tensors(start / "checkpoint")
    if not tensors:
        raise OptionError(f"{start} is neither a profile nor a run with a checkpoint")
    load_averaged(network, tensors, start)


def load_averaged(network: Flagship, tensors: dict[str, Tensor], source: Path) -> None:
    """Fill the network with a checkpoint's averaged (EMA) weights, of the same or a smaller network (grow.py)."""
    averaged = {name.removeprefix("ema."): tensor for name, tensor in tensors.items() if name.startswith("ema.")}
    fill(network, averaged, source)


def load_run(run: Path) -> tuple[Flagship, dict[str, Any]]:
    """The averaged network of a run, in eval mode, and the checkpoint's state."""
    state = read_state(run / "checkpoint")
    network = Flagship(NetworkConfig.from_json(state["network"]))
    load_averaged(network, read_tensors(run / "checkpoint"), run)
    return network.eval(), state


def _follow(ema: dict[str, Tensor], network: Flagship, decay: float) -> None:
    with torch.no_grad():
        names = list(ema)
        parameters = dict(network.named_parameters())
        torch._foreach_lerp_([ema[n] for n in names], [parameters[n].detach() for n in names], 1 - decay)


def _log_evaluation(
    log: _Log, fabric: Fabric, network: Flagship, ema: dict[str, Tensor], photos: Photos, state: RunState
) -> None:
    """Evaluate the averaged weights on the held-out photographs, on the first process."""
    if fabric.is_global_zero:
        parameters = dict(network.named_parameters())
        kept = {name: parameter.detach().clone() for name, parameter in parameters.items()}
        with torch.no_grad():
            for name, value in ema.items():
                parameters[name].copy_(value)
            qualities = network.config.spread_qualities(EVALUATION_QUALITIES)
            for quality, bpp, psnr in evaluate(network, photos, qualities):
                log.row(
                    kind="held-out",
                    step=state.step,
                    seconds=round(state.seconds, 1),
                    megapixels=round(state.megapixels, 2),
                    quality=quality,
                    bpp=round(bpp, 5),
                    psnr_db=round(psnr, 4),
                )
            for name, value in kept.items():
                parameters[name].copy_(value)
    fabric.barrier()


class _Log:
    """log.csv: a row every 20 steps and the held-out figures, appended, so that a resumed run goes on in it."""

    def __init__(self, path: Path, active: bool) -> None:
        self._path, self._active = path, active
        if active and not path.exists():
            with path.open("w", newline="") as file:
                csv.writer(file).writerow(LOG_FIELDS)

    def row(self, **values: object) -> None:
        if self._active:
            with self._path.open("a", newline="") as file:
                csv.DictWriter(file, LOG_FIELDS).writerow(values)


def _check_folder(run: Path, resume: bool) -> None:
    exists = (run / "checkpoint").exists() or (run / "checkpoint.old").exists()
    if resume and not exists:
        raise OptionError(f"there is nothing to resume in {run}")
    if not resume and exists:
        raise OptionError(f"{run} holds a run already; go on with --resume or choose another folder")
