"""The hyper-latent in context: the net, its integers, its graphs, its tables, and the stage that trains it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytest.importorskip("onnx")

from narrows.entropy import SKIP_BOUND, TOTAL  # noqa: E402
from narrows.errors import OptionError  # noqa: E402
from narrows.lab.export import _graphs, load_network, tables_of  # noqa: E402
from narrows.lab.graphs import WeightStore, prove_exact, side_graph  # noqa: E402
from narrows.lab.grow import fill  # noqa: E402
from narrows.lab.network import TINY, Flagship  # noqa: E402
from narrows.lab.rate import logistic_probability  # noqa: E402
from narrows.lab.side import (  # noqa: E402
    PHASES_OF_MEAN,
    SIDE_ROWS,
    SIDE_STEP_COUNT,
    SideNet,
    side_scale,
    step_map,
)
from narrows.lab.tables import _side_rows  # noqa: E402

HYPER, QUALITIES = 6, 16


def some_net(seed: int = 0) -> SideNet:
    """A net whose context matters, with means and scales that depend on the quality."""
    torch.manual_seed(seed)
    net = SideNet(HYPER, 24, QUALITIES, 3)
    net.start(torch.randn(QUALITIES, HYPER).cumsum(0) / 4, torch.randn(QUALITIES, HYPER) / 2 - 1)
    with torch.no_grad():
        for out in net.context_out:
            torch.nn.init.normal_(out.weight, std=0.4)  # type: ignore[arg-type]
    return net


def some_values(seed: int = 1, count: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(count, 5, 4, HYPER, generator=generator)).round()


QUALITY = torch.tensor([3, 12])


def test_what_is_coded_says_the_hyper_latent() -> None:
    net, z_hat = some_net(), some_values()
    coded = net.code(z_hat, QUALITY)
    steps = step_map(5, 4)[None, :, :, None]
    values = torch.zeros_like(z_hat)
    for step in range(SIDE_STEP_COUNT):
        mean, row = net(step, values, QUALITY)
        eighths = (mean.detach() * PHASES_OF_MEAN).round()
        shift = torch.floor((eighths + PHASES_OF_MEAN // 2) / PHASES_OF_MEAN)
        rows = PHASES_OF_MEAN * row.detach().round() + eighths + PHASES_OF_MEAN // 2 - PHASES_OF_MEAN * shift
        assert torch.equal(torch.where(steps == step, rows, coded.rows), coded.rows)
        values = torch.where(steps == step, coded.symbols + shift, values)
    assert torch.equal(values + net.centre()[QUALITY][:, None, None], z_hat)
    assert coded.rows.min() >= 0 and coded.rows.max() < SIDE_ROWS


@pytest.mark.parametrize("step", range(SIDE_STEP_COUNT))
def test_a_step_sees_the_steps_before_it_alone(step: int) -> None:
    net, z_hat = some_net(), some_values()
    steps = step_map(5, 4)[None, :, :, None]
    changed = torch.where(steps >= step, some_values(2), z_hat)
    one, other = net.code(z_hat, QUALITY), net.code(changed, QUALITY)
    same = (steps <= step).expand_as(z_hat)
    assert torch.equal(one.rows[same], other.rows[same])
    if step + 1 < SIDE_STEP_COUNT:
        assert not torch.equal(one.rows[~same], other.rows[~same])


def test_bits_are_those_of_the_distributions() -> None:
    net, z_hat = some_net(), some_values()
    coded, bits = net.code(z_hat, QUALITY), net.bits(z_hat, z_hat, QUALITY)
    offset = (coded.rows % PHASES_OF_MEAN - PHASES_OF_MEAN / 2) / PHASES_OF_MEAN
    scale = side_scale(torch.floor(coded.rows / PHASES_OF_MEAN))
    expected = -torch.log2(logistic_probability(coded.symbols - offset, scale).clamp_min(2.0**-24))
    assert torch.allclose(bits, expected, atol=1e-3)


def test_the_encoder_learns_to_be_foreseen() -> None:
    net = some_net()
    z = some_values().requires_grad_(True)
    steps = step_map(5, 4)[None, :, :, None]
    (net.bits(z.detach(), z, QUALITY) * (steps == 2)).sum().backward()
    assert z.grad is not None
    assert z.grad[(steps < 2).expand_as(z)].abs().max() > 0
    assert z.grad[(steps == 2).expand_as(z)].abs().max() == 0


def test_a_network_without_a_side_net_hands_on_its_distributions() -> None:
    old = Flagship(replace(TINY, side_width=0))
    assert old.side_rate is not None
    with torch.no_grad():
        torch.nn.init.normal_(old.side_rate.mean, std=0.4)
        torch.nn.init.normal_(old.side_rate.log_scale, std=0.3)
        old.side_rate.mean[1:] = old.side_rate.mean[0]  # knots cannot follow jumps between classes
        old.side_rate.log_scale[1:] = old.side_rate.log_scale[0]
    new = Flagship(TINY)
    fill(new, dict(old.named_parameters()), Path("old"))
    z_hat = torch.randint(-2, 3, (2, 4, 5, TINY.hyper_latent)).float()
    quality = torch.tensor([1, 6])
    assert torch.allclose(old.side_bits(z_hat, z_hat, quality), new.side_bits(z_hat, z_hat, quality), rtol=0.05)


def test_the_tables_are_distributions_that_code_what_they_were_fitted_to() -> None:
    counts = np.zeros((SIDE_ROWS, 255))
    row = 19 * PHASES_OF_MEAN + 6  # scale 2^0.75, mean a quarter above the symbol
    rng = np.random.default_rng(0)
    symbols = np.round(rng.logistic(0.25, 2**0.75, 50_000)).astype(int)
    np.add.at(counts, (row, symbols + 127), 1)
    tables = _side_rows(counts)
    assert tables.radius.size == SIDE_ROWS and not tables.skipped.any()
    for each in range(SIDE_ROWS):
        frequencies = tables.frequencies(each)
        assert frequencies.sum() == TOTAL and frequencies[tables.radius[each]] < SKIP_BOUND
    share = counts[row] / counts[row].sum()
    entropy = -(share[share > 0] * np.log2(share[share > 0])).sum()
    bits = tables.bits(np.full(symbols.size, row, np.uint8), symbols.astype(np.int32)) / symbols.size
    assert entropy <= bits < entropy + 0.01
    empty = (row + 8) // PHASES_OF_MEAN * PHASES_OF_MEAN + 4  # nothing was seen here: the row's own shape
    shaped = -np.log2(tables.frequencies(empty)[tables.radius[empty]] / TOTAL)
    wanted = logistic_probability(torch.zeros(1), side_scale(torch.tensor(float(empty // PHASES_OF_MEAN))))
    assert shaped == pytest.approx(-float(torch.log2(wanted)), abs=0.01)


def test_the_graphs_give_the_nets_integers(tmp_path: Path) -> None:
    """On a size that is odd, for values as large as they may be, in every step."""
    onnxruntime = pytest.importorskip("onnxruntime")
    from safetensors.numpy import save_file

    from narrows.lab.export import tensor_offsets

    net, store = some_net(), WeightStore()
    graphs = [side_graph(net, store, step) for step in range(SIDE_STEP_COUNT)]
    save_file(store.tensors, tmp_path / "weights.safetensors")
    offsets = tensor_offsets(tmp_path / "weights.safetensors")
    steps = step_map(5, 4)[None, :, :, None]
    for step, graph in enumerate(graphs):
        (tmp_path / f"side.{step}.onnx").write_bytes(graph.model(offsets).SerializeToString())
        session = onnxruntime.InferenceSession(tmp_path / f"side.{step}.onnx", providers=["CPUExecutionProvider"])
        for seed, spread in ((3, 1), (4, 60)):
            z_hat = (some_values(seed, 1) * spread).clamp(-63, 63)
            quality = torch.tensor([7 + seed])
            values = (z_hat - net.centre()[quality][:, None, None]) * (steps < step)
            feeds = {"values": values.permute(0, 3, 1, 2).int().numpy(), "quality": quality.numpy()}
            rows, shift = session.run(None, feeds)
            coded = net.code(z_hat, quality)
            here = (steps == step).expand_as(z_hat).permute(0, 3, 1, 2).numpy()
            whole = (z_hat - net.centre()[quality][:, None, None]).permute(0, 3, 1, 2).numpy()
            assert np.array_equal(rows[here], coded.rows.permute(0, 3, 1, 2).numpy()[here])
            assert np.array_equal((whole - shift)[here], coded.symbols.permute(0, 3, 1, 2).numpy()[here])


def test_the_proof_sees_the_side_net() -> None:
    network = Flagship(TINY)
    assert network.side_net is not None
    before = prove_exact(network)
    with torch.no_grad():
        network.side_net.base[2].knots.fill_(2.0**14)  # type: ignore[union-attr, operator]
    with pytest.raises(ValueError, match="integer nets"):
        prove_exact(network)
    assert before < 2**24


def test_only_a_network_with_a_side_net_trains_it() -> None:
    with pytest.raises(OptionError, match="side_width"):
        Flagship(replace(TINY, side_width=0)).learn_side()
    network = Flagship(TINY)
    network.learn_side()
    learns = {name.split(".")[0] for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert learns == {"side_net"}


def test_the_side_stage_learns_the_context() -> None:
    """Where neighbours are alike, two hundred updates are enough to code them with far fewer bits."""
    torch.manual_seed(0)
    net = SideNet(HYPER, 24, QUALITIES, 3)
    quality = torch.tensor([5]).expand(16)

    def draw(seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        coarse = 6 * torch.randn(16, HYPER, 3, 3, generator=generator)
        smooth = torch.nn.functional.interpolate(coarse, (10, 10), mode="bilinear", align_corners=True)
        return smooth.permute(0, 2, 3, 1).round()

    optimizer = torch.optim.AdamW(net.parameters(), 5e-3)
    for seed in range(200):
        z_hat = draw(seed)
        optimizer.zero_grad()
        net.bits(z_hat, z_hat, quality).mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    bits, steps = net.bits(draw(1000), draw(1000), quality), step_map(10, 10)
    alone, between = bits[:, steps == 0].mean(), bits[:, steps == 2].mean()
    assert between < 0.7 * alone


def test_old_profiles_are_read_as_before() -> None:
    golden = Path(__file__).parent / "golden" / "profile"
    network, tables = load_network(golden), tables_of(golden)
    assert network.side_net is None and isinstance(tables.side, np.ndarray)
    _, graphs = _graphs(network, tables)
    assert not any(name.startswith("side.") for name in graphs)
