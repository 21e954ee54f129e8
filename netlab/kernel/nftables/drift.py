"""nftables of a namespace: was it changed, and are our tables still as we made them.

The kernel counts commits a namespace (its generation). If it is the generation after our own commit, nothing changed
and nothing needs a listing: a listing of a large ruleset takes seconds. Otherwise our text is loaded into a scratch
namespace, and the same nft lists both as JSON: texts of two nft versions never compare equal.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from netlab.digest import blake2b
from netlab.kernel.nftables import libnft
from netlab.kernel.rtnetlink.socket import NETLINK_NETFILTER, NetlinkSocket, attr_dict, text
from netlab.objects import NftChain, NftSet, NftTable, Obj, Op, Verb

#: How the tables of a running ``netlab trace`` begin; they are nobody's drift.
TRACING = "nltrace-"
_SUBSYS_NFTABLES = 10
_GETTABLE, _GETGEN = 1, 16
_TABLE_NAME, _GEN_ID = 1, 1
_FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
UNTOUCHED = 1  # the generation of a new namespace, which has no tables
_HEADER = struct.pack("=BBH", 0, 0, 0)
# What differs from one listing to the next without anybody changing a rule.
_RESTLESS = frozenset(("handle", "packets", "bytes", "expires", "index"))


def look() -> tuple[int, list[tuple[str, str]]]:
    """The generation of the rules in the calling thread's namespace, and its tables as (family, name).

    Raises OSError where the kernel has no nf_tables.
    """
    with NetlinkSocket(NETLINK_NETFILTER, plain=True) as sock:
        count = _generation(sock)
        if count == UNTOUCHED:
            return count, []
        names = []
        for _, payload in sock.dump(_SUBSYS_NFTABLES << 8 | _GETTABLE, _HEADER):
            family = _FAMILIES.get(payload[0], str(payload[0]))
            names.append((family, text(attr_dict(payload, 4)[_TABLE_NAME])))
        return count, names


def tables() -> list[tuple[str, str]]:
    """The tables alone; see ``look``."""
    return look()[1]


def generation() -> int:
    """The generation of the rules in the calling thread's namespace; -1 if the kernel has none."""
    with NetlinkSocket(NETLINK_NETFILTER, plain=True) as sock:
        return _generation(sock)


def _generation(sock: NetlinkSocket) -> int:
    try:
        reply = sock.ask(_SUBSYS_NFTABLES << 8 | _GETGEN, _HEADER)
    except OSError:
        return -1
    if reply is None:
        return -1
    raw = attr_dict(reply[1], 4).get(_GEN_ID)
    return int.from_bytes(raw, "big") if raw is not None else -1


class Digests:
    """Digests of nftables objects.  The number of each object is kept, since a change of a lab leaves most objects."""

    _MOST = 500_000

    def __init__(self) -> None:
        self._numbers: dict[int, tuple[Obj, int]] = {}  # by id(obj); the object is kept so that its id is not reused

    def by_netns(self, objects: Iterable[Obj]) -> dict[str, str]:
        """The digest of each namespace's objects: the sum of their numbers, so a change of one object costs one number."""
        sums: dict[str, int] = {}
        for obj in objects:
            if isinstance(obj, (NftTable, NftChain, NftSet)):
                sums[obj.netns] = sums.get(obj.netns, 0) + self._number(obj)
        return {netns: _spelled(number) for netns, number in sums.items()}

    def after(self, before: str, ops: Iterable[Op]) -> str:
        """The digest of a namespace's objects after these operations; ``before`` is the digest that it had.

        The digest tells which state was made last.  Where ``before`` or an operation's ``have`` was wrong, the sum
        fits no state, and the rules are listed.
        """
        number = int(before or "0", 16)
        for op in ops:
            for obj, sign in ((op.obj, 1 if op.verb is not Verb.DELETE else 0), (op.have, -1)):
                if isinstance(obj, (NftTable, NftChain, NftSet)):
                    number += sign * self._number(obj)
        return _spelled(number)

    def _number(self, obj: NftTable | NftChain | NftSet) -> int:
        kept = self._numbers.get(id(obj))
        if kept is None or kept[0] is not obj:
            if len(self._numbers) > self._MOST:
                self._numbers.clear()
            text = "\n".join((*obj.statements(), *obj.contents()))
            self._numbers[id(obj)] = kept = obj, int.from_bytes(blake2b(text, 8), "big")
        return kept[1]


def _spelled(number: int) -> str:
    return f"{number % (1 << 64):016x}"


def observed(netns: str, like: Iterable[Obj], there: Iterable[tuple[str, str]], *, touched: bool) -> list[Obj]:
    """The tables that are there and, of those in ``like``, what is in them.

    Not ``touched``: our tables are as ``like`` has them.  The calling thread is inside the namespace, and is in a
    scratch one afterwards where ``touched`` made a comparison necessary.
    """
    names = [table for table in there if not table[1].startswith(TRACING)]
    ours = [obj for obj in like if isinstance(obj, (NftTable, NftChain, NftSet))]
    tables = {(obj.family, obj.table) for obj in ours}
    foreign: list[Obj] = [NftTable(netns, family, table) for family, table in names if (family, table) not in tables]
    present = [obj for obj in ours if (obj.family, obj.table) in names]
    if not touched or not present:
        return [*foreign, *present]
    return [*foreign, *_compared(netns, present)]


def _compared(netns: str, present: list[NftTable | NftChain | NftSet]) -> list[Obj]:
    from netlab.kernel.host.netns import unshare_net
    from netlab.kernel.nftables.run import Runner
    from netlab.objects.nftsteps import transactions

    tables = list(dict.fromkeys((obj.family, obj.table) for obj in present))
    real = {table: _listing(*table) for table in tables}
    unshare_net()
    with Runner() as runner:
        for part in transactions([Op(Verb.CREATE, obj) for obj in present]):
            runner.run(part)
    result: list[Obj] = []
    for table in tables:
        want, have = _listing(*table), real[table]
        mine = [obj for obj in present if (obj.family, obj.table) == table]
        sets = {name for kind, name in want.keys() | have.keys() if kind in ("set", "map")}
        modified = sorted(name for name in sets if _differs(want, have, name))
        for obj in mine:
            if isinstance(obj, NftTable):
                result.append(replace(obj, comment=f"differs in {', '.join(modified)}") if modified else obj)
            elif isinstance(obj, NftSet):
                result.append(obj)
            elif ("chain", obj.chain) in have:
                same = want["chain", obj.chain] == have["chain", obj.chain]
                result.append(obj if same else replace(obj, rules=("changed by hand",)))
        extra = [name for kind, name in have if kind == "chain" and (kind, name) not in want]
        result += [NftChain(netns, *table, chain=name, rules=_leads_to(have["chain", name])) for name in extra]
    return result


def _leads_to(chain: Any) -> tuple[str, ...]:
    """The jumps of a chain that somebody added: chains can only be removed after those that lead to them."""
    if isinstance(chain, list):
        return tuple(jump for part in chain for jump in _leads_to(part))
    if not isinstance(chain, dict):
        return ()
    here = tuple(f"{word} {chain[word]['target']}" for word in ("jump", "goto") if isinstance(chain.get(word), dict))
    return here + tuple(jump for part in chain.values() for jump in _leads_to(part))


def _differs(want: dict[tuple[str, str], Any], have: dict[tuple[str, str], Any], name: str) -> bool:
    return any(want.get((kind, name)) != have.get((kind, name)) for kind in ("set", "map"))


def _listing(family: str, table: str) -> dict[tuple[str, str], Any]:
    """A table of the current namespace, by (chain|set|map, name), without values that change by themselves."""
    entries: dict[tuple[str, str], Any] = {}
    try:
        listed = json.loads(libnft.run(f"list table {family} {table}", libnft.JSON))["nftables"]
    except ValueError:  # what nft 1.0.6 prints of a table that a program holds for itself (flags owner) is no JSON
        return entries
    for entry in listed:
        for kind, value in entry.items():
            if kind in ("set", "map"):
                elements = sorted(json.dumps(still(element), sort_keys=True) for element in value.get("elem", []))
                if "timeout" in value.get("flags", []):  # what packets put in; nft 1.0.6 does not list "dynamic"
                    elements = []
                entries[kind, value["name"]] = [still({**value, "elem": None}), elements]
            elif kind == "chain":
                entries.setdefault(("chain", value["name"]), []).insert(0, still(value))
            elif kind == "rule":
                entries.setdefault(("chain", value["chain"]), []).append(still(value))
    return entries


def still(value: Any) -> Any:
    """A listing without what changes by itself, and without what two encodings of the same rule differ in.

    nft 1.1.7 compares one byte of ``fib ... oif missing``, and lists the four that older versions compare as
    ``{"concat": [false]}``.
    """
    if isinstance(value, dict):
        if isinstance(parts := value.get("concat"), list) and len(parts) == 1:
            return still(parts[0])
        return {key: still(item) for key, item in value.items() if key not in _RESTLESS}
    if isinstance(value, list):
        return [still(item) for item in value]
    return value
