"""Objects that CNI plugins made, as plain data and back."""

from __future__ import annotations

import pytest

from netlab.names import Owner
from netlab.objects import (
    Addr,
    Bridge,
    Deviation,
    Key,
    Link,
    Neigh,
    Netns,
    NftTable,
    Obj,
    Port,
    Qdisc,
    Route,
    Sysctl,
    Veth,
)
from netlab.objects.links import End
from netlab.objects.qdisc import Netem, Tbf
from netlab.plan import adopted

DEVIATION = Deviation("promisc", "on", "off")
VETH = Veth(
    "n", End("n", "veth1", "02:00:00:00:00:01", deviations=(DEVIATION,)), End("p", "eth0", "02:00:00:00:00:02", 1450)
)


@pytest.mark.parametrize(
    "obj",
    [
        VETH,
        Bridge("n", "cni0", "02:00:00:00:00:03", deviations=(DEVIATION,)),
        Port("n", "veth1", "cni0", hairpin=True),
        Addr("p", "eth0", "10.244.1.2/24"),
        Route("p", "0.0.0.0/0", "10.244.1.1", "eth0"),
        Neigh("p", "eth0", "10.244.1.1", "02:00:00:00:00:03"),
        Sysctl("p", "net.ipv4.conf.eth0.arp_notify", "1", "eth0", "0"),
        Link("p", "eth0", "macvlan"),
        NftTable("n", "ip", "nat"),
        Qdisc("n", "veth1", "root", "tbf", Tbf(12500, 3200, 10000)),
        Qdisc("n", "veth1", "root", "netem", Netem(1000, delay=20)),
        Qdisc("n", "veth1", "ingress", "ingress"),
    ],
    ids=lambda obj: f"{obj.kind} {obj.name}",
)
def test_an_object_is_the_same_when_it_comes_back(obj: Obj) -> None:
    back = adopted.loaded(adopted.dumped(obj))
    assert back == obj
    assert type(back) is type(obj)
    assert back.key == obj.key


def test_what_is_on_a_pods_link_is_the_pods_and_the_rest_is_the_nodes() -> None:
    mine = [
        VETH,
        Port("n", "veth1", "cni0"),
        Addr("p", "eth0", "10.244.1.2/24"),
        Route("n", "10.244.1.2/32", dev="veth1"),
    ]
    shared = [Bridge("n", "cni0", "02:00:00:00:00:03"), Addr("n", "cni0", "10.244.1.1/24")]
    assert adopted.by_owner([*mine, *shared], {"p": "default/client"}) == {"default/client": mine, "": shared}


def test_what_was_there_before_or_is_netlabs_is_not_taken() -> None:
    def state(*objects: Obj) -> dict[Key, Obj]:
        return {obj.key: obj for obj in objects}

    before, want = Netns("p", Owner("lab", "pod", "default/client")), Sysctl("p", "net.ipv4.icmp_ratelimit", "0")
    assert adopted.taken(state(before), state(before, want, VETH), state(before, want)) == (VETH,)
