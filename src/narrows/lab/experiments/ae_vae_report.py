"""The report of study ae-vae: claims beside our figures, then what they rest on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from narrows.lab.experiments.ae_vae_claims import claims, verdict
from narrows.lab.experiments.ae_vae_parts import (
    Findings,
    beta_chart,
    beta_table,
    pair_table,
    published_table,
    space_table,
)
from narrows.lab.experiments.ae_vae_plans import LATENT, MAP_SIDE, SIDE
from narrows.lab.experiments.ae_vae_plates import (
    digit_samples,
    epochs,
    equal_bytes_plate,
    interpolation_plate,
    map_interpolation_plate,
    map_samples,
    traversal_plate,
)
from narrows.lab.experiments.ae_vae_rates import (
    digit_chart,
    half_bit_table,
    ideal_table,
    map_chart,
    ratio_chart,
    ratio_table,
)
from narrows.lab.experiments.coded import Model
from narrows.lab.experiments.rows import losses, model_rows, network_table, rate_table, rival_rows
from narrows.lab.report.document import Report, Section
from narrows.lab.report.figures import Losses, loss_chart
from narrows.lab.report.metrics import Measurement


def ae_vae_report(findings: Findings) -> Report:
    """The whole report, from what was measured."""
    metrics = [line for model in findings.all() for line in model_rows(model)]
    metrics += [line for model in findings.all() for line in _rows(findings, model)]
    for codecs, where in ((findings.rivals, "photographs"), (findings.digit_rivals, "digits")):
        metrics += [_of(line, where) for codec in codecs for line in rival_rows(codec)]
    digits = [(model.plan.label, model.points) for model in (*findings.vector_pair(), findings.pca_vector)]
    return Report(
        name="ae-vae",
        title="Plain and variational, at identical layers",
        verdict=verdict(findings),
        claims=tuple(claims(findings)),
        sections=(
            Section(title="As published", text=_PUBLISHED, blocks=(published_table(findings),)),
            Section(title="Plain and variational", text=_PAIRS, blocks=(pair_table(findings),)),
            Section(
                title="At half a bit per pixel", text=_RATES,
                blocks=(half_bit_table(findings), map_chart(findings), equal_bytes_plate(findings)),
            ),
            Section(
                title="What a vector costs", text=_BYTES,
                blocks=(digit_chart(findings), ideal_table(findings)),
            ),
            Section(title="The weight of the KL", text=_BETA, blocks=(beta_table(findings), beta_chart(findings))),
            Section(
                title="Walks, draws, single numbers", text=_SPACE,
                blocks=(
                    space_table(findings), interpolation_plate(findings), digit_samples(findings),
                    traversal_plate(findings), map_interpolation_plate(findings), map_samples(findings),
                ),
            ),
            Section(title="A ratio as asked", text=_RATIO, blocks=(ratio_table(findings), ratio_chart(findings))),
            Section(
                title="Networks and learning", text=_LEARNING,
                blocks=(
                    network_table([model for model in findings.all() if model.seed == 0], "All networks"),
                    loss_chart("losses", "Squared error over the epochs", _learned(findings)), epochs(findings),
                ),
            ),
            Section(
                title="Every setting",
                blocks=(
                    rate_table(findings.map_groups(), "Photographs, a file each"),
                    rate_table(digits, "Digits, one file for the test part"),
                    rate_table([(codec[0].label, codec) for codec in findings.digit_rivals], "Digits, one sheet"),
                ),
            ),
        ),
        command=findings.setting.command("ae-vae"),
        note=_note(findings),
        facts=(
            f"{len(findings.data.train):,} training, {len(findings.data.test):,} test photographs of "
            f"{MAP_SIDE} x {MAP_SIDE} in grey",
            f"{len(findings.digits.train):,} training, {len(findings.digits.test):,} test digits of 32 x 32",
            f"{_seeds(findings)} seed(s) of the published networks and of the vectors of {LATENT}",
        ),
        metrics=tuple(metrics),
    )  # fmt: skip


_PUBLISHED = (
    "The study's layers, loss, optimiser, start and number of steps (5 batches of 32 pictures an epoch, 10 epochs) on "
    "160 pictures. Its faces are not at hand: photographs in grey stand for them, so compare with the constant grey of "
    "each set, not across. Sharpness is the gradient energy left, of the original's 1."
)
_PAIRS = (
    "In each pair layers, latent size, recipe and seed are the same; the variational one has a head for the "
    "log-variance beside, and its loss is minus the evidence lower bound: a Gaussian likelihood, **summed** over "
    "pixels, and the KL to N(0, I), summed over numbers. Nothing else is weighed. PSNR is of the mean MSE with the "
    "code at its mean; nothing is quantised, but for the bytes. Active units: variance of the mean over pictures above "
    "0.01, and for plain codes a hundredth of the largest."
)
_RATES = (
    "Rate is the size of files on disk over the picture's positions, headers included, decoded by a separate process. "
    "Our layers begin as the principal components of blocks and learn to look over their borders; as a plain "
    "autoencoder they are quantised after training, as a rated one the rate is in the loss, and the variational one "
    "is the same layers with the bound."
)
_BYTES = (
    "Sixteen numbers are not sixteen bytes. Plain codes are stored in 2^bits steps over each number's range, "
    "variational ones in steps that follow the posterior's sigma, both entropy coded with fixed tables."
)
_BETA = (
    "Beta weighs the KL. At 0, the study's case, nothing holds codes near the prior or keeps their noise alive, and "
    "what is drawn from the prior may lie where no picture is. Above 1 numbers may fall silent to save bits."
)
_SPACE = (
    "Interpolation needs no variational part: any autoencoder walks between codes. What differs is how the way looks "
    "and whether codes can be drawn at all. Path length and unevenness say how the picture changes on the way, not "
    "whether it looks real: the distance of the middles does. Look at them, too."
)
_RATIO = (
    "The study promises direct control of the ratio: channels = 256 / ratio. That counts numbers. Here every wanted "
    "ratio has been trained and stored at 8 bits a number, and the achieved ratio is that of file sizes."
)
_LEARNING = "Squared error of training and validation pictures; of variational networks with random codes."


def _rows(findings: Findings, model: Model) -> Iterator[Measurement]:
    found = findings.spaces.get((model.plan.name, model.seed))
    if found is None:
        return
    tools = findings.digit_gauge if model.geometry.cell == SIDE else findings.map_gauge
    figures: list[tuple[str, float | None, str]] = [
        ("sharpness", found.sharpness, ""), ("active_units", found.active, ""),
        ("nll_nats_per_pixel", found.nll_nats, "nats"), ("kl_bits", found.kl_bits, "bits"),
        ("random_code_mse", found.random_mse, ""), ("frechet_decoded", found.decoded, ""),
        ("frechet_prior", found.drawn, ""), ("frechet_fitted", found.fitted, ""),
        ("frechet_middles", found.middles, ""), ("frechet_floor", tools.floor, ""), ("path_length", found.length, ""),
        ("path_unevenness", found.unevenness, ""),
    ]  # fmt: skip
    for metric, value, unit in figures:
        if value is not None:
            yield Measurement(
                model=model.plan.name, seed=model.seed, pictures=len(tools.real), metric=metric, value=value, unit=unit
            )


def _of(line: Measurement, where: str) -> Measurement:
    """A codec's line with the set in its setting, since two sets are coded by the same codecs."""
    return replace(line, setting=f"{where}, {line.setting}")


def _learned(findings: Findings) -> list[Losses]:
    models = [*findings.maps, findings.wide, findings.rated, *findings.own, *findings.vector_pair()]
    return [losses(model) for model in models]


def _seeds(findings: Findings) -> int:
    return len({model.seed for model in findings.published})


def _note(findings: Findings) -> str:
    sizes = findings.sizes
    return (
        f"Photographs: {findings.data.note}. Digits: {findings.digits.note}. The study's 200 faces of 256 x 256 are "
        "not at hand. Planned for about two hours of one CPU core: maps train in crops of 96 pixels, mirrored at "
        f"random, {sizes.map_epochs} epochs (ours {sizes.own_epochs}, the ratios {sizes.ratio_epochs}), vectors "
        f"{sizes.vector_epochs} epochs; Adam, cosine; --epochs multiplies them. One seed where the table shows one. "
        "Vectors see digits alone, in layers of ours: 16 numbers for a photograph are a smudge (as published, above), "
        "and of a digit of 32 x 32 the study's layers leave 64 values before the dense one, too few to draw from. "
        "Both interpolations, samples and traversals are from codes that are not quantised. "
        f"Files of photographs are of {findings.own[1].points[0].result.pictures} test pictures, evenly spread. The "
        "plain networks train in mixed precision as maps and in float32 as vectors; bounds always in float32."
    )
