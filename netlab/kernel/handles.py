"""The open namespaces of one lab: a descriptor and a netlink socket each."""

from __future__ import annotations

from netlab.errors import KernelRefused, StateError
from netlab.kernel.host import netns as ns
from netlab.kernel.host.owners import owner_behind
from netlab.kernel.nftables import libnft
from netlab.kernel.nftables.drift import Digests
from netlab.kernel.rtnetlink.codec import Handle, Links
from netlab.kernel.rtnetlink.link import set_link
from netlab.kernel.rtnetlink.socket import NetlinkSocket
from netlab.names import Owner


class Handles:
    """The open namespaces.  Everything here runs in the worker's thread."""

    def __init__(self, digests: Digests | None = None) -> None:
        libnft.keep_descriptors()
        self._open: dict[str, Handle] = {}
        self._namer = ns.Namer()
        self.digests = digests or Digests()
        # After our own commit of nftables rules: the namespace's generation, and the digest of our objects.
        self.generations: dict[str, tuple[int, str]] = {}
        # Namespaces whose rules were not made from what is wanted now, as far as the digest tells.
        self.outdated: set[str] = set()

    def get(self, netns: str) -> Handle:
        """The handle of a namespace that has a name; raises FileNotFoundError."""
        handle = self._open.get(netns)
        if handle is None:
            fd = ns.open_named(netns)
            with ns.inside(fd):
                handle = self._open[netns] = Handle(netns, fd, NetlinkSocket())
        return handle

    def owner(self, netns: str) -> Owner | None:
        """The owner of a named namespace; None for a stranger's, and for a name without a namespace."""
        try:
            handle = self.get(netns)
        except OSError:
            return None
        return owner_behind(handle.socket)

    def create(self, netns: str, mark: str) -> Handle:
        """A new namespace: marked, lo up, then named.  The calling thread is inside it afterwards.

        In this order, so that after a ``kill -9`` every name that can be seen says whose it is.
        """
        self.forget(netns)
        ns.unshare_net()
        socket = NetlinkSocket()
        _mark(socket, mark)
        try:
            fd = self._namer.name_current(netns)
        except FileExistsError:
            socket.close()
            raise StateError(
                f"/run/netns/{netns} exists and does not belong to this lab",
                hint=f"look at it with: ip -n {netns} link; take another lab name with --name",
            ) from None
        handle = self._open[netns] = Handle(netns, fd, socket, Links(lo=1))
        return handle

    def forget_gone(self) -> None:
        """Close the handles of namespaces whose name is gone, or now names another namespace."""
        for netns, handle in list(self._open.items()):
            if not ns.is_named(handle.fd, netns):
                self.forget(netns)

    def forget(self, netns: str) -> None:
        """Close a namespace's descriptors: they would keep it alive after its name is gone."""
        handle = self._open.pop(netns, None)
        if handle:
            handle.close()

    def close(self) -> None:
        for netns in list(self._open):
            self.forget(netns)
        self._namer.close()


def _mark(socket: NetlinkSocket, alias: str) -> None:
    """Write the owner's mark on lo, and bring it up."""
    refused = socket.batch([set_link(1, alias=alias, up=True)])
    if refused:
        raise KernelRefused(f"ip link set dev lo alias '{alias}' up", refused[0].message)
