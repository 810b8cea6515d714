"""Makes golden fixtures anew and says which of them no longer match.

Golden fixtures fall out of date as the thing they imitate changes, and tests that read them go on passing.
The generator runs twice, in clean copies of the project that differ in everything that should not matter;
what differs between the two runs is named and never counted as drift, and what the register's rules take out
is no drift either. A generator that fails is no look at all.
"""

from riskloop.measurements import HIGHER, Metric
from riskloop.mitigations.fixture_drift.adopting import Adoption, BranchCommit, FileChange, adopt
from riskloop.mitigations.fixture_drift.documenting import document
from riskloop.mitigations.fixture_drift.looking import measure
from riskloop.mitigations.fixture_drift.settings import Rule, Settings
from riskloop.risks import Form

METRICS = (
    Metric(
        "fixtures_changed", "fixtures", worse=HIGHER, says="golden fixtures that now come out differently"
    ),
    Metric(
        "fixtures_added", "fixtures", worse=HIGHER, says="fixtures that are made but are not in the project"
    ),
    Metric("fixtures_removed", "fixtures", worse=HIGHER, says="golden fixtures that are no longer made"),
    Metric(
        "fixtures_nondeterministic", "fixtures", worse=HIGHER, says="fixtures that differ between two runs"
    ),
    Metric("manifest_mismatches", "fixtures", worse=HIGHER, says="files that are not what the manifest says"),
    Metric("days_since_adopted", "days", worse=HIGHER, says="age of the manifest's last change"),
)

REMEDY = (
    "If the new fixtures are right, adopt them: they and their manifest replace the golden ones.",
    "If they are wrong, mend the generator or what it records, and the next good look closes this.",
    "If a difference does not matter, add a rule to normalize.",
)

FORMS = (
    Form(
        "adopt_fixtures",
        "Make the regenerated fixtures the golden ones",
        'riskloop adopt {mitigation} --who "your name" --why "why they are right"',
    ),
)

HEEDS = ()

RECALLS = ()

mitigate = None

__all__ = [
    "FORMS",
    "HEEDS",
    "METRICS",
    "RECALLS",
    "REMEDY",
    "Adoption",
    "BranchCommit",
    "FileChange",
    "Rule",
    "Settings",
    "adopt",
    "document",
    "measure",
    "mitigate",
]
