"""Impairments of links: what happens to packets that an end sends.

Every link of a lab has a lower end, of which it is the only link: a node, a Pod, an external host, a rack's router.  So
a link is named by its lower end.  Each direction is impaired where it is sent: by the qdisc of the sender's end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from netlab import units
from netlab.errors import BadInput, Mark
from netlab.tuples import NamedTuple

UP, DOWN = "up", "down"  # what the lower end sends, what it is sent
UNDERLAY, OWN_NODE = "underlay", "node"  # the words for an upper end
#: Options of ``netlab link``, and the fields of an entry of ``links``, with the function that reads each.
FIELDS: Mapping[str, Callable[[str], float]] = {
    "delay": units.nanoseconds,
    "jitter": units.nanoseconds,
    "loss": units.percent,
    "duplicate": units.percent,
    "reorder": units.percent,
    "corrupt": units.percent,
    "rate": units.bits_per_second,
}
_TEXTS: Mapping[Callable[[str], float], Callable[[Any], str]] = {
    units.nanoseconds: units.time_text,
    units.percent: units.percent_text,
    units.bits_per_second: units.rate_text,
}
_WITHOUT_NETEM = frozenset(("loss", "rate"))


class Values(NamedTuple):
    """The impairments of a direction: nanoseconds, percentages, bits a second; 0: none."""

    delay: int = 0
    jitter: int = 0
    loss: float = 0
    duplicate: float = 0
    reorder: float = 0
    corrupt: float = 0
    rate: int = 0

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Values:
        """The values of an entry.  Raises ValueError for a text that is no value."""
        return cls(**{name: read(given[name]) for name, read in FIELDS.items() if name in given})  # type: ignore[arg-type]

    def texts(self) -> dict[str, str]:
        """The values that are not 0, as an entry has them."""
        return {name: _TEXTS[read](value) for name, read in FIELDS.items() if (value := getattr(self, name))}

    def __str__(self) -> str:
        """``delay 20ms jitter 5ms loss 1%``."""
        return " ".join(f"{name} {text}" for name, text in self.texts().items())

    @property
    def only_netem(self) -> tuple[str, ...]:
        """The impairments that take netem."""
        return tuple(name for name in FIELDS if getattr(self, name) and name not in _WITHOUT_NETEM)

    @property
    def problem(self) -> tuple[str, str] | None:
        """The field that does not fit the others, and why."""
        if self.jitter > self.delay:
            return "jitter", f"{units.time_text(self.jitter)} is more than the delay of {units.time_text(self.delay)}"
        if self.reorder and not self.delay:
            return "reorder", "it needs a delay: packets overtake those that wait"
        return None


class Link(NamedTuple):
    """A link by its lower end: ``key`` is ``Kind/name``, ``netns`` and ``dev`` are that end's, ``upper`` the other's names.

    ``upper[0]`` is the name that is printed.
    """

    key: str
    netns: str
    dev: str
    upper: tuple[str, ...]

    @property
    def lower(self) -> str:
        """The lower end's name."""
        return self.key.partition("/")[2].removeprefix("default/")

    @property
    def title(self) -> str:
        """``node-1 and underlay``."""
        return f"{self.lower} and {self.upper[0]}"

    def sender(self, direction: str) -> str:
        """The end that sends in a direction."""
        return self.lower if direction == UP else self.upper[0]


class Impairment(NamedTuple):
    """A direction of a link and what happens to its packets; without ``mark`` ``netlab link`` said so."""

    link: Link
    direction: str
    values: Values
    mark: Mark | None = None


def key(link: Link, direction: str) -> str:
    """A direction's name among ``Changes.links``."""
    return f"{link.key} {direction}"


def read_options(given: Mapping[str, str]) -> Values:
    """The values of a command's options.  Raises BadInput."""
    for name, text in given.items():
        try:
            FIELDS[name](text)
        except ValueError as error:
            raise BadInput(f"--{name}: {error}") from None
    values = Values.of(given)
    if values.problem is not None:
        raise BadInput(f"--{': '.join(values.problem)}")
    return values
