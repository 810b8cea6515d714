"""Rewrites a patch so that it fits upstream as it is now, and keeps everything its author said about it."""

import re

from riskloop.git import Upstream
from riskloop.mitigations.upstream_drift.diffs import decode_mail, is_mail
from riskloop.mitigations.upstream_drift.settings import Settings
from riskloop.mitigations.upstream_drift.verdicts import Outcome

_DIFFERENCE = ("diff-tree", "-r", "--full-index", "--no-ext-diff", "--no-textconv")
_START = re.compile(rb"(?m)^(?:diff --git |Index: |--- (?=[^\n]*\n\+\+\+ [^\n]*\n@@ -))")
_SCISSORS = re.compile(rb"(?m)^---[ \t]*$\n?")
_STAT = re.compile(rb"(?m)^ (?:\S.*? +\| .*|\d+ files? changed.*|(?:create|delete|mode|rename|copy) .*)$")
_SIGNATURE = re.compile(rb"(?s)\n(-- ?\n.*)\Z")


def refresh(upstream: Upstream, outcome: Outcome, settings: Settings) -> bytes:
    """Give the new content of a patch's file: what was written around the change stays as it is.

    Args:
        outcome: of a patch that applies, though not as it stands; with the trees around it.

    Raises:
        Unmeasurable: the mirror cannot be read.
    """
    patch = outcome.patch
    fronts = _fronts(outcome, settings)
    how = ("-p", "--binary", "-M", *fronts)
    change = upstream.git(*_DIFFERENCE, *how, outcome.before, outcome.after).stdout
    stat = upstream.git(*_DIFFERENCE, "-M", "--stat", "--summary", outcome.before, outcome.after).stdout
    content = decode_mail(patch.content) if not is_mail(patch.content) else patch.content
    found = _START.search(content)
    head = content[: found.start()] if found else b""
    signature = _SIGNATURE.search(content, found.start() if found else 0)
    return _restated(head, stat) + change + (signature[1] if signature else b"")


def _fronts(outcome: Outcome, settings: Settings) -> tuple[str, ...]:
    raise NotImplementedError


def _restated(head: bytes, stat: bytes) -> bytes:
    raise NotImplementedError
