"""Where a command works: the register and our own files, as options every command has."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from riskloop import tables
from riskloop.redaction import install
from riskloop.settings import Settings, read_settings

FINE, COULD_NOT, WRONG, OPEN = 0, 1, 2, 3


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the register and our own files are.

    Args:
        register: the register's file; else RISKLOOP_REGISTER, else riskloop.yaml here, else the demo's.
        state: our own directory; else RISKLOOP_STATE, else .riskloop beside the register.
        debug: show the traceback of an error.
    """

    register: Path | None = None
    state: Path | None = None
    debug: bool = False

    def settings(self) -> Settings:
        """Read the settings; without any register, those of the demo if there is one."""
        settings = read_settings(register=self.register, state=self.state)
        install(settings)
        if self.register or settings.register.exists():
            return settings
        from deployments.demo import demo_settings  # noqa: PLC0415 - stands over us in the layers

        demo = demo_settings(Path.cwd())
        if demo is None:
            return settings
        tables.say(f"no riskloop.yaml here: this is the demo in {demo.register.parent}")
        return demo


HERE = Place()
Json = Annotated[bool, Parameter(name="--json", negative="")]
Flag = Annotated[bool, Parameter(negative="")]
