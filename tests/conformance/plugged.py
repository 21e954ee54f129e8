"""The policy cases with netlab's enforcement on Pods that CNI plugins attached: ``python tests/conformance/plugged.py``.

Each state of a case is an `up` of a lab with ``dataplane: {cni: DIR}``: the plugins `bridge` or `ptp` attach the Pods, with
the addresses of the case (IPAM `host-local`, by the capability ``ips``); netlab's rules enforce the policies, and the same
evidence counts as on netlab's own planes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault("NETLAB_CONFORMANCE_ALL", "1")

import livelab
import runner
from corpora import State
from livelab import Bed, Ground, manifests

from netlab.runtime import lab as labs
from netlab.runtime.state import running
from netlab.runtime.state.rundir import Applied

BRIDGE = {"type": "bridge", "bridge": "cni0", "isDefaultGateway": True, "hairpinMode": True}
PLUGINS: dict[str, dict[str, Any]] = {"bridge": BRIDGE, "ptp": {"type": "ptp"}}


class PluggedBed(Bed):
    """A running lab whose Pods a plugin attaches."""

    def __init__(self, name: str, plugin: str, ground: Ground) -> None:
        self.name, self.plane, self.ground, self.cidrs = name, plugin, ground, ground.cidrs
        self._folder = Path(tempfile.mkdtemp(prefix="netlab-plugged-"))
        lab = livelab.lab_spec(name, "vxlan", ground)
        lab["spec"]["dataplane"] = {"cni": "cni", "reach": "host-gw"}
        self._file, self._lab = self._folder / "lab.json", json.dumps(lab)
        self._file.write_text(self._lab)
        (self._folder / "cni").mkdir()
        routes = [{"dst": "::/0" if ":" in self.cidrs[0] else "0.0.0.0/0"}] if plugin == "ptp" else []
        subnet = "{{podCIDR6}}" if ":" in self.cidrs[0] else "{{podCIDR}}"
        ipam = {"type": "host-local", "ranges": [[{"subnet": subnet}]], "routes": routes}
        kind = {**PLUGINS[plugin], "ipam": ipam, "capabilities": {"ips": True}}
        self._list = json.dumps({"cniVersion": "1.0.0", "name": "net", "plugins": [kind]})
        self._outside = ""
        self.show(State("", [], [], [], [], []))

    def close(self) -> None:
        """Take the lab down."""
        labs.down(self.name)
        shutil.rmtree(self._folder)

    def show(self, state: State) -> float:
        """Make the lab this state, live; seconds."""
        began = time.perf_counter()
        objects = livelab.as_text([*manifests(state, self.ground), *state.policies])
        texts = ((str(self._file), self._lab), ("state.json", objects))
        conflist = (str(self._folder / "cni" / "net.conflist"), self._list)
        labs.up(Applied(str(self._folder), self.name, texts, conflist=conflist), wait=False, programs=True, say=print)
        self.cluster = running.load_cluster(self.name)
        # `up` mends what the bed had changed on the underlay.
        self._known = set()
        self._send_from("")
        return time.perf_counter() - began

    def _router(self, lines: Iterable[str]) -> None:
        super()._router(
            line.replace("addr add", "addr replace").replace("route add", "route replace") for line in lines
        )


def main() -> int:
    """Exit status 1 where a case fails."""
    options = argparse.ArgumentParser()
    options.add_argument("--plugin", choices=PLUGINS, action="append")
    options.add_argument("--only", default="", help="corpora with this in their name")
    given = options.parse_args()
    failed = 0
    for plugin in given.plugin or PLUGINS:
        for number, corpus in enumerate(each for each in runner.ALL if given.only in each):
            result = runner.run(corpus, plugin, f"plug{os.getpid() % 10000}-{number}-", PluggedBed)
            failed += len(result.failed)
            sys.stdout.write(
                f"{corpus:24} {plugin:8} {result.passed:4} of {result.cases:4} cases, {result.answers:7} answers, "
                f"{result.seconds:6.1f} s\n"
            )
            for name, says in result.failed:
                sys.stdout.write(f"  FAIL {name}: {says}\n")
            sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
