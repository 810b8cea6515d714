"""A store that cannot be used says so in a sentence with a remedy, and loses nothing."""

import resource
from pathlib import Path

import pytest
from sqlalchemy import text

from riskloop.assessing import assess
from riskloop.errors import StoreError
from riskloop.store import Store, open_store
from tests.store.children import together
from tests.store.shelf import count, looks, occasion, stored


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give a SQLite store with one run in it."""
    place = tmp_path / "riskloop.sqlite"
    store = open_store(f"sqlite:///{place}")
    store.upgrade()
    assess(store, looks([0, 2]), occasion("before", tmp_path))
    store.close()
    return place


def test_a_full_disk_is_said_and_the_next_run_completes_what_it_stopped(file: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{file}"
    many = looks([2.0] * 1_200)

    def work(own: Store) -> None:
        size = file.stat().st_size + 1_500_000
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        assess(own, many, occasion("run", tmp_path))

    ((code, words),) = together(url, work)
    assert code == 1
    assert words.startswith(f"StoreError: the store {url} failed: ")
    assert words.endswith("nothing is lost, the next run goes on")
    store = open_store(url)
    with store.reading() as connection:
        assert connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"
    assert stored(store, "before") == {"toys.000": (2, 0, 0), "toys.001": (2, 1, 2)}
    stopped = stored(store, "run")
    assert len(stopped) in {0, 500, 1_000}, "whole chunks only"
    assess(store, many, occasion("run", tmp_path))
    assert len(stored(store, "run")) == 1_200
    assert count(store, "incidents WHERE concern = 'breach'") == 1_200
    store.close()


def test_a_read_only_store_can_be_read_and_says_what_to_do(file: Path, tmp_path: Path) -> None:
    store = open_store(f"sqlite:///file:{file}?mode=ro&uri=true")
    assert len(stored(store, "before")) == 2
    with pytest.raises(StoreError, match="readonly database; make its file and directory writable"):
        assess(store, looks([0, 2]), occasion("after", tmp_path))
    assert stored(store, "after") == {}
    store.close()


def test_a_file_that_is_no_store_is_named_and_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "riskloop.sqlite"
    place.write_text("my holiday pictures, all of them, in a row\n" * 30)
    before = place.read_bytes()
    store = open_store(f"sqlite:///{place}")
    with pytest.raises(StoreError, match="not a database; restore a backup"):
        store.upgrade()
    assert place.read_bytes() == before
    store.close()


def test_a_damaged_store_is_named(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    file.write_bytes(content)
    store = open_store(f"sqlite:///{file}")
    with pytest.raises(StoreError, match="malformed; restore a backup"):
        stored(store, "before")
    store.close()


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    store = open_store(f"sqlite:///{tmp_path / 'taken' / 'riskloop.sqlite'}")
    with pytest.raises(StoreError, match=r"cannot be written .*; check its directory, or set RISKLOOP_STATE"):
        store.upgrade()


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    store = open_store("postgresql://somebody:s3cret@127.0.0.1:1/riskloop")
    with pytest.raises(StoreError, match="check that the database server runs") as caught:
        store.require_current()
    assert "s3cret" not in str(caught.value)


def test_a_password_behind_the_question_mark_is_hidden_too() -> None:
    store = open_store("postgresql://127.0.0.1:1/riskloop?user=somebody&password=s3cret&sslpassword=s3cret")
    assert store.address == "postgresql+psycopg://127.0.0.1:1/riskloop?user=somebody"


@pytest.mark.parametrize(
    "url",
    [
        "mysql://somewhere/riskloop",
        "riskloop.sqlite",
        "",
        "sqlite:///relative.sqlite",
        "sqlite://",
        "sqlite://s3cret@somewhere/riskloop.sqlite",
        "sqlite+aiosqlite:////riskloop.sqlite",
        "postgresql://somebody:s3@cret@127.0.0.1:1/riskloop",
        "postgresql://somebody:s3cret@127.0.0.1:port/riskloop",
    ],
)
def test_an_address_of_no_store_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(StoreError, match="RISKLOOP_STORE_URL is not the address of a store we know") as error:
        open_store(url)
    assert "cret" not in str(error.value)


def test_a_store_that_is_held_too_long_says_so(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("riskloop.store.database.BUSY_SECONDS", 0)
    holder, store = open_store(f"sqlite:///{file}"), open_store(f"sqlite:///{file}")
    with holder.writing(), pytest.raises(StoreError, match="locked; another program holds it"):
        assess(store, looks([0]), occasion("after", tmp_path))
    assess(store, looks([0]), occasion("after", tmp_path))
    assert len(stored(store, "after")) == 1
    holder.close()
    store.close()
