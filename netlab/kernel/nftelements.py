"""Elements of plain sets of addresses, put in and taken out without libnftables.

Before the library understands "add element" it reads every chain and set of the namespace: 25 ms where 1,000 policies are
on a node, twice where it is asked first, for a message of a hundred bytes.  A label that is put on a Pod is such messages
alone, on every node.  What they do cannot be anything but wanted, so nobody is asked first either.

Only sets whose key is one address and whose elements are single ones; all else is text for the library.  Numbers:
linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from netlab.kernel.netlink import CREATE, NETLINK_NETFILTER, NetlinkSocket, attr, attr_str
from netlab.objects import NftSet, Op, Verb

_SUBSYS, _NEWSETELEM, _DELSETELEM = 10, 12, 14
_NESTED = 0x8000
_FAMILIES = {"inet": 1, "ip": 2, "ip6": 10}
_KEYS = {"ipv4_addr": socket.AF_INET, "ipv6_addr": socket.AF_INET6}
_MOST = 2_000  # elements in all: the transaction is one datagram of at most 150 kB
_PART = 1_000  # in one message: an attribute's length has 16 bits


def are_plain(ops: Sequence[Op]) -> bool:
    """Whether the operations are such elements and nothing else, and few enough."""
    count = 0
    for op in ops:
        obj, have = op.obj, op.have
        if op.verb is not Verb.UPDATE or not isinstance(obj, NftSet) or not isinstance(have, NftSet):
            return False
        if obj.type not in _KEYS or obj.data or obj.flags or obj.extra or obj.statements() != have.statements():
            return False
        count += len(obj.elements ^ have.elements)
    return 0 < count <= _MOST


class Change:
    """The elements of one namespace, which is the one that the thread is in when this is made; any thread may commit.

    ``refused``: the operation that the kernel refused, and why; nothing has changed then.
    """

    def __init__(self, ops: Sequence[Op]) -> None:
        self._socket = NetlinkSocket(NETLINK_NETFILTER)
        self._messages: list[tuple[int, int, bytes]] = []
        self._whose: list[Op] = []
        self.refused: tuple[Op, str] | None = None
        for op in ops:
            assert isinstance(op.obj, NftSet)
            assert isinstance(op.have, NftSet)
            self._add(op, op.obj, _DELSETELEM, 0, op.have.elements - op.obj.elements)
            self._add(op, op.obj, _NEWSETELEM, CREATE, op.obj.elements - op.have.elements)

    def _add(self, op: Op, obj: NftSet, kind: int, flags: int, elements: frozenset[str]) -> None:
        for part in _parts(sorted(elements)):
            self._messages.append((_SUBSYS << 8 | kind, flags, _body(obj, part)))
            self._whose.append(op)

    def commit(self) -> None:
        """Change the elements; once."""
        try:
            refused = self._socket.transaction(_SUBSYS, self._messages)
            self.refused = (self._whose[refused[0].place], refused[0].said) if refused else None
        except OSError as error:
            self.refused = self._whose[0], str(error)
        finally:
            self._socket.close()


def commit(changes: Sequence[Change]) -> None:
    """Commit them side by side: each waits some 10 ms for the readers of the rules before, and for nothing else."""
    threads = [threading.Thread(target=change.commit) for change in changes[1:]]
    for thread in threads:
        thread.start()
    if changes:
        changes[0].commit()
    for thread in threads:
        thread.join()


def _parts(elements: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(elements)
    while part := list(islice(rest, _PART)):
        yield part


def _body(obj: NftSet, elements: Iterable[str]) -> bytes:
    family = _KEYS[obj.type]
    listed = b"".join(
        attr(1 | _NESTED, attr(1 | _NESTED, attr(1, socket.inet_pton(family, one))))  # element, its key, the value
        for one in elements
    )
    head = bytes((_FAMILIES[obj.family], 0, 0, 0))
    return head + attr_str(1, obj.table) + attr_str(2, obj.set) + attr(3 | _NESTED, listed)
