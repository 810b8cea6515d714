"""The command line: stdout is data, stderr is talk.

Exit codes: 0 fine, 1 could not, 2 wrong usage or register, 3 something is open (with `--exit-status`).
"""

import logging
import sys
from importlib.metadata import version

from cyclopts import App, CycloptsError

from riskloop import tables
from riskloop.cli import keeping, running, showing
from riskloop.cli.place import COULD_NOT, FINE, WRONG
from riskloop.errors import RegisterError, RiskloopError

app = App(
    name="riskloop",
    help="Run each mitigation of your risk register, measure whether it works, and tell its owner if not.",
    version=lambda: version("riskloop"),
    result_action="return_value",
)
for command in (
    keeping.init,
    running.up,
    running.run,
    showing.measure,
    showing.status,
    showing.incidents,
    showing.deliveries,
    running.adopt,
    keeping.doctor,
):
    app.command(command)
register = app.command(App(name="register", help="Check the register, or show it."))
register.command(keeping.check)
register.command(keeping.show)
store = app.command(App(name="store", help="Upgrade the store, or back it up."))
store.command(keeping.upgrade)
store.command(keeping.backup)
app.register_install_completion_command()


def main() -> None:
    """Run one command and exit with its code; every error is a line or two a person can act on."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        code = app(exit_on_error=False)
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


def _failed(error: RiskloopError, code: int) -> int:
    if "--debug" in sys.argv:
        raise error
    tables.say(f"riskloop: {error}")
    return code
