"""A command that only looks is there at once: it does not wait for libraries that it does not use."""

import subprocess
import sys

import pytest

from riskloop.cli import app, register, store
from tests.cli.conftest import Shell

RUN = """
import sys
from riskloop.cli import main
try:
    main()
except SystemExit as ended:
    assert ended.code == 0, ended.code
print(*sys.modules, sep="\\n", file=sys.stderr)
"""
CHANNELS = ("prefect", "github", "slack_sdk")
STORE = ("sqlalchemy", "alembic", "psycopg")


@pytest.mark.parametrize(
    ("words", "unused"),
    [
        (["measure"], CHANNELS + STORE),
        (["register", "check"], CHANNELS + STORE),
        (["register", "show"], CHANNELS + STORE),
        (["status"], CHANNELS),
        (["incidents"], CHANNELS),
        (["deliveries"], CHANNELS),
        (["deliveries", "list"], CHANNELS),
        (["why", "stale.fixture_drift"], CHANNELS),
        (["measure", "--help"], CHANNELS + STORE),
        (["--version"], CHANNELS + STORE),
        (["--help"], ("prefect",)),
        (["doctor", "--help"], ("prefect",)),
        (["up", "--help"], ("prefect",)),
    ],
    ids=" ".join,
)
def test_a_command_imports_nothing_that_it_does_not_use(
    shell: Shell, words: list[str], unused: tuple[str, ...]
) -> None:
    done = subprocess.run(
        # -P, as the console script: the working directory is not searched.
        [sys.executable, "-P", "-c", RUN, *words],
        cwd=shell.project,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stderr.split()).isdisjoint(unused)


def test_every_command_is_there_and_says_what_it_does() -> None:
    for listing in (app, app["deliveries"], register, store):
        for name, command in listing.resolved_commands().items():
            assert command.help, name


def test_the_list_of_commands_says_what_each_does(shell: Shell) -> None:
    for words in ([], ["--help"]):
        assert "Look at mitigations now" in shell(*words).out
    assert "Send dead letters again" in shell("deliveries", "--help").out
    for words in (["register"], ["register", "--help"]):
        assert "Show the risks by score" in shell(*words).out
