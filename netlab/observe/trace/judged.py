"""What nftables' trace events speak of: the rules with their comments or texts, and the base chains."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterable, Mapping, Sequence

from netlab.evidence.records import BaseChain, Rule, RuleSeen
from netlab.kernel.host import netns as ns
from netlab.kernel.nftables import listing
from netlab.kernel.nftables.trace import Event, RulesSocket
from netlab.observe.trace.sources import seen


def judged(
    events: Mapping[str, Sequence[Event]], unlisted: Collection[tuple[str, str]]
) -> tuple[tuple[RuleSeen, ...], tuple[Rule, ...], tuple[BaseChain, ...]]:
    """The trace events, and the rules and base chains that they speak of.

    ``unlisted``: tables (family, name) whose rules have no texts, since nft would list all of the table for each.
    """
    records: list[RuleSeen] = []
    rules: list[Rule] = []
    chains: list[BaseChain] = []

    def look(netns: str) -> None:
        names = dict(socket.if_nameindex())
        mine = [seen(netns, order, event, names) for order, event in enumerate(events[netns])]
        records.extend(mine)
        asking = RulesSocket()
        try:
            rules.extend(_rules(asking, netns, mine, unlisted))
            chains.extend(_chains(asking, netns, mine))
        finally:
            asking.close()

    ns.each([name for name in events if events[name]], look)
    return tuple(records), tuple(rules), tuple(chains)


def _rules(
    asking: RulesSocket, netns: str, events: Iterable[RuleSeen], unlisted: Collection[tuple[str, str]]
) -> Iterable[Rule]:
    """The rules of the events; those without a comment with their text."""
    wanted = dict.fromkeys((event.family, event.table, event.chain, event.handle) for event in events if event.handle)
    texts: dict[tuple[str, str, str], dict[int, str]] = {}
    for family, table, chain, handle in wanted:
        comment = asking.comment(family, table, chain, handle)
        if comment is None:
            continue
        text = ""
        if not comment and (family, table) not in unlisted:
            key = (family, table, chain)
            if key not in texts:
                texts[key] = listing.chain_rules(*key)
            text = texts[key].get(handle, "")
        yield Rule(netns, family, table, chain, handle, comment, text)


def _chains(asking: RulesSocket, netns: str, events: Iterable[RuleSeen]) -> Iterable[BaseChain]:
    for family, table, chain in dict.fromkeys((event.family, event.table, event.chain) for event in events):
        hook = asking.hook(family, table, chain)
        if hook is not None:
            yield BaseChain(netns, family, table, chain, hook.hook, hook.priority)
