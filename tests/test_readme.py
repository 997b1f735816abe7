"""README.md: its two set-up commands, the links, and the table of results."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import comparisons
import pytest
from results import BEGIN, END, SETS, table, with_table

from narrows import profiles
from narrows.compare.analysis import analyse
from narrows.compare.summary import read_summary, summarise

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def setup_commands() -> list[str]:
    """README's shell blocks: nothing but the set-up commands is written as one."""
    return [block.strip() for block in re.findall(r"^```sh\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)]


def test_there_are_two_setup_commands_of_one_line() -> None:
    main_job, tests = setup_commands()
    assert "\n" not in main_job
    assert "\n" not in tests
    assert main_job.endswith("narrows compare --sample")
    assert tests.endswith("python -m pytest")
    assert all(" -c constraints.txt " in command for command in (main_job, tests))


def test_ci_runs_the_test_command_last() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert lines[-1] == setup_commands()[1]


def test_links_lead_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)", README) if not link.startswith("http")]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_table_is_what_the_summaries_give() -> None:
    assert with_table(README, table(ROOT / "docs" / "results")) == README


@pytest.mark.parametrize("name", SETS)
def test_the_published_figures_are_of_the_shipped_profile(name: str) -> None:
    summary = read_summary(ROOT / "docs" / "results" / name / "summary.json")
    digest = hashlib.sha256((profiles.find("default") / profiles.MANIFEST).read_bytes()).hexdigest()
    [ours] = [coder for coder in summary["coders"] if coder["name"] == "narrows"]
    assert f"profile {digest[:8]} effort 5" in ours["version"]


def test_a_table_has_a_row_for_every_opponent(tmp_path: Path) -> None:
    comparison = comparisons.comparison({"narrows": 1.0, "jpeg420": 2.0, "avif420": 1.25})
    (tmp_path / "kodak").mkdir()
    (tmp_path / "kodak" / "summary.json").write_text(json.dumps(summarise(comparison, analyse(comparison))))
    text = with_table(f"# Title\n\n{BEGIN}\nold\n{END}\n\n## More\n", table(tmp_path))
    rows = [line for line in text.splitlines() if line.startswith(("| JPEG", "| AVIF"))]
    assert ["-50.0 %" in rows[0], "-20.0 %" in rows[1]] == [True, True]
    assert "| Kodak |" in text and "photos_valid" not in text
    assert "old" not in text
    assert text.startswith("# Title")
    assert text.endswith("## More\n")


def test_no_table_without_summaries(tmp_path: Path) -> None:
    assert "Not measured yet" in table(tmp_path)
