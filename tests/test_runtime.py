"""runtime.py: the graphs give what the contract says, and whatever they give instead is a ProfileError."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper
from pictures import photo_like
from toy_profile import change_graph

from narrows.errors import OptionError, ProfileError
from narrows.profile import Profile
from narrows.runtime import Networks, Symbols, default_threads

QUALITY = 4


def planes(height: int = 64, width: int = 128) -> NDArray[np.uint8]:
    return np.ascontiguousarray(photo_like(height, width).transpose(2, 0, 1))[None]


def z_hat_of(z: NDArray[np.float32] | None) -> Symbols:
    assert z is not None
    return np.clip(np.rint(z), -15, 15).astype(np.int32)


def test_the_graphs_play_together(colour_profile: Path) -> None:
    profile = Profile.load(colour_profile)
    networks = Networks(profile, threads=1)
    picture = planes()
    y, z = networks.analysis(picture, QUALITY)
    assert y.shape == (1, 48, 4, 8)
    z_hat = z_hat_of(z)
    symbols, rows = networks.quantise(y, z_hat, QUALITY, 0.0)
    steps = np.tile(profile.steps, (1, 2, 4))[None]
    for step in range(2):
        so_far = np.where(steps < step, symbols, 0).astype(np.int32)
        found = networks.scales(step, z_hat, so_far, QUALITY)
        assert np.array_equal(found[steps == step], rows[steps == step])  # the encoder's rows are the decoder's
    y_hat = networks.dequantise(symbols, z_hat, QUALITY)
    coded = ~profile.latent_tables.skipped[rows]
    assert np.abs(y_hat - y)[coded].max() <= 0.501
    decoded = networks.synthesis(y_hat, QUALITY)
    assert np.abs(decoded.astype(int) - picture).mean() < 5


def test_rows_do_not_depend_on_the_number_of_threads(colour_profile: Path) -> None:
    profile = Profile.load(colour_profile)
    random = np.random.default_rng(3)
    z_hat = random.integers(-15, 16, (1, 4, 8, 8)).astype(np.int32)
    symbols = random.integers(-32767, 32768, (1, 48, 32, 32)).astype(np.int32)
    expected = Networks(profile, threads=1).scales(1, z_hat, symbols, QUALITY)
    for threads in (2, 4):
        assert np.array_equal(Networks(profile, threads=threads).scales(1, z_hat, symbols, QUALITY), expected)


def test_threads_may_share_networks(colour_profile: Path) -> None:
    networks = Networks(Profile.load(colour_profile), threads=1)
    sizes = [64, 128, 192, 256] * 3
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda side: networks.analysis(planes(64, side), QUALITY)[0], sizes))
    for side, y in zip(sizes, found, strict=True):
        assert np.array_equal(y, networks.analysis(planes(64, side), QUALITY)[0])


@pytest.mark.parametrize("threads", [0, -1, 1025, True, 1.0, "2"])
def test_a_senseless_number_of_threads_is_refused(colour_profile: Path, threads: object) -> None:
    with pytest.raises(OptionError, match="threads is"):
        Networks(Profile.load(colour_profile), threads=threads)  # type: ignore[arg-type]


def test_all_cores_are_used_by_default() -> None:
    assert default_threads() >= 1


def append(node: onnx.NodeProto, model: onnx.ModelProto) -> None:
    """Put a node behind the graph's first output."""
    name = model.graph.output[0].name
    for other in model.graph.node:
        for k, output in enumerate(other.output):
            if output == name:
                other.output[k] = "before"
    node.input[0] = "before"
    node.output[0] = name
    model.graph.node.append(node)


def half_the_rows(model: onnx.ModelProto) -> None:
    append(helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 1], strides=[2, 1]), model)


def divide_by_zero(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(0, np.float32), "zero"))
    append(helper.make_node("Div", ["x", "zero"], ["y"]), model)


def wrong_type(model: onnx.ModelProto) -> None:
    append(helper.make_node("Cast", ["x"], ["y"], to=1), model)


def huge_symbols(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(32768, np.int32), "much"))
    append(helper.make_node("Add", ["x", "much"], ["y"]), model)


def unknown_tensor(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[0] = "nowhere"


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("analysis.onnx", half_the_rows, "shape"),
        ("analysis.onnx", divide_by_zero, "not finite"),
        ("analysis.onnx", unknown_tensor, "cannot be loaded"),
        ("quantise.onnx", huge_symbols, "over 32767"),
        ("quantise.onnx", wrong_type, "cannot be loaded"),
        ("synthesis.onnx", unknown_tensor, "cannot be loaded"),
    ],
)
def test_a_graph_that_breaks_its_promise_is_refused(
    profile_copy: Path, name: str, change: Callable[[onnx.ModelProto], None], message: str
) -> None:
    change_graph(profile_copy, name, change)
    networks = Networks(Profile.load(profile_copy), threads=1)

    def run_all() -> None:
        y, z = networks.analysis(planes(), QUALITY)
        symbols, _ = networks.quantise(y, z_hat_of(z), QUALITY, 0.0)
        networks.synthesis(networks.dequantise(symbols, None, QUALITY), QUALITY)

    with pytest.raises(ProfileError, match=message):
        run_all()


def test_a_run_that_fails_is_a_profile_error(colour_profile: Path) -> None:
    networks = Networks(Profile.load(colour_profile), threads=1)
    with pytest.raises(ProfileError, match=r"analysis\.onnx: cannot be run"):
        networks.analysis(planes(), 8)  # there are eight qualities


def test_nothing_is_printed(colour_profile: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        networks = Networks(Profile.load(colour_profile), threads=1)
        networks.analysis(planes(), QUALITY)
        with pytest.raises(ProfileError):
            networks.analysis(planes(), 8)
    assert capfd.readouterr() == ("", "")


RELEASING = """
import sys
from pathlib import Path

import numpy as np

from narrows import heap
from narrows.profile import Profile, find
from narrows.runtime import Networks


def resident_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


networks = Networks(Profile.load(find("default")), threads=1)
networks.release_memory()
before = resident_mib()
for _ in range(2):
    networks.analysis(np.zeros((1, 3, 768, 1024), np.uint8), 0)
    networks.synthesis(np.zeros((1, 320, 48, 64), np.float32), 0)
    print(resident_mib() - before)
    networks.release_memory()
    heap.give_back()
    print(resident_mib() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_of_large_runs_is_released_when_asked() -> None:
    done = subprocess.run([sys.executable, "-c", RELEASING], capture_output=True, text=True, check=True, timeout=120)
    held, released, held_again, released_again = map(float, done.stdout.split())
    assert held > 60, "the arena keeps what two runs needed, or this test says nothing"
    assert released < held - 50
    assert held_again < held + 30
    assert released_again < held_again - 50


def test_releasing_opens_no_graph_that_is_not_in_use(colour_profile: Path) -> None:
    networks = Networks(Profile.load(colour_profile), threads=1)
    y, z = networks.analysis(np.zeros((1, 3, 64, 64), np.uint8), 0)
    assert z is not None
    networks.quantise(y, np.zeros(z.shape, np.int32), 0, 0.0)
    networks.release_memory()
    assert set(networks._sessions) == {"analysis.onnx", "quantise.onnx"}


OWN_ARENA = """
import onnxruntime as ort

memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
ort.create_and_register_allocator(memory, ort.OrtArenaCfg({"arena_extend_strategy": 1}))
import narrows
from PIL import Image

print(narrows.decode(narrows.encode(Image.new("RGB", (40, 30), (200, 10, 10)))).getpixel((20, 20)))
"""


def test_a_program_that_has_an_arena_keeps_it() -> None:
    done = subprocess.run([sys.executable, "-c", OWN_ARENA], capture_output=True, text=True, check=True, timeout=120)
    red, green, blue = eval(done.stdout)
    assert red > 150 and green < 60 and blue < 60
    assert not done.stderr


def test_a_profile_whose_small_pictures_fail_holds_its_memory(
    colour_profile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks = Networks(Profile.load(colour_profile), threads=1)

    class Failing:
        def run(self, *_: object) -> None:
            raise RuntimeError("too small")

    monkeypatch.setattr(networks, "_session", lambda name: Failing())
    networks.release_memory()
    with pytest.raises(ProfileError, match="too small"):
        networks.synthesis(np.zeros((1, 48, 4, 4), np.float32), 0)
