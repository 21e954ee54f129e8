"""A small policy engine, as ``agent`` of a lab: NetworkPolicies to nftables on one node, without a line of netlab.

It knows NetworkPolicy v1 and the standard library alone: lists and watches Namespaces, Pods and NetworkPolicies through
the kubeconfig, and writes all rules of the Pods of its node anew after each change, in one transaction.  It has no
tiers.  ``conformance --lab`` judges it by packets; docs/policy-engine.md has the result.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any

TABLE = "policyagent"
KINDS = {
    "namespaces": "/api/v1/namespaces",
    "pods": "/api/v1/pods",
    "policies": "/apis/networking.k8s.io/v1/networkpolicies",
}
GATHER = 0.02  # seconds that changes are gathered before rules are written
Item = dict[str, Any]


class Api:
    """The cluster's API, by the kubeconfig of the environment."""

    def __init__(self) -> None:
        with open(os.environ["KUBECONFIG"], encoding="utf-8") as stream:
            config = json.load(stream)
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self.context = ssl.create_default_context(cadata=authority)
        with tempfile.NamedTemporaryFile() as file:
            for part in ("client-certificate-data", "client-key-data"):
                file.write(base64.b64decode(user[part]))
            file.flush()
            self.context.load_cert_chain(file.name)
        self.host = cluster["server"].removeprefix("https://")

    def get(self, path: str) -> http.client.HTTPResponse:
        """The answer to a GET request, whose body has not been read."""
        connection = http.client.HTTPSConnection(self.host, context=self.context)
        connection.request("GET", path)
        answer = connection.getresponse()
        if answer.status != 200:
            raise OSError(f"{path}: {answer.status} {answer.reason}")
        return answer


class Cache:
    """The objects of the cluster, kept as they are by a thread for each kind."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.items: dict[str, dict[tuple[str, str], Item]] = {kind: {} for kind in KINDS}
        self.known: set[str] = set()
        self.changed = threading.Condition()
        self.count = 0
        for kind in KINDS:
            threading.Thread(target=self._follow, args=(kind,), daemon=True).start()

    def _follow(self, kind: str) -> None:
        while True:
            try:
                self._list_and_watch(kind)
            except (OSError, ValueError, http.client.HTTPException) as error:
                sys.stderr.write(f"{kind}: {error}; the list is read again\n")
                time.sleep(0.2)

    def _list_and_watch(self, kind: str) -> None:
        path = KINDS[kind]
        listed = json.load(self.api.get(path))
        with self.changed:
            self.items[kind] = {_key(item): item for item in listed["items"]}
            self._tell(kind)
        version = listed["metadata"]["resourceVersion"]
        for line in self.api.get(f"{path}?watch=true&resourceVersion={version}"):
            event = json.loads(line)
            if event["type"] == "ERROR":
                return
            with self.changed:
                if event["type"] == "DELETED":
                    self.items[kind].pop(_key(event["object"]), None)
                elif event["type"] != "BOOKMARK":
                    self.items[kind][_key(event["object"])] = event["object"]
                self._tell(kind)

    def _tell(self, kind: str) -> None:
        self.known.add(kind)
        self.count += 1
        self.changed.notify_all()


def _key(item: Item) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


# -- selectors --------------------------------------------------------------------------------------------------------


def matches(selector: Item, labels: dict[str, str]) -> bool:
    """Whether a label selector has these labels."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for term in selector.get("matchExpressions") or ():
        key, operator, values = term["key"], term["operator"], term.get("values") or ()
        there = key in labels
        if not {
            "In": there and labels[key] in values,
            "NotIn": not there or labels[key] not in values,
            "Exists": there,
            "DoesNotExist": not there,
        }[operator]:
            return False
    return True


def labels_of(item: Item) -> dict[str, str]:
    """The labels of an object."""
    return item["metadata"].get("labels") or {}


def addresses(pod: Item) -> list[str]:
    """The addresses of a Pod of its own network that has not ended."""
    status = pod.get("status") or {}
    if pod["spec"].get("hostNetwork") or status.get("phase") in ("Succeeded", "Failed"):
        return []
    return [entry["ip"] for entry in status.get("podIPs") or ()]


# -- rules ------------------------------------------------------------------------------------------------------------


class Rules:
    """The ruleset of a node, as the text of one nft transaction."""

    def __init__(self, items: dict[str, dict[tuple[str, str], Item]], node: str) -> None:
        self.items, self.node = items, node
        self.pods = list(items["pods"].values())

    def text(self) -> str:
        """All of it; the table before it goes in the same transaction."""
        chains, maps = [], {(way, family): [] for way in ("egress", "ingress") for family in ("ip", "ip6")}
        for pod in self.pods:
            if pod["spec"].get("nodeName") != self.node:
                continue
            for way in ("egress", "ingress"):
                policies = [policy for policy in self.items["policies"].values() if self._isolates(policy, pod, way)]
                if not policies or not addresses(pod):
                    continue
                name = f"{way}-{len(chains)}"
                lines = [line for policy in policies for line in self._allowed(policy, way, pod)]
                chains.append(f"chain {name} {{\n" + "\n".join([*dict.fromkeys(lines), "counter drop"]) + "\n}")
                for address in addresses(pod):
                    maps[way, _family(address)].append(f"{address} : goto {name}")
        lines = [f"table inet {TABLE}", f"delete table inet {TABLE}", f"table inet {TABLE} {{"]
        for (way, family), elements in maps.items():
            kind = "ipv4_addr" if family == "ip" else "ipv6_addr"
            listed = f"elements = {{ {', '.join(elements)} }}" if elements else ""
            lines.append(f"map {way}-{family} {{ type {kind} : verdict; {listed} }}")
        lines += chains
        for name, way, side, hook in (
            ("egress", "egress", "saddr", "forward priority 1"),
            ("ingress", "ingress", "daddr", "forward priority 2"),
            ("to-node", "egress", "saddr", "input priority 1"),
        ):
            lines += [f"chain base-{name} {{", f"type filter hook {hook}; policy accept;"]
            lines += ["ct state established,related accept", "icmpv6 type { 130-137, 143 } accept"]
            lines += [f"{family} {side} vmap @{way}-{family}" for family in ("ip", "ip6")]
            lines.append("}")
        return "\n".join([*lines, "}", ""])

    def _isolates(self, policy: Item, pod: Item, way: str) -> bool:
        spec = policy["spec"]
        types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if "egress" in spec else [])]
        return (
            way.capitalize() in types
            and policy["metadata"]["namespace"] == pod["metadata"]["namespace"]
            and matches(spec.get("podSelector") or {}, labels_of(pod))
        )

    def _allowed(self, policy: Item, way: str, pod: Item) -> Iterator[str]:
        side, peers = ("saddr", "from") if way == "ingress" else ("daddr", "to")
        for rule in policy["spec"].get(way) or ():
            for who in self._peers(rule.get(peers), policy, side):
                for port in self._ports(rule.get("ports"), pod if way == "ingress" else None, who):
                    yield f"{who} {port} counter accept"

    def _peers(self, peers: list[Item] | None, policy: Item, side: str) -> Iterator[str]:
        if not peers:
            yield ""
        for peer in peers or ():
            if block := peer.get("ipBlock"):
                family = _family(block["cidr"])
                excepts = ", ".join(block.get("except") or ())
                but = f"{family} {side} != {{ {excepts} }}" if excepts else ""
                zero = block["cidr"].endswith("/0")
                yield (
                    f"meta nfproto ipv{'4' if family == 'ip' else '6'} {but}"
                    if zero
                    else f"{family} {side} {block['cidr']} {but}"
                )
                continue
            found = [address for pod in self._meant(peer, policy) for address in addresses(pod)]
            for family in ("ip", "ip6"):
                if own := [address for address in found if _family(address) == family]:
                    yield f"{family} {side} {{ {', '.join(own)} }}"

    def _meant(self, peer: Item, policy: Item) -> Iterator[Item]:
        for pod in self.pods:
            space = pod["metadata"]["namespace"]
            if "namespaceSelector" in peer:
                namespace = self.items["namespaces"].get(("", space))
                if namespace is None or not matches(peer["namespaceSelector"], labels_of(namespace)):
                    continue
            elif space != policy["metadata"]["namespace"]:
                continue
            if matches(peer.get("podSelector") or {}, labels_of(pod)):
                yield pod

    def _ports(self, ports: list[Item] | None, pod: Item | None, who: str) -> Iterator[str]:
        if not ports:
            yield ""
        for entry in ports or ():
            protocol, port = entry.get("protocol", "TCP").lower(), entry.get("port")
            if port is None:
                yield f"meta l4proto {protocol}"
            elif isinstance(port, int):
                last = entry.get("endPort")
                yield f"{protocol} dport {port}-{last}" if last else f"{protocol} dport {port}"
            else:
                yield from self._named(port, protocol, pod)

    def _named(self, name: str, protocol: str, pod: Item | None) -> Iterator[str]:
        """A port by its name: that of the isolated Pod, or of each Pod that is asked for."""
        for each in [pod] if pod else self.pods:
            for container in each["spec"]["containers"]:
                for port in container.get("ports") or ():
                    if port.get("name") == name and port.get("protocol", "TCP").lower() == protocol:
                        match = f"{protocol} dport {port['containerPort']}"
                        yield from (
                            [match] if pod else (f"{_family(own)} daddr {own} {match}" for own in addresses(each))
                        )


def _family(address: str) -> str:
    return "ip6" if ":" in address else "ip"


def main() -> None:
    """Follow the cluster until the process is ended."""
    cache, node, written = Cache(Api()), os.environ["NODE_NAME"], ""
    seen = 0
    while True:
        with cache.changed:
            cache.changed.wait_for(lambda seen=seen: cache.count != seen and cache.known == set(KINDS))
        time.sleep(GATHER)
        with cache.changed:
            seen = cache.count
            text = Rules(cache.items, node).text()
        if text == written:
            continue
        done = subprocess.run(["nft", "-f", "-"], input=text, text=True, capture_output=True, check=False)
        if done.returncode:
            sys.stderr.write(f"nft refuses the rules: {done.stderr}\n{text}")
        else:
            written = text
            sys.stdout.write(f"{len(text.splitlines())} lines of rules\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
