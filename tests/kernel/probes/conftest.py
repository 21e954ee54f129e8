"""Labs of the processes' kind, with containers that are probed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.kernel.processes.conftest import lab as lab

APP = (Path(__file__).with_name("app.py")).read_text()


def app(**fields: Any) -> dict[str, Any]:
    """The container that serves (see app.py)."""
    return {"name": "app", "image": "x", "command": ["python3", "-c", APP], **fields}


def asking(name: str, **probe: Any) -> dict[str, Any]:
    """A container that only sleeps; the Pod's app is what its probe asks."""
    ready = {"periodSeconds": 1, "failureThreshold": 1, **probe}
    return {"name": name, "image": "x", "command": ["sleep", "3600"], "readinessProbe": ready}


def http(path: str, port: Any = 8080, **fields: Any) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": port, **fields}}
