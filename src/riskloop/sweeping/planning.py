"""Decides what is to be put in order in one place: what to adopt, what to close, what people did."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from riskloop.channels import Kept, Posting, Standing
from riskloop.channels.markers import about
from riskloop.incidents import Change
from riskloop.store.places import Here
from riskloop.sweeping.subjects import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """An open posting that should not be.

    Args:
        beside: the incident's own posting, where this is one too many; None where what it tells of is over.
        why: what is over.
    """

    kept: Kept
    beside: Posting | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done in a place.

    Args:
        adopt: by incident, the open posting that is its own from now on.
        standings: by incident, how its posting is there now.
        close: what is to be closed.
        later: something could not be judged yet.
    """

    adopt: Mapping[str, Kept]
    standings: Mapping[str, Standing]
    close: Sequence[Extra]
    later: bool


def plan(
    before: Mapping[str, Here],
    after: Mapping[str, Here],
    there: Sequence[Kept],
    looked_at: Mapping[str, Standing],
    subjects: Mapping[str, Subject],
) -> Plan:
    """Compare what the store says of a place, before and after a look at it, with what is there.

    What changed meanwhile, or is on its way, is left for later: it may be what was found.

    Args:
        there: our open postings, the oldest first.
        looked_at: by incident, postings that were looked at one by one.
        subjects: what the register gives rise to, as markers shorten it.
    """
    return _Planner(before=before, after=after, there=there, looked_at=looked_at, subjects=subjects).plan()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planner:
    before: Mapping[str, Here]
    after: Mapping[str, Here]
    there: Sequence[Kept]
    looked_at: Mapping[str, Standing]
    subjects: Mapping[str, Subject]
    adopt: dict[str, Kept] = field(default_factory=dict)
    close: list[Extra] = field(default_factory=list)
    later: list[Kept] = field(default_factory=list)

    def plan(self) -> Plan:
        listed = {kept.posting.reference for kept in self.there}
        standings = {
            incident: standing
            for incident, here in self.after.items()
            if here.incident and (standing := self._standing(incident, here, listed))
        }
        own = {
            here.posted.posting.reference
            for here in self.after.values()
            if here.incident is not None and here.posted is not None
        }
        for incident, found in self._by_incident(own).items():
            if incident is None:
                self._judge_unknown(found)
            elif self._is_unsettled(incident):
                self.later.extend(found)
            else:
                self._judge(incident, found, standings.get(incident))
        told = {
            incident: standing
            for incident, standing in standings.items()
            if incident not in self.adopt and not self._is_unsettled(incident)
        }
        return Plan(adopt=self.adopt, standings=told, close=self.close, later=bool(self.later))

    def _standing(self, incident: str, here: Here, listed: Collection[str]) -> Standing | None:
        if here.posted is None:
            return None
        is_listed = here.posted.posting.reference in listed
        return Standing.OPEN if is_listed else self.looked_at.get(incident)

    def _by_incident(self, own: Collection[str]) -> dict[str | None, list[Kept]]:
        """Sort what is no incident's own posting by whose it may be: by its marker, else by its subject."""
        is_open = {
            about(here.incident.subject, here.incident.concern): incident
            for incident, here in self.after.items()
            if here.incident is not None
        }
        found: dict[str | None, list[Kept]] = {}
        for kept in self.there:
            if kept.posting.reference not in own:
                named = kept.marker.incident
                incident = named if named in self.after else is_open.get(kept.marker.about)
                found.setdefault(incident, []).append(kept)
        return found

    def _is_unsettled(self, incident: str) -> bool:
        here = self.after[incident]
        if here.uncertain:
            return True
        if incident in self.before:
            return self.before[incident] != here
        # What was resolved, with nothing on its way, was not read before.
        return here.incident is not None or here.unfinished

    def _judge_unknown(self, found: Sequence[Kept]) -> None:
        for kept in found:
            subject = self.subjects.get(kept.marker.about)
            if subject is None:
                why = "what it tells of is no longer in the register, or is switched off there"
                self.close.append(Extra(kept=kept, why=why))
            elif subject.was_well_after(kept.made_at):
                self.close.append(Extra(kept=kept, why=subject.is_over))
            else:
                self.later.append(kept)

    def _judge(self, incident: str, found: Sequence[Kept], standing: Standing | None) -> None:
        here = self.after[incident]
        if here.incident is None:
            # One that we closed at the end and that is open again was opened by a person, who wants it so.
            reopened = here.posted.posting.reference if here.posted and _was_ended(here) else None
            over = [kept for kept in found if kept.posting.reference != reopened]
            if here.unfinished:
                self.later.extend(over)
            else:
                self.close.extend(
                    Extra(kept=kept, why="the incident it tells of is resolved") for kept in over
                )
        elif here.posted is not None and standing is Standing.OPEN:
            self.close.extend(Extra(kept=kept, beside=here.posted.posting) for kept in found)
        elif here.unfinished or not here.addressed or (here.posted is not None and standing is None):
            self.later.extend(found)
        else:
            # It has none, or one that a person closed or took away: one that is open stands in for it.
            chosen, *others = found
            self.adopt[incident] = chosen
            self.close.extend(Extra(kept=kept, beside=chosen.posting) for kept in others)


def _was_ended(here: Here) -> bool:
    return here.last == (Change.RESOLVED, "done")
