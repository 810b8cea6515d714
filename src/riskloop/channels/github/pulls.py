"""One pull request from a branch of ours."""

from riskloop.channels import Posting, Turn
from riskloop.channels.github.api import Api


def ensure_pull_request(
    api: Api, repository: str, branch: str, *, title: str, body: str, turn: Turn
) -> Posting:
    """Have one pull request from a branch into the default one: the one there is, else a new one.

    One that a person closed without merging is left alone, and a new one opened. At most one POST; safe to
    repeat after an Ambiguous, since it looks first.
    """
    doing = f"reading {repository}"
    base = api.ask("GET", api.place(repository), doing=doing, expect="default_branch").need()[
        "default_branch"
    ]
    place = api.place(repository)
    query = {"state": "all", "head": f"{place.split('/')[2]}:{branch}", "base": base}
    doing = f"looking for a pull request from {branch} in {repository}"
    for page in api.pages(f"{place}/pulls", query, doing=doing):
        for pull in page.need():
            from_branch = (pull.get("head") or {}).get("ref") == branch
            if from_branch and (pull.get("state") == "open" or pull.get("merged_at")):
                return Posting(reference=str(pull["number"]), url=pull.get("html_url") or "")
    payload = {"title": title, "body": body, "head": branch, "base": base}
    doing = f"opening a pull request from {branch} in {repository}"
    pull = api.ask("POST", f"{place}/pulls", payload, doing=doing, expect="number", turn=turn).need()
    return Posting(reference=str(pull["number"]), url=pull.get("html_url") or "")
