"""FakeKernel: a kernel that is a dictionary, with the ten rules by which things disappear together.

It refuses one thing: an object whose parent is missing.  It is for tests of everything above the kernel; what the
real one does beyond these rules is tested on the real one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from netlab.errors import KernelRefused
from netlab.kernel.protocol import Observed
from netlab.objects import (
    File,
    Floor,
    Key,
    Listener,
    Netns,
    Obj,
    Op,
    Port,
    Route,
    State,
    Sysctl,
    Verb,
    Veth,
    Vxlan,
)

# Values that a sysctl has before anybody sets it are those that tests give; absent ones read as "0".
_ALWAYS_THERE = (Sysctl,)


class FakeKernel:
    """A dictionary of objects; ``applied`` are all operations that it was ever given."""

    def __init__(self) -> None:
        self.objects: dict[Key, Obj] = {}
        self.applied: list[Op] = []

    def observe(
        self, lab: str, like: State | None = None, scope: Collection[str] | None = None, *, rules: bool = False
    ) -> Observed:
        """The objects in the namespaces of one lab."""
        own = {obj.netns for obj in self.objects.values() if isinstance(obj, Netns) and obj.owner.lab == lab}
        return Observed(State.of({key: obj for key, obj in self.objects.items() if key.netns in own}))

    def apply(self, ops: Iterable[Op]) -> None:
        """Do the operations; a missing parent is refused, as the kernel would."""
        for op in ops:
            self.applied.append(op)
            if op.verb is Verb.DELETE:
                self._remove(op.obj)
            else:
                missing = self._missing_parent(op.obj)
                if missing:
                    raise KernelRefused(op.explain(), missing, str(op.obj.why.message), op.obj.why.mark)
                if op.verb is Verb.UPDATE and op.have is not None and op.obj.amend(op.have) is None:
                    self._remove(op.have)
                self.objects[op.obj.key] = op.obj

    def forget(self, paths: Iterable[str]) -> None:
        """Nothing is learned here."""

    def close(self) -> None:
        """Nothing to let go of."""

    def _links(self) -> set[tuple[str, str]]:
        found = set()
        for obj in self.objects.values():
            if obj.floor is Floor.LINK:
                found.add((obj.netns, obj.name))
                if isinstance(obj, Veth):
                    found.add((obj.peer.netns, obj.peer.name))
        return found

    def _missing_parent(self, obj: Obj) -> str:
        needed = [obj.netns, obj.peer.netns] if isinstance(obj, Veth) else [obj.netns]
        if not isinstance(obj, Netns):
            for netns in needed:
                if Key(Floor.NETNS, netns, netns) not in self.objects:
                    return f"No such namespace: {netns}"
        links = self._links()
        devs = [obj.link] if isinstance(obj, Sysctl) else []
        if obj.floor not in (Floor.LINK, Floor.NETNS):
            devs += [str(getattr(obj, "dev", "")), str(getattr(obj, "master", ""))]
        if isinstance(obj, Vxlan):
            devs.append(obj.lower)
        for dev in devs:
            if dev and (obj.netns, dev) not in links:
                return f"No such device: {dev}"
        return ""

    def _remove(self, obj: Obj) -> None:
        self.objects.pop(obj.key, None)
        if isinstance(obj, Netns):
            for other in list(self.objects.values()):
                stays = isinstance(other, (File, Listener))
                if (other.netns == obj.netns and not stays) or (
                    isinstance(other, Veth) and other.peer.netns == obj.netns
                ):
                    self._remove(other)
        elif obj.floor is Floor.LINK:
            ends = [(obj.netns, obj.name)]
            if isinstance(obj, Veth):
                ends.append((obj.peer.netns, obj.peer.name))
            for other in list(self.objects.values()):
                for netns, dev in ends:
                    if other.netns == netns and self._hangs_on(other, dev):
                        self._remove(other)

    @staticmethod
    def _hangs_on(obj: Obj, dev: str) -> bool:
        if isinstance(obj, Sysctl):
            return obj.link == dev
        if isinstance(obj, Vxlan):
            return obj.lower == dev
        if isinstance(obj, Port):
            return dev in (obj.dev, obj.master)
        return (obj.floor is not Floor.LINK and getattr(obj, "dev", "") == dev) or (
            isinstance(obj, Route) and obj.dev == dev
        )
