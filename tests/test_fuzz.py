"""The properties that fuzz/run.py holds for hours, held here for seconds and without atheris.

Hypothesis draws the random numbers, the mutations of fuzz/ make files and profiles of them: changed, and with right
checksums and digests.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fuzz_files
import fuzz_profiles
import fuzz_targets
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from narrows import container, profiles, shared
from narrows.errors import FormatError, LimitError
from narrows.limits import Limits

ROOT = Path(__file__).parents[1]
FILES = fuzz_targets._file_seeds()
PROFILES = fuzz_targets._profile_seeds()
QUICK = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example])

randoms = st.randoms(use_true_random=False)


@pytest.fixture(scope="module", autouse=True)
def _installed() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profiles, "_SHIPPED", profiles._SHIPPED)
        fuzz_targets.install()
        yield
    shared._codec.cache_clear()


def reads(data: bytes) -> bool:
    """Whether the container of a file is in order."""
    try:
        container.read(data, Limits())
    except (FormatError, LimitError):
        return False
    return True


def mutated(name: str, seed: bytes, draw: random.Random, times: int) -> bytes:
    for _ in range(times):
        seed = fuzz_targets.TARGETS[name].mutated(seed, draw, None)
    return seed


@settings(QUICK, max_examples=400)
@given(st.sampled_from(FILES), randoms, st.integers(1, 4))
def test_container(seed: bytes, draw: random.Random, times: int) -> None:
    fuzz_targets.check_container(mutated("container", seed, draw, times))


@settings(QUICK, max_examples=120)
@given(st.sampled_from(FILES), randoms, st.integers(1, 4))
def test_entropy(seed: bytes, draw: random.Random, times: int) -> None:
    fuzz_targets.check_entropy(mutated("entropy", seed, draw, times))


@settings(QUICK, max_examples=100)
@given(st.sampled_from(PROFILES), randoms, st.integers(1, 3))
def test_profile(seed: bytes, draw: random.Random, times: int) -> None:
    fuzz_targets.check_profile(mutated("profile", seed, draw, times))


@settings(QUICK, max_examples=100)
@given(st.sampled_from(FILES), randoms, st.integers(1, 4))
def test_pillow(seed: bytes, draw: random.Random, times: int) -> None:
    fuzz_targets.check_pillow(mutated("pillow", seed, draw, times))


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(QUICK, max_examples=40)
@given(st.sampled_from(FILES), randoms, st.integers(1, 4))
def test_cli(seed: bytes, draw: random.Random, times: int) -> None:
    fuzz_targets.check_cli(mutated("cli", seed, draw, times))


@settings(QUICK, max_examples=200)
@given(st.binary(max_size=300))
def test_bytes_of_no_kind_at_all(data: bytes) -> None:
    for name in ("container", "entropy", "pillow"):
        fuzz_targets.TARGETS[name].check(data)
    fuzz_targets.check_container(container.SIGNATURE + data)


@pytest.mark.parametrize("name", fuzz_targets.TARGETS)
def test_every_seed_holds_and_is_mutated_into_something_else(name: str) -> None:
    target, draw = fuzz_targets.TARGETS[name], random.Random(0)
    seeds = target.seeds()
    assert len(seeds) > 10
    for seed in seeds[:: 1 if name == "container" else 8]:
        target.check(seed)
    changed = [target.mutated(seed, draw, None) for seed in seeds]
    assert sum(a != b for a, b in zip(seeds, changed, strict=True)) > len(seeds) / 2


def test_mutated_files_come_behind_the_checksums() -> None:
    """Of the files with other streams all do, of the others many: else a fuzzer would test CRC-32."""
    draw, whole = random.Random(1), {True: 0, False: 0}
    for seed in 3 * FILES:
        for streams_only in whole:
            data = fuzz_files.mutated(seed, draw, streams_only=streams_only)
            whole[streams_only] += reads(data)
    assert whole[True] == 3 * len(FILES)
    assert whole[False] > len(FILES)


def test_a_file_is_taken_apart_and_made_again() -> None:
    for data in FILES:
        if reads(data):
            draft = fuzz_files.taken_apart(data)
            assert draft is not None and draft.data() == data


def test_a_patched_profile_has_digests_that_agree(tmp_path: Path) -> None:
    base = fuzz_targets._bases()[0]
    patches = fuzz_profiles.unpacked(b"".join(fuzz_profiles.seeds(base)))
    assert {name for name, _, _ in patches} == {path.name for path in base.iterdir()}
    fuzz_profiles.patched(base, tmp_path, fuzz_profiles.packed(patches))
    assert all((tmp_path / path.name).read_bytes() == path.read_bytes() for path in base.iterdir())
    graph = (base / "dequantise.onnx").read_bytes()
    fuzz_profiles.patched(base, tmp_path, fuzz_profiles.packed([("synthesis.onnx", fuzz_profiles.WHOLE, graph)]))
    with pytest.raises(fuzz_targets.ProfileError, match="synthesis.onnx: asks for the input symbols"):
        fuzz_targets.Codec(tmp_path)


def test_a_finding_is_replayed_without_atheris() -> None:
    path = ROOT / "tests" / "hostile" / "e10-escape-zero.nrws"
    command = [sys.executable, str(ROOT / "fuzz" / "run.py"), "entropy", "--replay", str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "nothing is wrong" in run.stdout
