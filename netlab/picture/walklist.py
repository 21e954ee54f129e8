"""The list beside a walk: each hop with its headers, boxes in boxes where they changed; and how the walk ended."""

from __future__ import annotations

from collections.abc import Sequence

from netlab.output.trace import Death, Header, Rules, Trace
from netlab.picture.glyphs import badge, cross
from netlab.picture.hops import ANSWER, Hop
from netlab.picture.metrics import lines, width
from netlab.picture.scene import Glyph, Line, Rect, Scene, Text

_WIDE, _INDENT = 500, 30
_FINDINGS = 2  # the list shows the first


def listed(scene: Scene, trace: Trace, request: Sequence[Hop], reply: Sequence[Hop]) -> None:
    """Draw the list right of the picture, and widen the picture by it."""
    column = _Column(scene, trace)
    column.head()
    for hop in request:
        column.hop(hop)
    if trace.died:
        column.died(trace.died)
    elif reply:
        column.replied(request, reply)
    scene.width += _WIDE + 36
    scene.height = max(scene.height, column.y + 20)
    scene.twin.append("")
    scene.twin += [
        f"{hop.number}. {column.place(hop.netns)} {hop.interface} {hop.direction}: "
        + "; ".join((" in ".join(_words(header) for header in reversed(hop.headers)), *hop.notes))
        for hop in request
    ]


class _Column:
    """The list under way; ``y`` is its lower end."""

    def __init__(self, scene: Scene, trace: Trace) -> None:
        self._scene, self._trace = scene, trace
        self._group = scene.root.group(style="panel")
        self._x = scene.width + 4
        self.y = 40.0

    def place(self, netns: str) -> str:
        """The name of a namespace without its lab's."""
        return netns.removeprefix(f"{self._trace.lab}-")

    def _paragraph(self, left: float, text: str, style: str) -> None:
        for line in lines(text.replace(f"{self._trace.lab}-", ""), self._x + _WIDE - left, style):
            self._group.add(Text(left, self.y, line, style))
            self.y += 15
        self.y += 2

    def head(self) -> None:
        """The request and its outcome."""
        trace, group = self._trace, self._group
        target = (trace.to or trace.address).removeprefix("default/")
        port = f":{trace.port}" if trace.port else ""
        group.add(Text(self._x, self.y, f"{trace.from_.removeprefix('default/')} → {target}{port}", "h1"))
        self.y += 19
        if trace.answered:
            words = f"reply after {trace.elapsed_us / 1000:.2f} ms"
        else:
            words = f"{trace.outcome}: no reply in {trace.elapsed_us / 1000:.0f} ms"
        sign = ("M0 -1L3.5 3L10 -6", "tick") if trace.answered else ("M1 -6L9 2M9 -6L1 2", "death2")
        group.add(Glyph(*sign, self._x, self.y - 2))
        group.add(Text(self._x + 16, self.y, words, f"t11 b {'good' if trace.answered else 'bad'}"))
        self.y += 24

    def hop(self, hop: Hop) -> None:
        """A hop, after the rules that the packet met on its way there."""
        group, left = self._group, self._x + _INDENT
        for rules in hop.rules:
            self._paragraph(left, _met(rules), "t10 pol")
        badge(group, self._x + 9, self.y - 4, hop.number)
        x = left
        for text, style, gap in (
            (self.place(hop.netns), "t11 b", 6),
            (hop.interface, "mono", 8),
            (hop.direction, "t10 mute", 10),
        ):
            group.add(Text(x, self.y, text, style))
            x += width(text, style) + gap
        notes = "; ".join(hop.notes).replace(f"{self._trace.lab}-", "")
        if notes and width(notes, "t10") < self._x + _WIDE - x:
            group.add(Text(x, self.y, notes, "t10 mute"))
        elif notes:
            self.y += 15
            self._paragraph(left, notes, "t10 mute")
            self.y -= 17
        self.y += 8
        if not hop.is_same:
            self._headers(hop)
        self.y += 14

    def _headers(self, hop: Hop) -> None:
        """The headers from the outside in, each inside the header before it; changed fields are underlined."""
        left, room, count = self._x + _INDENT, _WIDE - _INDENT, len(hop.headers)
        for index, header in enumerate(hop.headers):
            is_inner = index == count - 1
            box = Rect(
                left + 5 * index, self.y + 20 * index, room - 10 * index, 20 + 24 * (count - 1 - index), "hdr", 4
            )
            self._group.add(box if is_inner else box._replace(style="hdr out"))
            x, y = box.x + 8, box.y + 14
            for text, fields in _fields(header, is_inner=is_inner):
                is_hot = any((index, field) in hop.changed for field in fields)
                self._group.add(Text(x, y, text, "m10 hot" if is_hot else "m10" if fields or is_inner else "m10 over"))
                wide = width(text, "m10")
                if is_hot:
                    self._group.add(Line(((x, y + 2.5), (x + wide, y + 2.5)), "hotline"))
                x += wide + 6
        self.y += 24 * count

    def replied(self, request: Sequence[Hop], reply: Sequence[Hop]) -> None:
        """The reply in a sentence."""
        self._group.add(Line(((self._x + 2, self.y - 4), (self._x + 18, self.y - 4)), "go ans"))
        is_same_way = [hop.netns for hop in reversed(reply)] == [hop.netns for hop in request]
        kind, ttl = reply[0].headers[-1].kind, reply[-1].headers[-1].ttl
        way = "the same way" if is_same_way else "another way"
        arrived = "" if ttl is None else f", TTL {ttl} on arrival"
        self._paragraph(self._x + _INDENT, f"{kind} came back by {way}, {len(reply)} hops{arrived}", "t11")

    def died(self, died: Death) -> None:
        """The end of a lost packet, with the first causes."""
        group, x, top = self._group, self._x, self.y + 2
        index = len(group.items)
        cross(group, x + 17, top + 18)
        self.y = top + 22
        word = "reply " if died.way == ANSWER else ""
        where = f", in nftables' {died.hook} hook" if died.hook else f", {died.interface}" if died.interface else ""
        group.add(Text(x + 36, self.y, f"{word}died in {self.place(died.netns)}{where}", "pname bad"))
        group.add(Text(x + _WIDE, self.y, died.reason or "", "m10 bad", "end"))
        self.y += 19
        for finding in self._trace.findings[:_FINDINGS]:
            self._paragraph(x + 14, finding.says, "t11")
            if finding.file:
                self._paragraph(x + 14, f"{finding.file}:{finding.line}", "m10")
            if finding.rule:
                self._paragraph(x + 14, f"rule {finding.rule}", "m10 mute")
            for command in finding.mend[:1]:
                # The command is printed as it is typed, with the lab's name in it.
                for line in lines(f"mend: {command}", _WIDE - 14, "m10"):
                    group.add(Text(x + 14, self.y, line, "m10"))
                    self.y += 15
                self.y += 2
            self.y += 4
        group.items.insert(index, Rect(x, top, _WIDE + 8, self.y - top - 6, "deathbox", 6))
        self.y += 10


def _met(rules: Rules) -> str:
    """The rules of a hook that a packet met."""
    about = rules.service or rules.policy or f"{rules.table} {rules.chain}"
    place = f" ({rules.file}:{rules.line})" if rules.file else ""
    return f"nftables {rules.hook}: {about}: {rules.verdict}{place}"


def _fields(header: Header, *, is_inner: bool) -> list[tuple[str, tuple[str, ...]]]:
    """The words of a header, each with the fields that it shows."""
    source = f":{header.source_port}" if header.source_port and is_inner else ""
    target = f":{header.target_port}" if header.target_port else ""
    made: list[tuple[str, tuple[str, ...]]] = [
        (f"{header.kind} {header.vni}" if header.vni is not None else header.kind, ())
    ]
    if header.source and header.target:
        made.append((header.source + source, ("source", "source_port")))
        made += [("→", ()), (header.target + target, ("target", "target_port"))]
    if header.ttl is not None:
        made.append((f"ttl {header.ttl}", ("ttl",)))
    return made


def _words(header: Header) -> str:
    return " ".join(text for text, _ in _fields(header, is_inner=True)).replace("→", ">")
