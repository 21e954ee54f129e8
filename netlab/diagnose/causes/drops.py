"""The table of drop reasons: the meaning of each kernel reason for this packet.

The kernel reports why it freed a packet (``SKB_DROP_REASON_``, since 5.17) and in which function.  Each row has a
reason, perhaps functions, and an explanation that reads the headers, other evidence and the lab's desired state.  A
reason is a fact about the place; the fault may be upstream (``findings`` compares the path).

The function decides where an old kernel gives NOT_SPECIFIED.  Sources: include/net/dropreason-core.h and the callers
of each reason, Linux 6.18.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from netlab.diagnose.causes import lifetimes, reasonless, reasons, sizes
from netlab.diagnose.finding import Finding
from netlab.diagnose.sightings.correlate import Event
from netlab.diagnose.story import Story
from netlab.tuples import NamedTuple


def explain(story: Story, event: Event) -> Finding:
    """The finding for a drop."""
    drop = event.drop
    assert drop is not None
    reason = drop.reason if drop.reason not in _UNSAID else _UNSAID[0]
    for row in _TABLE:
        if reason.startswith(row.reasons) and (not row.functions or drop.function.startswith(row.functions)):
            finding = row.explain(story, event)
            if finding is not None:
                break
    else:
        finding = reasons.plain(story, event)
    return replace(
        finding,
        netns=finding.netns or event.netns,
        interface=finding.interface or event.interface,
        reason=drop.reason,
        function=drop.function,
        root=False,
    )


class _Row(NamedTuple):
    """Prefixes of reasons and of functions (none: any function), and the explanation."""

    reasons: tuple[str, ...]
    functions: tuple[str, ...]
    explain: Callable[[Story, Event], Finding | None]


_UNSAID = ("NOT_SPECIFIED", "NO_REASON", "")  # old kernels, and code without a reason
_TABLE = (
    _Row(("NETFILTER_DROP",), (), reasons.netfilter),
    _Row(("IP_INNOROUTES", "IP_OUTNOROUTES"), (), reasons.no_route),
    _Row(("IP_INADDRERRORS",), (), reasons.not_forwarded),
    _Row(("IP_RPFILTER",), (), reasons.reverse_path),
    _Row(("IP_INVALID_SOURCE", "IP_INVALID_DEST", "IP_LOCAL", "IP_MARTIAN"), (), reasons.martian),
    _Row(("IP_INHDR",), ("ip_forward", "ip6_forward"), lifetimes.exceeded),
    _Row(("NO_TX_TARGET",), ("vxlan_",), reasons.no_forwarding_entry),
    _Row(("NO_TX_TARGET", "BRIDGE_NO_EGRESS_PORT"), (), reasons.no_port),
    _Row(("BRIDGE_",), (), reasons.not_forwarding_port),
    _Row(("VXLAN_VNI_NOT_FOUND", "TUNNEL_TXINFO"), (), reasons.vni),
    _Row(("OTHERHOST",), (), reasons.other_host),
    _Row(("NEIGH_",), (), reasons.neighbour),
    _Row(("NO_SOCKET",), (), reasons.no_socket),
    _Row(("PKT_TOO_BIG",), ("ip_forward", "ip6_forward"), sizes.too_big),
    _Row(("PKT_TOO_BIG",), (), sizes.outer_too_big),
    _Row(("QDISC", "CPU_BACKLOG", "FULL_RING"), (), reasons.queue),
    _Row(("TC_",), (), reasons.tc),
    _Row(("XDP",), (), reasons.xdp),
    _Row(("SOCKET_RCVBUFF", "SOCKET_BACKLOG", "PROTO_MEM"), (), reasons.buffer),
    _Row(("TCP_CSUM", "UDP_CSUM", "IP_CSUM", "ICMP_CSUM", "SKB_CSUM"), (), reasons.checksum),
    _Row(("DEV_READY",), (), reasons.down),
    _Row(_UNSAID[:1], ("ip_fragment", "ip6_fragment", "ip_do_fragment"), sizes.outer_too_big),
    _Row(_UNSAID[:1], ("__dev_forward_skb", "____dev_forward_skb", "veth_"), sizes.peer_too_small),
    _Row(_UNSAID[:1], ("br_dev_queue_push_xmit",), sizes.port_too_small),
    _Row(_UNSAID[:1], ("br_handle_frame_finish",), reasonless.kept_in),
    _Row(_UNSAID[:1], ("br_handle_frame", "br_forward", "br_flood"), reasons.not_forwarding_port),
    _Row(_UNSAID[:1], ("vxlan_xmit",), reasons.no_forwarding_entry),
    _Row(_UNSAID[:1], ("vxlan_rcv",), reasons.vni),
    _Row(_UNSAID[:1], ("nf_hook_slow", "nft_do_chain"), reasons.netfilter),
    _Row(_UNSAID[:1], ("ip_error", "dst_discard"), reasonless.unrouted),
    _Row(_UNSAID[:1], ("neigh_",), reasons.neighbour),
    # Kernels before 5.17 give no reasons: the function and other evidence decide.
    _Row(_UNSAID[:1], ("ip_rcv", "ip6_rcv", "ipv6_rcv"), reasonless.received),
    _Row(_UNSAID[:1], ("ip_forward", "ip6_forward"), reasonless.forwarded),
    _Row(_UNSAID[:1], ("__udp4_lib_rcv", "__udp6_lib_rcv", "tcp_v4_rcv", "tcp_v6_rcv"), reasons.no_socket),
    _Row(_UNSAID[:1], ("__dev_queue_xmit", "sch_", "tbf_"), reasons.queue),
)  # fmt: skip
