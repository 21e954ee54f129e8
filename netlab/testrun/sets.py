"""Several sets side by side, each in a worker process that has one lab at a time.

A worker that is interrupted, or whose parent is gone, takes its lab down and ends.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING

from netlab.errors import BadInput, Exit, HostCannot, NetlabError, Problem
from netlab.lint import kept
from netlab.oracle import junit, lookups
from netlab.oracle.compare import Row
from netlab.oracle.flow import Flow, Verdict
from netlab.output import flows as output
from netlab.testing import against
from netlab.testing.prepared import Options, Prepared, Source, prepare
from netlab.testing.record import record
from netlab.testing.report import Report, View, report
from netlab.testing.result import judge
from netlab.tuples import NamedTuple

if TYPE_CHECKING:
    from netlab.runtime.machines.protocol import Machines

_PATIENCE = 20.0  # seconds for workers to take their labs down
_LOOK, _ALONE = 5.0, 60.0  # seconds: between two looks whether machines are left, and without one


class Measured(NamedTuple):
    """What was prepared, and what packets found; None where none was sent.  ``looked``: the rows of lookups."""

    prepared: Prepared
    observed: Mapping[Flow, Verdict] | None
    looked: tuple[Row, ...] = ()


Measure = Callable[[Source, Options, bool], Measured]


def predicted(source: Source, options: Options, _keep: bool) -> Measured:
    """A set without packets."""
    prepared = prepare(source, options)
    return Measured(prepared, None, tuple(lookups.predictions(prepared.lookups, prepared.cluster)))


class Task(NamedTuple):
    """A set and what is to be done with it: ``measure`` is ``predicted`` or ``run.measured``; ``older`` is what
    ``--against`` names.
    """

    source: Source
    options: Options
    view: View
    measure: Measure = predicted
    strict: bool = False
    ignore: tuple[str, ...] = ()
    complete: bool = False
    keep: bool = False
    write: bool = False
    older: Source | None = None


class Done(NamedTuple):
    """A set's report, and the expectations that were recorded."""

    report: Report
    written: str = ""


def perform(task: Task) -> Done:
    """Test one set here.  Raises NetlabError where it cannot be tested."""
    began = time.monotonic()
    prepared, observed, looked = task.measure(task.source, task.options, task.keep)
    findings = kept(prepared.findings, prepared.documents, task.ignore)
    unmodelled = [each for each in findings if each.code.startswith("not-modelled")]
    if task.complete and unmodelled:
        raise BadInput(
            [Problem(each.mark, "", each.message) for each in unmodelled], hint="without --complete these are one line"
        )
    result = judge(
        prepared, observed, time.monotonic() - began, is_strict=task.strict, findings=tuple(findings), looked=looked
    )
    changes = None
    if task.older is not None and task.older.expect_file:
        changes = against.recorded(task.older.expect, task.older.expect_file, prepared, result.verdicts)
    elif task.older is not None:
        changes = against.manifests(task.older, task.options, prepared, result.verdicts)
    written = record(result) if task.write else ""
    return Done(report(result, task.view, changes), written)


def failed(task: Task, error: NetlabError) -> Done:
    """The report of a set that could not be tested."""
    problems = tuple(error.message.splitlines())
    name = task.source.name
    word = "bad input" if error.status is Exit.BAD_INPUT else "not tested"
    summary = output.TestedSet(
        name=name,
        status=int(error.status),
        passed=0,
        failed=0,
        seconds=0.0,
        predicted_only=task.measure is predicted,
        problems=problems,
    )
    lines = (f"{name}: {word}", *(f"  {problem}" for problem in problems))
    suite = junit.Suite("", 0, 0, 0, 0.0)
    return Done(Report(name, Exit(error.status), lines, (), (), summary, suite, (), ""))


def performed(
    tasks: Sequence[Task], jobs: int, orphaned: Callable[[int], None] = lambda _: None
) -> Generator[Done, None, None]:
    """All sets, in their order, ``jobs`` at a time; one that cannot be tested does not stop the others.

    Whoever stops in the middle closes it: then no worker is left, and each has taken its lab down.

    ``orphaned`` has a worker get a signal when its parent is gone.
    """
    if jobs <= 1 or len(tasks) <= 1:
        yield from map(_safely, tasks)
        return
    with ProcessPoolExecutor(min(jobs, len(tasks)), initializer=begin, initargs=(orphaned, os.getpid())) as pool:
        try:
            yield from pool.map(in_worker, tasks)
        except BaseException as error:
            _end(pool)
            if isinstance(error, BrokenProcessPool):
                raise KeyboardInterrupt from None
            raise


def spread(tasks: Sequence[Task], machines: Machines) -> Generator[Done, None, None]:
    """All sets, in their order, on machines; a set whose machine is lost is tested again on another one.

    Raises HostCannot where no machine is left for a minute.
    """
    executor = machines.executor()
    futures = [executor.submit(in_worker, task) for task in tasks]
    try:
        for task, future in zip(tasks, futures, strict=True):
            yield _arrived(task, future, machines)
    except BaseException:
        for future in futures:
            future.cancel()
        raise


def _arrived(task: Task, future: Future[Done], machines: Machines) -> Done:
    seen = time.monotonic()
    while True:
        try:
            return future.result(_LOOK)
        except NetlabError as error:
            return failed(task, error)
        except TimeoutError:
            if machines.names():
                seen = time.monotonic()
            elif time.monotonic() - seen > _ALONE:
                raise HostCannot(
                    "no machine is left: the worker of each one is gone", hint="netlab worker --help"
                ) from None
        except Exception as error:  # noqa: BLE001 - the engine's own: the case ended several workers, or it is gone
            return failed(task, HostCannot(f"its workers were lost: {error}"))


def _safely(task: Task) -> Done:
    try:
        return perform(task)
    except NetlabError as error:
        return failed(task, error)


# -- workers ----------------------------------------------------------------------------------------------------------


class _Worker:
    busy = False
    stopped = False


def begin(orphaned: Callable[[int], None], parent: int) -> None:
    """A worker's own signals: an idle one ends at once, a busy one takes its lab down first."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupted)
    orphaned(signal.SIGTERM)
    # A parent that ended before its end could be a signal: the queue of tasks never closes.
    if multiprocessing.get_start_method() == "fork" and os.getppid() != parent:
        os._exit(130)


def _interrupted(_number: int, _frame: object) -> None:
    if not _Worker.busy:
        os._exit(130)
    if not _Worker.stopped:
        _Worker.stopped = True
        raise KeyboardInterrupt


def in_worker(task: Task) -> Done:
    """Test one set in a process that did ``begin``."""
    try:
        _Worker.busy = True
        done = _safely(task)
        _Worker.busy = False
    except KeyboardInterrupt:
        os._exit(130)
    if _Worker.stopped:  # Python ignores an interrupt that comes in a finalizer or in a hook of fork
        os._exit(130)
    return done


def _end(pool: ProcessPoolExecutor) -> None:
    workers = multiprocessing.active_children()
    for worker in workers:
        if worker.pid is not None and worker.is_alive():
            os.kill(worker.pid, signal.SIGTERM)
    pool.shutdown(wait=False, cancel_futures=True)
    until = time.monotonic() + _PATIENCE
    for worker in workers:
        worker.join(max(0.1, until - time.monotonic()))
