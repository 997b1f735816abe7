"""Whether a process that codes pictures all day stays as it is: its memory, and its results under load.

    python benchmarks/soak.py [--rounds 1000] [--megapixels 3] [--at-once 8] [-p PROFILE] [-o docs/results/soak.csv]

Soak: pictures of all shapes and modes, made on the spot, each encoded and decoded (and now and then encoded to a
target, or decoded in part) by one Codec in this process. After each the process's resident memory is noted. The first
quarter of the rounds is warm-up; of the rest the mean of the second half is compared with that of the first, since what
is held after one call follows the size of its picture.

At once: some of these pictures once more, by so many threads on one Codec at the same time, each thread in an order of
its own. Files, symbols and pixels must be those of a single thread.

Writes the rounds as CSV and the memory over them as a figure beside it, .svg. Exit code 1 if memory grew by more than
5 %, or if anything came out otherwise. Needs /proc and the [compare] extra.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from PIL import Image

from narrows import container, tiles
from narrows.codec import Codec
from narrows.compare.canvas import WIDE, add_plot, look, new_figure, titles
from narrows.compare.memory import peak_mib
from narrows.compare.palette import LIGHT
from narrows.compare.svg import svg_file
from narrows.limits import Limits

GROWTH = 0.05
MODES = ("RGB", "RGB", "RGB", "L", "RGBA", "LA")
AT_ONCE_PICTURES = 24

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Round:
    """One picture, coded and decoded, and the memory of the process after it."""

    round: int
    seconds: float
    width: int
    height: int
    mode: str
    quality: float
    bytes: int
    resident_mib: float


@dataclass(frozen=True, kw_only=True)
class Task:
    """A picture with metadata, and how it is coded."""

    image: Image.Image
    quality: float
    effort: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--megapixels", type=float, default=3, help="of the largest picture")
    parser.add_argument("--at-once", type=int, default=8, metavar="THREADS")
    parser.add_argument("-p", "--profile", default="default")
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/results/soak.csv"))
    arguments = parser.parse_args()
    codec = Codec(arguments.profile, threads=1)
    begun = time.perf_counter()
    rounds = []
    for each in soak(codec, arguments.rounds, arguments.megapixels):
        rounds.append(each)
        if len(rounds) % 50 == 0:
            print(f"{each.round} of {arguments.rounds}: {each.resident_mib:.0f} MiB", file=sys.stderr, flush=True)
    seconds = time.perf_counter() - begun
    first, second = halves(rounds)
    grown = statistics.fmean(second) / statistics.fmean(first) - 1
    write_csv(arguments.output, rounds)
    title = "Resident memory of one process over the pictures that it coded"
    arguments.output.with_suffix(".svg").write_text(svg_file(drawn(rounds), title), encoding="utf-8")
    pixels = sum(each.width * each.height for each in rounds)
    print(
        f"{len(rounds)} pictures, {pixels / 1e6:.0f} megapixels, encoded and decoded in {seconds:.0f} s; after the "
        f"warm-up {told(first)}, then {told(second)}: {grown:+.1%}; peak {peak_mib():.0f} MiB"
    )
    tasks = [task_of(random.Random(number), arguments.megapixels / 4) for number in range(AT_ONCE_PICTURES)]
    compared, different = at_once(codec, tasks, arguments.at_once)
    print(f"{arguments.at_once} threads at once: {compared} results compared, {different} are different")
    return 0 if grown <= GROWTH and different == 0 else 1


def soak(codec: Codec, count: int, megapixels: float) -> Iterator[Round]:
    """Code `count` pictures of at most so many megapixels, one after the other."""
    dice = random.Random(1)
    for number in range(1, count + 1):
        task = task_of(dice, megapixels)
        begun = time.perf_counter()
        data = codec.encode(task.image, quality=task.quality, effort=task.effort)
        width, height = task.image.size
        if codec.decode(data).size != task.image.size:
            raise RuntimeError(f"round {number}: another size came back")
        if number % 10 == 0:
            codec.decode(data, region=(width // 3, height // 3, width - 2 * (width // 3), height - 2 * (height // 3)))
        if number % 25 == 0:
            codec.encode(task.image, target_bytes=len(data))
        yield Round(
            round=number,
            seconds=round(time.perf_counter() - begun, 3),
            width=width,
            height=height,
            mode=task.image.mode,
            quality=task.quality,
            bytes=len(data),
            resident_mib=round(resident_mib(), 1),
        )


def task_of(dice: random.Random, megapixels: float) -> Task:
    """A picture of any shape up to so many megapixels; small ones are as frequent as large ones."""
    pixels = 2 ** dice.uniform(0, np.log2(megapixels * 1e6))
    width = max(1, round((pixels * 2 ** dice.uniform(-2, 2)) ** 0.5))
    height = max(1, round(pixels / width))
    mode = dice.choice(MODES)
    image = Image.fromarray(waves(height, width, len(Image.new(mode, (1, 1)).getbands()), dice))
    if dice.random() < 0.5:
        image.info["icc_profile"] = dice.randbytes(dice.randrange(1, 4000))
    effort = 7 if dice.random() < 0.05 else 5
    return Task(image=image, quality=round(dice.uniform(0, 100), 1), effort=effort)


def waves(height: int, width: int, channels: int, dice: random.Random) -> Pixels:
    """A smooth picture with edges and some noise, uint8 (height, width) or (height, width, channels)."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    planes = []
    for _ in range(channels):
        a, b, c = (dice.uniform(0.005, 0.06) for _ in range(3))
        planes.append(128 + 60 * np.sin(a * x + b * y) + 40 * np.cos(c * (x - 2 * y)) + 30 * ((x // 48 + y // 64) % 2))
    noise = np.random.default_rng(dice.randrange(2**32)).normal(0, 4, (height, width, channels))
    return np.clip(np.stack(planes, -1) + noise, 0, 255).astype(np.uint8).squeeze(axis=2 if channels == 1 else ())


def resident_mib() -> float:
    """The resident set of this process now, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def halves(rounds: Sequence[Round]) -> tuple[list[float], list[float]]:
    """The memory in both halves of what follows the warm-up, in MiB."""
    after = [each.resident_mib for each in rounds[len(rounds) // 4 :]]
    return after[: len(after) // 2], after[len(after) // 2 :]


def told(memory: Sequence[float]) -> str:
    return f"{statistics.fmean(memory):.0f} MiB (at most {max(memory):.0f})"


def at_once(codec: Codec, tasks: Sequence[Task], threads: int) -> tuple[int, int]:
    """All tasks by each of so many threads: how many results there were, and how many differ from one thread's."""
    expected = [results_of(codec, task) for task in tasks]
    outcomes: list[bool] = []
    start = threading.Barrier(threads)

    def work(seed: int) -> None:
        order = list(range(len(tasks)))
        random.Random(seed).shuffle(order)
        start.wait()
        for number in order:
            found = results_of(codec, tasks[number])
            outcomes.append(all(map(np.array_equal, found, expected[number])))

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return len(outcomes), threads * len(tasks) - sum(outcomes)


def results_of(codec: Codec, task: Task) -> list[NDArray[np.generic]]:
    """What coding a picture gives: the file, every strip's symbols, and the pixels."""
    data = codec.encode(task.image, quality=task.quality, effort=task.effort)
    file = container.read(data, Limits())
    stride = codec.profile.manifest.hyper_stride
    bounds = tiles.Box(top=0, bottom=tiles.padded(file.height, stride), left=0, right=tiles.padded(file.width, stride))
    boxes = tiles.strips(bounds)
    symbols = [codec.read_symbols(strip, box, file.quality)[0] for strip, box in zip(file.strips, boxes, strict=True)]
    return [np.frombuffer(data, np.uint8), *symbols, np.asarray(codec.decode(data))]


def write_csv(path: Path, rounds: Sequence[Round]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Round))
        writer.writerows(astuple(each) for each in rounds)


def drawn(rounds: Sequence[Round]) -> Figure:
    """Memory over the rounds; the warm-up is grey."""
    warm = len(rounds) // 4
    numbers, memory = [each.round for each in rounds], [each.resident_mib for each in rounds]
    with look(WIDE):
        figure = new_figure(WIDE.width, 280)
        axes = add_plot(figure, 46, 46, 16, 28)
        axes.plot(numbers[: warm + 1], memory[: warm + 1], color=LIGHT["published"], linewidth=1.5)
        axes.plot(numbers[warm:], memory[warm:], color=LIGHT["narrows"], linewidth=1.5)
        axes.set_xlim(0, len(rounds))
        axes.set_ylim(0, max(memory) * 1.12)
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.annotate("warm-up", (warm / 2, max(memory) * 1.05), ha="center", size=WIDE.font - 1, color=LIGHT["muted"])
        titles(axes, "resident memory, MiB", "pictures encoded and decoded")
    return figure


if __name__ == "__main__":
    sys.exit(main())
