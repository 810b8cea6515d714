"""Tells seconds from milliseconds by how large most of the numbers are."""

from collections.abc import Sequence
from typing import Any

from riskloop.errors import Unmeasurable
from riskloop.mitigations.row_archive.shapes import Form

_MILLISECONDS = 1e11
"""From here on a number since 1970 is in milliseconds: as seconds it would be past the year 5138."""
_TOO_LARGE = 1e14
_CLEAR = 0.9


def form_of(values: Sequence[Any], *, place: str) -> Form:
    """Say in which form a column says moments, by a sample of it; text where most of it is no number.

    One number alone is no measure: the year 9999 in seconds is 1978 in milliseconds.

    Args:
        place: what to call the column in a message.

    Raises:
        Unmeasurable: the numbers are of both sorts, or of none.
    """
    numbers = [abs(value) for value in values if isinstance(value, int | float)]
    if len(numbers) * 2 < len(values) or not values:
        return Form.TEXT
    long = sum(number >= _MILLISECONDS for number in numbers) / len(numbers)
    large = sum(number >= _TOO_LARGE for number in numbers) / len(numbers)
    if large < 1 - _CLEAR and (long >= _CLEAR or long <= 1 - _CLEAR):
        return Form.MILLISECONDS if long >= _CLEAR else Form.SECONDS
    raise Unmeasurable(
        f"{place} holds numbers that are neither seconds nor milliseconds since 1970",
        remedy="say which by `form: seconds` or `form: milliseconds`, or name another column",
    )
