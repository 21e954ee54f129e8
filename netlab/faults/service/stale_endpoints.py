"""The endpoints of a Service are those of Pods that are gone."""

from __future__ import annotations

from dataclasses import replace

from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, services, to_service
from netlab.model import Cluster
from netlab.model.cluster.services import Service


def _stale(cluster: Cluster, at: str) -> Cluster:
    def of(service: Service) -> Service:
        return replace(
            service,
            backends=tuple(replace(each, address=each.address + 120, pod="", given=True) for each in service.backends),
        )

    return replace(cluster, services=tuple(of(each) if str(each) == at else each for each in cluster.services))


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_service(cluster, at, (TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="stale-endpoints",
    symptom="the Service is silent, though it has endpoints and its Pods answer",
    cause="the endpoints are addresses of Pods that are gone: the controller does not run, or somebody wrote them by hand",
    level=2,
    source="kubernetes/kubernetes#109811",
    look_alikes=("stale-translation", "kube-proxy-stale"),
    requires="a Service with a selector and a backend, and a Pod that is none of its backends",
    places=services,
    control=_control,
    on_cluster=_stale,
)
