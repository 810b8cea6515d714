"""Says in three lines what stops a bump: which patch or check, which file, and whose upstream commit."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from riskloop.git import Upstream
from riskloop.mitigations.upstream_drift.bump.gating import Check
from riskloop.mitigations.upstream_drift.patches.verdicts import Outcome, Verdict
from riskloop.mitigations.upstream_drift.telling.findings import Findings
from riskloop.mitigations.upstream_drift.telling.history import Touch, changed_files, last_touch
from riskloop.mitigations.upstream_drift.telling.listing import SHORT, name_commit, one_line
from riskloop.wording.figures import quantity

MOST = 10
"""Files whose history is asked for in one look."""
_LINE = 300
# What a program prints around a file's name: quotes, brackets, and `:12:5` after it.
_NAMES = re.compile(r"[^\s\"'`()<>\[\]{},;:=|]{1,500}")
_READ = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """Three lines of plain text, none of them with a line end.

    Args:
        what: which patch, or which command of the gate, and how it failed.
        file: in which file.
        whose: which upstream commit touched that file last, by whom, when, and what it is called.
    """

    what: str
    file: str
    whose: str

    @property
    def text(self) -> str:
        return f"{self.what}\n{self.file}\n{self.whose}"


def blame(findings: Findings, upstream: Upstream) -> tuple[Blame, ...]:
    """Say for each patch that does not apply, and for a gate that fails, what matters in three lines.

    The history of at most MOST files is asked for, one git command for each.

    Raises:
        Unmeasurable: the mirror cannot be read.
    """
    history = _History(findings, upstream)
    blames = [_of_patch(outcome, history) for outcome in findings.stopped]
    if findings.failure is not None:
        # The gate's file is one: it is asked for even where patches have used up the room.
        blames.append(_of_gate(findings.failure, history))
    return tuple(blames)


class _History:
    """What upstream did between the pin and the target, asked file by file, and each file once."""

    def __init__(self, findings: Findings, upstream: Upstream) -> None:
        self._upstream = upstream
        self._since, self._until = findings.standing.pin, findings.target
        strip = (findings.settings.strip or "").strip("/")
        self._below = f"{strip}/" if strip else ""
        self.vendored = findings.vendored.path
        self._asked: set[str] = set()

    @property
    def range(self) -> str:
        return f"{self._since[:SHORT]} and {self._until[:SHORT]}"

    def changed(self) -> list[str]:
        """List the vendored files that upstream changed, by their paths below the vendored folder."""
        files = changed_files(self._upstream, self._since, self._until)
        return [file.removeprefix(self._below) for file in files if file.startswith(self._below)]

    def touched(self, file: str, *, anyway: bool = False) -> str:
        """Say who touched a vendored file last."""
        if self._since == self._until:
            return "upstream has nothing after the pin: it does not fit what is vendored"
        if file not in self._asked and len(self._asked) >= MOST and not anyway:
            return f"its history was not asked for: more than {MOST} files are concerned"
        self._asked.add(file)
        touch = last_touch(self._upstream, self._since, self._until, f"{self._below}{file}")
        if touch is None:
            return f"no upstream commit between {self.range} touched it"
        return _whose(touch)


def _whose(touch: Touch) -> str:
    return f"last {touch.did} upstream by {name_commit(touch.commit)}"


def _of_patch(outcome: Outcome, history: _History) -> Blame:
    because = f" ({one_line(outcome.reason)})" if outcome.reason else ""
    what = f"patch {one_line(outcome.patch.name)}: {outcome.verdict}{because}"
    files = outcome.files or outcome.patch.paths
    if not files or outcome.verdict is Verdict.REFUSED:
        return _short(what, "it is not held against any file", "no upstream commit is concerned")
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return _short(what, f"in {one_line(files[0])}{more}", history.touched(files[0]))


def _of_gate(check: Check, history: _History) -> Blame:
    what = f"gate: {one_line(check.command)} did not pass"
    changed = history.changed()
    # The command's own words are no finding of it.
    said = check.account.replace(check.command, "")
    file = _named(said, changed, vendored=history.vendored)
    if file:
        return _short(what, f"its output names {history.vendored}/{file}", history.touched(file, anyway=True))
    count = quantity(len(changed), "vendored files")
    return _short(
        what,
        "its output names no vendored file that changed upstream",
        f"{count} changed upstream between {history.range}",
    )


def _short(*lines: str) -> Blame:
    what, file, whose = (one_line(line, limit=_LINE) for line in lines)
    return Blame(what=what, file=file, whose=whose)


def _named(account: str, files: Sequence[str], *, vendored: str) -> str:
    """Find the file that a command's output names first: by its whole path, else by the end of one.

    Args:
        files: paths below the vendored folder; one of them is the answer, or else the empty text.
        vendored: the vendored folder's path.
    """
    known = set(files)
    owners: dict[str, list[str]] = {}
    for file in files:
        for end in _ends(file):
            owners.setdefault(end, []).append(file)
    names = [match[0].removeprefix("./").rstrip(".") for match in _NAMES.finditer(account[-_READ:])]
    for name in names:
        for end in _ends(name):
            # Without a folder or a dot in it a name is as well a word.
            telling = "/" in end or name.endswith(f"{vendored}/{end}") or (name == end and "." in end)
            if end in known and telling:
                return end
    ends = (owners[name] for name in names if name in owners and ("/" in name or "." in name))
    return next((found[0] for found in ends if len(found) == 1), "")


def _ends(path: str) -> Iterator[str]:
    """Give a path, and what is left of it without its first folder, and so on."""
    while path:
        yield path
        path = path.partition("/")[2]
