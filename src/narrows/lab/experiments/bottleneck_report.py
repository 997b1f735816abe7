"""The report of study bottleneck: what its plan takes for granted beside our figures, then what they rest on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from narrows.lab.experiments.base import Measured
from narrows.lab.experiments.bottleneck_claims import RATES, claims, curve
from narrows.lab.experiments.bottleneck_findings import PIXELS, Findings, SetFindings
from narrows.lab.experiments.bottleneck_parts import (
    bits_chart,
    bits_table,
    byte_chart,
    class_charts,
    epoch_table,
    every_point,
    front,
    header_table,
    learning,
    loss_table,
    neighbour_table,
    seed_table,
    similarity_chart,
    sweep_table,
    width_chart,
)
from narrows.lab.experiments.bottleneck_pictures import bottleneck_slider, epochs, same_bytes_plate, width_plate
from narrows.lab.experiments.rows import model_rows, point_rows, signed
from narrows.lab.measure.rates import at_rate, bd_rate_percent
from narrows.lab.report.document import Block, Report, Section
from narrows.lab.report.metrics import Measurement
from narrows.lab.report.table import Cell, Column, Table


def bottleneck_report(findings: Findings) -> Report:
    """The whole report, from what was measured."""
    sets = findings.sets
    epoch_rows = epoch_table(sets)
    learned: tuple[Block, ...] = tuple(learning(found) for found in sets)
    return Report(
        name="bottleneck",
        title="How few numbers, how few bytes",
        verdict=" ".join(_verdict(found) for found in sets),
        claims=tuple(claims(findings)),
        sections=(
            Section(title="Turn it", text=_TURN, blocks=tuple(bottleneck_slider(found) for found in sets)),
            Section(
                title="Numbers: the width of the bottleneck", text=_WIDTHS,
                blocks=(*(width_chart(found) for found in sets), *(_width_blocks(sets))),
            ),
            Section(title="Bits: quantised after training, and in it", text=_BITS, blocks=tuple(_bit_blocks(sets))),
            Section(
                title="Bytes: against JPEG, WebP and PCA", text=_BYTES.format(decoders=_decoders(sets)),
                blocks=tuple(_byte_blocks(sets)),
            ),
            Section(title="Do similar pictures lie together?", text=_CLASSES, blocks=tuple(_class_blocks(sets))),
            Section(
                title="Learning", text=_LEARNING,
                blocks=(
                    *learned, *(table for table in map(loss_table, sets) if table is not None),
                    *((epoch_rows,) if epoch_rows.rows else ()), *(epochs(found) for found in sets),
                ),
            ),
        ),
        command=findings.setting.command("bottleneck"),
        note=_note(findings),
        facts=tuple(
            f"{found.subject.label}: {len(found.data.train):,} training, {len(found.data.test):,} test pictures of "
            f"{found.subject.side} x {found.subject.side}"
            for found in sets
        ),
        metrics=tuple(line for found in sets for line in _metrics(found)),
    )  # fmt: skip


_TURN = (
    "The study wanted a slider over the bottleneck. Fewer numbers blur, fewer bits make the numbers coarse; both save "
    "bytes, and which saves more at what loss is the question of this page."
)
_WIDTHS = (
    "One network a width, trained on squared error, floats in the middle: what the width alone takes away. PCA needs "
    "no training and is what a network has to beat. On MNIST the dense network has one hidden layer, as wide as makes "
    "its parameters nearest to the convolutional one's. On CIFAR-10 such a layer would be narrower than the "
    "bottleneck, so there the dense network is the plan's 3072-m-3072 without one, and a pair of near-equal parameters"
    " stands beside it."
)
_BITS = (
    "After training each number gets 2^bits levels over its own range in training pictures, and the symbols are "
    "entropy coded with tables of each number's own. In the charts a line is one network and its points are numbers "
    "of bits: few numbers in many bits, or many in few? With the rate in the loss one network serves several rates: "
    "steps and tables are learned with it, rounding is additive noise in training, and numbers that are not worth "
    "their bits fall silent."
)
_BYTES = (
    "Rate is the size of files on disk, headers and all, decoded by a separate process, over the positions of the "
    "pictures. At this size a picture's own header decides everything, so every coder is shown by several rules: a "
    "sheet is one file for the whole test part, and so are all lines of networks and PCA; as saved and without tables "
    "are a file a picture. `quantised after` is the best of all widths and bits at each rate. The model is not in the "
    "rate; its decoder takes {decoders}."
)
_CLASSES = (
    "Codes of the whole test part, not quantised. A picture of points proves nothing: t-SNE makes groups out of "
    "little, and no compression follows from them. The share of codes whose nearest others are of their own class is a"
    " number."
)
_LEARNING = (
    "Validation pictures are held out of the training part and choose the epoch; the test part is read once, at the "
    "end. With the rate in the loss the squared error is the mean over all its qualities, so it is higher. The plan's "
    "cross-entropy would have met a sigmoid that is there already; here it is computed from what comes before the "
    "sigmoid."
)


def _decoders(sets: Sequence[SetFindings]) -> str:
    return " and ".join(
        f"{found.rated[0].decoder_bytes or 0:,} bytes ({found.subject.label}, rate in the loss)" for found in sets
    )


def _width_blocks(sets: Sequence[SetFindings]) -> Iterator[Block]:
    for found in sets:
        yield sweep_table(found)
        yield seed_table(found)
        yield width_plate(found)


def _bit_blocks(sets: Sequence[SetFindings]) -> Iterator[Block]:
    yield from (bits_chart(found) for found in sets)
    yield from (bits_table(found) for found in sets)


def _byte_blocks(sets: Sequence[SetFindings]) -> Iterator[Block]:
    for found in sets:
        yield byte_chart(found)
        yield similarity_chart(found)
        yield _rate_table(found)
        yield header_table(found)
        yield same_bytes_plate(found)
        yield every_point(found)


def _class_blocks(sets: Sequence[SetFindings]) -> Iterator[Block]:
    for found in sets:
        if found.neighbours:
            yield neighbour_table(found)
        yield from class_charts(found)


def _groups(found: SetFindings) -> list[tuple[str, Sequence[Measured]]]:
    conv, dense = found.rated
    return [
        ("PCA, equal steps", found.stepped.points),
        *((f"{label}, quantised after", front(models)) for label, models in found.families()),
        ("conv, rate in the loss", conv.points), ("dense, rate in the loss", dense.points),
        ("JPEG as saved", found.rival("jpeg", "each")), ("JPEG without tables", found.rival("jpeg", "abbreviated")),
        ("JPEG, one sheet", found.rival("jpeg", "sheet")), ("WebP as saved", found.rival("webp", "each")),
        ("WebP, one sheet", found.rival("webp", "sheet")),
    ]  # fmt: skip


def _rate_table(found: SetFindings) -> Table:
    rates = RATES[found.subject.name]
    columns = (
        Column(name="coder"), *(Column(name=f"at_{rate:g}", title=f"dB at {rate:g} bpp", form=".2f") for rate in rates),
        Column(name="bd_rate", title="bytes at equal PSNR, against PCA, %", form="+.1f"),
    )  # fmt: skip
    groups = _groups(found)
    anchor = curve(groups[0][1])
    rows: list[tuple[Cell, ...]] = []
    for label, points in groups:
        line = curve(points)
        change = None if points is groups[0][1] else bd_rate_percent(anchor, line).value
        rows.append((label, *(at_rate(line, rate) for rate in rates), change))
    return Table(
        columns=columns, rows=tuple(rows), caption=f"{found.subject.label}: PSNR of the mean MSE at equal rates",
        note="A dash: no such rate, or curves that hardly overlap.",
    )  # fmt: skip


def _verdict(found: SetFindings) -> str:
    conv, pca = found.at_reference(found.conv).floats, found.at_reference(found.pca).floats
    ours = curve(found.rated[0].points)
    changes = {
        label: bd_rate_percent(curve(points), ours).value
        for label, points in (("PCA", found.stepped.points), ("a sheet of WebP", found.rival("webp", "sheet")))
    }
    words = " and ".join(f"**{signed(change)} %** against {label}" for label, change in changes.items() if change)
    return (
        f"{found.subject.label}: {found.subject.reference} numbers keep {conv.psnr_db:.2f} dB through the "
        f"convolutional network, {pca.psnr_db:.2f} through PCA. "
        + (f"Bytes at equal PSNR, the rate in the loss: {words}." if words else "Its bytes meet no other coder's.")
    )


def _metrics(found: SetFindings) -> Iterator[Measurement]:
    for model in found.models():
        yield from model_rows(model)
    for name, model, points in (
        ("alone", found.rated[0], found.alone.rated), ("alone", found.stepped, found.alone.linear),
    ):  # fmt: skip
        for point in points:
            yield from point_rows(f"{model.plan.name}-{name}", point, seed=0)
    for group in found.rivals:
        for rival in group:
            yield from point_rows(f"{found.subject.name}-{rival.codec}", rival)
    for name, neighbours in found.neighbours.items():
        yield Measurement(
            model=f"{found.subject.name}-{name}" if name == PIXELS else name, metric=f"neighbours_{neighbours.k}",
            value=neighbours.accuracy, pictures=neighbours.codes,
        )  # fmt: skip


def _note(findings: Findings) -> str:
    lines = []
    for found in findings.sets:
        recipe, rated = found.conv[0].plan.recipe, found.rated[0].plan.recipe
        assert recipe is not None and rated is not None  # both are trained
        lines.append(
            f"{found.subject.label}: {found.data.note}. {recipe.epochs} epochs in batches of {recipe.batch}, "
            f"{rated.epochs} with the rate in the loss, Adam at {recipe.rate:g} falling to a hundredth over the run; "
            f"{1 + len(found.repeats) // 2} seed(s) of the networks with {found.subject.reference} numbers, one of all "
            "others."
        )
    return (
        f"{' '.join(lines)} The plan asks for 20 to 50 epochs and names neither rate, nor batch, nor seed; "
        "small batches make up for some of the epochs that were left out for their time. So were widths of 512, "
        "and of 256 for digits: at those a code has a sixth or a third as many numbers as the picture. Numbers of "
        "5 and 7 bits lie between those shown. The loss is squared error unless said. MS-SSIM is not defined at "
        "this size."
    )
