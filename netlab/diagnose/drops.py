"""What the kernel's reason for dropping a packet means here: the table of reasons.

The kernel says why it freed a packet (``SKB_DROP_REASON_``, since 5.17) and in which function.  Each row is a reason,
perhaps with functions, and what it means for this packet, read from its headers, from what else was seen, and from what
the lab should be.  Reasons are facts about the place; what is wrong may be upstream (``findings`` compares the way).

Reasons that old kernels call NOT_SPECIFIED are told by the function.  Sources: include/net/dropreason-core.h and the
places that name each reason, Linux 6.18.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from netlab.diagnose import reasons, unreasoned
from netlab.diagnose.correlate import Event
from netlab.diagnose.finding import Finding
from netlab.diagnose.story import Story


def explain(story: Story, event: Event) -> Finding:
    """The finding that a drop is."""
    drop = event.drop
    assert drop is not None
    said = drop.reason if drop.reason not in _UNSAID else _UNSAID[0]
    for row in _TABLE:
        if said.startswith(row.reasons) and (not row.functions or drop.function.startswith(row.functions)):
            found = row.explain(story, event)
            if found is not None:
                break
    else:
        found = reasons.plain(story, event)
    return Finding(
        found.kind,
        found.says,
        found.netns or event.netns,
        found.interface or event.interface,
        found.look,
        drop.reason,
        drop.function,
        found.rule,
        found.policy,
        found.service,
        found.mark,
    )


class _Row(NamedTuple):
    """Reasons (their beginnings), functions (theirs; none: any), and what they mean."""

    reasons: tuple[str, ...]
    functions: tuple[str, ...]
    explain: Callable[[Story, Event], Finding | None]


_UNSAID = ("NOT_SPECIFIED", "NO_REASON", "")  # of old kernels, and of places that name none
_TABLE = (
    _Row(("NETFILTER_DROP",), (), reasons.netfilter),
    _Row(("IP_INNOROUTES", "IP_OUTNOROUTES"), (), reasons.no_route),
    _Row(("IP_INADDRERRORS",), (), reasons.not_forwarded),
    _Row(("IP_RPFILTER",), (), reasons.reverse_path),
    _Row(("IP_INVALID_SOURCE", "IP_INVALID_DEST", "IP_LOCAL", "IP_MARTIAN"), (), reasons.martian),
    _Row(("IP_INHDR",), ("ip_forward", "ip6_forward"), reasons.ttl),
    _Row(("NO_TX_TARGET",), ("vxlan_",), reasons.no_forwarding_entry),
    _Row(("NO_TX_TARGET", "BRIDGE_NO_EGRESS_PORT"), (), reasons.no_port),
    _Row(("BRIDGE_",), (), reasons.not_forwarding_port),
    _Row(("VXLAN_VNI_NOT_FOUND", "TUNNEL_TXINFO"), (), reasons.vni),
    _Row(("OTHERHOST",), (), reasons.other_host),
    _Row(("NEIGH_",), (), reasons.neighbour),
    _Row(("NO_SOCKET",), (), reasons.no_socket),
    _Row(("PKT_TOO_BIG",), ("ip_forward", "ip6_forward"), reasons.too_big),
    _Row(("PKT_TOO_BIG",), (), reasons.outer_too_big),
    _Row(("QDISC", "CPU_BACKLOG", "FULL_RING"), (), reasons.queue),
    _Row(("TC_", "XDP"), (), reasons.tc),
    _Row(("SOCKET_RCVBUFF", "SOCKET_BACKLOG", "PROTO_MEM"), (), reasons.buffer),
    _Row(("TCP_CSUM", "UDP_CSUM", "IP_CSUM", "ICMP_CSUM", "SKB_CSUM"), (), reasons.checksum),
    _Row(("DEV_READY",), (), reasons.down),
    _Row(_UNSAID[:1], ("ip_fragment", "ip6_fragment", "ip_do_fragment"), reasons.outer_too_big),
    _Row(_UNSAID[:1], ("__dev_forward_skb", "____dev_forward_skb", "veth_"), reasons.peer_too_small),
    _Row(_UNSAID[:1], ("br_dev_queue_push_xmit",), reasons.port_too_small),
    _Row(_UNSAID[:1], ("br_handle_frame_finish",), unreasoned.kept_in),
    _Row(_UNSAID[:1], ("br_handle_frame", "br_forward", "br_flood"), reasons.not_forwarding_port),
    _Row(_UNSAID[:1], ("vxlan_xmit",), reasons.no_forwarding_entry),
    _Row(_UNSAID[:1], ("vxlan_rcv",), reasons.vni),
    _Row(_UNSAID[:1], ("nf_hook_slow", "nft_do_chain"), reasons.netfilter),
    _Row(_UNSAID[:1], ("ip_error", "dst_discard"), unreasoned.unrouted),
    _Row(_UNSAID[:1], ("neigh_",), reasons.neighbour),
    # Kernels before 5.17 give no reasons: the function and what else was seen must do.
    _Row(_UNSAID[:1], ("ip_rcv", "ip6_rcv", "ipv6_rcv"), unreasoned.received),
    _Row(_UNSAID[:1], ("ip_forward", "ip6_forward"), unreasoned.forwarded),
    _Row(_UNSAID[:1], ("__udp4_lib_rcv", "__udp6_lib_rcv", "tcp_v4_rcv", "tcp_v6_rcv"), reasons.no_socket),
    _Row(_UNSAID[:1], ("__dev_queue_xmit", "sch_", "tbf_"), reasons.queue),
)  # fmt: skip
