"""The command line: stdout is data, stderr is talk.

Exit codes: 0 fine, 1 could not, 2 wrong usage or register, 3 something is open (with `--exit-status`).
"""

import logging
import os
import sys
from importlib.metadata import version

from cyclopts import App, CycloptsError

from riskloop import tables
from riskloop.cli.place import COULD_NOT, FINE, WRONG
from riskloop.errors import RegisterError, RiskloopError

app = App(
    name="riskloop",
    help="Run each mitigation of your risk register, measure whether it works, and tell its owner if not.",
    version=lambda: version("riskloop"),
    result_action="return_value",
)
# Each is imported when it is asked for: a look does not wait for the libraries of the store or a channel.
app.command("riskloop.cli.registering:init")
app.command("riskloop.cli.running:up")
app.command("riskloop.cli.running:run")
app.command("riskloop.cli.measuring:measure")
app.command("riskloop.cli.showing:status")
app.command("riskloop.cli.showing:incidents")
app.command("riskloop.cli.delivering:app", name="deliveries")
app.command("riskloop.cli.delivering:why")
app.command("riskloop.cli.running:adopt")
app.command("riskloop.cli.deciding:accept")
app.command("riskloop.cli.deciding:silence")
app.command("riskloop.cli.approvals:app", name="approvals")
app.command("riskloop.cli.keeping:doctor")
register = app.command(App(name="register", help="Check the register, or show it."))
register.command("riskloop.cli.registering:check")
register.command("riskloop.cli.registering:show")
store = app.command(App(name="store", help="Upgrade the store, or back it up."))
store.command("riskloop.cli.keeping:upgrade")
store.command("riskloop.cli.keeping:backup")
upstream = app.command(App(name="upstream", help="Decide about what upstream did."))
upstream.command("riskloop.cli.upstream:acknowledge")
cleanup = app.command(
    App(name="cleanup", help="Mark a directory to be cleaned up; bring back what was removed.")
)
cleanup.command("riskloop.cli.cleanup:init")
cleanup.command("riskloop.cli.cleanup:listing", name="list")
cleanup.command("riskloop.cli.cleanup:restore")
database = app.command(App(name="database", help="Say what a database should be made of."))
database.command("riskloop.cli.database:learn")
archive = app.command(App(name="archive", help="Verify archived rows; bring them back."))
archive.command("riskloop.cli.archive:listing", name="list")
archive.command("riskloop.cli.archive:verify")
archive.command("riskloop.cli.archive:restore")
app.register_install_completion_command()


def main() -> None:
    """Run one command and exit with its code; every error is a line or two a person can act on."""
    _open_closed_streams()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        _import_listed(sys.argv[1:])
        code = app(sys.argv[1:], exit_on_error=False)
    except CycloptsError:
        code = WRONG  # The library has said what is wrong, and how it should look.
    except RegisterError as error:
        code = _failed(error, WRONG)
    except RiskloopError as error:
        code = _failed(error, COULD_NOT)
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does; nothing more can be said there.
        sys.stdout = None  # so that the interpreter does not flush it
        code = FINE
    sys.exit(code if isinstance(code, int) else FINE)


def _open_closed_streams() -> None:
    """Let a stream that was closed before we began lead nowhere, so that no file of ours gets its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))


def _import_listed(words: list[str]) -> None:
    """Import the commands of a list that is about to be shown, so that each says there what it does."""
    named, apps, _ = app.parse_commands(words)
    listing = apps[-2] if named and named[-1] in app.help_flags else apps[-1]
    listing.resolved_commands()


def _failed(error: RiskloopError, code: int) -> int:
    if "--debug" in sys.argv:
        raise error
    tables.say(f"riskloop: {error}")
    return code
