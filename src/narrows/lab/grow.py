"""Weights of a trained network into the same network, or into one that has more or fewer residual blocks.

A block that the trained network lacks stays as it starts, the identity (network.Block), and so do centroids, which
start at zero; a depthwise kernel that grew keeps the old one in its middle and zeros around it: a larger network
computes the same at first. Of four context steps where the trained network has two, each begins as the one that coded
its latents there (context.py), with zeros for what it did not see; the last sees what is new to it, so the start is
near and not the same. A side net begins with the distributions that its predecessor had for whole classes of
qualities. A block that has no place any more is left out, with a warning: the rest has to learn to do
without it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrows.errors import OptionError
from narrows.lab.network import Flagship

_IN_BLOCK = re.compile(r"(analysis|synthesis)\.(fine|coarse)\.\d+\.|mean_net\.step_centroid\.\d+\.")
_OF_STEP = re.compile(r"\.step_[a-z]+\.(\d+)\.")


def fill(network: nn.Module, stored: Mapping[str, Tensor], source: Path) -> None:
    """Copy `stored`, by parameter name, into the network.

    OptionError naming `source` if a parameter is missing outside a residual block, or has a size that cannot grow.
    """
    parameters = dict(network.named_parameters())
    stored = _with_steps(stored, parameters)
    if isinstance(network, Flagship) and "side_rate.mean" in stored:
        network.start_side(torch.as_tensor(stored["side_rate.mean"]), torch.as_tensor(stored["side_rate.log_scale"]))
    left_out = {m[0].rstrip(".") for name in stored if name not in parameters and (m := _IN_BLOCK.match(name))}
    if left_out:
        warnings.warn(f"{source}: this network has no place for {', '.join(sorted(left_out))}", stacklevel=2)
    has_side_net = any(name.startswith("side_net.") for name in stored)
    with torch.no_grad():
        for name, parameter in parameters.items():
            if name in stored:
                parameter.copy_(_fitted(stored[name], parameter, name, source))
            elif not (_IN_BLOCK.match(name) or (name.startswith("side_net.") and not has_side_net)):
                raise OptionError(f"{source} holds another network: it has no {name}")


def _with_steps(stored: Mapping[str, Tensor], parameters: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """`stored`, and where it is of two context steps and the network has four, those of four."""
    if _steps(stored) != 2 or _steps(parameters) != 4:
        return stored
    grown = {name: value for name, value in stored.items() if not _OF_STEP.search(name)}
    for name, parameter in parameters.items():
        if match := _OF_STEP.search(name):
            step = int(match[1])
            old = stored.get(name[: match.start(1)] + str(step // 2) + name[match.end(1) :])
            if old is not None:
                new_inputs = (
                    parameter.shape[1] - old.shape[1] if step == 1 and ".step_in." in name and old.ndim > 1 else 0
                )
                grown[name] = F.pad(old, (0, new_inputs))
    return grown


def _steps(names: Mapping[str, Tensor]) -> int:
    return len({match[1] for name in names if (match := _OF_STEP.search(name))})


def _fitted(value: Tensor, parameter: Tensor, name: str, source: Path) -> Tensor:
    if value.numel() == parameter.numel():
        return value.reshape(parameter.shape)
    if value.ndim == parameter.ndim == 4 and value.shape[:2] == parameter.shape[:2]:
        rim = (parameter.shape[-1] - value.shape[-1]) // 2
        if rim > 0 and value.shape[-1] + 2 * rim == parameter.shape[-1]:
            return F.pad(value, (rim, rim, rim, rim))
    raise OptionError(
        f"{source} holds another network: {name} is {tuple(value.shape)}, {tuple(parameter.shape)} is needed"
    )
