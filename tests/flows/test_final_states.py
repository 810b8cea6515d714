"""How a run ends says what it found, in Prefect's own words."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from riskloop import mitigations
from tests.flows.looping import MITIGATION, Team, register_of

pytestmark = pytest.mark.server

UNABLE = (
    "kind: fixture_drift, id: unable, directory: fixtures, regenerate: [sh, nowhere.sh], "
    "thresholds: {fixtures_changed: {warning: 1}}"
)

TOY = '''
"""Counts leaks; a toy."""

from pydantic import BaseModel

from riskloop.measurements import HIGHER, Evidence, Measurement, Metric, Observation

class Settings(BaseModel):
    leaks: int

METRICS = (Metric("leaks", "leaks", worse=HIGHER, says="things that got out"),)
REMEDY = ("mend it",)
FORMS = ()
HEEDS = ()
RECALLS = ()
mitigate = None

def measure(settings, site):
    if settings.leaks < 0:
        raise LookupError("nobody thought of this")
    return Observation(
        measurements=(Measurement("leaks", settings.leaks),), evidence=Evidence(summary="counted")
    )
'''

TOY_FLOW = '''
"""Leaks."""

from prefect import flow

from tasks.assess import assess
from tasks.conclude import conclude
from tasks.measure import measure
from tasks.notify import notify
from tasks.register import register
from tasks.report import report


@flow(name="leak-count")
def leak_count():
    team = register()
    chosen = team.mitigations("leak_count")
    looks = measure(team, chosen)
    assessed = assess(team, chosen, looks)
    notify()
    report(assessed)
    return conclude(assessed)
'''


@pytest.fixture
def leak_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Add a kind and its flow, as two files."""
    kinds, flows = tmp_path / "kinds", tmp_path / "flows"
    for folder, content in ((kinds, TOY), (flows, TOY_FLOW)):
        folder.mkdir()
        (folder / "leak_count.py").write_text(content, encoding="utf-8")
    import flows as package  # noqa: PLC0415 - a package of modules that import Prefect, which takes seconds

    monkeypatch.setattr(mitigations, "__path__", [*mitigations.__path__, str(kinds)])
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(flows)])
    mitigations.kinds.cache_clear()
    yield
    mitigations.kinds.cache_clear()
    for name in ("riskloop.mitigations.leak_count", "flows.leak_count"):
        sys.modules.pop(name, None)


def test_a_run_that_finds_nothing_is_completed(team: Team) -> None:
    ended = team.look()
    assert (ended.type, ended.name) == ("COMPLETED", "Completed")
    assert ended.message == "1 looked at, all within their thresholds"


def test_a_run_that_finds_a_breach_is_completed_and_named_breached(team: Team) -> None:
    team.record(a="2")
    ended = team.look()
    assert (ended.type, ended.name) == ("COMPLETED", "Breached")
    assert ended.message == f"over the threshold: {MITIGATION}"


def test_a_breach_fails_the_run_only_from_where_the_register_says_so(team: Team) -> None:
    team.register(register_of(team, more="fail_run: critical"))
    team.record(a="2")
    assert (warned := team.look()).type == "COMPLETED", warned
    team.record(b="2")
    ended = team.look()
    assert (ended.type, ended.name) == ("FAILED", "Breached")


def test_a_generator_that_fails_fails_the_run_and_closes_nothing_and_twice_is_an_incident(
    team: Team,
) -> None:
    team.record(a="2")
    team.look()
    team.record(a="1")
    team.write({"input/broken": ""})
    ended = team.look()
    assert (ended.type, ended.name) == ("FAILED", "Failed")
    assert ended.message == f"could not look at: {MITIGATION}"
    assert team.told() == (["open"], 0, 1, 0)
    team.look()
    breach, blind = team.issues()
    assert (breach["state"], blind["state"]) == ("open", "open")
    assert "the recorder is broken" in blind["body"]
    team.look()
    assert len(team.issues()) == 2
    (team.project / "input" / "broken").unlink()
    assert team.look().name == "Completed"
    assert team.told()[0] == ["closed", "closed"]


def test_one_that_cannot_be_looked_at_hides_no_other(team: Team) -> None:
    team.register(register_of(team, mitigations=[UNABLE]))
    team.record(a="2")
    ended = team.look()
    assert ended.message == "could not look at: unable"
    assert team.told() == (["open"], 0, 1, 0)


def test_a_bug_in_one_mitigation_is_raised_once_the_others_were_assessed_and_told(
    team: Team, leak_count: None
) -> None:
    toys = [
        f"kind: leak_count, id: {name}, leaks: {leaks}, thresholds: {{leaks: {{warning: 1}}}}"
        for name, leaks in (("dry", 0), ("buggy", -1), ("wet", 3))
    ]
    team.register(register_of(team, mitigations=toys))
    ended = team.run("leak_count")
    assert (ended.type, ended.name) == ("FAILED", "Failed")
    (issue,) = team.issues()
    assert "wet" in issue["body"]
    raised = ended.result(raise_on_failure=False)
    assert isinstance(raised, ExceptionGroup)
    (bug,) = raised.exceptions
    assert (type(bug), str(bug)) == (LookupError, "nobody thought of this")
    verdicts = [row["data"] for row in team.artifacts("markdown")]
    assert len(verdicts) == 3
    assert any("unexpected LookupError: nobody thought of this" in page for page in verdicts)


def test_an_id_that_is_not_in_the_register_fails_the_run_with_what_was_meant(team: Team) -> None:
    ended = team.look(mitigations=["stale-fixtures.fixture_drfit"])
    assert ended.type == "FAILED"
    assert f"did you mean '{MITIGATION}'" in str(ended.message)
