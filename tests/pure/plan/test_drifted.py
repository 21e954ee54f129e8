"""What ``diff`` says of one object."""

from __future__ import annotations

from dataclasses import replace

from netlab.names import Owner
from netlab.objects import Addr, Bridge, Deviation, Netns, Op, Port, Route, Sysctl, Verb, Veth, Vxlan
from netlab.objects.links import End
from netlab.plan.render import drifted

VXLAN = Vxlan("x-a", "vxlan0", "0a:03:00:01:00:00", local="172.18.0.2")


def test_what_must_be_made_anew_says_what_is_wrong_with_it() -> None:
    said = drifted(Op(Verb.DELETE, replace(VXLAN, options="ttl 1")), VXLAN)
    assert "changed: vxlan vxlan0 in x-a: it has ttl 1 (up creates it again)" in said
    assert "mend by: ip -n x-a link del dev vxlan0" in said


def test_another_kind_of_link_in_its_place_is_called_so() -> None:
    bridge = Bridge("x-a", "cni0", "0a:02:00:01:00:00")
    veth = Veth("x-a", End("x-a", "cni0", "0a:0b:0c:0d:0e:0f"), End("x-a", "other", "0a:0b:0c:0d:0e:10"))
    assert "it is a veth, should be a bridge" in drifted(Op(Verb.DELETE, veth), bridge)


def test_what_nobody_asked_for_shows_its_value_and_the_usual_one() -> None:
    said = drifted(Op(Verb.DELETE, Sysctl("x-a", "net.ipv4.conf.eth0.rp_filter", "1", "eth0", "0")))
    assert "not part of the lab: sysctl net.ipv4.conf.eth0.rp_filter=1 in x-a" in said
    assert "mend by: ip netns exec x-a sysctl -qw net.ipv4.conf.eth0.rp_filter=0" in said


def test_deviations_are_listed_attribute_by_attribute() -> None:
    port = Port("x-a", "veth-b", "cni0")
    have = replace(
        port,
        deviations=(
            Deviation("flood", "off", "on", "type bridge_slave"),
            Deviation("state", "0", "3", "type bridge_slave"),
        ),
    )
    said = drifted(Op(Verb.UPDATE, port, have))
    assert "flood is off, should be on, state is 0, should be 3" in said
    assert "link set dev veth-b type bridge_slave flood on\n" in said


def test_a_namespace_says_what_it_lacks() -> None:
    want = Netns("x-a", Owner("x", "node", "a"))
    said = drifted(Op(Verb.UPDATE, want, replace(want, lacks=("127.0.0.1/8", "-6 rule pref 32766 lookup main"))))
    assert "it lacks 127.0.0.1/8, it lacks -6 rule pref 32766 lookup main" in said
    assert "mend by: ip -n x-a addr add 127.0.0.1/8 dev lo" in said
    assert "ip -6 -n x-a rule add pref 32766 lookup main" in said


def test_a_route_s_extra_attributes_are_named_and_left_out_of_the_mending_line() -> None:
    want = Route("x-a", "10.9.0.0/16", via="10.0.0.1", dev="eth0")
    said = drifted(Op(Verb.UPDATE, want, replace(want, extra="mtu 1300 advmss 1200")))
    assert "changed: route 10.9.0.0/16 in x-a: it has mtu 1300 advmss 1200" in said
    assert "mend by: ip -n x-a route replace 10.9.0.0/16 via 10.0.0.1 dev eth0" in said


def test_an_address_of_lo_goes_from_lo() -> None:
    said = drifted(Op(Verb.DELETE, Addr("x-a", "lo", "10.9.9.9/32")))
    assert "mend by: ip -n x-a addr del 10.9.9.9/32 dev lo" in said
