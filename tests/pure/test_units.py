"""Units as tc has them; a bare number is refused, since tc takes ``delay 20`` for microseconds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from netlab import units


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (units.nanoseconds, "20ms", 20_000_000),
        (units.nanoseconds, "1.5 s", 1_500_000_000),
        (units.nanoseconds, ".5usecs", 500),
        (units.nanoseconds, "60s", 60_000_000_000),
        (units.nanoseconds, "0ms", 0),
        (units.percent, "1%", 1.0),
        (units.percent, "0.0001 %", 0.0001),
        (units.percent, "100%", 100.0),
        (units.bits_per_second, "10mbit", 10_000_000),
        (units.bits_per_second, "10Mbit", 10_000_000),
        (units.bits_per_second, "1kibit", 1024),
        (units.bits_per_second, "1mbps", 8_000_000),
        (units.bits_per_second, "100gbit", 100_000_000_000),
    ],
)
def test_values(read: Callable[[str], float], text: str, value: float) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (units.nanoseconds, "20", "has no unit"),
        (units.nanoseconds, "20m", '"m" is no unit of time'),
        (units.nanoseconds, "61s", "at most 60s"),
        (units.nanoseconds, "-1ms", "no number"),
        (units.nanoseconds, "1e400s", "no number"),
        (units.nanoseconds, "20ms\n", "no number"),
        (units.nanoseconds, "9" * 400 + "s", "too long"),
        (units.percent, "1", "write % after"),
        (units.percent, "100.1%", "0.0001% to 100%"),
        (units.percent, "0.00001%", "0.0001% to 100%"),
        (units.percent, "1%%", "not a percentage"),
        (units.bits_per_second, "10", "has no unit"),
        (units.bits_per_second, "10mb", '"mb" is no unit of a rate'),
        (units.bits_per_second, "999bit", "from 1kbit to 100gbit"),
        (units.bits_per_second, "101gbit", "from 1kbit to 100gbit"),
        (units.bits_per_second, "٣mbit", "no number"),
    ],
)
def test_what_is_refused(read: Callable[[str], float], text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(text)


@pytest.mark.parametrize("text", ["20ms", "1.5s", "7us", "3ns", "0ns", "1.000001s"])
def test_times_are_printed_as_they_are_read(text: str) -> None:
    assert units.time_text(units.nanoseconds(text)) == text


@pytest.mark.parametrize("text", ["10mbit", "1.5gbit", "1kbit", "1.024kbit"])
def test_rates_are_printed_as_they_are_read(text: str) -> None:
    assert units.rate_text(units.bits_per_second(text)) == text
