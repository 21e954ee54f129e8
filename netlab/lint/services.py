"""Services that lead to nobody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from netlab.errors import Mark
from netlab.lint.subject import Subject, selector_of
from netlab.model import Pod
from netlab.model.cluster.policies import LabelSelector
from netlab.model.cluster.services import Service, ServicePort
from netlab.near import near
from netlab.spec import Level, Warning


def selects_nothing(subject: Subject) -> Iterator[Warning]:
    """A selector that no Pod matches; a note where its Pods are known and not there now, where the set has no Pod at
    all, and where it asks for a label that something sets at run time (the active one of several servers).
    """
    for service in subject.services:
        selector, spaces = selector_of(service), (service.namespace,)
        if subject.behind(service):
            continue
        level, code = subject.absence, "service-selects-nothing"
        why = f"none in namespace {service.namespace} has {selector}"
        if asleep := subject.asleep(spaces, selector.matches):
            level, why = "note", f"{asleep.kind} {asleep.name} has no Pod now"
        elif not subject.cluster.own_pods or _by_state(selector, subject.labels_in(spaces)):
            level = "note"
        else:
            guess = subject.guess(selector, subject.labels_in(spaces))
            level, code, why = guess.level(level), guess.code(code), why + guess.text
        message = f"Service {service} selects no Pod: {why}"
        document = subject.service(service.namespace, service.name)
        mark = document.at("spec", "selector") if document else Mark("", 0)
        yield Warning(code, message, mark, f"Service {service}", level)


def _by_state(selector: LabelSelector, sets: Sequence[Mapping[str, str]]) -> bool:
    """Whether Pods have all that a selector asks for, but for labels that no Pod has with any value."""
    keys = {key for labels in sets for key in labels}
    by_state = [requirement for requirement in selector.requirements if requirement.key in keys]
    return bool(by_state) and any(all(requirement.holds(labels) for requirement in by_state) for labels in sets)


def target_port(subject: Subject) -> Iterator[Warning]:
    """A targetPort at which no Pod of the Service answers: a note of a number, since a container may listen on a port
    that it does not declare.

    A Pod that declares no port gets no warning, since it is served there all the same.  A number gets none where a
    container of the Pod runs a command, whose listeners are unknown.
    """
    for service in subject.services:
        pods = [pod for pod in subject.behind(service) if not pod.system]
        for number, port in enumerate(service.ports if pods else ()):
            if not any(_answers(pod, port) for pod in pods):
                yield _warning(service, number, port, pods, subject)


def _answers(pod: Pod, port: ServicePort) -> bool:
    if isinstance(port.target, int) and any(container.runs for container in pod.containers):
        return True
    return any(port.target in (entry.port, entry.name) and entry.protocol == port.protocol for entry in pod.ports)


def _warning(service: Service, number: int, port: ServicePort, pods: list[Pod], subject: Subject) -> Warning:
    named = isinstance(port.target, str)
    declared = {entry for pod in pods for entry in pod.ports if entry.declared and entry.protocol == port.protocol}
    there = sorted(
        {entry.name for entry in declared if entry.name} if named else {str(entry.port) for entry in declared}
    )
    noun = f'port "{port.target}"' if named else f"port {port.target}"
    message = f"no Pod of Service {service} declares {noun}/{port.protocol}, its port {port}'s target, so nothing answers there"
    hint = near(str(port.target), there) if named else f"; declared: {', '.join(there)}"
    document = subject.service(service.namespace, service.name)
    mark = Mark("", 0)
    if document is not None:
        key = "targetPort" if "targetPort" in document.body["spec"]["ports"][number] else "port"
        mark = document.at("spec", "ports", number, key)
    level: Level = "warning" if named else "note"
    return Warning("service-target-port", message + (hint if there else ""), mark, f"Service {service}", level)
