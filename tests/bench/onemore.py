"""What one Service more takes in the kernel: ``python tests/bench/onemore.py LAB`` adds it to the first node's rules and
takes it away again, five times, and prints the seconds of each adding transaction as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from netlab.kernel.host import netns
from netlab.kernel.nftables import run as nftrun
from netlab.model import Memory
from netlab.objects import Floor, diff, nftsteps
from netlab.plan import Host
from netlab.runtime.state.resolved import resolve, with_state
from netlab.runtime.state.running import open_running

EXTRA = """
apiVersion: v1
kind: Service
metadata: {name: one-more}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""


def commit(parts: list[list[nftsteps.Step]]) -> None:
    """As a command does it."""
    with nftrun.Runner() as runner:
        for part in parts:
            runner.run(part)


def main(lab: str) -> None:
    """Print the seconds, of the clock and of the processor."""
    rundir, applied = open_running(lab)
    memory = Memory.from_json(rundir.assignments().memory)
    before = with_state(resolve(applied, memory, rundir.statuses()), Host())
    extra = replace(applied, extra=(*applied.extra, ("one-more.yaml", EXTRA)))
    after = with_state(resolve(extra, memory, rundir.statuses()), Host())
    node = before.cluster.nodes[0].netns
    changes = [
        nftsteps.transactions([op for op in diff(*pair) if op.obj.floor is Floor.NFT and op.obj.netns == node])
        for pair in ((after.want, before.want), (before.want, after.want))
    ]
    netns.setns(netns.open_named(node))
    wall, processor = [], []
    for _ in range(5):
        began, busy = time.perf_counter(), time.process_time()
        commit(changes[0])
        wall.append(time.perf_counter() - began)
        processor.append(time.process_time() - busy)
        commit(changes[1])
    sys.stdout.write(json.dumps({"wall": wall, "processor": processor}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
