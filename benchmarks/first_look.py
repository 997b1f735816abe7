"""A first look: one photograph through narrows, beside JPEG, WebP and AVIF at the nearest PSNR.

    python benchmarks/first_look.py [PHOTO]

narrows encodes the photograph into first_look.nrws and a separate call decodes it from those bytes on disk. Each
opponent gets the quality number whose PSNR is nearest to narrows' (bisection). Prints bytes, bits per pixel, PSNR and
times, and writes first_look.png: crops of the original and of every decoded picture, side by side. Without PHOTO: a
photograph of scikit-image.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measure import Pixels, nearest_quality, psnr_db
from opponents import AVIF, JPEG, WEBP, Opponent
from PIL import Image, ImageDraw, ImageFont, ImageOps, UnidentifiedImageError

import narrows

CROP = 112  # pixels of the original on each side of a crop
ZOOM = 2
CROPS = 2
GAP = 8
LINE = 17  # pixels from one line of text to the next


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one codec made of the photograph."""

    label: str
    setting: str
    size_bytes: int
    decoded: Pixels
    psnr_db: float
    encode_s: float
    decode_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", nargs="?", type=Path, metavar="PHOTO", help="default: a photograph of scikit-image")
    parser.add_argument("-q", "--quality", type=float, default=50, help="narrows' quality, 0 to 100 (default: 50)")
    parser.add_argument(
        "-p", "--profile", default="default", help="a profile's name or folder (default: the shipped one)"
    )
    parser.add_argument("-o", "--out", type=Path, default=Path(), metavar="FOLDER", help="default: the current folder")
    options = parser.parse_args()

    name, original = load_photo(options.photo)
    height, width, _ = original.shape
    print(f"{name}: {width} x {height} pixels, {original.size} bytes as raw RGB\n")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        results = [run_narrows(original, options.out / "first_look.nrws", options.quality, options.profile)]
    except (narrows.NarrowsError, OSError) as error:
        raise SystemExit(f"first_look: {error}") from None
    for opponent in (JPEG, WEBP, AVIF):
        if opponent.available:
            results.append(run_opponent(opponent, original, results[0].psnr_db))
        else:
            print(f"(this Pillow has no {opponent.label})")
    print(table(results, width * height))
    sheet = side_by_side(original, results)
    sheet.save(options.out / "first_look.png")
    print(f"\nwritten: {options.out / 'first_look.nrws'}, {options.out / 'first_look.png'}")


def load_photo(path: Path | None) -> tuple[str, Pixels]:
    """Name and pixels (H, W, 3), turned the way its metadata says; SystemExit with a reason if it cannot be read."""
    if path is None:
        from skimage import data

        return "coffee (scikit-image)", np.asarray(data.coffee())
    try:
        with Image.open(path) as image:
            return path.name, np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except FileNotFoundError:
        reason = "no such file"
    except IsADirectoryError:
        reason = "is a folder; name one photograph"
    except UnidentifiedImageError:
        reason = "is not a picture that Pillow can read"
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = str(error)
    raise SystemExit(f"first_look: {path}: {reason}")


def run_narrows(original: Pixels, file: Path, quality: float, profile: str) -> Result:
    """Encode into a file, decode from the file; both timed after the network is loaded."""
    codec = narrows.Codec(profile)
    codec.decode(codec.encode(original[:64, :64]))  # loads the network
    start = time.perf_counter()
    file.write_bytes(codec.encode(original, quality=quality))
    encoded = time.perf_counter()
    decoded = np.asarray(codec.decode(file))
    done = time.perf_counter()
    return Result(
        label="narrows",
        setting=f"quality {quality:g}",
        size_bytes=file.stat().st_size,
        decoded=decoded,
        psnr_db=psnr_db(original, decoded),
        encode_s=encoded - start,
        decode_s=done - encoded,
    )


def run_opponent(opponent: Opponent, original: Pixels, target_db: float) -> Result:
    """The opponent at the quality whose PSNR is nearest to the target."""
    quality = nearest_quality(
        lambda q: psnr_db(original, opponent.decode(opponent.encode(original, q))), target_db, 0, opponent.highest
    )
    start = time.perf_counter()
    data = opponent.encode(original, quality)
    encoded = time.perf_counter()
    decoded = opponent.decode(data)
    done = time.perf_counter()
    return Result(
        label=opponent.label,
        setting=f"quality {quality}, {opponent.settings}",
        size_bytes=len(data),
        decoded=decoded,
        psnr_db=psnr_db(original, decoded),
        encode_s=encoded - start,
        decode_s=done - encoded,
    )


def table(results: Sequence[Result], pixels: int) -> str:
    lines = [
        f"{'':8} {'bytes':>9} {'bits/pixel':>10} {'PSNR, dB':>9} {'narrows/this':>12} {'encode':>9} {'decode':>9}  "
        "setting"
    ]
    for r in results:
        share = f"{100 * results[0].size_bytes / r.size_bytes:.1f} %" if r is not results[0] else ""
        lines.append(
            f"{r.label:8} {r.size_bytes:9d} {8 * r.size_bytes / pixels:10.3f} {r.psnr_db:9.2f} {share:>12} "
            f"{1000 * r.encode_s:6.0f} ms {1000 * r.decode_s:6.0f} ms  {r.setting}"
        )
    return "\n".join(lines)


def side_by_side(original: Pixels, results: Sequence[Result]) -> Image.Image:
    """A sheet of crops: a column a codec, the original first; a row a place in the photograph."""
    height, width, _ = original.shape
    columns = [("original", f"{width} x {height}", original)] + [
        (r.label, f"{r.size_bytes} bytes, {r.psnr_db:.2f} dB", r.decoded) for r in results
    ]
    places = busiest_places(original, CROPS)
    crop_w, crop_h = min(CROP, width), min(CROP, height)
    cell_w, cell_h = max(crop_w * ZOOM, 190), crop_h * ZOOM
    head = 2 * LINE + GAP
    size = (GAP + len(columns) * (cell_w + GAP), GAP + head + len(places) * (cell_h + GAP))
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(13)
    for number, (title, caption, pixels) in enumerate(columns):
        left = GAP + number * (cell_w + GAP)
        draw.text((left, GAP), title, "black", font)
        draw.text((left, GAP + LINE), caption, "dimgray", font)
        for row, (top, start) in enumerate(places):
            crop = Image.fromarray(pixels[top : top + crop_h, start : start + crop_w])
            crop = crop.resize((crop_w * ZOOM, cell_h), Image.Resampling.NEAREST)
            sheet.paste(crop, (left, GAP + head + row * (cell_h + GAP)))
    return sheet


def busiest_places(pixels: Pixels, count: int) -> list[tuple[int, int]]:
    """(top, left) of the crops with the most detail, none of which overlap; fewer where the photograph has no room."""
    height, width, _ = pixels.shape
    grey = pixels.mean(axis=2)
    found: list[tuple[float, int, int]] = []
    for top in range(0, max(height - CROP, 0) + 1, CROP // 4):
        for left in range(0, max(width - CROP, 0) + 1, CROP // 4):
            part = grey[top : top + CROP, left : left + CROP]
            detail = (
                np.abs(np.diff(part, axis=0)).mean() + np.abs(np.diff(part, axis=1)).mean()
                if min(part.shape) > 1
                else 0.0
            )
            found.append((float(detail), top, left))
    places: list[tuple[int, int]] = []
    for apart in (2 * CROP, CROP):  # far apart shows more of the photograph; a small one has no room for it
        for _, top, left in sorted(found, reverse=True):
            if len(places) < count and all(max(abs(top - y), abs(left - x)) >= apart for y, x in places):
                places.append((top, left))
    return places


if __name__ == "__main__":
    main()
