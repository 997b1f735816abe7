"""What becomes of odd picture files: python benchmarks/odd_files.py FOLDER -o docs/results/odd_files.md

Every file of the folder goes through the command line, `narrows encode` and `narrows decode`, and what comes back is
compared with what Pillow by itself reads of the file: size, mode, alpha, ICC profile, EXIF, XMP. A row a file: how it
came back, or the line that the command printed and its exit code. If the folder holds INDEX.md, a table whose first
column is a file's name and third what is odd about it, that is told too. Exit code 1 if a promise of docs/api.md is
broken.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from narrows.cli.main import run
from narrows.compare.memory import peak_mib
from narrows.search import psnr_db

INDEX = "INDEX.md"
CONVERTED = ("CMYK", "LAB")  # their ICC profile speaks of samples that no longer are
METADATA = (("ICC", "icc_profile"), ("EXIF", "exif"), ("XMP", "xmp"))
PLAIN = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK")  # what Pillow converts to 8 bits as we do


@dataclass(frozen=True, kw_only=True)
class Row:
    """One file: whether a picture came back, what is said of it, and the promises that were broken."""

    name: str
    coded: bool
    words: str
    warnings: list[str]
    broken: list[str] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/results/odd_files.md"))
    parser.add_argument("-q", "--quality", type=float, default=90)
    parser.add_argument("-p", "--profile", default="default")
    arguments = parser.parse_args()
    begun = time.perf_counter()
    names = sorted(path.name for path in arguments.folder.iterdir() if path.is_file() and path.name != INDEX)
    options = ["-q", f"{arguments.quality:g}", "-p", arguments.profile]
    with tempfile.TemporaryDirectory() as work, contextlib.chdir(arguments.folder):
        rows = [row_of(name, Path(work), options) for name in names]
    seconds = time.perf_counter() - begun
    oddities = read_index(arguments.folder / INDEX)
    words = f"{seconds:.0f} s and at most {peak_mib() or float('nan'):.0f} MiB for all of them"
    arguments.output.write_text(page(rows, oddities, arguments.quality, words), encoding="utf-8")
    broken = [f"{row.name}: {fault}" for row in rows for fault in row.broken]
    print("\n".join(broken) or f"{len(rows)} files, no promise is broken: {arguments.output}")
    return 1 if broken else 0


def row_of(name: str, work: Path, options: list[str]) -> Row:
    """Code one file of the current folder and bring it back."""
    coded, back = work / "x.nrws", work / "x.png"
    code, lines = command("encode", name, "-o", str(coded), "--force", *options)
    if code != 0:
        *remarks, last = lines
        return Row(name=name, coded=False, words=f"{code}: `{last}`", warnings=remarks)
    profile = options[options.index("-p") :]
    code, more = command(
        "decode", str(coded), "-o", str(back), "--force", *(profile if "default" not in profile else [])
    )
    if code != 0:
        return Row(name=name, coded=False, words=f"decode, {code}: `{more[-1]}`", warnings=lines, broken=more)
    words, broken = compared(Path(name), back)
    prefix = f"narrows: {name}: warning: "
    return Row(name=name, coded=True, words=words, warnings=[x.removeprefix(prefix) for x in lines], broken=broken)


def command(*words: str) -> tuple[int, list[str]]:
    """Run the command line here: its exit code and the lines on stderr."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(words)
    return code, err.getvalue().splitlines()


def compared(source: Path, back: Path) -> tuple[str, list[str]]:
    """What came back, in words, and what should have been kept and was not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(source) as before, Image.open(back) as after:
            before.load()
            after.load()
            return _words(before, after), list(_broken(before, after))


def _words(before: Image.Image, after: Image.Image) -> str:
    words = [f"{after.width} x {after.height} {before.mode} as {after.mode}"]
    if before.mode in PLAIN:
        words.append(f"{_visible_psnr(before, after):.1f} dB")
    if after.mode.endswith("A"):
        words.append("alpha exact")
    words += [f"{name} {len(after.info[key])} bytes" for name, key in METADATA if after.info.get(key)]
    orientation = before.getexif().get(0x0112, 1)
    if before.format == "TIFF" and before.info.get("exif") is None:
        return "; ".join(words)
    return "; ".join([*words, f"orientation {orientation}"] if orientation != 1 else words)


def _broken(before: Image.Image, after: Image.Image) -> Iterator[str]:
    if before.size != after.size:
        yield f"is {after.size}, was {before.size}"
    grey = before.mode in ("1", "L", "LA", "F") or before.mode.startswith("I")
    expected = ("L" if grey else "RGB") + ("A" if before.has_transparency_data else "")
    if after.mode != expected:
        yield f"is {after.mode}, should be {expected}"
    elif before.has_transparency_data and before.size == after.size:
        was_alpha, alpha = (np.asarray(image.convert("RGBA").getchannel("A")) for image in (before, after))
        if not np.array_equal(was_alpha, alpha):
            yield "alpha is not the same"
    for name, key in METADATA:
        kept, was = after.info.get(key), before.info.get(key)
        if name == "ICC" and before.mode in CONVERTED:
            was = None
        if name == "EXIF" and before.format == "TIFF":
            continue  # made of the file's tags
        if kept != was:
            yield f"{name} is not the same: {len(was or b'')} bytes, {len(kept or b'')} came back"


def _visible_psnr(before: Image.Image, after: Image.Image) -> float:
    """Over what is not fully transparent."""
    first, second = (np.asarray(image.convert("RGBA")) for image in (before, after))
    seen = first[:, :, 3] > 0
    return psnr_db(first[seen][None, :, :3], second[seen][None, :, :3])


def read_index(path: Path) -> dict[str, str]:
    """What is odd about each file, from a table in Markdown; nothing if there is none."""
    if not path.is_file():
        return {}
    cells = [[cell.strip() for cell in line.strip("| \n").split("|")] for line in path.read_text().splitlines()]
    return {row[0]: row[2] for row in cells if len(row) >= 3}


def page(rows: list[Row], oddities: dict[str, str], quality: float, cost: str) -> str:
    """The results as Markdown."""
    coded = sum(row.coded for row in rows)
    counts = f"{len(rows)} files, mostly from the test suites of other programs: {coded} come back as pictures, "
    lines = [
        "# Odd picture files",
        "",
        f"Made by `python benchmarks/odd_files.py FOLDER` at quality {quality:g}. {counts}{len(rows) - coded} are "
        f"refused. It took {cost}.",
        "",
        "What came back was compared with what Pillow by itself reads of the file: the size, the mode, every sample of "
        "alpha, ICC profile, EXIF and XMP byte for byte. PSNR is what the coding cost, over what can be seen; small "
        "drawings of few pixels come back soft, as the README says. A refusal is its exit code and the line that "
        "`narrows encode` printed.",
        "",
        "| file | what is odd | came back, or exit code and line | warnings |",
        "| --- | --- | --- | --- |",
    ]
    for row in rows:
        cells = [row.name, oddities.get(row.name, ""), row.words, "; ".join(row.warnings)]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
