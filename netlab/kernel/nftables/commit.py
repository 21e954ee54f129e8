"""Rules of several namespaces as one change: in all of them, or in none.

The kernel commits the rules of one namespace at a time. Where several change, each namespace first checks its own rules
(``nft -c``: all but the commit). If one refuses later all the same, the namespaces before it get their former rules
back. Rules of a new namespace are not checked: it has no traffic yet, and a lab that cannot be built is removed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial

from netlab.kernel.handles import Handles
from netlab.kernel.host import netns as ns
from netlab.kernel.host import threads
from netlab.kernel.nftables import conntrack, libnft
from netlab.kernel.nftables import drift as nft
from netlab.kernel.nftables.run import NotTaken, Runner
from netlab.objects import NftSet, NftTable, Op, Verb
from netlab.objects.nftsteps import Step, transactions

Changes = Mapping[str, Sequence[Op]]


class Refused(Exception):
    """A namespace did not take an operation's rules; carries the operation and nft's own words."""

    def __init__(self, op: Op, message: str) -> None:
        super().__init__(message)
        self.op, self.message = op, message


def by_namespace(ops: Iterable[Op], gone: Collection[str] = ()) -> dict[str, list[Op]]:
    """The operations on rules, less those in namespaces that go as a whole."""
    grouped: dict[str, list[Op]] = {}
    for op in ops:
        if op.obj.netns not in gone:
            grouped.setdefault(op.obj.netns, []).append(op)
    return grouped


def rehearse(handles: Handles, changes: Changes) -> None:
    """Let each namespace check its rules, if there are several; raises Refused.

    A change in several parts cannot be checked, since each part needs the one before it. Changes of elements alone are
    not checked: they cannot fail.
    """
    if len(changes) < 2:
        return
    todo = {netns: ops for netns, ops in changes.items() if not _elements_alone(ops)}
    asked = [_Change(handles, netns, ops, at_once=True) for netns, ops in todo.items()]
    asked = [change for change in asked if len(change.parts) == 1]
    _side_by_side(asked, lambda change: change.run(check=True))
    _raise_first(asked)


def commit(handles: Handles, changes: Changes, moved: Collection[str] = (), fresh: Collection[str] = ()) -> None:
    """Put the rules into each namespace, all side by side; raises Refused, and then none of them has changed.

    ``moved`` are the addresses of Pods that come or go with them; the ``fresh`` namespaces track no connection yet.
    """
    todo = [_Change(handles, netns, ops, at_once=netns in fresh) for netns, ops in changes.items()]
    _side_by_side(todo, _Change.run)
    if any(change.failure for change in todo):
        for change in reversed(todo):
            change.take_back()
        _raise_first(todo)
    for netns in changes:
        with ns.inside(handles.get(netns).fd):
            conntrack.forget_stale(changes[netns], () if netns in fresh else moved)
            if (
                any(op.verb is Verb.DELETE and isinstance(op.obj, NftTable) for op in changes[netns])
                and not nft.tables()
            ):
                conntrack.forget_all()
            _, before = handles.generations.get(netns, (0, ""))
            handles.generations[netns] = (nft.generation(), handles.digests.after(before, changes[netns]))


class _Change:
    """The changes of one namespace, in parts; any thread may run it.

    ``failure``: why it ended early.
    """

    def __init__(self, handles: Handles, netns: str, ops: Sequence[Op], *, at_once: bool) -> None:
        self._handles, self._netns, self._ops = handles, netns, ops
        self._fd = handles.get(netns).fd
        self.parts = transactions(ops, at_once=at_once)
        self._done, self._modified = 0, ""
        self.failure: BaseException | None = None

    def run(self, *, check: bool = False) -> None:
        """Commit the parts (``check``: do all but that) until one is refused."""
        try:
            with ns.inside(self._fd), Runner() as runner:
                self._modified = "" if check else _as_it_is(self._ops)
                for part in self.parts:
                    runner.run(part, check=check)
                    self._done += not check
        except libnft.NftFailed as failure:
            step = failure.step if isinstance(failure, NotTaken) else None
            self.failure = Refused(self._blamed(step), str(failure))
        except BaseException as error:  # noqa: BLE001 - it is raised again by the thread that waits
            self.failure = error

    def _blamed(self, step: Step | None) -> Op:
        """The operation of a refused step; the first if the kernel does not name the step."""
        of = (op for op in self._ops if step is not None and op.obj.key == step.obj.key)
        return next(of, self._ops[0])

    def take_back(self) -> None:
        """Make undone what was committed; what then fails is found and mended when the lab is next looked at."""
        if not self._done:
            return
        self._handles.generations.pop(self._netns, None)  # so that it is looked at
        with ns.inside(self._fd):
            if self._done < len(self.parts):
                _drop_new(self._ops)
                return
            modified = _modified(self._ops)
            back = transactions([_opposite(op) for op in self._ops if getattr(op.obj, "place", "") not in modified])
            with contextlib.suppress(libnft.NftFailed), Runner() as runner:
                for part in back:
                    runner.run(part)
                if self._modified:
                    libnft.run(self._modified)


def _elements_alone(ops: Iterable[Op]) -> bool:
    return all(
        op.verb is Verb.UPDATE and isinstance(op.obj, NftSet) and isinstance(op.have, NftSet) and not op.obj.data
        for op in ops
    )


def _side_by_side(changes: Sequence[_Change], do: Callable[[_Change], None]) -> None:
    """Each commit waits some 10 ms for the readers of the rules before, and mostly for nothing else."""
    threads.side_by_side([partial(do, change) for change in changes], len(changes))


def _raise_first(changes: Iterable[_Change]) -> None:
    for change in changes:
        if change.failure is not None:
            raise change.failure from None


def _modified(ops: Iterable[Op]) -> list[str]:
    """The tables that were modified by hand and must be created again: no operation lists their content."""
    return [op.obj.place for op in ops if op.verb is Verb.UPDATE and isinstance(op.obj, NftTable)]


def _as_it_is(ops: Iterable[Op]) -> str:
    """The text that makes these tables as they are now."""
    return "".join(f"delete table {table}\n{libnft.run(f'list table {table}')}" for table in _modified(ops))


def _drop_new(ops: Iterable[Op]) -> None:
    """Of a change that came halfway: its tables, if they were new, since their base chains never came; else its sets."""
    tables = [op for op in ops if op.verb is Verb.CREATE and isinstance(op.obj, NftTable)]
    sets = [op for op in ops if op.verb is Verb.CREATE and isinstance(op.obj, NftSet)]
    for op in tables or sets:
        with contextlib.suppress(libnft.NftFailed):
            libnft.run("\n".join(op.obj.removal()))  # type: ignore[attr-defined]


def _opposite(op: Op) -> Op:
    if op.verb is Verb.CREATE:
        return Op(Verb.DELETE, op.obj, op.obj)
    if op.verb is Verb.DELETE:
        return Op(Verb.CREATE, op.obj)
    return Op(Verb.UPDATE, op.have or op.obj, op.obj)
