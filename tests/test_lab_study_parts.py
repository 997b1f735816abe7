"""The parts between a study's network and its files: steps, learned quantiser, tables, folding, reach."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("lightning_fabric")

from numpy.typing import NDArray  # noqa: E402
from study_networks import cell_network, map_network  # noqa: E402
from torch import Tensor, fx, nn  # noqa: E402

from narrows.entropy import SKIP_BOUND  # noqa: E402
from narrows.errors import OptionError  # noqa: E402
from narrows.lab.nets.base import Geometry, StudyNetwork  # noqa: E402
from narrows.lab.study.quantiser import LatentQuantiser, Steps, live_channels, uniform_sweep  # noqa: E402
from narrows.lab.study.reach import analysis_reach, synthesis_reach  # noqa: E402
from narrows.lab.study.settle import settled  # noqa: E402
from narrows.lab.study.tables import TOTAL, Histograms, StudyTables, fit_tables  # noqa: E402

# --- steps


def test_a_sweep_covers_each_channels_range_with_its_levels() -> None:
    rng = np.random.default_rng(0)
    y = (rng.normal(size=(500, 4)) * [1, 10, 0, 0.1] + [0, 5, 3, -1]).astype(np.float32)
    steps = uniform_sweep(y, (8, 2, 4))
    assert steps.qualities == 3 and steps.nominal_lambdas and steps.lambdas == (4.0**-6, 4.0**-4, 1.0)
    for quality, bits in enumerate((2, 4, 8)):
        symbols = steps.symbols(y[:, :, None, None], quality)
        assert (symbols.min((0, 2, 3)) == 0).all()
        assert symbols.max((0, 2, 3)).tolist() == [2**bits - 1, 2**bits - 1, 0, 2**bits - 1]
        error = np.abs(steps.values(symbols, quality)[:, :, 0, 0] - y)
        assert (error.max(0) <= 0.501 * np.ptp(y, axis=0) / (2**bits - 1) + 1e-5).all()


def test_a_sweep_keeps_a_relus_zero_and_does_not_clip() -> None:
    y = np.maximum(np.random.default_rng(0).normal(size=(100, 2)), 0).astype(np.float32)
    steps = uniform_sweep(y, (3,))
    far = np.array([[[[0.0]], [[40.0]]]], np.float32)
    values = steps.values(steps.symbols(far, 0), 0).flatten()
    assert values[0] == 0 and abs(values[1] - 40) < 0.5


@pytest.mark.parametrize("bits", [(), (0, 4), (4, 4), (13,)])
def test_a_sweep_of_impossible_bits_is_refused(bits: tuple[int, ...]) -> None:
    with pytest.raises(OptionError, match="bits"):
        uniform_sweep(np.ones((4, 2)), bits)


def test_steps_that_cannot_be_used_are_refused() -> None:
    one = np.ones((2, 3), np.float32)
    with pytest.raises(OptionError, match="positive"):
        Steps(gain=0 * one, mean=one, lambdas=(1.0, 2.0))
    with pytest.raises(OptionError, match="rising"):
        Steps(gain=one, mean=one, lambdas=(2.0, 1.0))
    with pytest.raises(OptionError, match="must both be"):
        Steps(gain=one, mean=one[:, :2], lambdas=(1.0, 2.0))
    with pytest.raises(OptionError, match="finite numbers"):
        uniform_sweep(np.full((3, 2), np.nan))


def test_live_channels_are_those_that_move() -> None:
    symbols = torch.zeros(5, 3, 2, 2)
    symbols[:, 1] = 7
    symbols[3, 2, 1, 0] = -1
    assert live_channels(symbols).tolist() == [False, False, True]


# --- the learned quantiser


def latents(count: int = 256) -> Tensor:
    torch.manual_seed(0)
    spread = torch.tensor([0.01, 1.0, 30.0])[:, None, None]
    return torch.randn(count, 3, 2, 2) * spread + torch.tensor([0.0, 4.0, -50.0])[:, None, None]


def test_the_rate_of_rounded_latents_is_near_their_entropy() -> None:
    y = latents(4000)
    quantiser = LatentQuantiser(3, 4)
    quantiser.start(y[:500], coarsest=1, finest=8)
    quantiser.eval()
    for quality in range(4):
        with torch.no_grad():
            result = quantiser(y, torch.full((len(y),), quality))
        levels = 8 ** (quality / 3)  # steps a standard deviation
        entropy = 12 * (0.5 * np.log2(2 * np.pi * np.e) + np.log2(levels))
        assert float(result.bits.mean()) == pytest.approx(entropy, rel=0.12)
        error = ((result.y_hat - y) / torch.tensor([0.3, 1.0, 30.0])[:, None, None]).abs().max()
        assert float(error) <= 0.52 / levels


def test_training_the_prior_lowers_the_rate_and_moves_the_gains_where_the_loss_says() -> None:
    y = torch.distributions.Laplace(0.0, 1.0).sample((512, 3, 1, 1))
    quantiser = LatentQuantiser(3, 2)
    quantiser.start(y)
    optimizer = torch.optim.Adam(quantiser.parameters(), lr=0.02)
    quality = torch.arange(512) % 2
    weight = torch.tensor([2.0, 80.0])
    losses = []
    for _ in range(150):
        result = quantiser(y, quality)
        error = (result.y_hat - y).square().sum((1, 2, 3))
        loss = (result.bits + weight[quality] * error).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-20:]) < np.mean(losses[:5]) - 0.3
    steps = quantiser.steps((2.0, 80.0))
    assert (steps.gain[1] > 2 * steps.gain[0]).all()
    # The best step at high rates: bits + w x step^2 / 12 is least at step^2 = 6 / (w ln 2).
    assert steps.gain[1] == pytest.approx(np.full(3, np.sqrt(80 * np.log(2) / 6)), rel=0.15)
    assert np.abs(steps.mean).max() < 0.5 * steps.gain.max() and not steps.nominal_lambdas


@pytest.mark.parametrize("noise", ["additive", "straight_through"])
def test_gradients_reach_latents_gains_and_prior(noise: str) -> None:
    quantiser = LatentQuantiser(3, 2, noise=noise)  # type: ignore[arg-type]
    y = latents(8).requires_grad_()
    quantiser.start(y)
    result = quantiser(y, torch.tensor([0, 1] * 4))
    ((result.y_hat - y.detach()).square().mean() + result.bits.mean()).backward()
    for tensor in (y, *quantiser.parameters()):
        assert tensor.grad is not None and bool(torch.isfinite(tensor.grad).all()) and bool(tensor.grad.any())
    if noise == "straight_through":
        quantiser.eval()
        rounded = quantiser(y, torch.tensor([0, 1] * 4)).y_hat
        assert torch.allclose(rounded, result.y_hat, rtol=1e-4, atol=1e-4)


def test_steps_do_what_the_module_does() -> None:
    y = latents(16)
    quantiser = LatentQuantiser(3, 3).eval()
    quantiser.start(y)
    steps = quantiser.steps((0.1, 0.2, 0.3))
    for quality in range(3):
        expected = quantiser(y, torch.full((16,), quality)).y_hat.detach().numpy()
        values = steps.values(steps.symbols(y.numpy(), quality), quality)
        assert np.allclose(values, expected, rtol=1e-4, atol=1e-4)


def test_impossible_quantisers_are_refused() -> None:
    with pytest.raises(OptionError, match="latent 0"):
        LatentQuantiser(0, 1)
    with pytest.raises(OptionError, match="noise is one of"):
        LatentQuantiser(1, 1, noise="none")  # type: ignore[arg-type]


# --- tables


def counted(symbols: NDArray[np.int32]) -> Histograms:
    """Histograms of symbols (qualities, B, m, h, w)."""
    histograms = Histograms(symbols.shape[0], symbols.shape[2])
    for quality, of_quality in enumerate(symbols):
        histograms.add(of_quality[::2], quality, 0)
        histograms.add(of_quality[1::2], quality, 1)
    return histograms


def check_format(tables: StudyTables) -> None:
    tables.latent_tables()  # sums, minima, sizes
    skipped = [
        int(table[radius]) >= SKIP_BOUND for table, radius in zip(tables.frequencies, tables.radius, strict=True)
    ]
    assert (np.array(skipped)[tables.rows] == ~tables.coded).all()


@pytest.mark.parametrize("count", [40, 400, 40_000])
def test_tables_cost_new_symbols_little_more_than_the_truth(count: int) -> None:
    rng = np.random.default_rng(0)

    def draw(n: int) -> NDArray[np.int32]:
        return np.rint(rng.normal(scale=20, size=(1, n, 1, 1, 1))).astype(np.int32)

    centred, shift = counted(draw(count)).centred()
    tables = fit_tables(centred)
    check_format(tables)
    new = draw(20_000)[0] - shift[0, 0]
    truth = 0.5 * np.log2(2 * np.pi * np.e * 20**2 + 1e-9)
    assert tables.bits(new, 0) / 20_000 < truth + {40: 0.35, 400: 0.08, 40_000: 0.02}[count]


def test_spikes_stay_spikes() -> None:
    rng = np.random.default_rng(0)
    symbols = np.where(rng.random((1, 4000, 1, 1, 1)) < 0.7, 0, rng.integers(1, 200, (1, 4000, 1, 1, 1)))
    centred, _ = counted(symbols.astype(np.int32)).centred()
    tables = fit_tables(centred)
    assert tables.frequencies[0][tables.radius[0]] / TOTAL == pytest.approx(0.7, abs=0.03)


def test_centring_moves_the_commonest_symbol_to_zero_and_loses_none() -> None:
    rng = np.random.default_rng(0)
    symbols = rng.poisson(200, (2, 30, 3, 2, 2)).astype(np.int32) * np.array([1, -1, 0])[:, None, None]
    histograms = counted(symbols.astype(np.int32))
    centred, shift = histograms.centred()
    assert centred.counts.sum() == symbols.size and shift[0, 2] == 0 and shift[0, 0] > 100 and shift[0, 1] < -100
    total = centred.counts.sum(0)
    assert (total.argmax(2) == centred.window).all()
    for quality, channel in np.ndindex(2, 3):
        values = symbols[quality, :, channel].flatten() - shift[quality, channel]
        assert (np.bincount(values + centred.window, minlength=total.shape[2]) == total[quality, channel]).all()


def test_symbols_far_outside_are_escapes() -> None:
    symbols = np.zeros((1, 100, 1, 1, 1), np.int32)
    symbols[0, 7:40] = 3
    symbols[0, 50] = 30_000
    tables = fit_tables(counted(symbols).centred()[0])
    check_format(tables)
    assert tables.radius[0] < 100
    assert tables.bits(symbols[0], 0) < 100 * 1.2 + 16 + 8


def test_a_channel_is_skipped_only_as_far_as_it_was_asked_for() -> None:
    symbols = np.zeros((1, 1000, 3, 1, 1), np.int32)
    symbols[0, 5, 1], symbols[0, ::2, 2] = 1, 4
    centred, _ = counted(symbols).centred()
    default, lenient = fit_tables(centred), fit_tables(centred, skip_share=0.005)
    for tables in (default, lenient):
        check_format(tables)
    assert default.coded.tolist() == [[False, True, True]]
    assert lenient.coded.tolist() == [[False, False, True]]
    rare = np.full(1000, default.rows[0, 1], np.uint8)
    assert default.latent_tables().bits(rare, symbols[0, :, 1, 0, 0]) < 1000 * 0.0114 + 12
    with pytest.raises(OptionError, match="skip_share"):
        fit_tables(centred, skip_share=0.1)
    with pytest.raises(OptionError, match="without a symbol"):
        fit_tables(Histograms(1, 2))


def test_nothing_but_dead_channels_is_a_profile_too() -> None:
    tables = fit_tables(counted(np.zeros((2, 10, 3, 1, 1), np.int32)).centred()[0])
    check_format(tables)
    assert not tables.coded.any() and tables.radius.tolist() == [0]


def test_pairs_that_are_too_many_share_tables_at_little_cost() -> None:
    rng = np.random.default_rng(0)
    spread = np.exp(rng.uniform(-1.5, 3, (2, 1, 300, 1, 1)))
    symbols = np.rint(rng.laplace(scale=1, size=(2, 150, 300, 1, 1)) * spread).astype(np.int32)
    symbols[:, :, :5] = 0
    new = np.rint(rng.laplace(scale=1, size=(2, 150, 300, 1, 1)) * spread).astype(np.int32)
    centred, shift = counted(symbols).centred()
    tables = fit_tables(centred)
    check_format(tables)
    assert len(tables.radius) == 256 and int(tables.coded.sum()) == 590
    new -= shift[:, None, :, None, None]
    new[:, :, :5] = 0
    pairs = [(0, 10), (0, 200), (1, 77), (1, 250)]
    shared = apart = 0.0
    for q, c in pairs:
        values = new[q, :, c, 0, 0]
        shared += tables.latent_tables().bits(np.full(150, tables.rows[q, c], np.uint8), values)
        own = fit_tables(counted(symbols[q : q + 1, :, c : c + 1]).centred()[0])
        apart += own.latent_tables().bits(np.zeros(150, np.uint8), values)
    assert shared < 1.02 * apart


# --- folding


def test_a_settled_network_says_the_same_without_batch_norm() -> None:
    for network in (map_network(), cell_network()):
        geometry = network.geometry
        side = geometry.cell or 3 * geometry.stride
        x = torch.rand(2, geometry.channels, side, side)
        plain = settled(network)
        assert not any(isinstance(layer, nn.BatchNorm2d) for layer in plain.modules())
        assert any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())
        with torch.no_grad():
            assert torch.allclose(network.encode(x), plain.encode(x), atol=1e-4)
            assert torch.allclose(network(x), plain(x), atol=1e-5)


def test_half_precision_rounds_weights_and_leaves_biases() -> None:
    whole, half = settled(map_network()), settled(map_network(), "float16")
    for (name, one), two in zip(whole.named_parameters(), half.parameters(), strict=True):
        if one.ndim > 1:
            assert torch.equal(two, two.half().float()), name
            assert not torch.equal(one, two), name
        else:
            assert torch.equal(one, two)


def test_a_shared_layer_keeps_its_norm_to_itself() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.norm = nn.Conv2d(1, 1, 3, padding=1), nn.BatchNorm2d(1)

        def forward(self, x: Tensor) -> Tensor:
            first: Tensor = self.layer(x)
            second: Tensor = self.norm(self.layer(first))
            return second

    encoder = Twice().eval()
    nn.init.constant_(encoder.norm.running_mean, 0.5)  # type: ignore[arg-type]
    network = StudyNetwork(Geometry(channels=1, latent=1, stride=1), encoder, nn.Conv2d(1, 1, 1)).eval()
    x = torch.rand(1, 1, 5, 5)
    with torch.no_grad():
        assert torch.allclose(network(x), settled(network)(x), atol=1e-6)


def test_networks_that_cannot_settle_are_refused() -> None:
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    geometry = Geometry(channels=1, latent=1, stride=1)
    with pytest.raises(OptionError, match="cannot be traced"):
        settled(StudyNetwork(geometry, Branching(), nn.Identity()))
    large = nn.Conv2d(1, 1, 1)
    with torch.no_grad():
        large.weight.fill_(1e6)
    with pytest.raises(OptionError, match="not finite in float16"):
        settled(StudyNetwork(geometry, large, nn.Identity()), "float16")
    with pytest.raises(OptionError, match="precision is one of"):
        settled(StudyNetwork(geometry, nn.Identity(), nn.Identity()), "int8")  # type: ignore[arg-type]
    forgetful = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, track_running_stats=False))
    with pytest.raises(OptionError, match="running statistics"):
        settled(StudyNetwork(geometry, forgetful, nn.Identity()))


# --- reach


def random_maps() -> list[StudyNetwork]:
    """Maps whose reach is limited by one thing each, and one with all of them."""

    def built(stride: int, latent: int, encoder: list[nn.Module], decoder: list[nn.Module]) -> StudyNetwork:
        geometry = Geometry(channels=1, latent=latent, stride=stride)
        return StudyNetwork(geometry, nn.Sequential(*encoder), nn.Sequential(*decoder))

    up = nn.Upsample(scale_factor=2)
    torch.manual_seed(3)

    def conv(kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> nn.Conv2d:
        return nn.Conv2d(1, 1, kernel, stride, padding, dilation)

    def transposed(kernel: int, more: int) -> nn.ConvTranspose2d:
        return nn.ConvTranspose2d(1, 1, kernel, stride=2, padding=1, output_padding=more)

    bilinear = nn.Upsample(scale_factor=2, mode="bilinear")
    return [
        map_network(1),
        built(2, 1, [conv(3, 2, 1)], [transposed(4, 0)]),
        built(2, 1, [conv(7, 1, 3), conv(2, 2)], [transposed(3, 1), conv(5, 1, 2)]),
        built(4, 1, [conv(5, 4, 1)], [bilinear, bilinear]),
        built(4, 1, [conv(3, 1, 2, 2), conv(2, 2), conv(3, 2, 1)], [conv(3, 1, 1), up, conv(3, 1, 1), up]),
        built(4, 16, [nn.PixelUnshuffle(4)], [nn.PixelShuffle(4), conv(5, 1, 2)]),
    ]


@pytest.mark.parametrize("index", range(6))
def test_the_reach_is_that_of_a_changed_pixel(index: int) -> None:
    """One position far from the edges: nothing beyond the reach moves it, something at the reach does."""
    network = settled(random_maps()[index]).double()
    stride, middle, count = network.geometry.stride, 8, 17
    assert isinstance(network.encoder, fx.GraphModule) and isinstance(network.decoder, fx.GraphModule)
    for layer in network.modules():  # no saturation and no maximum: every dependence shows
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            weight = layer.weight.data.abs()
            layer.weight.data = weight / weight.sum((1, 2, 3), keepdim=True)
    found = 0
    for seed in range(6):  # a maximum hides what loses: several pictures
        torch.manual_seed(seed)
        x = torch.rand(1, 1, count * stride, count * stride, dtype=torch.float64, requires_grad=True)
        network.encode(x)[0, :, middle, middle].sum().backward()
        assert x.grad is not None
        found = max(found, spread(x.grad[0, 0], middle * stride, (middle + 1) * stride - 1))
    assert found == analysis_reach(network.encoder, stride)
    y = torch.rand(1, network.geometry.latent, count, count, dtype=torch.float64, requires_grad=True)
    core = slice(middle * stride, (middle + 1) * stride)
    network.decode(y)[0, :, core, core].sum().backward()
    assert y.grad is not None
    assert stride * spread(y.grad[0].abs().sum(0), middle, middle) == synthesis_reach(network.decoder, stride)


def spread(gradient: Tensor, first: int, last: int) -> int:
    """How far outside first..last the gradient (H, W) is not zero."""
    rows, columns = torch.nonzero(gradient, as_tuple=True)
    low, high = int(min(rows.min(), columns.min())), int(max(rows.max(), columns.max()))
    return max(first - low, high - last, 0)
