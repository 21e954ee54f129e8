"""The prober: an Answerer that sends packets."""

from __future__ import annotations

import os
import queue
from collections.abc import Container, Iterable, Iterator, Mapping
from functools import partial
from threading import Thread

from netlab.kernel.host import threads
from netlab.kernel.host.limits import OpenFiles
from netlab.model.cluster import Cluster
from netlab.model.topology.links import round_trip
from netlab.observe.neighbours import NeighbourWriter, StaticNeighbours
from netlab.observe.run import Account, Run
from netlab.oracle.flow import Flow, Verdict

TIMEOUT = (0.3, 1.0)
#: Open files that probing may use; more brings nothing, and the machine's other users have a limit too.
FILES_MAX = 8000
FILES_SPARE = 300  # left for the namespaces that are held open, and for the rest of the process
_AHEAD = 64  # batches of verdicts that may wait for a slow reader


class Prober:
    """Answers flows by real connections from their sources' namespaces, which must be this host's, in /run/netns.

    ``timeout`` are the seconds of silence in the first and the second attempt; by default as much more as the lab's
    links delay packets.  With a ``cluster`` and ``neighbours``,
    a source has static neighbours while it is probed.  Needs CAP_SYS_ADMIN over the namespaces (setns); SCTP CAP_NET_RAW.
    """

    def __init__(
        self,
        cluster: Cluster | None = None,
        *,
        neighbours: NeighbourWriter | None = None,
        timeout: tuple[float, float] = TIMEOUT,
    ) -> None:
        self._cluster, self._neighbours, self._timeout = cluster, neighbours, timeout
        self._late = round_trip(cluster) if cluster and timeout is TIMEOUT else 0.0

    def answer(self, flows: Iterable[Flow]) -> Mapping[Flow, Verdict]:
        """The verdict on each flow, in the order of the flows."""
        asked = list(flows)
        verdicts = {verdict.flow: verdict for verdict in self.probe(asked)}
        return {flow: verdicts[flow] for flow in asked}

    def probe(
        self,
        flows: Iterable[Flow],
        *,
        once: Container[Flow] = (),
        book: Account | None = None,
        timeout: tuple[float, float] | None = None,
    ) -> Iterator[Verdict]:
        """The verdicts as they come, not in order.  The flows are taken when they are needed, in another thread.

        Flows of one source should follow each other: a change of source costs a system call.  Closing the iterator
        ends the run; static neighbours are always removed.  ``once``: flows whose silence is not asked a second time (a
        flow may come several times).  ``book`` tells which silences are explained already.  ``timeout`` replaces the
        prober's own.
        """
        given: queue.Queue[list[Verdict] | BaseException | None] = queue.Queue(_AHEAD)
        neighbours = StaticNeighbours(self._cluster, self._neighbours) if self._cluster and self._neighbours else None
        with _Files() as files:
            run = Run(
                flows,
                given.put,
                timeout=timeout or self._timeout,
                neighbours=neighbours,
                files=files.room,
                once=once,
                book=book,
                late=self._late,
            )
            thread: Thread | None = None
            try:
                thread = threads.start(partial(_work, run, given), "netlab-probe")
                while (batch := given.get()) is not None:
                    if isinstance(batch, BaseException):
                        raise batch
                    yield from batch
            finally:
                run.stopped = True
                # It may be waiting to hand over verdicts that nobody wants any more.
                while thread is not None and thread.is_alive():
                    try:
                        given.get(timeout=0.02)
                    except queue.Empty:
                        continue


def _work(run: Run, given: queue.Queue[list[Verdict] | BaseException | None]) -> None:
    try:
        run.loop()
    except BaseException as error:  # noqa: BLE001 - raised again in the thread that asked
        given.put(error)
    else:
        given.put(None)


class _Files(OpenFiles):
    """``room``: how many sockets a run may have open, besides what is open already."""

    def __enter__(self) -> _Files:
        super().__enter__()
        here = len(os.listdir("/proc/self/fd"))
        self.room = max(16, min(FILES_MAX, self.limit - here - FILES_SPARE))
        return self
