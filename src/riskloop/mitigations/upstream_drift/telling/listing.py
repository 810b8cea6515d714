"""Lists in plain text what a look at vendored code found: patches, conflicts, hacks, upstream's log."""

from collections.abc import Sequence

from riskloop.mitigations.upstream_drift.patches.verdicts import Applied, Outcome
from riskloop.mitigations.upstream_drift.project.hacks import Hacks
from riskloop.mitigations.upstream_drift.telling.history import Area, Commit, Log
from riskloop.redaction import without_secrets
from riskloop.wording.escaping import shortened, visible
from riskloop.wording.figures import quantity

SHORT = 12
"""Digits of a commit's name that are shown."""
HOW_LOGGED = "by the folder a commit touches most, merges left out"
OWN = "Commits that only the pin has"
_NAME = 120
_WORDS = 300
_COLUMN = 60
_SPARE = 8


def one_line(text: str, *, limit: int = _WORDS) -> str:
    """Write text from anywhere as one line of at most `limit` characters, nothing hidden in it."""
    # Before it is cut: half a secret is no longer known as one.
    whole = without_secrets(text[: limit * _SPARE])
    return shortened(" ".join(visible(whole[: limit * 2]).split()), limit)


def name_commit(commit: Commit) -> str:
    """Write a commit as `1a2b3c4d5e6f 2026-03-02 Mia Wong: Rename exec`."""
    author = one_line(commit.author, limit=_NAME) or "nobody"
    return f"{commit.name[:SHORT]} {commit.day} {author}: {one_line(commit.subject) or 'no subject'}"


def list_patches(applied: Applied, *, rows: int) -> str:
    """Write each patch's verdict in a row, columns aligned.

    Args:
        rows: the most of them; of more, those that simply apply are left out first.
    """
    outcomes = pick(applied, rows)
    table = [("verdict", "patch", "why")]
    table += [(str(o.verdict), one_line(o.patch.name, limit=_NAME), one_line(o.reason)) for o in outcomes]
    widths = [min(_COLUMN, max(len(row[column]) for row in table)) for column in (0, 1)]
    lines = [f"{verdict:<{widths[0]}}  {name:<{widths[1]}}  {why}".rstrip() for verdict, name, why in table]
    return "\n".join([*lines, *_more(len(applied.outcomes) - len(outcomes), "patches")])


def pick(applied: Applied, rows: int) -> tuple[Outcome, ...]:
    """Choose which patches to show, in the order of the series: those in need of a person first of all."""
    if len(applied.outcomes) <= rows:
        return applied.outcomes
    outcomes = enumerate(applied.outcomes)
    telling = sorted(outcomes, key=lambda item: (item[1].verdict.applies, item[0]))[:rows]
    return tuple(outcome for _, outcome in sorted(telling, key=lambda item: item[0]))


def list_hunks(outcome: Outcome) -> str:
    """Write where a patch conflicts, as diff3 does: upstream's side, what the patch was made for, its own."""
    parts = []
    for hunk in outcome.hunks:
        name = one_line(outcome.patch.name, limit=_NAME)
        parts += [
            one_line(hunk.path),
            "<<<<<<< upstream",
            *_whole(hunk.ours),
            "||||||| what the patch was made for",
            *_whole(hunk.base),
            "=======",
            *_whole(hunk.theirs),
            f">>>>>>> {name}",
            "",
        ]
    return "\n".join(parts).rstrip("\n")


def list_hacks(hacks: Hacks, *, rows: int) -> str:
    """Write each file that was changed by hand in a line."""
    lines = [f"{one_line(hack.how)}: {one_line(hack.path)}" for hack in hacks.found[:rows]]
    return "\n".join([*lines, *_more(len(hacks.found) - rows, "files")])


def list_log(log: Log, *, rows: int, each: int) -> str:
    """Write upstream's log by area.

    Args:
        rows: the most commits of all areas together.
        each: the most commits of one area.
    """
    parts = []
    for number, area in enumerate(log.areas):
        if rows <= 0:
            left = log.areas[number:]
            commits = quantity(sum(len(one.commits) for one in left), "commits")
            parts.append(f"… and {commits} in {quantity(len(left), 'more areas')}")
            break
        parts.append(_of_area(area, min(rows, each)))
        rows -= len(area.commits[:each])
    if not log.whole:
        parts.append(f"… and older commits: only the newest {quantity(log.commits, 'commits')} were read")
    return "\n\n".join(parts)


def _of_area(area: Area, rows: int) -> str:
    title = f"{one_line(area.name, limit=_NAME)} ({quantity(len(area.commits), 'commits')})"
    lines = [name_commit(commit) for commit in area.commits[:rows]]
    lines += _more(len(area.commits) - rows, "commits")
    return "\n".join((title, *(f"  {line}" for line in lines)))


def list_commits(commits: Sequence[Commit], *, rows: int) -> str:
    """Write commits in a line each."""
    return "\n".join([*map(name_commit, commits[:rows]), *_more(len(commits) - rows, "commits")])


def list_names(names: Sequence[str], *, rows: int, what: str) -> str:
    """Write names in a line each; `what` they are, in the plural, for those left out."""
    return "\n".join([*(one_line(name) for name in names[:rows]), *_more(len(names) - rows, what)])


def _more(left: int, what: str) -> list[str]:
    return [f"… and {quantity(left, 'more ' + what)}"] if left > 0 else []


def _whole(text: str) -> list[str]:
    return visible(text).removesuffix("\n").split("\n") if text else []
