"""The folder of a study's run: whose it is, and what its log says."""

from __future__ import annotations

import csv
import dataclasses
import json
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from narrows.errors import OptionError
from narrows.lab.checkpoint import has_checkpoint
from narrows.lab.data.dataset import Split
from narrows.lab.nets.aevae import VariationalNetwork
from narrows.lab.nets.sizes import parameters
from narrows.lab.study.model import StudyModel


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One row of a learning curve. Squared errors are of pictures in 0..1, not clipped, not rounded."""

    epoch: int
    seconds: float
    """Of training, since the beginning."""
    train_loss: float
    """Mean over the epoch's steps, so of weights that still moved."""
    validation_loss: float
    train_mse: float
    validation_mse: float
    validation_bpp: float | None = None
    kl_bits: float | None = None


def identity(model: StudyModel, train: Split, validation: Split, recipe: dict[str, Any], watch: int) -> dict[str, Any]:
    """What makes a run this run and no other, as config.json has it."""
    return {
        "recipe": json.loads(json.dumps(recipe)),
        "network": {
            "parameters": parameters(model.network),
            "variational": isinstance(model.network, VariationalNetwork),
            "geometry": dataclasses.asdict(model.network.geometry),
            "layers": zlib.crc32(repr(model.network).encode()),
        },
        "pictures": {"train": _fingerprint(train), "validation": _fingerprint(validation)},
        "watch": watch,
    }


def _fingerprint(split: Split) -> dict[str, Any]:
    return {"shape": list(split.images.shape), "crc32": zlib.crc32(split.images.tobytes())}


def claim(run: Path, wanted: dict[str, Any], *, defaults: dict[str, Any]) -> bool:
    """Make the folder this run's; whether it holds a checkpoint to go on from. OptionError if it is another's.

    `defaults` are a recipe's: what a recipe could not say yet when the run began was so.
    """
    path = run / "config.json"
    if path.exists():
        try:
            found = json.loads(path.read_text())["identity"]
            found["recipe"] = json.loads(json.dumps(defaults)) | found["recipe"]
        except (OSError, ValueError, KeyError) as error:
            raise OptionError(f"{path} is not of a study's run: {error}") from error
        different = [key for key in wanted if found.get(key) != wanted[key]]
        if different:
            raise OptionError(
                f"{run} holds a run of other settings ({', '.join(different)} differ); choose another folder or "
                "delete that one"
            )
    run.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        started = time.strftime("%Y-%m-%d", time.gmtime())
        path.write_text(json.dumps({"identity": wanted, "started": started, "torch": torch.__version__}, indent=1))
    return has_checkpoint(run)


def history(run: Path) -> tuple[Epoch, ...]:
    """The epochs of a run, from its log."""
    with (run / "log.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "epoch"]
    return tuple(
        Epoch(
            epoch=int(row["epoch"]), seconds=float(row["seconds"]), train_loss=float(row["train_loss"]),
            validation_loss=float(row["validation_loss"]), train_mse=float(row["train_mse"]),
            validation_mse=float(row["validation_mse"]),
            validation_bpp=float(row["validation_bpp"]) if row["validation_bpp"] else None,
            kl_bits=float(row["kl_bits"]) if row["kl_bits"] else None,
        )
        for row in rows
    )  # fmt: skip
