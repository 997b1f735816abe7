"""What must hold for any bytes, one function a target; each raises something else than a NarrowsError if it does not.

    container   the header and the chunks: read, or refused; the second reader of docs/ says the same, and what is read
                is written again byte for byte
    entropy     the streams under valid checksums: the integers of a file that decodes are coded to the same bytes
    profile     the loader of profiles, and the networks of those that load
    pillow      Image.open and load, and a parser that is fed
    cli         the command: its exit code, and files that are whole or not there

Files are those of tests/golden/profile (versions 1 and 2) and tests/golden/v3/profile (version 3), and are decoded with
the one that they name. The profile target begins with those of tests/toy_profile.py and tests/golden/v3/profile.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import random
import shutil
import sys
import tempfile
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import ModuleType

sys.path.extend(str(Path(__file__).resolve().parents[1] / folder) for folder in ("tests", "tests/hostile"))

import fuzz_files
import fuzz_profiles
import numpy as np
from craft import PROFILE_3
from PIL import Image, ImageFile, UnidentifiedImageError

import narrows
import narrows.pillow
from narrows import container, profiles, shared
from narrows.cli.main import run
from narrows.codec import Codec
from narrows.container import Container, Mode, Strip
from narrows.errors import FormatError, LimitError, NarrowsError, ProfileError
from narrows.limits import Limits
from narrows.tiles import Box, padded, strips

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden" / "profile"
GOLDEN_3 = ROOT / "tests" / "golden" / "v3" / "profile"
SMALL = Limits(max_pixels=2**18, max_bytes=2**20, max_metadata=2**16)
CLI_LIMITS = [f"--max-{name}={getattr(SMALL, f'max_{name}')}" for name in ("pixels", "bytes", "metadata")]
SUFFIXES = ("png", "tif", "webp", "avif", "jpg", "ppm")
_REFERENCE_PIXELS = 2**13  # the second decoder is slow
_REFERENCE_SHARE = 16


@dataclass(frozen=True, kw_only=True)
class Target:
    """One target: what is done with some bytes, where to begin, and how bytes become other bytes."""

    check: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    mutated: Callable[[bytes, random.Random, fuzz_files.Change | None], bytes]
    rss_mib: int = 1024


def install() -> Path:
    """Let this process ship the profiles of the golden files, and no other; the folder that says so."""
    folder = Path(tempfile.mkdtemp(prefix="narrows-fuzz-"))
    (folder / "tiny").symlink_to(GOLDEN)
    (folder / "tiny-3").symlink_to(GOLDEN_3)
    (folder / "DEFAULT").write_text("tiny")
    profiles._SHIPPED = folder
    shared._codec.cache_clear()
    return folder


# ---------------------------------------------------------------------------------------------------------------------


def check_container(data: bytes) -> None:
    limits = Limits(max_pixels=2**32, max_bytes=2**40, max_metadata=2**40)  # none of those that the other reader lacks
    try:
        file = container.read(data, limits)
    except FormatError:
        file = None
    assert (file is not None) == _reference_reads(data), "the reference decoder says otherwise"
    if file is None:
        with contextlib.suppress(FormatError, LimitError):
            narrows.info(data)
        return
    header = container.read_header(data, limits)
    metadata = container.read_metadata(data[: header.metadata_end], header)
    assert (metadata.icc, metadata.exif, metadata.xmp) == (file.icc, file.exif, file.xmp)
    if not any(chunk.type > container.ChunkType.XMP for chunk in header.chunks):
        assert container.write(file) == data, "the same file has two spellings"
    with contextlib.suppress(LimitError):
        assert narrows.info(data).width == file.width
        narrows.verify(data)


def check_entropy(data: bytes) -> None:
    try:
        file = container.read(data, SMALL)
        codec = _codec(_folder(file.profile))
        image = codec.limited(SMALL).decode_container(file)
    except NarrowsError as error:
        if isinstance(error, FormatError):
            _compare_with_reference(data, None)
        return
    manifest = codec.profile.manifest
    bounds = Box(
        top=0,
        bottom=padded(file.height, manifest.hyper_stride),
        left=0,
        right=padded(file.width, manifest.hyper_stride),
    )
    for strip, box in zip(file.strips, strips(bounds), strict=True):
        symbols, z_hat = codec.read_symbols(strip, box, file.quality)
        assert z_hat is not None
        assert _coded(codec, symbols, z_hat, file.quality) == strip, "the same integers have two streams"
    _compare_with_reference(data, image)


def check_profile(data: bytes) -> None:
    base = _bases()[data[0] % len(_bases()) if data else 0]
    folder = Path(tempfile.mkdtemp(prefix="narrows-fuzz-"))
    try:
        fuzz_profiles.patched(base, folder, data[1:])
        with contextlib.suppress(ProfileError, FormatError):
            _use(folder)
    finally:
        shutil.rmtree(folder)


def check_pillow(data: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # Pillow's word about its own limit
        _check_pillow(data)


def _check_pillow(data: bytes) -> None:
    opened = partial(Image.open, formats=["NARROWS"])  # else five bytes may be a bitmap, and Pillow finds it cut
    with contextlib.suppress(UnidentifiedImageError), _of_pillow(), opened(io.BytesIO(data)) as image:
        if image.width * image.height <= SMALL.max_pixels:
            image.load()
            assert image.mode in ("L", "LA", "RGB", "RGBA")
    with _of_pillow():
        narrows.pillow.NarrowsImageFile(io.BytesIO(data), limits=SMALL).verify()
    parser = ImageFile.Parser()
    with contextlib.suppress(UnidentifiedImageError), _of_pillow():
        for at in range(0, len(data), 97):
            parser.feed(data[at : at + 97])


def check_cli(data: bytes) -> None:
    choice = zlib.crc32(data)
    with tempfile.TemporaryDirectory(prefix="narrows-fuzz-") as folder:
        source, result = Path(folder, "file.nrws"), Path(folder, f"out.{SUFFIXES[choice // 4 % len(SUFFIXES)]}")
        source.write_bytes(data)
        command = (
            ["info"],
            ["verify", "--json"],
            ["verify", "--deep", "--threads=1"],
            ["decode", "-o", str(result), "--threads=1"],
        )[choice % 4]
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run([*command, str(source), *CLI_LIMITS])
        refused = code == 2 and "cannot hold this picture" in err.getvalue()  # WebP ends at 16,383 pixels a side
        assert refused or code in (0, 3, 4, 5), f"exit code {code}: {err.getvalue()}"
        assert "fault in narrows" not in err.getvalue(), err.getvalue()
        assert len(err.getvalue()) < 10_000
        assert result.exists() == (code == 0 and command[0] == "decode")
        try:
            container.read(data, SMALL)
        except NarrowsError:
            assert code or command[0] == "info"
        assert {path.name for path in Path(folder).iterdir()} <= {source.name, result.name}


# ---------------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _of_pillow() -> Iterator[None]:
    """Errors of the plugin pass by if they are those that people catch around Pillow; any other is a finding."""
    try:
        yield
    except NarrowsError as error:
        if not isinstance(error, OSError | SyntaxError | Image.DecompressionBombError):
            raise AssertionError(f"{type(error).__name__} is no error of Pillow's") from error


def _use(folder: Path) -> None:
    """All that is done with a profile: load it, encode a picture, decode what came of it, and the empty file."""
    codec = Codec(folder, threads=1)
    manifest = codec.profile.manifest
    channels = manifest.input_channels
    side = b"" if codec.profile.side_tables is not None else None
    if manifest.hyper_stride > 64 or manifest.latent_channels > 512:
        return  # as large as it says, not more: SECURITY.md
    file = Container(
        mode=Mode.L if channels == 1 else Mode.RGB,
        width=20,
        height=17,
        quality=manifest.qualities - 1,
        profile=codec.profile.digest[: container.DIGEST_BYTES],
        strips=(Strip(side=side, latents=b""),),
        joint=codec.profile.side_context is not None,
    )
    with contextlib.suppress(FormatError):  # in version 3 no words may say a hyper-latent that is too large
        codec.decode(container.write(file))
    samples = (np.arange(20 * 17 * channels) * 37 % 251).astype(np.uint8).reshape(17, 20, channels)
    codec.decode(codec.encode(samples, quality=50, effort=0))


@cache
def _codec(folder: Path) -> Codec:
    return Codec(folder, threads=1)


def _folder(digest: bytes) -> Path:
    """The profile that a file names; if it is none of the two, one that refuses it."""
    return GOLDEN_3 if digest == PROFILE_3 else GOLDEN


@cache
def _bases() -> tuple[Path, ...]:
    from toy_profile import write_colour_profile, write_grey_profile

    folder = Path(tempfile.mkdtemp(prefix="narrows-fuzz-"))
    return write_grey_profile(folder / "grey"), write_colour_profile(folder / "colour"), GOLDEN_3


@cache
def _reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("narrows_reference_decoder", ROOT / "docs" / "reference_decoder.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _reference_reads(data: bytes) -> bool:
    reference = _reference()
    try:
        reference.File(data)
    except reference.InvalidError:
        return False
    return True


def _compare_with_reference(data: bytes, image: Image.Image | None) -> None:
    """The second decoder refuses what is refused, and gives the same pixels within one level; of some small files."""
    reference = _reference()
    if zlib.crc32(data) % _REFERENCE_SHARE:
        return
    try:
        file = reference.File(data)
        if file.width * file.height > _REFERENCE_PIXELS:
            return
        pixels, _, _ = reference.decode(data, _folder(file.profile))
    except reference.InvalidError:
        assert image is None, "the reference decoder refuses it"
        return
    assert image is not None, "the reference decoder reads it"
    found = np.asarray(image).reshape(pixels.shape).astype(int)
    assert np.abs(found - pixels).max() <= 1, "the reference decoder gives another picture"


def _coded(codec: Codec, symbols: np.ndarray, z_hat: np.ndarray, quality: int) -> Strip:
    """The strip that these integers are coded to."""
    seen, rows = np.zeros_like(symbols), np.zeros(symbols.shape, np.uint8)
    for step, mask in enumerate(codec._strips._order.masks(*symbols.shape[2:])):
        now = mask.reshape(symbols.shape) == 1
        rows[now] = codec._networks.scales(step, z_hat, seen, quality)[now]
        seen[now] = symbols[now]
    return codec._strips.encode(symbols, rows, z_hat, quality)


def _file_seeds() -> list[bytes]:
    """The golden files and the hostile ones, those that are not too long."""
    folders = (GOLDEN.parent, GOLDEN_3.parent, ROOT / "tests" / "hostile")
    found = [path for folder in folders for path in folder.glob("*.nrws")]
    return [path.read_bytes() for path in sorted(found) if path.stat().st_size < 4096]


def _profile_seeds() -> list[bytes]:
    return [bytes((number,)) + seed for number, base in enumerate(_bases()) for seed in fuzz_profiles.seeds(base)]


def _mutated_profile(data: bytes, draw: random.Random, change: fuzz_files.Change | None) -> bytes:
    """Another profile. Often one more of its files is changed: as it was it adds nothing, and no corpus keeps it."""
    number = data[0] % len(_bases()) if data else 0
    patches = data[1:]
    if draw.random() < 0.5 or not patches:
        patches = draw.choice(fuzz_profiles.seeds(_bases()[number])) + (patches if draw.random() < 0.5 else b"")
    return bytes((number,)) + fuzz_profiles.mutated(patches, draw, change)


TARGETS = {
    "container": Target(check=check_container, seeds=_file_seeds, mutated=fuzz_files.mutated),
    "entropy": Target(check=check_entropy, seeds=_file_seeds, mutated=partial(fuzz_files.mutated, streams_only=True)),
    "profile": Target(check=check_profile, seeds=_profile_seeds, mutated=_mutated_profile, rss_mib=4096),
    "pillow": Target(check=check_pillow, seeds=_file_seeds, mutated=fuzz_files.mutated),
    "cli": Target(check=check_cli, seeds=_file_seeds, mutated=fuzz_files.mutated),
}
