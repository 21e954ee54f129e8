"""``break`` and ``heal`` as they are typed, what other verbs say of open faults, and what is refused."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import run_netlab

pytestmark = pytest.mark.kernel

PODS = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: server}, ports: [{port: 80}]}
"""


@pytest.fixture
def running(tmp_path: Path, kit: Any, lab_name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Path]]:
    monkeypatch.setenv("NETLAB_LAB", lab_name)
    path = tmp_path / "lab.yaml"
    path.write_text(f"{kit.spec(lab_name, dns='off')}\n---\n{PODS}")
    run_netlab("up", path)
    yield lab_name, path
    run_netlab("down", lab_name)


def loads(*words: object, status: int = 0) -> Any:
    return json.loads(run_netlab(*words, "-o", "json", check=status).stdout)


def faults_of(name: str) -> int:
    return next(each["faults"] for each in loads("ls") if each["lab"] == name)


def test_a_fault_from_break_to_heal(running: tuple[str, Path]) -> None:
    name, path = running
    made = loads("break", name, "forwarding-off", "--at", "node-2")
    assert (made["fault"], made["at"]) == ("forwarding-off", "node-2") and made["symptom"] and made["cause"]
    assert faults_of(name) == 1
    assert "open fault: forwarding-off at node-2" in run_netlab("diff").stdout
    told = loads("trace", "client", "server", status=1)["findings"][0]
    assert told["netns"] == f"{name}-node-2", "trace compares with what the documents say"

    secret = loads("break", name, "--random", "--seed", "5", "--secret")
    assert [secret[key] for key in ("fault", "at", "symptom", "cause")] == [None] * 4
    run_state = Path(f"/run/netlab/{name}/faults")
    assert run_state.stat().st_mode & 0o777 == 0o600
    assert "1 secret fault" in run_netlab("diff").stdout
    assert [each["fault"] for each in loads("diff")["faults"]] == ["forwarding-off", None]
    revealed = loads("diff", "--reveal")["faults"]
    assert all(each["fault"] and each["at"] for each in revealed)
    events = Path(f"/run/netlab/{name}/events.jsonl").read_text()
    assert revealed[1]["fault"] not in events

    up = run_netlab("up", path).stdout
    assert "nothing to do" in up and "open fault: forwarding-off at node-2" in up and "1 secret fault" in up
    run_netlab("label", "pod", "client", "tried=yes")
    assert faults_of(name) == 2
    healed = loads("heal", name, "forwarding-off")
    assert [each["fault"] for each in healed["healed"]] == ["forwarding-off"] and healed["open"] == 1
    run_netlab("up", path, "--reset")
    assert faults_of(name) == 0
    assert run_netlab("diff").stdout == f"lab {name}: no drift\n"
    run_netlab("exec", "client", "--", "true")
    assert "has no open fault" in run_netlab("heal", name).stdout


def test_a_mistake_in_a_manifest_is_seen_where_manifests_are_seen(running: tuple[str, Path]) -> None:
    name, _ = running
    run_netlab("break", "selector-mismatch")
    assert "app: server-v2" in run_netlab("get", "service", "web", "-o", "yaml").stdout
    assert "has no endpoint" in run_netlab("explain", "client", "svc/web").stdout
    run_netlab("heal", "selector-mismatch")
    assert "app: server-v2" not in run_netlab("get", "service", "web", "-o", "yaml").stdout
    run_netlab("diff", name)


def test_what_was_mended_by_hand_is_healed_too(running: tuple[str, Path], kit: Any) -> None:
    name, _ = running
    run_netlab("break", "forwarding-off", "--at", "node-2")
    kit.sh(f"ip netns exec {name}-node-2 sysctl -qw net.ipv4.ip_forward=1")
    run_netlab("diff", check=1)
    run_netlab("heal")
    run_netlab("diff")
    assert loads("reach", "--from", "client", "--to", "pod/server")["flows"][0]["outcome"] == "open"


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ("break LAB forwardin-off", 2, 'did you mean "forwarding-off"'),
        ("break LAB forwarding-off --at node-9", 2, "cannot be at node-9"),
        ("break LAB wireguard-peer-missing", 2, "data plane vxlan cannot have it"),
        ("break LAB policy-not-enforced", 2, "it needs a NetworkPolicy"),
        ("break LAB --random --level 7", 2, "1<=x<=3"),
        ("break LAB --level 1", 2, "--level and --seed belong to --random"),
        ("break LAB forwarding-off --random", 2, "--random chooses"),
        ("break", 2, "which fault?"),
        ("break LAB a b", 2, "name a LAB and a FAULT"),
        ("break --list --secret", 2, "--list takes no other option"),
        ("break no-such-lab forwarding-off", 2, 'no lab called "no-such-lab"'),
        ("heal no-such-lab", 2, 'no lab called "no-such-lab"'),
        ("heal LAB forwardin-off", 2, 'did you mean "forwarding-off"'),
    ],
)
def test_what_is_refused_is_said(words: str, status: int, message: str, refusing: str) -> None:
    assert message in run_netlab(*words.replace("LAB", refusing).split(), check=status).stderr


@pytest.fixture(scope="module")
def refusing(kit: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A lab in which nothing is changed."""
    name = f"tf{os.getpid()}r"
    path = tmp_path_factory.mktemp("refusing") / "lab.yaml"
    path.write_text(kit.spec(name, dns="off"))
    run_netlab("up", path)
    yield name
    run_netlab("down", name)


def test_twice_is_refused_and_what_is_not_open_is_a_sentence(running: tuple[str, Path]) -> None:
    name, _ = running
    run_netlab("break", name, "forwarding-off", "--at", "node-1")
    assert "open at node-1 already" in run_netlab("break", name, "forwarding-off", "--at", "node-1", check=2).stderr
    assert run_netlab("heal", name, "server-dead").stdout == f"lab {name} does not have fault server-dead\n"


def test_the_list_is_the_catalogue_and_of_a_lab_what_it_can_have(running: tuple[str, Path]) -> None:
    every = loads("break", "--list")
    here = {each["fault"] for each in loads("break", "--list", running[0])}
    assert len(every) >= 60 and here < {each["fault"] for each in every}
    assert set(every[0]) >= {"fault", "symptom", "cause", "level", "planes", "source"}
    assert "wireguard-peer-missing" not in here and "forwarding-off" in here
