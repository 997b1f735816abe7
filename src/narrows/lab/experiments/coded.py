"""One network of an experiment: trained, exported as a profile, coded into real files, measured. Nothing is done twice.

What lies in the folder of the result:

    output/runs/NAME-sSEED/        train_study's own folder
    output/profiles/NAME-sSEED/    the profile
    output/files/NAME-sSEED/       the test pictures as files
    output/measured/NAME-sSEED/    what was measured on them (kept.py)
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from narrows.codec import Codec
from narrows.errors import OptionError
from narrows.lab.data import Dataset
from narrows.lab.experiments.base import Indices, Pictures, Setting, Shown, crc, evenly
from narrows.lab.experiments.kept import kept
from narrows.lab.measure.arrays import picture_pixels
from narrows.lab.measure.files import code_each, code_sheet, decoder_bytes
from narrows.lab.measure.quality import Quality, measure
from narrows.lab.measure.sheets import from_sheet, to_sheet
from narrows.lab.nets.base import Geometry, StudyNetwork
from narrows.lab.nets.sizes import macs, parameters
from narrows.lab.study.grid import reconstructed, sample_latents
from narrows.lab.study.profile import export_study
from narrows.lab.study.quantiser import SWEEP_BITS, Steps, uniform_sweep
from narrows.lab.study.settle import settled
from narrows.lab.study.training import Recipe, Trained, train_study
from narrows.profile import Profile
from narrows.profiles import MANIFEST

_SWEPT_VALUES = 2**24
"""Latent numbers that a channel's range is taken from, at most."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How one network of an experiment comes to its figures.

    name    of its folders: small letters, digits, hyphens; no other plan of the experiment has it
    label   for people
    build   the network, drawn under the recipe's seed; where there is no recipe, as it is used
    recipe  how it is trained (its seed is replaced by the run's); None: there is nothing to train, as with a PCA
    bits    numbers of bits that its latents are quantised to after training, where no rate was in the loss
    steps   from the network: how its latents are quantised, instead of `bits`
    names   of the qualities that `steps` gives, for people; (): by the step of the first channel
    rule    "each": a file a picture; "sheet": one file for all (cells only); None: not coded, floats alone
    coded   how many of the test pictures become files, evenly spread; None: all
    fitted  how many training pictures the tables are fitted to, at most
    watch   how many validation pictures are kept after each epoch (Trained.strip)
    """

    name: str
    label: str
    build: Callable[[], StudyNetwork]
    recipe: Recipe | None
    bits: tuple[int, ...] = SWEEP_BITS
    steps: Callable[[StudyNetwork], Steps] | None = None
    names: tuple[str, ...] = ()
    rule: Literal["each", "sheet"] | None = "each"
    coded: int | None = None
    fitted: int = 1000
    watch: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Point:
    """Test pictures as files at one quality of a profile, and how they came back from the files.

    setting  for people: "4 bits", "lambda 0.01"
    indices  which pictures of the test part were coded
    bytes    of all files on the disk; bpp: their bits over the positions of all coded pictures
    """

    profile: Path
    quality: int
    setting: str
    rule: str
    bytes: int
    bpp: float
    indices: Indices
    result: Quality
    files: tuple[Path, ...]
    shape: tuple[int, ...]

    def decoded(self, places: Indices | None = None) -> Pictures:
        """The pictures at these places among `indices` (None: all), decoded from their files once more."""
        codec = Codec(self.profile)
        chosen = np.arange(len(self.indices)) if places is None else places
        if self.rule == "each":
            return np.stack([np.asarray(codec.decode(self.files[place])) for place in chosen])
        empty = np.zeros((len(self.indices), *self.shape), np.uint8)  # the layout follows from the sizes alone
        layout = to_sheet(empty, codec.profile.manifest.latent_stride).layout
        return from_sheet(np.asarray(codec.decode(self.files[0])), layout)[chosen]

    def shown(self, place: int) -> Shown:
        """One picture and its bytes; under the rule "sheet", its share of the sheet's bytes."""
        size = self.files[place].stat().st_size if self.rule == "each" else self.bytes / len(self.indices)
        pixels = self.decoded(np.array([place]))[0]
        return Shown(pixels=pixels, bytes=size, psnr_db=float(self.result.psnr_db_of[place]))


@dataclass(frozen=True, kw_only=True, eq=False)
class Model:
    """One network with its figures.

    network     in eval mode on the CPU, as the profile has it: traced, batch norm folded away
    trained     None where nothing was trained
    floats      quality on the whole test part before any quantisation, clipped and rounded to 8 bits
    points      one a quality, rising in rate; empty where the plan's rule is None
    parameters  of both halves; encoder_macs and decoder_macs are for one picture of the data set
    decoder_bytes  of the profile without what only the encoder needs
    steps       how latents become symbols, as the profile has it
    live        for each quality the channels that ever change
    """

    plan: Plan
    seed: int
    network: StudyNetwork
    trained: Trained | None
    floats: Quality
    points: tuple[Point, ...]
    parameters: int
    encoder_macs: int
    decoder_macs: int
    steps: Steps | None = None
    profile: Path | None = None
    decoder_bytes: int | None = None
    live: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """Of its folders."""
        return _run_name(self.plan, self.seed)

    @property
    def geometry(self) -> Geometry:
        return self.network.geometry

    def measured(self, setting: Setting) -> Path:
        """The folder of what was measured on it."""
        return _measured(setting, self.name)


def coded_model(plan: Plan, data: Dataset, setting: Setting, *, seed: int = 0) -> Model:
    """Train on data.train, choose the epoch on data.validation, code and measure data.test."""
    folder = _run_name(plan, seed)
    trained = None
    if plan.recipe is None:
        raw = plan.build().eval()
    else:
        setting.say(f"{plan.label}: training" + (f", seed {seed}" if seed else ""))
        trained = train_study(
            plan.build, data.train, data.validation, replace(plan.recipe, seed=seed), setting.output / "runs" / folder,
            watch=plan.watch, name=plan.name, progress=setting.progress,
        )  # fmt: skip
        raw = trained.network
    network = settled(raw)
    floats = kept(
        _measured(setting, folder) / "floats.npz", f"{_digest(network)} {crc(data.test.images)}", Quality,
        lambda: measure(data.test.images, reconstructed(network, data.test.images)),
    )  # fmt: skip
    shapes = _shapes(raw.geometry, data.test.images)
    plain = Model(
        plan=plan, seed=seed, network=network, trained=trained, floats=floats, points=(), parameters=parameters(raw),
        encoder_macs=macs(raw.encoder, *shapes[0]), decoder_macs=macs(raw.decoder, *shapes[1]),
    )  # fmt: skip
    if plan.rule is None:
        return plain
    fitted = data.train.images[evenly(len(data.train), plan.fitted)]
    steps = _steps(plan, network, trained, fitted)
    profile = _profile(plan, raw, steps, fitted, setting, folder)
    setting.say(f"{plan.label}: coding")
    points = _points(plan, profile, data.test.images, setting, folder, _names(plan, steps))
    training = json.loads((profile / MANIFEST).read_text())["training"]
    return replace(
        plain, steps=steps, profile=profile, points=points, decoder_bytes=decoder_bytes(profile),
        live=tuple(training["live_channels"]),
    )  # fmt: skip


def _run_name(plan: Plan, seed: int) -> str:
    return f"{plan.name}-s{seed}"


def _measured(setting: Setting, folder: str) -> Path:
    return setting.output / "measured" / folder


def _shapes(geometry: Geometry, pictures: Pictures) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What one picture is to the encoder and to the decoder."""
    if geometry.cell is not None:
        return (geometry.channels, geometry.cell, geometry.cell), (geometry.latent,)
    rows, columns = geometry.grid(*pictures.shape[1:3])
    picture = (geometry.channels, rows * geometry.stride, columns * geometry.stride)
    return picture, (geometry.latent, rows, columns)


def _steps(plan: Plan, network: StudyNetwork, trained: Trained | None, fitted: Pictures) -> Steps:
    if plan.steps is not None:
        return plan.steps(network)
    if trained is not None and trained.quantiser is not None:
        return trained.steps()
    most = max(1, _SWEPT_VALUES // network.geometry.values(*fitted.shape[1:3]))
    return uniform_sweep(sample_latents(network, fitted[evenly(len(fitted), most)]), plan.bits)


def _names(plan: Plan, steps: Steps) -> list[str]:
    """What each quality is called."""
    if plan.names:
        return list(plan.names)
    if plan.steps is not None:
        return [f"step {1 / float(gain[0]):.3g}" for gain in steps.gain]
    if steps.nominal_lambdas:
        return [f"{bits} bits" for bits in sorted(plan.bits)]
    return [f"lambda {value:g}" for value in steps.lambdas]


def _profile(plan: Plan, network: StudyNetwork, steps: Steps, fitted: Pictures, setting: Setting, folder: str) -> Path:
    """The profile's folder; one that is there already and came from the same numbers stays."""
    profile = setting.output / "profiles" / folder
    made_from = f"{_digest(network)} {crc(steps.gain)} {crc(steps.mean)} {crc(fitted)}"
    try:
        if json.loads((profile / MANIFEST).read_text())["training"]["made_from"] == made_from:
            return profile
    except (OSError, ValueError, KeyError):
        pass  # not there, or not whole
    shutil.rmtree(profile, ignore_errors=True)
    record = {"model": plan.label, "made_from": made_from}
    return export_study(network, steps, fitted, profile, name=plan.name, record=record, progress=setting.progress)


def more_points(model: Model, pictures: Pictures, setting: Setting, name: str) -> tuple[Point, ...]:
    """Other pictures (N, H, W) or (N, H, W, 3) as files of the model's own profile; `name` tells them from its own."""
    if model.profile is None or model.steps is None:
        raise OptionError(f"{model.plan.label} has no profile, so it cannot code")
    plan = replace(model.plan, coded=None)
    return _points(plan, model.profile, pictures, setting, f"{model.name}-{name}", _names(plan, model.steps))


def _points(
    plan: Plan, profile: Path, test: Pictures, setting: Setting, folder: str, names: list[str]
) -> tuple[Point, ...]:
    indices = evenly(len(test), plan.coded)
    pictures = test[indices]
    files, measured = setting.output / "files" / folder, _measured(setting, folder)
    key = f"{Profile.load(profile).digest.hex()} {crc(pictures)} {plan.rule}"
    points = []
    for quality, name in enumerate(names):
        if plan.rule == "each":
            written = tuple(files / f"each-{quality}" / f"{n}.nrws" for n in range(len(pictures)))
        else:
            written = (files / f"sheet-{quality}.nrws",)
        record = measured / f"quality-{quality}.npz"
        if not all(file.exists() for file in written):
            record.unlink(missing_ok=True)
        result = kept(record, key, Quality, partial(_coded, plan, profile, pictures, quality, files))
        size = sum(file.stat().st_size for file in written)
        points.append(
            Point(
                profile=profile, quality=quality, setting=name, rule=str(plan.rule), bytes=size,
                bpp=8 * size / (len(pictures) * picture_pixels(pictures)), indices=indices, result=result,
                files=written, shape=pictures.shape[1:],
            )
        )  # fmt: skip
    return tuple(points)


def _coded(plan: Plan, profile: Path, pictures: Pictures, quality: int, files: Path) -> Quality:
    """Write the files of one quality and measure what another process decodes from them."""
    code = code_each if plan.rule == "each" else code_sheet
    [coded] = code(profile, pictures, folder=files, qualities=[quality])
    return measure(pictures, coded.decoded)


def _digest(network: StudyNetwork) -> str:
    """Of the weights of both halves, and of the layers around them."""
    total = hashlib.sha256(repr(network.geometry).encode())
    for half in (network.encoder, network.decoder):
        total.update(repr(half).encode())
        for name, tensor in half.state_dict().items():
            total.update(name.encode())
            total.update(tensor.detach().cpu().contiguous().float().numpy().tobytes())
    return total.hexdigest()[:16]
