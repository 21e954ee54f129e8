"""System objects of a lab with Services: the Services kubernetes and kube-dns, and the DNS server's Pod.

On a real cluster they are always there.  Here they come with the first Service (``dns: auto``), so that a lab about
bridges shows bridges.  Nothing listens behind ``kubernetes``: there is no API server, so it refuses, as one without
endpoints does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netlab.errors import Mark
from netlab.model.cluster import Network, Node
from netlab.model.services.resolve import SYSTEM
from netlab.model.workloads.catalogue import Catalogue
from netlab.spec import Document

NAMESPACE, POD, SERVICE = "kube-system", "coredns", "kube-dns"
KUBERNETES = ("default", "kubernetes")
_LABELS = {"k8s-app": "kube-dns"}
_API_SERVER = 6443


def wants_dns(spec: dict[str, Any], lab: Catalogue) -> bool:
    """Whether the lab has a DNS server: it says so, or has a Service and does not say otherwise."""
    mode = spec.get("dns", "auto")
    return bool(mode == "on" or (mode == "auto" and lab.of("Service")))


def documents(
    lab: Catalogue,
    nodes: Sequence[Node],
    services: Sequence[Network],
    mark: Mark,
    *,
    dns: bool,
    given: Sequence[str] = (),
) -> list[Document]:
    """The objects that netlab adds, but for those that the lab has itself.

    ``given``: the addresses that a CNI plugin gave to the DNS server's Pod.
    """
    if not dns and not lab.of("Service"):
        return []
    primary = services[0]
    made = [_service(*KUBERNETES, str(primary[1]), {}, {"component": "apiserver"}, [_port("https", 443, "TCP")], mark)]
    if dns:
        ports = [_port("dns", 53, "UDP"), _port("dns-tcp", 53, "TCP")]
        made.append(_service(NAMESPACE, SERVICE, str(primary[10]), _LABELS, _LABELS, ports, mark))
        made.append(_pod(nodes[-1], mark, given))
    return [document for document in made if not lab.has(document.kind, document.namespace, document.name)]


def _port(name: str, port: int, protocol: str) -> dict[str, Any]:
    return {"name": name, "port": port, "protocol": protocol, "targetPort": _API_SERVER if port == 443 else port}


def _service(
    namespace: str,
    name: str,
    address: str,
    selector: dict[str, str],
    labels: dict[str, str],
    ports: list[dict[str, Any]],
    mark: Mark,
) -> Document:
    spec: dict[str, Any] = {"type": "ClusterIP", "clusterIP": address, "clusterIPs": [address], "ports": ports}
    if selector:
        spec["selector"] = selector
    metadata = {"name": name, "namespace": namespace, "labels": labels, "annotations": {SYSTEM: "service"}}
    return Document("v1", "Service", namespace, name, {"metadata": metadata, "spec": spec}, mark)


def _pod(node: Node, mark: Mark, given: Sequence[str]) -> Document:
    """The DNS server's Pod, on the last address of its node, so that no other Pod's address moves."""
    addresses = [*given] or [str(cidr[-2 if cidr.version == 4 else -1]) for cidr in node.pod_cidrs]
    metadata = {"name": POD, "namespace": NAMESPACE, "labels": _LABELS, "annotations": {SYSTEM: "dns"}}
    ports = [
        {"name": "dns", "containerPort": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
    ]
    container = {"name": POD, "image": "knot", "command": ["sh", "-c", dns_command(addresses)], "ports": ports}
    spec = {
        "nodeName": node.name,
        "dnsPolicy": "Default",
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
    }
    body = {"metadata": metadata, "spec": spec, "status": {"podIPs": [{"ip": address} for address in addresses]}}
    return Document("v1", "Pod", NAMESPACE, POD, body, mark)


DNS_FOLDER = "/run/knot"
DOMAIN = "cluster.local"
#: The zones that the server always has beside: reverse names, and all else (nothing but hosts outside).
ZONES = ("in-addr.arpa", "ip6.arpa", ".")


#: Which zones there are beside those, and the file of all zones of Pods' names (one a namespace): in the server's folder and
#: below /etc/netns, as the other zones are.
ZONES_FILE, PODS_FILE = "zones.conf", "pods.zone"


def pods_zone(namespace: str) -> str:
    """The zone of the names of Pods in a namespace: 1-2-3-4.NAMESPACE.pod.cluster.local."""
    return f"{namespace}.pod.{DOMAIN}"


def zone_file(zone: str) -> str:
    """The file of a zone, in the server's folder and below /etc/netns."""
    return "root.zone" if zone == "." else f"{zone}.zone"


def dns_command(addresses: Sequence[str]) -> str:
    """The shell script that starts the server: it writes its configuration, and the zones come after (see runtime.dns).

    One worker a protocol is enough for 50,000 answers a second and keeps the Pod small; answers to repeated questions
    rotate, as CoreDNS's loadbalance does.
    """
    listen = ", ".join(f"{address}@53" for address in [*addresses, "127.0.0.1"])
    zones = "".join(f'  - domain: "{zone}"\n    file: "{zone_file(zone)}"\n' for zone in ZONES)
    conf = (
        "server:\n"
        f'  rundir: "{DNS_FOLDER}"\n'
        f"  listen: [ {listen} ]\n"
        f'  version: ""\n  identity: "{NAMESPACE}/{POD}"\n'
        "  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n"
        "  answer-rotation: on\n"
        f'database:\n  storage: "{DNS_FOLDER}"\n  journal-db-max-size: 16M\n  timer-db-max-size: 1M\n'
        f'control:\n  listen: "knot.sock"\n'
        "log:\n  - target: stderr\n    any: info\n"
        f'template:\n  - id: default\n    storage: "{DNS_FOLDER}"\n'
        "    zonefile-load: whole\n    zonefile-sync: -1\n    journal-content: none\n    semantic-checks: off\n"
        f"zone:\n{zones}"
        f'include: "{DNS_FOLDER}/{ZONES_FILE}"\n'
    )
    return f"mkdir -p {DNS_FOLDER} && : >> {DNS_FOLDER}/{ZONES_FILE} && cat > {DNS_FOLDER}/knot.conf <<'END'\n{conf}END\nexec knotd -c {DNS_FOLDER}/knot.conf\n"
