"""What a person types to count from a later upstream commit, and what is said when that cannot be."""

import pytest

from riskloop.cli import app
from riskloop.cli.running import plainly
from tests.cli.conftest import Shell

GIVEN = ("--to", "1a2b3c4", "--who", "Mia")


@pytest.mark.parametrize("reason", ["--reason", "--why"])
def test_a_reason_may_be_given_under_either_name(reason: str) -> None:
    words = ["upstream", "acknowledge", "risk.upstream_drift", *GIVEN, reason, "their website"]
    _, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    assert bound.arguments["reason"] == "their website"
    assert bound.arguments["to"] == "1a2b3c4"


def test_without_a_reason_it_is_wrong_usage(shell: Shell) -> None:
    ended = shell("upstream", "acknowledge", "stale.fixture_drift", *GIVEN)
    assert ended.code == 2
    assert "--reason" in ended.err + ended.out


def test_what_is_no_vendored_code_is_refused_before_anything_is_started(shell: Shell) -> None:
    ended = shell("upstream", "acknowledge", "stale.fixture_drift", *GIVEN, "--reason", "so")
    assert ended.code == 1
    assert "stale.fixture_drift" in ended.err
    assert not (shell.project / ".riskloop").exists()


def test_a_refusal_is_told_without_what_prefect_puts_in_front_of_it() -> None:
    wrapped = "Flow run encountered an exception:"
    assert plainly(f"{wrapped} Refused: the pin has it already; name a later commit") == (
        "the pin has it already; name a later commit"
    )
    assert plainly(f"{wrapped} KeyError: 'x'") == f"{wrapped} KeyError: 'x'"
    assert plainly("over the threshold: a.upstream_drift") == "over the threshold: a.upstream_drift"


def test_the_command_is_listed_with_what_it_does(shell: Shell) -> None:
    assert "Count from a later upstream commit" in shell("upstream", "--help").out
