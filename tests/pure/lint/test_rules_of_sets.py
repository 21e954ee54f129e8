"""The rules that look at what a set asks for: served ports, named servers, the API server's calls, rules of one side."""

from __future__ import annotations

import pytest

from netlab.lint import kept, lint, ordered
from netlab.model import build
from netlab.spec import Warning, load_text

SHOP = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: shop}
spec: {dataplane: kindnet, nodes: [{name: node-1}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec:
  serviceName: db
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: c, image: x, ports: [{name: sql, containerPort: 5432}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: sql, port: 5432}]}
---
apiVersion: v1
kind: Service
metadata: {name: reader, namespace: shop}
spec: {selector: {app: db}, ports: [{name: sql, port: 80, targetPort: sql}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: c
        image: x
        ports: [{name: http, containerPort: 8080}, {name: admin, containerPort: 9090}]
        env: [ENV]
        envFrom: [{configMapRef: {name: settings}}]
      volumes: [{name: v, projected: {sources: [{configMap: {name: file}}]}}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 443, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: job, namespace: shop, labels: {app: job}}
spec: {containers: [{name: c, image: x, args: [ARGS]}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
data: {SETTING}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: file, namespace: shop}
data:
  app.conf: |
    FILE
---
apiVersion: v1
kind: ConfigMap
metadata: {name: unused, namespace: shop}
data: {URL: "http://db:5432"}
---
apiVersion: v1
kind: Secret
metadata: {name: settings, namespace: shop}
stringData: {URL: "http://db:5432"}
"""
ONLY_JOB = "podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: job}}}]}]"
TO_DB = "podSelector: {matchLabels: {app: job}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: db}}}]}]"


def policy(spec: str, name: str = "p", annotations: str = "{}") -> str:
    meta = f"{{name: {name}, namespace: shop, annotations: {annotations}}}"
    return f"---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {meta}\nspec: {{{spec}}}\n"


def warned(
    more: str, env: str = "", args: str = "", setting: str = "", file: str = "", ignore: str = ""
) -> list[Warning]:
    text = SHOP.replace("[ENV]", f"[{env}]").replace("[ARGS]", f"[{args}]")
    documents = load_text(text.replace("{SETTING}", f"{{{setting}}}").replace("FILE", file) + more, "shop.yaml")
    assert not documents.problems
    built = build(documents)
    found = kept((*built.warnings, *lint(built.cluster, documents)), documents, [ignore] if ignore else [])
    return ordered(found, documents.sources)


def of(code: str, found: list[Warning]) -> list[Warning]:
    return [each for each in found if each.code == code]


def value(text: str, name: str = "A") -> str:
    return f"{{name: {name}, value: '{text}'}}"


# -- named flows ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "server", "key"),
    [
        ({"env": value("postgres://u:hush@db/x")}, "db:5432", "env A"),
        ({"env": value("db:5432,other:1")}, "db:5432", "env A"),
        ({"env": value("db.shop.svc.cluster.local")}, "db.shop.svc.cluster.local", "env A"),
        ({"env": value("http://reader/x")}, "reader:80", "env A"),
        ({"env": value("db-1.db:5432")}, "db-1.db:5432", "env A"),
        ({"env": f"{value('db', 'H')}, {value('tcp://$(H):5432')}"}, "db:5432", "env A"),
        ({"setting": "REDIS: 'db.shop:5432'"}, "db.shop:5432", "ConfigMap settings REDIS"),
        ({"file": "upstream = db:5432;"}, "db:5432", "ConfigMap file app.conf"),
        (
            {
                "env": "{name: A, valueFrom: {configMapKeyRef: {name: settings, key: B}}}, " + value("http://x", "C"),
                "setting": "B: 'tcp://reader'",
            },
            "reader",
            "env A",
        ),
    ],
)
def test_a_server_that_a_text_names_and_the_pod_may_not_reach_is_a_note(
    texts: dict[str, str], server: str, key: str
) -> None:
    (found,) = of("named-flow", warned(policy(ONLY_JOB), **texts))
    assert found.message.startswith(f"Deployment shop/web names {server} ({key}) and may not reach it: ")
    assert "ingress of shop/p does not admit it" in found.message
    assert (found.level, found.object, found.mark.file) == ("note", "Deployment shop/web", "shop.yaml")
    assert "hush" not in "".join(map(str, found))


def test_args_are_read_and_both_sides_are_named() -> None:
    own = policy("podSelector: {matchLabels: {app: job}}, policyTypes: [Egress]", "q")
    (found,) = of("named-flow", warned(policy("podSelector: {matchLabels: {app: db}}") + own, args="--db=db:5432"))
    assert found.object == "Pod shop/job"
    assert found.message.endswith(
        "(args of container c) and may not reach it: egress of shop/q has no rule for it and "
        "ingress of shop/p does not admit it"
    )


@pytest.mark.parametrize(
    "texts",
    [
        {"env": value("db")},  # a bare word
        {"env": value("web:443")},  # itself
        {"env": value("db:5433")},  # no port of the Service
        {"env": value("db.other:5432")},  # another namespace's
        {"env": value("user db:5432@host")},  # a password
        {"env": value("http://db:5432@host/")},
        {"env": value("https://db.example.com:5432")},
        {"args": "db:5432"},  # the job may
    ],
)
def test_no_flow_is_named_that_nobody_meant(texts: dict[str, str]) -> None:
    assert of("named-flow", warned(policy(ONLY_JOB), **texts)) == []


# -- closed ports, and the API server ---------------------------------------------------------------------------------


def hook(kind: str, body: str) -> str:
    group = "apiregistration.k8s.io" if kind == "APIService" else "apiextensions.k8s.io"
    group = "admissionregistration.k8s.io" if kind.endswith("Configuration") else group
    return f"---\napiVersion: {group}/v1\nkind: {kind}\nmetadata: {{name: h}}\n{body}\n"


SERVICE = "service: {namespace: shop, name: web}"
CALLS = [
    hook("ValidatingWebhookConfiguration", f"webhooks: [{{name: a, clientConfig: {{{SERVICE}}}}}]"),
    hook("MutatingWebhookConfiguration", f"webhooks: [{{name: a, clientConfig: {{{SERVICE}}}}}]"),
    hook("APIService", f"spec: {{{SERVICE}}}"),
    hook("CustomResourceDefinition", f"spec: {{conversion: {{webhook: {{clientConfig: {{{SERVICE}}}}}}}}}"),
]
WEB = "podSelector: {matchLabels: {app: web}}"


@pytest.mark.parametrize("call", CALLS)
def test_the_api_server_that_may_not_reach_what_it_must_call_is_warned_of(call: str) -> None:
    peers = "from: [{podSelector: {}}, {namespaceSelector: {}}]"
    (found,) = of("api-server-denied", warned(policy(f"{WEB}, ingress: [{{{peers}}}]") + call))
    assert found.level == "warning" and found.object == "Service shop/web"
    assert "it may not reach 8080/TCP there: NetworkPolicy p isolates Deployment/web" in found.message


@pytest.mark.parametrize(
    "rule",
    ["{}", "{ports: [{port: 8080}]}", "{ports: [{port: http}]}", "{from: [{ipBlock: {cidr: 172.18.0.0/24}}]}"],
)
def test_a_rule_without_peers_or_with_networks_admits_the_api_server(rule: str) -> None:
    assert of("api-server-denied", warned(policy(f"{WEB}, ingress: [{rule}]") + "".join(CALLS))) == []


@pytest.mark.parametrize("port", ["443", "htp"])
def test_a_port_that_is_closed_by_an_error_is_not_warned_of_again(port: str) -> None:
    assert of("closed-port", warned(policy(f"{WEB}, ingress: [{{ports: [{{port: {port}}}]}}]"))) == []


def test_a_port_is_closed_only_where_no_rule_of_any_policy_opens_it() -> None:
    deny = policy("podSelector: {}, policyTypes: [Ingress]")
    assert len(of("closed-port", warned(deny))) == 3
    for label, closed in (("client: 'true'", 0), ("app: cortex", 3)):  # of another chart, and one that nobody has
        peers = f"from: [{{podSelector: {{matchLabels: {{{label}}}}}}}]"
        opens = policy(f"podSelector: {{}}, ingress: [{{{peers}, ports: [{{port: http}}, {{port: sql}}]}}]", "q")
        assert len(of("closed-port", warned(deny + opens))) == closed


# -- notes on policies ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "fires"),
    [
        (f"{WEB}, ingress: [{{}}]", True),
        (f"{WEB}, ingress: [{{ports: [{{port: 8080}}, {{port: admin}}]}}], egress: [{{}}]", True),
        (f"{WEB}, ingress: [{{ports: [{{port: 8080}}]}}]", False),
        (f"{WEB}, ingress: [{{}}], policyTypes: [Ingress, Egress]", False),
        (f"{WEB}, ingress: [{{from: [{{podSelector: {{}}}}]}}]", False),
        ("podSelector: {matchLabels: {app: job}}, ingress: [{ports: [{port: 1}]}]", False),
    ],
)
def test_a_policy_that_denies_nothing_is_a_note(spec: str, fires: bool) -> None:
    found = of("denies-nothing", warned(policy(spec)))
    assert bool(found) is fires
    assert all(each.level == "note" for each in found)


def test_a_rule_whose_other_side_denies_it_all_is_a_note() -> None:
    both = policy(TO_DB, "out") + policy("podSelector: {matchLabels: {app: db}}", "lock")
    (found,) = of("one-sided", warned(both))
    assert found.message == "NetworkPolicy shop/out egress[0]: ingress of shop/lock admits nothing of it (any port)"
    admits = policy(ONLY_JOB, "in") + policy("podSelector: {matchLabels: {app: job}}, policyTypes: [Egress]", "mute")
    (found,) = of("one-sided", warned(admits))
    assert found.message == "NetworkPolicy shop/in ingress[0]: egress of shop/mute opens nothing of it (any port)"


def test_a_rule_that_the_other_side_admits_in_part_is_right() -> None:
    assert of("one-sided", warned(policy(TO_DB, "out") + policy(ONLY_JOB, "in"))) == []
    other = "podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 5432}]}]"
    ranged = TO_DB.replace("}}}]}]", "}}}], ports: [{port: 5000, endPort: 6000}]}]")
    assert of("one-sided", warned(policy(ranged, "out") + policy(other, "in"))) == []


def test_a_port_that_no_selected_pod_declares_is_a_note() -> None:
    rule = "ingress: [{ports: [{port: 8080}, {port: 8443}, {port: 1, endPort: 9}, {port: 53, protocol: UDP}]}]"
    (found,) = of("port-undeclared", warned(policy(f"{WEB}, {rule}")))
    assert "declares port 8443/TCP" in found.message and found.level == "note"
    assert of("port-undeclared", warned(policy(f"podSelector: {{matchLabels: {{app: job}}}}, {rule}"))) == []


def test_a_pod_that_names_a_server_needs_names() -> None:
    spec = "podSelector: {matchLabels: {app: job}}, policyTypes: [Egress], egress: [{ports: [{port: 5432}]}]"
    assert of("egress-without-dns", warned(policy(spec))) == []
    (found,) = of("egress-without-dns", warned(policy(spec), args="http://db:5432"))
    assert found.level == "warning" and "isolates shop/job" in found.message
    udp = spec.replace("5432}", "5432}, {port: 53, protocol: UDP}")
    (found,) = of("egress-without-dns", warned(policy(udp), args="http://db:5432"))
    assert found.level == "note" and "53/TCP" in found.message


def test_the_target_port_that_another_rule_opens_to_the_same_peers_is_right() -> None:
    peers = "from: [{podSelector: {matchLabels: {app: job}}}]"
    wrong = policy(f"{WEB}, ingress: [{{{peers}, ports: [{{port: 443}}]}}]")
    assert len(of("port-of-service", warned(wrong))) == 1
    assert (
        of("port-of-service", warned(wrong + policy(f"{WEB}, ingress: [{{{peers}, ports: [{{port: http}}]}}]", "q")))
        == []
    )
    elsewhere = "from: [{podSelector: {matchLabels: {app: db}}}]"
    more = policy(f"{WEB}, ingress: [{{{elsewhere}, ports: [{{port: http}}]}}]", "q")
    assert len(of("port-of-service", warned(wrong + more))) == 1


def test_a_workload_stands_for_its_pods_so_no_message_has_a_hash() -> None:
    quiet = "podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}], ports: [{port: 1}]}]"
    (found,) = of("egress-without-dns", warned(policy(quiet)))
    assert "isolates shop/web for egress" in found.message
