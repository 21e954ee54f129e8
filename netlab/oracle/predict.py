"""The prediction: the result of a flow in a healthy lab, from the cluster alone.

One function for each concern, in the order in which a packet meets them: the owner of the address (``_owner``), the
listener (``_listener``), the policies (``denials``), the client that the server sees (``_client``). A flow to a Service
is judged as the flows to its backends (``service``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address

from netlab.errors import Mark
from netlab.model.cluster import Cluster, Pod
from netlab.model.cluster.policies import INGRESS
from netlab.objects import Why
from netlab.oracle.denials import Denial, Denials, Step
from netlab.oracle.endpoints import Endpoints
from netlab.oracle.flow import ADDRESS, EXTERNAL, NODE, POD, ROUTER, Endpoint, Flow, Outcome, Verdict, is_own
from netlab.oracle.mixed import joined
from netlab.oracle.service import ServiceIndex, ServicePaths
from netlab.tuples import NamedTuple


class Ending(NamedTuple):
    """The result of a flow with its reasons; ``late``: the packets arrive, and the reply is lost."""

    outcome: Outcome
    server: str | None
    because: tuple[Why, ...]
    late: bool = False


class Predictor:
    """An Answerer that sends nothing.  It judges the cluster as specified: faults are what it is compared with."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._paths: dict[tuple[str, str], Ending | None] = {}
        self._endpoints = Endpoints(cluster)
        self._knows_pods = bool(cluster.underlay.racks) and cluster.underlay.learns_pod_routes  # the routers do
        self._parts = [cidr for node in cluster.nodes for cidr in node.pod_cidrs]
        self._services = ServiceIndex(cluster, self._endpoints)
        self.denials = Denials(cluster, self._endpoints, self._services)
        self._open: dict[tuple[str, str, int, str], Ending] = {}

    def answer(self, flows: Iterable[Flow]) -> Mapping[Flow, Verdict]:
        return {verdict.flow: verdict for verdict in self.predict(flows)}

    def predict(self, flows: Iterable[Flow]) -> Iterator[Verdict]:
        """The verdicts in the order of the flows, lazily.

        What does not depend on the source is found once a target: a thousand Pods ask a thousand times the same.
        """
        for flow in flows:
            paths = self._services.of(flow)
            yield (
                self._by_service(flow, paths)
                if paths is not None
                else self._verdict(flow, self._direct(flow), self._apart(flow))
            )

    def endings(self, flow: Flow) -> tuple[Denial | None, ...]:
        """The denials of a flow that reaches the policies; for a Service on the path to each backend."""
        if self._services.of(flow) is None:
            return (self._direct(flow),)
        return tuple(self._ending(flow, step) for step in self.denials.steps(flow)) if self._cluster.filters else ()

    def chooses(self, flow: Flow) -> ServicePaths | None:
        """The translated flows of a Service that chooses among several backends."""
        paths = self._services.of(flow)
        return paths if paths is not None and len(paths.flows) > 1 else None

    def _direct(self, flow: Flow) -> Denial | None:
        denial = self.denials.denial(flow)
        return denial if denial and self._judged(flow, denial, self._apart(flow)) else None

    def _ending(self, flow: Flow, step: Step) -> Denial | None:
        """Where policies end what a Service translated; from outside it is the translating node that finds the way."""
        ending = self.denials.ending(step)
        paths = self._services.of(flow)
        lost = self._lost_on(flow, step.flow, paths) if paths and paths.flows else self._apart(step.flow)
        return ending if ending and self._judged(step.flow, ending, lost) else None

    def _lost_on(self, flow: Flow, arrives: Flow, paths: ServicePaths) -> Ending | None:
        """The loss of a translated flow on its paths: to the node that translates, from there on, and back."""
        dropped = self._services.answers_dropped(flow)
        message = "the underlay drops the reply: its source is not the address of a node"
        back = _lost(message, self._cluster.underlay.mark, late=True) if dropped else None
        if paths.far and arrives.src.kind == POD and not self._endpoints.node_of(arrives.src):
            itself = arrives.src.netns == arrives.dst.netns  # what comes back to its source is masqueraded
            if not itself and self.denials.node_of(arrives.dst) != paths.here:
                message = f"the reply bypasses node {paths.here}, and comes from an address that the Pod did not ask"
                back = _lost(message, self._cluster.mark, late=True)
        return self._first_leg(flow, paths) or self._apart(self._from_translator(arrives, paths)) or back

    def _first_leg(self, flow: Flow, paths: ServicePaths) -> Ending | None:
        return self._apart(flow) if paths.far and self._endpoints.owner(flow).kind == NODE else None

    def _from_translator(self, flow: Flow, paths: ServicePaths) -> Flow:
        """A translated flow as it goes on from the node that translates, which must have a way to the backend."""
        by_own = self.denials.node_of(flow.src) == paths.here and not paths.far
        return flow if by_own else flow._replace(src=self._endpoints.nodes[paths.here])

    def _verdict(self, flow: Flow, denial: Denial | None, apart: Ending | None) -> Verdict:
        """``denial``: where policies end it; ``apart``: what the data plane and the underlay make of it."""
        key = (flow.dst.name, flow.address, flow.port, flow.protocol)
        listener = self._open.get(key)
        if listener is None:
            listener = self._open[key] = self._at_target(flow)
        outcome, server, because, _ = apart or listener
        if denial is not None:
            outcome, server, because = Outcome.DENIED, None, self.denials.because(denial)
        client = self._client(flow) if outcome is Outcome.OPEN else None
        unowned = self._endpoints.owner(flow).kind == ADDRESS
        own = outcome is Outcome.OPEN and server is None
        return Verdict(flow, outcome, server, client, because, own, unowned=unowned)

    def _by_service(self, flow: Flow, paths: ServicePaths) -> Verdict:
        """The verdict on a flow to a Service: its backend's, or all that its backends' may be."""
        if not paths.flows:
            denial = next(iter(self.endings(flow)), None) if paths.far else None
            if denial is not None:
                return Verdict(flow, Outcome.DENIED, because=self.denials.because(denial))
            if (lost := self._first_leg(flow, paths)) is not None:
                return Verdict(flow, lost.outcome, because=lost.because)
            return Verdict(flow, paths.outcome, None, None, (paths.whole,), deserted=True)
        verdicts = [self._at_backend(flow, paths, step) for step in self.denials.steps(flow)]
        if not verdicts:
            return Verdict(flow, Outcome.ERROR, because=(Why(f"{flow.src.name} has no address of that family"),))
        if len(verdicts) == 1:
            return verdicts[0]._replace(flow=flow)
        whole = joined(flow, verdicts)
        return whole._replace(because=whole.because or (paths.because,), server=None)

    def _at_backend(self, flow: Flow, paths: ServicePaths, step: Step) -> Verdict:
        """The verdict on what a Service makes of a flow when it chooses this backend."""
        onward = step.flow
        apart = self._lost_on(flow, onward, paths)
        verdict = self._verdict(onward, self._ending(flow, step), apart)
        outcome, server = verdict.outcome, verdict.server
        itself = onward.src.netns == onward.dst.netns
        client = verdict.client if not paths.masqueraded and not itself else None
        because = verdict.because if outcome is Outcome.DENIED else (paths.because,)
        because += verdict.because if outcome not in (Outcome.OPEN, Outcome.DENIED) else ()
        return Verdict(onward, outcome, server, client, because, verdict.own, unowned=verdict.unowned)

    def _at_target(self, flow: Flow) -> Ending:
        owner = self._endpoints.owner(flow)
        if owner.kind == ADDRESS:
            return Ending(Outcome.TIMEOUT, None, ())  # ``_at_nobody`` knows: it depends on the source
        if owner.kind == EXTERNAL and (flow.port, flow.protocol) in self._endpoints.ports(owner):
            mark = self._endpoints.host_of[owner.name].mark
            message = f"external host {owner.name} serves {flow.port}/{flow.protocol}"
            return Ending(Outcome.OPEN, owner.name, (Why(message, mark),))
        listener = self._listener(owner, flow)
        if listener is None and (checked := self._endpoints.health_check(owner, flow)):
            message = f"kube-proxy of {owner.name} serves the health check of Service {checked}"
            return Ending(Outcome.OPEN, None, (Why(message, checked.mark),))
        if listener is None:
            return Ending(
                Outcome.REFUSED, None, (Why(f"no process in {owner.name} serves {flow.port}/{flow.protocol}"),)
            )
        pod, number = listener
        if flow.address == "::1" and self._endpoints.host_port(flow):
            return _lost(
                "the kernel sends nothing from ::1 to a Pod: a hostPort does not work at the IPv6 loopback address",
                pod.mark,
            )
        served = next((port for port in pod.ports if (port.port, port.protocol) == (number, flow.protocol)), None)
        mark = served.mark if served else pod.mark
        if served is not None and served.served_by == "process":
            # What its command does there is its own business: the network lets the flow through, nobody is named.
            return Ending(Outcome.OPEN, None, (Why(f"a process of Pod {pod} has {flow.port}/{flow.protocol}", mark),))
        lacks = next(
            (
                container
                for container in pod.containers
                if served and container.missing and container.name == served.container
            ),
            None,
        )
        stands_in = f", by the responder: this host has no program {lacks.command[0]}" if lacks else ""
        return Ending(Outcome.OPEN, str(pod), (Why(f"Pod {pod} serves {flow.port}/{flow.protocol}{stands_in}", mark),))

    def _judged(self, flow: Flow, denial: Denial, lost: Ending | None) -> bool:
        """Whether the packet comes as far as the rule that denies it.

        The source's egress is judged on its node, before anything can be lost on the way; not what ARP never finds on
        the Pod's own segment, since that never leaves the Pod.
        """
        if denial.direction == INGRESS:
            return lost is None or lost.late
        pod = self._endpoints.pod_of.get(flow.src.name)
        if flow.dst.kind != ADDRESS or pod is None or self._endpoints.owner(flow).kind != ADDRESS:
            return True
        return not any(ip_address(flow.address) in interface.network for interface in pod.addresses)

    def _apart(self, flow: Flow) -> Ending | None:
        """The loss of a flow in the data plane or the underlay; None if it arrives."""
        under, owner = self._cluster.underlay, self._endpoints.owner(flow)
        own, target = self.denials.node_of(flow.src), self.denials.node_of(owner)  # the nodes of both ends
        by_node = bool(own) and own == self._endpoints.node_of(flow.src)  # a hostNetwork Pod's packets are its node's
        at_node = bool(target) and target == self._endpoints.node_of(owner)
        # A node's address in the Pods' networks is reached as a Pod of that node is.
        inner = at_node and flow.address not in owner.addresses and not is_own(flow.address)
        silent = flow.protocol == "TCP" or by_node  # to a Pod, ICMP comes from another address
        taken = own == target or (not own and self._knows_pods)
        if inner and self._endpoints.is_anycast(flow.address) and silent and taken:
            message = (
                "the node's bridge has this as its subnet's anycast address, and the kernel takes no connections there"
            )
            return _lost(message, self._cluster.mark)
        if owner.kind == ADDRESS:
            return self._at_nobody(flow, by_node=by_node)
        if owner.kind == EXTERNAL or flow.src.netns == owner.netns:
            return None
        if owner.kind == ROUTER:
            return None if by_node else self._at_router(flow)
        if inner and own == target:
            return None
        if at_node and not inner:
            if not own or by_node or own == target or self._cluster.masquerades:
                return None
            if under.drop_foreign_sources:
                return _lost("the underlay drops packets whose source is not the address of a node", under.mark)
            if not self._cluster.plane.encapsulates and self._from_node(target, own) is not None:
                return _lost(f"node {target} has no route to the Pod: the reply is lost", under.mark, late=True)
            return None
        if not own:
            if not self._knows_pods:
                why = Why("the underlay's router knows nodes and not Pods", under.mark)
                return Ending(Outcome.UNREACHABLE, None, (why,))
            if under.drop_foreign_sources:
                return _lost(
                    "the underlay drops the Pod's reply: its source is not the address of a node", under.mark, late=True
                )
            return None
        if by_node:
            return None if own == target or self._cluster.plane.encapsulates else self._from_node(own, target)
        key = (own, target)
        if key not in self._paths:
            arrives, why_not = self._cluster.carries(*key)
            self._paths[key] = None if arrives else _lost(why_not, self._cluster.mark)
        return self._paths[key]

    def _from_node(self, own: str, target: str) -> Ending | None:
        """A node's packets to a Pod of another node, as they are: they have its own address, the Pod's answer has not."""
        under, nodes = self._cluster.underlay, self._cluster
        if not self._knows_pods and not (
            self._cluster.plane.crosses_nodes and nodes.node(own).rack == nodes.node(target).rack
        ):
            return Ending(
                Outcome.UNREACHABLE, None, (Why("the underlay's router knows nodes and not Pods", under.mark),)
            )
        if under.drop_foreign_sources:
            return _lost(
                "the underlay drops the Pod's reply: its source is not the address of a node", under.mark, late=True
            )
        return None

    def _at_nobody(self, flow: Flow, *, by_node: bool) -> Ending:
        """The result of a flow to an address that no host has.

        On a segment of the lab ARP gets no answer, and gives up (3 s) after the prober has.  What is outside goes to the
        underlay's router, which has no way to it and says so.
        """
        under, address = self._cluster.underlay, ip_address(flow.address)
        why = Why(f"nobody in this lab has the address {flow.address}")
        segments = [cidr for rack in under.racks for cidr in rack.cidrs] or under.cidrs
        if any(address in cidr for cidr in segments):
            return Ending(Outcome.TIMEOUT, None, (why,))
        in_pods = any(address in cidr for cidr in (*self._cluster.pod_cidrs, *self._parts))
        if not self.denials.node_of(flow.src):
            led = self._knows_pods and any(address in cidr for cidr in self._parts)
            return Ending(Outcome.TIMEOUT if led else Outcome.UNREACHABLE, None, (why,))
        holder = next((node for node in self._cluster.nodes if any(address in cidr for cidr in node.pod_cidrs)), None)
        if by_node and holder is not None:
            own = self.denials.node_of(flow.src)
            if own == holder.name and self._cluster.plane.blackholes:
                return Ending(Outcome.UNREACHABLE, None, (why,))
            if own != holder.name and not self._cluster.plane.encapsulates:
                return self._from_node(own, holder.name) or Ending(Outcome.TIMEOUT, None, (why,))
        if in_pods and holder is None and self._cluster.plane.whole_network and len(self._cluster.nodes) > 1:
            return Ending(Outcome.UNREACHABLE, None, (why,))  # the tunnel's device has no peer for it, and says so
        if in_pods:
            return Ending(Outcome.TIMEOUT, None, (why,))
        return self._at_router(flow) or Ending(Outcome.UNREACHABLE, None, (why,))

    def _at_router(self, flow: Flow) -> Ending | None:
        """Whether a router's answer finds the way back: it knows nodes, and Pods only where it learns their routes."""
        under = self._cluster.underlay
        if flow.src.kind != POD or self._cluster.masquerades:
            return None
        if self._knows_pods and not under.drop_foreign_sources:
            return None
        return _lost(
            "the underlay's router has routes to nodes and not to Pods: it cannot route the reply",
            under.mark,
            late=True,
        )

    def _listener(self, owner: Endpoint, flow: Flow) -> tuple[Pod, int] | None:
        """The Pod that serves a port in the owner's namespace, and its own port; of hostNetwork Pods that is whoever has
        the port.  A hostPort is translated before anybody could listen.
        """
        if (mapped := self._endpoints.host_port(flow)) is not None:
            return mapped[1], mapped[0].port
        wanted = (flow.port, flow.protocol)
        if node := self._endpoints.node_of(owner):
            pod = self._endpoints.serves.get(node, {}).get(wanted)
            return (pod, flow.port) if pod and pod.host_network else None
        pod = self._endpoints.pod_of.get(owner.name) if owner.kind == POD else None
        return (pod, flow.port) if pod and any((each.port, each.protocol) == wanted for each in pod.ports) else None

    def _client(self, flow: Flow) -> str | None:
        """The address that the server sees: the source's own of that family, since nothing translates it here.

        A node has several (its underlay's and its bridge's) and the route decides, which is the kernel's to know.
        """
        if self._endpoints.behind(flow) is not None:
            return None  # a data plane may masquerade what goes to a node, and portmap what a Pod sends to itself
        if flow.src.netns == flow.dst.netns:
            return flow.address  # the kernel gives a flow to oneself the address that it goes to
        if flow.src.kind == NODE or (pod := self._endpoints.pod_of.get(flow.src.name)) is None or pod.host_network:
            return None
        is_v6 = ":" in flow.address
        seen = self._endpoints.nodes[pod.node] if self._leaves(flow, pod.node) else flow.src
        return next((address for address in seen.addresses if (":" in address) == is_v6), None)

    def _leaves(self, flow: Flow, node: str) -> bool:
        """Whether a Pod's flow leaves the Pods' network at its own node, which masquerades it."""
        if not self._cluster.masquerades or (flow.dst.kind == POD and not self._endpoints.node_of(flow.dst)):
            return False
        if self.denials.node_of(self._endpoints.owner(flow)) == node:
            return False
        address = ip_address(flow.address)
        return not any(address in cidr for cidr in self._cluster.pod_cidrs)


def _lost(why: str, mark: Mark | None, *, late: bool = False) -> Ending:
    return Ending(Outcome.TIMEOUT, None, (Why(why, mark),), late)
