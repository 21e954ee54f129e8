"""A measured value, its bar, and how both are printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

# (row, size): (at most / at least, bar). Sources: the issues that set them; a row without one is there to be compared.
BARS: dict[tuple[str, str], tuple[str, float]] = {
    ("netlab --help", ""): ("<", 0.150),
    ("netlab ls", ""): ("<", 0.150),
    ("up", "2x2"): ("<", 0.4),
    ("down", "2x2"): ("<", 0.4),
    ("up / complete script", "10x20"): ("<=", 0.5),
    ("up / bare script", "10x20"): ("<=", 1.0),
    ("down", "10x20"): ("<", 0.4),
    ("Mininet / netlab, up plus down", "10x20"): (">=", 8.0),
    ("reach, TCP probes a second", "10x20"): (">=", 20_000),
    ("reach, false answers", "10x20"): ("<=", 0),
    ("agent, resident", "10x20"): ("<", 30.0),
    ("up / complete script", "10x100"): ("<=", 0.3),
    ("up / bare script", "10x100"): ("<=", 0.6),
    ("down", "10x100"): ("<", 1.0),
    ("up again, nothing to do", "10x100"): ("<", 1.0),
    ("diff", "10x100"): ("<", 1.0),
    ("one Pod added", "10x100"): ("<", 0.7),
    ("reach, false answers", "10x100"): ("<=", 0),
    ("up", "20x250"): ("<", 20.0),
    ("DNS, answers a second", "10x20"): (">=", 5000),
    ("apply of one Service", "10x20"): ("<", 0.5),
    ("changed Service, seen in DNS", "10x20"): ("<", 0.5),
    ("changed Service, seen in the data plane", "10x20"): ("<", 0.5),
    ("new connection, Pods of two nodes: policies / tracked", "2x2"): (">=", 0.95),
    ("new connection, Pods of one node: policies / tracked", "2x2"): (">=", 0.95),
    ("throughput, Pods of two nodes: policies / tracked", "2x2"): (">=", 0.95),
    ("10,000 policies, up", "10x100"): ("<", 6.0),
    ("10,000 policies, one label", "10x100"): ("<", 0.5),
    ("10,000 policies, labels not in force when the command returned", "10x100"): ("<=", 0),
    ("10,000 Services, up", "1x4"): ("<", 12.0),
    ("new connection by a Service: of 10 / of 10,000", "1x4"): (">=", 0.9),
    ("one Service more at 3,000, its transaction", "1x4"): ("<", 0.05),
    ("one Service more at 10,000, its transaction", "1x4"): ("<", 0.2),
    ("test, 20 Pods and 10 policies", ""): ("<", 1.0),
    ("test, Online Boutique with stand-ins", ""): ("<", 1.5),
    ("test, the slowest real set", ""): ("<", 4.0),
    ("test, all real sets, two jobs", ""): ("<", 60.0),
    ("trace, allowed", "2x2"): ("<", 0.6),
    ("trace, dropped", "2x2"): ("<", 1.0),
    ("trace, allowed", "6x9"): ("<", 1.5),
    ("armed / not", "2x2"): ("<=", 1.5),
    ("capture / tcpdump", "1x1"): (">=", 0.5),
    ("capture -w, ten interfaces", "1x10"): (">=", 100_000),
}


@dataclass(frozen=True)
class Row:
    """One line of the table: ``values`` has one value a round, in ``unit``; ``note`` says what the reader must know."""

    name: str
    size: str
    values: tuple[float, ...]
    unit: str
    note: str = ""

    @property
    def value(self) -> float | None:
        """The median; None where nothing could be measured (``note`` says why)."""
        return median(self.values) if self.values else None

    @property
    def bar(self) -> tuple[str, float] | None:
        """What the value should be."""
        return BARS.get((self.name, self.size))

    @property
    def met(self) -> bool | None:
        """Whether it is; None without a bar or a value."""
        if self.bar is None or self.value is None:
            return None
        sign, bar = self.bar
        return {"<": self.value < bar, "<=": self.value <= bar, ">=": self.value >= bar}[sign]

    def json(self) -> dict[str, object]:
        """The row as JSON has it."""
        return {
            "name": self.name,
            "size": self.size,
            "value": self.value,
            "unit": self.unit,
            "min": min(self.values, default=None),
            "max": max(self.values, default=None),
            "runs": len(self.values),
            "bar": " ".join(map(str, self.bar)) if self.bar else None,
            "met": self.met,
            "note": self.note,
        }


def ratios(name: str, size: str, above: Sequence[float], below: Sequence[float]) -> Row:
    """The quotient of each round's pair."""
    return Row(name, size, tuple(a / b for a, b in zip(above, below, strict=True)), "x")


def table(rows: Iterable[Row]) -> str:
    """All rows as a Markdown table."""
    lines = ["| what | nodes x Pods | median | least - most | runs | bar | |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        if row.value is None:
            lines.append(f"| {row.name} | {row.size} | - | | 0 | {_bar(row)} | {row.note} |")
            continue
        spread = f"{_number(min(row.values), row.unit)} - {_number(max(row.values), row.unit)}"
        verdict = {True: "met", False: "**missed**", None: ""}[row.met]
        said = "; ".join(part for part in (verdict, row.note) if part)
        value = _number(row.value, row.unit)
        lines.append(f"| {row.name} | {row.size} | {value} | {spread} | {len(row.values)} | {_bar(row)} | {said} |")
    return "\n".join(lines)


def _bar(row: Row) -> str:
    return f"{row.bar[0]} {_number(row.bar[1], row.unit)}" if row.bar else ""


def _number(value: float, unit: str) -> str:
    if unit == "s":
        return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"
    if unit == "x":
        return f"{value:.2f}x"
    return f"{value:,.1f} {unit}".strip() if unit in ("MiB", "Gbit/s") else f"{value:,.0f} {unit}".strip()
