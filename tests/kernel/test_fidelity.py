"""The real CNI plugins beside netlab, attribute by attribute: docs/fidelity.md is what this test finds.

``bridge`` (with host-local and loopback) as flannel calls it, and ``ptp`` as kindnet does, each in a scratch node and
Pod, against netlab's data planes flannel-vxlan and kindnet.  Every difference needs a reason, or the test fails; and the
table in the docs must be the one that is found.  ``NETLAB_WRITE_GOLDEN=1`` writes it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from netlab.kernel.linux import LinuxKernel
from netlab.objects import State
from netlab.runtime.converge import converge

pytestmark = pytest.mark.kernel

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "fidelity.md"
PLUGINS = ("bridge", "ptp", "host-local", "loopback")
FOLDERS = (os.environ.get("CNI_PATH", ""), "/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni")

REASONS = {
    "name": "from the Pod's name, so that every run gives the same; the plugin takes 8 random hex digits",
    "mac": "from the node's number and the Pod's, so that captures are the same in every run; the kernel chooses at random",
    "altnames": "a readable second name for people; the plugin gives none",
    "inet6_addr_gen_mode": "an IPv4 lab sends no IPv6 packets, so that captures show the lab alone",
    "addresses inet6": "an IPv4 lab sends no IPv6 packets, so that captures show the lab alone",
    "tcp-segmentation-offload": "off, so that captures show packets of wire size; `offload: on` in the lab's spec",
    "generic-segmentation-offload": "off, so that captures show packets of wire size; `offload: on` in the lab's spec",
    "generic-receive-offload": "off, so that captures show packets of wire size; `offload: on` in the lab's spec",
    "tx-checksumming": "off, so that captures show good checksums; `offload: on` in the lab's spec",
    "rx-checksumming": "off, so that captures show good checksums; `offload: on` in the lab's spec",
    "txqlen": "the plugin's library sets 0; without a qdisc (noqueue) the number has no effect",
    "neighbours": "permanent: all namespaces share the limit of the kernel's neighbour table, which counts learned entries",
    "arp_notify": "netlab sets the entries of the node, so no Pod has a stale one",
    "icmp_ratelimit": "the same fault gives the same error each time",
    "broadcast": "the plugin sets the broadcast address; nothing in a Pod network uses it",
    "accept_dad": "an IPv4 lab has no IPv6 addresses to check",
}
LINK = ("mtu", "qdisc", "link_type", "operstate", "txqlen", "inet6_addr_gen_mode")
BRIDGE = ("stp_state", "vlan_filtering", "mcast_snooping", "ageing_time", "forward_delay", "nf_call_iptables")
PORT = ("state", "priority", "cost", "hairpin", "guard", "root_block", "fastleave", "learning", "flood", "isolated")
FEATURES = (
    *("tcp-segmentation-offload", "generic-segmentation-offload"),
    *("generic-receive-offload", "tx-checksumming", "rx-checksumming"),
)


class Facts(NamedTuple):
    """What a Pod and its node look like: attributes by device."""

    by_device: dict[str, dict[str, str]]


class Row(NamedTuple):
    device: str
    attribute: str
    real: str
    ours: str


# -- looking ----------------------------------------------------------------------------------------------------------


def sh(line: str) -> str:
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{line}\n{done.stderr}"
    return done.stdout


def table(line: str) -> list[dict[str, Any]]:
    return [one for one in json.loads(sh(line) or "[]") if one]


def link(netns: str, name: str) -> dict[str, str]:
    """A link as attributes; what is random or this machine's own is put in words."""
    (found,) = table(f"ip -n {netns} -d -j link show {name}")
    facts = {key: str(found.get(key, "")) for key in LINK}
    facts["kind"] = found.get("linkinfo", {}).get("info_kind", "")
    facts["flags"] = ",".join(sorted(set(found["flags"]) - {"LOWER_UP"}))
    facts["mac"] = "the kernel's own, random" if not found["address"].startswith("0a:0") else "netlab's, by number"
    facts["master"] = found.get("master", "")
    facts["altnames"] = "pod-<namespace>-<name>" if found.get("altnames") else ""
    if facts["kind"] == "bridge":
        facts |= {key: str(found["linkinfo"]["info_data"].get(key, "")) for key in BRIDGE}
        facts["mac"] += (
            ", set" if sh(f"ip netns exec {netns} cat /sys/class/net/{name}/addr_assign_type") == "3\n" else ""
        )
    said = sh(f"ip netns exec {netns} ethtool -k {name}")
    for feature in FEATURES:
        match = re.search(rf"^{feature}: (\w+)", said, re.M)
        facts[feature] = match[1] if match else ""
    facts |= addresses(netns, name)
    return facts


def addresses(netns: str, name: str) -> dict[str, str]:
    (found,) = table(f"ip -n {netns} -j addr show {name}")
    v4 = [one for one in found["addr_info"] if one["family"] == "inet"]
    v6 = [one["scope"] for one in found["addr_info"] if one["family"] == "inet6"]
    return {
        "addresses": ", ".join(f"{one['local']}/{one['prefixlen']} scope {one['scope']}" for one in v4),
        "broadcast": ", ".join(one["broadcast"] for one in v4 if "broadcast" in one),
        "addresses inet6": ", ".join(f"scope {one}" for one in v6),
    }


def routes(netns: str, renamed: dict[str, str], only: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for line in sh(f"ip -n {netns} route").splitlines():
        words = [renamed.get(word, word) for word in line.split()]
        if not only or any(word in only for word in words):
            found[f"route {words[0]}"] = " ".join(words)
    return found


def neighbours(netns: str, name: str) -> str:
    return ", ".join(
        sorted(f"{one['dst']} {one['state'][0]}" for one in table(f"ip -n {netns} -j neigh show dev {name}"))
    )


def sysctls(netns: str, *names: str) -> dict[str, str]:
    return {name.rpartition(".")[2]: sh(f"ip netns exec {netns} sysctl -n {name}").strip() for name in names}


def look(pod: str, node: str) -> Facts:
    """Everything that is compared, with the veth's name as ``veth*``."""
    (eth0,) = table(f"ip -n {pod} -j link show eth0")
    index = eth0["link_index"]
    name = next(one["ifname"] for one in table(f"ip -n {node} -j link") if one["ifindex"] == index)
    renamed = {name: "veth*"}
    bridged = [one["ifname"] for one in table(f"ip -n {node} -j link show type bridge")]
    found = {
        "Pod lo": {
            "flags": ",".join(sorted(table(f"ip -n {pod} -j link show lo")[0]["flags"])),
            **addresses(pod, "lo"),
        },
        "Pod eth0": {
            **link(pod, "eth0"),
            **sysctls(pod, "net.ipv4.conf.eth0.arp_notify", "net.ipv6.conf.eth0.accept_dad", "net.ipv4.icmp_ratelimit"),
            "neighbours": neighbours(pod, "eth0"),
        },
        "Pod routes": routes(pod, renamed, ()),
        "node veth*": {
            "name": "veth + 8 hex digits" if re.fullmatch("veth[0-9a-f]{8}", name) else name,
            **link(node, name),
        },
        "node routes": routes(node, renamed, ("veth*", *bridged)),
        "node": sysctls(node, "net.ipv4.ip_forward"),
    }
    for bridge in bridged:
        (port,) = table(f"bridge -n {node} -d -j link show dev {name}")
        found["node veth* as port"] = {key: str(port.get(key, "")) for key in PORT}
        found[f"node {bridge}"] = {**link(node, bridge), "neighbours": neighbours(node, bridge)}
    return Facts(found)


# -- the two sides ----------------------------------------------------------------------------------------------------


def plugin_folder() -> str:
    for folder in FOLDERS:
        if folder and all((Path(folder) / name).exists() for name in PLUGINS):
            return folder
    pytest.skip("the CNI plugins are not installed (Debian package containernetworking-plugins)")


@pytest.fixture
def scratch(lab_name: str) -> Iterator[tuple[str, str]]:
    """An empty Pod and an empty node."""
    pod, node = f"{lab_name}-real-pod", f"{lab_name}-real-node"
    for netns in (pod, node):
        sh(f"ip netns add {netns}")
    sh(f"ip -n {node} link set lo up")
    yield pod, node
    for netns in (pod, node):
        sh(f"ip netns del {netns}")


def add(folder: str, pod: str, node: str, plugin: str, conf: dict[str, Any], ifname: str = "eth0") -> None:
    """What a container runtime does: CNI_COMMAND=ADD, in the node's namespace."""
    env = {
        **os.environ,
        "CNI_COMMAND": "ADD",
        "CNI_CONTAINERID": "0123456789abcdef",
        "CNI_NETNS": f"/run/netns/{pod}",
        "CNI_IFNAME": ifname,
        "CNI_PATH": folder,
    }
    conf = {"cniVersion": "0.4.0", "type": plugin, **conf}
    argv = ["ip", "netns", "exec", node, f"{folder}/{plugin}"]
    done = subprocess.run(argv, input=json.dumps(conf), env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def ours(kit: Any, lab: str, dataplane: str) -> Facts:
    want = kit.want(kit.spec(lab, [("client", "node-1")], dataplane=dataplane))
    with LinuxKernel() as kernel:
        try:
            converge(kernel, lab, want)
            return look(f"{lab}-client", f"{lab}-node-1")
        finally:
            converge(kernel, lab, State(), want)


def compared(real: Facts, mine: Facts) -> list[Row]:
    rows = []
    for device in real.by_device:
        left, right = real.by_device[device], mine.by_device.get(device, {})
        for attribute in dict.fromkeys((*left, *right)):
            row = Row(device, attribute, left.get(attribute, ""), right.get(attribute, ""))
            if row.real or row.ours:
                rows.append(row)
    return rows


def test_pods_look_as_the_cni_plugins_make_them(
    kit: Any, lab_name: str, scratch: tuple[str, str], tmp_path: Path
) -> None:
    folder = plugin_folder()
    pod, node = scratch
    found = {}
    cases = {
        "flannel-vxlan": (
            "bridge",
            {"bridge": "cni0", "isDefaultGateway": True, "hairpinMode": True, "mtu": 1450},
            "10.244.0.0/16",
        ),
        "kindnet": ("ptp", {"mtu": 1500}, "0.0.0.0/0"),
    }
    for dataplane, (plugin, conf, route) in cases.items():
        for netns in scratch:
            sh(f"ip netns del {netns}; ip netns add {netns}")
        sh(f"ip -n {node} link set lo up")
        ipam = {"type": "host-local", "dataDir": str(tmp_path / plugin), "subnet": "10.244.1.0/24"}
        add(folder, pod, node, "loopback", {"name": "lo"}, "lo")
        add(folder, pod, node, plugin, {"name": "net", **conf, "ipam": {**ipam, "routes": [{"dst": route}]}})
        found[dataplane] = (plugin, compared(look(pod, node), ours(kit, f"{lab_name}f", dataplane)))
    unexplained = [
        f"{dataplane}: {row.device} {row.attribute}: the plugin {row.real!r}, netlab {row.ours!r}"
        for dataplane, (_, rows) in found.items()
        for row in rows
        if row.real != row.ours and row.attribute not in REASONS
    ]
    assert not unexplained, "\n".join(unexplained)
    version = made_by(folder)
    text = page(found, version)
    if os.environ.get("NETLAB_WRITE_GOLDEN"):
        PAGE.write_text(text)
    known = PAGE.read_text()
    # Another version of the plugins may differ in a detail; that each difference has a reason was asked above.
    assert version not in known or known == text, "NETLAB_WRITE_GOLDEN=1 writes docs/fidelity.md anew"


def made_by(folder: str) -> str:
    """Which plugins these are, as far as they say: Debian builds them without a version, so the newest protocol."""
    done = subprocess.run([f"{folder}/bridge"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    found = re.findall(r"\d+\.\d+\.\d+", done.stdout + done.stderr)
    return f"CNI {found[-1]}" if found else "of an unknown version"


def page(found: dict[str, tuple[str, list[Row]]], version: str) -> str:
    lines = [
        "# Fidelity: netlab beside the real CNI plugins",
        "",
        "Made by `tests/kernel/test_fidelity.py`, which runs the CNI reference plugins (Debian's",
        f"containernetworking-plugins, {version}) in scratch namespaces beside netlab. It compares what `ip -d`, `bridge -d`,",
        "`ethtool -k` and `sysctl` then show of one Pod and its node. Every difference has a reason, or the test fails.",
    ]
    for dataplane, (plugin, rows) in found.items():
        same = sum(row.real == row.ours for row in rows)
        lines += ["", f"## {dataplane}, beside the plugin `{plugin}`", ""]
        lines += [f"{same} of {len(rows)} attributes are the same.", ""]
        lines += ["| | attribute | plugin | netlab | |", "|---|---|---|---|---|"]
        for row in rows:
            why = "same" if row.real == row.ours else REASONS[row.attribute]
            shown = [cell.replace("|", "\\|") or "-" for cell in (row.real, row.ours)]
            lines.append(f"| {row.device} | {row.attribute} | {shown[0]} | {shown[1]} | {why} |")
    return "\n".join(lines) + "\n"
