"""What a policy test costs: whole commands on manifests, the real sets among them where they are beside the checkout."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bed import ROOT, lab_command, settle, workshop
from rows import Row

if TYPE_CHECKING:
    from cases import Run

BOUTIQUE = ROOT / "tests/kernel/cases/inputs/online-boutique.yaml"
REAL = ROOT.parent / "shared/manifests"
PODS, POLICIES = 20, 10
_DONE = (0, 1)  # a set with a fault is tested as well


def testing(want: Run) -> Iterator[Row]:
    """All pairs of 20 Pods; Online Boutique; each real set, of which the slowest counts; all in one command."""
    with workshop(want.lab) as folder:
        file = folder / "pods.yaml"
        file.write_text(_manifests(), encoding="utf-8")
        own = "test", "-f", str(file), "--no-stand-ins", "-q"
        for name, words in (
            ("20 Pods and 10 policies", own),
            ("Online Boutique with stand-ins", ("test", str(BOUTIQUE), "-q")),
        ):
            settle(want.lab)
            yield Row(f"test, {name}", "", tuple(lab_command(*words).seconds for _ in range(want.turns(7))), "s")
    sets = sorted(map(str, REAL.glob("*.yaml")))
    if not sets:
        yield Row("test, the slowest real set", "", (), "s", "shared/manifests is not beside the checkout")
        return
    seconds = {name: lab_command("test", name, "-q", status=_DONE).seconds for name in sets}
    slowest = max(sets, key=lambda name: seconds[name])
    again = tuple(lab_command("test", slowest, "-q", status=_DONE).seconds for _ in range(want.turns(3)))
    yield Row("test, the slowest real set", "", again, "s", Path(slowest).stem)
    whole = tuple(lab_command("test", *sets, "--jobs", "2", "-q", status=_DONE).seconds for _ in range(want.turns(3)))
    yield Row("test, all real sets, two jobs", "", whole, "s", f"{len(sets)} sets")


def _manifests() -> str:
    """Pods that each serve a port, and policies that each admit one Pod to another."""
    items = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"pod-{number}", "labels": {"app": f"app-{number}"}},
            "spec": {"containers": [{"name": "main", "image": "x", "ports": [{"containerPort": 80}]}]},
        }
        for number in range(PODS)
    ] + [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": f"policy-{number}"},
            "spec": {
                "podSelector": {"matchLabels": {"app": f"app-{number}"}},
                "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": f"app-{number + POLICIES}"}}}]}],
            },
        }
        for number in range(POLICIES)
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
