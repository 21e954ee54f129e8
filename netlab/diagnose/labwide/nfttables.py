"""Tables as nft prints them, held against chains and sets that a lab could have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from netlab.objects import NftChain, NftSet, NftTable, Obj
from netlab.plan.drift import Drift

Parts = Mapping[str, tuple[str, ...]]

_HEAD = re.compile(r"^\s*(?:chain|set|map) (\S+) \{")
_NOISE = re.compile(r" # handle \d+|counter(?: packets \d+ bytes \d+)?|comment \"[^\"]*\"|\"")
_IMPLIED = re.compile(r"meta l4proto (tcp|udp) (?=\1 )")  # which nft does not print
_PROTOCOL_4 = re.compile(r"\b(protocol|nexthdr) (?:ipencap|ipv4)\b")  # its names in /etc/protocols
_SAME, _NAMED = 0.75, 0.3  # of a rule's words, since nft writes some in its own way, and types of ICMP by their names


def deviating(drift: Drift) -> Iterable[NftTable]:
    """The tables in which something deviates."""
    places = {(op.obj.netns, op.obj.family, op.obj.table) for op in drift.operations if _in_table(op.obj)}  # type: ignore[attr-defined]
    return (NftTable(*place) for place in sorted(places))


def _in_table(obj: Obj) -> bool:
    return isinstance(obj, (NftTable, NftChain, NftSet))


def parts(text: Sequence[str]) -> Parts:
    """The lines of each chain, set and map of a table."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in text:
        if head := _HEAD.match(line):
            name = head[1].strip('"')
            found[name] = []
        elif line.strip() == "}" and not (
            name and found[name] and found[name][-1].count("{") > found[name][-1].count("}")
        ):
            name = ""
        elif name:
            found[name].append(line.strip())
    return {name: tuple(lines) for name, lines in found.items()}


def alike(there: Parts, obj: Obj, after: Obj | None) -> bool:
    """Whether a table has ``after`` in the place of an object: that chain, that set, or nothing."""
    if isinstance(obj, NftTable):
        return after is not None or not there
    name = obj.chain if isinstance(obj, NftChain) else obj.set if isinstance(obj, NftSet) else ""
    if after is None:
        return name not in there
    if name not in there:
        return False
    if isinstance(after, NftChain):
        return _chain(there[name], after)
    return isinstance(after, NftSet) and _set(there[name], after)


def _chain(lines: Sequence[str], chain: NftChain) -> bool:
    rules = [line for line in lines if not line.startswith(("type ", "comment ", "policy "))]
    head = " ".join(line for line in lines if line.startswith("type "))
    drops = "policy drop" in chain.base
    if len(rules) != len(chain.rules) or drops != ("policy drop" in head):
        return False
    pairs = zip(chain.rules, rules, strict=True)
    return all(_share(rule, line) >= (_NAMED if "icmp" in rule else _SAME) for rule, line in pairs)


def _set(lines: Sequence[str], wanted: NftSet) -> bool:
    _, _, elements = _NOISE.sub("", " ".join(lines)).partition("elements = {")
    there = [_words(element) for element in elements.split(",") if _words(element)]
    return len(there) == len(wanted.elements) and all(_words(element) in there for element in wanted.elements)


def _share(rule: str, line: str) -> float:
    """How many of a rule's words a line has; 0 if it lacks a number or an address of the rule."""
    words, there = _words(rule), _words(line)
    named = "icmp" in rule  # nft writes the names of types
    if not named and not {word for word in words if any(map(str.isdigit, word))} <= there:
        return 0.0
    return len(words & there) / max(len(words), len(there), 1)


def _words(text: str) -> set[str]:
    text = _PROTOCOL_4.sub(r"\1 4", _IMPLIED.sub("", _NOISE.sub("", text)))
    words = re.sub(r"[{},()&|]|==| / ", " ", text).split()
    return {re.sub(r"^0x0*", "0x", word) for word in words}
