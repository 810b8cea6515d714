"""What asks for a decision is one issue and one thread, also closed by hand, and with the store lost."""

from pathlib import Path

import pytest

from riskloop.approvals import Decision
from riskloop.identity import read_identity
from riskloop.store import Store
from tests.emulator.rig import Rig
from tests.shredding import Office
from tests.sweeping.sweeps import SweptService, lose

pytestmark = pytest.mark.server


class Firm:
    """An office whose owner is told on the emulator, in a repository and a channel of its own."""

    def __init__(self, rig: Rig, store: Store, place: Path, places: tuple[str, str]) -> None:
        self.service = SweptService(rig, store, read_identity(place / "state"), place, places)
        (owner,) = self.service.mitigation.risk.owners
        self.office = Office(store, place, self.service.clock, owner=owner)

    def run(self, *, sheets: int = 3) -> None:
        """Look and act on it, as a run does, and tell of it."""
        self.office.run(self.office.plan(sheets=sheets))
        self.service.deliver()

    def follow_up(self, *, hours: float = 0) -> None:
        """Wait, and do a round."""
        self.office.wait(hours)
        self.office.follow_up()
        self.service.deliver()

    def decide(self, decision: Decision = Decision.APPROVE) -> None:
        self.office.decide(self.office.mitigation.id, decision)
        self.service.deliver()

    def sweep(self) -> tuple[str, ...]:
        return self.service.sweep(mitigations=self.office.mitigations)

    def told(self) -> tuple[list[tuple[str, int]], list[int]]:
        """Give each issue's state and its number of comments, and the number of replies in each thread."""
        return self.service.issues(), self.service.threads()


@pytest.fixture
def firm(rig: Rig, store: Store, tmp_path: Path, repository: str, slack_channel: str) -> Firm:
    return Firm(rig, store, tmp_path, (repository, slack_channel))


def test_from_the_asking_to_the_end_it_is_one_issue_and_one_thread(firm: Firm) -> None:
    firm.run()
    assert firm.told() == ([("open", 0)], [0])
    firm.follow_up(hours=12)
    firm.follow_up()
    assert firm.told() == ([("open", 1)], [1])
    firm.follow_up(hours=10)
    assert firm.told() == ([("open", 2)], [2])
    firm.follow_up(hours=2)
    assert firm.told() == ([("open", 3)], [3])
    assert "nobody decided by" in firm.service.last_comment()
    assert "severity:critical" in [label["name"] for label in firm.service.issue()["labels"]]
    firm.run()
    assert firm.told() == ([("open", 4)], [4])
    assert "asked again" in firm.service.last_comment()
    assert "severity:warning" in [label["name"] for label in firm.service.issue()["labels"]]
    firm.decide()
    assert firm.told() == ([("closed", 5)], [5])
    assert "approved by Mia: they are old; 3 sheets shredded" in firm.service.last_comment()
    assert firm.sweep() == ()


def test_rejected_it_is_closed_and_the_next_run_asks_in_a_new_issue(firm: Firm) -> None:
    firm.run()
    firm.decide(Decision.REJECT)
    assert firm.told() == ([("closed", 1)], [1])
    firm.run()
    assert [state for state, _ in firm.service.issues()] == ["closed", "open"]


def test_closed_by_hand_it_says_that_this_decides_nothing_and_the_next_reminder_opens_it(firm: Firm) -> None:
    firm.run()
    firm.service.rig.close_issue(firm.service.repository, firm.service.issue()["number"], "completed")
    (said,) = firm.sweep()
    assert "was closed by a person; riskloop says there that this decides nothing" in said
    firm.service.deliver()
    assert "To close this issue decides nothing" in firm.service.last_comment()
    assert firm.told() == ([("closed", 1)], [0])
    firm.follow_up(hours=12)
    assert firm.told() == ([("open", 2)], [1])


def test_what_was_aborted_and_closed_by_hand_is_opened_when_it_is_asked_again(firm: Firm) -> None:
    firm.run()
    firm.follow_up(hours=24)
    firm.service.rig.close_issue(firm.service.repository, firm.service.issue()["number"], "not_planned")
    firm.sweep()
    firm.service.deliver()
    firm.run()
    assert [state for state, _ in firm.service.issues()] == ["open"]
    assert "asked again" in firm.service.last_comment()


def test_a_lost_store_adopts_the_issue_and_the_message_of_what_is_asked_anew(firm: Firm) -> None:
    firm.run()
    lose(firm.service.store)
    firm.office.wait(1)
    firm.run()
    assert firm.told() == ([("open", 0)], [0])
    assert firm.office.approval().id in firm.service.issue()["body"]
    assert firm.sweep() == ()
    firm.decide()
    assert firm.told() == ([("closed", 1)], [1])
    assert firm.service.open_messages() == []


def test_a_lost_store_closes_what_nothing_asks_for_any_more(firm: Firm) -> None:
    firm.run()
    lose(firm.service.store)
    assert firm.sweep() == (), "nobody has looked yet"
    firm.office.wait(1)
    firm.run(sheets=1)
    said = firm.sweep()
    assert len(said) == 2
    assert all("no decision is owed about toys.shredder-000" in one for one in said)
    assert firm.told() == ([("closed", 0)], [0])
    assert firm.service.open_messages() == []
