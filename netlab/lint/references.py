"""Ingresses and routes whose Service, or its port, is not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from netlab.lint.subject import Subject
from netlab.near import near
from netlab.spec import Warning
from netlab.spec.formats import shown


def missing(subject: Subject) -> Iterator[Warning]:
    """A backend that cannot answer.  What the API server calls is often a Service that an operator makes."""
    own = {(other.namespace, other.name) for other in subject.cluster.services if other.system}
    for reference in subject.documents.references:
        if reference.by_api or (reference.namespace, reference.name) in own:
            continue
        service = subject.service(reference.namespace, reference.name)
        full = f"{reference.namespace}/{shown(reference.name)[1:-1]}"
        if service is None:
            there = [name for namespace, name in subject.service_names if namespace == reference.namespace]
            message = f"sends traffic to Service {full}, and there is none of that name{near(reference.name, there)}"
        elif reference.port and (ports := _ports(service.body)) and not _has(ports, reference.port):
            listed = ", ".join(str(number) + (f" ({name})" if name else "") for number, name in ports.items())
            port = reference.port if isinstance(reference.port, int) else shown(reference.port)
            message = f"sends traffic to port {port} of Service {full}, which has {listed}"
        else:
            continue
        yield Warning("backend-missing", f"{reference.object} {message}", reference.mark, reference.object)


def _ports(body: Mapping[str, Any]) -> dict[int, str]:
    return {entry["port"]: entry.get("name", "") for entry in body.get("spec", {}).get("ports", ())}


def _has(ports: Mapping[int, str], wanted: int | str) -> bool:
    return wanted in ports if isinstance(wanted, int) else wanted in ports.values()
