"""The first register speaks of what is in the project, and has no mistakes whatever the project holds."""

import os
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskloop.errors import Refused
from riskloop.mitigations import kinds
from riskloop.register import Register, load
from riskloop.starting import first_register, write_first_register
from riskloop.surroundings import look_around


@pytest.fixture
def project(tmp_path: Path) -> Path:
    path = tmp_path / "codex-sdk"
    path.mkdir()
    return path


def configure_git(project: Path, config: str) -> None:
    (project / ".git").mkdir()
    (project / ".git" / "config").write_text(config)


def remote(url: str, name: str = "origin") -> str:
    return f'[remote "{name}"]\n\turl = {url}\n\tfetch = +refs/heads/*:refs/remotes/{name}/*\n'


def write(project: Path, *paths: str) -> None:
    for path in paths:
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text("x")


def started(project: Path) -> Register:
    return load(write_first_register(project, kinds()), kinds())


def test_an_empty_directory_gets_a_register_without_mistakes(project: Path) -> None:
    register = started(project)
    assert register.project == "codex-sdk"
    assert register.risks == ()
    assert register.owners["Maintainers"].repository is None


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/acme/codex-sdk.git",
        "https://github.com/acme/codex-sdk",
        "https://octo:ghp_secret@github.com/acme/codex-sdk.git",
        "git@github.com:acme/codex-sdk.git",
        "ssh://git@github.com/acme/codex-sdk.git",
        "ssh://git@github.com:22/acme/codex-sdk.git",
        "git@github.acme.example:acme/codex-sdk.git",
    ],
)
def test_the_repository_is_found_and_no_password_is_copied(project: Path, url: str) -> None:
    configure_git(project, "[core]\n\tbare = false\n" + remote(url))
    register = started(project)
    assert register.owners["Maintainers"].repository == "acme/codex-sdk"
    assert "secret" not in register.path.read_text()


def test_a_github_enterprise_server_is_said_with_its_address(project: Path) -> None:
    configure_git(project, remote("https://github.acme.example/acme/codex-sdk"))
    assert "RISKLOOP_GITHUB_URL=https://github.acme.example/api/v3" in first_register(project, kinds())


def test_origin_comes_before_other_remotes(project: Path) -> None:
    configure_git(
        project,
        remote("https://github.com/octo/fork", "mine") + remote("https://github.com/acme/codex-sdk"),
    )
    assert started(project).owners["Maintainers"].repository == "acme/codex-sdk"


@pytest.mark.parametrize(
    "url",
    ["https://gitlab.com/acme/sdk", "/srv/git/acme/sdk.git", "../acme/sdk", "file:///srv/a/b", "x" * 9000],
)
def test_a_remote_that_is_not_githubs_is_not_written(project: Path, url: str) -> None:
    configure_git(project, remote(url))
    assert started(project).owners["Maintainers"].repository is None


def test_the_remotes_of_a_linked_worktree_are_found(project: Path, tmp_path: Path) -> None:
    main = tmp_path / "main"
    main.mkdir()
    configure_git(main, remote("https://github.com/acme/codex-sdk"))
    linked = main / ".git" / "worktrees" / "codex-sdk"
    linked.mkdir(parents=True)
    (linked / "commondir").write_text("../..\n")
    (project / ".git").write_text(f"gitdir: {linked}\n")
    assert started(project).owners["Maintainers"].repository == "acme/codex-sdk"


def test_fixture_folders_and_the_script_that_makes_them_become_a_mitigation(project: Path) -> None:
    write(project, "tests/fixtures/a.json", "tests/fixtures/golden/b.json", "tools/make_fixtures.py")
    register = started(project)
    (mitigation,) = register.mitigations()
    assert mitigation.id == "stale-golden-fixtures.fixture_drift"
    assert mitigation.settings.directory == Path("tests/fixtures")
    assert mitigation.settings.regenerate == ["python3", "tools/make_fixtures.py"]


def test_without_a_script_the_mitigation_waits_for_its_command(project: Path) -> None:
    write(project, "golden/a.json", "testdata/b.json")
    register = started(project)
    assert [(m.settings.directory.name, m.enabled) for m in register.configured] == [
        ("golden", False),
        ("testdata", False),
    ]


def test_a_script_that_only_uses_fixtures_is_not_run_by_itself(project: Path) -> None:
    write(project, "golden/a.json", "scripts/load_fixtures.py", "scripts/test_fixtures.py")
    assert [m.enabled for m in started(project).configured] == [False]


def test_submodules_and_databases_are_named_and_a_kind_only_if_there_is_one(project: Path) -> None:
    (project / ".gitmodules").write_text('[submodule "x"]\n\tpath = vendor/codex-rs\n\turl = ../codex-rs\n')
    sqlite3.connect(project / "sessions.db").execute("CREATE TABLE t (x)").connection.close()
    write(project, "not-a-database.db")
    found = look_around(project)
    assert found.submodules == ("vendor/codex-rs",)
    assert found.databases == ("sessions.db",)
    without = first_register(project, {"fixture_drift"})
    assert "# Submodules found here:\n#   vendor/codex-rs\n" in without
    assert "# SQLite databases found here:\n#   sessions.db\n" in without
    with_all = first_register(project, {"fixture_drift", "upstream_drift", "database_vacuum"})
    assert "here, which the kind upstream_drift can watch:\n#   vendor/codex-rs" in with_all
    assert "here, which the kind database_vacuum can keep small:\n#   sessions.db" in with_all


def test_dependencies_hidden_folders_and_links_are_passed_over(project: Path, tmp_path: Path) -> None:
    write(project, "node_modules/x/fixtures/a", ".cache/fixtures/a", "a/b/c/d/e/f/g/h/fixtures/a")
    write(tmp_path, "elsewhere/fixtures/a")
    (project / "linked").symlink_to(tmp_path / "elsewhere")
    (project / "fixtures").symlink_to(tmp_path / "elsewhere/fixtures")
    assert look_around(project).fixtures == ()


def test_a_register_is_never_overwritten(project: Path) -> None:
    write_first_register(project, kinds())
    before = (project / "riskloop.yaml").read_text()
    with pytest.raises(Refused, match="never overwritten"):
        write_first_register(project, kinds())
    assert (project / "riskloop.yaml").read_text() == before


def test_a_register_is_not_written_through_a_dangling_link(project: Path, tmp_path: Path) -> None:
    (project / "riskloop.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    with pytest.raises(Refused):
        write_first_register(project, kinds())
    assert not (tmp_path / "elsewhere.yaml").exists()


def test_a_directory_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be written"):
        write_first_register(tmp_path / "nowhere", kinds())


NAMES = st.text(
    st.characters(blacklist_characters="/\x00", blacklist_categories=["Cs"]), min_size=1, max_size=20
).filter(lambda name: name not in {".", ".."} and len(os.fsencode(name)) < 200)


@given(name=NAMES, folder=NAMES, script=NAMES, config=st.text(max_size=60))
def test_no_name_in_the_project_can_break_its_register(
    name: str, folder: str, script: str, config: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    project = tmp_path_factory.mktemp("hostile") / name
    project.mkdir()
    write(project, f"{folder}/fixtures/a", f"{folder}/tools/make_fixtures{script}.py")
    configure_git(project, remote("https://github.com/acme/sdk") + config)
    register = load(write_first_register(project, kinds()), kinds())
    assert len(register.configured) <= 1
    assert register.owners["Maintainers"].repository == "acme/sdk"


def test_names_that_are_not_utf_8_are_passed_over(project: Path) -> None:
    (project / os.fsdecode(b"\xff/fixtures/x")).mkdir(parents=True)
    assert started(project).configured == ()
