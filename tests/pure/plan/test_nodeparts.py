"""What a node's agents could not work without: on every data plane its tunnels are among it."""

from __future__ import annotations

import pytest

from netlab.model import build
from netlab.objects.tunnels import Tunnel
from netlab.plan import desired
from netlab.plan.nodeparts import parts
from netlab.planes import ROWS
from netlab.spec import Text, load_texts

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {{name: x}}
spec: {{dataplane: {plane}, ipFamilies: [IPv4], nodes: [{{name: n-1}}, {{name: n-2}}, {{name: n-3}}]}}
"""


@pytest.mark.parametrize("plane", ROWS)
def test_a_tunnel_that_is_gone_is_seen(plane: str) -> None:
    """Geneve has a device for each other node: node-1 was Ready without them."""
    cluster = build(load_texts([Text("lab.yaml", LAB.format(plane=plane))])).cluster
    planned = [obj for obj in desired(cluster).values() if isinstance(obj, Tunnel) and obj.netns == "x-n-1"]
    assert {obj for obj in parts(cluster)["n-1"].network if isinstance(obj, Tunnel)} == {*planned}
    assert len(planned) == 2 or plane != "geneve"
