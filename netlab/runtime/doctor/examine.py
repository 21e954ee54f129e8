"""``netlab doctor`` as a whole: try, read, judge."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable

from netlab import __version__
from netlab.errors import HostCannot, NetlabError
from netlab.model import build
from netlab.objects import State
from netlab.output.doctor import Doctor
from netlab.plan import desired
from netlab.runtime.doctor import worlds
from netlab.runtime.doctor.host import PRIVILEGES, facts
from netlab.runtime.doctor.judge import Found, World, judge
from netlab.runtime.doctor.modules import Modules, Where
from netlab.runtime.doctor.needs import NAMESPACES, LabNeeds, of_lab
from netlab.runtime.doctor.probes import PROBES, Probe
from netlab.runtime.doctor.trial import BOUND, LOADING, Finding, tried
from netlab.runtime.host import capacity
from netlab.runtime.rootless.causes import Cause, Refusal
from netlab.runtime.rootless.facts import explained
from netlab.runtime.state import labs
from netlab.spec import load

_ENTERING = Probe("", NAMESPACES, lambda: "")
_LIMITED = (errno.ENOSPC, errno.EUSERS)  # a limit on namespaces is reached
#: A step of root's that fails although the process has the capabilities -> what it means.
_AS_ROOT = {
    "net": "the kernel makes no network namespace ({why})",
    "mnt": "the kernel makes no mount namespace ({why})",
    "mount": "a security module or a seccomp filter forbids mounts ({why}), by which network namespaces have names",
    "setns": "a security module or a seccomp filter forbids to enter namespaces ({why})",
}
_PRIVILEGED = "in a container: docker run --privileged ... (or your container engine's word for it)"
_TRIED_AT_ONCE = (Where.IN_KERNEL, Where.NOWHERE)


def examine(*, load_modules: bool = False) -> Doctor:
    """What this host can do.  ``load_modules``: also try what makes the kernel load a module."""
    read = facts()
    modules = Modules(read.system.release)
    places = {probe.name: modules.where(probe.modules) for probe in PROBES}
    probes = [probe for probe in PROBES if load_modules or places[probe.name][0] in _TRIED_AT_ONCE]
    bound = LOADING if load_modules else BOUND
    if len(read.capable) == len(PRIVILEGES):
        root, findings = _enter(worlds.as_root, probes, bound)
        rootless, _ = _enter(worlds.as_nobody, [], bound)
        privilege = "none" if not findings else "rootless" if read.inside else "root"
    else:
        root = World(Finding(False), f"this process has not {' and '.join(PRIVILEGES)}")
        rootless, findings = _enter(worlds.as_user, probes, bound)
        privilege = "rootless" if findings else "none"
    found = Found(read, privilege, root, rootless, findings, places, modules.where(("br_netfilter",))[0])
    return judge(found, _labs(), __version__)


def _enter(enter: Callable[[], None], probes: list[Probe], bound: float) -> tuple[World, dict[str, Finding]]:
    """Try the probes behind ``enter``; no findings where it fails."""
    findings = tried(enter, [_ENTERING, *probes], bound)
    entering = findings.pop(NAMESPACES)
    if entering.works:
        return World(entering), findings
    if entering.works is None:
        return World(entering, entering.detail), {}
    if enter is worlds.as_root and not (entering.detail in ("net", "mnt") and entering.code in _LIMITED):
        why = os.strerror(entering.code)
        return World(entering, _AS_ROOT.get(entering.detail, _AS_ROOT["net"]).format(why=why), _PRIVILEGED), {}
    step = entering.detail
    cause = explained(Refusal(step, entering.code))
    return World(entering, cause.message, _one_line(cause)), {}


def _one_line(cause: Cause) -> str:
    """The line that mends it until the next boot, or the first line; none with a path of this machine."""
    lines = [line for line in cause.remedy if os.path.dirname(sys.executable) not in line]
    line = next((line for line in lines if "sysctl -w" in line), lines[0] if lines else "")
    return line[line.find("sudo ") :] if "sysctl -w" in line else line


def _labs() -> dict[str, LabNeeds]:
    """The needs of each lab that there is; those that cannot be read are left out."""
    words = {probe.name: probe.words for probe in PROBES if probe.words}
    needs = {}
    for lab in labs.available():
        try:
            cluster = build(load([lab.path])).cluster
            state = desired(cluster)
        except NetlabError:
            continue
        needs[lab.name] = of_lab(cluster, state, words)._replace(shortage=_shortage(state))
    return needs


def _shortage(state: State) -> str:
    """What to do where this host has no room for a lab; empty where it has."""
    try:
        capacity.require(state)
    except HostCannot as refused:
        return refused.hint
    return ""
