"""What NetworkPolicies are called in nftables, the words that match packets, and ranges of addresses.

Names lead back to the policy: chains ``to-<namespace>/<pod>`` and ``from-<namespace>/<pod>`` (Calico's tw and fw: to and
from a workload) hold what judges a Pod, ``pi-`` and ``po-<namespace>/<policy>`` (policy inbound, outbound) a policy's
rules, and each rule has the policy and the rule's number in its comment.  ``admin-in-``, ``admin-out-``, ``baseline-in-``
and ``baseline-out-`` with the names of policies are the rules of a tier, in the order in which they are asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_address, summarize_address_range

from netlab import names
from netlab.model.cluster.policies import INGRESS, Block, Policy, PortMatch, Rule
from netlab.model.cluster.tiers import KINDS, TierPolicy
from netlab.tuples import NamedTuple

TABLE = "netlab-policy"
FAMILY = "inet"
REFUSE = "refuse"  # where a tier denies and senders are notified
_CHAIN_MAX = 120  # nft takes 255 characters for all of a rule's names; namespace and name have up to 317
_COMMENT_MAX = 127  # nft's own limit is 128 bytes, with the terminating zero


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 9]}-{names.short_hash(text)}"


def pod_chain(direction: str, pod: str) -> str:
    """The chain that judges a Pod in a direction."""
    return _short(f"{'to' if direction == INGRESS else 'from'}-{pod}", _CHAIN_MAX)


def policy_chain(direction: str, policy: Policy) -> str:
    """The chain of a policy's rules in a direction."""
    return _short(f"{'pi' if direction == INGRESS else 'po'}-{policy}", _CHAIN_MAX)


def tier_chain(direction: str, policies: Sequence[TierPolicy]) -> str:
    """The chain of the rules of some policies of one tier: ``admin-in-anp/deny-all``.

    Pods that the same policies judge share it.
    """
    word = "in" if direction == INGRESS else "out"
    named = "/".join(policy.short for policy in policies)
    return _short(f"{policies[0].tier.lower()}-{word}-{named}", _CHAIN_MAX)


def is_ours(comment: str) -> bool:
    """Whether a rule's comment is that of a policy."""
    return comment.startswith(("netpol:", *(f"{short}/" for short in KINDS.values())))


def tier_comment(rule: str) -> str:
    """``anp/deny-all ingress[0]``: a tier's rule, by the policy's short name and its number."""
    policy, _, number = rule.partition(" ")
    return _short(policy, _COMMENT_MAX - 1 - len(number)) + f" {number}"


def rule_comment(policy: Policy | TierPolicy, rule: Rule) -> str:
    """``netpol:default/allow-only-client ingress[0]``; of a tier ``anp/deny-all ingress[0]``."""
    if isinstance(policy, TierPolicy):
        return tier_comment(f"{policy.short} {rule}")
    return "netpol:" + _short(str(policy), _COMMENT_MAX - 8 - len(str(rule))) + f" {rule}"


def deny_comment(direction: str, pod: str) -> str:
    """``netpol:deny default/server ingress``: the rule at which a Pod's packets end that no policy allows."""
    return "netpol:deny " + _short(pod, _COMMENT_MAX - 13 - len(direction)) + f" {direction}"


def comment(text: str) -> str:
    """A text that fits into the comment of a set or chain."""
    return _short(text, _COMMENT_MAX)


class Words(NamedTuple):
    """How a packet's ends are named in rules.

    ``tracked``: by the connection's own ends, so that packets of both directions are judged, and a connection ends when
    it is not allowed any more.  What the server's end is after a Service's translation is the reply's source.
    """

    tracked: bool = False

    def source(self, version: int) -> str:
        """The client's address."""
        family = "ip" if version == 4 else "ip6"
        return f"ct original {family} saddr" if self.tracked else f"{family} saddr"

    def target(self, version: int) -> str:
        """The server's address."""
        family = "ip" if version == 4 else "ip6"
        return f"ct reply {family} saddr" if self.tracked else f"{family} daddr"

    def protocol(self, protocol: str) -> str:
        """A protocol alone."""
        return f"meta l4proto {protocol.lower()}"

    def port(self, protocol: str) -> str:
        """The server's port."""
        return "ct reply proto-src" if self.tracked else f"{protocol.lower()} dport"

    def ports(self, protocol: str, matches: Iterable[PortMatch]) -> str:
        """The ports of some matches with numbers, ranges that touch made one."""
        spans = [(match.first, match.last or match.first) for match in matches if match.first is not None]
        shown = [str(low) if low == high else f"{low}-{high}" for low, high in merged(spans)]
        text = shown[0] if len(shown) == 1 else f"{{ {', '.join(shown)} }}"
        first = f"{self.protocol(protocol)} " if self.tracked else ""
        return f"{first}{self.port(protocol)} {text}"

    def named(self, version: int, protocol: str, set_name: str) -> str:
        """Address and port of the server, which must be in a set."""
        return f"{self.protocol(protocol)} {self.target(version)} . {self.port(protocol)} @{set_name}"


def merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Inclusive ranges, sorted, those that overlap or touch made one: nft takes no overlap."""
    ranges: list[tuple[int, int]] = []
    for low, high in sorted(spans):
        if ranges and low <= ranges[-1][1] + 1:
            ranges[-1] = ranges[-1][0], max(high, ranges[-1][1])
        else:
            ranges.append((low, high))
    return ranges


def ranges(blocks: Iterable[Block], version: int) -> list[str]:
    """The addresses of blocks of one family, each less its own excepts, united, as nft writes ranges."""
    spans: list[tuple[int, int]] = []
    for block in blocks:
        if block.cidr.version != version:
            continue
        low, end = int(block.cidr[0]), int(block.cidr[-1])
        for first, last in merged((int(cidr[0]), int(cidr[-1])) for cidr in block.excepts):
            if first > low:
                spans.append((low, first - 1))
            low = last + 1
        if low <= end:
            spans.append((low, end))
    return [_range(low, high, version) for low, high in merged(spans)]


def _range(low: int, high: int, version: int) -> str:
    kind = type(ip_address("0.0.0.0" if version == 4 else "::"))
    first, last = kind(low), kind(high)
    if low == high:
        return str(first)
    networks = list(summarize_address_range(first, last))
    return str(networks[0]) if len(networks) == 1 else f"{first}-{last}"
