"""What study ae-vae claims, beside what was found."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import fmean

from narrows.lab.experiments.ae_vae_parts import BAR_DB, CLAIMED_MSE, CLAIMED_RATIO, RATE, Findings
from narrows.lab.experiments.ae_vae_rates import jpeg
from narrows.lab.experiments.coded import Model
from narrows.lab.experiments.rows import rate_points, signed
from narrows.lab.measure.rates import bd_rate_percent
from narrows.lab.report.document import Claim


def verdict(findings: Findings) -> str:
    rated, bound = (findings.at(model.points) for model in findings.own[1:])
    other = findings.at(jpeg(findings))
    plain, true = findings.vector_pair()
    noisy = next(model for model in findings.betas if model.plan.recipe and model.plan.recipe.beta == 0)
    drawn, fitted, control = (findings.of(true).drawn, findings.of(plain).fitted, findings.of(noisy).drawn)
    return (
        f"At {RATE:g} bits per pixel our plain autoencoder reaches **{_db(rated)}** and our spatial VAE "
        f"**{_db(bound)}**; JPEG with optimised tables has {_db(other)} (PSNR of the mean MSE, grey, files). Of digits "
        f"drawn from N(0, I) the true VAE's are {drawn:.3g} from real ones, those of the study's kind (beta 0) "
        f"{control:.3g}, and a Gaussian fitted to the plain autoencoder's codes gives {fitted:.3g}."
    )


def _db(value: float | None) -> str:
    return "no figure at that rate" if value is None else f"{value:.2f} dB"


def _two(value: float) -> str:
    return "none" if math.isnan(value) else f"{value:.2f}"


def claims(findings: Findings) -> Iterator[Claim]:
    yield _sharp(findings)
    yield _variational(findings)
    yield _blurrier(findings)
    yield _smooth(findings)
    yield _ratios(findings)
    yield _half_a_bit(findings)


def _mean(models: list[Model], metric: str) -> float:
    return fmean(float(getattr(model.floats, metric)) for model in models)


def _named(findings: Findings, name: str) -> list[Model]:
    return [model for model in findings.published if model.plan.name == name]


def _sharp(findings: Findings) -> Claim:
    models = _named(findings, "published-ae-16")
    mse, blur = _mean(models, "mse"), fmean(findings.of(model).sharpness for model in models)
    last = [_validation(_named(findings, name)) for name in CLAIMED_MSE]
    finest = models[0].points[-1]
    near = min(jpeg(findings), key=lambda rival: abs(rival.bpp - finest.bpp))
    return Claim(
        claimed="The autoencoder is sharp and of high fidelity; validation MSE "
        + " / ".join(f"{value:g}" for value in CLAIMED_MSE.values()) + " (AE-16, AE-64, VAE) after 50 steps.",
        found=f"As published, on our photographs: {' / '.join(f'{value:.4f}' for value in last)}. One grey for all has "
        f"{findings.floors.grey:.4f}. AE-16 keeps {blur:.1%} of the gradient energy, at a test MSE of {mse:.4f}; JPEG "
        f"at {near.bpp:.2f} bits per pixel has {near.result.mse:.4f} where AE-16's files have {finest.bpp:.2f}.",
        verdict="false" if mse > near.result.mse else "partly",
    )  # fmt: skip


def _validation(models: list[Model]) -> float:
    return fmean(model.trained.history[-1].validation_mse for model in models if model.trained is not None)


def _variational(findings: Findings) -> Claim:
    [noisy, *_] = [model for model in findings.betas if model.plan.recipe and model.plan.recipe.beta == 0]
    plain, true = findings.vector_pair()
    bits = (findings.of(noisy).kl_bits, findings.of(true).kl_bits)
    return Claim(
        claimed="The VAE is trained with the ELBO: reconstruction and a KL to N(0, I).",
        found="It was compiled with the squared error alone. With that (beta 0) the KL of a digit's code is "
        f"{bits[0] or 0:,.0f} bits, with the bound {bits[1] or 0:,.1f}; test MSE {noisy.floats.mse:.4f} and "
        f"{true.floats.mse:.4f}, plain {plain.floats.mse:.4f}.",
        verdict="false",
    )


def _blurrier(findings: Findings) -> Claim:
    pairs = [findings.vector_pair(latent) for latent in findings.sizes.vectors]
    named = [(f"{one.geometry.latent} numbers", one, two) for one, two in pairs]
    named.append(("maps of 16", *findings.maps))
    words = [
        f"{label}: sharpness {findings.of(one).sharpness:.2f} / {findings.of(two).sharpness:.2f}, PSNR "
        f"{one.floats.psnr_db:.1f} / {two.floats.psnr_db:.1f} dB"
        for label, one, two in named
    ]
    blurred = [findings.of(two).sharpness < findings.of(one).sharpness for _, one, two in named]
    return Claim(
        claimed="The VAE is slightly blurrier than the AE (4,096 numbers against 16).",
        found=f"At identical layers and sizes, plain / variational. {'; '.join(words)}. What the study saw was a code "
        "256 times smaller.",
        verdict="holds" if all(blurred) else "partly" if any(blurred) else "false",
    )


def _smooth(findings: Findings) -> Claim:
    plain, true = (findings.of(model) for model in findings.vector_pair())
    better = [
        (true.drawn or 0) < plain.fitted, true.middles < plain.middles, true.unevenness < plain.unevenness,
    ]  # fmt: skip
    return Claim(
        claimed="The VAE's latent space is smooth: interpolation, sampling, generation. (Nothing of it is shown.)",
        found=f"Digits, Fréchet distance to real ones ({findings.digit_gauge.floor:.3g} between two real sets): drawn "
        f"{true.drawn or 0:.3g} against {plain.fitted:.3g} from the AE's fitted Gaussian; half-way between two digits "
        f"{true.middles:.3g} against {plain.middles:.3g}. Paths: length {_two(true.length)} against "
        f"{_two(plain.length)}, unevenness {_two(true.unevenness)} against {_two(plain.unevenness)}.",
        verdict="holds" if all(better) else "partly" if any(better) else "false",
    )


def _ratios(findings: Findings) -> Claim:
    wanted = [f"{ratio:g}" for ratio, _ in findings.ratios]
    achieved = [f"{8 / model.points[-1].bpp:.1f}" for _, model in findings.ratios]
    vector = _named(findings, "published-vae-16")[0].points[-1]
    asked = " / ".join(f"{ratio:,.0f}" for ratio in CLAIMED_RATIO.values())
    return Claim(
        claimed=f"The ratio is controlled directly; printed are {asked} (AE-16, AE-64, VAE).",
        found=f"Wanted {' / '.join(wanted)}, achieved in files {' / '.join(achieved)}. The printed figures compare "
        f"float with float; sixteen numbers in a real file are {vector.bytes / vector.result.pictures:.0f} bytes, "
        f"{8 / vector.bpp:,.0f}:1, most of them header.",
        verdict="partly",
    )


def _half_a_bit(findings: Findings) -> Claim:
    anchor = rate_points(jpeg(findings), "psnr_db")
    bd = [bd_rate_percent(anchor, rate_points(model.points, "psnr_db")).value for model in findings.own[1:]]
    values = [findings.at(model.points) for model in findings.own[1:]]
    study, pca, other = (
        findings.at(points) for points in (findings.rated.points, findings.pca_map.points, jpeg(findings))
    )
    reached = all(value is not None and value >= BAR_DB for value in values)
    return Claim(
        claimed=f"(Our bar.) {BAR_DB:g} dB at {RATE:g} bits per pixel, where the study's AE-16 has 16.0 dB, and better "
        "than JPEG.",
        found=f"AE {_db(values[0])}, spatial VAE {_db(values[1])}; the study's layers with the rate in the loss "
        f"{_db(study)}, PCA {_db(pca)}, JPEG {_db(other)}. BD-rate to JPEG in %: AE {signed(bd[0])}, VAE "
        f"{signed(bd[1])}.",
        verdict="open" if None in values else "holds" if reached else "false",
    )
