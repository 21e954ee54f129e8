"""Deviations folded into suspects: the objects of one trouble, with the commands that show and mend them.

What the kernel removes with a link (routes, neighbours, addresses) and what stands in a namespace or table that is gone
are parts of that suspect.  What else is alike in one place is one suspect: two routes that a node lacks are one trouble.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from netlab.diagnose.causes.deviations import lost_interfaces
from netlab.objects import (
    Addr,
    Conntrack,
    Fdb,
    File,
    Key,
    Link,
    Listener,
    Neigh,
    Netns,
    NftChain,
    NftSet,
    NftTable,
    Obj,
    Op,
    PathMtu,
    Port,
    Process,
    Qdisc,
    Route,
    Rule,
    Sysctl,
    Verb,
    WgPeer,
    XfrmPolicy,
)
from netlab.objects.base import LEARNED, Floor
from netlab.objects.links import Device, Veth
from netlab.objects.nftorder import typed
from netlab.plan import document, render
from netlab.plan.drift import Drift
from netlab.values import dataclass

_LINES = 40  # of mending; more is left to ``netlab up``
_LOOKS = 3
#: Tables of the lab's agents: where the documents ask for none, rules of a policy or a Service are left over.
_OWN_TABLES = {"kube-proxy": "service-rules", "netlab-policy": "rules", "cni_hostport": "rules", "impairments": "rules"}
_STATES = {Verb.CREATE: "missing", Verb.UPDATE: "wrong", Verb.DELETE: "extra"}
#: What nft prints of rules that do more than count.
_ACTS = re.compile(
    r"\b(?:drop|reject|dnat|snat|masquerade|redirect|notrack|queue|limit|tproxy|dup|fwd)\b|\bset\b(?! *\{)"
)


@dataclass(frozen=True, slots=True)
class Suspect:
    """``ops`` are its own deviations, ``parts`` what follows from them; or ``foreign`` is an object of other programs."""

    kind: str
    netns: str
    interface: str
    ops: tuple[Op, ...] = ()
    parts: tuple[Op, ...] = ()
    foreign: Obj | None = None
    text: tuple[str, ...] = ()

    @property
    def learned(self) -> bool:
        """Whether the kernel only learned something that contradicts the lab: a consequence more often than a cause."""
        return bool(self.ops) and all(op.obj.why is LEARNED for op in self.ops)

    @property
    def message(self) -> str:
        """What deviates, as a sentence."""
        if self.foreign is not None:
            return f"{self.foreign.kind} {self.foreign.name} in {self.netns} is not of this lab"
        first = render.drifted(self.ops[0]).splitlines()[0]
        more = len(self.ops) - 1
        return first + (f", and {more} more of that kind" if more else "")

    @property
    def evidence(self) -> tuple[str, ...]:
        """The further deviations, each in a line."""
        if self.foreign is not None:
            return tuple(line.strip() for line in self.text if _ACTS.search(line))[:_LOOKS]
        lines = [render.drifted(op).splitlines()[0] for op in (*self.ops[1:], *self.parts)]
        more = len(lines) - _LOOKS
        return (*lines[:_LOOKS], *([f"and {more} more objects differ"] if more > 0 else []))

    @property
    def look(self) -> tuple[str, ...]:
        """Shell lines that show it."""
        objects = [self.foreign] if self.foreign is not None else [op.obj for op in self.ops[:_LOOKS]]
        return tuple(dict.fromkeys(line for obj in objects for line in document.look(obj)))

    def mend(self, lab: str) -> tuple[str, ...]:
        """Shell lines that mend it, in an order in which they can be typed."""
        if self.foreign is not None:
            return render.removal(self.foreign)
        ops = (*self.ops, *self.parts)
        lines = [line for op in typed(ops) for line in render.mending(op)]
        if not lines or len(lines) > _LINES or any(isinstance(op.obj, (Listener, Process, Netns)) for op in ops):
            return (f"netlab up {lab}",)
        return tuple(lines)


def suspects(drift: Drift, texts: Mapping[Key, Sequence[str]], *, tables: bool = True) -> list[Suspect]:
    """The deviations as suspects; ``texts``: what nft prints of foreign tables.

    ``tables`` false: foreign tables are the work of the user's own engine, and no flow is broken.
    """
    made = {op.obj.key: op.obj for op in drift.operations if op.verb is Verb.CREATE}
    removed = {op.obj.key: op.obj for op in drift.operations if op.verb is Verb.DELETE}
    groups: dict[tuple[object, ...], list[Op]] = {}
    parts: dict[tuple[object, ...], list[Op]] = {}
    ops = [op for op in drift.operations if not (op.verb is Verb.DELETE and op.obj.key in made)]
    roots = _Roots(ops)
    for op in ops:
        whole = Op(Verb.UPDATE, op.obj, removed[op.obj.key]) if op.obj.key in made and op.obj.key in removed else op
        root = roots.of(whole)
        if root is not None:
            parts.setdefault(_group(root), []).append(whole)
        else:
            groups.setdefault(_group(whole), []).append(whole)
    folded = [
        Suspect(_kind(members), *_at(members[0]), tuple(members), tuple(parts.get(key, ())))
        for key, members in groups.items()
    ]
    foreign = [obj for obj in drift.foreign if tables or not isinstance(obj, NftTable)]
    return [*folded, *_foreign(foreign, texts)]


def _foreign(objects: Iterable[Obj], texts: Mapping[Key, Sequence[str]]) -> Iterator[Suspect]:
    """Foreign tables whose rules do more than count, and links beside the lab's; the rest harms nobody."""
    for obj in objects:
        text = tuple(texts.get(obj.key, ()))
        if isinstance(obj, NftTable) and any(_ACTS.search(line) for line in text):
            yield Suspect(_OWN_TABLES.get(obj.table, "foreign-rules"), obj.netns, "", foreign=obj, text=text)
        elif isinstance(obj, Link):
            yield Suspect("foreign-link", obj.netns, obj.dev, foreign=obj)


class _Roots:
    """The deviations that take others with them: namespaces, links, bridges and tables."""

    def __init__(self, ops: Sequence[Op]) -> None:
        self._namespaces = {op.obj.netns: op for op in ops if isinstance(op.obj, Netns) and op.verb is Verb.CREATE}
        self._links = {interface: op for op in ops for interface in lost_interfaces(op)}
        self._short = {interface: op for op in ops for interface in _too_short(op)}
        self._tables = {
            (op.obj.netns, op.obj.place): op for op in ops if isinstance(op.obj, NftTable) and op.verb is Verb.CREATE
        }
        self._bridges = {
            (op.obj.netns, op.obj.name): op for op in ops if op.obj.kind == "bridge" and op.verb is not Verb.DELETE
        }

    def of(self, op: Op) -> Op | None:
        """The deviation that explains this one; None for one that stands for itself."""
        obj = op.obj
        spaces = {obj.netns} | ({obj.peer.netns} if isinstance(obj, Veth) else set())
        root = next((self._namespaces[netns] for netns in spaces if netns in self._namespaces), None)
        if root is None and isinstance(obj, (NftChain, NftSet)):
            root = self._tables.get((obj.netns, obj.place))
        if root is None and obj.floor is not Floor.LINK:
            dev = str(getattr(obj, "dev", "") or getattr(obj, "link", ""))
            root = self._links.get((obj.netns, dev)) or (self._short.get((obj.netns, dev)) if _six(obj) else None)
            if root is None and isinstance(obj, Port):
                root = self._bridges.get((obj.netns, obj.master))
        return root if root is not op and (root is None or root.obj.key != obj.key) else None


_LEAST_6 = 1280  # the kernel takes IPv6 off links with a smaller MTU


def _too_short(op: Op) -> Iterator[tuple[str, str]]:
    """The interfaces whose MTU is too small for IPv6."""
    have = op.have
    ends = (have.end, have.peer) if isinstance(have, Veth) else (have,) if isinstance(have, Device) else ()
    for end in ends:
        if end.mtu < _LEAST_6:
            yield end.netns, end.name


def _six(obj: Obj) -> bool:
    return any(":" in str(getattr(obj, name, "")) for name in ("address", "dst")) or "ipv6" in getattr(obj, "path", "")


def _group(op: Op) -> tuple[object, ...]:
    obj = op.obj
    if isinstance(obj, (NftTable, NftChain, NftSet)):
        return "nft", obj.netns, obj.place
    if isinstance(obj, Sysctl):
        return "sysctl", obj.netns, _setting(obj)
    if isinstance(obj, (Listener, Process)):
        return "process", obj.netns, getattr(obj, "pod", "")
    if isinstance(obj, (Route, Rule, XfrmPolicy, Conntrack, PathMtu, File)):
        return type(obj), obj.netns, op.verb is Verb.DELETE and not _replaces(op)
    if obj.floor is Floor.LINK:
        return obj.key
    return type(obj), obj.netns, getattr(obj, "dev", ""), op.obj.why is LEARNED


def _replaces(op: Op) -> bool:
    return op.have is not None


def _setting(obj: Sysctl) -> str:
    """The setting, whatever the interface: a family's forwarding has several names."""
    family = "6" if "ipv6" in obj.path else ""
    tail = re.split(r"[./]", obj.path)[-1]
    return family + ("forwarding" if tail in ("ip_forward", "forwarding") else tail)


def _at(op: Op) -> tuple[str, str]:
    """The namespace and the interface; of a veth the end that deviates."""
    obj = op.obj
    if isinstance(obj, Veth):
        end = obj.peer if isinstance(op.have, Veth) and op.have.end == obj.end else obj.end
        return end.netns, end.name
    interface = obj.name if obj.floor is Floor.LINK else str(getattr(obj, "dev", "") or getattr(obj, "link", ""))
    return obj.netns, interface


# -- kinds ------------------------------------------------------------------------------------------------------------

_WORDS: tuple[tuple[type[Obj], str], ...] = (
    (Addr, "address"),
    (Route, "route"),
    (Neigh, "neighbour"),
    (Fdb, "fdb"),
    (WgPeer, "wireguard-peer"),
)
_PLAIN: tuple[tuple[type[Obj], str], ...] = (
    (Qdisc, "qdisc"),
    (Rule, "ip-rule"),
    (XfrmPolicy, "ipsec-policy"),
    (File, "file"),
    (PathMtu, "path-mtu"),
    (Conntrack, "conntrack"),
)


def _kind(ops: Sequence[Op]) -> str:
    """The stable word for what deviates."""
    op = ops[0]
    obj = op.obj
    if isinstance(obj, (Veth, Device)):
        return _link_kind(op)
    if isinstance(obj, Port):
        return _port_kind(op)
    if isinstance(obj, Netns):
        lacks = getattr(op.have, "lacks", ())
        word = "ip-rule" if lacks and lacks[0].removeprefix("-6 ").startswith("rule ") else "loopback-down"
        return "namespace-missing" if op.verb is Verb.CREATE else word
    if isinstance(obj, Sysctl):
        return f"sysctl-{_setting(obj).removeprefix('6').replace('_', '-')}"
    if isinstance(obj, (Listener, Process)):
        stopped = any(isinstance(each.have, Process) and each.have.stopped for each in ops)
        return "process-stopped" if stopped else "process-missing" if op.verb is not Verb.DELETE else "process-extra"
    if isinstance(obj, (NftTable, NftChain, NftSet)):
        return "service-rules" if obj.table == "kube-proxy" else "rules"
    for kind, word in _PLAIN:
        if isinstance(obj, kind):
            return word
    for kind, word in _WORDS:
        if isinstance(obj, kind):
            states = {_STATES[each.verb] for each in ops}
            state = "learned" if obj.why is LEARNED else states.pop() if len(states) == 1 else "wrong"
            return f"{word}-{state}"
    return obj.kind


def _link_kind(op: Op) -> str:
    if op.verb is Verb.CREATE:
        return "link-missing"
    if op.verb is Verb.DELETE:
        return "link-extra"
    pairs = [(op.have, op.obj)]
    if isinstance(op.obj, Veth) and isinstance(op.have, Veth):
        pairs = [(op.have.end, op.obj.end), (op.have.peer, op.obj.peer)]  # type: ignore[list-item]
    differing = {
        name
        for have, want in pairs
        for name in getattr(want, "__dataclass_fields__", ())
        if name not in ("index", "pinned", "why") and getattr(have, name, None) != getattr(want, name)
    }
    for name, kind in (("up", "link-down"), ("mtu", "mtu"), ("mac", "mac-address")):
        if name in differing:
            return kind
    return "tunnel" if differing & {"vni", "port", "local", "lower", "remote"} else "link-changed"


def _port_kind(op: Op) -> str:
    have = op.have
    if not isinstance(have, Port) or have.master != getattr(op.obj, "master", ""):
        return "port-detached"
    for name in ("hairpin", "isolated", "learning"):
        if getattr(have, name) != getattr(op.obj, name):
            return f"port-{name}"
    return "port-changed"
