"""Notices that the clock was set while nobody looked, so that files do not grow old in a moment."""

import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from riskloop.errors import Refused
from riskloop.mitigations.ttl_cleanup.grounds import Ground
from riskloop.mitigations.ttl_cleanup.notes import read_note, write_note

TOLERANCE = timedelta(minutes=5)
"""How far a clock may be put right between two runs: more than time services slew or step in a day."""

NAME = "clock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One moment by two clocks.

    Args:
        wall: seconds since 1970, as the wall clock has it, which can be set.
        since_boot: seconds since the machine started, sleep included, which nobody can set.
        boot: which start of the machine that is; empty where the system does not tell.
    """

    wall: float
    since_boot: float
    boot: str


def tick() -> Tick:
    """Read both clocks."""
    boot = ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return Tick(wall=time.time(), since_boot=time.clock_gettime(time.CLOCK_BOOTTIME), boot=boot)


def require_steady(ground: Ground, ours: int, now: Tick, *, ahead: timedelta, note: bool) -> None:
    """Make sure that the clock went on as time did since the last run, and remember this moment.

    Args:
        ours: our folder in the directory.
        ahead: how long after this moment the plan to be carried out was made; less than nothing as a rule.
        note: remember this moment for the next run.

    Raises:
        Refused: the clock was set by more than TOLERANCE; until it is right again, or somebody says that it
            is right, nothing is removed.
    """
    before = _read(ours)
    allowed = TOLERANCE.total_seconds()
    jumped = 0.0
    if before is not None and before.boot and before.boot == now.boot:
        jumped = (now.wall - before.wall) - (now.since_boot - before.since_boot)
    elif before is not None:
        # After another start of the machine only a clock that runs behind can be known.
        jumped = min(0.0, now.wall - before.wall)
    if ahead > TOLERANCE:
        jumped = -ahead.total_seconds()
    if abs(jumped) > allowed:
        way = "forward" if jumped > 0 else "back"
        raise Refused(
            f"the clock was set {way} by {timedelta(seconds=round(abs(jumped)))} since {ground.path} was "
            f"cleaned up last; it says {datetime.fromtimestamp(now.wall, UTC):%Y-%m-%d %H:%M} UTC now",
            rule="clock",
            remedy=f"set it right; or if it is right now, run: riskloop cleanup init {ground.path}",
        )
    if note:
        write_note(ours, NAME, f"{now.wall} {now.since_boot} {now.boot}")


def forget(ours: int) -> None:
    """Forget the last moment: somebody says that the clock is right now."""
    with suppress(FileNotFoundError):
        os.unlink(NAME, dir_fd=ours)


def _read(ours: int) -> Tick | None:
    found = re.fullmatch(r"(\d+\.?\d*) (\d+\.?\d*) ?(\S*)", read_note(ours, NAME) or "")
    if not found:
        return None
    return Tick(wall=float(found[1]), since_boot=float(found[2]), boot=found[3])
