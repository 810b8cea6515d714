"""Looks at one mitigation so that whatever goes wrong with it stays with it."""

import logging
from dataclasses import replace
from datetime import datetime

from riskloop.errors import RiskloopError
from riskloop.measurements import Look
from riskloop.redaction import redacted
from riskloop.risks import Mitigation, Site

_log = logging.getLogger(__name__)


def look(mitigation: Mitigation, site: Site) -> Look:
    """Measure one mitigation; a failure of any sort becomes the look's reason.

    An unexpected exception is a bug: it is logged with its traceback and kept in the look, so that whoever
    asked for many looks can raise it once everyone has been assessed and told.
    """
    at: datetime = site.now
    nothing = Look(mitigation=mitigation.id, at=at)
    try:
        observation = mitigation.kind.measure(
            mitigation.settings, replace(site, mitigation=mitigation.id)
        )
    except RiskloopError as error:
        return replace(nothing, reason=redacted(str(error)))
    except Exception as error:  # noqa: BLE001 - the one place that isolates a mitigation from the next
        _log.exception("%s: unexpected failure", mitigation.id)
        words = redacted(f"unexpected {type(error).__name__}: {error}")
        return replace(nothing, reason=words, failure=error)
    return replace(nothing, observation=observation)
