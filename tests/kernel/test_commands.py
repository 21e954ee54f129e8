"""The teaching text cannot lie: the shell lines that netlab prints build what netlab builds."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from netlab.kernel.linux import LinuxKernel
from netlab.objects import (
    Addr,
    Bridge,
    Fdb,
    File,
    Key,
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
    diff,
)
from netlab.objects.tunnels import Tunnel
from netlab.plan import desired, render
from netlab.planes import ROWS
from netlab.runtime.converge import converge
from tests.kernel_features import with_needs
from tests.tables import part

pytestmark = [pytest.mark.kernel, pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")]

LABS: dict[str, dict[str, Any]] = {name: {"dataplane": name} for name in ROWS}
LABS |= {
    f"{name}-dual": {"dataplane": name, "ipFamilies": ["IPv4", "IPv6"]}
    for name, row in ROWS.items()
    if len(row.families) == 2
}
LABS |= {"vxlan-ipv6": {"dataplane": "vxlan", "ipFamilies": ["IPv6"]}}
LABS |= {"vxlan-too-small-for-ipv6": {"dataplane": "vxlan", "mtu": 1200}}
WHICH = [with_needs(spec["dataplane"], name) for name, spec in LABS.items()]


def group(which: str) -> str:
    """A data plane with a family or two are a group."""
    return which.removesuffix("-dual")


def paste(kit: Any, text: str, *, exact: bool) -> None:
    """The script as it is pasted, but for its last line, which starts the agent."""
    cluster = kit.cluster(text)
    want = desired(cluster)
    script = render.script(cluster.lab, diff(want, State()), exact=exact)
    body, _, last = script.rpartition("\n")
    assert last.startswith("netlab up")
    if devices_of_a_new_namespace(kit) != ["lo"]:  # a module put one there: low indexes are taken
        body = re.sub(r"\bindex \d+ ", "", body)
    kit.sh(body, timeout=600)  # hundreds of processes: a guest without KVM is slow


def devices_of_a_new_namespace(kit: Any) -> list[str]:
    return [link["ifname"] for link in json.loads(kit.sh("unshare -n ip -j link"))]


def clean(kit: Any, lab: str, want: State) -> None:
    with LinuxKernel() as kernel:
        converge(kernel, lab, State(), want)
    assert not kit.remains(lab)


@pytest.mark.parametrize("which", part(WHICH, group))
def test_the_exact_script_builds_the_very_same_lab(kit: Any, lab: str, which: str) -> None:
    text = kit.spec(lab, **LABS[which])
    want = kit.want(text, files=True)
    try:
        paste(kit, text, exact=True)
        with LinuxKernel() as kernel:
            seen = kernel.observe(lab, want).state
            assert seen == want
            assert devices_of_a_new_namespace(kit) != ["lo"] or sorted(indexes(seen)) == sorted(indexes(want))
        # What is left to do is to start the agent: a listener a Pod.
        listeners = list(desired(kit.cluster(text)).only(Listener))
        assert kit.up(text).changed == len(listeners)
    finally:
        kit.down(lab)
        clean(kit, lab, want)


def indexes(state: State) -> list[tuple[Key, int]]:
    found = [(one.key, one.end.index * 10_000 + one.peer.index) for one in state.only(Veth)]
    return found + [
        (one.key, one.index)
        for one in (*state.only(Bridge), *(each for each in state.values() if isinstance(each, Tunnel)))
    ]


@pytest.mark.parametrize("which", part(WHICH, group, turn=1))
def test_the_plain_script_builds_a_lab_that_works(kit: Any, lab: str, which: str) -> None:
    pods = [("client", "node-1"), ("server", "node-2"), ("near", "node-1")]
    text = kit.spec(lab, pods, **LABS[which])
    cluster = kit.cluster(text)
    want = kit.want(text, files=True)
    try:
        paste(kit, text, exact=False)
        with LinuxKernel() as kernel:
            seen = kernel.observe(lab, want).state
        # Only the MACs that nothing names are the kernel's own choice.
        assert seen.replace(*(like(seen[one.key], one) for one in want.only(Veth))) == want
        for pod in cluster.pods[1:]:
            if not which.startswith("bridge") or pod.name == "near":
                for address in pod.addresses:
                    assert kit.ping(f"{lab}-client", str(address.ip))
    finally:
        clean(kit, lab, want)


def like(seen: Obj, want: Veth) -> Veth:
    assert isinstance(seen, Veth)
    end = replace(seen.end, mac=want.end.mac) if not want.end.pinned else seen.end
    peer = replace(seen.peer, mac=want.peer.mac) if not want.peer.pinned else seen.peer
    return replace(seen, end=end, peer=peer)


# -- one object at a time: explain, amend and undo ------------------------------------------------------------------


def node(lab: str) -> str:
    return f"{lab}-node-1"


def changed(kind: type[Obj], name: str, **fields: Any) -> Callable[[State, str], State]:
    def change(state: State, lab: str) -> State:
        obj = next(one for one in state.only(kind) if one.name == name and one.netns == node(lab))
        return state.replace(replace(obj, **fields))

    return change


def end(which: str, **fields: Any) -> Callable[[State, str], State]:
    def change(state: State, lab: str) -> State:
        veth = next(one for one in state.only(Veth) if one.name == "veth-client")
        return state.replace(replace(veth, **{which: replace(getattr(veth, which), **fields)}))

    return change


def added(make: Callable[[str], Obj]) -> Callable[[State, str], State]:
    return lambda state, lab: state.replace(make(node(lab)))


def without(kind: type[Obj], name: str) -> Callable[[State, str], State]:
    return lambda state, lab: state.without(
        *(one.key for one in state.only(kind) if one.name == name and one.netns == node(lab))
    )


CHANGES: dict[str, Callable[[State, str], State]] = {
    "mtu": end("end", mtu=1400),
    "mac": end("end", mac="0a:01:02:03:04:05"),
    "altname": end("end", altname="something-else"),
    "no altname": end("end", altname=""),
    "offload": end("peer", offload=True),
    "bridge mtu": changed(Bridge, "cni0", mtu=1400),
    "bridge mac": changed(Bridge, "cni0", mac="0a:01:02:03:04:05"),
    "vxlan vni": changed(Vxlan, "vxlan0", vni=9),
    "vxlan port": changed(Vxlan, "vxlan0", port=8472),
    "vxlan learning": changed(Vxlan, "vxlan0", learning=True),
    "vxlan gone": lambda state, lab: State(
        one for one in state.values() if one.netns != node(lab) or "vxlan0" not in (one.name, getattr(one, "dev", ""))
    ),
    "hairpin": changed(Port, "veth-client", hairpin=False),
    "isolated": changed(Port, "veth-client", isolated=True),
    "port learning": changed(Port, "veth-client", learning=False),
    "port gone": without(Port, "veth-client"),
    "route via another": changed(Route, "10.244.2.0/24", via="172.18.0.3", dev="eth0", onlink=False),
    "route gone": without(Route, "10.244.2.0/24"),
    "blackhole": added(lambda netns: Route(netns, "10.9.0.0/16", type="blackhole")),
    "unreachable IPv6": added(lambda netns: Route(netns, "fd99::/64", type="unreachable", dev="")),
    "route of bird": added(lambda netns: Route(netns, "10.9.0.0/16", "172.18.0.3", "eth0", proto=12)),
    "route on a link": added(lambda netns: Route(netns, "10.9.0.0/16", dev="cni0", scope="link")),
    "route with source and metric": added(
        lambda netns: Route(netns, "10.9.0.0/16", "172.18.0.3", "eth0", "10.244.1.1", metric=7)
    ),
    "IPv6 route with a metric": added(lambda netns: Route(netns, "fd99::/64", "fd00:172:18::3", "eth0", metric=7)),
    "address": added(lambda netns: Addr(netns, "cni0", "10.99.0.1/24")),
    "host address": added(lambda netns: Addr(netns, "cni0", "10.99.0.1/32")),
    "link address": added(lambda netns: Addr(netns, "cni0", "169.254.1.1/32", scope="link")),
    "pair address": added(lambda netns: Addr(netns, "cni0", "10.99.0.0/31")),
    "IPv6 address": added(lambda netns: Addr(netns, "cni0", "fd99::1/64")),
    "point to point": added(lambda netns: Addr(netns, "cni0", "10.99.0.1/32", peer="10.99.0.2/32")),
    "address gone": without(Addr, "cni0 fd00:10:244:1::1/64"),
    "neighbour": added(lambda netns: Neigh(netns, "cni0", "10.244.1.9", "0a:01:02:03:04:05")),
    "neighbour changed": changed(Neigh, "vxlan0 10.244.2.0", mac="0a:01:02:03:04:05"),
    "fdb": added(lambda netns: Fdb(netns, "vxlan0", "0a:01:02:03:04:05", "172.18.0.9")),
    "fdb gone": without(Fdb, "vxlan0 0a:03:00:02:00:00 dst 172.18.0.3"),
    "sysctl": changed(Sysctl, "net.ipv4.ip_forward", value="0"),
    "link sysctl": lambda state, lab: state.replace(
        Sysctl(node(lab), "net.ipv4.conf.veth-client.proxy_arp", "1", "veth-client")
    ),
    "file": changed(File, "hosts", content='it\'s 100% \\ "new"\n'),
    "Pod gone": lambda state, lab: State(
        one
        for one in state.values()
        if one.netns != f"{lab}-client"
        and not (isinstance(one, Veth) and one.name == "veth-client")
        and not (isinstance(one, Port) and one.name == "veth-client")
    ),
}
NO_WAY_BACK = {"link sysctl"}  # a shell has no line for "as a new namespace has it"


@pytest.fixture(scope="module")
def base(kit: Any) -> Iterator[tuple[str, State]]:
    """A lab for all changes: each leaves it as it was."""
    lab = f"says{os.getpid()}"
    base = kit.want(kit.spec(lab, ipFamilies=["IPv4", "IPv6"]), files=True)
    yield lab, base
    clean(kit, lab, base)


@pytest.mark.parametrize("change", CHANGES, ids=lambda text: text.replace(" ", "-"))
def test_what_an_object_says_is_what_is_done(kit: Any, base: tuple[str, State], change: str) -> None:
    lab, want = base
    other = CHANGES[change](want, lab)
    both = State.of({**want, **other})
    with LinuxKernel() as kernel:
        kernel.apply(diff(want, kernel.observe(lab, want).state))
        kit.sh("\n".join(op.explain(exact=True) for op in diff(other, want)))
        assert kernel.observe(lab, both).state.without(*unset(both, other)) == other
        if change not in NO_WAY_BACK:
            kit.sh("\n".join(op.explain(exact=True) for op in diff(want, other)))
            assert kernel.observe(lab, want).state == want
        # And the same by netlab itself.
        kernel.apply(diff(other, kernel.observe(lab, both).state))
        assert kernel.observe(lab, other).state == other
    if change in NO_WAY_BACK:
        clean(kit, lab, want)


@pytest.mark.parametrize("families", [["IPv4"], ["IPv4", "IPv6"]], ids=" ".join)
def test_a_link_that_lost_ipv6_with_its_mtu_is_mended(kit: Any, lab: str, families: list[str]) -> None:
    """Below 1280 bytes the kernel takes IPv6 off a link; in one message with the MTU it refused to have it set up again."""
    want = kit.want(kit.spec(lab, ipFamilies=families))
    try:
        with LinuxKernel() as kernel:
            kernel.apply(diff(want, State()))
            kit.sh(f"ip -n {node(lab)} link set eth0 mtu 1000; ip -n {lab}-client link set eth0 mtu 1000")
            for _ in range(2):  # what IPv6 had on the link is seen to be missing when the link can have it again
                kernel.apply(diff(want, kernel.observe(lab, want).state))
            assert kernel.observe(lab, want).state == want
    finally:
        clean(kit, lab, want)


def unset(both: State, other: State) -> list[Key]:
    """Sysctls are there whether anybody asks for them or not."""
    return [key for key, one in both.items() if key not in other and isinstance(one, (Sysctl, Netns))]
