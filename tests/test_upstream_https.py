"""An upstream on another machine is read with a token that only it sees, and each refusal has its words."""

import base64
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from riskloop.errors import Unmeasurable
from riskloop.git import Upstream
from tests.https_upstreams import Server, serving
from tests.mitigations.vendoring import Repository

TOKEN = "a-token-for-one-upstream"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Serve one repository, open and private, to somebody who trusts the server."""
    place = tmp_path / "served"
    (place / "private").mkdir(parents=True)
    made = Repository(tmp_path / "work")
    made.commit({"file": "one\n"})
    for name in ("open.git", "private/closed.git"):
        made.git("clone", "--quiet", "--bare", str(made.path), str(place / name))
    with serving(place) as server:
        server.token = TOKEN
        monkeypatch.setenv("SSL_CERT_FILE", str(server.authority))
        yield server


@pytest.fixture
def argv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a file to which every git that we start writes its arguments."""
    log, programs = tmp_path / "argv", tmp_path / "programs"
    programs.mkdir()
    spy = programs / "git"
    spy.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >>{log}\nexec {shutil.which("git")} "$@"\n')
    spy.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return log


def test_an_upstream_over_https_is_followed_and_its_files_are_brought(server: Server, tmp_path: Path) -> None:
    upstream = Upstream(state=tmp_path / "state", source=f"{server.address}/open.git")
    head = upstream.follow().head
    blob = upstream.git("ls-tree", "--object-only", head).text().strip()
    with pytest.raises(Unmeasurable):
        upstream.git("cat-file", "blob", blob)
    upstream.bring_files(upstream.folder(head))
    assert upstream.git("cat-file", "blob", blob).stdout == b"one\n"
    assert server.logins == []


def test_the_token_reaches_upstream_and_is_nowhere_else(server: Server, tmp_path: Path, argv: Path) -> None:
    state = tmp_path / "state"
    upstream = Upstream(state=state, source=f"{server.address}/private/closed.git", token=TOKEN)
    head = upstream.follow().head
    upstream.bring_files(upstream.folder(head))
    assert {path.split("/")[1] for path, _ in server.logins} == {"private"}
    basic = base64.b64encode(f"x-access-token:{TOKEN}".encode())
    written = [argv, *(path for path in state.rglob("*") if path.is_file())]
    for secret in (TOKEN.encode(), basic):
        assert not [path for path in written if secret in path.read_bytes()]
    assert "ls-remote" in argv.read_text()
    assert TOKEN not in repr(upstream)


def test_without_its_token_a_private_upstream_says_what_it_wants(server: Server, tmp_path: Path) -> None:
    source = f"{server.address}/private/closed.git"
    with pytest.raises(Unmeasurable, match="lets us in only with credentials") as without:
        Upstream(state=tmp_path / "state", source=source).follow()
    assert "name in `token`" in without.value.remedy
    with pytest.raises(Unmeasurable, match="refuses the token") as refused:
        Upstream(state=tmp_path / "state", source=source, token="another-token").follow()
    assert "another-token" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("unauthorized", "lets us in only with credentials"),
        ("forbidden", "lets us in only with credentials"),
        ("nothing", "is not there, or not for us to read"),
        ("none.git", "is not there, or not for us to read"),
        ("busy", "we ask too often"),
        ("broken", "answers with an error of its own"),
        ("away", "answers with an error of its own"),
        ("page", "is no git repository"),
    ],
)
def test_each_refusal_of_a_server_has_its_words(
    server: Server, tmp_path: Path, name: str, words: str
) -> None:
    source = f"{server.address}/{name}"
    with pytest.raises(Unmeasurable, match=words) as said:
        Upstream(state=tmp_path / "state", source=source).follow()
    assert said.value.what.startswith(f"{source} ")
    assert said.value.remedy


def test_a_repository_that_moved_is_followed_but_never_with_a_token(server: Server, tmp_path: Path) -> None:
    source = f"{server.address}/moved/open.git"
    assert Upstream(state=tmp_path / "state", source=source).follow().branch == "main"
    with pytest.raises(Unmeasurable, match="sends us to another address"):
        Upstream(state=tmp_path / "state", source=source, token=TOKEN).follow()
    assert {path for path, _ in server.logins} == {"/moved/open.git/info/refs"}


def test_a_server_whose_certificate_is_not_trusted_is_named(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(Unmeasurable, match="certificate that is not trusted") as said:
        Upstream(state=tmp_path / "state", source=f"{server.address}/open.git").follow()
    assert "SSL_CERT_FILE" in said.value.remedy


def test_a_server_that_is_not_there_cannot_be_reached(tmp_path: Path) -> None:
    with serving(tmp_path) as gone:
        pass
    with pytest.raises(Unmeasurable, match="cannot be reached"):
        Upstream(state=tmp_path / "state", source=f"{gone.address}/open.git").follow()


def test_a_commit_is_not_called_missing_when_upstream_could_not_be_asked(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        made = Repository(tmp_path / "work")
        made.commit({"file": "one\n"})
        made.git("clone", "--quiet", "--bare", str(made.path), str(tmp_path / "open.git"))
        upstream = Upstream(state=tmp_path / "state", source=f"{server.address}/open.git")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SSL_CERT_FILE", str(server.authority))
            upstream.follow()
            assert not upstream.bring("1" * 40)
    with pytest.raises(Unmeasurable, match="cannot be reached"):
        upstream.bring("1" * 40)
