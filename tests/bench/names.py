"""Names and Services: how many questions a second are answered, and how soon a change can be seen."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bed import Failed, lab_command, pod, run, settle, spec, workshop
from rows import Row

if TYPE_CHECKING:
    from cases import Run

HERE = Path(__file__).parent
SERVER = "10.96.0.10"  # kube-dns
SERVICES = 50
ENDPOINTS = 2  # a Service, one a node: any lab has two
SECONDS = 2.0


def names(want: Run) -> Iterator[Row]:
    """From a Pod, by kube-dns's own cluster address, so through the node's rules, as any Pod's questions go."""
    lab, turns = want.lab, want.turns(5)
    for size in want.sizes:
        with workshop(lab) as folder:
            file = folder / "lab.yaml"
            services = "".join(_service(f"s{number}") for number in range(SERVICES))
            behind = "".join(pod(f"back-{n}", n).replace("app: web", "app: back") for n in range(1, ENDPOINTS + 1))
            file.write_text(spec(lab, size) + behind + services, encoding="utf-8")
            lab_command("up", "-f", str(file))
            asked = [f"s{number}.default.svc.cluster.local" for number in range(SERVICES)]
            netns = f"{lab}-p1-1"
            rates = [float(run([*_asking("rate", netns), str(SECONDS), *asked]).stdout) for _ in range(turns)]
            changes = [_changed(lab, netns, folder, number) for number in range(turns)]
        settle(lab)
        note = "one socket, 64 questions under way, through kube-dns's cluster address; the asker is Python"
        yield Row("DNS, answers a second", str(size), tuple(rates), "", note)
        yield Row("apply of one Service", str(size), tuple(one[0] for one in changes), "s")
        note = "after `apply` returned; 0: before it did"
        yield Row("changed Service, seen in DNS", str(size), tuple(one[1] for one in changes), "s", note)
        yield Row("changed Service, seen in the data plane", str(size), tuple(one[2] for one in changes), "s", note)


def _asking(verb: str, netns: str) -> list[str]:
    return [sys.executable, str(HERE / "asking.py"), verb, netns, SERVER]


def _changed(lab: str, netns: str, folder: Path, number: int) -> tuple[float, float, float]:
    """Seconds that `apply` of a new Service took; those until its name and it itself answered."""
    name = f"new{number}"
    file = folder / f"{name}.yaml"
    file.write_text(_service(name), encoding="utf-8")
    argv = [*_asking("wait", netns), f"{name}.default.svc.cluster.local", "80"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as waiting:
        time.sleep(0.2)
        applied = lab_command("apply", "--lab", lab, "-f", str(file))
        returned = time.monotonic()
        try:
            out, _ = waiting.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            waiting.kill()
            raise Failed(f"Service {name} is not to be seen 10 s after `apply` returned") from None
    named, made = json.loads(out)
    return applied.seconds, max(0.0, named - returned), max(0.0, made - returned)


def _service(name: str) -> str:
    return (
        f"---\napiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec:\n  selector:\n    app: back\n"
        "  ports:\n  - port: 80\n"
    )
