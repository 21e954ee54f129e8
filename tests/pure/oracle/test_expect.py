from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.errors import BadInput, Problem
from netlab.model.cluster import Cluster
from netlab.model.cluster.services import Backend, Service, ServicePort
from netlab.oracle.endpoints import Endpoints
from netlab.oracle.expect import parse
from netlab.oracle.resolve import expected, wanted_ports
from netlab.oracle.selectors import Selector

# (text of one line's flow mapping, what is said of it); the file is `flows:\n- {TEXT}\n`
FORM = [
    ("from: a, to: b", "2:3: flows[0]: lacks expect"),
    ("from: a, expect: allow", "2:3: flows[0]: lacks to"),
    ("expect: deny", "2:3: flows[0]: lacks from and to"),
    ("form: a, to: b, expect: allow", "2:4: flows[0]: unknown field 'form' (did you mean \"from\"?)"),
    ("from: a, to: b, expect: allow, x: 1", "unknown field 'x'; known are from, to, port, size, resolves, expect, why"),
    ("from: a, from: c, to: b, expect: allow", "2:13: flows[0]: the field 'from' is given twice"),
    ("from: a, to: b, expect: alow", ("2:28: flows[0].expect: 'alow' is not one of allow, deny, open, refused, timeout, "
     'denied, unreachable, mixed (did you mean "allow"?)')),
    ("from: a, to: b, expect: error", "'error' is not one of allow, deny"),
    ("from: a, to: b, expect: [allow]", "flows[0].expect: must be a text, not a list"),
    ("from: a, to: b, port: 0, expect: allow", "flows[0].port: '0' is no port: ports are 1 to 65535"),
    ("from: a, to: b, port: 65536, expect: allow", "'65536' is no port"),
    ("from: a, to: b, port: 80/TPC, expect: allow", ("'80/TPC' has no protocol that is known: TCP, UDP and SCTP are"
     ' (did you mean "TCP"?)')),
    ("from: a, to: b, port: 8 0, expect: allow", "'8 0' is no port: write a number or a port's name"),
    ("from: [], to: b, expect: allow", "2:10: flows[0].from: is an empty list, which names nothing"),
    ("from: {a: b}, to: b, expect: allow", "flows[0].from: must be a text, not a mapping"),
    ("from: [a, null], to: b, expect: allow", "flows[0].from[1]: must be a text, not null"),
    ("from: A_b, to: b, expect: allow", "'A_b' names nothing: 'A_b' is no name of Kubernetes"),
    ("from: a/b/c, to: b, expect: allow", "'a/b/c' has two slashes"),
    ("from: deploy/, to: b, expect: allow", "'deploy/' names nothing"),
    ("from: /a, to: b, expect: allow", "'/a' begins with a slash"),
    ("from: node.x/a, to: b, expect: allow", ("'node.x' is neither a namespace nor one of deploy, sts, ds, job, rs, rc, "
     'pod, svc, node, external (did you mean "node"?)')),
    ("from: app!=web, to: b, expect: allow", "only key=value[,key=value] can be said here, not 'app!=web'"),
    ("from: 'app=web,tier', to: b, expect: allow", "only key=value[,key=value] can be said here, not 'tier'"),
    ("from: app=we b, to: b, expect: allow", "'app=we b' is no label"),
]  # fmt: skip

# (line, what is said of it once there is a cluster)
MATCH = [
    ("from: clinet, to: server, expect: allow", ("expect.yaml:2:10: flows[0].from: no Pod, Service, node or external host is called 'clinet'"
     ' (did you mean "client"?)')),
    ("from: client, to: db-0, expect: allow", ("2:22: flows[0].to: no Pod, Service, node or external host is called 'db-0'"
     ' (did you mean "shop/db-0"?)')),
    ("from: client, to: shpo/db-0, expect: allow", "there is no namespace 'shpo' (did you mean \"shop\"?)"),
    ("from: client, to: shop/web, expect: allow", 'Service shop/web is headless and has no ready endpoint, so its name has no address (did you mean "deploy/web.shop"?)'),
    ("from: node/nod-1, to: server, expect: allow", "there is no node 'nod-1' (did you mean \"node/node-1\" or \"node/node-2\"?)"),
    ("from: external/internet, to: server, expect: allow", "there is no external host 'internet' in this lab"),
    ("from: client, to: deploy/wbe.shop, expect: allow", 'deploy/wbe.shop has no Pods (did you mean "deploy/web.shop"?)'),
    ("from: client, to: deploy/db.shop, expect: allow", 'deploy/db.shop has no Pods (did you mean "deploy/web.shop" or "sts/db.shop"?)'),
    ("from: app=web, to: server, expect: allow", ("app=web matches no Pod in the namespace 'default'"
     ' (did you mean "shop/app=web"')),
    ("from: shop/app=wbe, to: server, expect: allow", 'did you mean "app=web"'),
    ("from: 'shop/app=web,app=db', to: server, expect: allow", "each label exists in shop, but no Pod has all of them"),
    ("from: client, to: svc/wbe.shop, expect: allow", "there is no Service 'wbe.shop' (did you mean \"svc/web.shop\"?)"),
    ("from: client, to: svc/web.shop, expect: allow", "Service shop/web is headless and has no ready endpoint"),
    ("from: client, to: 192.0.2.0/24, expect: deny", "192.0.2.0/24 holds no address of this lab"),
    ("from: 192.0.2.1, to: server, expect: deny", "192.0.2.1 cannot send a packet: it has no network namespace in this lab"),
    ("from: client, to: shop/db-0, port: sq, expect: allow", ("2:39: flows[0].port: shop/db-0 has no port named 'sq' (TCP)"
     ' (did you mean "sql"?)')),
    ("from: client, to: shop/db-0, port: sql/UDP, expect: allow",
     "shop/db-0 has no port named 'sql' (UDP); it is TCP: write sql/TCP"),
    ("from: client, to: client, expect: allow", "default/client serves no port; name one"),
    ("from: [client, nobody], to: server, expect: allow", "2:19: flows[0].from[1]: no Pod, Service, node or external host is called 'nobody'"),
]  # fmt: skip


def problems(text: str, cluster: Cluster | None = None) -> str:
    try:
        expectations = parse(text)
        if cluster is not None:
            expected(expectations, cluster)
    except BadInput as caught:
        return str(caught)
    pytest.fail("nothing is wrong with it")


@pytest.mark.parametrize(("line", "says"), FORM)
def test_errors_of_form_name_file_line_and_column(line: str, says: str) -> None:
    said = problems(f"flows:\n- {{{line}}}\n")
    assert said.startswith("expect.yaml:2:")
    assert says in said


@pytest.mark.parametrize(("line", "says"), MATCH)
def test_what_matches_nothing_is_an_error_with_what_is_near(line: str, says: str, shop: Cluster) -> None:
    said = problems(f"flows:\n- {{{line}}}\n", shop)
    assert says in said
    assert said.startswith("expect.yaml:2:")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- a", "expect.yaml:1:1: must be a mapping with default, flows, pods, namespaces, not a list"),
        ("flows: x", "expect.yaml:1:8: flows: must be a list of {from, to, port, size, resolves, expect, why}"),
        (
            "flows: [x]",
            "expect.yaml:1:9: flows[0]: must be a mapping with from, to, port, size, resolves, expect, why, not 'x'",
        ),
        ("default: drop", "expect.yaml:1:10: default: 'drop' is not one of deny, allow"),
        ("defualt: deny", "expect.yaml:1:1: unknown field 'defualt' (did you mean \"default\"?)"),
        ("flows: []\n---\nflows: []", "expect.yaml:3:1: is a second document"),
        ("flows: [", "expect.yaml:"),
    ],
)
def test_errors_of_the_file(text: str, says: str) -> None:
    assert says in problems(text)


def test_all_problems_of_a_file_are_told_at_once() -> None:
    said = problems("default: x\nflows:\n- {from: a, expect: allow}\n- {from: a, to: b, expect: no}\n")
    assert [line.split(": ")[0] for line in said.splitlines()] == [
        "expect.yaml:1:10",
        "expect.yaml:3:3",
        "expect.yaml:4:28",
    ]


def asked(text: str, cluster: Cluster) -> list[str]:
    return [f"{flow} {what.expect}" for flow, what in expected(parse(text), cluster).items()]


@pytest.mark.parametrize(
    ("line", "flows"),
    [
        ("from: client, to: server, port: 80/TCP", ["default/client -> default/server 10.244.2.2:80/TCP"]),
        ("from: client, to: server", ["default/client -> default/server 10.244.2.2:80/TCP"]),
        ("from: client, to: server, port: http", ["default/client -> default/server 10.244.2.2:80/TCP"]),
        ("from: client, to: server, port: 8080", ["default/client -> default/server 10.244.2.2:8080/TCP"]),
        ("from: client, to: shop/db-0", ["default/client -> shop/db-0 10.244.2.4:5432/TCP",
                                         "default/client -> shop/db-0 10.244.2.4:53/UDP"]),
        ("from: client, to: sts/db.shop, port: dns/UDP", ["default/client -> shop/db-0 10.244.2.4:53/UDP"]),
        ("from: client, to: statefulset/db.shop, port: sql", ["default/client -> shop/db-0 10.244.2.4:5432/TCP"]),
        ("from: deploy/web.shop, to: server", ["shop/web-aaaaa -> default/server 10.244.2.2:80/TCP",
                                               "shop/web-bbbbb -> default/server 10.244.2.2:80/TCP"]),
        ("from: 'shop/app=web,tier=front', to: server", ["shop/web-aaaaa -> default/server 10.244.2.2:80/TCP",
                                                         "shop/web-bbbbb -> default/server 10.244.2.2:80/TCP"]),
        ("from: [client, shop/db-0, client], to: app=server", ["default/client -> default/server 10.244.2.2:80/TCP",
                                                               "shop/db-0 -> default/server 10.244.2.2:80/TCP"]),
        ("from: client, to: 10.244.2.2", ["default/client -> default/server 10.244.2.2:80/TCP"]),
        ("from: 10.244.1.2/32, to: server", ["default/client -> default/server 10.244.2.2:80/TCP"]),
        ("from: client, to: 10.244.2.0/24, port: sql", ["default/client -> shop/db-0 10.244.2.4:5432/TCP"]),
        ("from: client, to: 192.0.2.1, port: 443", ["default/client -> 192.0.2.1:443/TCP"]),
        ("from: node/node-1, to: server", ["node-1 -> default/server 10.244.2.2:80/TCP"]),
        ("from: node-1, to: server", ["node-1 -> default/server 10.244.2.2:80/TCP"]),
        ("from: client, to: node/node-1", ["default/client -> node-1 172.18.0.2:9100/TCP"]),
        ("from: client, to: ds/agent.shop", ["default/client -> shop/agent-x 172.18.0.2:9100/TCP"]),
        ("from: client, to: 172.18.0.2", ["default/client -> node-1 172.18.0.2:9100/TCP"]),
    ],
)  # fmt: skip
def test_a_line_means_these_flows(line: str, flows: list[str], shop: Cluster) -> None:
    assert asked(f"flows: [{{{line}, expect: allow}}]", shop) == [f"{flow} allow" for flow in flows]


def test_deny_says_nothing_of_a_pod_to_itself_unless_it_names_nothing_else(shop: Cluster) -> None:
    both = asked("flows: [{from: shop/app=web, to: shop/app=web, expect: deny}]", shop)
    assert [line.split()[0::2][:2] for line in both] == [["shop/web-aaaaa", "shop/web-bbbbb"],
                                                         ["shop/web-bbbbb", "shop/web-aaaaa"]]  # fmt: skip
    assert asked("flows: [{from: server, to: server, expect: deny}]", shop) == [
        "default/server -> default/server 10.244.2.2:80/TCP deny"
    ]


def test_the_default_covers_all_other_flows_between_pods(shop: Cluster) -> None:
    found = asked("default: deny\nflows: [{from: client, to: server, expect: allow}]", shop)
    assert found[0].endswith("allow")
    assert {line.rpartition(" ")[2] for line in found[1:]} == {"deny"}
    assert len(found) == 6 * 6 - 6  # of six ports in all, nobody is denied their own


def test_lines_that_contradict_each_other_are_an_error_with_both_places(shop: Cluster) -> None:
    said = problems(
        "flows:\n- {from: client, to: server, expect: allow}\n- {from: client, to: server, expect: deny}\n", shop
    )
    assert said == (
        "expect.yaml:3:3: flows[1]: expects deny of default/client -> default/server 10.244.2.2:80/TCP, "
        "but expect.yaml:2:3 expects allow"
    )


@pytest.mark.parametrize("order", [1, -1])
def test_of_deny_and_timeout_the_exact_one_counts(order: int, shop: Cluster) -> None:
    lines = ["- {from: client, to: server, expect: deny}", "- {from: client, to: server, expect: timeout}"][::order]
    assert asked("flows:\n" + "\n".join(lines), shop) == ["default/client -> default/server 10.244.2.2:80/TCP timeout"]


def test_ports_by_number_get_a_responder_but_not_where_a_refusal_is_expected(shop: Cluster) -> None:
    text = """flows:
- {from: client, to: server, port: 8080, expect: allow}
- {from: client, to: server, port: 81, expect: refused}
- {from: client, to: deploy/web.shop, port: 53/UDP, expect: deny}
"""
    found = [(one.pod, one.port, one.protocol, one.mark.line) for one in wanted_ports(parse(text), shop)]
    assert found == [
        ("default/server", 8080, "TCP", 2),
        ("shop/web-aaaaa", 53, "UDP", 4),
        ("shop/web-bbbbb", 53, "UDP", 4),
    ]


@pytest.mark.parametrize(
    ("text", "kind", "namespace", "name", "labels"),
    [
        ("app.kubernetes.io/name=web", "labels", "default", "", (("app.kubernetes.io/name", "web"),)),
        ("shop/app.kubernetes.io/name=web", "labels", "shop", "", (("app.kubernetes.io/name", "web"),)),
        ("deployments/web.v2.shop", "deploy", "default", "web.v2.shop", ()),
        ("fd00::/8", "cidr", "", "fd00::/8", ()),
        ("app=", "labels", "default", "", (("app", ""),)),
    ],
)
def test_selectors(text: str, kind: str, namespace: str, name: str, labels: Any) -> None:
    assert Selector.parse(text)[1:] == (kind, namespace, name, labels)


@given(st.text(alphabet="ab=,./-:0159*! ", max_size=20))
def test_any_text_is_a_selector_or_a_sentence(text: str) -> None:
    said = ""
    try:
        Selector.parse(text)
    except ValueError as error:
        said = str(error)
    assert not said or len(said) > 10


@given(st.recursive(st.none() | st.booleans() | st.text(max_size=5), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["from", "to", "port", "expect", "why", "flows", "default"]), inner), max_leaves=12))  # fmt: skip
def test_any_file_is_read_or_is_bad_input(content: Any) -> None:
    import yaml

    problems_found: tuple[Problem, ...] = ()
    try:
        parse(yaml.safe_dump(content))
    except BadInput as error:
        problems_found = error.problems
    assert all(problem.mark and problem.mark.line >= 1 for problem in problems_found)


def test_every_pod_is_found_by_its_own_name_label_owner_and_address(shop: Cluster) -> None:
    known = Endpoints(shop)
    for name, pod in known.pod_of.items():
        assert Selector.parse(name).select(known)[0].end.name == name
        if not pod.host_network:
            assert [one.end.name for one in Selector.parse(str(pod.addresses[0].ip)).select(known)] == [name]
        if pod.labels:
            text = f"{pod.namespace}/" + ",".join(f"{k}={v}" for k, v in pod.labels.items())
            assert name in [one.end.name for one in Selector.parse(text).select(known)]


def test_a_headless_service_is_its_pods_at_their_target_ports(shop: Cluster) -> None:
    """As its DNS name: no address of its own, no translation.  A port is the Service's, by number or name."""
    db = next(pod for pod in shop.pods if str(pod) == "shop/db-0")
    backend = Backend(ip_address(str(db.addresses[0]).partition("/")[0]), (5432, 9000), "shop/db-0")
    ports = (ServicePort(80, name="sql"), ServicePort(81, name="stats"))
    cluster = replace(shop, services=(Service("shop", "db", headless=True, ports=ports, backends=(backend,)),))
    flow = f"default/client -> shop/db-0 {backend.address}"
    line = "flows: [{from: client, to: svc/db.shop, expect: allow%s}]"
    assert asked(line % "", cluster) == [f"{flow}:5432/TCP allow", f"{flow}:9000/TCP allow"]
    assert asked(line % ", port: 81", cluster) == [f"{flow}:9000/TCP allow"]
    assert asked(line % ", port: sql", cluster) == [f"{flow}:5432/TCP allow"]
    assert asked(line % ", port: 7", cluster) == [f"{flow}:7/TCP allow"]


_NESTED = [f"a{number + 1}: &a{number + 1} {{<<: [*a{number}, *a{number}]}}" for number in range(60)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("&a {<<: *a}", "an alias stands inside the value"),
        ("flows: [&a {from: [*a], to: b, expect: deny}]", "an alias stands inside the value"),
        ("\n".join(["a0: &a0 {x: y}", *_NESTED, "flows: [*a60]"]), "aliases make this more than"),
        ("flows: [{from: a, to: b, expect: deny, port: " + "9" * 5000 + "}]", "is no port: ports are 1 to 65535"),
    ],
    ids=["merges itself", "lists itself", "merges without end", "a port of 5000 digits"],
)
def test_files_that_have_no_end_are_problems_with_a_place(text: str, says: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse(text)
    assert all(one.mark is not None for one in caught.value.problems)
    assert says in str(caught.value)
