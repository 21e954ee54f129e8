"""What is known of a lab before any trace: probed flows, deviations, warnings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from netlab.diagnose.labwide.blame import Blame
from netlab.model.cluster import Cluster
from netlab.objects import Key, Obj
from netlab.oracle.compare import Row
from netlab.oracle.flow import Outcome
from netlab.plan.drift import Drift
from netlab.spec import Warning
from netlab.values import dataclass


@dataclass(frozen=True, slots=True)
class Evidence:
    """``cluster`` and ``want`` are what the documents alone ask for, ``drift`` the kernel's difference from that.

    ``rows`` are the probed flows and lookups, with prediction and result.  ``texts``: what nft prints of foreign tables.
    ``warnings`` are those of the model and of lint.  ``intended``: the author's expectations hold, each of them.
    ``blame``: what has worked out expected paths already.
    """

    cluster: Cluster
    want: Mapping[Key, Obj] = field(repr=False)
    rows: tuple[Row, ...]
    drift: Drift
    texts: Mapping[Key, tuple[str, ...]] = field(default_factory=dict)
    warnings: tuple[Warning, ...] = ()
    intended: bool = False
    blame: Blame | None = field(default=None, repr=False, compare=False)

    @property
    def broken(self) -> list[int]:
        """The numbers of the flows that are not as they should be."""
        served = {_port(row) for row in self.rows if row.observed is not None and row.observed.outcome is Outcome.OPEN}
        return [
            number
            for number, row in enumerate(self.rows)
            if (not row.ok and not _lost_anyway(row)) or (unanswered(row) and _port(row) not in served)
        ]


def unanswered(row: Row) -> bool:
    """Whether a declared port refused: the prediction allows that, since a process may or may not listen."""
    predicted, observed = row.predicted, row.observed
    if predicted is None or observed is None or row.expectation is not None:
        return False
    return predicted.outcome is Outcome.OPEN and observed.outcome is Outcome.REFUSED


def _port(row: Row) -> tuple[str, int, str]:
    """The port of a target; that a process listens in one address family alone is its own business."""
    return row.flow.dst.name, row.flow.port, row.flow.protocol


def _lost_anyway(row: Row) -> bool:
    """Whether policies deny a flow that was lost, even if no counter of theirs says so."""
    if row.predicted is None or row.observed is None or row.expectation is not None:
        return False
    lost = (Outcome.TIMEOUT, Outcome.REFUSED, Outcome.UNREACHABLE, Outcome.DENIED)
    return row.predicted.outcome is Outcome.DENIED and row.observed.outcome in lost
