"""Training, resuming, several processes, export: the whole way from photographs to a profile."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import reference_decoder
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytest.importorskip("onnx")

from click.testing import CliRunner  # noqa: E402

from narrows.codec import Codec  # noqa: E402
from narrows.errors import OptionError  # noqa: E402
from narrows.lab.checkpoint import SHARD_BYTES, _shards, read_tensors  # noqa: E402
from narrows.lab.cli import export_command, train_command  # noqa: E402
from narrows.lab.coding import code  # noqa: E402
from narrows.lab.dead_zone import DeadZone, Quantiser  # noqa: E402
from narrows.lab.export import estimated, export, load_network, quantiser_of, tables_of  # noqa: E402
from narrows.lab.network import TINY, Flagship  # noqa: E402
from narrows.lab.optimizer import OPTIMIZERS, OptimizerName  # noqa: E402
from narrows.lab.photos import CropConfig, Photos, draw_batch, load_photos  # noqa: E402
from narrows.lab.tables import integer_frequencies  # noqa: E402
from narrows.lab.train import Stage, TrainConfig, load_run, train  # noqa: E402
from narrows.profile import Profile  # noqa: E402
from narrows.runtime import Networks  # noqa: E402


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six small pictures with soft structure, one of them too small to train on, and a file that is no picture."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for index in range(6):
        coarse = rng.integers(0, 256, (9, 11, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((192, 160), Image.Resampling.BICUBIC).save(folder / f"{index}.png")
    Image.fromarray(coarse).save(folder / "small.png")
    (folder / "broken.jpg").write_bytes(b"not a picture")
    return folder


def config(photos: Path, run: Path, steps: int, **changes: object) -> TrainConfig:
    settings: dict[str, object] = {
        "photos": photos, "run": run, "steps": steps, "batch": 2, "crop": 64, "accelerator": "cpu",
        "save_minutes": 60, "evaluate_minutes": 60,
    }  # fmt: skip
    return TrainConfig(**(settings | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    with pytest.warns(UserWarning, match="2 photographs"):
        return train(TINY, config(photos, folder, 40), progress=False)


@pytest.fixture(scope="module")
def runs(run: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Of 1, 2 and 4 context steps; that of 4 has grown from that of 2."""
    folder = tmp_path_factory.mktemp("steps")
    made = {2: run}
    for steps, start in ((1, None), (4, run)):
        with pytest.warns(UserWarning, match="2 photographs"):
            made[steps] = train(
                replace(TINY, context_steps=steps), config(photos, folder / str(steps), 12), start=start, progress=False
            )
    return made


def exported(run: Path, photos: Path, destination: Path) -> Path:
    network, _ = load_run(run)
    with pytest.warns(UserWarning, match="2 photographs"):
        training, held_out = load_photos(photos, least_side=64, progress=False)
    return export(network, training, held_out, destination, dead_zone=0.5, samples=8, record={}, progress=False)


@pytest.fixture(scope="module")
def profile(run: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(run, photos, tmp_path_factory.mktemp("profiles") / "tiny")


def test_a_run_leaves_its_log_its_settings_and_a_checkpoint_without_pickle(run: Path) -> None:
    rows = list(csv.DictReader((run / "log.csv").read_text().splitlines()))
    assert [r["step"] for r in rows if r["kind"] == "train"] == ["20", "40"]
    held_out = [r for r in rows if r["kind"] == "held-out"]
    assert len(held_out) == 8
    assert all(float(r["bpp"]) > 0 and float(r["psnr_db"]) > 5 for r in held_out)
    settings = json.loads((run / "config.json").read_text())
    assert settings["network"]["name"] == "tiny" and settings["photographs"] == 5 and settings["held_out"] == 1
    assert {p.suffix for p in (run / "checkpoint").iterdir()} == {".safetensors", ".json"}


@pytest.mark.filterwarnings("ignore:2 photographs")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_resumed_run_ends_where_an_unbroken_one_does(optimizer: OptimizerName, photos: Path, tmp_path: Path) -> None:
    # Both halves need one schedule, so the first is stopped by an interrupt in the middle of a budget of 40 steps.
    run = train(TINY, config(photos, tmp_path / "whole", 40, optimizer=optimizer), progress=False)
    settings = config(photos, tmp_path / "broken", 40, optimizer=optimizer)
    import narrows.lab.train as module

    class StopError(Exception):
        pass

    original, calls = module.draw_batch, 0

    def counting(*arguments: object, **named: object) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 22:  # the linear start drew one batch too
            raise StopError
        return original(*arguments, **named)  # type: ignore[arg-type]

    module.draw_batch = counting
    try:
        with pytest.raises(StopError):
            train(TINY, settings, progress=False)
    finally:
        module.draw_batch = original
    assert json.loads((tmp_path / "broken/checkpoint/state.json").read_text())["state"]["step"] == 20
    train(TINY, settings, resume=True, progress=False)
    whole, resumed = read_tensors(run / "checkpoint"), read_tensors(tmp_path / "broken/checkpoint")
    assert whole.keys() == resumed.keys()
    assert all(torch.allclose(whole[name], resumed[name], atol=1e-6) for name in whole)


@pytest.mark.filterwarnings("ignore:2 photographs")
def test_a_run_is_not_overwritten_and_nothing_is_resumed_from_nothing(run: Path, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--resume"):
        train(TINY, config(photos, run, 1), progress=False)
    with pytest.raises(OptionError, match="nothing to resume"):
        train(TINY, config(photos, tmp_path / "none", 1), resume=True, progress=False)
    with pytest.raises(OptionError, match="not a folder"):
        train(TINY, config(tmp_path / "nowhere", tmp_path / "none", 1), progress=False)
    with pytest.raises(OptionError, match="minutes or steps"):
        config(photos, run, 1, minutes=1.0)


def test_two_processes_train_one_network(photos: Path, tmp_path: Path) -> None:
    """Under torchrun with gloo; both ranks must end, and the checkpoint be one network's."""
    script = tmp_path / "two.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\nfrom narrows.lab.network import TINY\n"
        "from narrows.lab.train import TrainConfig, train\n"
        "train(TINY, TrainConfig(photos=Path(sys.argv[1]), run=Path(sys.argv[2]), steps=20, batch=1, crop=64,"
        " accelerator='cpu', processes=2, threads=1), progress=False)\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    done = subprocess.run(
        [*command, str(photos), str(tmp_path / "run")],
        capture_output=True, text=True, timeout=300, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    state = json.loads((tmp_path / "run/checkpoint/state.json").read_text())["state"]
    assert state["step"] == 20
    assert state["megapixels"] == pytest.approx(20 * 2 * 64 * 64 / 1e6)


def test_batches_are_a_function_of_their_seed(photos: Path) -> None:
    with pytest.warns(UserWarning, match="2 photographs"):
        training, _ = load_photos(photos, least_side=64, progress=False)
    crop = CropConfig(size=64, shrink_share=0.5)
    one, again, other = (draw_batch(training, 4, crop, seed) for seed in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert one.shape == (4, 64, 64, 3) and 0 <= float(one.min()) and float(one.max()) <= 1


def test_an_exported_profile_is_one_the_codec_accepts_and_small_enough(profile: Path) -> None:
    loaded = Profile.load(profile)
    assert loaded.manifest.context_steps == 2 and loaded.manifest.dead_zone == 0.5
    assert sum(p.stat().st_size for p in profile.iterdir()) < 2**20


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_the_graphs_give_the_networks_own_integers_and_pixels(
    steps: int, runs: dict[int, Path], photos: Path, tmp_path: Path
) -> None:
    profile = exported(runs[steps], photos, tmp_path / "profile")
    network, tables, networks = load_network(profile), tables_of(profile), Networks(Profile.load(profile), threads=1)
    rng = np.random.default_rng(3)
    picture = np.asarray(
        Image.fromarray(rng.integers(0, 256, (8, 12, 3), dtype=np.uint8)).resize((192, 128), Image.Resampling.BICUBIC)
    )
    planes = picture.transpose(2, 0, 1)[None].copy()
    quality, pixels_01 = TINY.qualities - 1, torch.from_numpy(picture.copy())[None] / 255
    y, z = networks.analysis(planes, quality)
    assert z is not None
    z_hat = np.clip(np.round(z), -63, 63).astype(np.int32)
    # The network's own y for both: the last bits of a sum of 400 decide a residual of 0.4999.
    with torch.no_grad():
        own_y = network.analysis(pixels_01, torch.tensor([quality])).permute(0, 3, 1, 2).numpy()
    assert np.abs(y - own_y).max() < 1e-2
    symbols, rows = networks.quantise(own_y, z_hat, quality, 0.5)
    expected = code(network, pixels_01, torch.tensor([quality]), tables.quantiser(0.5))
    planar = {
        name: getattr(expected, name).permute(0, 3, 1, 2).numpy() for name in ("symbols", "rows", "z_hat", "y_hat")
    }
    assert np.count_nonzero(symbols) > 100
    assert np.array_equal(symbols, planar["symbols"])
    assert np.array_equal(rows, planar["rows"])
    assert np.array_equal(z_hat, planar["z_hat"])
    y_hat = networks.dequantise(symbols, z_hat, quality)
    assert np.abs(y_hat - planar["y_hat"]).max() < 1e-3
    decoded = networks.synthesis(y_hat, quality)
    with torch.no_grad():
        floats = network.synthesis(expected.y_hat, torch.tensor([quality])).clamp(0, 1).mul(255)[0].permute(2, 0, 1)
    assert np.abs(decoded[0].astype(float) - floats.numpy()).max() <= 0.51

    codec = Codec(profile, threads=1)
    file = codec.encode(Image.fromarray(picture), quality=100)
    pixels, _, _ = reference_decoder.decode(file, profile)
    assert np.abs(pixels.astype(int) - np.asarray(codec.decode(file)).astype(int)).max() <= 1


def test_estimates_are_code_lengths_of_the_tables(profile: Path) -> None:
    network, tables = load_network(profile), tables_of(profile)
    flat = torch.full((1, 64, 64, 3), 0.5)
    noise = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(0))
    cheap, _ = estimated(network, tables, flat, TINY.qualities - 1, 0.0)
    dear, _ = estimated(network, tables, noise, TINY.qualities - 1, 0.0)
    assert 0 < cheap < dear


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
def test_a_terminated_run_is_saved(photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "narrows", "lab", "train", "tiny", "--photos", photos, "-o", folder]
    budget = ["--steps", "100000", "--batch", "1", "--crop", "64", "--accelerator", "cpu", "--quiet"]
    with subprocess.Popen([*map(str, command), *budget], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        log = folder / "log.csv"
        while process.poll() is None and not (log.exists() and log.read_text().count("train,") >= 2):
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors.decode()
    assert load_run(folder)[1]["state"]["step"] >= 40


def test_training_goes_on_from_a_profile(profile: Path, photos: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="2 photographs"):
        folder = train(
            TINY, config(photos, tmp_path / "on", 1, rate=1e-9, matrix_rate=1e-9), start=profile, progress=False
        )
    before, (after, state) = load_network(profile), load_run(folder)
    assert state["state"]["start"] == profile.name
    for name, parameter in before.named_parameters():
        assert torch.allclose(parameter, dict(after.named_parameters())[name], atol=1e-6), name


@pytest.mark.filterwarnings("ignore:2 photographs")
def test_the_stage_decoder_leaves_the_encoder_alone(profile: Path, photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "last"
    train(TINY, config(photos, folder, 3, stage="decoder"), start=profile, progress=False)
    before, (after, _) = load_network(profile), load_run(folder)
    moved = {
        name for name, parameter in before.named_parameters()
        if not torch.equal(parameter, dict(after.named_parameters())[name])
    }  # fmt: skip
    frozen = {name for name, _ in before.named_parameters() if name.startswith(("analysis.", "hyper_analysis."))}
    assert frozen and not frozen & moved
    assert {name.split(".")[0] for name in moved} == {
        "synthesis", "mean_net", "scale_net", "residual_rate", "side_net"
    }  # fmt: skip
    assert exported(folder, photos, tmp_path / "profile").is_dir()


@pytest.mark.filterwarnings("ignore:2 photographs")
@pytest.mark.parametrize("of_a_run", [False, True])
def test_the_stage_side_trains_the_side_net_alone(
    of_a_run: bool, run: Path, profile: Path, photos: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "side"
    train(TINY, config(photos, folder, 3, stage="side"), start=run if of_a_run else profile, progress=False)
    (before, _), (after, _) = (load_run(run) if of_a_run else (load_network(profile), None)), load_run(folder)
    moved = {
        name.split(".")[0] for name, parameter in before.named_parameters()
        if not torch.equal(parameter, dict(after.named_parameters())[name])
    }  # fmt: skip
    assert moved == {"side_net"}
    assert exported(folder, photos, tmp_path / "profile").is_dir()


def test_what_one_crop_holds_out_no_other_trains_on(tmp_path: Path) -> None:
    for index in range(50):
        side = 100 if index % 3 else 70
        Image.fromarray(np.full((side, side, 3), 5 * index, np.uint8)).save(tmp_path / f"{index:02}.png")

    def shades(photos: Photos) -> set[int]:
        return {int(photos[index][0, 0, 0]) for index in range(len(photos))}

    training, held_out = load_photos(tmp_path, least_side=64, progress=False)
    with pytest.warns(UserWarning, match="17 photographs"):
        larger_training, larger_held_out = load_photos(tmp_path, least_side=96, progress=False)
    assert shades(larger_training) < shades(training) and shades(larger_held_out) <= shades(held_out)
    assert len(held_out) == 3 and not shades(training) & shades(held_out)


@pytest.mark.filterwarnings("ignore:2 photographs")
def test_the_stage_written_trains_everything(profile: Path, photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "written"
    train(TINY, config(photos, folder, 3, stage="written"), start=profile, progress=False)
    before, (after, _) = load_network(profile), load_run(folder)
    moved = {
        name.split(".")[0] for name, parameter in before.named_parameters()
        if not torch.equal(parameter, dict(after.named_parameters())[name])
    }  # fmt: skip
    assert moved == {name.split(".")[0] for name, _ in before.named_parameters()}
    assert exported(folder, photos, tmp_path / "profile").is_dir()


@pytest.mark.filterwarnings("ignore:2 photographs")
@pytest.mark.parametrize("stage", ["written", "decoder"])
def test_the_later_stages_resume_as_what_they_are_and_need_a_profile(
    stage: Stage, run: Path, profile: Path, photos: Path, tmp_path: Path
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        train(TINY, config(photos, folder, 2, stage=stage), start=profile, progress=False)
    state = json.loads((broken / "checkpoint/state.json").read_text())
    assert Quantiser(**(state["quantiser"] | {"curve": DeadZone(**state["quantiser"]["curve"])})) == tables_of(
        profile
    ).quantiser(0.5)
    (broken / "checkpoint/state.json").write_text(json.dumps(state | {"state": state["state"] | {"finished": False}}))
    train(TINY, config(photos, broken, 4, stage=stage), resume=True, progress=False)
    assert load_run(broken)[1]["state"]["step"] == 4
    other: Stage = "decoder" if stage == "written" else "written"
    for start, wrong, right in ((whole, "noise", stage), (whole, other, stage), (run, stage, "noise")):
        with pytest.raises(OptionError, match=f"of the stage {right}"):
            train(TINY, config(photos, start, 50, stage=wrong), resume=True, progress=False)
    for none in (run, None):
        with pytest.raises(OptionError, match="start from one"):
            train(TINY, config(photos, tmp_path / "no", 1, stage=stage), start=none, progress=False)
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd/manifest.json").write_text("{}")
    with pytest.raises(OptionError, match="not a profile of a flagship"):
        train(TINY, config(photos, tmp_path / "no", 1, stage=stage), start=tmp_path / "odd", progress=False)


def test_a_stage_that_does_not_exist_is_refused(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="noise, written, decoder, side, not last"):
        config(photos, tmp_path, 1, stage="last")


def test_an_optimizer_that_does_not_exist_is_refused(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="soap, muon, not adam"):
        config(photos, tmp_path, 1, optimizer="adam")


@pytest.mark.filterwarnings("ignore:2 photographs")
def test_a_run_is_resumed_with_its_own_optimizer(photos: Path, tmp_path: Path) -> None:
    train(TINY, config(photos, tmp_path / "run", 1, optimizer="muon"), progress=False)
    with pytest.raises(OptionError, match="with the optimizer muon"):
        train(TINY, config(photos, tmp_path / "run", 2), resume=True, progress=False)
    state = tmp_path / "run/checkpoint/state.json"
    before = json.loads(state.read_text())
    del before["optimizer"]  # as all runs were, when there was none but Muon
    state.write_text(json.dumps(before | {"state": before["state"] | {"finished": False}}))
    train(TINY, config(photos, tmp_path / "run", 2, optimizer="muon"), resume=True, progress=False)
    assert load_run(tmp_path / "run")[1]["state"]["step"] == 2


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_outside_of_0_to_1_is_refused(share: float, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="masking must be 0 to 1"):
        config(photos, tmp_path, 1, masking=share)


def test_in_the_stage_written_noise_reaches_the_encoder_alone(profile: Path) -> None:
    network = load_network(profile).train()
    picture, quality = torch.rand(2, 64, 128, 3, generator=torch.Generator().manual_seed(3)), torch.tensor([1, 6])

    def gradients(seed: int, encoder_learns: bool) -> tuple[float, dict[str, torch.Tensor]]:
        torch.manual_seed(seed)
        network.learn_written(quantiser_of(profile), encoder_learns=encoder_learns)
        network.zero_grad(set_to_none=True)
        bits = network(picture, quality).latent_bits.sum()
        bits.backward()
        return float(bits.detach()), {n: p.grad for n, p in network.named_parameters() if p.grad is not None}

    (bits, first), (same_bits, second), (frozen_bits, frozen) = (
        gradients(1, True), gradients(2, True), gradients(1, False)
    )  # fmt: skip
    assert bits == same_bits == frozen_bits, "what is counted is what is written"
    behind = [name for name in first if name.startswith(("mean_net.", "scale_net.", "residual_rate."))]
    assert len(behind) > 10 and set(behind) == set(frozen)
    for name in behind:
        assert torch.allclose(first[name], second[name], rtol=1e-4, atol=1e-4), name
        assert torch.allclose(first[name], frozen[name], rtol=1e-4, atol=1e-4), name
    assert not torch.allclose(first["analysis.out.weight"], second["analysis.out.weight"], rtol=0.01)
    assert first["analysis.stem.weight"].abs().max() > 0


def test_the_training_pass_of_a_frozen_encoder_codes_what_the_codec_codes(profile: Path) -> None:
    network = load_network(profile)
    network.learn_written(quantiser_of(profile), encoder_learns=False)
    picture, quality = torch.rand(2, 64, 128, 3, generator=torch.Generator().manual_seed(3)), torch.tensor([1, 6])
    assert network.quantiser is not None
    coded = code(network, picture, quality, network.quantiser)
    with torch.no_grad():
        expected = network.synthesis(coded.y_hat, quality)
        for training in (False, True):
            assert torch.allclose(network.train(training)(picture, quality).picture, expected, atol=1e-5)


def test_a_profile_is_not_written_over_and_another_network_is_not_filled(profile: Path) -> None:
    network = load_network(profile)
    with pytest.raises(OptionError, match="exists already"):
        export(network, None, None, profile, dead_zone=0, samples=1, record={})  # type: ignore[arg-type]
    other = Flagship(TINY.__class__(**(TINY.__dict__ | {"latent": 16})))
    from narrows.lab.export import load_parameters

    with pytest.raises(OptionError, match="another network"):
        load_parameters(other, profile)


def test_the_commands_train_and_export(photos: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    arguments = [
        "tiny",
        "--photos",
        photos,
        "-o",
        tmp_path / "run",
        "--steps",
        2,
        "--batch",
        1,
        "--crop",
        64,
        "--quiet",
    ]
    with pytest.warns(UserWarning, match="2 photographs"):
        done = runner.invoke(train_command, [str(a) for a in arguments], catch_exceptions=False)
    assert done.exit_code == 0 and done.output.splitlines()[-1] == str(tmp_path / "run")
    with pytest.warns(UserWarning, match="2 photographs"):
        done = runner.invoke(
            export_command,
            [str(tmp_path / "run"), "-o", str(tmp_path / "profile"), "--samples", "2", "--quiet"],
            catch_exceptions=False,
        )
    assert done.exit_code == 0
    record = Profile.load(tmp_path / "profile").manifest.training
    assert record["run"]["step"] == 2 and record["held_out"][0]["bpp"] > 0


def test_integer_frequencies_sum_exactly() -> None:
    rng = np.random.default_rng(0)
    for size in (2, 127, 5000):
        frequencies = integer_frequencies(rng.random(size) ** 20)
        assert int(frequencies.sum()) == 2**24 and int(frequencies.min()) >= 1


def test_shards_stay_small() -> None:
    tensors = {str(i): torch.zeros(1_000_000) for i in range(10)}
    shards = _shards(tensors)
    assert sum(len(s) for s in shards) == 10
    assert all(sum(t.nbytes for t in s.values()) <= SHARD_BYTES for s in shards)


def test_the_trainers_path_needs_none_of_the_codecs_own_packages() -> None:
    """A GPU machine that only trains has no constriction, onnxruntime or onnx."""
    blocked = "import sys\nfor name in ('constriction', 'onnxruntime', 'onnx'): sys.modules[name] = None\n"
    code = blocked + "import narrows.lab.cli, narrows.lab.train\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
