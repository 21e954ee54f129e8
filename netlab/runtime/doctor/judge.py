"""The judgement, pure: findings of a host and needs of labs in, the document out."""

from __future__ import annotations

import errno
import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from netlab.output.doctor import Doctor, HostCheck, LabCheck, Mend, VerbCheck
from netlab.runtime.doctor.host import PROGRAMS, Facts
from netlab.runtime.doctor.modules import Where
from netlab.runtime.doctor.needs import FOLDERS, NAMESPACES, ROOM, VERBS, LabNeeds
from netlab.runtime.doctor.probes import NFT, PROBES, RULES, Probe
from netlab.runtime.doctor.trial import Finding
from netlab.runtime.host import remedies
from netlab.tuples import NamedTuple

_SYSTEM, _LIMITS, _TOOLS = "system", "limits", "programs"
#: Checks whose failure needs no remedy -> what it means.
_OPTIONAL = {
    "vrf": "no lab needs it",
    "SCTP": "netlab answers SCTP by raw packets",
    "drop events": "trace finds the same causes by its other sources",
}
_PROGRAM_ROWS = (NFT, "libnftables")
_WRITABLE = "start the container without --read-only (Kubernetes: readOnlyRootFilesystem)"
_THRESHOLD = "net.ipv4.neigh.default.gc_thresh3"


class World(NamedTuple):
    """Whether a process makes the namespaces of labs: as root, and without; ``message`` and ``remedy`` where it does not."""

    finding: Finding
    message: str = ""
    remedy: str = ""


class Found(NamedTuple):
    """All that was found: ``findings`` by name of probe, ``places`` of the modules of probes that were not tried."""

    facts: Facts
    privilege: str
    root: World
    rootless: World
    findings: Mapping[str, Finding]
    places: Mapping[str, tuple[Where, str]]
    br_netfilter: Where = Where.UNKNOWN


def judge(found: Found, labs: Mapping[str, LabNeeds], version: str) -> Doctor:
    """The document."""
    checks = [*_system(found), *(_probed(probe, found) for probe in PROBES if probe.name != "neighbour table")]
    checks += _limits(found, labs.values())
    checks += _programs(found.facts)
    works = {check.name: check.works for check in checks} | {NAMESPACES: found.privilege != "none"}
    verdicts = tuple(_lab(name, needs, works) for name, needs in labs.items())
    verbs = tuple(
        VerbCheck(verbs=need.verbs, runs=_all(need.checks, works), detail=_detail(need.checks, need.better, works))
        for need in VERBS
    )
    able = any(verdict.runs is not False for verdict in verdicts) if verdicts else verbs[1].runs is not False
    room = found.facts.room
    limit = min(room, key=lambda name: room[name], default="")
    return Doctor(
        ok=able,
        privilege=found.privilege if found.privilege in ("root", "rootless") else "none",  # type: ignore[arg-type]
        netlab=version,
        system=found.facts.system.title,
        kernel=found.facts.system.release,
        machine=found.facts.system.machine,
        python=found.facts.python,
        pods=room.get(limit),
        limit=limit,
        checks=tuple(checks),
        labs=verdicts,
        verbs=verbs,
        mend=_mend(checks, found.facts),
    )


def _all(names: Iterable[str], works: Mapping[str, bool | None]) -> bool | None:
    """Whether all of the checks work; None where one was not tried and the others do."""
    values = [works.get(name, True) for name in names]
    return False if False in values else None if None in values else True


def _lab(name: str, needs: LabNeeds, works: Mapping[str, bool | None]) -> LabCheck:
    values = {check: works.get(check, True) for check in needs.checks} | {ROOM: not needs.shortage}
    for group in needs.one_of:
        either = [works.get(check, True) for check in group]
        values[" or ".join(group)] = True if True in either else None if None in either else False
    runs = False if False in values.values() else None if None in values.values() else True
    # What was not tried is of no matter where something else is missing.
    return LabCheck(
        lab=name,
        runs=runs,
        lacks=tuple(check for check, value in values.items() if value is not True and value is runs),
    )


def _detail(names: Sequence[str], better: Mapping[str, str], works: Mapping[str, bool | None]) -> str:
    runs = _all(names, works)
    if runs is not True:
        return f"without {', '.join(name for name in names if works.get(name, True) is runs)}"
    return "; ".join(text for name, text in better.items() if works.get(name) is False)


def _system(found: Found) -> list[HostCheck]:
    facts = found.facts
    rows = [_row("as root", found.root), _row("without root", found.rootless)]
    if facts.inside:
        rows.append(_note("user namespace", "this process is in one: its root is not root of the machine"))
    if facts.system.container:
        rows.append(
            _note(
                "container", f"its privileges: {', '.join(facts.capable) or 'neither CAP_NET_ADMIN nor CAP_SYS_ADMIN'}"
            )
        )
    if facts.system.is_wsl:
        rows.append(_note("WSL", "a kernel of Microsoft's; it may lack modules that the rows below name"))
    if facts.apparmor:
        rows.append(_note("AppArmor", "enabled; it restricts user namespaces" if facts.restricts else "enabled"))
    if facts.docker:
        rows.append(
            _note("Docker", "its rules and its FORWARD policy stay in the host's namespace; labs have their own")
        )
    if found.privilege == "root" and facts.folders:
        names = " and ".join(facts.folders)
        rows.append(
            HostCheck(
                group=_SYSTEM,
                name=FOLDERS,
                works=False,
                detail=f"{names} cannot be written; up writes to /run and /etc/netns",
                remedy=_WRITABLE if facts.system.container else f"sudo mount -o remount,rw {facts.folders[0]}",
            )
        )
    return rows


def _row(name: str, world: World) -> HostCheck:
    detail = "" if world.finding.works else world.message or world.finding.detail
    return HostCheck(group=_SYSTEM, name=name, works=world.finding.works, detail=detail, remedy=world.remedy)


def _note(name: str, detail: str) -> HostCheck:
    return HostCheck(group=_SYSTEM, name=name, works=True, detail=detail)


def _privileged(facts: Facts) -> str:
    return "docker run --privileged ... (or your container engine's word for it)" if facts.system.container else ""


def _probed(probe: Probe, found: Found) -> HostCheck:
    where, module = found.places.get(probe.name, (Where.IN_KERNEL, ""))
    finding = found.findings.get(probe.name)
    if finding is None and probe.name == NFT:
        finding = Finding(NFT in found.facts.programs, "" if NFT in found.facts.programs else "missing", errno.ENOENT)
    if probe.group == RULES and probe.name not in (*_PROGRAM_ROWS, "br_netfilter") and _lacks_nft(found):
        remedy = remedies.install([NFT], found.facts.system)
        detail = "neither nft nor libnftables is here"
        return HostCheck(group=probe.group, name=probe.name, works=False, detail=detail, remedy=remedy)
    if where in (Where.IN_A_FILE, Where.UNKNOWN) and finding is None:
        works = True if where is Where.IN_A_FILE else None
        remedy = "" if works else f"netlab doctor --load (the kernel may load {module})"
        return HostCheck(
            group=probe.group, name=probe.name, works=works, detail=f"module {module}: {where.value}", remedy=remedy
        )
    if finding is None:
        return HostCheck(group=probe.group, name=probe.name, works=None, detail="not tried: no namespaces can be made")
    if finding.works:
        return HostCheck(group=probe.group, name=probe.name, works=True, detail=finding.detail)
    detail = re.sub(r"^.*Error: (Could not process rule: )?", "", finding.detail)
    if where is Where.NOWHERE:
        detail = f"{detail}: {where.value} ({module})"
    if probe.name in _OPTIONAL:
        detail += f"; {_OPTIONAL[probe.name]}"
    remedy = "" if finding.works is None or probe.name in _OPTIONAL else _remedy(probe, finding, found)
    return HostCheck(group=probe.group, name=probe.name, works=finding.works, detail=detail, remedy=remedy)


def _lacks_nft(found: Found) -> bool:
    """Whether nothing here can make rules."""
    library = found.findings.get("libnftables")
    return not found.facts.nft and library is not None and library.works is False


def _remedy(probe: Probe, finding: Finding, found: Found) -> str:
    system = found.facts.system
    if probe.name == "br_netfilter":
        if found.br_netfilter is Where.NOWHERE:
            return remedies.kernel("br_netfilter", system)
        return remedies.load("br_netfilter", system)
    if probe.name in _PROGRAM_ROWS:
        return remedies.install([probe.name], system)
    if finding.code in (errno.EROFS, errno.EPERM, errno.EACCES):
        if probe.name == "sysctls":
            return _privileged(found.facts) or "sudo mount -o remount,rw /proc/sys"
        return ""
    return remedies.kernel(probe.modules[0], system) if probe.modules else ""


def _limits(found: Found, labs: Collection[LabNeeds]) -> Iterable[HostCheck]:
    by_size = sorted(labs, key=lambda lab: lab.namespaces)
    largest = by_size[-1].namespaces if by_size else 0
    shortage = next((lab.shortage for lab in reversed(by_size) if lab.shortage), "")
    room = found.facts.room
    enough = not shortage and room.get("processes", largest) >= largest  # `up` itself counts no processes
    if room:
        limit = min(room, key=lambda name: room[name])
        others = ", ".join(f"{name} for {number:,}" for name, number in room.items() if name != limit)
        detail = f"about {room[limit]:,} Pods, by {limit}" + (f" ({others})" if others else "")
        yield HostCheck(group=_LIMITS, name=ROOM, works=enough, detail=detail, remedy=shortage)
    finding = found.findings.get("neighbour table")
    if finding is not None and finding.works:
        entries, most = max((lab.neighbours for lab in labs), default=0), int(finding.detail)
        detail = f"{most:,} learned entries for the whole machine; the labs need up to {entries:,}"
        remedy = f"sudo sysctl -w {_THRESHOLD}={max(8192, 2 * entries)}" if entries > most else ""
        yield HostCheck(group=_LIMITS, name="neighbour table", works=entries <= most, detail=detail, remedy=remedy)


def _programs(facts: Facts) -> Iterable[HostCheck]:
    for name, use in PROGRAMS.items():
        if name not in _PROGRAM_ROWS:
            there = name in facts.programs
            remedy = "" if there else remedies.install([name], facts.system)
            yield HostCheck(
                group=_TOOLS, name=name, works=there, detail="" if there else f"missing: {use}", remedy=remedy
            )


def _mend(checks: Iterable[HostCheck], facts: Facts) -> tuple[Mend, ...]:
    """The lines to type: what a package manager installs is one line."""
    by_command: dict[str, list[str]] = {}
    install: list[str] = []
    for check in checks:
        if check.works is True or not check.remedy:
            continue
        if check.group == _TOOLS or check.name in _PROGRAM_ROWS:
            install.append(check.name)
        else:
            by_command.setdefault(check.remedy, []).append(check.name)
    if install:
        by_command[remedies.install(install, facts.system)] = install
    return tuple(Mend(command=command, checks=tuple(names)) for command, names in by_command.items())
