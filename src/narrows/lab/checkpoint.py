"""A run's state on disk: safetensors shards under 16 MB and one JSON file, replaced as a whole.

No pickle: a checkpoint from a stranger is data, not code.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from narrows.errors import OptionError

SHARD_BYTES = 15_000_000
_STATE = "state.json"


def save_checkpoint(
    folder: Path, network: nn.Module, ema: dict[str, Tensor], optimizers: list[Optimizer], state: dict[str, Any]
) -> None:
    """Write `folder` beside itself and swap it in, so that a killed run leaves the old state or the new one."""
    tensors: dict[str, Tensor] = {f"network.{name}": value for name, value in network.named_parameters()}
    tensors |= {f"buffer.{name}": value for name, value in stored_buffers(network)}
    tensors |= {f"ema.{name}": value for name, value in ema.items()}
    for index, optimizer in enumerate(optimizers):
        for number, values in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{number}.{key}": torch.as_tensor(value) for key, value in values.items()}
    _replace(folder, tensors, state)


def stored_buffers(network: nn.Module) -> list[tuple[str, Tensor]]:
    """The buffers that training changes, such as a batch norm's running means; constants are not among them."""
    stored = network.state_dict().keys()
    return [(name, value) for name, value in network.named_buffers() if name in stored]


def save_tensors(folder: Path, network: nn.Module) -> None:
    """Write the weights and buffers of a network alone, in the same way."""
    _replace(folder, dict(network.state_dict()), {})


def load_tensors(folder: Path, network: nn.Module) -> None:
    """Fill the network with what save_tensors wrote. OptionError if it does not fit."""
    try:
        network.load_state_dict(read_tensors(folder))
    except RuntimeError as error:
        raise OptionError(f"the weights in {folder} are of another network: {error}") from error


def _replace(folder: Path, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    fresh, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for number, shard in enumerate(_shards({name: t.detach().cpu().contiguous() for name, t in tensors.items()})):
        save_file(shard, fresh / f"{number:03d}.safetensors")
    (fresh / _STATE).write_text(json.dumps(state, indent=1))
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def load_checkpoint(
    folder: Path, network: nn.Module, ema: dict[str, Tensor], optimizers: list[Optimizer]
) -> dict[str, Any]:
    """Fill network, ema and optimisers in place; returns the JSON state. OptionError if it does not fit."""
    tensors = read_tensors(folder)
    state = read_state(folder)
    try:
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                parameter.copy_(tensors[f"network.{name}"])
            for name, value in stored_buffers(network):
                value.copy_(tensors[f"buffer.{name}"])
            for name, value in ema.items():
                value.copy_(tensors[f"ema.{name}"])
    except (KeyError, RuntimeError) as error:
        raise OptionError(f"the checkpoint in {folder} is of another network: {error}") from error
    for index, optimizer in enumerate(optimizers):
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        prefix = f"optimizer.{index}."
        entries: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith(prefix):
                number, key = name[len(prefix) :].split(".", 1)
                entries.setdefault(int(number), {})[key] = _laid_out(value, parameters[int(number)])
        optimizer.load_state_dict({"state": entries, "param_groups": optimizer.state_dict()["param_groups"]})
    return state


def _laid_out(value: Tensor, parameter: Tensor) -> Tensor:
    """The value in the order in memory that the parameter has: fused optimisers walk through both side by side."""
    if value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)


def has_checkpoint(run: Path) -> bool:
    """Whether the run's folder holds a state to go on from."""
    return _settled(run / "checkpoint").exists()


def _settled(folder: Path) -> Path:
    """The checkpoint itself, or the one that a kill during the swap left beside it."""
    old = folder.with_name(folder.name + ".old")
    return old if not (folder / _STATE).exists() and (old / _STATE).exists() else folder


def read_state(folder: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads((_settled(folder) / _STATE).read_text())
    except (OSError, ValueError) as error:
        raise OptionError(f"there is no checkpoint in {folder}: {error}") from error
    return state


def read_tensors(folder: Path) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for path in sorted(_settled(folder).glob("*.safetensors")):
        tensors |= load_file(path)
    return tensors


def _shards(tensors: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    shards: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in tensors.items():
        if size + tensor.nbytes > SHARD_BYTES and shards[-1]:
            shards.append({})
            size = 0
        shards[-1][name] = tensor
        size += tensor.nbytes
    return shards
