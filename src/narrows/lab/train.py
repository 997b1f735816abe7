"""The flagship's training: photographs, all rates in one network, on the one loop (loop.py)."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrows.errors import OptionError
from narrows.lab.checkpoint import read_state, read_tensors
from narrows.lab.dead_zone import DeadZone, Quantiser
from narrows.lab.distortion import distortion
from narrows.lab.grow import fill
from narrows.lab.loop import check_folder, run_loop, start_fabric
from narrows.lab.network import Flagship, NetworkConfig, kilo_macs_per_pixel, parameter_count
from narrows.lab.optimizer import OPTIMIZERS, OptimizerName, build_optimizers, rate_factor
from narrows.lab.photos import CropConfig, Photos, centre_crop, draw_batch, load_photos
from narrows.lab.rate import rate_distortion_loss, stratified_qualities
from narrows.lab.task import Evaluation, LoopConfig, RunState

Stage = Literal["noise", "written", "decoder", "side"]
STAGES: tuple[Stage, ...] = get_args(Stage)
EVALUATION_QUALITIES = 8
EVALUATION_PHOTOS = 24


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One run. The budget is `minutes` of training time or `steps`, whichever is given."""

    photos: Path
    run: Path
    minutes: float | None = None
    steps: int | None = None
    batch: int = 8
    crop: int = 256
    optimizer: OptimizerName = "soap"
    """Of the matrices; AdamW trains all else."""
    matrix_rate: float = 3e-3
    """Of SOAP; Muon wants about 1e-2."""
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
    stage: Stage = "noise"
    """From "written" on, all behind the encoder learns from the symbols that the start, a profile, writes. The encoder
    still learns from noise what they cost; in the stage "decoder" it stays as it is. In the stage "side" nothing is
    trained but how the hyper-latent is coded.
    """
    masking: float = 0.3
    """Share of the masked error in the distortion (distortion.py); the rest is the squared error."""

    def __post_init__(self) -> None:
        self.loop()
        if self.stage not in STAGES:
            raise OptionError(f"stage must be one of {', '.join(STAGES)}, not {self.stage}")
        if self.optimizer not in OPTIMIZERS:
            raise OptionError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, not {self.optimizer}")
        if self.batch < 1 or self.crop < 64 or self.crop % 64:
            raise OptionError(f"batch must be at least 1 and crop a multiple of 64, not {self.batch} and {self.crop}")
        if not 0 <= self.masking <= 1:
            raise OptionError(f"masking must be 0 to 1, not {self.masking}")

    def loop(self) -> LoopConfig:
        """What the loop has to know of it. OptionError for a budget that makes no sense."""
        return LoopConfig(
            run=self.run, minutes=self.minutes, steps=self.steps, seed=self.seed, max_norm=self.max_norm,
            ema_decay=self.ema_decay, threads=self.threads, accelerator=self.accelerator, processes=self.processes,
            save_minutes=self.save_minutes, evaluate_minutes=self.evaluate_minutes,
        )  # fmt: skip


class FlagshipTask:
    """The flagship and its photographs as the loop wants them; a loop.Task.

    `quantiser` is that of the encoder whose symbols the later stages learn from.
    """

    columns = ("quality", "bpp", "psnr_db")

    def __init__(
        self, network: Flagship, config: TrainConfig, training: Photos, held_out: Photos,
        quantiser: Quantiser | None = None,
    ) -> None:  # fmt: skip
        self.name = network.config.name
        self.network = network
        if quantiser is not None:
            network.learn_written(quantiser, encoder_learns=config.stage == "written")
        if config.stage == "side":
            network.learn_side()
        self.optimizers = build_optimizers(network, config.optimizer, config.matrix_rate, config.rate)
        self.rates = (config.matrix_rate, config.rate)
        self.megapixels = config.batch * config.crop**2 / 1e6
        self.record = {
            "network": dataclasses.asdict(network.config), "stage": config.stage, "optimizer": config.optimizer,
        }  # fmt: skip
        if quantiser is not None:
            self.record["quantiser"] = dataclasses.asdict(quantiser)
        self._batch, self._crop = config.batch, CropConfig(size=config.crop)
        self._training, self._held_out = training, held_out
        self._lambdas = network.config.lambdas()
        self._masking = config.masking

    def restore(self, record: Mapping[str, Any]) -> None:
        """Nothing to take back: batches are functions of the step."""

    def to(self, device: torch.device) -> None:
        self._training, self._held_out = self._training.to(device), self._held_out.to(device)
        self._lambdas = self._lambdas.to(device)

    def rate_factor(self, progress: float, step: int) -> float:
        return rate_factor(progress, step)

    def loss(self, network: nn.Module, step: int, seed: int) -> Tensor:
        x = draw_batch(self._training, self._batch, self._crop, seed)
        quality = stratified_qualities(self._batch, self.network.config.qualities).to(x.device)
        coded = network(x, quality)
        lambda_rd = self._lambdas[quality]
        bpp: Tensor = (coded.latent_bits + coded.side_bits) / (x.shape[1] * x.shape[2])
        if self.network.side_alone:
            return 100 * bpp.mean()
        return rate_distortion_loss(bpp, lambda_rd * distortion(coded.picture, x, self._masking), lambda_rd)

    def evaluate(self, state: RunState) -> Evaluation:
        """A row a quality, on the held-out photographs. No score: the last weights of a run are its best."""
        qualities = self.network.config.spread_qualities(EVALUATION_QUALITIES)
        return Evaluation(
            rows=[
                {"kind": "held-out", "quality": quality, "bpp": round(bpp, 5), "psnr_db": round(psnr, 4)}
                for quality, bpp, psnr in evaluate(self.network, self._held_out, qualities)
            ]
        )


def train(network_config: NetworkConfig, config: TrainConfig, *, resume: bool = False, start: Path | None = None,
          progress: bool = True) -> Path:  # fmt: skip
    """Train to the end of the budget; returns the run's folder with checkpoint/, log.csv and config.json.

    `resume` goes on from the run's own checkpoint, optimiser included; `start` begins from the weights of a profile or
    of another run. Interrupting (SIGINT, SIGTERM) saves a checkpoint. OptionError if the folder holds another run or
    nothing to resume, or if a later stage than "noise" has no profile to start from.
    """
    loop = config.loop()
    fabric = start_fabric(loop)
    check_folder(config.run, resume)
    quantiser = _quantiser(config, resume, start)
    torch.manual_seed(config.seed)
    network = Flagship(network_config)
    show = progress and fabric.is_global_zero
    training, held_out = load_photos(config.photos, least_side=config.crop, limit=config.photo_limit, progress=show)
    if start is not None and not resume:
        load_start(network, start)
    elif not resume:
        network.linear_start(draw_batch(training, 128, CropConfig(size=config.crop), seed=config.seed))
    if fabric.is_global_zero:
        config.run.mkdir(parents=True, exist_ok=True)
        (config.run / "config.json").write_text(
            json.dumps({"network": dataclasses.asdict(network_config), "train": dataclasses.asdict(config),
                        "photographs": len(training), "held_out": len(held_out), "parameters": parameter_count(network),
                        "kmac_per_pixel": kilo_macs_per_pixel(network_config)}, indent=1, default=str)
        )  # fmt: skip
    task = FlagshipTask(network, config, training, held_out, quantiser)
    run_loop(fabric, task, loop, resume=resume, start=start.name if start else "linear", progress=progress)
    return config.run


def _quantiser(config: TrainConfig, resume: bool, start: Path | None) -> Quantiser | None:
    """That of the encoder whose symbols the run learns from; None while it learns from noise."""
    if resume:
        return stored_quantiser(_resumable(config))
    if config.stage in ("noise", "side"):
        return None
    if start is None or not (start / "manifest.json").exists():
        raise OptionError(f"the stage {config.stage} learns what a profile writes; start from one (--init PROFILE)")
    from narrows.lab.export import quantiser_of  # only here: the trainer's path stays free of the codec

    return quantiser_of(start)


def _resumable(config: TrainConfig) -> dict[str, Any]:
    """The state of the run's checkpoint; OptionError if it was begun with what `config` does not say."""
    state = read_state(config.run / "checkpoint")
    if state["stage"] != config.stage:
        raise OptionError(f"{config.run} is a run of the stage {state['stage']}; resume it as such")
    optimizer = state.get("optimizer", "muon")  # all that was trained before there was a choice
    if optimizer != config.optimizer:
        raise OptionError(f"{config.run} is a run with the optimizer {optimizer}; resume it as such")
    return state


def stored_quantiser(state: dict[str, Any]) -> Quantiser | None:
    """That of the encoder whose symbols a run learned from, of its checkpoint's state; None if from noise."""
    stored = state.get("quantiser")
    return Quantiser(**(stored | {"curve": DeadZone(**stored["curve"])})) if stored else None


@torch.no_grad()
def evaluate(
    network: Flagship, photos: Photos, qualities: list[int], *, limit: int = EVALUATION_PHOTOS
) -> list[tuple[int, float, float]]:
    """(quality, mean estimated bpp, mean PSNR in dB) over centre crops, hard symbols, pictures rounded to 8 bits."""
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
