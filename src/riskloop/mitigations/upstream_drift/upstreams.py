"""Opens the mirror of what was vendored, and finds in it the commit that a person acknowledges."""

import os

from riskloop.errors import Refused, Unmeasurable
from riskloop.git import Upstream
from riskloop.mitigations.upstream_drift.project.vendored import Vendored, read_vendored
from riskloop.mitigations.upstream_drift.settings import Settings
from riskloop.mitigations.upstream_drift.standing import is_ancestor
from riskloop.redaction import learn
from riskloop.risks import Site


def acknowledge(settings: Settings, site: Site, commit: str) -> tuple[str, str]:
    """Find the upstream commit that a person acknowledges; commits up to it count no more.

    Args:
        commit: its digits (seven at least), a tag, or the followed branch.

    Returns:
        The commit, 40 hexadecimal digits, and the upstream it is of.

    Raises:
        Refused: it is not on the followed branch, or the pin has it already.
        Unmeasurable: upstream or the project cannot be read.
    """
    vendored = read_vendored(settings, site)
    upstream = open_upstream(settings, site, vendored)
    followed = upstream.follow()
    found = upstream.resolve(commit, followed)
    # A tag of another branch is listed, and its commit was never fetched.
    if not (found and upstream.has(found) and is_ancestor(upstream, found, followed.head)):
        raise Refused(
            f"{commit} is no commit of {followed.branch} in {vendored.address}",
            rule="acknowledged-commit",
            remedy="name a commit of that branch, or a tag on it",
        )
    if upstream.bring(vendored.pin, beside=vendored.git_dir) and is_ancestor(upstream, found, vendored.pin):
        raise Refused(
            f"the pin {vendored.pin[:12]} has {commit} already",
            rule="acknowledged-commit",
            remedy="name a later commit",
        )
    return found, upstream.source


def open_upstream(settings: Settings, site: Site, vendored: Vendored) -> Upstream:
    """Open the mirror of what was vendored; its token is hidden from then on in whatever is written down.

    Raises:
        Unmeasurable: the token the register names is not set.
    """
    token = os.environ.get(settings.token, "") if settings.token else ""
    if settings.token and not token:
        raise Unmeasurable(
            f"{settings.token}, which is to hold the token for {vendored.address}, is not set",
            remedy="set it where the service runs, or take `token` out of the register",
        )
    learn(token)
    return Upstream(state=site.state, source=vendored.address, branch=settings.branch or "", token=token)
