"""The oracle: what a healthy lab does with a flow, from the cluster alone.

One function a concern, in the order in which a packet meets them: who has the address (``_owner``), who listens there
(``_listener``), whether a policy denies it (``denials``), who is seen as the client (``_client``).  A flow to a Service
is judged as the flows to its backends (``service``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address

from netlab.errors import Mark
from netlab.model.cluster import Cluster, Pod
from netlab.model.policies import INGRESS
from netlab.objects import Why
from netlab.oracle.denials import Denial, Denials, Step
from netlab.oracle.endpoints import Endpoints
from netlab.oracle.flow import ADDRESS, EXTERNAL, NODE, POD, ROUTER, Endpoint, Flow, Outcome, Verdict
from netlab.oracle.mixed import joined
from netlab.oracle.service import ServiceWays, Ways

_OUTSIDE = (EXTERNAL, ADDRESS)  # what a source may be that is no part of the cluster


class Predictor:
    """An Answerer that sends nothing.  It judges the cluster as specified: faults are what it is compared with."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._ways: dict[tuple[str, str], tuple[Outcome, str | None, tuple[Why, ...]] | None] = {}
        self._known = Endpoints(cluster)
        self._segments = (*cluster.pod_cidrs, *cluster.underlay.cidrs, *(c for n in cluster.nodes for c in n.pod_cidrs))
        self._services = ServiceWays(cluster, self._known)
        self.denials = Denials(cluster, self._known, self._services)
        self._open: dict[tuple[str, str, int, str], tuple[Outcome, str | None, tuple[Why, ...]]] = {}

    def answer(self, flows: Iterable[Flow]) -> Mapping[Flow, Verdict]:
        return {verdict.flow: verdict for verdict in self.predict(flows)}

    def predict(self, flows: Iterable[Flow]) -> Iterator[Verdict]:
        """The verdicts in the order of the flows, lazily.

        What does not depend on the source is found once a target: a thousand Pods ask a thousand times the same.
        """
        for flow in flows:
            ways = self._services.of(flow)
            yield self._by_service(flow, ways) if ways is not None else self._verdict(flow, self._direct(flow))

    def endings(self, flow: Flow) -> tuple[Denial | None, ...]:
        """Where policies end a flow, if it comes as far as that: of a Service, on the way to each backend."""
        if self._services.of(flow) is None:
            return (self._direct(flow),)
        return (
            tuple(self._ending(flow, step) for step in self.denials.steps(flow))
            if self._cluster.network_policies
            else ()
        )

    def chooses(self, flow: Flow) -> Ways | None:
        """What a Service makes of a flow, where it chooses among several backends."""
        ways = self._services.of(flow)
        return ways if ways is not None and len(ways.flows) > 1 else None

    def _direct(self, flow: Flow) -> Denial | None:
        found = self.denials.denial(flow)
        return found if found and self._judged(flow, found, self._apart(flow) is not None) else None

    def _ending(self, flow: Flow, step: Step) -> Denial | None:
        """Where policies end what a Service translated; from outside it is the translating node that finds the way."""
        found = self.denials.ending(step)
        lost = not self._brought(flow, step) and self._apart(step.flow) is not None
        return found if found and self._judged(step.flow, found, lost) else None

    def _brought(self, flow: Flow, step: Step) -> bool:
        """Whether a flow needs no way to the Pod: the node that translates it has one."""
        source = step.flow.src
        by_node = source.kind == NODE and not step.hairpin and source.name == self.denials.node_of(flow.src)
        return source.kind in _OUTSIDE or by_node

    def _verdict(self, flow: Flow, denial: Denial | None, *, brought: bool = False) -> Verdict:
        """``denial``: where policies end it; ``brought``: it needs no way to the target."""
        key = (flow.dst.name, flow.address, flow.port, flow.protocol)
        found = self._open.get(key)
        if found is None:
            found = self._open[key] = self._at_target(flow)
        outcome, server, because = found
        apart = self._apart(flow)
        if apart is not None and not (brought and apart[0] is Outcome.UNREACHABLE):
            outcome, server, because = apart
        if denial is not None:
            outcome, server, because = Outcome.DENIED, None, self.denials.because(denial)
        client = self._client(flow) if outcome is Outcome.OPEN else None
        return Verdict(flow, outcome, server, client, because, outcome is Outcome.OPEN and server is None)

    def _by_service(self, flow: Flow, ways: Ways) -> Verdict:
        """The verdict on a flow to a Service: its backend's, or all that its backends' may be."""
        if not ways.flows:
            return Verdict(flow, ways.outcome, None, None, (ways.whole,))
        found = [self._at_backend(flow, ways, step) for step in self.denials.steps(flow)]
        if not found:
            return Verdict(flow, Outcome.ERROR, because=(Why(f"{flow.src.name} has no address of that family"),))
        if len(found) == 1:
            return found[0]._replace(flow=flow)
        whole = joined(flow, found)
        return whole._replace(because=whole.because or (ways.because,), server=None)

    def _at_backend(self, flow: Flow, ways: Ways, step: Step) -> Verdict:
        """The verdict on what a Service makes of a flow when it chooses this backend."""
        one = step.flow
        verdict = self._verdict(one, self._ending(flow, step), brought=self._brought(flow, step))
        outcome = verdict.outcome
        server = verdict.server or (one.dst.name if outcome is Outcome.OPEN and not verdict.own else None)
        itself = one.src.netns == one.dst.netns
        client = verdict.client if not ways.masqueraded and not itself else None
        because = verdict.because if outcome is Outcome.DENIED else (ways.because,)
        because += verdict.because if outcome not in (Outcome.OPEN, Outcome.DENIED) else ()
        return Verdict(one, outcome, server, client, because, verdict.own)

    def _at_target(self, flow: Flow) -> tuple[Outcome, str | None, tuple[Why, ...]]:
        owner = self._owner(flow)
        if owner.kind == ADDRESS:
            # On a segment of the lab ARP gets no answer, and gives up (3 s) after the prober has.  What is outside
            # goes to the underlay's router, which has no way to it and says so.
            inside = any(ip_address(flow.address) in cidr for cidr in self._segments)
            outcome = Outcome.TIMEOUT if inside else Outcome.UNREACHABLE
            return outcome, None, (Why(f"nobody in this lab has the address {flow.address}"),)
        if owner.kind == EXTERNAL and (flow.port, flow.protocol) in self._known.ports(owner):
            mark = self._known.host_of[owner.name].mark
            return (
                Outcome.OPEN,
                owner.name,
                (Why(f"external host {owner.name} serves {flow.port}/{flow.protocol}", mark),),
            )
        pod = self._listener(owner, flow.port, flow.protocol)
        if pod is None:
            return Outcome.REFUSED, None, (Why(f"nobody in {owner.name} serves {flow.port}/{flow.protocol}"),)
        behind = self._known.host_port(owner, flow)
        wanted = (behind.port if behind else flow.port, flow.protocol)
        served = next((port for port in pod.ports if (port.port, port.protocol) == wanted), None)
        mark = served.mark if served else pod.mark
        if served is not None and served.served_by == "process":
            # What its command does there is its own business: the network lets the flow through, nobody is named.
            return Outcome.OPEN, None, (Why(f"a process of Pod {pod} has {flow.port}/{flow.protocol}", mark),)
        lacks = next((one for one in pod.containers if served and one.missing and one.name == served.container), None)
        stands_in = f", by the responder: this host has no program {lacks.command[0]}" if lacks else ""
        return Outcome.OPEN, str(pod), (Why(f"Pod {pod} serves {flow.port}/{flow.protocol}{stands_in}", mark),)

    def _judged(self, flow: Flow, denial: Denial, lost: bool) -> bool:
        """Whether the packet comes as far as the rule that denies it.

        The source's egress is judged on its node, before anything can be lost on the way; not what ARP never finds on
        the Pod's own segment, since that never leaves the Pod.
        """
        if denial.direction == INGRESS:
            return not lost
        pod = self._known.pod_of.get(flow.src.name)
        if flow.dst.kind != ADDRESS or pod is None or self._owner(flow).kind != ADDRESS:
            return True
        return not any(ip_address(flow.address) in one.network for one in pod.addresses)

    def _apart(self, flow: Flow) -> tuple[Outcome, str | None, tuple[Why, ...]] | None:
        """What the data plane and the underlay make of a flow; None where it arrives."""
        under, owner = self._cluster.underlay, self._owner(flow)
        here, there = self._known.pod_of.get(flow.src.name), self._known.pod_of.get(owner.name)
        # A node's address in the Pods' networks is reached as a Pod of that node is.
        inner = owner.kind == NODE and flow.address not in owner.addresses
        anycast = inner and self._cluster.plane.bridge and flow.address.endswith("::")
        silent = flow.protocol == "TCP" or flow.src.kind == NODE  # to a Pod, ICMP comes from another address
        if anycast and silent and owner.name in (flow.src.name, here.node if here else ""):
            says = (
                "the node's bridge has this as its subnet's anycast address, and the kernel takes no connections there"
            )
            return _lost(says, self._cluster.mark)
        if owner.kind == EXTERNAL or flow.src.netns == owner.netns or (here and here.host_network):
            return None
        if owner.kind == ROUTER:
            return self._at_router(flow)
        if inner and here and here.node == owner.name:
            return None
        if not inner and (owner.kind != POD or there is None or there.host_network):
            target = there.node if there else owner.name
            foreign = here is not None and here.node != target and under.drop_foreign_sources
            if foreign and not self._cluster.masquerades:
                return _lost("the underlay drops packets whose source is no node's address", under.mark)
            return None
        if flow.src.kind in _OUTSIDE:
            if not (under.racks and under.learns_pod_routes):
                why = Why("the underlay's router knows nodes and not Pods", under.mark)
                return Outcome.UNREACHABLE, None, (why,)
            if under.drop_foreign_sources:
                return _lost("the underlay drops the Pod's reply: its source is not the address of a node", under.mark)
            return None
        if here is None:  # a node's own packets have its own address, and its routes to Pods are the data plane's
            if self._cluster.plane.crosses_nodes or under.learns_pod_routes:
                return None
            if flow.src.name == (there.node if there else owner.name):
                return None
            return Outcome.UNREACHABLE, None, (Why("the underlay's router knows nodes and not Pods", under.mark),)
        key = (here.node, there.node if there else owner.name)
        if key not in self._ways:
            arrives, why_not = self._cluster.way(*key)
            self._ways[key] = None if arrives else _lost(why_not, self._cluster.mark)
        return self._ways[key]

    def _at_router(self, flow: Flow) -> tuple[Outcome, str | None, tuple[Why, ...]] | None:
        """Whether a router's answer finds the way back: it knows nodes, and Pods only where it learns their routes."""
        under = self._cluster.underlay
        if flow.src.kind != POD or self._cluster.masquerades:
            return None
        if under.racks and under.learns_pod_routes and not under.drop_foreign_sources:
            return None
        return _lost("the underlay's router has routes to nodes and not to Pods: it cannot route the reply", under.mark)

    def _owner(self, flow: Flow) -> Endpoint:
        """Who has the address: the target itself, unless it was asked by its bare address."""
        return flow.dst if flow.dst.kind in (POD, NODE, EXTERNAL) else self._known.at(flow.address)

    def _listener(self, owner: Endpoint, port: int, protocol: str) -> Pod | None:
        """The Pod that serves a port in the owner's namespace; of hostNetwork Pods that is whoever has the port."""
        pod = self._known.pod_of.get(owner.name) if owner.kind == POD else None
        if pod and not pod.host_network:
            return pod if any((each.port, each.protocol) == (port, protocol) for each in pod.ports) else None
        node = pod.node if pod else owner.name
        return self._known.serves.get(node, {}).get((port, protocol))

    def _client(self, flow: Flow) -> str | None:
        """The address that the server sees: the source's own of that family, since nothing translates it here.

        A node has several (its underlay's and its bridge's) and the route decides, which is the kernel's to know.
        """
        if self._known.behind(flow) is not None:
            return None  # a data plane may masquerade what goes to a node, and portmap what a Pod sends to itself
        if flow.src.netns == flow.dst.netns:
            return flow.address  # the kernel gives a flow to oneself the address that it goes to
        if flow.src.kind == NODE or (pod := self._known.pod_of.get(flow.src.name)) is None or pod.host_network:
            return None
        is_v6 = ":" in flow.address
        # What leaves the cluster is masqueraded by the Pod's node.
        seen = self._known.nodes[pod.node] if flow.dst.kind == EXTERNAL else flow.src
        return next((address for address in seen.addresses if (":" in address) == is_v6), None)


def _lost(why: str, mark: Mark | None) -> tuple[Outcome, str | None, tuple[Why, ...]]:
    return Outcome.TIMEOUT, None, (Why(why, mark),)
