"""Tables whose rows cannot be archived are refused by name, with what to do; nothing is touched."""

import pytest

from riskloop.errors import Unmeasurable
from tests.mitigations.stacks import Stack, values


def refused(stack: Stack, words: str) -> None:
    with pytest.raises(Unmeasurable, match=words):
        stack.look()
    assert not stack.archives.exists()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def bare(request: pytest.FixtureRequest) -> Stack:
    """Give an empty database of each sort."""
    name = "file_stack" if request.param == "sqlite" else "server_stack"
    made: Stack = request.getfixturevalue(name)
    return made


@pytest.mark.parametrize(
    ("table", "more", "words"),
    [
        ("(id bigint, at TEXT)", {}, "events has no primary key, so that its rows cannot be told apart"),
        (
            "(a bigint, b bigint, at TEXT, PRIMARY KEY (a, b))",
            {},
            "primary key of events has several columns",
        ),
        (
            "(id bigint, at TEXT)",
            {"key": "id"},
            r"events.id may be NULL, or the same in two rows; name a column",
        ),
        ("(id bigint UNIQUE, at TEXT)", {"key": "id"}, r"events.id may be NULL"),
        ("(id bigint PRIMARY KEY, att TEXT)", {}, "events has no column at; .* did you mean att"),
        ("(id bigint PRIMARY KEY, at TEXT)", {"key": "no"}, "events has no column no"),
        (
            "(id bigint PRIMARY KEY NOT NULL, at TEXT, riskloop_other TEXT)",
            {},
            "riskloop_other, as one of ours",
        ),
    ],
)
def test_a_table_that_is_not_fit_is_refused(
    bare: Stack, table: str, more: dict[str, str], words: str
) -> None:
    bare.run(f"CREATE TABLE events {table}")
    bare.table(**more)
    if "ours" in words:
        bare.run("INSERT INTO events VALUES (1, '2020-01-01', NULL)")
        receipt = bare.archive()
        assert receipt.failed
        assert words in receipt.says
        assert len(bare.rows()) == 1
        return
    refused(bare, words)


def test_a_view_is_no_table(bare: Stack) -> None:
    bare.run("CREATE TABLE real_ones (id bigint PRIMARY KEY, at TEXT)")
    bare.run("CREATE VIEW events AS SELECT * FROM real_ones")
    refused(bare, "events is a view; name the table that its rows are in")


def test_a_table_that_is_not_there_is_looked_for_nearby(bare: Stack) -> None:
    bare.run("CREATE TABLE event (id bigint PRIMARY KEY, at TEXT)")
    refused(bare, "there is no table events; correct the register; did you mean event")


def test_what_belongs_to_rows_must_be_found_by_an_index_and_be_led_to_by_nothing(bare: Stack) -> None:
    bare.run(
        "CREATE TABLE events (id bigint NOT NULL PRIMARY KEY, at TEXT);"
        "CREATE TABLE notes (id bigint NOT NULL PRIMARY KEY, event bigint REFERENCES events (id));"
        "CREATE TABLE replies (id bigint PRIMARY KEY, note bigint REFERENCES notes (id))"
    )
    bare.table(**{"with": [{"table": "notes", "references": "event"}]})
    refused(bare, "notes would go with its rows, but a foreign key of replies leads to it")
    bare.run("DROP TABLE replies")
    refused(bare, "notes.event has no index, .* make one: CREATE INDEX … ON notes ")


def test_a_foreign_key_of_several_columns_is_not_followed(bare: Stack) -> None:
    bare.run(
        "CREATE TABLE events (id bigint NOT NULL PRIMARY KEY, at TEXT, UNIQUE (id, at));"
        "CREATE TABLE marks (event bigint, at TEXT, FOREIGN KEY (event, at) REFERENCES events (id, at))"
    )
    bare.table(referenced="keep")
    refused(bare, "a foreign key of marks with several columns leads to")


def test_triggers_are_said_and_generated_columns_too(bare: Stack) -> None:
    bare.run(
        "CREATE TABLE events (id bigint NOT NULL PRIMARY KEY, at TEXT, "
        "twice bigint GENERATED ALWAYS AS (id * 2) STORED); CREATE TABLE gone (id bigint)"
    )
    if bare.address:
        bare.run(
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN INSERT INTO gone VALUES (OLD.id); RETURN OLD; END';"
            "CREATE TRIGGER noting AFTER DELETE ON events FOR EACH ROW EXECUTE FUNCTION note()"
        )
    else:
        bare.run("CREATE TRIGGER noting AFTER DELETE ON events BEGIN INSERT INTO gone VALUES (OLD.id); END")
    bare.run("INSERT INTO events (id, at) VALUES (1, '2020-01-01'), (2, '2026-02-28')")
    plan = bare.plan()
    assert "triggers fire when its rows go: noting" in plan.summary
    assert "generated columns are archived as values: twice" in plan.summary
    assert not bare.act(plan).failed
    assert bare.rows("SELECT * FROM gone") == [(1,)]
    assert bare.archived() == [(1, "2020-01-01", 2)]


def test_a_trigger_that_keeps_rows_fails_the_table(bare: Stack) -> None:
    bare.run("CREATE TABLE events (id bigint NOT NULL PRIMARY KEY, at TEXT)")
    bare.run("INSERT INTO events (id, at) VALUES (1, '2020-01-01'), (2, '2020-02-28')")
    if bare.address:
        bare.run(
            "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
            "CREATE TRIGGER keeping BEFORE DELETE ON events FOR EACH ROW EXECUTE FUNCTION keep()"
        )
    else:
        bare.run("CREATE TRIGGER keeping BEFORE DELETE ON events BEGIN SELECT RAISE(IGNORE); END")
    receipt = bare.archive()
    assert receipt.failed
    assert "rows of events stayed that were to be deleted" in receipt.says
    assert len(bare.rows()) == 2


def test_an_address_is_never_shown(server_stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_DATABASE_URL", "postgresql://me:hunter2secret@127.0.0.1:1/app?connect_timeout=1")
    with pytest.raises(Unmeasurable) as raised:
        server_stack.look()
    assert "hunter2secret" not in str(raised.value)
    assert "APP_DATABASE_URL" in str(raised.value)
    with pytest.raises(ValueError, match="an address of a database may hold a password") as told:
        server_stack.read(database="postgresql://me:hunter2secret@host/app")
    assert "hunter2secret" not in str(told.value.errors()[0]["msg"])  # type: ignore[attr-defined]


def test_a_file_that_is_no_database_is_said_and_left_alone(file_stack: Stack) -> None:
    file_stack.file.write_bytes(b"no database at all")
    refused(file_stack, "app.sqlite is not a SQLite database, or is encrypted")
    file_stack.file.unlink()
    refused(file_stack, "app.sqlite cannot be read: No such file or directory")
    assert not file_stack.file.exists()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"tables": []}, "at least 1 item"),
        ({"tables": [{"table": "a", "timestamp": "t"}] * 2}, "'a' is named twice"),
        ({"pause": "soon"}, "'soon' is not a pause; write none, 50ms or 2s"),
        ({"decide_within": "31d"}, "write at most 30d"),
    ],
)
def test_settings_that_make_no_sense_are_said(
    file_stack: Stack, wrong: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        file_stack.read(**wrong)


def test_pauses_are_written_as_they_are_read(file_stack: Stack) -> None:
    told = file_stack.read(pause="50ms").model_dump(mode="json")["pause"]
    assert told == "50ms"
    assert file_stack.read(pause=told).pause == file_stack.read(pause="50ms").pause
    assert file_stack.read(pause="2s").model_dump(mode="json")["pause"] == "2000ms"
    assert file_stack.read().model_dump(mode="json")["pause"] == "none"


def test_nothing_in_an_empty_table_is_past_its_age(bare: Stack) -> None:
    bare.run("CREATE TABLE events (id bigint NOT NULL PRIMARY KEY, at TEXT)")
    seen = bare.look()
    assert seen.plan is not None
    assert seen.plan.empty
    assert values(seen)["oldest_row_days"] == 0
