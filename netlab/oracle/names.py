"""Whom a name means: a Pod's, a Service's, a node's, an external host's or a DNS name, the same for every verb.

A bare name is looked for in this order.  DNS names are those that a Pod of the namespace can look up: ``web``,
``web.shop``, ``web.shop.svc.cluster.local``, ``db-0.db.shop``, and a Service that is a name for another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from netlab.model.services_types import Service
from netlab.oracle.endpoints import Endpoints
from netlab.oracle.flow import LOCALHOST, Endpoint
from netlab.oracle.reachable import Reachable

_DOMAIN = ".cluster.local"
_CHAIN = 8  # ExternalNames that lead to ExternalNames; a resolver ends somewhere too


class Meant(NamedTuple):
    """The ends that a word means, and what a reader should know of that; no ends: the word means nobody."""

    ends: tuple[Reachable, ...] = ()
    note: str = ""


def whole(*ends: Endpoint | None) -> tuple[Reachable, ...]:
    """Ends with all their addresses, less those that are not there or have none."""
    return tuple(Reachable(end, end.addresses) for end in ends if end is not None and end.addresses)


def bare(known: Endpoints, namespace: str, name: str, *, qualified: bool) -> Meant:
    """Whom a name without a kind means.  ``qualified``: a namespace was written before it, which nodes do not have."""
    full = f"{namespace}/{name}"
    service = known.service_of.get(full)
    found = [
        ("a Pod", Meant(whole(known.pods.get(full))), name),
        ("a Service", of_service(known, service) if service else Meant(), f"svc/{name}"),
    ]
    if not qualified:
        found.append(("a node", Meant(whole(known.nodes.get(name))), f"node/{name}"))
        found.append(("an external host", Meant(whole(known.external.get(name))), f"external/{name}"))
    found = [candidate for candidate in found if candidate[1].ends]
    if found:
        others = " and ".join(f"{what} ({word})" for what, _, word in found[1:])
        what, first, _ = found[0]
        return first._replace(note=f"{name} is {what} here; it is also the name of {others}") if others else first
    if not qualified and name == LOCALHOST.name:
        return Meant(whole(LOCALHOST))
    return Meant() if qualified else by_dns(known, name, namespace)


def by_dns(known: Endpoints, text: str, namespace: str, depth: int = 0) -> Meant:
    """Whom a DNS name leads to, as a Pod of the namespace writes it."""
    parts = text.removesuffix(".").removesuffix(_DOMAIN).removesuffix(".svc").split(".")
    if len(parts) < 3:
        service = known.service_of.get(f"{parts[1] if len(parts) > 1 else namespace}/{parts[0]}")
        return of_service(known, service, depth) if service else Meant()
    if len(parts) == 3 and (service := known.service_of.get(f"{parts[2]}/{parts[1]}")) is not None:
        members = (backend.pod for backend in service.ready if backend.hostname == parts[0])
        return Meant(whole(next((known.pods[pod] for pod in members if pod in known.pods), None)))
    return Meant()


def of_service(known: Endpoints, service: Service, depth: int = 0) -> Meant:
    """The Service itself where it has an address, the Pods of a headless one, or whomever it is a name for."""
    if end := whole(known.services.get(str(service))):
        return Meant(end)
    if not service.external_name:
        return Meant(tuple(_behind(known, service)), f"{service} is headless: its name leads to its Pods")
    onward = whole(known.external.get(service.external_name))
    if not onward and depth < _CHAIN:
        onward = by_dns(known, service.external_name, service.namespace, depth + 1).ends
    return Meant(onward, f"{service} is a name for {service.external_name}")


def leads_nowhere(service: Service) -> str:
    """Why a Service is no target: it has no address, and its name leads to nobody."""
    if service.external_name:
        return f"Service {service} is a name for {service.external_name}, which nobody in this lab has"
    return f"Service {service} is headless, and nobody is behind it: there is no address that its name leads to"


def _behind(known: Endpoints, service: Service) -> Iterator[Reachable]:
    """The Pods behind a headless Service, as its DNS name leads to them, at their target ports."""
    for backend in service.ready:
        if pod := known.pods.get(backend.pod):
            yield Reachable(pod, (str(backend.address),), tuple(zip(service.ports, backend.ports, strict=True)))
