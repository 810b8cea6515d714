"""The console channel: previews as files."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from riskloop.channels import Posting
from riskloop.channels.console import Console
from riskloop.errors import TryAgain
from riskloop.incidents import Change
from riskloop.thresholds import Verdict
from riskloop.wording import github, slack
from tests.channels.parcels import at_once, facts, marker, parcel

ISSUE = "github:acme/codex-sdk"
MESSAGE = "slack:C0123456789"


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return Console(tmp_path)


def test_an_issue_is_previewed_exactly_as_it_would_be_sent(console: Console, tmp_path: Path) -> None:
    posting = console.send(parcel(ISSUE), turn=at_once)
    assert posting.reference == "github/acme/codex-sdk/inc1.md"
    file = tmp_path / posting.reference
    assert posting.url == file.as_uri()
    front, body = file.read_text().split("---\n", 2)[1:]
    assert 'state: "open"' in front
    assert f"title: {json.dumps(github.title(facts()))}" in front
    assert '"severity:warning"' in front
    assert body == github.body(facts(), marker=marker("d1")) + "\n"


def test_a_message_is_previewed_as_json_and_to_be_read(console: Console, tmp_path: Path) -> None:
    posting = console.send(parcel(MESSAGE), turn=at_once)
    text = tmp_path / posting.reference
    payload = json.loads(text.with_suffix(".json").read_text())
    assert payload["channel"] == "C0123456789"
    assert payload["blocks"] == list(slack.message(facts()).blocks)
    assert payload["metadata"]["event_payload"] == {"marker": marker("d1"), "state": "open"}
    assert "Stale fixtures" in text.read_text()


@pytest.mark.parametrize("target", [ISSUE, MESSAGE])
def test_one_file_is_kept_current_and_each_transition_gets_its_own(
    console: Console, tmp_path: Path, target: str
) -> None:
    posting = console.send(parcel(target), turn=at_once)
    console.send(parcel(target, "d2", Change.WORSENED, posting=posting), turn=at_once)
    console.send(parcel(target, "d3", Change.UPDATED, posting=posting), turn=at_once)
    console.send(parcel(target, "d4", Change.RESOLVED, posting=posting), turn=at_once)
    folder = (tmp_path / posting.reference).parent
    word, suffix = ("comment", ".md") if target == ISSUE else ("reply", ".txt")
    names = {file.name for file in folder.iterdir() if file.suffix == suffix}
    assert names == {f"inc1{suffix}", f"inc1.{word}-1{suffix}", f"inc1.{word}-2{suffix}"}
    assert 'state: "closed"' in (tmp_path / posting.reference).read_text()


@pytest.mark.parametrize("target", [ISSUE, MESSAGE])
def test_a_quiet_change_is_written_into_the_file_and_gets_none_of_its_own(
    console: Console, tmp_path: Path, target: str
) -> None:
    posting = console.send(parcel(target), turn=at_once)
    before = {file.name for file in tmp_path.rglob("*")}
    quiet = parcel(target, "d2", Change.WORSENED, posting=posting, severity=Verdict.CRITICAL, quiet=True)
    console.send(quiet, turn=at_once)
    assert {file.name for file in tmp_path.rglob("*")} == before
    assert "Critical: Stale fixtures" in (tmp_path / posting.reference).read_text()


@pytest.mark.parametrize("target", [ISSUE, MESSAGE])
def test_a_preview_that_somebody_deleted_is_written_again(
    console: Console, tmp_path: Path, target: str
) -> None:
    posting = console.send(parcel(target), turn=at_once)
    (tmp_path / posting.reference).unlink()
    worsened = parcel(target, "d2", Change.WORSENED, posting=posting)
    assert console.send(worsened, turn=at_once) == posting
    assert (tmp_path / posting.reference).is_file()


def test_nothing_is_written_out_of_turn(console: Console, tmp_path: Path) -> None:
    def turn() -> None:
        raise TryAgain("the budget of writes allows no more")

    with pytest.raises(TryAgain):
        console.send(parcel(ISSUE), turn=turn)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", [ISSUE, MESSAGE])
def test_sending_twice_writes_the_same_files(console: Console, tmp_path: Path, target: str) -> None:
    posting = console.send(parcel(target), turn=at_once)
    assert console.send(parcel(target), turn=at_once) == posting
    worsened = parcel(target, "d2", Change.WORSENED, posting=posting)
    console.send(worsened, turn=at_once)
    once = {file: file.read_text() for file in tmp_path.rglob("*") if file.is_file()}
    console.send(worsened, turn=at_once)
    assert {file: file.read_text() for file in tmp_path.rglob("*") if file.is_file()} == once


@pytest.mark.parametrize("target", [ISSUE, MESSAGE])
def test_what_was_written_is_found_and_what_was_not_is_not(console: Console, target: str) -> None:
    assert console.find(parcel(target)) is None
    posting = console.send(parcel(target), turn=at_once)
    assert console.find(parcel(target)) == posting
    worsened = parcel(target, "d2", Change.WORSENED, posting=posting)
    assert console.find(worsened) is None
    console.send(worsened, turn=at_once)
    assert console.find(worsened) == posting


@pytest.mark.parametrize(
    "target",
    [
        "github:../../etc/passwd",
        "github:/etc/passwd",
        "slack:..",
        "",
        "::::",
        "github:" + "a" * 5_000,
        "github:a\x00b/c\nd",
        "github:CON/\ud800",
        "slack:💥",
    ],
)
def test_whatever_the_target_is_called_the_preview_stays_in_its_directory(
    tmp_path: Path, target: str
) -> None:
    inside = tmp_path / "outbox"
    Console(inside).send(parcel(target), turn=at_once)
    assert {path.name for path in tmp_path.iterdir()} == {"outbox"}
    assert any(path.is_file() for path in inside.rglob("*"))


def test_targets_that_look_alike_do_not_share_a_file(console: Console) -> None:
    targets = ("github:a/b-c", "github:a-b/c", "github:a b/c", "github:a:b/c", "github:a?b/c")
    assert len({console.send(parcel(target), turn=at_once).reference for target in targets}) == len(targets)


def test_a_quoted_marker_is_not_taken_for_one(console: Console) -> None:
    posting = console.send(parcel(ISSUE), turn=at_once)
    console.send(parcel(ISSUE, "d2", Change.WORSENED, posting=posting, summary=marker("d3")), turn=at_once)
    assert console.find(parcel(ISSUE, "d3", Change.EASED, posting=posting)) is None


def test_a_directory_that_cannot_be_made_is_said_and_tried_again(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TryAgain, match="could not be written"):
        Console(tmp_path / "file").send(parcel(ISSUE), turn=at_once)


def test_a_symbolic_link_in_the_way_is_replaced_and_not_followed(console: Console, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    folder = tmp_path / "github" / "acme" / "codex-sdk"
    folder.mkdir(parents=True)
    (folder / "inc1.md").symlink_to(victim)
    posting = console.send(parcel(ISSUE), turn=at_once)
    assert victim.read_text() == "untouched"
    assert not (tmp_path / posting.reference).is_symlink()


def test_no_half_written_file_is_left(console: Console, tmp_path: Path) -> None:
    console.send(
        replace(parcel(ISSUE), posting=Posting(reference="github/acme/codex-sdk/inc1.md")), turn=at_once
    )
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".part"]
