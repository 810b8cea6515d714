"""A whole look at vendored code: from the project and its upstream to the numbers and the proposal."""

import hashlib
import sys
from pathlib import Path

import pytest

from riskloop.errors import Refused, Unmeasurable
from riskloop.git import Mirror
from riskloop.measurements import Observation
from riskloop.mitigations.upstream_drift import METRICS, acknowledge, measure
from riskloop.risks import Decision
from tests.mitigations.vendoring import FOLDER, NOW, PIN_FILE, Vendoring, numbered

CLEAN = {"src/b.txt": numbered(changed={20: "ours"}, lines=30)}
CONFLICTING = {"src/a.txt": numbered(changed={10: "ours"})}


@pytest.fixture
def vendoring(tmp_path: Path) -> Vendoring:
    return Vendoring(tmp_path)


def look(vendoring: Vendoring) -> Observation:
    return measure(vendoring.read_settings(), vendoring.site)


def numbers(observation: Observation) -> dict[str, float]:
    return {one.metric: one.value for one in observation.measurements}


def shown(observation: Observation) -> str:
    evidence = observation.evidence
    return "\n".join((evidence.summary, *(f"{part.title}\n{part.body}" for part in evidence.sections)))


def everything_below(folder: Path) -> dict[str, str]:
    """Hash every file of a folder, git's own included."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def test_vendored_code_that_is_what_upstream_has_breaches_nothing(vendoring: Vendoring) -> None:
    vendoring.vendor()
    found = numbers(look(vendoring))
    known = [metric.name for metric in METRICS]
    assert [name for name in known if name in found] == list(found)
    assert set(known) - set(found) == {"gate_failures"}
    assert not any(found.values())


def test_every_number_of_a_vendored_folder_with_patches_hacks_and_a_newer_upstream(
    vendoring: Vendoring,
) -> None:
    vendoring.patch("0001-clean.patch", CLEAN)
    vendoring.patch("0002-conflicting.patch", CONFLICTING)
    vendoring.patch("0003-merged.patch", {"README.md": "# The library\n\nBetter.\n"})
    vendoring.patch("0004-stale.patch", {"tools/run.sh": "#!/bin/sh\necho ours\n"})
    vendoring.vendor(vendoring.pin, patched=True)
    vendoring.project.commit({f"{FOLDER}/src/hack.txt": "by hand\n"})
    upstream = vendoring.upstream
    upstream.commit({"src/a.txt": numbered(changed={10: "theirs"})}, days_ago=20, message="Tune ten")
    upstream.commit({"README.md": "# The library\n\nBetter.\n"}, days_ago=15)
    upstream.git("tag", "v2.0")
    upstream.commit({"tools/run.sh": None}, days_ago=10, message="Drop the runner")
    observation = look(vendoring)
    found = numbers(observation)
    assert {name: value for name, value in found.items() if name != "patch_debt_lines"} == {
        "commits_behind": 3,
        "days_behind": 20,
        "commits_ahead": 0,
        "diverged": 0,
        "local_changes": 1,
        "patches_total": 4,
        "patches_conflicting": 1,
        "patches_upstreamed": 1,
        "patches_stale": 1,
        "releases_behind": 1,
    }
    assert found["patch_debt_lines"] == 2 + 2 + 2 + 2
    said = shown(observation)
    assert all(word in said for word in ("0002-conflicting.patch", "src/a.txt", "Ann Author", "Tune ten"))
    assert all(word in said for word in ("0004-stale.patch", "Drop the runner", "src/hack.txt", "v2.0"))


def test_a_look_changes_nothing_in_the_project_nor_in_its_git_folder(vendoring: Vendoring) -> None:
    vendoring.patch("0001-clean.patch", CLEAN)
    vendoring.settings |= {"bump": "pull_request", "gate": [["sh", "-c", "echo spoiled > vendor/lib/x"]]}
    vendoring.vendor(vendoring.pin, patched=True)
    vendoring.upstream.commit({"new.txt": "1\n"}, days_ago=9)
    before = everything_below(vendoring.project.path), everything_below(vendoring.upstream.path)
    look(vendoring)
    assert (everything_below(vendoring.project.path), everything_below(vendoring.upstream.path)) == before


def test_the_same_look_again_finds_the_same_and_makes_the_same_commit(vendoring: Vendoring) -> None:
    vendoring.patch("0001-clean.patch", CLEAN)
    vendoring.settings["bump"] = "pull_request"
    vendoring.vendor(vendoring.pin, patched=True)
    vendoring.upstream.commit({"new.txt": "1\n"}, days_ago=9)
    first, again = look(vendoring), look(vendoring)
    assert first == again
    assert first.proposal is not None
    assert first.proposal.commit
    assert first.evidence.fingerprint


def test_what_is_ready_to_be_reviewed_is_proposed_with_its_table_and_its_log(vendoring: Vendoring) -> None:
    vendoring.patch("0001-clean.patch", CLEAN)
    check = [sys.executable, "-c", "import pathlib; pathlib.Path('vendor/lib/new.txt').read_text()"]
    vendoring.settings |= {"bump": "pull_request", "changelog": "CHANGELOG.md", "gate": [check]}
    vendoring.project.write({"CHANGELOG.md": "# Changes\n\n## Unreleased\n"})
    vendoring.vendor(vendoring.pin, patched=True)
    candidate = vendoring.upstream.commit({"new.txt": "1\n"}, days_ago=9, message="Say more")
    proposal = look(vendoring).proposal
    assert proposal is not None
    assert (proposal.ready, proposal.proposes, proposal.base) == (True, candidate, vendoring.project.head)
    assert proposal.branch == "riskloop/vendored-lib.upstream_drift"
    assert all(word in proposal.body for word in ("0001-clean.patch", "clean", "Say more", "passed"))
    vendoring.project.git("fetch", "--quiet", str(proposal.repository), proposal.commit)
    read = vendoring.project.read
    assert read(PIN_FILE, proposal.commit) == f"{candidate}\n".encode()
    assert read(f"{FOLDER}/new.txt", proposal.commit) == b"1\n"
    assert read(f"{FOLDER}/src/b.txt", proposal.commit) == CLEAN["src/b.txt"].encode()
    assert candidate[:12].encode() in read("CHANGELOG.md", proposal.commit)


def test_a_bump_whose_gate_fails_or_whose_patch_conflicts_is_a_draft_with_the_reasons(
    vendoring: Vendoring,
) -> None:
    vendoring.patch("0001-conflicting.patch", CONFLICTING)
    vendoring.settings |= {"bump": "pull_request", "gate": [["sh", "-c", "echo no luck >&2; exit 3"]]}
    vendoring.vendor(vendoring.pin, patched=True)
    vendoring.upstream.commit({"src/a.txt": numbered(changed={10: "theirs"})}, days_ago=20)
    observation = look(vendoring)
    assert numbers(observation)["gate_failures"] == 1
    assert observation.proposal is not None
    assert not observation.proposal.ready
    assert "0001-conflicting.patch" in observation.proposal.body
    assert "no luck" in observation.proposal.body
    assert "no luck" in shown(observation)


def test_without_a_pull_request_the_same_is_the_incidents_evidence(vendoring: Vendoring) -> None:
    vendoring.patch("0001-conflicting.patch", CONFLICTING)
    vendoring.settings["gate"] = [["sh", "-c", "echo no luck >&2; exit 3"]]
    vendoring.vendor(vendoring.pin, patched=True)
    vendoring.upstream.commit(
        {"src/a.txt": numbered(changed={10: "theirs"})}, days_ago=20, message="Tune ten"
    )
    observation = look(vendoring)
    assert observation.proposal is None
    assert all(word in shown(observation) for word in ("0001-conflicting.patch", "no luck", "Tune ten"))


def test_a_pin_with_nothing_newer_says_so_that_an_old_pull_request_is_closed(vendoring: Vendoring) -> None:
    vendoring.settings["bump"] = "pull_request"
    vendoring.vendor()
    proposal = look(vendoring).proposal
    assert proposal is not None
    assert (proposal.commit, proposal.branch) == ("", "riskloop/vendored-lib.upstream_drift")
    assert vendoring.pin[:12] in proposal.reason


def test_a_submodule_is_held_against_its_upstream_and_its_working_tree_too(vendoring: Vendoring) -> None:
    vendoring.settings["bump"] = "pull_request"
    vendoring.submodule()
    vendoring.inside.write({"src/a.txt": "by hand\n", "stray.txt": "left over\n"})
    candidate = vendoring.upstream.commit({"new.txt": "1\n"}, days_ago=9)
    observation = look(vendoring)
    assert numbers(observation)["local_changes"] == 2
    assert numbers(observation)["commits_behind"] == 1
    assert observation.proposal is not None
    vendoring.project.git(
        "fetch", "--quiet", str(observation.proposal.repository), observation.proposal.commit
    )
    link = vendoring.project.git("ls-tree", observation.proposal.commit, FOLDER).split()
    assert link[:3] == ["160000", "commit", candidate]


def test_commits_of_our_own_in_a_submodule_are_not_lost_to_a_bump(vendoring: Vendoring) -> None:
    vendoring.settings["bump"] = "pull_request"
    vendoring.submodule()
    vendoring.diverge({"ours.txt": "1\n"})
    vendoring.upstream.commit({"new.txt": "1\n"}, days_ago=9)
    observation = look(vendoring)
    assert (numbers(observation)["commits_ahead"], numbers(observation)["diverged"]) == (1, 1)
    assert observation.proposal is not None
    assert (observation.proposal.commit, observation.proposal.stands) == ("", True)
    assert "a bump would drop it" in observation.proposal.reason


def test_a_history_rewritten_upstream_is_a_finding_in_words(vendoring: Vendoring) -> None:
    vendoring.vendor()
    look(vendoring)
    vendoring.upstream.days_ago = 9
    vendoring.rewrite()
    observation = look(vendoring)
    assert numbers(observation)["diverged"] == 1
    assert "rewr" in shown(observation)


def test_a_pin_that_is_no_commit_of_upstream_is_no_look_at_all(vendoring: Vendoring) -> None:
    vendoring.vendor()
    vendoring.project.commit({PIN_FILE: f"{'12' * 20}\n"})
    with pytest.raises(Unmeasurable, match="is no commit of"):
        look(vendoring)


def test_a_tree_or_a_tag_is_no_pin(vendoring: Vendoring) -> None:
    vendoring.vendor()
    vendoring.project.commit({PIN_FILE: f"{vendoring.upstream.tree()}\n"})
    with pytest.raises(Unmeasurable, match="is no commit of"):
        look(vendoring)


def test_an_upstream_that_went_away_is_no_look_and_the_old_numbers_are_not_told(vendoring: Vendoring) -> None:
    vendoring.vendor()
    look(vendoring)
    vendoring.upstream.path.rename(vendoring.room / "gone")
    with pytest.raises(Unmeasurable, match="there is no folder"):
        look(vendoring)


def test_an_upstream_that_is_no_repository_is_told_in_words(vendoring: Vendoring) -> None:
    vendoring.vendor()
    plain = vendoring.room / "plain"
    plain.mkdir()
    vendoring.settings["upstream"] = str(plain)
    with pytest.raises(Unmeasurable, match="is no git repository"):
        look(vendoring)


def test_a_token_that_is_named_and_not_set_is_told_by_its_name(
    vendoring: Vendoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UPSTREAM_TOKEN", raising=False)
    vendoring.settings["token"] = "UPSTREAM_TOKEN"
    vendoring.vendor()
    with pytest.raises(Unmeasurable, match="UPSTREAM_TOKEN"):
        look(vendoring)


def test_a_mirror_that_was_damaged_is_made_anew_in_the_same_look(vendoring: Vendoring) -> None:
    vendoring.patch("0001-clean.patch", CLEAN)
    vendoring.vendor(vendoring.pin, patched=True)
    vendoring.upstream.commit({"new.txt": "1\n"}, days_ago=9)
    first = look(vendoring)
    (mirror,) = [path for path in (vendoring.state / "upstreams").iterdir() if path.is_dir()]
    for pack in [*mirror.rglob("*.pack"), *mirror.rglob("*.idx"), *mirror.rglob("*.graph")]:
        pack.chmod(0o600)
        pack.write_bytes(b"spoiled")
    assert look(vendoring) == first


def test_what_a_person_acknowledged_counts_no_more_and_is_named_with_its_reason(vendoring: Vendoring) -> None:
    vendoring.vendor()
    commit = vendoring.upstream.commit({"docs.md": "1\n"}, days_ago=9)
    vendoring.upstream.git("tag", "v3")
    named, upstream = acknowledge(vendoring.read_settings(), vendoring.site, "v3")
    assert (named, upstream) == (commit, str(vendoring.upstream.path))
    details = {"commit": named, "upstream": upstream}
    vendoring.decisions = (
        Decision(decision="acknowledge", who="Mia", why="docs only", at=NOW, details=details),
    )
    observation = look(vendoring)
    assert numbers(observation)["commits_behind"] == 0
    assert all(word in shown(observation) for word in (commit[:12], "Mia", "docs only"))


@pytest.mark.parametrize("name", ["", "zzz", "-x", "deadbeef", "v9", "HEAD~1", "main..x"])
def test_what_is_no_commit_of_the_branch_is_not_acknowledged(vendoring: Vendoring, name: str) -> None:
    vendoring.vendor()
    vendoring.upstream.commit({"docs.md": "1\n"}, days_ago=9)
    with pytest.raises(Refused, match="is no commit of main"):
        acknowledge(vendoring.read_settings(), vendoring.site, name)


def test_a_tag_of_another_branch_is_not_acknowledged(vendoring: Vendoring) -> None:
    vendoring.vendor()
    upstream = vendoring.upstream
    upstream.git("checkout", "--quiet", "-b", "aside")
    upstream.commit({"docs.md": "1\n"}, days_ago=9)
    upstream.git("tag", "v9-beta")
    upstream.git("checkout", "--quiet", "main")
    with pytest.raises(Refused, match="v9-beta is no commit of main"):
        acknowledge(vendoring.read_settings(), vendoring.site, "v9-beta")


def test_what_the_pin_has_already_is_not_acknowledged(vendoring: Vendoring) -> None:
    vendoring.upstream.commit({"docs.md": "1\n"}, days_ago=9)
    old = vendoring.pin
    vendoring.vendor()
    for commit in (old, vendoring.pin):
        with pytest.raises(Refused, match=r"has .* already"):
            acknowledge(vendoring.read_settings(), vendoring.site, commit)


def test_nothing_that_a_hostile_project_or_upstream_configures_is_run(vendoring: Vendoring) -> None:
    canary = vendoring.room / "canary"
    script = vendoring.room / "run.sh"
    script.write_text(f"#!/bin/sh\ntouch {canary}\ncat\n")
    script.chmod(0o755)
    vendoring.patch("0001-clean.patch", {**CLEAN, ".gitattributes": "* filter=evil diff=evil merge=evil\n"})
    vendoring.settings["bump"] = "pull_request"
    vendoring.vendor(vendoring.pin, patched=True)
    vendoring.upstream.commit({"src/a.txt": numbered(changed={30: "theirs"})}, days_ago=9)
    for repository in (vendoring.project, vendoring.upstream):
        for name in (
            "core.fsmonitor",
            "core.sshCommand",
            "core.pager",
            "core.editor",
            "core.attributesFile",
            "diff.external",
            "diff.evil.textconv",
            "diff.evil.command",
            "merge.evil.driver",
            "filter.evil.clean",
            "filter.evil.smudge",
            "uploadpack.packObjectsHook",
            "credential.helper",
        ):
            repository.git("config", name, str(script))
        for hook in ("post-checkout", "reference-transaction", "pre-push", "post-index-change"):
            path = repository.path / ".git" / "hooks" / hook
            path.parent.mkdir(exist_ok=True)
            path.write_text(script.read_text())
            path.chmod(0o755)
    assert look(vendoring).proposal is not None
    assert not canary.exists()


def test_a_mirror_of_an_upstream_is_not_that_of_a_project_in_the_same_place(vendoring: Vendoring) -> None:
    upstream = vendoring.mirror()
    assert upstream.path != Mirror(state=vendoring.state, source=upstream.source).path
