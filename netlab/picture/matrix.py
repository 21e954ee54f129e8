"""Flows as a table: the sources down the side, the targets along the top; shape and colour tell the outcome."""

from __future__ import annotations

from collections.abc import Sequence

from netlab.output.flows import ChangedFlow, Flow, Reach
from netlab.picture.metrics import width
from netlab.picture.scene import Glyph, Group, Rect, Scene, Text

_CELL = 30
_LEFT = 28.0
_WRONG = "wrong"

# The sign of each outcome, in the order of the legend, and its words.
_GLYPHS = {
    "open": ("M-5 0.5L-1.5 4L5.5 -4.5", "open"),
    "denied": ("M-6 0A6 6 0 1 0 6 0A6 6 0 1 0 -6 0M-4.2 -4.2L4.2 4.2", "denied by a policy"),
    "mixed": ("M-6 0L6 0M-3 -4L3 -4M-3 4L3 4", "some endpoints reply"),
    "refused": ("M-4.5 -4.5L4.5 4.5M4.5 -4.5L-4.5 4.5", "refused"),
    "timeout": ("M-5 0L-3 0M-1 0L1 0M3 0L5 0", "no reply"),
    "unreachable": ("M0 -5L5.5 4.5L-5.5 4.5Z", "unreachable (ICMP)"),
    "error": ("M-3 -4Q0 -8 3 -4Q3 -1 0 0L0 2M0 4.4L0 5", "not measured"),
    _WRONG: ("M0 -5.5L0 1.5M0 4.4L0 5", "another Pod replied"),
}

_SIGNS = {"opens": "+", "closes": "−"}
_LISTED = 30  # changes

_Target = tuple[str, int, str]


def matrix(reach: Reach, changes: Sequence[ChangedFlow] | None = None, how: str = "by real packets") -> Scene:
    """The table of a ``reach``; ``changes``: the flows that open or close between an older state and this one."""
    rows = list(dict.fromkeys(flow.from_ for flow in reach.flows))
    columns = list(dict.fromkeys(_target(flow) for flow in reach.flows))
    cells = {(flow.from_, _target(flow)): flow for flow in reach.flows}
    scene = Scene(f"Flows of lab {reach.lab}")
    group = scene.root
    group.add(Text(_LEFT, 40, f"{reach.lab}: flows", "h1"))
    words = f"{len(reach.flows)} flows {how} in {reach.seconds:.2f} s; rows send, columns reply"
    group.add(Text(_LEFT, 59, words, "h2"))
    left = _LEFT + max((width(_short(row), "t11") for row in rows), default=0) + 14
    deep = max((width(_label(column), "t11") for column in columns), default=0) * 0.72 + 16
    top = 76 + deep
    for index, column in enumerate(columns):
        group.add(Text(left + index * _CELL + _CELL / 2 + 3, top - 8, _label(column), "t11", turned=True))
    for number, row in enumerate(rows):
        y = top + number * _CELL
        group.add(Text(left - 12, y + 19, _short(row), "t11", "end"))
        for index, column in enumerate(columns):
            _cell(group, cells.get((row, column)), left + index * _CELL, y)
    scene.width = max(left + len(columns) * _CELL + 60 + deep, 560)
    bottom = top + len(rows) * _CELL
    if changes is not None:
        bottom = _changes(scene, changes, rows, columns, left, top, bottom)
    scene.height = _legend(scene, reach, bottom + 26) + 28
    scene.twin = [f"{flow.from_} > {flow.to}:{flow.port}/{flow.protocol} {_outcome(flow)}" for flow in reach.flows]
    return scene


def _changes(
    scene: Scene,
    changes: Sequence[ChangedFlow],
    rows: Sequence[str],
    columns: Sequence[_Target],
    left: float,
    top: float,
    bottom: float,
) -> float:
    """A frame and a sign at each flow that opens or closes, and a list of them below the table; its lower end."""
    for change in changes:
        target = (change.to, change.port, change.protocol)
        if change.from_ in rows and target in columns:
            x, y = left + columns.index(target) * _CELL, top + rows.index(change.from_) * _CELL
            scene.over.add(Rect(x + 0.5, y + 0.5, _CELL - 1, _CELL - 1, f"change {change.change}", 5))
            scene.over.add(Text(x + _CELL - 3, y + 10, _SIGNS[change.change], "t10 b", "end"))
    y = bottom + 24
    opened = sum(change.change == "opens" for change in changes)
    scene.root.add(
        Text(_LEFT, y, f"since the older state: {opened} open (+), {len(changes) - opened} close (−)", "t11 b")
    )
    for change in changes[:_LISTED]:
        y += 16
        because = f": {change.because}" if change.because else ""
        text = f"{_SIGNS[change.change]} {_short(change.from_)} → {_label((change.to, change.port, change.protocol))}{because}"
        scene.root.add(Text(_LEFT, y, text, "t10"))
        scene.width = max(scene.width, 2 * _LEFT + width(text, "t10"))
    if len(changes) > _LISTED:
        y += 16
        scene.root.add(Text(_LEFT, y, f"and {len(changes) - _LISTED} more", "t10 mute"))
    return y


def _target(flow: Flow) -> _Target:
    return flow.to, flow.port, flow.protocol


def _outcome(flow: Flow) -> str:
    if flow.outcome == "open" and flow.server and flow.to_kind == "pod" and flow.server != flow.to:
        return _WRONG
    return flow.outcome


def _short(name: str) -> str:
    return name.removeprefix("default/")


def _label(target: _Target) -> str:
    name, port, protocol = target
    return f"{_short(name)}:{port}" + (f"/{protocol}" if protocol != "TCP" else "")


def _cell(group: Group, flow: Flow | None, x: float, y: float) -> None:
    box = Rect(x + 1.5, y + 1.5, _CELL - 3, _CELL - 3, "cell none", 4)
    if flow is None:
        group.add(box)
        return
    outcome = _outcome(flow)
    glyph, words = _GLYPHS[outcome]
    because = [f"{each.says} ({each.file}:{each.line})" if each.file else each.says for each in flow.because]
    title = f"{flow.from_} → {_label(_target(flow))}: {words}"
    cell = group.group(
        key=f"flow:{flow.from_}>{flow.to}:{flow.port}/{flow.protocol}",
        style="pick cellg",
        title="\n".join((title, *because)),
    )
    cell.add(box._replace(style=f"cell {outcome}"))
    if flow.from_ == flow.to:
        cell.add(Glyph("M-9 -9L-4 -9L-9 -4Z", "self", x + _CELL / 2 - 1.5, y + _CELL / 2 - 1.5))
    cell.add(Glyph(glyph, f"gl {outcome}", x + _CELL / 2, y + _CELL / 2))


def _legend(scene: Scene, reach: Reach, y: float) -> float:
    outcomes = [_outcome(flow) for flow in reach.flows]
    x, group = _LEFT, scene.root
    for outcome, (glyph, words) in _GLYPHS.items():
        if outcome not in outcomes:
            continue
        words = f"{words}: {outcomes.count(outcome)}"
        if x + 40 + width(words, "t10") > scene.width:
            x, y = _LEFT, y + 28
        group.add(Rect(x, y - 12, 20, 20, f"cell {outcome}", 4), Glyph(glyph, f"gl {outcome}", x + 10, y - 2))
        group.add(Text(x + 28, y + 2, words, "t10"))
        x += 50 + width(words, "t10")
    if any(flow.from_ == flow.to for flow in reach.flows):
        group.add(Glyph("M0 0L6 0L0 6Z", "self", x, y - 5), Text(x + 12, y + 2, "a Pod and itself", "t10 mute"))
    return y
