"""What a diagnosis needs from the kernel: probed flows and lookups beside the drift, and traces of single flows."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from netlab.diagnose.findings import findings
from netlab.diagnose.labwide import nfttables
from netlab.diagnose.labwide.blame import Blame
from netlab.diagnose.labwide.choose import choose
from netlab.diagnose.labwide.evidence import Evidence, unanswered
from netlab.diagnose.labwide.recognise import Variant
from netlab.diagnose.labwide.traced import Traced
from netlab.diagnose.story import tell
from netlab.errors import NetlabError
from netlab.evidence.records import Lookup
from netlab.faults.injected import Injected
from netlab.kernel.host import threads
from netlab.kernel.neighbours import KernelNeighbours
from netlab.kernel.nftables import foreign
from netlab.model.cluster import Cluster
from netlab.model.status import runs
from netlab.model.topology.links import round_trip
from netlab.objects import Netns, NftTable, State, Vxlan, contradicted
from netlab.observe.evidence import probed
from netlab.observe.lookup import lookups as resolved
from netlab.observe.probe import Prober
from netlab.observe.trace.record import PATIENCE, Request, recorded
from netlab.oracle import lookups
from netlab.oracle.compare import Row, check
from netlab.oracle.expect import Expectations
from netlab.oracle.flow import EXTERNAL, NAME, Flow, Verdict
from netlab.oracle.predict import Predictor
from netlab.oracle.resolve import expected
from netlab.plan import drift
from netlab.plan.adopted import of_others
from netlab.plan.drift import Drift
from netlab.runtime.client import agentclient
from netlab.runtime.host import requirements as host
from netlab.runtime.lab import observe
from netlab.runtime.state.resolved import Lab, memory_of, resolve, with_state
from netlab.runtime.state.rundir import RunDir
from netlab.runtime.state.running import open_running
from netlab.spec import Documents, Warning

_LOOKUPS = 24  # Pods that look a name up
_LEAST, _MOST = 2, 5  # traces, however late it is, and in all
_COUNTED = 200  # namespaces; in a larger lab a trace reads no counters


def survey(lab: Lab, expectations: Expectations | None, warnings: Sequence[Warning]) -> Evidence:
    """Probe, look names up and compare the kernel with the lab, one after the other."""
    cluster = lab.cluster
    wanted = dict(expected(expectations, cluster)) if expectations else {}
    names = lookups.asked(expectations, cluster) if expectations else ()
    differing = _drift(lab)
    asked = (*names, *_names(cluster))
    results: list[Mapping[lookups.Key, Lookup]] = []

    def look_up() -> None:
        with suppress(NetlabError, OSError):
            results.append(resolved(cluster, asked))

    waiting = threads.start(look_up, "netlab-lookups")  # a silent name server takes as long as all flows
    flows = list(dict.fromkeys((*wanted, *choose(cluster))))
    with _Walking(lab, flows if differing.operations or differing.foreign else ()) as blame:
        rows = check(wanted, Predictor(cluster).answer(flows), ask(cluster, flows))
        waiting.join()
    for answers in results:
        rows += lookups.rows(asked, answers, cluster)
    held = bool(wanted or names) and all(row.ok for row in rows if row.expectation is not None)
    texts = foreign.texts((*differing.foreign, *nfttables.deviating(differing)))
    return Evidence(cluster, lab.want, tuple(rows), differing, texts, tuple(warnings), intended=held, blame=blame)


class _Walking:
    """Works out the expected paths of flows while replies are waited for; what is not done by then is left to others."""

    def __init__(self, lab: Lab, flows: Sequence[Flow]) -> None:
        self._blame, self._flows, self._stopped = Blame(lab.cluster, lab.want), flows, False

    def __enter__(self) -> Blame:
        self._thread = threads.start(self._walk, "netlab-paths")
        return self._blame

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._thread.join()

    def _walk(self) -> None:
        for flow in self._flows:
            if self._stopped:
                return
            self._blame.needs(flow)


def _drift(lab: Lab) -> Drift:
    """The deviations as they were before any packet was sent: packets teach the kernel more."""
    seen = observe(lab, RunDir(lab.cluster.lab))
    found = drift(lab.want, seen.state, lab.want, contradicted(lab.want, seen.learned))
    return Drift(found.operations, of_others(lab.cluster, found.foreign))


def ask(cluster: Cluster, flows: Sequence[Flow]) -> Mapping[Flow, Verdict]:
    """The verdicts of packets on these flows."""
    with KernelNeighbours() as neighbours:
        return {verdict.flow: verdict for verdict in probed(Prober(cluster, neighbours=neighbours), cluster, flows)}


def _names(cluster: Cluster) -> list[lookups.Asked]:
    """One Service's name for each Pod, of several workloads first: its own namespace's, else any."""
    services = [service for service in cluster.services if not service.system]
    if not services or not cluster.dns:
        return []
    pods = [pod for pod in cluster.pods if not pod.system and not pod.ended]
    first: dict[tuple[str, str], int] = {}
    order = sorted(pods, key=lambda pod: first.setdefault((pod.owner or pod.name, pod.node), len(first)))
    chosen = list({(pod.owner or pod.name, pod.node): pod for pod in order}.values())
    chosen += [pod for pod in order if pod not in chosen]
    asked = []
    for pod in chosen[:_LOOKUPS]:
        own = next((service for service in services if service.namespace == pod.namespace), services[0])
        name = f"{own.name}.{own.namespace}"  # a bare name may be the Pod's own in its hosts file
        asked.append(lookups.Asked(pod, name))
    return asked


def again(cluster: Cluster, rows: Sequence[Row]) -> list[bool]:
    """Whether these rows are broken once more."""
    flows = [row.flow for row in rows if row.flow.dst.kind != NAME]
    answers = check({}, Predictor(cluster).answer(flows), ask(cluster, flows))
    broken = {row.flow for row in answers if not row.ok or unanswered(row)}
    named = [row for row in rows if row.flow.dst.kind == NAME]
    pods = {str(pod): pod for pod in cluster.pods}
    asked = [lookups.Asked(pods[row.flow.src.name], row.flow.dst.name) for row in named]
    failing = {row.flow for row in lookups.rows(asked, resolved(cluster, asked), cluster) if not row.ok}
    return [row.flow in broken or row.flow in failing for row in rows]


def variants(name: str, shown: Documents) -> Variant:
    """The running lab with another fault of its documents or its cluster, and none else; ``shown`` are its documents."""
    rundir, applied = open_running(name)
    memory, statuses = memory_of(rundir), rundir.statuses()

    def variant(fault: Injected) -> tuple[State, bool] | None:
        try:
            lab = resolve(replace(applied, faults=(fault,)), memory, statuses)
            state = with_state(lab, host.of_running(lab.cluster)).want
        except (NetlabError, StopIteration, LookupError):
            return None
        return state, lab.documents.objects == shown.objects

    return variant


class Tracer:
    """Traces flows as long as there is time."""

    def __init__(self, lab: Lab, evidence: Evidence, until: float) -> None:
        self._lab, self._evidence, self._until = lab, evidence, until
        self.count = 0

    def __call__(self, row: Row) -> Traced | None:
        """The trace of a flow; None if there is no more time, or no trace of its protocol."""
        if self.count >= _MOST or (self.count >= _LEAST and time.monotonic() > self._until):
            return None
        flow = self._flow(row)
        if flow.protocol == "SCTP" or not flow.address:
            return None
        self.count += 1
        lab, cluster = self._lab, self._lab.cluster
        request = Request(flow.src.netns, flow.protocol, flow.address, flow.port, flow.size)
        if row.lookup is not None and row.lookup.queries:
            request = replace(request, name=row.lookup.queries[-1].name, size=0)
        netns = sorted(space.netns for space in lab.want.only(Netns))
        with (
            suppress(NetlabError),
            recorded(
                cluster.lab,
                request,
                netns,
                tunnels={vxlan.port for vxlan in lab.want.only(Vxlan)},
                patience=PATIENCE + round_trip(cluster),
                counted=netns if len(netns) <= _COUNTED else (),
                lab_tables={(table.netns, table.family, table.table) for table in lab.want.only(NftTable)},
            ) as recording,
        ):
            if row.lookup is not None:
                recording = replace(recording, lookups=(row.lookup,))
            story = tell(recording, cluster, lab.want)
            return Traced(story, findings(story, self._evidence.drift))
        return None

    def _flow(self, row: Row) -> Flow:
        """The flow to trace: of a Service whose backends differ the one to a backend that fails.

        From outside, no route may lead to a Pod's own address.
        """
        observed = row.observed if row.flow.src.kind != EXTERNAL else None
        if observed is not None and observed.may and row.predicted is not None:
            for verdict in observed.may:
                foreseen = next((each for each in row.predicted.may if each.flow == verdict.flow), None)
                if verdict.asked and foreseen is not None and foreseen.outcome is not verdict.outcome:
                    return verdict.flow
        return row.flow


def events(lab: Lab) -> dict[str, str]:
    """By Pod, the last event of its containers that says what fails."""
    rundir = RunDir(lab.cluster.lab)
    if not any(runs(pod) for pod in lab.cluster.own_pods) or agentclient.recorded(rundir.path) is None:
        return {}
    found: dict[str, str] = {}
    with suppress(NetlabError, OSError), agentclient.connect(rundir.path, lab.cluster.lab) as agent:
        for pod in agent.processes(events=True):
            reasons = [each["message"] for each in pod.get("events", ()) if each["reason"] in _FAILING]
            if reasons:
                found[f"{pod['namespace']}/{pod['pod']}"] = str(reasons[-1])
    return found


_FAILING = ("Unhealthy", "BackOff", "Failed")
