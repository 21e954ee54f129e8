"""``netlab learn --watch``: the steps and checks of the exercise that goes on, for a second terminal."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from netlab.cli import out
from netlab.learn.progress import Standing, standing

_POLL = 0.25  # seconds


def rows(now: Standing | None) -> Iterator[tuple[str, str, str]]:
    """Mark, name and detail of each line; a mark is a word, so that no colour is needed."""
    if now is None:
        yield "", "no exercise goes on", "netlab learn begins one"
        return
    open_ = sum(1 for _, how in now.steps if how)
    for number, (title, how) in enumerate(now.steps):
        yield how or ("now" if number == open_ else ""), f"{number + 1}  {title}", ""
        if number == open_:
            for kind, ok, saw in now.checks:
                yield ok or "not yet", f"   {kind}", saw


def watch() -> None:
    """Show it until Ctrl-C."""
    from rich.live import Live
    from rich.table import Table

    def table(now: Standing | None) -> Table:
        made = Table(title=now.title if now else None, box=None, title_justify="left")
        for name in ("", "step", "seen"):
            made.add_column(name, overflow="ellipsis", no_wrap=True)
        for mark, name, detail in rows(now):
            style = {"done": "green", "ok": "green", "now": "bold", "not yet": "red"}.get(mark, "")
            made.add_row(mark, name, detail, style=style)
        return made

    before = standing()
    out.line()
    with (
        contextlib.suppress(KeyboardInterrupt),
        Live(table(before), auto_refresh=False) as live,
    ):
        while True:
            time.sleep(_POLL)
            now = standing()
            if now != before:
                before = now
                live.update(table(now), refresh=True)
