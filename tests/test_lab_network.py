"""The network: its linear start, its shapes, its integer part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from narrows.lab.coding import code, rows_of_step  # noqa: E402
from narrows.lab.context import ContextOrder  # noqa: E402
from narrows.lab.dead_zone import DeadZone, Quantiser  # noqa: E402
from narrows.lab.graphs import prove_exact  # noqa: E402
from narrows.lab.integer import IntegerLinear, bounded, integer_activation  # noqa: E402
from narrows.lab.network import (  # noqa: E402
    FLAGSHIP_M,
    FLAGSHIP_S,
    TINY,
    Flagship,
    NetworkConfig,
    kilo_macs_per_pixel,
    parameter_count,
    shuffle,
    unshuffle,
)
from narrows.lab.optimizer import Muon, Soap, _turn_basis, orthogonalised, rate_factor  # noqa: E402
from narrows.lab.rate import (  # noqa: E402
    ROWS,
    SKIPPED_ROWS,
    gaussian_laplace_probability,
    row_scale,
    stratified_qualities,
)
from narrows.lab.tables import TOTAL, Tables  # noqa: E402

ROOT = Path(__file__).parents[1]


def smooth_pictures(count: int, side: int) -> torch.Tensor:
    """Pictures with the spectrum of photographs: noise, blurred at several scales."""
    generator = torch.Generator().manual_seed(1)
    total = torch.zeros(count, 3, side, side)
    for level in (4, 8, 16, 32):
        noise = torch.rand(count, 3, side // level, side // level, generator=generator)
        total += torch.nn.functional.interpolate(noise, (side, side), mode="bilinear") * level
    return (total / 60).permute(0, 2, 3, 1)


@pytest.fixture(scope="module")
def network() -> Flagship:
    torch.manual_seed(0)
    built = Flagship(TINY)
    built.linear_start(smooth_pictures(16, 128))
    return built.eval()


def test_shuffle_undoes_unshuffle() -> None:
    x = torch.rand(2, 16, 32, 3)
    assert torch.equal(shuffle(unshuffle(x, 8), 8), x)


def test_unshuffle_has_the_channel_order_of_onnx() -> None:
    x = torch.arange(2 * 2 * 3.0).reshape(1, 2, 2, 3)
    assert unshuffle(x, 2).flatten().tolist() == x.flatten().tolist()  # (row, column, channel)


def test_the_linear_start_is_a_working_transform_codec(network: Flagship) -> None:
    x = smooth_pictures(2, 128)
    with torch.no_grad():
        coded = network(x, torch.tensor([TINY.qualities - 1] * 2))
    assert float((coded.picture - x).square().mean()) < 1e-3
    assert float(coded.latent_bits.mean()) / 128**2 < 3


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_every_symbol_is_coded_in_exactly_one_step_and_every_step_sees_every_cell(steps: int) -> None:
    pattern = ContextOrder(8, steps).pattern
    assert sorted(set(pattern.flatten().tolist())) == list(range(steps))
    for step in range(steps):
        assert bool((pattern == step).any(0).all())


def test_there_is_no_pattern_for_three_steps() -> None:
    with pytest.raises(ValueError, match="1, 2 or 4"):
        ContextOrder(9, 3)
    with pytest.raises(ValueError, match="as many groups"):
        ContextOrder(6, 4)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_parts_are_what_the_pattern_says(steps: int) -> None:
    order = ContextOrder(8, steps)
    x = torch.rand(2, 4, 6, 8)
    total = torch.zeros_like(x)
    for step in range(steps):
        mask = (order.pattern == step).repeat(1, 2, 3).permute(1, 2, 0)
        part = order.take(x, step)
        assert part.shape == (2, 2, 3, 4, 8 // steps)
        assert torch.equal(order.spread(part, step), x * mask)
        total += order.spread(part, step)
        weight, bias = torch.rand(8, 8), torch.rand(8)
        whole = torch.nn.functional.linear(x, weight, bias)
        assert torch.allclose(order.spread(order.linear(x, weight, bias, step), step), whole * mask)
    assert torch.equal(total, x)


def test_the_first_two_of_four_steps_are_the_first_of_two() -> None:
    assert torch.equal(ContextOrder(8, 4).pattern // 2, ContextOrder(8, 2).pattern)


def test_the_scale_net_computes_whole_sixteenths(network: Flagship) -> None:
    z = torch.randint(-63, 64, (1, 2, 3, TINY.hyper_latent)).float()
    with torch.no_grad():
        features = network.scale_net.features(z) * 16
    assert torch.equal(features, features.round())
    assert 0 <= float(features.min()) and float(features.max()) <= 127


def test_rows_of_a_step_depend_on_earlier_steps_only(network: Flagship) -> None:
    x, q = smooth_pictures(1, 128), torch.tensor([5])
    quantiser = Quantiser(curve=DeadZone(), first_coded=SKIPPED_ROWS)
    coded = code(network, x, q, quantiser)
    height, width = coded.rows.shape[1:3]
    rounds = network.order.pattern.repeat(1, height // 2, width // 2).permute(1, 2, 0)
    first = rows_of_step(network, 0, coded.z_hat, torch.zeros_like(coded.symbols), q)
    second = rows_of_step(network, 1, coded.z_hat, coded.symbols * (rounds == 0), q)
    assert torch.equal(first + second, coded.rows)
    assert float(coded.symbols.abs().sum()) > 0


def test_the_proof_of_exactness_gives_a_bound_and_refuses_a_network_past_it(network: Flagship) -> None:
    assert 0 < prove_exact(network) < 2**24
    broken = Flagship(TINY)
    with torch.no_grad():
        broken.scale_net.up.bias.fill_(2.0**15)
    with pytest.raises(ValueError, match="2\\^24"):
        prove_exact(broken)


def test_the_proof_of_exactness_includes_the_first_step_of_the_side_net() -> None:
    broken = Flagship(TINY)
    with torch.no_grad():
        broken.side_net.base[0].knots[:, TINY.hyper_latent :].fill_(2.0**15)  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="2\\^24"):
        prove_exact(broken)


def test_a_unit_beyond_its_bound_can_come_back() -> None:
    x = torch.tensor([-1.0, 0.5, 2.0], requires_grad=True)
    bounded(x, 0, 1).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [0, 1, 1]  # descent lowers all: -1 would go further out


def test_integer_layers_pass_a_gradient() -> None:
    layer = IntegerLinear(4, 3)
    with torch.no_grad():
        layer.weight.abs_()  # sums above zero: below, the activation has none
    integer_activation(layer(torch.ones(2, 4))).sum().backward()
    assert layer.weight.grad is not None and float(layer.weight.grad.abs().sum()) > 0


def test_probabilities_of_a_row_sum_to_one() -> None:
    values = torch.arange(-3000, 3001, dtype=torch.float64)
    for row in (0, 20, 40, ROWS - 1):
        for weight in (0.0, 0.4, 1.0):
            mass = gaussian_laplace_probability(values, row_scale(torch.tensor(float(row))), torch.tensor(weight))
            assert float(mass.sum()) == pytest.approx(1, abs=1e-5)


def test_only_rows_past_the_skip_bound_are_skipped() -> None:
    zero = gaussian_laplace_probability(torch.zeros(ROWS), row_scale(torch.arange(ROWS)), torch.zeros(()))
    assert ((zero >= 1 - 2**-7) == (torch.arange(ROWS) < SKIPPED_ROWS)).all()


def test_muon_steps_have_singular_values_near_one() -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalised(torch.randn(2, 24, 60)))
    assert 0.3 < float(values.min()) and float(values.max()) < 2


@pytest.mark.parametrize("optimizer", [Muon, Soap])
def test_the_optimizers_of_matrices_lower_a_quadratic(optimizer: type[Muon] | type[Soap]) -> None:
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(8, 8))
    steps = optimizer([weight], lr=0.1)
    before = float(weight.detach().square().sum())
    for _ in range(20):
        steps.zero_grad()
        weight.square().sum().backward()
        steps.step()
    assert float(weight.detach().square().sum()) < before / 3


@pytest.mark.parametrize("shape", [(6, 20), (20, 6)])
def test_soap_steps_turn_with_the_shorter_side(shape: tuple[int, int]) -> None:
    """Where every gradient is turned, so is every step: Adam alone, which sees single numbers, has no such symmetry."""
    torch.manual_seed(0)
    turn = torch.linalg.qr(torch.randn(6, 6))[0]
    plain, turned = (torch.nn.Parameter(torch.zeros(shape)) for _ in range(2))
    optimizer, other = Soap([plain], lr=0.1, every=5), Soap([turned], lr=0.1, every=5)
    unequal = torch.linspace(0.2, 3, 6)
    for _ in range(23):
        gradient = unequal[:, None] * torch.randn(6, 20)
        plain.grad = gradient if shape[0] == 6 else gradient.T
        turned.grad = turn @ gradient if shape[0] == 6 else (turn @ gradient).T
        optimizer.step()
        other.step()
    expected = turn @ plain if shape[0] == 6 else plain @ turn.T
    assert float(plain.detach().abs().max()) > 0.1
    assert torch.allclose(turned, expected, atol=1e-3)


def test_soap_finds_the_basis_that_gradients_share() -> None:
    torch.manual_seed(0)
    shared = torch.linalg.qr(torch.randn(6, 6))[0]
    weight = torch.nn.Parameter(torch.zeros(6, 40))
    optimizer = Soap([weight], lr=0.1)
    for _ in range(101):
        weight.grad = shared @ (torch.tensor([8.0, 4.0, 2.0, 1.0, 0.5, 0.25])[:, None] * torch.randn(6, 40))
        optimizer.step()
    basis = optimizer.state[weight]["basis"]
    assert torch.allclose(basis.T @ basis, torch.eye(6), atol=1e-5)
    assert float((basis.T @ shared).abs().diagonal().min()) > 0.98  # in the order of their size, of either sign


def test_the_mean_gradient_is_the_same_in_a_new_basis() -> None:
    torch.manual_seed(0)
    spread = torch.randn(6, 40)
    state = {"gram": spread @ spread.T, "basis": torch.linalg.qr(torch.randn(6, 6))[0], "first": torch.randn(6, 20),
             "second": torch.rand(6, 20)}  # fmt: skip
    before = state["basis"] @ state["first"]
    _turn_basis(state)
    assert torch.allclose(state["basis"] @ state["first"], before, atol=1e-5)
    assert float(before.sub(state["first"]).abs().max()) > 0.1


def test_the_rate_warms_up_stays_and_falls() -> None:
    assert rate_factor(0.0, 0) < 0.1
    assert rate_factor(0.4, 1000) == 1
    assert rate_factor(0.75, 1000) == pytest.approx(0.505)
    assert rate_factor(1.0, 1000) == pytest.approx(0.01)


def test_qualities_of_a_batch_are_spread() -> None:
    drawn = stratified_qualities(8, 64)
    assert [int(q) // 8 for q in drawn] == list(range(8))


def test_lambdas_and_knots_cover_the_range() -> None:
    lambdas = FLAGSHIP_S.lambdas().numpy()
    assert np.all(np.diff(lambdas) > 0) and lambdas[0] == pytest.approx(FLAGSHIP_S.lambda_min)
    table = Flagship(TINY).analysis.log_gain
    with torch.no_grad():
        table.knots.copy_(torch.arange(3.0)[:, None].expand(3, TINY.latent))
    assert table.table()[:, 0].tolist() == pytest.approx(np.linspace(0, 2, TINY.qualities).tolist())


@pytest.mark.parametrize(("recipe", "config"), [("flagship-s", FLAGSHIP_S), ("flagship-m", FLAGSHIP_M), ("tiny", TINY)])
def test_operations_and_parameters_are_what_is_said_of_the_recipes(recipe: str, config: NetworkConfig) -> None:
    encode, decode = kilo_macs_per_pixel(config)
    millions = parameter_count(Flagship(config)) / 1e6
    text = (ROOT / "docs" / "training.md").read_text()
    assert f"| `{recipe}` | {encode:.1f} / {decode:.1f} | {millions:.{2 if millions < 1 else 1}f} M |" in text


def test_a_dead_zone_moves_thresholds_by_a_parabola_of_the_row_and_no_further_than_its_limit() -> None:
    quantiser = Quantiser(curve=DeadZone(slope=0.02, last_row=36), first_coded=4, dead_zone=1.0)

    def threshold(row: float) -> float:
        residual = torch.arange(0, 1, 1 / 1024)
        return float(residual[quantiser(residual, torch.full_like(residual, row)).bool()][0])

    for row in (6.0, 16.0, 30.0):
        assert threshold(row) == pytest.approx(0.5 + (0.02 * (36 - row)) ** 2, abs=1 / 1024)
    assert threshold(36.0) == threshold(60.0) == 0.5
    assert threshold(4.0) == pytest.approx(0.5 + 0.4096, abs=1 / 1024)
    assert quantiser.curve.shift(torch.tensor([36 - 0.45**0.5 / 0.02, -1.0])).tolist() == pytest.approx([0.45, 0.45])
    half = Quantiser(curve=quantiser.curve, first_coded=4, dead_zone=0.5)
    assert half(torch.tensor([0.70, 0.71]), torch.full((2,), 4.0)).tolist() == [0, 1]
    assert quantiser(torch.tensor([-60.0, -0.6, 0.6, 1.4]), torch.full((4,), 40.0)).tolist() == [-60, -1, 1, 1]
    assert quantiser(torch.tensor([60.0, 140.0]), torch.full((2,), 3.0)).tolist() == [0, 0]


def test_the_dead_zone_follows_what_zeros_save_in_the_tables_whatever_rows_of_large_scale_say() -> None:
    """A table of scale 60 saw few symbols: what it says of 0 and 1 is noise, and once moved a line fitted to all."""
    frequencies = []
    for row in range(ROWS):
        saving = 16 * (0.03 * max(28 - row, 0)) ** 2 if row < 40 else 3.0 * (-1) ** row
        zero = 1e6
        one = zero / 2**saving
        frequencies.append(np.array([1, one, zero, one, 1, 1]).round().astype(np.uint32))
    frequencies[0] = np.array([1, 1, TOTAL - 5, 1, 1, 1], np.uint32)  # skipped
    tables = Tables(radius=np.full(ROWS, 2, np.int32), frequencies=tuple(frequencies), side=np.zeros((1, 1, 1)))
    assert tables.first_coded == 1
    assert tables.dead_zone.slope == pytest.approx(0.03, rel=0.01)
    assert tables.dead_zone.last_row == pytest.approx(28, rel=0.01)


def test_tables_without_a_dear_one_have_no_dead_zone() -> None:
    flat = tuple(np.full(6, 1000, np.uint32) for _ in range(ROWS))
    tables = Tables(radius=np.full(ROWS, 2, np.int32), frequencies=flat, side=np.zeros((1, 1, 1)))
    assert tables.dead_zone == DeadZone()
