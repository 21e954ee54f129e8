"""Documents of labs: the shipped labs, and large labs made of a specification."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from netlab.graph.topology import graph
from netlab.model import build
from netlab.output.graph import Graph
from netlab.plan import check, desired
from netlab.spec import Text, load_texts

LABS = Path(__file__).resolve().parents[3] / "labs"
SHIPPED = sorted(path.parent.name for path in LABS.glob("*/lab.yaml"))
IGNORED = ("expect.yaml", "exercise.yaml")  # files beside a lab that are no manifests


def drawn(*texts: Text) -> Graph:
    """The document of the lab that manifests describe."""
    cluster = build(load_texts(list(texts)), check=check).cluster
    return graph(cluster, desired(cluster))


@cache
def shipped(name: str) -> Graph:
    """The document of a lab in labs/."""
    files = [path for path in sorted((LABS / name).glob("*.yaml")) if path.name not in IGNORED]
    return drawn(*(Text(path.name, path.read_text()) for path in files))


def made(nodes: int, workloads: dict[str, int], *extra: dict[str, Any], **spec: Any) -> Graph:
    """A lab with Deployments of so many replicas."""
    named = [{"name": f"node-{n}"} for n in range(1, nodes + 1)]
    lab = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "made"}, "spec": {"nodes": named, **spec}}
    documents = [lab, *(deployment(name, count) for name, count in workloads.items()), *extra]
    return drawn(Text("made.yaml", yaml.safe_dump_all(documents)))


def deployment(name: str, replicas: int, namespace: str = "default") -> dict[str, Any]:
    """A Deployment whose Pods serve a port."""
    containers = [{"name": "main", "image": "x", "ports": [{"containerPort": 8080}]}]
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": containers}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template},
    }
