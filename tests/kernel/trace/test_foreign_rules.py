"""Rules that are not the lab's: each is named with its table, chain and handle, and the printed command removes it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from netlab.diagnose.finding import Finding
from netlab.diagnose.findings import findings
from netlab.diagnose.rules.nfttext import actions
from netlab.evidence.records import DROPS, RULES
from netlab.kernel.host import netns as ns
from netlab.kernel.nftables import listing
from netlab.objects import NftChain
from netlab.runtime import lab as labs
from netlab.runtime.state.running import load_running
from tests.kernel.trace.test_faults import SERVER, WEB, Bed, Fault, bed, shown

__all__ = ["bed"]
pytestmark = pytest.mark.kernel

TABLE = "ip netns exec {%s} nft 'table %s odd {{ chain c {{ type %s priority %s; %s; }}; }}'"
GONE = "ip netns exec {%s} nft delete table %s odd"


def foreign(
    name: str, where: str, family: str, hook: str, priority: int, rule: str, *, target: str = SERVER, **more: Any
) -> Fault:
    made = TABLE % (where, family, hook, priority, rule)
    return Fault(name, made, where, "foreign-rule", "", "", undo=GONE % (where, family), target=target, **more)


LOST = (
    foreign("dnat-to-nobody", "n2", "ip", "nat hook prerouting", -100, "ip daddr 10.244.2.2 dnat to 10.244.2.66"),
    foreign("redirect-at-the-sender", "client", "ip", "nat hook output", -100, "tcp dport 80 redirect to :9"),
    foreign("port-rewritten", "n2", "ip", "filter hook forward", 0, "tcp dport 80 tcp dport set 81"),
    foreign("udp-dnat-to-port", "n2", "ip", "nat hook prerouting", -100, "udp dport 5353 dnat to :5300", port=5353, protocol="UDP"),
    foreign("tunnel-redirected", "n2", "ip", "nat hook prerouting", -100, "udp dport 4789 redirect to :4790"),
    foreign("reply-in-another-zone", "n1", "inet", "filter hook prerouting", -300, "ip saddr 10.244.2.0/24 ct zone set 9", target=WEB),
    foreign("ttl-set-at-the-second-node", "n2", "inet", "filter hook prerouting", -300, 'iifname "vxlan0" ip ttl set 1'),
    foreign("ttl-of-the-reply", "n2", "ip", "filter hook forward", -150, "tcp sport 80 ip ttl set 1", target=WEB),
)  # fmt: skip


def first(told: tuple[Finding, ...], fault: Fault, bed: Bed) -> Finding:
    assert told, fault
    assert (told[0].kind, told[0].netns) == (fault.kind, bed.where[fault.place]), shown(told)
    return told[0]


@pytest.fixture
def odd(bed: Bed, request: pytest.FixtureRequest) -> Iterator[Fault]:
    fault: Fault = request.param
    try:
        bed.sh(fault.lines)
        yield fault
    finally:
        bed.sh(f"{fault.undo} || true")
        bed.up()
        bed.forget()


@pytest.mark.parametrize("without", [(), (DROPS,)], ids=["all", "without-drops"])
@pytest.mark.parametrize("odd", LOST, ids=str, indirect=True)
def test_the_first_finding_is_the_foreign_rule(bed: Bed, odd: Fault, without: tuple[str, ...]) -> None:
    _, story = bed.trace(odd, *without)
    finding = first(findings(story), odd, bed)
    assert " odd chain c (" in finding.message
    assert "rule handle 2: " in finding.message
    assert finding.mend == (
        f"ip netns exec {bed.where[odd.place]} nft delete rule {odd.lines.split()[6]} odd c handle 2",
    )
    assert not any("nft list ruleset" in look for each in findings(story) for look in each.look)
    subprocess.run(["sh", "-c", finding.mend[0]], check=True)
    bed.forget()
    after = findings(bed.trace(odd)[1])
    assert not [each for each in after if each.kind == "foreign-rule"], shown(after)
    assert after == () or odd.protocol == "UDP", shown(after)  # nothing listens there


@pytest.mark.parametrize("odd", LOST[:2] + LOST[4:5], ids=str, indirect=True)
def test_without_traced_rules_what_changed_leads_to_the_rule(bed: Bed, odd: Fault) -> None:
    """The tables are read, and a rule that matches where the packet changed or was lost is named."""
    _, story = bed.trace(odd, RULES)
    told = findings(story)
    named = [each for each in told if each.kind == "foreign-rule"]
    assert [each.netns for each in named] == [bed.where[odd.place]], shown(told)
    assert "matches a foreign rule" in named[0].message


OPEN = (
    foreign("masquerade", "n2", "ip", "nat hook postrouting", 100, 'oifname "cni0" masquerade'),
    foreign("mark", "n2", "inet", "filter hook prerouting", -300, "tcp dport 80 meta mark set 5"),
    foreign("dscp", "n1", "ip", "filter hook forward", 0, "tcp dport 80 ip dscp set cs1"),
    foreign("copy", "n1", "ip", "filter hook prerouting", -150, "tcp dport 80 dup to 10.244.1.3"),
)  # fmt: skip


@pytest.mark.parametrize("odd", OPEN, ids=str, indirect=True)
def test_what_changed_an_answered_packet_is_named_too(bed: Bed, odd: Fault) -> None:
    recording, story = bed.trace(odd)
    assert recording.probe.outcome == "open"
    told = findings(story)
    named = [each for each in told if each.kind == "foreign-rule"]
    assert [each.netns for each in named] == [bed.where[odd.place]], shown(told)
    assert named[0].mend


@pytest.mark.parametrize(
    "odd",
    [foreign("counts", "n1", "inet", "filter hook forward", 0, "tcp dport 80 counter accept")],
    ids=str,
    indirect=True,
)
def test_a_foreign_rule_that_changes_nothing_is_no_finding(bed: Bed, odd: Fault) -> None:
    assert findings(bed.trace(odd)[1]) == ()


DEVICES = (
    ("ingress", "n2", "vxlan0", "ip protocol tcp drop", "rule handle 2: ip protocol tcp drop"),
    ("ingress", "n2", "vxlan0", "ip protocol icmp accept; policy drop", "its policy: policy drop"),
    ("egress", "n2", "veth-server", "ip daddr 10.244.2.0/24 drop", "rule handle 2: ip daddr 10.244.2.0/24 drop"),
)


@pytest.mark.parametrize("without", [(), (DROPS,)], ids=["all", "without-drops"])
@pytest.mark.parametrize(("hook", "where", "dev", "rule", "text"), DEVICES)
def test_a_rule_of_a_netdev_table_is_named(
    bed: Bed, hook: str, where: str, dev: str, rule: str, text: str, without: tuple[str, ...]
) -> None:
    made = TABLE % (where, "netdev", f"filter hook {hook} device {dev}", 0, rule)
    if subprocess.run(["sh", "-c", made.format(**bed.where)], capture_output=True, check=False).returncode:
        pytest.skip(f"this kernel has no {hook} hook in netdev tables")
    # A bridge that has forgotten the server's MAC floods the frame, which then seems to leave by another port.
    bed.sh("ip netns exec {server} ping -c 1 -W 1 10.244.2.1 || true")
    try:
        _, story = bed.trace(Fault("", "", where, "", "", "", target=SERVER), *without)
        told = findings(story)
        assert told[0].netns == bed.where[where], shown(told)
        assert "netdev odd chain c" in told[0].message
        assert text in told[0].message
        assert told[0].mend
        subprocess.run(["sh", "-c", told[0].mend[0]], check=True)
        assert findings(bed.trace(Fault("", "", where, "", "", "", target=SERVER))[1]) == ()
    finally:
        bed.sh(GONE % (where, "netdev"))
        bed.forget()


def test_the_rule_that_dropped_an_icmp_error_is_named(bed: Bed) -> None:
    small = replace(
        foreign("", "n2", "ip", "filter hook output", 0, 'icmp type time-exceeded drop comment "quiet"'),
        lines="ip netns exec {client} sysctl -qw net.ipv4.ip_default_ttl=2\n"
        + TABLE % ("n2", "ip", "filter hook output", 0, 'icmp type time-exceeded drop comment "quiet"'),
    )
    try:
        bed.sh(small.lines)
        for without in ((), (DROPS,)):
            told = findings(bed.trace(small, *without)[1])
            lost = [each for each in told if each.kind == "icmp-lost"]
            assert "table ip odd chain c, rule handle 2: icmp type time-exceeded drop" in lost[0].message, shown(told)
            assert lost[0].mend == (f"ip netns exec {bed.where['n2']} nft delete rule ip odd c handle 2",)
            assert len(lost) == 1
    finally:
        bed.sh("ip netns exec {client} sysctl -qw net.ipv4.ip_default_ttl=64\n" + small.undo)


OWN = (
    ("filter-forward", "tcp dport 80 drop", "rule", SERVER),
    ("nat-prerouting", "ip daddr 10.244.2.2 dnat to 10.244.2.66", "foreign-rule", SERVER),
)


@pytest.mark.parametrize(("chain", "rule", "kind", "target"), OWN)
def test_a_rule_put_into_a_chain_of_the_lab_is_named(bed: Bed, chain: str, rule: str, kind: str, target: str) -> None:
    try:
        bed.sh(f"ip netns exec {{n1}} nft insert rule ip kube-proxy {chain} {rule}")
        found = findings(bed.trace(Fault("", "", "n1", "", "", "", target=target))[1])
        assert (found[0].kind, found[0].netns) == (kind, bed.where["n1"]), shown(found)
        assert rule in found[0].message
        assert "externalTrafficPolicy" not in shown(found)
        assert (
            found[0]
            .mend[0]
            .startswith(f"ip netns exec {bed.where['n1']} nft delete rule ip kube-proxy {chain} handle ")
        )
        subprocess.run(["sh", "-c", found[0].mend[0]], check=True)
        assert findings(bed.trace(Fault("", "", "n1", "", "", "", target=target))[1]) == ()
    finally:
        bed.up()
        bed.forget()


def test_a_service_that_the_rules_lost_is_not_called_portless(bed: Bed) -> None:
    try:
        bed.sh("ip netns exec {n1} nft flush map ip kube-proxy service-ips")
        found = findings(bed.trace(Fault("", "", "n1", "", "", "", target=WEB))[1])
        assert "these rules do not have Service default/web port" in shown(found)
        assert "has no port 80" not in shown(found)
    finally:
        bed.up()


def test_the_labs_own_rules_have_the_effects_of_their_text_in_nfts_listing(bed: Bed) -> None:
    """Else a rule of the lab would count as foreign: nft prints rules in its own form."""
    chains = {(chain.netns, chain.place, chain.chain): chain for chain in load_running(bed.name).want.only(NftChain)}
    seen = 0
    for netns, place in {(netns, place) for netns, place, _ in chains}:
        family, table = place.split()
        rows = ns.each([netns], lambda _, family=family, table=table: listing.rules(family, table))[netns]
        for row in rows:
            wanted = {action.effect for rule in chains[netns, place, row.chain].rules for action in actions(rule)}
            assert {action.effect for action in actions(row.text)} <= wanted, row
            seen += 1
    assert seen


def test_a_policy_is_named_once_and_a_rule_that_may_match_comes_after_drift(bed: Bed) -> None:
    try:
        bed.sh(
            "ip netns exec {n2} nft 'table inet odd {{ chain c {{ type filter hook input priority 0; policy drop; tcp dport 22 accept; }}; }}'"
        )
        found = findings(bed.trace(Fault("", "", "n2", "", "", "", target=SERVER))[1])
        assert found[0].message.count("its policy") == 1, shown(found)
        assert found[0].mend == (f"ip netns exec {bed.where['n2']} nft 'chain inet odd c {{ policy accept; }}'",)
    finally:
        bed.sh("ip netns exec {n2} nft delete table inet odd")
        bed.forget()
    try:
        bed.sh(
            "ip netns exec {n1} nft 'table inet odd {{ chain c {{ type filter hook forward priority 0; ct state invalid drop; }}; }}'"
        )
        bed.sh("ip -n {n1} route replace blackhole 10.244.2.0/24")
        _, story = bed.trace(Fault("", "", "n1", "", "", "", target=SERVER), RULES, DROPS)
        found = findings(story, labs.diff(bed.name)[1])
        assert [each.kind for each in found[:2]] == ["drift", "foreign-rule"], shown(found)
        assert "may match" in found[1].message
    finally:
        bed.sh("ip netns exec {n1} nft delete table inet odd")
        bed.up()
        bed.forget()
