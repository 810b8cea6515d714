"""What a look found, put together by hand over a real upstream, for the tests of how it is told."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from riskloop.git import Upstream
from riskloop.mitigations.upstream_drift.bump.bumping import Bump
from riskloop.mitigations.upstream_drift.patches.series import Patch
from riskloop.mitigations.upstream_drift.patches.verdicts import Applied, Outcome, Verdict
from riskloop.mitigations.upstream_drift.project.hacks import Hacks
from riskloop.mitigations.upstream_drift.project.vendored import read_vendored
from riskloop.mitigations.upstream_drift.standing import stand
from riskloop.mitigations.upstream_drift.telling.findings import Findings
from tests.mitigations.vendoring import MITIGATION, Vendoring


def outcome(name: str, verdict: Verdict, **facts: Any) -> Outcome:
    """Make what became of a patch; `paths` is what the patch touches, all else of the outcome itself."""
    paths = facts.pop("paths", facts.get("files", ()))
    patch = Patch(name=name, content=name.encode("utf-8", "surrogatepass"), paths=tuple(paths))
    return Outcome(patch=patch, verdict=verdict, **facts)


def bump(**facts: Any) -> Bump:
    made: dict[str, Any] = {
        "candidate": "c" * 40,
        "commit": "b" * 40,
        "base": "a" * 40,
        "branch": f"riskloop/{MITIGATION}",
        "problem": "",
        "refreshed": (),
        "dropped": (),
        "lost": (),
        "changelog": True,
    }
    return Bump(**(made | facts))


def find(vendoring: Vendoring, outcomes: Iterable[Outcome] = (), **facts: Any) -> tuple[Findings, Upstream]:
    """Look at where the pin stands, and put beside it what is given; the patches were tried on the head."""
    settings, site = vendoring.read_settings(), vendoring.site
    vendored = read_vendored(settings, site)
    upstream = vendoring.mirror()
    standing = stand(upstream, upstream.follow(), settings, site, pin=vendoring.pin)
    told = tuple(outcomes)
    findings = Findings(
        settings=settings,
        vendored=vendored,
        standing=standing,
        applied=Applied(tree="", outcomes=told),
        hacks=Hacks(),
        bump=None,
        checks=(),
        target=standing.head,
    )
    return replace(findings, **facts), upstream
