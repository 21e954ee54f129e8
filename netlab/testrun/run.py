"""One set on a lab of its own."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace

from netlab.kernel.host import netns as ns
from netlab.kernel.neighbours import KernelNeighbours
from netlab.model import Cluster
from netlab.observe.evidence import probed
from netlab.observe.lookup import lookups as looked_up
from netlab.observe.probe import Prober
from netlab.oracle import lookups
from netlab.oracle.flow import Flow, Outcome, Verdict
from netlab.oracle.predict import Predictor
from netlab.runtime import lab as labs
from netlab.runtime.client.temporary_listeners import answering
from netlab.runtime.host import named, trust
from netlab.runtime.state.resolved import documents_of, resolve
from netlab.runtime.state.rundir import Applied, RunDir
from netlab.runtime.teardown import down
from netlab.spec import Documents, Text
from netlab.testing.prepared import Made, Options, Prepared, Source, prepare
from netlab.testrun.labs import SOURCE, own_name, replace_kept
from netlab.testrun.sets import Measured

_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PATIENT = (1.0, 5.0)  # seconds of silence, where a reply was due and did not come


class Kept:
    """Makes clusters as ``up`` does, which then finds them made."""

    def read(self, texts: tuple[Text, ...], *, hooks: bool) -> Documents:
        """The documents of texts."""
        return documents_of(Applied("", spec=tuple(map(tuple, texts)), hooks=hooks))

    def build(self, texts: tuple[Text, ...], extra: tuple[Text, ...], options: Options) -> Made:
        """The cluster of texts and of those that netlab adds."""
        lab = resolve(draft(texts, extra, options))
        trust.refuse(named.programs(lab.documents.lab, lab.cluster), "netlab test")
        return Made(lab.cluster, lab.documents, lab.warnings)


def draft(texts: tuple[Text, ...], extra: tuple[Text, ...], options: Options) -> Applied:
    """A test's lab as ``up`` takes it."""
    return Applied(
        SOURCE,
        options.lab,
        tuple(map(tuple, texts)),
        tuple(map(tuple, extra)),
        respond="manifests" if options.dns else "all",
        hooks=options.hooks,
    )


def measured(source: Source, options: Options, keep: bool) -> Measured:
    """Bring the set's lab up, send the packets, take it down (unless ``keep``)."""
    if keep:
        replace_kept(options.lab)
        options = replace(options, dns=True)  # whoever looks at the lab looks names up
    else:
        options = replace(options, lab=own_name())
    prepared = prepare(source, options, Kept())
    if not prepared.flows:
        return Measured(prepared, {})
    try:
        result = _observed(prepared, keep=keep)
        if not keep:
            take_down(options.lab)
    except BaseException:  # an interrupt before or within `take_down`, too
        try:
            take_down(options.lab)
        finally:  # an interrupt may come before signals are blocked
            sweep(options.lab)
        raise
    return result


def sweep(name: str = "") -> None:
    """Take down what is left of a test's lab, of this process's own without a name."""
    name = name or own_name()
    if RunDir(name).exists() or any(each.startswith(f"{name}-") for each in ns.names()):
        take_down(name)


def take_down(name: str) -> None:
    """Take a test's lab down; an interrupt waits until it is down, and is not lost.

    Signals that the main thread blocks would be delivered to another thread, and interrupt the main thread all the same.
    """
    if threading.current_thread() is not threading.main_thread():  # it is never interrupted
        down(name)
        return
    heard: list[int] = []
    before = {number: signal.signal(number, lambda number, _: heard.append(number)) for number in _INTERRUPTS}
    try:
        down(name)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for each in heard:
            signal.raise_signal(each)


def _observed(prepared: Prepared, *, keep: bool) -> Measured:
    labs.up(draft(prepared.texts, prepared.extra, prepared.options))
    return asked(prepared, keep=keep)


def asked(prepared: Prepared, *, keep: bool = False) -> Measured:
    """What packets find in a lab that runs; ``keep``: the ports that nobody declares are served afterwards too."""
    cluster = prepared.cluster
    rundir = RunDir(prepared.options.lab)
    with answering(rundir, cluster, prepared.unserved, stay=keep), KernelNeighbours() as neighbours:
        verdicts = _probed(cluster, prepared.flows, Prober(cluster, neighbours=neighbours))
        if late := _silent(cluster, verdicts):
            verdicts |= _probed(cluster, late, Prober(cluster, neighbours=neighbours, timeout=_PATIENT))
    names = prepared.lookups
    looked = lookups.rows(names, looked_up(cluster, names), cluster) if names else []
    return Measured(prepared, verdicts, tuple(looked))


def _probed(cluster: Cluster, flows: Iterable[Flow], prober: Prober) -> dict[Flow, Verdict]:
    return {verdict.flow: verdict for verdict in probed(prober, cluster, flows)}


def _silent(cluster: Cluster, verdicts: Mapping[Flow, Verdict]) -> list[Flow]:
    """The flows without a reply that should have one: on a busy machine the responder may only be late."""
    silent = [
        flow
        for flow, verdict in verdicts.items()
        if verdict.outcome in (Outcome.TIMEOUT, Outcome.MIXED) or verdict.nameless
    ]
    predicted = Predictor(cluster).answer(silent)
    return [flow for flow in silent if predicted[flow].outcome is Outcome.OPEN]
