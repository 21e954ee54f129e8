"""``down``: what belongs to a lab says so itself, so neither its spec nor its run state is needed.

Nothing here imports the model or the plan: a lab of any age and in any state comes down in the time that Python takes
to start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from netlab.kernel.host import files as etc
from netlab.kernel.host import netns as ns
from netlab.kernel.host.owners import owners
from netlab.kernel.host.processes import Process, inside
from netlab.runtime import commandserver
from netlab.runtime.client import agentclient, apiserver
from netlab.runtime.state import lock
from netlab.runtime.state.rundir import RunDir
from netlab.values import dataclass

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Down:
    """The results of ``down``: removed namespaces, processes that still hold one, and agents that have not ended yet."""

    lab: str
    was_running: bool
    netns: int
    seconds: float
    strangers: tuple[Process, ...]
    lingering: tuple[int, ...] = ()


def down(name: str, say: Say = lambda _: None) -> Down:
    """Remove a lab in any state; its objects are found by their marks, with or without run state."""
    began = time.monotonic()
    with lock.locked(name, say) as path:
        rundir = RunDir(name)
        rundir.require_owner()
        was_running = rundir.exists()
        removed, strangers, lingering = remove(name, rundir, say)
        lock.remove(path)
        return Down(name, was_running or removed > 0, removed, time.monotonic() - began, strangers, lingering)


def remove(name: str, rundir: RunDir, say: Say = lambda _: None) -> tuple[int, tuple[Process, ...], tuple[int, ...]]:
    """End the agent, then take the names away, then the files, then the run state that would tell of them."""
    commandserver.dismiss(name)
    apiserver.dismiss(name)
    lingering = agentclient.kill(name, rundir.path if rundir.exists() else None)
    if (rundir.path / "cni").is_dir():
        _detach(rundir, say)
    planned = set(rundir.assignments().netns)
    owned = owners(f"{name}-")
    ours = [netns for netns, owner in owned.items() if owner is not None and owner.lab == name]
    # A name without a namespace behind it is what a killed `up` left between making the file and the mount.
    ours += [netns for netns, owner in owned.items() if owner is None and netns in planned and ns.is_blank(netns)]
    if (rundir.path / "share").exists():
        _unstitch(f"{name}-underlay", ours)
    strangers = inside(ours)
    for netns in ours:
        ns.remove_name(netns)
    for netns in planned | set(ours):
        if netns not in owned or netns in ours:
            etc.remove_all(netns)
    etc.tidy()
    rundir.remove()
    return len(ours), strangers, lingering


def _unstitch(underlay: str, ours: Collection[str]) -> None:
    """The end of the cut goes first: the kernel frees a namespace late, and would refuse the VNI to the next ``up``."""
    from netlab.kernel.rtnetlink.link import delete, links
    from netlab.kernel.rtnetlink.socket import NetlinkSocket

    if underlay not in ours:
        return
    with ns.inside(underlay):
        sock = NetlinkSocket()
    sock.batch([delete(raw.name, number) for number, raw in links(sock).items() if raw.name == "stitch0"])
    sock.close()


def _detach(rundir: RunDir, say: Say) -> None:
    """DEL of a lab's CNI plugins: they may keep something elsewhere.  Whatever they do, the lab goes."""
    from netlab.errors import NetlabError
    from netlab.runtime.cni.attach import detach_all

    try:
        detach_all(rundir, say)
    except (NetlabError, OSError) as error:
        say(f"no CNI plugin was asked to remove the Pods: {error}")
