"""Training a study's network on the one loop (loop.py): epochs over a data set that lies whole in memory.

A run's folder has, beside the loop's own files, config.json (what was trained on what) and strip.npz (the first
validation pictures after each epoch). `train_study` on a finished run of the same settings loads it, on an unfinished
one it goes on: whoever runs an experiment again pays only for what is missing.
"""

from __future__ import annotations

import dataclasses
import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Adam

from narrows.compare.files import write_whole
from narrows.errors import OptionError
from narrows.lab.checkpoint import load_tensors, read_state
from narrows.lab.data.dataset import Split
from narrows.lab.loop import run_loop, start_fabric
from narrows.lab.nets.base import StudyNetwork, keras_start, pad_to_stride
from narrows.lab.rate import stratified_qualities
from narrows.lab.study.model import Loss, StudyModel, Terms
from narrows.lab.study.quantiser import LatentQuantiser, Steps
from narrows.lab.study.runs import Epoch, claim, history, identity
from narrows.lab.task import Evaluation, LoopConfig, Plateau, Precision, RunState

__all__ = ["Epoch", "Loss", "Plateau", "Recipe", "Trained", "train_study"]

_COLUMNS = ("epoch", "train_loss", "validation_loss", "train_mse", "validation_mse", "validation_bpp", "kl_bits")
_EPSILON = 1e-7
"""Of Adam: Keras' own. With torch's 1e-8 and no warm-up, some seeds of networks that end in a sigmoid go black in their
first steps, where its gradient vanishes, and stay so."""
_QUANTISER_RATE = 5
"""Times the network's learning rate: its parameters are logarithms, which have far to go from where they start."""
_START_PICTURES = 512
_START_PIXELS = 2**21
"""The first steps come from so many pictures or pixels, whichever are fewer."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one network is trained. OptionError for numbers that make no sense; what does not go together: StudyModel.

    The optimiser is Adam as Keras has it. The best epoch by validation loss is what is kept.
    """

    epochs: int
    batch: int = 128
    rate: float = 1e-3
    schedule: Literal["constant", "cosine"] = "constant"
    """"cosine": down to a hundredth over the whole run."""
    warm_up: int = 50
    """Steps over which the rate rises at first; fewer in short runs, a twentieth of theirs."""
    plateau: Plateau | None = None
    patience: int | None = None
    """Early stopping: so many epochs in a row without a better validation loss."""
    loss: Loss = "mse"
    crop: int | None = None
    """Side of random crops; for networks that are maps."""
    flips: bool = False
    """Mirror pictures left to right at random."""
    lambdas: tuple[float, ...] = ()
    """Puts the rate into the loss: bits a pixel + lambda x squared error on 0..255, a quality each, rising."""
    beta: float | None = None
    """Trains a variational network on minus the ELBO, KL times beta."""
    variance: float | None = None
    """Of the likelihood of the ELBO; None: learned."""
    max_norm: float | None = None
    precision: Precision = "bf16-mixed"
    keras_start: bool = False
    seed: int = 0
    accelerator: str = "auto"

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1 or not self.rate > 0 or self.warm_up < 0:
            raise OptionError(
                f"epochs {self.epochs} and batch {self.batch} are 1 or more, rate {self.rate:g} is above 0, warm-up "
                f"{self.warm_up} is no negative number"
            )
        if self.crop is not None and self.crop < 8:
            raise OptionError(f"crops have at least 8 pixels a side, not {self.crop}")
        rising = all(low < high for low, high in zip(self.lambdas, self.lambdas[1:], strict=False))
        if self.lambdas and (min(self.lambdas) <= 0 or not rising):
            raise OptionError(f"lambdas are positive and rise, not {self.lambdas}")


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A trained network, on the CPU in eval mode, with the weights of the epoch that validated best."""

    network: StudyNetwork
    quantiser: LatentQuantiser | None
    recipe: Recipe
    history: tuple[Epoch, ...]
    best: int
    """Which epoch that is, from 1."""
    run: Path
    strip: NDArray[np.uint8]
    """(epochs, watched, H, W) or (..., 3): the first validation pictures as each epoch gives them back."""

    def steps(self) -> Steps:
        """The learned steps. OptionError where no rate was in the loss: there `uniform_sweep` has to choose them."""
        if self.quantiser is None:
            raise OptionError("this network was trained without a rate; its steps come from uniform_sweep")
        return self.quantiser.steps(self.recipe.lambdas)


def train_study(
    build: Callable[[], StudyNetwork], train: Split, validation: Split, recipe: Recipe, run: Path, *,
    watch: int = 0, name: str = "study", progress: bool = True, on_epoch: Callable[[Epoch], bool] | None = None,
) -> Trained:  # fmt: skip
    """Build the network under the recipe's seed and train it in the folder `run`.

    `watch` validation pictures are kept as they look after every epoch. `on_epoch` is told each epoch and returns True
    to end the training there. A finished run in the folder is loaded, an unfinished one goes on, both only if network,
    data and recipe are the same; else OptionError. Interrupting saves a checkpoint.
    """
    torch.manual_seed(recipe.seed)
    network = build()
    if recipe.keras_start:
        keras_start(network)
    model = StudyModel(
        network, loss=recipe.loss, lambdas=recipe.lambdas, beta=recipe.beta, variance=recipe.variance
    ).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    task = StudyTask(model, train, validation, recipe, run, name=name, watch=watch, on_epoch=on_epoch)
    wanted = identity(model, train, validation, dataclasses.asdict(recipe), watch)
    resume = claim(run, wanted, defaults=dataclasses.asdict(Recipe(epochs=recipe.epochs)))
    checkpoint = run / "checkpoint"
    if not (resume and read_state(checkpoint)["state"]["finished"]):
        config = LoopConfig(
            run=run, steps=task.steps_per_epoch * recipe.epochs, seed=recipe.seed, max_norm=recipe.max_norm,
            evaluate_steps=task.steps_per_epoch, patience=recipe.patience, plateau=recipe.plateau,
            accelerator=recipe.accelerator, precision=recipe.precision, log_steps=max(20, task.steps_per_epoch),
        )  # fmt: skip
        fabric = start_fabric(config)
        if not resume:
            task.start_quantiser()
        run_loop(fabric, task, config, resume=resume, start="random", progress=progress)
    load_tensors(run / "best", model.cpu())
    state = read_state(checkpoint)["state"]
    return Trained(
        network=network.eval(), quantiser=model.quantiser, recipe=recipe, history=history(run),
        best=round(state["best_step"] / task.steps_per_epoch), run=run, strip=task.strip(),
    )  # fmt: skip


class StudyTask:
    """A study's model and data as the loop wants them; a loop.Task."""

    columns = _COLUMNS

    def __init__(
        self, model: StudyModel, train: Split, validation: Split, recipe: Recipe, run: Path, *, name: str, watch: int,
        on_epoch: Callable[[Epoch], bool] | None,
    ) -> None:  # fmt: skip
        geometry = model.network.geometry
        for split in (train, validation):
            if not len(split) or split.channels != geometry.channels:
                raise OptionError(
                    f"the network sees pictures of {geometry.channels} channels, at least one in each part; here are "
                    f"{len(split)} of {split.channels}"
                )
        if recipe.crop is not None and (geometry.cell is not None or recipe.crop > min(train.images.shape[1:3])):
            raise OptionError(f"crops of {recipe.crop} pixels are for maps, and no larger than the pictures")
        self.name = name
        self.network = model
        rest = [parameter for name, parameter in model.named_parameters() if not name.startswith("quantiser.")]
        self.optimizers = [Adam(rest, recipe.rate, eps=_EPSILON, fused=True)]
        self.rates = [recipe.rate]
        if model.quantiser is not None:
            self.rates.append(_QUANTISER_RATE * recipe.rate)
            self.optimizers.append(Adam(model.quantiser.parameters(), self.rates[1], eps=_EPSILON, fused=True))
        self.steps_per_epoch = math.ceil(len(train) / recipe.batch)
        height, width = (recipe.crop, recipe.crop) if recipe.crop else train.images.shape[1:3]
        self.megapixels = min(recipe.batch, len(train)) * height * width / 1e6
        self._train, self._validation = torch.from_numpy(train.images), torch.from_numpy(validation.images)
        self._recipe, self._watch, self._on_epoch = recipe, min(watch, len(validation)), on_epoch
        self._strip_file = run / "strip.npz"
        self._order: tuple[int, Tensor] = (-1, torch.zeros(0, dtype=torch.int64))
        self._seen, self._steps = torch.zeros(2), 0  # of this epoch: sums of loss and squared error, and of how many

    @property
    def record(self) -> dict[str, Any]:
        """The epoch that a checkpoint falls into."""
        return {"epoch": {"sums": self._seen.tolist(), "steps": self._steps}}

    def restore(self, record: Mapping[str, Any]) -> None:
        self._seen, self._steps = torch.tensor(record["epoch"]["sums"]), record["epoch"]["steps"]

    def to(self, device: torch.device) -> None:
        self._train, self._validation = self._train.to(device), self._validation.to(device)

    def start_quantiser(self) -> None:
        """Begin with steps and a prior that suit the latents that the network begins with."""
        if self.network.quantiser is not None:
            stride = self.network.network.geometry.stride if self.network.network.geometry.cell is None else 1
            with torch.no_grad():
                most = max(1, _START_PIXELS // self._train[0].numel())
                count = min(len(self._train), _START_PICTURES, most)
                x = _planes(self._train[torch.linspace(0, len(self._train) - 1, count).long()]) / 255
                self.network.quantiser.start(self.network.network.encode(pad_to_stride(x, stride)))

    def rate_factor(self, progress: float, step: int) -> float:
        warm_up = min(self._recipe.warm_up, self.steps_per_epoch * self._recipe.epochs // 20)
        warm = min(1.0, (step + 1) / max(warm_up, 1))
        if self._recipe.schedule == "constant":
            return warm
        return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))

    def loss(self, network: nn.Module, step: int, seed: int) -> Tensor:
        """Every picture once an epoch, in an order that the seed and the epoch give."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if self._order[0] != epoch:
            shuffle = torch.Generator().manual_seed(self._recipe.seed * 100_003 + epoch)
            self._order = (epoch, torch.randperm(len(self._train), generator=shuffle))
        chosen = self._order[1][place * self._recipe.batch : (place + 1) * self._recipe.batch]
        x = self._augmented(self._train[chosen.to(self._train.device)])
        quality = None
        if self._recipe.lambdas:
            quality = stratified_qualities(len(x), len(self._recipe.lambdas)).to(x.device)
        terms: Terms = network(x, quality)
        self._seen = self._seen.to(x.device) + torch.stack([terms.loss.detach(), terms.mse])
        self._steps += 1
        return terms.loss

    def _augmented(self, pictures: Tensor) -> Tensor:
        """Planes (B, C, H, W) of pictures (B, H, W[, 3]), cropped and mirrored as the recipe says."""
        side, planes = self._recipe.crop, _planes(pictures)
        if side is not None:
            rows = torch.randint(planes.shape[2] - side + 1, (len(planes),)).tolist()
            columns = torch.randint(planes.shape[3] - side + 1, (len(planes),)).tolist()
            planes = torch.stack(
                [one[:, r : r + side, c : c + side] for one, r, c in zip(planes, rows, columns, strict=True)]
            )
        if self._recipe.flips:
            mirrored = (torch.rand(len(planes)) < 0.5).to(planes.device)[:, None, None, None]
            planes = torch.where(mirrored, planes.flip(3), planes)
        return planes.contiguous(memory_format=torch.channels_last)

    def evaluate(self, state: RunState) -> Evaluation:
        """The whole validation part, hard-rounded where there are steps; its loss is the score."""
        seen = self._seen / max(self._steps, 1)
        loss, mse, bpp, kl_bits = self._validated()
        epoch = Epoch(
            epoch=round(state.step / self.steps_per_epoch), seconds=round(state.seconds, 1),
            train_loss=_short(seen[0]), validation_loss=_short(loss), train_mse=_short(seen[1]),
            validation_mse=_short(mse), validation_bpp=None if bpp is None else _short(bpp),
            kl_bits=None if kl_bits is None else _short(kl_bits),
        )  # fmt: skip
        if self._watch:
            self._keep_strip(epoch.epoch)
        row = {key: value for key, value in dataclasses.asdict(epoch).items() if key != "seconds"}
        stop = self._on_epoch is not None and self._on_epoch(epoch)
        self._seen, self._steps = torch.zeros(2), 0
        return Evaluation(rows=[{"kind": "epoch", **row}], score=_finite(loss), stop=stop)

    @torch.no_grad()
    def _validated(self) -> tuple[float, float, float | None, float | None]:
        """(loss, mse, bpp, KL in bits), means over pictures; quality i of the q is that of every q-th picture."""
        self.network.eval()
        sums, count, levels = torch.zeros(4, dtype=torch.float64), 0, len(self._recipe.lambdas)
        terms: Terms | None = None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._recipe.seed)  # of the codes that an ELBO draws: the same ones after every epoch
            for first in range(0, len(self._validation), self._recipe.batch):
                x = _planes(self._validation[first : first + self._recipe.batch])
                quality = None
                if levels:
                    quality = (torch.arange(first, first + len(x)) % levels).to(x.device)
                terms = self.network(x, quality)
                values = (terms.loss, terms.mse, terms.bpp, terms.kl_bits)
                sums += len(x) * torch.tensor([0.0 if value is None else float(value) for value in values])
                count += len(x)
        loss, mse, bpp, kl_bits = (sums / count).tolist()
        rated, bounded = terms is not None and terms.bpp is not None, terms is not None and terms.kl_bits is not None
        return loss, mse, bpp if rated else None, kl_bits if bounded else None

    @torch.no_grad()
    def _keep_strip(self, epoch: int) -> None:
        """Add the watched pictures as they look now (at the finest quality), in place of what a lost run kept."""
        x = _planes(self._validation[: self._watch]) / 255
        model, geometry = self.network, self.network.network.geometry
        y = model.network.encode(x if geometry.cell is not None else pad_to_stride(x, geometry.stride))
        if model.quantiser is not None:
            finest = torch.full((len(x),), len(self._recipe.lambdas) - 1, device=x.device)
            y = model.quantiser(y, finest).y_hat
        x_hat = model.network.decode(y)[..., : x.shape[2], : x.shape[3]].clamp(0, 1)
        pictures = (x_hat * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        pictures = pictures[..., 0] if geometry.channels == 1 else pictures
        strip = np.concatenate([self.strip()[: epoch - 1], pictures[None]])
        file = io.BytesIO()
        np.savez_compressed(file, strip=strip)
        write_whole(self._strip_file, file.getvalue())

    def strip(self) -> NDArray[np.uint8]:
        """(epochs so far, watched, H, W) or (..., 3)."""
        if not self._strip_file.exists():
            return np.zeros((0, self._watch, *self._validation.shape[1:]), np.uint8)
        with np.load(self._strip_file, allow_pickle=False) as stored:
            strip: NDArray[np.uint8] = stored["strip"]
        return strip


def _planes(pictures: Tensor) -> Tensor:
    """(B, C, H, W) of pictures (B, H, W) or (B, H, W, 3), uint8 as they are; in memory the channels come last."""
    return (pictures if pictures.ndim == 4 else pictures[..., None]).permute(0, 3, 1, 2)


def _short(value: float | Tensor) -> float:
    return float(f"{float(value):.6g}")


def _finite(loss: float) -> float:
    """A loss that is no number is the worst there is, or it would never be beaten."""
    return loss if math.isfinite(loss) else math.inf
