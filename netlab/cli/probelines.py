"""A container's probes in ``describe pod``, in kubectl's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_FIELDS = {"Liveness": "livenessProbe", "Readiness": "readinessProbe", "Startup": "startupProbe"}


def probes(container: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(its kind, what it asks and when)."""
    for name, field in _FIELDS.items():
        probe = container.get(field)
        if probe:
            yield name, f"{_action(probe)} {_times(probe)}"


def _action(probe: Mapping[str, Any]) -> str:
    if "exec" in probe:
        return f"exec [{' '.join(probe['exec'].get('command', ()))}]"
    if "httpGet" in probe:
        asked = probe["httpGet"]
        path = asked.get("path") or "/"
        where = f"{asked.get('host', '')}:{asked.get('port', '')}{'' if path.startswith('/') else '/'}{path}"
        return f"http-get {asked.get('scheme', 'HTTP').lower()}://{where}"
    if "tcpSocket" in probe:
        return f"tcp-socket {probe['tcpSocket'].get('host', '')}:{probe['tcpSocket'].get('port', '')}"
    if "grpc" in probe:
        return f"grpc <pod>:{probe['grpc'].get('port', '')} {probe['grpc'].get('service', '')}"
    return "unknown"


def _times(probe: Mapping[str, Any]) -> str:
    def field(name: str, default: int) -> int:
        return int(probe.get(name) or default)

    return (
        f"delay={field('initialDelaySeconds', 0)}s timeout={field('timeoutSeconds', 1)}s "
        f"period={field('periodSeconds', 10)}s #success={field('successThreshold', 1)} "
        f"#failure={field('failureThreshold', 3)}"
    )
