"""Impaired links on a running lab, on any kernel: with netem, or by tbf and a rule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from netlab.objects import NftTable, Qdisc
from netlab.runtime.lab import diff
from tests.conftest import run_netlab

pytestmark = pytest.mark.kernel

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: NAME}
spec:
  dataplane: vxlan
  ipFamilies: [IPv4, IPv6]
  nodes: [{name: node-1, rack: a}, {name: node-2, rack: b}]
  underlay: {kind: routed}
  external: [{name: internet, address: 203.0.113.10}]
  links:
  - {between: [node-1, a], rate: 50mbit}
  - {between: [underlay, b], rate: 100mbit, loss: 0.0001%}
  - {between: [internet, underlay], loss: 100%, from: internet}
  - {between: [client, node-1], loss: 100%, from: client}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {nodeName: node-1, containers: [{name: c, image: x}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {nodeName: node-2, containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}
"""


@pytest.fixture(autouse=True)
def this_lab(lab_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other labs run beside this one."""
    monkeypatch.setenv("NETLAB_LAB", lab_name)


def traced(*words: str, status: int) -> Any:
    return json.loads(run_netlab("trace", *words, "-o", "json", check=status).stdout)


def listed(*words: str) -> list[tuple[str, dict[str, str], bool]]:
    """The sender, its impairments, whether the lab file has them."""
    found = json.loads(run_netlab("link", *words, "-o", "json").stdout)
    return [(each["sender"], each["impairments"], each["source"] is not None) for each in found["links"]]


def test_impaired_links(tmp_path: Path, kit: Any, lab_name: str) -> None:
    """One lab: trace names the link, diff tells what is removed, up heals it, link changes and clears it, --reset restores it."""
    path = tmp_path / "lab.yaml"
    path.write_text(LAB.replace("NAME", lab_name))
    line = next(number for number, text in enumerate(LAB.splitlines(), 1) if "[client, node-1]" in text)
    run_netlab("up", path)
    try:
        run_netlab("diff")
        assert "Impaired Link" in run_netlab("describe", "pod", "client").stdout
        assert "node-1 sends with rate 50mbit" in run_netlab("describe", "node", "node-1").stdout
        labs = {each["lab"]: each for each in json.loads(run_netlab("ls", "-o", "json").stdout)}
        assert labs[lab_name]["impaired"] == 4
        for version in ("-4", "-6"):
            document = traced("client", "web", version, status=1)
            first = document["findings"][0]
            assert (first["kind"], first["netns"], first["interface"]) == ("impairment", f"{lab_name}-client", "eth0")
            assert (Path(first["file"]).name, first["line"]) == ("lab.yaml", line)
        assert document["impaired"][0]["impairments"] == {"loss": "100%"}
        document = traced("internet", "node-2:80", status=1)
        first = document["findings"][0]
        assert (first["kind"], first["netns"]) == ("impairment", f"{lab_name}-internet")

        lab, _ = diff(lab_name)
        ours = list(lab.want.only(Qdisc))
        tables = {(obj.netns, obj.place) for obj in lab.want.only(NftTable) if obj.table == "impairments"}
        for qdisc in ours:
            kit.sh(f"tc -n {qdisc.netns} qdisc del dev {qdisc.dev} root")
        for netns, place in tables:
            kit.sh(f"ip netns exec {netns} nft delete table {place}")
        drifted = run_netlab("diff", check=1).stdout
        assert all(f"missing: qdisc {qdisc.name} in {qdisc.netns}" in drifted for qdisc in ours)
        assert all(f"missing: nft {place} in {netns}" in drifted for netns, place in tables)
        traced("client", "web", status=0)
        kit.sh(f"tc -n {lab_name}-node-1 qdisc add dev eth0 root tbf rate 7mbit burst 10kb limit 30000")
        assert f"tbf in {lab_name}-node-1" in run_netlab("diff", check=1).stdout
        run_netlab("up", path)
        run_netlab("diff")

        assert listed("client", "--clear") == []
        assert "nothing to do" in run_netlab("up", path).stdout
        assert listed("client") == []
        document = traced("client", "web", status=0)
        assert [(each["packet"], each["netns"]) for each in document["impaired"]] == [
            ("request", f"{lab_name}-node-1"), ("request", f"{lab_name}-underlay"),
            ("reply", f"{lab_name}-b"), ("reply", f"{lab_name}-a"),
        ]  # fmt: skip
        changed = [("node-2", {"loss": "100%"}, False)]
        assert listed("web", "node-2", "--loss", "100%", "--from", "node-2") == changed
        document = traced("client", "web", status=1)
        assert document["findings"][0]["kind"] == "impairment"
        assert document["findings"][0]["netns"] == f"{lab_name}-node-2"
        assert document["findings"][0]["file"] is None
        run_netlab("diff")
        assert listed("web", "node", "--rate", "1gbit") == [
            (end, {"rate": "1gbit"}, False) for end in ("web", "node-2")
        ]
        run_netlab("delete", "pod", "web")
        run_netlab("up", path, "--reset")
        assert listed("web") == []
        assert listed("client") == [("client", {"loss": "100%"}, True)]
        run_netlab("diff")
    finally:
        run_netlab("down", lab_name)


@pytest.mark.needs("netem")
def test_netem(tmp_path: Path, kit: Any, lab_name: str) -> None:
    """All of netem, as tc reads it; a parameter that somebody adds is drift."""
    path = tmp_path / "lab.yaml"
    path.write_text(kit.spec(lab_name))
    run_netlab("up", path)
    try:
        options = {
            "--delay": "20ms", "--jitter": "5ms", "--loss": "0.5%", "--duplicate": "1%", "--reorder": "25%",
            "--corrupt": "0.01%", "--rate": "40gbit",
        }  # fmt: skip
        run_netlab("link", "node-1", *(word for pair in options.items() for word in pair))
        run_netlab("diff")
        for netns, dev in ((f"{lab_name}-node-1", "eth0"), (f"{lab_name}-underlay", "node-1")):
            (seen,) = json.loads(kit.sh(f"tc -n {netns} -j qdisc show dev {dev}"))
            values = seen["options"]
            assert values["delay"] | {"correlation": 0} == {"delay": 0.02, "jitter": 0.005, "correlation": 0}
            assert values["loss-random"]["loss"] == pytest.approx(0.005)
            assert values["duplicate"]["duplicate"] == pytest.approx(0.01)
            assert values["reorder"]["reorder"] == pytest.approx(0.25)
            assert values["corrupt"]["corrupt"] == pytest.approx(0.0001)
            assert values["rate"]["rate"] == 5_000_000_000
        kit.sh(f"tc -n {lab_name}-node-1 qdisc change dev eth0 root netem limit 1000 delay 20ms 5ms 25% loss 0.5%")
        assert "correlated" in run_netlab("diff", check=1).stdout
        run_netlab("up", path)
        run_netlab("diff")

        run_netlab("link", "node-1", "--delay", "20ms")  # in place of all others
        assert json.loads(kit.sh(f"tc -n {lab_name}-node-1 -j qdisc show dev eth0"))[0]["options"].keys() >= {"delay"}
        assert "rate" not in json.loads(kit.sh(f"tc -n {lab_name}-node-1 -j qdisc show dev eth0"))[0]["options"]
        text = run_netlab("trace", "client", "server").stdout
        assert "impaired, the request: node-1 sends over the link between node-1 and underlay with delay 20ms" in text
        run_netlab("link", "node-1", "--duplicate", "100%")
        run_netlab("trace", "client", "server")
        run_netlab("link", "node-1", "--loss", "100%")
        finding = traced("client", "server", status=1)["findings"][0]
        assert (finding["kind"], finding["netns"], finding["reason"]) == (
            "impairment",
            f"{lab_name}-node-1",
            "QDISC_DROP",
        )
        run_netlab("link", "client", "--delay", "1500ms")
        run_netlab("link", "node-1", "--clear")
        run_netlab("reach", lab_name)  # waits as long as the lab delays
        assert "diff" not in run_netlab("link", "client", "--clear").stdout
        assert kit.sh(f"tc -n {lab_name}-client qdisc show dev eth0").split()[1] == "noqueue"
    finally:
        run_netlab("down", lab_name)
