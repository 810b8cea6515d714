"""The secrets that vendored code takes go where they are needed, and come out nowhere."""

import json
import logging
import os
import shutil
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest

from riskloop import redaction
from tests import canaries
from tests.canaries import CANARIES
from tests.emulator.fixtures import hold_to_the_description
from tests.emulator.rig import Rig
from tests.https_upstreams import Server, serving
from tests.mitigations.vendoring import numbered
from tests.proof.seasons import Season, begin

pytestmark = pytest.mark.server

# Neither is a setting of the service, nor has it the shape of a token: one is named in `token`, one is let
# through to the gate.
UPSTREAMS = CANARIES["the password of the store"]
GATES = CANARIES["a password in an error of git"]
GITHUBS = CANARIES["the GitHub token"]


@pytest.fixture
def log() -> Iterator[StringIO]:
    """Give everything that is logged by anybody, at every level."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.setLevel(level)
    root.removeHandler(handler)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Serve git over https to somebody who trusts it; what is private needs upstream's token."""
    (tmp_path / "git").mkdir()
    with serving(tmp_path / "git") as server:
        server.token = UPSTREAMS
        monkeypatch.setenv("SSL_CERT_FILE", str(server.authority))
        yield server


@pytest.fixture
def argv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a file to which every git that the service starts writes its arguments; its GIT_DIR is set."""
    log, programs = tmp_path / "argv", tmp_path / "programs"
    programs.mkdir()
    spy = programs / "git"
    spy.write_text(
        f'#!/bin/sh\n[ "$GIT_DIR" ] && printf "%s\\n" "$*" >>{log}\nexec {shutil.which("git")} "$@"\n'
    )
    spy.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return log


@pytest.fixture
def season(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Season]:
    """Give a season whose secrets are canaries, and whose upstream and repository are behind https."""
    monkeypatch.setattr("riskloop.redaction._known.redactor", redaction.Redactor(()))
    monkeypatch.setenv("UPSTREAM_TOKEN", UPSTREAMS)
    monkeypatch.setenv("GATE_SECRET", GATES)
    with Rig(canaries.TOKENS) as rig:
        made = begin(rig, tmp_path)
        canaries.put_key(made.state)
        made.bare.git("config", "http.receivepack", "true")
        private = server.place / "private" / "lib.git"
        made.there.upstream.git("clone", "--quiet", "--bare", str(made.there.upstream.path), str(private))
        made.upstream = f"{server.address}/private/lib.git"
        made.git_url = server.address
        made.more = "token: UPSTREAM_TOKEN\n        environment: [GATE_SECRET]"
        made.gate = "[[sh, -c, 'cat spelled; echo $GATE_SECRET; exit 3']]"
        made.commit({"spelled": canaries.spelled(GATES) + "\n" + canaries.spelled(UPSTREAMS)})
        made.write_register()
        yield made
        hold_to_the_description(rig)


def publish(season: Season, server: Server) -> None:
    """Have what upstream committed be where it is fetched from."""
    season.there.upstream.git("push", "--quiet", str(server.place / "private" / "lib.git"), "main")


def test_no_secret_comes_out_of_a_season(
    season: Season,
    server: Server,
    argv: Path,
    log: StringIO,
    capfd: pytest.CaptureFixture[str],
) -> None:
    said = [season.week()]
    changed = {"src/a.txt": numbered(changed={20: f"pasted {UPSTREAMS} and {GITHUBS}"})}
    season.upstream_commits(changed, message=f"Paste {UPSTREAMS} and {GITHUBS}")
    # Texts are cut at some length, and half a secret is one too.
    for length in range(250, 320, 10):
        season.upstream_commits({}, message=f"{'x' * length} {GITHUBS}")
    publish(season, server)
    said.append(season.week())
    # A person's commit that holds them, then a token that is refused, and an address that has moved.
    season.person_commits({"m": "1"}, message=f"{'x' * 100} {GITHUBS}")
    season.person_commits({"n": "1"}, message=f"Say {GITHUBS} and {UPSTREAMS}")
    season.upstream_commits({"src/new.txt": "1"}, message="More")
    publish(season, server)
    said.append(season.week())
    server.token = "another"
    said.append(season.week())
    server.token = UPSTREAMS
    season.upstream = f"{server.address}/moved/private/lib.git"
    season.write_register()
    said.append(season.week())
    # The ways were taken.
    assert "not ready for review" in said[1]
    assert "no longer updated" in said[2]
    assert "refuses the token" in said[3]
    assert "sends us to another address" in said[4]
    used = {path.split("/")[1] for path, _ in server.logins}
    assert used >= {"private", "acme", "moved"}
    pulls = season.pulls()
    seen = {
        "what was said": "\n".join(said),
        "the log": log.getvalue(),
        "the issues": json.dumps(
            [season.issues(), [season.comments(one["number"]) for one in season.issues()]]
        ),
        "the pull requests": json.dumps([pulls, [season.comments(one["number"]) for one in pulls]]),
        "Slack": json.dumps(season.rig.messages(season.channel)),
        "argv": argv.read_text(),
        "the output": "".join(capfd.readouterr()),
    }
    for place, text in seen.items():
        assert canaries.found(text) == [], place
    assert redaction.HIDDEN in seen["the pull requests"]
    # What upstream has is in its objects, packed, here as there.
    assert canaries.found_in_files(season.state, but=frozenset({"key"})) == {}
