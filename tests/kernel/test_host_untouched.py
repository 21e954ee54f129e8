"""Nothing in the host's own namespace changes, and nothing there disturbs a lab.

The host is played by a namespace of the test's own: with links, rules, a firewall that drops what is forwarded.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.kernel
ROOT = Path(__file__).resolve().parents[2]

# As Docker leaves a host: forwarding on, FORWARD drops, bridges pass the firewall.
_DOCKER = """
ip link set lo up
ip link add docker0 type bridge
ip addr add 172.17.0.1/16 dev docker0
ip link set docker0 addrgenmode none
ip link set docker0 up
ip link add uplink type veth peer name uplink-peer
ip addr add 172.18.0.2/24 dev uplink
ip link set uplink addrgenmode none
ip link set uplink up
ip route add 10.244.0.0/16 via 172.18.0.1 2>/dev/null || ip route add blackhole 10.244.0.0/16
sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.default.rp_filter=1
sysctl -qw net.bridge.bridge-nf-call-iptables=1 2>/dev/null || true
nft -f - <<X
table ip filter {
  chain FORWARD { type filter hook forward priority filter; policy drop; }
  chain INPUT { type filter hook input priority filter; policy drop; }
}
table inet firewall {
  chain forward { type filter hook forward priority 0; policy drop; }
}
X
"""
_LOOK = """
ip link; ip addr show; ip route show table all; ip rule; nft -s list ruleset
find /proc/sys/net -type f ! -name '*conntrack_count' ! -name '*stable_secret' ! -name tcp_fastopen_key 2>/dev/null |
  sort | xargs grep -s '' || true
"""


def test_a_host_with_a_firewall_is_as_it_was_and_the_lab_works(kit: Any, lab: str, tmp_path: Path) -> None:
    spec = tmp_path / "lab.yaml"
    spec.write_text(kit.spec(lab, ipFamilies=["IPv4", "IPv6"]))
    netlab = f"env PYTHONPATH={ROOT} {sys.executable} -m netlab"
    script = f"""set -e
{_DOCKER}
look() {{ {_LOOK}
}}
look > {tmp_path}/untouched
# The kernel loads its modules (and their sysctls and fallback devices come) when a lab first asks for what is in them.
{netlab} up {spec} >/dev/null
{netlab} down {lab} >/dev/null
look > {tmp_path}/before
{netlab} up {spec} >/dev/null
look > {tmp_path}/during
ip netns exec {lab}-client ping -n -c 1 -W 1 10.244.2.2 >/dev/null
ip netns exec {lab}-client ping -n -c 1 -W 1 fd00:10:244:2::2 >/dev/null
{netlab} diff {lab}
{netlab} up {spec} | head -1
{netlab} down {lab} >/dev/null
look > {tmp_path}/after
"""
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", script], capture_output=True, text=True, timeout=300, check=False
    )
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        assert "nothing to do" in done.stdout
        before = (tmp_path / "before").read_text()
        assert "policy drop" in before
        assert set((tmp_path / "untouched").read_text().splitlines()) <= set(before.splitlines())
        assert "docker0" in before
        assert (tmp_path / "during").read_text() == before
        assert (tmp_path / "after").read_text() == before
        assert not kit.remains(lab)
    finally:
        kit.down(lab)
