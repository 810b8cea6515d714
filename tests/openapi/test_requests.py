"""A request is held against GitHub's own description of its API, whichever test made it."""

import json
from typing import Any

import httpx
import pytest

from tests.emulator.emulator import GITHUB_TOKEN
from tests.emulator.fixtures import hold_to_the_description
from tests.emulator.rig import Rig
from tests.openapi.checking import mistakes
from tests.openapi.cut import OPERATIONS, with_null

ISSUES = "/repos/acme/sdk/issues"


@pytest.mark.parametrize(
    ("method", "target", "sent"),
    [
        ("GET", f"{ISSUES}?state=all&since=2025-11-20T02%3A20%3A00Z&per_page=100&page=1", None),
        ("GET", f"{ISSUES}?creator=riskloop-bot&labels=riskloop", None),
        ("POST", ISSUES, {"title": "x", "body": "y", "labels": ["riskloop"]}),
        ("PATCH", f"{ISSUES}/7", {"state": "closed", "state_reason": "duplicate"}),
        ("PATCH", f"{ISSUES}/7", {"state": "open", "state_reason": None, "labels": []}),
        ("POST", f"{ISSUES}/7/comments", {"body": "y"}),
        ("GET", "/repos/acme/sdk/pulls?state=all&head=acme%3Ab&sort=created&direction=desc", None),
        ("POST", "/repos/acme/sdk/pulls", {"title": "x", "head": "b", "base": "main", "draft": True}),
        ("PATCH", "/repos/acme/sdk/pulls/7", {"state": "closed", "body": "y"}),
        ("GET", "/rate_limit", None),
        ("GET", "/user", None),
        ("GET", "/repositories/9/issues/7", None),
    ],
)
def test_what_we_send_is_as_github_describes_it(
    method: str, target: str, sent: dict[str, Any] | None
) -> None:
    assert mistakes(method, target, b"" if sent is None else json.dumps(sent).encode()) == []


@pytest.mark.parametrize(
    ("method", "target", "raw", "words"),
    [
        ("PATCH", f"{ISSUES}/7", b'{"state_reason": "done"}', "state_reason: 'done' is not one of"),
        ("PATCH", f"{ISSUES}/7", b'{"state": "resolved"}', "state: 'resolved' is not one of"),
        ("PATCH", f"{ISSUES}/7", b'{"sate": "closed"}', "no 'sate' in the body"),
        ("GET", f"{ISSUES}?author=us", b"", "no 'author' in the query"),
        ("GET", f"{ISSUES}?per_page=many", b"", "per_page in the query: 'many' is not of type 'integer'"),
        ("GET", f"{ISSUES}?state=every", b"", "state in the query: 'every' is not one of"),
        ("GET", f"{ISSUES}?since=yesterday", b"", "since in the query: 'yesterday' is not a 'date-time'"),
        ("GET", f"{ISSUES}/seven", b"", "issue_number in the path"),
        ("GET", ISSUES, b"{}", "none is expected"),
        ("POST", ISSUES, b"", "the body is missing"),
        ("POST", ISSUES, b"[1]", "the body: [1] is not of type 'object'"),
        ("POST", ISSUES, b'{"body": "y"}', "'title' is a required property"),
        ("POST", ISSUES, b'{"title": ["x"]}', "title: ['x'] is not valid"),
        ("POST", ISSUES, b'{"title": "x"', "not JSON"),
        ("POST", f"{ISSUES}/7/comments", b'{"body": 7}', "body: 7 is not of type 'string'"),
        ("PATCH", "/repos/acme/sdk/pulls/7", b'{"draft": true}', "no 'draft' in the body"),
        ("DELETE", ISSUES, b"", "not among the operations"),
        ("GET", "/search/issues?q=x", b"", "not among the operations"),
    ],
)
def test_what_github_would_not_understand_is_named(method: str, target: str, raw: bytes, words: str) -> None:
    (said,) = mistakes(method, target, raw)
    assert words in said
    assert said.startswith(f"{method} {target}: ")


def test_what_may_be_null_may_be_null_in_its_enum_too() -> None:
    assert with_null({"type": "string", "nullable": True, "enum": ["a"], "description": "x"}) == {
        "type": ["string", "null"],
        "enum": ["a", None],
    }


def test_every_operation_that_is_cut_is_in_the_cut() -> None:
    for path, methods in OPERATIONS.items():
        for method in methods:
            target = path.replace("{owner}/{repo}", "acme/sdk").replace("{issue_number}", "7")
            target = target.replace("{comment_id}", "8").replace("{pull_number}", "9")
            found = mistakes(method.upper(), target, b"")
            assert not any("not among" in words for words in found)


@pytest.mark.server
@pytest.mark.parametrize(
    ("method", "target", "sent"),
    [
        ("PATCH", "/issues/1", {"state": "closed", "state_reason": "done"}),
        ("GET", "/issues?author=us", None),
        ("POST", "/issues", {"title": {"text": "x"}}),
    ],
)
def test_a_test_that_asks_github_wrongly_fails_at_its_end(
    rig: Rig, repository: str, method: str, target: str, sent: dict[str, Any] | None
) -> None:
    headers = {"Authorization": f"Bearer {GITHUB_TOKEN}"}
    address = f"{rig.github_url}/repos/{repository}{target}"
    httpx.request(method, address, headers=headers, json=sent)
    # What a test forgets on its way is held against the description all the same.
    rig.github.forget()
    with pytest.raises(pytest.fail.Exception, match=f"{method} /repos/{repository}"):
        hold_to_the_description(rig)
    assert rig.github.mistakes == []
