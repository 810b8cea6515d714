"""Numbers and moments as people write them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from riskloop.wording import figures


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.0, "3"),
        (12.5, "12.5"),
        (0.0, "0"),
        (-2.0, "-2"),
        (1234567.0, "1,234,567"),
        (100.0, "100"),
        (0.1 + 0.2, "0.3"),
        (0.0042, "0.0042"),
        (2 / 3 + 1, "1.67"),
        (1e20, "1e+20"),
        (float("nan"), "not a number"),
        (float("inf"), "infinity"),
    ],
)
def test_a_number_is_written_for_people(value: float, text: str) -> None:
    assert figures.number(value) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (3.0, "fixtures", "3 fixtures"),
        (1.0, "fixtures", "1 fixture"),
        (1.0, "patches", "1 patch"),
        (1.0, "entries", "1 entry"),
        (12.5, "days", "12.5 days"),
        (1.0, "bytes", "1 byte"),
        (2.0, "", "2"),
    ],
)
def test_a_quantity_has_its_unit_in_the_right_number(value: float, unit: str, text: str) -> None:
    assert figures.quantity(value, unit) == text


def test_a_moment_is_in_utc_wherever_it_was_taken() -> None:
    berlin = timezone(timedelta(hours=1))
    assert figures.moment(datetime(2025, 11, 1, 0, 5, tzinfo=berlin)) == "31 October 2025, 23:05 UTC"
    assert figures.moment(datetime(2025, 11, 1, 0, 5, tzinfo=UTC)) == "1 November 2025, 00:05 UTC"


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(seconds=59), "less than a minute"),
        (timedelta(seconds=-5), "less than a minute"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(hours=3, minutes=59), "3 hours"),
        (timedelta(days=12, hours=3), "12 days"),
    ],
)
def test_a_duration_is_its_largest_whole_unit(length: timedelta, text: str) -> None:
    assert figures.duration(length) == text


@pytest.mark.parametrize(
    ("count", "written"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1,023 bytes"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (1024**2 - 1, "1024 KiB"),
        (3_000_000, "2.86 MiB"),
        (40 * 1024**3, "40 GiB"),
        (-2048, "-2 KiB"),
        (2**63, "8 EiB"),
    ],
)
def test_a_size_is_written_in_the_largest_unit_it_fills(count: int, written: str) -> None:
    assert figures.size(count) == figures.quantity(count, "bytes") == figures.bound(count, "bytes") == written
    assert figures.bound(count, "files") == figures.number(count)
