"""Comparisons with figures that are known beforehand: every coder's rate is a factor of one curve."""

from __future__ import annotations

from collections.abc import Mapping

from narrows.compare.records import Coder, Comparison, PictureRecord, Point, Speed, SpeedReport

LABELS = {
    "narrows": ("narrows", "narrows"),
    "jpeg420": ("JPEG 4:2:0", "jpeg"),
    "webp": ("WebP", "webp"),
    "avif420": ("AVIF", "avif"),
    "avif444": ("AVIF 4:4:4 for PSNR", "avif"),
    "tiff-lzw": ("TIFF LZW", "tiff"),
}


def coder(name: str) -> Coder:
    label, family = LABELS[name]
    return Coder(
        name=name, label=label, family=family, options=f"options of {name}", version=f"{name} 1.0",
        lossless=family == "tiff",
    )  # fmt: skip


def point(name: str, picture: PictureRecord, setting: float, bpp: float, db: float) -> Point:
    """A point of a coder; the metrics follow from the PSNR."""
    small = min(picture.width, picture.height) <= 160
    return Point(
        coder=name, version=f"{name} 1.0", setting=setting, picture=picture.name, digest=picture.digest,
        width=picture.width, height=picture.height, bytes=round(bpp * picture.width * picture.height / 8),
        mse=65025 / 10 ** (db / 10), psnr_db=db, ssim=1 - 10 ** (-db / 25),
        ms_ssim=None if small else 1 - 10 ** (-db / 20), ssimulacra2=2 * db - 10,
    )  # fmt: skip


def pictures(count: int, width: int = 1000, height: int = 800) -> tuple[PictureRecord, ...]:
    return tuple(PictureRecord(name=f"p{i:02d}", width=width, height=height, digest=f"{i:016x}") for i in range(count))


def comparison(
    factors: Mapping[str, float], *, count: int = 3, steps: int = 10, sway: Mapping[str, float] | None = None
) -> Comparison:
    """Coders whose rates are `factors` times one curve from 25 dB on, 2 dB a setting; lossless ones at that many bpp.

    `sway` is by how much a coder's factor changes from picture to picture, up and down in turn.
    """
    records = pictures(count)
    points = []
    for name, factor in factors.items():
        for index, picture in enumerate(records):
            swayed = factor * (1 + (sway or {}).get(name, 0.0) * (1 if index % 2 else -1))
            if coder(name).lossless:
                points.append(point(name, picture, 0.0, factor, 200.0))
                continue
            for step in range(steps):
                points.append(point(name, picture, float(step), swayed * 0.1 * 1.3**step, 25.0 + 2 * step))
    return Comparison(
        title="three things",
        command="narrows compare things -o report",
        metric="psnr",
        pictures=records,
        coders=tuple(coder(name) for name in factors),
        points=tuple(points),
        versions={"Python": "3.11"},
    )


def speed(name: str, encode: float, decode: float, memory: float | None) -> Speed:
    return Speed(
        coder=name, setting=1.0, bpp=0.5, psnr_db=33.0, encode_mps=encode, decode_mps=decode,
        encode_ratio=encode / 3, decode_ratio=decode / 70, encode_memory_mib=memory, decode_memory_mib=memory,
    )  # fmt: skip


def speed_report(*speeds: Speed) -> SpeedReport:
    return SpeedReport(
        processor="a processor", cores=2, threads=2, rounds=5, pictures=3, megapixels=2.4, memory_megapixels=0.8,
        load_average=None, reference="avif420", speeds=speeds, cold_start_s=0.3,
    )  # fmt: skip
