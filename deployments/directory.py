"""The state directory: who is running on it, and where its service is reached."""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from riskloop import state_directory
from riskloop.errors import Refused

# A parent that was killed leaves its children up to ten seconds to end, and they hold the lock until then.
_DYING = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A running service.

    Args:
        pid: the process that `riskloop up` started.
        since: when, as ISO 8601 with its offset.
        register: the register it serves.
        api_url: the Prefect API; empty while it starts.
        ui_url: where people reach the Prefect UI; empty while it starts.
        deployments: the id of each deployment by the name of its flow, `fixture-drift`.
        brief: it was started for one command only, and ends with it.
    """

    pid: int
    since: str
    register: str
    api_url: str = ""
    ui_url: str = ""
    deployments: Mapping[str, str] = field(default_factory=dict)
    brief: bool = False


def prepare(state: Path) -> None:
    """Make the state directory with the places its log and Prefect's things go to.

    Raises:
        Refused: it is somebody else's, or cannot be made or written, or Prefect cannot work in it.
    """
    if "?" in str(state):
        raise Refused(
            f"Prefect cannot have its database in {state}, because of the question mark",
            rule="state-directory",
            remedy="name another state directory with --state or RISKLOOP_STATE",
        )
    state_directory.prepare(state)
    with writing(state):
        (state / "logs").mkdir(exist_ok=True)
        (state / "prefect").mkdir(mode=0o700, exist_ok=True)


@contextmanager
def writing(state: Path) -> Iterator[None]:
    """Say in words what stands against writing in the state directory.

    Raises:
        Refused: its disk is full, or it may not be written.
    """
    try:
        yield
    except OSError as error:
        raise Refused(
            f"the state directory {state} cannot be written ({error.strerror})",
            rule="state-directory",
            remedy="free space on its disk, or give the user that runs riskloop the right to write it",
        ) from error


@contextmanager
def locked(state: Path, *, register: Path, now: datetime, brief: bool = False) -> Iterator[int]:
    """Hold the state directory; the yielded descriptor is inherited by the children, who then hold it too.

    Args:
        brief: as in `Service`.

    Raises:
        Refused: another `up` runs on this directory, or its lock cannot be opened or written.
    """
    try:
        descriptor = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Refused(
            f"{state / 'lock'} cannot be opened ({error.strerror})",
            rule="state-directory",
            remedy="see whose it is, and remove it if no riskloop runs there",
        ) from error
    try:
        _acquire(descriptor, state)
        since = now.isoformat(timespec="seconds")
        service = Service(pid=os.getpid(), since=since, register=str(register), brief=brief)
        with writing(state):
            (state / "service.json").unlink(missing_ok=True)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(asdict(service)).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def announce(state: Path, *, api_url: str, ui_url: str, deployments: Mapping[str, str]) -> Service:
    """Write where the service is reached, for the command line and for links; the caller holds the lock."""
    holder = _read(state / "lock")
    if holder is None:
        raise Refused(
            f"{state / 'lock'} was emptied by someone",
            rule="state-directory",
            remedy="leave the state directory to riskloop, and start again",
        )
    service = replace(holder, api_url=api_url, ui_url=ui_url, deployments=dict(deployments))
    aside = state / "service.json.new"
    with writing(state):
        aside.write_text(json.dumps(asdict(service)), encoding="utf-8")
        aside.replace(state / "service.json")
    return service


def withdraw(state: Path) -> None:
    """Say that the service is reached no more."""
    (state / "service.json").unlink(missing_ok=True)


def running_service(state: Path) -> Service | None:
    """Say which service runs on this state directory; None if none does."""
    try:
        descriptor = os.open(state / "lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = _read(state / "lock")
        if holder is None or not _alive(holder.pid):
            return None
        return _read(state / "service.json") or holder
    else:
        return None
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, state: Path) -> None:
    started = time.monotonic()
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = time.monotonic() - started
            holder = _read(state / "lock")
            # Someone who only asks holds it for an instant; the children of a dead one a little longer.
            if waited > _DYING or (waited > 1 and holder is not None and _alive(holder.pid)):
                raise _taken(state, holder) from None
            time.sleep(0.1)
        else:
            return


def _taken(state: Path, holder: Service | None) -> Refused:
    service = _read(state / "service.json") or holder
    if service is None:
        who, remedy = "someone", "stop it, or give this one another directory with RISKLOOP_STATE"
    else:
        at = f", {service.ui_url}" if service.ui_url else ""
        who = f"process {service.pid}, since {service.since}{at}"
        remedy = f"use it, stop it with `kill {service.pid}`, or name another directory with RISKLOOP_STATE"
    return Refused(f"riskloop already runs on {state} ({who})", rule="one-at-a-time", remedy=remedy)


def _read(path: Path) -> Service | None:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        return Service(**content)
    except (OSError, ValueError, TypeError):
        return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
