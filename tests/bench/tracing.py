"""The benchmarks of ``trace``: whole commands, and what a trace costs the flows that it does not follow."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bed import Size, lab_command, rounds, run, settle, spec, workshop
from rows import Row

if TYPE_CHECKING:
    from cases import Run

SMALL = Size(2, 2)
WIDE = Size(6, 9)  # with the underlay 61 namespaces

# A Service and a policy: so that there are rules on the nodes to be traced, and somebody whom they deny.
_MORE = """---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]
"""


def tracing(want: Run) -> Iterator[Row]:
    """A packet that arrives, through a Service; one that a policy drops; and other people's connections."""
    for size in (SMALL, WIDE):
        with workshop(want.lab) as folder:
            file = Path(folder) / "lab.yaml"
            file.write_text(spec(want.lab, size) + _MORE, encoding="utf-8")
            lab_command("up", "-f", str(file))

            def traced() -> dict[str, float]:
                words = ("trace", "--lab", want.lab)
                arrived = lab_command(*words, "p1-1", "svc/web")
                dropped = lab_command(*words, "node-1", "p2-1", status=(1,))  # a node of its own would pass
                return {
                    "allowed": arrived.seconds,
                    "dropped": dropped.seconds,
                    "allowed, processor time": arrived.processor,
                    "dropped, processor time": dropped.processor,
                }

            found = list(rounds(want.turns(7), {"": traced}))
            for name in found[0]:
                yield Row(f"trace, {name}", str(size), tuple(one[name] for one in found), "s")
            if size == SMALL:
                yield from _armed(want)
        settle(want.lab)


def _armed(want: Run) -> Iterator[Row]:
    """Connections with a trace of another flow armed, against the same without."""
    pods = lab_command("get", "pods", "-o", "json", "--lab", want.lab).json["items"]
    address = next(one["status"]["podIP"] for one in pods if one["metadata"]["name"] == "p2-1")
    argv = [sys.executable, str(Path(__file__).with_name("armed.py")), want.lab, f"{want.lab}-p1-1"]
    taken = [run([*argv, f"{want.lab}-p2-1", address]).json for _ in range(want.turns(3))]
    closed, armed = ([median(one[turn]) for one in taken] for turn in ("closed", "armed"))
    note = "connect and reset, between Pods of two nodes, a policy on the way; processor time"
    yield Row("a connection, no trace", str(SMALL), tuple(closed), "us", note)
    yield Row("a connection, trace of another flow armed", str(SMALL), tuple(armed), "us")
    times = tuple(a / b for a, b in zip(armed, closed, strict=True))
    yield Row("armed / not", str(SMALL), times, "x")
