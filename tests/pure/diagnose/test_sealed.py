"""Rules that drop WireGuard's packets: no trace shows them, since the packet inside cannot be recognised."""

from __future__ import annotations

import pytest

from netlab.diagnose.causes import foreign
from netlab.diagnose.expected.expect import Expecter
from netlab.diagnose.rules.rulebook import RuleBook
from netlab.diagnose.sightings.correlate import FRAME, REQUEST, Event
from netlab.diagnose.story import Story
from netlab.evidence.records import OUT, ForeignRule, Probe, Recording
from netlab.plan import desired
from netlab.planes import ROWS
from netlab.wire.packets import TCP, Packet
from tests.pure.diagnose.test_path import cluster


def hits(rule: ForeignRule, device: str = "flannel-wg") -> list[foreign.Hit]:
    """What a client's request to the server shows that was last seen at that device of node-1."""
    made = cluster(dataplane="wireguard")
    want = desired(made)
    expecter = Expecter(made, want)
    target = next(str(pod.addresses[0].ip) for pod in made.pods if pod.name == "server")
    flow = expecter.flow("l-client", target, 80, "TCP")
    trip = expecter.round_trip(flow)
    probe = Probe("l-client", "TCP", target, 80, trip.source, 40000, 0, size=0, outcome="timeout")
    packet = Packet(version=4, source=trip.source, target=target, protocol=TCP, ports=True, sport=40000, dport=80)
    story = Story(
        recording=Recording(made.lab, probe, foreign=(rule,)),
        cluster=made,
        want=want,
        flow=flow,
        round_trip=trip,
        events=(Event(FRAME, 1, "l-node-1", device, REQUEST, 1, packet, OUT),),
        topology=expecter.topology,
        endpoints=expecter.endpoints,
        book=RuleBook(made, want),
    )
    return [*foreign.foreign(story)]


DROPS = "udp dport { 51820, 51821 } counter packets 3 bytes 444 drop"


@pytest.mark.parametrize(
    ("netns", "family", "hook"),
    [("l-node-2", "inet", "input"), ("l-node-1", "inet", "output"), ("l-underlay", "bridge", "forward")],
)
def test_a_rule_that_drops_the_encrypted_packet_is_named(netns: str, family: str, hook: str) -> None:
    (hit,) = hits(ForeignRule(netns, family, "firewall", "FILTER", 3, DROPS, hook))
    assert (hit.rule.netns, hit.role, hit.traced, hit.certain) == (netns, REQUEST, False, True)


@pytest.mark.parametrize(
    ("rule", "device"),
    [
        (ForeignRule("l-node-2", "inet", "firewall", "INPUT", 3, "udp dport 4789 drop", "input"), "flannel-wg"),
        (
            ForeignRule("l-node-2", "inet", "firewall", "INPUT", 3, DROPS.replace("drop", "accept"), "input"),
            "flannel-wg",
        ),
        (ForeignRule("l-server", "inet", "firewall", "INPUT", 3, DROPS, "input"), "flannel-wg"),
        (ForeignRule("l-node-2", "inet", "firewall", "INPUT", 3, DROPS, "input"), "cni0"),
    ],
    ids=["another port", "no drop", "not on its way", "not yet encrypted"],
)
def test_other_rules_are_not(rule: ForeignRule, device: str) -> None:
    assert hits(rule, device) == []


@pytest.mark.parametrize("plane", ROWS)
def test_the_outer_addresses_of_a_path_are_the_nodes(plane: str) -> None:
    """Calico's tunl0 has the source `any`, which is no address: diagnose ended with a ValueError."""
    made = cluster(dataplane=plane)
    expecter = Expecter(made, desired(made))
    target = next(str(pod.addresses[0].ip) for pod in made.pods if pod.name == "server")
    trip = expecter.round_trip(expecter.flow("l-client", target, 80, "TCP"))
    nodes = {str(address.ip) for node in made.nodes for address in node.addresses}
    assert {address for path in trip.paths for address in path.outer} in (set(), nodes)
