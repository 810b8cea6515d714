"""Damaged registers are refused in words or loaded; they never crash it or make it touch another file."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from riskloop.register import checking, mistakes, reading

WORDS = st.sampled_from(
    [
        *("project", "github", "slack", "owners", "service", "risks", "id", "title", "owner", "mitigations"),
        *("kind", "toy_drift", "thresholds", "toys_changed", "warning", "critical", "directory", "rules"),
    ],
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS
SHAPES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=25,
)


def test_500_damaged_registers_give_words_and_touch_nothing(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "secret").write_text("stays")
    done = subprocess.run(
        [sys.executable, "-m", "tests.register.watched_loading", str(project), "500"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.stderr == ""
    report = json.loads(done.stdout)
    assert report["touched"] == []
    assert set(report["ended"]) == {"loaded", "refused"}
    assert sum(report["ended"].values()) == 500
    assert sorted(path.name for path in tmp_path.iterdir()) == ["project", "secret"]


@given(data=st.dictionaries(WORDS, SHAPES, max_size=7))
def test_any_shape_is_checked_without_a_crash(data: dict[str, Any]) -> None:
    findings: list[mistakes.Finding] = []
    register = checking.check(
        reading.Document(data=data, lines={}, findings=()),
        path=Path("/nowhere/riskloop.yaml"),
        digest="",
        kinds={},
        allowed_roots=(),
        findings=findings,
    )
    assert (register is None) == bool(findings)
    assert all(finding.says and mistakes.write_place(finding.place) is not None for finding in findings)
