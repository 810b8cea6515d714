"""Names the moments at which a process may be killed or stopped, and does that at one of them.

The product knows nothing of it: a forked child watches its own transactions and its own HTTP requests.
"""

import http.client
import inspect
import os
import re
import select
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, event
from sqlalchemy.engine.interfaces import DBAPIConnection

from riskloop.store import Store
from tests.store.children import start

TRANSACTIONS = {
    "riskloop.assessing._store": "storing looks",
    "riskloop.assessing.assess_service": "telling of the service",
    "riskloop.assessing.retire": "retiring",
    "riskloop.assessing.flooding.tell_of_floods": "telling of many",
    "riskloop.assessing.flooding.settle_floods": "settling many",
    "riskloop.assessing.muting.begin_mute": "beginning to be quiet",
    "riskloop.assessing.muting.end_mute": "ending to be quiet",
    "riskloop.assessing.muting.follow_mutes": "following what is quiet",
    "riskloop.assessing.reminding.remind": "reminding",
    "riskloop.delivery.postman.Postman.deliver": "claiming",
    "riskloop.delivery.packing.Packer._look_around": "having looked around",
    "riskloop.delivery.pacing.Pacer._take": "taking a turn",
    "riskloop.delivery.pacing.Pacer.turn.<locals>.turn": "going on after a wait",
    "riskloop.delivery.postman.Postman._finish": "finishing",
    "riskloop.delivery.postman.Postman._put_back": "putting back",
    "riskloop.delivery.postman.Postman._bury": "burying",
    "riskloop.delivery.postman.Postman._try_circuits": "trying a circuit",
}
"""What a transaction is for, by the function that opens it."""

REQUESTS = {
    r"GET .*/user": "github: who are we",
    r"GET .*/issues": "github: listing issues",
    r"GET .*/issues/\d+": "github: reading the issue",
    r"GET .*/issues/\d+/comments": "github: listing comments",
    r"GET /repos/[^/]+/[^/]+": "github: reading the repository",
    r"POST .*/issues": "github: opening the issue",
    r"PATCH .*/issues/\d+": "github: editing the issue",
    r"POST .*/issues/\d+/comments": "github: commenting",
    r"POST /api/auth.test": "slack: who are we",
    r"POST /api/conversations.history": "slack: listing messages",
    r"POST /api/conversations.replies": "slack: listing replies",
    r"POST /api/chat.getPermalink": "slack: asking for the link",
    r"POST /api/chat.postMessage": "slack: posting",
    r"POST /api/chat.update": "slack: editing the message",
}
"""What a request is for, by its method and path."""

WRITES = frozenset(
    {
        "github: opening the issue",
        "github: editing the issue",
        "github: commenting",
        "slack: posting",
        "slack: editing the message",
    }
)

AROUND_A_TRANSACTION = ("before it begins", "before its commit", "committed")
AROUND_A_WRITE = ("before it is sent", "sent", "applied, its answer unread", "answered")
AROUND_A_READ = ("asked, its answer unread",)


def moments_of(what: str) -> tuple[str, ...]:
    """Name every moment of a transaction or a request."""
    around: tuple[str, ...] = AROUND_A_WRITE if what in WRITES else AROUND_A_READ
    if what in TRANSACTIONS.values():
        around = AROUND_A_TRANSACTION
    return tuple(f"{what}: {moment}" for moment in around)


def is_inside_a_transaction(moment: str) -> bool:
    """Say whether a process that is stopped at this moment holds the store."""
    return moment.endswith(": before its commit")


def may_still_send(moment: str) -> bool:
    """Say whether a process has leave to send at this moment, and has not sent."""
    turns = ("taking a turn: committed", "going on after a wait: committed")
    return moment in turns or moment.endswith(": before it is sent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What a child did, by the moments it went through.

    Args:
        code: its exit code, or minus the signal that ended it.
        words: what it said at its end.
    """

    moments: tuple[str, ...]
    code: int
    words: str

    @property
    def requests(self) -> int:
        """How many requests had left it."""
        reads = self.count(AROUND_A_READ[0])
        return reads + self.count("sent")

    def count(self, ending: str) -> int:
        return sum(moment.endswith(f": {ending}") for moment in self.moments)


class Watched:
    """A child that is killed, or stopped, at the n-th moment it goes through; at none if n is 0."""

    def __init__(
        self, url: str, work: Callable[[Store], object], *, at: int = 0, by: signal.Signals = signal.SIGKILL
    ) -> None:
        reader, writer = os.pipe()

        def watched(store: Store) -> object:
            os.close(reader)
            _Watch(writer, at, by).begin(store)
            return work(store)

        self._child = start(url, watched)
        os.close(writer)
        self._reader = reader
        self._child.let_go()

    def wait_for_the_stop(self) -> bool:
        """Wait until it is stopped; say False if it has ended instead."""
        how = os.waitid(os.P_PID, self._child.process, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        return how is not None and how.si_code == os.CLD_STOPPED

    def go_on(self) -> None:
        os.kill(self._child.process, signal.SIGCONT)

    def end(self) -> Course:
        """Wait for its end."""
        with os.fdopen(self._reader) as reader:
            moments = tuple(reader.read().splitlines())
        code, words = self._child.wait()
        return Course(moments=moments, code=code, words=words)


class _Watch:
    """What a child knows of its own moments."""

    def __init__(self, writer: int, at: int, by: signal.Signals) -> None:
        self._writer = writer
        self._left = at
        self._by = by
        self._committed = ""

    def begin(self, store: Store) -> None:
        event.listen(store.engine, "engine_connect", self._begins)
        event.listen(store.engine, "commit", self._commits)
        event.listen(store.engine, "checkin", self._ended)
        self._watch_requests()

    def _pass(self, what: str, moment: str) -> None:
        os.write(self._writer, f"{what}: {moment}\n".encode())
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), self._by)

    def _begins(self, connection: Connection) -> None:
        if _writes(connection):
            self._pass(_purpose(), AROUND_A_TRANSACTION[0])

    def _commits(self, connection: Connection) -> None:
        if _writes(connection):
            self._committed = _purpose()
            self._pass(self._committed, AROUND_A_TRANSACTION[1])

    def _ended(self, _connection: DBAPIConnection, _record: object) -> None:
        # A connection goes back to the pool right after its commit; or after a transaction that only read.
        what, self._committed = self._committed, ""
        if what:
            self._pass(what, AROUND_A_TRANSACTION[2])

    def _watch_requests(self) -> None:
        """Watch the one class through which both SDKs send."""
        put, get = http.client.HTTPConnection.putrequest, http.client.HTTPConnection.getresponse
        purposes: dict[int, str] = {}

        def putrequest(
            self_: http.client.HTTPConnection, method: str, url: str, *more: Any, **named: Any
        ) -> None:
            what = purposes[id(self_)] = _request(method, url)
            if what in WRITES:
                self._pass(what, AROUND_A_WRITE[0])
            put(self_, method, url, *more, **named)

        def getresponse(self_: http.client.HTTPConnection) -> http.client.HTTPResponse:
            what = purposes[id(self_)]
            if what in WRITES:
                self._pass(what, AROUND_A_WRITE[1])
            # What is answered has been applied.
            select.select([self_.sock], [], [], self_.timeout)
            self._pass(what, AROUND_A_WRITE[2] if what in WRITES else AROUND_A_READ[0])
            answer = get(self_)
            if what in WRITES:
                self._pass(what, AROUND_A_WRITE[3])
            return answer

        for name, function in {"putrequest": putrequest, "getresponse": getresponse}.items():
            setattr(http.client.HTTPConnection, name, function)


def _writes(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get("riskloop_writes", False))


def _purpose() -> str:
    """Say what the transaction at hand is for, by the nearest function of ours that is not the store's."""
    frame = inspect.currentframe()
    while frame is not None:
        module = str(frame.f_globals.get("__name__"))
        if module.startswith("riskloop.") and module != "riskloop.store.database":
            return TRANSACTIONS[f"{module}.{frame.f_code.co_qualname}"]
        frame = frame.f_back
    raise LookupError("a transaction of nobody's")


def _request(method: str, url: str) -> str:
    path = urlsplit(url).path
    for shape, what in REQUESTS.items():
        if re.fullmatch(shape, f"{method} {path}"):
            return what
    raise LookupError(f"a request without a name: {method} {path}")
