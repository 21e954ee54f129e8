"""Pods that may not ask the lab's DNS server."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.errors import Mark
from netlab.lint.flows import targets_of
from netlab.lint.subject import Subject, workload
from netlab.model import Pod
from netlab.model.cluster.policies import EGRESS, Block, Policy
from netlab.model.resolver import of_pod
from netlab.spec import Level, Warning

_SERVICE = ("kube-system", "kube-dns")
_PORT = 53
_NAMED = 3  # workloads that a line names before it only counts


def without_dns(subject: Subject) -> Iterator[Warning]:
    """Pods that are isolated for egress and may reach Pods, or name servers, but not the DNS server: names fail there.

    A Pod whose policies allow nothing, or addresses alone, and whose texts name nobody is not meant to look names up.
    """
    servers = _servers(subject) if any(candidate.egress is not None for candidate in subject.policies) else []
    if not servers:
        return
    seen: dict[tuple[str, ...], list[Pod]] = {}
    chosen: dict[tuple[str, ...], tuple[Policy, str]] = {}
    about = {str(policy) for policy in subject.policies}
    isolated = [
        pod
        for candidate in subject.policies
        if candidate.egress
        for pod in subject.selection.members(candidate.subject)
    ]
    for pod in {str(pod): pod for pod in isolated}.values():
        policies = subject.evaluator.isolating(pod, EGRESS)
        rules = [rule for policy in policies for rule in policy.egress or ()]
        if not of_pod(pod).by_cluster:
            continue
        to_pods = any(not isinstance(peer, Block) for rule in rules for peer in rule.peers)
        if not to_pods and not any(targets_of(mention, pod, subject) for mention in subject.mentions(pod)):
            continue
        missing = [protocol for protocol in ("UDP", "TCP") if not _asks(subject, pod, servers, protocol)]
        if missing:
            key = (*map(str, policies), *missing)
            seen.setdefault(key, []).append(pod)
            chosen[key] = (
                next(candidate for candidate in policies if candidate.egress and str(candidate) in about),
                " and ".join(missing),
            )
    for key, pods in seen.items():
        yield _warning(*chosen[key], list(dict.fromkeys(map(workload, pods))))


def _warning(policy: Policy, missing: str, workloads: list[str]) -> Warning:
    more = f" and {len(workloads) - _NAMED} more" if len(workloads) > _NAMED else ""
    names = ", ".join(workloads[:_NAMED]) + more
    effect = "names fail there" if "UDP" in missing else "long answers fail there"
    message = (
        f"NetworkPolicy {policy} isolates {names} for egress without a way to DNS (port {_PORT}/{missing}): {effect}"
    )
    level: Level = "warning" if "UDP" in missing else "note"
    return Warning("egress-without-dns", message, policy.mark or Mark("", 0), f"NetworkPolicy {policy}", level)


def _servers(subject: Subject) -> list[str]:
    """The addresses of the DNS server's Pods."""
    services = [service for service in subject.cluster.services if (service.namespace, service.name) == _SERVICE]
    return [str(backend.address) for service in services for backend in service.backends]


def _asks(subject: Subject, pod: Pod, servers: list[str], protocol: str) -> bool:
    evaluator = subject.evaluator
    own = evaluator.party(str(pod.addresses[0].ip))
    return any(evaluator.passes(EGRESS, own, evaluator.party(server), _PORT, protocol) for server in servers)
