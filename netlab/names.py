"""Every name that netlab puts into the kernel, and its inverse.

Names are functions of the spec alone, so two runs of a lab give the same names, addresses and MACs.  A packet dump can
be read without a table: the node's number is in its MAC and in its addresses.

Limits: interface names have 15 characters (IFNAMSIZ - 1), altnames 127, an alias 255, file names 255, lab names 32;
what would be longer is cut and ends in a hash.
"""

from __future__ import annotations

import re
from functools import lru_cache

from netlab.digest import sha1
from netlab.tuples import NamedTuple

LAB_NAME_MAX = 32
IFNAME_MAX = 15
_FILE_NAME_MAX = 249  # NAME_MAX is 255; a clash adds a hash of 6
_OWNED_MAX = 200  # of the 255 of an alias; the rest is for the lab's name and the kind
# Names that the segment's own bridge has, that every namespace has, and that sysctls use for something else.
_NO_PORTS = frozenset(("br0", "lo", "all", "default"))

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")


def is_dns_label(text: str, limit: int = 63) -> bool:
    """RFC 1123 label: lower-case letters, digits, '-'; at most ``limit`` characters."""
    return len(text) <= limit and _LABEL.match(text) is not None


def is_dns_subdomain(text: str, limit: int = 253) -> bool:
    """RFC 1123 subdomain, the form of most Kubernetes names: labels joined by dots."""
    return len(text) <= limit and all(map(_LABEL.match, text.split(".")))


def short_hash(text: str, digits: int = 8) -> str:
    """The first ``digits`` hex digits of the text's SHA-1: for names that must be short, never for security."""
    return sha1(text).hex()[:digits]


# -- namespaces -------------------------------------------------------------------------------------------------------


def node_netns(lab: str, node: str) -> str:
    """``<lab>-<node>``: also for external hosts and routers, which share the lab's names."""
    return f"{lab}-{node}"


def underlay_netns(lab: str) -> str:
    """``<lab>-underlay``: the segment that the nodes hang off."""
    return f"{lab}-underlay"


def pod_netns(lab: str, namespace: str, pod: str, taken: frozenset[str] | set[str] = frozenset()) -> str:
    """``<lab>-<pod>`` in default, else ``<lab>-<namespace>-<pod>``; with a short hash where that name is ``taken``."""
    plain = f"{lab}-{pod}" if namespace == "default" else f"{lab}-{namespace}-{pod}"
    if len(plain) > _FILE_NAME_MAX:
        plain = f"{plain[: _FILE_NAME_MAX - 9]}-{short_hash(plain)}"
    return plain if plain not in taken else f"{plain}-{short_hash(f'{namespace}/{pod}', 5)}"


def owned_name(namespace: str, pod: str) -> str:
    """What a Pod is called in its owner's mark: ``namespace/name``, cut with a hash where an alias has no room for it."""
    full = f"{namespace}/{pod}"
    return full if len(full) <= _OWNED_MAX else f"{full[: _OWNED_MAX - 9]}-{short_hash(full)}"


class Owner(NamedTuple):
    """Whose a namespace is, as its lo's alias says it: ``netlab <lab> <kind> <name>``.

    ``kind`` is node, pod, underlay, external or router; a Pod's name is ``namespace/name``.
    """

    lab: str
    kind: str
    name: str

    def alias(self) -> str:
        return f"netlab {self.lab} {self.kind} {self.name}"

    @classmethod
    def of(cls, alias: str) -> Owner | None:
        """The owner that an alias names; None where the alias is not one of ours."""
        words = alias.split(" ")
        return cls(*words[1:]) if len(words) == 4 and words[0] == "netlab" else None


# -- interfaces -------------------------------------------------------------------------------------------------------


def veth_name(namespace: str, pod: str) -> str:
    """The node's end of a Pod's veth: ``veth-<pod>`` in default where it fits, else ``veth`` + 8 hex.

    The second is the form of the CNI bridge plugin, which takes 8 random hex digits; ours come from the Pod's name.
    """
    readable = f"veth-{pod}"
    if namespace == "default" and len(readable) <= IFNAME_MAX and "." not in pod:
        return readable
    return "veth" + short_hash(f"{namespace}/{pod}")


def pod_altname(namespace: str, pod: str) -> str:
    """``pod-<namespace>-<pod>``: the readable name of every Pod's veth (IFALIASZ allows 127 characters)."""
    plain = f"pod-{namespace}-{pod}"
    return plain if len(plain) <= 127 else f"{plain[:118]}-{short_hash(plain)}"


def port_name(node: str) -> str:
    """The underlay's end of a node's eth0: the node's own name where it fits."""
    plain = len(node) <= IFNAME_MAX and "." not in node and node not in _NO_PORTS
    return node if plain else "veth" + short_hash(node)


# -- MAC addresses ----------------------------------------------------------------------------------------------------


NODE_ETH0, CNI0, VTEP, POD, POD_PEER, UNDERLAY, UNDERLAY_PORT = range(1, 8)  # the second byte: what sort of device


@lru_cache(1 << 15)  # every other node's objects name a tunnel's
def mac(device: int, node: int, serial: int = 0) -> str:
    """A locally administered unicast MAC: 0a:DD:NN:NN:SS:SS, the device's kind, its node's number, a serial number.

    Raises ValueError where a number does not fit into two bytes: silent wrapping would give two devices one MAC.
    """
    if not (0 <= node <= 0xFFFF and 0 <= serial <= 0xFFFF):
        raise ValueError(f"no MAC address for node {node}, serial {serial}: both must be below 65536")
    return f"0a:{device:02x}:{node >> 8:02x}:{node & 255:02x}:{serial >> 8:02x}:{serial & 255:02x}"
