"""narrows.lab.latent_space: projections, neighbours, features and the distance of two sets of pictures."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from narrows.errors import OptionError
from narrows.lab.data import Split
from narrows.lab.latent_space import PcaFeatures, frechet_distance, neighbour_accuracy, pca, train_classifier, tsne

Labelled = tuple[NDArray[np.float64], NDArray[np.int64]]


def clusters(count: int = 60, apart: float = 20, seed: int = 0) -> Labelled:
    """Codes (count, 8) of three classes, so far apart."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    centres = apart * np.eye(3, 8)
    return centres[labels] + random.standard_normal((count, 8)), labels


def bars(count: int, seed: int = 0) -> Split:
    """Noisy pictures of 16 x 16 with a horizontal or a vertical bar: two classes that a tiny network can learn."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 60, (count, 16, 16), np.uint8)
    labels = np.arange(count) % 2
    for image, label, place in zip(images, labels, random.integers(2, 13, count), strict=True):
        (image if label else image.T)[place : place + 2] += 180
    return Split(images=images, labels=labels.astype(np.int64))


# ---------------------------------------------------------------- projections


def test_pca_finds_the_directions_of_largest_variance_in_their_order() -> None:
    random = np.random.default_rng(0)
    turn = np.linalg.qr(random.standard_normal((6, 6)))[0]
    codes = (random.standard_normal((4000, 6)) * (5, 3, 1, 0.1, 0.1, 0.1)) @ turn + 7
    found = pca(codes, 3)
    np.testing.assert_allclose(found.points.std(0), (5, 3, 1), rtol=0.05)
    np.testing.assert_allclose(found.explained, np.array([25, 9, 1]) / 35.03, rtol=0.1)
    assert np.abs(found.points.mean(0)).max() < 1e-9
    assert np.array_equal(found.indices, np.arange(4000))
    assert found.method == "PCA to 3 of 6"


def test_pca_of_codes_that_are_all_alike_explains_nothing() -> None:
    assert pca(np.ones((5, 3)), 2).explained.tolist() == [0, 0]


def test_tsne_is_the_same_for_one_seed_and_keeps_classes_together() -> None:
    codes, labels = clusters()
    first = tsne(codes, seed=1, perplexity=10)
    assert np.array_equal(first.points, tsne(codes, seed=1, perplexity=10).points)
    assert neighbour_accuracy(first.points, labels, k=3).accuracy > 0.95
    assert "perplexity 10" in first.method
    assert "seed 1" in first.method


def test_tsne_of_many_codes_takes_some_of_them_and_says_which() -> None:
    codes, _ = clusters(80)
    some = tsne(np.tile(codes, (1, 10)), seed=2, perplexity=5, limit=30)
    assert some.points.shape == (30, 2)
    assert len(set(some.indices.tolist())) == 30
    assert (np.diff(some.indices) > 0).all()
    assert "t-SNE of 30 of 80 codes, 80 numbers by PCA to 30" in some.method


@pytest.mark.parametrize(
    "ask",
    [
        lambda: tsne(clusters(9)[0], perplexity=9),
        lambda: pca(clusters(9)[0], 9 + 1),
        lambda: pca(np.full((4, 4), np.nan)),
        lambda: pca(np.zeros(4)),
    ],
)
def test_codes_that_cannot_be_projected_are_refused(ask: object) -> None:
    with pytest.raises(OptionError):
        ask()  # type: ignore[operator]


# ---------------------------------------------------------------- neighbours


def test_classes_apart_are_told_apart_and_mixed_ones_are_at_chance() -> None:
    codes, labels = clusters()
    assert neighbour_accuracy(codes, labels, k=5).accuracy == 1
    random = np.random.default_rng(0)
    mixed = neighbour_accuracy(random.standard_normal((3000, 4)), random.integers(0, 3, 3000), k=5)
    assert mixed.accuracy == pytest.approx(1 / 3, abs=0.04)
    assert mixed.chance == pytest.approx(1 / 3, abs=0.04)
    assert (mixed.k, mixed.codes) == (5, 3000)


def test_no_code_votes_for_itself() -> None:
    # each is nearest to one of the other class; with itself counted, k = 1 would be right every time
    codes = np.array([[0.0], [0.1], [5.0], [5.1]])
    assert neighbour_accuracy(codes, np.array([0, 1, 0, 1]), k=1).accuracy == 0


def test_of_equal_votes_the_nearer_wins() -> None:
    codes = np.array([[0.0], [1.0], [2.5]])
    assert neighbour_accuracy(codes, np.array([0, 0, 1]), k=2).accuracy == pytest.approx(2 / 3)


@pytest.mark.parametrize(("labels", "k"), [([0, 1], 1), ([0, 1, -1], 1), ([0, 1, 1], 3), ([0, 1, 1], 0)])
def test_labels_and_k_that_do_not_fit_are_refused(labels: list[int], k: int) -> None:
    with pytest.raises(OptionError):
        neighbour_accuracy(np.zeros((3, 2)), np.array(labels), k=k)


# ---------------------------------------------------------------- features and their distance


def test_the_frechet_distance_of_known_gaussians_is_that_of_the_formula() -> None:
    class Given:
        description = "numbers in place of pictures"

        def __call__(self, pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
            return rows[int(pictures[0, 0, 0])]

    random = np.random.default_rng(0)
    rows = [random.standard_normal((40000, 2)) * (1, 2) + (0, 3), random.standard_normal((40000, 2)) * (2, 5)]
    first, second = np.zeros((2, 2, 2), np.uint8), np.ones((2, 2, 2), np.uint8)
    # 3^2 of the means, (1 - 2)^2 + (2 - 5)^2 of the spreads
    assert frechet_distance(Given(), first, second) == pytest.approx(19, rel=0.02)
    assert frechet_distance(Given(), first, first) == pytest.approx(0, abs=1e-9)
    turn = np.linalg.qr(random.standard_normal((2, 2)))[0]
    rows = [row @ turn for row in rows]
    assert frechet_distance(Given(), first, second) == pytest.approx(19, rel=0.02)


def test_principal_components_tell_real_pictures_from_noise() -> None:
    real, other = bars(120).images, bars(120, seed=1).images
    features = PcaFeatures(real, 10)
    noise = np.random.default_rng(2).integers(0, 256, real.shape, np.uint8)
    floor = frechet_distance(features, real, other)
    assert frechet_distance(features, real, real) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(features, real, noise) > 5 * floor
    assert features.description.startswith("10 principal components of 120 real pictures, ")
    with pytest.raises(OptionError, match="are of pictures"):
        features(real[:, :8])


def test_a_classifier_learns_and_its_features_tell_sets_apart() -> None:
    train, held_out = bars(400), bars(200, seed=1)
    features = train_classifier(train, held_out, epochs=5, seed=3)
    assert features.accuracy > 0.9
    assert f"{100 * features.accuracy:.1f} % right on 200 others" in features.description
    assert held_out.labels is not None
    seen = features(held_out.images)
    assert seen.shape == (200, 64)
    again = train_classifier(train, held_out, epochs=5, seed=3)
    assert np.array_equal(seen, again(held_out.images))
    one_kind = held_out.images[held_out.labels == 0]
    floor = frechet_distance(features, train.images[:200], held_out.images)
    assert frechet_distance(features, train.images[:200], one_kind) > 5 * floor


def test_a_classifier_needs_labels_of_two_classes_and_pictures_of_its_kind() -> None:
    part = bars(8)
    with pytest.raises(OptionError, match="PcaFeatures"):
        train_classifier(Split(images=part.images), part)
    with pytest.raises(OptionError, match="two classes"):
        train_classifier(Split(images=part.images, labels=np.zeros(8, np.int64)), part)
    features = train_classifier(part, part, epochs=1)
    with pytest.raises(OptionError, match="1 channels"):
        features(np.zeros((1, 16, 16, 3), np.uint8))
