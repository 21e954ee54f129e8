"""What the API server fills in: two texts of a Pod's spec that differ in nothing else mean the same."""

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
        return [settled(one, without) for one in value]
    if not isinstance(value, dict):
        return value
    kept = {key: settled(one, without) for key, one in value.items() if key not in without and key not in _FILLED_IN}
    return {key: one for key, one in kept.items() if one not in (None, False, {}, []) and one != _DEFAULTS.get(key)}
