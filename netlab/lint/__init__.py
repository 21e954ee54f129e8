"""Warnings about parts of a lab that are legal and probably a mistake.

Pure: a cluster and its documents in, warnings out, each with a stable code, the object, and the line.  One file a group
of rules; a rule is a function of the ``Subject``.  ``up`` and ``apply`` print the warnings.

A rule must be true in every cluster that has these objects.  An ``error`` is where the set itself shows what was meant.
What healthy charts have as well (a policy admits the clients of another chart) has the level ``note``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from netlab.lint import closed, containers, flows, links, names, peers, policies, ports, references, services, tiers
from netlab.lint.ignored import kept
from netlab.lint.subject import Identity, Subject
from netlab.model import Cluster
from netlab.spec import Documents, Warning

__all__ = ["kept", "lint", "ordered", "strict"]

_RULES: tuple[Callable[[Subject], Iterator[Warning]], ...] = (
    policies.selects_nothing,
    policies.denies_nothing,
    policies.rules_without_effect,
    policies.not_enforced,
    peers.mean_nobody,
    peers.of_services,
    ports.unknown_name,
    ports.of_services,
    ports.undeclared,
    names.without_dns,
    closed.to_everybody,
    closed.to_the_api_server,
    flows.named,
    flows.one_sided,
    tiers.mean_nobody,
    tiers.unknown_port,
    tiers.domain_names,
    tiers.equal_priority,
    services.selects_nothing,
    services.target_port,
    references.missing,
    links.lose_all,
    containers.missing,
)


def lint(cluster: Cluster, documents: Documents, only: Collection[Identity] | None = None) -> tuple[Warning, ...]:
    """Everything that the rules find; ``only``: in these objects, given as (kind, namespace, name)."""
    subject = Subject(cluster, documents, only)
    return tuple(warning for rule in _RULES for warning in rule(subject))


def strict(warnings: Iterable[Warning]) -> list[Warning]:
    """The errors and warnings that ``test --strict`` counts: what is not modelled is ``--complete``'s to refuse."""
    return [warning for warning in warnings if warning.level != "note" and not warning.code.startswith("not-modelled")]


def ordered(warnings: Iterable[Warning], sources: Sequence[str]) -> list[Warning]:
    """In the order of the files and lines; the same in every run."""
    order = {file: number for number, file in enumerate(dict.fromkeys(sources))}
    return sorted(
        dict.fromkeys(warnings),
        key=lambda warning: (
            order.get(warning.mark.file, len(order)),
            warning.mark.line,
            warning.mark.column,
            warning.code,
            warning.message,
        ),
    )
