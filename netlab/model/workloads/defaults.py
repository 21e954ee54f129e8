"""Defaults of the API server: two Pod specs that differ only in defaults are equal."""

from __future__ import annotations

from typing import Any

#: Fields that the API fills in, and those that it fills in with one value.
_FILLED_IN = frozenset(("imagePullPolicy", "terminationMessagePath", "terminationMessagePolicy", "serviceAccount"))
_DEFAULTS = {
    "protocol": "TCP", "restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler",
    "serviceAccountName": "default", "enableServiceLinks": True, "preemptionPolicy": "PreemptLowerPriority",
    "priority": 0, "scheme": "HTTP", "path": "/", "periodSeconds": 10, "timeoutSeconds": 1, "successThreshold": 1,
    "failureThreshold": 3, "value": "", "apiVersion": "v1", "terminationGracePeriodSeconds": 30, "defaultMode": 420,
}  # fmt: skip


def settled(value: Any, without: frozenset[str] = frozenset()) -> Any:
    """A part of a Pod's spec without what the API fills in by itself, and without the fields of these names."""
    if isinstance(value, list):
        return [settled(item, without) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: settled(item, without) for key, item in value.items() if key not in without and key not in _FILLED_IN}
    return {key: item for key, item in kept.items() if item not in (None, False, {}, []) and item != _DEFAULTS.get(key)}
