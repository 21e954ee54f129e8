"""Labs that bring CNI plugins of their own: Debian's reference plugins, and bad ones, judged by packets and by the host."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netlab.errors import BadInput
from netlab.planes import ROWS
from netlab.runtime import lab as labs
from netlab.runtime.cni.plugin import FOLDERS
from netlab.runtime.state import running
from tests.conftest import ROOT
from tests.kernel.test_planes import objects, wrong
from tests.tables import part

pytestmark = pytest.mark.kernel

PLUGINS = ("bridge", "ptp", "host-local", "portmap")


def _installed(*names: str) -> bool:
    places = (*os.environ.get("CNI_PATH", "").split(":"), *FOLDERS)
    return all(any(os.access(f"{folder}/{name}", os.X_OK) for folder in places) for name in names)


reference = pytest.mark.skipif(
    not _installed(*PLUGINS),
    reason="the CNI reference plugins are missing (apt-get install containernetworking-plugins)",
)
IPAM = {"type": "host-local", "ranges": [[{"subnet": "{{podCIDR}}"}]]}
IPAM6 = {"type": "host-local", "ranges": [[{"subnet": "{{podCIDR6}}"}]]}
DUAL = {"type": "host-local", "ranges": [[{"subnet": "{{podCIDR}}"}], [{"subnet": "{{podCIDR6}}"}]]}
FAMILIES: dict[str, tuple[list[str], dict[str, Any]]] = {
    "ipv4": (["IPv4"], IPAM),
    "ipv6": (["IPv6"], IPAM6),
    "dual": (["IPv4", "IPv6"], DUAL),
}


def bridge(ipam: dict[str, Any]) -> dict[str, Any]:
    return {"type": "bridge", "bridge": "cni0", "isDefaultGateway": True, "hairpinMode": True, "ipam": ipam}


def ptp(ipam: dict[str, Any]) -> dict[str, Any]:
    routes = [{"dst": "0.0.0.0/0"}] if ipam is not IPAM6 else []
    routes += [{"dst": "::/0"}] if ipam is not IPAM else []
    return {"type": "ptp", "ipam": {**ipam, "routes": routes}}


def folder(at: Path, text: str, *plugins: dict[str, Any], reach: str = "host-gw", version: str = "1.0.0") -> Path:
    """A lab's folder: the text's Lab with these plugins."""
    head, _, rest = text.partition("\n---\n")
    lab = json.loads(head)
    lab["spec"]["dataplane"] = {"cni": "cni", "reach": reach}
    (at / "cni" / "bin").mkdir(parents=True, exist_ok=True)
    (at / "lab.yaml").write_text(f"{json.dumps(lab)}\n---\n{rest}")
    conflist = {"cniVersion": version, "name": "net", "plugins": plugins}
    (at / "cni" / "10-net.conflist").write_text(json.dumps(conflist))
    for path in (at, *at.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return at


def script(at: Path, name: str, body: str) -> None:
    """A plugin in shell."""
    path = at / "cni" / "bin" / name
    path.write_text(f"#!/bin/sh\n{textwrap.dedent(body)}")
    path.chmod(0o755)


@reference
@pytest.mark.parametrize("reach", ["host-gw", "vxlan"])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("plugin", [bridge, ptp])
def test_the_oracle_knows_what_reference_plugins_carry(
    netlab: Callable[..., Any], kit: Any, lab: str, tmp_path: Path, plugin: Any, family: str, reach: str
) -> None:
    """Policies, Services, node ports and hostPorts of netlab's on top of Pods that the plugins attached."""
    families, ipam = FAMILIES[family]
    netlab("up", str(folder(tmp_path, objects(lab, "vxlan", families), plugin(ipam), reach=reach)))
    found = wrong(running.load_cluster(lab))
    assert not found, "\n".join(found)
    assert netlab("diff", lab).stdout == f"lab {lab}: no drift\n"
    netlab("down", lab)
    assert not kit.remains(lab)
    assert not os.path.exists("/var/lib/cni/networks/net")


@reference
def test_pods_come_and_go_and_what_the_plugin_made_is_the_labs(
    netlab: Callable[..., Any], kit: Any, lab: str, tmp_path: Path
) -> None:
    """DEL frees the address; a link that somebody removed is drift of the plugin's, and `up` makes it again."""
    at = folder(tmp_path, kit.spec(lab), bridge(IPAM))
    netlab("up", at)
    pods = json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "more"},
                       "spec": {"nodeName": "node-1", "containers": [{"name": "c", "image": "x"}]}})  # fmt: skip
    leases = Path(f"/run/netlab/{lab}/cni/node-1/var-lib-cni")
    leases = next(path for path in Path(f"/run/netlab/{lab}/cni/node-1").rglob("net") if path.parent.name == "networks")
    (tmp_path / "more.json").write_text(pods)
    netlab("apply", "-f", tmp_path / "more.json", "--lab", lab)
    assert kit.ping(f"{lab}-more", "10.244.2.2")
    assert sorted(each.name for each in leases.glob("10.*")) == ["10.244.1.2", "10.244.1.3"]
    netlab("delete", "pod", "more", "--lab", lab)
    assert [each.name for each in leases.glob("10.*")] == ["10.244.1.2"]
    assert netlab("diff", lab).stdout == f"lab {lab}: no drift\n"
    kit.sh(f"ip -n {lab}-client link del eth0")
    drift = netlab("diff", lab, check=1).stdout
    assert "missing: veth veth" in drift
    assert "CNI plugin bridge, for Pod default/client" in drift
    netlab("up", at)
    assert kit.ping(f"{lab}-client", "10.244.2.2")
    assert netlab("diff", lab).stdout == f"lab {lab}: no drift\n"
    netlab("down", lab)
    assert not kit.remains(lab)


@reference
def test_a_chain_with_portmap_gets_the_host_ports_and_netlab_makes_none(
    netlab: Callable[..., Any], kit: Any, lab: str, tmp_path: Path
) -> None:
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}
    text = objects(lab, "vxlan", ["IPv4"])
    at = folder(tmp_path, text, bridge(IPAM), portmap)
    netlab("up", at)
    assert "cni_hostport" not in kit.sh(f"ip netns exec {lab}-node-1 nft list tables")
    differing = wrong(running.load_cluster(lab))
    assert not differing, "\n".join(differing)
    traced = netlab("trace", "internet", "172.18.0.2:8080", "--compare", "--lab", lab, check=1).stdout
    assert "of CNI plugins bridge and portmap" in " ".join(traced.split())
    assert traced.endswith("as predicted: denied\n")
    found = netlab("diagnose", lab, check=1).stdout  # the node port is of the policy Local
    assert re.search(r"1 cause; 0 of \d+ probed flows broken", found)  # those to names by the DNS server among them
    assert "foreign" not in found
    listing = netlab("diff", lab)
    assert listing.stdout == f"lab {lab}: no drift\n"
    netlab("down", lab)
    assert not kit.remains(lab)


LOG = """
    config=$(cat)
    printf '%s %s %s %s\\n' "$CNI_COMMAND" "$CNI_NETNS" "$CNI_IFNAME" "$config" >> /tmp/log
"""
RESULT = '{"cniVersion": "1.1.0", "interfaces": [{"name": "eth0", "sandbox": "x"}], "ips": [{"address": "%s"}]}'
WIRE = """
    [ "$CNI_COMMAND" = ADD ] || exit 0
    name=${CNI_NETNS##*/}
    ip link add v$$ type veth peer name eth0 netns $name
    ip link set v$$ up
    ip -n $name link set eth0 up
"""


def test_a_plugin_of_version_1_1_is_asked_all_that_the_specification_has(
    netlab: Callable[..., Any], kit: Any, lab: str, tmp_path: Path
) -> None:
    mine = {"type": "mine", "capabilities": {"ipRanges": True, "mac": True}, "key": "{{podCIDR}}"}
    at = folder(tmp_path, kit.spec(lab, [("client", "node-1")]), mine, version="1.1.0")
    script(at, "mine", LOG + WIRE + f"""
        ip -n $name addr add 10.244.1.9/24 dev eth0
        echo '{RESULT % "10.244.1.9/24"}'
    """)  # fmt: skip
    netlab("up", at)
    assert "10.244.1.9" in netlab("get", "pods", "-o", "wide", "--lab", lab).stdout
    log = Path(f"/run/netlab/{lab}/cni/node-1/tmp/log")
    calls = [line.split(" ", 3) for line in log.read_text().splitlines()]
    assert [call[0] for call in calls] == ["STATUS", "ADD", "GC", "STATUS", "GC"][:3]
    status, add, collect = (json.loads(call[3]) for call in calls)
    assert add["runtimeConfig"]["ipRanges"] == [[{"subnet": "10.244.1.0/24"}]]
    assert add["key"] == "10.244.1.0/24"
    assert "capabilities" not in add
    assert "runtimeConfig" not in status
    assert calls[1][1:3] == [f"/run/netns/{lab}-client", "eth0"]
    (valid,) = collect["cni.dev/valid-attachments"]
    assert valid["ifname"] == "eth0"
    assert len(valid["containerID"]) == 64
    netlab("up", at)
    calls = [line.split(" ", 3) for line in log.read_text().splitlines()]
    assert [call[0] for call in calls[3:]] == ["CHECK", "GC"]
    assert json.loads(calls[3][3])["prevResult"]["ips"] == [{"address": "10.244.1.9/24"}]
    assert not Path("/tmp/log").exists()
    netlab("down", lab)
    assert not kit.remains(lab)


BAD = {
    "an error of the specification": (
        'echo \'{"cniVersion": "1.0.0", "code": 11, "msg": "no more addresses", "details": "try later"}\'; exit 1',
        "the CNI plugin mine failed at ADD for Pod default/client on node node-1: no more addresses: try later (code 11)",
    ),
    "a status alone": ("echo cannot find my socket >&2; exit 3", "exit status 3: cannot find my socket"),
    "a signal": ("kill -SEGV $$", "signal SIGSEGV"),
    "rubbish": ("echo Segmentation fault", "it printed no JSON (exit status 0): Segmentation fault"),
    "a list": ("echo '[]'", "its result is no JSON object: []"),
    "no time": ("sleep 100", "it did not end in 1 s, and was killed"),
    "a child that holds the pipe": ("setsid sleep 100 & setsid sleep 100", "it did not end in 1 s, and was killed"),
    "an address of another node": (
        f"echo '{RESULT % '10.244.2.7/24'}'",
        "gave Pod default/client the address 10.244.2.7",
    ),
    "an address that is none": (f"echo '{RESULT % 'ten'}'", "returned no result of the specification"),
    "an address that the Pod has not": (
        WIRE + f"case $name in *client) echo '{RESULT % '10.244.1.7/24'}';; *) echo '{RESULT % '10.244.2.7/24'}'; esac",
        "returned 10.244.1.7/24 for Pod default/client, and its eth0 has none: the result is wrong",
    ),
    "a route that is none": (
        "echo '" + json.dumps({"cniVersion": "1.0.0", "ips": [], "routes": [{"dst": "everywhere"}]}) + "'",
        "returned no result of the specification",
    ),
    "no address": (WIRE + "echo '{}'", "gave Pod default/client no IPv4 address"),
    "things left behind": (
        "sleep 1000 & ip link add left type bridge; echo x > /run/left; echo x > /tmp/left; mkdir -p /var/lib/cni/left; exit 1",
        "exit status 1",
    ),
    "writes to the host": ("echo x > /etc/left || exit 4; exit 5", "exit status 4"),
}


@pytest.mark.parametrize("sort", BAD)
def test_of_a_bad_plugin_its_words_are_told_and_nothing_is_left(
    netlab: Callable[..., Any], kit: Any, lab: str, tmp_path: Path, sort: str
) -> None:
    body, words = BAD[sort]
    at = folder(tmp_path, kit.spec(lab), {"type": "mine"})
    script(at, "mine", f'[ "$CNI_COMMAND" = ADD ] || exit 0\n{textwrap.dedent(body)}')
    began = time.monotonic()
    result = netlab("up", at, check=4, env={"NETLAB_CNI_TIMEOUT": "1"})
    assert words in result.stderr
    assert (
        f"{at}/cni/bin/mine" in result.stderr
        or "node node-1's Pods" in result.stderr
        or "Pod default/client" in result.stderr
    )
    assert time.monotonic() - began < 60
    assert not kit.remains(lab)
    left = [f"/{folder}/left" for folder in ("run", "tmp", "etc", "var/lib/cni")]
    assert not [path for path in left if os.path.exists(path)]
    assert f"CNI_NETNS=/run/netns/{lab}-" not in kit.sh("cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'")


def test_a_route_that_a_plugin_returned_and_did_not_make_is_told(
    netlab: Callable[..., Any], kit: Any, lab: str, tmp_path: Path
) -> None:
    at = folder(tmp_path, kit.spec(lab, [("client", "node-1")]), {"type": "mine"})
    result = {"cniVersion": "1.0.0", "ips": [{"address": "10.244.1.9/24"}],
              "routes": [{"dst": "0.0.0.0/0", "gw": "10.244.1.1"}, {"dst": "10.244.1.0/24"}]}  # fmt: skip
    script(at, "mine", '[ "$CNI_COMMAND" = ADD ] || exit 0\n' + WIRE + f"""
        ip -n $name addr add 10.244.1.9/24 dev eth0
        echo '{json.dumps(result)}'
    """)  # fmt: skip
    told = netlab("up", at).stderr
    assert "the CNI plugin mine returned the route 0.0.0.0/0 for Pod default/client, and the Pod has none" in told
    assert "10.244.1.0/24" not in told


def test_a_killed_up_takes_the_plugin_and_its_children_along(kit: Any, lab: str, tmp_path: Path) -> None:
    at = folder(tmp_path, kit.spec(lab), {"type": "mine"})
    script(at, "mine", f'[ "$CNI_COMMAND" = ADD ] || exit 0\nNETLAB_LEFT={lab} setsid sleep 1000 &\nsleep 1000')

    def is_running() -> bool:
        return f"NETLAB_LEFT={lab}" in kit.sh("cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'")

    up = subprocess.Popen([sys.executable, "-m", "netlab", "up", str(at)], cwd=ROOT, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not is_running() and time.monotonic() < until:
        time.sleep(0.05)
    assert is_running()
    up.kill()
    up.wait()
    while is_running() and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_running()
    labs.down(lab)
    assert not kit.remains(lab)


def test_a_plugin_that_fails_at_del_is_told_of_and_the_lab_goes_all_the_same(
    netlab: Callable[..., Any], kit: Any, lab: str, tmp_path: Path
) -> None:
    at = folder(tmp_path, kit.spec(lab, [("client", "node-1")]), {"type": "mine"})
    script(at, "mine", 'if [ "$CNI_COMMAND" = DEL ]; then echo no such container >&2; exit 7; fi' + WIRE + f"""
        ip -n $name addr add 10.244.1.9/24 dev eth0
        echo '{RESULT % "10.244.1.9/24"}'
    """)  # fmt: skip
    netlab("up", at)
    told = netlab("down", lab).stderr
    assert (
        "the CNI plugin mine failed at DEL for Pod default/client on node node-1: exit status 7: no such container"
        in told
    )
    assert not kit.remains(lab)


def test_programs_of_a_lab_run_from_its_own_folder_alone(
    netlab: Callable[..., Any], kit: Any, lab: str, tmp_path: Path
) -> None:
    """Not from standard input, under `netlab test`, by `plan`, or of files that others may change; exit status 2."""
    at = folder(tmp_path, kit.spec(lab), {"type": "mine"})
    script(at, "mine", "touch /tmp/ran; exit 1")
    text = (at / "lab.yaml").read_text().replace('"cni": "cni"', f'"cni": "{at}/cni"')
    refused = netlab("up", "-f", "-", input=text, check=2).stderr
    assert "<stdin>:1:" in refused
    assert "spec.dataplane.cni: a Lab from standard input may not name programs" in refused
    assert "spec.dataplane.cni: netlab runs the programs" in netlab("test", at, check=2).stderr
    netlab("plan", at)
    (at / "cni" / "bin" / "mine").chmod(0o777)
    assert f"{at}/cni/bin/mine can be changed by every user" in netlab("up", at, check=2).stderr
    assert not kit.remains(lab)


def test_a_plugin_that_is_missing_is_named_with_where_it_was_looked_for(
    netlab: Callable[..., Any], kit: Any, lab: str, tmp_path: Path
) -> None:
    at = folder(tmp_path, kit.spec(lab), {"type": "nowhere"})
    told = netlab("up", at, check=4).stderr
    assert f"{at}/cni/10-net.conflist names the CNI plugin nowhere, which is not in {at}/cni/bin" in told
    assert not kit.remains(lab)


def test_the_api_runs_no_plugin(netlab: Callable[..., Any], kit: Any, lab: str, tmp_path: Path) -> None:
    """A Pod that a client makes is refused, and the lab stays as it is."""
    at = folder(tmp_path, kit.spec(lab, [("client", "node-1")]), {"type": "mine"})
    script(at, "mine", WIRE + f"""
        ip -n $name addr add 10.244.1.9/24 dev eth0
        echo '{RESULT % "10.244.1.9/24"}'
    """)  # fmt: skip
    netlab("up", at)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "more"},
           "spec": {"nodeName": "node-1", "containers": [{"name": "c", "image": "x"}]}}  # fmt: skip
    with pytest.raises(
        BadInput, match=r"spec\.dataplane\.cni: a change that is not by netlab up, apply, delete or label"
    ):
        labs.change(lab, add=[("more.json", json.dumps(pod))])
    assert "more" not in netlab("get", "pods", "--lab", lab).stdout
    assert netlab("diff", lab).stdout == f"lab {lab}: no drift\n"


@reference
def test_an_address_that_a_document_states_is_asked_for_by_the_capability(
    netlab: Callable[..., Any], kit: Any, lab: str, tmp_path: Path
) -> None:
    text = kit.spec(lab, [("client", "node-1")])
    text = text.replace('"spec": {"nodeName"', '"status": {"podIP": "10.244.1.77"}, "spec": {"nodeName"')
    told = netlab("up", folder(tmp_path, text, bridge(IPAM)), check=4).stderr
    assert (
        "Pod default/client is to have 10.244.1.77 (status.podIP), and the CNI plugin bridge gave it 10.244.1.2/24"
        in told
    )
    assert '"capabilities": {"ips": true}' in told
    netlab("up", folder(tmp_path, text, {**bridge(IPAM), "capabilities": {"ips": True}}))
    assert "inet 10.244.1.77/24" in kit.sh(f"ip -n {lab}-client addr")


LABS = {
    path.parent.name: match[1]
    for path in sorted((Path(__file__).parents[2] / "labs").glob("*/lab.yaml"))
    if (match := re.search(r"^ *dataplane: *([-a-z]+)", path.read_text(), re.MULTILINE))
}


@reference
@pytest.mark.parametrize("name", part(LABS, lambda name: LABS[name]))
def test_the_labs_with_the_reference_plugins_do_what_their_pages_say(
    netlab: Callable[..., Any], lab: str, tmp_path: Path, name: str
) -> None:
    """Each lab that ships, with its data plane taken out: the row of the table in docs/cni.md is what is found."""
    row = ROWS[LABS[name]]
    reach = "vxlan" if row.encapsulates else "host-gw" if row.crosses_nodes else "none"
    found = []
    for plugin in (bridge, ptp):
        at = tmp_path / plugin.__name__
        shutil.copytree(Path(__file__).parents[2] / "labs" / name, at)
        text = (at / "lab.yaml").read_text()
        ipam = FAMILIES["dual" if "IPv6" in text else "ipv4"][1]
        kind = {**plugin(ipam), "mtu": "{{mtu}}", "capabilities": {"ips": True}}
        (at / "cni").mkdir()
        text = re.sub(
            r"^( *)dataplane:.*", rf"\1dataplane: {{cni: cni, reach: {reach}}}", text, count=1, flags=re.MULTILINE
        )
        (at / "lab.yaml").write_text(text)
        conflist = json.dumps({"cniVersion": "1.0.0", "name": "net", "plugins": [kind]})
        (at / "cni" / "net.conflist").write_text(conflist.replace('"{{mtu}}"', "{{mtu}}"))
        netlab("up", at, "--name", lab)
        checked = netlab("check", lab, "--expect", at / "expect.yaml").stdout
        found.append(re.search(r"(\d+ of \d+) flows as they should be", checked)[1])  # type: ignore[index]
        assert netlab("diff", lab).stdout == f"lab {lab}: no drift\n"
        netlab("down", lab)
    page = (Path(__file__).parents[2] / "docs" / "cni.md").read_text()
    assert f"| {name} | `{LABS[name]}` | `{reach}` | {' | '.join(found)} |" in page


def test_an_apply_whose_add_fails_leaves_the_lab_as_it_was(
    netlab: Callable[..., Any], kit: Any, lab: str, tmp_path: Path
) -> None:
    at = folder(tmp_path, kit.spec(lab, [("client", "node-1")]), {"type": "mine"})
    script(at, "mine", "case $CNI_NETNS in *more) echo full >&2; exit 9; esac\n" + WIRE + f"""
        ip -n $name addr add 10.244.1.9/24 dev eth0
        echo '{RESULT % "10.244.1.9/24"}'
    """)  # fmt: skip
    netlab("up", at)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "more"},
           "spec": {"nodeName": "node-1", "containers": [{"name": "c", "image": "x"}]}}  # fmt: skip
    (tmp_path / "more.json").write_text(json.dumps(pod))
    assert "exit status 9: full" in netlab("apply", "-f", tmp_path / "more.json", "--lab", lab, check=4).stderr
    assert "more" not in netlab("get", "pods", "--lab", lab).stdout
    assert netlab("diff", lab).stdout == f"lab {lab}: no drift\n"
    assert f"{lab}-more" not in kit.sh("ip netns list")


def test_down_asks_a_plugin_that_hangs_once(netlab: Callable[..., Any], kit: Any, lab: str, tmp_path: Path) -> None:
    at = folder(tmp_path, kit.spec(lab), {"type": "mine"})
    script(at, "mine", '[ "$CNI_COMMAND" = DEL ] && sleep 100\n' + WIRE + """
        case $name in *client) address=10.244.1.9;; *) address=10.244.2.9; esac
        ip -n $name addr add $address/24 dev eth0
        echo '{"cniVersion": "1.0.0", "ips": [{"address": "'$address'/24"}]}'
    """)  # fmt: skip
    netlab("up", at)
    told = netlab("down", lab, env={"NETLAB_CNI_TIMEOUT": "0.5"}).stderr
    assert told.count("it did not end in 0.5 s, and was killed") == 1
    assert "netlab asks no plugin to remove the other 1 Pods" in told
    assert not kit.remains(lab)
