"""``netlab test``: manifests in, verdicts out, on a lab of its own that leaves nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, command

# In one worker: tests look for labs of `netlab test` that were left, and others' are there meanwhile.
pytestmark = [pytest.mark.kernel, pytest.mark.xdist_group("netlab-test")]

INPUTS = Path(__file__).parent / "inputs"
BOUTIQUE = INPUTS / "online-boutique.yaml"
#: The 26 flows of Online Boutique, by target.
FLOWS = {
    "frontend:8080": "adservice cartservice checkoutservice currencyservice emailservice loadgenerator paymentservice "
    "productcatalogservice recommendationservice redis-cart shippingservice",
    "adservice:9555": "frontend",
    "checkoutservice:5050": "frontend",
    "recommendationservice:8080": "frontend",
    "cartservice:7070": "checkoutservice frontend",
    "currencyservice:7000": "checkoutservice frontend",
    "shippingservice:50051": "checkoutservice frontend",
    "emailservice:8080": "checkoutservice",
    "paymentservice:50051": "checkoutservice",
    "productcatalogservice:3550": "checkoutservice frontend recommendationservice",
    "redis-cart:6379": "cartservice",
}

POD = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{containers: [{{name: main, image: x, ports: [{{containerPort: {port}}}]}}]}}
---
"""
POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: {name}}}
spec:
  podSelector: {{matchLabels: {{app: {name}}}}}
  ingress: [{{from: [{{podSelector: {{matchLabels: {{app: {peer}}}}}}}], ports: [{{port: {port}}}]}}]
---
"""


def deployment(name: str, port: int = 80, replicas: int = 1) -> str:
    return POD.format(name=name, port=port, replicas=replicas)


def policy(name: str, peer: str, port: int = 80) -> str:
    return POLICY.format(name=name, peer=peer, port=port)


SHOP = deployment("web", 8080) + deployment("db", 5432, 2) + policy("db", "web", 5432)


def labs(folder: str = "/run/netns") -> dict[str, int]:
    """The namespaces of the labs of tests that are there now, and the processes whose labs they are."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    found = {name: re.match(r"test-(\d+)-\d+", name) for name in names}
    return {name: int(match[1]) for name, match in found.items() if match}


def left(owners: Collection[int] = ()) -> list[str]:
    """Namespaces and run state of labs whose process has ended, of ``owners`` alone: other tests run beside this one."""
    there = [entry for folder in ("/run/netns", "/run/netlab") for entry in labs(folder).items()]
    return [name for name, pid in there if not parent(pid) and (not owners or pid in owners)]


def parent(pid: int) -> int:
    """The parent of a process; 0: it has ended."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if status[0] == "Z" else int(status[1])


def family(pid: int) -> set[int]:
    """A process, its parent, and that one's."""
    return {pid, parent(pid), parent(parent(pid) or pid)}


def workers(file: Path) -> list[str]:
    """The processes of ``netlab test`` of that file."""
    return [pid for pid in os.listdir("/proc") if pid.isdigit() and parent(int(pid)) and str(file) in words(pid)]


def words(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""


@pytest.fixture
def tested(netlab: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """Run ``netlab test`` on a text of manifests."""

    def run(text: str, *words: str | Path, **more: Any) -> Any:
        file = tmp_path / "shop.yaml"
        file.write_text(text)
        return netlab("test", "-f", file, *words, **more)

    return run


def test_online_boutique_gives_exactly_its_flows(netlab: Callable[..., Any]) -> None:
    """26 of the 121 flows between its workloads are open; a stranger reaches the frontend alone."""
    result = netlab("test", "-f", "-", "-o", "json", input=BOUTIQUE.read_text()).json
    pods = [flow for flow in result["flows"] if flow["to_kind"] == "pod"]
    own = [flow for flow in pods if not flow.get("stand_in") and flow["from"].startswith("default/")
           and flow["to"].startswith("default/")]  # fmt: skip
    is_open: dict[str, set[str]] = {}
    for flow in own:
        if flow["outcome"] == "open":
            is_open.setdefault(f"{flow['to_workload']}:{flow['port']}", set()).add(flow["from_workload"])
        else:
            assert flow["outcome"] == "denied" and flow["because"][0]["policy"]
    assert len(own) == 121
    assert is_open == {target: set(sources.split()) for target, sources in FLOWS.items()}
    strangers = [flow for flow in pods if flow["from"] == "stranger/stranger" and flow["outcome"] == "open"]
    assert {flow["to_workload"] for flow in strangers} == {"frontend"}
    assert all(flow["server"] == flow["to"] for flow in own if flow["outcome"] == "open")
    assert not result["predicted_only"] and not result["failed"]


def test_a_line_a_target_says_who_reaches_it(netlab: Callable[..., Any]) -> None:
    lines = netlab("test", "-f", BOUTIQUE).stdout.splitlines()
    shown = dict(line.strip().split(" <- ") for line in lines if " <- " in line)
    assert shown["redis-cart:6379"] == "cartservice"
    assert shown["frontend:8080"].startswith("everyone, strangers")
    assert lines[0].endswith("ok") and "12 workloads, 13 policies" in lines[0]
    assert not left()


def test_nothing_of_a_set_runs_on_the_host(tested: Callable[..., Any], tmp_path: Path) -> None:
    """Commands, probes, host paths, privileged containers, sysctls, and names that a terminal would obey."""
    marker = tmp_path / "touched"
    before = Path("/proc/sys/net/ipv4/ip_forward").read_text()
    hostile = f"""
apiVersion: v1
kind: Pod
metadata: {{name: bad, labels: {{app: bad}}, annotations: {{title: "\\e]0;owned\\a\\e[31m"}}}}
spec:
  hostPID: true
  hostIPC: true
  securityContext: {{sysctls: [{{name: net.ipv4.ip_forward, value: "0"}}, {{name: kernel.msgmax, value: "1"}}]}}
  initContainers:
  - {{name: init, image: x, command: [sh, -c, "touch {marker}"], securityContext: {{privileged: true}}}}
  containers:
  - name: main
    image: x
    command: [sh, -c, "touch {marker}; rm -rf /tmp/*"]
    args: ["$(reboot)"]
    env: [{{name: A, value: "\\e[2J`touch {marker}`"}}]
    ports: [{{containerPort: 80}}]
    securityContext: {{privileged: true}}
    lifecycle: {{postStart: {{exec: {{command: [touch, "{marker}"]}}}}}}
    livenessProbe: {{exec: {{command: [touch, "{marker}"]}}}}
    volumeMounts: [{{name: root, mountPath: /host}}]
  volumes: [{{name: root, hostPath: {{path: /}}}}]
---
""" + deployment("web")
    result = tested(hostile)
    assert not marker.exists()
    assert Path("/proc/sys/net/ipv4/ip_forward").read_text() == before
    assert "\x1b" not in result.stdout + result.stderr
    assert "bad:80 <- " in result.stdout
    name = tested(hostile.replace("name: bad", 'name: "\\e[31mbad"'), check=2)
    assert "\x1b" not in name.stdout + name.stderr


def test_expectations_that_hold_are_green(tested: Callable[..., Any], tmp_path: Path) -> None:
    expect = tmp_path / "flows.yaml"
    expect.write_text("default: deny\nflows:\n- {from: deploy/web, to: deploy/db, expect: allow}\n"
                      "- {from: [deploy/db, external/internet], to: deploy/web, expect: allow}\n")  # fmt: skip
    result = tested(SHOP, "--expect", expect, "-o", "json").json
    expected = [flow for flow in result["flows"] if flow["expected"]]
    assert {flow["expected"] for flow in expected} == {"allow", "deny"}
    assert result["failed"] == 0 and result["passed"] == len(result["flows"])


def test_a_failure_names_both_sides_the_nearest_rule_and_what_to_type(
    netlab: Callable[..., Any], tested: Callable[..., Any], tmp_path: Path, lab_name: str
) -> None:
    expect = tmp_path / "flows.yaml"
    expect.write_text("flows:\n- {from: deploy/api, to: deploy/db, expect: allow, why: the API reads it}\n")
    shop = SHOP + deployment("api", 8080)
    result = tested(shop, "--expect", expect, check=1)
    assert result.stdout.splitlines()[0].endswith("FAIL")
    assert "FAIL api -> deploy/db (2):5432 (2 flows): expected allow, got denied" in result.stdout
    assert re.search(
        r"ingress of deploy/db \(2\): nearest is default/db ingress\[0\] \(.*shop.yaml:\d+\)", result.stdout
    ) or re.search(r"ingress of deploy/db \(2\): default/db ingress\[0\] \(.*shop.yaml:\d+\)", result.stdout)
    assert "peer api has app=api, not app=web" in result.stdout
    assert 'flows.yaml:2:3 "the API reads it"' in result.stdout
    typed = re.search(r"look at it: .*netlab (test .*) --keep look; .*netlab trace --lab look (.*)", result.stdout)
    assert typed
    try:
        tested(shop, "--expect", expect, "--keep", lab_name, check=1)
        trace = netlab("trace", "--lab", lab_name, *typed[2].split(), check=1)
        assert "NetworkPolicy default/db isolates" in " ".join(trace.stdout.split())
        assert netlab("get", "pods", "--lab", lab_name, "-n", "default", "-o", "name").stdout.count("pod/stranger") == 1
        tested(shop, "--keep", lab_name)  # replaces what was kept
        netlab("exec", "--lab", lab_name, "deploy/web", "--", "nslookup", "kube-dns.kube-system")  # names are looked up
        (more := tmp_path / "more.yaml").write_text(deployment("more"))
        netlab("apply", "--lab", lab_name, "-f", more)  # it can be changed as any lab
        netlab("delete", "--lab", lab_name, "-f", more)
    finally:
        netlab("down", lab_name)


def test_keep_does_not_take_another_lab(
    netlab: Callable[..., Any], tested: Callable[..., Any], lab_name: str, kit: Any
) -> None:
    kit.up(kit.spec(lab_name))
    try:
        refused = tested(SHOP, "--keep", lab_name, check=2)
        assert "no test kept it" in refused.stderr
        assert lab_name in [each["lab"] for each in netlab("ls", "-o", "json").json]
    finally:
        kit.down(lab_name)


def test_what_is_recorded_holds_and_a_change_that_opens_fails(tested: Callable[..., Any], tmp_path: Path) -> None:
    written = tmp_path / "written.yaml"
    shop = SHOP + policy("web", "client", 8080)
    tested(shop, "--write", written)
    tested(shop, "--expect", written)
    wider = shop.replace("app: client", "app: db")
    assert wider != shop
    failed = tested(wider, "--expect", written, check=1)
    assert "deploy/db (2) -> web:8080" in failed.stdout and "expected deny, got open" in failed.stdout
    stranger = SHOP + policy("web", "client", 8080).replace("from: [{podSelector: {matchLabels: {app: client}}}], ", "")
    failed = tested(stranger, "--expect", written, check=1)
    assert "stranger (stand-in)" in failed.stdout


def test_against_shows_the_flows_that_open_and_close(tested: Callable[..., Any], tmp_path: Path) -> None:
    old, markdown = tmp_path / "old.yaml", tmp_path / "summary.md"
    old.write_text(SHOP)
    result = tested(
        SHOP.replace(policy("db", "web", 5432), policy("db", "api", 5432)),
        "--against",
        old,
        "--markdown",
        markdown,
        "-q",
    )
    assert re.search(r"closes web -> deploy/db:5432 +denied by default/db", result.stdout)
    assert "| closes | `web -> deploy/db:5432` | denied by default/db |" in markdown.read_text()
    opened = tested(SHOP.partition("apiVersion: networking")[0], "--against", old, "-o", "json").json["changes"]
    assert {change["change"] for change in opened} == {"opens"}
    assert {change["from"] for change in opened} >= {"internet", "stranger/stranger (stand-in)"}


def test_green_needs_evidence(tested: Callable[..., Any], tmp_path: Path) -> None:
    """A Service without endpoints refuses, and an address that nobody has is silent: neither is denied by a policy."""
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: gone}\nspec: {selector: {app: gone}, ports: [{port: 80}]}\n---\n"
    expect = tmp_path / "flows.yaml"
    expect.write_text("flows:\n- {from: deploy/web, to: svc/gone, expect: deny}\n")
    assert "expected deny, got refused" in tested(SHOP + service, "--expect", expect, check=1).stdout
    expect.write_text("flows:\n- {from: deploy/web, to: 198.51.100.7, port: 80, expect: deny}\n")
    assert "no policy denies it" in tested(SHOP + service, "--expect", expect, check=1).stdout
    expect.write_text("flows:\n- {from: external/internet, to: deploy/db, expect: deny}\n")
    flows = tested(SHOP, "--expect", expect, "-o", "json").json["flows"]
    denied = [flow for flow in flows if flow["expected"]]
    assert len(denied) == 2 and all(flow["because"][0]["policy"] == "default/db" for flow in denied)


def test_backends_that_differ_are_the_failure(tested: Callable[..., Any], tmp_path: Path) -> None:
    pods = "".join(
        f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{svc: db, app: {name}}}}}\n"
        "spec: {containers: [{name: main, image: x, ports: [{containerPort: 5432}]}]}\n---\n"
        for name in ("one", "two", "three")
    )
    service = (
        "apiVersion: v1\nkind: Service\nmetadata: {name: db}\nspec: {selector: {svc: db}, ports: [{port: 5432}]}\n---\n"
    )
    expect = tmp_path / "flows.yaml"
    for wanted in ("allow", "deny"):
        expect.write_text(f"flows:\n- {{from: deploy/client, to: svc/db, expect: {wanted}}}\n")
        text = pods + service + deployment("client") + policy("one", "nobody", 5432) + policy("two", "nobody", 5432)
        result = tested(text, "--expect", expect, check=1)
        number = "denied on 2 of 3" if wanted == "allow" else "open on 1 of 3"
        assert f"expected {wanted}, got {number} backends" in result.stdout
        assert (
            "one" in result.stdout and "default/one" in result.stdout if wanted == "allow" else "three" in result.stdout
        )


def test_stand_ins_are_marked_and_may_be_left_out(tested: Callable[..., Any]) -> None:
    text = deployment("web", 8080) + policy("web", "gateway", 8080) + policy("worker", "web", 9000)
    shown = tested(text).stdout
    assert "web:8080 <- gateway (stand-in)" in shown and "worker (stand-in):9000 <- web" in shown
    assert "(stand-in)" not in tested(text, "--no-stand-ins").stdout
    assert "web:8080 <- nobody" in tested(text, "--no-stand-ins").stdout


def test_a_closed_port_of_a_service_is_marked(tested: Callable[..., Any]) -> None:
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 8080}]}\n---\n"
    closed = (
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: all}\nspec: {podSelector: {}}\n---\n"
    )
    shown = tested(deployment("web", 8080) + deployment("other", 9000) + service + closed).stdout
    assert "web:8080 <- nobody (!)" in shown
    assert re.search(r"other:9000 <- nobody$", shown, re.M)


def test_the_api_server_is_reached_by_service_and_address(tested: Callable[..., Any], tmp_path: Path) -> None:
    """Rules see its own port 6443, not the 443 of the Service ``kubernetes``."""
    egress = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{ports: [{port: %d}]}]}
---
"""
    expect = tmp_path / "flows.yaml"
    expect.write_text("flows:\n- {from: deploy/web, to: svc/kubernetes, port: 443, expect: allow}\n")
    tested(deployment("web") + egress % 6443, "--expect", expect)
    tested(deployment("web") + egress % 443, "--expect", expect, check=1)


def test_objects_without_a_namespace_go_where_the_others_are(tested: Callable[..., Any]) -> None:
    text = deployment("web", 8080).replace("metadata: {name: web}", "metadata: {name: web, namespace: shop}")
    shown = tested(text + policy("web", "web", 8080))
    assert "1 object without a namespace taken into shop" in shown.stdout
    assert "web:8080 <- " in shown.stdout
    elsewhere = tested(text + policy("web", "web", 8080), "-n", "other", check=1)  # and lint says what that means
    assert "without a namespace taken" not in elsewhere.stdout and "error policy-namespace" in elsewhere.stdout


def test_exit_statuses(tested: Callable[..., Any], netlab: Callable[..., Any], tmp_path: Path) -> None:
    assert "nothing was tested" in tested("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", check=2).stdout
    tested("kind: [", check=2)
    expect = tmp_path / "flows.yaml"
    expect.write_text("flows:\n- {from: deploy/wbe, to: deploy/db, expect: allow}\n")
    assert 'did you mean "deploy/web"' in tested(SHOP, "--expect", expect, check=2).stderr
    netlab("test", check=2)
    assert "nothing" not in tested(SHOP).stdout


def test_several_sets_each_have_their_result(netlab: Callable[..., Any], tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(SHOP)
    bad.write_text("kind: [")
    junit = tmp_path / "junit.xml"
    result = netlab("test", good, bad, good, "--jobs", "2", "-o", "json", "--junit", junit, check=2).json
    assert [(each["name"], each["status"]) for each in result["sets"]] == [
        (str(good), 0),
        (str(bad), 2),
        (str(good), 0),
    ]
    assert {flow["set"] for flow in result["flows"]} == {str(good)}
    text = netlab("test", good, bad, "--jobs", "2", check=2).stdout
    assert f"{bad}: bad input" in text and "2 sets in" in text
    assert not left()


def test_a_lab_folder_is_tested_with_its_expectations(netlab: Callable[..., Any]) -> None:
    result = netlab("test", ROOT / "labs/default-deny", "-o", "json").json
    assert any(flow["expected"] for flow in result["flows"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_nothing_is_left_however_it_ends(
    number: signal.Signals, jobs: str, netlab: Callable[..., Any], tmp_path: Path
) -> None:
    files = [tmp_path / f"{each}.yaml" for each in range(4)]
    for file in files:
        file.write_text(SHOP)
    words = [*command(), "test", *map(str, files * 20), "--jobs", jobs, "-q"]
    process = subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    until = time.monotonic() + 60
    while not any(process.pid in family(pid) for pid in labs().values()) and time.monotonic() < until:
        assert process.poll() is None
        time.sleep(0.01)
    owners = {
        process.pid,
        *(int(pid) for pid in os.listdir("/proc") if pid.isdigit() and process.pid in family(int(pid))),
    }
    process.send_signal(number)
    process.wait(60)
    if number is not signal.SIGKILL:
        # A signal that comes while modules are imported ends the process by itself; a shell calls both 130 or 143.
        assert process.returncode in (130, -number) and not left(owners)
    else:
        until = time.monotonic() + 30
        while workers(files[0]) and time.monotonic() < until:
            time.sleep(0.05)  # they take their labs down by themselves
        assert not workers(files[0])
        netlab("test", files[0], "-q")
        assert not left()


def test_files_for_ci_systems(tested: Callable[..., Any], tmp_path: Path) -> None:
    expect = tmp_path / "flows.yaml"
    expect.write_text(
        "flows:\n- {from: deploy/db, to: deploy/db, expect: deny}\n- {from: external/internet, to: deploy/db, expect: allow}\n"
    )
    sarif, markdown, junit = (tmp_path / name for name in ("a.sarif", "a.md", "a.xml"))
    result = tested(SHOP, "--expect", expect, "--sarif", sarif, "--markdown", markdown, "--junit", junit, check=1,
                    env={"GITHUB_ACTIONS": "true"})  # fmt: skip
    log = json.loads(sarif.read_text())
    assert log["version"] == "2.1.0" and log["runs"][0]["results"][0]["locations"]
    assert re.search(r"^::error file=.*flows.yaml,line=3,title=.*::FAIL internet -> deploy/db", result.stdout, re.M)
    assert "FAIL internet" in markdown.read_text() and "| target | clients |" in markdown.read_text()
    assert 'failures="2"' in junit.read_text()


def test_check_writes_the_same_files(netlab: Callable[..., Any], tmp_path: Path, lab_name: str) -> None:
    expect, markdown, sarif = (tmp_path / name for name in ("flows.yaml", "a.md", "a.sarif"))
    expect.write_text("flows:\n- {from: client, to: server, expect: deny}\n")
    netlab("up", "labs/overlay", "--name", lab_name)
    try:
        words = ("check", lab_name, "--expect", expect, "--markdown", markdown, "--sarif", sarif)
        result = netlab(*words, check=1, env={"GITHUB_ACTIONS": "true"})
    finally:
        netlab("down", lab_name)
    assert "FAIL client -> server:80: expected deny, got open" in markdown.read_text().replace("\\", "")
    assert json.loads(sarif.read_text())["runs"][0]["results"][0]["level"] == "error"
    assert re.search(r"^::error file=.*flows.yaml,line=2,", result.stdout, re.M)


def test_stand_ins_that_the_expectations_name(tested: Callable[..., Any], tmp_path: Path) -> None:
    expect = tmp_path / "flows.yaml"
    expect.write_text("""
namespaces: [{name: monitoring, labels: {team: ops}}]
pods:
- {name: prober, namespace: monitoring, labels: {app: prober}, ports: [9115, 53/UDP]}
flows:
- {from: monitoring/prober, to: deploy/web, expect: allow}
- {from: monitoring/prober, to: deploy/db, expect: deny}
- {from: deploy/web, to: monitoring/prober, port: 53/UDP, expect: allow}
""")
    shown = tested(SHOP, "--expect", expect).stdout
    assert "monitoring/prober (stand-in):9115" in shown and "monitoring/prober (stand-in):53/UDP" in shown
    expect.write_text("pods: [{name: Bad_Name}, {namespace: x}]\nnamespaces: {a: b}\nflows: []\n")
    errors = tested(SHOP, "--expect", expect, check=2).stderr
    assert "'Bad_Name' is no name" in errors and "lacks name" in errors and "namespaces: must be a list" in errors


def test_what_cannot_be_is_refused_before_the_run(
    tested: Callable[..., Any], netlab: Callable[..., Any], tmp_path: Path
) -> None:
    for option in ("--junit", "--markdown", "--sarif", "--write"):
        refused = tested(SHOP, option, tmp_path / "missing" / "file", check=2)
        assert "there is no folder" in refused.stderr and not refused.stdout
        assert "/dev/stdout is standard output" in tested(SHOP, option, "-", check=2).stderr
    assert "/dev/stdin is standard input" in tested(SHOP, "--expect", "-", check=2).stderr
    assert "--predict makes none" in tested(SHOP, "--predict", "--keep", "look", check=2).stderr
    service = (
        "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n---\n"
    )
    expect = tmp_path / "flows.yaml"
    expect.write_text("flows:\n- {from: svc/web, to: deploy/db, expect: allow}\n")
    refused = tested(SHOP + service, "--expect", expect, check=2)
    assert "default/web is a Service, which sends no packet; deploy/web sends" in refused.stderr
    (tmp_path / "Chart.yaml").write_text("name: shop\n")
    assert f"helm template {tmp_path} | netlab test -f -" in netlab("test", "-f", tmp_path, check=2).stderr
    template = tested("metadata: {name: {{ .Release.Name }}}\n", check=2)
    assert "helm template CHART | netlab test -f -" in template.stderr


def test_the_matrix_shows_replicas_that_differ(tested: Callable[..., Any]) -> None:
    block = "from: [{ipBlock: {cidr: 10.244.2.0/24}}]"
    own = SHOP.replace("from: [{podSelector: {matchLabels: {app: web}}}]", block) + deployment("far", 80, 3)
    shown = tested(own, "--matrix", "--no-stand-ins").stdout
    assert re.search(r"^  deploy/far \(3\) .*M", shown, re.M) and "M mixed" in shown
    assert "deploy/far (3) (" in tested(own, "--no-stand-ins").stdout


def test_names_are_looked_up(tested: Callable[..., Any], tmp_path: Path) -> None:
    service = (
        "apiVersion: v1\nkind: Service\nmetadata: {name: db}\nspec: {selector: {app: db}, ports: [{port: 5432}]}\n---\n"
    )
    expect = tmp_path / "flows.yaml"
    expect.write_text(
        "flows:\n- {from: deploy/web, resolves: db.default, expect: allow}\n- {from: deploy/web, to: svc/db, size: 1400, expect: allow}\n"
        "- {from: deploy/web, to: svc/kube-dns.kube-system, expect: allow}\n"
    )
    assert "kube-dns:53/UDP" in tested(SHOP + service, "--expect", expect).stdout
    expect.write_text("flows:\n- {from: deploy/web, resolves: bd.default, expect: allow}\n")
    failed = tested(SHOP + service, "--expect", expect, check=1).stdout
    assert "web -> the address of bd.default" in failed and "the name does not exist" in failed
    predicted = tested(SHOP + service, "--expect", expect, "--predict", check=1).stdout
    assert [line for line in failed.splitlines() if "bd.default" in line] == [
        line for line in predicted.splitlines() if "bd.default" in line
    ]


def test_policies_of_tiers_have_stand_ins_too(tested: Callable[..., Any], tmp_path: Path) -> None:
    tier = """
apiVersion: policy.networking.k8s.io/v1alpha1
kind: AdminNetworkPolicy
metadata: {name: ops}
spec:
  priority: 10
  subject: {pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}}
  ingress:
  - {action: Allow, from: [{pods: {namespaceSelector: {matchLabels: {team: ops}}, podSelector: {matchLabels: {app: probe}}}}]}
  - {action: Deny, from: [{namespaces: {}}]}
---
"""
    expect = tmp_path / "flows.yaml"
    expect.write_text("flows:\n- {from: deploy/db, to: deploy/web, expect: deny}\n")
    shown = tested(SHOP + tier, "--expect", expect)
    assert "2 policies" in shown.stdout and re.search(r"web:8080 <- .*probe \(stand-in\), .*internet", shown.stdout)
    flows = tested(SHOP + tier, "--expect", expect, "-o", "json").json["flows"]
    assert {flow["because"][0]["policy"] for flow in flows if flow["expected"]} == {"AdminNetworkPolicy ops"}


def test_a_plain_user_tests_by_packets_or_is_shown_the_way(kit: Any) -> None:
    """Packets where the host gives its users namespaces; else the cause, and the option that needs none."""
    forbid = [sys.executable, str(ROOT / "tests" / "kit" / "forbid.py"), "user.max_user_namespaces=0"]
    own = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    probe = kit.as_nobody("unshare -Urnmpf --mount-proc true")
    allowed = subprocess.run([*own, "sh", "-ec", probe], check=False).returncode == 0
    for start, words, status, said in (
        *([(own, "test -f -", 0, "by packets")] if allowed else ()),
        (forbid, "test -f -", 3, "--predict"),
        (forbid, "test --predict -f -", 0, "predicted, no packet sent"),
    ):
        script = kit.as_nobody(f"{sys.executable} -m netlab {words}")
        done = subprocess.run(
            [*start, "sh", "-ec", script], input=SHOP, capture_output=True, text=True, check=False, cwd=ROOT
        )
        if start is forbid and done.returncode == 77:
            pytest.skip(f"no user namespace to forbid others in: {done.stderr}")
        assert done.returncode == status, done.stderr
        assert said in done.stdout + done.stderr
