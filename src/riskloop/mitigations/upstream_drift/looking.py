"""Takes one whole look at vendored code: how far behind it is, what was changed in it, what a bump is."""

from pathlib import Path

from riskloop.errors import Unmeasurable
from riskloop.files import scratch
from riskloop.git import Followed, Upstream
from riskloop.measurements import Measurement, Observation
from riskloop.mitigations.upstream_drift.bump.bumping import branch_of, make_bump
from riskloop.mitigations.upstream_drift.bump.gating import run_gate
from riskloop.mitigations.upstream_drift.patches.patching import Verdict, apply_series
from riskloop.mitigations.upstream_drift.patches.series import Series, read_series
from riskloop.mitigations.upstream_drift.project.hacks import find_hacks
from riskloop.mitigations.upstream_drift.project.vendored import Vendored, read_vendored
from riskloop.mitigations.upstream_drift.settings import Settings
from riskloop.mitigations.upstream_drift.standing import Standing, stand
from riskloop.mitigations.upstream_drift.telling.documenting import pull_request
from riskloop.mitigations.upstream_drift.telling.explaining import explain
from riskloop.mitigations.upstream_drift.telling.findings import Findings, is_ready
from riskloop.mitigations.upstream_drift.upstreams import open_upstream
from riskloop.proposals import Proposal
from riskloop.risks import Site


def measure(settings: Settings, site: Site) -> Observation:
    """Hold vendored code against its upstream; change nothing but our own mirrors.

    Raises:
        Unmeasurable: upstream or the project cannot be read; in words.
    """
    vendored = read_vendored(settings, site)
    upstream = open_upstream(settings, site, vendored)
    followed = upstream.follow()
    try:
        return _observe(settings, site, vendored, upstream, followed=followed)
    except Unmeasurable:
        # Whatever failed, a mirror that is found broken is the likeliest cause, and is soon made anew.
        if not upstream.repair():
            raise
    return _observe(settings, site, vendored, upstream, followed=upstream.follow())


def _observe(
    settings: Settings, site: Site, vendored: Vendored, upstream: Upstream, *, followed: Followed
) -> Observation:
    try:
        with scratch(site.state, "upstream") as room:
            findings = _look(settings, site, vendored, upstream, followed=followed, room=room)
            evidence = explain(findings, upstream, site)
            proposal = _proposal(findings, upstream, site) if settings.bump == "pull_request" else None
    except OSError as error:
        raise Unmeasurable(
            f"the look at {settings.path} broke off: {error.filename or 'a file'}: {error.strerror}",
            remedy="free space, or correct the permissions of the state directory",
        ) from error
    counted = _counted(findings)
    measurements = tuple(Measurement(metric=name, value=float(value)) for name, value in counted.items())
    return Observation(measurements=measurements, evidence=evidence, proposal=proposal)


def _look(
    settings: Settings, site: Site, vendored: Vendored, upstream: Upstream, *, followed: Followed, room: Path
) -> Findings:
    if vendored.pin != followed.head and not upstream.bring(vendored.pin, beside=vendored.git_dir):
        also = ", nor of the submodule here" if vendored.submodule else ""
        raise Unmeasurable(
            f"the pin {vendored.pin} is no commit of {vendored.address}{also}: it is wrong, or upstream has "
            "rewritten its history and dropped it",
            remedy="correct the pin to the commit that was vendored",
        )
    standing = stand(upstream, followed, settings, site, pin=vendored.pin)
    series = read_series(settings, site) if settings.patches else Series(patches=(), listed=None)
    pin_tree = upstream.folder(vendored.pin, settings.strip)
    at_pin = apply_series(upstream, series, onto=pin_tree, room=room)
    target, applied = vendored.pin, at_pin
    if standing.candidate:
        target = standing.candidate
        tree = upstream.folder(target, settings.strip)
        since = (vendored.pin, target)
        applied = apply_series(upstream, series, onto=tree, room=room, at_pin=at_pin, since=since)
    hacks = find_hacks(vendored, upstream, site, pin=pin_tree, patched=at_pin.tree)
    bump = None
    if standing.candidate:
        bump = make_bump(
            vendored,
            upstream,
            settings,
            site,
            applied=applied,
            hacks=hacks,
            series=series,
            candidate=target,
            pin_tree=pin_tree,
            patched=at_pin.tree,
        )
    checks = run_gate(vendored, upstream, settings, site, bump) if bump and bump.commit else ()
    return Findings(
        settings=settings,
        vendored=vendored,
        standing=standing,
        applied=applied,
        hacks=hacks,
        bump=bump,
        checks=checks,
        target=target,
    )


def _counted(findings: Findings) -> dict[str, float]:
    standing, outcomes = findings.standing, findings.applied.outcomes
    counted: dict[str, float] = {
        "commits_behind": standing.behind,
        "days_behind": standing.days,
        "commits_ahead": standing.ahead,
        "diverged": standing.diverged,
        "local_changes": len(findings.hacks.found),
        "patches_total": len(outcomes),
        "patches_conflicting": sum(one.verdict.conflicts for one in outcomes),
        "patches_upstreamed": sum(one.verdict is Verdict.UPSTREAMED for one in outcomes),
        "patches_stale": sum(one.verdict is Verdict.TARGET_GONE for one in outcomes),
        "patch_debt_lines": sum(one.patch.lines for one in outcomes),
        "releases_behind": len(standing.releases),
    }
    if findings.checks:
        counted["gate_failures"] = sum(not check.passed for check in findings.checks)
    return counted


def _proposal(findings: Findings, upstream: Upstream, site: Site) -> Proposal | None:
    vendored, standing, bump = findings.vendored, findings.standing, findings.bump
    if vendored.project is None:
        return None
    branch, repository = branch_of(site.mitigation), vendored.project.path
    if bump is not None and not bump.commit:
        return Proposal(branch=branch, repository=repository, reason=bump.problem, stands=True)
    if bump is None:
        return Proposal(branch=branch, repository=repository, reason=_nothing_to_bring(vendored, standing))
    title, body = pull_request(findings, upstream, site)
    ready, reasons = is_ready(findings)
    return Proposal(
        branch=branch,
        repository=repository,
        commit=bump.commit,
        base=bump.base,
        proposes=bump.candidate,
        title=title,
        body=body,
        ready=ready,
        reason="; ".join(reasons),
    )


def _nothing_to_bring(vendored: Vendored, standing: Standing) -> str:
    if found := standing.acknowledged:
        return f"{found.who} acknowledged upstream up to {standing.baseline[:12]}: {found.why}"
    if standing.behind:
        return f"what {vendored.path} lacks is younger than the cooldown"
    return f"{vendored.path} stands at {standing.pin[:12]}, and lacks nothing of {standing.branch}"
