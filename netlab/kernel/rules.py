"""Rules of several namespaces as one change: in all of them, or in none.

The kernel commits one namespace's rules at a time.  Where several change, each is asked first whether it would take its
own (``nft -c``: all but the commit), and if one refuses later all the same, those before it get back what they had.
What is new with its namespace is not asked: nobody sends anything there yet, and a lab that cannot be built goes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from netlab.kernel import conntrack, libnft, nft, nftelements
from netlab.kernel import netns as ns
from netlab.objects import NftSet, NftTable, Op, Verb
from netlab.objects.nft import transactions

if TYPE_CHECKING:
    from netlab.kernel.linux import Handles

Changes = Mapping[str, Sequence[Op]]


class Refused(Exception):
    """A namespace did not take an operation's rules; carries the operation and nft's own words."""

    def __init__(self, op: Op, said: str) -> None:
        super().__init__(said)
        self.op, self.said = op, said


def by_namespace(ops: Iterable[Op], gone: Collection[str] = ()) -> dict[str, list[Op]]:
    """The operations on rules, less those in namespaces that go as a whole."""
    found: dict[str, list[Op]] = {}
    for op in ops:
        if op.obj.netns not in gone:
            found.setdefault(op.obj.netns, []).append(op)
    return found


def rehearse(handles: Handles, changes: Changes) -> None:
    """Ask each namespace whether it would take its rules, if there are several; raises Refused.

    A change in several parts cannot be asked: each part needs the one before it.  And the context of the library that
    asked cannot commit, although it would be quicker: it remembers the sets that it was told to delete as deleted.
    """
    if len(changes) < 2:
        return
    for netns, ops in changes.items():
        texts = () if nftelements.are_plain(ops) else transactions(ops, at_once=True)
        if len(texts) == 1:
            with ns.inside(handles.get(netns).fd):
                _run(ops, texts[0], check=True)


def commit(handles: Handles, changes: Changes, moved: Collection[str] = (), fresh: Collection[str] = ()) -> None:
    """Put the rules into each namespace; raises Refused, and then none of them has changed.

    ``moved`` are the addresses of Pods that come or go with them; the ``fresh`` namespaces track no connection yet.
    """
    done: dict[str, str] = {}
    plain = {netns: ops for netns, ops in changes.items() if nftelements.are_plain(ops)}
    try:
        for netns, ops in changes.items():
            texts = () if netns in plain else transactions(ops, at_once=netns in fresh)
            if texts:
                done[netns] = _texts(handles, netns, ops, texts)
        _elements(handles, plain, done)
    except Refused:
        for earlier in reversed(done):
            _take_back(handles, earlier, changes[earlier], done[earlier])
        raise
    for netns in done:
        with ns.inside(handles.get(netns).fd):
            if gone := conntrack.stale(changes[netns], () if netns in fresh else moved):
                conntrack.remove(gone)
            if (
                any(op.verb is Verb.DELETE and isinstance(op.obj, NftTable) for op in changes[netns])
                and not nft.tables()
            ):
                conntrack.forget_all()
            handles.generations[netns] = (nft.generation(), "")


def _texts(handles: Handles, netns: str, ops: Sequence[Op], texts: Iterable[str]) -> str:
    """Commit one namespace's rules as text; the text that makes what was changed by hand as it was."""
    parts, bent = 0, ""
    try:
        with ns.inside(handles.get(netns).fd):
            bent = _as_it_is(ops)
            for text in texts:
                _run(ops, text)
                parts += 1
    except Refused:
        if parts:
            _drop_new(handles, netns, ops)
        raise
    return bent


def _elements(handles: Handles, changes: Changes, done: dict[str, str]) -> None:
    """Commit what is elements alone, in all its namespaces at once; ``done`` gets those that took it."""
    prepared: dict[str, nftelements.Change] = {}
    for netns, ops in changes.items():
        with ns.inside(handles.get(netns).fd):
            prepared[netns] = nftelements.Change(ops)
    nftelements.commit(tuple(prepared.values()))
    done.update((netns, "") for netns, change in prepared.items() if change.refused is None)
    for change in prepared.values():
        if change.refused is not None:
            raise Refused(*change.refused)


def _bent(ops: Iterable[Op]) -> list[str]:
    """The tables that were changed by hand and are to be made anew: what is in them, no operation tells."""
    return [op.obj.place for op in ops if op.verb is Verb.UPDATE and isinstance(op.obj, NftTable)]


def _as_it_is(ops: Iterable[Op]) -> str:
    """The text that makes such tables as they are now."""
    return "".join(f"delete table {place}\n{libnft.run(f'list table {place}')}" for place in _bent(ops))


def _run(ops: Sequence[Op], text: str, *, check: bool = False) -> None:
    try:
        libnft.run(text, check=check)
    except libnft.NftFailed as failure:
        raise Refused(ops[0], str(failure)) from None


def _take_back(handles: Handles, netns: str, ops: Sequence[Op], bent: str) -> None:
    """Make undone what was committed; what then fails is found and mended when the lab is next looked at."""
    handles.generations.pop(netns, None)  # so that it is looked at
    places = _bent(ops)
    back = [_opposite(op) for op in ops if getattr(op.obj, "place", "") not in places]
    with contextlib.suppress(libnft.NftFailed), ns.inside(handles.get(netns).fd):
        for text in (*transactions(back), bent):
            if text:
                libnft.run(text)


def _drop_new(handles: Handles, netns: str, ops: Sequence[Op]) -> None:
    """Of a change that came halfway: its tables, if they were new, since their base chains never came; else its sets."""
    handles.generations.pop(netns, None)
    tables = [op for op in ops if op.verb is Verb.CREATE and isinstance(op.obj, NftTable)]
    sets = [op for op in ops if op.verb is Verb.CREATE and isinstance(op.obj, NftSet)]
    with ns.inside(handles.get(netns).fd):
        for op in tables or sets:
            with contextlib.suppress(libnft.NftFailed):
                libnft.run("\n".join(op.obj.removal()))  # type: ignore[attr-defined]


def _opposite(op: Op) -> Op:
    if op.verb is Verb.CREATE:
        return Op(Verb.DELETE, op.obj, op.obj)
    if op.verb is Verb.DELETE:
        return Op(Verb.CREATE, op.obj)
    return Op(Verb.UPDATE, op.have or op.obj, op.obj)
