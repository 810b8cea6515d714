"""Twelve canary secrets go through every path, failing and not, and come out of none of them."""

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import SecretStr
from sqlalchemy import text as sql

from riskloop import commands, redaction
from riskloop.assessing import Occasion, assess, assess_service
from riskloop.errors import StoreError, Unmeasurable
from riskloop.git import Mirror
from riskloop.looking import look
from riskloop.measurements import Evidence, Look, Measurement, Observation, Section
from riskloop.notifications import Links, Reach
from riskloop.project import now
from riskloop.risks import Mitigation, Owner, Site, SlackChannel
from riskloop.services import Services, open_services
from riskloop.settings import Settings, read_settings
from riskloop.speaking import postman
from riskloop.store import history
from riskloop.thresholds import Threshold
from tests import canaries
from tests.canaries import CANARIES, OURS
from tests.emulator.fixtures import hold_to_the_description
from tests.emulator.rig import Rig
from tests.proxy.faults import Fault, github_says
from tests.toys import RISK, TOY, ToySettings

pytestmark = pytest.mark.server

ISSUES = r"/repos/[^/]+/[^/]+/issues"
PASSWORD = quote(CANARIES["the password of the store"], safe="")
GIT_ADDRESS = f"https://riskloop:{CANARIES['a password in an error of git']}@127.0.0.1:9/x.git"


@pytest.fixture(scope="module")
def canary_rig() -> Iterator[Rig]:
    """Start an emulator that knows our canaries for its tokens."""
    with Rig(canaries.TOKENS) as rig:
        yield rig
        hold_to_the_description(rig)


@pytest.fixture
def log() -> Iterator[StringIO]:
    """Give everything that is logged by anybody, at every level, as handlers write it."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.setLevel(level)
    root.removeHandler(handler)


@dataclass(kw_only=True)
class House:
    """A service whose every secret is a canary, and what it left behind.

    Args:
        log: everything that was logged.
        said: what went on the way to a person: deliveries' errors, looks' reasons, errors raised.
    """

    rig: Rig
    place: Path
    settings: Settings
    repository: str
    channel: str
    log: StringIO
    said: list[str]

    @property
    def state(self) -> Path:
        return self.settings.state

    def owner(self, *, workspace: str, repository: bool = True) -> Owner:
        return Owner(
            name="SDK Lead",
            github="octo-lead",
            repository=self.repository if repository else None,
            channel=SlackChannel(channel=self.channel, workspace=workspace),
        )

    def mitigation(self, name: str, measure: Any, owner: Owner) -> Mitigation:
        kind = replace(TOY, measure=measure)
        # What the team itself wrote into its register goes the same ways.
        contingency = f"call {CANARIES['the GitHub token']}"
        risk = replace(RISK, id=name, owners=(owner,), contingency=contingency)
        threshold = {"leaks": Threshold(warning=1)}
        return Mitigation(
            id=f"{name}.toy", kind=kind, risk=risk, settings=ToySettings(), thresholds=threshold
        )

    def look(self, *mitigations: Mitigation) -> list[Look]:
        """Look once at each, as a task does, and say what it would log."""
        site = Site(project=self.place, state=self.state, now=now())
        looks = [look(mitigation, site) for mitigation in mitigations]
        self.said += [seen.reason for seen in looks]
        return looks

    def tell(self, services: Services, run: str, reach: Reach, *mitigations: Mitigation) -> None:
        """Look, store what follows, and deliver it."""
        occasion = Occasion(
            project="Canaries",
            run=run,
            register_digest="d",
            reach=reach,
            links=Links(),
            evidence=self.state / "evidence",
            now=now(),
        )
        looked = list(zip(mitigations, self.look(*mitigations), strict=True))
        assess(services.store, looked, occasion)
        problem = f"the register says {CANARIES['a Slack token']}" if "fails" in run else ""
        assess_service(
            services.store,
            owner=mitigations[0].risk.owners[0],
            problem=problem,
            remedy="correct it",
            occasion=occasion,
        )
        delivered = postman(services, {}).deliver()
        self.said += [f"{one.state} {one.url} {one.error}" for one in delivered]

    def leaks(self) -> dict[str, list[str]]:
        """Name every place in which there is a canary, and which."""
        places = {
            "the log": self.log.getvalue(),
            "what was said": "\n".join(self.said),
            "the store": self._rows(),
            "GitHub": json.dumps([self._issues(), self._sent("github")]),
            "Slack": json.dumps([self._messages(), self._sent("slack")]),
        }
        leaking = {place: names for place, text in places.items() if (names := canaries.found(text))}
        return leaking | canaries.found_in_files(self.state, but=frozenset({"key"}))

    def _rows(self) -> str:
        with open_services(self.settings) as services, services.store.reading() as connection:
            tables = "SELECT name FROM sqlite_master WHERE type = 'table'"
            if not services.store.on_sqlite:
                tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            names = [str(name) for (name,) in connection.execute(sql(tables))]
            rows = {name: connection.execute(sql(f'SELECT * FROM "{name}"')).fetchall() for name in names}
        assert rows["transitions"]
        assert rows["deliveries"]
        return "\n".join(str(value) for table in rows.values() for row in table for value in row)

    def _issues(self) -> list[Any]:
        issues = self.rig.issues(self.repository)
        return [issues, *(self.rig.comments(self.repository, issue["number"]) for issue in issues)]

    def _messages(self) -> list[Any]:
        messages = self.rig.messages(self.channel)
        return [messages, *(self.rig.replies(self.channel, message["ts"]) for message in messages)]

    def _sent(self, service: str) -> list[Any]:
        # Without the header and the path: the token and the webhook are there to be sent.
        proxy = self.rig.github if service == "github" else self.rig.slack
        return [
            {name: value for name, value in request.sent.items() if name != "token"}
            for request in proxy.recorded
        ]


@pytest.fixture(autouse=True)
def _nothing_known_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Know no secret at the start, whatever other tests told this process."""
    monkeypatch.setattr("riskloop.redaction._known.redactor", redaction.Redactor(()))


@pytest.fixture
def house(canary_rig: Rig, log: StringIO, tmp_path: Path) -> House:
    canary_rig.renew()
    given = {
        **canaries.environment(tmp_path, slack=canary_rig.slack.url),
        "RISKLOOP_GITHUB_URL": canary_rig.github_url,
        "RISKLOOP_SLACK_URL": canary_rig.slack_url,
        "RISKLOOP_SETTLE_SECONDS": "0",
        "RISKLOOP_WRITE_INTERVAL_SECONDS": "0",
    }
    settings = read_settings(given, register=tmp_path / "riskloop.yaml", state=tmp_path / "state")
    canaries.put_key(settings.state)
    return House(
        rig=canary_rig,
        place=tmp_path,
        settings=settings,
        repository=canary_rig.new_repository(),
        channel=canary_rig.new_channel(),
        log=log,
        said=[],
    )


def shows_everything(settings: object, site: Site) -> Observation:
    """Find a breach, with every secret of ours in every part of its evidence."""
    del settings, site
    secret = canaries.everything()
    evidence = Evidence(
        summary=f"3 leaks: {secret}",
        sections=(Section(title=f"title {secret[:200]}", body=secret, language="diff"),),
        document=secret,
        fingerprint=CANARIES["the GitHub token"],
    )
    return Observation(measurements=(Measurement("leaks", 3.0),), evidence=evidence)


def raises_a_bug(settings: object, site: Site) -> Observation:
    del settings, site
    raise LookupError(f"{CANARIES['a token in an exception of a kind']} {canaries.everything()}")


def raises_a_reason(settings: object, site: Site) -> Observation:
    del settings, site
    raise Unmeasurable(f"could not be read: {canaries.everything()}", remedy=f"use {OURS[0]}")


def asks_git(settings: object, site: Site) -> Observation:
    del settings
    Mirror(source=GIT_ADDRESS, state=site.state).fetch_head()
    raise AssertionError


def runs_a_child(settings: object, site: Site) -> Observation:
    """Let a child say what it was given, and be quoted."""
    del settings
    program = 'env; env >&2; echo "$2" >&2; echo "fatal: unable to access $1" >&2; exit 3'
    # A line that is quoted is cut after 400 characters: in the middle of a token.
    long = f"{'x' * 380} {CANARIES['a token in an HTTP error']}"
    environment = commands.clean_environment(
        home=site.state, allowed=["RISKLOOP_GITHUB_TOKEN", "RISKLOOP_SLACK_TOKEN", "PREFECT_API_KEY", "LANG"]
    )
    ended = commands.run(
        ["sh", "-c", program, "sh", GIT_ADDRESS, long], cwd=site.state, environment=environment, timeout=10
    )
    assert not canaries.found(ended.stdout.decode())
    raise Unmeasurable(ended.account())


def live_through_everything(house: House, services: Services) -> None:
    """Take every path: told, previewed, refused by each channel in its own words, and not even looked at."""
    reach = services.reach(events=False)
    told = house.mitigation("told", shows_everything, house.owner(workspace=""))
    hooked = house.mitigation("hooked", shows_everything, house.owner(workspace="hooked", repository=False))
    barred = house.mitigation("barred", shows_everything, house.owner(workspace="acme", repository=False))
    filed = house.mitigation("filed", shows_everything, house.owner(workspace="filed", repository=False))
    shown = house.mitigation("shown", shows_everything, house.owner(workspace=""))
    failing = [
        house.mitigation(name, measure, house.owner(workspace=""))
        for name, measure in (
            ("bug", raises_a_bug),
            ("reason", raises_a_reason),
            ("git", asks_git),
            ("child", runs_a_child),
        )
    ]
    house.tell(services, "opens", reach, told, hooked, barred, filed)
    house.tell(services, "previews", Reach(), shown)
    for run in ("fails once", "fails again", "fails for long"):
        house.tell(services, run, reach, *failing)
    # The words of a refusal are cut: a token that begins before the cut must not remain by half.
    echo = f"{CANARIES['a token in an HTTP error']} {'x' * 130} {CANARIES['the GitHub token']}"
    needed = CANARIES["a token in what Slack says"]
    scope = {"ok": False, "error": "missing_scope", "needed": needed, "provided": CANARIES["a Slack token"]}
    house.rig.github.fail(github_says(422, echo), path=ISSUES)
    house.rig.slack.fail(Fault(status=200, body=json.dumps(scope)), path="/api/chat.postMessage")
    house.rig.slack.fail(Fault(status=400, body=echo), path="/services/.*")
    late = house.mitigation("late", shows_everything, house.owner(workspace=""))
    late_hooked = house.mitigation(
        "later", shows_everything, house.owner(workspace="hooked", repository=False)
    )
    house.tell(services, "is refused", reach, late, late_hooked)
    with services.store.writing() as connection:
        number = history.add_decision(
            connection, "adopt", mitigation="told.toy", who=OURS[0], why=canaries.everything(), at=now()
        )
        history.complete_decision(connection, number, details=canaries.everything(), at=now())


@pytest.fixture
def known_to_fail(house: House) -> House:
    """Have a store that does not answer, and say so with its address, before there is one that does."""
    unreachable = SecretStr(f"postgresql://riskloop:{PASSWORD}@127.0.0.1:9/db")
    with (
        pytest.raises(StoreError) as caught,
        open_services(replace(house.settings, store_url=unreachable)),
    ):
        raise AssertionError
    house.said.append(str(caught.value))
    return house


@pytest.fixture
def lived(known_to_fail: House, store_url: str) -> House:
    """Take every path, on SQLite in the state directory and on PostgreSQL."""
    house = known_to_fail
    if store_url.startswith("postgresql"):
        # This server asks for no password, and takes any.
        password = SecretStr(re.sub(r"^(\w+://[^:@/]*)(?::[^@/]*)?@", rf"\1:{PASSWORD}@", store_url))
        house.settings = replace(house.settings, store_url=password)
    with open_services(house.settings) as services:
        live_through_everything(house, services)
    return house


def test_no_canary_comes_out_of_any_path(lived: House) -> None:
    seen = "\n".join(lived.said) + lived.log.getvalue()
    # The paths were taken: told and refused by every channel, and not looked at in each way.
    for sign in ("done http", "422", "missing_scope", "LookupError", "fatal: unable to access", "dead"):
        assert sign in seen, sign
    assert list(lived.settings.outbox.rglob("*.md"))
    assert list((lived.state / "evidence").rglob("*.gz"))
    assert redaction.HIDDEN in json.dumps(lived.rig.issues(lived.repository))
    assert lived.leaks() == {}


def test_where_nothing_is_hidden_the_search_finds_canaries_in_every_place(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redaction.Redactor, "exact", lambda _, text: text)
    monkeypatch.setattr(redaction, "_PATTERNS", ())
    with open_services(house.settings) as services:
        live_through_everything(house, services)
    leaking = house.leaks()
    assert set(leaking) >= {"the log", "what was said", "the store", "GitHub", "Slack"}
    files = " ".join(leaking)
    for part in (".sqlite", ".gz", "outbox"):
        assert part in files
    assert {name for names in leaking.values() for name in names} == set(CANARIES)


@pytest.mark.parametrize("name", CANARIES)
def test_the_search_finds_a_canary_in_every_spelling(name: str) -> None:
    for line in canaries.spelled(CANARIES[name]).split("\n"):
        assert canaries.found(f"x{line}y") == [name], line
        assert canaries.found(json.dumps({"said": line})) == [name], line
    assert canaries.found_in_bytes(b"\x00\xff" + CANARIES[name].encode("latin-1")) == [name]


def test_there_are_twelve() -> None:
    assert len(set(CANARIES.values())) == 12
