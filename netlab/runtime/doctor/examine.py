"""``netlab doctor`` as a whole: try, read, judge."""

from __future__ import annotations

import os
from collections.abc import Callable

from netlab import __version__
from netlab.errors import NetlabError
from netlab.model import build
from netlab.output.doctor import Doctor
from netlab.runtime.doctor import worlds
from netlab.runtime.doctor.host import facts
from netlab.runtime.doctor.judge import Found, World, judge
from netlab.runtime.doctor.modules import Modules, Where
from netlab.runtime.doctor.needs import NAMESPACES, LabNeeds, of_lab
from netlab.runtime.doctor.probes import PROBES, Probe
from netlab.runtime.doctor.trial import Finding, tried
from netlab.runtime.state import labs
from netlab.spec import load

_ENTERING = Probe("", NAMESPACES, lambda: "")
_TRIED_AT_ONCE = (Where.IN_KERNEL, Where.NOWHERE)


def examine(*, load_modules: bool = False) -> Doctor:
    """What this host can do.  ``load_modules``: also try what makes the kernel load a module."""
    read = facts()
    modules = Modules(read.system.release)
    places = {probe.name: modules.where(probe.modules) for probe in PROBES}
    probes = [probe for probe in PROBES if load_modules or places[probe.name][0] in _TRIED_AT_ONCE]
    root, findings = (
        _enter(worlds.as_root, probes) if read.root else (World(Finding(False), "this process is not root's"), {})
    )
    privilege = "none"
    if root.finding.works:
        privilege = "rootless" if read.inside else "root"
        rootless, _ = _enter(worlds.as_nobody, [])
    else:
        rootless, findings = _enter(worlds.as_user, probes)
        privilege = "rootless" if rootless.finding.works else "none"
    found = Found(read, privilege, root, rootless, findings, places, modules.where(("br_netfilter",))[0])
    return judge(found, _labs(), __version__)


def _enter(enter: Callable[[], None], probes: list[Probe]) -> tuple[World, dict[str, Finding]]:
    """Try the probes behind ``enter``; no findings where it fails."""
    findings = tried(enter, [_ENTERING, *probes])
    entering = findings.pop(NAMESPACES)
    if entering.works:
        return World(entering), findings
    return World(entering, f"step {entering.detail}: {os.strerror(entering.code)}"), {}


def _labs() -> dict[str, LabNeeds]:
    """The needs of each lab that there is; those that cannot be read are left out."""
    words = {probe.name: probe.words for probe in PROBES if probe.words}
    needs = {}
    for lab in labs.available():
        try:
            needs[lab.name] = of_lab(build(load([lab.path])).cluster, words)
        except NetlabError:
            continue
    return needs
