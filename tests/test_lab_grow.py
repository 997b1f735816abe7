"""A trained network into a larger one: the same picture and the same bits at first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from narrows.errors import OptionError  # noqa: E402
from narrows.lab.coding import Features, code_latents  # noqa: E402
from narrows.lab.dead_zone import DeadZone, Quantiser  # noqa: E402
from narrows.lab.grow import fill  # noqa: E402
from narrows.lab.network import TINY, Flagship, NetworkConfig  # noqa: E402

SOURCE = Path("somewhere")
LARGER = replace(TINY, synthesis_blocks=(2, 3), analysis_blocks=(1, 2), synthesis_kernel=5)


def network(config: NetworkConfig, seed: int = 0) -> Flagship:
    """An untrained network whose residual blocks all do something."""
    torch.manual_seed(seed)
    made = Flagship(config).eval()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name.endswith("project.weight"):
                torch.nn.init.normal_(parameter, std=0.05)
    return made


def stored(config: NetworkConfig) -> dict[str, torch.Tensor]:
    return {name: parameter.detach() for name, parameter in network(config).named_parameters()}


@torch.no_grad()
def test_a_larger_network_computes_the_same_at_first() -> None:
    small, large = network(TINY), Flagship(LARGER).eval()
    fill(large, dict(small.named_parameters()), SOURCE)
    picture, quality = torch.rand(1, 128, 64, 3), torch.tensor([4])
    expected, found = small(picture, quality), large(picture, quality)
    assert torch.allclose(expected.picture, found.picture, atol=1e-5)
    assert torch.allclose(expected.latent_bits, found.latent_bits)
    assert torch.equal(expected.side_bits, found.side_bits)


@torch.no_grad()
def test_four_context_steps_begin_as_two() -> None:
    small, large = network(TINY), Flagship(replace(TINY, context_steps=4)).eval()
    for net in (small.mean_net, small.scale_net):
        for name, parameter in net.named_parameters():
            if ".step_out." in f".{name}":
                torch.nn.init.normal_(parameter, std=0.3)  # else nobody looks at the context
    fill(large, dict(small.named_parameters()), SOURCE)
    y = 4 * torch.randn(1, 8, 12, TINY.latent)
    z_hat, quality = torch.randn(1, 2, 3, TINY.hyper_latent).round(), torch.tensor([5])
    quantiser = Quantiser(curve=DeadZone(), first_coded=0)

    def quantise(residual: torch.Tensor, rows: torch.Tensor, _: torch.Tensor | None) -> torch.Tensor:
        return quantiser(residual, rows)

    two, four = (code_latents(net, y, Features.of(net, z_hat, quality), quantise) for net in (small, large))
    same = (large.order.pattern < 3).repeat(1, 4, 6).permute(1, 2, 0)
    assert torch.equal(two.symbols[:, same], four.symbols[:, same])
    assert torch.equal(two.rows[:, same], four.rows[:, same])
    assert not torch.equal(two.rows, four.rows), "the last step sees what the one before it coded"


@torch.no_grad()
def test_centroids_start_as_nothing_and_can_learn() -> None:
    plain = replace(TINY, centroids=False)
    small, large = network(plain), Flagship(TINY).eval()
    fill(large, stored(plain), SOURCE)
    picture, quality = torch.rand(2, 128, 64, 3), torch.tensor([3, 7])
    assert torch.equal(small(picture, quality).picture, large(picture, quality).picture)
    large.analysis.log_gain.knots.fill_(4)  # symbols that are not zero,
    large.scale_net.row_bias.knots.fill_(2)  # in rows that are coded
    with torch.enable_grad():
        large(picture, quality).picture.square().sum().backward()
    for head in large.mean_net.step_centroid:
        assert head.weight.grad.abs().max() > 0  # type: ignore[union-attr, operator]


@torch.no_grad()
def test_a_grown_kernel_and_a_new_block_can_learn() -> None:
    large = Flagship(LARGER)
    fill(large, stored(TINY), SOURCE)
    with torch.enable_grad():
        large(torch.rand(1, 64, 64, 3), torch.tensor([7])).picture.square().sum().backward()
    parameters = dict(large.named_parameters())
    rim = parameters["synthesis.fine.0.depthwise.weight"].grad[:, :, 0]  # type: ignore[index]
    assert rim.abs().max() > 0
    assert parameters["synthesis.coarse.2.project.weight"].grad.abs().max() > 0  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (replace(TINY, latent=16), "is .* is needed"),
        (replace(TINY, context_steps=4), "it has no mean_net.step_in.1"),
    ],
    ids=["another latent", "more context steps than twice as many"],
)
def test_what_cannot_start_as_nothing_is_refused(config: NetworkConfig, reason: str) -> None:
    with pytest.raises(OptionError, match=reason) as caught:
        fill(Flagship(config), stored(replace(TINY, context_steps=1)), SOURCE)
    assert "somewhere holds another network" in str(caught.value)


def test_a_block_without_a_place_is_left_out_with_a_warning() -> None:
    smaller = Flagship(replace(TINY, synthesis_blocks=(0, 1)))
    with pytest.warns(UserWarning, match="no place for synthesis.fine.0$"):
        fill(smaller, stored(TINY), SOURCE)
    expected = stored(TINY)["synthesis.out.weight"]
    assert torch.equal(smaller.synthesis.out.weight, expected)


def test_a_smaller_kernel_is_refused() -> None:
    with pytest.raises(OptionError, match="depthwise"):
        fill(Flagship(TINY), stored(replace(TINY, synthesis_kernel=5)), SOURCE)
