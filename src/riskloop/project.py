"""Reads the team's register as it stands, and says where its mitigations look."""

from datetime import UTC, datetime

from riskloop.mitigations import kinds
from riskloop.register import Register, load
from riskloop.risks import Site
from riskloop.settings import Settings


def read_register(settings: Settings) -> Register:
    """Read the register as it stands, for whoever must not go on with a broken one.

    Raises:
        RegisterError: with every mistake in it.
    """
    return load(settings.register, kinds(), allowed_roots=settings.allowed_roots)


def site(register: Register, settings: Settings) -> Site:
    """Say where the kinds work."""
    return Site(project=register.project_directory, state=settings.state, now=now())


def now() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)
