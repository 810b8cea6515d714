"""What a person types to have a directory cleaned up, to see what was removed, and to bring it back."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from riskloop.mitigations.ttl_cleanup import Settings, measure, mitigate
from riskloop.risks import Site
from riskloop.store import open_store
from tests.cli.conftest import Shell

AHEAD = timedelta(days=31)


@pytest.fixture
def staged(shell: Shell) -> Path:
    folder = shell.project / "staging"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).write_text(name)
    return folder


def clean(shell: Shell) -> None:
    """Do as the flow does, by a clock that is ahead."""
    store = open_store(f"sqlite:///{shell.project / '.riskloop/riskloop.sqlite'}")
    store.upgrade()
    settings = Settings.model_validate({"directory": "staging", "ttl": "30d", "limit": {"fraction": 1}})
    site = Site(
        project=shell.project,
        state=shell.project / ".riskloop",
        now=datetime.now(UTC) + AHEAD,
        mitigation="staged.ttl_cleanup",
    )
    plan = measure(settings, site).plan
    mitigate(settings, site, plan, store, warrant="run", approved=False, dry_run=False)
    store.close()


def test_a_directory_is_marked_cleaned_up_and_brought_back(shell: Shell, staged: Path) -> None:
    assert "is marked: what the register says of it" in shell("cleanup", "init", "staging").err
    assert "is marked as before" in shell("cleanup", "init", "staging").err
    assert "nothing was ever removed" in shell("cleanup", "list").out
    clean(shell)
    assert not (staged / "a").exists()
    (removal,) = shell("cleanup", "list", "--json").data
    listed = shell("cleanup", "list").out
    assert removal["id"] in listed
    assert "until " in listed
    (staged / "b").write_text("newer")
    ended = shell("cleanup", "restore", removal["id"])
    assert ended.code == 1
    assert "put back 1 file of 1 byte" in ended.err
    assert "b stays in quarantine: something stands in its place now" in ended.err
    assert (staged / "a").read_text() == "a"
    assert (staged / "b").read_text() == "newer"
    (staged / "b").unlink()
    ended = shell("cleanup", "restore", removal["id"], "b", "c")
    assert ended.code == 1
    assert "c is not in this removal" in ended.err
    assert (staged / "b").read_text() == "b"


def test_what_nobody_means_to_be_cleaned_up_cannot_be_marked(shell: Shell) -> None:
    ended = shell("cleanup", "init", str(shell.project))
    assert ended.code == 1
    assert "is the project's directory, or above it: it is never cleaned up" in ended.err
    assert shell("cleanup", "init", "missing").code == 1


def test_a_removal_that_is_not_there_is_said(shell: Shell) -> None:
    ended = shell("cleanup", "restore", "0123456789ab")
    assert ended.code == 1
    assert "there is no removal '0123456789ab'; see: riskloop cleanup list" in ended.err
