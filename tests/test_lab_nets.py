"""The networks of the five studies: their counts, shapes, switches, and what the variational ones promise."""

from __future__ import annotations

import doctest
import math
import operator
import re
from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import fx, nn  # noqa: E402

from narrows.errors import OptionError  # noqa: E402
from narrows.lab.nets import aevae, base, depth, digits, emnist, sizes, sunset, vector  # noqa: E402
from narrows.lab.nets.base import Geometry, StudyNetwork, keras_start, pad_to_stride  # noqa: E402
from narrows.lab.nets.sizes import bottleneck_for_bpp, bottleneck_for_ratio, macs, nominal_bpp, parameters  # noqa: E402

README = Path(base.__file__).with_name("README.md")
COUNTED = {  # name in the README's table: network, all parameters, of the encoder, picture, numbers in its latent
    "`baseline()`": (sunset.baseline, 195_459, 97_920, (150, 225), 19_200),
    "`enhanced()`": (sunset.enhanced, 649_635, None, (150, 225), 17_632),
    "`enhanced(bottleneck=128)`": (lambda: sunset.enhanced(bottleneck=128), 871_107, None, (150, 225), 70_528),
    "`enhanced_with_skips()`": (sunset.enhanced_with_skips, 662_447, None, (150, 225), 70_528),
    "`emnist_network(1)`": (lambda: emnist.emnist_network(1), 1_037_601, 494_112, (28, 28), 32),
    "`emnist_network(2)`": (lambda: emnist.emnist_network(2), 1_037_601, 494_112, (28, 28), 32),
    "`emnist_network(3)`": (lambda: emnist.emnist_network(3), 1_037_601, 494_112, (28, 28), 32),
    "`emnist_network(4)`": (lambda: emnist.emnist_network(4), 1_037_601, 494_112, (28, 28), 32),
    "`conv_autoencoder()`": (vector.conv_autoencoder, 536_611, 267_360, (32, 32), 128),
    "`dense_autoencoder()`": (vector.dense_autoencoder, 789_632, None, (32, 32), 128),
    "`ae_16()`": (aevae.ae_16, 83_793, 41_904, (256, 256), 4_096),
    "`ae_64()`": (aevae.ae_64, 111_489, None, (256, 256), 16_384),
    "`vae_16()`": (aevae.vae_16, 284_529, 41_904 + 131_104 // 2, (256, 256), 16),
    "`digit_autoencoder(16)`": (lambda: digits.digit_autoencoder(16), 2_147_537, 1_071_760, (32, 32), 16),
    "`published_network(1)`": (lambda: depth.published_network(1), 40_451, None, (160, 160), 409_600),
    "`published_network(2)`": (lambda: depth.published_network(2), 75_651, None, (160, 160), 102_400),
    "`published_network(3)`": (lambda: depth.published_network(3), 333_955, None, (160, 160), 51_200),
}
MORE: dict[str, Callable[[], StudyNetwork]] = {
    "strided, leaky, bilinear, dropout": lambda: sunset.enhanced(
        ingredients=sunset.Ingredients(
            downsampling="stride",
            activation="leaky_relu",
            upsampling="bilinear",
            dropout=0.1,
            latent_activation="linear",
        )
    ),
    "strided baseline": lambda: sunset.baseline(ingredients=sunset.Ingredients(downsampling="stride")),
    "grey, one skip": lambda: sunset.enhanced_with_skips((8, 16), bottleneck=4, skips=(0, 2), channels=1),
    "max-pool, nearest": lambda: emnist.emnist_network(2, downsampling="max_pool", upsampling="nearest"),
    "leaky latent of 5": lambda: emnist.emnist_network(4, latent=5, latent_activation="leaky_relu"),
    "conv 28": lambda: vector.conv_autoencoder(7, side=28, channels=1),
    "dense 28": lambda: vector.dense_autoencoder(3, side=28, channels=1, hidden=(40, 20)),
    "map vae": lambda: aevae.map_vae(5, channels=3),
    "vector ae": lambda: aevae.vector_autoencoder(6, side=64),
    "narrow": lambda: depth.published_network(3, bottleneck=16),
}
NETWORKS = {name: row[0] for name, row in COUNTED.items()} | MORE
LAYERS = (
    nn.Conv2d,
    nn.ConvTranspose2d,
    nn.Linear,
    nn.BatchNorm2d,
    nn.ReLU,
    nn.LeakyReLU,
    nn.Sigmoid,
    nn.MaxPool2d,
    nn.Upsample,
    nn.Flatten,
    nn.Unflatten,
    nn.Identity,
    nn.Dropout,
    nn.PixelShuffle,
    nn.PixelUnshuffle,
)


def readme_rows() -> dict[str, list[str]]:
    """First cell of every row of the README's tables -> the other cells, without the thousands' commas."""
    rows = [re.findall(r"[^|]+", line) for line in README.read_text().splitlines() if line.startswith("| `")]
    return {row[0].strip(): [cell.strip().replace(",", "") for cell in row[1:]] for row in rows}


@pytest.mark.parametrize("name", COUNTED)
def test_parameters_and_latents_are_those_of_the_study_and_of_the_readme(name: str) -> None:
    build, total, of_encoder, picture, values = COUNTED[name]
    with torch.device("meta"):
        network = build()
    assert parameters(network) == total
    assert of_encoder is None or parameters(network.encoder) == of_encoder
    assert network.geometry.values(*picture) == values
    assert readme_rows()[name][:2] == [str(total), str(values)]


def test_the_readme_counts_no_network_that_no_test_counts() -> None:
    assert set(readme_rows()) == set(COUNTED)


def test_multiplications_of_the_four_decoders() -> None:
    million = {model: macs(emnist.emnist_network(model).decoder, 32) / 1e6 for model in emnist.STRIDED_LAYER}
    assert {model: round(count, 1) for model, count in million.items()} == {1: 36.8, 2: 25.9, 3: 58.4, 4: 80.1}
    assert round(macs(emnist.emnist_network(1).encoder, 1, 28, 28) / 1e6, 1) == 18.7


def test_counting_multiplications_leaves_the_network_as_it_was() -> None:
    network = sunset.baseline((2, 3))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert macs(network, 3, 8, 8) > 0
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(layer._forward_hooks for layer in network.modules())


@pytest.mark.parametrize("name", NETWORKS)
def test_shapes(name: str) -> None:
    network = NETWORKS[name]().eval()
    geometry = network.geometry
    height, width = (geometry.cell, geometry.cell) if geometry.cell else (2 * geometry.stride, 3 * geometry.stride)
    x = torch.rand(2, geometry.channels, height, width)
    with torch.no_grad():
        y = network.encode(x)
        assert y.shape == (2, geometry.latent, *geometry.grid(height, width))
        assert network.decode(y).shape == x.shape
        assert torch.equal(network(x), network.decode(y))


@pytest.mark.parametrize("name", [name for name, build in NETWORKS.items() if build().geometry.cell is None])
@pytest.mark.parametrize("size", [(1, 1), (17, 39)])
def test_a_map_takes_any_size(name: str, size: tuple[int, int]) -> None:
    network = NETWORKS[name]().eval()
    x = torch.rand(1, network.geometry.channels, *size)
    with torch.no_grad():
        padded = pad_to_stride(x, network.geometry.stride)
        assert network.encode(padded).shape[-2:] == network.geometry.grid(*size)
        assert network(x).shape == x.shape
    assert torch.equal(padded[..., -1, -1], x[..., -1, -1])


@pytest.mark.parametrize("name", NETWORKS)
def test_both_halves_are_traced_into_the_promised_layers(name: str) -> None:
    network = NETWORKS[name]().eval()
    geometry = network.geometry
    x = torch.rand(1, geometry.channels, *[geometry.cell or 2 * geometry.stride] * 2)
    for half in (network.encoder, network.decoder):
        traced = fx.symbolic_trace(half)
        for node in traced.graph.nodes:
            assert node.op in ("placeholder", "call_module", "call_function", "output"), node.format_node()
            if node.op == "call_module":
                assert isinstance(traced.get_submodule(str(node.target)), LAYERS), node.format_node()
            if node.op == "call_function":
                assert node.target in (torch.cat, operator.getitem), node.format_node()
        with torch.no_grad():
            result = half(x)
            assert torch.equal(traced(x), result)
        x = result


@pytest.mark.parametrize("wrong", [(1, 3, 31, 32), (1, 1, 32, 32), (3, 32, 32)])
def test_a_picture_of_another_shape_is_refused(wrong: tuple[int, ...]) -> None:
    for network in (vector.conv_autoencoder(4), sunset.baseline()):
        with pytest.raises(OptionError):
            network.encode(torch.zeros(wrong))


def test_a_cell_network_sees_its_own_size_only() -> None:
    with pytest.raises(OptionError, match="sees 28 x 28 pixels, not 32 x 32"):
        emnist.emnist_network(1).encode(torch.zeros(1, 1, 32, 32))


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Geometry(channels=2, latent=1, stride=8), "1 or 3 channels"),
        (lambda: Geometry(channels=1, latent=0, stride=8), "1 to 4096 channels"),
        (lambda: Geometry(channels=1, latent=1, stride=12), "power of two"),
        (lambda: Geometry(channels=1, latent=1, stride=2048), "power of two"),
        (lambda: Geometry(channels=1, latent=1, stride=64, cell=28), "next power of two"),
        (lambda: base.activation("gelu"), "activation is one of"),  # type: ignore[arg-type]
        (lambda: sunset.Ingredients(upsampling="cubic"), "upsampling is one of"),  # type: ignore[arg-type]
        (lambda: sunset.Ingredients(dropout=1), "dropout"),
        (lambda: sunset.baseline((8,)), "two widths"),
        (lambda: sunset.enhanced(()), "one width"),
        (lambda: sunset.enhanced_with_skips(skips=(1, 2)), "3 levels"),
        (lambda: sunset.enhanced_with_skips(skips=(64, 64, 0)), "1 to 4096"),
        (lambda: emnist.emnist_network(5), "models 1 to 4"),
        (lambda: emnist.emnist_network(1, side=27), "even"),
        (lambda: emnist.emnist_network(1, downsampling="mean"), "downsampling"),  # type: ignore[arg-type]
        (lambda: emnist.emnist_network(1, upsampling="mean"), "upsampling"),  # type: ignore[arg-type]
        (lambda: emnist.decoder(4, 5, side=28, upsampling="nearest"), "1 to 4"),
        (lambda: vector.conv_autoencoder(side=30), "needs? a side"),
        (lambda: vector.conv_autoencoder(widths=()), "one width"),
        (lambda: vector.dense_autoencoder(0), "1 to 4096"),
        (lambda: aevae.vector_vae(side=40), "16 divides"),
        (lambda: aevae.GaussianLikelihood(0), "above zero"),
        (lambda: depth.published_network(4), "1 to 3 layers"),
        (lambda: depth.depth_network(()), "one layer"),
        (lambda: depth.depth_network((8,), bottleneck=0), "1 to 4096"),
        (lambda: bottleneck_for_ratio(0, stride=16), "above zero"),
        (lambda: bottleneck_for_ratio(1000, stride=16), "channels at stride 16"),
        (lambda: bottleneck_for_bpp(1, stride=8, bits=0), "above zero"),
        (lambda: sizes.nearest_width(nn.ReLU, 4, ()), "no width"),
    ],
)
def test_what_cannot_be_built_is_refused_with_a_reason(build: Callable[[], object], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        build()


def test_every_ingredient_changes_the_layers_that_it_names() -> None:
    def kinds(**switch: object) -> set[type[nn.Module]]:
        network = sunset.enhanced((4, 8), bottleneck=2, ingredients=sunset.Ingredients(**switch))  # type: ignore[arg-type]
        return {type(layer) for layer in network.modules() if isinstance(layer, LAYERS)}

    usual = kinds()
    assert usual - kinds(batch_norm=False) == {nn.BatchNorm2d}
    assert usual - kinds(downsampling="stride") == {nn.MaxPool2d}
    assert kinds(dropout=0.5) - usual == {nn.Dropout}
    assert kinds(activation="leaky_relu") - usual == {nn.LeakyReLU}
    assert kinds(latent_activation="linear") - usual == {nn.Identity}
    assert kinds(upsampling="bilinear") == usual


def test_the_switches_that_move_no_weights_keep_the_counts() -> None:
    strided = sunset.Ingredients(downsampling="stride", upsampling="bilinear", activation="leaky_relu", dropout=0.2)
    assert parameters(sunset.baseline(ingredients=strided)) == 195_459
    assert parameters(sunset.enhanced(ingredients=strided)) == 649_635
    assert parameters(emnist.emnist_network(3, downsampling="max_pool", upsampling="nearest")) == 1_037_601


@pytest.mark.parametrize("kind", ["linear", "leaky_relu"])
def test_only_a_relu_latent_is_never_negative(kind: base.Activation) -> None:
    x = torch.rand(8, 3, 32, 32)
    with torch.no_grad():
        for build in (sunset.baseline, sunset.enhanced):
            other = build(ingredients=sunset.Ingredients(latent_activation=kind))
            assert float(build().encode(x).min()) >= 0 > float(other.encode(x).min())
        grey = x[:, :1, :28, :28]
        assert float(emnist.emnist_network(1).encode(grey).min()) >= 0
        assert float(emnist.emnist_network(1, latent_activation=kind).encode(grey).min()) < 0


def test_skips_lie_behind_the_bottleneck_coarsest_first() -> None:
    network = sunset.enhanced_with_skips((4, 8, 12), bottleneck=5, skips=(1, 2, 3)).eval()
    assert network.geometry == Geometry(channels=3, latent=5 + 3 * 4 + 2 * 16 + 1 * 64, stride=8)
    joined: list[torch.Tensor] = []
    for level in network.decoder.levels:
        level.register_forward_pre_hook(lambda _, inputs: joined.append(inputs[0]))
    x = torch.rand(1, 3, 32, 40)
    with torch.no_grad():
        features = x
        given = []
        for index, level in enumerate(network.encoder.levels):
            features = level(features)
            given.insert(0, network.encoder.skips[str(index)][0](features))
        network.decode(network.encode(x))
    for got, skip in zip(joined, given, strict=True):  # the decoder joins what the encoder handed over, pixel for pixel
        assert torch.allclose(got[:, -skip.shape[1] :], skip, atol=1e-6)


def test_a_skip_of_no_channels_is_no_skip() -> None:
    none = sunset.enhanced_with_skips(skips=(0, 0, 0))
    assert parameters(none) == parameters(sunset.enhanced())
    assert none.geometry == sunset.enhanced().geometry


def test_logits_are_what_stands_before_the_sigmoid() -> None:
    for network in (vector.conv_autoencoder(4), vector.dense_autoencoder(4), aevae.map_autoencoder(3)):
        y = torch.randn(2, network.geometry.latent, 1, 1)
        assert torch.equal(torch.sigmoid(network.logits(y)), network.decode(y))
    with pytest.raises(OptionError, match="no logits"):
        depth.published_network(1).logits(torch.zeros(1, 64, 2, 2))


def test_a_mosaic_of_characters_has_a_pitch_of_32() -> None:
    geometry = emnist.emnist_network(1).geometry
    assert (geometry.stride, geometry.cell) == (32, 28)
    assert geometry.values(28, 28) == 32
    assert geometry.values(10 * 32, 100 * 32) == 1000 * 32


def test_nominal_rates_of_the_study_of_depth() -> None:
    rates = [nominal_bpp(depth.published_network(n).geometry.latent, stride=2**n) for n in (1, 2, 3)]
    assert rates == [128, 32, 16]
    for layers in (1, 2, 3):  # equal nominal rates at every depth: 2 bits a pixel in numbers of 8, 4 and 2 bits
        for bits in (2, 4, 8):
            latent = bottleneck_for_bpp(2, stride=2**layers, bits=bits)
            assert nominal_bpp(latent, stride=2**layers, bits=bits) == 2


def test_a_wanted_ratio_gives_the_channels_of_the_study() -> None:
    assert [bottleneck_for_ratio(ratio, stride=16) for ratio in (4, 16, 256)] == [64, 16, 1]
    assert bottleneck_for_ratio(4, stride=16, channels=3, bits=4) == 384
    assert aevae.ae_64().geometry.latent == bottleneck_for_ratio(4, stride=16)


def test_the_examples_of_the_sizes() -> None:
    assert doctest.testmod(sizes).failed == 0


def test_a_dense_and_a_convolutional_network_of_nearly_equal_size() -> None:
    def build(width: int) -> StudyNetwork:
        return vector.conv_autoencoder(128, widths=(width // 2, width))

    count = parameters(build(sizes.nearest_width(build, 789_632, range(8, 100, 2))))
    assert abs(count / 789_632 - 1) < 0.03


def test_the_start_of_keras() -> None:
    torch.manual_seed(0)
    network = emnist.emnist_network(1)
    keras_start(network)
    first = network.decoder[0].weight.detach()  # dense 32 to 12544; the study's dead units keep rows of this deviation
    assert float(first.std()) == pytest.approx(math.sqrt(2 / (32 + 12_544)), rel=0.01)
    assert all(not layer.bias.any() for layer in network.modules() if isinstance(layer, (nn.Linear, nn.Conv2d)))


@pytest.fixture(scope="module")
def vae() -> aevae.VariationalNetwork:
    torch.manual_seed(1)
    return aevae.vector_vae(4, side=32)


def test_twins_have_the_same_halves() -> None:
    pairs = [
        (aevae.vector_autoencoder(16), aevae.vector_vae(16), 65_552),
        (aevae.map_autoencoder(16), aevae.map_vae(16), 4_624),
    ]
    for plain, variational, head in pairs:
        assert plain.geometry == variational.geometry
        for half in ("encoder", "decoder"):
            assert parameters(getattr(plain, half)) == parameters(getattr(variational, half))
        assert parameters(variational) - parameters(plain) == parameters(variational.log_variance) == head


@pytest.mark.parametrize("build", [lambda: aevae.vector_vae(4, side=32), lambda: aevae.map_vae(3)])
def test_the_mean_of_the_posterior_is_what_is_coded(build: Callable[[], aevae.VariationalNetwork]) -> None:
    network = build()
    x = torch.rand(2, 1, 32, 32)
    posterior = network.posterior(x)
    assert torch.equal(posterior.mean, network.encode(x))
    assert posterior.log_variance.shape == posterior.mean.shape


def test_terms_of_the_bound_agree_with_torch_distributions(vae: aevae.VariationalNetwork) -> None:
    x = torch.rand(3, 1, 32, 32)
    likelihood = aevae.GaussianLikelihood(0.02)
    with torch.no_grad():
        posterior = vae.posterior(x)
        bound = aevae.elbo(vae, likelihood, x, torch.Generator().manual_seed(2))
    q = torch.distributions.Normal(posterior.mean, torch.exp(posterior.log_variance / 2))
    p = torch.distributions.Normal(torch.zeros(()), torch.ones(()))
    kl = torch.distributions.kl_divergence(q, p).flatten(1).sum(1)
    assert torch.allclose(bound.kl_nats, kl, rtol=1e-4)
    assert torch.allclose(posterior.kl_bits() * math.log(2), kl, rtol=1e-4)
    nll = -torch.distributions.Normal(bound.x_hat, math.sqrt(0.02)).log_prob(x).flatten(1).sum(1)
    assert torch.allclose(bound.nll_nats, nll, rtol=1e-4)
    assert float(bound.loss(2)) == pytest.approx(float((nll + 2 * kl).mean()), rel=1e-4)


def test_beta_0_is_the_squared_error_alone(vae: aevae.VariationalNetwork) -> None:
    x = torch.rand(2, 1, 32, 32)
    with torch.no_grad():
        bound = aevae.elbo(vae, aevae.GaussianLikelihood(0.5), x)
    squares = (bound.x_hat - x).square().flatten(1).sum(1).mean()
    constant = 32 * 32 * (math.log(2 * math.pi) + math.log(0.5)) / 2
    assert float(bound.loss(0)) == pytest.approx(float(squares) + constant, rel=1e-5)
    overflow = aevae.Elbo(bound.nll_nats, torch.full((2,), math.inf), bound.x_hat)
    assert math.isfinite(float(overflow.loss(0)))
    with pytest.raises(OptionError, match="beta"):
        bound.loss(-1)


def test_a_code_is_random_and_repeats_with_its_generator(vae: aevae.VariationalNetwork) -> None:
    posterior = vae.posterior(torch.rand(1, 1, 32, 32))
    first, again, other = (posterior.sample(torch.Generator().manual_seed(seed)) for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_sample_has_the_posterior_s_moments() -> None:
    posterior = aevae.Posterior(torch.full((4000, 2, 1, 1), 3.0), torch.full((4000, 2, 1, 1), math.log(0.25)))
    drawn = posterior.sample(torch.Generator().manual_seed(0))
    assert float(drawn.mean()) == pytest.approx(3, abs=0.03)
    assert float(drawn.std()) == pytest.approx(0.5, rel=0.05)


def test_the_bound_trains_every_part_and_the_variance_only_if_it_is_learned(vae: aevae.VariationalNetwork) -> None:
    x = torch.rand(2, 1, 32, 32)
    given, learned = aevae.GaussianLikelihood(0.1), aevae.GaussianLikelihood(0.1, learned=True)
    for likelihood in (given, learned):
        vae.zero_grad()
        aevae.elbo(vae, likelihood, x).loss().backward()
        assert all(p.grad is not None and bool(p.grad.any()) for p in vae.parameters())
    assert given.log_variance.grad is None
    assert learned.log_variance.grad is not None


def test_the_learned_variance_rests_at_the_mean_squared_error() -> None:
    x = torch.rand(4, 1, 8, 8)
    x_hat = torch.rand(4, 1, 8, 8)
    likelihood = aevae.GaussianLikelihood(float((x - x_hat).square().mean()), learned=True)
    likelihood.nll_nats(x_hat, x).mean().backward()
    assert likelihood.log_variance.grad is not None
    assert abs(float(likelihood.log_variance.grad)) < 1e-3
