"""docs/reference_decoder.py: its interpreter against ONNX Runtime, its parts against the package's."""

import hashlib
import io
import json
import subprocess
import sys
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference_decoder as reference
from numpy.typing import NDArray
from PIL import Image

from narrows import container
from narrows.container import Container, Mode, Strip
from narrows.entropy import LatentTables, SideTables, encode_joint
from narrows.limits import Limits

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

SCRIPT = Path(__file__).parent.parent / "docs" / "reference_decoder.py"
Array = NDArray[Any]


def test_it_needs_numpy_and_the_standard_library_only() -> None:
    lines = [line for line in SCRIPT.read_text().splitlines() if line.startswith(("import ", "from "))]
    imports = {line.split()[1].split(".")[0] for line in lines}
    assert imports <= set(sys.stdlib_module_names) | {"numpy"}


# --- the interpreter


def model(nodes: list[Any], inputs: dict[str, Array], outputs: list[str], constants: dict[str, Array]) -> bytes:
    values = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in inputs.items()
    ]
    results = [helper.make_empty_tensor_value_info(name) for name in outputs]
    graph = helper.make_graph(
        nodes, "test", values, results, [numpy_helper.from_array(a, n) for n, a in constants.items()]
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return bytes(onnx.shape_inference.infer_shapes(proto).SerializeToString())


def draw(shape: tuple[int, ...], dtype: Any = np.float32, low: int = -9, high: int = 9) -> Array:
    generator = np.random.default_rng([*shape, np.dtype(dtype).num])
    if np.dtype(dtype).kind == "f":
        return generator.normal(scale=3, size=shape).astype(dtype)
    return generator.integers(low, high, shape).astype(dtype)


@dataclass(frozen=True)
class Case:
    operator: str
    inputs: tuple[Array | None, ...]
    attributes: dict[str, Any]


def case(operator: str, *inputs: Array | None, **attributes: Any) -> Case:
    return Case(operator, inputs, attributes)


def ints(*values: int) -> Array:
    return np.array(values, np.int64)


X = draw((2, 8, 6, 4))
CASES = [
    case("Abs", X),
    case("Add", X, draw((8, 1, 1))),
    case("Sub", X, draw((8, 1, 1))),
    case("Mul", X, draw((1, 6, 4))),
    case("Div", X, np.array(4, np.float32)),
    case("Div", ints(7, -7, 7, -7), ints(2, 2, -2, -2)),
    case("Cast", X, to=TensorProto.INT32),
    case("Cast", np.abs(X), to=TensorProto.UINT8),
    case("Cast", draw((3, 4), np.int32), to=TensorProto.FLOAT),
    case("Cast", draw((3, 4), np.float16), to=TensorProto.FLOAT),
    case("Cast", draw((3, 4), np.int8), to=TensorProto.FLOAT),
    case("Clip", X, np.array(-1, np.float32), np.array(2, np.float32)),
    case("Clip", X, None, np.array(2, np.float32)),
    case("Clip", X, np.array(1, np.float32)),
    case("Concat", X, draw((2, 3, 6, 4)), axis=1),
    case("Concat", X, X, axis=-1),
    case("Constant", value=numpy_helper.from_array(X)),
    case("Constant", value_float=0.5),
    case("Constant", value_ints=[1, -2, 3]),
    case("Constant", value_int=-4),
    case("ConstantOfShape", ints(2, 3)),
    case("ConstantOfShape", ints(2, 3), value=numpy_helper.from_array(np.array([7], np.int32))),
    case("Conv", X, draw((5, 8, 3, 3)), draw((5,)), pads=[1, 1, 1, 1]),
    case("Conv", X, draw((5, 8, 1, 1))),
    case("Conv", X, draw((8, 1, 3, 3)), draw((8,)), group=8, pads=[1, 0, 2, 1]),
    case("Conv", X, draw((6, 4, 3, 2)), group=2, strides=[2, 1], pads=[1, 1, 0, 2]),
    case("Conv", X, draw((4, 8, 2, 2)), dilations=[2, 3], auto_pad="VALID"),
    case("ConvTranspose", X, draw((8, 5, 3, 3)), draw((5,)), strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]),
    case("ConvTranspose", X, draw((8, 3, 5, 4)), strides=[2, 3], pads=[2, 1, 2, 0], group=2),
    case("ConvTranspose", X, draw((8, 3, 2, 2)), dilations=[2, 1]),
    case("DepthToSpace", X, blocksize=2),
    case("DepthToSpace", X, blocksize=2, mode="CRD"),
    case("SpaceToDepth", X, blocksize=2),
    case("Equal", draw((30,), np.int64), draw((30,), np.int64)),
    case("Exp", X),
    case("Expand", draw((3, 1)), ints(2, 3, 4)),
    case("Expand", draw((3, 1), np.int32), ints(1, 4)),
    case("Flatten", X),
    case("Flatten", X, axis=-1),
    case("Floor", X),
    case("Gather", draw((9, 4)), ints(3), axis=0),
    case("Gather", X, ints(0, -1, 2), axis=2),
    case("Gather", draw((64,)), draw((2, 3), np.int32, 0, 64)),
    case("Gemm", draw((3, 4)), draw((4, 5)), draw((5,)), alpha=0.5, beta=2.0),
    case("Gemm", draw((4, 3)), draw((5, 4)), transA=1, transB=1),
    case("GreaterOrEqual", X, np.array(0, np.float32)),
    case("Identity", X),
    case("LeakyRelu", X, alpha=0.2),
    case("LeakyRelu", X),
    case("Less", X, np.array(0, np.float32)),
    case("Log", np.abs(X) + 1),
    case("MatMul", draw((2, 3, 4)), draw((4, 5))),
    case("Max", X, draw((8, 1, 1)), np.array(0, np.float32)),
    case("Min", X, draw((8, 1, 1))),
    case("MaxPool", X, kernel_shape=[2, 2], strides=[2, 2]),
    case("MaxPool", X, kernel_shape=[3, 2], pads=[1, 1, 1, 0]),
    case("Mod", draw((30,), np.int64), ints(4)),
    case("Mod", X, np.array(1.5, np.float32), fmod=1),
    case("Pad", X, ints(0, 0, 1, 2, 0, 0, 3, 1)),
    case("Pad", X, ints(1, 2), np.array(5, np.float32), ints(-1)),
    case("Pad", X, ints(0, 0, 1, 2, 0, 0, 3, 1), mode="reflect"),
    case("Pad", X, ints(0, 0, 1, 2, 0, 0, 3, 1), mode="edge"),
    case("Range", np.array(1, np.int64), np.array(9, np.int64), np.array(3, np.int64)),
    case("Relu", X),
    case("Reshape", X, ints(0, -1, 12)),
    case("Reshape", X, ints(4, 96)),
    case(
        "Resize",
        X,
        None,
        np.array([1, 1, 2, 2], np.float32),
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    ),
    case("Resize", X, None, np.array([1, 1, 2, 3], np.float32)),
    case("Resize", X, None, np.array([1, 1, 2, 2], np.float32), mode="linear"),
    case("Resize", X, None, None, ints(2, 8, 12, 8), mode="linear", coordinate_transformation_mode="asymmetric"),
    case("Round", np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.49, 7.0], np.float32)),
    case("Shape", X),
    case("Shape", X, start=2, end=4),
    case("Shape", X, start=-2),
    case("Sigmoid", 20 * X),
    case("Sign", np.array([-2.5, 0, 3], np.float32)),
    case("Slice", X, ints(1, -3), ints(7, 100), ints(1, 2)),
    case("Slice", X, ints(0, 5), ints(2, -100), ints(0, 2), ints(1, -2)),
    case("Slice", X, ints(1), ints(2)),
    case("Softplus", X),
    case("Tanh", X),
    case("Tile", X, ints(1, 2, 1, 3)),
    case("Transpose", X, perm=[0, 2, 3, 1]),
    case("Transpose", X),
    case("Unsqueeze", draw((3, 4)), ints(0, -1)),
    case("Where", draw((6, 4), np.int32) > 0, X, np.array(0, np.float32)),
]


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.operator)
def test_an_operator_gives_what_onnx_runtime_gives(one: Case) -> None:
    values = {f"i{k}": array for k, array in enumerate(one.inputs) if array is not None}
    names = [f"i{k}" if array is not None else "" for k, array in enumerate(one.inputs)]
    node = helper.make_node(one.operator, names, ["out"], **one.attributes)
    # Shapes and axes as constants, the way exporters write them; the first input is fed.
    fed = {name: array for name, array in values.items() if name == "i0"}
    constants = {name: array for name, array in values.items() if name != "i0"}
    data = model([node], fed, ["out"], constants)
    (expected,) = runtime.InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, fed)
    found = reference.Graph(data, b"").run(fed)["out"]
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)
    else:
        assert np.array_equal(found, expected)


def test_every_allowed_operator_is_known_and_tested() -> None:
    from narrows.onnx_check import OPERATORS

    assert set(reference.OPERATORS) == OPERATORS
    assert {one.operator for one in CASES} == OPERATORS


# --- the integer path


def integer_model(**changed: Any) -> tuple[bytes, dict[str, Array]]:
    """Cast, convolution, requantisation, a table of qualities, Cast to uint8: the shape of a scales graph."""
    weight = draw((4, 2, 3, 3), np.int8, -100, 100).astype(np.float16)
    constants = {
        "weight": weight,
        "table": draw((3, 4), np.float32).round() * 50,
        "unit": np.array(changed.get("unit", 64), np.float32),
        "low": np.array(0, np.float32),
        "high": np.array(changed.get("high", 255), np.float32),
        "shape": ints(1, -1, 1, 1),
    }
    nodes = [
        helper.make_node("Cast", ["z_hat"], ["z"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["weight"], ["w"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["z", "w"], ["sum"], pads=[1, 1, 1, 1]),
        helper.make_node("Gather", ["table", "quality"], ["row"], axis=0),
        helper.make_node("Reshape", ["row", "shape"], ["bias"]),
        helper.make_node("Add", ["sum", "bias"], ["biased"]),
        helper.make_node("Div", ["biased", "unit"], ["part"]),
        helper.make_node(changed.get("after_div", "Floor"), ["part"], ["whole"]),
        helper.make_node("Clip", ["whole", "low", "high"], ["clipped"]),
        helper.make_node("Cast", ["clipped"], ["rows"], to=TensorProto.UINT8),
    ]
    inputs = {"z_hat": draw((1, 2, 5, 7), np.int32, -63, 64) * changed.get("scale", 1), "quality": ints(1)}
    return model(nodes, inputs, ["rows"], constants), inputs


def test_the_integer_path_in_int64_is_the_float_path() -> None:
    data, inputs = integer_model()
    (expected,) = runtime.InferenceSession(data).run(None, inputs)
    found = reference.Graph(data, b"", integer=True).run(inputs)["rows"]
    assert found.dtype == np.uint8
    assert np.array_equal(found, expected)
    assert len(np.unique(found)) > 20
    assert np.array_equal(found, reference.Graph(data, b"").run(inputs)["rows"])


@pytest.mark.parametrize(
    "changed",
    [
        {"unit": 48},
        {"unit": 0.5},
        {"after_div": "Round"},
        {"after_div": "Sigmoid"},
        {"high": 300, "unit": 1},
        {"scale": 9999},
    ],
    ids=str,
)
def test_what_is_not_exact_is_refused(changed: dict[str, Any]) -> None:
    data, inputs = integer_model(**changed)
    with pytest.raises(reference.InvalidError, match="P7"):
        reference.Graph(data, b"", integer=True).run(inputs)


# --- whole files, with a profile made by hand: 2 latent channels at stride 2, one hyper-latent at stride 4, two steps;
# in schema 2 two side steps, three rows of the hyper-latent of which one has 0 and the escape alone, and a limit of 3

TOTAL = 2**24
RADII = np.array([1, 3, 0], np.int32)
FREQUENCIES = np.array(
    [TOTAL // 4, TOTAL // 2, TOTAL // 4 - 9, 9, 5, 50, 500, TOTAL - 1110, 500, 50, 4, 1, TOTAL - 1, 1], np.uint32
)
Z_FREQUENCIES = np.array([[[TOTAL // 4, TOTAL // 2, TOTAL // 4]], [[1, TOTAL - 2, 1]]], np.uint32)
STEPS = np.array([[[0, 1], [1, 0]], [[1, 0], [0, 1]]], np.uint8)
SIDE_RADII = np.array([1, 2, 0], np.int32)
SIDE_FREQUENCIES = np.array(
    [
        *(TOTAL // 4, TOTAL // 2, TOTAL // 4 - 9, 9),
        *(7, TOTAL // 4, TOTAL // 2, TOTAL // 4 - 17, 9, 1),
        *(3 * TOTAL // 4, TOTAL // 4),
    ],
    np.uint32,
)
SIDE_STEPS = np.array([[[0, 1], [1, 0]]], np.uint8)
CENTRE = np.array([[1], [-1]], np.int32)
LIMIT = 3


def scales_rows(z_hat: Array, symbols: Array, quality: int, step: int) -> Array:
    """What the scales graphs below compute: z_hat + quality, in step 1 + |symbol so far|, clipped to 0..2."""
    grown = np.repeat(np.repeat(z_hat, 2, 1), 2, 2) + quality
    rows = np.broadcast_to(grown, symbols.shape) + (np.abs(symbols) if step else 0)
    return np.clip(rows, 0, 2).astype(np.uint8)


def side_rows(values: Array, quality: int) -> tuple[Array, Array]:
    """What the side graphs below compute of the sum of the eight neighbours: rows, shift."""
    _, h, w = values.shape
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1)))
    total = sum(padded[:, i : i + h, j : j + w] for i in range(3) for j in range(3)) - values
    return np.clip(np.abs(total) + quality, 0, 2).astype(np.uint8), np.clip(total // 2, -2, 2).astype(np.int32)


def graphs(schema: int) -> dict[str, tuple[list[Any], list[Any], list[str], dict[str, Array]]]:
    """Nodes, inputs, outputs and constants of each graph, by file name."""
    z = ("z_hat", TensorProto.INT32, [1, 1, "h", "w"])
    symbols = ("symbols", TensorProto.INT32, [1, 2, "h2", "w2"])
    quality = ("quality", TensorProto.INT64, [1])
    node = helper.make_node
    result: dict[str, Any] = {}
    for step in range(2):
        nodes = [
            node("Cast", ["z_hat"], ["z"], to=TensorProto.FLOAT),
            node("Cast", ["quality"], ["q"], to=TensorProto.FLOAT),
            node("Add", ["z", "q"], ["zq"]),
            node("Tile", ["zq", "four"], ["z4"]),
            node("DepthToSpace", ["z4"], ["grown"], blocksize=2),
            node("Concat", ["grown", "grown"], ["both"], axis=1),
            *(
                [
                    node("Cast", ["symbols"], ["s"], to=TensorProto.FLOAT),
                    node("Abs", ["s"], ["size"]),
                    node("Add", ["both", "size"], ["sum"]),
                ]
                if step
                else []
            ),
            node("Clip", ["sum" if step else "both", "zero", "two"], ["clipped"]),
            node("Cast", ["clipped"], ["rows"], to=TensorProto.UINT8),
        ]
        constants = {"four": ints(1, 4, 1, 1), "zero": np.array(0, np.float32), "two": np.array(2, np.float32)}
        result[f"scales.{step}.onnx"] = (nodes, [z, quality, *([symbols] if step else [])], ["rows"], constants)
    values = ("values", TensorProto.INT32, [1, 1, "h", "w"])
    for step in range(2 if schema == 2 else 0):
        nodes = [
            node("Cast", ["values"], ["v"], to=TensorProto.FLOAT),
            node("Cast", ["quality"], ["q"], to=TensorProto.FLOAT),
            node("Conv", ["v", "around"], ["total"], pads=[1, 1, 1, 1]),
            node("Abs", ["total"], ["size"]),
            node("Add", ["size", "q"], ["sum"]),
            node("Clip", ["sum", "zero", "two"], ["clipped"]),
            node("Cast", ["clipped"], ["rows"], to=TensorProto.UINT8),
            node("Div", ["total", "two"], ["part"]),
            node("Floor", ["part"], ["whole"]),
            node("Clip", ["whole", "minus", "two"], ["near"]),
            node("Cast", ["near"], ["shift"], to=TensorProto.INT32),
        ]
        constants = {name: np.array(n, np.float32) for name, n in {"minus": -2, "zero": 0, "two": 2}.items()}
        constants["around"] = np.array([[[[1, 1, 1], [1, 0, 1], [1, 1, 1]]]], np.float32)
        result[f"side.{step}.onnx"] = (nodes, [values, quality], ["rows", "shift"], constants)
    nodes = [node("Cast", ["symbols"], ["s"], to=TensorProto.FLOAT), node("Mul", ["s", "half"], ["y_hat"])]
    result["dequantise.onnx"] = (nodes, [symbols], ["y_hat"], {"half": np.array(0.5, np.float32)})
    nodes = [
        node("Cast", ["weight"], ["w"], to=TensorProto.FLOAT),
        node("Conv", ["y_hat", "w"], ["x"]),
        node("Add", ["x", "grey"], ["shifted"]),
        node("DepthToSpace", ["shifted"], ["up"], blocksize=2),
        node("Clip", ["up", "zero", "white"], ["clipped"]),
        node("Round", ["clipped"], ["rounded"]),
        node("Cast", ["rounded"], ["picture"], to=TensorProto.UINT8),
    ]
    constants = {name: np.array(n, np.float32) for name, n in {"grey": 128, "zero": 0, "white": 255}.items()}
    y_hat = ("y_hat", TensorProto.FLOAT, [1, 2, "h", "w"])
    result["synthesis.onnx"] = (nodes, [y_hat], ["picture"], constants)
    return result


WEIGHT = draw((12, 2, 1, 1), np.float16) * np.float16(10)


def write_profile(folder: Path, schema: int = 1, side_frequencies: Array = SIDE_FREQUENCIES) -> bytes:
    """Write the profile; its digest."""
    tensors: dict[str, Array] = {
        "weight": WEIGHT,
        "context.steps": STEPS,
        "tables.y.radius": RADII,
        "tables.y.frequencies": FREQUENCIES,
    }
    if schema == 1:
        tensors |= {"tables.z.frequencies": Z_FREQUENCIES, "tables.z.class": np.array([0, 1], np.uint8)}
    else:
        tensors |= {"side.steps": SIDE_STEPS, "tables.z.radius": SIDE_RADII, "tables.z.frequencies": side_frequencies}
        tensors["tables.z.centre"] = CENTRE
    names = {"float16": "F16", "uint8": "U8", "int32": "I32", "uint32": "U32"}
    entries, body = {}, b""
    for name, array in tensors.items():
        offsets = [len(body), len(body) + array.nbytes]
        entries[name] = {"dtype": names[array.dtype.name], "shape": array.shape, "data_offsets": offsets}
        body += array.tobytes()
    header = json.dumps(entries).encode()
    files = {"weights.safetensors": len(header).to_bytes(8, "little") + header + body}
    for name, (nodes, inputs, outputs, constants) in graphs(schema).items():
        initializers = [numpy_helper.from_array(array, key) for key, array in constants.items()]
        if name == "synthesis.onnx":
            tensor = TensorProto(name="weight", data_type=TensorProto.FLOAT16, dims=WEIGHT.shape)
            tensor.data_location = TensorProto.EXTERNAL
            place = {"location": "weights.safetensors", "offset": 8 + len(header), "length": WEIGHT.nbytes}
            for key, value in place.items():
                tensor.external_data.add(key=key, value=str(value))
            initializers.append(tensor)
        values = [helper.make_tensor_value_info(*value) for value in inputs]
        results = [helper.make_empty_tensor_value_info(output) for output in outputs]
        graph = helper.make_graph(nodes, "test", values, results, initializers)
        files[name] = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]).SerializeToString()
    manifest = {
        "schema": schema, "name": "hand-made", "input_channels": 3, "latent_channels": 2, "latent_stride": 2,
        "hyper_channels": 1, "hyper_stride": 4, "hyper_limit": 1 if schema == 1 else LIMIT,
        "qualities": 2, "context_steps": 2,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        **({} if schema == 1 else {"side_steps": 2}),
    }  # fmt: skip
    files["manifest.json"] = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return hashlib.sha256(files["manifest.json"]).digest()


def draw_side(generator: np.random.Generator, shape: tuple[int, ...], quality: int) -> tuple[Array, list[Any]]:
    """A random z_hat of schema 2, and the rows and symbols of its side steps."""
    centre = CENTRE[quality][:, None, None]
    wanted = generator.integers(-LIMIT, LIMIT + 1, shape).astype(np.int32) - centre
    values = np.zeros(shape, np.int32)
    y, x = np.indices(shape[1:]) % 2
    steps = []
    for step in range(2):
        rows, shift = side_rows(values, quality)
        now = SIDE_STEPS[:, y, x] == step
        values[now] = wanted[now]
        steps.append((rows[now], (values - shift)[now]))
    return values + centre, steps


def encode_integers(height: int, width: int, quality: int, schema: int) -> tuple[list[Strip], list[Array], list[Array]]:
    """Random integers of a picture as strips, coded by the package: strips, symbols and z_hat of each."""
    latent, side = LatentTables(RADII, FREQUENCIES), SideTables(Z_FREQUENCIES)
    joint_side = LatentTables(SIDE_RADII, SIDE_FREQUENCIES, "tables.z")
    generator = np.random.default_rng(height)
    strips, all_symbols, all_z = [], [], []
    padded_height, padded_width = -(-height // 4) * 4, -(-width // 4) * 4
    strip = 1024 if width <= 4096 else 512
    for top in range(0, padded_height, strip):
        rows = min(strip, padded_height - top)
        shape = (1, rows // 4, padded_width // 4)
        if schema == 1:
            z_hat = generator.integers(-1, 2, shape).astype(np.int32)
        else:
            z_hat, side_steps = draw_side(generator, shape, quality)
        symbols = np.zeros((2, rows // 2, padded_width // 2), np.int32)
        wanted = np.rint(generator.laplace(scale=2, size=symbols.shape)).astype(np.int32)
        wanted.flat[0] = -32767
        y, x = np.indices(symbols.shape[1:]) % 2
        steps = []
        for step in range(2):
            table_rows = scales_rows(z_hat, symbols, quality, step)
            now = STEPS[:, y, x] == step
            symbols[now] = np.where(latent.skipped[table_rows], 0, wanted)[now]
            steps.append((table_rows[now], symbols[now]))
        if schema == 1:
            strips.append(Strip(side=side.encode(z_hat, quality), latents=latent.encode(steps)))
        else:
            strips.append(Strip(side=None, latents=encode_joint([(joint_side, side_steps), (latent, steps)])))
        all_symbols.append(symbols)
        all_z.append(z_hat)
    return strips, all_symbols, all_z


def expected_pixels(symbols: list[Array], height: int, width: int) -> Array:
    y_hat = np.concatenate(symbols, axis=1) * 0.5
    x = np.tensordot(WEIGHT[:, :, 0, 0].astype(np.float32), y_hat, 1) + 128
    planes = np.rint(np.clip(x, 0, 255)).reshape(2, 2, 3, *x.shape[1:]).transpose(3, 0, 4, 1, 2)
    pixels: Array = planes.reshape(2 * x.shape[1], 2 * x.shape[2], 3)[:height, :width].astype(np.uint8)
    return pixels


def make_file(
    digest: bytes, height: int, width: int, mode: Mode, quality: int = 1, schema: int = 1
) -> tuple[Container, list[Array], list[Array]]:
    strips, symbols, z_hat = encode_integers(height, width, quality, schema)
    alpha = zlib.compress(b"".join(b"\0" + bytes(range(width)) for _ in range(height))) if mode.has_alpha else None
    made = Container(
        mode=mode,
        width=width,
        height=height,
        quality=quality,
        profile=digest[:4],
        strips=tuple(strips),
        joint=schema == 2,
        alpha=alpha,
        icc=b"icc",
    )
    return made, symbols, z_hat


@pytest.mark.parametrize("schema", [1, 2])
@pytest.mark.parametrize(
    ("height", "width", "quality"),
    [(1, 1, 0), (4, 4, 1), (13, 27, 0), (61, 30, 1), (1024, 5, 1), (1025, 9, 0), (2050, 3, 1), (600, 4100, 0)],
)
def test_files_of_the_package_give_their_integers_and_pixels(
    tmp_path: Path, height: int, width: int, quality: int, schema: int
) -> None:
    digest = write_profile(tmp_path, schema)
    made, symbols, z_hat = make_file(digest, height, width, Mode.RGB, quality, schema)
    data = container.write(made)
    assert data[8] == (3 if schema == 2 else 1 if width <= 4096 else 2)
    pixels, found, found_z = reference.decode(data, tmp_path)
    assert len(found) == len(symbols) == len(found_z)
    assert all(np.array_equal(a, b) for a, b in zip(found, symbols, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(found_z, z_hat, strict=True))
    assert pixels.dtype == np.uint8
    expected = expected_pixels(symbols, height, width)
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).max() <= 1


def test_modes(tmp_path: Path) -> None:
    digest = write_profile(tmp_path)
    pixels = {mode: reference.decode(container.write(make_file(digest, 6, 9, mode)[0]), tmp_path)[0] for mode in Mode}
    assert {mode.name: array.shape[2] for mode, array in pixels.items()} == {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
    mean = np.floor(pixels[Mode.RGB].sum(2) / 3 + 0.5)
    assert np.array_equal(pixels[Mode.L][:, :, 0], mean)
    assert np.array_equal(pixels[Mode.LA][:, :, 0], mean)
    assert np.array_equal(pixels[Mode.RGBA][:, :, :3], pixels[Mode.RGB])
    for mode in (Mode.LA, Mode.RGBA):
        assert np.array_equal(pixels[mode][:, :, -1], np.tile(np.arange(9), (6, 1)))
    for mode, array in pixels.items():
        image = Image.open(io.BytesIO(reference.write_png(array)))
        assert image.mode == mode.name
        assert np.array_equal(np.asarray(image).reshape(array.shape), array)


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    digest = write_profile(tmp_path)
    made, _, _ = make_file(digest, 5, 6, Mode.RGB)
    (strip,) = made.strips
    assert strip.side is not None
    wrong = {
        "H7": replace(made, profile=b"what"),
        "H6": replace(made, quality=2),
        "C7": replace(made, strips=(replace(strip, side=None),)),
        "E4": replace(made, strips=(replace(strip, latents=strip.latents + b"\1"),)),
        "E5": replace(made, strips=(replace(strip, latents=strip.latents + bytes(4)),)),
        "E1[01]": replace(made, strips=(replace(strip, latents=b"\1\0\0\0" + strip.latents),)),
        "E11": replace(made, strips=(replace(strip, side=strip.side + b"\1\0\0\0"),)),
    }
    for rule, file in wrong.items():
        with pytest.raises(reference.InvalidError, match=rf"rule {rule}\)"):
            reference.decode(container.write(file), tmp_path)
    (tmp_path / "synthesis.onnx").write_bytes(b"other")
    with pytest.raises(reference.InvalidError, match="P2"):
        reference.decode(container.write(made), tmp_path)


def test_wrong_files_of_version_3_are_refused(tmp_path: Path) -> None:
    digest = write_profile(tmp_path, 2)
    made, _, _ = make_file(digest, 5, 6, Mode.RGB, schema=2)
    (strip,) = made.strips
    # One position, coded with row 1 in the first side step: 30 - 1 is over the limit.
    far = encode_joint(
        [(LatentTables(SIDE_RADII, SIDE_FREQUENCIES), [(np.array([1], np.uint8), np.array([30], np.int32))])]
    )
    wrong = {
        "H12": replace(made, joint=False),
        "E5": replace(made, strips=(replace(strip, latents=strip.latents + b"\0"),)),
        "E1[013]": replace(made, strips=(replace(strip, latents=b"\1\0\0\0" + strip.latents),)),
        "E13": replace(made, width=1, height=1, strips=(replace(strip, latents=far),)),
    }
    for rule, file in wrong.items():
        with pytest.raises(reference.InvalidError, match=rf"rule {rule}\)"):
            reference.decode(container.write(file), tmp_path)


def test_a_skipped_row_of_the_hyper_latent_is_refused(tmp_path: Path) -> None:
    """TOTAL - 2^17 is the least frequency of a skipped row's symbol 0."""
    for frequency, refused in ((TOTAL - 2**17 - 1, False), (TOTAL - 2**17, True), (TOTAL - 1, True)):
        frequencies = np.append(SIDE_FREQUENCIES[:-2], np.array([frequency, TOTAL - frequency], np.uint32))
        write_profile(tmp_path, 2, frequencies)
        if refused:
            with pytest.raises(reference.InvalidError, match="skipped .rule P8"):
                reference.Profile(tmp_path)
        else:
            assert len(reference.Profile(tmp_path).side_tables) == 3


@pytest.mark.parametrize(("version", "rule"), [(0, "H2"), (2, "H12"), (3, "C3"), (4, "H2")])
def test_a_file_of_version_1_is_one_of_no_other_version(version: int, rule: str) -> None:
    data = bytearray(container.write(make_file(bytes(4), 1, 1, Mode.LA)[0]))
    size = container.read_header(bytes(data), Limits()).size_bytes
    data[8] = version
    data[size - 4 : size] = zlib.crc32(data[: size - 4]).to_bytes(4, "little")
    with pytest.raises(reference.InvalidError, match=rf"rule {rule}\)"):
        reference.File(bytes(data))


def test_a_joint_file_needs_a_profile_of_schema_2(tmp_path: Path) -> None:
    made, _, _ = make_file(write_profile(tmp_path), 5, 6, Mode.RGB, schema=2)
    with pytest.raises(reference.InvalidError, match="rule H12"):
        reference.decode(container.write(made), tmp_path)


def test_the_streams_of_version_3_are_cut_where_they_end() -> None:
    lengths = {len(make_file(bytes(4), size, 6, Mode.RGB, schema=2)[0].strips[0].latents) % 4 for size in range(1, 40)}
    assert lengths == {0, 1, 2, 3}


def test_every_flipped_bit_and_every_cut_of_a_file_is_refused(tmp_path: Path) -> None:
    data = container.write(make_file(bytes(4), 1, 1, Mode.LA)[0])
    reference.File(data)
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(reference.InvalidError):
            reference.File(bytes(damaged))
    for length in range(len(data)):
        with pytest.raises(reference.InvalidError):
            reference.File(data[:length])
    with pytest.raises(reference.InvalidError, match="H11"):
        reference.File(data + b"\0")


def test_the_command(tmp_path: Path) -> None:
    folder = tmp_path / "profile"
    folder.mkdir()
    made, symbols, z_hat = make_file(write_profile(folder), 7, 5, Mode.RGB)
    (tmp_path / "a.nrws").write_bytes(container.write(made))
    for output in ("a.png", "a.npy"):
        command = [SCRIPT, tmp_path / "a.nrws", folder, "-o", tmp_path / output, "--dump-symbols", tmp_path / "a.npz"]
        subprocess.run([sys.executable, *map(str, command)], check=True)
    pixels = np.load(tmp_path / "a.npy")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), pixels)
    dumped = np.load(tmp_path / "a.npz")
    assert np.array_equal(dumped["symbols.0"], symbols[0])
    assert np.array_equal(dumped["z_hat.0"], z_hat[0])
    (tmp_path / "bad.nrws").write_bytes(b"text")
    failed = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path / "bad.nrws"), str(folder), "-o", str(tmp_path / "b.png")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
    assert "not a narrows file" in failed.stderr or "cut short" in failed.stderr


# --- alpha


def png_filtered(alpha: Array, kinds: list[int]) -> bytes:
    """Rows filtered as PNG does, written here from the standard's formulas."""
    height, width = alpha.shape
    out = bytearray()
    for y in range(height):
        out.append(kinds[y])
        for x in range(width):
            left = int(alpha[y, x - 1]) if x else 0
            up = int(alpha[y - 1, x]) if y else 0
            corner = int(alpha[y - 1, x - 1]) if x and y else 0
            p = left + up - corner
            distances = (abs(p - left), abs(p - up), abs(p - corner))
            nearest = (left, up, corner)[distances.index(min(distances))]
            guess = (0, left, up, (left + up) // 2, nearest)[kinds[y]]
            out.append((int(alpha[y, x]) - guess) % 256)
    return bytes(out)


def test_alpha_with_all_filters() -> None:
    alpha = draw((10, 7), np.uint8, 0, 256)
    raw = png_filtered(alpha, [0, 1, 2, 3, 4] * 2)
    assert np.array_equal(reference.read_alpha(zlib.compress(raw), 10, 7), alpha)


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (zlib.compress(bytes(12))[:-1], "A1"),
        (zlib.compress(bytes(12)) + b"\0", "A1"),
        (b"not zlib", "A1"),
        (zlib.compress(bytes(11)), "A2"),
        (zlib.compress(bytes(13)), "A2"),
        (zlib.compress(bytes(10**7)), "A2"),
        (zlib.compress(b"\5" + bytes(11)), "A3"),
    ],
)
def test_wrong_alpha_is_refused(data: bytes, rule: str) -> None:
    with pytest.raises(reference.InvalidError, match=rule):
        reference.read_alpha(data, 3, 3)
