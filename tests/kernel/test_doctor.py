"""``netlab doctor`` as each kind of user, on hosts that lack something: true rows, no traceback, nothing left."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.kernel
ROOT = Path(__file__).resolve().parents[2]
NETLAB = f"env PYTHONPATH={ROOT} PYTHONDONTWRITEBYTECODE=1 {sys.executable} -m netlab"


def run(line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=120, check=False)


def doctor(before: str = "", words: str = "") -> tuple[int, dict[str, Any]]:
    """The exit status and the document, in a mount namespace after some shell lines."""
    done = run(f"unshare -m sh -ec {shlex.quote(f'{before}{NETLAB} doctor -o json {words}')}")
    assert not done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout)


def works(document: dict[str, Any]) -> dict[str, bool | None]:
    return {row["name"]: row["works"] for row in document["checks"]}


def remedy(document: dict[str, Any], name: str) -> str:
    return str(next(row.get("remedy", "") for row in document["checks"] if row["name"] == name))


def test_it_leaves_links_rules_sysctls_files_and_processes_as_they_are() -> None:
    """In namespaces of the test's own, so that nothing else changes meanwhile."""
    state = "ip -o link; nft list ruleset; sysctl -a 2>/dev/null | grep ^net; ls -R /run"
    line = f"""mount -t tmpfs none /run
state() {{ ( {state} ) >/run/.$1; }}
touch /run/.before /run/.after
state before
{NETLAB} doctor >/dev/null || exit 9
state after
sed -i /conntrack_count/d /run/.before /run/.after
cat /run/.after
n=0
while set -- /proc/[0-9]*; [ $# -gt 1 ] && [ $n -lt 300 ]; do n=$((n + 1)); sleep 0.1; done
echo $# >&2
exec cmp /run/.before /run/.after"""
    done = run(f"unshare -nmpf --mount-proc sh -c {shlex.quote(line)}")
    assert done.returncode == 0, done.stdout[-500:] + done.stderr
    assert "net.ipv4" in done.stdout and "lo" in done.stdout
    assert done.stderr.split()[-1] == "1", "a process of doctor's lives on beside the shell"


def test_as_root_the_table_is_true() -> None:
    """The kinds of links that it says there are can be made, and no others."""
    status, document = doctor()
    assert status == 0 and document["ok"] and document["privilege"] in ("root", "rootless")
    assert {lab["lab"] for lab in document["labs"]} == {path.parent.name for path in ROOT.glob("labs/*/lab.yaml")}
    can = works(document)
    assert all(can[name] for name in ("sysctls", "veth", "rules and sets", "connection tracking", "NAT", "IPv6"))
    untried = {row["name"] for row in document["checks"] if "not loaded" in row["detail"]}
    for kind in {"bridge", "vxlan", "wireguard", "vrf"} - untried:
        options = {"vxlan": "id 7 dstport 4789", "vrf": "table 7"}.get(kind, "")
        assert can[kind] == (run(f"unshare -n ip link add d0 type {kind} {options}").returncode == 0), kind
    assert can["br_netfilter"] == Path("/proc/sys/net/bridge/bridge-nf-call-iptables").exists()
    assert all(lab["runs"] == (not lab["lacks"]) for lab in document["labs"] if lab["runs"] is not None)


def test_the_text_names_no_address_user_or_path_of_the_machine() -> None:
    done = run(f"cd {ROOT} && {NETLAB} doctor")
    assert done.returncode == 0, done.stderr
    text = done.stdout
    assert "labs run as root" in text or "labs run without root" in text
    for private in (str(ROOT), sys.prefix, os.uname().nodename):
        assert private not in text
    assert not re.search(r"\d+\.\d+\.\d+\.\d+(?!-)|([0-9a-f]{2}:){5}", text.split("\n", 1)[1])


def test_a_plain_user_gets_the_same_table_but_for_what_takes_root(kit: Any) -> None:
    if run("setpriv --reuid=65534 --regid=65534 --clear-groups unshare -Urn true").returncode:
        pytest.skip("this host makes no user namespaces for its users")
    done = run(f"unshare -m sh -ec {shlex.quote(kit.as_nobody(f'{NETLAB} doctor -o json'))}")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["privilege"] == "rootless" and not done.stderr
    mine, roots = works(document), works(doctor()[1])
    assert (mine["as root"], mine["without root"], mine["drop events"]) == (False, True, False)
    links = [row["name"] for row in document["checks"] if row["group"] in ("links", "rules")]
    assert {name: mine[name] for name in links} == {name: roots[name] for name in links}


def test_without_nft_and_its_library_it_names_the_package() -> None:
    found = sorted(Path("/").glob("usr/lib*/**/libnftables.so.1*"))
    hide = "".join(f"mount --bind /dev/null {path.resolve()}; " for path in found)
    status, document = doctor(f"{hide}PATH=/nowhere exec /usr/bin/")
    assert status == 3 and not document["ok"]
    assert not any(lab["runs"] for lab in document["labs"])
    assert "nftables" in remedy(document, "rules and sets") and works(document)["ip"] is True  # of /usr/sbin


def test_where_the_kernel_makes_no_more_namespaces_it_names_the_limit() -> None:
    """The limits are those of a user namespace of the test's own, in which it is root."""
    line = f"echo 0 >/proc/sys/user/max_user_namespaces; echo 0 >/proc/sys/user/max_net_namespaces; {NETLAB} doctor -o json"
    if run("unshare -Urnm true").returncode:
        pytest.skip("this host makes no user namespaces")
    done = run(f"unshare -Urnm sh -c {shlex.quote(line)}")
    if done.returncode == 126:
        pytest.skip("the root of a user namespace may not read this checkout: it is in another user's closed home")
    assert done.returncode == 3 and not done.stderr, done.stderr
    document = json.loads(done.stdout)
    assert document["privilege"] == "none"
    can = works(document)
    assert (can["as root"], can["without root"], can["veth"]) == (False, False, None)
    assert remedy(document, "as root") == "sudo sysctl -w user.max_net_namespaces=15000"
    assert remedy(document, "without root") == "sudo sysctl -w user.max_user_namespaces=15000"
    assert not any(lab["runs"] for lab in document["labs"])
    assert [verb["runs"] for verb in document["verbs"]][:2] == [True, False]


def test_where_no_user_may_make_namespaces_root_still_can(kit: Any) -> None:
    """A plain user with a /proc/sys that cannot be written: the kernel lets him mount no proc of his own."""
    lines = "mount --bind /proc/sys /proc/sys; mount -o remount,ro,bind /proc/sys; "
    status, document = doctor(lines)
    can = works(document)
    assert status == 0 and can["sysctls"] and document["privilege"] in ("root", "rootless")
    assert can["without root"] is False and "proc" in next(
        row["detail"] for row in document["checks"] if row["name"] == "without root"
    )
    done = run(f"unshare -m sh -ec {shlex.quote(lines + kit.as_nobody(f'{NETLAB} doctor -o json'))}")
    assert done.returncode == 3 and not done.stderr, done.stderr
    assert json.loads(done.stdout)["privilege"] == "none"


@pytest.mark.parametrize("call", ["mount", "setns"])
def test_where_a_filter_forbids_what_labs_need_no_lab_runs_as_root(call: str, lab_name: str) -> None:
    """As in a container with the capabilities, but with its engine's profile."""
    program = (
        "import errno, os, sys; from netlab.runtime.agent import linux, seccomp; "
        f"linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1); seccomp.answer({call!r}, errno.EPERM); os.execvp('sh', sys.argv[1:])"
    )
    line = f"{NETLAB} doctor -o json; echo $? >&2; {NETLAB} up overlay --name {lab_name}; echo $? >&2"
    words = [sys.executable, "-c", program, "sh", "-c", line]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
    document = json.loads(done.stdout)
    statuses = [text for text in done.stderr.splitlines() if text.isdigit()]
    assert statuses == ["3", "3"], done.stderr
    assert works(document)["as root"] is False and not any(lab["runs"] for lab in document["labs"])
    assert "privileged" in remedy(document, "as root")
    assert lab_name not in run("ls /run/netns /run/netlab 2>/dev/null").stdout
