"""What every object says of itself: the lines that make it, remove it, mend it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netlab.errors import Mark
from netlab.names import Owner
from netlab.objects import (
    Addr,
    Bridge,
    Conflict,
    Fdb,
    File,
    Geneve,
    Ipip,
    Listener,
    Neigh,
    Netns,
    Obj,
    Port,
    Route,
    State,
    Sysctl,
    Veth,
    Vxlan,
    WgPeer,
    Why,
    WireGuard,
)
from netlab.objects.links import End

MAC = "0a:04:00:01:00:01"
VETH = Veth(
    "n",
    End("n", "veth-a", "0a:05:00:01:00:01", 1450, 1001, "pod-default-a"),
    End("p", "eth0", MAC, 1450, 2, pinned=True),
)

TEXTS: list[tuple[Obj, str, str]] = [
    (
        Netns("x-a", Owner("x", "pod", "default/a")),
        "ip netns add x-a\nip -n x-a link set dev lo alias 'netlab x pod default/a' up",
        "ip netns del x-a",
    ),
    (
        Sysctl("n", "net.ipv4.ip_forward", "1"),
        "ip netns exec n sysctl -qw net.ipv4.ip_forward=1",
        "# net.ipv4.ip_forward goes back to the value that a new namespace has",
    ),
    (
        Sysctl("n", "net.ipv4.ping_group_range", "0 2147483647"),
        "ip netns exec n sysctl -qw 'net.ipv4.ping_group_range=0 2147483647'",
        "# net.ipv4.ping_group_range goes back to the value that a new namespace has",
    ),
    (
        VETH,
        (
            f"ip -n n link add veth-a mtu 1450 type veth peer name eth0 address {MAC} mtu 1450 netns p\n"
            "ip -n n link property add dev veth-a altname pod-default-a\n"
            "ip netns exec n ethtool -K veth-a rx off tx off tso off gso off gro off\n"
            "ip -n n link set dev veth-a addrgenmode none\n"
            "ip -n n link set dev veth-a up\n"
            "ip netns exec p ethtool -K eth0 rx off tx off tso off gso off gro off\n"
            "ip -n p link set dev eth0 addrgenmode none\n"
            "ip -n p link set dev eth0 up"
        ),
        "ip -n n link del dev veth-a",
    ),
    (
        Bridge("n", "cni0", MAC, 1450, addrgen="eui64", offload=True),
        (
            f"ip -n n link add cni0 address {MAC} type bridge\nip -n n link set dev cni0 mtu 1450\n"
            "ip -n n link set dev cni0 up"
        ),
        "ip -n n link del dev cni0",
    ),
    (
        Vxlan("n", "vxlan0", MAC, 1450, addrgen="eui64", offload=True, vni=7, local="172.18.0.2", port=8472),
        (
            f"ip -n n link add vxlan0 address {MAC} mtu 1450 type vxlan id 7 local 172.18.0.2 dev eth0 dstport 8472"
            " nolearning\nip -n n link set dev vxlan0 up"
        ),
        "ip -n n link del dev vxlan0",
    ),
    (
        Geneve("n", "geneve.2", MAC, 1450, addrgen="eui64", offload=True, remote="172.18.0.3"),
        (
            f"ip -n n link add geneve.2 address {MAC} type geneve id 1 remote 172.18.0.3 dstport 6081\n"
            "ip -n n link set dev geneve.2 mtu 1450\nip -n n link set dev geneve.2 up"
        ),
        "ip -n n link del dev geneve.2",
    ),
    (
        Ipip("n", "flannel.ipip", "", 1480, addrgen="eui64", offload=True, local="172.18.0.2"),
        ("ip -n n link add flannel.ipip mtu 1480 type ipip local 172.18.0.2\nip -n n link set dev flannel.ipip up"),
        "ip -n n link del dev flannel.ipip",
    ),
    (
        WireGuard("n", "flannel-wg", "", 1420, addrgen="eui64", offload=True),
        (
            "ip -n n link add flannel-wg mtu 1420 type wireguard\n"
            "wg genkey | ip netns exec n wg set flannel-wg listen-port 51820 private-key /dev/stdin\n"
            "ip -n n link set dev flannel-wg up"
        ),
        "ip -n n link del dev flannel-wg",
    ),
    (
        WgPeer("n", "flannel-wg", "m", "172.18.0.3:51820", ("10.244.2.0/24",)),
        (
            'ip netns exec n wg set flannel-wg peer "$(ip netns exec m wg show flannel-wg public-key)"'
            " endpoint 172.18.0.3:51820 allowed-ips 10.244.2.0/24"
        ),
        'ip netns exec n wg set flannel-wg peer "$(ip netns exec m wg show flannel-wg public-key)" remove',
    ),
    (
        Port("n", "veth-a", "cni0", hairpin=True, learning=False),
        "ip -n n link set dev veth-a master cni0\nip -n n link set dev veth-a type bridge_slave hairpin on learning off",
        "ip -n n link set dev veth-a nomaster",
    ),
    (Port("n", "v", "br0"), "ip -n n link set dev v master br0", "ip -n n link set dev v nomaster"),
    (
        Addr("n", "cni0", "10.244.1.1/24"),
        "ip -n n addr add 10.244.1.1/24 brd + dev cni0",
        "ip -n n addr del 10.244.1.1/24 dev cni0",
    ),
    (
        Addr("n", "vxlan0", "10.244.1.0/32", "link"),
        "ip -n n addr add 10.244.1.0/32 scope link dev vxlan0",
        "ip -n n addr del 10.244.1.0/32 dev vxlan0",
    ),
    (Addr("n", "e", "10.0.0.0/31"), "ip -n n addr add 10.0.0.0/31 dev e", "ip -n n addr del 10.0.0.0/31 dev e"),
    (Addr("n", "e", "fd00::1/64"), "ip -n n addr add fd00::1/64 nodad dev e", "ip -n n addr del fd00::1/64 dev e"),
    (
        Addr("n", "e", "10.0.0.1/32", peer="10.0.0.2/32"),
        "ip -n n addr add 10.0.0.1 peer 10.0.0.2/32 dev e",
        "ip -n n addr del 10.0.0.1 peer 10.0.0.2/32 dev e",
    ),
    (
        Route("n", "0.0.0.0/0", "172.18.0.1", "eth0"),
        "ip -n n route add default via 172.18.0.1 dev eth0",
        "ip -n n route del default via 172.18.0.1 dev eth0",
    ),
    (
        Route("n", "::/0", "fd00::1", "eth0", metric=7),
        "ip -6 -n n route add default via fd00::1 dev eth0 metric 7",
        "ip -6 -n n route del default via fd00::1 dev eth0 metric 7",
    ),
    (
        Route("n", "10.244.2.0/24", "10.244.2.0", "vxlan0", onlink=True),
        "ip -n n route add 10.244.2.0/24 via 10.244.2.0 dev vxlan0 onlink",
        "ip -n n route del 10.244.2.0/24 via 10.244.2.0 dev vxlan0 onlink",
    ),
    (
        Route("n", "10.0.0.0/8", type="blackhole", proto=12),
        "ip -n n route add blackhole 10.0.0.0/8 proto bird",
        "ip -n n route del blackhole 10.0.0.0/8 proto bird",
    ),
    (
        Route("n", "10.1.0.2/32", dev="cali1", scope="link", src="10.0.0.1"),
        "ip -n n route add 10.1.0.2/32 dev cali1 src 10.0.0.1",
        "ip -n n route del 10.1.0.2/32 dev cali1 src 10.0.0.1",
    ),
    (
        Neigh("n", "vxlan0", "10.244.2.0", MAC),
        f"ip -n n neigh replace 10.244.2.0 lladdr {MAC} dev vxlan0 nud permanent",
        "ip -n n neigh del 10.244.2.0 dev vxlan0",
    ),
    (
        Fdb("n", "vxlan0", MAC, "172.18.0.3"),
        f"bridge -n n fdb append {MAC} dev vxlan0 dst 172.18.0.3 self permanent",
        f"bridge -n n fdb del {MAC} dev vxlan0 dst 172.18.0.3 self",
    ),
    (
        File("n", "hosts", "it's\n"),
        "mkdir -p /etc/netns/n && printf 'it'\"'\"'s\\n' > /etc/netns/n/hosts",
        "rm -f /etc/netns/n/hosts",
    ),
    (
        Listener("n", "TCP", 80, container="main"),
        "# the agent answers on 80/TCP in n for container main",
        "# the agent stops answering on 80/TCP in n",
    ),
]


@pytest.mark.parametrize(("obj", "makes", "removes"), TEXTS, ids=lambda one: one.kind if isinstance(one, Obj) else "")
def test_the_lines_of_an_object(obj: Obj, makes: str, removes: str) -> None:
    assert obj.explain() == makes
    assert obj.undo() == removes


def test_exact_adds_what_netlab_chooses() -> None:
    assert VETH.explain(exact=True).splitlines()[0] == (
        "ip -n n link add veth-a index 1001 address 0a:05:00:01:00:01 mtu 1450"
        f" type veth peer name eth0 index 2 address {MAC} mtu 1450 netns p"
    )
    assert " index 3 " in Bridge("n", "cni0", MAC, index=3).explain(exact=True)


def test_what_is_mended_in_place() -> None:
    have = replace(
        VETH, end=replace(VETH.end, mtu=1300, altname="mine", up=False), peer=replace(VETH.peer, offload=True)
    )
    assert VETH.amend(have) == (
        "ip -n n link set dev veth-a mtu 1450\n"
        "ip -n n link property del dev veth-a altname mine\n"
        "ip -n n link property add dev veth-a altname pod-default-a\n"
        "ip -n n link set dev veth-a up\n"
        "ip netns exec p ethtool -K eth0 rx off tx off tso off gso off gro off"
    )
    port = Port("n", "v", "cni0", hairpin=True)
    assert port.amend(replace(port, hairpin=False, isolated=True)) == (
        "ip -n n link set dev v type bridge_slave hairpin on isolated off"
    )
    addr = Addr("n", "cni0", "10.244.1.1/24")
    assert addr.amend(replace(addr, prefix_route=False)) == (
        "ip -n n route replace 10.244.1.0/24 dev cni0 proto kernel src 10.244.1.1"
    )


def test_what_must_be_made_anew() -> None:
    assert VETH.amend(replace(VETH, peer=replace(VETH.peer, netns="q"))) is None
    assert VETH.amend(Bridge("n", "veth-a", MAC)) is None
    assert Vxlan("n", "v", MAC, vni=1).amend(Vxlan("n", "v", MAC, vni=2)) is None
    assert Port("n", "v", "cni0").amend(Port("n", "v", "br0")) is None
    assert Netns("n", Owner("x", "pod", "a/b")).amend(Netns("n", Owner("x", "node", "b"))) is None


def test_two_owners_of_one_key_are_both_named() -> None:
    first = Addr("n", "eth0", "10.0.0.1/24", "global", why=Why("Node a", Mark("lab.yaml", 3)))
    with pytest.raises(Conflict) as caught:
        State([first, Addr("n", "eth0", "10.0.0.1/24", "link", why=Why("Node b"))])
    assert str(caught.value) == ("addr eth0 10.0.0.1/24 in n is wanted twice:\n  Node a (lab.yaml:3:1)\n  Node b")


def test_reasons_and_indexes_are_no_difference() -> None:
    assert replace(VETH, end=replace(VETH.end, index=77), why=Why("another")) == VETH
