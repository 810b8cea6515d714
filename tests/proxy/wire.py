"""The sockets of a proxy: requests are read, and answers written, broken off or withheld."""

import json
import socket
import struct
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from tests.proxy.traffic import Answer

HOP = {"host", "connection", "content-length", "transfer-encoding", "keep-alive", "accept-encoding"}
"""Headers that concern one connection, and are not passed on."""


class Server(ThreadingHTTPServer):
    """Serves each connection in a thread of its own."""

    daemon_threads = True
    block_on_close = False
    # A burst of clients, as the outbox is when it drains.
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet: connections break here on purpose."""


def handler_calling(reply: Callable[[BaseHTTPRequestHandler], None]) -> type[BaseHTTPRequestHandler]:
    """Make what the server calls for a connection: it hands every request to `reply`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
            """Keep quiet: requests are recorded."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        reply(handler)

    for verb in ("GET", "POST", "PATCH", "PUT", "DELETE"):
        setattr(Handler, f"do_{verb}", answer)
    return Handler


def body_of(handler: BaseHTTPRequestHandler) -> bytes | None:
    """Read the body of a request; None if its client went away before the end."""
    length = int(handler.headers.get("Content-Length") or 0)
    raw = handler.rfile.read(length)
    return raw if len(raw) == length else None


def fields(kind: str, raw: bytes) -> dict[str, Any]:
    """Read a body as an object of JSON or a form, by its content type; empty if it is neither."""
    if not raw:
        return {}
    # PyGithub sends JSON whatever it calls it.
    if "json" in kind or raw[:1] == b"{":
        try:
            data = json.loads(raw)
        except ValueError:
            return {}
        return data if isinstance(data, dict) else {}
    return dict(parse_qsl(raw.decode()))


def write(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
    """Write an answer; one that says it is longer than it is ends with its connection."""
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


def reset(handler: BaseHTTPRequestHandler) -> None:
    """Break the connection off."""
    # With no linger, closing sends a reset.
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.connection.close()


def hold(handler: BaseHTTPRequestHandler, *, seconds: float, ended: threading.Event) -> None:
    """Say nothing until the client gives up, the time is over, or we end."""
    handler.close_connection = True
    handler.connection.settimeout(0.05)
    for _ in range(int(seconds / 0.05)):
        try:
            if ended.is_set() or not handler.connection.recv(1):
                return
        except TimeoutError:
            continue
        except OSError:
            return
