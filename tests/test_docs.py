"""docs/cli.md and docs/api.md: every example is executed, every option and public name is described.

With the shipped default profile; the examples are skipped in a source tree that ships none.
"""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from pictures import photo_like
from PIL import Image

import narrows
from narrows import profiles
from narrows.cli.failures import ExitCode
from narrows.cli.main import commands
from narrows.cli.saving import SUFFIXES
from narrows.errors import ProfileError
from narrows.inputs import PICTURE_SUFFIXES

DOCS = Path(__file__).parent.parent / "docs"
CLI = (DOCS / "cli.md").read_text(encoding="utf-8")
API = (DOCS / "api.md").read_text(encoding="utf-8")
LAB = (DOCS / "lab.md").read_text(encoding="utf-8")

SHELL = """narrows() {{ "{python}" -m narrows "$@"; }}
{command}
code=$?; if [ $code -ne 0 ]; then echo "[exit code $code]"; fi
"""


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of the examples, with their pictures; skips if no default profile is shipped."""
    try:
        profiles.find("default")
    except ProfileError as error:
        pytest.skip(f"the examples need the default profile: {error}")
    Image.fromarray(photo_like(240, 320)).save(tmp_path / "photo.jpg", quality=95)
    (tmp_path / "photos").mkdir()
    Image.fromarray(photo_like(120, 160)).save(tmp_path / "photos" / "bay.png")
    Image.fromarray(photo_like(120, 160, seed=1)).save(tmp_path / "photos" / "hill.jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.skipif(sys.platform == "win32", reason="the examples are written for a POSIX shell")
def test_the_examples_of_the_command_line(folder: Path) -> None:
    for command, expected in examples(CLI):
        script = SHELL.format(python=sys.executable, command=command)
        done = subprocess.run(
            ["/bin/sh", "-c", script],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            check=False,
        )
        matches = doctest.OutputChecker().check_output(expected, done.stdout, doctest.ELLIPSIS)
        assert matches, f"$ {command}\n{done.stdout}expected:\n{expected}"


def examples(text: str) -> list[tuple[str, str]]:
    """Each command after "$ " with the lines that follow it, of all console blocks."""
    found: list[tuple[str, str]] = []
    for line in "".join(blocks(text, "console")).splitlines(keepends=True):
        if line.startswith("$ "):
            found.append((line[2:].strip(), ""))
        else:
            command, output = found[-1]
            found[-1] = (command, output + line)
    return found


def test_the_examples_of_the_api(folder: Path) -> None:
    test = doctest.DocTestParser().get_doctest("\n".join(blocks(API, "python")), {}, "api.md", "docs/api.md", 0)
    output: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=output.append)
    assert not output, "".join(output)
    assert len(test.examples) > 15


def test_the_examples_of_the_laboratory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    (tmp_path / "digits").mkdir()
    for index in range(60):
        Image.fromarray(photo_like(28, 28, seed=index)).save(tmp_path / "digits" / f"{index}.png")
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest("\n".join(blocks(LAB, "python")), {}, "lab.md", "docs/lab.md", 0)
    output: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=output.append)
    assert not output, "".join(output)
    assert len(test.examples) > 10


def test_the_studies_are_described() -> None:
    pytest.importorskip("torch")
    from narrows.lab.experiments.catalogue import EXPERIMENTS

    assert re.findall(r"^\| `([a-z-]+)` \|", LAB, flags=re.MULTILINE) == [one.name for one in EXPERIMENTS]


def test_every_option_is_described() -> None:
    for name, command in commands.commands.items():
        assert f"narrows {name}" in CLI
        for parameter in command.params:
            for option in parameter.opts if isinstance(parameter, click.Option) else ():
                assert f"`{option}" in CLI or f"[{option}" in CLI, f"narrows {name} {option}"


def test_every_exit_code_is_described() -> None:
    assert re.findall(r"^\| (\d+) \|", CLI, flags=re.MULTILINE) == [str(int(code)) for code in ExitCode]


def test_every_suffix_is_described() -> None:
    [table] = re.findall(r"^\| suffix .*?\n\n", CLI, flags=re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"`(\.\w+)`", table)) == set(SUFFIXES)
    assert set(SUFFIXES) <= set(PICTURE_SUFFIXES)


def test_every_public_name_is_described() -> None:
    for name in set(narrows.__all__) - {"__version__"}:
        assert re.search(rf"\b{name}\b", API), name


def test_links_lead_somewhere() -> None:
    for text in (CLI, API, LAB):
        for link in re.findall(r"\]\(([^)#]+)", text):
            assert link.startswith("https://") or (DOCS / link).is_file(), link
