"""The document of a flow, by its fields and as text."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from netlab.evidence.records import Lookup
from netlab.objects import Why
from netlab.oracle.flow import NAME, NODE, POD, SERVICE, Endpoint, Outcome, Verdict
from netlab.output import flows as output
from netlab.output import lookups
from netlab.output.places import place
from netlab.plain import dump

_KINDS: dict[str, output.EndKind] = {POD: "pod", SERVICE: "service", NODE: "node", NAME: "name"}


def flow_fields(verdict: Verdict) -> dict[str, Any]:
    """The fields that every document of a flow has."""
    flow = verdict.flow
    return {
        "from_": flow.src.name,
        "to": flow.dst.name,
        "from_kind": end_kind(flow.src),
        "to_kind": end_kind(flow.dst),
        "address": flow.address,
        "port": flow.port,
        "protocol": flow.protocol,
        "size": flow.size,
        "outcome": verdict.outcome.value,
        "server": verdict.server,
        "client": verdict.client,
        "backends": tuple(map(_backend, verdict.may)),
        "because": tuple(map(_because, verdict.because)),
    }


def end_kind(end: Endpoint) -> output.EndKind:
    """The kind of an end in documents: an address that no host has counts as external."""
    return _KINDS.get(end.kind, "external")


def _backend(verdict: Verdict) -> output.Backend:
    """A Pod behind a Service that chooses."""
    flow, outcome = verdict.flow, verdict.outcome
    because = tuple(map(_because, verdict.because)) if outcome is Outcome.DENIED else None
    return output.Backend(
        to=flow.dst.name,
        address=flow.address,
        port=flow.port,
        outcome=outcome.value,
        asked=verdict.asked,
        because=because,
    )


def flow_line(verdict: Verdict) -> str:
    """A flow of ``reach -o json`` as text: a tenth of the time, in a process that probes meanwhile; a large lab has a million."""
    if verdict.because or verdict.may:
        return json.dumps(dump(output.Flow(**flow_fields(verdict))), ensure_ascii=False)
    flow = verdict.flow
    return (
        f'{{"from": {_quoted(flow.src.name)}, "from_kind": "{end_kind(flow.src)}", '
        f'"to": {_quoted(flow.dst.name)}, "to_kind": "{end_kind(flow.dst)}", '
        f'"address": "{flow.address}", "port": {flow.port}, "protocol": "{flow.protocol}", '
        f'"outcome": "{verdict.outcome.value}", "server": {_quoted(verdict.server)}, "client": {_quoted(verdict.client)}}}'
    )


@lru_cache(4096)  # names of Pods, each in many flows
def _quoted(text: str | None) -> str:
    return json.dumps(text, ensure_ascii=False)


def _because(why: Why) -> output.Because:
    policy, rule = (why.policy, why.rule) if why.policy else (None, None)
    return output.Because(says=why.message, **place(why.mark), policy=policy, rule=rule)


def lookup_document(lookup: Lookup) -> lookups.Lookup:
    """The document of a lookup."""
    queries = lookup.queries
    return lookups.Lookup(
        name=lookup.name,
        by="hosts" if lookup.hosts else "dns",
        file=lookup.file,
        servers=lookup.servers,
        searches=lookup.searches,
        addresses=lookup.addresses,
        server=queries[-1].server if queries and lookup.addresses else None,
        queries=tuple(
            lookups.Query(
                name=query.name,
                type=query.type,
                server=query.server,
                outcome=query.outcome,
                addresses=query.addresses,
                aliases=query.aliases,
                elapsed_us=query.elapsed / 1000,
            )
            for query in queries
        ),
    )
