"""Imports point down: every module of narrows has a layer, and imports only from its own layer or one below.

The layers are those of the design (layer 0 imports nothing but its own kind). A module or folder that is not in
`LAYERS` fails until it is given its place.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import narrows

PACKAGE = Path(narrows.__file__).parent

LAYERS = {
    "errors": 0,
    "limits": 0,
    "heap": 0,
    "container": 1,
    "entropy": 1,
    "inputs": 1,
    "onnx_check": 1,
    "onnx_wire": 1,
    "profiles": 1,
    "profile": 2,
    "runtime": 2,
    "pixels": 2,
    "modes": 2,
    "opening": 2,
    "alpha": 2,
    "tiles": 2,
    "summary": 2,
    "refining": 3,
    "strip_coder": 3,
    "search": 3,
    "codec": 3,
    "shared": 3,
    "__init__": 3,
    "pillow": 4,
    "cli": 4,
    "__main__": 4,
    "compare": 5,
    "lab": 5,
}

HOMES = {
    **dict.fromkeys(("torch", "lightning", "onnx", "pooch"), "lab"),
    "onnxruntime": "runtime",
    "constriction": "entropy",
}
"""Packages that one part of narrows alone may import."""

STANDARD_ONLY = {  # part -> the parts of narrows that it may import, beside the standard library
    "errors": set(),
    "limits": {"errors"},
    "heap": set(),
    "container": {"errors", "limits"},
    "profiles": {"errors"},
    "onnx_check": {"errors", "onnx_wire"},
    "onnx_wire": {"errors"},
}

ENTRY_POINT = re.compile(r"[a-z_]+(\.[a-z_]+)*:[A-Za-z_]+")
"""A module and a name in it, as a string: what is imported later."""

ALLOWED = {
    ("cli.compare", "compare"): "`narrows compare` is a door too",
    ("refining", "lab"): "the door to effort 9, imported when somebody asks for it",
    ("cli.lab", "lab"): "`narrows lab` is a door: it imports the laboratory by name, only when somebody goes in",
}
"""(module, imported part) -> why this one upward import is right."""


def modules(package: Path) -> Iterator[tuple[str, Path]]:
    """Dotted names inside the package, `__init__` for its own file, and their files."""
    for path in sorted(package.rglob("*.py")):
        yield ".".join(path.relative_to(package).with_suffix("").parts), path


def imports(path: Path, name: str, package: Path) -> Iterator[str]:
    """Absolute dotted names of what a file imports anywhere in it; `from narrows import x` is narrows.x."""
    root = "narrows"
    parents = [root, *name.split(".")[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(parents[: len(parents) - node.level + 1]) if node.level else ""
            base = ".".join(part for part in (base, node.module) if part)
            if base == root:
                for alias in node.names:
                    is_module = (package / alias.name).is_dir() or (package / f"{alias.name}.py").is_file()
                    yield f"{root}.{alias.name}" if is_module else root
            else:
                yield base
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in (
            "importlib.import_module",
            "import_module",
            "__import__",
        ):
            argument = node.args[0] if node.args else None
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield argument.value
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and ENTRY_POINT.fullmatch(node.value):
            yield node.value.partition(":")[0]


def violations(package: Path) -> list[str]:
    """What is wrong with the imports of a package laid out like narrows, a line each."""
    found = []
    for name, path in modules(package):
        part = name.split(".")[0]
        if part not in LAYERS:
            found.append(f"{name}: has no layer; give it one in LAYERS")
            continue
        for target in imports(path, name, package):
            top, _, rest = target.partition(".")
            if top == "narrows":
                other = rest.split(".")[0] if rest else "__init__"
                if other not in LAYERS:
                    found.append(f"{name}: imports {target}, which has no layer")
                elif LAYERS[other] > LAYERS[part] and (name, other) not in ALLOWED:
                    found.append(f"{name} (layer {LAYERS[part]}): imports {target} (layer {LAYERS[other]})")
                elif part in STANDARD_ONLY and other != part and other not in STANDARD_ONLY[part]:
                    found.append(f"{name}: imports {target}; it may import {sorted(STANDARD_ONLY[part])} of narrows")
            elif HOMES.get(top, part) != part:
                found.append(f"{name}: imports {top}, which belongs in {HOMES[top]}")
            elif part in STANDARD_ONLY and top not in sys.stdlib_module_names:
                found.append(f"{name}: imports {top}; it may import the standard library only")
    return found


def test_imports_point_down() -> None:
    assert violations(PACKAGE) == []


def test_no_exception_is_unused() -> None:
    used = {
        (name, target.split(".")[1])
        for name, path in modules(PACKAGE)
        for target in imports(path, name, PACKAGE)
        if target.startswith("narrows.")
    }
    assert set(ALLOWED) <= used


@pytest.mark.parametrize(
    ("file", "code", "expected"),
    [
        ("container.py", "from narrows.codec import Codec", "container (layer 1): imports narrows.codec (layer 3)"),
        ("container.py", "from narrows import codec", "container (layer 1): imports narrows.codec (layer 3)"),
        ("container.py", "from .codec import Codec", "container (layer 1): imports narrows.codec (layer 3)"),
        ("container.py", "def f():\n    import narrows", "container (layer 1): imports narrows (layer 3)"),
        ("container.py", "import numpy", "container: imports numpy; it may import the standard library only"),
        (
            "container.py",
            "import narrows.entropy",
            "container: imports narrows.entropy; it may import ['errors', 'limits'] of narrows",
        ),
        ("codec.py", "import torch.nn", "codec: imports torch, which belongs in lab"),
        (
            "codec.py",
            "import importlib\nimportlib.import_module('torch')",
            "codec: imports torch, which belongs in lab",
        ),
        ("lab/train.py", "import onnxruntime", "lab.train: imports onnxruntime, which belongs in runtime"),
        ("profile.py", "from constriction import stream", "profile: imports constriction, which belongs in entropy"),
        ("cli/encode.py", "from ..lab import train", "cli.encode (layer 4): imports narrows.lab (layer 5)"),
        ("novelty.py", "", "novelty: has no layer; give it one in LAYERS"),
        ("lab/train.py", "import narrows.novelty", "lab.train: imports narrows.novelty, which has no layer"),
    ],
)
def test_a_wrong_import_is_found(tmp_path: Path, file: str, code: str, expected: str) -> None:
    for name in ("codec.py", "entropy.py", file):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / file).write_text(code)
    assert violations(tmp_path) == [expected]


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (
            "lab/train.py",
            "import torch\nfrom narrows.codec import Codec\nfrom . import network\nfrom .network import Network",
        ),
        ("container.py", "import struct\nfrom narrows.errors import FormatError\nfrom .limits import Limits"),
        ("runtime.py", "def f():\n    import onnxruntime"),
        ("codec.py", "import numpy\nfrom narrows import container, search"),
    ],
)
def test_a_right_import_is_left_alone(tmp_path: Path, file: str, code: str) -> None:
    for name in ("container.py", "search.py", file):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / file).write_text(code)
    assert violations(tmp_path) == []
