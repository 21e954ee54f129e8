"""The words that name ends of flows: ``shop/db``, ``deploy/web.shop``, ``app=web``, ``svc/web``, ``node/node-1``, a CIDR.

One grammar for ``expect.yaml`` and every verb that takes such a word; ``names`` resolves a bare name.  In doubt the
prefix before the slash decides: ``pod``, ``deploy``, ``sts``, ``ds``, ``job``, ``svc``, ``node`` and ``external`` are
kinds, all else is a namespace.  A label key's own prefix always has a dot here (``app.kubernetes.io/name=web``), which a
namespace's name never has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from netlab.model.cluster import Pod
from netlab.model.cluster.services import Service
from netlab.near import near
from netlab.oracle.endpoints import Endpoints
from netlab.oracle.flow import ADDRESS, SERVICE, Endpoint
from netlab.oracle.names import Meant, bare, by_dns, leads_nowhere, of_service, whole
from netlab.oracle.reachable import Reachable
from netlab.tuples import NamedTuple

#: What may stand before the slash -> the owners that it means.  A CronJob's Pods come from a Job on a real cluster.
WORKLOADS = {
    "deploy": ("Deployment",),
    "sts": ("StatefulSet",),
    "ds": ("DaemonSet",),
    "job": ("Job", "CronJob"),
    "rs": ("ReplicaSet",),
    "rc": ("ReplicationController",),
}
_LONG = {
    "deployment": "deploy", "deployments": "deploy", "statefulset": "sts", "statefulsets": "sts", "daemonset": "ds",
    "daemonsets": "ds", "jobs": "job", "cronjob": "job", "replicaset": "rs", "service": "svc", "services": "svc",
    "nodes": "node", "replicationcontroller": "rc", "pods": "pod", "po": "pod",
}  # fmt: skip
_OTHERS = ("pod", "svc", "node", "external")
_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?\Z")
_LABEL_KEY = re.compile(r"([a-z0-9]([-.a-z0-9]*[a-z0-9])?/)?[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?\Z")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?)?\Z")


class Selector(NamedTuple):
    """One parsed text.  ``kind`` is name (a bare one), labels, cidr, pod, svc, node, external or a key of WORKLOADS."""

    text: str
    kind: str
    namespace: str
    name: str
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def is_address(self) -> bool:
        """Whether it is a single address."""
        return self.kind == "cidr" and ip_network(self.name, strict=False).num_addresses == 1

    @classmethod
    def parse(cls, text: str, namespace: str = "default") -> Selector:
        """Read one text; names without a namespace are meant in ``namespace``.  ValueError: a sentence on what is wrong."""
        text = text.strip().removesuffix(".")
        if not text:
            raise ValueError("a name is missing; write a Pod's name, key=value, deploy/NAME, node/NAME or an address")
        if _is_network(text):
            return cls(text, "cidr", "", text)
        if "=" in text:
            return cls._labels(text, namespace)
        prefix, slash, name = text.rpartition("/")
        if "/" in prefix:
            raise ValueError(
                f"{text!r} has two slashes; write namespace/pod, deploy/NAME.namespace or namespace/key=value"
            )
        kind = _LONG.get(prefix, prefix)
        if slash and not prefix:
            raise ValueError(f"{text!r} begins with a slash; a Pod of the namespace default is written without one")
        if not _NAME.match(name):
            raise ValueError(
                f"{text!r} names nothing: {name!r} is no name of Kubernetes (lower-case letters, digits, -)"
            )
        if kind in WORKLOADS or kind in _OTHERS:
            return cls(text, kind, namespace, name)
        if prefix and (not _NAME.match(prefix) or "." in prefix):
            kinds = (*WORKLOADS, *_OTHERS)
            raise ValueError(f"{prefix!r} is neither a namespace nor one of {', '.join(kinds)}{near(prefix, kinds)}")
        return cls(text, "name", prefix or namespace, name)

    @classmethod
    def _labels(cls, text: str, namespace: str) -> Selector:
        where, rest = namespace, text
        prefix, slash, after = text.partition("/")
        if slash and "=" not in prefix and "." not in prefix:
            where, rest = prefix, after
            if not _NAME.match(where):
                raise ValueError(f"{text!r}: {where!r} is no namespace's name")
        labels = []
        for part in rest.split(","):
            key, equals, value = part.strip().partition("=")
            value = value.removeprefix("=")
            if key.endswith("!") or not equals:
                raise ValueError(f"{text!r}: only key=value[,key=value] can be said here, not {part.strip()!r}")
            if not is_label_key(key) or not is_label_value(value):
                raise ValueError(f"{text!r}: {part.strip()!r} is no label (letters, digits, - _ . in key and value)")
            labels.append((key, value))
        return cls(text, "labels", where, "", tuple(labels))

    def select(self, endpoints: Endpoints, client: Pod | None = None) -> list[Reachable]:
        """The ends that it means, in document order.  ``client``: the Pod that looks a DNS name up.

        Raises ValueError where there are none, with the names that are near.
        """
        return list(self.meant(endpoints, client).ends)

    def meant(self, endpoints: Endpoints, client: Pod | None = None) -> Meant:
        """As ``select``, with a note on the choice.  Raises ValueError as ``select`` does."""
        meant = self._find(endpoints, client)
        if not meant.ends:
            raise ValueError(self._nothing(endpoints))
        return meant

    def _find(self, endpoints: Endpoints, client: Pod | None) -> Meant:
        if self.kind == "cidr":
            return Meant(tuple(self._addresses(endpoints)))
        if self.kind == "node":
            return Meant(whole(endpoints.nodes.get(self.name)))
        if self.kind == "external":
            return Meant(whole(endpoints.external.get(self.name)))
        if self.kind == "svc":
            service = self._service(endpoints)
            return of_service(endpoints, service) if service else by_dns(endpoints, self.name, self.namespace)
        if self.kind == "pod":
            named = (endpoints.pods.get(f"{namespace}/{name}") for namespace, name in self.readings())
            return Meant(whole(next(filter(None, named), None)))
        if self.kind == "name":
            return bare(endpoints, self.namespace, self.name, qualified="/" in self.text, client=client)
        if self.kind == "labels":
            wanted = set(self.labels)
            return Meant(
                whole(
                    *(
                        endpoints.pods[name]
                        for name, pod in endpoints.pod_of.items()
                        if pod.namespace == self.namespace and wanted <= set(pod.labels.items())
                    )
                )
            )
        owners = {f"{kind}/" for kind in WORKLOADS[self.kind]}
        for namespace, name in self.readings():
            names = {f"{kind}{name}" for kind in owners}
            pods = [n for n, pod in endpoints.pod_of.items() if pod.namespace == namespace and pod.owner in names]
            if pods:
                return Meant(whole(*(endpoints.pods[pod] for pod in pods)))
        return Meant()

    def _service(self, endpoints: Endpoints) -> Service | None:
        names = (f"{namespace}/{name}" for namespace, name in self.readings())
        return next((endpoints.service_of[name] for name in names if name in endpoints.service_of), None)

    def readings(self) -> list[tuple[str, str]]:
        """The namespaces and names that it can mean, the likelier first: ``web.shop`` can be ``web`` in ``shop``."""
        name, dot, namespace = self.name.rpartition(".")
        return [(self.namespace, self.name), *([(namespace, name)] if dot else [])]

    def _addresses(self, endpoints: Endpoints) -> Iterator[Reachable]:
        network = ip_network(self.name, strict=False)
        whole = network.num_addresses == 1
        hit = False
        for end in endpoints.all():
            inside = tuple(address for address in end.addresses if ip_address(address) in network)
            if inside and (not whole or endpoints.at(inside[0]) == end):
                hit = True
                yield Reachable(end, inside)
        if whole and not hit:
            address = str(network.network_address)
            yield Reachable(Endpoint(ADDRESS, address, "", (address,)), (address,))

    def _nothing(self, endpoints: Endpoints) -> str:
        """Why there is nothing: the sentence names what was looked for and what is near."""
        text, namespaces = self.text, endpoints.cluster.namespaces
        if self.kind == "cidr":
            return f"{text} holds no address of this lab"
        if self.kind == "node":
            return f"there is no node {self.name!r}{near(text, [f'node/{name}' for name in endpoints.nodes])}"
        if self.kind == "external":
            hosts = [f"external/{name}" for name in endpoints.external]
            return f"there is no external host {self.name!r} in this lab{near(text, hosts)}"
        if self.kind == "svc":
            return self._no_service(endpoints)
        if idle := next((pod for pod in endpoints.cluster.idle if (pod.namespace, pod.name) in self.readings()), None):
            why = f" ({idle.message})" if idle.message else ""
            return f"Pod {idle} is {idle.phase} and has no network{why}"
        if self.kind == "pod":
            own = [f"pod/{pod.name}" for pod in endpoints.pod_of.values() if pod.namespace == self.namespace]
            where = f"in the namespace {self.namespace!r}"
            return f"there is no Pod {self.name!r} {where}{near(f'pod/{self.name}', own)}"
        if self.kind in WORKLOADS:
            owners = {_short(pod.owner, pod.namespace): None for pod in endpoints.pod_of.values() if pod.owner}
            where = self.name if "." in self.name or self.namespace == "default" else f"{self.name}.{self.namespace}"
            return f"{text} has no Pods{near(f'{self.kind}/{where}', owners)}"
        if self.namespace not in namespaces and not any(
            pod.namespace == self.namespace for pod in endpoints.pod_of.values()
        ):
            return f"{text} matches no Pod: there is no namespace {self.namespace!r}{near(self.namespace, namespaces)}"
        if self.kind == "labels":
            seen = {f"{k}={v}" for pod in endpoints.pod_of.values() if pod.namespace == self.namespace
                    for k, v in pod.labels.items()}  # fmt: skip
            if len(self.labels) > 1 and all(f"{k}={v}" in seen for k, v in self.labels):
                return f"{text} matches no Pod: each label exists in {self.namespace}, but no Pod has all of them"
            wrong = next((f"{k}={v}" for k, v in self.labels if f"{k}={v}" not in seen), "")
            elsewhere = sorted({
                f"{pod.namespace}/{wrong}" for pod in endpoints.pod_of.values() if wrong.partition("=")[::2] in pod.labels.items()
            })  # fmt: skip
            also = elsewhere[0] if elsewhere else ""
            return f"{text} matches no Pod in the namespace {self.namespace!r}{near(wrong, sorted(seen), also=also)}"
        if (service := endpoints.service_of.get(f"{self.namespace}/{self.name}")) is not None:
            return f"{leads_nowhere(service)}{self._near_workload(endpoints)}"
        return f"no Pod, Service, node or external host is called {self.text!r}{self._near_name(endpoints)}"

    def _near_name(self, endpoints: Endpoints) -> str:
        if self.name in (*endpoints.nodes, *endpoints.external):  # with a namespace before it, which these do not have
            return near("", (), also=self.name)
        if workload := self._near_workload(endpoints):
            return workload
        names = [*endpoints.pods, *endpoints.services]
        names += [name.removeprefix(f"{self.namespace}/") for name in names if name.startswith(f"{self.namespace}/")]
        return near(self.text, [*names, *endpoints.nodes, *endpoints.external])

    def _near_workload(self, endpoints: Endpoints) -> str:
        for pod in endpoints.pod_of.values():
            if pod.namespace == self.namespace and pod.owner.partition("/")[2] == self.name:
                return near("", (), also=_short(pod.owner, pod.namespace))
        return ""

    def _no_service(self, endpoints: Endpoints) -> str:
        if (service := self._service(endpoints)) is not None:
            return leads_nowhere(service)
        services = {(each.namespace, each.name) for each in endpoints.cluster.services}
        names = [name if namespace == "default" else f"{name}.{namespace}" for namespace, name in sorted(services)]
        return f"there is no Service {self.name!r}{near(f'svc/{self.name}', [f'svc/{name}' for name in names])}"


def sends_nothing(endpoints: Endpoints, end: Endpoint) -> str:
    """Why an end is no source of packets, and for a Service the Pods behind it, as they are written here."""
    service = endpoints.service_of.get(end.name) if end.kind == SERVICE else None
    if service is None:
        return f"{end.name} cannot send a packet: it has no network namespace in this lab"
    pods = [endpoints.pod_of[backend.pod] for backend in service.backends if backend.pod in endpoints.pod_of]
    words = dict.fromkeys(_short(pod.owner, pod.namespace) if pod.owner else str(pod) for pod in pods)
    instead = f"; {' and '.join(words)} {'sends' if len(words) == 1 else 'send'}" if words else ""
    return f"{end.name} is a Service, which sends no packet{instead}"


def is_label_key(text: str) -> bool:
    """Whether a text can be a label's key."""
    return _LABEL_KEY.match(text) is not None


def is_label_value(text: str) -> bool:
    """Whether a text can be a label's value."""
    return len(text) <= 63 and _LABEL_VALUE.match(text) is not None


def _short(owner: str, namespace: str) -> str:
    """``Deployment/web`` in shop as one writes it here: ``deploy/web.shop``."""
    kind, _, name = owner.partition("/")
    short = next((word for word, kinds in WORKLOADS.items() if kind in kinds), kind.lower())
    return f"{short}/{name}" if namespace == "default" else f"{short}/{name}.{namespace}"


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True
