"""A register that has been read: the project, its owners, its risks, and the mitigations to run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from riskloop.errors import RiskloopError
from riskloop.register.mistakes import hint
from riskloop.risks import Mitigation, Owner, Risk


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """A register without mistakes.

    Args:
        path: the file, absolute.
        project: the project's name, for people.
        digest: the SHA-256 of the file, in hexadecimal digits.
        owners: by name, in the register's order.
        service_owner: who hears when riskloop itself is unwell.
        configured: every mitigation, also those that are not enabled, in the register's order.
    """

    path: Path
    project: str
    digest: str
    owners: Mapping[str, Owner]
    service_owner: Owner
    risks: tuple[Risk, ...]
    configured: tuple[Mitigation, ...]

    @property
    def project_directory(self) -> Path:
        """The register's directory: relative paths are below it."""
        return self.path.parent

    def mitigations(
        self,
        kind: str | None = None,
        *,
        only: Sequence[str] | None = None,
    ) -> tuple[Mitigation, ...]:
        """Choose the enabled mitigations of a kind, or of every kind.

        Args:
            kind: the kind's name; every kind if None.
            only: the ids to choose; all of them if empty or None.

        Raises:
            RiskloopError: an id that is not in the register, not enabled, or of another kind.
        """
        by_id = {mitigation.id: mitigation for mitigation in self.configured}
        for wanted in only or ():
            found = by_id.get(wanted)
            if found is None:
                offered = [m.id for m in self.configured if m.enabled and kind in {None, m.kind.name}]
                raise RiskloopError(
                    f"the register has no mitigation '{wanted}'",
                    remedy=hint(wanted, offered, otherwise="there are"),
                )
            if not found.enabled:
                raise RiskloopError(
                    f"the mitigation '{wanted}' is not enabled",
                    remedy=f"remove its 'enabled: false' in {self.path.name}",
                )
            if kind not in {None, found.kind.name}:
                raise RiskloopError(
                    f"the mitigation '{wanted}' is of the kind {found.kind.name}, not {kind}",
                    remedy=f"run it as {found.kind.name}",
                )
        return tuple(
            mitigation
            for mitigation in self.configured
            if mitigation.enabled
            and kind in {None, mitigation.kind.name}
            and (not only or mitigation.id in only)
        )
