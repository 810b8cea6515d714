"""Whatever is found in a place, what an incident needs is never closed, nor anything in flight touched."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from riskloop.channels import Kept, Posting, Standing
from riskloop.channels.markers import Marker, about
from riskloop.incidents import Concern, Incident
from riskloop.store.places import Here
from riskloop.store.postings import Posted
from riskloop.sweeping.planning import plan
from riskloop.sweeping.subjects import Subject
from riskloop.thresholds import Verdict

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NAMES = ("a", "b", "c")
REFERENCES = ("1", "2", "3", "4", "5", "6")


def incident(name: str) -> Incident:
    return Incident(
        id=name, subject=f"toys.{name}", concern=Concern.BREACH, severity=Verdict.WARNING, opened_at=NOW
    )


@st.composite
def heres(draw: st.DrawFn) -> dict[str, Here]:
    """Make a store's account of a place, in which no two incidents have the same posting."""
    references = iter(draw(st.permutations(REFERENCES)))
    found = {}
    for name in draw(st.sets(st.sampled_from(NAMES))):
        posted = None
        if draw(st.booleans()):
            state = draw(st.sampled_from(["open", "closed", "gone"]))
            posting = Posting(reference=next(references))
            posted = Posted(posting=posting, opening="d", state=state, state_at=NOW)
        uncertain = draw(st.booleans())
        found[name] = Here(
            incident=incident(name) if draw(st.booleans()) else None,
            posted=posted,
            addressed=draw(st.booleans()),
            unfinished=uncertain or draw(st.booleans()),
            uncertain=uncertain,
            last=draw(st.sampled_from([("resolved", "done"), ("resolved", "dead"), ("opened", "done")])),
        )
    return found


@st.composite
def kepts(draw: st.DrawFn) -> list[Kept]:
    """Make open postings, some of incidents that the store may not have."""
    found = []
    for reference in draw(st.lists(st.sampled_from(REFERENCES), unique=True)):
        subject = draw(st.sampled_from([*NAMES, "lost"]))
        marker = Marker(
            installation="here",
            incident=draw(st.sampled_from([*NAMES, "lost"])),
            delivery="d",
            about=about(f"toys.{subject}", Concern.BREACH),
        )
        found.append(Kept(posting=Posting(reference=reference), marker=marker, made_at=NOW))
    return found


SUBJECTS = {
    about(f"toys.{name}", Concern.BREACH): Subject(name=f"toys.{name}", concern=Concern.BREACH, well_at=when)
    for name, when in (("a", None), ("b", NOW), ("c", NOW + timedelta(hours=1)))
}


@given(heres(), heres(), kepts(), st.dictionaries(st.sampled_from(NAMES), st.sampled_from(Standing)))
def test_what_is_needed_or_in_flight_is_never_touched(
    before: dict[str, Here], after: dict[str, Here], there: list[Kept], looked_at: dict[str, Standing]
) -> None:
    before = {name: after.get(name, here) for name, here in before.items()} if len(there) % 2 else before
    planned = plan(before, after, there, looked_at, SUBJECTS)
    closed = [extra.kept.posting.reference for extra in planned.close]
    adopted = [kept.posting.reference for kept in planned.adopt.values()]
    assert len({*closed, *adopted}) == len(closed) + len(adopted), "each is dealt with once"
    for name, here in after.items():
        if here.incident and here.posted:
            assert here.posted.posting.reference not in {*closed, *adopted}
        touched = {extra.kept.marker.incident for extra in planned.close} | planned.adopt.keys()
        if here.uncertain or (name in before and before[name] != here):
            assert name not in {*touched, *planned.standings}
        if here.unfinished or not here.addressed:
            assert name not in planned.adopt
    listed = {kept.posting.reference for kept in there}
    for extra in planned.close:
        if extra.beside is not None:
            stays = extra.beside.reference in listed or Standing.OPEN in looked_at.values()
            assert stays, "one is left open for each that is closed as its duplicate"


@given(heres(), kepts())
def test_planning_again_after_it_was_done_finds_nothing_more(
    stored: dict[str, Here], there: list[Kept]
) -> None:
    missing = dict.fromkeys(stored, Standing.GONE)
    planned = plan(stored, stored, there, missing, SUBJECTS)
    done = {extra.kept.posting.reference for extra in planned.close}
    left = [kept for kept in there if kept.posting.reference not in done]
    now = stored | {
        name: replace(
            stored[name],
            posted=Posted(posting=kept.posting, opening="d", state="open", state_at=NOW),
        )
        for name, kept in planned.adopt.items()
    }
    again = plan(now, now, left, missing, SUBJECTS)
    assert (again.adopt, again.close) == ({}, [])
