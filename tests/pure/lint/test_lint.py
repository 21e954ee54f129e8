"""Each rule on the smallest lab that breaks it, and on the labs beside it that are right."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netlab.cli.warned import documents, folded
from netlab.lint import kept, lint, ordered, strict
from netlab.model import build
from netlab.plain import dump
from netlab.spec import Text, Warning, load_texts

ROOT = Path(__file__).resolve().parents[3]
LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: lints}
spec:
  dataplane: kindnet
  nodes: [{name: node-1}]
  external: [{name: internet, address: 203.0.113.10}]
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: shop}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: carts, namespace: shop}
spec:
  selector: {matchLabels: {name: carts}}
  template:
    metadata: {labels: {name: carts, app.kubernetes.io/part-of: shop}}
    spec: {containers: [{name: c, image: x, ports: [{name: http, containerPort: 8080}]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: asleep, namespace: shop}
spec:
  replicas: 0
  selector: {matchLabels: {name: asleep}}
  template:
    metadata: {labels: {name: asleep}}
    spec: {containers: [{name: c, image: x}]}
---
apiVersion: v1
kind: Service
metadata: {name: carts, namespace: shop}
spec: {selector: {name: carts}, ports: [{name: web, port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {name: db}}
spec: {containers: [{name: c, image: x, ports: [{containerPort: 5432}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: plain, namespace: shop, labels: {name: plain}}
spec: {containers: [{name: c, image: x}]}
---
apiVersion: v1
kind: Pod
metadata: {name: agent, namespace: shop, labels: {own: host}}
spec: {hostNetwork: true, containers: [{name: c, image: x}]}
"""


def warned(more: str = "", lab: str = LAB) -> list[Warning]:
    documents = load_texts([Text("lab.yaml", lab), Text("more.yaml", more)] if more else [Text("lab.yaml", lab)])
    built = build(documents)
    return ordered(kept((*built.warnings, *lint(built.cluster, documents)), documents), documents.sources)


def policy(spec: str, namespace: str = "shop") -> str:
    space = f", namespace: {namespace}" if namespace else ""
    return f"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p{space}}}\nspec: {{{spec}}}\n"


def service(spec: str) -> str:
    return f"apiVersion: v1\nkind: Service\nmetadata: {{name: s, namespace: shop}}\nspec: {{{spec}}}\n"


def ingress(backend: str, version: str = "networking.k8s.io/v1") -> str:
    paths = f"paths: [{{path: /, pathType: Prefix, backend: {{{backend}}}}}]"
    meta = "metadata: {name: i, namespace: shop}"
    return f"apiVersion: {version}\nkind: Ingress\n{meta}\nspec: {{rules: [{{http: {{{paths}}}}}]}}\n"


def route(backend: str) -> str:
    meta = "metadata: {name: r, namespace: front}"
    rules = f"rules: [{{backendRefs: [{{{backend}}}]}}]"
    return f"apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n{meta}\nspec: {{{rules}}}\n"


def from_pods(labels: str, ports: str = "{port: 5432}") -> str:
    peer = f"podSelector: {{matchLabels: {{{labels}}}}}"
    return policy(f"podSelector: {{matchLabels: {{name: db}}}}, ingress: [{{from: [{{{peer}}}], ports: [{ports}]}}]")


def to_pods(labels: str, ports: str, more: str = "") -> str:
    peer = f"podSelector: {{matchLabels: {{{labels}}}}}"
    rule = f"{{to: [{{{peer}}}], ports: [{ports}]}}"
    return policy(f"podSelector: {{matchLabels: {{name: db}}}}, policyTypes: [Egress], egress: [{rule}{more}]")


DNS = ", {ports: [{port: 53, protocol: UDP}, {port: 53}]}"
TO_DNS = (
    ", {to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}}],"
    " ports: [{port: 53, protocol: UDP}, {port: 53}]}"
)
CARTS = "podSelector: {matchLabels: {name: carts}}"
NAME = "kubernetes.io/metadata.name"

WRONG = [
    # Policies that select nothing.
    (policy("podSelector: {matchLabels: {nam: carts}}"), "policy-selects-nothing", 'mean "name=carts"?'),
    (policy("podSelector: {matchLabels: {name: cortex}}"), "policy-selects-nothing", "none has name=cortex"),
    (policy("podSelector: {matchLabels: {own: host}}"), "policy-selects-nothing", "(hostNetwork)"),
    # Peers that mean nobody.
    (from_pods("name: cortex"), "peer-matches-nobody", "no Pod of namespace shop matches name=cortex"),
    (from_pods("own: host"), "peer-host-network", "agent, which is in the network of its node"),
    (to_pods("name: carts", "{port: 8080}", ", {to: [{ipBlock: {cidr: 10.96.0.0/12}}]}" + DNS), "peer-service-address",
     "10.96.0.0/12"),
    # Ports that nobody reaches.
    (policy(f"{CARTS}"), "closed-port", "port 8080/TCP (http) of Service shop/carts is closed to everybody"),
    (policy(f"{CARTS}, ingress: [{{ports: [{{port: 9}}]}}]"), "closed-port", "its rules admit 9/TCP alone"),
    # DNS.
    (to_pods("name: carts", "{port: 8080}"), "egress-without-dns", "isolates shop/db for egress without a way to DNS"),
    (to_pods("name: carts", "{port: 8080}", ", {to: [{podSelector: {}}], ports: [{port: 53}]}"), "egress-without-dns",
     "port 53/UDP"),
    # Services.
    (service("selector: {name: cortex}, ports: [{port: 80}]"), "service-selects-nothing", "none in namespace shop has"),
    (service("selector: {name: carts}, ports: [{port: 80, targetPort: htp}]"), "service-target-port", 'mean "http"?'),
    # Backends of what is not modelled.
    (ingress("service: {name: cart, port: {number: 80}}"), "backend-missing", 'mean "carts"?'),
    (ingress("service: {name: carts, port: {number: 8080}}"), "backend-missing", "which has 80 (web)"),
    (ingress("service: {name: carts, port: {name: http}}"), "backend-missing", 'port "http"'),
    (route("name: carts, port: 80"), "backend-missing", "Service front/carts"),
]  # fmt: skip

CERTAIN = [
    (policy("podSelector: {matchLabels: {name: cart}}"), "selector-typo", 'mean "name=carts"?'),
    (policy("podSelector: {matchExpressions: [{key: name, operator: In, values: [crats]}]}"), "selector-typo",
     'mean "name=carts"?'),
    (from_pods("name: cart"), "selector-typo", 'mean "name=carts"?'),
    (from_pods("name: cart, tier: back"), "selector-typo", 'mean "name=carts"?'),  # two labels are wrong
    (policy(f"podSelector: {{}}, ingress: [{{from: [{{namespaceSelector: {{matchLabels: {{{NAME}: shpo}}}}}}]}}]"),
     "selector-typo", f'mean "{NAME}=shop"?'),
    (service("selector: {name: cart}, ports: [{port: 80}]"), "selector-typo", 'mean "name=carts"?'),
    (policy(f"{CARTS}, ingress: [{{ports: [{{port: 80}}]}}]"), "port-of-service", "Service shop/carts"),
    (to_pods("name: carts", "{port: 80}", DNS), "port-of-service", "8080/TCP"),
    (policy(f"{CARTS}, ingress: [{{ports: [{{port: web}}]}}]"), "port-name-unknown", "has a port web/TCP"),
    (policy(f"{CARTS}, ingress: [{{ports: [{{port: htp}}]}}]"), "port-name-unknown", 'mean "http"?'),
    (policy("podSelector: {}", ""), "policy-namespace", "no metadata.namespace, and all Pods are in shop"),
    (policy("podSelector: {}", "front") + "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: front}\n",
     "policy-namespace", "all Pods are in shop"),
    (policy("podSelector: {}", "shopp"), "policy-namespace", 'all Pods are in shop (did you mean "shop"?)'),
]  # fmt: skip

RIGHT = [
    "",
    from_pods("name: asleep"),
    from_pods("name: carts"),
    policy(f"{CARTS}, ingress: [{{ports: [{{port: 80}}, {{port: 8080}}]}}]"),
    policy(f"{CARTS}, ingress: [{{ports: [{{port: 80}}, {{port: http}}]}}]"),
    policy(f"{CARTS}, ingress: [{{ports: [{{port: 1, endPort: 9000}}]}}]"),
    policy(
        "podSelector: {matchLabels: {name: db}}, policyTypes: [Ingress, Egress]"
    ),  # no name is meant to be looked up
    policy("podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 203.0.113.0/24}}]}]"),
    policy("podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}]"),
    policy("podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 443}, {port: 53, protocol: UDP}]}]"),
    to_pods("name: carts", "{port: 8080}", DNS),
    to_pods("name: carts", "{port: 8080}", TO_DNS),
    service("selector: {name: plain}, ports: [{port: 80, targetPort: 8081}]"),
    service("selector: {name: carts}, ports: [{port: 80, targetPort: 8080}]"),
    policy(
        f"podSelector: {{}}, policyTypes: [Egress], "
        f"egress: [{{to: [{{namespaceSelector: {{matchLabels: {{{NAME}: kube-system}}}}}}]}}]"
    ),
    policy(
        f"podSelector: {{}}, ingress: [{{from: [{{namespaceSelector: {{matchLabels: {{{NAME}: kube-public}}}}}}]}}]"
    ),
]


@pytest.mark.parametrize(("more", "code", "says"), WRONG)
def test_a_probable_mistake_is_warned_of_once_with_its_line(more: str, code: str, says: str) -> None:
    (found,) = strict(warned(more))
    assert (found.code, found.level) == (code, "warning")
    assert says in found.message
    assert found.mark.file == ("lab.yaml" if code == "closed-port" else "more.yaml") and found.mark.line > 1


@pytest.mark.parametrize(("more", "code", "says"), CERTAIN)
def test_a_certain_mistake_is_an_error_with_its_line(more: str, code: str, says: str) -> None:
    (found,) = [each for each in warned(more) if each.level == "error"]
    assert found.code == code
    assert says in found.message
    assert found.mark.file == "more.yaml" and found.mark.line > 1
    assert found.object.split(" ")[1] in ("shop/p", "default/p", "shopp/p", "front/p", "shop/s", "shop/i", "front/r")


@pytest.mark.parametrize("more", RIGHT)
def test_nothing_is_said_of_what_is_right(more: str) -> None:
    assert strict(warned(more)) == []


def test_backends_that_are_there_are_not_warned_of() -> None:
    for more in (
        ingress("service: {name: carts, port: {number: 80}}"),
        ingress("service: {name: carts, port: {name: web}}"),
        ingress("serviceName: carts, servicePort: 80", "extensions/v1beta1"),
        ingress("resource: {apiGroup: x, kind: Bucket, name: y}"),
        route("name: carts, namespace: shop, port: 80"),
        route("name: other, kind: ServiceImport, group: multicluster.x-k8s.io"),
    ):
        codes = [one.code for one in warned(more) if one.code != "old-api-version"]
        assert codes == ["not-modelled-route"], more


def test_a_label_that_only_clients_of_other_charts_have_is_a_note() -> None:
    (found,) = warned(from_pods("rel-db-client: 'true'"))
    assert (found.code, found.level) == ("peer-matches-nobody", "note")


def test_another_number_is_no_misspelling() -> None:
    shards = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: s1, namespace: shop, labels: {name: shard-1}}\nspec: {containers: [{name: a, image: b}]}\n"
    for other in ("shard-3", "shard-10"):
        (found,) = warned(from_pods(f"name: {other}") + shards)
        assert (found.code, found.level) == ("peer-matches-nobody", "warning")
    (found,) = [each for each in warned(from_pods("name: shrad-1") + shards) if each.level == "error"]
    assert found.code == "selector-typo"


def test_what_an_operator_makes_is_no_mistake() -> None:
    operator = "---\napiVersion: monitoring.coreos.com/v1\nkind: Prometheus\nmetadata: {name: k8s, namespace: shop}\n"
    found = warned(policy("podSelector: {matchLabels: {prometheus: k8s}}") + operator)
    assert [(one.code, one.level) for one in found] == [
        ("policy-selects-nothing", "note"),
        ("not-modelled-pods", "warning"),
    ]


def test_the_namespaces_of_every_cluster_are_there_without_a_service() -> None:
    lab = LAB.replace("kind: Service\n", "kind: ConfigMap\n")
    for name in ("default", "kube-system", "kube-public", "kube-node-lease"):
        peer = f"{{namespaceSelector: {{matchLabels: {{{NAME}: {name}}}}}}}"
        assert warned(policy(f"podSelector: {{}}, ingress: [{{from: [{peer}]}}]"), lab) == []


def test_a_name_of_other_charts_beside_the_right_name_is_a_note_without_a_guess() -> None:
    more = policy(f"{CARTS}, ingress: [{{ports: [{{port: http}}, {{port: https}}]}}]")
    (found,) = [each for each in warned(more) if each.code == "port-name-unknown"]
    assert found.level == "note"
    assert "did you mean" not in found.message and "https/TCP" in found.message


def test_many_of_a_kind_are_folded_in_the_order_of_the_lines_and_are_whole_as_json() -> None:
    many = "---\n".join(
        f"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: a{number}, namespace: shop}}\n"
        for number in range(18)
    )
    found = warned(many + "---\n" + from_pods("name: cart"))
    lines = folded(found)
    assert [line.split(": ", 2)[2] if "warning" in line else line for line in lines[:4]] == [
        *(f"AuthorizationPolicy shop/a{number} is not modelled: it filters traffic" for number in range(3)),
        "... and 15 more AuthorizationPolicies; -o json has them all",
    ]
    assert len(lines) == 5 and "NetworkPolicy shop/p ingress[0]" in lines[4]
    assert lines[0].startswith("more.yaml:1:1: warning: ")
    objects = dump(documents(found))
    assert len(objects) == 19
    assert objects[0] == {
        "level": "warning",
        "code": "not-modelled-filter",
        "object": "AuthorizationPolicy shop/a0",
        "message": "AuthorizationPolicy shop/a0 is not modelled: it filters traffic",
        "file": "more.yaml",
        "line": 1,
    }


SETS = sorted(Path(os.environ.get("NETLAB_MANIFESTS", ROOT.parent / "shared" / "manifests")).glob("*.yaml"))
#: What is true of released charts, each looked at; every other error or warning would be a false alarm.
TRUE_OF_CHARTS = {
    # The WAN port is served, and its own policy leaves it out.
    "bitnami__consul": {"closed-port"},
    # The Service has a port for TLS, which the Pods do not have without TLS.
    "bitnami__janusgraph": {"service-target-port"},
    # Rendered without the Deployments that these objects are of.
    "bitnami__mastodon": {"policy-selects-nothing", "service-selects-nothing"},
    # Policies of hostNetwork Pods alone.
    "bitnami__node-exporter": {"policy-selects-nothing"},
    "bitnami__whereabouts": {"policy-selects-nothing"},
}


@pytest.mark.skipif(not SETS, reason="the sets of real manifests are not here: NETLAB_MANIFESTS names their folder")
def test_released_charts_stay_green_where_they_are_healthy() -> None:
    lab = LAB.split("---", maxsplit=1)[0]
    codes = {path.stem: {one.code for one in strict(warned(path.read_text(encoding="utf-8"), lab))} for path in SETS}
    assert {name: found for name, found in codes.items() if found} == TRUE_OF_CHARTS


def test_a_link_that_loses_all_is_named_since_no_prediction_counts_it() -> None:
    text = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: x}
spec:
  links:
  - {between: [node-1, underlay], loss: 100%, from: node-1}
  - {between: [node-2, underlay], loss: 99%}
"""
    (warning,) = warned(lab=text)
    assert (warning.code, warning.level, warning.mark.line) == ("link-loses-all", "warning", 7)
    assert "node-1 loses all packets that it sends over the link between node-1 and underlay" in warning.message
