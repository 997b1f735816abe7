"""The notebooks of examples/ run from top to bottom, as they are, and say what they promise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("torch")

from data_files import idx  # noqa: E402
from sklearn.datasets import load_digits  # noqa: E402

EXAMPLES = Path(__file__).parents[1] / "examples"

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the machinery that runs notebooks
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.timeout(600),
]


def executed(name: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> str:
    """Everything that the cells of a notebook print; an error in a cell is one here."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = nbformat.read(EXAMPLES / name, as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=500, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    outputs: list[Any] = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    kinds = [set(output.get("data", {})) for output in outputs]
    shown = sum(bool(kind & {"image/png", "image/svg+xml"}) for kind in kinds)
    assert shown >= 3, "the notebook shows hardly any picture"
    assert not [output["text"] for output in outputs if output.get("name") == "stderr"]
    return "".join(output["text"] for output in outputs if output.get("name") == "stdout")


def test_the_codec_notebook(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    printed = executed("codec.ipynb", monkeypatch, tmp_path)
    assert "quality 50:" in printed and "bits per pixel" in printed


def test_the_studies_notebook(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On scikit-learn's small digits, enlarged, in the files of MNIST's format: no network, some seconds."""
    pictures, labels = load_digits(return_X_y=True)
    small = (pictures.reshape(-1, 8, 8) * 15.9).astype(np.uint8).repeat(3, 1).repeat(3, 2)
    large = np.pad(small, ((0, 0), (2, 2), (2, 2)))
    (tmp_path / "mnist").mkdir()
    for part, chosen in (("train", slice(1400)), ("t10k", slice(1400, None))):
        (tmp_path / "mnist" / f"{part}-images-idx3-ubyte").write_bytes(idx(large[chosen]))
        (tmp_path / "mnist" / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels[chosen].astype(np.uint8)))
    monkeypatch.setenv("NARROWS_DATA_ROOT", str(tmp_path))
    printed = executed("studies.ipynb", monkeypatch, tmp_path)
    assert "not the official MNIST" in printed and "bytes a digit" in printed and "bits of KL" in printed
