"""What the documents promise and do not keep by their own prediction, and the mistakes that explain it.

A Service promises that each node leads to it, and a declared port that some client may reach it.  Packets confirm such a
prediction, so no flow is broken: without this, a mistake in a manifest would look like a healthy lab.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address

from netlab.diagnose.labwide import cause as ranks
from netlab.diagnose.labwide.cause import Cause
from netlab.diagnose.labwide.choose import node_of
from netlab.diagnose.labwide.evidence import Evidence
from netlab.model.cluster import Cluster, Pod
from netlab.model.cluster.policies import EGRESS, INGRESS, Block
from netlab.model.cluster.services import EXTERNAL_NAME, Service
from netlab.model.services.system import DOMAIN
from netlab.oracle.compare import Row
from netlab.oracle.endpoints import Endpoints
from netlab.oracle.flow import EXTERNAL, NODE, POD, SERVICE, Endpoint, Flow, Outcome
from netlab.oracle.policy import Evaluator
from netlab.oracle.predict import Predictor
from netlab.spec import Warning

_LOST = (Outcome.REFUSED, Outcome.TIMEOUT, Outcome.UNREACHABLE, Outcome.MIXED)
_PASSED = (Outcome.OPEN, Outcome.MIXED)
_NAMED = 3
OUTSIDE = "outside"
#: Codes of effects; a warning about a policy or a Service that they name is the mistake.
SYMPTOMS = ("named-flow", "closed-port", "shut", "service-no-endpoints", "egress-without-dns", "one-sided")
_NO_MISTAKES = ("denies-nothing", "not-modelled", "old-api-version", "duplicate", *SYMPTOMS)
_WORD = re.compile(r"[a-z0-9][a-z0-9./-]*[a-z0-9]|[a-z0-9]")


class Promise:
    """The probed flows to a Service's port from one place to one address: all of them are lost, by no policy."""

    def __init__(self, service: Service, source: str, address: str, rows: Sequence[Row]) -> None:
        self.service, self.source, self.rows = service, source, rows
        self.address = address

    @property
    def text(self) -> str:
        """From where to what it is lost, and why."""
        row = self.rows[0]
        assert row.predicted is not None
        why = row.predicted.because[0].message if row.predicted.because else "nobody answers"
        at = f"{self.address}:{row.flow.port}/{row.flow.protocol}"
        whole = self.source if self.source == OUTSIDE else f"Pods of {self.source}"
        return f"from {whole} to {at}: {row.predicted.outcome}: {why}"


def unkept(evidence: Evidence) -> dict[str, list[Promise]]:
    """By the name of a Service, the promises that it does not keep."""
    cluster = evidence.cluster
    endpoints = Endpoints(cluster)
    services = {str(service): service for service in cluster.services}
    node_ports = {
        (port.node_port, port.protocol): service
        for service in cluster.services
        for port in service.ports
        if port.node_port
    }
    groups: dict[tuple[str, str, str, int, str], list[Row]] = defaultdict(list)
    for row in evidence.rows:
        flow = row.flow
        service = services.get(flow.dst.name) if flow.dst.kind == SERVICE else None
        if flow.dst.kind == NODE:
            service = node_ports.get((flow.port, flow.protocol))
        if service is None or row.predicted is None or (flow.src.kind == EXTERNAL and _inside(cluster, flow)):
            continue
        if not cluster.plane.crosses_nodes and (row.predicted.may or len(row.predicted.because) > 1):
            continue  # a backend on another node
        source = node_of(flow.src, endpoints) or OUTSIDE
        groups[str(service), source, flow.address, flow.port, flow.protocol].append(row)
    reached = {key[0] for key, rows in groups.items() if key[1] == OUTSIDE and not all(map(_is_lost, rows))}
    found: dict[str, list[Promise]] = defaultdict(list)
    for (name, source, address, *_), rows in groups.items():
        if not all(map(_is_lost, rows)):
            continue
        # A load balancer asks the nodes that have a backend alone.
        if services[name].kind == "LoadBalancer" and rows[0].flow.dst.kind == NODE and name in reached:
            continue
        found[name].append(Promise(services[name], source, address, rows))
    return found


def crossing(evidence: Evidence) -> set[int]:
    """The flows between nodes that are lost since the data plane leads to no other node: no mistake of the documents."""
    if evidence.cluster.plane.crosses_nodes:
        return set()
    endpoints = Endpoints(evidence.cluster)
    return {
        number
        for number, row in enumerate(evidence.rows)
        if row.flow.dst.kind == POD
        and _is_lost(row)
        and node_of(row.flow.src, endpoints) != node_of(row.flow.dst, endpoints)
    }


def _inside(cluster: Cluster, flow: Flow) -> bool:
    """Whether the address is one that only the cluster has a way to."""
    address = ip_address(flow.address)
    return any(address in cidr for cidr in (*cluster.service_cidrs, *cluster.pod_cidrs))


def _is_lost(row: Row) -> bool:
    """Whether the prediction loses the flow, or a part of it, and no policy does."""
    predicted = row.predicted
    if predicted is None or predicted.outcome not in _LOST:
        return False
    return not any(why.policy for verdict in (predicted, *predicted.may) for why in verdict.because)


def other_protocol(cluster: Cluster) -> Iterator[Cause]:
    """Services none of whose ports has the protocol that its Pods declare for that number: a Pod that declares nothing of
    a protocol is served there all the same, so packets do not show it.
    """
    pods = {str(pod): pod for pod in cluster.own_pods}
    for service in cluster.services:
        declared = {
            (entry.port, entry.protocol)
            for backend in service.backends
            if backend.pod in pods
            for entry in pods[backend.pod].ports
            if entry.declared
        }
        numbers = {number for number, _ in declared}
        targets = [
            (number, port.protocol)
            for backend in service.backends
            for port, number in zip(service.ports, backend.ports, strict=True)
            if backend.pod in pods and number
        ]
        if targets and all(target not in declared and target[0] in numbers for target in targets):
            number, protocol = targets[0]
            other = next(each for port, each in sorted(declared) if port == number)
            mark = service.ports[0].mark or service.mark
            yield Cause(
                "service-protocol",
                f"Service {service} forwards {protocol} to port {number} of its Pods, which declare {number}/{other}",
                place=(SERVICE, str(service)),
                evidence=(f"written at {mark}",) if mark else (),
                look=(describe(cluster.lab, "Service", str(service)),),
                mend=edit(cluster.lab, mark.file if mark else "", mark.line if mark else 0),
                rank=ranks.WRITTEN,
                mark=mark,
            )


def shut(evidence: Evidence) -> Iterator[Cause]:
    """Policies that close every declared port of a Pod to all others, or let a Pod send nothing at all: by the whole lab,
    not by what was probed of it.
    """
    cluster = evidence.cluster
    if not cluster.filters:
        return
    endpoints, predictor, evaluator = Endpoints(cluster), Predictor(cluster), Evaluator(cluster)
    for direction in (INGRESS, EGRESS):
        closed = _denied(evidence, direction)
        groups: dict[tuple[str, ...], list[Pod]] = defaultdict(list)
        for pod in cluster.own_pods if closed else ():
            policies = tuple(map(str, evaluator.isolating(pod, direction))) if str(pod) in closed else ()
            flows = _asked(pod, direction, endpoints) if policies else []
            if flows and not any(verdict.outcome in _PASSED for verdict in predictor.predict(flows)):
                groups[policies].append(pod)
        for policies, pods in groups.items():
            yield _shut(pods, policies, direction)


def _denied(evidence: Evidence, direction: str) -> set[str]:
    """The Pods of which policies deny each probed flow in a direction, but those to themselves."""
    probed: dict[str, list[Row]] = defaultdict(list)
    for row in evidence.rows:
        flow = row.flow
        end, other = (flow.dst, flow.src) if direction == INGRESS else (flow.src, flow.dst)
        if end.kind == POD and end != other and not (direction == INGRESS and other.kind != POD):
            probed[end.name].append(row)
    return {name for name, rows in probed.items() if not any(_passes(row) for row in rows)}


def _passes(row: Row) -> bool:
    return row.predicted is not None and row.predicted.outcome in _PASSED


def _asked(pod: Pod, direction: str, endpoints: Endpoints) -> list[Flow]:
    """The flows that would prove a Pod not to be shut."""
    own = endpoints.pods[str(pod)]
    others = [end for end in (*endpoints.pods.values(), *endpoints.external.values()) if end != own]
    found = []
    for other in others:
        source, target = (other, own) if direction == INGRESS else (own, other)
        for port, protocol in endpoints.ports(target, undeclared=False):
            address = next((each for each in target.addresses if _has(source, ":" in each)), None)
            if address is not None:
                found.append(Flow.to(source, target, address, port, protocol))
    return found


def _has(end: Endpoint, is_v6: bool) -> bool:
    return any((":" in address) == is_v6 for address in end.addresses)


def _shut(pods: Sequence[Pod], policies: Sequence[str], direction: str) -> Cause:
    names = ", ".join(map(str, pods[:_NAMED])) + (f" and {len(pods) - _NAMED} more" if len(pods) > _NAMED else "")
    by = f"NetworkPolicy {', '.join(policies)}"
    says = f"{by} lets no other Pod and no host reach {names}, which serves ports"
    if direction == EGRESS:
        says = f"{by} lets {names} send nothing, not even a query for a name"
    return Cause(
        "shut",
        says,
        pods[0].netns,
        place=("networkpolicy", policies[0]),
        evidence=tuple(f"Pod {pod} is declared at {pod.mark}" for pod in pods[:_NAMED] if pod.mark),
        rank=ranks.WRITTEN,
        mark=pods[0].mark,
    )


def external_names(cluster: Cluster) -> Iterator[Cause]:
    """Services of type ExternalName that lead to a name of the cluster which no Service has."""
    known = {f"{service.name}.{service.namespace}.svc.{DOMAIN}" for service in cluster.services}
    for service in cluster.services:
        name = service.external_name.rstrip(".") if service.kind == EXTERNAL_NAME else ""
        if name.endswith(f".svc.{DOMAIN}") and ".".join(name.split(".")[-5:]) not in known:
            yield Cause(
                "service-external-name",
                f"Service {service} leads to the name {name}, and the cluster has no such Service",
                place=(SERVICE, str(service)),
                evidence=(f"written at {service.mark}",) if service.mark else (),
                look=(describe(cluster.lab, "Service", str(service)),),
                mend=edit(
                    cluster.lab, service.mark.file if service.mark else "", service.mark.line if service.mark else 0
                ),
                rank=ranks.WRITTEN,
                mark=service.mark,
            )


def blocks(cluster: Cluster) -> Iterator[Cause]:
    """ipBlock peers that mean no host outside, in a lab that has such hosts: excepted each, or in none of the rule's blocks.

    A block that has addresses of Pods, of nodes or of Services is another matter.
    """
    outside = [address.ip for host in cluster.external for address in host.addresses]
    inside = [
        *cluster.pod_cidrs,
        *cluster.service_cidrs,
        *cluster.underlay.cidrs,
        *(cidr for node in cluster.nodes for cidr in node.pod_cidrs),
    ]
    for policy in cluster.network_policies:
        for rule in (*(policy.ingress or ()), *(policy.egress or ())):
            peers = [peer for peer in rule.peers if isinstance(peer, Block)]
            versions = {peer.cidr.version for peer in peers} & {address.version for address in outside}
            covered = [(address, peer) for address in outside for peer in peers if address in peer.cidr]
            if any(not any(address in other for other in peer.excepts) for address, peer in covered):
                continue
            near = any(
                cidr.version == peer.cidr.version and cidr.overlaps(peer.cidr) for cidr in inside for peer in peers
            )
            if not versions or len(peers) < len(rule.peers) or (near and not covered):
                continue
            effect = (
                f"excepts {', '.join(sorted({str(address) for address, _ in covered}))}" if covered else "has no host"
            )
            mark = rule.mark or policy.mark
            yield Cause(
                "ip-block",
                f"NetworkPolicy {policy} {rule}: {' and '.join(map(str, peers))} {effect}, so the rule means none of the "
                "hosts outside",
                place=("networkpolicy", str(policy)),
                evidence=(f"written at {mark}",) if mark else (),
                look=(describe(cluster.lab, "NetworkPolicy", str(policy)),),
                mend=edit(cluster.lab, mark.file if mark else "", mark.line if mark else 0),
                rank=ranks.WRITTEN,
                mark=mark,
            )


def folded(causes: Sequence[Cause], warnings: Iterable[Warning], cluster: Cluster) -> list[Cause]:
    """Effects as evidence of the mistakes that explain them: first the mistakes, then effects that nothing explains.

    ``warnings`` are all of lint, also notes: what most authors intend is a mistake where an effect leads to it.
    """
    effects = [cause for cause in causes if cause.kind in SYMPTOMS]
    mistakes = {(cause.kind, cause.place): cause for cause in causes if cause.kind not in SYMPTOMS}
    names = _names(cluster)
    by_object: dict[tuple[str, str], list[Cause]] = defaultdict(list)
    for warning in warnings:
        kind, _, name = warning.object.partition(" ")
        if kind in ("NetworkPolicy", "Service") and not warning.code.startswith(_NO_MISTAKES):
            by_object[kind.lower(), name].append(of_warning(warning, cluster.lab))
    for cause in mistakes.values():
        by_object[cause.place].insert(0, cause)
        for service in cluster.services if cause.kind == "pod-not-ready" else ():
            if any(("pod", backend.pod) == cause.place for backend in service.backends):
                by_object["service", str(service)].append(cause)
    left = []
    for effect in effects:
        found = [cause for at in _spoken_of(effect, names) for cause in by_object.get(at, ())]
        if not found:
            left.append(effect)
            continue
        best = mistakes.get((found[0].kind, found[0].place), found[0])
        evidence = tuple(dict.fromkeys((*best.evidence, effect.message)))
        mistakes[best.kind, best.place] = replace(best, evidence=evidence, flows=best.flows | effect.flows)
    return [*mistakes.values(), *_distinct(left, names)]


def _distinct(effects: Sequence[Cause], names: Mapping[str, tuple[str, str]]) -> Iterator[Cause]:
    """Effects that nothing explains; one that names a single policy, or what denies its rule, is that policy's."""
    seen: dict[tuple[str, str], Cause] = {}
    for effect in effects:
        policies = [at for at in _spoken_of(effect, names) if at[0] == "networkpolicy"]
        if effect.kind == "one-sided":  # the other side is what denies
            policies = [at for at in policies if at != effect.place]
        place = policies[0] if len(policies) == 1 or (policies and effect.kind == "one-sided") else effect.place
        before = seen.get(place)
        if before is None:
            seen[place] = replace(effect, place=place)
        else:
            evidence = tuple(dict.fromkeys((*before.evidence, effect.message)))
            seen[place] = replace(before, evidence=evidence, flows=before.flows | effect.flows)
    yield from seen.values()


def _names(cluster: Cluster) -> dict[str, tuple[str, str]]:
    """By each way to write them, the policies and Services."""
    names = {}
    for kind, objects in (("service", cluster.services), ("networkpolicy", cluster.network_policies)):
        for each in objects:
            for text in (str(each), f"{each.name}.{each.namespace}", f"{each.namespace}:{each.name}"):
                names[text] = kind, str(each)
    return names


def _spoken_of(effect: Cause, names: Mapping[str, tuple[str, str]]) -> list[tuple[str, str]]:
    """The objects that the sentence of an effect names; the policies first."""
    namespace = effect.place[1].partition("/")[0]
    found = [effect.place] if effect.place[0] in ("service", "networkpolicy") else []
    for word in _WORD.findall(effect.message):
        found += [names[text] for text in (word, f"{namespace}:{word}") if text in names]
    return sorted(dict.fromkeys(found), key=lambda at: at[0])


def of_warning(warning: Warning, lab: str) -> Cause:
    """A cause by a warning of lint."""
    kind, _, name = warning.object.partition(" ")
    mark = warning.mark if warning.mark.line else None
    return Cause(
        warning.code,
        f"{warning.object}: {warning.message}" if name and name not in warning.message else warning.message,
        place=(kind.lower() or "lab", name or lab),
        evidence=(f"written at {mark}",) if mark else (),
        look=(describe(lab, kind, name),) if name else (),
        mend=edit(lab, mark.file if mark else "", mark.line if mark else 0),
        rank=ranks.WRITTEN,
        mark=mark,
    )


def describe(lab: str, kind: str, name: str) -> str:
    """The command that shows an object."""
    namespace, slash, own = name.partition("/")
    where = f"-n {namespace} " if slash else ""
    return f"netlab describe --lab {lab} {where}{kind.lower()} {own if slash else name}"


def edit(lab: str, file: str, line: int) -> tuple[str, ...]:
    """The commands that change a line of a file and take it over."""
    return (f"${{EDITOR:-vi}} +{line} {file}", f"netlab up {lab}") if file else (f"netlab up {lab}",)
