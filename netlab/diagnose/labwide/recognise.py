"""Faults of the catalogue by what they make: no record of an injected fault is read.

A fault is a function of the lab, so what it would change is known for each of its places.  If the kernel deviates in just
these objects, and in the same way, the suspects with these deviations have that fault's name.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterable, Sequence

from netlab.diagnose.labwide import nfttables
from netlab.diagnose.labwide.evidence import Evidence
from netlab.diagnose.labwide.suspects import Suspect
from netlab.faults.apply import state_with
from netlab.faults.catalogue import every, modules
from netlab.faults.fault import Fault
from netlab.faults.injected import Injected
from netlab.objects import Addr, Key, NftChain, NftSet, NftTable, Obj, Op, Route, State, Verb
from netlab.tuples import NamedTuple

#: The State of a lab with a fault that changes its documents or its cluster, and whether its documents are then those
#: that the running lab shows; None where it cannot be made.
Variant = Callable[[Injected], tuple[State, bool] | None]
#: Whether a fault makes of the documents of the lab's files those that the running lab shows.
Makes = Callable[[Injected], bool]


#: The kind of suspect that faults of a package are behind most often.
_PACKAGES = {"policy": "rules", "service": "service-rules", "dns": "file"}
_PREFERRED = 1_000_000  # to what a lab's nodes could do as well
#: Kinds of suspects that a mistake in documents can make.
_OF_DOCUMENTS = ("rules", "service-rules", "file", "process-missing", "process-extra")


class Named(NamedTuple):
    """A fault and its place."""

    fault: Fault
    at: str


class Recogniser:
    """What a fault of documents makes is computed for ``patience`` seconds of the processor: load changes no name.

    ``written``: the documents that the lab shows are not those of its files, so that rules may follow a mistake in them.
    """

    def __init__(
        self,
        evidence: Evidence,
        variant: Variant,
        *,
        written: bool,
        makes: Makes = lambda _: False,
        patience: float = 1.5,
    ) -> None:
        self._evidence, self._variant, self._patience = evidence, variant, patience
        self._makes = makes
        self._written = written
        self._want = State.of(evidence.want)
        self._seen: dict[tuple[Key, bool], Op] = {}
        for op in evidence.drift.operations:
            self._seen[op.obj.key, op.verb is Verb.DELETE] = op
        self._tables = {
            (obj.netns, obj.place): nfttables.parts(evidence.texts.get(obj.key, ()))
            for obj in (*evidence.drift.foreign, *nfttables.deviating(evidence.drift))
            if isinstance(obj, NftTable)
        }

    def names(self, suspects: Sequence[Suspect]) -> dict[int, Named]:
        """By the number of a suspect, the fault that makes its deviations."""
        best: dict[int, tuple[int, Named]] = {}
        cluster = self._evidence.cluster
        late: list[Named] = []
        for fault in every():
            if fault.planes(cluster.plane):
                for at in dict.fromkeys(fault.places(cluster, self._want)):
                    if fault.on_state is None:
                        late.append(Named(fault, at))
                    else:
                        state = state_with((Injected(fault.id, at),), cluster, self._want)
                        self._take(best, suspects, Named(fault, at), state)
        kinds = {suspect.kind for suspect in suspects}
        if kinds.intersection(_OF_DOCUMENTS):
            late.sort(key=lambda named: (not self._first(named), _package(named.fault) not in kinds))
        until = time.thread_time() + self._patience
        for named in late:
            # What a lab's documents make takes longer to compute, so only what has no name yet is looked for.
            nameless = [
                number
                for number, suspect in enumerate(suspects)
                if suspect.kind in _OF_DOCUMENTS
                and (number not in best or (self._written and best[number][0] < _PREFERRED))
            ]
            if not nameless or time.thread_time() > until:
                break
            variant = self._variant(Injected(named.fault.id, named.at))
            if variant is not None:
                self._take(best, suspects, named, *variant)
        return {index: named for index, (_, named) in best.items()}

    def _first(self, named: Named) -> bool:
        """Whether it is the mistake that the running lab's documents show: then it need not be looked for."""
        return self._written and self._makes(Injected(named.fault.id, named.at))

    def _take(
        self,
        best: dict[int, tuple[int, Named]],
        suspects: Sequence[Suspect],
        named: Named,
        state: State,
        shown: bool = False,
    ) -> None:
        """Give the suspects that a fault makes its name, if it explains more than the name that they have.

        ``shown``: the running lab's documents are what this fault makes of them.
        """
        matched = self._matched(state, shown=self._written and shown)
        if matched is None:
            return
        seen, number = matched
        for index, suspect in enumerate(suspects):
            own, score = _tokens(suspect), number
            if self._written and shown and suspect.kind in _OF_DOCUMENTS:
                score += _PREFERRED
            if len(own & seen) * 2 >= len(own) and (index not in best or score > best[index][0]):
                best[index] = score, named

    def _matched(self, state: State, *, shown: bool) -> tuple[set[object], int] | None:
        """The objects in which a State differs from the lab's, and their number; None if the kernel has another one."""
        seen: set[object] = set()
        number = 0
        differences = [*_differences(self._want, state)]
        moved = {before.netns for _, before, _ in differences if isinstance(before, Addr)}
        for key, before, after in differences:
            if not shown and not self._alike(key, before, after) and not self._goes_along(key, after, moved):
                return None
            obj = after or before
            assert obj is not None
            seen.add(_token(obj))
            number += 1
        return (seen, number) if seen else None

    def _goes_along(self, key: Key, after: Obj | None, moved: Container[str]) -> bool:
        """Whether it is a route that must be made anew with its address, so that no deviation says what it is now."""
        op = self._seen.get((key, False))
        anew = op is not None and op.verb is Verb.CREATE and op.have is None
        return anew and isinstance(after, Route) and after.netns in moved

    def _alike(self, key: Key, before: Obj | None, after: Obj | None) -> bool:
        """Whether the kernel has exactly what the fault makes of an object."""
        obj = after or before
        if isinstance(obj, (NftTable, NftChain, NftSet)):
            there = self._tables.get((obj.netns, obj.place))
            return there is not None and nfttables.alike(there, obj, after)
        op = self._seen.get((key, before is None))
        if before is not None and after is not None:  # what no command changes is made anew
            op = self._seen.get((key, True), op)
        if op is None:
            return False
        if after is None:
            return op.verb is Verb.CREATE
        return (op.obj if op.verb is Verb.DELETE else op.have) == after


def _package(fault: Fault) -> str:
    """The kind of suspect that faults like this are behind most often."""
    return _PACKAGES.get(modules()[fault.id].split(".")[-2], "")


def _token(obj: Obj) -> object:
    """What deviates: of rules their table, which may have to be made anew."""
    return (obj.netns, obj.place) if isinstance(obj, (NftTable, NftChain, NftSet)) else obj.key


def _tokens(suspect: Suspect) -> set[object]:
    if suspect.foreign is not None:
        return {_token(suspect.foreign)}
    return {_token(op.obj) for op in suspect.ops}


def _differences(want: State, other: State) -> Iterable[tuple[Key, Obj | None, Obj | None]]:
    for key, obj in other.items():
        before = want.get(key)
        if before is not obj and before != obj:
            yield key, before, obj
    for key in want.keys() - other.keys():
        yield key, want[key], None


def place(evidence: Evidence, named: Named) -> tuple[str, str] | None:
    """The object that a mistake in documents is in; None for a fault of the kernel, whose place is a namespace."""
    if named.fault.on_state is not None:
        return None
    cluster, package = evidence.cluster, modules()[named.fault.id].split(".")[-2]
    if package == "policy" and named.at in map(str, cluster.network_policies):
        return "networkpolicy", named.at
    if package == "service" and named.at in map(str, cluster.services) and named.fault.id != "pods-not-ready":
        return "service", named.at
    return ("node" if named.at in {node.name for node in cluster.nodes} else "pod"), named.at
