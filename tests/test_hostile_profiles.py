"""A profile is data from a stranger: what is manipulated in it is a ProfileError, with every digest as it should be.

tests/test_profile.py breaks the rules one by one; here are the attacks: bytes that two readers of protobuf read
differently, graphs that are valid ONNX and end the process, sizes without end, and files that are none.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from craft import varint
from onnx import TensorProto, helper
from onnx.numpy_helper import from_array
from toy_profile import change_graph, change_manifest, change_tensors, read_manifest, write_manifest

from narrows import container
from narrows.cli.failures import ExitCode
from narrows.cli.main import run
from narrows.codec import Codec
from narrows.container import Container, Mode, Strip
from narrows.errors import ProfileError
from narrows.onnx_check import MAX_NODES
from narrows.profile import Profile

Change = Callable[[onnx.ModelProto], None]


@pytest.fixture
def folder(grey_profile: Path, tmp_path: Path) -> Path:
    """A small profile to spoil."""
    return Path(shutil.copytree(grey_profile, tmp_path / "profile"))


def decode(folder: Path) -> None:
    """Load the profile and decode the file without a coded byte: everything that a reader runs."""
    codec = Codec(folder, threads=1)
    strips = (Strip(side=None, latents=b""),)
    profile = codec.profile.digest[:4]
    codec.decode(
        container.write(Container(mode=Mode.L, width=40, height=24, quality=0, profile=profile, strips=strips))
    )


def replace(folder: Path, name: str, data: bytes) -> None:
    (folder / name).write_bytes(data)
    write_manifest(folder, read_manifest(folder))


def test_the_small_profile_is_a_good_one(folder: Path) -> None:
    decode(folder)


# ---------------------------------------------------------------------------------------------------------------------
# The manifest and the folder


@pytest.mark.parametrize(
    "text",
    [
        b'{"licence":"\\ud800","schema":1}',
        b'{"\\udfff":1,"schema":1}',
        b'{"schema":1}'.decode().encode("utf-16"),
        b"\xef\xbb\xbf" + b'{"schema":1}',
        b'{"schema":1,"schema":1}',
        b'{"schema":' + b"1" * 5000 + b"}",
        b'{"schema":1e999}',
        b'{"schema":-0}',
        b'{"schema":1,"training":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}",
        b'{"schema":"' + b"a" * 2**20 + b'"}',
    ],
    ids=lambda text: repr(text[:24]),
)
def test_a_manifest_of_strange_spelling(folder: Path, text: bytes) -> None:
    (folder / "manifest.json").write_bytes(text)
    with pytest.raises(ProfileError, match=r"manifest\.json"):
        Profile.load(folder)


@pytest.mark.parametrize("value", [None, True, [], {}, "?", 1.5, -1, 2**70, 1e308, "\x1b[2J", "a" * 100_000])
@pytest.mark.parametrize("key", [*"schema name version input_channels latent_stride hyper_limit".split(), "files"])
def test_a_value_of_another_kind(folder: Path, key: str, value: Any) -> None:
    change_manifest(folder, **{key: value})
    with pytest.raises(ProfileError, match=r"manifest\.json"):
        Profile.load(folder)


def test_what_a_manifest_says_does_not_flood_a_terminal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "manifest.json").write_bytes(b'{"schema":"' + b"a\\u001b[2J" * 50_000 + b'"}')
    file = folder.parent / "file.nrws"
    file.write_bytes((Path(__file__).parent / "hostile" / "valid-every-unknown-chunk.nrws").read_bytes())
    assert run(["verify", "--deep", "-p", str(folder), str(file)]) == ExitCode.PROFILE
    err = capsys.readouterr().err
    assert len(err) < 10_000 and "schema is 'a" in err and "\x1b" not in err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
@pytest.mark.parametrize("name", ["manifest.json", "weights.safetensors", "synthesis.onnx"])
def test_what_is_no_file_is_not_waited_for(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(ProfileError, match=rf"{name}: is not a plain file"):
        Profile.load(folder)
    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")
    with pytest.raises(ProfileError, match=rf"{name}: is not a plain file"):
        Profile.load(folder)


@pytest.mark.parametrize("name", ["manifest.json", "weights.safetensors", "synthesis.onnx"])
def test_a_folder_in_the_place_of_a_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).mkdir()
    with pytest.raises(ProfileError, match=name):
        Profile.load(folder)


# ---------------------------------------------------------------------------------------------------------------------
# The weights


def weights(header: Any, data: bytes = bytes(64)) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def tensor(dtype: str, shape: list[int], start: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


@pytest.mark.parametrize(
    "data",
    [
        (2**63).to_bytes(8, "little"),
        (2**64 - 1).to_bytes(8, "little") + b"{}",
        weights(b"[" * 100_000),
        weights(b'{"a":' * 10_000),
        weights({"context.steps": tensor("U8", [2**63, 2], 0, 64)}),
        weights({"context.steps": tensor("U8", [-1], 0, 64)}),
        weights({"context.steps": tensor("U8", [64], 0, 2**63)}),
        weights({"context.steps": tensor("U8", [64], 64, 0)}),
        weights({"context.steps": tensor("U8", [64], 0, 64), "tables.y.radius": tensor("I32", [16], 0, 64)}),
        weights({"context.steps": tensor("F4", [128], 0, 64)}),
        weights({"context.steps": tensor("U8", [0, 2, 2], 0, 0)}, b""),
        weights({"context.steps": tensor("nothing", [64], 0, 64)}),
        weights({"context.steps": 1}),
        weights({"__metadata__": {"a": 1}}),
        weights(b'{"\xff\xfe":1}'),
        weights({}, b""),
    ],
)
def test_weights_that_lie(folder: Path, data: bytes) -> None:
    replace(folder, "weights.safetensors", data)
    with pytest.raises(ProfileError, match=r"weights\.safetensors"):
        Profile.load(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tables__y__radius": np.full(20, 32767, np.int32)}, "the radii need"),
        ({"tables__y__radius": np.full(20, 2**31 - 1, np.int32)}, "outside 0..32767"),
        ({"tables__y__radius": np.full(20, -(2**31), np.int32)}, "outside 0..32767"),
        ({"tables__y__radius": np.zeros(1, np.int32), "tables__y__frequencies": np.array([2**24, 0])}, "expected U32"),
        (
            {"tables__y__radius": np.zeros(1, np.int32), "tables__y__frequencies": np.array([2**24, 0], np.uint32)},
            "positive frequencies",
        ),
        (
            # 2^24 in 32 bits, not in whole numbers
            {
                "tables__y__radius": np.ones(1, np.int32),
                "tables__y__frequencies": np.array([2**31, 2**31, 2**24 - 1, 1], np.uint32),
            },
            "positive frequencies",
        ),
        (
            {"tables__y__radius": np.zeros(1, np.int32), "tables__y__frequencies": np.array([1, 1], np.uint32)},
            "positive frequencies",
        ),
    ],
)
def test_tables_that_no_coder_could_use(folder: Path, changes: dict[str, Any], message: str) -> None:
    change_tensors(folder, **changes)
    with pytest.raises(ProfileError, match=message):
        Profile.load(folder)


def test_tables_that_expect_nothing_but_escapes(folder: Path) -> None:
    """The coder of constriction takes the narrowest frequencies that there are."""
    tables = Profile.load(folder).latent_tables
    rows = [np.ones(2 * radius + 2, np.uint32) for radius in tables.radius]
    for row in rows:
        row[-1] = 2**24 - (row.size - 1)
    change_tensors(folder, tables__y__frequencies=np.concatenate(rows))
    decode(folder)


# ---------------------------------------------------------------------------------------------------------------------
# Bytes that two readers of protobuf read differently


def part(number: int, content: bytes) -> bytes:
    """A field that holds bytes."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def rebuilt(model: onnx.ModelProto, /, **extra: bytes) -> bytes:
    """The model with bytes added at the end of some of its messages, where each reader takes them for what it likes."""
    graph = onnx.GraphProto()
    graph.CopyFrom(model.graph)
    first, initializer, output = graph.node[0], graph.initializer[0], graph.output[0]
    pieces = [part(1, first.SerializeToString() + extra.get("node", b""))]
    pieces += [part(1, node.SerializeToString()) for node in graph.node[1:]]
    pieces += [part(5, initializer.SerializeToString() + extra.get("tensor", b""))]
    pieces += [part(5, one.SerializeToString()) for one in graph.initializer[1:]]
    pieces += [part(12, output.SerializeToString() + extra.get("output", b""))]
    for field in ("node", "initializer", "output"):
        graph.ClearField(field)  # type: ignore[arg-type]
    rest, opset = onnx.ModelProto(), model.opset_import[0]
    rest.CopyFrom(model)
    rest.ClearField("graph")
    rest.ClearField("opset_import")
    head = rest.SerializeToString() + part(8, opset.SerializeToString() + extra.get("opset", b""))
    return (
        head + part(7, graph.SerializeToString() + b"".join(pieces) + extra.get("graph", b"")) + extra.get("model", b"")
    )


FIXED32 = 5


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"node": part(4, b"Loop")}, "field 4 of a NodeProto stands there twice"),
        ({"node": bytes((4 << 3 | FIXED32,)) + b"Relu"}, "field 4 of a NodeProto has the wire type 5"),
        ({"node": varint(2**32 | 4 << 3 | 2) + b"\4Loop"}, "number is out of range"),
        ({"node": b"\x00\x00"}, "number is out of range"),
        (
            {"node": part(5, part(1, b"one") + part(5, b"") + part(5, b""))},
            "field 5 of a AttributeProto stands there twice",
        ),
        ({"node": 2 * part(5, part(1, b"one"))}, "'one' of a .* twice"),
        ({"tensor": part(8, b"other")}, "field 8 of a TensorProto stands there twice"),
        ({"tensor": b"\x10" + b"\xff" * 9 + b"\x02"}, "more than 64 bits|twice"),
        ({"tensor": b"\x70" + varint(2**32 + 1)}, "neither in the graph"),
        ({"output": part(2, b"")}, "field 2 of a ValueInfoProto stands there twice"),
        ({"opset": b"\x10\x15"}, "field 2 of a OperatorSetIdProto stands there twice"),
        ({"graph": part(15, b"")}, "field 15"),
        ({"model": part(7, b"")}, "field 7 of a ModelProto stands there twice"),
        ({"model": part(25, b"")}, "field 25"),
    ],
)
def test_nothing_is_said_twice_or_in_another_way(folder: Path, extra: dict[str, bytes], message: str) -> None:
    model = onnx.load(folder / "synthesis.onnx", load_external_data=False)
    replace(folder, "synthesis.onnx", rebuilt(model))
    decode(folder)
    replace(folder, "synthesis.onnx", rebuilt(model, **extra))
    with pytest.raises(ProfileError, match=message):
        Profile.load(folder)


def test_an_operator_that_the_runtime_would_read_otherwise(folder: Path) -> None:
    """protobuf passes over a field of an unexpected wire type; a reader that does not takes Tanh for a Relu."""

    def change(model: onnx.ModelProto) -> None:
        model.graph.node[-1].op_type = "Erf"  # in no profile

    change_graph(folder, "synthesis.onnx", change)
    data = (folder / "synthesis.onnx").read_bytes()
    node = onnx.load(folder / "synthesis.onnx", load_external_data=False).graph.node[-1].SerializeToString()
    graph = onnx.load(folder / "synthesis.onnx", load_external_data=False).graph.SerializeToString()
    lying = graph.replace(part(1, node), part(1, node + bytes((4 << 3 | FIXED32,)) + b"Relu"))
    data = data.replace(part(7, graph), part(7, lying))
    assert onnx.load_from_string(data).graph.node[-1].op_type == "Erf", "as the runtime reads it"
    replace(folder, "synthesis.onnx", data)
    with pytest.raises(ProfileError, match="wire type 5"):
        Profile.load(folder)


# ---------------------------------------------------------------------------------------------------------------------
# Graphs that are valid ONNX


def constant(model: onnx.ModelProto, name: str, array: Any) -> str:
    model.graph.initializer.append(from_array(np.asarray(array), name))
    return name


def add(model: onnx.ModelProto, operator: str, inputs: list[str], **attributes: Any) -> None:
    """A node whose result nobody needs: the check does not ask."""
    model.graph.node.append(helper.make_node(operator, inputs, [f"added{len(model.graph.node)}"], **attributes))


def divide(operator: str, kind: Any, by: Any) -> Change:
    return lambda model: add(
        model,
        operator,
        [constant(model, "a", np.array([np.iinfo(kind).min], kind)), constant(model, "b", np.array(by, kind))],
    )


def divide_by_input(model: onnx.ModelProto) -> None:
    add(model, "Div", [constant(model, "a", np.array([1], np.int64)), "quality"])


def divide_by_result(model: onnx.ModelProto) -> None:
    add(model, "Identity", [constant(model, "a", np.array([-1], np.int64))])
    add(model, "Mod", ["a", model.graph.node[-1].output[0]])


def divide_by_index(model: onnx.ModelProto) -> None:
    """MaxPool's second result is of integers, also where its first has no name."""
    model.graph.node.append(helper.make_node("MaxPool", ["y_hat"], ["", "at"], kernel_shape=[1, 1]))
    add(model, "Div", ["at", "at"])


def divide_before(model: onnx.ModelProto) -> None:
    """The divisor is made by a later node."""
    model.graph.node.insert(0, helper.make_node("Div", ["y_hat", "later"], ["early"]))
    model.graph.node.append(helper.make_node("Cast", ["y_hat"], ["later"], to=TensorProto.INT32))


def divide_by_truncated(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(TensorProto(name="b", dims=[1], data_type=TensorProto.UINT8, int32_data=[256]))
    add(model, "Div", [constant(model, "a", np.array([1], np.uint8)), "b"])


def divide_by_short(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(TensorProto(name="b", dims=[2], data_type=TensorProto.INT64, int64_data=[1]))
    add(model, "Div", [constant(model, "a", np.array([1], np.int64)), "b"])


def constant_that_is_fed(model: onnx.ModelProto) -> None:
    constant(model, "quality", np.array([1], np.int64))
    divide_by_input(model)


def dimensions(values: list[int]) -> Change:
    return lambda model: model.graph.initializer.append(TensorProto(name="deep", dims=values, data_type=1))


def attribute(operator: str, **attributes: Any) -> Change:
    return lambda model: add(model, operator, ["y_hat", "y_hat"], **attributes)


def many_nodes(model: onnx.ModelProto) -> None:
    for _ in range(MAX_NODES):
        add(model, "Abs", ["y_hat"])


DIVIDES = "divides integers by"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (divide("Div", np.int64, [-1]), DIVIDES),
        (divide("Div", np.int32, [-1]), DIVIDES),
        (divide("Mod", np.int64, [-1]), DIVIDES),
        (divide("Div", np.int64, [2, 0]), DIVIDES),
        (divide("Mod", np.uint8, [0]), DIVIDES),
        (divide("Div", np.int8, [-128]), DIVIDES),
        (divide_by_input, DIVIDES),
        (divide_by_result, DIVIDES),
        (divide_by_index, DIVIDES),
        (divide_before, DIVIDES),
        (divide_by_truncated, DIVIDES),
        (divide_by_short, DIVIDES),
        (constant_that_is_fed, "'quality' to more than one value"),
        (lambda model: constant(model, "y_hat", np.zeros(1, np.float32)), "'y_hat' to more than one"),
        (lambda model: add(model, "Identity", [""]) or add(model, "Div", []), DIVIDES),
        (attribute("ConvTranspose", group=0), "'group' of a ConvTranspose a value below 1"),
        (attribute("Conv", group=-(2**63)), "'group'"),
        (attribute("Conv", strides=[1, 0]), "'strides'"),
        (attribute("Conv", dilations=[-1, 1]), "'dilations'"),
        (attribute("MaxPool", kernel_shape=[0, 0]), "'kernel_shape'"),
        (attribute("DepthToSpace", blocksize=0), "'blocksize'"),
        (many_nodes, f"at most {MAX_NODES}"),
        (dimensions([1] * 9), "at most 8 dimensions"),
        (dimensions([2**63 - 1] * 8), "claims"),
        (dimensions([-1, -1]), "negative"),
        (dimensions([0, -5]), "negative"),
    ],
)
def test_a_graph_that_would_end_the_process(folder: Path, change: Change, message: str) -> None:
    change_graph(folder, "synthesis.onnx", change)
    with pytest.raises(ProfileError, match=message) as caught:
        Profile.load(folder)
    assert caught.value.source == str(folder / "synthesis.onnx")


def test_division_by_a_constant_and_of_floats_is_allowed(folder: Path) -> None:
    def change(model: onnx.ModelProto) -> None:
        divide("Div", np.int64, [2, 1])(model)
        add(model, "Mod", ["a", "b"])
        add(model, "Constant", [], value=from_array(np.array([3], np.int64)))
        add(model, "Div", ["b", model.graph.node[-1].output[0]])
        add(model, "Div", ["y_hat", "y_hat"])
        model.graph.initializer.append(TensorProto(name="d", dims=[1], data_type=TensorProto.INT64, int64_data=[9]))
        add(model, "Div", ["b", "d"])

    change_graph(folder, "synthesis.onnx", change)
    decode(folder)


def test_a_million_dimensions_take_no_time(folder: Path) -> None:
    """Their product alone would take minutes."""
    change_graph(folder, "synthesis.onnx", dimensions([2**62] * 200_000))
    begun = time.process_time()
    with pytest.raises(ProfileError, match="at most 8 dimensions"):
        Profile.load(folder)
    assert time.process_time() - begun < 5


# ---------------------------------------------------------------------------------------------------------------------
# Graphs that load, and whose results are wrong


def through(operator: str, *inputs: Any, on: str = "y_hat", **attributes: Any) -> Change:
    """The graph's result comes from this operator on one of its inputs."""

    def change(model: onnx.ModelProto) -> None:
        last, name = model.graph.node[-1], model.graph.output[0].name
        assert list(last.output) == [name]
        names = [on, *(constant(model, f"in{k}", array) for k, array in enumerate(inputs))]
        model.graph.node.append(helper.make_node(operator, names, ["wrong"], **attributes))
        model.graph.node.append(helper.make_node("Cast", ["wrong"], ["wrong8"], to=TensorProto.UINT8))
        last.output[0] = "unused"
        model.graph.node.append(helper.make_node("Identity", ["wrong8"], [name]))

    return change


def numbers(*values: int) -> Any:
    return np.array(values, np.int64)


RESULTS: list[tuple[str, Change]] = [
    ("synthesis.onnx", through("Identity")),
    ("synthesis.onnx", through("Expand", numbers(3, 1, 1, 1, 1))),
    ("synthesis.onnx", through("Reshape", numbers(-1))),
    ("synthesis.onnx", through("Reshape", numbers(2**62, 4))),
    ("synthesis.onnx", through("Gather", numbers(2**40))),
    ("synthesis.onnx", through("Gather", numbers(-(2**40)))),
    ("synthesis.onnx", through("Transpose", perm=[0, 0, 1, 2])),
    ("synthesis.onnx", through("Slice", numbers(0), numbers(1), numbers(9))),
    ("synthesis.onnx", through("Slice", numbers(0), numbers(9), numbers(2), numbers(0))),
    ("synthesis.onnx", through("Tile", numbers(2**31, 2**31, 2**31, 2**31))),
    ("synthesis.onnx", through("Tile", numbers(-1, -1, -1, -1))),
    ("synthesis.onnx", through("Pad", numbers(-9, -9, -9, -9, -9, -9, -9, -9))),
    ("synthesis.onnx", through("Pad", numbers(*[2**62] * 8))),
    ("synthesis.onnx", through("Resize", np.zeros(0, np.float32), np.full(4, np.nan, np.float32))),
    ("synthesis.onnx", through("DepthToSpace", blocksize=2**62)),
    ("synthesis.onnx", through("Flatten", axis=99)),
    ("synthesis.onnx", through("Concat", axis=99)),
    ("synthesis.onnx", through("Cast", to=99)),
    ("synthesis.onnx", through("Cast", to=TensorProto.STRING)),
    ("synthesis.onnx", through("Conv", np.zeros((1, 99, 1, 1), np.float32))),
    ("synthesis.onnx", through("Conv", np.zeros((0, 16, 1, 1), np.float32))),
    ("synthesis.onnx", through("ConvTranspose", np.zeros((16, 1, 1, 1), np.float32), output_shape=[-1, -1])),
    ("scales.0.onnx", through("Identity", on="symbols")),
    ("scales.0.onnx", through("Add", np.array(20, np.int32), on="symbols")),
    ("scales.0.onnx", through("Add", np.array(255, np.int32), on="symbols")),
    ("scales.0.onnx", through("Unsqueeze", numbers(0), on="symbols")),
]


@pytest.mark.parametrize(("name", "change"), RESULTS[:-4] + RESULTS[-3:])
def test_a_result_that_is_none(folder: Path, name: str, change: Change) -> None:
    change_graph(folder, name, change)
    with pytest.raises(ProfileError):
        decode(folder)


def test_a_result_that_is_not_a_number_is_a_picture_all_the_same(folder: Path) -> None:
    """Floats decide no symbol: whatever they are, they end as samples."""

    def change(model: onnx.ModelProto) -> None:
        model.graph.node[-1].op_type, kept = "Add", model.graph.node[-1].input[0]
        model.graph.node[-1].input[:] = [kept, constant(model, "nan", np.array(np.nan, np.float32))]

    change_graph(folder, "dequantise.onnx", change)
    decode(folder)


LIMITED = """
import resource, sys
from test_hostile_profiles import decode
from narrows.errors import ProfileError
resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))
try:
    decode(sys.argv[1])
except ProfileError as error:
    print("refused", error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="this system limits the memory of a process otherwise")
@pytest.mark.parametrize(
    ("operator", "count"), [("ConstantOfShape", 2**33), ("ConstantOfShape", 2**61), ("Range", 2**33), ("Range", 2**61)]
)
def test_a_layer_without_end_is_an_error_where_memory_is_limited(folder: Path, operator: str, count: int) -> None:
    """Nothing bounds the size of the layers inside of a graph (SECURITY.md): the process must, and lives on."""

    def change(model: onnx.ModelProto) -> None:
        ends = [constant(model, f"in{k}", np.array(value, np.int64)) for k, value in enumerate((0, count, 1))]
        shape = [constant(model, "shape", numbers(count))]
        model.graph.node.append(helper.make_node(operator, shape if operator != "Range" else ends, ["large"]))
        last, name = model.graph.node[-2], model.graph.output[0].name
        last.output[0] = "small"
        model.graph.node.append(helper.make_node("Cast", ["large"], ["large8"], to=TensorProto.UINT8))
        model.graph.node.append(helper.make_node("Add", ["small", "large8"], [name]))

    change_graph(folder, "synthesis.onnx", change)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, "-c", LIMITED, str(folder)]
    process = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith("refused")


def bits(data: bytes) -> Iterator[bytes]:
    """The data with every 61st bit changed, one after the other."""
    for bit in range(0, 8 * len(data), 61):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


@pytest.mark.parametrize("name", ["scales.0.onnx", "dequantise.onnx", "synthesis.onnx"])
def test_a_changed_bit_under_a_right_digest_is_an_error_or_another_network(folder: Path, name: str) -> None:
    refused = 0
    for data in bits((folder / name).read_bytes()):
        replace(folder, name, data)
        try:
            decode(folder)
        except ProfileError:
            refused += 1
    assert refused
