"""A lab as a scene: title, Services and policies, nodes around the underlay, legend; and the same as text.

The layout is a pure function of the lab's document.  The wires are the document's: no data plane is named here.
"""

from __future__ import annotations

from collections.abc import Container

from netlab.output.graph import Graph, Pod
from netlab.picture import strip
from netlab.picture.cards import boxes
from netlab.picture.drawing import MARGIN, Drawing, plural
from netlab.picture.scene import Scene, Text
from netlab.picture.tags import name, tags
from netlab.picture.tall import SIDE, Tall
from netlab.picture.underlay import Flat, Racks
from netlab.picture.wiring import Wiring, tunnel_text

_LEAST = 640  # the width of the smallest picture
_TELEPHONE = 390  # and of the smallest narrow picture


def picture(graph: Graph, named: Container[str] = (), *, narrow: bool = False) -> Scene:
    """The picture of a lab's topology.

    netlab's own Pods (the DNS server) are left out, but for those whose namespaces are in ``named``.  ``narrow``: for the
    screen of a telephone, where the underlay is one segment.
    """
    narrow = narrow and not graph.racks
    pods = [pod for pod in graph.pods if not pod.system or pod.netns in named]
    drawing = Drawing(graph, Wiring.of(graph), tags(graph), Scene(f"Lab {graph.lab}"))
    scene = drawing.scene
    measured = boxes(graph, drawing.wiring, drawing.tags, pods, narrow=narrow)
    body = (Tall if narrow else Racks if graph.racks else Flat)(drawing, measured)
    scene.width = max(body.right + SIDE, _TELEPHONE) if narrow else max(body.right + MARGIN, _LEAST)
    top = _head(drawing, pods)
    top = strip.draw(drawing, scene.root.group(style="strip"), top, scene.width)
    bottom = body.draw(scene.root.group(style="body"), top)
    scene.height = strip.legend(drawing, scene.root.group(style="legend"), bottom + 18, scene.width) + MARGIN - 6
    scene.twin = twin(graph, pods)
    return scene


def _head(drawing: Drawing, pods: list[Pod]) -> float:
    graph, group = drawing.graph, drawing.scene.root.group(style="head")
    parts = (
        f"data plane {graph.dataplane}",
        f"{plural(len(graph.nodes), 'node')}, {plural(len(pods), 'Pod')}",
        f"Pods {' '.join(graph.pod_cidrs)}",
        f"underlay MTU {graph.mtu}",
    )
    half = len(parts) if drawing.scene.width >= _LEAST else 2
    lines = [parts[:half], parts[half:]] if half < len(parts) else [parts]
    group.add(Text(MARGIN, 40, graph.lab, "h1"))
    group.add(*(Text(MARGIN, 59 + 16 * index, "  ·  ".join(line), "h2") for index, line in enumerate(lines)))
    return 62 + 16 * len(lines)


def twin(graph: Graph, pods: list[Pod]) -> list[str]:
    """The picture as lines of text."""
    made = [f"Lab {graph.lab}, data plane {graph.dataplane}, underlay {' '.join(graph.underlay.cidrs)}."]
    wiring, labels = Wiring.of(graph), tags(graph)
    for node in graph.nodes:
        rack = f", {node.rack}" if node.rack else ""
        made.append(f"Node {node.name}{rack}: eth0 {' '.join(node.addresses)}, Pods {' '.join(node.pod_cidrs)}")
        bridge = wiring.bridge(node)
        made.append(
            f"  {bridge} {' '.join(wiring.addresses.get((node.netns, bridge), ()))}"
            if bridge
            else "  a route for each Pod"
        )
        made += [f"  {tunnel.dev}: {tunnel_text(tunnel)}" for tunnel in wiring.tunnels[node.netns]]
        for pod in (pod for pod in pods if pod.node == node.name):
            ends = "host network" if pod.host_network else f"eth0 to {wiring.host_end(pod)[1]}"
            shown = " ".join(tag.text for tag in labels.of_pod.get(name(pod), ()))
            made.append(f"  Pod {name(pod)} {' '.join(pod.addresses)}, {ends}" + f", {shown}" * bool(shown))
    made += [f"Host outside {host.name}: {' '.join(host.addresses)}" for host in graph.externals]
    for tag, service in labels.services:
        made.append(
            f"{tag} Service {name(service)} {' '.join(service.cluster_ips) or service.external_name or 'headless'}"
        )
    made += [f"{tag} policy {policy.name}" for tag, policy in labels.policies]
    return made
