"""Values of the model as fields of a document."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from netlab.errors import Mark


def texts(values: Iterable[object]) -> tuple[str, ...]:
    """Addresses, networks or names as text."""
    return tuple(map(str, values))


def place(mark: Mark | None) -> dict[str, Any]:
    """The fields ``file`` and ``line``."""
    return {"file": mark.file if mark else None, "line": mark.line if mark else None}
