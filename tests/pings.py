"""A service outside that is pinged: it keeps what it was told, and answers as a test wants it to."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

PATH = "/0e5f7a0c-1d53-4c0c-9b0a-5d1f6c1f3d11"
"""Where its one check is; whoever knows it can ping."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """One request as it came in."""

    method: str
    path: str
    body: str
    agent: str


@dataclass(slots=True, kw_only=True)
class Outside:
    """The service.

    Args:
        status: what it answers with.
    """

    url: str
    status: int = 200
    pings: list[Ping] = field(default_factory=list)

    def said(self) -> list[tuple[str, str]]:
        """Give each ping's way to its check, and its body."""
        return [(ping.path.removeprefix(PATH), ping.body) for ping in self.pings]


@contextmanager
def listening() -> Iterator[Outside]:
    """Run the service on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            agent = self.headers.get("user-agent", "")
            outside.pings.append(Ping(method=self.command, path=self.path, body=body, agent=agent))
            self.send_response(outside.status)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    outside = Outside(url=f"http://127.0.0.1:{server.server_port}{PATH}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield outside
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
