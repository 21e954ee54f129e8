"""What pytest says in JUnit's form, as lines: passed, failed, and skipped by reason."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Outcome:
    """How the suite went in a root."""

    title: str
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    not_run: str = ""  # the reason
    broken: str = ""  # the step that ended before the suite

    @property
    def status(self) -> int:
        """0: the suite passed; 1: a test failed or the suite ended early; 3: this host cannot run it."""
        return 3 if self.not_run else int(bool(self.failed or self.broken or not self.passed))


def read(title: str, junit: Path) -> Outcome:
    outcome = Outcome(title)
    for case in ET.parse(junit).getroot().iter("testcase"):
        name = f"{case.get('classname', '').replace('.', '/')}::{case.get('name')}"
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            outcome.failed.append(name)
        elif skip is not None:
            outcome.skipped[" ".join((skip.get("message") or "no reason").split())] += 1
        else:
            outcome.passed += 1
    return outcome


def lines(outcome: Outcome) -> list[str]:
    if outcome.not_run:
        return [f"{outcome.title}: not run: {outcome.not_run}"]
    head = f"{outcome.title}: {outcome.passed} passed, {len(outcome.failed)} failed, "
    result = [head + f"{outcome.skipped.total()} skipped"]
    if outcome.broken:
        result.append(f"  ended early: {outcome.broken}")
    result += [f"  failed: {name}" for name in outcome.failed]
    result += [f"  skipped {count}: {reason}" for reason, count in outcome.skipped.most_common()]
    return result
