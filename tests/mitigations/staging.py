"""A directory of staged files with its settings, a store, and a clock that can be put ahead."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from riskloop.measurements import Observation
from riskloop.mitigations.ttl_cleanup import Settings, measure, mitigate
from riskloop.mitigations.ttl_cleanup.grounds import standing_on
from riskloop.mitigations.ttl_cleanup.marking import mark
from riskloop.mitigations.ttl_cleanup.walking import OURS
from riskloop.plans import Plan
from riskloop.receipts import Receipt
from riskloop.risks import Site
from riskloop.store import Store

MITIGATION = "staged.ttl_cleanup"


@dataclass(kw_only=True)
class Staging:
    """A marked directory `staging` in a project, cleaned up by a mitigation.

    Files are young when a test makes them, and no test can make a ctime old: so the clock is put ahead.

    Args:
        ahead: how far the mitigation's clock is ahead of the real one.
        settings: what the register says beside the directory.
        runs: how many runs there were, each with a warrant of its own.
    """

    project: Path
    state: Path
    store: Store
    ahead: timedelta = timedelta(days=31)
    settings: dict[str, Any] = field(default_factory=lambda: {"ttl": "30d", "limit": {"fraction": 1}})
    runs: int = 0

    @property
    def root(self) -> Path:
        return self.project / "staging"

    @property
    def site(self) -> Site:
        now = datetime.now(UTC) + self.ahead
        return Site(project=self.project, state=self.state, now=now, mitigation=MITIGATION)

    def read(self, **more: Any) -> Settings:
        return Settings.model_validate({"directory": "staging", **self.settings, **more})

    def put(self, *paths: str, content: str = "staged") -> None:
        """Stage files; each holds the content and its own path."""
        for path in paths:
            file = self.root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{content} {path}", encoding="utf-8", errors="surrogateescape")

    def mark(self) -> None:
        with standing_on(self.project, Path("staging")) as ground:
            mark(ground, state=self.state)

    def look(self, **more: Any) -> Observation:
        return measure(self.read(**more), self.site)

    def plan(self, **more: Any) -> Plan:
        plan = self.look(**more).plan
        assert plan is not None
        return plan

    def act(
        self,
        plan: Plan | None,
        *,
        warrant: str = "",
        approved: bool = False,
        dry_run: bool = False,
        **more: Any,
    ) -> Receipt:
        """Carry out a plan, as a run of its own unless a warrant is named."""
        self.runs += 1
        return mitigate(
            self.read(**more),
            self.site,
            plan,
            self.store,
            warrant=warrant or f"run-{self.runs}",
            approved=approved,
            dry_run=dry_run,
        )

    def clean(self, **more: Any) -> Receipt:
        """Look, and carry out what was planned."""
        return self.act(self.plan(**more), **more)

    def look_after(self, receipt: Receipt, **more: Any) -> Mapping[str, float]:
        """Look whether it helped; give the measurements."""
        return values(measure(self.read(**more), replace(self.site, receipt=receipt)))

    def there(self) -> set[str]:
        """List the files in the directory, ours aside."""
        return {
            os.path.relpath(Path(folder, name), self.root)
            for folder, _, names in os.walk(self.root)
            for name in names
            if f"/{OURS}" not in folder
        }

    def kept(self) -> set[str]:
        """List the files in quarantine, by their paths in the directory."""
        place = self.root / OURS / "quarantine"
        found = set()
        for folder, _, names in os.walk(place):
            for name in names:
                _, _, *path = Path(folder, name).relative_to(place).parts
                found.add("/".join(path))
        return found

    def digests(self) -> dict[str, str]:
        """Give the SHA-256 of every file that is there or in quarantine, by its path in the directory."""
        places = [self.root, *(self.root / OURS / "quarantine").glob("*/files")]
        found = {}
        for place in places:
            for folder, _, names in os.walk(place):
                for name in names:
                    if place != self.root or f"/{OURS}" not in folder:
                        file = Path(folder, name)
                        found[os.path.relpath(file, place)] = sha256(file.read_bytes()).hexdigest()
        return found


def values(seen: Observation) -> Mapping[str, float]:
    """Give what was measured, by metric."""
    return {measurement.metric: measurement.value for measurement in seen.measurements}
