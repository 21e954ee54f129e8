"""Policies on the page: who may reach a Pod, or whom it may reach, and by which rule: ``netlab explain``, and the YAML of the rules.

The text is the one that was applied, whatever its file says now.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from aiohttp import web

from netlab.output.graph import Graph, Policy, Rule, TierPolicy
from netlab.runtime.state.rundir import RunDir
from netlab.serve.shared import Shared, body, known, message

_SIDES = ("ingress", "egress")
_ALL = {"IPv4": "0.0.0.0/0", "IPv6": "::/0"}
_NAME = "\0"  # in a reason, where the name of the other end stood


class Policies:
    """The judgement of the policies about a Pod of a lab's page."""

    def __init__(self, page: Shared) -> None:
        self._page = page

    def routes(self, app: web.Application) -> None:
        """Add the path."""
        app.router.add_post("/page/v1/policies", self._judge)

    async def end(self) -> None:
        """Nothing of it runs on."""

    async def _judge(self, request: web.Request) -> web.Response:
        asked = await body(request)
        graph = await self._page.graph()
        pod = known(asked.get("pod"), {f"{each.namespace}/{each.name}" for each in graph.pods}, "pod")
        side = known(asked.get("side"), _SIDES, "side")
        everybody = _ALL[graph.families[0]]
        ends = (everybody, pod) if side == "ingress" else (pod, everybody)
        ended = await self._page.run("explain", "--lab", self._page.lab, "-o", "json", "--", *ends)
        says = "" if ended.stdout else message(ended)  # the Pod serves no port
        flows = json.loads(ended.stdout)["flows"] if ended.stdout else []
        judged = await asyncio.to_thread(grouped, flows, side)
        texts = await asyncio.to_thread(_texts, self._page.lab)
        about = _named(judged) | {
            _full(policy) for policy in graph.policies if pod in policy.pods and getattr(policy, side)
        }
        return web.json_response({"groups": judged, "says": says, "policies": list(_written(graph, about, texts))})


def grouped(flows: Iterable[dict[str, Any]], side: str) -> list[dict[str, Any]]:
    """Flows with the same judgement for the same reasons, with the names of their other ends."""
    other = "from" if side == "ingress" else "to"
    groups: dict[str, dict[str, Any]] = {}
    for flow in flows:
        if flow["from"] == flow["to"]:
            continue
        name = flow[other]
        own = re.compile(rf"(?<![\w./-]){re.escape(name)}(?![\w/-])")
        group = {
            "allowed": flow["allowed"],
            "outcome": flow["outcome"],
            "because": [own.sub(_NAME, each["says"]) for each in flow.get("because", ())],
            "port": f"{flow['port']}/{flow['protocol']}",
            "sides": {each: _reason(flow.get(each), own) for each in _SIDES},
        }
        names = groups.setdefault(json.dumps(group), {**group, "names": []})["names"]
        if name not in names:  # an end has an address of each family
            names.append(name)
    return sorted((_with_names(group) for group in groups.values()), key=lambda group: not group["allowed"])


def _reason(side: dict[str, Any] | None, own: re.Pattern[str]) -> dict[str, Any] | None:
    """The reason in one direction: the rule, or why there is none; ``own`` finds the name of the other end."""
    if side is None:
        return None
    rules = [side[key] for key in ("allowed_by", "tier") if side.get(key)]
    return {
        "allowed": side["allowed"],
        "exempt": side["exempt"] and own.sub(_NAME, side["exempt"]),
        "rule": rules[-1] if rules else None,
        "missed": [{**each, "says": own.sub(_NAME, each["says"])} for each in side["missed"]],
    }


def _with_names(group: dict[str, Any]) -> dict[str, Any]:
    """The group, its reasons with the name of its only end, or with "each"."""
    names = group["names"]
    text = json.dumps(group)
    mark, name = json.dumps(_NAME)[1:-1], json.dumps(names[0])[1:-1]
    named = text.replace(mark, name) if len(names) == 1 else text.replace(f"peer {mark}", "each").replace(mark, "each")
    made: dict[str, Any] = json.loads(named)
    return made


def _named(groups: Iterable[dict[str, Any]]) -> set[str]:
    """The policies that the reasons name."""
    sides = [side for group in groups for side in group["sides"].values() if side]
    return {each["policy"] for side in sides for each in (side["rule"], *side["missed"]) if each}


def _full(policy: Policy | TierPolicy) -> str:
    return f"{policy.namespace}/{policy.name}" if isinstance(policy, Policy) else f"{policy.kind} {policy.name}"


def _texts(lab: str) -> dict[str, list[str]]:
    """The lines of each file of the lab, as it was applied last."""
    applied = RunDir(lab).applied()
    return {text[0]: text[1].split("\n") for text in (*applied.spec, *applied.extra)} if applied else {}


def _written(graph: Graph, about: set[str], texts: dict[str, list[str]]) -> Iterator[dict[str, Any]]:
    """The documents of these policies, with the lines of their rules."""
    everything: tuple[Policy | TierPolicy, ...] = (*graph.policies, *graph.tiers)
    for policy in everything:
        if _full(policy) not in about:
            continue
        lines = texts.get(policy.file or "", [])
        first, last = document(lines, policy.line or 0)
        yield {
            "name": _full(policy),
            "pods": policy.pods,
            "file": policy.file,
            "first": first,
            "lines": lines[first - 1 : last],
            "rules": [
                {"rule": rule.rule, "lines": extent(lines, rule.line or 0)}
                for rule in policy.rules
                if _is_there(rule, policy)
            ],
        }


def _is_there(rule: Rule, policy: Policy | TierPolicy) -> bool:
    return bool(rule.line) and rule.file == policy.file


def document(lines: list[str], line: int) -> tuple[int, int]:
    """The first and the last line of the YAML document around a line; lines count from 1."""
    if not 1 <= line <= len(lines):
        return 1, 0
    first = next((at + 1 for at in range(line - 1, 0, -1) if lines[at - 1].startswith("---")), 1)
    last = next((at - 1 for at in range(line, len(lines) + 1) if lines[at - 1].startswith("---")), len(lines))
    while last > first and not lines[last - 1].strip():
        last -= 1
    return first, last


def extent(lines: list[str], line: int) -> tuple[int, int]:
    """The first and the last line of the item of a list that begins in a line."""
    if not 1 <= line <= len(lines):
        return line, line
    text = lines[line - 1]
    indent, last = len(text) - len(text.lstrip()), line
    if not text.lstrip().startswith("-"):  # `- {...}` of a flow, or a key below its dash
        indent -= 1
    for at in range(line + 1, len(lines) + 1):
        below = lines[at - 1]
        if not below.strip() or below.lstrip().startswith("#"):
            continue
        if below.startswith("---") or len(below) - len(below.lstrip()) <= indent:
            break
        last = at
    return line, last
