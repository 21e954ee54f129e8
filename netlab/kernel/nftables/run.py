"""Transactions of nftables, into the namespace that the calling thread is in.

As messages of our own where ``nftcode`` knows the words, as text through libnftables where it does not, and where the
kernel refuses: the library's words say more than an errno.
"""

from __future__ import annotations

from collections.abc import Sequence

from netlab.kernel.nftables import compile as nftcode
from netlab.kernel.nftables import libnft
from netlab.kernel.rtnetlink.socket import NETLINK_NETFILTER, NetlinkSocket
from netlab.objects.nftsteps import Step, text


class NotTaken(libnft.NftFailed):
    """A transaction that was refused, and the step of it that the kernel would not take, where that is known."""

    def __init__(self, message: str, step: Step | None) -> None:
        super().__init__(message)
        self.step = step


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
        """Commit the steps as one transaction (``check``: do all but the commit).  Raises NotTaken: nothing changed."""
        refused: Step | None = None
        try:
            messages, whose = self._compiler.messages(steps)
            refusal = self._socket.transaction(nftcode.SUBSYSTEM, messages, check=check)
            if not refusal:
                return
            refused = whose[refusal[0].number]
        except (nftcode.NotKnown, OSError):  # OSError: more at once than this process may send
            pass
        try:
            libnft.run(text(steps), check=check)
        except libnft.NftFailed as failure:
            raise NotTaken(str(failure), refused) from None
