"""A toy kind that shreds by a stored plan, asks a person first if it is much, and counts what it did."""

import fcntl
import hashlib
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter
from sqlalchemy import select

from riskloop import approving
from riskloop.approvals import Approval, Decision
from riskloop.assessing import Occasion, assess, remind
from riskloop.errors import Refused
from riskloop.identity import read_identity
from riskloop.measurements import Evidence, Look, Measurement, Observation
from riskloop.mitigating import carry_out
from riskloop.notifications import Facts, Links, Reach
from riskloop.plans import Plan, digest_of
from riskloop.receipts import Receipt
from riskloop.register import Register
from riskloop.risks import Kind, Mitigation, Owner, Site
from riskloop.services import Services
from riskloop.settings import read_settings
from riskloop.store import Store, approvals
from riskloop.store.tables import transitions
from tests.toys import LEAD, METRICS, RISK, Clock

_facts = TypeAdapter(Facts)

LIVE = Reach(github=True, slack=frozenset([""]))
LINKS = Links(
    run="http://127.0.0.1:4210/runs/flow-run/1",
    forms={"decide_approval": "http://127.0.0.1:4210/deployments/deployment/d/run"},
)


class Settings(BaseModel):
    """Where the toy keeps its books, and what it asks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    directory: Path
    limit: int = 2


Hook = Callable[[str, str], None]
"""Called by the toy at each step with its name and the warrant, so that a test can have it die there."""


@dataclass(kw_only=True)
class Shredder:
    """What the toy kind does, with its books in files, so that several processes share them.

    Args:
        hook: called at each step.
        fails: what carrying out raises, or the receipt that it gives instead.
        left_over: what it says of what was left over.
    """

    hook: Hook = lambda _step, _warrant: None
    fails: Exception | Receipt | None = None
    left_over: Receipt = field(default_factory=Receipt)

    def kind(self) -> Kind:
        return Kind(
            name="shredder",
            says="Sheets are shredded.",
            settings=Settings,
            metrics=METRICS,
            remedy=("shred less",),
            forms=(),
            measure=lambda _settings, _site: Observation(measurements=(), evidence=Evidence(summary="")),
            mitigate=self.mitigate,
        )

    def mitigate(
        self,
        settings: Settings,
        site: Site,
        plan: Plan | None,
        store: Any,
        *,
        warrant: str,
        approved: bool,
        dry_run: bool,
    ) -> Receipt:
        """Shred by a plan, once for each warrant, however often it is killed and begun again."""
        del store
        if dry_run:
            return Receipt(says=f"{plan.says if plan else 'nothing'}, dry")
        if plan is None:
            return self.left_over
        if not plan.file.is_file() or hashlib.sha256(plan.file.read_bytes()).hexdigest() != plan.digest:
            raise Refused("the plan is not what was stored", rule="plan", remedy="run it again")
        if plan.asks and not approved:
            raise Refused("that many are not shredded unasked", rule="limit", remedy="ask")
        books = settings.directory / site.mitigation.replace("/", "-")
        books.mkdir(parents=True, exist_ok=True)
        with (books / "at work").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # Two at once would be a failure of ours.
            return self._shred(books / warrant.replace(":", "-"), warrant)

    def _shred(self, done: Path, warrant: str) -> Receipt:
        if not done.exists():
            write(done.with_name(f"{done.name}.log"), "begun")
            self.hook("begun", warrant)
            if isinstance(self.fails, Receipt):
                return self.fails
            if self.fails is not None:
                raise self.fails
            write(done, "shredded")
            self.hook("shredded", warrant)
        return Receipt(says="3 sheets shredded", changed=True, deed="shredded", notes=("one was blank",))


def write(file: Path, line: str) -> None:
    """Add a line to a file, whole or not at all."""
    handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(handle, f"{line}\n".encode())
    os.close(handle)


class Office:
    """Mitigations that shred, the register they are in, and services for them, on a test's clock."""

    def __init__(
        self, store: Store, place: Path, clock: Clock, *, mitigations: int = 1, owner: Owner = LEAD
    ) -> None:
        self.store, self.place, self.clock = store, place, clock
        self.settings = read_settings({}, register=place / "riskloop.yaml", state=place / "state")
        self.identity = read_identity(self.settings.state)
        self.shredder = Shredder()
        risk = replace(RISK, owners=(owner,))
        settings = Settings(directory=place / "books")
        self.mitigations = [
            Mitigation(
                id=f"toys.shredder-{number:03}",
                kind=self.shredder.kind(),
                risk=risk,
                settings=settings,
                thresholds={},
            )
            for number in range(mitigations)
        ]
        self.runs = 0
        self.read = 0

    @property
    def mitigation(self) -> Mitigation:
        return self.mitigations[0]

    def configure(self, **changes: Any) -> None:
        """Change the settings of every mitigation."""
        self.mitigations = [
            replace(one, settings=one.settings.model_copy(update=changes)) for one in self.mitigations
        ]

    def belong_to(self, owner: Owner) -> None:
        """Give every mitigation to another owner."""
        risk = replace(self.mitigation.risk, owners=(owner,))
        self.mitigations = [replace(one, risk=risk) for one in self.mitigations]

    def services(self, store: Store | None = None) -> Services:
        return Services(settings=self.settings, store=store or self.store, identity=self.identity)

    def register(self) -> Register:
        owner = self.mitigation.risk.owners[0]
        return Register(
            path=self.place / "riskloop.yaml",
            project="Toys",
            digest="d",
            owners={owner.name: owner},
            service_owner=owner,
            risks=(self.mitigation.risk,),
            configured=tuple(self.mitigations),
        )

    def occasion(self) -> Occasion:
        """Begin another run."""
        self.runs += 1
        return Occasion(
            project="Toys",
            run=f"run-{self.runs}-{os.getpid()}",
            register_digest="d",
            reach=LIVE,
            links=LINKS,
            evidence=self.place / "evidence",
            now=self.clock(),
        )

    def plan(self, mitigation: Mitigation | None = None, *, sheets: int = 3, **more: Any) -> Plan:
        """Store a plan; more sheets than the limit must be approved."""
        mitigation = mitigation or self.mitigation
        content = f"{mitigation.id} {sheets}\n".encode()
        digest = hashlib.sha256(content).hexdigest()
        file = self.place / "state" / "plans" / digest
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        asks = f"{sheets} are more than {mitigation.settings.limit}"
        plan = Plan(
            digest=digest,
            file=file,
            says=f"{sheets} sheets would be shredded",
            summary=f"{sheets} sheets of @everyone",
            settings=digest_of(mitigation.settings),
            asks=asks if sheets > mitigation.settings.limit else "",
            empty=not sheets,
        )
        return replace(plan, **more)

    def act(
        self,
        plan: Plan | None,
        *,
        mitigation: Mitigation | None = None,
        dry_run: bool = False,
        store: Store | None = None,
    ) -> Receipt:
        """Look, and act on what the look made ready; nothing is stored of the look itself."""
        mitigation = mitigation or self.mitigation
        look, at, services = self.look(plan, mitigation), self.occasion(), self.services(store)
        done = carry_out(services, self.register(), mitigation, look, at, dry_run=dry_run)
        assert done.receipt is not None
        return done.receipt

    def look(self, plan: Plan | None, mitigation: Mitigation) -> Look:
        seen = Observation(
            measurements=(Measurement("leaks", 0),), evidence=Evidence(summary="seen"), plan=plan
        )
        return Look(mitigation=mitigation.id, at=self.clock(), observation=seen)

    def run(self, plan: Plan | None) -> None:
        """Look, act on it, and store the look, as a flow does."""
        at, services = self.occasion(), self.services()
        look = self.look(plan, self.mitigation)
        done = carry_out(services, self.register(), self.mitigation, look, at)
        assess(self.store, [(self.mitigation, done)], at)

    def ask(self, mitigation: Mitigation | None = None, **more: Any) -> Approval:
        """Ask about three sheets; give what is owed."""
        mitigation = mitigation or self.mitigation
        self.act(self.plan(mitigation, **more), mitigation=mitigation)
        return self.approval(mitigation.id)

    def decide(
        self,
        name: str,
        decision: Decision = Decision.APPROVE,
        *,
        who: str = "Mia",
        store: Store | None = None,
    ) -> approving.Decided:
        why = "they are old" if decision is Decision.APPROVE else "I need them"
        return approving.decide(
            self.services(store), self.register(), name, decision, who=who, why=why, at=self.occasion()
        )

    def follow_up(self, store: Store | None = None) -> list[str]:
        """Do a round of what is due without a look, and carry out what was approved; say what was done."""
        services, register, at = self.services(store), self.register(), self.occasion()
        said = [words for _, words in approving.follow(services, register, at)]
        said += [f"reminded of {one.concern}" for one in remind(services.store, at)]
        return said + [receipt.sentence for _, receipt in approving.finish(services, register, at)]

    def wait(self, hours: float) -> None:
        self.clock.advance(hours * 3_600)

    def approval(self, name: str | None = None) -> Approval:
        with self.store.reading() as connection:
            found = approvals.find(connection, name or self.mitigation.id)
        assert found is not None
        return found

    def told(self) -> list[Facts]:
        """Give what was stored to be told of approvals since the last time this was asked, quiet or not."""
        query = select(transitions.c.number, transitions.c.facts).where(transitions.c.number > self.read)
        with self.store.reading() as connection:
            rows = connection.execute(query.order_by(transitions.c.number)).all()
        self.read = max((row.number for row in rows), default=self.read)
        return [_facts.validate_json(row.facts) for row in rows]

    def changes(self) -> list[tuple[str, str, str]]:
        """Give the same as the change, the severity, and the reason; in brackets what is quiet."""
        return [
            (f"({facts.change})" if facts.quiet else str(facts.change), str(facts.severity), facts.reason)
            for facts in self.told()
        ]

    def begun(self, mitigation: str | None = None) -> Counter[str]:
        """Count by warrant how often it was begun to shred."""
        books = self.place / "books" / (mitigation or self.mitigation.id)
        return Counter({log.stem: len(log.read_text().splitlines()) for log in books.glob("*.log")})

    def shredded(self, mitigation: str | None = None) -> Counter[str]:
        """Count by warrant how often was shredded."""
        books = self.place / "books" / (mitigation or self.mitigation.id)
        files = [file for file in books.glob("*") if file.suffix != ".log" and file.name != "at work"]
        return Counter({file.name: len(file.read_text().splitlines()) for file in files})
