"""Numbers and moments as people write them."""

import math
from datetime import UTC, datetime, timedelta

_LARGE = 1e15
_KIBI = 1024
_HUNDRED = 100
_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def number(value: float) -> str:
    """Write 3 rather than 3.0, 12.5, 1,234,567, and 0.0042 with two figures that count."""
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinity"
    if abs(value) >= _LARGE:
        return f"{value:.3g}"
    if value and abs(value) < 1:
        return f"{value:.2g}"
    text = f"{value:,.2f}"
    return text.rstrip("0").rstrip(".")


def quantity(value: float, unit: str) -> str:
    """Write a number with its unit, `1 fixture` and `3 fixtures`; the unit is given in the plural.

    Bytes are written as a size.
    """
    if unit == "bytes" and abs(value) >= _KIBI:
        return size(value)
    return f"{number(value)} {_singular(unit) if value == 1 else unit}".rstrip()


def size(count: float) -> str:
    """Write a number of bytes in the largest binary unit it fills: `512 bytes`, `3.4 GiB`."""
    if abs(count) < _KIBI:
        return quantity(count, "bytes")
    power = min(len(_UNITS), int(math.log2(abs(count))) // 10)
    filled = count / _KIBI**power
    return (
        f"{filled:.0f} {_UNITS[power - 1]}"
        if abs(filled) >= _HUNDRED
        else f"{filled:.3g} {_UNITS[power - 1]}"
    )


def bound(value: float, unit: str) -> str:
    """Write the bound of a threshold: a number, or a size where its metric is in bytes."""
    return size(value) if unit == "bytes" else number(value)


def metric(name: str) -> str:
    """Write a metric's name as words: `fixtures_changed` becomes `fixtures changed`."""
    return name.replace("_", " ")


def moment(at: datetime) -> str:
    """Write an aware moment in UTC: `20 November 2025, 12:19 UTC`."""
    at = at.astimezone(UTC)
    return f"{at.day} {at:%B %Y, %H:%M} UTC"


def duration(length: timedelta) -> str:
    """Write a length of time in its largest whole unit: `3 hours`, `12 days`."""
    seconds = max(0, int(length.total_seconds()))
    for name, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= size:
            return quantity(seconds // size, name)
    return "less than a minute"


def _singular(unit: str) -> str:
    if unit.endswith("ies"):
        return f"{unit[:-3]}y"
    for ending in ("ches", "shes", "sses", "xes"):
        if unit.endswith(ending):
            return unit.removesuffix("es")
    return unit.removesuffix("s")
