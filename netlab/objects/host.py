"""What is not a link or an address: namespaces, sysctls, files for ``ip netns exec``, listeners."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import ClassVar

from netlab.names import Owner
from netlab.objects.base import Floor, Key, Obj


@dataclass(frozen=True, slots=True)
class Netns(Obj):
    """A network namespace with a name in /run/netns.  The alias of its lo says whose it is."""

    kind: ClassVar[str] = "netns"
    floor: ClassVar[Floor] = Floor.NETNS

    owner: Owner
    lo_up: bool = True

    @property
    def name(self) -> str:
        return self.netns

    def explain(self, *, exact: bool = False) -> str:
        alias = shlex.quote(self.owner.alias())
        return f"ip netns add {self.netns}\nip -n {self.netns} link set dev lo alias {alias} up"

    def undo(self) -> str:
        return f"ip netns del {self.netns}"

    def amend(self, have: Obj) -> str | None:
        return (
            f"ip -n {self.netns} link set dev lo up" if isinstance(have, Netns) and have.owner == self.owner else None
        )


@dataclass(frozen=True, slots=True)
class Sysctl(Obj):
    """A sysctl of the namespace.  Those of one link (``net.ipv4.conf.eth0...``) come after it: ``link`` is its name."""

    kind: ClassVar[str] = "sysctl"
    floor: ClassVar[Floor] = Floor.SYSCTL

    path: str
    value: str
    link: str = ""

    @property
    def name(self) -> str:
        return self.path

    @property
    def key(self) -> Key:
        return Key(Floor.LINKSYSCTL if self.link else Floor.SYSCTL, self.netns, self.path)

    def explain(self, *, exact: bool = False) -> str:
        return f"ip netns exec {self.netns} sysctl -qw {shlex.quote(f'{self.path}={self.value}')}"

    def undo(self) -> str:
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
        text = shlex.quote(self.content)
        return f"mkdir -p /etc/netns/{self.netns} && printf %s {text} > {self.path}"

    def undo(self) -> str:
        return f"rm -f {self.path}"

    def amend(self, have: Obj) -> str | None:
        return self.explain()


@dataclass(frozen=True, slots=True)
class Listener(Obj):
    """A port on which the lab's agent answers for a container.

    What is compared is only that somebody holds the port: a process of the Pod's own may.  ``pod`` is its name,
    ``namespace`` its Kubernetes namespace, ``addresses`` what the answer calls its own.
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

    @property
    def name(self) -> str:
        return f"{self.port}/{self.protocol}"

    def explain(self, *, exact: bool = False) -> str:
        return f"# the agent answers on {self.name} in {self.netns} for container {self.container}"

    def undo(self) -> str:
        return f"# the agent stops answering on {self.name} in {self.netns}"
