"""What a person types to have something done, from the first drift to its adoption, with a real server."""

import pytest

from tests.cli.conftest import Shell

pytestmark = pytest.mark.server


def test_a_drift_is_found_adopted_and_open_until_enough_good_looks_have_been_taken(shell: Shell) -> None:
    register = shell.project / "riskloop.yaml"
    register.write_text(register.read_text(encoding="utf-8") + "        resolve_after: 3\n", encoding="utf-8")
    (shell.project / "source.txt").write_text("two\n", encoding="utf-8")
    found = shell.outside("up", "--once")
    assert found.code == 3, found.err
    assert "stale.fixture_drift: fixtures_changed 1" in found.err
    assert f"told in file://{shell.project}/.riskloop/outbox/github/acme/paper/" in found.err

    adopted = shell.outside("adopt", "stale.fixture_drift", "--who", "QA", "--why", "the source is right")
    assert adopted.code == 0, adopted.err
    assert "1 fixture adopted by QA: the source is right" in adopted.err
    assert (shell.project / "fixtures" / "a.txt").read_text(encoding="utf-8") == "two\n"

    # Nothing drifts now, and still the incident is open: the exit code says the state, not the last look.
    good = shell.outside("up", "--once")
    assert "stale.fixture_drift  6      QA     ok" in good.err
    assert good.code == shell("status", "--exit-status").code == 3, good.err

    last = shell.outside("run", "fixture_drift")
    assert (last.code, last.out) == (0, "")
    assert "fixture-drift: all: Completed: 1 looked at" in last.err
    assert shell("status", "--exit-status").code == 0
