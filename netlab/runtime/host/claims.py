"""The resources of this host that a lab takes: names in /run/netns and /etc/netns, processes, memory."""

from __future__ import annotations

from netlab.errors import StateError
from netlab.kernel.host import files
from netlab.kernel.host import netns as ns
from netlab.kernel.host.owners import owners
from netlab.objects import Netns, State
from netlab.runtime.host import capacity
from netlab.runtime.state.rundir import RunDir


def claim(rundir: RunDir, want: State, *, new: bool) -> None:
    """Raise an error where a new lab would take over names or files of others, or where the host has no room for it.

    The empty names of a running lab are removed, and the folders of the names are made.
    """
    _claim_names(rundir, want, new=new)
    capacity.require(want)
    files.prepare()  # a host whose /etc cannot be written says so before anything is started


def _claim_names(rundir: RunDir, want: State, *, new: bool) -> None:
    if not new:
        # An `up` that was killed between making a name and mounting the namespace on it left the name empty.
        for netns in rundir.assignments().netns:
            if ns.is_blank(netns):
                ns.remove_name(netns)
        return
    taken = owners(f"{rundir.lab}-")
    for namespace in want.only(Netns):
        name = namespace.netns
        owner = taken.get(name)
        if owner is not None and owner.lab == rundir.lab:
            continue  # its mark says that it is this lab's
        if name in taken:
            whose = f"lab {owner.lab}'s {owner.kind} {owner.name}" if owner else "not netlab's"
            raise StateError(
                f"the name {name} in /run/netns is taken: it is {whose}",
                hint="run this lab under another name: --name NAME",
            )
        path = files.ETC_NETNS / name
        if path.exists():
            raise StateError(
                f"{path} exists and does not belong to this lab",
                hint=f"look at it, remove it (rm -r {path}), or take another lab name: --name NAME",
            )
