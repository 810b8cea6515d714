"""Holds vendored code against its upstream, and says which of our patches on it still apply.

Vendored code falls behind its upstream, and gathers changes nobody wrote down. Every look fetches upstream
into a mirror of our own, counts what is missing, names every file that is neither upstream's nor one of our
patches, and tries each patch on the newest upstream commit that is old enough. Where the register asks for
it, that commit is then proposed as a pull request, with the patches brought along.
"""

from riskloop.measurements import HIGHER, Metric
from riskloop.mitigations.upstream_drift.looking import measure
from riskloop.mitigations.upstream_drift.settings import Settings
from riskloop.mitigations.upstream_drift.upstreams import acknowledge
from riskloop.risks import Form

METRICS = (
    Metric("commits_behind", "commits", worse=HIGHER, says="upstream commits that are not in the pin"),
    Metric("days_behind", "days", worse=HIGHER, says="age of the oldest of them"),
    Metric("commits_ahead", "commits", worse=HIGHER, says="commits of the pin that upstream does not have"),
    Metric("diverged", "pins", worse=HIGHER, says="1 if the branch does not lead to the pin, else 0"),
    Metric(
        "local_changes",
        "files",
        worse=HIGHER,
        says="vendored files that are neither upstream's nor what a patch makes of them",
    ),
    Metric("patches_total", "patches", worse=HIGHER, says="local patches"),
    Metric("patches_conflicting", "patches", worse=HIGHER, says="local patches that no longer apply"),
    Metric("patches_upstreamed", "patches", worse=HIGHER, says="local patches that upstream has by now"),
    Metric("patches_stale", "patches", worse=HIGHER, says="local patches whose target is gone"),
    Metric("patch_debt_lines", "lines", worse=HIGHER, says="lines that local patches add or remove"),
    Metric("gate_failures", "commands", worse=HIGHER, says="commands of the gate that failed on the bump"),
    Metric("releases_behind", "tags", worse=HIGHER, says="upstream tags that are not in the pin"),
)

REMEDY = (
    "If a bump is proposed, review and merge it.",
    "A patch that conflicts needs a person: bring it up to date, or drop it.",
    "A file changed by hand belongs into a patch, or back to what upstream has.",
    "If what upstream did is none of our concern, acknowledge it up to a commit.",
)

FORMS = (
    Form(
        "acknowledge_upstream",
        "Count from a later upstream commit, without a bump",
        'riskloop upstream acknowledge {mitigation} --to COMMIT --who "your name" --reason "why"',
    ),
)

HEEDS = ("acknowledge",)

RECALLS = ()

mitigate = None

__all__ = [
    "FORMS",
    "HEEDS",
    "METRICS",
    "RECALLS",
    "REMEDY",
    "Settings",
    "acknowledge",
    "measure",
    "mitigate",
]
