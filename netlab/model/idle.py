"""Pods that get no network: those that no node fits, and those whose documents state that they have ended."""

from __future__ import annotations

from collections.abc import Mapping

from netlab.errors import Mark
from netlab.model.cluster import Idle
from netlab.model.topology.placement import Placed
from netlab.model.workloads.changes import Changes
from netlab.model.workloads.owners import ENDED
from netlab.model.workloads.templates import Template
from netlab.spec import Warning

PENDING = "Pending"


class Idling:
    """Collects them; ``warn`` gets what their authors should know, the like Pods of a workload in a single sentence."""

    def __init__(self, changes: Changes, warn: list[Warning]) -> None:
        self._changes, self._warn = changes, warn
        self.idle: list[Idle] = []
        self._refused: dict[tuple[str, str], list[tuple[Template, Placed]]] = {}

    def ended(self, template: Template) -> bool:
        """Whether a Pod's document states that it has ended; then it is among those found."""
        phase = str(template.status.get("phase", ""))
        if phase in ENDED:
            self._add(template, phase, str(template.status.get("reason", "")), str(template.status.get("message", "")))
        return phase in ENDED

    def refused(self, template: Template, placed: Placed) -> None:
        """No node fits a Pod, or its node has no room for its port."""
        group = f"{template.namespace}/{template.owner}" if template.path else template.full
        self._refused.setdefault((group, placed.message), []).append((template, placed))
        if placed.node is None:
            self._add(template, PENDING, placed.reason, placed.message)

    def tell(self) -> None:
        """Warn about a Pod that was refused."""
        for (_, message), pods in self._refused.items():
            template, placed = pods[0]
            others = f" and {len(pods) - 1} more of {template.owner}" if len(pods) > 1 else ""
            if placed.forced:
                code, text = "placed-anyway", f"{message} The lab names no nodes, so it is placed all the same"
            else:
                code, text = "pending", f"Pending: {message}"
            mark: Mark = placed.mark or template.mark
            self._warn.append(Warning(code, f"Pod {template.full}{others}: {text}", mark, str(template.document)))

    def _add(self, template: Template, phase: str, reason: str, message: str) -> None:
        status: Mapping[str, object] = template.status
        self.idle.append(
            Idle(
                template.namespace,
                template.name,
                phase,
                reason,
                message,
                template.node,
                template.given_addresses,
                self._changes.labelled("Pod", template.full, template.labels),
                template.metadata.get("annotations", {}),
                template.spec,
                status,
                template.owner,
                template.controller,
                template.slot,
                template.mark,
            )
        )
