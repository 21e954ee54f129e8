"""``netlab kubectl`` and the shell of a lab reach the lab's API and no other cluster, whatever the user's settings are."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

import pytest

from netlab.runtime import lab as labs

pytestmark = pytest.mark.kernel


class Poison:
    """A cluster that nobody may ask: its kubeconfig is the user's."""

    def __init__(self, home: Path) -> None:
        self.requests: list[str] = []
        requests = self.requests

        class Handler(StreamRequestHandler):
            def handle(self) -> None:
                requests.append(self.rfile.readline().decode())

        self.server = ThreadingTCPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "prod",
            "clusters": [{"name": "prod", "cluster": {"server": self.url}}],
            "users": [{"name": "prod", "user": {}}],
            "contexts": [{"name": "prod", "context": {"cluster": "prod", "user": "prod"}}],
        }
        self.file = home / ".kube" / "config"
        self.file.parent.mkdir()
        self.file.write_text(json.dumps(self.config))
        self.environment = {
            "HOME": str(home),
            "KUBECONFIG": str(self.file),
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(self.server.server_address[1]),
            "KUBERNETES_MASTER": self.url,
        }


@pytest.fixture(scope="module")
def lab(kit: Any) -> Iterator[str]:
    name = f"only{os.getpid()}"
    kit.up(kit.spec(name))
    yield name
    labs.down(name)
    assert kit.remains(name) == []


@pytest.fixture
def poison(tmp_path: Path) -> Iterator[Poison]:
    made = Poison(tmp_path)
    yield made
    made.server.shutdown()
    made.server.server_close()
    assert made.requests == []
    assert json.loads(made.file.read_text()) == made.config and [*made.file.parent.iterdir()] == [made.file]


def test_settings_of_the_user_lead_to_no_other_cluster(lab: str, netlab: Callable[..., Any], poison: Poison) -> None:
    def ask(*words: str, status: int = 0) -> str:
        done = netlab("kubectl", "--lab", lab, *words, check=status, env=poison.environment)
        return str(done.stdout + done.stderr)

    assert "client" in ask("get", "pods")
    assert "netlab kubectl is for a lab alone" in ask("get", "pods", "--server", poison.url, status=2)
    assert "prod" in ask("--context", "prod", "get", "pods", status=1)
    # After `--` the words are those of a command in the Pod.
    assert ask("exec", "client", "--", "echo", "--server", "-s", poison.url) == f"--server -s {poison.url}\n"
    assert "no lab called" in netlab("kubectl", "--lab", "gone", "get", "pods", check=2, env=poison.environment).stderr


def test_the_shell_of_a_lab_has_its_kubectl_ready(lab: str, netlab: Callable[..., Any], poison: Poison) -> None:
    for words, stdin in (
        (["--", "kubectl", "get", "pods", "-o", "name"], ""),
        ([], "bash -c 'kubectl get pods -o name'"),
    ):
        done = netlab("shell", "--lab", lab, *words, env=poison.environment, input=stdin)
        assert set(done.stdout.split()) == {"pod/client", "pod/server"}, done
