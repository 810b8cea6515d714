"""What a person at the terminal is told: data on stdout, talk on stderr, and the exit code."""

from pathlib import Path

import pytest

from tests.cli.conftest import Shell


def test_a_look_prints_its_numbers_and_stores_nothing(shell: Shell) -> None:
    (shell.project / "source.txt").write_text("two\n", encoding="utf-8")
    ended = shell("measure", "stale.fixture_drift")
    assert ended.code == 0
    assert "stale.fixture_drift: warning" in ended.out
    assert "fixtures_changed" in ended.out
    assert not (shell.project / ".riskloop" / "riskloop.sqlite").exists()


def test_a_look_as_json_has_the_readings_and_the_evidence(shell: Shell) -> None:
    (shell.project / "source.txt").write_text("two\n", encoding="utf-8")
    (look,) = shell("measure", "--json").data
    assert look["verdict"] == "warning"
    changed = next(one for one in look["readings"] if one["metric"] == "fixtures_changed")
    assert (changed["value"], changed["unit"], changed["verdict"]) == (1, "fixtures", "warning")
    assert look["evidence"]["sections"]


def test_a_look_that_cannot_be_taken_says_why_and_fails(shell: Shell) -> None:
    (shell.project / "make.py").write_text("import sys; sys.exit('no network')", encoding="utf-8")
    ended = shell("measure")
    assert ended.code == 1
    assert "stale.fixture_drift: unknown" in ended.out
    assert "no network" in ended.out


def test_an_id_that_is_none_is_answered_with_the_nearest(shell: Shell) -> None:
    ended = shell("measure", "stale.fixture_drfit")
    assert ended.code == 1
    assert ended.out == ""
    assert "stale.fixture_drift" in ended.err
    assert "Traceback" not in ended.err


def test_the_status_before_any_run_is_that_nothing_was_looked_at(shell: Shell) -> None:
    ended = shell("status", "--exit-status")
    assert ended.code == 3
    assert "never looked at" in ended.out
    data = shell("status", "--json").data
    assert data["rows"][0]["verdict"] == "unknown"
    assert shell("status").code == 0


@pytest.mark.parametrize(
    ("command", "words"), [("incidents", "nothing is open"), ("deliveries", "everything")]
)
def test_an_empty_list_is_a_sentence_or_an_empty_json_list(shell: Shell, command: str, words: str) -> None:
    assert words in shell(command).out
    assert shell(command, "--json").data == []


def test_register_check_counts_what_it_found(shell: Shell) -> None:
    ended = shell("register", "check")
    assert ended.code == 0
    assert "risks        1" in ended.out
    assert "fixture_drift" in ended.out


def test_register_check_says_every_mistake_with_its_line_and_exits_with_2(shell: Shell) -> None:
    register = shell.project / "riskloop.yaml"
    text = register.read_text(encoding="utf-8").replace("owner: QA", "owner: QB")
    register.write_text(text.replace("fixture_drift", "fixture_drfit"), encoding="utf-8")
    ended = shell("register", "check")
    assert ended.code == 2
    assert ended.out == ""
    assert "2 things to fix" in ended.err
    assert "did you mean 'fixture_drift'?" in ended.err
    assert "line 12" in ended.err


def test_register_show_ranks_by_score(shell: Shell) -> None:
    (row,) = shell("register", "show", "--json").data
    assert (row["score"], row["id"], row["mitigations"]) == (6, "stale", ["stale.fixture_drift"])
    assert "Fixtures are stale" in shell("register", "show").out


def test_a_register_that_is_not_there_is_said_in_a_line(shell: Shell, tmp_path: Path) -> None:
    ended = shell("status", "--register", str(tmp_path / "none.yaml"))
    assert ended.code == 2
    assert "none.yaml" in ended.err
    assert "Traceback" not in ended.err


def test_wrong_usage_exits_with_2(shell: Shell) -> None:
    assert shell("statsu").code == 2
    assert shell("status", "--jsno").code == 2
    assert shell("adopt", "stale.fixture_drift").code == 2


def test_init_writes_a_register_that_loads_and_never_overwrites_one(shell: Shell, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    ended = shell("init", str(fresh))
    assert ended.code == 0
    assert "riskloop register check" in ended.err
    assert shell("register", "check", "--register", str(fresh / "riskloop.yaml")).code == 0
    again = shell("init", str(fresh))
    assert again.code == 1
    assert "exists" in again.err or "already" in again.err


def test_the_store_is_upgraded_and_backed_up(shell: Shell, tmp_path: Path) -> None:
    assert shell("store", "upgrade").code == 0
    assert shell("status").code == 0
    copy = tmp_path / "copy.sqlite"
    assert shell("store", "backup", str(copy)).code == 0
    assert copy.stat().st_size > 0
    assert shell("store", "backup", str(copy)).code == 1


def test_the_doctor_says_every_part_and_that_messages_are_previewed(shell: Shell) -> None:
    ended = shell("doctor", "--json")
    assert ended.code == 1
    parts = {part["name"]: part for part in ended.data}
    assert parts["register"]["ok"]
    assert parts["git"]["ok"]
    assert parts["store"]["ok"]
    assert not parts["Prefect"]["ok"]
    assert "RISKLOOP_GITHUB_TOKEN" in parts["GitHub"]["says"]
    assert "riskloop up" in shell("doctor").out


def test_the_doctor_goes_on_where_the_register_is_broken(shell: Shell) -> None:
    (shell.project / "riskloop.yaml").write_text("project: [", encoding="utf-8")
    parts = {part["name"]: part for part in shell("doctor", "--json").data}
    assert not parts["register"]["ok"]
    assert parts["store"]["ok"]


@pytest.mark.parametrize(("where", "code", "says"), [("/dev/null", 0, ""), ("/dev/full", 1, "No space left")])
@pytest.mark.parametrize("words", [["status"], ["status", "--json"]], ids=" ".join)
def test_where_nothing_can_be_printed_a_line_says_so(
    shell: Shell, words: list[str], where: str, code: int, says: str
) -> None:
    done = shell.outside(*words, script=f'exec "$@" >{where}')
    assert done.code == code
    assert says in done.err
    assert done.err.count("\n") <= 1


def test_with_every_stream_closed_a_command_still_does_its_work(shell: Shell) -> None:
    assert shell.outside("store", "upgrade", script='exec "$@" <&- >&- 2>&-').code == 0
    assert shell.outside("status", "--exit-status", script='exec "$@" <&- >&- 2>&-').code == 3
    assert shell.outside("status", "--register", "none", script='exec "$@" <&- >&- 2>&-').code == 2
    store = (shell.project / ".riskloop" / "riskloop.sqlite").read_bytes()
    assert store.startswith(b"SQLite format 3")


def test_debug_shows_where_an_error_comes_from(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "sys.argv", ["riskloop", "status", "--debug", "--register", str(tmp_path / "none.yaml")]
    )
    from riskloop.cli import main  # noqa: PLC0415
    from riskloop.errors import RiskloopError  # noqa: PLC0415

    with pytest.raises(RiskloopError):
        main()
