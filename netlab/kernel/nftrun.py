"""Transactions of nftables, into the namespace that the calling thread is in.

As messages of our own where ``nftcode`` knows the words, as text through libnftables where it does not, and where the
kernel refuses: the library's words say more than an errno.
"""

from __future__ import annotations

from collections.abc import Sequence

from netlab.kernel import libnft, nftcode
from netlab.kernel.netlink import NETLINK_NETFILTER, NetlinkSocket
from netlab.objects.nftsteps import Step, text


class Runner:
    """Runs a namespace's transactions one after the other; made inside the namespace.

    Use as a context manager.
    """

    def __init__(self) -> None:
        self._socket = NetlinkSocket(NETLINK_NETFILTER)
        self._compiler = nftcode.Compiler()

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def run(self, steps: Sequence[Step], *, check: bool = False) -> None:
        """Commit the steps as one transaction (``check``: do all but the commit).  Raises NftFailed: nothing changed."""
        if not self._as_messages(steps, check=check):
            libnft.run(text(steps), check=check)

    def _as_messages(self, steps: Sequence[Step], *, check: bool) -> bool:
        try:
            messages = self._compiler.messages(steps)
        except nftcode.NotKnown:
            return False
        try:
            return not self._socket.transaction(nftcode.SUBSYSTEM, messages, check=check)
        except OSError:  # more at once than this process may send
            return False
