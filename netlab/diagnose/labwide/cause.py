"""A cause of the lab's broken flows, or of flows that would break."""

from __future__ import annotations

from netlab.errors import Mark
from netlab.values import dataclass

#: The order of causes: a trace confirmed it, broken flows need it, the objects themselves are wrong, or nothing shows it.
TRACED, NEEDED, WRITTEN, SILENT, LEARNED = range(5)


@dataclass(frozen=True, slots=True)
class Cause:
    """``kind`` is a stable word, ``message`` the sentence; ``netns`` and ``interface`` are the place in the kernel.

    ``place`` is its owner: (kind, name).  ``flows`` are the numbers of the broken flows that it explains, ``working``
    counts the flows that need the same object and work.  ``fault`` is the name in the catalogue of faults, or "".
    """

    kind: str
    message: str
    netns: str = ""
    interface: str = ""
    place: tuple[str, str] = ("", "")
    evidence: tuple[str, ...] = ()
    look: tuple[str, ...] = ()
    mend: tuple[str, ...] = ()
    fault: str = ""
    rank: int = SILENT
    flows: frozenset[int] = frozenset()
    working: int = 0
    mark: Mark | None = None

    @property
    def order(self) -> tuple[int, int, int]:
        """The place in the list: the surest and the most far-reaching cause first."""
        return self.rank, -len(self.flows), self.working
