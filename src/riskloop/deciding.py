"""Carries out what a person decided, and records who, why, and what it changed."""

from dataclasses import dataclass

from pydantic import TypeAdapter

from riskloop.attribution import attributed
from riskloop.errors import Refused
from riskloop.incidents import Concern
from riskloop.mitigations import fixture_drift
from riskloop.mitigations.fixture_drift import Adoption
from riskloop.project import now, site
from riskloop.proposals import Proposal
from riskloop.proposing import propose
from riskloop.redaction import without_secrets
from riskloop.register import Register
from riskloop.risks import Mitigation
from riskloop.services import Services
from riskloop.store import history

_changes = TypeAdapter(dict[str, object])


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """What adopting came to.

    Args:
        says: in words.
        document: the adopted difference documented, as the project's own form asks or in ours; Markdown.
        url: the pull request, where it became one.
    """

    says: str
    document: str
    url: str = ""


def adopt_fixtures(
    services: Services, register: Register, mitigation: Mitigation, *, who: str, why: str
) -> Adopted:
    """Make the regenerated fixtures the golden ones, if they are what the open incident shows.

    The decision is written down before anything is changed, and completed with what was changed.

    Raises:
        Refused: no name or reason is given, what comes out now is not what was shown, or a file may not be
            replaced; nothing was changed.
        Unmeasurable: the fixtures cannot be made anew.
        Undelivered: the branch is pushed, and the pull request could not be opened; decide again.
    """
    who, why = attributed(who, why)
    place = site(register, services.settings)
    with services.store.writing() as connection:
        incident = history.open_incidents(connection, mitigation.id).get(Concern.BREACH)
        shown = incident.fingerprint if incident else history.last_fingerprint(connection, mitigation.id)
        if shown is None:
            raise Refused(
                f"nobody was shown yet what {mitigation.id} would adopt",
                rule="never-shown",
                remedy=f"run it first: riskloop run {mitigation.id}",
            )
        decision = history.add_decision(
            connection, "adopt", mitigation=mitigation.id, who=who, why=why, at=place.now
        )
    to_branch = mitigation.settings.adopt == "pull_request"
    adoption = fixture_drift.adopt(
        mitigation.settings, place, expected=shown, to_branch=to_branch, who=who, reason=why
    )
    document = without_secrets(
        fixture_drift.document(mitigation.settings, place, adoption, who=who, reason=why)
    )
    url = _propose(services, mitigation, adoption, document) if adoption.branch else ""
    details = {
        "fingerprint": adoption.fingerprint,
        "files": adoption.files,
        "manifest": adoption.manifest,
        "not_adopted": adoption.not_adopted,
        "replaced": str(adoption.replaced or ""),
        "pull_request": url,
        "document": document,
    }
    with services.store.writing() as connection:
        history.complete_decision(
            connection, decision, details=_changes.dump_json(details).decode(), at=now()
        )
    count = len(adoption.files)
    words = "1 fixture" if count == 1 else f"{count} fixtures"
    says = f"{words} {'proposed' if url else 'adopted'} by {who}: {why}"
    return Adopted(says=without_secrets(says), document=document, url=url)


def _propose(services: Services, mitigation: Mitigation, adoption: Adoption, document: str) -> str:
    """Push the branch, and have its one pull request."""
    made, repository = adoption.branch, mitigation.risk.owners[0].repository
    if made is None or repository is None or services.settings.github_token is None:
        raise Refused(
            f"{mitigation.id} adopts by pull request, and there is no repository or no token for it",
            rule="no-repository",
            remedy="name a repository and set RISKLOOP_GITHUB_TOKEN, or let `adopt` be in_place",
        )
    proposal = Proposal(
        branch=made.branch,
        repository=made.mirror.path,
        commit=made.commit,
        base=made.base,
        proposes=adoption.fingerprint,
        title=f"Adopt the fixtures of {mitigation.settings.directory}",
        body=document,
        ready=True,
    )
    # A person decided it just now: what another closed before is no answer to that.
    receipt = propose(services, mitigation, proposal, again=True)
    if not receipt.url:
        raise Refused(receipt.says, rule="push", remedy="delete the branch, or merge it, and adopt again")
    return receipt.url
