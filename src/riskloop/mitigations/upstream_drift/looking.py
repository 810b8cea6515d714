"""Takes one whole look at vendored code: how far behind it is, what was changed in it, what a bump is."""

from riskloop.errors import Unmeasurable
from riskloop.measurements import Observation
from riskloop.mitigations.upstream_drift.settings import Settings
from riskloop.risks import Site


def measure(settings: Settings, site: Site) -> Observation:
    """Look at vendored code and its upstream; change nothing but our own mirrors."""
    raise Unmeasurable(f"{settings.path} in {site.project} cannot be looked at yet")
