"""An incident of one owner never reaches another owner's repository or workspace, whoever is at work."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from riskloop.assessing import assess
from riskloop.channels.github import GitHub
from riskloop.channels.slack import Slack
from riskloop.delivery import Postman
from riskloop.identity import Accounts, read_identity
from riskloop.notifications import Reach
from riskloop.risks import Mitigation, Owner, SlackChannel
from riskloop.store import Store, letters, open_store
from riskloop.store.tables import deliveries, incidents, postings
from tests.emulator.rig import Rig
from tests.store.shelf import NOW, occasion, seen, toy
from tests.toys import LEAD, QA

pytestmark = pytest.mark.server

EACH = 10
"""Incidents of each owner."""
WORKERS = 4
LIFE = (2.0, 20.0, 0.0)


class Team:
    """Two owners, each with a repository, and a workspace on an emulator of their own."""

    def __init__(self, rig: Rig, other: Rig, place: Path, url: str) -> None:
        rig.join(other)
        self.rig, self.place, self.url = rig, place, url
        self.tokens = {"north": rig.tokens.slack, "south": other.tokens.slack}
        self.workspaces = {"north": rig, "south": other}
        self.identity = read_identity(place / "state")
        self.owners = [
            replace(
                owner,
                repository=rig.new_repository(),
                channel=SlackChannel(channel=self.workspaces[workspace].new_channel(), workspace=workspace),
            )
            for owner, workspace in ((LEAD, "north"), (QA, "south"))
        ]
        self.toys = [self._toy(number, owner) for owner in self.owners for number in range(EACH)]

    def _toy(self, number: int, owner: Owner) -> Mitigation:
        name = owner.name.lower().replace(" ", "-")
        risk = replace(toy(0).risk, id=name, title=f"Secrets of {owner.name}", owners=(owner,))
        return replace(toy(number), id=f"{name}.{number}", risk=risk)

    def look(self, store: Store, leaks: float) -> None:
        reach = Reach(github=True, slack=frozenset(self.tokens))
        run = replace(occasion(f"run of {leaks}", self.place), reach=reach)
        assess(store, [(one, seen(one, {"leaks": leaks})) for one in self.toys], run)

    def deliver(self, number: int) -> None:
        """Be one of several workers, until there is nothing left to do."""
        key, accounts = self.identity.key, Accounts(self.place)
        store = open_store(self.url)
        postman = Postman(
            store=store,
            channels={
                "github": GitHub(self.rig.tokens.github, self.rig.github_url, key=key, accounts=accounts),
                "slack": Slack(self.tokens, self.rig.slack_url, key=key, accounts=accounts),
            },
            identity=self.identity,
            worker=f"worker {number}",
            settle=timedelta(0),
            budgets={},
            clock=lambda: NOW,
            sleep=lambda _: None,
        )
        while postman.deliver():
            pass
        store.close()

    def heard(self, owner: Owner) -> list[str]:
        """List the words of everything in an owner's repository and channel."""
        assert owner.repository is not None
        assert owner.channel is not None
        workspace = self.workspaces[owner.channel.workspace]
        issues = self.rig.issues(owner.repository)
        comments = [c for i in issues for c in self.rig.comments(owner.repository, i["number"])]
        messages = workspace.messages(owner.channel.channel)
        replies = [r for m in messages for r in workspace.replies(owner.channel.channel, m["ts"])]
        return [f"{one}" for one in (*issues, *comments, *messages, *replies)]


@pytest.fixture
def team(rig: Rig, other_rig: Rig, tmp_path: Path, store_url: str) -> Team:
    return Team(rig, other_rig, tmp_path, store_url)


def test_two_owners_hear_all_of_their_own_and_nothing_of_each_other_s(team: Team, store: Store) -> None:
    for leaks in LIFE:
        team.look(store, leaks)
        with ThreadPoolExecutor(WORKERS) as workers:
            list(workers.map(team.deliver, range(WORKERS)))
    with store.reading() as connection:
        counts = letters.count_deliveries(connection)
    assert (counts["pending"], counts["sending"], counts["dead"]) == (0, 0, 0)
    for mine, theirs in (team.owners, team.owners[::-1]):
        heard = team.heard(mine)
        # An issue with two comments, and a message with two replies, for each incident.
        assert len(heard) == EACH * 6
        assert not any(f"Secrets of {theirs.name}" in words for words in heard)


@pytest.mark.parametrize("known", [False, True], ids=["new", "as if it were known there"])
def test_a_delivery_that_strayed_to_another_owner_s_place_is_stopped_when_it_is_sent(
    team: Team, store: Store, *, known: bool
) -> None:
    team.look(store, 2)
    mine, theirs = team.owners
    if known:
        team.deliver(0)
        team.look(store, 20)
    assert theirs.channel is not None
    astray = {"github": theirs.repository, "slack": theirs.channel.place}
    with store.writing() as connection:
        for channel, place in astray.items():
            connection.execute(
                update(deliveries)
                .where(deliveries.c.channel == channel, deliveries.c.owner == mine.name)
                .values(target=place)
            )
            strayed = select(incidents.c.id).where(incidents.c.owner == mine.name)
            connection.execute(
                update(postings)
                .where(postings.c.channel == channel, postings.c.incident.in_(strayed))
                .values(target=place)
            )
    team.deliver(0)
    with store.reading() as connection:
        dead = letters.list_deliveries(connection, states={"dead"}, limit=99)
    assert len(dead) == EACH * 2
    assert {"is no place of SDK Lead" in one.last_error for one in dead} == {True}
    assert len(team.heard(theirs)) == EACH * (4 if known else 2)
    assert not any("Secrets of SDK Lead" in words for words in team.heard(theirs))
