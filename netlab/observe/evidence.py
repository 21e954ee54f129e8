"""Answers of packets with evidence: the deny rules' counters are read before and after."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from netlab.kernel import counters
from netlab.model import Cluster
from netlab.model.policies import EGRESS, INGRESS
from netlab.observe.probe import Prober
from netlab.oracle.denials import Denial, Denials, Evidence
from netlab.oracle.flow import Flow, Verdict
from netlab.oracle.predict import Predictor
from netlab.plan.policytext import TABLE, deny_comment


class Witness:
    """Reads the deny counters of a running lab's Pods."""

    def __init__(self, cluster: Cluster, denials: Denials) -> None:
        self._netns = {node.name: node.netns for node in cluster.nodes}
        self._places: dict[str, list[tuple[str, Denial]]] = {}
        for pod in denials.evaluator.selection.pods:
            for direction in (EGRESS, INGRESS):
                if denials.evaluator.isolating(pod, direction):
                    place = Denial(pod.node, str(pod), direction)
                    self._places.setdefault(pod.node, []).append((deny_comment(direction, str(pod)), place))

    def read(self) -> Mapping[Denial, int]:
        """Packets that ended at each Pod's deny rules, by direction."""
        found = counters.of_namespaces(TABLE, (self._netns[node] for node in self._places))
        return {
            place: found[self._netns[node]].get(comment, 0)
            for node, places in self._places.items()
            for comment, place in places
        }


def probed(prober: Prober, cluster: Cluster, flows: Iterable[Flow]) -> Iterator[Verdict]:
    """The prober's verdicts as they come; those that a policy may explain at the end, ``denied`` where one does."""
    if not cluster.network_policies:
        yield from prober.probe(flows)
        return
    predictor = Predictor(cluster)
    witness = Witness(cluster, predictor.denials)
    evidence = Evidence(predictor.denials, witness.read(), predictor.denial)
    for verdict in prober.probe(flows):
        if not evidence.held(verdict):
            yield verdict
    yield from evidence.confirm(witness.read())
