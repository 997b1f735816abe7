"""docs/FORMAT.md runs: its examples are rebuilt, and its lists and limits are those of the code."""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from narrows import alpha, container, entropy, strip_coder
from narrows.container import ChunkType, Container, Mode, Strip
from narrows.limits import Limits

DOCUMENT = (Path(__file__).parent.parent / "docs" / "FORMAT.md").read_text(encoding="utf-8")


def example(name: str) -> bytes:
    """The bytes of one ```text block: hexadecimal pairs up to the first run of two spaces."""
    (block,) = re.findall(rf"```text {name}\n(.*?)```", DOCUMENT, re.DOTALL)
    return bytes.fromhex(" ".join(line.split("  ")[0] for line in block.splitlines()))


def test_the_examples_of_the_entropy_coder() -> None:
    latents = entropy.LatentTables(np.array([1], np.int32), np.array([2097152, 12582912, 2097151, 1], np.uint32))
    assert latents.encode([(np.zeros(4, np.uint8), np.array([0, 1, -1, 5], np.int32))]) == example("latents")
    side = entropy.SideTables(np.array([[[4194304, 8388608, 4194304]]], np.uint32))
    assert side.encode(np.array([[[1, 0, -1, 0]]], np.int32), 0) == example("side")


def test_the_example_of_version_3() -> None:
    latents = entropy.LatentTables(np.array([1], np.int32), np.array([2097152, 12582912, 2097151, 1], np.uint32))
    side = entropy.LatentTables(np.array([1], np.int32), np.array([4194304, 8388608, 4194303, 1], np.uint32))
    row, centre = np.zeros(4, np.uint8), 1
    z_hat, symbols = np.array([2, 1, -1, 1], np.int32), np.array([0, 1, -1, 5], np.int32)
    assert entropy.encode_joint([(side, [(row, z_hat - centre)]), (latents, [(row, symbols)])]) == example("joint")
    stream = entropy.open_joint(example("joint"))
    assert np.array_equal(side.reader(stream).step(row) + centre, z_hat)
    decoder = latents.reader(stream)
    assert np.array_equal(decoder.step(row), symbols)
    decoder.finish()


@pytest.mark.parametrize(("joint", "bytes_around"), [(True, 32), (False, 39)])
def test_the_bytes_that_are_not_coded_content(joint: bool, bytes_around: int) -> None:
    side, latents = None if joint else bytes(2**7), bytes(2**14)
    strips = (Strip(side=side, latents=latents),)
    made = Container(mode=Mode.RGB, width=768, height=512, quality=0, profile=bytes(4), strips=strips, joint=joint)
    assert len(container.write(made)) - len(latents) - len(side or b"") == bytes_around
    assert re.search(rf"\b{bytes_around}\b.* in version {3 if joint else 1}", DOCUMENT)


def test_the_whole_file() -> None:
    expected = Container(
        mode=Mode.RGB,
        width=256,
        height=5,
        quality=40,
        profile=bytes.fromhex("6e617272"),
        strips=(Strip(side=example("side"), latents=example("latents")),),
    )
    assert container.read(example("file"), Limits()) == expected
    assert container.write(expected) == example("file")


def test_each_rule_has_one_number_and_every_number_in_the_code_exists() -> None:
    rules = re.findall(r"^- \*\*([A-Z]\d+)\*\*", DOCUMENT, re.MULTILINE)
    assert len(rules) == len(set(rules))
    for module in (container, entropy, strip_coder, alpha):
        cited = set(re.findall(r"\b[HCEPDA]\d+\b", Path(module.__file__ or "").read_text(encoding="utf-8")))
        assert cited <= set(rules)


@pytest.mark.parametrize("kind", list(ChunkType))
def test_the_table_of_chunks(kind: ChunkType) -> None:
    names = {"ICC": "ICC", "EXIF": "EXIF", "XMP": "XMP"}
    assert f"| {kind.value} | {names.get(kind.name, kind.name.lower().replace('_', ' '))} |" in DOCUMENT


def test_the_numbers_of_the_code() -> None:
    assert f"Version of the format: {container.VERSIONS[-1]}, " in DOCUMENT
    for low, high in pairwise((1, 4097, 8193, 16385, 65536)):
        assert f"| {low}..{high - 1} | {container.strip_rows(low)} |" in DOCUMENT
        assert container.strip_rows(low) == container.strip_rows(high - 1)
    assert f"`{container.SIGNATURE.hex(' ').upper()}`" in DOCUMENT
    assert entropy.SKIP_BOUND == 2**24 - 2**17
    assert "2^24 - 2^17 or more is *skipped*" in DOCUMENT
    assert (container.STRIP_PIXELS, container.MAX_CHUNKS, container.MAX_SIDE) == (2**22, 2048, 65535)
    assert (entropy.TOTAL, entropy.ESCAPE_LIMIT, entropy.MAX_ROWS) == (2**24, 32767, 256)
    assert Limits() == Limits(max_pixels=2**28, max_bytes=2**30, max_metadata=2**24)
    assert "this package: 2^28, 2^30, 2^24" in DOCUMENT


def test_the_list_of_operators_is_the_loaders() -> None:
    from narrows.onnx_check import OPERATORS

    (words,) = re.findall(r"uses only these operators:\n(.*?)\.\n", DOCUMENT, re.DOTALL)
    assert set(words.split()) == OPERATORS
