"""The rules of tables that are not the lab's, in the namespaces that saw the traced packet.

A healthy lab has no such table, and then this costs nothing more than a look at the names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from netlab.evidence.records import ForeignRule
from netlab.kernel.host import netns as ns
from netlab.kernel.nftables import listing
from netlab.kernel.nftables.drift import TRACING
from netlab.kernel.nftables.trace import RulesSocket, Table

TablePlace = tuple[str, str, str]  # namespace, family, name


def foreign_rules(
    netns: Iterable[str], lab_tables: Collection[TablePlace], tables: Mapping[str, Iterable[Table]]
) -> tuple[ForeignRule, ...]:
    """The rules of tables outside ``lab_tables``; ``tables`` are those of namespaces that were read already."""

    def foreign(name: str, present: Iterable[Table]) -> list[Table]:
        others = (table for table in present if (name, table.family, table.name) not in lab_tables)
        return [table for table in others if not table.name.startswith(TRACING)]

    def look(name: str) -> list[ForeignRule]:
        return [
            ForeignRule(name, table.family, table.name, *row)
            for table in foreign(name, tables[name] if name in tables else _tables())
            for row in listing.rules(table.family, table.name)
        ]

    wanted = [name for name in netns if name not in tables or foreign(name, tables[name])]
    if not wanted:
        return ()
    return tuple(rule for rules in ns.each(wanted, look).values() for rule in rules)


def _tables() -> list[Table]:
    """The tables of the current namespace; none on a kernel without nf_tables."""
    try:
        asking = RulesSocket()
    except OSError:
        return []
    try:
        return asking.tables()
    except OSError:
        return []
    finally:
        asking.close()
