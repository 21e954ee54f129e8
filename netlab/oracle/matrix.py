"""Drawing answers for people: a matrix where it can be read, counts and the exceptions where it cannot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from netlab.oracle.flow import Flow, Outcome, Verdict

SYMBOLS = {
    Outcome.OPEN: ".",
    Outcome.REFUSED: "R",
    Outcome.TIMEOUT: "T",
    Outcome.UNREACHABLE: "U",
    Outcome.DENIED: "D",
    Outcome.ERROR: "E",
    Outcome.MIXED: "M",
}
WRONG = "!"
_LEGEND = {symbol: str(outcome) for outcome, symbol in SYMBOLS.items()} | {WRONG: "answered by the wrong one"}
ROWS_MAX, COLUMNS_MAX = 30, 40
_NODES_MAX = 16
_EXCEPTIONS_MAX = 20  # sources told one by one in a summary
_PER_SOURCE = 4

Column = tuple[str, str, int, str]


def symbol(verdict: Verdict) -> str:
    """The one character of an answer."""
    return WRONG if verdict.wrong_server else SYMBOLS[verdict.outcome]


def draw(verdicts: Iterable[Verdict], *, width: int = 100, nodes: Mapping[str, str] | None = None) -> str:
    """The matrix as text: rows are sources, columns targets and ports, in the order in which they come.

    A lab with more than 30 sources or 40 columns is summed up: how many of each, a block of counts a pair of nodes
    (``nodes`` tells the node of each source and target), and the sources that do not reach everything.
    """
    answers = list(verdicts)
    if not answers:
        return "no flows: no Pod declares a port (--port PORT probes any port)\n"
    rows: dict[str, None] = {}
    columns: dict[Column, None] = {}
    cells: dict[tuple[str, Column], str] = {}
    for verdict in answers:
        flow = verdict.flow
        column = (flow.dst.name, flow.address, flow.port, flow.protocol)
        rows[flow.src.name] = None
        columns[column] = None
        cells[flow.src.name, column] = symbol(verdict)
    if len(rows) > ROWS_MAX or len(columns) > COLUMNS_MAX:
        return _summary(answers, nodes or {}, width)
    heads = _heads(list(columns), list(rows))
    return _grid(list(rows), list(columns), cells, heads, width) + "\n" + _legend(cells.values())


def _heads(columns: list[Column], rows: list[str]) -> list[str]:
    """The heads of columns: as much of name, address, port and protocol as makes each head unique."""
    ports = len({(port, protocol) for _, _, port, protocol in columns}) > 1
    several = Counter((name, port, protocol) for name, _, port, protocol in columns)
    short = _shortener([*rows, *(column[0] for column in columns)])
    heads = []
    for name, address, port, protocol in columns:
        head = short(name)
        if several[name, port, protocol] > 1 and name != address:
            head += " v6" if ":" in address else " v4"
        heads.append(head + (f" {port}/{protocol}" if ports or protocol != "TCP" else f":{port}"))
    return heads if len(set(heads)) == len(heads) else [f"{n} {a} {p}/{r}" for n, a, p, r in columns]


def _shortener(names: Iterable[str]) -> Callable[[str], str]:
    """Names as they are shown: without ``default/`` where every Pod is in default."""
    if {name.partition("/")[0] for name in names if "/" in name} == {"default"}:
        return lambda name: name.removeprefix("default/")
    return str


def _grid(
    rows: list[str], columns: list[Column], cells: Mapping[tuple[str, Column], str], heads: list[str], width: int
) -> str:
    short = _shortener([*rows, *(column[0] for column in columns)])
    shown = [short(row) for row in rows]
    left = max(len("from \\ to"), *map(len, shown))
    key: list[str] = []
    if left + sum(len(head) + 2 for head in heads) > width:
        key = _key(heads, width)
        heads = [str(number) for number in range(1, len(columns) + 1)]
    sizes = [max(len(head), 1) for head in heads]
    out = ["from \\ to".ljust(left) + "".join(f"  {head:>{size}}" for head, size in zip(heads, sizes, strict=True))]
    for row, label in zip(rows, shown, strict=True):
        line = label.ljust(left)
        for column, size in zip(columns, sizes, strict=True):
            line += "  " + cells.get((row, column), " ").rjust(size)
        out.append(line.rstrip())
    return "\n".join(out + (["", *key] if key else [])) + "\n"


def _key(heads: list[str], width: int) -> list[str]:
    """The legend of numbered columns, in as many text columns as fit, read downwards."""
    digits = len(str(len(heads)))
    items = [f"{number:>{digits}} {head}" for number, head in enumerate(heads, 1)]
    size = max(map(len, items)) + 3
    across = max(1, width // size)
    down = -(-len(items) // across)
    return ["".join(item.ljust(size) for item in items[start::down]).rstrip() for start in range(down)]


def _legend(symbols: Iterable[str]) -> str:
    used = set(symbols)
    return "   ".join(f"{mark} {message}" for mark, message in _LEGEND.items() if mark in used) + "\n"


# -- large labs -------------------------------------------------------------------------------------------------------


def _summary(answers: list[Verdict], nodes: Mapping[str, str], width: int) -> str:
    counts = Counter(symbol(verdict) for verdict in answers)
    parts = ", ".join(f"{counts[mark]:,} {message}" for mark, message in _LEGEND.items() if counts[mark])
    sources = len({verdict.flow.src.name for verdict in answers})
    out = [f"{len(answers):,} flows from {sources:,} sources: {parts}"]
    block = _blocks(answers, nodes, width)
    if block:
        out += ["", *block]
    bad: dict[str, list[Verdict]] = {}
    for verdict in answers:
        if symbol(verdict) != SYMBOLS[Outcome.OPEN]:
            bad.setdefault(verdict.flow.src.name, []).append(verdict)
    if bad:
        out += ["", "not open:"]
        out += [_exceptions(name, verdicts) for name, verdicts in list(bad.items())[:_EXCEPTIONS_MAX]]
        if len(bad) > _EXCEPTIONS_MAX:
            out.append(f"  and {len(bad) - _EXCEPTIONS_MAX:,} more sources; --from and --to draw a part")
    return "\n".join(out) + "\n"


def _exceptions(name: str, verdicts: list[Verdict]) -> str:
    shown = [f"{symbol(verdict)} {_target(verdict.flow)}" for verdict in verdicts[:_PER_SOURCE]]
    more = f" and {len(verdicts) - _PER_SOURCE:,} more" if len(verdicts) > _PER_SOURCE else ""
    return f"  {name}: {', '.join(shown)}{more}"


def _target(flow: Flow) -> str:
    address = f"[{flow.address}]" if ":" in flow.address else flow.address
    return f"{flow.dst.name} {address}:{flow.port}/{flow.protocol}"


def _blocks(answers: list[Verdict], nodes: Mapping[str, str], width: int) -> list[str]:
    """The number of open flows between two nodes; ``.`` if all are open."""
    total: Counter[tuple[str, str]] = Counter()
    good: Counter[tuple[str, str]] = Counter()
    for verdict in answers:
        pair = (nodes.get(verdict.flow.src.name, ""), nodes.get(verdict.flow.dst.name, ""))
        total[pair] += 1
        good[pair] += symbol(verdict) == SYMBOLS[Outcome.OPEN]
    names = list(dict.fromkeys(name for pair in total for name in pair))
    if "" in names or not 1 < len(names) <= _NODES_MAX:
        return []
    text = {pair: "." if good[pair] == count else f"{good[pair]}/{count}" for pair, count in total.items()}
    size = max(*map(len, names), *map(len, text.values()))
    left = max(len("open, by node"), *map(len, names))
    if left + len(names) * (size + 2) > width:
        return []
    out = ["open, by node".ljust(left) + "".join(f"  {name:>{size}}" for name in names)]
    out += [row.ljust(left) + "".join(f"  {text.get((row, name), ''):>{size}}" for name in names) for row in names]
    return [line.rstrip() for line in out]
