"""Kubernetes' end-to-end model of NetworkPolicy against a lab, through the lab's API: the cases of ``e2e.yaml``.

A client makes three namespaces of three Pods, and Services before them.  Each answer is one ``/agnhost connect`` in a Pod.
What is expected comes from the case's own table; netlab's prediction has no part in it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from apiclient import Client

CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "e2e.yaml").read_text(encoding="utf-8"))
PODS = [(namespace, pod) for namespace in "xyz" for pod in "abc"]
SERVED = [f"{number}/{protocol}" for number in (80, 81) for protocol in ("TCP", "UDP", "SCTP")]
_AT_ONCE = 6
_PATIENCE = "20s"  # a lab that rejects answers at once: it is never waited for
_MERGE = "application/merge-patch+json"


class Answer(NamedTuple):
    """A question and its answer: from one Pod to another's Service."""

    source: tuple[str, str]
    target: tuple[str, str]
    port: str
    status: int
    text: str


def spec(lab: str, plane: str) -> str:
    """The lab: it rejects what it denies, so that no answer depends on how long somebody waits."""
    nodes = [{"name": "node-1"}, {"name": "node-2"}]
    body = {"dataplane": plane, "nodes": nodes, "policy": {"deny": "reject"}}
    return json.dumps({"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": lab}, "spec": body})


def wanted(text: str, source: tuple[str, str], target: tuple[str, str], port: str) -> bool:
    """Whether the table of a case has a flow open."""
    opened = True
    for line in filter(None, text.split(", ")):
        match = re.fullmatch(r"(open|close) (\S+) > ([^:]+)(?::(\S+))?", line)
        assert match, line
        verb, left, right, ports = match.groups()
        if _means(left, source) and _means(right, target) and (ports is None or port.startswith(ports)):
            opened = verb == "open"
    return opened


def _means(pattern: str, pod: tuple[str, str]) -> bool:
    return fnmatchcase("/".join(pod), pattern)


class Model:
    """The namespaces, Pods and Services of the model in a running lab."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._addresses: dict[tuple[str, str], str] = {}
        self._services: dict[tuple[str, str], str] = {}

    async def make(self) -> None:
        """Make all objects, as a client of a cluster would."""
        for namespace in "xyz":
            metadata = {"name": namespace, "labels": {"ns": namespace}}
            await self._client.send("POST", Client.path("namespaces"), _object("v1", "Namespace", metadata, {}))
        for namespace, name in PODS:
            metadata = {"name": name, "namespace": namespace, "labels": {"pod": name}}
            body = {"terminationGracePeriodSeconds": 0, "containers": [_container(port) for port in SERVED]}
            pod = await self._client.send("POST", Client.path("pods", namespace), _object("v1", "Pod", metadata, body))
            self._addresses[namespace, name] = pod["status"]["podIP"]
            ports = [
                {"name": f"{protocol.lower()}-{number}", "port": int(number), "protocol": protocol}
                for number, protocol in (port.split("/") for port in SERVED)
            ]
            body = {"selector": {"pod": name}, "ports": ports}
            metadata = {"name": f"s-{namespace}-{name}", "namespace": namespace}
            made = _object("v1", "Service", metadata, body)
            service = await self._client.send("POST", Client.path("services", namespace), made)
            self._services[namespace, name] = service["spec"]["clusterIP"]

    async def play(self, case: dict[str, Any]) -> tuple[int, list[str]]:
        """How many answers a case had, and those that are not as its table says.  The lab is then as it was before."""
        labels: dict[str, set[str]] = {}
        policies: set[str] = set()
        answers, wrong = 0, []
        try:
            for number, step in enumerate(case["steps"]):
                for name, body in step.get("policies", {}).items():
                    await self._policy(name, body, there=name in policies)
                    policies = policies - {name} if body is None else policies | {name}
                for name, values in step.get("labels", {}).items():
                    labels.setdefault(name, set()).update(values)
                    await self._label(name, values)
                ports = step.get("ports", ["80/TCP"])
                for answer in await self._ask(ports):
                    answers += 1
                    opened = wanted(step["expect"], answer.source, answer.target, answer.port)
                    if (answer.status == 0) != opened:
                        flow = f"{'/'.join(answer.source)} > {'/'.join(answer.target)}:{answer.port}"
                        wrong.append(
                            f"step {number + 1}: {flow} is {answer.text.strip() or 'open'}, not {'open' if opened else 'closed'}"
                        )
        finally:
            for name in policies:
                await self._policy(name, None, there=True)
            for name, keys in labels.items():
                await self._label(name, dict.fromkeys(keys))
        return answers, wrong

    async def _policy(self, key: str, body: Any, *, there: bool) -> None:
        namespace, name = key.split("/")
        if body is None:
            await self._client.send("DELETE", Client.path("networkpolicies", namespace, name))
            return
        body = json.loads(re.sub(r"@(\w)/(\w)/(\d+)", self._network, json.dumps(body)))
        policy = _object("networking.k8s.io/v1", "NetworkPolicy", {"name": name, "namespace": namespace}, body)
        path = Client.path("networkpolicies", namespace, name if there else "")
        await self._client.send("PUT" if there else "POST", path, policy)

    def _network(self, match: re.Match[str]) -> str:
        return str(ip_network(f"{self._addresses[match[1], match[2]]}/{match[3]}", strict=False))

    async def _label(self, name: str, values: dict[str, str | None]) -> None:
        namespace, _, pod = name.partition("/")
        path = Client.path("pods", namespace, pod) if pod else Client.path("namespaces", "", namespace)
        await self._client.send("PATCH", path, {"metadata": {"labels": values}}, _MERGE)

    async def _ask(self, ports: Sequence[str]) -> list[Answer]:
        """All Pods ask the Services of all others, a few at a time."""
        limit = asyncio.Semaphore(_AT_ONCE)

        async def ask(source: tuple[str, str], target: tuple[str, str], port: str) -> Answer:
            number, protocol = port.split("/")
            words = ("/agnhost", "connect", f"{self._services[target]}:{number}")
            async with limit:
                status, text = await self._client.run(
                    *source, *words, f"--timeout={_PATIENCE}", f"--protocol={protocol.lower()}"
                )
            return Answer(source, target, port, status, text)

        flows = [(*pair, port) for pair in itertools.permutations(PODS, 2) for port in ports]
        return await asyncio.gather(*(ask(*flow) for flow in flows))


def _object(version: str, kind: str, metadata: Any, body: Any) -> Any:
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **({"spec": body} if body else {})}


def _container(port: str) -> Any:
    number, protocol = port.split("/")
    word = protocol.lower()
    serve = ["/agnhost", "serve-hostname", f"--{word}", "--http=false", "--port", number]
    command = ["/agnhost", "porter"] if protocol == "SCTP" else serve
    declared = {"containerPort": int(number), "name": f"serve-{number}-{word}", "protocol": protocol}
    return {"name": f"cont-{number}-{word}", "image": "agnhost", "command": command, "ports": [declared]}


def play(kubeconfig: Path, scratch: Path, cases: Sequence[dict[str, Any]]) -> list[tuple[str, int, list[str]]]:
    """Of each case its name, the number of its answers, and those that are wrong."""

    async def played() -> list[tuple[str, int, list[str]]]:
        async with Client(kubeconfig, scratch) as client:
            model = Model(client)
            await model.make()
            return [(case["name"], *await model.play(case)) for case in cases]

    return asyncio.run(played())
