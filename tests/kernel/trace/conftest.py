"""A lab to trace packets in, and the request asked through the code that the verb calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from netlab.evidence.records import Frame, Recording
from netlab.observe.trace.record import Request, record
from netlab.oracle.target import asked
from netlab.runtime.state.rundir import RunDir
from netlab.runtime.state.running import load_cluster
from tests.conftest import Result, run_netlab

WEB = {"app": "web"}


def pod(name: str, node: str, **labels: str) -> dict[str, Any]:
    ports = [{"containerPort": 80, "name": "http"}, {"containerPort": 5353, "protocol": "UDP", "name": "dns"}]
    container = {"name": "main", "image": "x", "ports": ports}
    meta = {"name": name, "labels": {"app": name, **labels}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"nodeName": node, "containers": [container]}}


def service(name: str, selector: dict[str, str], **spec: Any) -> dict[str, Any]:
    ports = [
        {"name": "http", "port": 8080, "targetPort": "http"},
        {"name": "dns", "port": 53, "targetPort": "dns", "protocol": "UDP"},
    ]
    spec = {"selector": selector, "ports": ports, "ipFamilyPolicy": "PreferDualStack", **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def only_from(app: str, target: str) -> dict[str, Any]:
    spec = {
        "podSelector": {"matchLabels": {"app": target}},
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": app}}}]}],
    }
    meta = {"name": f"only-{app}"}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": meta, "spec": spec}


class Lab:
    """A running lab, and traces in it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.path = name, folder / "lab.yaml"

    def up(self, *objects: dict[str, Any], **spec: Any) -> None:
        nodes = [{"name": "node-1"}, {"name": "node-2"}]
        head = {
            "apiVersion": "netlab/v1",
            "kind": "Lab",
            "metadata": {"name": self.name},
            "spec": {"nodes": nodes, **spec},
        }
        self.path.write_text(yaml.safe_dump_all([head, *objects]))
        run_netlab("up", str(self.path))

    @property
    def netns(self) -> tuple[str, ...]:
        return RunDir(self.name).assignments().netns

    def trace(self, client: str, target: str, *, icmp: bool = False, version: int = 0, size: int = 0, df: bool = False,
              **options: Any) -> Recording:  # fmt: skip
        meant = asked(load_cluster(self.name), client, target, icmp=icmp, version=version)
        flow = meant.flow
        request = Request(flow.src.netns, flow.protocol, flow.address, flow.port, size, df, meant.answers)
        # a busy machine may keep the agent, which answers over UDP, waiting
        return record(self.name, request, self.netns, **{"patience": 20.0, **options})

    def netlab(self, *words: str, **options: Any) -> Result:
        return run_netlab(words[0], "--lab", self.name, *words[1:], **options)

    def seen(self, recording: Recording, where: str, interface: str, direction: str) -> list[Frame]:
        """Frames of the packet itself at an interface, without ARP and neighbour discovery."""
        return [
            one
            for one in recording.frames
            if (one.netns, one.interface, one.direction) == (f"{self.name}-{where}", interface, direction)
            and one.data[12:14] != b"\x08\x06"
            and not (one.data[12:14] == b"\x86\xdd" and one.data[20] == 58 and one.data[54] in range(133, 138))
        ]


@pytest.fixture
def lab(lab_name: str, tmp_path: Path) -> Iterator[Lab]:
    yield Lab(lab_name, tmp_path)
    run_netlab("down", lab_name, check=None)


Tables = Callable[[Lab], dict[str, list[str]]]


@pytest.fixture(scope="session")
def trace_tables() -> Tables:
    """The trace rules' tables that are in a lab's namespaces."""
    from netlab.kernel.host import netns as ns
    from netlab.kernel.nftables.trace import RulesSocket

    def names(_: str) -> list[str]:
        sock = RulesSocket()
        try:
            return [one.name for one in sock.tables() if one.name.startswith("nltrace")]
        finally:
            sock.close()

    return lambda lab: {netns: found for netns, found in ns.each(lab.netns, names).items() if found}
