"""Who an installation is."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from riskloop.errors import Refused
from riskloop.identity import Accounts, read_identity


def test_it_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    state = tmp_path / "state"
    first = read_identity(state)
    assert len(first.installation) == 10
    assert first.installation.isalnum()
    assert first.installation == first.installation.lower()
    assert len(first.key) == 32
    assert read_identity(state) == first
    assert [(state / name).stat().st_mode & 0o777 for name in ("installation", "key")] == [0o600, 0o600]


def test_the_key_is_not_in_its_repr(tmp_path: Path) -> None:
    assert "key" not in repr(read_identity(tmp_path))


def test_many_at_once_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(read_identity, [tmp_path] * 64))) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [".gitignore", "installation", "key"]


@pytest.mark.parametrize(("name", "content"), [("installation", "NOT OURS!!"), ("key", "short"), ("key", "")])
def test_a_damaged_file_is_named_and_never_replaced(tmp_path: Path, name: str, content: str) -> None:
    read_identity(tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(Refused, match=f"{name} is damaged"):
        read_identity(tmp_path)
    assert (tmp_path / name).read_text() == content


def test_a_directory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(Refused, match="cannot be made or written"):
        read_identity(tmp_path / "state")


def test_accounts_are_remembered_once_and_apart_for_each_service(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path)
    assert accounts.known("github") == frozenset()
    for _ in range(2):
        accounts.remember("github", "12")
        accounts.remember("slack:acme", "U12")
    accounts.remember("github", "34")
    assert Accounts(tmp_path).known("github") == {"12", "34"}
    assert Accounts(tmp_path).known("slack:acme") == {"U12"}
    assert (tmp_path / "accounts").read_text().count("github 12\n") == 1
