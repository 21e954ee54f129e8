"""The nouns of the kernel, as small frozen values, and the State that holds them.

Theory of operation.  A desired state is a set of objects; so is what was observed in the kernel.  Both are built from
the same classes, so that two states compare field by field and one ``diff`` serves every kind.  Each object knows its
``key`` (where it lives and what it is called), its ``why`` (what in the cluster asked for it, and the YAML line) and
the shell lines that an engineer would type to make it (``explain``), to remove it (``undo``) and to mend it
(``amend``).

Equality leaves out ``why`` and the interface ``index``: a line that moved, or a link that somebody re-created by hand
with another index, is no drift.

Limits: objects hold what netlab programs and compares, not everything that the kernel knows.  Routes that the kernel
makes by itself (``proto kernel``, table local), link-local addresses, learned neighbours and FDB entries are never in
a State.
"""

from netlab.objects.base import Floor, Key, Obj, Op, Verb, Why
from netlab.objects.deviation import Deviation, Rule, XfrmPolicy
from netlab.objects.host import File, Listener, Netns, Process, Sysctl
from netlab.objects.ip import Addr, Fdb, Neigh, Route
from netlab.objects.learned import Conntrack, PathMtu, contradicted
from netlab.objects.links import Bridge, Link, Port, Stitch, Veth, Vxlan
from netlab.objects.nft import NftChain, NftSet, NftTable
from netlab.objects.qdisc import Qdisc
from netlab.objects.state import Conflict, State, diff
from netlab.objects.tunnels import Geneve, Ipip, WgPeer, WireGuard

__all__ = [
    "Addr",
    "Bridge",
    "Conflict",
    "Conntrack",
    "Deviation",
    "Fdb",
    "File",
    "Floor",
    "Geneve",
    "Ipip",
    "Key",
    "Link",
    "Listener",
    "Neigh",
    "Netns",
    "NftChain",
    "NftSet",
    "NftTable",
    "Obj",
    "Op",
    "PathMtu",
    "Port",
    "Process",
    "Qdisc",
    "Route",
    "Rule",
    "State",
    "Stitch",
    "Sysctl",
    "Verb",
    "Veth",
    "Vxlan",
    "WgPeer",
    "Why",
    "WireGuard",
    "XfrmPolicy",
    "contradicted",
    "diff",
]
