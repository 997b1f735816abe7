"""Depthwise kernels learn the same as those of torch, whatever their size and type."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from narrows.lab.depthwise import Depthwise, weight_gradient  # noqa: E402


def gradients(layer: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    x = x.clone().requires_grad_(True)
    with torch.autocast("cpu", torch.bfloat16, enabled=x.dtype == torch.bfloat16):
        y = layer(x)
    (y.float() * torch.linspace(-1, 1, y.numel()).reshape(y.shape)).sum().backward()
    found = [x.grad, *(parameter.grad for parameter in layer.parameters())]
    assert all(gradient is not None for gradient in found)
    return [y.detach(), *found]  # type: ignore[list-item]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("kernel", [3, 5, 7, 9])
def test_a_layer_and_all_its_gradients_are_those_of_torch(kernel: int, dtype: torch.dtype) -> None:
    torch.manual_seed(kernel)
    layer = Depthwise(16, kernel)
    plain = nn.Conv2d(16, 16, kernel, padding=kernel // 2, groups=16)
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(2, 8, 12, 16).to(dtype).permute(0, 3, 1, 2)
    for found, expected in zip(gradients(layer, x), gradients(plain, x), strict=True):
        assert found.dtype == expected.dtype and found.shape == expected.shape
        size = float(expected.abs().max())
        assert torch.allclose(found, expected, rtol=0, atol=size * (0.02 if dtype == torch.bfloat16 else 1e-5))


def test_every_entry_of_the_kernel_is_a_sum_over_the_moved_input() -> None:
    x, gradient = torch.randn(1, 2, 6, 7), torch.randn(1, 2, 6, 7)
    found = weight_gradient(gradient, x, torch.zeros(2, 1, 5, 5))
    moved = nn.functional.pad(x, (2, 2, 2, 2))
    for row in range(5):
        for column in range(5):
            expected = (gradient * moved[:, :, row : row + 6, column : column + 7]).sum((0, 2, 3))
            assert torch.allclose(found[:, 0, row, column], expected, atol=1e-5)


def test_a_frozen_kernel_passes_a_gradient_to_its_input_alone() -> None:
    layer = Depthwise(4, 5).requires_grad_(False)
    x = torch.randn(1, 4, 8, 8, requires_grad=True)
    layer(x).sum().backward()
    assert x.grad is not None and layer.weight.grad is None
