"""Which of the lab's deviations from its desired state caused the packet's loss.

``plan.desired`` is what the kernel should have, ``plan.drift`` compares it with the kernel.  A deviation is a cause
only if this packet needed the object, which ``judges`` decide: its route, rule, neighbour, forwarding entry, port or
link, or a sysctl of a namespace on its path.  Other deviations are not reported.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from netlab.diagnose.causes.judges import weight
from netlab.diagnose.causes.needs import Needs
from netlab.diagnose.expected.iprule import parse
from netlab.diagnose.finding import Finding
from netlab.diagnose.story import Story
from netlab.objects import Key, NftChain, NftSet, NftTable, Obj, Op, Port, Rule, Verb
from netlab.objects.base import Floor
from netlab.objects.links import Bridge, Device, Veth, ends
from netlab.plan import render
from netlab.plan.drift import Drift

_MOST = 3  # reported causes; a broken lab may have hundreds
_SHORT = 2  # repair commands of a cause; more are left to ``netlab up``


def causes(story: Story, drift: Drift, lost_in: str) -> list[Finding]:
    """The deviations on this packet's path; those in ``lost_in``, where it was lost or diverged, come first."""
    return _Blame(story, lost_in).findings(drift)


class _Blame:
    def __init__(self, story: Story, lost_in: str) -> None:
        self._story, self._lost_in = story, lost_in
        self._needs = Needs(story, lost_in)

    def findings(self, drift: Drift) -> list[Finding]:
        rated = []
        for number, op in enumerate(drift.operations):
            rank = weight(self._needs, op, drift.operations)
            if rank:
                near = 0 if self._at(op.obj, self._lost_in) else 1
                far = 0 if self._ends(op.obj) & self._needs.spots else 1
                first = 0 if isinstance(op.obj, Rule) else 1  # a rule leads to the routes of its table
                rated.append(((near, rank, first, far, self._needs.order.get(op.obj.netns, 99), number), op))
        rated.sort(key=lambda row: row[0])
        findings = [self._finding(op) for op in self._without_doubles([op for _, op in rated])][:_MOST]
        # Only the first finding names the command that shows all deviations.
        return [*findings[:1], *(replace(finding, look=()) for finding in findings[1:])]

    @staticmethod
    def _ends(obj: Obj) -> set[tuple[str, str]]:
        if isinstance(obj, Veth):
            return {(obj.end.netns, obj.end.name), (obj.peer.netns, obj.peer.name)}
        return {(obj.netns, str(getattr(obj, "dev", "") or getattr(obj, "link", "")))}

    def _without_doubles(self, ops: list[Op]) -> Iterable[Op]:
        """Merge a delete and a create into an update; omit objects on a removed link."""
        seen: set[Key] = set()
        removed = {op.obj.key: op.obj for op in ops if op.verb is Verb.DELETE}
        made = {op.obj.key: op.obj for op in ops if op.verb is Verb.CREATE}
        gone = {interface for change in ops for interface in lost_interfaces(change)}
        bridges = {(change.obj.netns, change.obj.name) for change in ops if isinstance(change.obj, Bridge)}
        wanted = {
            end
            for change in ops
            if change.verb is not Verb.DELETE and isinstance(change.obj, (Veth, Device))
            for end in ends(change.obj)
        }
        tables = {(change.obj.netns, change.obj.place) for change in ops if isinstance(change.obj, NftTable)}
        for op in ops:
            hangs = op.obj.floor is not Floor.LINK and (op.obj.netns, getattr(op.obj, "dev", "")) in gone
            inside = isinstance(op.obj, (NftChain, NftSet)) and (op.obj.netns, op.obj.place) in tables
            blocked = isinstance(op.obj, Port) and (op.obj.netns, op.obj.master) in bridges and _only_blocked(op)
            stands = op.verb is Verb.DELETE and op.obj.floor is Floor.LINK and not wanted.isdisjoint(ends(op.obj))
            if op.obj.key not in seen and not (hangs or inside or blocked or stands):
                key = op.obj.key
                seen.add(key)
                yield Op(Verb.UPDATE, made[key], removed[key]) if key in removed and key in made else op

    @staticmethod
    def _at(obj: Obj, netns: str) -> bool:
        if isinstance(obj, Veth):
            return netns in (obj.end.netns, obj.peer.netns)
        return obj.netns == netns

    def _finding(self, op: Op) -> Finding:
        kind, _, first = render.drifted(op).splitlines()[0].partition(": ")
        mend = render.mending(op)
        whole = op.verb is Verb.DELETE or not isinstance(op.obj, NftTable)  # a table alone lacks its chains
        lab = self._story.recording.lab
        wanted = f", wanted by {op.obj.why.message}" if op.verb is not Verb.DELETE and op.obj.why.message else ""
        interface = op.obj.name if op.obj.floor is Floor.LINK else str(getattr(op.obj, "dev", ""))
        return Finding(
            "drift",
            f"{kind}, and this packet needed it: {first}{wanted}"
            if op.verb is not Verb.DELETE
            else f"{kind}, and on the path of this packet: {first}{_leads(op.obj)}",
            self._where(op.obj),
            interface,
            (f"netlab diff {lab}",),
            mark=op.obj.why.mark if op.verb is not Verb.DELETE else None,
            root=True,
            mend=mend if 0 < len(mend) <= _SHORT and whole else (f"netlab up {lab}",),
        )

    def _where(self, obj: Obj) -> str:
        """The namespace of the finding; of a veth, the end where the packet was lost."""
        if isinstance(obj, Veth) and obj.peer.netns == self._lost_in:
            return self._lost_in
        return obj.netns


def _leads(obj: Obj) -> str:
    """Where a rule leads the packet, as a part of a sentence."""
    rule = parse(obj.words) if isinstance(obj, Rule) else None
    if rule is None or not (rule.own_table or rule.refuses):
        return ""
    return f", which sends it to table {rule.table}" if rule.own_table else ", which refuses it"


def _only_blocked(op: Op) -> bool:
    """Whether a port differs in its state alone, which follows its bridge."""
    if not isinstance(op.obj, Port) or not isinstance(op.have, Port):
        return False
    others = tuple(each for each in op.have.deviations if each.word != "state")
    return replace(op.have, deviations=others) == op.obj


def lost_interfaces(op: Op) -> list[tuple[str, str]]:
    """The interfaces that are gone or down: the kernel removes their routes and neighbours as well."""
    obj = op.obj
    if obj.floor is not Floor.LINK:
        return []
    if op.verb is not Verb.UPDATE:
        return [(obj.netns, obj.name), *([(obj.peer.netns, obj.peer.name)] if isinstance(obj, Veth) else [])]
    if isinstance(op.have, Veth):
        return [(end.netns, end.name) for end in (op.have.end, op.have.peer) if not end.up]
    down = isinstance(op.have, Device) and not op.have.up
    return [(obj.netns, obj.name)] if down else []
