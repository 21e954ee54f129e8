"""The document of a topology: whole for every shipped lab, and right where it can be counted by hand."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from netlab.graph.formats import renderer
from netlab.graph.topology import graph
from netlab.model import build
from netlab.objects import Veth
from netlab.output import document
from netlab.plain import schema
from netlab.plan import check, desired
from netlab.spec import Text, load_texts
from netlab.spec.load import NOT_MANIFESTS

jsonschema = pytest.importorskip("jsonschema")
LABS = Path(__file__).resolve().parents[2] / "labs"
NAMES = sorted(path.parent.name for path in LABS.glob("*/lab.yaml"))


@cache
def drawn(name: str) -> dict[str, Any]:
    files = [path for path in sorted((LABS / name).glob("*.yaml")) if path.name not in NOT_MANIFESTS]
    cluster = build(load_texts([Text(path.name, path.read_text()) for path in files]), check=check).cluster
    return json.loads("".join(renderer("json")(graph(cluster, desired(cluster)))))  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", NAMES)
def test_the_document_is_as_its_schema_states(name: str) -> None:
    validator = jsonschema.Draft202012Validator(schema(document("graph"), "graph"))
    assert [error.message for error in validator.iter_errors(drawn(name))] == []


@pytest.mark.parametrize("name", NAMES)
def test_all_that_is_named_is_there(name: str) -> None:
    """An edge never leads to a device, namespace or Pod that the document does not have."""
    shown = drawn(name)
    devices = {(each["netns"], each["dev"]): each for each in shown["devices"]}
    assert {netns for netns, _ in devices} <= set(shown["places"])
    for device in devices.values():
        if peer := device.get("peer"):
            back = devices[peer["netns"], peer["dev"]]["peer"]
            assert (back["netns"], back["dev"]) == (device["netns"], device["dev"])
        assert (device["netns"], device.get("master", device["dev"])) in devices
    assert all((end["netns"], end["dev"]) in devices for wire in shown["wires"] for end in wire["ends"])
    assert all((each["netns"], port) in devices for each in shown["bridges"] for port in each["ports"])
    for tunnel in shown["tunnels"]:
        assert {(tunnel["netns"], dev) for dev in (tunnel["dev"], tunnel["lower"]) if dev} <= set(devices)
        assert all(remote["netns"] in shown["places"] for remote in tunnel["remotes"])
    assert all((each["netns"], each["dev"]) in devices for each in shown["routes"] if each["dev"])
    assert all((each["netns"], each["dev"]) in devices for each in shown["neighbours"])
    pods = {f"{pod['namespace']}/{pod['name']}" for pod in shown["pods"]}
    own = {netns for netns, place in shown["places"].items() if place["kind"] == "pod"}
    assert own == {pod["netns"] for pod in shown["pods"] if not pod["host_network"]}
    assert {backend["pod"] for service in shown["services"] for backend in service["backends"]} - {None} <= pods
    for policy in shown["policies"]:
        assert set(policy["pods"]).union(*(peer["pods"] for rule in policy["rules"] for peer in rule["peers"])) <= pods
    for pod in shown["pods"]:
        addresses = {address.partition("/")[0] for each in shown["devices"] if each["netns"] == pod["netns"]
                     for address in each["addresses"]}  # fmt: skip
        assert set(pod["addresses"]) <= addresses


def test_the_overlay_by_hand() -> None:
    shown = drawn("overlay")
    assert shown["lab"] == "overlay" and shown["pod_mtu"] == shown["mtu"] - 50
    assert sorted(node["name"] for node in shown["nodes"]) == ["node-1", "node-2"]
    (tunnel,) = (each for each in shown["tunnels"] if each["netns"] == "overlay-node-1")
    assert [(remote["netns"], remote["dst"]) for remote in tunnel["remotes"]] == [("overlay-node-2", "172.18.0.3")]
    (route,) = (each for each in shown["routes"] if each["netns"] == "overlay-node-1" and each["dev"] == "vxlan0")
    assert (route["dst"], route["to_netns"]) == ("10.244.2.0/24", "overlay-node-2")
    client = next(each for each in shown["devices"] if each["netns"] == "overlay-client")
    assert (client["dev"], client["mtu"], client["addresses"]) == ("eth0", 1450, ["10.244.1.2/24"])
    port = next(each for each in shown["devices"] if each["dev"] == client["peer"]["dev"])
    assert (port["netns"], port["master"]) == ("overlay-node-1", "cni0")


def test_policies_have_the_pods_that_they_select_and_the_lines_of_their_rules() -> None:
    shown = drawn("policy")
    policy = shown["policies"][0]
    assert policy["pods"] and policy["ingress"] and policy["rules"][0]["rule"] == "ingress[0]"
    assert policy["rules"][0]["peers"][0]["pods"]
    assert policy["rules"][0]["line"] > policy["line"] > 1


def test_tiers_are_listed_in_their_order() -> None:
    shown = drawn("policy-tiers")["tiers"]
    assert [each["tier"] for each in shown] == sorted(each["tier"] for each in shown) and len(shown) > 1
    for each in shown:
        assert (
            each["pods"]
            and each["line"]
            and {rule["action"] for rule in each["rules"]} <= {"Accept", "Allow", "Deny", "Pass"}
        )
    assert "tiers" not in drawn("policy") and "action" not in drawn("policy")["policies"][0]["rules"][0]


def test_wires_have_their_impairments_and_their_state() -> None:
    lab = json.dumps({
        "apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "x"},
        "spec": {"nodes": [{"name": "node-1"}, {"name": "node-2"}], "links": [
            {"between": ["node-1", "underlay"], "delay": "20ms", "loss": "1%", "from": "node-1"},
            {"between": ["node-2", "underlay"], "rate": "10mbit", "from": "underlay"},
        ]},
    })  # fmt: skip
    cluster = build(load_texts([Text("lab.yaml", lab)])).cluster
    want = desired(cluster)
    ends = frozenset((end.netns, end.name) for veth in want.only(Veth) for end in (veth.end, veth.peer))
    shown = document_of(graph(cluster, want, ends - {("x-node-2", "eth0")}))
    wires = {end["netns"]: wire for wire in shown["wires"] for end in wire["ends"] if end["dev"] == "eth0"}
    assert {netns: wire["state"] for netns, wire in wires.items()} == {"x-node-1": "up", "x-node-2": "down"}
    assert [wire["impaired"] for wire in wires.values()] == [
        [{"netns": "x-node-1", "dev": "eth0", "impairments": {"delay": "20ms", "loss": "1%"}, "file": "lab.yaml", "line": 1}],
        [{"netns": "x-underlay", "dev": "node-2", "impairments": {"rate": "10mbit"}, "file": "lab.yaml", "line": 1}],
    ]  # fmt: skip
    without = document_of(graph(cluster, want))
    assert all("state" not in wire for wire in without["wires"]), "nobody looked at the kernel"


def document_of(drawing: Any) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads("".join(renderer("json")(drawing)))
    validator = jsonschema.Draft202012Validator(schema(document("graph"), "graph"))
    assert [error.message for error in validator.iter_errors(shown)] == []
    return shown
