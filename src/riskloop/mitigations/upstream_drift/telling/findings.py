"""Holds together all that one look at vendored code found, and says whether its bump may be merged."""

from dataclasses import dataclass

from riskloop.mitigations.upstream_drift.bump.bumping import Bump
from riskloop.mitigations.upstream_drift.bump.gating import Check
from riskloop.mitigations.upstream_drift.patches.verdicts import Applied, Outcome, Verdict
from riskloop.mitigations.upstream_drift.project.hacks import Hacks
from riskloop.mitigations.upstream_drift.project.vendored import Vendored
from riskloop.mitigations.upstream_drift.settings import Settings
from riskloop.mitigations.upstream_drift.standing import Standing

_NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What one look found.

    Args:
        applied: what became of each patch on the target.
        bump: what a bump would be; None if none was asked for, or there is nothing to bring.
        checks: the gate's commands, as far as they ran on the bump.
        target: the upstream commit that the patches were tried on.
    """

    settings: Settings
    vendored: Vendored
    standing: Standing
    applied: Applied
    hacks: Hacks
    bump: Bump | None
    checks: tuple[Check, ...]
    target: str

    @property
    def stopped(self) -> tuple[Outcome, ...]:
        """The patches that do not apply, in the order of the series."""
        return tuple(
            outcome
            for outcome in self.applied.outcomes
            if outcome.verdict.conflicts or outcome.verdict is Verdict.TARGET_GONE
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know besides, a sentence each without a full stop."""
        return (*self.vendored.notes, *self.hacks.notes)

    @property
    def failure(self) -> Check | None:
        """The command on which the gate stopped; None if all passed, or none ran."""
        return next((check for check in self.checks if not check.passed), None)

    @property
    def unchecked(self) -> int:
        """How many commands of the gate did not run, as one before them failed."""
        return len(self.settings.gate) - len(self.checks) if self.checks else 0


def is_ready(findings: Findings) -> tuple[bool, tuple[str, ...]]:
    """Say whether the bump may be reviewed as it stands, and if not, why it is a draft.

    Returns:
        The answer, and every reason against it: plain text that may hold foreign names, a sentence each
        without a full stop.
    """
    bump = findings.bump
    if bump is None:
        return False, ("there is nothing to bring",)
    reasons = [bump.problem] if bump.problem else []
    reasons += _some([_of_patch(outcome) for outcome in findings.stopped], "patches")
    reasons += _some([f"the local change of {path} is lost" for path in bump.lost], "local changes")
    if not bump.changelog:
        reasons.append(
            f"{findings.settings.changelog} has no entry for it: it is not in the project's last commit, or "
            "is no text in UTF-8"
        )
    if findings.failure is not None:
        reasons.append(f"the gate's command {findings.failure.command} did not pass")
    elif len(findings.checks) < len(findings.settings.gate):
        reasons.append("the gate did not run")
    return not reasons and bool(bump.commit), tuple(reasons)


def _of_patch(outcome: Outcome) -> str:
    name = outcome.patch.name
    where = f" in {outcome.files[0]}" if outcome.files else ""
    return {
        Verdict.CONFLICT: f"the patch {name} conflicts{where}",
        Verdict.TARGET_GONE: f"what the patch {name} changes is gone{where and f': {outcome.files[0]}'}",
    }.get(outcome.verdict, f"the patch {name} cannot be tried")


def _some(reasons: list[str], what: str) -> list[str]:
    more = len(reasons) - _NAMED
    return [*reasons[:_NAMED], f"{more} more {what} do not come along"] if more > 1 else reasons
