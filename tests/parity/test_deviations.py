"""What people set that netlab never sets: ``diff`` names it, its shell line mends it, and so does ``up``.

Cases of the fault catalogue are marked with their number there.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from netlab.kernel.host import netns as ns
from netlab.kernel.linux import LinuxKernel
from netlab.kernel.rtnetlink.deviation import IFLA_XDP
from netlab.kernel.rtnetlink.link import links
from netlab.kernel.rtnetlink.socket import NetlinkSocket, attr, attr_u32
from netlab.kernel.rtnetlink.values import NESTED, SETLINK, ifinfo
from netlab.libc import syscall
from netlab.objects import State, Verb
from netlab.plan import drift
from netlab.runtime.converge import converge

pytestmark = pytest.mark.kernel

# What is typed (L is the lab), and what diff must name: kind, end of the namespace, name, words of the mending lines.
ODD = {
    # -- routes, rules, addresses
    "route with an MTU (F09)": (
        "ip -n L-node-1 route change 10.244.2.0/24 via 10.244.2.0 dev vxlan0 onlink mtu 1300",
        ("route", "node-1", "10.244.2.0/24", "route replace"),
    ),
    "route with a locked MTU and advmss": (
        "ip -n L-client route change default via 10.244.1.1 mtu lock 1000 advmss 500",
        ("route", "client", "0.0.0.0/0", "route replace"),
    ),
    "IPv6 route with an MTU": (
        "ip -n L-client -6 route change default via fd00:10:244:1::1 dev eth0 mtu 1280",
        ("route", "client", "::/0", "-6 -n L-client route replace"),
    ),
    "connected route with an MTU": (
        "ip -n L-node-1 route change 172.18.0.0/24 dev eth0 proto kernel scope link src 172.18.0.2 mtu 1000",
        ("addr", "node-1", "eth0 172.18.0.2/24", "route replace"),
    ),
    "route for one TOS": (
        "ip -n L-node-1 route add 10.244.2.0/24 tos 0x10 dev eth0",
        ("route", "node-1", "10.244.2.0/24 tos 0x10", "route del"),
    ),
    "local route in table main": (
        "ip -n L-node-1 route add local 10.244.2.2 dev lo table main",
        ("route", "node-1", "10.244.2.2/32", "route del local"),
    ),
    "rule with a table of its own": (
        "ip -n L-node-1 route add blackhole default table 100; ip -n L-node-1 rule add from 10.244.0.0/16 lookup 100",
        ("rule", "node-1", "pref 32765 from 10.244.0.0/16 lookup 100", "rule del pref 32765"),
    ),
    "route in a table of its own": (
        "ip -n L-node-1 route add 10.9.0.0/16 dev eth0 table 1000; ip -n L-node-1 rule add fwmark 0x1/0xff table 1000",
        ("route", "node-1", "10.9.0.0/16 table 1000", "table 1000"),
    ),
    "rule without a table": (
        "ip -n L-node-1 rule add pref 10 to 10.244.2.0/24 iif cni0 prohibit",
        ("rule", "node-1", "pref 10 to 10.244.2.0/24 iif cni0 prohibit", "rule del"),
    ),
    "IPv6 rule": (
        "ip -n L-node-1 -6 rule add from fd00:10:244::/56 ipproto tcp dport 80-90 blackhole",
        (
            "rule",
            "node-1",
            "-6 pref 32765 from fd00:10:244::/56 ipproto 6 dport 80-90 blackhole",
            "-6 -n L-node-1 rule",
        ),
    ),
    "table main no longer asked": (
        "ip -n L-node-1 rule del pref 32766",
        ("netns", "node-1", "L-node-1", "rule add pref 32766 lookup main"),
    ),
    "IPv6 table main no longer asked": (
        "ip -n L-client -6 rule del pref 32766",
        ("netns", "client", "L-client", "-6 -n L-client rule add pref 32766 lookup main"),
    ),
    "address on lo": (
        "ip -n L-node-1 addr add 10.244.2.2/32 dev lo",
        ("addr", "node-1", "lo 10.244.2.2/32", "addr del 10.244.2.2/32 dev lo"),
    ),
    "IPv6 address on lo": (
        "ip -n L-node-1 addr add fd00:10:244:2::2/128 dev lo",
        ("addr", "node-1", "lo fd00:10:244:2::2/128", "addr del"),
    ),
    "127.0.0.1 deleted": (
        "ip -n L-client addr del 127.0.0.1/8 dev lo",
        ("netns", "client", "L-client", "addr add 127.0.0.1/8 dev lo"),
    ),
    "::1 deleted": (
        "ip -n L-client addr del ::1/128 dev lo",
        ("netns", "client", "L-client", "addr add ::1/128 dev lo"),
    ),
    "local route of an address deleted": (
        "ip -n L-node-1 route del local 10.244.1.1 table local dev cni0",
        ("addr", "node-1", "cni0 10.244.1.1/24", "route replace local 10.244.1.1/32 dev cni0"),
    ),
    "broadcast route deleted": (
        "ip -n L-client route del broadcast 10.244.1.255 table local dev eth0",
        ("addr", "client", "eth0 10.244.1.2/24", "route replace broadcast 10.244.1.255/32 dev eth0"),
    ),
    "IPv6 local route of an address deleted": (
        "ip -n L-server -6 route del local fd00:10:244:2::2 table local dev eth0",
        ("addr", "server", "eth0 fd00:10:244:2::2/64", "addr del fd00:10:244:2::2/64"),
    ),
    "route of lo deleted": (
        "ip -n L-client route del local 127.0.0.0/8 table local dev lo",
        ("netns", "client", "L-client", "route add local 127.0.0.0/8 dev lo table local"),
    ),
    "route to 127.0.0.1 deleted": (
        "ip -n L-client route del local 127.0.0.1 table local dev lo",
        ("netns", "client", "L-client", "route add local 127.0.0.1/32 dev lo table local"),
    ),
    "IPv6 route of lo deleted": (
        "ip -n L-client -6 route del local ::1 table local dev lo",
        ("netns", "client", "L-client", "addr del ::1/128 dev lo"),
    ),
    "local route added to table local": (
        "ip -n L-node-1 route add local 10.244.2.2 dev lo table local",
        ("route", "node-1", "10.244.2.2/32 table local", "route del local 10.244.2.2/32"),
    ),
    "local route added in the kernel's name": (
        "ip -n L-node-1 route add local 10.244.2.2 dev eth0 table local proto kernel",
        ("route", "node-1", "10.244.2.2/32 table local", "route del local 10.244.2.2/32 proto kernel table local"),
    ),
    "IPv6 local route added": (
        "ip -n L-node-1 -6 route add local fd00:10:244:2::2 dev lo table local",
        ("route", "node-1", "fd00:10:244:2::2/128 table local", "-6 -n L-node-1 route del local"),
    ),
    "broadcast route added": (
        "ip -n L-client route add broadcast 10.244.2.2 dev eth0 table local",
        ("route", "client", "10.244.2.2/32 table local", "route del broadcast 10.244.2.2/32"),
    ),
    "blackhole in table local": (
        "ip -n L-node-1 route add blackhole 10.244.2.0/24 table local",
        ("route", "node-1", "10.244.2.0/24 table local", "route del blackhole 10.244.2.0/24"),
    ),
    "route in table default": (
        "ip -n L-client route add 10.99.0.0/16 via 10.244.1.1 table default",
        ("route", "client", "10.99.0.0/16 table default", "table default"),
    ),
    # -- states of addresses
    "address that failed duplicate address detection": (
        (
            "ip -n L-server -6 addr del fd00:10:244:2::2/64 dev eth0;"
            " ip -n L-node-2 -6 addr add fd00:10:244:2::2/128 dev cni0 nodad;"
            " ip netns exec L-server sysctl -qw net.ipv6.conf.eth0.accept_dad=1 net.ipv6.conf.eth0.dad_transmits=1;"
            " ip -n L-server -6 addr add fd00:10:244:2::2/64 dev eth0;"
            " while ip -n L-server -6 addr show dev eth0 | grep -q 'tentative *$';"
            " do ip -n L-server -6 addr show dev eth0 | grep dadfailed && break; sleep 0.05; done;"
            " ip -n L-node-2 -6 addr del fd00:10:244:2::2/128 dev cni0"
        ),
        ("addr", "server", "eth0 fd00:10:244:2::2/64", "addr add fd00:10:244:2::2/64 nodad"),
    ),
    "deprecated address": (
        "ip -n L-client -6 addr change fd00:10:244:1::2/64 dev eth0 preferred_lft 0",
        ("addr", "client", "eth0 fd00:10:244:1::2/64", "addr add fd00:10:244:1::2/64 nodad"),
    ),
    "IPv4 address that ends by itself": (
        "ip -n L-client addr change 10.244.1.2/24 dev eth0 valid_lft 600 preferred_lft 600",
        ("addr", "client", "eth0 10.244.1.2/24", "addr add 10.244.1.2/24"),
    ),
    # -- forwarding entries
    "the bridge's own entries flushed": (
        "bridge -n L-node-1 fdb flush dev cni0",
        ("bridge", "node-1", "cni0", "bridge -n L-node-1 fdb add 0a:02:00:01:00:00 dev cni0 self permanent"),
    ),
    "a port's own entry deleted": (
        ("bridge -n L-underlay fdb del $(ip -n L-underlay -br link show node-2 | awk '{print $3}') dev node-2 master"),
        ("port", "underlay", "node-2", "dev node-2 master permanent"),
    ),
    "the bridge's MAC behind a port": (
        (
            "bridge -n L-node-1 fdb replace $(ip -n L-node-1 -br link show cni0 | awk '{print $3}')"
            " dev veth-client master static"
        ),
        ("fdb", "node-1", "veth-client 0a:02:00:01:00:00", "fdb del"),
    ),
    "static fdb entry of cni0": (
        "bridge -n L-node-1 fdb replace 0a:01:00:01:00:99 dev veth-client master static",
        ("fdb", "node-1", "veth-client 0a:01:00:01:00:99", "fdb del"),
    ),
    "static fdb entry that steals a Pod's MAC (F19)": (
        (
            "bridge -n L-underlay fdb replace"
            " $(ip -n L-node-2 -br link show eth0 | awk '{print $3}') dev node-1 master static"
        ),
        # A static entry that is not sticky follows the next frame of its MAC to the port of node-2.
        ("fdb", "underlay", "node-", "fdb del"),
    ),
    "permanent fdb entry of a bridge": (
        "bridge -n L-node-1 fdb add 0a:01:00:01:00:98 dev veth-client master permanent",
        ("fdb", "node-1", "veth-client 0a:01:00:01:00:98", "fdb del"),
    ),
    "MAC of the bridge's own": (
        "bridge -n L-node-1 fdb add 0a:01:00:01:00:97 dev cni0 self permanent",
        ("fdb", "node-1", "cni0 0a:01:00:01:00:97", "dev cni0 self"),
    ),
    "static fdb entry of vxlan0": (
        "bridge -n L-node-1 fdb add 0a:01:00:01:00:96 dev vxlan0 dst 172.18.0.9 self static",
        ("fdb", "node-1", "vxlan0 0a:01:00:01:00:96 dst 172.18.0.9", "fdb del"),
    ),
    "fdb entry with a port of its own (F04)": (
        (
            "bridge -n L-node-1 fdb del 0a:03:00:02:00:00 dev vxlan0 dst 172.18.0.3 self;"
            " bridge -n L-node-1 fdb add 0a:03:00:02:00:00 dev vxlan0 dst 172.18.0.3 port 4790 self permanent"
        ),
        ("fdb", "node-1", "vxlan0 0a:03:00:02:00:00 dst 172.18.0.3 port 4790", "fdb del"),
    ),
    "VTEP's MAC is another (F06)": (
        "ip -n L-node-2 link set vxlan0 address 0a:03:00:02:00:ff",
        ("vxlan", "node-2", "vxlan0", "address 0a:03:00:02:00:00"),
    ),
    # -- links
    "VLAN filtering": (
        "ip -n L-node-1 link set cni0 type bridge vlan_filtering 1",
        ("bridge", "node-1", "cni0", "type bridge vlan_filtering 0"),
    ),
    "STP": ("ip -n L-underlay link set br0 type bridge stp_state 1", ("bridge", "underlay", "br0", "stp_state 0")),
    "learned entries never kept": (
        "ip -n L-node-1 link set cni0 type bridge ageing_time 0",
        ("bridge", "node-1", "cni0", "type bridge ageing_time 30000"),
    ),
    "rules for bridged frames": (
        "ip -n L-underlay link set br0 type bridge nf_call_iptables 1 nf_call_arptables 1",
        ("bridge", "underlay", "br0", "type bridge nf_call_arptables 0"),
    ),
    "snooping off": (
        "ip -n L-node-1 link set cni0 type bridge mcast_snooping 0",
        ("bridge", "node-1", "cni0", "mcast_snooping 1"),
    ),
    "port that does not forward": (
        "bridge -n L-node-1 link set dev veth-client state disabled",
        ("port", "node-1", "veth-client", "type bridge_slave state 3"),
    ),
    "port that floods nothing": (
        "bridge -n L-node-1 link set dev veth-client flood off bcast_flood off mcast_flood off",
        ("port", "node-1", "veth-client", "type bridge_slave flood on"),
    ),
    "port that suppresses ARP": (
        "bridge -n L-node-1 link set dev veth-client neigh_suppress on",
        ("port", "node-1", "veth-client", "neigh_suppress off"),
    ),
    "locked port": (
        "bridge -n L-underlay link set dev node-1 locked on learning off",
        ("port", "underlay", "node-1", "locked off"),
    ),
    "isolated ports (F29)": (
        ("bridge -n L-underlay link set dev node-1 isolated on; bridge -n L-underlay link set dev node-2 isolated on"),
        ("port", "underlay", "node-2", "isolated off"),
    ),
    "ARP off": ("ip -n L-client link set eth0 arp off", ("veth", "node-1", "veth-client", "link set dev eth0 arp on")),
    "multicast off": (
        "ip -n L-node-1 link set eth0 multicast off",
        ("veth", "node-1", "eth0", "multicast on"),
    ),
    "VXLAN device kept down by its protocol": (
        "ip -n L-node-1 link set vxlan0 protodown on",
        ("vxlan", "node-1", "vxlan0", "protodown off"),
    ),
    "VXLAN device with a TTL": (
        "ip -n L-node-1 link set vxlan0 type vxlan ttl 1",
        ("vxlan", "node-1", "vxlan0", "link add vxlan0"),
    ),
    "VXLAN device that sets DF": (
        "ip -n L-node-1 link set vxlan0 type vxlan df set",
        ("vxlan", "node-1", "vxlan0", "link add vxlan0"),
    ),
    "VXLAN device that learns": (
        "ip -n L-node-1 link set vxlan0 type vxlan learning",
        ("vxlan", "node-1", "vxlan0", "nolearning"),
    ),
    "VXLAN device from another address (F05, F13)": (
        "ip -n L-node-1 link set vxlan0 type vxlan local 10.0.2.15",
        ("vxlan", "node-1", "vxlan0", "local 172.18.0.2"),
    ),
    "VXLAN device on another port (F04)": (
        (
            "ip -n L-node-1 link del vxlan0; ip -n L-node-1 link add vxlan0 address 0a:03:00:01:00:00 mtu 1450"
            " type vxlan id 1 local 172.18.0.2 dev eth0 dstport 8472 nolearning; ip -n L-node-1 link set vxlan0 up"
        ),
        ("vxlan", "node-1", "vxlan0", "dstport 4789"),
    ),
    "its link in a namespace of somebody else's": (
        # The kernel frees the namespace in the background, and the other end of the veth with it.
        (
            "ip netns add far-L; ip -n L-client link set eth0 netns far-L; ip netns del far-L;"
            " while ip -n L-node-1 link show veth-client 2>/dev/null; do sleep 0.05; done"
        ),
        ("veth", "node-1", "veth-client", "link add veth-client"),
    ),
    # -- sysctls of single links
    "forwarding off on one link": (
        "ip netns exec L-node-1 sysctl -qw net.ipv4.conf.cni0.forwarding=0",
        ("sysctl", "node-1", "net.ipv4.conf.cni0.forwarding", "net.ipv4.conf.cni0.forwarding=1"),
    ),
    "strict reverse path on one link (F14)": (
        "ip netns exec L-node-1 sysctl -qw net.ipv4.conf.vxlan0.rp_filter=1",
        ("sysctl", "node-1", "net.ipv4.conf.vxlan0.rp_filter", "rp_filter=0"),
    ),
    "proxy ARP": (
        "ip netns exec L-node-1 sysctl -qw net.ipv4.conf.cni0.proxy_arp=1",
        ("sysctl", "node-1", "net.ipv4.conf.cni0.proxy_arp", "proxy_arp=0"),
    ),
    "ARP ignored": (
        "ip netns exec L-client sysctl -qw net.ipv4.conf.eth0.arp_ignore=8",
        ("sysctl", "client", "net.ipv4.conf.eth0.arp_ignore", "arp_ignore=0"),
    ),
    "accept_local": (
        "ip netns exec L-node-1 sysctl -qw net.ipv4.conf.eth0.accept_local=1",
        ("sysctl", "node-1", "net.ipv4.conf.eth0.accept_local", "accept_local=0"),
    ),
    "IPv6 off on a link": (
        "ip netns exec L-client sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1",
        ("sysctl", "client", "net.ipv6.conf.eth0.disable_ipv6", "disable_ipv6=0"),
    ),
    "IPv6 off on lo": (
        "ip netns exec L-client sysctl -qw net.ipv6.conf.lo.disable_ipv6=1",
        ("sysctl", "client", "net.ipv6.conf.lo.disable_ipv6", "disable_ipv6=0"),
    ),
    "IPv6 MTU of its own": (
        "ip netns exec L-client sysctl -qw net.ipv6.conf.eth0.mtu=1280",
        ("sysctl", "client", "net.ipv6.conf.eth0.mtu", "mtu=1450"),
    ),
    "router advertisements taken (F52)": (
        "ip netns exec L-node-1 sysctl -qw net.ipv6.conf.eth0.accept_ra=2",
        ("sysctl", "node-1", "net.ipv6.conf.eth0.accept_ra", "accept_ra=0"),
    ),
    "IPv6 forwarding off on one link (F53)": (
        "ip netns exec L-node-1 sysctl -qw net.ipv6.conf.cni0.forwarding=0",
        ("sysctl", "node-1", "net.ipv6.conf.cni0.forwarding", "forwarding=1"),
    ),
    # -- hardening
    "TTL of a node": (
        "ip netns exec L-node-2 sysctl -qw net.ipv4.ip_default_ttl=2",
        ("sysctl", "node-2", "net.ipv4.ip_default_ttl", "net.ipv4.ip_default_ttl=64"),
    ),
    "hop limit of one link": (
        "ip netns exec L-server sysctl -qw net.ipv6.conf.eth0.hop_limit=1",
        ("sysctl", "server", "net.ipv6.conf.eth0.hop_limit", "net.ipv6.conf.eth0.hop_limit=64"),
    ),
    "ARP answered for own addresses of the link alone": (
        "ip netns exec L-node-1 sysctl -qw net.ipv4.conf.all.arp_ignore=8",
        ("sysctl", "node-1", "net.ipv4.conf.all.arp_ignore", "net.ipv4.conf.all.arp_ignore=0"),
    ),
    "ARP restricted": (
        "ip netns exec L-underlay sysctl -qw net.ipv4.conf.all.arp_announce=2 net.ipv4.conf.all.arp_filter=1",
        ("sysctl", "underlay", "net.ipv4.conf.all.arp_filter", "net.ipv4.conf.all.arp_filter=0"),
    ),
    "proxy ARP on all links": (
        "ip netns exec L-node-2 sysctl -qw net.ipv4.conf.all.proxy_arp=1",
        ("sysctl", "node-2", "net.ipv4.conf.all.proxy_arp", "net.ipv4.conf.all.proxy_arp=0"),
    ),
    "echo requests ignored": (
        "ip netns exec L-server sysctl -qw net.ipv4.icmp_echo_ignore_all=1 net.ipv6.icmp.echo_ignore_all=1",
        ("sysctl", "server", "net.ipv6.icmp.echo_ignore_all", "net.ipv6.icmp.echo_ignore_all=0"),
    ),
    "no source ports": (
        "ip netns exec L-client sysctl -qw net.ipv4.ip_local_port_range='40000 40000'",
        ("sysctl", "client", "net.ipv4.ip_local_port_range", "'net.ipv4.ip_local_port_range=32768 60999'"),
    ),
    "fragments not put together": (
        "ip netns exec L-server sysctl -qw net.ipv4.ipfrag_low_thresh=0 net.ipv4.ipfrag_high_thresh=0",
        ("sysctl", "server", "net.ipv4.ipfrag_high_thresh", "net.ipv4.ipfrag_high_thresh=4194304"),
    ),
    # -- qdiscs, programs, IPsec
    "bandwidth limit (F31)": (
        "tc -n L-node-1 qdisc add dev veth-client root tbf rate 1mbit burst 10kb latency 25ms",
        ("qdisc", "node-1", "veth-client root tbf", "qdisc del dev veth-client root"),
    ),
    "classes and filters": (
        (
            "tc -n L-client qdisc add dev eth0 root handle 1: htb;"
            " tc -n L-client class add dev eth0 parent 1: classid 1:1 htb rate 1mbit"
        ),
        ("qdisc", "client", "eth0 root htb", "qdisc del dev eth0 root"),
    ),
    "clsact": ("tc -n L-client qdisc add dev eth0 clsact", ("qdisc", "client", "eth0 clsact", "del dev eth0 clsact")),
    "ingress": (
        "tc -n L-node-1 qdisc add dev cni0 ingress",
        ("qdisc", "node-1", "cni0 ingress", "del dev cni0 ingress"),
    ),
    "IPsec policy": (
        "ip -n L-node-1 xfrm policy add src 10.244.1.0/24 dst 10.244.2.0/24 dir fwd action block",
        ("xfrm", "node-1", "policy src 10.244.1.0/24 dst 10.244.2.0/24 action block dir fwd", "policy delete dir fwd"),
    ),
}


@pytest.fixture(scope="module")
def bed(kit: Any, request: pytest.FixtureRequest) -> Iterator[tuple[str, State, LinuxKernel]]:
    """One lab for all of them: each leaves it as it was."""
    lab = f"odd{os.getpid()}"
    want = kit.want(kit.spec(lab, ipFamilies=["IPv4", "IPv6"]))
    with LinuxKernel() as kernel:
        converge(kernel, lab, want)
        yield lab, want, kernel
    kit.down(lab)


@pytest.mark.parametrize("what", ODD, ids=lambda text: text.replace(" ", "-"))
def test_it_is_named_and_mended_by_hand_and_by_up(kit: Any, bed: Any, what: str) -> None:
    lab, want, kernel = bed
    typed, (kind, where, name, words) = ODD[what]
    if "vlan_filtering" in typed and not _filters_vlans(lab, kit):
        pytest.skip("this kernel was built without VLAN filtering of bridges")
    for by_hand in (True, False):
        kit.sh(typed.replace("L-", f"{lab}-").replace("far-L", f"far-{lab}"))
        told = drift(want, kernel.observe(lab, want).state, want)
        named = [
            op
            for op in told.operations
            if (op.obj.kind, op.obj.netns) == (kind, f"{lab}-{where}")
            and op.obj.name.startswith(name.replace("L-", f"{lab}-"))
        ]
        assert named, [(op.obj.kind, op.obj.netns, op.obj.name) for op in told.operations]
        assert any(words.replace("L-", f"{lab}-") in op.explain() for op in named), [op.explain() for op in named]
        if by_hand and not _needs_order(told.operations):
            for op in told.operations:
                kit.sh(op.explain(exact=True))
        else:
            converge(kernel, lab, want, want)
        left = drift(want, kernel.observe(lab, want).state, want)
        assert not left.operations, [op.explain() for op in left.operations]
        assert not left.foreign
    # A link that went down and up twice within a second is told to its bridge up to a second later (linkwatch).
    for address in ("10.244.2.2", "fd00:10:244:2::2"):
        assert any(kit.ping(f"{lab}-client", address) for _ in range(3))


def _filters_vlans(lab: str, kit: Any) -> bool:
    return "vlan_filtering" in kit.sh(f"ip -n {lab}-node-1 -d -j link show cni0") and bool(
        kit.sh(f"ip -n {lab}-node-1 link set cni0 type bridge vlan_filtering 1 2>/dev/null && echo yes; true")
    )


def _needs_order(operations: Any) -> bool:
    """Where a link is made anew, what hung on it is known only after it went: a second ``diff`` tells."""
    return any(op.verb is Verb.DELETE and op.obj.kind in ("vxlan", "veth") for op in operations)


def test_an_xdp_program_is_named_and_taken_off(kit: Any, bed: Any) -> None:
    lab, want, kernel = bed
    _drop_everything(f"{lab}-client", "eth0")
    assert not kit.ping(f"{lab}-client", "10.244.2.2", "-W", "0.3")
    told = drift(want, kernel.observe(lab, want).state, want).operations
    assert [op.obj.name for op in told] == ["veth-client"]
    assert " xdpgeneric off" in told[0].explain()
    converge(kernel, lab, want, want)
    assert not drift(want, kernel.observe(lab, want).state, want).operations
    assert kit.ping(f"{lab}-client", "10.244.2.2")


def test_what_strangers_put_on_links_of_their_own_is_theirs(kit: Any, bed: Any) -> None:
    lab, want, kernel = bed
    node = f"{lab}-node-1"
    kit.sh(f"ip -n {node} link add mine type bridge; ip -n {node} link set mine up")
    kit.sh(f"ip netns exec {node} sysctl -qw net.ipv4.conf.mine.rp_filter=1; tc -n {node} qdisc add dev mine clsact")
    told = drift(want, kernel.observe(lab, want).state, want)
    assert not told.operations
    assert {(one.kind, one.name) for one in told.foreign} >= {("bridge", "mine"), ("qdisc", "mine clsact")}
    kit.sh(f"ip -n {node} link del mine")


def test_traffic_makes_no_drift(kit: Any, bed: Any) -> None:
    """Learned entries, path MTU exceptions, a sniffer."""
    lab, want, kernel = bed
    sniffer = f"ip netns exec {lab}-node-1 timeout 3 tcpdump -ni cni0 -c 4 -w /dev/null"
    kit.sh(f"{sniffer} 2>/dev/null & sleep 0.3; ip netns exec {lab}-client ping -qc 2 -i 0.2 10.244.2.2; true")
    kit.sh(f"ip netns exec {lab}-client ping -qc 1 -s 2000 10.244.2.2; ip netns exec {lab}-node-1 ping -qc1 10.244.1.2")
    told = drift(want, kernel.observe(lab, want).state, want)
    assert not told.operations, [op.explain() for op in told.operations]
    assert not told.foreign


def _drop_everything(netns: str, dev: str) -> None:
    """Attach an XDP program of two instructions: r0 = XDP_DROP; exit."""
    code = ctypes.create_string_buffer(struct.pack("=BBhiBBhi", 0xB7, 0, 0, 1, 0x95, 0, 0, 0))
    licence = ctypes.create_string_buffer(b"GPL")
    request = struct.pack("=IIQQIIQII", 6, 2, ctypes.addressof(code), ctypes.addressof(licence), 0, 0, 0, 0, 0)
    buffer = ctypes.create_string_buffer(request + bytes(80))
    program = syscall("bpf", 5, buffer, len(request))
    if program < 0:
        pytest.skip(f"this host loads no BPF programs: {os.strerror(ctypes.get_errno())}")
    worker = ns.Worker()

    def attach() -> None:
        fd = ns.open_named(netns)
        with ns.inside(fd):
            sock = NetlinkSocket()
            index = next(one.number for one in links(sock).values() if one.name == dev)
            data = attr(1, struct.pack("=i", program)) + attr_u32(3, 2)  # IFLA_XDP_FD; XDP_FLAGS_SKB_MODE
            refused = sock.batch([(SETLINK, 0, ifinfo(index) + attr(IFLA_XDP | NESTED, data))])
            sock.close()
            assert not refused, refused
        os.close(fd)

    try:
        worker.run(attach)
    finally:
        worker.close()
        os.close(program)
