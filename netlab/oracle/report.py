"""The JSON of a flow, as a value and as text."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from netlab.objects import Why
from netlab.oracle.flow import ADDRESS, EXTERNAL, Outcome, Verdict


def flow_json(verdict: Verdict) -> dict[str, Any]:
    """A flow as ``reach -o json`` has it.  ``to_kind`` is pod, service, node or external (also a bare address)."""
    flow = verdict.flow
    shown: dict[str, Any] = {
        "from": flow.src.name,
        "to": flow.dst.name,
        "to_kind": EXTERNAL if flow.dst.kind == ADDRESS else flow.dst.kind,
        "address": flow.address,
        "port": flow.port,
        "protocol": flow.protocol,
        "outcome": str(verdict.outcome),
        "server": verdict.server,
        "client": verdict.client,
    }
    if verdict.may:
        shown["backends"] = [_backend(one) for one in verdict.may]
    if verdict.because:
        shown["because"] = [_because(why) for why in verdict.because]
    return shown


def _backend(verdict: Verdict) -> dict[str, Any]:
    """One of the Pods behind a Service that chooses."""
    flow = verdict.flow
    shown: dict[str, Any] = {"to": flow.dst.name, "address": flow.address, "port": flow.port}
    shown |= {"outcome": str(verdict.outcome), **({} if verdict.asked else {"asked": False})}
    return shown | (
        {"because": [_because(why) for why in verdict.because]} if verdict.outcome is Outcome.DENIED else {}
    )


def flow_line(verdict: Verdict) -> str:
    """``flow_json`` as text: a tenth of the time, in a process that probes meanwhile; a large lab has a million."""
    if verdict.because or verdict.may:
        return json.dumps(flow_json(verdict), ensure_ascii=False)
    flow = verdict.flow
    kind = EXTERNAL if flow.dst.kind == ADDRESS else flow.dst.kind
    return (
        f'{{"from": {_quoted(flow.src.name)}, "to": {_quoted(flow.dst.name)}, "to_kind": "{kind}", '
        f'"address": "{flow.address}", "port": {flow.port}, "protocol": "{flow.protocol}", '
        f'"outcome": "{verdict.outcome.value}", "server": {_quoted(verdict.server)}, "client": {_quoted(verdict.client)}}}'
    )


@cache
def _quoted(text: str | None) -> str:
    return json.dumps(text, ensure_ascii=False)


def _because(why: Why) -> dict[str, Any]:
    place = {"file": why.mark.file if why.mark else None, "line": why.mark.line if why.mark else None}
    return {"says": why.says, **place, **({"policy": why.policy, "rule": why.rule} if why.policy else {})}
