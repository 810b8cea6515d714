"""Adopting writes all of it or nothing, whenever it is killed and whatever stands in its way."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from riskloop.errors import Refused, Unmeasurable
from riskloop.git import Remote
from tests.mitigations.projects import NOW, Project

DRIFTED = "put('a.txt', 'new a\\n'); put('sub/c.txt', 'new c\\n'); put('same.txt', 'same\\n')"
GOLDEN = {"a.txt": "old a\n", "gone/b.txt": "old b\n", "same.txt": "same\n"}
ADOPTED = {"a.txt": b"new a\n", "sub/c.txt": b"new c\n", "same.txt": b"same\n"}


@pytest.fixture
def drifted(project: Project) -> Project:
    project.generate(DRIFTED)
    project.golden(GOLDEN)
    return project


def fixtures_of(project: Project) -> dict[str, bytes]:
    return {path: content for path, content in project.contents().items() if path != "MANIFEST.sha256"}


def test_adopting_writes_what_was_shown_and_the_next_look_is_good(drifted: Project) -> None:
    drifted.commit()
    adoption = drifted.adopt(drifted.measure().evidence.fingerprint)
    assert fixtures_of(drifted) == ADOPTED
    assert drifted.drift() == {}
    assert [change.path for change in adoption.written] == ["a.txt", "sub/c.txt"]
    assert [change.path for change in adoption.removed] == ["gone/b.txt"]
    assert adoption.manifest.before != adoption.manifest.after
    assert adoption.replaced is None
    assert not (drifted.fixtures / "gone").exists()
    assert drifted.leftovers() == []


def test_adopting_twice_is_adopting_once(drifted: Project) -> None:
    fingerprint = drifted.measure().evidence.fingerprint
    drifted.adopt(fingerprint)
    before = (drifted.fixtures / "MANIFEST.sha256").stat()
    again = drifted.adopt(fingerprint)
    assert again.files == ()
    assert (drifted.fixtures / "MANIFEST.sha256").stat().st_mtime_ns == before.st_mtime_ns


def test_what_is_not_what_the_incident_showed_is_refused(drifted: Project) -> None:
    fingerprint = drifted.measure().evidence.fingerprint
    drifted.generate("put('a.txt', 'newer\\n')")
    before = drifted.contents()
    with pytest.raises(Refused) as caught:
        drifted.adopt(fingerprint)
    assert caught.value.rule == "changed-since"
    assert drifted.contents() == before


def test_replaced_files_that_no_commit_holds_are_kept(drifted: Project) -> None:
    adoption = drifted.adopt()
    assert adoption.replaced is not None
    assert (adoption.replaced / "a.txt").read_text() == "old a\n"
    assert (adoption.replaced / "gone" / "b.txt").read_text() == "old b\n"
    assert not (adoption.replaced / "same.txt").exists()


def test_only_the_last_few_replaced_sets_are_kept(drifted: Project) -> None:
    for number in range(8):
        (drifted.state / "replaced" / f"2020010{number}T000000Z-x").mkdir(parents=True)
    adoption = drifted.adopt()
    kept = sorted(path.name for path in (drifted.state / "replaced").iterdir())
    assert len(kept) == 5
    assert adoption.replaced is not None
    assert kept[-1] == adoption.replaced.name == f"{NOW:%Y%m%dT%H%M%SZ}-{adoption.fingerprint[:12]}"


def test_what_was_replaced_is_kept_though_the_clock_was_set_back(drifted: Project) -> None:
    for number in range(8):
        (drifted.state / "replaced" / f"2099010{number}T000000Z-x").mkdir(parents=True)
    adoption = drifted.adopt()
    assert adoption.replaced is not None
    assert (adoption.replaced / "a.txt").read_text() == "old a\n"
    assert len(list((drifted.state / "replaced").iterdir())) == 5


def test_what_was_replaced_a_moment_ago_is_not_written_over(drifted: Project) -> None:
    first = drifted.adopt()
    drifted.write({"fixtures/a.txt": "edited\n"})
    second = drifted.adopt()
    assert first.replaced is not None
    assert second.replaced is not None
    assert (first.replaced / "a.txt").read_text() == "old a\n"
    assert (second.replaced / "a.txt").read_text() == "edited\n"


@pytest.mark.parametrize(("old", "new"), [("a", "a/b.txt"), ("a/b.txt", "a"), ("a/b/c/d.txt", "a/b")])
def test_a_file_and_a_folder_change_places(project: Project, old: str, new: str) -> None:
    project.generate(f"put({new!r}, 'new')")
    project.golden({old: "old"})
    changes = project.adopt().files
    assert [(change.path, change.after is None) for change in changes] == [(old, True), (new, False)]
    assert fixtures_of(project) == {new: b"new"}
    assert project.drift() == {}
    assert project.leftovers() == []


@pytest.mark.parametrize("obstacle", ["a/note.md", "a/b.md/note.md"])
def test_what_is_no_fixture_and_in_the_way_is_named_and_nothing_changes(
    project: Project, obstacle: str
) -> None:
    project.settings["exclude"] = ["note.md"]
    project.generate("import shutil; shutil.rmtree('fixtures/a', ignore_errors=True); put('a', 'new')")
    project.golden({"a/b.txt": "old"})
    project.write({f"fixtures/{obstacle}": "mine"})
    before = project.contents()
    with pytest.raises(Refused, match=f"{obstacle} stands where a is to be written") as caught:
        project.adopt()
    assert caught.value.rule == "in-the-way"
    assert project.contents() == before
    assert project.leftovers() == []


def test_an_empty_folder_in_the_way_is_named(project: Project) -> None:
    project.generate("put('a', 'new')")
    project.golden({"old.txt": "old"})
    (project.fixtures / "a" / "empty").mkdir(parents=True)
    with pytest.raises(Refused, match="a/empty stands where a is"):
        project.adopt()
    assert fixtures_of(project) == {"old.txt": b"old"}


def test_a_repository_among_the_fixtures_is_left_alone(project: Project) -> None:
    project.generate("put('a.txt', 'new')")
    project.golden({"a.txt": "old"})
    project.write({"fixtures/.git/HEAD": "ref: refs/heads/main\n", "fixtures/sub/.git": "gitdir: x\n"})
    assert project.drift() == {"fixtures_changed": 1.0}
    project.adopt()
    assert (project.fixtures / ".git" / "HEAD").exists()
    assert (project.fixtures / "sub" / ".git").exists()


def test_our_own_files_are_no_fixtures_where_the_whole_project_is(project: Project) -> None:
    project.settings |= {"directory": ".", "include": ["*.golden"]}
    project.state = project.path / ".riskloop"
    project.write({"tools/make.py": "open('a.golden', 'w').write('new')", "a.golden": "old"})
    project.write({".riskloop/replaced/x/a.golden": "kept"})
    assert project.drift() == {"fixtures_changed": 1.0}
    project.adopt()
    assert (project.path / "a.golden").read_text() == "new"
    assert (project.path / ".riskloop/replaced/x/a.golden").read_text() == "kept"


def test_a_folder_that_leads_out_of_the_project_by_a_link_above_it_is_not_written(drifted: Project) -> None:
    outside = drifted.path.parent / "outside"
    outside.mkdir()
    drifted.fixtures.rename(outside / "fixtures")
    (drifted.path / "above").symlink_to(outside)
    drifted.settings["directory"] = "above/fixtures"
    with pytest.raises(Unmeasurable, match="leads out of the project"):
        drifted.adopt()
    assert (outside / "fixtures" / "a.txt").read_text() == "old a\n"


def test_nondeterministic_and_tolerated_files_stay_as_they_are(project: Project) -> None:
    project.generate(
        "import uuid; put('r.txt', str(uuid.uuid4())); put('t.json', '{\"at\": 2}'); put('d.txt', 'new')"
    )
    project.golden({"r.txt": "golden", "t.json": '{"at": 1}', "d.txt": "old"})
    project.settings["normalize"] = [{"path": "$.at", "do": "drop"}]
    adoption = project.adopt()
    assert fixtures_of(project) == {"r.txt": b"golden", "t.json": b'{"at": 1}', "d.txt": b"new"}
    assert adoption.not_adopted == ("r.txt",)
    assert project.drift() == {"fixtures_nondeterministic": 1}


def test_a_tolerated_file_that_was_edited_by_hand_is_made_anew(project: Project) -> None:
    project.generate("put('t.json', '{\"at\": 2}')")
    project.golden({"t.json": '{"at": 1}'})
    project.write({"fixtures/t.json": '{"at": 99}'})
    project.settings["normalize"] = [{"path": "$.at", "do": "drop"}]
    assert project.drift() == {"manifest_mismatches": 1}
    project.adopt()
    assert fixtures_of(project) == {"t.json": b'{"at": 2}'}
    assert project.drift() == {}


def test_files_that_are_no_fixtures_are_never_touched(drifted: Project) -> None:
    drifted.settings["exclude"] = ["*.md", "gone/**"]
    drifted.write({"fixtures/README.md": "mine"})
    drifted.adopt()
    assert fixtures_of(drifted) == {**ADOPTED, "README.md": b"mine", "gone/b.txt": b"old b\n"}
    assert drifted.drift() == {}


def test_a_fixture_that_is_a_symlink_is_named_and_nothing_is_written(drifted: Project) -> None:
    outside = drifted.path / "outside.txt"
    outside.write_text("precious")
    (drifted.fixtures / "a.txt").unlink()
    (drifted.fixtures / "a.txt").symlink_to(outside)
    with pytest.raises(Refused, match=r"a\.txt is a symbolic link") as caught:
        drifted.adopt()
    assert caught.value.rule == "not-a-regular-file"
    assert outside.read_text() == "precious"
    assert not (drifted.fixtures / "sub").exists()


def test_a_folder_that_is_a_symlink_is_not_written_through(drifted: Project) -> None:
    outside = drifted.path / "outside"
    outside.mkdir()
    (drifted.fixtures / "sub").symlink_to(outside)
    with pytest.raises((Refused, Unmeasurable)):
        drifted.adopt()
    assert list(outside.iterdir()) == []
    assert (drifted.fixtures / "a.txt").read_text() == "old a\n"


def test_modes_are_kept(drifted: Project) -> None:
    (drifted.fixtures / "a.txt").chmod(0o640)
    drifted.adopt()
    assert (drifted.fixtures / "a.txt").stat().st_mode & 0o777 == 0o640
    assert (drifted.fixtures / "sub" / "c.txt").stat().st_mode & 0o777 == 0o644


# The calls by which adopting changes the disk; the child is killed at its n-th.
KILLED = """
import json, os, signal, sys
from datetime import datetime
from pathlib import Path
from riskloop.mitigations.fixture_drift import Settings, adopt, journal
from riskloop.risks import Site

project, state, now, at = sys.argv[1:]
left = int(at)
def counted(name):
    real = getattr(os, name)
    def call(*args, **kwargs):
        global left
        if armed:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    return call
for name in ("mkdir", "rename", "unlink", "rmdir", "fsync", "fchmod"):
    setattr(os, name, counted(name))
armed = False
real_carry_out = journal.carry_out
import riskloop.mitigations.fixture_drift.adopting as adopting
def carry_out(*args):
    global armed
    armed = True
    real_carry_out(*args)
    armed = False
adopting.carry_out = carry_out
settings = Settings.model_validate({"directory": "fixtures", "regenerate": [sys.executable, "tools/make.py"]})
site = Site(project=Path(project), state=Path(state), now=datetime.fromisoformat(now))
adopt(settings, site, expected=None)
print("reached the end")
"""


def kill_at(project: Project, call: int) -> bool:
    """Adopt in a process that is killed at its n-th change of the disk; False if it never got there."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(project.path), str(project.state), NOW.isoformat(), str(call)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


@pytest.mark.parametrize("first", range(4))
def test_killed_at_any_moment_it_is_finished_or_undone_by_the_next_look(first: int, tmp_path: Path) -> None:
    call, killed, finished = first, True, 0
    while killed:
        path = tmp_path / f"{call}"
        (path / "fixtures").mkdir(parents=True)
        settings = {"directory": "fixtures", "regenerate": [sys.executable, "tools/make.py"]}
        project = Project(path=path, state=tmp_path / f"state{call}", settings=settings)
        project.generate(DRIFTED)
        project.golden(GOLDEN)
        before = project.contents()
        killed = kill_at(project, call)
        drift = project.drift()
        after = project.contents()
        if drift:
            assert after == before, call
        else:
            assert fixtures_of(project) == ADOPTED, call
            finished += 1
        assert project.leftovers() == [], call
        call += 4
    assert finished > 1


def test_an_adoption_that_was_killed_is_finished_and_told_by_the_next(drifted: Project) -> None:
    fingerprint = drifted.measure().evidence.fingerprint
    calls = 12
    while kill_at(drifted, calls) and not (drifted.fixtures / ".riskloop-adopting/journal.json").exists():
        calls += 1
    adoption = drifted.adopt(fingerprint)
    assert [change.path for change in adoption.files] == ["gone/b.txt", "a.txt", "sub/c.txt"]
    assert adoption.manifest.before is not None
    assert adoption.manifest.before != adoption.manifest.after
    assert drifted.drift() == {}


def test_an_edit_made_after_the_kill_is_left_and_named(drifted: Project) -> None:
    calls = 12
    while kill_at(drifted, calls) and not (drifted.fixtures / ".riskloop-adopting/journal.json").exists():
        calls += 1
    drifted.write({"fixtures/a.txt": "edited meanwhile\n"})
    observation = drifted.measure()
    assert (drifted.fixtures / "a.txt").read_text() == "edited meanwhile\n"
    assert "a.txt was changed by somebody during an adoption" in observation.evidence.document
    assert observation.value("manifest_mismatches") == 1


@pytest.mark.parametrize(
    "journal",
    [
        [{"path": "../outside.txt", "before": None, "after": None, "staged": ""}],
        [{"path": "/etc/passwd", "before": None, "after": None, "staged": ""}],
        [{"path": "a.txt", "before": None, "after": "x", "staged": "../../outside.txt"}],
        {"nonsense": 1},
        "nonsense",
    ],
)
def test_a_journal_that_is_not_ours_is_not_carried_out(drifted: Project, journal: object) -> None:
    stage = drifted.fixtures / ".riskloop-adopting"
    stage.mkdir()
    (stage / "journal.json").write_text(json.dumps(journal))
    (drifted.path / "outside.txt").write_text("precious")
    with pytest.raises(Unmeasurable, match="not written by us"):
        drifted.measure()
    assert (drifted.path / "outside.txt").read_text() == "precious"


def test_a_folder_of_that_name_with_a_persons_files_is_left_alone(drifted: Project) -> None:
    drifted.write({"fixtures/.riskloop-adopting/mine.txt": "precious"})
    with pytest.raises(Unmeasurable, match="not ours"):
        drifted.measure()
    assert (drifted.fixtures / ".riskloop-adopting/mine.txt").read_text() == "precious"


def test_a_full_disk_changes_nothing(drifted: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    drifted.commit()
    before = drifted.contents()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fchmod", full)
        with pytest.raises(Refused, match="No space left") as caught:
            drifted.adopt()
    assert caught.value.rule == "no-room"
    assert drifted.contents() == before
    assert drifted.leftovers() == []


def test_a_branch_is_made_from_the_commit_and_the_folder_is_left_alone(drifted: Project) -> None:
    drifted.commit()
    drifted.write({"fixtures/a.txt": "not committed\n", "other.txt": "not committed"})
    before = drifted.contents()
    fingerprint = drifted.measure().evidence.fingerprint
    adoption = drifted.adopt(fingerprint, to_branch=True)
    assert drifted.contents() == before
    branch = adoption.branch
    assert branch is not None
    assert branch.branch == f"riskloop/fixtures-{fingerprint[:12]}"
    assert branch.base == drifted.git("rev-parse", "HEAD")
    remote = Remote(state=branch.mirror.state, source=str(drifted.path), repository=branch.mirror.path)
    assert remote.replace(branch.branch, branch.commit, base=branch.base) == (branch.commit, None)
    assert drifted.git("diff", "--name-status", "HEAD", branch.branch).splitlines() == [
        "M\tfixtures/MANIFEST.sha256",
        "M\tfixtures/a.txt",
        "D\tfixtures/gone/b.txt",
        "A\tfixtures/sub/c.txt",
    ]
    assert "Decided-by: QA" in drifted.git("log", "-1", "--format=%B", branch.branch)
    drifted.git("checkout", "--quiet", "--force", branch.branch)
    assert drifted.drift() == {}


def test_a_branch_needs_a_commit(drifted: Project) -> None:
    with pytest.raises(Refused) as caught:
        drifted.adopt(to_branch=True)
    assert caught.value.rule == "no-repository"
