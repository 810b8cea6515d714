"""Stands between us and the emulator: it refuses what the real services refuse, and fails on request."""

import http.client
import json
import re
import socket
import struct
import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from tests.proxy.faults import FAULTS, Breakage, Fault
from tests.proxy.strict import Refusal, github_refusal, slack_answer, slack_refusal

HELD = 30.0
"""Seconds a silent answer is held at most: the client is to give up before."""


@dataclass(slots=True, kw_only=True)
class Recorded:
    """One request as it came, and the status it got.

    Args:
        path: without the query.
        sent: the JSON of the body, or the fields of the form, or those of the query.
        status: the HTTP status answered; 0 if the connection broke.
        committed: it reached the emulator, which applied it.
    """

    method: str
    path: str
    query: dict[str, str]
    sent: dict[str, Any]
    status: int = 0
    committed: bool = False


@dataclass(slots=True)
class _Rule:
    fault: Fault
    method: str
    path: re.Pattern[str]
    after_commit: bool
    left: int


@dataclass(slots=True)
class _Answer:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class FaultProxy:
    """One service's proxy on loopback, on a port the system chooses.

    Args:
        service: `github` or `slack`.
        tokens: those that are known; any other is refused.
    """

    def __init__(self, service: str, tokens: Collection[str]) -> None:
        self.service = service
        self.upstream = 0
        self.recorded: list[Recorded] = []
        self._tokens = frozenset(tokens)
        self._rules: list[_Rule] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
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
    ) -> None:
        """Have the next matching requests fail.

        Args:
            fault: one of FAULTS by name, or one made for the purpose.
            method: of the requests it is for; Slack's are all POST.
            path: a regular expression for the whole path.
            after_commit: the emulator applies the request first, and only the answer fails.
            times: how many requests fail.
        """
        chosen = FAULTS[fault] if isinstance(fault, str) else fault
        with self._lock:
            self._rules.append(_Rule(chosen, method, re.compile(path), after_commit, times))

    def forget(self) -> None:
        """Drop what was recorded and every fault not used up."""
        with self._lock:
            self.recorded.clear()
            self._rules.clear()

    def writes(self, method: str = "POST", path: str = ".*") -> list[Recorded]:
        """List the recorded requests of one method whose whole path matches."""
        with self._lock:
            return [r for r in self.recorded if r.method == method and re.fullmatch(path, r.path)]

    def _take(self, request: Recorded) -> _Rule | None:
        with self._lock:
            self.recorded.append(request)
            for rule in self._rules:
                if rule.left and rule.method == request.method and rule.path.fullmatch(request.path):
                    rule.left -= 1
                    return rule
        return None

    def _answer(
        self, request: Recorded, target: str, headers: dict[str, str], raw: bytes
    ) -> _Answer | Breakage:
        rule = self._take(request)
        if rule and not rule.after_commit and rule.fault.breakage in {Breakage.RESET, Breakage.SILENCE}:
            return rule.fault.breakage
        if rule and not rule.after_commit and rule.fault.breakage is Breakage.NONE:
            return _made(rule.fault)
        refusal = self._refusal(request, headers)
        if refusal:
            return _Answer(refusal[0], {"Content-Type": "application/json"}, json.dumps(refusal[1]).encode())
        answer = self._forward(request.method, target, headers, raw)
        request.committed = True
        if rule is None:
            return answer
        match rule.fault.breakage:
            case Breakage.NONE:
                return _made(rule.fault)
            case Breakage.CUT_JSON:
                return _Answer(answer.status, answer.headers, answer.body[: len(answer.body) // 2])
            case Breakage.CUT_OFF:
                answer.headers["Content-Length"] = str(len(answer.body))
                return _Answer(answer.status, answer.headers, answer.body[: len(answer.body) // 2])
            case breakage:
                return breakage

    def _refusal(self, request: Recorded, headers: dict[str, str]) -> Refusal | None:
        token = re.sub(r"^(?:Bearer|token)\s+", "", headers.get("authorization", ""))
        if self.service == "slack":
            return slack_refusal(request.path, request.sent, token=token, known=self._tokens)
        refusal = github_refusal(request.method, request.path, request.sent, token=token, known=self._tokens)
        if refusal is None and request.method == "POST" and request.path.endswith("/pulls"):
            return self._second_pull_request(request, headers)
        return refusal

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

    def _forward(self, method: str, target: str, headers: dict[str, str], raw: bytes) -> _Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=HELD)
        try:
            passed = {name: value for name, value in headers.items() if name not in _HOP}
            connection.request(method, target, body=raw or None, headers=passed)
            response = connection.getresponse()
            kept = {name: value for name, value in response.getheaders() if name.lower() not in _HOP}
            return _Answer(response.status, kept, response.read())
        finally:
            connection.close()

    def handle(self, handler: "BaseHTTPRequestHandler") -> None:
        """Answer one request; for the server's own use."""
        headers = {name.lower(): value for name, value in handler.headers.items()}
        raw = handler.rfile.read(int(headers.get("content-length") or 0))
        parts = urlsplit(handler.path)
        query = dict(parse_qsl(parts.query))
        sent = _parsed(headers.get("content-type", ""), raw) or query
        request = Recorded(method=handler.command, path=parts.path, query=query, sent=sent)
        answer = self._answer(request, handler.path, headers, raw)
        if answer is Breakage.SILENCE:
            self._hold(handler.connection)
            handler.close_connection = True
        elif isinstance(answer, Breakage):
            # With no linger, closing sends a reset.
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.close_connection = True
            handler.connection.close()
        else:
            if self.service == "slack" and answer.status == http.HTTPStatus.OK and request.committed:
                answer.body = _trimmed(parts.path, request.sent, answer)
            request.status = answer.status
            _write(handler, answer)

    def _hold(self, connection: socket.socket) -> None:
        """Say nothing until the client gives up or we end."""
        connection.settimeout(0.05)
        for _ in range(int(HELD / 0.05)):
            try:
                if self._ended.is_set() or not connection.recv(1):
                    return
            except TimeoutError:
                continue
            except OSError:
                return


_HOP = {"host", "connection", "content-length", "transfer-encoding", "keep-alive", "accept-encoding"}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    # A burst of clients, as the outbox is when it drains.
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet: connections break here on purpose."""


def _handler(proxy: FaultProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
            """Keep quiet: requests are recorded."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        proxy.handle(handler)

    for verb in ("GET", "POST", "PATCH", "PUT", "DELETE"):
        setattr(Handler, f"do_{verb}", answer)
    return Handler


def _made(fault: Fault) -> _Answer:
    kind = "text/html" if fault.body.startswith("<") else "application/json"
    return _Answer(fault.status, {"Content-Type": kind, **fault.headers}, fault.body.encode())


def _trimmed(path: str, asked: dict[str, Any], answer: _Answer) -> bytes:
    try:
        return slack_answer(path, asked, answer.body)
    except json.JSONDecodeError:
        return answer.body


def _parsed(kind: str, raw: bytes) -> dict[str, Any]:
    if not raw:
        return {}
    # PyGithub sends JSON whatever it calls it.
    if "json" in kind or raw[:1] == b"{":
        data = json.loads(raw)
        return data if isinstance(data, dict) else {}
    return dict(parse_qsl(raw.decode()))


def _write(handler: BaseHTTPRequestHandler, answer: _Answer) -> None:
    handler.send_response(answer.status)
    for name, value in answer.headers.items():
        handler.send_header(name, value)
    if "Content-Length" not in answer.headers:
        handler.send_header("Content-Length", str(len(answer.body)))
    else:
        handler.send_header("Connection", "close")
        handler.close_connection = True
    handler.end_headers()
    handler.wfile.write(answer.body)
