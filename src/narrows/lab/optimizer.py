"""SOAP or Muon for the matrices, AdamW for the rest, and the schedule all follow."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

OptimizerName = Literal["soap", "muon"]
OPTIMIZERS: tuple[OptimizerName, ...] = get_args(OptimizerName)

_POLYNOMIALS = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
)
"""The best odd polynomials of degree 5, one an iteration (arXiv:2505.16932); four are enough here."""


class Soap(Optimizer):
    """Adam in the eigenbasis of what a gradient's rows, or columns, have in common; for matrices only.

    A matrix has one basis, of its shorter side: a basis of the longer one costs more than it brings here. It follows
    the averaged Gram matrix by a step of orthogonal iteration now and then, and the moments live in it. The first step
    only begins the basis.

    Source: N. Vyas et al., "SOAP: Improving and Stabilizing Shampoo using Adam", arXiv:2409.11321.
    """

    def __init__(
        self, params: Iterable[nn.Parameter], lr: float, betas: tuple[float, float] = (0.95, 0.95), every: int = 10
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "every": every})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = closure() if closure else None
        for group in self.param_groups:
            for parameter in group["params"]:
                gradient, tall = _gradient(parameter), parameter.shape[0] > parameter.shape[1]
                wide = gradient.T if tall else gradient
                state: dict[str, Tensor] = self.state[parameter]
                if state:
                    direction = self._direction(wide, state, group)
                    parameter.add_(direction.T if tall else direction, alpha=-group["lr"])
                else:
                    gram = wide @ wide.T
                    state["step"] = torch.zeros(())
                    state["gram"], state["basis"] = gram, torch.linalg.eigh(gram)[1].contiguous()
                    state["first"], state["second"] = wide.new_zeros(wide.shape), wide.new_zeros(wide.shape)
        return loss

    def _direction(self, gradient: Tensor, state: dict[str, Tensor], group: dict[str, Any]) -> Tensor:
        """Adam's, of one wide matrix; its state moves along."""
        (slow, slower), basis = group["betas"], state["basis"]
        state["step"] += 1
        count = int(state["step"])
        turned = basis.T @ gradient
        state["first"].lerp_(turned, 1 - slow)
        state["second"].mul_(slower).addcmul_(turned, turned, value=1 - slower)
        deviation = (state["second"] / (1 - slower**count)).sqrt()
        direction: Tensor = basis @ (state["first"] / (1 - slow**count) / (deviation + 1e-12))
        state["gram"].lerp_(gradient @ gradient.T, 1 - slower)
        if count % group["every"] == 0:
            _turn_basis(state)
        return direction


def _turn_basis(state: dict[str, Tensor]) -> None:
    """One step of orthogonal iteration, the largest eigenvalues first, and the moments in the new basis."""
    basis = state["basis"]
    image = state["gram"] @ basis
    order = torch.argsort((basis * image).sum(0), descending=True)
    # In one layout always: a product's last bits depend on it, and a resumed run has to repeat them.
    state["basis"] = torch.linalg.qr(image[:, order])[0].contiguous()
    state["first"] = state["basis"].T @ (basis @ state["first"])
    state["second"] = state["second"][order]


class Muon(Optimizer):
    """Momentum made orthogonal (Jordan et al., 2024); for matrices only.

    Matrices of one shape are treated as one batch: a codec has many small ones.
    """

    def __init__(self, params: Iterable[nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = closure() if closure else None
        for group in self.param_groups:
            by_shape: dict[tuple[int, ...], list[Tensor]] = {}
            for parameter in group["params"]:
                by_shape.setdefault(tuple(parameter.shape), []).append(parameter)
            for shape, parameters in by_shape.items():
                updates = []
                for parameter in parameters:
                    gradient = _gradient(parameter)
                    state: dict[str, Tensor] = self.state[parameter]
                    buffer = state.setdefault("momentum", torch.zeros_like(parameter))
                    buffer.mul_(group["momentum"]).add_(gradient)
                    updates.append(gradient + group["momentum"] * buffer)
                directions = orthogonalised(torch.stack(updates))
                scale = group["lr"] * max(1.0, shape[0] / shape[1]) ** 0.5
                torch._foreach_add_(parameters, list(directions.unbind()), alpha=-scale)
        return loss


def _gradient(parameter: Tensor) -> Tensor:
    if parameter.grad is None:
        raise ValueError("every matrix of the network must take part in the loss")
    return parameter.grad


def orthogonalised(matrices: Tensor) -> Tensor:
    """(N, rows, columns) matrices with their singular values brought near 1."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = (matrices.mT if tall else matrices).float()
    x = (x / (x.norm(dim=(1, 2), keepdim=True) * 1.02 + 1e-9)).bfloat16()
    for a, b, c in _POLYNOMIALS:
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).float()


def build_optimizers(
    network: nn.Module, name: OptimizerName, matrix_rate: float, rate: float
) -> tuple[Soap | Muon, AdamW]:
    """SOAP or Muon on every weight matrix of a 1x1 convolution, AdamW on depthwise weights, biases and tables.

    Frozen parameters are left out.
    """
    matrices: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for parameter_name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        is_matrix = parameter.ndim == 2 and parameter_name.endswith("weight")
        (matrices if is_matrix else rest).append(parameter)
    of_matrices = Soap(matrices, matrix_rate) if name == "soap" else Muon(matrices, matrix_rate)
    return of_matrices, AdamW(rest, rate, betas=(0.9, 0.98), weight_decay=0)


def rate_factor(progress: float, step: int, *, warm_up: int = 50, flat: float = 0.5, floor: float = 0.01) -> float:
    """What the learning rates are multiplied by: a short warm-up, flat, then a cosine down to `floor`.

    progress is the part of the run's budget that is spent, 0..1; it falls over the part after `flat`, which is where
    half of the gain of a run comes from.
    """
    warm = min(1.0, (step + 1) / warm_up)
    if progress <= flat:
        return warm
    phase = min(1.0, (progress - flat) / (1 - flat))
    return warm * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * phase)))
