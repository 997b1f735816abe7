"""README.md: its two set-up commands, the links, and the table of results."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from measure import Point, append_points
from opponents import OPPONENTS
from readme_table import BEGIN, END, table, with_table

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def setup_commands() -> list[str]:
    """README's shell blocks: nothing but the set-up commands is written as one."""
    return [block.strip() for block in re.findall(r"^```sh\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)]


def test_there_are_two_setup_commands_of_one_line() -> None:
    first_look, tests = setup_commands()
    assert "\n" not in first_look
    assert "\n" not in tests
    assert first_look.endswith("python benchmarks/first_look.py")
    assert tests.endswith("python -m pytest")
    assert all(" -c constraints.txt " in command for command in (first_look, tests))


def test_ci_runs_the_test_command_last() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert lines[-1] == setup_commands()[1]


def test_links_lead_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)", README) if not link.startswith("http")]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_table_is_what_the_points_give() -> None:
    if not (ROOT / "src" / "narrows" / "profiles" / "DEFAULT").is_file():
        pytest.skip("no profile is shipped yet")
    assert with_table(README, table(ROOT / "docs" / "results")) == README


def test_a_table_has_a_row_for_every_opponent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("readme_table.narrows_version", lambda profile, effort: "narrows now")
    for codec, version, factor in [(o.name, o.version, 2.0) for o in OPPONENTS] + [("narrows", "narrows now", 1.0)]:
        qualities = next((o.qualities for o in OPPONENTS if o.name == codec), tuple(range(14)))
        steps = [
            Point(
                codec=codec,
                version=version,
                quality=quality,
                picture="one",
                width=100,
                height=100,
                bytes=round(factor * 100 * 1.3**step),
                psnr_db=26.0 + step,
            )
            for step, quality in enumerate(qualities)
        ]
        append_points(tmp_path / f"kodak_{'points' if codec == 'narrows' else 'opponents'}.csv", steps)
    text = with_table(f"# Title\n\n{BEGIN}\nold\n{END}\n\n## More\n", table(tmp_path))
    assert text.count("-50.0 % (-50.0 %)") == len(OPPONENTS)
    assert "old" not in text
    assert text.startswith("# Title")
    assert text.endswith("## More\n")
