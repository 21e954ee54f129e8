from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from netlab.errors import BadInput
from netlab.model.cluster import Cluster, Pod, Port
from netlab.objects import Why
from netlab.oracle import Endpoint, Flow, Outcome, Predictor, Verdict, flows
from netlab.oracle.compare import agree, check, document, failures, meets
from netlab.oracle.expect import parse
from netlab.oracle.junit import junit
from netlab.oracle.matrix import draw
from netlab.oracle.report import flow_fields
from netlab.oracle.resolve import expected
from netlab.plain import dump


def verdict(outcome: str, server: str | None = None, because: tuple[Why, ...] = ()) -> Verdict:
    flow = Flow(Endpoint("pod", "default/client"), Endpoint("pod", "default/server"), "10.244.2.2", 80)
    return Verdict(flow, Outcome(outcome), server, None, because)


# -- flows and the oracle ---------------------------------------------------------------------------------------------


def test_every_pod_asks_every_declared_port_itself_included(shop: Cluster) -> None:
    found = list(flows(shop))
    assert len(found) == 6 * 6 == len(set(found))
    assert [str(flow) for flow in found[:2]] == [
        "default/client -> default/server 10.244.2.2:80/TCP",
        "default/client -> shop/web-aaaaa 10.244.1.3:80/TCP",
    ]
    assert {flow.src.netns for flow in found if flow.src.name == "shop/agent-x"} == {"lab-node-1"}


def test_both_families_and_only_what_both_ends_have(
    make_cluster: Callable[..., Cluster], make_pod: Callable[..., Pod]
) -> None:
    cluster = make_cluster(
        make_pod("a", 1, 2), make_pod("b", 2, 2, Port(80), v6=True), make_pod("c", 1, 3, v6=True), v6=True
    )
    assert [f"{flow.src.name} {flow.address}" for flow in flows(cluster)] == [
        "default/a 10.244.2.2", "default/b 10.244.2.2", "default/b fd00:10:244:2::2", "default/c 10.244.2.2",
        "default/c fd00:10:244:2::2"]  # fmt: skip


def test_from_to_and_port_choose(shop: Cluster) -> None:
    found = flows(shop, sources=["node/node-2"], targets=["server", "sts/db.shop"], ports=["79/TCP", "dns/UDP", "80"])
    assert [f"{flow.src.name} {flow.dst.name} {flow.port}/{flow.protocol}" for flow in found] == [
        "node-2 default/server 80/TCP", "node-2 default/server 79/TCP", "node-2 shop/db-0 5432/TCP",
        "node-2 shop/db-0 53/UDP", "node-2 shop/db-0 79/TCP", "node-2 shop/db-0 80/TCP"]  # fmt: skip


def test_undeclared_ports_are_not_asked_and_ports_declared_twice_once(
    make_cluster: Callable[..., Cluster], make_pod: Callable[..., Pod]
) -> None:
    cluster = make_cluster(make_pod("a", 1, 2, Port(80), Port(80), Port(81, declared=False)))
    assert [flow.port for flow in flows(cluster)] == [80]


def test_wrong_options_are_told_together_before_the_first_flow(shop: Cluster) -> None:
    with pytest.raises(BadInput) as caught:
        flows(shop, sources=["clint"], targets=["server"], ports=["0"])
    assert str(caught.value) == (
        "--port: '0' is no port: ports are 1 to 65535\n"
        "--from: no Pod, Service, node or external host is called 'clint' (did you mean \"client\"?)"
    )


def test_a_healthy_lab_reaches_all_that_is_served_and_is_refused_elsewhere(shop: Cluster) -> None:
    answers = Predictor(shop).answer(flows(shop, ports=["79/TCP"]))
    for flow, found in answers.items():
        assert found.outcome == ("refused" if flow.port == 79 else "open")
        assert found.server == (None if flow.port == 79 else flow.dst.name)
        if found.client and flow.src.netns != flow.dst.netns:
            assert found.client in flow.src.addresses


def test_host_network_pods_share_their_nodes_ports(shop: Cluster) -> None:
    (flow,) = flows(shop, sources=["client"], targets=["node/node-1"])
    assert Predictor(shop).answer([flow])[flow].server == "shop/agent-x"


@pytest.mark.parametrize(("address", "outcome"), [("10.244.1.99", "timeout"), ("192.0.2.1", "unreachable")])
def test_addresses_of_nobody(address: str, outcome: str, shop: Cluster) -> None:
    shop = replace(shop, dataplane="kindnet")  # it masquerades, so that the router's error finds its way back
    (flow,) = flows(shop, sources=["client"], targets=[address], ports=["80"])
    verdict = Predictor(shop).answer([flow])[flow]
    assert verdict.outcome == outcome
    silent = Verdict(flow, Outcome.TIMEOUT)
    assert agree(verdict, silent), "kernels limit the rate of ICMP errors"
    assert not agree(verdict, Verdict(flow, Outcome.OPEN))


def test_an_error_of_the_router_does_not_reach_a_pod_without_masquerading(shop: Cluster) -> None:
    shop = replace(shop, dataplane="host-gw")
    (flow,) = flows(shop, sources=["client"], targets=["192.0.2.1"], ports=["80"])
    assert Predictor(shop).answer([flow])[flow].outcome == "timeout"


def test_ninety_thousand_flows_are_predicted_in_linear_time(
    make_cluster: Callable[..., Cluster], make_pod: Callable[..., Pod]
) -> None:
    cluster = make_cluster(*(make_pod(f"p{n}", 1 + n % 2, 2 + n % 250, Port(80)) for n in range(300)))
    start = time.process_time()
    assert sum(1 for _ in Predictor(cluster).predict(flows(cluster))) == 90_000
    assert time.process_time() - start < 15  # about 1 s


# -- comparing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expect", "outcome", "predicted", "met"),
    [
        ("allow", "open", "open", True),
        ("allow", "refused", "refused", True),  # the Pod's own refusal: the network let it through
        ("allow", "refused", "open", False),
        ("allow", "timeout", "open", False),
        ("deny", "timeout", "open", True),
        ("deny", "denied", "denied", True),
        ("deny", "unreachable", "open", True),
        ("deny", "refused", "open", True),
        ("deny", "refused", "refused", False),
        ("deny", "open", "open", False),
        ("deny", "error", "open", False),
        ("open", "open", "open", True),
        ("open", "refused", "refused", False),
        ("refused", "refused", "refused", True),
        ("timeout", "timeout", "open", True),
        ("timeout", "denied", "denied", True),
        ("unreachable", "timeout", "open", False),
    ],
)
def test_what_meets_an_expectation(expect: str, outcome: str, predicted: str, met: bool) -> None:
    assert meets(expect, verdict(outcome), verdict(predicted)) is met


def test_an_answer_from_the_wrong_pod_meets_nothing() -> None:
    assert not meets("allow", verdict("open", "default/other"), None)
    assert not agree(verdict("open", "default/server"), verdict("open", "default/other"))
    assert agree(verdict("open", "default/server"), verdict("open"))


def test_one_readable_line_a_disagreement(shop: Cluster) -> None:
    text = """flows:
- {from: client, to: server, expect: allow}
- {from: client, to: shop/db-0, port: sql, expect: deny, why: only the shop reads its database}
- {from: client, to: deploy/web.shop, expect: allow}
"""
    wanted = expected(parse(text), shop)
    predicted = Predictor(shop).answer(wanted)
    observed = dict(predicted)
    first, second, third, _fourth = wanted
    observed[first] = Verdict(first, Outcome.TIMEOUT)
    observed[third] = Verdict(third, Outcome.OPEN, "shop/db-0")
    rows = check(wanted, predicted, observed)
    assert failures(rows) == [
        (
            "FAIL default/client -> default/server 10.244.2.2:80/TCP: expected allow, got timeout (predicted: open)"
            " · expect.yaml:2:3"
        ),
        (
            "FAIL default/client -> shop/db-0 10.244.2.4:5432/TCP: expected deny, got open"
            " · expect.yaml:3:3 only the shop reads its database"
        ),
        (
            "FAIL default/client -> shop/web-aaaaa 10.244.1.3:80/TCP: expected allow, got open from the wrong server, shop/db-0"
            " (predicted: open); the replicas disagree: as expected with shop/web-bbbbb · expect.yaml:4:3"
        ),
    ]
    shown = dump(document(rows, ()))
    assert (shown["passed"], shown["failed"]) == (1, 3)
    assert json.loads(json.dumps(shown))["flows"][0] == {
        "from": "default/client", "from_kind": "pod", "to": "default/server", "to_kind": "pod", "address": "10.244.2.2", "port": 80,
        "protocol": "TCP", "outcome": "timeout", "server": None, "client": None, "expected": "allow",
        "predicted": "open", "ok": False, "line": "expect.yaml:2:3",
        "says": "expected allow, got timeout (predicted: open)"}  # fmt: skip
    assert second in observed


def test_oracle_and_packets_that_differ_are_a_failure_without_any_expectation(shop: Cluster) -> None:
    (flow,) = flows(shop, sources=["client"], targets=["server"])
    (row,) = check(
        {}, Predictor(shop).answer([flow]), {flow: Verdict(flow, Outcome.UNREACHABLE, None, None, (Why("no"),))}
    )
    assert row.message == "got unreachable: no (predicted: open)"


def test_without_packets_the_oracle_is_judged(shop: Cluster) -> None:
    wanted = expected(parse("flows: [{from: client, to: server, expect: deny}]"), shop)
    (row,) = check(wanted, Predictor(shop).answer(wanted), {})
    assert row.message == "expected deny, predicted open; no packet was sent"
    assert document([row], ()).flows[0].outcome is None


def test_junit_is_xml_with_one_case_a_flow(shop: Cluster) -> None:
    wanted = expected(parse("default: deny\nflows: [{from: client, to: server, expect: allow, why: '<&\"'}]"), shop)
    predicted = Predictor(shop).answer(wanted)
    root = ET.fromstring(junit(check(wanted, predicted, predicted), lab="shop", seconds=1.5))
    suite = root[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("time")) == ("30", "29", "1.500")
    cases = suite.findall("testcase")
    assert cases[0].find("failure") is None
    assert cases[0].get("line") == "2"
    assert all(case.find("failure") is not None for case in cases[1:])


def test_the_json_of_a_flow() -> None:
    because = (Why("no route"),)
    assert dump(flow_fields(verdict("unreachable", because=because))["because"]) == [
        {"says": "no route", "file": None, "line": None}
    ]
    assert flow_fields(verdict("open", "default/server"))["server"] == "default/server"


# -- drawing ----------------------------------------------------------------------------------------------------------


def test_a_small_matrix(shop: Cluster) -> None:
    found = list(Predictor(shop).predict(flows(shop, targets=["server", "shop/db-0"], sources=["client", "shop/db-0"])))
    found[1] = found[1]._replace(outcome=Outcome.TIMEOUT)
    found[3] = found[3]._replace(server="shop/other")
    assert (
        draw(found)
        == """\
from \\ to       default/server 80/TCP  shop/db-0 5432/TCP  shop/db-0 53/UDP
default/client                      .                   T                 .
shop/db-0                           !                   .                 .

. open   T timeout   ! answered by the wrong one
"""
    )


def test_names_in_default_are_short_and_many_columns_are_numbered(
    make_cluster: Callable[..., Cluster], make_pod: Callable[..., Pod]
) -> None:
    cluster = make_cluster(*(make_pod(f"pod-with-a-name-{n}", 1, 2 + n, Port(80)) for n in range(6)))
    text = draw(Predictor(cluster).predict(flows(cluster)), width=60)
    assert (
        text
        == """\
from \\ to          1  2  3  4  5  6
pod-with-a-name-0  .  .  .  .  .  .
pod-with-a-name-1  .  .  .  .  .  .
pod-with-a-name-2  .  .  .  .  .  .
pod-with-a-name-3  .  .  .  .  .  .
pod-with-a-name-4  .  .  .  .  .  .
pod-with-a-name-5  .  .  .  .  .  .

1 pod-with-a-name-0:80   4 pod-with-a-name-3:80
2 pod-with-a-name-1:80   5 pod-with-a-name-4:80
3 pod-with-a-name-2:80   6 pod-with-a-name-5:80

. open
"""
    )


def test_a_large_lab_is_summed_up(make_cluster: Callable[..., Cluster], make_pod: Callable[..., Pod]) -> None:
    cluster = make_cluster(*(make_pod(f"p{n}", 1 + n % 2, 2 + n, Port(80)) for n in range(50)))
    found = list(Predictor(cluster).predict(flows(cluster)))
    found[1] = found[1]._replace(outcome=Outcome.TIMEOUT)
    nodes = {str(pod): pod.node for pod in cluster.pods}
    assert (
        draw(found, nodes=nodes)
        == """\
2,500 flows from 50 sources: 2,499 open, 1 timeout

open, by node   node-1   node-2
node-1               .  624/625
node-2               .        .

not open:
  default/p0: T default/p1 10.244.2.3:80/TCP
"""
    )


def test_a_lab_without_ports() -> None:
    assert draw([]) == "no flows: no Pod declares a port (--port PORT probes any port)\n"
