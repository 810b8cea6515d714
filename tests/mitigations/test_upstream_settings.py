"""What a register may say about vendored code, and what it is told where it may not."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from riskloop.mitigations.upstream_drift import Settings
from riskloop.mitigations.upstream_drift.addresses import read_remote, without_credentials

SECRET = "hunter2-in-a-register"


def read(tmp_path: Path, **settings: Any) -> Settings:
    context = {"project": tmp_path, "allowed_roots": (tmp_path,)}
    return Settings.model_validate({"path": "vendor/lib", **settings}, context=context)


def refusal(tmp_path: Path, **settings: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        read(tmp_path, **settings)
    (error,) = caught.value.errors()
    return f"{error['loc'][0] if error['loc'] else ''}: {error['msg']}"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://github.com/acme/codex", "https://github.com/acme/codex"),
        ("https://git.example.com:8443/a/b.git", "https://git.example.com:8443/a/b.git"),
        ("ssh://git@git.example.com:22/a/b.git", "ssh://git@git.example.com:22/a/b.git"),
        ("git@github.com:acme/codex.git", "ssh://git@github.com/acme/codex.git"),
        ("git@host:/srv/git/codex", "ssh://git@host/srv/git/codex"),
        ("third_party/codex.git", "third_party/codex.git"),
    ],
)
def test_an_upstream_is_an_address_of_https_or_ssh_or_a_folder(
    tmp_path: Path, written: str, meant: str
) -> None:
    assert read(tmp_path, upstream=written).upstream == meant


@pytest.mark.parametrize(
    "upstream",
    [
        "ext::sh -c 'touch canary'",
        "fd::17",
        "ext::https://example.org/x",
        "--upload-pack=touch canary",
        "-u",
        "http://example.org/x",
        "git://example.org/x",
        "file:///srv/x",
        "ssh://-oProxyCommand=touch/x",
        "ssh://git@-oProxyCommand=touch/x",
        "-oProxyCommand=touch@host:x",
        "git@-oProxyCommand=touch:x",
        "https://example.org",
        "https:///x",
        "https://exam ple.org/x",
        "https://example.org/x\ny",
        "https://example.org:no/x",
        "https://example.org/x?y=1",
        "../outside",
        "~/x",
        "/srv/not-allowed",
        "",
        7,
    ],
)
def test_an_upstream_that_could_run_a_program_or_leave_the_project_is_refused(
    tmp_path: Path, upstream: object
) -> None:
    assert "; write " in refusal(tmp_path, upstream=upstream)


@pytest.mark.parametrize(
    "address",
    [
        f"https://{SECRET}@example.org/a/b",
        f"https://octo:{SECRET}@example.org/a/b",
        f"ssh://git:{SECRET}@example.org/a/b",
    ],
)
def test_an_address_with_credentials_is_refused_and_they_are_not_repeated(
    tmp_path: Path, address: str
) -> None:
    said = refusal(tmp_path, upstream=address)
    assert "take it out" in said
    assert SECRET not in said
    assert SECRET not in without_credentials(address)
    assert read_remote(without_credentials(address)).endswith("example.org/a/b")


def test_an_absolute_folder_is_an_upstream_where_the_operator_allows_it(tmp_path: Path) -> None:
    folder = tmp_path / "mirrors" / "codex"
    assert read(tmp_path, upstream=str(folder)).upstream == str(folder)


@pytest.mark.parametrize("branch", ["-x", "a..b", "a b", "a~1", "a:b", "/a", "a/", "a.", "x@{1}", "a//b", ""])
def test_a_branch_that_git_would_read_as_something_else_is_refused(tmp_path: Path, branch: str) -> None:
    assert refusal(tmp_path, branch=branch).startswith("branch: ")


@pytest.mark.parametrize("branch", ["main", "release/1.x", "user@host", "héllo"])
def test_a_branch_is_taken_by_its_name(tmp_path: Path, branch: str) -> None:
    assert read(tmp_path, branch=branch).branch == branch


@pytest.mark.parametrize("below", ["../x", "/x", "-x", "a/../b", "~x", "a\nb", ".", "a/."])
def test_a_folder_of_upstream_stays_inside_it(tmp_path: Path, below: str) -> None:
    assert refusal(tmp_path, strip=below).startswith("strip: ")
    assert refusal(tmp_path, watch=[below]).startswith("watch: ")


@pytest.mark.parametrize("pin", ["/etc/pin", "../pin", "~/pin", "a\nb", ""])
def test_a_pin_is_a_commit_or_a_file_of_the_project(tmp_path: Path, pin: str) -> None:
    assert "40 hexadecimal digits" in refusal(tmp_path, pin=pin)
    assert read(tmp_path, pin="a" * 40).pin == "a" * 40
    assert read(tmp_path, pin="vendor/PIN").pin == "vendor/PIN"


def test_a_pin_in_the_register_cannot_be_moved_by_a_pull_request(tmp_path: Path) -> None:
    assert "name that file in pin" in refusal(tmp_path, pin="a" * 40, bump="pull_request")
    assert read(tmp_path, pin="a" * 40, bump="never").pin == "a" * 40


@pytest.mark.parametrize("name", ["path", "patches", "changelog"])
def test_what_a_bump_may_write_is_inside_the_project(tmp_path: Path, name: str) -> None:
    assert "inside the project" in refusal(tmp_path, **{name: str(tmp_path / "x")})


def test_a_secret_of_the_service_is_not_let_through_to_the_gate_nor_sent_to_an_upstream(
    tmp_path: Path,
) -> None:
    assert "never let through" in refusal(tmp_path, environment=["RISKLOOP_SLACK_TOKEN"])
    assert "never let through" in refusal(tmp_path, token="RISKLOOP_GITHUB_TOKEN")
    assert read(tmp_path, token="UPSTREAM_TOKEN").token == "UPSTREAM_TOKEN"


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"branch": "-x"}, "'-x' is not a branch as git names them; write its name alone"),
        ({"strip": "../x"}, "'../x' is not a path inside upstream; write one such as crates/core"),
        ({"watch": ["/x"]}, "'/x' is not a path inside upstream; write one such as crates/core"),
        ({"token": "GH TOKEN"}, "'GH TOKEN' is not the name of an environment variable; write one such as"),
        ({"environment": ["A-B"]}, "'A-B' is not the name of an environment variable; write one such as"),
    ],
)
def test_what_is_not_of_the_right_form_is_refused_in_a_sentence_with_a_remedy(
    tmp_path: Path, settings: dict[str, object], remedy: str
) -> None:
    said = refusal(tmp_path, **settings)
    assert remedy in said
    assert "^" not in said


@pytest.mark.parametrize("token", [f"ghp_{'a1' * 18}", f"github_pat_{'b2' * 20}", f"glpat-{'c3' * 10}"])
def test_a_token_where_the_name_of_its_variable_belongs_is_refused_and_not_repeated(
    tmp_path: Path, token: str
) -> None:
    said = refusal(tmp_path, token=token)
    assert "write the name of an environment variable" in said
    assert token not in said


def test_a_commit_in_capitals_is_a_commit(tmp_path: Path) -> None:
    assert read(tmp_path, pin="A1" * 20).pin == "a1" * 20
    assert "name that file in pin" in refusal(tmp_path, pin="A1" * 20, bump="pull_request")
