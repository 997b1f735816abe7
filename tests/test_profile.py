"""profile.py, onnx_check.py, profiles/: whatever is wrong with a folder is a ProfileError, and no network is loaded."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from toy_profile import change_graph, change_manifest, change_tensors, read_manifest, write_manifest

from narrows import profiles
from narrows.errors import ProfileError
from narrows.onnx_check import OPERATORS
from narrows.profile import Profile, find


def test_a_good_profile_loads(colour_profile: Path, grey_profile: Path) -> None:
    colour, grey = Profile.load(colour_profile), Profile.load(grey_profile)
    assert colour.manifest.latent_channels == 48
    assert colour.steps.shape == (48, 2, 2)
    assert colour.side_tables is not None
    assert grey.side_tables is None
    assert len(colour.digest) == 32
    assert colour.digest != grey.digest
    assert colour.graphs["scales.0.onnx"].inputs == {"z_hat": "int32", "quality": "int64"}


def test_tables_are_read_only(colour_profile: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        Profile.load(colour_profile).steps[0] = 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 3}, "schema"),
        ({"schema": 2}, "side_steps"),
        ({"schema": True}, "schema"),
        ({"name": "../up"}, "name"),
        ({"name": 3}, "name"),
        ({"version": ""}, "version"),
        ({"licence": None}, "licence"),
        ({"input_channels": 2}, "input_channels"),
        ({"input_channels": 3.0}, "input_channels"),
        ({"latent_channels": 0}, "latent_channels"),
        ({"latent_channels": 47}, "context.steps"),
        ({"latent_stride": 12}, "strides"),
        ({"latent_stride": 0}, "latent_stride"),
        ({"hyper_stride": 2048}, "hyper_stride"),
        ({"hyper_stride": 16.0}, "hyper_stride"),
        ({"hyper_channels": 0}, "without a hyper-latent"),
        ({"hyper_limit": 0}, "hyper_limit"),
        ({"hyper_limit": 14}, "tables.z.frequencies"),
        ({"qualities": 9}, "lambdas"),
        ({"qualities": 257}, "qualities"),
        ({"lambdas": [1.0] * 8}, "lambdas"),
        ({"lambdas": "12345678"}, "lambdas"),
        ({"lambdas": [*range(1, 8), 10**400]}, "lambdas"),
        ({"context_steps": 1}, "files"),
        ({"dead_zone": -1}, "dead_zone"),
        ({"dead_zone": "0"}, "dead_zone"),
        ({"analysis_halo": 65}, "analysis_halo"),
        ({"analysis_halo": 16}, "analysis_halo"),
        ({"synthesis_halo": 2048}, "synthesis_halo"),
        ({"synthesis_halo": 24}, "synthesis_halo"),
        ({"training": []}, "training"),
        ({"extra": 1}, "keys"),
        ({"files": {}}, "files"),
        ({"files": []}, "files"),
    ],
)
def test_a_wrong_value_in_the_manifest_is_refused(profile_copy: Path, changes: dict[str, Any], message: str) -> None:
    change_manifest(profile_copy, **changes)
    with pytest.raises(ProfileError, match=message):
        Profile.load(profile_copy)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"null", b'{"schema":1}', b"\xff", b'{"schema":NaN}', b"[" * 100_000]
)
def test_a_manifest_that_is_none_is_refused(profile_copy: Path, text: bytes) -> None:
    (profile_copy / "manifest.json").write_bytes(text)
    with pytest.raises(ProfileError, match=r"manifest\.json"):
        Profile.load(profile_copy)


def test_a_second_spelling_of_a_manifest_is_refused(profile_copy: Path) -> None:
    path = profile_copy / "manifest.json"
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(ProfileError, match="canonical"):
        Profile.load(profile_copy)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="cannot be read"):
        Profile.load(tmp_path / "nothing")


def test_missing_and_additional_files_are_refused(profile_copy: Path) -> None:
    (profile_copy / "notes.txt").write_text("hello")
    with pytest.raises(ProfileError, match=r"notes\.txt"):
        Profile.load(profile_copy)
    (profile_copy / "notes.txt").rename(profile_copy / ".hidden")  # such as .DS_Store
    Profile.load(profile_copy)
    (profile_copy / "synthesis.onnx").unlink()
    with pytest.raises(ProfileError, match=r"synthesis\.onnx"):
        Profile.load(profile_copy)


@pytest.mark.parametrize("name", ["weights.safetensors", "analysis.onnx", "scales.1.onnx"])
def test_one_changed_bit_is_damage(profile_copy: Path, name: str) -> None:
    data = bytearray((profile_copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (profile_copy / name).write_bytes(data)
    with pytest.raises(ProfileError, match=rf"{name}: is damaged"):
        Profile.load(profile_copy)


def set_operator(model: onnx.ModelProto, operator: str, domain: str = "") -> None:
    model.graph.node[0].op_type = operator
    model.graph.node[0].domain = domain


def add_loop(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute.append(helper.make_attribute("body", helper.make_graph([], "body", [], [])))


def add_function(model: onnx.ModelProto) -> None:
    model.functions.append(onnx.FunctionProto(name="Relu"))


def add_sparse(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.append(onnx.SparseTensorProto())


def add_opset(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def other_opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 21


def add_big_constant(model: onnx.ModelProto) -> None:
    array = np.zeros(2**20 + 1, np.uint8)
    node = helper.make_node("Constant", [], ["big"], value=onnx.numpy_helper.from_array(array))
    model.graph.node.append(node)


def add_many_constants(model: onnx.ModelProto) -> None:
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.zeros(2**18, np.uint8), f"constant{k}") for k in range(5)
    )


def claim_shape(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(onnx.TensorProto(name="huge", dims=[2**40], data_type=1))


def text_constant(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(onnx.TensorProto(name="text", dims=[1], data_type=8))


def external(model: onnx.ModelProto) -> onnx.TensorProto:
    tensors: list[onnx.TensorProto] = [
        tensor for tensor in model.graph.initializer if tensor.data_location == onnx.TensorProto.EXTERNAL
    ]
    return tensors[0]


def relocate(key: str, value: str) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        for entry in external(model).external_data:
            if entry.key == key:
                entry.value = value

    return change


def forget_offset(model: onnx.ModelProto) -> None:
    del external(model).external_data[1]


def second_location(model: onnx.ModelProto) -> None:
    external(model).external_data.add(key="location", value="/etc/passwd")


def sneak_location(model: onnx.ModelProto) -> None:
    external(model).data_location = onnx.TensorProto.DEFAULT


def larger_dims(model: onnx.ModelProto) -> None:
    external(model).dims[0] += 1


def rename_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].name = "secret"


def retype_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = 1


def drop_output(model: onnx.ModelProto) -> None:
    del model.graph.output[0]


def sequence_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_sequence_value_info("quality2", 1, None))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: set_operator(model, "Loop"), "Loop"),
        (lambda model: set_operator(model, "Relu", "com.microsoft"), r"com\.microsoft\.Relu"),
        (lambda model: set_operator(model, "Relu", "ai.onnx"), "Relu"),
        (lambda model: set_operator(model, ""), "operator"),
        (add_loop, "subgraph"),
        (add_function, "function"),
        (add_sparse, "field 15"),
        (add_opset, "opset"),
        (other_opset, "opset"),
        (add_big_constant, "constant"),
        (add_many_constants, "bytes of constants"),
        (claim_shape, "huge"),
        (text_constant, "element type 8"),
        (relocate("location", "../other.bin"), r"weights\.safetensors"),
        (relocate("location", "/etc/passwd"), r"weights\.safetensors"),
        (relocate("location", "./weights.safetensors"), r"weights\.safetensors"),
        (relocate("offset", "0"), "tensors lie"),
        (relocate("offset", "99999999"), "tensors lie"),
        (relocate("offset", "-8"), "offset"),
        (relocate("offset", "²"), "offset"),
        (relocate("length", "1"), "needs"),
        (forget_offset, "stated offset"),
        (second_location, "stated offset"),
        (sneak_location, "names external data"),
        (larger_dims, "needs"),
        (rename_input, "secret"),
        (retype_input, "picture"),
        (drop_output, "must give"),
        (sequence_input, "not a tensor"),
    ],
)
def test_a_graph_that_could_do_more_is_refused(
    profile_copy: Path, change: Callable[[onnx.ModelProto], None], message: str
) -> None:
    change_graph(profile_copy, "analysis.onnx", change)
    with pytest.raises(ProfileError, match=message) as caught:
        Profile.load(profile_copy)
    assert caught.value.source == str(profile_copy / "analysis.onnx")


@pytest.mark.parametrize("data", [b"", b"\x00", b"garbage", b"\xff" * 40, b"\x3a\x05\x0a", b"\x38\x01", b"\x0b\x0c"])
def test_a_graph_that_is_none_is_refused(profile_copy: Path, data: bytes) -> None:
    (profile_copy / "synthesis.onnx").write_bytes(data)
    write_manifest(profile_copy, read_manifest(profile_copy))
    with pytest.raises(ProfileError, match=r"synthesis\.onnx"):
        Profile.load(profile_copy)


def test_every_cut_of_a_graph_is_refused(profile_copy: Path) -> None:
    """Or it ends between two fields and lacks what must be there; the reader never fails otherwise."""
    data = (profile_copy / "synthesis.onnx").read_bytes()
    for length in range(0, len(data), 7):
        (profile_copy / "synthesis.onnx").write_bytes(data[:length])
        write_manifest(profile_copy, read_manifest(profile_copy))
        with pytest.raises(ProfileError):
            Profile.load(profile_copy)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"context__steps": None}, "lacks the tensor"),
        ({"context__steps": np.full((48, 2, 2), 2, np.uint8)}, "names a step"),
        ({"context__steps": np.zeros((48, 2, 2), np.int32)}, "expected U8"),
        ({"tables__y__radius": np.zeros(0, np.int32)}, "tables.y.radius"),
        ({"tables__y__radius": np.zeros(257, np.int32)}, "tables.y.radius"),
        ({"tables__y__radius": np.array([-1], np.int32)}, "tables.y.radius"),
        ({"tables__y__frequencies": np.ones(5, np.uint32)}, "tables.y.frequencies"),
        ({"tables__z__frequencies": np.ones((2, 4, 31), np.uint32)}, "tables.z.frequencies"),
        ({"tables__z__class": np.full(8, 2, np.uint8)}, "names a class"),
        ({"tables__z__class": np.zeros(7, np.uint8)}, "tables.z.class"),
    ],
)
def test_a_wrong_table_is_refused(profile_copy: Path, changes: dict[str, Any], message: str) -> None:
    change_tensors(profile_copy, **changes)
    with pytest.raises(ProfileError, match=message):
        Profile.load(profile_copy)


@pytest.mark.parametrize(
    "data", [b"", b"1234", b"\xff" * 100, b"\x02" + b"\x00" * 7 + b"{}", b"\x02" + b"\x00" * 7 + b"xx"]
)
def test_weights_that_are_none_are_refused(profile_copy: Path, data: bytes) -> None:
    (profile_copy / "weights.safetensors").write_bytes(data)
    write_manifest(profile_copy, read_manifest(profile_copy))
    with pytest.raises(ProfileError, match=r"weights\.safetensors"):
        Profile.load(profile_copy)


def test_the_list_of_operators_is_the_one_of_the_format() -> None:
    document = (Path(__file__).parents[1] / "docs" / "FORMAT.md").read_text(encoding="utf-8")
    listed = document.split("uses only these operators:")[1].split(".")[0].split()
    assert set(listed) == OPERATORS


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, colour_profile: Path, grey_profile: Path) -> Path:
    """An installation that ships both toy profiles, the colour one as the default."""
    for folder in (colour_profile, grey_profile):
        shutil.copytree(folder, tmp_path / "profiles" / folder.name)
    (tmp_path / "profiles" / "DEFAULT").write_text("toy\n")
    monkeypatch.setattr(profiles, "_SHIPPED", tmp_path / "profiles")
    return tmp_path / "profiles"


def test_profiles_are_found_by_name_path_and_digest(shipped: Path, colour_profile: Path, grey_profile: Path) -> None:
    assert find("default") == shipped / "toy"
    assert find("toy-grey") == shipped / "toy-grey"
    assert find(grey_profile) == grey_profile
    assert find(str(colour_profile)) == colour_profile
    assert profiles.find_digest(Profile.load(grey_profile).digest[:4]) == shipped / "toy-grey"
    assert profiles.find_digest(b"none") is None
    assert profiles.name_and_qualities(Profile.load(grey_profile).digest[:4]) == ("toy-grey", 4)


def test_a_profile_that_is_not_there_is_named(shipped: Path, tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="'nope' .shipped: toy, toy-grey"):
        find("nope")
    with pytest.raises(ProfileError, match=r"has no manifest\.json"):
        find(tmp_path)
    (shipped / "DEFAULT").write_text("gone")
    with pytest.raises(ProfileError, match="reinstall"):
        find("default")
    (shipped / "DEFAULT").unlink()
    with pytest.raises(ProfileError, match="ships no profile"):
        find("default")
