"""The lab that a case runs in: real packets, changed live from state to state.

Labs are kept between cases.  A state becomes a cluster, the difference from the last one goes into the kernel, and the
questions are asked by real connections.  Addresses that are no Pod's are outside: the underlay's router has them
all, refuses what goes there (it was let through), and sends what comes from there.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_network
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from corpora import Case, Question, State

from netlab.kernel.linux import LinuxKernel
from netlab.model import Cluster, Memory, build
from netlab.objects import State as Wanted
from netlab.objects import diff
from netlab.observe.evidence import Witness
from netlab.observe.probe import Prober
from netlab.oracle.denials import Denials, Evidence
from netlab.oracle.endpoints import Endpoints
from netlab.oracle.flow import ADDRESS, EXTERNAL, Endpoint, Flow, Outcome, Verdict
from netlab.plan import check, desired
from netlab.runtime import lab as labs
from netlab.runtime.client.listeners import AgentListeners
from netlab.runtime.state import running
from netlab.runtime.state.rundir import Applied, RunDir
from netlab.spec import Documents, Text, load_texts

#: Seconds of silence: short ones first, since half of all questions are to be denied, and a denial is believed by its
#: counter; what then is not as expected is asked again with patience.
HASTE, PATIENCE = (0.04, 0.08), (0.3, 1.0)
PASSED = (Outcome.OPEN, Outcome.REFUSED, Outcome.UNREACHABLE)


class Ground(NamedTuple):
    """The nodes that a case needs: a Pod CIDR each, all of one family, and the addresses and labels that it gives some."""

    cidrs: tuple[str, ...]
    given: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()

    @classmethod
    def of(cls, states: Iterable[State]) -> Ground:
        """The nodes of a case: each /24 (or /64) that a Pod's address is in is one node's."""
        states = list(states)
        texts = [text for state in states for pod in state.pods if not pod.get("hostNetwork") for text in pod["ips"]]
        found = {ip_network(f"{text}/{24 if '.' in text else 64}", strict=False) for text in texts}
        nodes = {node["ips"][0]: tuple(node["labels"].items()) for state in states for node in state.nodes}
        cidrs = sorted(found, key=lambda one: (one.version, int(one[0])))
        return cls(tuple(map(str, cidrs)), tuple(nodes.items())[: len(cidrs)])

    def node_at(self, address: str) -> str:
        """The node of a Pod's address, or the one that has the address itself."""
        for number, (own, _) in enumerate(self.given, 1):
            if own == address:
                return f"node-{number}"
        return next(f"node-{n}" for n, cidr in enumerate(self.cidrs, 1) if ip_address(address) in ip_network(cidr))


def lab_spec(name: str, plane: str, ground: Ground) -> dict[str, Any]:
    """The Lab for these nodes."""
    cidrs = ground.cidrs
    first = ip_network(cidrs[0])
    # What is outside of the cluster's own range is masqueraded: all nodes must be inside.
    whole = first.supernet(new_prefix=16 if first.version == 4 else 56)
    while not all(ip_network(cidr)[0] in whole for cidr in cidrs):
        whole = whole.supernet()
    nodes: list[dict[str, Any]] = [{"name": f"node-{number}", "podCIDR": cidr} for number, cidr in enumerate(cidrs, 1)]
    spec = {"dataplane": plane, "ipFamilies": [f"IPv{first.version}"], "podCIDR": str(whole), "nodes": nodes}
    if ground.given:
        under = ip_network(f"{ground.given[0][0]}/{24 if first.version == 4 else 64}", strict=False)
        taken = {address for address, _ in ground.given}
        free = (str(under[number]) for number in range(100, 200) if str(under[number]) not in taken)
        for node, given in zip_longest(nodes, ground.given):
            address, labels = given or (next(free), ())
            node |= {"address": address, "labels": dict(labels)}
        spec["underlay"] = {"cidr": str(under)}
    return {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": name}, "spec": spec}


def manifests(state: State, ground: Ground) -> list[dict[str, Any]]:
    """Namespaces and Pods of a state."""
    found: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": one["name"], "labels": one.get("labels", {})}}
        for one in state.namespaces
    ]
    for pod in state.pods:
        host = bool(pod.get("hostNetwork"))
        ports = [
            {
                "containerPort": one["port"],
                "protocol": one["protocol"],
                **({"name": one["name"]} if "name" in one else {}),
            }
            for one in pod.get("ports", ())
        ]
        if not host and not any(one["protocol"] == "SCTP" for one in ports):
            # In a kernel without SCTP a Pod that asks by SCTP silences its own refusals; a responder does refuse.
            ports.append({"containerPort": 9, "protocol": "SCTP"})
        found.append({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": pod["name"], "namespace": pod["namespace"], "labels": pod.get("labels") or {}},
            "spec": {
                "nodeName": ground.node_at(pod["ips"][0]),
                "hostNetwork": host,
                "containers": [{"name": "c", "image": "x", "ports": ports}],
            },
            "status": {} if host else {"podIPs": [{"ip": one} for one in pod["ips"]]},
        })  # fmt: skip
    return found


def spec(name: str, plane: str, case: Case, state: State) -> str:
    """Everything of a state as one text."""
    ground = Ground.of(case.states)
    return as_text([lab_spec(name, plane, ground), *manifests(state, ground), *state.policies])


def as_text(objects: Iterable[dict[str, Any]]) -> str:
    """Objects as the text of one file."""
    return "\n---\n".join(json.dumps(one) for one in objects)


class Bed:
    """A running lab on one data plane with these nodes."""

    def __init__(self, name: str, plane: str, ground: Ground) -> None:
        self.name, self.plane, self.ground, self.cidrs = name, plane, ground, ground.cidrs
        self._lab = as_text([lab_spec(name, plane, ground)])
        labs.up(Applied(f"/conformance/{name}", name, (("lab.json", self._lab),)), wait=False)
        self._applied = Applied(f"/conformance/{name}", name, (("lab.json", self._lab),))
        self._kernel = LinuxKernel(AgentListeners(name, RunDir(name).path))
        self._documents: tuple[str, Documents] = ("", Documents())
        self.cluster: Cluster = running.load_cluster(name)
        self._have: Wanted = desired(self.cluster)
        self._outside = ""
        self._known: set[str] = set()
        self._send_from("")

    def close(self) -> None:
        """Take the lab down."""
        self._kernel.close()
        labs.down(self.name)
        # States are applied past the run state, and the folder of a hostNetwork Pod has no namespace that tells of it.
        for folder in Path("/etc/netns").glob(f"{self.name}-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def show(self, state: State) -> float:
        """Make the lab this state, live; seconds."""
        began = time.perf_counter()
        text = as_text([lab_spec(self.name, self.plane, self.ground), *manifests(state, self.ground)])
        if self._documents[0] != text:
            self._documents = text, load_texts([Text("lab.json", text)])
        policies = load_texts([Text("policies.json", as_text(state.policies))]) if state.policies else Documents()
        assert not policies.problems, policies.problems
        own = self._documents[1]
        documents = replace(own, objects=(*own.objects, *policies.objects))
        self.cluster = build(documents, name=self.name, memory=Memory.of(self.cluster), check=check).cluster
        want = desired(self.cluster)
        self._kernel.apply(diff(want, self._have))
        self._have = want
        return time.perf_counter() - began

    def ask(self, questions: Sequence[Question]) -> dict[Question, Verdict]:
        """What packets say; a denial has its evidence."""
        known = Endpoints(self.cluster)
        answers: dict[Question, Verdict] = {}
        by_source: dict[str, list[Question]] = {"": []}
        for question in questions:
            by_source.setdefault("" if "/" in question.src else question.src, []).append(question)
        self._be(end for one in questions for end in (one.src, one.dst) if "/" not in end)
        for outside, asked in by_source.items():
            if outside:
                self._send_from(outside)
            flows = {self._flow(known, one): one for one in asked}
            found = self._probe(list(flows), HASTE)
            again = [flow for flow, verdict in found.items() if not self.believed(verdict, flows[flow])]
            if again:
                found |= self._probe(again, PATIENCE)
            answers |= {flows[flow]: verdict for flow, verdict in found.items()}
        if self._outside:
            self._send_from("")
        return answers

    @staticmethod
    def believed(verdict: Verdict, question: Question) -> bool:
        return verdict.outcome in PASSED if question.allow else verdict.outcome is Outcome.DENIED

    def _flow(self, known: Endpoints, question: Question) -> Flow:
        if "/" in question.src:
            src = known.pods[question.src]
        else:
            src = Endpoint(EXTERNAL, question.src, self.cluster.underlay.netns, (question.src,))
        dst = known.pods.get(question.dst) or Endpoint(ADDRESS, question.dst, "", (question.dst,))
        return Flow(src, dst, dst.addresses[0], question.port, question.protocol)

    def _probe(self, flows: list[Flow], timeout: tuple[float, float]) -> dict[Flow, Verdict]:
        denials = Denials(self.cluster)
        witness = Witness(self.cluster, denials)
        evidence = Evidence(denials, witness.read())
        found = {one.flow: one for one in Prober(timeout=timeout).probe(flows) if not evidence.held(one)}
        found |= {one.flow: one for one in evidence.confirm(witness.read())}
        return found

    def _send_from(self, address: str) -> None:
        """Have the underlay's router send to Pods from this address; empty: from its own.

        It knows the way to Pods in any case: what it answers for addresses outside must come back to them.
        """
        src = f" src {address}" if address else ""
        pairs = zip(self.cluster.nodes, self.cidrs, strict=True)
        self._router(f"route replace {cidr} via {node.addresses[0].ip}{src}" for node, cidr in pairs)
        self._outside = address

    def _be(self, addresses: Iterable[str]) -> None:
        """Have the router answer for addresses outside: nobody listens there, so it refuses what is let through.

        Not by having no route: such errors are limited to a few a second and peer (net.ipv4.route.error_cost).
        """
        own = {str(address.ip) for node in self.cluster.nodes for address in node.addresses}
        new = [one for one in dict.fromkeys(addresses) if one not in self._known and one not in own]
        self._known |= set(new)
        if new:
            # An IPv6 source must be an address; of IPv4 ones there are hundreds, which a local route serves as well.
            self._router(
                f"addr replace {one}/128 dev lo nodad"
                if ":" in one
                else f"route replace local {one} dev lo table local"
                for one in new
            )

    def _router(self, lines: Iterable[str]) -> None:
        argv = ["ip", "-n", self.cluster.underlay.netns, "-batch", "-"]
        subprocess.run(argv, input="\n".join(lines), text=True, capture_output=True, check=True)
