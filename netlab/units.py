"""Units of impairments, as tc(8) has them: times, percentages, rates.  tc reads a bare number in a unit that few guess
(``delay 20`` is 20 microseconds), so a unit is required.
"""

from __future__ import annotations

import re

_NUMBER = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+) ?([A-Za-z%]*)\Z")
_TIMES = {
    **dict.fromkeys(("s", "sec", "secs"), 10**9),
    **dict.fromkeys(("ms", "msec", "msecs"), 10**6),
    **dict.fromkeys(("us", "usec", "usecs"), 10**3),
    **dict.fromkeys(("ns", "nsec", "nsecs"), 1),
}
_PREFIXES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_RATES = {prefix + unit: size * many for prefix, many in _PREFIXES.items() for unit, size in (("bit", 1), ("bps", 8))}
LONGEST = 60 * 10**9  # nanoseconds
_DECIMALS = 4
LEAST = 0.0001  # percent
SLOWEST, FASTEST = 1000, 100 * 10**9  # bits a second


def _parts(text: str) -> tuple[float, str]:
    match = _NUMBER.match(text)
    if match is None:
        raise ValueError(f'"{text}" is no number with a unit')
    return float(match[1]), match[2].lower()


def nanoseconds(text: str) -> int:
    """``20ms`` in nanoseconds."""
    number, unit = _parts(text)
    if unit not in _TIMES:
        fault = f'"{unit}" is no unit of time' if unit else f'"{text}" has no unit'
        raise ValueError(f"{fault}: write s, ms, us or ns after the number, as in 20ms")
    if number * _TIMES[unit] > LONGEST:
        raise ValueError(f'"{text}" is too long: at most 60s is allowed')
    return round(number * _TIMES[unit])


def percent(text: str) -> float:
    """``1%`` as 1.0."""
    number, unit = _parts(text)
    if unit != "%":
        raise ValueError(f'"{text}" is not a percentage: write % after the number, as in 1%')
    if number > 100 or 0 < number < LEAST:
        raise ValueError(f'"{text}" is out of range: 0%, or from 0.0001% to 100% is allowed')
    return round(number, _DECIMALS)


def bits_per_second(text: str) -> int:
    """``10mbit`` in bits a second; the units with ``bps`` are bytes a second, as in tc."""
    number, unit = _parts(text)
    if unit not in _RATES:
        fault = f'"{unit}" is no unit of a rate' if unit else f'"{text}" has no unit'
        raise ValueError(
            f"{fault}: write bit, kbit, mbit or gbit after the number (bps is bytes a second), as in 10mbit"
        )
    if not SLOWEST <= number * _RATES[unit] <= FASTEST:
        raise ValueError(f'"{text}" is out of range: from 1kbit to 100gbit is allowed')
    return round(number * _RATES[unit])


def time_text(value: int) -> str:
    """Nanoseconds as tc prints them: ``20ms``, ``1.5s``."""
    return _shown(value, (("s", 10**9), ("ms", 10**6), ("us", 10**3), ("ns", 1)))


def percent_text(value: float) -> str:
    """A percentage; the kernel rounds it to 32 bits."""
    return f"{value:.{_DECIMALS}f}".rstrip("0").rstrip(".") + "%"


def rate_text(value: int) -> str:
    """Bits a second: ``10mbit``."""
    return _shown(value, (("gbit", 10**9), ("mbit", 10**6), ("kbit", 10**3), ("bit", 1)))


def _shown(value: int, units: tuple[tuple[str, int], ...]) -> str:
    """In the largest unit that is not larger than the value."""
    unit, size = next((each for each in units if value >= each[1]), units[-1])
    whole, rest = divmod(value, size)
    fraction = f".{rest:0{len(str(size)) - 1}}".rstrip("0") if rest else ""
    return f"{whole}{fraction}{unit}"
