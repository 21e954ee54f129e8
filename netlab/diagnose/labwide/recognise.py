"""Faults of the catalogue by what they make: no record of an injected fault is read.

A fault is a function of the lab, so what it would change is known for each of its places.  If the kernel deviates in just
these objects, and in the same way, the suspects with these deviations have that fault's name.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from netlab.diagnose.labwide.evidence import Evidence
from netlab.diagnose.labwide.suspects import Suspect
from netlab.faults.apply import state_with
from netlab.faults.catalogue import every
from netlab.faults.fault import Fault
from netlab.faults.injected import Injected
from netlab.objects import Key, NftChain, NftSet, NftTable, Obj, Op, State, Verb
from netlab.tuples import NamedTuple

#: The State of a lab with a fault that changes its documents or its cluster; None where it cannot be made.
Variant = Callable[[Injected], State | None]


class Named(NamedTuple):
    """A fault and its place."""

    fault: Fault
    at: str


class Recogniser:
    """``until``: the time of ``time.monotonic`` after which no further lab is made."""

    def __init__(self, evidence: Evidence, variant: Variant, until: float) -> None:
        self._evidence, self._variant, self._until = evidence, variant, until
        self._want = State.of(evidence.want)
        self._seen: dict[tuple[Key, bool], Op] = {}
        for op in evidence.drift.operations:
            self._seen[op.obj.key, op.verb is Verb.DELETE] = op
        self._foreign: dict[tuple[str, str], str] = {}
        for obj in evidence.drift.foreign:
            if isinstance(obj, NftTable):
                self._foreign[obj.netns, obj.place] = _plain(" ".join(evidence.texts.get(obj.key, ())))

    def names(self, suspects: Sequence[Suspect]) -> dict[int, Named]:
        """By the number of a suspect, the fault that makes its deviations."""
        best: dict[int, tuple[tuple[int, int], Named]] = {}
        for named, state in self._candidates():
            matched = self._matched(state)
            if matched is None:
                continue
            keys, score = matched
            for index, suspect in enumerate(suspects):
                own = _keys(suspect)
                if not own & keys or len(own & keys) * 2 < len(own):
                    continue
                if index not in best or score > best[index][0]:
                    best[index] = score, named
        return {index: named for index, (_, named) in best.items()}

    def _candidates(self) -> Iterator[tuple[Named, State]]:
        cluster = self._evidence.cluster
        late: list[tuple[Fault, str]] = []
        for fault in every():
            if not fault.planes(cluster.plane):
                continue
            for at in dict.fromkeys(fault.places(cluster, self._want)):
                if fault.on_state is None:
                    late.append((fault, at))
                else:
                    yield Named(fault, at), state_with((Injected(fault.id, at),), cluster, self._want)
        for fault, at in late:
            if time.monotonic() > self._until:
                return
            state = self._variant(Injected(fault.id, at))
            if state is not None:
                yield Named(fault, at), state

    def _matched(self, state: State) -> tuple[set[Key], tuple[int, int]] | None:
        """The objects in which a State differs from the lab's, and how many are seen just so; None if one is not seen."""
        keys: set[Key] = set()
        exact = 0
        for key, before, after in _differences(self._want, state):
            alike = self._alike(key, before, after)
            if alike is None:
                return None
            keys.add(key)
            exact += alike
        return (keys, (len(keys), exact)) if keys else None

    def _alike(self, key: Key, before: Obj | None, after: Obj | None) -> bool | None:
        """Whether the kernel has exactly what the fault makes of an object; None if it has something else."""
        if before is None and isinstance(after, (NftTable, NftChain)):
            text = self._foreign.get((after.netns, after.place))
            if text is not None:
                rules = after.rules if isinstance(after, NftChain) else ()
                policy = "policy drop" in getattr(after, "base", "")
                there = all(_plain(rule) in text for rule in rules) and (not policy or "policy drop" in text)
                return True if there else None
        op = self._seen.get((key, before is None))
        if op is None and before is not None and after is not None:  # it is made anew
            op = self._seen.get((key, True))
        if op is None:
            return None
        have = op.obj if op.verb is Verb.DELETE else op.have
        if after is None:
            return True if op.verb is Verb.CREATE else None
        if have == after:
            return True
        return False if isinstance(after, (NftTable, NftChain, NftSet)) else None


def _keys(suspect: Suspect) -> set[Key]:
    return {suspect.foreign.key} if suspect.foreign is not None else {op.obj.key for op in suspect.ops}


def _differences(want: State, other: State) -> Iterable[tuple[Key, Obj | None, Obj | None]]:
    for key, obj in other.items():
        before = want.get(key)
        if before is not obj and before != obj:
            yield key, before, obj
    for key in want.keys() - other.keys():
        yield key, want[key], None


def _plain(text: str) -> str:
    """A rule's text without counters, handles and blanks, which nft writes in its own way."""
    words = text.replace("counter packets 0 bytes 0", "counter").replace('"', "").split()
    kept = []
    skip = 0
    for number, word in enumerate(words):
        if skip:
            skip -= 1
        elif word == "counter":
            skip = 4 if words[number + 1 : number + 2] == ["packets"] else 0
        elif word == "#" and words[number + 1 : number + 2] == ["handle"]:
            skip = 2
        else:
            kept.append(word)
    return " ".join(kept)


def place(evidence: Evidence, named: Named) -> tuple[str, str] | None:
    """The object that a mistake in documents is in; None for a fault of the kernel, whose place is a namespace."""
    if named.fault.on_state is not None:
        return None
    pods: Mapping[str, object] = {str(pod): pod for pod in evidence.cluster.pods}
    services = {str(service) for service in evidence.cluster.services}
    kind = "pod" if named.at in pods else "service" if named.at in services else "networkpolicy"
    nodes = {node.name for node in evidence.cluster.nodes}
    return ("node" if named.at in nodes else kind), named.at
