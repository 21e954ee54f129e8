"""Answers of packets with evidence: the deny rules' counters are read before and after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest

from netlab.kernel.nftables import counters
from netlab.model import Cluster
from netlab.observe.probe import Prober
from netlab.oracle.denials import Denial, Denials, Evidence, connected
from netlab.oracle.flow import Flow, Outcome, Verdict
from netlab.oracle.mixed import kept, observed, unheard
from netlab.oracle.predict import Predictor
from netlab.plan.policytext import TABLE, deny_comment, tier_comment


class Witness:
    """Reads the counters of the rules of a running lab that deny."""

    def __init__(self, cluster: Cluster, denials: Denials) -> None:
        self._netns = {node.name: node.netns for node in cluster.nodes}
        self._denials: dict[str, list[tuple[str, Denial]]] = {}
        for denial in denials.all():
            comment = tier_comment(denial.rule) if denial.rule else deny_comment(denial.direction, denial.pod)
            self._denials.setdefault(denial.node, []).append((comment, denial))

    def read(self, nodes: Collection[str] | None = None) -> Mapping[Denial, int]:
        """Packets that ended at each of these rules; of all nodes, or of some."""
        denials = {node: each for node, each in self._denials.items() if nodes is None or node in nodes}
        counts = counters.of_namespaces(TABLE, (self._netns[node] for node in denials))
        return {
            denial: counts[self._netns[node]].get(comment, 0)
            for node, each in denials.items()
            for comment, denial in each
        }


#: Attempts through a Service at a backend's chance, in the first turn and in all; each turn makes twice the last one's.
_FIRST, _TURNS = 2, 5
_GLANCE, _GLANCES = 0.1, 10  # seconds until a counter has moved, and flows of one rule that are asked alone
_BUDGET = 20_000  # attempts of a first turn; beyond it a Service is asked once by each source that only expects answers


def probed(prober: Prober, cluster: Cluster, flows: Iterable[Flow]) -> Iterator[Verdict]:
    """The prober's verdicts as they come; those that a policy may explain, and those of Services that choose, at the
    end: ``denied`` where the counters say so, ``mixed`` where backends differ.  ``nameless`` is set where it is due.
    """
    predictor = Predictor(cluster)
    return (_with_name(predictor, verdict) for verdict in _probed(prober, cluster, predictor, flows))


def _with_name(predictor: Predictor, verdict: Verdict) -> Verdict:
    """A server without a name is another one, where the lab's gives its name."""
    if verdict.outcome is not Outcome.OPEN or verdict.server or verdict.may or verdict.flow.protocol == "SCTP":
        return verdict
    predicted = next(predictor.predict((verdict.flow,)))
    return verdict._replace(nameless=predicted.outcome is Outcome.OPEN and predicted.server is not None)


def _probed(prober: Prober, cluster: Cluster, predictor: Predictor, flows: Iterable[Flow]) -> Iterator[Verdict]:
    if not cluster.filters and not cluster.services:
        yield from prober.probe(flows)
        return
    witness = Witness(cluster, predictor.denials) if cluster.filters and cluster.enforced else None
    before = witness.read() if witness else {}
    evidence = Evidence(predictor.denials, before, predictor.endings)
    book = Book(witness, before, predictor) if witness else None
    turns = _Turns(predictor)
    for verdict in prober.probe(turns.feed(flows), once=turns, book=book):
        if not evidence.held(verdict):
            if verdict.flow in turns:
                turns.add(verdict)
            else:
                yield verdict
        elif verdict.flow in turns:
            turns.held[verdict.flow].append(verdict)
    for turn in range(1, _TURNS):
        if not (more := list(turns.again(_FIRST << turn))):
            break
        for verdict in prober.probe(more, once=turns, book=book):
            (turns.held[verdict.flow].append if evidence.held(verdict) else turns.add)(verdict)
    unexplained = []
    for verdict in evidence.confirm(witness.read() if witness else {}, turns, book.repeated if book else {}):
        if verdict.flow in turns:
            turns.add(verdict)
        elif verdict.outcome is Outcome.DENIED:
            yield verdict
        else:
            unexplained.append(verdict)
    if witness:
        yield from _one_by_one(prober, predictor, witness, unexplained)
    yield from turns.verdicts()


def _one_by_one(
    prober: Prober, predictor: Predictor, witness: Witness, verdicts: Sequence[Verdict]
) -> Iterator[Verdict]:
    """Silences whose rules counted too few packets, each asked again while no other of the same rules is.

    One flow that is lost before it comes to a deny rule makes all silences at that rule doubtful.  A rule counts a packet
    at once, so that each flow takes ``_GLANCE`` alone; beyond ``_GLANCES`` the silences stay as they are.
    """
    ends = {verdict.flow: frozenset(end for end in predictor.endings(verdict.flow) if end) for verdict in verdicts}
    groups = [
        [verdict for verdict in verdicts if ends[verdict.flow] in group] for group in connected(set(ends.values()))
    ]
    for group in groups:
        yield from group[_GLANCES:] if len(group) > 1 else group
    for turn in zip_longest(*(group[:_GLANCES] for group in groups if len(group) > 1)):
        asked = {verdict.flow: verdict for verdict in turn if verdict}
        before = witness.read()
        book = Book(witness, before, predictor)
        evidence = Evidence(predictor.denials, before, predictor.endings)
        for verdict in prober.probe(asked, once=asked, book=book, timeout=(_GLANCE, _GLANCE)):
            if not evidence.held(verdict):
                yield verdict
        for verdict in evidence.confirm(witness.read(), asked, book.repeated):
            yield verdict if verdict.outcome is Outcome.DENIED else asked[verdict.flow]


class _Turns:
    """The flows through Services that choose among backends, with every attempt's verdict.

    ``held``: what waits for the counters.  A flow that is asked once meets one backend: affinity keeps its client there.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._predicted: dict[Flow, Verdict] = {}
        self._attempts: dict[Flow, list[Verdict]] = {}
        self._once: set[Flow] = set()
        self._budget = _BUDGET
        self.held: dict[Flow, list[Verdict]] = {}

    def __contains__(self, flow: object) -> bool:
        return flow in self._predicted

    def feed(self, flows: Iterable[Flow]) -> Iterator[Flow]:
        """The flows, those of them through Services that choose several times."""
        for flow in flows:
            backends = self._predictor.chooses(flow)
            if backends is None:
                yield flow
                continue
            predicted = next(self._predictor.predict((flow,)))
            self._attempts[flow], self.held[flow] = [], []
            self._predicted[flow] = predicted
            count = _FIRST * len(predicted.may)
            self._budget -= count
            if backends.sticky or (self._budget < 0 and predicted.outcome is Outcome.OPEN):
                self._once.add(flow)
                count = 1
            for _ in range(count):
                yield flow

    def add(self, verdict: Verdict) -> None:
        self._attempts[verdict.flow].append(verdict)

    def again(self, each: int) -> Iterator[Flow]:
        """More attempts, ``each`` a backend, of those whose backends have not all been heard of."""
        for flow, predicted in self._predicted.items():
            attempts = [*self._attempts[flow], *self.held[flow]]
            foreseen = {verdict.outcome for verdict in predicted.may}
            strange = any(attempt.outcome not in foreseen and attempt not in self.held[flow] for attempt in attempts)
            if flow not in self._once and not strange and unheard(predicted, attempts):
                for _ in range(each * len(predicted.may)):
                    yield flow

    def verdicts(self) -> Iterator[Verdict]:
        """The verdicts by all attempts."""
        for flow, predicted in self._predicted.items():
            attempts = self._attempts[flow]
            yield kept(predicted, attempts[0]) if flow in self._once else observed(predicted, attempts)


class Book:
    """The account of a run while it goes on: attempts without an answer against what the deny rules have counted.

    Counters know no sources.  An account balances only where every counted packet is one of these attempts: where more
    were counted somebody else is at the same rule, and that rule is believed no more before all attempts are over.
    """

    def __init__(self, witness: Witness, before: Mapping[Denial, int], predictor: Predictor) -> None:
        self._witness, self._before, self._endings = witness, before, predictor.endings
        self._silenced = predictor.denials.silenced
        self._endings_of: dict[Flow, frozenset[Denial]] = {}
        self._ended: Counter[frozenset[Denial]] = Counter()
        #: Packets beyond one an attempt: TCP sends its SYN again after a second, which a busy machine is late to end.
        self.repeated: Counter[frozenset[Denial]] = Counter()
        self._busy: set[Denial] = set()
        self._balanced: dict[frozenset[Denial], int] = {}

    def ends(self, flow: Flow) -> frozenset[Denial]:
        """The rules at one of which the flow ends; none where no policy denies it."""
        ends = self._endings_of.get(flow)
        if ends is None:
            ends = self._endings_of[flow] = frozenset(end for end in self._endings(flow) if end)
        return ends

    def ended(self, flow: Flow, outcome: Outcome, packets: int) -> None:
        """An attempt of so many packets is over, without a reply of the target."""
        if outcome in self._silenced and (ends := self.ends(flow)):
            self._ended[ends] += packets
            self.repeated[ends] += packets - 1

    def explained(self, silent: Iterable[tuple[Flow, int]]) -> frozenset[frozenset[Denial]]:
        """Of the attempts that wait now, the sets of rules that account for all of theirs.

        They must do so at two looks in a row: a counter that somebody else moves passes by the right number once.
        """
        due = Counter(self._ended)
        waiting: Counter[frozenset[Denial]] = Counter()
        for flow, packets in silent:
            if ends := self.ends(flow):
                waiting[ends] += packets
        due.update(waiting)
        if not waiting:
            return frozenset()
        after = self._witness.read({end.node for ends in due for end in ends})
        balanced: dict[frozenset[Denial], int] = {}
        for group in connected(due):
            shared = frozenset().union(*group)
            moved = sum(after.get(end, 0) - self._before.get(end, 0) for end in shared)
            expected = sum(due[ends] for ends in group)
            if moved > expected:
                self._busy |= shared
            elif moved == expected and not shared & self._busy:
                balanced |= dict.fromkeys(group, expected)
        done = frozenset(ends for ends in waiting if self._balanced.get(ends) == balanced.get(ends, -1))
        self._balanced = balanced
        return done
