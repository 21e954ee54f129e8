"""kubectl, outside and in the shell of the lab, against a lab that is inside its user's namespaces."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.kernel


def test_kubectl_reaches_a_plain_users_lab(plain: Any, kit: Any, home: Path, lab_name: str) -> None:
    (home / "lab.yaml").write_text(kit.spec(lab_name))
    done = plain(f"""
        export PATH={Path(sys.executable).parent}:$PATH
        netlab up lab.yaml >/dev/null
        netlab shell -- kubectl get pods -o name  # the server starts inside
        netlab kubectl exec client -- wget -qO- http://10.244.2.2
        export KUBECONFIG=$(netlab kubeconfig)
        echo 'kubectl get pod client -o name' | netlab shell  # it started anew, and listens on both sides
        kubectl get pod server -o 'jsonpath={{.status.podIP}}'
        netlab down {lab_name} >/dev/null
        ls -A $HOME/.cache
        netlab up lab.yaml >/dev/null
        KUBECONFIG=$(netlab kubeconfig)
        kill -KILL $(pgrep -u $(id -u) netlab-holder)
        [ -e $KUBECONFIG ] && netlab up lab.yaml >/dev/null && netlab down {lab_name} >/dev/null
        ls -A $HOME/.cache/*
        """)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["pod/client", "pod/server"] and lines[-2] == "pod/client", done.stdout
    assert lines[-1] == "10.244.2.2", done.stdout  # and .cache is empty
