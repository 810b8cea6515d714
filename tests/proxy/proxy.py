"""Stands between us and the emulator: it refuses what the real services refuse, and fails on request."""

import http.client
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from tests.proxy import drafts
from tests.proxy.deleted_messages import DeletedMessages
from tests.proxy.drafts import Drafts
from tests.proxy.fates import Fate, Fates, Weather
from tests.proxy.faults import Breakage, Fault
from tests.proxy.heads import Heads
from tests.proxy.people import People
from tests.proxy.strict import (
    READS_MESSAGES,
    WRITES_MESSAGES,
    Refusal,
    github_refusal,
    slack_answer,
    slack_refusal,
)
from tests.proxy.traffic import Answer, Recorded, busiest
from tests.proxy.wire import HOP, Server, body_of, fields, handler_calling, hold, reset, write

HELD = 30.0
"""Seconds a silent answer is held at most: the client is to give up before."""

Check = Callable[[str, str, bytes], list[str]]


class FaultProxy:
    """One service's proxy on loopback, on a port the system chooses.

    Args:
        service: `github` or `slack`.
        tokens: those that are known; any other is refused.
        check: says what is wrong with a request, by method, target and body; kept in `mistakes`.
    """

    def __init__(self, service: str, tokens: Collection[str], *, check: Check | None = None) -> None:
        self.service = service
        self.upstream = 0
        self.recorded: list[Recorded] = []
        self.mistakes: list[str] = []
        self.clock: Callable[[], float] = time.time
        self.tokens = set(tokens)
        self.people = People()
        self.drafts = Drafts()
        self.heads = Heads()
        self.deleted_messages = DeletedMessages()
        self._check = check
        self._known = frozenset(tokens)
        self._uses: Counter[str] = Counter()
        self._elsewhere: dict[str, FaultProxy] = {}
        self._fates = Fates()
        self._arriving = 0
        self._opening = threading.Lock()
        self._lock = threading.Condition()
        self._ended = threading.Event()
        self._server = Server(("127.0.0.1", 0), handler_calling(self._reply))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """The address to use in place of the real one, without a slash at the end."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fail(
        self,
        fault: str | Fault,
        *,
        method: str = "POST",
        path: str = ".*",
        after_commit: bool = False,
        times: int = 1,
        passing: int = 0,
    ) -> None:
        """Have the next matching requests fail.

        Args:
            fault: one of FAULTS by name, which may end in `before` or `after`, or one made for the purpose.
            method: of the requests it is for; any if empty. Slack's are all POST.
            path: a regular expression for the whole path.
            after_commit: the emulator applies the request first, and only the answer fails.
            times: how many requests fail.
            passing: how many are let pass before.
        """
        self._fates.add(
            fault, method=method, path=path, after_commit=after_commit, times=times, passing=passing
        )

    def disturb(self, weather: Weather) -> None:
        """Delay and fail requests by chance, until `forget`.

        A request whose client is gone is applied all the same once its time is over, as on a real network.
        """
        self._fates.let(weather)

    def forget(self) -> None:
        """Drop what was recorded, every fault not used up, and the weather."""
        with self._lock:
            self.recorded.clear()
        self._fates.clear()

    def renew(self) -> None:
        """Be as at the start: what is on its way has arrived, and nothing is recorded, refused or changed."""
        self._fates.clear()
        self.settle()
        self.forget()
        with self._lock:
            self.mistakes.clear()
            self.tokens = set(self._known)
            self._elsewhere.clear()
        self.clock = time.time
        self.people = People()
        self.drafts = Drafts()
        self.heads = Heads()
        self.deleted_messages = DeletedMessages()

    def settle(self, within: float = HELD) -> None:
        """Wait until each request that came has been applied or refused, whether its client is there or not.

        Args:
            within: seconds after which it is an error that one has not.
        """
        with self._lock:
            if not self._lock.wait_for(lambda: self._arriving == 0, timeout=within):
                raise TimeoutError(f"{self._arriving} requests to {self.service} have not arrived")

    def pass_on(self, token: str, to: "FaultProxy") -> None:
        """Have whatever comes with a token be answered, and recorded, by another proxy."""
        self._elsewhere[token] = to

    def alias(self, token: str) -> str:
        """Give another name of a token after each 4,000 uses: the emulator counts what each name asks."""
        with self._lock:
            self._uses[token] += 1
            return f"{token}-{self._uses[token] // 4_000}"

    def writes(self, method: str = "POST", path: str = ".*") -> list[Recorded]:
        """List the recorded requests of one method whose whole path matches."""
        with self._lock:
            return [r for r in self.recorded if r.method == method and re.fullmatch(path, r.path)]

    def busiest(self, window: float, *, writes_only: bool = True) -> int:
        """Count the requests that came in the busiest window, whatever became of them.

        Args:
            window: its length, in seconds by `clock`.
            writes_only: leave out what changes nothing.
        """
        with self._lock:
            return busiest((r.at for r in self.recorded if self._writes(r) or not writes_only), window)

    def _writes(self, request: Recorded) -> bool:
        return request.path in WRITES_MESSAGES if self.service == "slack" else request.method != "GET"

    def _answer(
        self, request: Recorded, target: str, headers: dict[str, str], raw: bytes
    ) -> Answer | Breakage:
        """Let a request arrive after its time, and give the answer as it is to be received."""
        with self._lock:
            request.at = self.clock()
            self.recorded.append(request)
            self._arriving += 1
        fate = self._fates.next(request.method, request.path)
        try:
            # GitHub describes its GraphQL API elsewhere: `drafts` knows the little we ask of it.
            if self._check and request.path != drafts.PATH:
                self.mistakes.extend(self._check(request.method, target, raw))
            if self._ended.wait(fate.there):
                return Breakage.RESET
            answer = self._arrived(request, target, headers, raw, fate)
        finally:
            with self._lock:
                self._arriving -= 1
                self._lock.notify_all()
        self._ended.wait(fate.back)
        return answer

    def _arrived(
        self, request: Recorded, target: str, headers: dict[str, str], raw: bytes, fate: Fate
    ) -> Answer | Breakage:
        if fate.fault and not fate.after_commit:
            if fate.fault.breakage is Breakage.NONE:
                return _made(fate.fault)
            if fate.fault.breakage in {Breakage.RESET, Breakage.SILENCE}:
                return fate.fault.breakage
        # Of two that open a pull request for one branch at once, GitHub refuses one.
        with self._opening if request.path.endswith("/pulls") else nullcontext():
            answer = self._refusal(request, target, headers) or self._commit(request, target, headers, raw)
        return _damaged(answer, fate.fault) if fate.fault else answer

    def _commit(self, request: Recorded, target: str, headers: dict[str, str], raw: bytes) -> Answer:
        if self.service == "slack":
            if self.deleted_messages.loses_its_thread(request):
                raw = json.dumps({n: v for n, v in request.sent.items() if n != "thread_ts"}).encode()
                headers = {**headers, "content-type": "application/json"}
            answer = self._forward(request.method, target, headers, raw)
            request.committed = True
            return self._as_slack_shows(request, answer)
        if request.path == drafts.PATH:

            def change(method: str, target: str, sent: bytes) -> Answer:
                return self._forward(method, target, headers, sent)

            request.committed = True
            return self.drafts.answer(request, change)
        target = self.people.resolved(target)
        answer = self._forward(request.method, target, headers, raw)
        request.committed = True
        self.drafts.notice(urlsplit(target).path, answer)
        answer = self.heads.shown(urlsplit(target).path, answer)

        def again(method: str, target: str) -> Answer:
            return self._forward(method, target, headers, b"")

        return self.people.amended(request, urlsplit(target).path, answer, again)

    def _refusal(self, request: Recorded, target: str, headers: dict[str, str]) -> Answer | None:
        token = _token(headers)
        if self.service == "slack":
            refusal = slack_refusal(request.path, request.sent, token=token, known=self.tokens)
            if refusal is None:
                return self.deleted_messages.refusal(request.path, request.sent)
            return Answer.of(*refusal)
        path = urlsplit(self.people.resolved(target)).path
        refusal = github_refusal(request.method, path, request.sent, token=token, known=self.tokens)
        # An unknown token is told nothing; what is wrong with a text, only where it could have been written.
        if refusal is None or refusal[0] != http.HTTPStatus.UNAUTHORIZED:
            changed = self.people.refusal(request.method, path, self.url)
            if changed:
                return changed
        if refusal is None and (undrafted := self.drafts.refusal(request, path)):
            return undrafted
        if refusal is None and request.method == "POST" and path.endswith("/pulls"):
            refusal = self._second_pull_request(request, headers)
        return Answer.of(*refusal) if refusal else None

    def _as_slack_shows(self, request: Recorded, answer: Answer) -> Answer:
        if answer.status != http.HTTPStatus.OK or request.path not in READS_MESSAGES:
            return answer
        data = json.loads(answer.body)
        if "messages" in data:
            data["messages"] = self.deleted_messages.shown(str(request.sent.get("channel")), data["messages"])
        return Answer(
            answer.status,
            answer.headers,
            slack_answer(request.path, request.sent, json.dumps(data).encode()),
        )

    def _second_pull_request(self, request: Recorded, headers: dict[str, str]) -> Refusal | None:
        pulls = self._forward("GET", f"{request.path}?state=open&per_page=100", headers, b"")
        for pull in json.loads(pulls.body):
            head, base = request.sent.get("head"), request.sent.get("base")
            if pull["head"]["ref"] == head and pull["base"]["ref"] == base:
                return 422, {
                    "message": "Validation Failed",
                    "errors": [{"message": f"A pull request already exists for {pull['head']['label']}."}],
                }
        return None

    def _forward(self, method: str, target: str, headers: dict[str, str], raw: bytes) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=HELD)
        try:
            passed = {name: value for name, value in headers.items() if name not in HOP}
            if "authorization" in passed:
                passed["authorization"] = f"Bearer {self.alias(_token(headers))}"
            connection.request(method, target, body=raw or None, headers=passed)
            response = connection.getresponse()
            kept = {name: value for name, value in response.getheaders() if name.lower() not in HOP}
            return Answer(response.status, kept, response.read())
        finally:
            connection.close()

    def _reply(self, handler: BaseHTTPRequestHandler) -> None:
        headers = {name.lower(): value for name, value in handler.headers.items()}
        raw = body_of(handler)
        if raw is None:
            # Its client died while it spoke: no server applies half a request.
            handler.close_connection = True
            return
        parts = urlsplit(handler.path)
        query = dict(parse_qsl(parts.query))
        sent = fields(headers.get("content-type", ""), raw) or query
        request = Recorded(method=handler.command, path=parts.path, query=query, sent=sent)
        asked = self._elsewhere.get(_token(headers), self)
        answer = asked._answer(request, handler.path, headers, raw)  # noqa: SLF001 - another of this class
        if answer is Breakage.SILENCE:
            hold(handler, seconds=HELD, ended=self._ended)
        elif isinstance(answer, Breakage):
            reset(handler)
        else:
            request.status = answer.status
            write(handler, answer)


def _made(fault: Fault) -> Answer:
    kind = "text/html" if fault.body.startswith("<") else "application/json"
    return Answer(fault.status, {"Content-Type": kind, **fault.headers}, fault.body.encode())


def _damaged(answer: Answer, fault: Fault) -> Answer | Breakage:
    match fault.breakage:
        case Breakage.NONE:
            return _made(fault)
        case Breakage.CUT_JSON:
            return Answer(answer.status, answer.headers, answer.body[: len(answer.body) // 2])
        case Breakage.CUT_OFF:
            headers = {**answer.headers, "Content-Length": str(len(answer.body))}
            return Answer(answer.status, headers, answer.body[: len(answer.body) // 2])
        case breakage:
            return breakage


def _token(headers: dict[str, str]) -> str:
    return re.sub(r"^(?:Bearer|token)\s+", "", headers.get("authorization", ""))
