"""Looks at one mitigation so that whatever goes wrong with it stays with it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from riskloop.errors import RiskloopError
from riskloop.measurements import Look
from riskloop.redaction import redacted
from riskloop.risks import Mitigation, Site

_log = logging.getLogger(__name__)
_Given = TypeVar("_Given")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why something could not be done with one mitigation.

    Args:
        words: one sentence without a full stop, no secret in it.
        failure: the unexpected exception behind it, if it was one: a bug, to be raised at the end.
    """

    words: str
    failure: Exception | None = None


def isolated(mitigation: Mitigation, do: Callable[[], _Given]) -> _Given | Trouble:
    """Do something with one mitigation; a failure of any sort becomes words.

    An unexpected exception is a bug: it is logged with its traceback and kept, so that whoever works on many
    mitigations can raise it once everyone has been assessed and told.
    """
    try:
        return do()
    except RiskloopError as error:
        return Trouble(words=redacted(str(error)))
    except Exception as error:  # noqa: BLE001 - the one place that isolates a mitigation from the next
        _log.exception("%s: unexpected failure", mitigation.id)
        return Trouble(words=redacted(f"unexpected {type(error).__name__}: {error}"), failure=error)


def look(mitigation: Mitigation, site: Site) -> Look:
    """Measure one mitigation; a failure of any sort becomes the look's reason."""
    at: datetime = site.now
    there = replace(site, mitigation=mitigation.id)
    seen = isolated(mitigation, lambda: mitigation.kind.measure(mitigation.settings, there))
    if isinstance(seen, Trouble):
        return Look(mitigation=mitigation.id, at=at, reason=seen.words, failure=seen.failure)
    return Look(mitigation=mitigation.id, at=at, observation=seen)
