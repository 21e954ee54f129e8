"""``route``: the route that the kernel takes for an address, or the route of a destination."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network
from typing import Any, ClassVar

from netlab.exercise.checks.base import entry, same
from netlab.exercise.facts import Facts, Look
from netlab.exercise.places import netns_of
from netlab.objects import Obj
from netlab.objects.ip import MAIN, Route
from netlab.values import dataclass


@dataclass(frozen=True, slots=True)
class RouteTo:
    """``to``: an address, for which the longest prefix counts, or a CIDR, which must be the route's own."""

    KEEPS: ClassVar[bool] = False
    SENDS: ClassVar[bool] = False

    at: str
    to: str
    via: str = ""
    dev: str = ""
    absent: bool = False

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> RouteTo:
        try:
            ip_network(fields["to"])
        except ValueError as error:
            raise ValueError(f"to: {error}") from None
        return cls(**fields)

    def look(self, facts: Facts) -> Look:
        netns = netns_of(facts.cluster, self.at)
        route = best((each for each in facts.objects() if each.netns == netns), self.to)
        fits = route is not None and same(self.via, route.via) and same(self.dev, route.dev)
        if route is not None and not fits and not self.absent:
            where = " ".join([*(["via", route.via] if route.via else []), "dev", route.dev])
            return Look(False, f"{route.dst} {where}")
        return entry([route] if route is not None and fits else [], f"route to {self.to}", self.absent)


def best(objects: Iterable[Obj], to: str) -> Route | None:
    """The route of table main that an address takes; of a CIDR, the route of exactly that destination."""
    routes = [each for each in objects if isinstance(each, Route) and each.table == MAIN]
    if "/" in to:
        return next((each for each in routes if each.dst == to), None)
    address = ip_address(to)
    fitting = [
        (network.prefixlen, -each.metric, each)
        for each in routes
        if address in (network := ip_network(each.dst, strict=False))
    ]
    return max(fitting, key=lambda row: row[:2])[2] if fitting else None
