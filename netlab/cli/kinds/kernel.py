"""The kinds of the kernel: ``netlab get links`` and its like list all namespaces of a lab in one table.

``-o json`` is a list of the documents of ``output.kernel``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial

from netlab.cli.kinds.kind import Column, Item, Kind
from netlab.cli.kinds.namespaces import rows

_NOTHING = "-"  # an empty cell: columns stay countable


def _cell(value: object) -> object:
    return _NOTHING if value in ("", None) else ",".join(value) if isinstance(value, list) else value


def _field(name: str, *, wide: bool = False, head: str = "", cell: Callable[[Item], object] | None = None) -> Column:
    """The column of a field; ``cell`` computes what is more than its value."""
    return Column(head or name.upper(), lambda row: _cell(cell(row) if cell else row[name]), wide)


def _kind(
    plural: str,
    short: tuple[str, ...],
    *columns: Column,
    key: tuple[str, ...],
    still: Callable[[Item], object] = lambda row: row,
) -> Kind:
    """A kind of the kernel; ``key`` are the fields by which ``--watch`` recognizes a row."""
    return Kind(
        *(plural, plural, short, "", partial(rows, plural), (_field("netns"), *columns)),
        kernel=True,
        key=lambda row: json.dumps([row[name] for name in ("netns", *key)]),
        still=still,
    )


def _details(row: Item) -> str:
    fields = [*row["details"].items(), *row.get("port", {}).items()]
    return " ".join(f"{key} {('off', 'on')[value] if isinstance(value, bool) else value}" for key, value in fields)


def _via(row: Item) -> str:
    return ",".join(f"{hop['via']}%{hop['dev']}" for hop in row.get("nexthops", ())) or str(row["via"])


LINKS = _kind(
    "links",
    ("link", "l"),
    *(_field(name) for name in ("name", "type", "mtu", "mac", "state", "master", "peer")),
    _field("index", wide=True),
    _field("qdisc", wide=True),
    _field("altnames", wide=True),
    _field("details", wide=True, cell=_details),
    key=("name",),
)
ADDRESSES = _kind(
    "addresses",
    ("address", "addrs", "addr"),
    *(_field(name) for name in ("dev", "address", "scope", "peer", "flags")),
    _field("broadcast", wide=True),
    key=("dev", "address"),
)
ROUTES = _kind(
    "routes",
    ("route", "r"),
    _field("dst"),
    _field("via", cell=_via),
    *(_field(name) for name in ("dev", "src", "scope")),
    _field("protocol", head="PROTO"),
    _field("type"),
    _field("flags"),
    _field("metric", wide=True),
    _field("table", wide=True),
    key=("dst", "table", "metric", "family", "type"),
)
NEIGHBOURS = _kind(
    "neighbours",
    ("neighbour", "neighbors", "neighbor", "neighs", "neigh"),
    *(_field(name) for name in ("address", "dev", "mac", "state", "flags")),
    key=("address", "dev"),
)
FDB = _kind(
    "fdb",
    ("fdbs",),
    *(_field(name) for name in ("mac", "dev", "dst")),
    _field("vlan", cell=lambda row: row["vlan"] or ""),
    *(_field(name) for name in ("master", "state", "flags")),
    key=("mac", "dev", "vlan", "dst", "vni"),
)
SYSCTLS = _kind("sysctls", ("sysctl",), *(_field(name) for name in ("name", "value", "applied")), key=("name",))
NFT = _kind(
    "nft",
    ("nftables", "ruleset"),
    *(_field(name) for name in ("family", "table", "kind", "name", "hook")),
    _field("prio", head="PRIORITY"),
    _field("policy"),
    _field("entries"),
    _field("type", wide=True),
    key=("family", "table", "kind", "name"),
    still=lambda row: re.sub(r'"(packets|bytes)": \d+', "", json.dumps(row)),  # counters that count are no change
)
