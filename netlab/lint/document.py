"""The document of a warning."""

from __future__ import annotations

from netlab.output.changes import Notice
from netlab.spec import Warning


def notice(warning: Warning) -> Notice:
    """As ``up``, ``apply``, ``plan``, ``reach``, ``check`` and ``test`` have it with ``-o json``."""
    return Notice(
        level=warning.level,
        code=warning.code,
        object=warning.object,
        message=warning.message,
        file=warning.mark.file or None,
        line=warning.mark.line or None,
    )
