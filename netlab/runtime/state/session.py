"""The Session of this process: the process that stays beside a lab serves one change after the other with it."""

from __future__ import annotations

from netlab.memo import Session

SESSION = Session()
