"""Whether the token can do its work in each repository, and a test that proves it."""

from collections.abc import Iterable

from riskloop.channels import Posting, Turn
from riskloop.channels.github.api import Api
from riskloop.channels.github.authorship import Authorship
from riskloop.errors import Undelivered
from riskloop.wording.github import LABEL


def check(api: Api, authorship: Authorship, repositories: Iterable[str]) -> list[tuple[str, bool, str]]:
    """Say for the token and for each repository whether we can work there: name, yes or no, words."""
    try:
        authorship.prove()
    except Undelivered as error:
        return [("GitHub token", False, str(error))]
    whose = ", ".join(authorship.logins())
    says = f"belongs to {whose}" if whose else "works, and is an App's or a workflow's"
    return [("GitHub token", True, says), *(_repository(api, name) for name in repositories)]


def _repository(api: Api, repository: str) -> tuple[str, bool, str]:
    name = f"GitHub {repository}"
    try:
        data = api.ask("GET", api.place(repository), doing=f"reading {repository}").need()
    except Undelivered as error:
        return name, False, str(error)
    rights = data.get("permissions") or {}
    if data.get("archived"):
        return name, False, "is archived: name another repository in the register"
    if not data.get("has_issues", True):
        return name, False, "has issues switched off: switch them on in its settings"
    if not (rights.get("push") or rights.get("triage")):
        # Anybody may open an issue in a public repository; its labels are then dropped.
        return name, False, "can be read; give the token's account the triage role or more"
    return name, True, "can be read and written; --send-test proves it"


def send_test(api: Api, authorship: Authorship, repository: str, turn: Turn) -> Posting:
    """Open a test issue and close it again; its address is in the posting."""
    payload = {
        "title": "riskloop: a test, please ignore",
        "body": "`riskloop doctor --send-test` opened this issue, and closes it at once.",
        "labels": [LABEL],
    }
    path = f"{api.place(repository)}/issues"
    doing = f"opening a test issue in {repository}"
    issue = api.ask("POST", path, payload, doing=doing, expect="number", turn=turn).need()
    authorship.learn(issue)
    posting = Posting(reference=str(issue["number"]), url=issue.get("html_url") or "")
    closed = {"state": "closed", "state_reason": "not_planned"}
    doing = f"closing test issue {posting.url}"
    api.ask("PATCH", f"{path}/{posting.reference}", closed, doing=doing, turn=turn).need()
    return posting
