"""The gate's commands run on a copy that has the bump, bounded, and what they print is fit to be told."""

import sys
from pathlib import Path

import pytest

from riskloop.mitigations.upstream_drift.bump.bumping import Bump, make_bump
from riskloop.mitigations.upstream_drift.bump.gating import Check, run_gate
from riskloop.mitigations.upstream_drift.patches.series import Series
from riskloop.mitigations.upstream_drift.patches.verdicts import Applied
from riskloop.mitigations.upstream_drift.project.hacks import find_hacks
from riskloop.mitigations.upstream_drift.project.vendored import read_vendored
from tests.mitigations.vendoring import FOLDER, PIN_FILE, Vendoring


@pytest.fixture
def vendoring(tmp_path: Path) -> Vendoring:
    return Vendoring(tmp_path)


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


def gate(vendoring: Vendoring, *commands: list[str]) -> tuple[Check, ...]:
    """Bump to upstream's HEAD, and run these commands on it."""
    vendoring.settings["gate"] = list(commands)
    settings, site = vendoring.read_settings(), vendoring.site
    vendored = read_vendored(settings, site)
    upstream = vendoring.mirror()
    candidate = vendoring.upstream.head
    pin = upstream.folder(vendored.pin)
    bump = make_bump(
        vendored,
        upstream,
        settings,
        site,
        applied=Applied(tree=upstream.folder(candidate), outcomes=()),
        hacks=find_hacks(vendored, upstream, site, pin=pin, patched=pin),
        series=Series(patches=()),
        candidate=candidate,
        pin_tree=pin,
        patched=pin,
    )
    assert bump.problem == ""
    return run_gate(vendored, upstream, settings, site, bump)


def bumped(vendoring: Vendoring) -> Vendoring:
    """Vendor upstream, which then moves on."""
    vendoring.vendor()
    vendoring.upstream.commit({"src/a.txt": "new\n"})
    return vendoring


def test_commands_run_at_the_projects_top_on_the_bump(vendoring: Vendoring) -> None:
    head = bumped(vendoring).upstream.head
    script = (
        f"import pathlib; assert pathlib.Path('{FOLDER}/src/a.txt').read_text() == 'new\\n'; "
        f"assert pathlib.Path('{PIN_FILE}').read_text().strip() == '{head}'; "
        "pathlib.Path('made').write_text('by the gate')"
    )
    checks = gate(vendoring, python(script), python("print(open('made').read())"))
    assert [(check.passed, check.account) for check in checks] == [(True, ""), (True, "")]
    assert not (vendoring.project.path / "made").exists()
    assert list((vendoring.state / "scratch").iterdir()) == []


def test_a_command_that_fails_stops_the_gate_and_is_accounted_for(vendoring: Vendoring) -> None:
    failing = python("import sys, os; print('in', os.getcwd(), file=sys.stderr); sys.exit(3)")
    checks = gate(bumped(vendoring), python("pass"), failing, python("open('/nowhere/never', 'w')"))
    assert [check.passed for check in checks] == [True, False]
    assert "ended with exit code 3" in checks[1].account
    assert checks[1].account.endswith("in .")
    assert str(vendoring.room) not in checks[1].account


def test_a_program_that_is_not_there_is_a_check_that_failed(vendoring: Vendoring) -> None:
    checks = gate(bumped(vendoring), ["no-such-program", "--test"])
    assert [(check.command, check.passed) for check in checks] == [("no-such-program --test", False)]
    assert "there is no program 'no-such-program'" in checks[0].account


def test_a_program_of_the_project_itself_can_be_run(vendoring: Vendoring) -> None:
    vendoring.project.write({"test.sh": "#!/bin/sh\ntest -f README.md\n"})
    (vendoring.project.path / "test.sh").chmod(0o755)
    assert gate(bumped(vendoring), ["./test.sh"])[0].passed


def test_a_command_that_hangs_is_stopped(vendoring: Vendoring) -> None:
    vendoring.settings["timeout"] = "1s"
    checks = gate(bumped(vendoring), python("import time; time.sleep(600)"))
    assert "stopped at its time limit" in checks[0].account


def test_a_command_that_takes_too_much_memory_fails(vendoring: Vendoring) -> None:
    vendoring.settings["memory"] = "256MiB"
    checks = gate(bumped(vendoring), python("bytearray(1024 ** 3)"))
    assert "MemoryError" in checks[0].account


def test_a_command_sees_no_secret_but_those_let_through_and_these_are_masked(
    vendoring: Vendoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISKLOOP_GITHUB_TOKEN", "never-let-through")
    monkeypatch.setenv("OTHER", "not-asked-for")
    monkeypatch.setenv("LICENCE_KEY", "hunter2-hunter2")
    vendoring.settings["environment"] = ["LICENCE_KEY"]
    script = "import os, sys; print('x' * 390 + str(dict(os.environ)), file=sys.stderr); sys.exit(1)"
    [check] = gate(bumped(vendoring), python(script))
    [spelled] = gate(vendoring, python("import os, sys; sys.exit(os.environ['LICENCE_KEY'])"))
    said = check.account + spelled.account
    assert "hunter2" not in said
    assert "$LICENCE_KEY" in said
    assert "never-let-through" not in said
    assert "not-asked-for" not in said


def test_home_and_temporary_files_are_in_the_scratch_folder(vendoring: Vendoring) -> None:
    script = (
        "import os, tempfile, pathlib; home = pathlib.Path.home(); (home / 'x').write_text(''); "
        "assert pathlib.Path(tempfile.gettempdir()).parent == home.parent == pathlib.Path.cwd().parent"
    )
    assert gate(bumped(vendoring), python(script)) == (Check(command=" ".join(python(script)), passed=True),)


def test_a_submodules_folder_is_filled_with_the_candidates_files(vendoring: Vendoring) -> None:
    vendoring.submodule()
    (vendoring.upstream.path / "inside").symlink_to("src/a.txt")
    (vendoring.upstream.path / "outside").symlink_to("../../../../etc/passwd")
    attributes = "* text eol=crlf ident export-ignore\n"
    vendoring.upstream.commit({"src/a.txt": "$Id$\n", ".gitattributes": attributes, "bin/go": "#!/bin/sh\n"})
    vendoring.upstream.git("update-index", "--chmod=+x", "bin/go")
    vendoring.upstream.git("update-index", "--add", "--cacheinfo", f"160000,{'a' * 40},third")
    vendoring.upstream.git("commit", "--quiet", "--message", "Nest")
    script = (
        f"import os, pathlib, sys; lib = pathlib.Path('{FOLDER}'); "
        "assert (lib / 'inside').is_symlink() and (lib / 'inside').read_bytes() == b'$Id$\\n'; "
        "assert not (lib / 'outside').is_symlink(); assert (lib / 'third').is_dir(); "
        "assert os.access(lib / 'bin/go', os.X_OK); assert not os.access(lib / 'src/a.txt', os.X_OK); "
        "sys.exit('so far so good')"
    )
    [check] = gate(vendoring, python(script))
    assert "so far so good" in check.account
    assert "without outside (symbolic link that leads out of the tree)" in check.account


def test_without_a_commit_or_a_command_nothing_runs(vendoring: Vendoring) -> None:
    assert gate(bumped(vendoring)) == ()
    vendoring.settings["gate"] = [["false"]]
    settings, site = vendoring.read_settings(), vendoring.site
    vendored = read_vendored(settings, site)
    bump = Bump(candidate=vendoring.upstream.head, problem="the project is in no git repository")
    assert run_gate(vendored, vendoring.mirror(), settings, site, bump) == ()


def test_a_command_that_needs_the_repository_is_told_that_the_copy_has_none(vendoring: Vendoring) -> None:
    (check,) = gate(bumped(vendoring), ["git", "describe"])
    assert not check.passed
    assert check.account.endswith("The copy it ran in is without its git repository.")


def test_a_program_behind_a_link_that_leads_out_is_missing_and_it_is_said_why(vendoring: Vendoring) -> None:
    (vendoring.project.path / "bin").symlink_to(vendoring.room)
    (check,) = gate(bumped(vendoring), ["bin/check"])
    assert "there is no program 'bin/check'" in check.account
    assert "is without bin (symbolic link that leads out of the tree)" in check.account


def test_a_command_that_leaves_folders_deeper_than_a_path_may_be_long_leaves_nothing(
    vendoring: Vendoring,
) -> None:
    script = "import os\nfor _ in range(200): os.mkdir('d' * 50); os.chdir('d' * 50)"
    (check,) = gate(bumped(vendoring), python(script))
    assert check.passed
    assert not list((vendoring.state / "scratch").iterdir())
