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
from netlab.model.cluster.policies import INGRESS, Block
from netlab.model.cluster.services import Service
from netlab.oracle.compare import Row
from netlab.oracle.endpoints import Endpoints
from netlab.oracle.flow import EXTERNAL, NODE, POD, SERVICE, Flow, Outcome
from netlab.oracle.policy import Evaluator
from netlab.oracle.predict import Predictor
from netlab.spec import Warning

_LOST = (Outcome.REFUSED, Outcome.TIMEOUT, Outcome.UNREACHABLE, Outcome.MIXED)
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
    """Pods that declare a port which policies close to every other Pod and host: by the whole lab, not by what was probed."""
    cluster = evidence.cluster
    if not cluster.filters:
        return
    probed: dict[str, list[Row]] = defaultdict(list)
    for row in evidence.rows:
        if row.flow.dst.kind == POD and row.flow.src != row.flow.dst and row.flow.src.kind == POD and not row.flow.size:
            probed[row.flow.dst.name].append(row)
    closed = {
        name
        for name, rows in probed.items()
        if all(row.predicted is not None and row.predicted.outcome is Outcome.DENIED for row in rows)
    }
    if not closed:
        return
    endpoints, predictor, evaluator = Endpoints(cluster), Predictor(cluster), Evaluator(cluster)
    seen: set[tuple[str, tuple[str, ...]]] = set()
    for pod in cluster.own_pods:
        policies = tuple(map(str, evaluator.isolating(pod, INGRESS))) if str(pod) in closed else ()
        if not policies or not any(port.declared for port in pod.ports):
            continue
        if (pod.owner or str(pod), policies) not in seen and _is_shut(pod, endpoints, predictor):
            seen.add((pod.owner or str(pod), policies))
            yield _shut(pod, policies)


def _is_shut(pod: Pod, endpoints: Endpoints, predictor: Predictor) -> bool:
    target = endpoints.pods[str(pod)]
    flows = [
        Flow.to(source, target, address, port.port, port.protocol)
        for source in (*endpoints.pods.values(), *endpoints.external.values())
        for port in pod.ports
        for address in target.addresses[:1]
        if port.declared and source != target and any((":" in own) == (":" in address) for own in source.addresses)
    ]
    return all(verdict.outcome is not Outcome.OPEN for verdict in predictor.predict(flows))


def _shut(pod: Pod, policies: Sequence[str]) -> Cause:
    ports = ", ".join(str(port.port) for port in pod.ports if port.declared)
    names = ", ".join(policies)
    return Cause(
        "shut",
        f"Pod {pod} declares port {ports}, and NetworkPolicy {names} lets no other Pod and no host reach it",
        pod.netns,
        place=("networkpolicy", policies[0]),
        evidence=(f"declared at {pod.mark}",) if pod.mark else (),
        rank=ranks.WRITTEN,
        mark=pod.mark,
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
    """Effects that nothing explains; one that names a single policy is that policy's."""
    seen: dict[tuple[str, str], Cause] = {}
    for effect in effects:
        policies = [at for at in _spoken_of(effect, names) if at[0] == "networkpolicy"]
        if effect.kind == "one-sided":  # the other side is what denies
            policies = [at for at in policies if at != effect.place]
        place = policies[0] if len(policies) == 1 else effect.place
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
