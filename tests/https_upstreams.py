"""A server of git repositories over https, with a certificate of its own, that can refuse, move and fail."""

import base64
import ipaddress
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

REFUSING = {"unauthorized": 401, "forbidden": 403, "nothing": 404, "busy": 429, "broken": 500, "away": 503}
"""Addresses below which every answer is an error."""


@dataclass
class Server:
    """Serves the repositories below a folder.

    Args:
        authority: the file with the certificate to trust.
        token: what must be given to read anything below `private/`.
        logins: the headers by which somebody logged in, with the path they were sent to.
    """

    place: Path
    authority: Path
    address: str = ""
    token: str = ""
    logins: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def serving(place: Path) -> Iterator[Server]:
    """Serve what is below a folder, until the end of the block."""
    key, certificate = _certify(place)
    server = Server(place=place, authority=certificate)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_GET(self) -> None:
            _answer(self, server)

        def do_POST(self) -> None:
            _answer(self, server)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Print nothing."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    # Said in the connection's own thread: who does not trust us must not keep others waiting.
    listening.socket = context.wrap_socket(listening.socket, server_side=True, do_handshake_on_connect=False)
    server.address = f"https://127.0.0.1:{listening.server_port}"
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()


def _answer(request: BaseHTTPRequestHandler, server: Server) -> None:
    path, _, query = request.path.partition("?")
    login = request.headers.get("Authorization", "")
    if login:
        server.logins.append((path, login))
    first, _, rest = path.lstrip("/").partition("/")
    wanted = "Basic " + base64.b64encode(f"x-access-token:{server.token}".encode()).decode()
    if first in REFUSING:
        _say(request, REFUSING[first])
    elif first == "moved":
        _say(request, 301, f"Location: {server.address}/{rest}?{query}")
    elif first == "page":
        _say(request, 200, "Content-Type: text/html")
    elif first == "private" and login != wanted:
        _say(request, 401, 'WWW-Authenticate: Basic realm="private"')
    else:
        _serve(request, server, path, query)


def _say(request: BaseHTTPRequestHandler, status: int, *headers: str) -> None:
    request.send_response(status)
    for header in headers:
        request.send_header(*header.split(": ", 1))
    _send(request, b"<html>\nno\n</html>\n")


def _send(request: BaseHTTPRequestHandler, body: bytes) -> None:
    # Without its length the end of the connection would be the end of it, which some take for a failure.
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


def _serve(request: BaseHTTPRequestHandler, server: Server, path: str, query: str) -> None:
    """Let git's own program answer: https://git-scm.com/docs/git-http-backend."""
    content = request.rfile.read(int(request.headers.get("Content-Length", "0")))
    environment = {
        "PATH": os.environ["PATH"],
        "GIT_PROJECT_ROOT": str(server.place),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": "uploadpack.allowFilter",
        "GIT_CONFIG_VALUE_0": "true",
        "GIT_CONFIG_KEY_1": "safe.directory",
        "GIT_CONFIG_VALUE_1": "*",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "REQUEST_METHOD": request.command,
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(content)),
        "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
        "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
    }
    done = subprocess.run(
        ["git", "http-backend"], env=environment, input=content, capture_output=True, check=False
    )
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
    request.send_response(int(headers.pop("Status", "200").split(" ")[0]))
    for name, value in headers.items():
        request.send_header(name, value)
    _send(request, body)


def _certify(place: Path) -> tuple[Path, Path]:
    """Make a key and a certificate that speaks for itself; a day ago it was valid already."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    own, open_to_all = place / "key.pem", place / "certificate.pem"
    own.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    open_to_all.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return own, open_to_all
