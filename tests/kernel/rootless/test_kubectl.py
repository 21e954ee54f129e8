"""kubectl, outside, against a lab that is inside its user's namespaces."""

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
        netlab kubectl exec client -- wget -qO- http://10.244.2.2
        export KUBECONFIG=$(netlab kubeconfig)
        kubectl get pod server -o 'jsonpath={{.status.podIP}}'
        netlab down {lab_name} >/dev/null
        ls -A $HOME/.cache
        """)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "10.244.2.2", done.stdout  # and .cache is empty
