"""Rules that netlab compiles itself are those that libnftables makes of the same words, as the kernel tells them back."""

from __future__ import annotations

import itertools
import json
import struct
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netlab.kernel.host import netns as ns
from netlab.kernel.nftables import compile as nftcode
from netlab.kernel.nftables import drift, libnft
from netlab.kernel.nftables import run as nftrun
from netlab.kernel.rtnetlink.socket import NETLINK_NETFILTER, NetlinkSocket
from netlab.model import build
from netlab.objects import NftChain, NftSet, NftTable, Op, Verb
from netlab.objects.nftsteps import Act, Step, text, transaction, transactions
from netlab.plan import desired, policytext
from netlab.spec import Documents, load, load_text
from tests.tables import part as fixed

pytestmark = pytest.mark.kernel
LABS = sorted(Path(__file__).resolve().parents[2].glob("labs/*/lab.yaml"))
PLANES = ("bridge", "vxlan", "host-gw", "flannel-vxlan", "calico-bgp", "calico-vxlan", "kindnet", "weave")

# -- what the kernel has -------------------------------------------------------------------------------------------------


def nft_version() -> str:
    """``1.0.6``."""
    said = subprocess.run(["nft", "--version"], capture_output=True, text=True, check=True).stdout
    return said.split()[1].removeprefix("v")


_GET = {"chain": 4, "rule": 7, "set": 10, "elements": 13}
# Handles and positions; a set's type, which is an address of the kernel's; and its count, which ends of ranges bend.
_OF_ITS_MAKING = {"chain": {2, 6}, "rule": {3, 6}, "set": {16, 19, 20}, "elements": set()}


def tree(data: bytes) -> list[Any]:
    """Attributes as (type, bytes or attributes)."""
    found, offset = [], 0
    while offset + 4 <= len(data):
        size, kind = struct.unpack_from("=HH", data, offset)
        inside = data[offset + 4 : offset + size]
        found.append((kind & 0x3FFF, tree(inside) if kind & 0x8000 else inside))
        offset += (size + 3) & ~3
    return found


def told() -> dict[str, list[Any]]:
    """All chains, rules, sets and elements of the thread's namespace.

    netlab compiles as nft 1.0 does.  A newer library says the same in other messages: there its own listing is compared.
    """
    if _VERSION >= (1, 1):
        return _listed()
    sock = NetlinkSocket(NETLINK_NETFILTER, plain=True)
    found: dict[str, list[Any]] = {}
    sets = []
    for what in ("chain", "rule", "set"):
        for _, payload in sock.dump(10 << 8 | _GET[what], bytes(4)):
            data = bytes(payload)
            one = tree(data[4:])
            if what == "set":
                sets.append((data[0], dict(one)[1], dict(one)[2]))
            found.setdefault(what, []).append((data[0], [part for part in one if part[0] not in _OF_ITS_MAKING[what]]))
    for family, table, name in sets:
        place = b"".join(
            struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)
            for kind, value in ((1, table), (2, name))
        )
        listed: list[Any] = []
        for _, payload in sock.dump(10 << 8 | _GET["elements"], bytes((family, 0, 0, 0)) + place):
            # the kernel does not say that these are lists of lists
            for kind, value in tree(bytes(payload)[4:]):
                listed += tree(value) if kind == 3 else ()
        found.setdefault("elements", []).append((family, table, name, sorted(map(repr, listed))))
    sock.close()
    return found


_VERSION = tuple(int(number) for number in nft_version().split(".")[:2])


def _listed() -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for entry in json.loads(libnft.run("list ruleset", libnft.JSON))["nftables"]:
        for kind, value in entry.items():
            if kind != "metainfo":
                found.setdefault(kind, []).append(drift.still(value))
    return found


@pytest.fixture(scope="module")
def worker() -> Iterator[ns.Worker]:
    worker = ns.Worker()
    yield worker
    worker.close()


def differences(worker: ns.Worker, *commands: Sequence[Sequence[Step]]) -> list[tuple[str, Any, Any]]:
    """What the kernel has after the commands' parts as text, and after them as messages, where that is not the same."""

    def by_library() -> dict[str, list[Any]]:
        ns.unshare_net()
        for command in commands:
            for part in command:
                libnft.run(text(part))
        return told()

    def by_us() -> dict[str, list[Any]]:
        ns.unshare_net()
        for command in commands:
            with nftrun.Runner() as runner:
                for part in command:
                    runner.run(part)
        return told()

    librarys, ours = worker.run(by_library), worker.run(by_us)
    assert {what: len(found) for what, found in librarys.items()} == {what: len(found) for what, found in ours.items()}
    return [
        (what, *pair)
        for what in librarys
        for pair in zip(librarys[what], ours[what], strict=True)
        if pair[0] != pair[1]
    ]


# -- whole labs ----------------------------------------------------------------------------------------------------------


def alone(objects: Iterable[NftTable | NftSet | NftChain]) -> list[list[Step]]:
    """Objects, each declared and then filled in a transaction of its own, so that each that is known is compiled."""
    listed = sorted(objects, key=lambda one: (isinstance(one, NftSet), isinstance(one, NftChain)))
    declared = [[Step(Act.DECLARE, one)] for one in listed]
    rules = [[Step(Act.FILL, one)] for one in listed if isinstance(one, NftChain)]
    elements = [[Step(Act.PUT, one, one.elements)] for one in listed if isinstance(one, NftSet) and one.elements]
    return [*declared, *rules, *elements]


def by_netns(documents: Documents) -> dict[str, list[NftTable | NftSet | NftChain]]:
    found: dict[str, list[NftTable | NftSet | NftChain]] = {}
    for obj in desired(build(documents).cluster).values():
        if isinstance(obj, (NftTable, NftChain, NftSet)):
            found.setdefault(obj.netns, []).append(obj)
    return found


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.parent.name)
def test_what_labs_have(worker: ns.Worker, lab: Path) -> None:
    for objects in by_netns(load([lab])).values():
        assert differences(worker, alone(objects)) == []
        assert differences(worker, transactions([Op(Verb.CREATE, one) for one in objects])) == []


@pytest.mark.parametrize("lab", ["direct-racks", "services"])
def test_rules_that_nft_itself_made_are_no_drift(worker: ns.Worker, lab: str) -> None:
    """Who types diff's "mend by" lines, or loads a saved ruleset, has rules as this host's nft encodes them."""
    folder = next(path for path in LABS if path.parent.name == lab)
    for objects in by_netns(load([folder])).values():

        def seen(objects: list[NftTable | NftSet | NftChain] = objects) -> list[Any]:
            ns.unshare_net()
            for part in alone(objects):
                libnft.run(text(part))
            return drift.observed("any", objects, drift.tables(), touched=True)

        assert set(worker.run(seen)) == set(objects)


PLANE = """
apiVersion: netlab/v1
kind: Lab
metadata: {{name: x}}
spec:
  dataplane: {plane}
  nodes: [{{name: node-1}}, {{name: node-2}}]
  ipFamilies: {families}
  policy: {{deny: reject, established: {established}}}
  external: [{{name: internet, address: 192.0.2.10}}]
---
apiVersion: v1
kind: Pod
metadata: {{name: web, labels: {{app: web}}}}
spec: {{containers: [{{name: c, image: x, ports: [{{containerPort: 80, name: http, hostPort: 8080}}]}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec:
  type: LoadBalancer
  externalTrafficPolicy: Local
  sessionAffinity: ClientIP
  ipFamilyPolicy: PreferDualStack
  loadBalancerSourceRanges: [192.0.2.0/24, 198.51.100.0/24]
  selector: {{app: web}}
  ports: [{{port: 80, targetPort: http}}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: p}}
spec:
  podSelector: {{}}
  ingress:
  - from: [{{podSelector: {{}}}}, {{ipBlock: {{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}}}]
    ports: [{{port: http}}, {{port: 8000, endPort: 8100}}, {{port: 53, protocol: UDP}}]
  egress: [{{to: [{{ipBlock: {{cidr: 0.0.0.0/0}}}}]}}]
  policyTypes: [Ingress, Egress]
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {{name: tier}}
spec:
  tier: Admin
  priority: 1
  subject: {{namespaces: {{}}}}
  ingress:
  - {{action: Pass, from: [{{namespaces: {{}}}}], protocols: [{{destinationNamedPort: http}}, {{sctp: {{}}}}]}}
  - {{action: Deny, from: [{{namespaces: {{}}}}]}}
  egress: [{{action: Accept, to: [{{nodes: {{}}}}, {{networks: [192.0.2.0/24, "::/0"]}}]}}]
"""


@pytest.mark.parametrize(
    ("plane", "families", "established"),
    fixed(itertools.product(PLANES, ["[IPv4]", "[IPv4, IPv6]"], ["keep", "drop"]), lambda plane, *_: plane),
)
def test_what_data_planes_have(worker: ns.Worker, plane: str, families: str, established: str) -> None:
    """All of it is known: where one word is not, the library does the whole transaction, at twice the time."""
    documents = load_text(PLANE.format(plane=plane, families=families, established=established))
    for objects in by_netns(documents).values():
        assert differences(worker, alone(objects)) == []
        parts = transactions([Op(Verb.CREATE, one) for one in objects])
        assert differences(worker, parts) == []
        compiler = nftcode.Compiler()
        assert all(compiler.messages(part)[0] for part in parts)


# -- any words -----------------------------------------------------------------------------------------------------------

IPV4 = st.integers(0x0A000000, 0x0AFFFFFE).map(lambda one: ".".join(map(str, one.to_bytes(4, "big"))))
IPV6 = st.integers(1, 0xFFFE).map(lambda one: f"fd00:10::{one:x}")
PORT = st.integers(1, 65535)
CHAIN = st.sampled_from(("a", "ABCDEFGH-default/web/tcp/http__10.244.1.2/8080", "pi-default/allow"))


def ports() -> st.SearchStrategy[str]:
    """A port, a range, a set of both."""
    spans = st.lists(st.tuples(PORT, st.integers(0, 50)), min_size=1, max_size=5)

    def shown(found: list[tuple[int, int]]) -> str:
        parts, end = [], -1
        for low, more in sorted(found):
            high = min(low + more, 65535)
            if low > end + 1:
                parts.append(str(low) if low == high else f"{low}-{high}")
                end = high
        return parts[0] if len(parts) == 1 else f"{{ {', '.join(parts)} }}"

    return spans.map(shown)


def prefixes(version: int) -> st.SearchStrategy[str]:
    lengths = st.integers(0, 31 if version == 4 else 127)
    if version == 4:
        return st.tuples(IPV4, lengths).map(lambda one: cut(*one))
    return st.tuples(IPV6, lengths).map(lambda one: cut(*one))


def cut(address: str, length: int) -> str:
    return str(ip_network(f"{address}/{length}", strict=False))


ENDS = st.sampled_from(("accept", "drop", "return", "counter accept", "counter drop", 'counter accept comment "a b"'))
LEADS = st.builds(lambda word, chain: f"{word} {chain}", st.sampled_from(("jump", "goto")), CHAIN)
PROTOCOL = st.sampled_from(("tcp", "udp", "sctp"))
INET_MATCHES = st.one_of(
    st.builds(lambda side, one: f"ip {side} {one}", st.sampled_from(("saddr", "daddr")), IPV4 | prefixes(4)),
    st.builds(lambda way, one: f"ct {way} ip saddr {one}", st.sampled_from(("original", "reply")), IPV4 | prefixes(4)),
    st.builds(lambda way, one: f"ct {way} ip6 saddr {one}", st.sampled_from(("original", "reply")), IPV6 | prefixes(6)),
    st.builds(lambda side, one: f"ip6 {side} != {one}", st.sampled_from(("saddr", "daddr")), IPV6 | prefixes(6)),
    st.sampled_from(
        (
            "ip saddr @pods4",
            "ip daddr != @pods4",
            "ip6 daddr @pods6",
            "ip saddr vmap @ways",
            "ct original ip saddr @pods4",
            "ct reply ip saddr vmap @ways",
            "ct original ip6 saddr @pods6",
            "ip saddr 10.0.0.7-10.0.1.255",
            "ip6 saddr fd00::1-fd00::ffff",
            "ip saddr { 10.0.0.0/8, 192.168.0.0/16 }",
            "ip saddr != { 10.0.0.1, 192.168.0.7 }",
            "ip6 daddr { fd00::/8, fe80::1 }",
            "ct state established,related",
            "ct state new",
            "ct state invalid ip saddr vmap @ways",
            "fib daddr oif missing fib daddr type unicast",
            "fib saddr type local",
            "meta mark 0x4000",
            "meta mark & 0x4000 == 0",
        )
    ),
    st.just(""),
)
PORT_MATCHES = st.one_of(
    st.builds(lambda protocol, port: f"{protocol} dport {port}", PROTOCOL, ports()),
    st.builds(lambda protocol, port: f"meta l4proto {protocol} ct reply proto-src {port}", PROTOCOL, ports()),
    st.builds(lambda protocol: f"meta l4proto {protocol}", PROTOCOL),
    st.just(""),
)
NAMED_PORTS = st.sampled_from(
    ("meta l4proto udp ip daddr . udp dport @named", "meta l4proto tcp ct reply ip saddr . ct reply proto-src @named")
)
INET_RULE = st.builds(
    lambda matches, end: f"{matches[0]} {matches[1]} {end}".strip(),
    st.tuples(INET_MATCHES, PORT_MATCHES) | st.tuples(st.just("ip saddr @pods4"), NAMED_PORTS),
    ENDS | LEADS | st.just("counter reject with icmpx admin-prohibited"),
) | st.sampled_from(
    ('meta l4proto tcp counter reject with tcp reset comment "x"', "icmpv6 type { 130-137, 143 } accept")
)
WAYS = st.lists(CHAIN, min_size=1, max_size=70).map(
    lambda found: ", ".join(f"{number} : goto {one}" for number, one in enumerate(found))
)
IP_RULE = st.one_of(
    st.builds(lambda one, net: f"ip daddr {one} ip saddr != {net} jump a", IPV4, prefixes(4)),
    st.builds(lambda one: f"numgen random mod {one.count(':')} vmap {{ {one} }}", WAYS),
    st.builds(lambda word, to, port: f"meta l4proto {word} dnat to {to}:{port}", PROTOCOL, IPV4, PORT),
    st.just("ip saddr @sticky goto a"),
    LEADS,
    st.sampled_from(
        (
            "ip daddr . meta l4proto . th dport vmap @service-ips",
            "ip daddr @addresses meta l4proto . th dport vmap @service-nodeports",
            "meta mark set meta mark | 0x4000",
            "meta mark set meta mark ^ 0x4000",
            "reject",
            'ip daddr @addresses reject comment "no such port"',
        )
    ),
)
NAT_RULE = st.builds(
    lambda one, other, end: f"ip saddr {one} ip daddr != {other} {end}",
    IPV4 | prefixes(4),
    IPV4 | prefixes(4) | st.just("{ 10.0.0.0/8, 224.0.0.0/4 }"),
    st.sampled_from(("masquerade", "counter masquerade", 'masquerade fully-random comment "x"', "return")),
)
BASES = st.builds(
    lambda hook, priority, policy: f"type filter hook {hook} priority {priority};{policy}",
    st.sampled_from(("prerouting", "input", "forward", "output", "postrouting")),
    st.sampled_from(("filter", "filter + 1", "filter - 10", "-110", "0", "raw", "mangle", "security")),
    st.sampled_from(("", " policy accept;")),
)
IP6_RULE = st.one_of(
    st.sampled_from(("reject", "ip6 daddr . meta l4proto . th dport vmap @service-ips")),
    st.builds(lambda one, net: f"ip6 daddr {one} ip6 saddr != {net} jump a", IPV6, prefixes(6)),
    st.builds(lambda word, to, port: f"meta l4proto {word} dnat to [{to}]:{port}", PROTOCOL, IPV6, PORT),
)


BLOCKS = st.lists(st.tuples(st.integers(0, (1 << 32) - 1), st.integers(0, 1 << 29)), min_size=1, max_size=8)


def ranges(spans: list[tuple[int, int]]) -> frozenset[str]:
    """As policies have them: none that touch or overlap."""
    joined = policytext.merged((low, min(low + more, (1 << 32) - 1)) for low, more in spans)
    shown = ((str(IPv4Address(low)), str(IPv4Address(high))) for low, high in joined)
    return frozenset(low if low == high else f"{low}-{high}" for low, high in shown)


PORT_KEY = "inet_proto . inet_service"


def tables(
    inet: list[str],
    ip: list[str],
    ip6: list[str],
    blocks: frozenset[str] = frozenset(("10.0.0.0/8",)),
    base: str = "type filter hook input priority filter;",
    nat: Sequence[str] = (),
) -> list[NftTable | NftSet | NftChain]:
    found: list[NftTable | NftSet | NftChain] = []
    for family, rules in (("inet", inet), ("ip", ip), ("ip6", ip6)):
        place = ("here", family, "t")
        found.append(NftTable(*place, comment="made by hand"))
        found += [
            NftChain(*place, chain=name)
            for name in ("a", "ABCDEFGH-default/web/tcp/http__10.244.1.2/8080", "pi-default/allow")
        ]
        if family == "inet":
            found += [
                NftSet(*place, "pods4", "ipv4_addr", frozenset(("10.0.0.1", "10.0.0.2")), comment="some Pods"),
                NftSet(*place, "pods6", "ipv6_addr", frozenset(("fd00::1",))),
                NftSet(*place, "blocks", "ipv4_addr", blocks, flags="interval"),
                NftSet(*place, "ways", "ipv4_addr", frozenset(("10.0.0.1 : goto a", "10.0.0.9 : drop")), "verdict"),
                NftSet(*place, "named", "ipv4_addr . inet_service", frozenset(("10.0.0.1 . 80", "10.0.0.1 . 65535"))),
            ]  # fmt: skip
        elif family == "ip":
            elements = frozenset(
                ('10.0.0.1 . tcp . 80 comment "default/web:http" : goto a', "10.0.0.2 . udp . 53 : drop")
            )
            found += [
                NftSet(*place, "service-ips", f"ipv4_addr . {PORT_KEY}", elements, "verdict", comment="said"),
                NftSet(*place, "sticky", "ipv4_addr", flags="dynamic,timeout", extra="timeout 10800s;"),
            ]
        if family != "inet":
            ports = frozenset(("tcp . 30080 : goto a", 'udp . 30053 comment "default/dns" : drop'))
            found.append(NftSet(*place, "service-nodeports", PORT_KEY, ports, "verdict"))
            kind = f"ipv{family.removeprefix('ip') or '4'}_addr"
            found.append(NftSet(*place, "addresses", kind, flags="interval", extra="auto-merge;"))
            found.append(NftChain(*place, chain="base", base=base, rules=("jump a",)))
            place_of_nat = "type nat hook postrouting priority srcnat + 10; policy accept;"
            found.append(NftChain(*place, chain="nat", base=place_of_nat, rules=tuple(nat) if family == "ip" else ()))
        if family == "ip6":
            found.append(
                NftSet(
                    *place,
                    "service-ips",
                    f"ipv6_addr . {PORT_KEY}",
                    frozenset(("fd00::1 . tcp . 80 : goto a",)),
                    "verdict",
                )
            )
        found.append(NftChain(*place, chain="rules", rules=tuple(rules), comment="what is tried"))
    return found


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(INET_RULE, min_size=1, max_size=12),
    st.lists(IP_RULE, min_size=1, max_size=6),
    st.lists(IP6_RULE, min_size=1, max_size=4),
    st.just(frozenset(("0.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9", "240.0.0.0/4")))
    | st.just(frozenset(("0.0.0.0/0",)))
    | BLOCKS.map(ranges),
    BASES,
    st.lists(NAT_RULE, max_size=4),
)
def test_any_words(
    worker: ns.Worker,
    inet: list[str],
    ip: list[str],
    ip6: list[str],
    blocks: frozenset[str],
    base: str,
    nat: list[str],
) -> None:
    # nft gives a set that packets fill a size where a rule that fills it comes with it
    objects = tables(inet, ["update @sticky { ip saddr }", *ip], ip6, blocks, base, nat)
    parts = [transaction([Op(Verb.CREATE, one) for one in objects])]
    nftcode.Compiler().messages(parts[0])  # all of these words are known
    assert differences(worker, parts) == []


# -- changes -------------------------------------------------------------------------------------------------------------


def test_changes_and_removals(worker: ns.Worker) -> None:
    before = tables(["ip saddr @pods4 tcp dport { 80, 443 } accept"], ["ip saddr @sticky goto a"], [])
    after = tables(["udp dport { 1-3, 5 } drop", "ip saddr vmap @ways"], ["jump a"], [])
    ops = []
    for have, want in zip(before, after, strict=True):
        if isinstance(want, NftSet) and want.set == "pods4":
            ops.append(Op(Verb.UPDATE, replaced(want, "10.0.0.2", "10.0.0.3"), have))
        elif isinstance(want, NftSet) and want.set == "ways":
            ops.append(Op(Verb.UPDATE, replaced(want, "10.0.0.9 : accept", "10.0.0.7 : goto a"), have))
        elif isinstance(want, NftChain) and want.chain == "rules" and want.family != "ip6":
            ops.append(Op(Verb.UPDATE, want, have))
        elif (isinstance(want, NftSet) and want.set in ("sticky", "service-ips", "named", "blocks")) or (
            isinstance(want, NftTable) and want.family == "ip6"
        ):
            ops.append(Op(Verb.DELETE, have, have))
    commands = [[transaction([Op(Verb.CREATE, one) for one in before])], [transaction(ops)]]
    assert all(nftcode.Compiler().messages(part) for command in commands for part in command)
    assert differences(worker, *commands) == []


def replaced(obj: NftSet, *elements: str) -> NftSet:
    return NftSet("here", obj.family, obj.table, obj.set, obj.type, frozenset(elements), obj.data, comment=obj.comment)


def test_a_set_without_a_name_gets_one_that_is_free(worker: ns.Worker) -> None:
    """Also in a table that another program, or an earlier command, has put such sets into."""
    place = ("here", "inet", "t")
    one, two = (NftChain(*place, chain=name, rules=("tcp dport { 80, 443 } accept",)) for name in ("one", "two"))

    def run() -> str:
        ns.unshare_net()
        for objects in ((NftTable(*place), one), (two,)):  # two commands
            with nftrun.Runner() as runner:
                runner.run(transaction([Op(Verb.CREATE, obj) for obj in objects]))
        return libnft.run("list table inet t")

    assert worker.run(run).count("tcp dport { 80, 443 } accept") == 2


# -- refusals ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "known"),
    [
        ("jump nowhere", True),
        ("ip saddr @nothing accept", True),
        ("ip6 saddr fd00::1 ip saddr 10.0.0.1 accept", False),
        ("never heard of", False),
    ],
)
def test_of_what_is_refused_nothing_is_done_and_the_library_says_why(
    worker: ns.Worker, rule: str, *, known: bool
) -> None:
    good, bad = (NftChain("here", "ip", "t", chain=name, rules=(said,)) for name, said in (("a", "drop"), ("b", rule)))

    def run() -> tuple[nftrun.NotTaken, str]:
        ns.unshare_net()
        with nftrun.Runner() as runner:
            runner.run([Step(Act.DECLARE, NftTable("here", "ip", "t"))])
            with pytest.raises(nftrun.NotTaken) as failed:
                runner.run(transaction([Op(Verb.CREATE, good), Op(Verb.CREATE, bad)]))
        return failed.value, libnft.run("list table ip t")

    failure, left = worker.run(run)
    assert str(failure).startswith("Error: ")
    assert "chain" not in left
    if known:  # the kernel says which step it was, and so which line of which file is told
        assert failure.step is not None and failure.step.obj is bad


def test_asking_first_changes_nothing(worker: ns.Worker) -> None:
    place = ("here", "ip", "t")
    steps = transaction(
        [Op(Verb.CREATE, one) for one in (NftTable(*place), NftChain(*place, chain="a", rules=("drop",)))]
    )

    def run() -> str:
        ns.unshare_net()
        with nftrun.Runner() as runner:
            runner.run(steps, check=True)
            none = libnft.run("list ruleset")
            runner.run(steps)
        return none

    assert worker.run(run) == ""


def test_a_transaction_of_nothing_ends(worker: ns.Worker) -> None:
    """Chains without rules alone, as a thousand policies that deny all have them: nobody acknowledged it, and `up` hung."""
    place = ("here", "ip", "t")

    def run() -> str:
        ns.unshare_net()
        with nftrun.Runner() as runner:
            runner.run(transaction([Op(Verb.CREATE, one) for one in (NftTable(*place), NftChain(*place, chain="a"))]))
            runner.run([Step(Act.FILL, NftChain(*place, chain="a"))])
        return libnft.run("list table ip t")

    assert "chain a" in worker.run(run)
