"""The pictures of the report of ae-vae."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from narrows.lab.experiments.ae_vae_parts import RATE, Findings
from narrows.lab.experiments.ae_vae_plans import MAP_SIDE, SIDE
from narrows.lab.experiments.ae_vae_rates import jpeg
from narrows.lab.experiments.ae_vae_space import free, most_used
from narrows.lab.experiments.base import Measured, Pictures
from narrows.lab.experiments.coded import Model
from narrows.lab.latent_space import fitted_samples, interpolations, prior_samples, traversals
from narrows.lab.report.pictures import Plate
from narrows.lab.report.plates import Version, comparison_plate, epoch_plate, facts_line, sample_plate, strip_plate

_STEPS = 9
_PAIRS = 5
_UNITS = 8
_DRAWN = 64
_DRAWN_MAPS = 4


def interpolation_plate(findings: Findings) -> Plate:
    """The same pairs of digits through both kinds of network, each pair's two rows one below the other."""
    first, second = (part[:_PAIRS] for part in findings.digit_gauge.pairs)
    models = findings.vector_pair()
    walks = [interpolations(free(model), first, second, steps=_STEPS) for model in models]
    strips = np.stack([walk[pair] for pair in range(len(first)) for walk in walks])
    labels = [f"pair {pair + 1}, {model.plan.label}" for pair in range(len(first)) for model in models]
    return strip_plate(
        "interpolations", "Walks between digits", strips, labels=labels, zoom=2,
        caption="Equal steps in code; the ends are the two digits as the network rebuilds them.",
    )  # fmt: skip


def map_interpolation_plate(findings: Findings) -> Plate:
    first, second = (part[:1] for part in findings.map_gauge.pairs)
    models = (*findings.maps, findings.own[1], findings.own[2])
    strips = np.concatenate([interpolations(free(model), first, second, steps=5) for model in models])
    return strip_plate(
        "map-interpolations", "Walks between photographs", strips, labels=[model.plan.label for model in models],
        zoom=1, caption="A map has a code for every place, so a walk is close to a cross-fade.",
    )  # fmt: skip


def digit_samples(findings: Findings) -> Plate:
    """Drawn digits: the variational network from its prior, the plain one from a fitted Gaussian, beta 0 as control."""
    plain, bound = findings.vector_pair()
    size = (SIDE, SIDE)
    groups = [("digits of the test part", findings.digit_gauge.real[:_DRAWN])]
    groups.append((f"{bound.plan.label}: N(0, I)", prior_samples(free(bound), _DRAWN, size=size)))
    groups.append(
        (f"{plain.plan.label}: fitted Gaussian", fitted_samples(free(plain), findings.digit_gauge.others, _DRAWN))
    )
    noisy = next((model for model in findings.betas if model.plan.recipe and model.plan.recipe.beta == 0), None)
    if noisy is not None:
        groups.append((f"{noisy.plan.label}: N(0, I)", prior_samples(free(noisy), _DRAWN, size=size)))
    return sample_plate(
        "samples", "Digits out of random numbers", groups, zoom=1,
        caption="A plain autoencoder has no prior: its control is a Gaussian of its codes' mean and covariance.",
    )  # fmt: skip


def map_samples(findings: Findings) -> Plate:
    plain, bound, own = *findings.maps, findings.own[2]
    size = (MAP_SIDE, MAP_SIDE)
    groups = [
        (f"{bound.plan.label}: N(0, I)", prior_samples(free(bound), _DRAWN_MAPS, size=size)),
        (f"{plain.plan.label}: fitted Gaussian", fitted_samples(free(plain), findings.map_gauge.others, _DRAWN_MAPS)),
        (f"{own.plan.label}: N(0, I)", prior_samples(free(own), _DRAWN_MAPS, size=size)),
    ]
    return sample_plate(
        "map-samples", "Photographs out of random numbers", groups, columns=2, zoom=1,
        caption="N(0, I) draws every place by itself: texture without a scene. The fitted Gaussian mixes scenes.",
    )  # fmt: skip


def traversal_plate(findings: Findings) -> Plate:
    """The most used numbers of the variational code moved one at a time, and of the plain one for comparison."""
    plain, bound = findings.vector_pair()
    reference = findings.digit_gauge.others
    picture = findings.digit_gauge.real[0]
    strips: list[Pictures] = []
    labels: list[str] = []
    for model, units in ((bound, _UNITS), (plain, _UNITS // 2)):
        chosen = most_used(model, reference, units)
        strips.append(traversals(free(model), picture, chosen, reference=reference, steps=_STEPS))
        labels += [f"{model.plan.label}: number {unit + 1}" for unit in chosen]
    return strip_plate(
        "traversals", "One number moved at a time", np.concatenate(strips), labels=labels, zoom=2,
        caption="From three standard deviations below to three above, the digit itself in the middle.",
    )  # fmt: skip


def equal_bytes_plate(findings: Findings) -> Plate:
    """Photographs at about half a bit a pixel through every coder: best, median and worst of our rated network."""
    ours, bound = findings.own[1], findings.own[2]
    nearest = _nearest(ours.points)
    order = np.argsort(-nearest.result.psnr_db_of)
    places = order[[0, len(order) // 2, len(order) - 1]]
    webp = next((codec for codec in findings.rivals if codec[0].codec == "webp"), None)
    coders: list[tuple[str, Sequence[Measured]]] = [
        (ours.plan.label, ours.points), (bound.plan.label, bound.points), ("JPEG optimised", jpeg(findings)),
    ]  # fmt: skip
    if webp is not None:
        coders.append(("WebP", webp))
    published = next(model for model in findings.published if model.plan.name == "published-ae-16")
    coders.append((published.plan.label, published.points))
    versions = []
    for label, points in coders:
        shown = [_nearest(points).shown(int(place)) for place in places]
        versions.append(
            Version(
                label=label, pictures=np.stack([one.pixels for one in shown]),
                lines=tuple(facts_line(one.bytes, one.psnr_db) for one in shown),
            )
        )  # fmt: skip
    originals = findings.data.test.images[nearest.indices[places]]
    return comparison_plate(
        "equal-bytes", f"At about {RATE:g} bits per pixel", originals, versions, labels=("best", "median", "worst"),
        zoom=1, caption="The setting of each coder whose mean rate is nearest. Grey is 0 to 255, never stretched.",
    )  # fmt: skip


def _nearest(points: Sequence[Measured]) -> Measured:
    return min(points, key=lambda point: abs(point.bpp - RATE))


def epochs(findings: Findings) -> Plate:
    models: list[Model] = [model for model in (*findings.published, *findings.maps, *findings.own) if model.seed == 0]
    return epoch_plate(
        "epochs", "A validation picture after every epoch",
        [(model.plan.label, model.trained.strip[:, 0]) for model in models if model.trained is not None],
        most=5, zoom=1, caption="The published three have 50 steps in all.",
    )  # fmt: skip
