"""A comparison made up on the spot, with every kind of thing that a report may have to say."""

from __future__ import annotations

import math

from narrows.compare.records import Coder, Comparison, PictureRecord, Point, Published, Speed, SpeedReport

PICTURES = ("boat", "gate & <wall>", "hills")
FACTORS = {"narrows": 1.0, "jpeg420": 2.0, "avif420": 0.95, "avif444": 0.9, "webp": 1.2}
"""Bytes at equal quality, narrows being 1; pictures differ a little."""


def coder(name: str, label: str, family: str, *, lossless: bool = False) -> Coder:
    return Coder(
        name=name,
        label=label,
        family=family,
        options=f"{label} as usual",
        version=f"lib{family} 1.0",
        lossless=lossless,
    )


CODERS = (
    coder("narrows", "narrows", "narrows"),
    coder("jpeg420", "JPEG 4:2:0", "jpeg"),
    coder("avif420", "AVIF 4:2:0", "avif"),
    coder("avif444", "AVIF 4:4:4", "avif"),
    coder("webp", "WebP", "webp"),
    coder("tiff-lzw", "TIFF, LZW", "tiff", lossless=True),
)


def point(name: str, picture: str, setting: float, psnr_db: float, size: int) -> Point:
    return Point(
        coder=name,
        version="1",
        setting=setting,
        picture=picture,
        digest=f"{PICTURES.index(picture):016x}",
        width=384,
        height=256,
        bytes=size,
        mse=255**2 / 10 ** (psnr_db / 10),
        psnr_db=psnr_db,
        ssim=1 - 10 ** (-psnr_db / 30),
        ms_ssim=1 - 10 ** (-psnr_db / 20),
        ssimulacra2=3 * psnr_db - 40,
    )


def points() -> tuple[Point, ...]:
    """Seven settings each, 26 to 41 dB: 6 dB cost a factor of 2 in bytes and a little more for the others."""
    found = []
    for place, picture in enumerate(PICTURES):
        for name, factor in FACTORS.items():
            for step in range(7):
                psnr_db = 26 + 2.5 * step
                rate = 0.15 * 2 ** ((psnr_db - 26) / 4.5) * factor ** (1 + 0.1 * step)
                own = 1 if name == "narrows" else 1 + 0.08 * (place - 1)  # narrows wins on one picture, loses on one
                found.append(point(name, picture, 10.0 * (step + 1), psnr_db, round(384 * 256 * rate * own / 8)))
        found.append(
            Point(
                coder="tiff-lzw",
                version="1",
                setting=0,
                picture=picture,
                digest=f"{place:016x}",
                width=384,
                height=256,
                bytes=200_000,
                mse=0,
                psnr_db=math.inf,
                ssim=1,
                ms_ssim=1,
                ssimulacra2=100,
            )
        )
    return tuple(found)


def speed_report() -> SpeedReport:
    figures = {"narrows": (6.0, 7.0), "jpeg420": (40.0, 80.0), "avif420": (3.0, 79.0), "webp": (3.1, 50.0)}
    return SpeedReport(
        processor="A Processor",
        cores=2,
        threads=2,
        rounds=5,
        pictures=3,
        megapixels=0.295,
        memory_megapixels=0.098,
        load_average=0.5,
        reference="avif420",
        cold_start_s=0.08,
        speeds=tuple(
            Speed(
                coder=name,
                setting=50,
                bpp=0.5,
                psnr_db=33,
                encode_mps=encode,
                decode_mps=decode,
                encode_ratio=encode / 3,
                decode_ratio=decode / 79,
                encode_memory_mib=100,
                decode_memory_mib=None,
            )
            for name, (encode, decode) in figures.items()
        ),
    )


def comparison(*, speed: bool = True, published: bool = True) -> Comparison:
    """Three pictures, five lossy coders and a lossless one; one name would be markup if nobody escaped it."""
    curve = Published(
        name="An Old <b>Standard</b>",
        kind="traditional",
        bpp=(0.1, 0.2, 0.4, 0.8, 1.6),
        psnr_db=(27.0, 30.0, 33.0, 36.0, 39.0),
        ms_ssim=None,
        source="a paper",
        notes="as printed",
    )
    return Comparison(
        title="A few pictures",
        command="narrows compare pictures -o report",
        metric="psnr",
        pictures=tuple(
            PictureRecord(name=name, width=384, height=256, digest=f"{place:016x}")
            for place, name in enumerate(PICTURES)
        ),
        coders=CODERS,
        points=points(),
        published=(curve,) if published else (),
        drawn=(curve.name,) if published else (),
        speed=speed_report() if speed else None,
        left_out=(("broken.png", "is damaged"),),
        missing=("jxl: needs pillow-jxl-plugin; install with: pip install pillow-jxl-plugin",),
        versions={"Python": "3.12.1"},
    )
