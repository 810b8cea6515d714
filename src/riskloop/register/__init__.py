"""The register: one YAML file in which a team writes its risks, their owners and what is done about them."""

from riskloop.register.contents import Register
from riskloop.register.loading import last_good, load
from riskloop.register.reporting import Ranked, check_report, notes, show

__all__ = ["Ranked", "Register", "check_report", "last_good", "load", "notes", "show"]
