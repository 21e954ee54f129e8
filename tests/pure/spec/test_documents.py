"""What a user's files become: bodies without nulls, places, classes of kinds, warnings."""

from __future__ import annotations

import copy
import io
import os
import pickle
import threading
from pathlib import Path

import pytest

from netlab.errors import BadInput, Mark
from netlab.spec import Document, Documents, compose, load, load_text

HERE = Path(__file__).parent

POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: web
  labels: {app: web}
spec:
  nodeName: node-2
  volumes:
  containers:
  - null
  - name: web
    image: nginx:1.25
    ports:
    - containerPort: 80
      name: null
"""


def good(text: str) -> Documents:
    found = load_text(text, "lab.yaml")
    assert [str(each) for each in found.problems] == []
    return found


def only(text: str) -> Document:
    (document,) = good(text).objects
    return document


def lab(spec: str) -> Document:
    found = good(f"apiVersion: netlab/v1\nkind: Lab\nmetadata: {{name: small}}\nspec: {spec}\n").lab
    assert found is not None
    return found


def test_null_means_absent_at_every_depth() -> None:
    assert only(POD).body["spec"] == {
        "nodeName": "node-2",
        "containers": [{"name": "web", "image": "nginx:1.25", "ports": [{"containerPort": 80}]}],
    }


@pytest.mark.parametrize(
    ("path", "line", "column"),
    [
        ((), 1, 1),
        (("metadata", "name"), 4, 9),
        (("metadata", "labels"), 5, 11),
        (("spec",), 6, 1),
        (("spec", "containers"), 9, 3),
        (("spec", "containers", 0), 11, 5),
        (("spec", "containers", 0, "image"), 12, 12),
        (("spec", "containers", 0, "ports", 0, "containerPort"), 14, 22),
        (("spec", "containers", 0, "command", 3), 11, 5),
        (("spec", "containers", 7), 9, 3),
        (("status", "podIP"), 1, 1),
        (("spec", "nodeName", "deeper"), 7, 13),
    ],
)
def test_a_path_has_a_place_and_a_missing_one_its_nearest_ancestors(
    path: tuple[str, ...], line: int, column: int
) -> None:
    assert only(POD).at(*path) == Mark("lab.yaml", line, column)


def test_a_document_knows_its_name_group_and_namespace() -> None:
    pod = only(POD)
    assert (pod.api_version, pod.group, pod.kind, pod.namespace, pod.name) == ("v1", "", "Pod", "default", "web")
    policy = only("{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a, namespace: b}}")
    assert (policy.group, policy.namespace) == ("networking.k8s.io", "b")
    node = only("{apiVersion: v1, kind: Node, metadata: {name: a, namespace: b}}")
    assert node.namespace == ""


def test_a_document_can_be_copied_and_pickled_without_its_yaml() -> None:
    pod = only(POD)
    assert copy.deepcopy(pod) == pod
    assert pickle.loads(pickle.dumps(pod)) == pod


@pytest.mark.parametrize("word", ["on", "off"])
def test_on_and_off_are_words_where_a_word_is_wanted(word: str) -> None:
    assert lab(f"{{dns: {word}, offload: {word}}}").body["spec"] == {"dns": word, "offload": word}


@pytest.mark.parametrize(("word", "value"), [("yes", True), ("Off", False), ("true", True), ("!!bool no", False)])
def test_yes_and_no_are_booleans_where_a_boolean_is_wanted(word: str, value: bool) -> None:
    assert lab(f"{{underlay: {{learnsPodRoutes: {word}}}}}").body["spec"]["underlay"] == {"learnsPodRoutes": value}


@pytest.mark.parametrize(
    ("written", "value"),
    [("0644", 420), ("0o644", 420), ("0x1A4", 420), ("420", 420), ("4_20", 420), ("420.0", 420), ("!!int '420'", 420)],
)
def test_integers_as_the_kubernetes_tools_read_them(written: str, value: int) -> None:
    pod = only(
        "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a, image: x}], "
        f"volumes: [{{name: v, secret: {{defaultMode: {written}}}}}]}}}}"
    )
    assert pod.body["spec"]["volumes"][0]["secret"] == {"defaultMode": value}


def test_quantities_and_ports_may_be_numbers_or_strings() -> None:
    body = only(
        POD.replace("    ports:", "    resources: {limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 0.5}}\n    ports:")
    ).body
    assert body["spec"]["containers"][0]["resources"] == {
        "limits": {"cpu": 1, "memory": "1Gi"},
        "requests": {"cpu": 0.5},
    }


def test_an_empty_text_means_absent_where_kubernetes_takes_it_so() -> None:
    service = only(
        "{apiVersion: v1, kind: Service, metadata: {name: a, namespace: ''}, "
        "spec: {clusterIP: '', type: '', loadBalancerIP: '', ports: [{port: 80, name: '', protocol: '', nodePort: null}]}}"
    )
    assert service.body["spec"] == {"ports": [{"port": 80}]}
    assert service.namespace == "default"


def test_fields_of_older_versions_of_the_api_are_known() -> None:
    pod = only(
        POD.replace("  nodeName:", "  serviceAccount: old\n  nodeName:").replace(
            "  name: web\n", "  name: web\n  clusterName: c\n", 1
        )
    )
    assert pod.body["spec"]["serviceAccount"] == "old"


def test_lists_of_any_sort_are_flattened() -> None:
    found = good(
        "{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Namespace, metadata: {name: a}}, null, "
        "{apiVersion: v1, kind: Secret}]}\n---\n"
        "{apiVersion: v1, kind: NamespaceList, items: [{metadata: {name: b}}]}\n---\n"
        "{apiVersion: v1, kind: List, items: null}\n---\n{apiVersion: v1, kind: ConfigMapList}\n"
    )
    assert [(each.kind, each.name) for each in found.objects] == [("Namespace", "a"), ("Namespace", "b")]
    assert found.objects[1].body["kind"] == "Namespace"
    assert found.skipped == {"Secret": 1}


def test_kinds_that_cannot_matter_are_counted_and_not_read() -> None:
    found = good(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a}\nspec: {enum: [=, !x y]}\n"
        "---\n{apiVersion: v1, kind: ConfigMap}\n---\n{apiVersion: v1, kind: ConfigMap, nonsense: 1, nonsense: 2}\n"
        "---\n{apiVersion: cert-manager.io/v1, kind: Issuer, metadata: {name: a}}\n"
    )
    assert found.skipped == {"ConfigMap": 2, "CustomResourceDefinition": 1, "Issuer": 1}
    assert not found.objects
    assert not found.warnings


def test_kinds_that_matter_and_are_not_modelled_are_warned_of_one_by_one() -> None:
    found = good(
        "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: a, namespace: shop}}\n---\n"
        "{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: b}}\n---\n"
        "{apiVersion: networking.k8s.io/v1, kind: ServiceCIDR, metadata: {name: c}}\n---\n"
        "{apiVersion: crd.projectcalico.org/v1, kind: NetworkPolicy, metadata: {name: d}}\n"
    )
    assert [str(each) for each in found.warnings] == [
        "lab.yaml:1:1: Ingress shop/a is not modelled: it routes traffic",
        "lab.yaml:3:1: CiliumNetworkPolicy b is not modelled: it filters traffic",
        "lab.yaml:5:1: ServiceCIDR c is not modelled: it adds addresses for Services; write serviceCIDRs into the Lab",
        "lab.yaml:7:1: NetworkPolicy d is not modelled: it filters traffic",
    ]
    route, filters = "not-modelled-route", "not-modelled-filter"
    assert [each.code for each in found.warnings] == [route, filters, "not-modelled", filters]
    assert [each.object for each in found.warnings][:2] == ["Ingress shop/a", "CiliumNetworkPolicy b"]


def test_a_kind_that_nobody_knows_is_warned_of_once() -> None:
    one = "{apiVersion: example.com/v1, kind: Widget, metadata: {name: a}}\n"
    found = good(f"{one}---\n{one}")
    (warning,) = found.warnings
    assert warning.code == "not-modelled"
    assert "Widget (example.com/v1, 2 objects)" in warning.message
    assert warning.mark.line == 1


def test_of_one_object_twice_the_last_wins_in_the_first_ones_place() -> None:
    found = good(f"{POD}---\n{POD.replace('name: web', 'name: other')}---\n{POD.replace('node-2', 'node-1')}")
    assert [(each.name, each.body["spec"]["nodeName"]) for each in found.objects] == [
        ("web", "node-1"),
        ("other", "node-2"),
    ]
    (warning,) = found.warnings
    assert str(warning) == "lab.yaml:33:1: Pod default/web is written twice, first at lab.yaml:1:1; this one is taken"
    assert warning.code == "duplicate"


def test_a_cidr_with_host_bits_is_masked_in_a_policy_with_a_warning() -> None:
    found = good(
        "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a}, "
        "spec: {podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.10.1.12/24}}]}]}}"
    )
    assert found.objects[0].body["spec"]["egress"][0]["to"][0]["ipBlock"]["cidr"] == "10.10.1.0/24"
    assert [each.code for each in found.warnings] == ["host-bits"]


@pytest.mark.parametrize(
    ("kind", "strategy", "where"),
    [
        ("Deployment", "strategy: {type: Recreate, rollingUpdate: {maxSurge: 1}}", "rollingUpdate"),
        ("Deployment", "strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 0}}", "maxUnavailable"),
        ("Deployment", "strategy: {rollingUpdate: {maxSurge: 0%, maxUnavailable: 0%}}", "maxUnavailable"),
        ("Deployment", "strategy: {rollingUpdate: {maxUnavailable: 0}}", ""),
        ("Deployment", "strategy: {type: Recreate}", ""),
        ("DaemonSet", "updateStrategy: {rollingUpdate: {maxUnavailable: 0}}", "maxUnavailable"),
        ("DaemonSet", "updateStrategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}", ""),
    ],
)
def test_a_rollout_that_could_replace_no_pod_is_refused(kind: str, strategy: str, where: str) -> None:
    template = "{metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: x}]}}"
    spec = f"selector: {{matchLabels: {{a: b}}}}, template: {template}, {strategy}"
    found = load_text(f"{{apiVersion: apps/v1, kind: {kind}, metadata: {{name: w}}, spec: {{{spec}}}}}")
    assert [each.path.rpartition(".")[2] for each in found.problems] == ([where] if where else [])


def test_blanks_around_source_ranges_are_nothing() -> None:
    """The API server trims them: they were a list in one annotation once."""
    found = good(
        "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {type: LoadBalancer, "
        "ports: [{port: 80}], loadBalancerSourceRanges: [' 10.0.0.0/8 ', 'fd00::/8 ', ' 192.0.2.7/24']}}"
    )
    assert found.objects[0].body["spec"]["loadBalancerSourceRanges"] == ["10.0.0.0/8", "fd00::/8", "192.0.2.0/24"]
    assert [each.code for each in found.warnings] == ["host-bits"]


def test_helm_hooks_are_what_an_installation_leaves_in_one_line() -> None:
    def hook(name: str, kind: str, hooks: str, policy: str = "") -> str:
        more = f", helm.sh/hook-delete-policy: '{policy}'" if policy else ""
        spec = (
            "podSelector: {}"
            if kind == "NetworkPolicy"
            else "template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}"
        )
        group = "networking.k8s.io" if kind == "NetworkPolicy" else "batch"
        notes = f"{{helm.sh/hook: '{hooks}'{more}}}"
        return f"{{apiVersion: {group}/v1, kind: {kind}, metadata: {{name: {name}, annotations: {notes}}}, spec: {{{spec}}}}}"

    texts = [
        hook("stays", "Job", "pre-install, pre-upgrade", "before-hook-creation"),
        hook("deny", "NetworkPolicy", "post-install", "before-hook-creation,hook-failed"),
        hook("gone", "Job", "Post-Install", "before-hook-creation, Hook-Succeeded"),
        hook("later", "NetworkPolicy", "pre-upgrade"),
        hook("test", "Job", "test"),
        hook("typo", "NetworkPolicy", "pre-instal"),
    ]
    found = good("\n---\n".join(texts))
    assert [each.name for each in found.objects] == ["stays", "deny"]
    assert [each.name for each in found.left_out] == ["gone", "later", "test", "typo"]
    (note,) = found.warnings
    assert (note.code, note.level) == ("helm-hook", "note")
    assert note.message == (
        "6 Helm hooks, as helm install leaves them: left out as not there: Job default/gone, NetworkPolicy default/later, "
        "Job default/test and 1 more; ended, so their Pods are left out: Job default/stays; "
        "still there: NetworkPolicy default/deny"
    )


@pytest.mark.parametrize(
    ("group", "kind", "code"),
    [
        ("policy.networking.k8s.io/v1alpha1", "AdminNetworkPolicy", ""),
        ("policy.networking.k8s.io/v1alpha1", "BaselineAdminNetworkPolicy", ""),
        ("policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy", ""),
        ("policy.networking.x-k8s.io/v1", "Anything", "not-modelled-filter"),
        ("projectcalico.org/v3", "GlobalNetworkPolicy", "not-modelled-filter"),
        ("crd.projectcalico.org/v1", "IPPool", "not-modelled"),
        ("security.istio.io/v1", "AuthorizationPolicy", "not-modelled-filter"),
        ("gateway.networking.k8s.io/v1", "HTTPRoute", "not-modelled-route"),
        ("elasticsearch.k8s.elastic.co/v1", "Elasticsearch", "not-modelled-pods"),
        ("argoproj.io/v1alpha1", "Application", "not-modelled-pods"),
        ("argoproj.io/v1alpha1", "AppProject", ""),
        ("projectcalico.org/v3", "NetworkSet", ""),
    ],
)
def test_whatever_filters_routes_or_makes_pods_is_warned_of(group: str, kind: str, code: str) -> None:
    subject = "spec: {priority: 1, subject: {namespaces: {}}}" if kind != "ClusterNetworkPolicy" else ""
    tier = "spec: {tier: Admin, priority: 1, subject: {namespaces: {}}}"
    name = "default" if kind.startswith("Baseline") else "all"
    subject = subject.replace("priority: 1, ", "") if kind.startswith("Baseline") else subject
    found = good(f"{{apiVersion: {group}, kind: {kind}, metadata: {{name: {name}}}, {subject or tier}}}")
    assert [each.code for each in found.warnings] == ([code] if code else [])
    assert all(each.object == f"{kind} {name}" and each.mark.line == 1 for each in found.warnings)


def test_anchors_aliases_and_merge_keys_work() -> None:
    found = good(
        POD.replace("labels: {app: web}", "labels: &l {app: web}\n  annotations: *l")
        + "---\n"
        + POD.replace("name: web\n  labels: {app: web}", "name: b\n  labels: {<<: [{app: a, x: y}, {x: z}], app: own}")
    )
    assert found.objects[0].body["metadata"]["annotations"] == {"app": "web"}
    assert found.objects[1].body["metadata"]["labels"] == {"app": "own", "x": "y"}


def test_a_byte_order_mark_utf_16_and_windows_lines_are_fine(tmp_path: Path) -> None:
    for name, data in {
        "a.yaml": b"\xef\xbb\xbf" + POD.encode(),
        "b.yaml": POD.encode("utf-16"),
        "c.yaml": POD.replace("\n", "\r\n").encode(),
    }.items():
        (tmp_path / name).write_bytes(data)
        found = load([tmp_path / name])
        assert [each.name for each in found.objects] == ["web"], name
        assert found.objects[0].at("metadata", "name").line == 4, name


def test_a_folder_is_read_sorted_without_expectations_and_folders(tmp_path: Path) -> None:
    (tmp_path / "b.yml").write_text(POD)
    (tmp_path / "a.json").write_text('{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}')
    (tmp_path / "expect.yaml").write_text("default: deny\n")
    (tmp_path / "README.md").write_text("# not a manifest\n")
    (tmp_path / "empty.yaml").write_text("")
    (tmp_path / "deeper.yaml").mkdir()
    found = load([tmp_path, tmp_path / "b.yml"])
    assert not found.problems
    assert [each.kind for each in found.objects] == ["Namespace", "Pod"]
    assert found.sources == tuple(str(tmp_path / each) for each in ("a.json", "b.yml", "empty.yaml"))


def test_an_empty_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no manifest in this folder"):
        load([tmp_path])


def test_standard_input_is_a_file_too() -> None:
    found = load(["-"], io.BytesIO(POD.encode()))
    assert found.objects[0].mark == Mark("<stdin>", 1, 1)
    assert found.sources == ("<stdin>",)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"missing\.yaml: cannot be read: No such file or directory"):
        load([tmp_path / "missing.yaml"])


def test_a_pipe_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=(POD,))
    writer.start()
    found = load([path])
    writer.join()
    assert len(found.objects) == 1


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    with path.open("wb") as file:
        file.truncate(64 * 1024 * 1024 + 1)
    assert "larger than 64 MiB" in str(load([path]).problems[0])


def test_the_slow_composer_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [POD, *(path.read_text() for path in sorted((HERE / "manifests").glob("*.yaml")))]
    fast = [load_text(text) for text in texts]
    monkeypatch.setattr(compose, "LOADER", compose._pure_loader())
    slow = [load_text(text) for text in texts]
    assert [each.objects for each in slow] == [each.objects for each in fast]
    assert [each.objects[0].at("spec") for each in slow] == [each.objects[0].at("spec") for each in fast]
    assert load_text("a: b: c").problems
