"""One packet traced in a running lab: sent, recorded, told; ``trace`` prints it, ``--versus`` two of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from netlab.tuples import NamedTuple

if TYPE_CHECKING:
    from netlab.diagnose.finding import Finding
    from netlab.diagnose.story import Story
    from netlab.evidence.records import Lookup, Recording
    from netlab.model import Cluster
    from netlab.objects import State
    from netlab.oracle.flow import Flow
    from netlab.oracle.target import Asked
    from netlab.runtime.state.resolved import Lab

_MANY = 200  # namespaces
_CHAINS = 300  # of a table
_TIMEOUT = 0.9  # seconds


class Question(NamedTuple):
    """What is to be traced, in the words of the command line; ``packet`` is one of scapy's, or None."""

    client: str
    target: str
    namespace: str
    icmp: bool
    size: int
    df: bool
    version: int
    timeout: float | None
    packet: Any
    without: tuple[str, ...]


class Traced(NamedTuple):
    """The lab, what the words came to, and what happened."""

    running: Lab
    meant: Asked
    story: Story
    findings: tuple[Finding, ...]


def traced(name: str, question: Question, record: str | None = None) -> Traced:
    """Send the packet in the lab of that name and follow it; ``record``: a file for all evidence."""
    from dataclasses import replace

    from netlab.model.topology.links import round_trip
    from netlab.objects import Netns, NftTable, Vxlan
    from netlab.observe.trace.record import Request, recorded
    from netlab.oracle.target import asked
    from netlab.runtime.state.running import load_meant

    client, target, namespace = question.client, question.target, question.namespace
    size, version = question.size, question.version
    running = load_meant(name)
    timeout = _TIMEOUT + round_trip(running.cluster) if question.timeout is None else question.timeout
    lookup: Lookup | None = None
    if question.packet is None:
        lookup, target = _looked_up(running.cluster, client, target, namespace, version, timeout)
    icmp = question.icmp and _has_addresses(lookup)
    meant = asked(running.cluster, client, target, namespace, icmp=icmp, version=version)
    flow = meant.flow
    request = Request(
        flow.src.netns, flow.protocol, flow.address, flow.port, size, question.df, meant.answers, question.packet
    )
    if lookup and not lookup.addresses:
        request = replace(request, name=lookup.queries[-1].name, size=0)
    netns = sorted(space.netns for space in running.want.only(Netns))
    with recorded(
        name,
        request,
        netns,
        tunnels={vxlan.port for vxlan in running.want.only(Vxlan)},
        patience=timeout,
        without=question.without,
        counted=_counted(running.cluster, flow, netns),
        unlisted=_long_tables(running.want),
        lab_tables={(table.netns, table.family, table.table) for table in running.want.only(NftTable)},
        meanwhile=_preload,
    ) as recording:
        # Imported here: the kernel takes as long to let the sources go.
        from netlab.diagnose.findings import findings
        from netlab.diagnose.story import tell

        if lookup:
            recording = replace(recording, lookups=(lookup,))
        if record:
            _keep(record, recording)
        story = tell(recording, running.cluster, running.want)
        results = findings(story)
    if results or not story.answered:
        results = findings(story, _drift(running, name, story))
    return Traced(running, meant, story, results)


def _preload(replied: Callable[[], bool]) -> None:
    """Import what the report needs while the packet is under way, and what only a lost packet needs."""
    if not replied():
        import netlab.runtime.lab  # noqa: F401


def _looked_up(
    cluster: Cluster, client: str, target: str, namespace: str, version: int | None, timeout: float
) -> tuple[Lookup | None, str]:
    """The lookup of a DNS name in the client, and what to send to: its address, else the name server."""
    from netlab.oracle.target import looked_up

    wanted = looked_up(cluster, client, target, namespace)
    if wanted is None:
        return None, target
    from netlab.observe.lookup import lookup

    lookup_made = lookup(cluster, wanted.pod, wanted.name, version=version or 0, patience=max(1.0, timeout))
    address = lookup_made.addresses[0] if lookup_made.addresses else lookup_made.queries[-1].server
    port = wanted.port if lookup_made.addresses else "53/UDP"
    address = f"[{address}]" if ":" in address else address
    return lookup_made, f"{address}:{port}" if port else address


def _has_addresses(lookup: Lookup | None) -> bool:
    return lookup is None or bool(lookup.addresses)


def _counted(cluster: Cluster, flow: Flow, netns: Sequence[str]) -> Sequence[str]:
    """Where counters are worth reading, at 0.5 ms a namespace: in a large lab not in Pods that have no part in it."""
    if len(netns) <= _MANY:
        return netns
    service = next((service for service in cluster.services if str(service) == flow.dst.name), None)
    named = {flow.dst.name, *(backend.pod for backend in service.backends)} if service else {flow.dst.name}
    near = {flow.src.netns, *(pod.netns for pod in cluster.pods if str(pod) in named)}
    far = {pod.netns for pod in cluster.pods if not pod.host_network} - near
    return [name for name in netns if name not in far]


def _long_tables(want: State) -> set[tuple[str, str]]:
    """Tables that nft needs seconds to list; of our own rules a comment, or the chain's name, says enough."""
    from collections import Counter

    from netlab.objects import NftChain

    chains = Counter((chain.netns, chain.family, chain.table) for chain in want.only(NftChain))
    return {(family, table) for (_, family, table), count in chains.items() if count > _CHAINS}


def _drift(running: Lab, name: str, story: Story) -> Any:
    """The differences between the kernel and the lab; in a large lab only near the place where a packet was lost."""
    from netlab.objects import contradicted
    from netlab.plan import drift
    from netlab.runtime.lab import observe, within
    from netlab.runtime.state.rundir import RunDir

    rundir = RunDir(name)
    if len(rundir.assignments().netns) <= _MANY:
        seen = observe(running, rundir)
        return drift(running.want, seen.state, running.want, contradicted(running.want, seen.learned))
    want = within(running.want, story.concerned)
    seen = observe(running, rundir, want, story.concerned)
    return drift(want, seen.state, wrong=contradicted(running.want, seen.learned))


def _keep(path: str, recording: Recording) -> None:
    import json

    from netlab.evidence.records import to_json

    with open(path, "w", encoding="utf-8") as stream:
        json.dump(to_json(recording), stream, indent=1)
        stream.write("\n")
