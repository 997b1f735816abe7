"""The codec: each direction told whole, in order.

    encode   picture -> analysis (tiles, edges padded) -> y, z -> z_hat = round(z)
             per strip: quantise -> symbols and rows -> z_hat and symbols as bytes (strip_coder.py)
    decode   per strip: z_hat; per context step: scales -> rows -> symbols; dequantise -> y_hat
             synthesis (tiles) -> crop -> picture

Only integers stand between the bytes and the symbols. Strips are coded one after the other, since one run of a graph
already uses all threads and the coder itself takes a few percent of the time.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from numbers import Real
from typing import TypeAlias

import numpy as np
from PIL import Image

from narrows import container, heap, search
from narrows.container import DIGEST_BYTES, STRIP_PIXELS, Container, Mode, Strip, strip_rows
from narrows.errors import CorruptError, OptionError, ProfileError
from narrows.inputs import Source, named, read_source
from narrows.limits import Limits
from narrows.pixels import (
    Picture,
    Samples,
    decode_alpha,
    edge_part,
    encode_alpha,
    from_planes,
    read_picture,
    to_image,
    to_planes,
)
from narrows.pixels import Source as PictureSource
from narrows.profile import Profile, find
from narrows.refining import Refinement
from narrows.runtime import Latents, Networks, Symbols
from narrows.strip_coder import StripCoder
from narrows.tiles import Box, Tile, bands, padded, strips

Progress: TypeAlias = Callable[[float], None]
Region: TypeAlias = tuple[int, int, int, int]


class Codec:
    """Encodes and decodes with one profile. Reusable, and threads may share it.

    `profile` is "default", a shipped profile's name or a folder; `threads` is how many threads one call uses, None for
    all cores of this process; `limits` bounds what a file may ask for. The profile is read and checked here
    (ProfileError), the networks are loaded by the first call that needs them.
    """

    def __init__(
        self, profile: str | os.PathLike[str] = "default", threads: int | None = None, limits: Limits | None = None
    ) -> None:
        self.limits = limits or Limits()
        self.profile = Profile.load(find(profile))
        self._networks = Networks(self.profile, threads)
        self._strips = StripCoder(self.profile, self._networks)
        self._refine = Refinement(self.profile, self._networks.threads)

    def limited(self, limits: Limits) -> Codec:
        """This codec under other limits; the networks are shared."""
        codec = copy(self)
        codec.limits = limits
        return codec

    # ---------------------------------------------------------------- encode

    def encode(
        self,
        image: PictureSource,
        quality: float = 75,
        effort: int = 5,
        target_bytes: int | None = None,
        target_psnr: float | None = None,
        metadata: bool = True,
        progress: Progress | None = None,
    ) -> bytes:
        """The picture as the bytes of a narrows file.

        image         a path, the bytes of a picture file, an open one, a PIL image, or uint8 (H, W) or (H, W, 1 to 4)
        quality       0..100, whole or not; rounded to the nearest of the profile's qualities
        effort        0: plain rounding. 1 to 5: the profile's own dead zone; they do not differ yet. 6, 7, 8: each
                      strip is decoded, analysed again and corrected by the difference, 1, 2, 4 times; the best trial by
                      bits and squared error is kept. 6 takes about four times as long as 5. 9: the latents are
                      refined by the gradient of the decoded picture, which takes about fifty decodings and needs the
                      [lab] extra and a network of `narrows lab train` (else OptionError). Decoding never changes.
        target_bytes  instead of a quality: the highest one whose file has at most so many bytes, metadata and all.
                      OptionError, with the least size possible, if there is none.
        target_psnr   instead of a quality: the lowest one that reaches so many dB over all colour samples, each trial
                      decoded. If the highest does not, it is used and a UserWarning says what it reached.
        metadata      keep ICC, EXIF and XMP
        progress      called with the share done, rising to 1.0

        PictureError, LimitError, OptionError; ProfileError for a colour picture and a profile of grey ones;
        ConversionWarning if the picture had to be converted.
        """
        index = self._quality_index(quality)
        _check_encode_options(effort, target_bytes, target_psnr)
        with named(image):
            picture = read_picture(image, self.limits)
            self._check_width(picture.samples.shape[1])
            work = _Work(
                picture=picture,
                alpha=None if picture.alpha is None else encode_alpha(picture.alpha),
                metadata=metadata,
                effort=effort,
                report=_Report(progress),
            )
            if target_bytes is not None:
                data = self._encode_to_size(work, target_bytes)
            elif target_psnr is not None:
                data = self._encode_to_psnr(work, target_psnr)
            else:
                data = self._encode_at(work, index)
        work.report.finish()
        bounds = self._padded(work.picture.samples.shape[1], work.picture.samples.shape[0])
        self._give_back(bounds)
        return data

    def _check_width(self, width: int) -> None:
        stride = self.profile.manifest.hyper_stride
        if strip_rows(width) % stride:
            raise ProfileError(
                f"the picture is {width} pixels wide, this profile codes {STRIP_PIXELS // stride} at most; "
                "make it smaller, cut it, or use another profile"
            )

    def _encode_to_size(self, work: _Work, target_bytes: int) -> bytes:
        qualities = self.profile.manifest.qualities
        work.report.expect_trials(qualities)
        data, fits = search.highest_that_fits(partial(self._encode_at, work), qualities, target_bytes)
        if not fits:
            raise OptionError(
                f"target_bytes is {target_bytes}, the lowest quality needs {len(data)} bytes; "
                "allow more, leave out the metadata or make the picture smaller"
            )
        return data

    def _encode_to_psnr(self, work: _Work, target_psnr: float) -> bytes:
        qualities = self.profile.manifest.qualities
        work.report.expect_trials(qualities)

        def psnr(data: bytes) -> float:
            samples, error = work.picture.samples, 0
            for box, part in self.decode_parts(container.read(data, self.limits)):
                error += search.squared_error(samples[_slices(box)], part.samples)
            return search.psnr_db_of(error, samples.size)

        data, reached = search.lowest_that_reaches(partial(self._encode_at, work), psnr, qualities, target_psnr)
        if reached < target_psnr:
            message = f"target_psnr is {target_psnr} dB, the highest quality reaches {reached:.2f} dB"
            warnings.warn(message, stacklevel=3)
        return data

    def _encode_at(self, work: _Work, index: int) -> bytes:
        """The file at one quality index."""
        picture = work.picture
        work.report.begin_trial()
        coded = []
        height, width = picture.samples.shape[:2]
        above: Latents | None = None
        for part in self._parts(work, index):
            trials = self._trials(work, replace(part, above=above))
            best = min(trials, key=lambda trial: trial.cost)
            coded.append(best.strip)
            above = None if best.y_hat is None else best.y_hat[:, :, -self._reach() :]
            work.report.within_trial(part.box.bottom / height)
        return container.write(
            Container(
                mode=picture.mode,
                width=width,
                height=height,
                quality=index,
                profile=self.profile.digest[:DIGEST_BYTES],
                strips=tuple(coded),
                joint=self.profile.side_context is not None,
                alpha=work.alpha,
                icc=picture.icc if work.metadata else None,
                exif=picture.exif if work.metadata else None,
                xmp=picture.xmp if work.metadata else None,
            )
        )

    def _analyse(self, samples: Samples, index: int) -> Iterator[tuple[Box, Latents, Symbols | None]]:
        """Each strip of the padded picture with its y (1, m, h, w) and z_hat (1, hz, h', w').

        y is good until the next one is asked for: its memory is used again.
        """
        manifest = self.profile.manifest
        unit, hyper = manifest.latent_stride, manifest.hyper_stride
        bounds = self._padded(samples.shape[1], samples.shape[0])
        for area, y, z in self._latents(samples, bounds, bounds, index):
            limit = manifest.hyper_limit
            z_hat = np.clip(np.rint(z), -limit, limit).astype(np.int32) if manifest.hyper_channels else None
            for box in strips(area):
                rows, _ = box.within(area, unit)
                hyper_rows, _ = box.within(area, hyper)
                yield box, y[:, :, rows], None if z_hat is None else z_hat[:, :, hyper_rows]

    def _latents(self, samples: Samples, core: Box, bounds: Box, index: int) -> Iterator[tuple[Box, Latents, Latents]]:
        """y and z of `core`, a part of the picture that is `bounds` when padded, band by band; y's memory is reused."""
        manifest = self.profile.manifest
        unit, hyper = manifest.latent_stride, manifest.hyper_stride
        y = np.empty((0, 0, 0, 0), np.float32)
        for band in bands(core, bounds, manifest.analysis_halo, hyper):
            area = Box(top=band[0].core.top, bottom=band[0].core.bottom, left=core.left, right=core.right)
            shape = (1, manifest.latent_channels, area.height // unit, area.width // unit)
            y = y if y.shape == shape else np.empty(shape, np.float32)
            z = np.empty((1, manifest.hyper_channels, area.height // hyper, area.width // hyper), np.float32)
            for tile in band:
                planes = to_planes(edge_part(samples, *tile.outer.within(bounds)), manifest.input_channels)
                tile_y, tile_z = self._networks.analysis(planes, index)
                _place(y, tile_y, tile, area, unit)
                if tile_z is not None:
                    _place(z, tile_z, tile, area, hyper)
            yield area, y, z

    def _parts(self, work: _Work, index: int) -> Iterator[_Part]:
        """The strips as the analysis gives them; with the beginning of the next one where trials are compared."""
        analysed = self._analyse(work.picture.samples, index)
        if work.effort < search.LEAST_COMPARED:
            yield from (_Part(index=index, box=box, y=y, z_hat=z_hat) for box, y, z_hat in analysed)
            return
        held: _Part | None = None
        for box, y, z_hat in analysed:
            part = _Part(index=index, box=box, y=y.copy(), z_hat=z_hat)
            if held is not None:
                yield replace(held, below=part.y[:, :, : self._reach()])
            held = part
        if held is not None:
            yield held

    def _reach(self) -> int:
        """How many rows of latents of its neighbours a strip's decoded picture depends on."""
        manifest = self.profile.manifest
        return padded(manifest.synthesis_halo, manifest.hyper_stride) // manifest.latent_stride

    def _trials(self, work: _Work, part: _Part) -> Iterator[_Trial]:
        """The strip's latents as the analysis gives them, coded; then as its decoded picture says they should be.

        If y decodes to a picture whose own analysis is y + e, then y - e is a better start: the difference between the
        two analyses is about what the synthesis lost. Only trials that are compared are decoded and get a cost.
        """
        dead_zone = 0.0 if work.effort == 0 else self.profile.manifest.dead_zone
        if work.effort < search.LEAST_COMPARED:
            yield _Trial(strip=self._code(part, part.y, dead_zone)[1])
            return
        target, passes = part.y, search.FEEDBACK_PASSES.get(work.effort, 0)
        for number in range(passes + 1):
            trial, y_hat, decoded = self._judged(work, part, *self._code(part, target, dead_zone))
            yield trial
            if number < passes:
                target = y_hat + part.y - self._analysed_again(work, part, decoded)
        if work.effort == search.REFINED:
            yield self._judged(work, part, *self._code(part, self._refined(work, part), 0.0))[0]

    def _code(self, part: _Part, y: Latents, dead_zone: float) -> tuple[Symbols, Strip]:
        """Symbols of latents, and the streams that hold them."""
        symbols, rows = self._networks.quantise(y, part.z_hat, part.index, dead_zone)
        return symbols, self._strips.encode(symbols, rows, part.z_hat, part.index)

    def _judged(self, work: _Work, part: _Part, symbols: Symbols, strip: Strip) -> tuple[_Trial, Latents, Samples]:
        """The strip (H, W, C) decoded between its neighbours, the next one as if it were not quantised; its cost."""
        manifest, box = self.profile.manifest, part.box
        original = work.picture.samples[box.top : box.bottom]
        y_hat = self._networks.dequantise(symbols, part.z_hat, part.index)
        around = np.concatenate([y for y in (part.above, y_hat, part.below) if y is not None], axis=2)
        top = 0 if part.above is None else part.above.shape[2] * manifest.latent_stride
        bounds = Box(top=0, bottom=around.shape[2] * manifest.latent_stride, left=0, right=box.width)
        wanted = Box(top=top, bottom=top + original.shape[0], left=0, right=original.shape[1])
        parts = _LatentParts(lambda _: around, bounds.height, manifest.latent_stride)
        decoded = np.empty_like(original)
        for place, samples in self._synthesise(parts, wanted, bounds, part.index, original.shape[2]):
            decoded[_slices(place)] = samples
        error = search.squared_error(original, decoded) / original.shape[2]
        cost = 8 * len(strip.latents) + search.ERROR_WORTH * manifest.lambdas[part.index] * error
        return _Trial(strip=strip, y_hat=y_hat, cost=cost), y_hat, decoded

    def _analysed_again(self, work: _Work, part: _Part, decoded: Samples) -> Latents:
        """y of the picture with one strip replaced by what was decoded."""
        samples, halo, box = work.picture.samples, self.profile.manifest.analysis_halo, part.box
        above, below = samples[max(box.top - halo, 0) : box.top], samples[box.bottom : box.bottom + halo]
        seen = np.concatenate((above, decoded, below))
        first = box.top - len(above)
        whole = Box(top=0, bottom=padded(len(seen), self.profile.manifest.hyper_stride), left=0, right=box.width)
        ((_, y, _),) = self._latents(seen, box.moved(-first, 0), whole, part.index)  # a strip is one band
        return y

    def _refined(self, work: _Work, part: _Part) -> Latents:
        manifest, box, (height, width) = self.profile.manifest, part.box, work.picture.samples.shape[:2]
        above, below = (0 if y is None else y.shape[2] * manifest.latent_stride for y in (part.above, part.below))
        samples = edge_part(
            work.picture.samples, slice(box.top - above, box.bottom + below), slice(box.left, box.right)
        )
        return self._refine(
            to_planes(samples, manifest.input_channels),
            (min(box.bottom + below, height) - (box.top - above), width),
            (part.above, part.y, part.below),
            part.z_hat,
            part.index,
            lambda share: work.report.within_trial((box.top + share * box.height) / height),
        )

    # ---------------------------------------------------------------- decode

    def decode(self, data: Source, region: Region | None = None, progress: Progress | None = None) -> Image.Image:
        """The picture of a narrows file: bytes, a path or an open binary file.

        `region` is (x, y, width, height) in pixels and lies inside the picture (else OptionError); it equals that part
        of the whole picture within one level. `progress` is called with the share done, rising to 1.0. FormatError,
        LimitError, or ProfileError if the file needs another one.
        """
        with named(data):
            file = container.read(read_source(data, self.limits), self.limits)
            return self.decode_container(file, region, progress)

    def decode_container(
        self, file: Container, region: Region | None = None, progress: Progress | None = None
    ) -> Image.Image:
        """The same for a file that container.read has checked."""
        wanted = _region(region, file.width, file.height)
        image = Image.new(file.mode.name, (wanted.width, wanted.height))
        for box, part in self.decode_parts(file, region, progress):
            image.paste(to_image(part), (box.left, box.top))
        for key, content in (("icc_profile", file.icc), ("exif", file.exif), ("xmp", file.xmp)):
            if content is not None:
                image.info[key] = content
        return image

    def decode_parts(
        self, file: Container, region: Region | None = None, progress: Progress | None = None
    ) -> Iterator[tuple[Box, Picture]]:
        """The picture, or the region, in parts that cover it once, each with its place; no whole lies in memory."""
        self._check_decodable(file)
        wanted = _region(region, file.width, file.height)
        bounds = self._padded(file.width, file.height)
        boxes = list(strips(bounds))
        latents = _LatentParts(
            lambda number: self._decode_strip(file.strips[number], boxes[number], file.quality),
            strip_rows(bounds.width),
            self.profile.manifest.latent_stride,
        )
        alpha = None if file.alpha is None else decode_alpha(file.alpha, file.width, file.height)[_slices(wanted)]
        done, pixels = 0, wanted.height * wanted.width
        try:
            for box, samples in self._synthesise(latents, wanted, bounds, file.quality, file.mode.channels):
                yield box, Picture(samples=samples, alpha=None if alpha is None else alpha[_slices(box)])
                done += box.height * box.width
                if progress is not None:
                    progress(done / pixels)
        finally:
            del latents
            self._give_back(bounds)

    def read_symbols(self, strip: Strip, box: Box, index: int) -> tuple[Symbols, Symbols | None]:
        """The integers of one strip: symbols (1, m, h, w) and z_hat (1, hz, h', w'), the same on every machine."""
        return self._strips.decode(strip, box, index)

    def _decode_strip(self, strip: Strip, box: Box, index: int) -> Latents:
        """y_hat (1, m, h, w) of one strip."""
        symbols, z_hat = self.read_symbols(strip, box, index)
        return self._networks.dequantise(symbols, z_hat, index)

    def _synthesise(
        self, latents: _LatentParts, wanted: Box, bounds: Box, index: int, channels: int
    ) -> Iterator[tuple[Box, Samples]]:
        """The samples (H, W, channels) of the box `wanted` of the padded picture `bounds`, tile by tile.

        Each with its place, counted from the corner of `wanted`.
        """
        manifest = self.profile.manifest
        core = wanted.rounded(manifest.hyper_stride)
        for band in bands(core, bounds, manifest.synthesis_halo, manifest.hyper_stride):
            for tile in band:
                planes = self._networks.synthesis(latents.part(tile.outer), index)
                inner = tile.core.overlap(wanted)
                rows, columns = inner.within(tile.outer)
                part = from_planes(planes[:, :, rows, columns], inner.height, inner.width, channels)
                yield inner.moved(-wanted.top, -wanted.left), part

    def _padded(self, width: int, height: int) -> Box:
        """A picture of this size with its edges repeated until the networks can take it whole."""
        stride = self.profile.manifest.hyper_stride
        return Box(top=0, bottom=padded(height, stride), left=0, right=padded(width, stride))

    def _give_back(self, bounds: Box) -> None:
        """Memory that was freed, if so many pixels have been coded since the last time that it is worth while."""
        if heap.is_due(bounds.height * bounds.width):
            self._networks.release_memory()
            heap.give_back()

    def _check_decodable(self, file: Container) -> None:
        manifest = self.profile.manifest
        if file.profile != self.profile.digest[:DIGEST_BYTES]:
            raise ProfileError(
                f"needs the profile {file.profile.hex()}, this codec has {self.profile.digest[:DIGEST_BYTES].hex()} "
                f"({manifest.name} {manifest.version}); name the right one: -p FOLDER, or profile=FOLDER in Python"
            )
        if file.quality >= manifest.qualities:
            raise CorruptError(f"has the quality index {file.quality}, its profile has {manifest.qualities} qualities")
        if file.joint != (self.profile.side_context is not None):  # H12
            raise CorruptError(f"has a format version that does not go with schema {manifest.schema} (rule H12)")
        if (file.strips[0].side is None) != (self.profile.side_tables is None):  # C7
            raise CorruptError("has side chunks and its profile has no hyper-latent, or the other way round")
        if strip_rows(file.width) % manifest.hyper_stride:  # D7
            raise CorruptError(f"is {file.width} pixels wide, too wide for its profile (rule D7)")
        if file.mode.channels > manifest.input_channels:
            raise CorruptError(f"has the mode {Mode(file.mode).name}, its profile codes grey pictures only")

    # ---------------------------------------------------------------- verify

    def verify(self, data: Source, deep: bool = False) -> None:
        """Raise the error that `decode` would: of the container alone, or with `deep` of every symbol and pixel."""
        with named(data):
            file = container.read(read_source(data, self.limits), self.limits)
            if deep:
                for _ in self.decode_parts(file):
                    pass

    def _quality_index(self, quality: object) -> int:
        if isinstance(quality, bool) or not isinstance(quality, Real) or not 0 <= float(quality) <= 100:
            raise OptionError(f"quality is {quality!r}, it must be a number from 0 to 100")
        return round(float(quality) * (self.profile.manifest.qualities - 1) / 100)


class _LatentParts:
    """y_hat of a picture. Strips are decoded on demand and forgotten when a later tile does not need them."""

    def __init__(self, decode: Callable[[int], Latents], strip: int, unit: int) -> None:
        self._decode = decode
        self._strip = strip  # rows of pixels
        self._unit = unit
        self._strips: dict[int, Latents] = {}

    def part(self, box: Box) -> Latents:
        """The latents of a tile; tiles come from the top to the bottom."""
        needed = range(box.top // self._strip, (box.bottom - 1) // self._strip + 1)
        self._strips = {number: self._strips[number] for number in needed if number in self._strips}
        columns = slice(box.left // self._unit, box.right // self._unit)
        parts = []
        for number in needed:
            if number not in self._strips:
                self._strips[number] = self._decode(number)
            start = number * self._strip
            rows = slice(max(box.top - start, 0) // self._unit, min(box.bottom - start, self._strip) // self._unit)
            parts.append(self._strips[number][:, :, rows, columns])
        return np.concatenate(parts, axis=2)


@dataclass(frozen=True, kw_only=True)
class _Part:
    """One strip to be coded at one quality index, between the last rows of latents above it and the first below it."""

    index: int
    box: Box
    y: Latents
    z_hat: Symbols | None
    above: Latents | None = None
    below: Latents | None = None


@dataclass(frozen=True, kw_only=True)
class _Trial:
    """A strip as coded; if it is compared with others, y_hat, and bits + what its squared error is worth."""

    strip: Strip
    y_hat: Latents | None = None
    cost: float = 0.0


@dataclass(frozen=True, kw_only=True)
class _Work:
    """What every trial of one `encode` shares."""

    picture: Picture
    alpha: bytes | None
    metadata: bool
    effort: int
    report: _Report


class _Report:
    """Progress over one or several trials, as a share that never falls."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._trials = 1
        self._begun = 0

    def expect_trials(self, qualities: int) -> None:
        self._trials = qualities.bit_length()  # of a bisection, at most

    def begin_trial(self) -> None:
        self._begun += 1

    def within_trial(self, share: float) -> None:
        if self._progress is not None:
            self._progress(min((self._begun - 1 + min(share, 1.0)) / self._trials, 1.0))

    def finish(self) -> None:
        if self._progress is not None:
            self._progress(1.0)


def _slices(box: Box) -> tuple[slice, slice]:
    return slice(box.top, box.bottom), slice(box.left, box.right)


def _place(whole: Latents, part: Latents, tile: Tile, area: Box, unit: int) -> None:
    """Copy a tile's core from what a transform gave for it into the array that covers `area`."""
    rows, columns = tile.core.within(area, unit)
    part_rows, part_columns = tile.core.within(tile.outer, unit)
    whole[:, :, rows, columns] = part[:, :, part_rows, part_columns]


def _region(region: Region | None, width: int, height: int) -> Box:
    if region is None:
        return Box(top=0, bottom=height, left=0, right=width)
    whole = isinstance(region, tuple | list) and len(region) == 4
    if not whole or not all(isinstance(side, int) and not isinstance(side, bool) for side in region):
        raise OptionError(f"region is {region!r}, it must be four whole numbers (x, y, width, height)")
    x, y, columns, rows = region
    if min(x, y) < 0 or min(columns, rows) < 1 or x + columns > width or y + rows > height:
        raise OptionError(f"region {x},{y},{columns},{rows} is not inside the picture of {width} x {height} pixels")
    return Box(top=y, bottom=y + rows, left=x, right=x + columns)


def _check_encode_options(effort: object, target_bytes: object, target_psnr: object) -> None:
    if isinstance(effort, bool) or not isinstance(effort, int) or not 0 <= effort <= 9:
        raise OptionError(f"effort is {effort!r}, it must be a whole number from 0 to 9")
    if target_bytes is not None and target_psnr is not None:
        raise OptionError("target_bytes and target_psnr exclude each other; give one")
    if target_bytes is not None and (
        isinstance(target_bytes, bool) or not isinstance(target_bytes, int) or target_bytes < 1
    ):
        raise OptionError(f"target_bytes is {target_bytes!r}, it must be a whole number of at least 1")
    if target_psnr is not None:
        proper = isinstance(target_psnr, Real) and not isinstance(target_psnr, bool)
        if not proper or not (math.isfinite(float(target_psnr)) and float(target_psnr) > 0):  # type: ignore[arg-type]
            raise OptionError(f"target_psnr is {target_psnr!r}, it must be a positive number of dB")
