"""Sysctls of a whole namespace that no lab sets, and that break flows when somebody does.

The list has what hardening guides and tuning scripts change, and a packet or a connection notices: who answers ARP and
echo requests, how far a packet goes, whether fragments are put together, whether there is a free source port.  Values
are the kernel's defaults.  A host may give other values to new namespaces (IPv4 copies ``conf/all`` from the host), so
where one differs, a new namespace is asked once: only what differs from that is a deviation.

Each costs 4 us a namespace, so an end host (one link, one address a family) is asked for what can matter there alone.

Limits: settings of TCP are left out, as none of those that namespaces have makes a correct connection fail; so are
``conf/default``, which only new links read, and the timers of neighbours.
"""

from __future__ import annotations

import contextlib
from collections.abc import Container, Iterator, Mapping

from netlab.kernel.host import netns as ns
from netlab.kernel.host.procfs import Sysctls
from netlab.objects import Sysctl

_Folders = Mapping[str, Mapping[str, bytes]]
_HOST: _Folders = {
    "net/ipv4": {
        "ip_default_ttl": b"64\n",
        "ip_local_port_range": b"32768\t60999\n",
        "ip_no_pmtu_disc": b"0\n",
        "ipfrag_high_thresh": b"4194304\n",
        "icmp_echo_ignore_all": b"0\n",
        "conf/all/arp_ignore": b"0\n",
    },
    "net/ipv6": {"icmp/echo_ignore_all": b"0\n", "ip6frag_high_thresh": b"4194304\n"},
}
_ROUTER: _Folders = {
    "net/ipv4": {
        **_HOST["net/ipv4"],
        "conf/all/arp_announce": b"0\n",
        "conf/all/arp_filter": b"0\n",
        "conf/all/proxy_arp": b"0\n",
    },
    "net/ipv6": _HOST["net/ipv6"],
}


class Hardening:
    """Reads them in the namespace that the calling thread is in."""

    def __init__(self, sysctls: Sysctls) -> None:
        self._sysctls = sysctls
        self._new: dict[str, bytes] | None = None

    def deviations(self, netns: str, wanted: Container[str], *, router: bool, v6: bool) -> Iterator[Sysctl]:
        """Those that differ from a new namespace's, but for the ``wanted``, which the lab sets."""
        for path, value, usual in tuple(self._differing(router=router, v6=v6)):
            if path not in wanted and value != (new := self._of_new().get(path, usual)):
                yield Sysctl(netns, path, _text(value), usual=_text(new))

    def _differing(self, *, router: bool, v6: bool) -> Iterator[tuple[str, bytes, bytes]]:
        for folder, usual in (_ROUTER if router else _HOST).items():
            if v6 or folder != "net/ipv6":
                for file, value in self._sysctls.differing(folder, usual):
                    yield f"{folder}/{file}".replace("/", "."), value, usual[file]

    def _of_new(self) -> dict[str, bytes]:
        """The values of a new namespace that are not the kernel's defaults."""
        if self._new is None:
            self._new = {}
            with contextlib.suppress(OSError), ns.scratch():
                self._sysctls.enter()
                self._new = {path: value for path, value, _ in self._differing(router=True, v6=True)}
            self._sysctls.enter()
        return self._new


def _text(value: bytes) -> str:
    return value.decode().strip().replace("\t", " ")
