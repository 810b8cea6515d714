"""The kinds: one module each, named as the register writes it."""

import inspect
import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module

from riskloop.risks import Kind


@cache
def kinds() -> Mapping[str, Kind]:
    """Every kind, by name; its module has what CONTRIBUTING.md lists."""
    found = {}
    for entry in pkgutil.iter_modules(__path__):
        module = import_module(f"{__name__}.{entry.name}")
        says, _, about = inspect.cleandoc(module.__doc__ or "").partition("\n")
        found[entry.name] = Kind(
            name=entry.name,
            says=says,
            about=about.strip(),
            settings=module.Settings,
            metrics=module.METRICS,
            remedy=module.REMEDY,
            forms=module.FORMS,
            measure=module.measure,
            heeds=module.HEEDS,
            recalls=module.RECALLS,
            mitigate=module.mitigate,
        )
    return found
