"""Whose an address is, as a capture says it."""

from __future__ import annotations

import json

import pytest

from netlab.errors import BadInput
from netlab.model import build
from netlab.observe.capture.filters import named
from netlab.observe.capture.names import of_addresses, resolver
from netlab.spec import Text, load_texts


def test_pods_services_nodes_and_hosts_have_names_both_ways() -> None:
    pod = {"kind": "Pod", "apiVersion": "v1", "spec": {"containers": [{"name": "c", "image": "x"}]}}
    documents = [
        {
            "apiVersion": "netlab/v1",
            "kind": "Lab",
            "metadata": {"name": "names"},
            "spec": {
                "ipFamilies": ["IPv4", "IPv6"],
                "external": [{"name": "internet", "address": "203.0.113.10"}],
                "dns": "off",
            },
        },
        pod | {"metadata": {"name": "client"}},
        pod | {"metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}}},
        pod | {"metadata": {"name": "hosted"}, "spec": {**pod["spec"], "hostNetwork": True}},  # type: ignore[dict-item]
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}], "clusterIP": "10.96.0.80"},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "pods", "namespace": "shop"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}], "clusterIP": "None"},
        },
    ]
    text = "\n---\n".join(json.dumps(one) for one in documents)
    cluster = build(load_texts([Text("lab.yaml", text)])).cluster
    said = of_addresses(cluster)
    pods = {one.name: [str(at.ip) for at in one.addresses] for one in cluster.pods}
    assert [said[at][0] for at in pods["client"]] == ["client", "client"]
    assert [said[at][0] for at in pods["web"]] == ["shop/web", "shop/web"]
    node = cluster.nodes[0]
    assert said[str(node.addresses[0].ip)][0] == said["10.244.1.1"][0] == said["10.244.1.0"][0] == node.name
    assert said["10.96.0.80"] == ["web.shop.svc"]
    assert (said["203.0.113.10"], said["172.18.0.1"]) == (["internet"], ["underlay"])
    addresses = resolver(cluster)
    assert addresses("client") == addresses("default/client") == addresses("pod/client") == pods["client"]
    assert addresses("shop/web") == addresses("pod/web.shop") == pods["web"]
    assert addresses("svc/web.shop") == addresses("web.shop") == ["10.96.0.80"]
    assert addresses("svc/pods.shop") == pods["web"][:1], "a headless Service's name is its Pods'"
    assert addresses("internet") == ["203.0.113.10"]
    assert addresses("hosted")[0] == addresses("node-1")[0] == addresses("node/node-1")[0]
    assert resolver(cluster, "shop")("web") == pods["web"]
    wrong = {"host clent": "client", "src host clent": "client", "dst clent": "client", "host svc/webb.shop": "svc/web.shop",
             "host client or clent": "client"}  # fmt: skip
    for typed, near in wrong.items():
        with pytest.raises(BadInput, match=f'--filter: .*did you mean "{near}"'):
            named(typed, addresses)
