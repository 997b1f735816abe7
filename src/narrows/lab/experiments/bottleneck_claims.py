"""What the plan of study bottleneck takes for granted, beside our figures."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import stdev

from narrows.lab.experiments.base import Measured
from narrows.lab.experiments.bottleneck_findings import PIXELS, Findings, SetFindings
from narrows.lab.experiments.bottleneck_parts import PLANNED_QUALITY, bytes_each, front
from narrows.lab.experiments.rows import rate_points
from narrows.lab.measure.rates import RatePoint, at_rate
from narrows.lab.report.document import Claim

RATES = {"mnist": (0.1, 0.2, 0.3), "cifar10": (0.25, 0.5, 1.0)}
"""Bits per pixel at which coders are compared; 1.0 is one byte for each of the plan's 128 numbers."""
_ALIKE_DB = 0.2


def curve(points: Sequence[Measured]) -> list[RatePoint]:
    """The points by PSNR of the mean MSE."""
    return rate_points(points, "psnr_db")


def claims(findings: Findings) -> list[Claim]:
    """What the plan takes for granted, and our own bar where it takes nothing."""
    colour = findings.sets[-1]
    return [
        _count_claim(colour), _jpeg_claim(colour), _bar_claim(colour),
        *(_kind_claim(found) for found in findings.sets),
        *(_loss_claim(found) for found in findings.sets if found.cross_entropy is not None),
        *(_cluster_claim(found) for found in findings.sets if found.neighbours),
    ]  # fmt: skip


def _count_claim(found: SetFindings) -> Claim:
    model, subject = found.at_reference(found.conv), found.subject
    point = model.points[-1]
    counted = 4 * subject.reference
    return Claim(
        claimed=f"{subject.samples:,} samples become {subject.reference} numbers: a compression, by count "
        f"{subject.samples / subject.reference:.0f}:1.",
        found=f"Kept as floats the numbers are {counted:,} bytes, {subject.samples / counted:.0f}:1. At "
        f"{point.setting} they are {bytes_each(point):.1f} bytes in a real file, "
        f"{subject.samples / bytes_each(point):.0f}:1, {point.result.psnr_db - model.floats.psnr_db:+.2f} dB.",
        verdict="holds" if bytes_each(point) <= subject.reference else "partly",
    )  # fmt: skip


def _jpeg_claim(found: SetFindings) -> Claim:
    whole, bare, sheet = (
        next(one for one in found.rival("jpeg", rule) if one.quality == PLANNED_QUALITY)
        for rule in ("each", "abbreviated", "sheet")
    )
    ours = at_rate(curve(found.rated[0].points), sheet.bpp)
    there = "no setting of the network is there" if ours is None else f"the network has {ours:.2f} dB there"
    return Claim(
        claimed=f"JPEG at quality {PLANNED_QUALITY}, in memory, is what to compare with.",
        found=f"{found.subject.label}: {bytes_each(whole):.0f} bytes a picture as saved, {bytes_each(bare):.0f} "
        f"without tables, {bytes_each(sheet):.0f} in a sheet ({sheet.bpp:.2f} bits per pixel, "
        f"{sheet.result.psnr_db:.2f} dB; {there}). A sheet does "
        f"without {1 - sheet.bytes / whole.bytes:.0%} of the bytes as saved.",
        verdict="false" if whole.bytes > 2 * sheet.bytes else "partly",
    )  # fmt: skip


def _bar_claim(found: SetFindings) -> Claim:
    rate = RATES[found.subject.name][-1]
    named: dict[str, Sequence[Measured]] = {
        "conv, rate in the loss": found.rated[0].points, "conv, quantised after": front(found.conv),
        "PCA, same quantiser": front(found.pca), "PCA, equal steps": found.stepped.points,
        "JPEG, one sheet": found.rival("jpeg", "sheet"), "WebP, one sheet": found.rival("webp", "sheet"),
    }  # fmt: skip
    found_db = {label: at_rate(curve(points), rate) for label, points in named.items()}
    ours, others = list(found_db.values())[:2], list(found_db.values())[2:]
    best = max((value for value in ours if value is not None), default=None)
    beaten = [value for value in others if value is not None]
    words = ", ".join(f"{label} {'–' if value is None else f'{value:.2f}'}" for label, value in found_db.items())
    return Claim(
        claimed=f"The network is worth its bytes (our bar, since no figure exists: PCA, JPEG and WebP at {rate:.1f} "
        "bits per pixel).",
        found=f"{found.subject.label}, PSNR of the mean MSE in dB at {rate:.1f} bits per pixel: {words}.",
        verdict="open" if best is None or not beaten else "holds" if best > max(beaten)
        else "partly" if best > min(beaten) else "false",
    )  # fmt: skip


def _kind_claim(found: SetFindings) -> Claim:
    conv, dense, pca = (found.at_reference(models) for _, models in found.families())
    gain = conv.floats.psnr_db - dense.floats.psnr_db
    noise = [model.floats.psnr_db for model in (conv, *found.repeats) if model.plan.name == conv.plan.name]
    spread = f", with {stdev(noise):.2f} dB between seeds" if len(noise) > 1 else ""
    wins = sum(
        a.floats.psnr_db > b.floats.psnr_db for a, b in zip(found.conv, found.dense, strict=True)
    )  # fmt: skip
    matched = ""
    if found.matched:
        first, second = found.matched
        matched = (
            f" With near-equal parameters ({first.parameters:,} and {second.parameters:,}): "
            f"{first.floats.psnr_db:.2f} against {second.floats.psnr_db:.2f} dB."
        )
    return Claim(
        claimed=f"Convolutions make the better code. ({found.subject.label})",
        found=f"At {found.subject.reference} numbers {conv.floats.psnr_db:.2f} dB ({conv.parameters:,} parameters) "
        f"against {dense.floats.psnr_db:.2f} ({dense.parameters:,}){spread}; PCA has {pca.floats.psnr_db:.2f}. The "
        f"convolutional one is ahead at {wins} of {len(found.conv)} widths.{matched}",
        verdict="holds" if wins == len(found.conv) else "false" if wins == 0 and gain < 0 else "partly",
    )  # fmt: skip


def _loss_claim(found: SetFindings) -> Claim:
    other, own = found.cross_entropy, found.at_reference(found.conv)
    assert other is not None  # the caller has looked
    return Claim(
        claimed="Squared error or cross-entropy with logits, either will do.",
        found=f"On a network that ends in a sigmoid the latter would apply it twice. From logits it gives "
        f"{other.floats.psnr_db:.2f} dB and SSIM {other.floats.ssim:.4f}, squared error {own.floats.psnr_db:.2f} and "
        f"{own.floats.ssim:.4f} ({found.subject.label}, {found.subject.reference} numbers).",
        verdict="holds" if abs(other.floats.psnr_db - own.floats.psnr_db) < _ALIKE_DB else "partly",
    )  # fmt: skip


def _cluster_claim(found: SetFindings) -> Claim:
    codes = found.neighbours[found.at_reference(found.conv).plan.name]
    raw = found.neighbours[PIXELS]
    return Claim(
        claimed=f"Similar pictures lie together in the latent space. ({found.subject.label})",
        found=f"The {codes.k} nearest codes vote for the right class for {codes.accuracy:.1%} of the pictures, the "
        f"nearest pictures in pixels for {raw.accuracy:.1%}; chance is {codes.chance:.1%}.",
        verdict="holds" if codes.accuracy > max(raw.accuracy, 0.5) else "partly" if codes.accuracy > 2 * codes.chance
        else "false",
    )  # fmt: skip
