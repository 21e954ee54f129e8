"""What an address of a node means: random labs of every data plane, every flow of each predicted and sent.

``NETLAB_EXAMPLES`` is the number of labs a data plane.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netlab.kernel.neighbours import KernelNeighbours
from netlab.observe.evidence import probed
from netlab.observe.probe import Prober
from netlab.oracle.compare import agree
from netlab.oracle.predict import Predictor
from netlab.planes import ROWS
from netlab.runtime.state.running import load_cluster
from tests.conftest import run_netlab
from tests.kernel.cases.bed import Bed
from tests.kernel.cases.node_targets import asked, draw
from tests.kernel_features import with_needs

pytestmark = pytest.mark.kernel

LABS = int(os.environ.get("NETLAB_EXAMPLES", "1"))


def differences(name: str) -> list[str]:
    """The flows of a lab in which packets do not do what the oracle says; silence is believed the second time."""
    cluster = load_cluster(name)
    flows = asked(cluster)
    assert len(flows) > 200
    predicted = Predictor(cluster).answer(flows)
    with KernelNeighbours() as neighbours:
        found = {
            one.flow: one
            for one in probed(Prober(cluster, neighbours=neighbours, timeout=(0.08, 0.15)), cluster, flows)
        }
        doubted = [flow for flow in flows if not agree(predicted[flow], found[flow])]
        found |= {one.flow: one for one in probed(Prober(cluster, neighbours=neighbours), cluster, doubted)}
    return [
        f"{flow}: oracle {predicted[flow].outcome} {predicted[flow].server}, packets {found[flow].outcome} {found[flow].server}"
        for flow in doubted
        if not agree(predicted[flow], found[flow])
    ]


@pytest.mark.parametrize(
    ("place", "plane"), [with_needs(plane, place, plane) for place, plane in enumerate(ROWS)], ids=list(ROWS)
)
def test_packets_do_what_is_predicted_at_every_address(lab_name: str, tmp_path: Path, place: int, plane: str) -> None:
    bed = Bed(lab_name)
    for number in range(LABS):
        seed = 8 * number + place
        try:
            bed.up_of(tmp_path, draw(seed, plane))
            found = differences(lab_name)
            assert not found, f"seed {seed}\n" + "\n".join(found)
        finally:
            run_netlab("down", lab_name)
