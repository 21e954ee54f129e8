"""What is not a link or an address: namespaces, sysctls, files for ``ip netns exec``, listeners."""

from __future__ import annotations

import shlex
from dataclasses import field, replace
from typing import ClassVar

from netlab.names import Owner
from netlab.objects.base import Floor, Key, Obj, lines
from netlab.objects.probes import Probe
from netlab.values import dataclass

# What every namespace has by itself: addresses of lo, and the rules of policy routing as (priority, table).
LOOPBACK = ("127.0.0.1/8", "::1/128")
RULES = {
    "rule pref 0 lookup local": (0, 255),
    "rule pref 32766 lookup main": (32766, 254),
    "rule pref 32767 lookup default": (32767, 253),
    "-6 rule pref 0 lookup local": (0, 255),
    "-6 rule pref 32766 lookup main": (32766, 254),
}
LOOPBACK_ROUTES = ("127.0.0.0/8", "127.0.0.1/32", "::1/128")  # lo's routes of table local


def _given(netns: str, default: str) -> str:
    """The shell line that gives back what a namespace lacks."""
    if default in LOOPBACK:
        return f"ip -n {netns} addr add {default} dev lo"
    if default == "local ::1/128":  # ip-route adds no route of metric 0
        return f"ip -n {netns} addr del ::1/128 dev lo\nip -n {netns} addr add ::1/128 dev lo"
    if default.startswith("local "):
        return f"ip -n {netns} route add {default} dev lo table local proto kernel scope host src 127.0.0.1"
    family, _, rule = default.partition("rule ")
    return f"ip {family}-n {netns} rule add {rule}"


@dataclass(frozen=True, slots=True)
class Netns(Obj):
    """A network namespace with a name in /run/netns.  The alias of its lo says whose it is.

    ``lacks``: what the kernel gives every namespace and somebody took away, as ``ip``'s arguments (``LOOPBACK``,
    ``RULES``, ``local`` and one of ``LOOPBACK_ROUTES``).
    """

    kind: ClassVar[str] = "netns"
    floor: ClassVar[Floor] = Floor.NETNS

    owner: Owner
    lo_up: bool = True
    lacks: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.netns

    def explain(self, *, exact: bool = False) -> str:
        alias = shlex.quote(self.owner.alias())
        return f"ip netns add {self.netns}\nip -n {self.netns} link set dev lo alias {alias} up"

    def undo(self) -> str:
        return f"ip netns del {self.netns}"

    def amend(self, have: Obj) -> str | None:
        if not isinstance(have, Netns) or have.owner != self.owner:
            return None
        up = f"ip -n {self.netns} link set dev lo up" if have.lo_up != self.lo_up else ""
        return lines((up, *(_given(self.netns, feature) for feature in have.lacks)))


@dataclass(frozen=True, slots=True)
class Sysctl(Obj):
    """A sysctl of the namespace.  Those of one link (``net.ipv4.conf.eth0...``) come after it: ``link`` is its name.

    ``usual``: of one that netlab never sets and somebody did, the value that it would have.
    """

    kind: ClassVar[str] = "sysctl"
    floor: ClassVar[Floor] = Floor.SYSCTL

    path: str
    value: str
    link: str = ""
    usual: str = field(default="", compare=False)

    @property
    def name(self) -> str:
        return self.path

    @property
    def key(self) -> Key:
        return Key(Floor.LINKSYSCTL if self.link else Floor.SYSCTL, self.netns, self.path)

    def explain(self, *, exact: bool = False) -> str:
        return f"ip netns exec {self.netns} sysctl -qw {shlex.quote(f'{self.path}={self.value}')}"

    def undo(self) -> str:
        if self.usual:
            return f"ip netns exec {self.netns} sysctl -qw {shlex.quote(f'{self.path}={self.usual}')}"
        return f"# {self.path} goes back to the value that a new namespace has"

    def amend(self, have: Obj) -> str | None:
        return self.explain()


@dataclass(frozen=True, slots=True)
class File(Obj):
    """A file below /etc/netns/<netns>/, which ``ip netns exec`` binds over /etc: hosts, resolv.conf, hostname."""

    kind: ClassVar[str] = "file"
    floor: ClassVar[Floor] = Floor.FILE

    file: str
    content: str

    @property
    def name(self) -> str:
        return self.file

    @property
    def path(self) -> str:
        """The absolute path of the file."""
        return f"/etc/netns/{self.netns}/{self.file}"

    def explain(self, *, exact: bool = False) -> str:
        # One line, so that each line of a mend can be typed by itself.
        text = self.content.replace("\\", "\\\\").replace("%", "%%").replace("\n", "\\n")
        return f"mkdir -p /etc/netns/{self.netns} && printf {shlex.quote(text)} > {self.path}"

    def undo(self) -> str:
        return f"rm -f {self.path}"

    def amend(self, have: Obj) -> str | None:
        return self.explain()


@dataclass(frozen=True, slots=True)
class Listener(Obj):
    """A port on which the lab's agent answers for a container.

    What is compared is only that somebody holds the port: a process of the Pod's own may.  ``pod`` is its name
    (or that of a host outside), ``namespace`` its Kubernetes namespace ("" for a host outside), ``addresses`` what the answer calls its own.
    ``bound`` is the only address that it listens on; "": all.
    ``health``: kube-proxy's on a node, for the Service of that name and namespace: how many ready endpoints the node has.
    """

    kind: ClassVar[str] = "listener"
    floor: ClassVar[Floor] = Floor.PROC

    protocol: str
    port: int
    pod: str = field(default="", compare=False)
    namespace: str = field(default="", compare=False)
    node: str = field(default="", compare=False)
    container: str = field(default="", compare=False)
    addresses: tuple[str, ...] = field(default=(), compare=False)
    health: bool = field(default=False, compare=False)
    bound: str = ""

    @property
    def name(self) -> str:
        return f"{self.port}/{self.protocol}"

    def explain(self, *, exact: bool = False) -> str:
        owner = f"Service {self.namespace}/{self.pod}" if self.health else f"container {self.container}"
        only = f" at {self.bound} alone" if self.bound else ""
        return f"# the agent answers on {self.name} in {self.netns}{only} for {owner}"

    def undo(self) -> str:
        return f"# the agent stops answering on {self.name} in {self.netns}"


@dataclass(frozen=True, slots=True)
class Process(Obj):
    """A container whose command really runs in its Pod, supervised by the lab's agent.

    ``role`` is init, sidecar or main, ``order`` its place among those of the same Pod (inits and sidecars first).
    ``restart`` is the Pod's restartPolicy, ``grace`` its seconds between SIGTERM and SIGKILL.  ``missing``: the host
    lacks the program, so nothing is started.  ``late``: it declares a port that is an earlier container's, so it starts a
    second later, and finds the port taken.  ``links`` are the variables of the Services that were there when it was asked
    to run; others later change nothing.  A process that ended by itself, or waits to be started again, is as it
    should be: what is compared is what the agent was asked to run.  ``stopped``: the number of its process where
    somebody stopped that one (SIGSTOP).  ``etc``: the folder of the Pod's files below /etc/netns, its own netns as a rule.
    ``input``: what a client that attaches writes to: ``tty``, ``pipe``, ``once`` (the first client alone), or nothing.
    ``daemon``: the author's own of a node (``pod``), of no namespace, with the host's files instead of a Pod's.
    """

    kind: ClassVar[str] = "process"
    floor: ClassVar[Floor] = Floor.PROC

    namespace: str
    pod: str
    container: str
    role: str
    order: int
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    workdir: str = "/"
    hostname: str = ""
    restart: str = "Always"
    grace: int = 30
    missing: bool = False
    late: bool = False
    probes: tuple[Probe, ...] = ()
    links: tuple[tuple[str, str], ...] = field(default=(), compare=False)
    stopped: int = 0
    etc: str = ""
    input: str = ""
    daemon: bool = False

    @property
    def name(self) -> str:
        return f"{self.namespace}/{self.pod}/{self.container}".lstrip("/")

    def explain(self, *, exact: bool = False) -> str:
        command = " ".join(shlex.join(self.argv).split())  # scripts have many lines
        shown = command if len(command) <= 100 else command[:99] + "…"
        named = f"the agent of node {self.pod}" if self.daemon else f"container {self.container}"
        return f"# the agent runs in {self.netns}, as {named}: {shown}"

    def undo(self) -> str:
        return f"# the agent ends container {self.container} in {self.netns}"

    def amend(self, have: Obj) -> str | None:
        if isinstance(have, Process) and replace(have, stopped=0) == self:
            return f"kill -CONT {have.stopped}"
        return f"{self.undo()}\n{self.explain()}"
