"""Answers for machines: the JSON of a flow, and JUnit's XML of a check."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

from netlab.objects import Why
from netlab.oracle.flow import ADDRESS, EXTERNAL, Outcome, Verdict

if TYPE_CHECKING:
    from netlab.oracle.compare import Row


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


def junit(rows: Iterable[Row], *, lab: str, seconds: float = 0.0) -> str:
    """A JUnit report, one test case a flow, whose file and line are the expectation's."""
    from netlab.oracle.compare import failure

    cases, failed, errors = [], 0, 0
    for row in rows:
        attributes = f"classname={_attr(f'netlab.{lab}')} name={_attr(str(row.flow))}"
        if row.expectation:
            attributes += f" file={_attr(row.expectation.mark.file)} line={_attr(str(row.expectation.mark.line))}"
        if row.ok:
            cases.append(f"    <testcase {attributes}/>")
            continue
        broken = row.observed is not None and row.observed.outcome is Outcome.ERROR
        tag = "error" if broken else "failure"
        errors, failed = errors + broken, failed + (not broken)
        told = f"<{tag} message={_attr(row.says)}>{_text(failure(row))}</{tag}>"
        cases.append(f"    <testcase {attributes}>\n      {told}\n    </testcase>")
    counts = f'tests="{len(cases)}" failures="{failed}" errors="{errors}" time="{seconds:.3f}"'
    body = "\n".join(cases)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites {counts}>\n  <testsuite name={_attr(lab)} {counts}>\n'
        f"{body}{chr(10) if body else ''}  </testsuite>\n</testsuites>\n"
    )


def _clean(text: str) -> str:
    """XML 1.0 has no way to write most control characters."""
    return "".join(each if each >= " " or each in "\t\n" else "?" for each in text)


def _attr(text: str) -> str:
    return quoteattr(_clean(text), {"\n": "&#10;", "\t": "&#9;"})


def _text(text: str) -> str:
    return _clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
