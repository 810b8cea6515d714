"""Drift is counted, what is no drift is not, and a look that fails is no look."""

import os
import subprocess
from datetime import UTC, datetime

import pytest

from riskloop.errors import Unmeasurable
from riskloop.mitigations import kinds
from tests.mitigations.projects import Project

SAME = {"a.txt": "one\n", "b.json": '{"x": 1}\n'}
MAKE_SAME = "put('a.txt', 'one\\n'); put('b.json', '{\"x\": 1}\\n')"


def test_the_kind_is_found_by_its_name() -> None:
    assert (
        kinds()["fixture_drift"].says == "Makes golden fixtures anew and says which of them no longer match."
    )


@pytest.mark.parametrize("in_git", [True, False])
def test_fixtures_that_come_out_the_same_are_no_drift(project: Project, *, in_git: bool) -> None:
    project.generate(MAKE_SAME)
    project.golden(SAME)
    if in_git:
        project.commit()
    figures = project.figures()
    age = figures.pop("days_since_adopted")
    assert figures == {
        "fixtures_changed": 0,
        "fixtures_added": 0,
        "fixtures_removed": 0,
        "fixtures_nondeterministic": 0,
        "manifest_mismatches": 0,
    }
    if in_git:
        assert age == 10
    assert project.leftovers() == []


def test_changed_added_and_removed_fixtures_are_counted(project: Project) -> None:
    project.generate("put('a.txt', 'two\\n'); put('new/c.txt', 'new\\n')")
    project.golden(SAME)
    project.commit()
    assert project.drift() == {"fixtures_changed": 1, "fixtures_added": 1, "fixtures_removed": 1}
    evidence = project.measure().evidence
    assert evidence.summary == "1 changed, 1 added, 1 removed of 3 fixtures."
    assert "-one\n+two" in evidence.sections[1].body
    assert evidence.sections[1].language == "diff"
    assert [file["fate"] for file in evidence.details["files"]] == ["changed", "removed", "added"]


def test_a_look_changes_nothing_in_the_project(project: Project) -> None:
    project.generate("put('a.txt', 'two\\n')")
    project.golden(SAME)
    project.commit()
    project.measure()
    assert project.git("status", "--porcelain") == ""


def test_the_age_is_that_of_the_manifest_file_once_it_differs_from_the_commit(project: Project) -> None:
    project.generate(MAKE_SAME)
    project.golden(SAME)
    project.commit()
    listed = project.fixtures / "MANIFEST.sha256"
    listed.write_text(listed.read_text() + "# adopted anew\n")
    moment = datetime(2026, 3, 10, 2, 20, tzinfo=UTC).timestamp()
    os.utime(listed, (moment, moment))
    assert project.figures()["days_since_adopted"] == 1


def test_inputs_come_from_the_commit_and_fixtures_from_the_working_directory(project: Project) -> None:
    project.generate("put('a.txt', open('input.txt').read())")
    project.write({"input.txt": "committed"})
    project.golden({"a.txt": "by hand"})
    project.commit()
    project.write({"input.txt": "not committed", "fixtures/a.txt": "committed"})
    assert project.drift() == {"manifest_mismatches": 1}


def test_a_project_in_a_folder_of_a_repository_is_looked_at(project: Project) -> None:
    project.generate(MAKE_SAME)
    project.golden(SAME)
    project.commit()
    whole = project.path.parent / "whole"
    whole.mkdir()
    project.git("worktree", "list")
    (project.path / ".git").rename(whole / ".git")
    project.path.rename(whole / "part")
    project.path = whole
    project.commit()
    project.path = whole / "part"
    assert project.drift() == {}
    assert project.figures()["days_since_adopted"] == 10


def test_a_repository_without_a_commit_is_copied_as_it_stands(project: Project) -> None:
    project.git("init", "--quiet")
    project.generate(MAKE_SAME)
    project.golden(SAME)
    project.state = project.path / ".riskloop"
    assert project.drift() == {}


def test_what_differs_between_two_runs_is_named_with_a_rule_and_is_no_drift(project: Project) -> None:
    project.generate(
        "import json, uuid\n"
        "records = [{'n': n, 'at': str(uuid.uuid4()), 'tags': list(set('abcde'))} for n in 'xy']\n"
        "put('log.jsonl', ''.join(json.dumps(r) + '\\n' for r in records))\n"
        "put('where.txt', os.getcwd() + os.environ['TZ'] + os.environ['TMPDIR'])\n"
        "put('only.txt' if os.environ['PYTHONHASHSEED'] == '1' else 'other.txt', 'x')\n"
    )
    project.golden({"log.jsonl": "{}\n", "where.txt": "there"}, manifest=False)
    observation = project.measure()
    assert observation.value("fixtures_nondeterministic") == 4
    assert observation.value("fixtures_changed") == 0
    (log,) = (one for one in observation.evidence.details["files"] if one["path"] == "log.jsonl")
    assert log["json_paths"] == ["$.at", "$.tags"]
    assert log["suggested_rules"] == ["- path: $..at\n  do: drop", "- path: '$.tags'\n  do: sort"]
    project.settings["normalize"] = [
        {"path": "$..at", "do": "drop"},
        {"path": "$.tags", "do": "sort"},
    ]
    assert project.figures()["fixtures_nondeterministic"] == 3


def test_a_suggested_pattern_makes_a_text_the_same(project: Project) -> None:
    project.generate(
        "import time, uuid; from datetime import datetime, timezone\n"
        "put('a.txt', f'made {datetime.now(timezone.utc).isoformat()} as {uuid.uuid4()}\\nbody\\n')"
    )
    project.golden({"a.txt": "made 2020-01-01T00:00:00Z as \nbody\n"})
    (file,) = project.measure().evidence.details["files"]
    patterns = [rule.split("'")[1] for rule in file["suggested_rules"]]
    assert len(patterns) == 2
    project.settings["normalize"] = [{"regex": pattern, "do": "drop"} for pattern in patterns]
    assert project.drift() == {}


def test_a_change_the_rules_take_out_is_told_and_no_drift(project: Project) -> None:
    project.generate("""put('a.json', '{"v": 1.23456, "at": 2, "list": [2, 1]}')""")
    project.golden({"a.json": '{"at": 9, "list": [1, 2], "v": 1.2349}\n'})
    project.settings["normalize"] = [
        {"path": "$.list", "do": "sort"},
        {"path": "$.v", "do": "round", "digits": 2},
        {"path": "$.at", "do": "constant", "value": 0},
    ]
    assert project.drift() == {}
    sections = {section.title: section.body for section in project.measure().evidence.sections}
    assert sections == {"Differences the rules take out (no drift)": "a.json"}


def test_the_fingerprint_is_the_same_for_the_same_outcome_only(project: Project) -> None:
    project.generate("import uuid; put('a.txt', 'x'); put('r.txt', str(uuid.uuid4()))")
    first = project.measure().evidence.fingerprint
    assert project.measure().evidence.fingerprint == first
    project.generate("import uuid; put('a.txt', 'y'); put('r.txt', str(uuid.uuid4()))")
    assert project.measure().evidence.fingerprint != first


def test_files_that_are_no_fixtures_stay_for_the_generator(project: Project) -> None:
    project.settings |= {"include": ["*.txt", "seed/**"], "exclude": ["seed/**"]}
    project.generate("put('a.txt', open('fixtures/seed/in').read())")
    project.golden({"a.txt": "seeded"})
    project.write({"fixtures/seed/in": "seeded", "fixtures/notes.md": "x"})
    project.commit()
    assert project.drift() == {}


def test_setup_runs_first_and_carried_paths_are_read_only_copies(project: Project) -> None:
    project.settings |= {"setup": [["sh", "-c", "echo ready > ready"]], "carry": ["ignored"]}
    project.generate(
        "import stat; path = pathlib.Path('ignored/tool')\n"
        "put('a.txt', open('ready').read() + path.read_text() + oct(stat.S_IMODE(path.stat().st_mode)))"
    )
    project.golden({"a.txt": "ready\ntool0o444"})
    project.write({".gitignore": "ignored/\n"})
    project.commit()
    project.write({"ignored/tool": "tool"})
    assert project.drift() == {}
    assert project.leftovers() == []


def test_what_is_carried_into_a_folder_that_the_commit_has_is_added_to_it(project: Project) -> None:
    project.settings["carry"] = ["data"]
    project.generate("put('a.txt', open('data/big').read() + open('data/listed').read())")
    project.golden({"a.txt": "big committed"})
    project.write({"data/listed": "committed", ".gitignore": "big\n"})
    project.commit()
    project.write({"data/big": "big ", "data/listed": "not committed", "data/.git/config": "not ours"})
    assert project.drift() == {}


def test_the_generator_sees_only_what_was_let_through(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISKLOOP_GITHUB_TOKEN", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("WANTED", "yes")
    project.settings["environment"] = ["WANTED"]
    script = "env | sed 's/=.*//' | grep -vx -e PWD -e OLDPWD -e SHLVL -e _ | sort > fixtures/a.txt"
    project.settings["regenerate"] = ["sh", "-c", script]
    names = "GIT_CEILING_DIRECTORIES HOME LANG PATH PYTHONHASHSEED TMPDIR TZ WANTED"
    project.golden({"a.txt": "".join(f"{name}\n" for name in names.split())})
    assert project.drift() == {}


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("sys.exit('no licence')", "exit code 1; the last it printed.*\n.*\n?no licence"),
        ("pass", "wrote nothing into fixtures"),
        ("os.abort()", "SIGABRT"),
        ("print('x' * 40_000_000)", "printed too much"),
        ("import time; time.sleep(60)", "time limit"),
        ("x = bytearray(8_000_000_000)", "MemoryError"),
    ],
)
def test_a_generator_that_fails_is_no_look(project: Project, script: str, says: str) -> None:
    project.settings["timeout"] = "2s"
    project.generate(script)
    project.golden(SAME)
    with pytest.raises(Unmeasurable, match=rf"(?s){says}") as caught:
        project.measure()
    assert str(project.state) not in str(caught.value)
    assert project.leftovers() == []


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("import shutil; shutil.rmtree('fixtures')", "left no folder fixtures"),
        ("os.rmdir('fixtures'); os.symlink('/etc', 'fixtures')", "left no folder fixtures"),
        ("sys.exit(os.getcwd() + ' ' + os.environ['HOME'])", "\n. scratch/a/home"),
        ("put('/'.join('d' * 120), 'deep')", "./fixtures has folders more than 100 deep"),
    ],
)
def test_a_failure_reads_the_same_each_time_wherever_our_copies_stood(
    project: Project, script: str, says: str
) -> None:
    project.generate(script)
    said = []
    for _ in range(2):
        with pytest.raises(Unmeasurable) as caught:
            project.measure()
        said.append(str(caught.value))
    assert says in said[0]
    assert said[0] == said[1]


def test_a_secret_that_was_let_through_is_not_told_when_the_generator_prints_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDK_TOKEN", "tok-123456")
    project.settings["environment"] = ["SDK_TOKEN"]
    project.generate("sys.exit('refused: ' + os.environ['SDK_TOKEN'])")
    with pytest.raises(Unmeasurable, match=r"refused: \$SDK_TOKEN"):
        project.measure()


def test_a_generator_that_is_not_there_is_named(project: Project) -> None:
    project.settings["regenerate"] = ["./tools/missing"]
    with pytest.raises(Unmeasurable, match=r"no program '\./tools/missing'"):
        project.measure()


def test_a_generator_in_the_project_is_run_by_its_path(project: Project) -> None:
    project.write({"tools/make.sh": "#!/bin/sh\nprintf one > fixtures/a.txt\n"})
    (project.path / "tools/make.sh").chmod(0o755)
    project.settings["regenerate"] = ["./tools/make.sh"]
    project.golden({"a.txt": "one"})
    project.commit()
    assert project.drift() == {}


def test_a_missing_or_linked_folder_is_named(project: Project) -> None:
    project.generate(MAKE_SAME)
    project.settings["directory"] = "nothing"
    with pytest.raises(Unmeasurable, match="nothing cannot be opened"):
        project.measure()
    project.settings["directory"] = "link"
    (project.path / "link").symlink_to("fixtures")
    with pytest.raises(Unmeasurable, match="may not be a symbolic link"):
        project.measure()


def test_a_generator_that_makes_its_folder_a_link_out_reaches_nothing(project: Project) -> None:
    project.generate("os.rmdir('fixtures'); os.symlink(os.environ['TMPDIR'], 'fixtures'); put('a.txt', 'x')")
    with pytest.raises(Unmeasurable, match="left no folder fixtures"):
        project.measure()


def test_a_symbolic_link_or_a_fifo_among_the_fixtures_is_named_and_not_opened(project: Project) -> None:
    project.generate("put('a.txt', 'x'); put('b.txt', 'x'); put('c.txt', 'x')")
    (project.fixtures / "a.txt").symlink_to("/etc/passwd")
    os.mkfifo(project.fixtures / "b.txt")
    project.golden({"c.txt": "x"})
    observation = project.measure()
    assert observation.value("fixtures_changed") == 2
    (careful,) = (one for one in observation.evidence.sections if one.title == "Read with care")
    assert careful.body == (
        "a.txt: a symbolic link, which is not followed or opened\n"
        "b.txt: a special file, which is not followed or opened"
    )
    assert "root:" not in observation.evidence.document


@pytest.mark.parametrize("mebibytes", [40, pytest.param(2048, marks=pytest.mark.soak)])
def test_a_large_file_is_compared_without_being_held_in_memory(project: Project, mebibytes: int) -> None:
    size = mebibytes * 1024**2
    project.settings["normalize"] = [{"path": "$..at", "do": "drop"}]
    project.generate(f"f = open('fixtures/big.json', 'wb'); f.truncate({size})")
    with (project.fixtures / "big.json").open("wb") as file:
        file.truncate(size - 1)
    observation = project.measure()
    assert observation.value("fixtures_changed") == 1
    assert "over 32 MiB, compared byte by byte" in observation.evidence.document


def test_what_is_not_utf8_not_json_or_too_deep_is_named(project: Project) -> None:
    project.settings["normalize"] = [{"path": "$..at", "do": "drop"}]
    project.generate(
        "put('binary.json', b'\\xff\\xfe'); put('bad.json', '{')\n"
        "put('deep.json', '[' * 10_000 + ']' * 10_000)\n"
        "put('bad.jsonl', '{}\\nnot json\\n{}\\n'); put('raw.bin', b'\\x00\\x01')\n"
    )
    project.golden(dict.fromkeys(["binary.json", "bad.json", "deep.json", "bad.jsonl", "raw.bin"], "0"))
    observation = project.measure()
    assert observation.value("fixtures_changed") == 5
    sections = {section.title: section.body for section in observation.evidence.sections}
    assert "deep.json: JSON more than 90 levels deep" in sections["Read with care"]
    assert "bad.jsonl: not JSON in line 2" in sections["Read with care"]
    assert "binary.json: not UTF-8 (byte 1)" in sections["Read with care"]
    assert "bad.json: not JSON (" in sections["Read with care"]


def test_odd_names_are_compared_listed_and_accepted_by_sha256sum(project: Project) -> None:
    project.generate(
        "names = 'new\\nline', 'back\\\\slash', ' space ', '-dash', \"quote'\", 'ünï', '*'\n"
        "for name in names: put(name, name)\n"
        "pathlib.Path(os.fsdecode(b'fixtures/\\xff')).write_text('x')"
    )
    assert project.figures()["fixtures_added"] == 8
    project.adopt()
    assert project.drift() == {}
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "MANIFEST.sha256"],
        cwd=project.fixtures,
        capture_output=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_without_a_manifest_the_first_look_proposes_one_and_adopts_nothing(project: Project) -> None:
    project.generate(MAKE_SAME)
    project.golden(SAME, manifest=False)
    observation = project.measure()
    assert observation.value("manifest_mismatches") is None
    assert observation.value("days_since_adopted") is None
    (proposal,) = (one for one in observation.evidence.sections if "MANIFEST.sha256" in one.title)
    project.golden(SAME)
    assert proposal.body + "\n" == (project.fixtures / "MANIFEST.sha256").read_text()


def test_files_that_are_not_what_the_manifest_says_are_counted(project: Project) -> None:
    project.generate(MAKE_SAME)
    project.golden({**SAME, "gone.txt": "x"})
    project.write({"fixtures/b.json": '{"x": 2}\n', "fixtures/new.txt": "x"})
    (project.fixtures / "gone.txt").unlink()
    observation = project.measure()
    assert observation.value("manifest_mismatches") == 3
    assert observation.evidence.details["manifest_mismatches"] == [
        "b.json: edited by hand",
        "gone.txt: missing",
        "new.txt: not listed",
    ]


def test_the_records_of_an_added_fixture_are_shown_as_added(project: Project) -> None:
    project.generate("put('a.jsonl', '{\"id\": 1}\\n')")
    titles = [section.title for section in project.measure().evidence.sections]
    assert "a.jsonl: records: 0 matched, 0 of them changed, 1 added, 0 removed" in titles


def test_at_most_fifty_hunks_stand_inline_and_all_in_the_document(project: Project) -> None:
    project.generate("put('a.jsonl', ''.join('{\"id\": %d, \"v\": 2}\\n' % n for n in range(120)))")
    project.golden({"a.jsonl": "".join(f'{{"id": {n}, "v": 1}}\n' for n in range(120))})
    evidence = project.measure().evidence
    assert evidence.sections[1].body.count("@@ record") == 50
    assert evidence.document.count("@@ record") == 120
    assert evidence.summary.endswith("70 more differences are in the whole evidence.")


def test_control_characters_of_a_fixture_do_not_reach_a_terminal(project: Project) -> None:
    project.generate("put('a.txt', '\\x1b[2Jcleared\\n')")
    project.golden({"a.txt": "x\n"})
    evidence = project.measure().evidence
    assert "\x1b" not in evidence.document
    assert "+\\x1b[2Jcleared" in evidence.sections[1].body
