"""The judgement of ``netlab doctor`` on made-up hosts: each lack is a row, with its remedy, its labs and its verbs."""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping
from typing import Any

import pytest

from netlab.cli.helptext import VERBS
from netlab.cli.verbs.doctor import show
from netlab.output.doctor import Doctor, HostCheck
from netlab.runtime.doctor import needs
from netlab.runtime.doctor.host import PRIVILEGES, PROGRAMS, Facts
from netlab.runtime.doctor.judge import Found, World, judge
from netlab.runtime.doctor.modules import Where
from netlab.runtime.doctor.needs import LabNeeds
from netlab.runtime.doctor.probes import PROBES
from netlab.runtime.doctor.trial import Finding
from netlab.runtime.host.remedies import System

DEBIAN = System(("debian",), "x86_64", "6.12.9-amd64", title="Debian GNU/Linux 13 (trixie)")
UBUNTU = System(("ubuntu", "debian"), "x86_64", "6.8.0-31-generic")
WORKS = World(Finding(True))
LABS = {
    "overlay": LabNeeds((*needs.ALWAYS, "veth", "bridge", "vxlan"), namespaces=4, neighbours=4),
    "geneve": LabNeeds((*needs.ALWAYS, "veth", "bridge", "geneve"), namespaces=4, neighbours=4),
    "policy": LabNeeds(
        (*needs.ALWAYS, "veth", "bridge", "vxlan", "connection tracking", "br_netfilter"), namespaces=5, neighbours=8
    ),
    "dns": LabNeeds((*needs.ALWAYS, "veth", "bridge", "vxlan", "knotd", "knotc"), namespaces=7, neighbours=9),
    "slow": LabNeeds((*needs.ALWAYS, "veth", "bridge"), one_of=(("netem",), ("netem", "tbf")), namespaces=4),
}


def facts(system: System = DEBIAN, **changes: Any) -> Facts:
    whole = Facts(
        system,
        python="3.13.5",
        inside=False,
        capable=tuple(PRIVILEGES),
        programs=frozenset(PROGRAMS),
        restricts=False,
        apparmor=False,
        docker=False,
        room={"memory": 5000},
    )
    return whole._replace(**changes)


def report(
    system: System = DEBIAN,
    *,
    fails: Mapping[str, Finding] | None = None,
    places: Mapping[str, tuple[Where, str]] | None = None,
    labs: Mapping[str, LabNeeds] = LABS,
    **changes: Any,
) -> Doctor:
    """The judgement of a host on which all works but ``fails``; modules in ``places`` are not tried."""
    untried = {name for name, (where, _) in (places or {}).items() if where in (Where.IN_A_FILE, Where.UNKNOWN)}
    findings = {probe.name: Finding(True) for probe in PROBES if probe.name not in untried}
    findings["neighbour table"] = Finding(True, "1024")
    findings |= fails or {}
    found = Found(facts(system), "root", WORKS, WORKS, findings, places or {})
    known = {name: changes.pop(name) for name in list(changes) if name in Found._fields}
    found = found._replace(**known)
    return judge(found._replace(facts=found.facts._replace(**changes)), labs, "0.1.0")


def check(doctor: Doctor, name: str) -> HostCheck:
    (row,) = (row for row in doctor.checks if row.name == name)
    return row


def verdicts(doctor: Doctor) -> dict[str, bool | None]:
    return {lab.lab: lab.runs for lab in doctor.labs}


def commands(doctor: Doctor) -> dict[str, tuple[str, ...]]:
    return {mend.command: mend.checks for mend in doctor.mend}


def test_a_host_that_has_all_runs_all_and_needs_no_line() -> None:
    doctor = report()
    assert doctor.ok and set(verdicts(doctor).values()) == {True}
    assert all(row.works for row in doctor.checks) and not doctor.mend
    assert all(verb.runs and not verb.detail for verb in doctor.verbs)
    assert (doctor.pods, doctor.limit) == (5000, "memory")


def test_names_of_checks_are_unique_since_labs_name_them() -> None:
    names = [row.name for row in report().checks]
    assert len(names) == len(set(names))


def test_each_verb_is_judged() -> None:
    judged = {verb.split()[0] for row in needs.VERBS for verb in row.verbs}
    assert judged == set(VERBS)


def test_what_verbs_and_labs_need_is_a_check() -> None:
    names = {row.name for row in report().checks} | {needs.NAMESPACES, needs.FOLDERS}  # rows where they fail
    assert {name for row in needs.VERBS for name in (*row.checks, *row.better)} <= names
    assert {name for lab in LABS.values() for name in (*lab.checks, *sum(lab.one_of, ()))} <= names


@pytest.mark.parametrize(
    ("system", "line"),
    [
        (DEBIAN, "sudo apt-get install linux-image-amd64, then boot that kernel"),
        (DEBIAN._replace(machine="aarch64"), "sudo apt-get install linux-image-arm64, then boot that kernel"),
        (UBUNTU, "sudo apt-get install linux-modules-extra-$(uname -r)"),
        (System(("fedora",), "x86_64", "6.14"), "sudo dnf install kernel-modules-core, then boot that kernel"),
        (System(("rocky", "rhel", "centos", "fedora"), "x86_64", "5.14"), "sudo dnf install kernel-modules, then"),
        (System(("alpine",), "x86_64", "6.12"), "sudo apk add linux-lts, then boot that kernel"),
        (System(("arch",), "x86_64", "6.14"), "sudo pacman -S linux, then boot that kernel"),
        (System(("void",), "x86_64", "6.14"), "boot a kernel that has the module geneve"),
        (DEBIAN._replace(container=True), "on the host of this container: sudo modprobe geneve"),
        (DEBIAN._replace(modular=False), "boot a kernel of a distribution: this kernel loads no modules"),
        (DEBIAN._replace(release="6.6.87.2-microsoft-standard-WSL2"), "wsl --update"),
    ],
)
def test_a_missing_kind_of_link_stops_its_labs_alone(system: System, line: str) -> None:
    refused = Finding(False, "Operation not supported", errno.EOPNOTSUPP)
    doctor = report(system, fails={"geneve": refused}, places={"geneve": (Where.NOWHERE, "geneve")})
    row = check(doctor, "geneve")
    assert row.works is False and "Operation not supported" in row.detail and "no such module (geneve)" in row.detail
    assert row.remedy.startswith(line)
    assert verdicts(doctor) == dict.fromkeys(LABS, True) | {"geneve": False}
    assert doctor.ok and row.remedy in commands(doctor)


def test_a_module_in_a_file_counts_as_there_and_is_not_tried() -> None:
    doctor = report(places={"vxlan": (Where.IN_A_FILE, "vxlan")})
    row = check(doctor, "vxlan")
    assert row.works and not row.remedy and "the kernel loads it for the first lab" in row.detail
    assert verdicts(doctor)["overlay"] is True


def test_nft_itself_would_load_a_module_and_is_looked_for_instead() -> None:
    place = {"nft": (Where.IN_A_FILE, "nfnetlink")}
    assert check(report(places=place), "nft").works is True
    row = check(report(places=place, programs=frozenset()), "nft")
    assert row.works is False and row.remedy == "sudo apt-get install nftables"


def test_what_is_not_known_is_neither_yes_nor_no() -> None:
    doctor = report(places={"vxlan": (Where.UNKNOWN, "vxlan")})
    row = check(doctor, "vxlan")
    assert row.works is None and "netlab doctor --load" in row.remedy
    assert verdicts(doctor) == {"overlay": None, "geneve": True, "policy": None, "dns": None, "slow": True}
    assert {lab.lacks for lab in doctor.labs if lab.runs is None} == {("vxlan",)}
    assert doctor.ok


@pytest.mark.parametrize(
    ("where", "line"),
    [
        (Where.IN_A_FILE, "sudo modprobe br_netfilter"),
        (Where.NOWHERE, "sudo apt-get install linux-image-amd64, then boot that kernel"),
        (Where.UNKNOWN, "sudo modprobe br_netfilter"),
    ],
)
def test_without_br_netfilter_labs_with_rules_on_a_bridge_do_not_run(where: Where, line: str) -> None:
    lacking = Finding(False, "no rule sees packets between Pods of one bridge", errno.ENOENT)
    doctor = report(fails={"br_netfilter": lacking}, br_netfilter=where)
    assert check(doctor, "br_netfilter").remedy == line
    assert [name for name, runs in verdicts(doctor).items() if not runs] == ["policy"]


@pytest.mark.parametrize("place", [Where.IN_KERNEL, Where.IN_A_FILE])
def test_without_nft_and_its_library_no_lab_runs(place: Where) -> None:
    missing = Finding(False, "No such file or directory", errno.ENOENT)
    tried = () if place is Where.IN_A_FILE else ("nft", "rules and sets")
    doctor = report(
        fails=dict.fromkeys(("libnftables", *tried), missing),
        programs=frozenset(),
        nft=False,
        places={"nft": (place, "nfnetlink"), "rules and sets": (place, "nf_tables")},
    )
    assert not doctor.ok and set(verdicts(doctor).values()) == {False}
    row = check(doctor, "rules and sets")
    assert (row.works, row.remedy) == (False, "sudo apt-get install nftables")
    assert [verb.verbs[0] for verb in doctor.verbs if verb.runs] == ["completion"]
    (line,) = (line for line in commands(doctor) if "nftables" in line and "knot" in line)
    assert line.startswith("sudo apt-get install nftables") and "bind9-dnsutils" in line


def test_one_line_installs_all_programs_by_the_distribution_s_names() -> None:
    doctor = report(System(("fedora",), "x86_64", "6.14"), programs=frozenset(PROGRAMS) - {"knotd", "knotc", "dig"})
    assert commands(doctor) == {"sudo dnf install knot bind-utils": ("knotd", "knotc", "dig")}
    assert verdicts(doctor) == dict.fromkeys(LABS, True) | {"dns": False}


def test_without_namespaces_nothing_that_needs_a_lab_runs() -> None:
    no = World(
        Finding(False, "net", errno.EPERM), "the kernel makes no network namespace", "docker run --privileged ..."
    )
    doctor = report(privilege="none", root=no, rootless=no, findings={})
    assert not doctor.ok and doctor.privilege == "none"
    row = check(doctor, "without root")
    assert row.works is False and row.detail == "the kernel makes no network namespace"
    assert "docker run --privileged ..." in commands(doctor)
    assert all(row.works is None for row in doctor.checks if row.group == "links")
    assert {lab.lacks for lab in doctor.labs} == {("namespaces",)}, "what was not tried is not missing"


def test_a_read_only_proc_sys_stops_labs_and_names_the_line() -> None:
    refused = Finding(False, "Read-only file system", errno.EROFS)
    assert check(report(fails={"sysctls": refused}), "sysctls").remedy == "sudo mount -o remount,rw /proc/sys"
    doctor = report(DEBIAN._replace(container=True), fails={"sysctls": refused})
    assert "docker run --privileged" in check(doctor, "sysctls").remedy
    assert not doctor.ok


def test_rate_alone_takes_tbf_or_netem_and_delay_takes_netem() -> None:
    refused = Finding(False, "Specified qdisc kind is unknown", errno.ENOENT)
    doctor = report(fails={"netem": refused})
    assert verdicts(doctor)["slow"] is False
    assert [verb.detail for verb in doctor.verbs if verb.verbs == ("link",)] == ["--rate and --loss alone"]
    rate = {"rate": LabNeeds(needs.ALWAYS, one_of=(("netem", "tbf"),))}
    assert verdicts(report(fails={"netem": refused}, labs=rate)) == {"rate": True}
    assert verdicts(report(fails={"netem": refused, "tbf": refused}, labs=rate)) == {"rate": False}


@pytest.mark.parametrize("name", ["SCTP", "vrf", "drop events"])
def test_what_no_lab_needs_costs_no_line(name: str) -> None:
    doctor = report(fails={name: Finding(False, "Protocol not supported", errno.EPROTONOSUPPORT)})
    assert check(doctor, name).works is False and ";" in check(doctor, name).detail
    assert not doctor.mend and set(verdicts(doctor).values()) == {True}


def test_a_probe_without_an_answer_is_a_row() -> None:
    doctor = report(fails={"vxlan": Finding(None, "no answer within 3 s")})
    assert check(doctor, "vxlan").works is None and check(doctor, "vxlan").detail == "no answer within 3 s"
    assert verdicts(doctor)["overlay"] is None


def test_the_limits_are_compared_with_the_largest_lab() -> None:
    large = {"large": LabNeeds(needs.ALWAYS, namespaces=90, neighbours=2000)}
    doctor = report(labs=large, room={"memory": 5000, "processes": 60})
    assert (doctor.pods, doctor.limit) == (60, "processes")
    assert check(doctor, "room").works is False and "memory for 5,000" in check(doctor, "room").detail
    assert check(doctor, "neighbour table").works is False
    assert check(doctor, "neighbour table").remedy == "sudo sysctl -w net.ipv4.neigh.default.gc_thresh3=8192"


def test_a_lab_without_room_does_not_run_and_the_line_is_the_largest_labs() -> None:
    labs = {
        **LABS,
        "large": LabNeeds(needs.ALWAYS, namespaces=90, shortage="ulimit -n 900"),
        "middle": LabNeeds(needs.ALWAYS, namespaces=60, shortage="ulimit -n 600"),
    }
    doctor = report(labs=labs)
    assert verdicts(doctor) == dict.fromkeys(LABS, True) | {"large": False, "middle": False}
    assert commands(doctor) == {"ulimit -n 900": ("room",)}


def test_where_up_cannot_write_no_lab_runs() -> None:
    doctor = report(folders=("/run",))
    assert not doctor.ok and set(verdicts(doctor).values()) == {False}
    assert commands(doctor) == {"sudo mount -o remount,rw /run": ("folders",)}
    container = report(DEBIAN._replace(container=True), folders=("/etc",))
    assert "without --read-only" in check(container, "folders").remedy


def test_without_overlay_mounts_labs_run_and_the_host_is_read_only_in_pods() -> None:
    refused = Finding(False, "No such device", errno.ENODEV)
    doctor = report(fails={"overlay mounts": refused}, places={"overlay mounts": (Where.NOWHERE, "overlay")})
    assert doctor.ok and set(verdicts(doctor).values()) == {True}
    (row,) = (verb for verb in doctor.verbs if verb.detail)
    assert row.verbs == ("exec", "shell") and row.runs and "read-only" in row.detail
    assert "linux-image-amd64" in check(doctor, "overlay mounts").remedy


def test_a_host_with_no_labs_is_judged_by_its_verbs() -> None:
    assert report(labs={}).ok
    assert not report(labs={}, fails={"sysctls": Finding(False, "Permission denied", errno.EACCES)}).ok


def test_the_text_says_what_runs_what_does_not_and_what_to_type(capsys: pytest.CaptureFixture[str]) -> None:
    """Labs and verbs that lack the same thing share a line; a check without an answer is no refusal."""
    lacking = Finding(False, "no rule sees packets between Pods of one bridge", errno.ENOENT)
    netem = Finding(False, "Specified qdisc kind is unknown", errno.ENOENT)
    places = {"vxlan": (Where.UNKNOWN, "vxlan"), "packet sockets": (Where.UNKNOWN, "af_packet")}
    show(report(fails={"br_netfilter": lacking, "netem": netem}, places=places, br_netfilter=Where.IN_A_FILE))
    text = capsys.readouterr().out
    assert text.startswith("netlab 0.1.0 on Debian GNU/Linux 13 (trixie), Linux 6.12.9-amd64, x86_64, Python 3.13.5\n")
    lines = text.splitlines()
    assert lines[1] == "1 of 5 labs run as root; 2 may: see ? below"
    assert re.search(r"^ +vxlan +\?  +module vxlan: ", text, re.MULTILINE)
    assert {
        "not known: labs overlay, dns (without vxlan)",
        "not here: lab policy (without br_netfilter)",
        "not here: lab slow (without netem)",
        "in part: netlab link (--rate and --loss alone)",
        "not known: netlab capture, learn, class, diagnose, trace (without packet sockets)",
        "To mend:",
        "  sudo modprobe br_netfilter    # br_netfilter",
    } <= set(lines)
