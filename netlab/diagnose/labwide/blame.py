"""Which suspects a flow needs, by its expected path alone: no packet is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netlab.diagnose.causes.judges import weight
from netlab.diagnose.causes.needs import Needs
from netlab.diagnose.expected.expect import Expecter
from netlab.diagnose.labwide.suspects import Suspect
from netlab.diagnose.rules.rulebook import RuleBook
from netlab.diagnose.story import Story
from netlab.evidence.records import Probe, Recording
from netlab.model.cluster import Cluster
from netlab.model.services.system import NAMESPACE, SERVICE
from netlab.objects import File, Key, Listener, Obj, Op, Process
from netlab.oracle.flow import NAME, Flow

_BACKENDS = 4  # of a Service, of which the paths are walked


class Blame:
    """The expected paths of flows in the state that the documents ask for."""

    def __init__(self, cluster: Cluster, want: Mapping[Key, Obj]) -> None:
        self._cluster, self._want = cluster, want
        self._expecter = Expecter(cluster, want)
        self._book = RuleBook(cluster, want)
        self._needs: dict[Flow, list[Needs]] = {}

    def flow(self, flow: Flow) -> Flow:
        """The flow itself; of a lookup the query to the name server."""
        if flow.dst.kind != NAME:
            return flow
        server = self._expecter.endpoints.services.get(f"{NAMESPACE}/{SERVICE}")
        return flow._replace(dst=server) if server else flow

    def needs(self, flow: Flow) -> list[Needs]:
        """What the flow needs, for each of the backends that it may get."""
        if flow not in self._needs:
            asked = self.flow(flow)
            choices = [address for address, _ in self._expecter.choices(asked)][:_BACKENDS] if asked.address else []
            self._needs[flow] = [self._of(asked, backend) for backend in choices or [""]] if asked.address else []
        return self._needs[flow]

    def _of(self, flow: Flow, backend: str) -> Needs:
        trip = self._expecter.round_trip(flow, backend=backend)
        probe = Probe(
            flow.src.netns, flow.protocol, flow.address, flow.port, trip.source, 0, 0, size=flow.size, outcome="open"
        )
        story = Story(
            recording=Recording(self._cluster.lab, probe),
            cluster=self._cluster,
            want=self._want,
            flow=flow,
            round_trip=trip,
            events=(),
            topology=self._expecter.topology,
            endpoints=self._expecter.endpoints,
            book=self._book,
        )
        return Needs(story, "")

    def namespaces(self, flow: Flow) -> set[str]:
        """The namespaces on the flow's paths."""
        return {netns for needs in self.needs(flow) for netns in needs.namespaces}

    def interfaces(self, flow: Flow) -> set[tuple[str, str]]:
        """The interfaces and bridges on the flow's paths."""
        return {interface for needs in self.needs(flow) for interface in needs.hops | needs.bridges}

    def weight(self, suspect: Suspect, flow: Flow) -> int:
        """1: the flow needs the suspect's objects; 2: it may; 0: it does not."""
        if suspect.foreign is not None:
            return 2 if suspect.netns in self.namespaces(flow) else 0
        operations = (*suspect.ops, *suspect.parts)
        if flow.dst.kind == NAME and any(isinstance(op.obj, File) for op in suspect.ops):
            return 1 if suspect.netns == flow.src.netns else 0  # a line of its hosts file needs no packet
        weights = [self._weight(needs, op, operations, flow) for needs in self.needs(flow) for op in operations]
        return min((each for each in weights if each), default=0)

    def _weight(self, needs: Needs, op: Op, operations: Sequence[Op], flow: Flow) -> int:
        obj = op.obj
        target = needs.story.round_trip.request.netns
        if isinstance(obj, Listener):
            ports = {flow.port, *(port for _, port in needs.story.round_trip.backends)}
            return 1 if obj.netns == target and obj.port in ports and obj.protocol == flow.protocol else 0
        if isinstance(obj, Process):
            return 1 if obj.netns == target else 0
        return weight(needs, op, tuple(operations))
