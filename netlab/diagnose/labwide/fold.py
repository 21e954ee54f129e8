"""Broken flows folded into few causes, by traces and by blame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from netlab.diagnose.causes import listeners
from netlab.diagnose.finding import Finding
from netlab.diagnose.labwide import cause as ranks
from netlab.diagnose.labwide.blame import Blame
from netlab.diagnose.labwide.cause import Cause
from netlab.diagnose.labwide.evidence import Evidence
from netlab.diagnose.labwide.recognise import Named, Recogniser, place
from netlab.diagnose.labwide.suspects import Suspect, suspects
from netlab.diagnose.labwide.traced import Traced, suspected
from netlab.model.topology.places import places
from netlab.objects import NftChain, NftSet, NftTable
from netlab.oracle.compare import Row
from netlab.oracle.flow import POD

Trace = Callable[[Row], Traced | None]
#: Whether a flow is broken still; asked of flows that nothing explains.
Again = Callable[[Sequence[Row]], Sequence[bool]]
_MOST = 60  # suspects that are weighed
_NAMED = 3  # flows that a line names
#: Findings that are effects of something, and the first words of the kinds of deviations that have them most often.
_EFFECTS = {
    "no-route": ("ip-rule", "route", "address", "link"),
    "no-neighbour": ("neighbour", "address", "sysctl-arp", "sysctl-proxy", "link"),
    "no-fdb-entry": ("fdb",),
    "no-vtep": ("fdb", "neighbour", "tunnel"),
    "no-port": ("port", "link"),
    "port-state": ("port", "link"),
    "wrong-turn": ("route", "ip-rule", "neighbour", "fdb", "sysctl"),
    "wrong-host": ("neighbour", "address"),
    "wrong-mac": ("mac", "neighbour", "link"),
    "dropped": ("sysctl", "qdisc", "link", "rules"),
    "link-dropped": ("link", "qdisc", "port"),
    "no-answer": ("sysctl", "process", "address"),
    "detour": ("route", "ip-rule"),
    "loop": ("route", "ip-rule"),
    "ttl": ("sysctl", "route"),
    "unknown": (),
}
_UNSTEADY = "a single traced packet passed, so packets are lost now and then"


class Fold:
    """The causes as they gather; ``trace`` follows a flow, or returns None where there is no more time."""

    def __init__(self, evidence: Evidence, trace: Trace, again: Again, recogniser: Recogniser) -> None:
        self._evidence, self._trace, self._again, self._recogniser = evidence, trace, again, recogniser
        self._blame = evidence.blame or Blame(evidence.cluster, evidence.want)
        is_theirs = not evidence.cluster.enforced and not evidence.broken
        self._suspects = suspects(evidence.drift, evidence.texts, tables=not is_theirs)[:_MOST]
        self._broken = dict.fromkeys(evidence.broken)
        self._weights = [self._weigh(suspect) for suspect in self._suspects]
        self._traced: dict[int, tuple[list[str], int]] = {}  # suspect -> evidence, the rank of the trace
        self._others: dict[tuple[str, ...], Cause] = {}
        self._rules: dict[int, Finding] = {}  # suspect -> the finding about its rule

    def causes(self) -> list[Cause]:
        """All causes, the surest first."""
        unsteady = self._follow()
        self._adopt()
        found = [*self._of_suspects(), *self._others.values(), *unsteady]
        explained = {number for cause in found for number in cause.flows}
        left = [number for number in self._broken if number not in explained]
        found += self._unknown(left)
        owners = places(self._evidence.cluster)
        placed = [
            replace(cause, place=(owners[cause.netns].kind, owners[cause.netns].name))
            if cause.netns in owners and not cause.place[0]
            else cause
            for cause in found
        ]
        return sorted(placed, key=lambda cause: cause.order)

    def _weigh(self, suspect: Suspect) -> dict[int, int]:
        """By number, the probed flows that need the suspect or may need it."""
        rows = enumerate(self._evidence.rows)
        weighed = ((number, self._blame.weight(suspect, row.flow)) for number, row in rows)
        return {number: weight for number, weight in weighed if weight}

    # -- traces -------------------------------------------------------------------------------------------------------

    def _follow(self) -> list[Cause]:
        """Trace one broken flow after the other that no cause explains yet."""
        open_ = set(self._broken)
        tried: set[int] = set()
        unsteady: list[int] = []
        while candidates := [number for number in self._broken if number in open_ and number not in tried]:
            number = self._typical(candidates)
            row = self._evidence.rows[number]
            traced = self._trace(row)
            if traced is None:
                break
            tried.add(number)
            if traced.answered and row.verdict is not None and not row.verdict.wrong_server and not _passes(row):
                unsteady.append(number)
                open_.discard(number)
                open_ -= {other for other in candidates if _alike(self._evidence.rows[other], row)}
                continue
            open_ -= self._take(number, traced)
        return self._still(unsteady)

    def _typical(self, candidates: Sequence[int]) -> int:
        """The flow to trace next: of the pair of places with the most broken flows, without a Service if possible."""
        rows = self._evidence.rows
        pairs = Counter(_places(rows[number]) for number in candidates)
        return max(candidates, key=lambda number: (pairs[_places(rows[number])], rows[number].flow.dst.kind == POD))

    def _take(self, number: int, traced: Traced) -> set[int]:
        """Make the trace's cause; the flows that it explains."""
        row = self._evidence.rows[number]
        lines = [f"traced {row.flow}: {traced.last_seen}"]
        lines += [finding.message for finding in traced.findings[:2] if finding.kind != "drift"]
        likely = [self._suspects.index(suspect) for suspect in suspected(traced, self._suspects)]
        best = traced.best
        table = self._foreign_table(best)
        if table is not None and best is not None:
            likely = [table]
            if self._suspects[table].foreign is not None:
                self._rules.setdefault(table, best)
        elif row.lookup is not None:
            files = [
                n for n, suspect in enumerate(self._suspects) if suspect.kind == "file" and number in self._weights[n]
            ]
            likely = files or likely
        if likely and (
            best is None or not traced.leads or table is not None or self._suspects[likely[0]].kind == "file"
        ):
            index = likely[0]
            self._traced.setdefault(index, (lines, len(self._traced)))
            mine = {each for each in self._weights[index] if each in self._broken} | {number}
            self._weights[index].setdefault(number, 1)
            return mine
        if best is None:
            return {number} & self._unexplained(number, row, lines)
        return self._finding(number, best, lines)

    def _foreign_table(self, finding: Finding | None) -> int | None:
        """The table of a finding about a rule: of another program, or one of the lab's that was changed."""
        for index, suspect in enumerate(self._suspects):
            table = suspect.foreign or suspect.ops[0].obj
            if finding is None or suspect.netns != finding.netns or not isinstance(table, (NftTable, NftChain, NftSet)):
                continue
            if suspect.foreign is None and finding.kind != "foreign-rule":
                continue
            if finding.rule.startswith(f"{table.place} ") or f"table {table.place} " in finding.message:
                return index
        return None

    def _finding(self, number: int, finding: Finding, lines: Sequence[str]) -> set[int]:
        """A cause by what the trace found alone, and the flows whose paths pass its place with the same end."""
        row = self._evidence.rows[number]
        mine = {number}
        for other in self._broken:
            flow = self._evidence.rows[other].flow
            here = (finding.netns, finding.interface) in self._blame.interfaces(flow) if finding.interface else True
            if here and finding.netns in self._blame.namespaces(flow) and _same_end(self._evidence.rows[other], row):
                mine.add(other)
        key = finding.kind, finding.netns, finding.interface, finding.rule or finding.message
        before = self._others.get(key)
        lab = self._evidence.cluster.lab
        self._others[key] = Cause(
            finding.kind,
            finding.message,
            finding.netns,
            finding.interface,
            evidence=(*self._counted(mine), *(line for line in lines if line != finding.message)),
            look=(*finding.look, _trace_line(lab, row)),
            mend=finding.mend,
            fault="server-ipv4-only" if listeners.IPV4_ALONE in finding.message else "",  # no object shows that one
            rank=ranks.TRACED,
            flows=frozenset(mine | (before.flows if before else set())),
            mark=finding.mark,
        )
        return mine

    def _unexplained(self, number: int, row: Row, lines: Sequence[str]) -> set[int]:
        cause = self._unknown_of([number], lines)
        self._others["unknown", str(row.flow)] = cause
        return set(cause.flows)

    def _still(self, unsteady: Sequence[int]) -> list[Cause]:
        """Flows that a trace could not find broken: what may lose packets on their way, else those that fail once more."""
        left = [number for number in self._broken if not self._explained(number)] if unsteady else []
        while left and (index := self._loser(left)) is not None:
            self._traced[index] = ([_UNSTEADY], len(self._traced))
            left = [number for number in left if number not in self._weights[index]]
        again = self._again([self._evidence.rows[number] for number in left]) if left else ()
        failing = [number for number, fails in zip(left, again, strict=True) if fails]
        for number in {*left} - {*failing}:
            self._broken.pop(number, None)
        if not failing:
            return []
        row = self._evidence.rows[failing[0]]
        message = f"{row.flow} is unsteady: {_result(row)}; {_UNSTEADY}"
        return [
            Cause(
                "unsteady", message, row.flow.src.netns, evidence=tuple(self._counted(failing)),
                look=(_trace_line(self._evidence.cluster.lab, row),), rank=ranks.NEEDED, flows=frozenset(failing),
            )
        ]  # fmt: skip

    def _loser(self, numbers: Sequence[int]) -> int | None:
        """The suspect on the ways of most of these flows."""
        counts = {
            index: sum(number in weights for number in numbers)
            for index, weights in enumerate(self._weights)
            if index not in self._traced and not self._suspects[index].learned
        }
        best = max(counts, key=lambda index: (counts[index], -index), default=None)
        return best if best is not None and counts[best] else None

    def _adopt(self) -> None:
        """What a trace saw of an effect belongs to a deviation of that namespace: of a kind that has such effects, or one
        that explains nothing else.
        """
        for key, cause in [*self._others.items()]:
            if cause.kind not in _EFFECTS:
                continue
            words = _EFFECTS[cause.kind]
            idle = [
                index
                for index, suspect in enumerate(self._suspects)
                if suspect.netns == cause.netns and not suspect.learned and index not in self._traced
                if (words and suspect.kind.startswith(words))
                or not any(number in self._broken for number in self._weights[index])
            ]
            if not idle:
                continue
            index = min(idle, key=lambda each: not self._suspects[each].kind.startswith(words))
            self._traced[index] = ([cause.message, *cause.evidence[1:]], len(self._traced))
            self._weights[index].update(dict.fromkeys(cause.flows, 1))
            del self._others[key]

    def _explained(self, number: int) -> bool:
        by_suspect = any(number in self._weights[index] for index in self._traced)
        return by_suspect or any(number in cause.flows for cause in self._others.values())

    # -- causes -------------------------------------------------------------------------------------------------------

    def _of_suspects(self) -> Iterator[Cause]:
        """A cause for each suspect; those that one fault makes are one cause."""
        names = self._recogniser.names(self._suspects) if self._suspects else {}
        groups: dict[object, list[tuple[int, Cause]]] = {}
        for index, suspect in enumerate(self._suspects):
            named = names.get(index)
            key = (named.fault.id, named.at) if named else index
            groups.setdefault(key, []).append((index, self._of_suspect(index, suspect)))
        for members in groups.values():
            members.sort(key=lambda member: member[1].order)
            (first, cause), *others = members
            for _, other in others:
                cause = replace(
                    cause,
                    evidence=(*cause.evidence, other.message),
                    look=tuple(dict.fromkeys((*cause.look, *other.look))),
                    mend=tuple(dict.fromkeys((*cause.mend, *other.mend))),
                    flows=cause.flows | other.flows,
                )
            yield self._called(cause, names[first]) if first in names else cause

    def _called(self, cause: Cause, named: Named) -> Cause:
        """A cause by the name of the fault that makes the same."""
        lab = self._evidence.cluster.lab
        whole = f"netlab up {lab}"
        return replace(
            cause,
            fault=named.fault.id,
            message=f"{named.fault.cause}: {cause.message}",
            place=place(self._evidence, named) or ("", ""),
            evidence=(*cause.evidence, f"fault {named.fault.id} at {named.at} makes just this"),
            mend=(f"netlab heal {lab}", whole) if whole in cause.mend else cause.mend,
        )

    def _of_suspect(self, index: int, suspect: Suspect) -> Cause:
        lab = self._evidence.cluster.lab
        mine = {number for number in self._weights[index] if number in self._broken}
        lines, turn = self._traced.get(index, ([], 0))
        working = len(self._weights[index]) - len(mine)
        certain = {number for number in mine if self._weights[index][number] == 1}
        rank = ranks.TRACED if index in self._traced else ranks.NEEDED if certain else ranks.SILENT
        if suspect.learned and index not in self._traced:
            rank = ranks.LEARNED
        why = suspect.ops[0].obj.why if suspect.ops and not suspect.learned else None
        wanted = (f"wanted by {why}",) if why is not None and why.message and why.mark else ()
        rule = self._rules.get(index)
        return Cause(
            suspect.kind,
            rule.message if rule else suspect.message,
            suspect.netns,
            suspect.interface,
            evidence=(*self._counted(mine, working), *suspect.evidence, *wanted, *lines),
            look=(*suspect.look, f"netlab diff {lab}"),
            mend=rule.mend if rule and rule.mend else suspect.mend(lab),
            rank=rank,
            flows=frozenset(mine),
            working=working + turn,
            mark=why.mark if why is not None else None,
        )

    def _counted(self, numbers: Iterable[int], working: int = 0) -> list[str]:
        """How many broken flows these are, and some of them."""
        rows = [self._evidence.rows[number] for number in sorted(numbers)]
        if not rows:
            return ["no probed flow shows it"]
        named = "; ".join(f"{row.flow}: {_result(row)}" for row in rows[:_NAMED])
        more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
        whole = f" of {len(rows) + working} that pass there" if working else ""
        return [f"{len(rows)} broken flow{'s' if len(rows) != 1 else ''}{whole}: {named}{more}"]

    def _unknown(self, numbers: Sequence[int]) -> Iterator[Cause]:
        """The flows that nothing explains, by their places."""
        groups: dict[tuple[str, str], list[int]] = {}
        for number in numbers:
            groups.setdefault(_places(self._evidence.rows[number]), []).append(number)
        for members in groups.values():
            yield self._unknown_of(members, ())

    def _unknown_of(self, numbers: Sequence[int], lines: Sequence[str]) -> Cause:
        row = self._evidence.rows[numbers[0]]
        message = f"unknown: {row.flow} is broken: {_result(row)}"
        if lines:
            message = f"unknown: {lines[0].removeprefix('traced ')}"
        return Cause(
            "unknown", message, row.flow.src.netns, evidence=(*self._counted(numbers), *lines[1:]),
            look=(_trace_line(self._evidence.cluster.lab, row),), rank=ranks.NEEDED, flows=frozenset(numbers),
        )  # fmt: skip


def _places(row: Row) -> tuple[str, str]:
    return row.flow.src.netns, row.flow.dst.netns or row.flow.dst.name


def _alike(row: Row, other: Row) -> bool:
    return (row.flow.src, row.flow.dst, row.flow.size) == (other.flow.src, other.flow.dst, other.flow.size)


def _same_end(row: Row, other: Row) -> bool:
    ends = [each.observed.outcome if each.observed else "" for each in (row, other)]
    return ends[0] == ends[1]


def _passes(row: Row) -> bool:
    """Whether the flow is broken because it passes: a trace of it is answered."""
    return row.observed is not None and row.observed.outcome == "open"


def _result(row: Row) -> str:
    if row.message:
        return row.message
    return f"{row.observed.outcome}, though it is declared" if row.observed else "not probed"


def _trace_line(lab: str, row: Row) -> str:
    flow = row.flow
    source = f"{flow.src.kind}/{flow.src.name}" if flow.src.kind != POD else flow.src.name
    namespace, slash, name = source.partition("/")
    words = f"-n {namespace} {name}" if slash and flow.src.kind == POD else source
    if flow.dst.kind == "name":
        return f"netlab trace --lab {lab} {words} {flow.dst.name}"
    address = f"[{flow.address}]" if ":" in flow.address else flow.address
    size = f" --size {flow.size}" if flow.size else ""
    return f"netlab trace --lab {lab} {words} {address}:{flow.port}/{flow.protocol}{size}"
