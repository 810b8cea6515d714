"""Rewrites a patch so that it fits upstream as it is now, and keeps everything its author said about it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from riskloop.files import scratch
from riskloop.git import Upstream
from riskloop.mitigations.upstream_drift.patches.diffs import NOWHERE, decode_mail
from riskloop.mitigations.upstream_drift.patches.series import Patch
from riskloop.mitigations.upstream_drift.patches.verdicts import Outcome, Step
from riskloop.mitigations.upstream_drift.patches.workbench import Workbench
from riskloop.mitigations.upstream_drift.settings import Settings

_DIFFERENCE = ("diff-tree", "-r", "-M", "--full-index", "--no-ext-diff", "--no-textconv")
_FORMATS = ("--stat=72", "--summary", "--patch", "--binary")
_START = re.compile(rb"(?m)^(?:diff --git |Index: |--- (?=[^\n]*\n\+\+\+ [^\n]*\n@@ -))")
# What format-patch puts between a message and its diff, and after it.
_STAT = re.compile(
    rb"(?m)(?:^ [^\n]* \| +(?:\d|Bin|Unmerged)[^\n]*\n)*"
    rb"^ \d+ files? changed[^\n]*\n"
    rb"(?:^ (?:create mode|delete mode|mode change|rename|copy|rewrite) [^\n]*\n)*"
)
_SIGNATURE = re.compile(rb"\n(-- \r?\n(?:[^ +\-\\@\r\n][^\n]*\n?)?\s*)\Z")


def refresh(upstream: Upstream, outcomes: Sequence[Outcome], settings: Settings) -> list[bytes]:
    """Give the new content of patches' files: what was written around a change stays as it is.

    Of several mails in one file only the first one's words are kept, as their changes are one now.

    Args:
        outcomes: of patches that apply, in the order of their series, so that each is applied again once.

    Raises:
        Unmeasurable: the mirror cannot be read.
    """
    steps = [step for outcome in outcomes for step in _steps(outcome)]
    paths = tuple(dict.fromkeys(path for step in steps for path in step.paths))
    with scratch(upstream.state, "refresh") as room:
        replay = _Replay(bench=Workbench(upstream=upstream, room=room, paths=paths))
        return [_refreshed(upstream, outcome, settings, replay.around(outcome)) for outcome in outcomes]


def _steps(outcome: Outcome) -> tuple[Step, ...]:
    return (*outcome.earlier, outcome.step) if outcome.step is not None else ()


@dataclass(slots=True, kw_only=True)
class _Replay:
    """Goes through a series once more, from one patch to the next.

    Args:
        base: the tree that was laid.
        steps: what was applied to it since.
        part: the tree of what the bench holds now; empty if it is not known.
    """

    bench: Workbench
    base: str = ""
    steps: tuple[Step, ...] = ()
    part: str = ""

    def around(self, outcome: Outcome) -> tuple[str, str]:
        """Give trees before and after a patch, perhaps only with the files that the patches touch."""
        if outcome.step is None:
            return outcome.before, outcome.after
        return self._go(outcome.before, outcome.earlier), self._go(outcome.before, _steps(outcome))

    def _go(self, base: str, steps: tuple[Step, ...]) -> str:
        if base != self.base or steps[: len(self.steps)] != self.steps:
            self.bench.lay(base)
            self.base, self.steps, self.part = base, (), ""
        if ahead := steps[len(self.steps) :]:
            self.bench.replay(ahead)
            self.steps, self.part = steps, ""
        self.part = self.part or self.bench.part()
        return self.part


def _refreshed(upstream: Upstream, outcome: Outcome, settings: Settings, around: tuple[str, str]) -> bytes:
    patch = outcome.patch
    front = _front(patch, settings)
    trees = [_below(upstream, tree, front) for tree in around]
    said = upstream.git(*_DIFFERENCE, *_FORMATS, *_prefixes(patch, front), *trees).stdout
    # The two are an empty line apart, and there is none before it: of a name git prints no line's end.
    stat, _, change = said.partition(b"\n\n")
    stat += b"\n" if stat else b""
    content = decode_mail(patch.content)
    start = found.start() if (found := _START.search(content)) else len(content)
    signature = _SIGNATURE.search(content, start)
    head = content[:start]
    if b"\r\n" in head and b"\r\n" not in change:
        change, stat = (text.replace(b"\n", b"\r\n") for text in (change, stat))
    return _restated(head, stat) + change + (signature[1] if signature else b"")


def _restated(head: bytes, stat: bytes) -> bytes:
    """Put the new summary of changed files where the old one was, if there was one."""
    ends = head.replace(b"\r\n", b"\n")
    old = list(_STAT.finditer(ends))
    if not old:
        return head
    before, after = ends[: old[-1].start()], ends[old[-1].end() :]
    if ends != head:
        before, after = (text.replace(b"\n", b"\r\n") for text in (before, after))
    return before + stat + after


def _front(patch: Patch, settings: Settings) -> str:
    """Say which folder's path stands before the names of the vendored tree in a patch; empty if none does."""
    changes = patch.diffs[0].changes
    for front in (settings.path.as_posix(), (settings.strip or "").strip("/")):
        level = patch.level - front.count("/") - 1
        if (
            front
            and level >= 0
            and all(name.startswith(f"{front}/") for change in changes for name in change.names(level))
        ):
            return front
    return ""


def _below(upstream: Upstream, tree: str, front: str) -> str:
    """Put a tree into a folder, so that git writes the folder's name wherever it writes a file's."""
    for name in reversed(front.split("/") if front else ()):
        entry = f"040000 tree {tree}\t{name}\0".encode("utf-8", "surrogateescape")
        tree = upstream.git("mktree", "-z", stdin=entry).text().strip()
    return tree


def _prefixes(patch: Patch, front: str) -> tuple[str, ...]:
    """Give git the prefixes that the names had: `a/` and `b/` mostly, or none."""
    depth = patch.level - (front.count("/") + 1 if front else 0)
    if depth <= 0:
        return ("--no-prefix",)
    change = patch.diffs[0].changes[0]
    first = change.old if change.old != NOWHERE else ""
    last = change.new if change.new != NOWHERE else ""
    old, new = ("/".join(name.split("/")[:depth]) + "/" if name else "" for name in (first, last))
    if depth == 1 and not (old and new):
        old, new = "a/", "b/"
    return f"--src-prefix={old or new}", f"--dst-prefix={new or old}"
