"""Many incidents of one owner in one run are told of together first, and each by itself after that."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from riskloop.assessing import assess, retire, settle_floods
from riskloop.assessing.flooding import MANY, tell_of_floods
from riskloop.incidents import Concern, Incident
from riskloop.notifications import Facts
from riskloop.store import Store, history, letters, outbox
from riskloop.store.budget import Budget, take
from riskloop.thresholds import Verdict
from tests.store.claiming import claim_next
from tests.store.shelf import NOW, Looks, count, looks, occasion, seen, toy
from tests.toys import LEAD, QA

MANY_LEAKS = [2.0] * (MANY + 1)


def floods(store: Store) -> tuple[Incident, ...]:
    with store.reading() as connection:
        return history.open_of_concern(connection, Concern.FLOOD)


def next_facts(store: Store) -> Facts:
    with store.writing() as connection:
        claim = claim_next(connection, channels={"github"}, worker="w", now=NOW)
        assert claim is not None
        outbox.finish(connection, claim, None, opening=claim.id, now=NOW)
    return claim.facts


def test_twenty_are_told_of_one_by_one(store: Store, tmp_path: Path) -> None:
    assess(store, looks([2.0] * MANY), occasion("run", tmp_path))
    assert floods(store) == ()


def test_more_are_told_of_together_before_each_of_them(store: Store, tmp_path: Path) -> None:
    assess(store, looks([2.0, 20.0, *MANY_LEAKS]), occasion("run", tmp_path))
    facts = next_facts(store)
    assert facts.concern is Concern.FLOOD
    assert facts.severity is Verdict.CRITICAL
    assert facts.owners[0].name == "SDK Lead"
    assert "23 incidents opened in one run" in facts.reason
    listed = facts.sections[0].body.splitlines()
    assert len(listed) == 23
    assert listed[0].startswith("critical  toys.001")
    assert next_facts(store).subject == "toys.001", "then the most urgent of them"


def test_those_of_another_owner_are_not_counted(store: Store, tmp_path: Path) -> None:
    given: Looks = looks(MANY_LEAKS)
    theirs = replace(given[0][0], risk=replace(given[0][0].risk, owners=(QA,)))
    assess(store, [(theirs, given[0][1]), *given[1:]], occasion("run", tmp_path))
    assert floods(store) == ()


def test_owners_take_turns_and_of_each_one_s_the_critical_comes_first(store: Store, tmp_path: Path) -> None:
    for owner in (LEAD, QA):
        risk = replace(toy(0).risk, owners=(owner,))
        toys = [replace(toy(number), id=f"{owner.name} {number}", risk=risk) for number in range(3)]
        given = [(one, seen(one, {"leaks": n})) for one, n in zip(toys, (2.0, 2.0, 20.0), strict=True)]
        assess(store, given, occasion(owner.name, tmp_path))
    with store.reading() as connection:
        ids = outbox.queue(connection, channels={"github"}, closed=(), now=NOW, limit=20)
        found = [letters.read_delivery(connection, one) for one in ids]
    told = [one[0].subject for one in found if one]
    assert told == ["SDK Lead 2", "QA 2", "SDK Lead 0", "QA 0", "SDK Lead 1", "QA 1"]


def test_of_owners_whose_turn_it_is_the_one_written_to_last_waits(store: Store, tmp_path: Path) -> None:
    names = ("SDK Lead", "QA", "SRE")
    for name in names:
        risk = replace(toy(0).risk, owners=(replace(LEAD, name=name),))
        one = replace(toy(0), id=name, risk=risk)
        assess(store, [(one, seen(one, {"leaks": 2.0}))], occasion(name, tmp_path))
    hourly = Budget(gap=timedelta(0))
    for number, name in enumerate(("SDK Lead", "QA", "SDK Lead")):
        with store.writing() as connection:
            then = NOW + timedelta(seconds=number)
            take(connection, "github", name, hourly, now=then, patience=timedelta(0))
    with store.reading() as connection:
        ids = outbox.queue(connection, channels={"github"}, closed=(), now=NOW, limit=20)
        found = [letters.read_delivery(connection, one) for one in ids]
    assert [one[0].subject for one in found if one] == ["SRE", "QA", "SDK Lead"]


def test_a_run_that_is_repeated_tells_of_them_once(store: Store, tmp_path: Path) -> None:
    for _ in range(2):
        assess(store, looks(MANY_LEAKS), occasion("run", tmp_path))
        tell_of_floods(store, occasion("run", tmp_path))
    assert count(store, "transitions WHERE change = 'opened'") == len(MANY_LEAKS) + 1


def test_another_flood_while_one_stands_worsens_it(store: Store, tmp_path: Path) -> None:
    assess(store, looks(MANY_LEAKS), occasion("first", tmp_path))
    before = len(MANY_LEAKS)
    shifted = [
        (replace(toy(n + before), risk=m.risk), replace(look, mitigation=f"toys.{n + before:03}"))
        for n, (m, look) in enumerate(looks(MANY_LEAKS))
    ]
    assess(store, shifted, occasion("second", tmp_path))
    (flood,) = floods(store)
    assert flood.reason == "21 more incidents opened in one run"


def test_it_is_resolved_when_each_has_been_told_of_or_is_over(store: Store, tmp_path: Path) -> None:
    assess(store, looks(MANY_LEAKS), occasion("run", tmp_path))
    assert settle_floods(store, occasion("later", tmp_path)) == ()
    assess(store, looks([0.0] * len(MANY_LEAKS)), occasion("better", tmp_path))
    assert len(settle_floods(store, occasion("later", tmp_path))) == 1
    assert floods(store) == ()


def test_it_is_not_taken_for_a_mitigation_that_left_the_register(store: Store, tmp_path: Path) -> None:
    assess(store, looks(MANY_LEAKS), occasion("run", tmp_path))
    retire(store, {toy(n).id for n in range(len(MANY_LEAKS))}, occasion("next", tmp_path))
    assert len(floods(store)) == 1
