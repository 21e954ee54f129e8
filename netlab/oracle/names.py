"""The ends that a name means: a Pod, a Service, a node, an external host or a DNS name, the same for every verb.

A bare name is looked for in this order.  DNS names (``web``, ``web.shop``, ``web.shop.svc.cluster.local``,
``db-0.db.shop``, and a Service that is a name for another) are found as the client's own resolv.conf would.
"""

from __future__ import annotations

from collections.abc import Iterator

from netlab.model.cluster import Pod
from netlab.model.cluster.services import Service
from netlab.model.resolver import of_namespace, of_pod
from netlab.model.services.system import DOMAIN
from netlab.oracle.endpoints import Endpoints
from netlab.oracle.flow import LOCALHOST, Endpoint
from netlab.oracle.reachable import Reachable
from netlab.tuples import NamedTuple

_ZONE = f".svc.{DOMAIN}"
_CHAIN = 8  # ExternalNames that lead to ExternalNames; a resolver ends somewhere too


class Meant(NamedTuple):
    """The ends that a word means, and a note for the reader; without ends the word matches nothing."""

    ends: tuple[Reachable, ...] = ()
    note: str = ""


def whole(*ends: Endpoint | None) -> tuple[Reachable, ...]:
    """Ends with all their addresses, less those that are not there or have none."""
    return tuple(Reachable(end, end.addresses) for end in ends if end is not None and end.addresses)


def bare(endpoints: Endpoints, namespace: str, name: str, *, qualified: bool, client: Pod | None = None) -> Meant:
    """The ends of a name without a kind.  ``qualified``: a namespace was written before it, which nodes do not have."""
    full = f"{namespace}/{name}"
    service = endpoints.service_of.get(full)
    candidates = [
        ("a Pod", Meant(whole(endpoints.pods.get(full))), name),
        ("a Service", of_service(endpoints, service) if service else Meant(), f"svc/{name}"),
    ]
    if not qualified:
        candidates.append(("a node", Meant(whole(endpoints.nodes.get(name))), f"node/{name}"))
        candidates.append(("an external host", Meant(whole(endpoints.external.get(name))), f"external/{name}"))
    candidates = [candidate for candidate in candidates if candidate[1].ends]
    if candidates:
        others = " and ".join(f"{kind} ({word})" for kind, _, word in candidates[1:])
        kind, first, _ = candidates[0]
        return first._replace(note=f"{name} is {kind} here; it is also the name of {others}") if others else first
    if not qualified and name == LOCALHOST.name:
        return Meant(whole(LOCALHOST))
    return Meant() if qualified else by_dns(endpoints, name, namespace, client=client)


def is_for_dns(endpoints: Endpoints, namespace: str, name: str) -> bool:
    """Whether a bare name is one that only DNS, or a hosts file, can know: it has a dot and no object is called so."""
    full = f"{namespace}/{name}"
    objects = (
        endpoints.pods.get(full),
        endpoints.service_of.get(full),
        endpoints.nodes.get(name),
        endpoints.external.get(name),
    )
    return "." in name and not any(objects)


def by_dns(endpoints: Endpoints, text: str, namespace: str, depth: int = 0, client: Pod | None = None) -> Meant:
    """The ends of a DNS name, by the search list of the client, or of a Pod of the namespace where none is known."""
    resolver = of_pod(client) if client else of_namespace(namespace)
    for name in resolver.candidates(text.removesuffix(".")):
        if name.endswith(_ZONE) and (meant := _in_zone(endpoints, name.removesuffix(_ZONE).split("."), depth)).ends:
            return meant
    return Meant()


def _in_zone(endpoints: Endpoints, labels: list[str], depth: int) -> Meant:
    """The ends of ``SERVICE.NAMESPACE`` or ``HOSTNAME.SERVICE.NAMESPACE`` in the cluster's zone."""
    if len(labels) not in (2, 3) or (service := endpoints.service_of.get(f"{labels[-1]}/{labels[-2]}")) is None:
        return Meant()
    if len(labels) == 2:
        return of_service(endpoints, service, depth)
    members = (backend.pod for backend in service.ready if backend.hostname == labels[0])
    return Meant(whole(next((endpoints.pods[pod] for pod in members if pod in endpoints.pods), None)))


def of_service(endpoints: Endpoints, service: Service, depth: int = 0) -> Meant:
    """The Service itself where it has an address, the Pods of a headless one, or whomever it is a name for."""
    if end := whole(endpoints.services.get(str(service))):
        return Meant(end)
    if not service.external_name:
        return Meant(tuple(_behind(endpoints, service)), f"{service} is headless: its name leads to its Pods")
    onward = whole(endpoints.external.get(service.external_name))
    if not onward and depth < _CHAIN:
        onward = by_dns(endpoints, service.external_name, service.namespace, depth + 1).ends
    return Meant(onward, f"{service} is a name for {service.external_name}")


def leads_nowhere(service: Service) -> str:
    """The reason why a Service is no target: it has no address, and its name has none."""
    if service.external_name:
        return f"Service {service} is a name for {service.external_name}, which does not exist in this lab"
    return f"Service {service} is headless and has no ready endpoint, so its name has no address"


def _behind(endpoints: Endpoints, service: Service) -> Iterator[Reachable]:
    """The Pods behind a headless Service, as its DNS name leads to them, at their target ports."""
    for backend in service.ready:
        if pod := endpoints.pods.get(backend.pod):
            yield Reachable(pod, (str(backend.address),), tuple(zip(service.ports, backend.ports, strict=True)))
