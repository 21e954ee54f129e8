"""The plain form of a lab: what a good engineer would write who wants the same kernel objects, fast, by the usual tools.

One ``ip -batch`` for all namespaces; then a namespace at a time, one ``ip -n NS -batch``, one ``bridge -n NS -batch``,
one ``sysctl -p``, one ``nft -f``, and one ``ethtool -K`` a device, since ethtool has no batch.  Namespaces whose links
reach into others come first, so that no file needs to be split.  ``nsenter --net`` enters a namespace for less than
``ip netns exec`` does (2.5 ms against 3.0, 100 namespaces), which mounts a /sys that nobody here reads.

The objects are those of ``netlab plan``: their own shell lines, sorted into these files.  Left out are files below
/etc/netns and listeners, which are no objects of the kernel.
"""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Iterable
from graphlib import TopologicalSorter
from pathlib import Path

from netlab.objects import File, Listener, Op, Veth

_ADD = re.compile(r"ip netns add (\S+)")
_IP = re.compile(r"ip (-6 )?-n (\S+) (.+)")
_BRIDGE = re.compile(r"bridge -n (\S+) (.+)")
_EXEC = re.compile(r"ip netns exec (\S+) (sysctl|ethtool|nft) (.+)")
_SET = re.compile(r"link set dev (\S+) ([^ ]+( [^ ]+)?)")


class PlainScript:
    """The files and the shell script, in ``folder``.  ``bare`` leaves out sysctls and ethtool."""

    def __init__(self, operations: Iterable[Op], folder: Path, *, bare: bool = False) -> None:
        self.folder = folder
        self.bare = bare
        self.netns: list[str] = []
        self._ip: defaultdict[str, list[str]] = defaultdict(list)
        self._ip6: defaultdict[str, list[str]] = defaultdict(list)
        self._bridge: defaultdict[str, list[str]] = defaultdict(list)
        self._nft: defaultdict[str, list[str]] = defaultdict(list)
        self._sysctl: defaultdict[str, list[str]] = defaultdict(list)
        self._ethtool: defaultdict[str, list[str]] = defaultdict(list)
        order: TopologicalSorter[str] = TopologicalSorter()
        for op in operations:
            if isinstance(op.obj, File | Listener):
                continue
            if isinstance(op.obj, Veth) and op.obj.end.netns != op.obj.peer.netns:
                order.add(op.obj.peer.netns, op.obj.end.netns)
            order.add(op.obj.netns)
            for line in op.explain(exact=True).splitlines():
                self._sort(line)
        self._order = tuple(order.static_order())
        self.path = self._write()

    def _sort(self, line: str) -> None:
        if found := _ADD.fullmatch(line):
            self.netns.append(found[1])
        elif found := _IP.fullmatch(line):
            (self._ip6 if found[1] else self._ip)[found[2]].append(found[3])
        elif found := _BRIDGE.fullmatch(line):
            self._bridge[found[1]].append(found[2])
        elif found := _EXEC.fullmatch(line):
            if found[2] == "sysctl":
                self._sysctl[found[1]].append(shlex.split(found[3])[-1])
            elif found[2] == "ethtool":
                self._ethtool[found[1]].append(f"ethtool {found[3]}")
            else:
                self._nft[found[1]].append(" ".join(shlex.split(found[3])))
        elif not line.startswith("#"):
            raise ValueError(f"this benchmark does not know how to put this line into a batch: {line}")

    def _file(self, name: str, lines: Iterable[str]) -> str:
        path = self.folder / name
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return shlex.quote(str(path))

    def _write(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        script = ["set -e", f"ip -batch {self._file('netns', (f'netns add {name}' for name in self.netns))}"]
        inside = "nsenter --net=/run/netns/"
        late = set()
        for netns in self._order:
            tuning = self._sysctl.get(netns, [])
            if self.bare or not tuning:
                continue
            if self._ethtool.get(netns) and not any(".default." in line for line in tuning):
                late.add(netns)  # no new link copies these: they can share the shell that ethtool needs
            else:
                script.append(f"{inside}{netns} sysctl -qp {self._file(f'{netns}.sysctl', tuning)}")
        for netns in self._order:
            for flag, files, suffix in (("", self._ip, "ip"), ("-6 ", self._ip6, "ip6")):
                if netns in files:
                    script.append(f"ip {flag}-n {netns} -batch {self._file(f'{netns}.{suffix}', joined(files[netns]))}")
            if netns in self._bridge:
                script.append(f"bridge -n {netns} -batch {self._file(f'{netns}.bridge', self._bridge[netns])}")
            if netns in self._nft:
                script.append(f"{inside}{netns} nft -f {self._file(f'{netns}.nft', self._nft[netns])}")
            if self.bare:
                continue
            last = [f"sysctl -qp {self._file(f'{netns}.sysctl', self._sysctl[netns])}"] if netns in late else []
            last += self._ethtool.get(netns, [])
            if len(last) > 1:
                script.append(f"{inside}{netns} sh -e {self._file(f'{netns}.sh', last)}")
            elif last:
                script.append(f"{inside}{netns} {last[0]}")
        self._file("remove", (f"netns del {name}" for name in self.netns))
        self._file("script.sh", script)
        return self.folder / "script.sh"

    @property
    def argv(self) -> list[str]:
        """The command that builds it all."""
        return ["sh", str(self.path)]

    @property
    def removal(self) -> list[str]:
        """The command that takes all namespaces away."""
        return ["ip", "-batch", str(self.folder / "remove")]


def joined(lines: Iterable[str]) -> list[str]:
    """Neighbouring plain settings of one device as one line, which is one message to the kernel."""
    found: list[str] = []
    before = None
    for line in lines:
        setting = _SET.fullmatch(line)
        if setting and before == setting[1]:
            found[-1] += f" {setting[2]}"
        else:
            found.append(line)
        before = setting[1] if setting else None
    return found
