"""The demo: a real project with a history, and fixtures that have drifted."""

import subprocess
import sys
from pathlib import Path

import pytest

from deployments.demo import build_demo, demo_settings
from riskloop.errors import RiskloopError
from riskloop.project import read_register


def git(project: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=project, check=True, capture_output=True, text=True).stdout


def test_the_demo_is_a_git_project_whose_fixtures_have_drifted(tmp_path: Path) -> None:
    assert demo_settings(tmp_path) is None
    project = build_demo(tmp_path).parent
    assert project == tmp_path / ".riskloop" / "demo" / "project"
    assert git(project, "log", "--format=%an %ad %s", "--date=short").splitlines() == [
        "Demo 2026-02-02 Take SDK 1.5.0",
        "Demo 2026-01-12 Record the fixtures with SDK 1.4.0",
    ]
    assert git(project, "status", "--short") == " M fixtures/usage.txt\n"
    checked = subprocess.run(
        ["sha256sum", "-c", "MANIFEST.sha256"],
        cwd=project / "fixtures",
        check=False,
        capture_output=True,
        text=True,
    )
    assert "usage.txt: FAILED" in checked.stdout
    assert checked.stdout.count(": OK") == 3

    before = {path.name: path.read_text() for path in (project / "fixtures").iterdir()}
    subprocess.run([sys.executable, "tools/make_fixtures.py"], cwd=project, check=True)
    after = {path.name: path.read_text() for path in (project / "fixtures").iterdir()}
    assert set(after) - set(before) == {"tool-search.jsonl"}
    assert before["models.json"] == after["models.json"]


def test_its_register_is_good_and_its_previews_are_in_its_own_outbox(tmp_path: Path) -> None:
    build_demo(tmp_path)
    settings = demo_settings(tmp_path)
    assert settings is not None
    assert settings.outbox == tmp_path / ".riskloop" / "demo" / "outbox"
    register = read_register(settings)
    assert [mitigation.kind.name for mitigation in register.mitigations()] == ["fixture_drift"]


def test_a_demo_that_is_there_is_left_as_the_person_left_it(tmp_path: Path) -> None:
    register = build_demo(tmp_path)
    register.write_text("project: Mine\n")
    assert build_demo(tmp_path) == register
    assert register.read_text() == "project: Mine\n"
    assert not list((tmp_path / ".riskloop" / "demo").glob(".project-*"))


def test_without_git_it_says_so_and_leaves_nothing_half_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RiskloopError, match="git is missing"):
        build_demo(tmp_path)
    assert demo_settings(tmp_path) is None
    assert not list((tmp_path / ".riskloop" / "demo").glob(".project-*"))
