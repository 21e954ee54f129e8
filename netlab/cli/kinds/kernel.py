"""``netlab get links`` and its like: what the kernel has, in all of a lab's namespaces, in one table.

``-o json`` is a list of the documents of ``output.kernel``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, get_args

import click

from netlab.cli import jsonpath, out
from netlab.cli.kinds import watch
from netlab.cli.selectors import selector
from netlab.errors import BadInput, Exit
from netlab.kernel.rtnetlink.inspect import Row, inspect
from netlab.names import Owner
from netlab.output import document

NOTHING = "-"  # an empty cell: columns stay countable
_ORDER = {"node": 0, "pod": 1, "external": 2, "router": 3, "underlay": 4}


class Asked(NamedTuple):
    """What is to be shown: the kind, of which lab, where (Pods, nodes, namespaces; none: everywhere), by what labels.

    ``namespace`` limits it to the Pods of one Kubernetes namespace; "" does not.
    """

    kind: str
    lab: str
    words: tuple[str, ...]
    namespace: str
    selector: str


class Column(NamedTuple):
    """A heading, what is below it, whether only ``-o wide`` has it."""

    head: str
    cell: Callable[[Row], object]
    wide: bool = False


def _field(name: str) -> Callable[[Row], object]:
    return lambda row: row[name]


def _joined(name: str) -> Callable[[Row], object]:
    return lambda row: ",".join(row[name])


def _details(row: Row) -> str:
    words = [f"{key} {_onoff(value)}" for key, value in row["details"].items()]
    return " ".join(words + [f"{key} {_onoff(value)}" for key, value in row.get("port", {}).items()])


def _onoff(value: object) -> object:
    return ("on" if value else "off") if isinstance(value, bool) else value


def _via(row: Row) -> str:
    return ",".join(f"{hop['via']}%{hop['dev']}" for hop in row.get("nexthops", ())) or str(row["via"])


def _columns(*named: str, **cells: Callable[[Row], object]) -> tuple[Column, ...]:
    """Columns by field name; ``+name`` is wide, and ``cells`` has those that need more than the field."""
    found = []
    for name in named:
        field, wide = name.lstrip("+"), name.startswith("+")
        head = _HEADS.get(field, field.upper())
        found.append(Column(head, cells.get(field, _field(field)), wide))
    return tuple(found)


_HEADS = {"protocol": "PROTO", "prio": "PRIORITY"}
COLUMNS: dict[str, tuple[Column, ...]] = {
    "links": _columns(
        *("netns", "name", "type", "mtu", "mac", "state", "master", "peer", "+index", "+altnames", "+details"),
        altnames=_joined("altnames"),
        details=_details,
    ),
    "addresses": _columns("netns", "dev", "address", "scope", "peer", "flags", "+broadcast", flags=_joined("flags")),
    "routes": _columns(
        *("netns", "dst", "via", "dev", "src", "scope", "protocol", "type", "flags", "+metric", "+table"),
        via=_via,
        flags=_joined("flags"),
    ),
    "neighbours": _columns("netns", "address", "dev", "mac", "state", "flags", flags=_joined("flags")),
    "fdb": _columns(
        *("netns", "mac", "dev", "dst", "vlan", "master", "state", "flags"),
        vlan=lambda row: row["vlan"] or "",
        flags=_joined("flags"),
    ),
    "sysctls": _columns("netns", "name", "value", "applied"),
    "nft": _columns("netns", "family", "table", "kind", "name", "hook", "prio", "policy", "entries", "+type"),
}
# What makes a row the same one when ``--watch`` looks again.
_KEYS: dict[str, tuple[str, ...]] = {
    "links": ("netns", "name"),
    "addresses": ("netns", "dev", "address"),
    "routes": ("netns", "dst", "table", "metric", "family", "type"),
    "neighbours": ("netns", "address", "dev"),
    "fdb": ("netns", "mac", "dev", "vlan", "dst", "vni"),
    "sysctls": ("netns", "name"),
    "nft": ("netns", "family", "table", "kind", "name"),
}


def show(asked: Asked, output: str, *, header: bool, watching: bool) -> int:
    """Print the rows; with ``watching`` go on, each row headed by what happened to it."""
    style, _, template = output.partition("=")
    if style not in ("text", "wide", "json", "yaml", "jsonpath") or (watching and style == "jsonpath"):
        raise BadInput(f"-o {output}: there are text, wide, json, yaml" + ("" if watching else ", jsonpath=TEMPLATE"))
    everything = style != "text"
    if watching:
        return _watch(asked, style, header=header, everything=everything)
    found = rows(asked, everything=everything)
    if style == "json":
        kind = get_args(document(f"get {asked.kind}"))[0]
        out.document([kind(**row) for row in found])
    elif style == "yaml":
        import yaml

        out.line(yaml.safe_dump(found, sort_keys=False).rstrip())
    elif style == "jsonpath":
        click.echo(jsonpath.render(template, {"items": found}))
    elif not found:
        out.note(f"No resources found in lab {asked.lab}: {asked.kind}")
    else:
        heads, table = _table(asked.kind, found, wide=style == "wide")
        out.table(table, heads if header else ())
    return Exit.OK


def rows(asked: Asked, *, everything: bool = True) -> list[Row]:
    """What the kernel has; without ``everything`` routing table ``local`` is left out, as ip does unasked."""
    sysctls: dict[str, list[str]] = {}
    applied: dict[tuple[str, str], str] = {}
    patterns = [word for word in asked.words if asked.kind == "sysctls" and re.match(r"net[./]", word)]
    there, places = _places(asked, [word for word in asked.words if word not in patterns])
    if asked.kind == "sysctls":
        applied = _applied_sysctls(asked.lab)
        for netns, path in applied:
            sysctls.setdefault(netns, []).append(path)
        if patterns:
            sysctls = dict.fromkeys(places, patterns)
    # The other end of a veth is known by its own namespace's dump alone, so links are read everywhere.
    found = inspect(asked.kind, there if asked.kind == "links" else places, sysctls)
    if len(there) > len(places):
        chosen = set(places)
        found = [row for row in found if row["netns"] in chosen]
    if asked.kind == "sysctls":
        for row in found:
            row["applied"] = applied.get((row["netns"], row["name"]))
    if asked.kind == "routes" and not everything:
        found = [row for row in found if row["table"] != "local"]
    return found


def _applied_sysctls(lab: str) -> dict[tuple[str, str], str]:
    from netlab.objects import Sysctl
    from netlab.runtime.state.running import load_running

    return {(one.netns, one.path): one.value for one in load_running(lab).want.only(Sysctl)}


def _places(asked: Asked, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The lab's namespaces, nodes first, and those that are meant; raises BadInput for a word that means none."""
    from netlab.kernel.host.owners import owners

    there = {netns: owner for netns, owner in owners(f"{asked.lab}-").items() if owner and owner.lab == asked.lab}
    every = ordered = sorted(there, key=lambda netns: (_ORDER.get(there[netns].kind, 9), _natural(netns)))
    if words:
        wanted = {netns for word in words for netns in _named(word, asked, there)}
        ordered = [netns for netns in ordered if netns in wanted]
    elif asked.namespace:
        start = f"{asked.namespace}/"
        ordered = [one for one in ordered if there[one].kind == "pod" and there[one].name.startswith(start)]
    if asked.selector:
        chosen = _labelled(asked)
        ordered = [netns for netns in ordered if netns in chosen]
    return every, ordered


def _named(word: str, asked: Asked, there: Mapping[str, Owner]) -> list[str]:
    full = word if "/" in word else f"{asked.namespace or 'default'}/{word}"
    found = [netns for netns, owner in there.items() if netns == word or (owner.kind == "pod" and owner.name == full)]
    found += [netns for netns, owner in there.items() if owner.kind != "pod" and owner.name == word]
    if found:
        return found
    from netlab.cli.find import place
    from netlab.runtime.state.running import load_cluster

    return [place(load_cluster(asked.lab), word, asked.namespace).netns]  # a Pod on its node's network, or an error


def _labelled(asked: Asked) -> set[str]:
    from netlab.runtime.state.running import load_cluster

    chosen, cluster = selector(asked.selector), load_cluster(asked.lab)
    found = {pod.netns for pod in cluster.pods if chosen(pod.labels)}
    return found if asked.namespace else found | {node.netns for node in cluster.nodes if chosen(node.labels)}


def _natural(text: str) -> list[tuple[int, str]]:
    """node-2 before node-10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]


# -- printing ---------------------------------------------------------------------------------------------------------


def _cells(kind: str, row: Row, *, wide: bool) -> list[str]:
    found = []
    for column in COLUMNS[kind]:
        if wide or not column.wide:
            value = column.cell(row)
            found.append(NOTHING if value in ("", None) else str(value))
    return found


def _table(kind: str, found: Sequence[Row], *, wide: bool) -> tuple[list[str], list[list[str]]]:
    heads = [column.head for column in COLUMNS[kind] if wide or not column.wide]
    return heads, [_cells(kind, row, wide=wide) for row in found]


def _watch(asked: Asked, style: str, *, header: bool, everything: bool) -> int:
    """Rows that come, change and go; counters that only count are no change."""
    from netlab.runtime.state.running import open_running

    stream = watch.Table()

    def poll() -> dict[str, Row]:
        open_running(asked.lab)  # raises once it is down
        found: dict[str, Row] = {}
        for row in rows(asked, everything=everything):
            key = json.dumps([row[name] for name in _KEYS[asked.kind]])
            while key in found:  # the kernel may have two routes that differ in nothing else
                key += "+"
            found[key] = row
        return found

    def say(changes: Sequence[tuple[str, Row]]) -> None:
        if style in ("json", "yaml"):
            for event, row in changes:
                watch.item({"type": event, "object": row}, style, "")
            return
        heads, table = _table(asked.kind, [row for _, row in changes], wide=style == "wide")
        events = [[event, *cells] for (event, _), cells in zip(changes, table, strict=True)]
        stream.rows(events, ["EVENT", *heads] if header else ())

    return watch.run(poll, say, lambda one, other: _still(one) == _still(other))


def _still(row: Any) -> str:
    return re.sub(r'"(packets|bytes)": \d+', "", json.dumps(row))
