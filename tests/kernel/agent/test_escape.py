"""A command in a Pod cannot change the host: each way that root has is tried."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from netlab.libc import syscall_number
from netlab.runtime.agent import linux, seccomp
from netlab.runtime.state.sudo import maps_all_users
from tests.kernel_features import owners

if TYPE_CHECKING:
    from conftest import Lab


@pytest.mark.parametrize(
    "line",
    [
        "echo 1 > /proc/sys/vm/drop_caches",
        "echo x > /proc/sys/kernel/hostname",
        "echo h > /proc/sysrq-trigger",
        "chmod 444 /proc/version",
        "chmod 666 /proc/timer_list",
        "mount -t tmpfs none /mnt",
        "mount -o remount,rw /proc",
        "mount -o remount,bind,rw /sys",
        "umount /etc/hosts",
        "umount -l /proc/sys/net",
        "mknod /tmp/disk b 254 0",
        "mknod /tmp/mem c 1 1",
        "hostname other",
        "date -s 2001-01-01",
        "dmesg -C",
        "chroot /proc/1/root true",
        "cat /proc/1/environ",
        "readlink /proc/1/fd/0",
        "ls /proc/1/root/",
        "readlink /proc/1/exe",
        "nsenter -t 1 -m true",
        "echo 1 > /sys/kernel/mm/ksm/run",
        "rm /etc/hosts",
        "losetup -f",
        "test -e /dev/mem",
        "test -e /dev/kmsg",
        "test -e /run/netns",
        "test -e /run/netlab",
    ],
)
def test_refused(lab: Lab, line: str) -> None:
    done = lab.exec("sh", "-c", line)
    assert done.returncode != 0, done.stdout


@owners
def test_writes_vanish(lab: Lab) -> None:
    root = lab.exec("stat", "-f", "-c", "%T", "/").stdout.strip()
    assert root == "overlayfs", "never go on where the root is the host's own"
    # places that nothing else on a host changes meanwhile
    listing = {place: sorted(os.listdir(place)) for place in ("/usr/share/doc", "/usr/bin", "/home", "/var", "/")}
    inode = os.stat("/etc/hostname")
    content = Path("/etc/passwd").read_text()
    line = "rm -rf /usr/share/doc /root/.bashrc /home/* /etc/cron* /var/log; echo x >> /etc/passwd; chmod 000 /usr; touch /new"
    lab.exec("sh", "-c", line)
    assert lab.exec("ls", "/usr/share/doc").returncode != 0
    assert {place: sorted(os.listdir(place)) for place in listing} == listing
    assert os.stat("/etc/hostname") == inode
    assert Path("/etc/passwd").read_text() == content
    assert stat.S_IMODE(os.stat("/usr").st_mode) & 0o111


@owners
def test_rm_rf_of_every_folder(lab: Lab) -> None:
    """Of each folder below / what stands in it, and all of the shortest: a host may have a million files below."""
    assert lab.exec("stat", "-f", "-c", "%T", "/").stdout.strip() == "overlayfs"
    before = {place: sorted(os.listdir(place)) for place in ("/", "/usr/bin", "/usr/lib", "/home", "/var")}
    line = (
        "find / -xdev -mindepth 2 -maxdepth 2 ! -type d -delete; find /*/ -xdev -mindepth 2 -maxdepth 2 ! -type d -delete;"
        "rm -rf --one-file-system --no-preserve-root /bin /boot /etc /home /media /mnt /opt /sbin /srv /usr/bin"
    )
    lab.exec("bash", "-c", line)
    assert lab.exec("ls", "/usr").returncode == 127
    assert {place: sorted(os.listdir(place)) for place in before} == before


def test_no_host_process_is_seen_or_signalled(lab: Lab) -> None:
    victim = subprocess.Popen(["sleep", "3131"])
    try:
        assert "sleep 3131" not in lab.exec("ps", "axww").stdout
        lab.exec("sh", "-c", f"kill -9 {victim.pid}; kill -9 -1; kill -9 1")
        assert victim.poll() is None
        assert lab.exec("true").returncode == 0, "the sandbox itself survives"
    finally:
        victim.send_signal(signal.SIGKILL)
        victim.wait()


def test_sockets_of_the_host_are_out_of_reach(lab: Lab, tmp_path: Path) -> None:
    for place in (Path("/run"), Path("/var/tmp"), *([Path("/root")] if maps_all_users() else [])):
        path = place / f"{lab.name}.sock"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            server.listen()
            try:
                program = "import socket,sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
                assert lab.exec("python3", "-c", program, str(path)).returncode != 0
            finally:
                path.unlink()


def test_modes_of_shared_devices_cannot_be_changed(lab: Lab) -> None:
    before = stat.S_IMODE(os.stat("/dev/null").st_mode)
    lab.exec("sh", "-c", "chmod 600 /dev/null /proc/keys /proc/timer_list /dev/net/tun")
    assert stat.S_IMODE(os.stat("/dev/null").st_mode) == before


def test_the_command_has_a_containers_privileges(lab: Lab) -> None:
    status = lab.exec("cat", "/proc/self/status").stdout
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    bounding = int(fields["CapBnd"], 16)
    for name, number in {
        "SYS_ADMIN": 21,
        "SYS_PTRACE": 19,
        "SYS_MODULE": 16,
        "MKNOD": 27,
        "DAC_READ_SEARCH": 2,
    }.items():
        assert not bounding >> number & 1, name
    for name, number in {"NET_ADMIN": 12, "NET_RAW": 13}.items():
        assert bounding >> number & 1, name
    assert int(fields["CapEff"], 16) == bounding
    assert fields["NoNewPrivs"] == "1"


def test_no_descriptor_of_the_host_is_inherited(lab: Lab) -> None:
    read, write = os.pipe()
    directory = os.open("/", os.O_RDONLY)
    try:
        done = lab.exec("ls", "/proc/self/fd", pass_fds=(read, write, directory))
        assert done.stdout.split() == ["0", "1", "2", "3"], "three, and the one of ls itself"
    finally:
        for fd in (read, write, directory):
            os.close(fd)


def test_a_directory_as_standard_input_is_no_way_out(lab: Lab) -> None:
    directory = os.open("/", os.O_RDONLY)
    try:
        done = lab.exec("ls", "/proc/self/fd/0/", flags="i", stdin=directory)
    finally:
        os.close(directory)
    assert done.returncode != 0


FORKS = """
import errno, os, signal
children = []
try:
    while len(children) < 5000:
        child = os.fork()
        if not child:
            os.closerange(0, 3)  # who reads the command's output waits for no child
            signal.pause()
        children.append(child)
except OSError as refusal:
    print(errno.errorcode[refusal.errno], len(children))
for child in children:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


@pytest.mark.skipif(not linux.LIMITS_PIDS, reason="this kernel has one pid_max for all PID namespaces (Linux 6.14)")
def test_a_fork_bomb_ends_in_its_pod(lab: Lab) -> None:
    host = Path("/proc/sys/kernel/pid_max").read_text()
    for _ in range(2):  # the second time its numbers have been given out before
        said, number = lab.exec("python3", "-c", FORKS).stdout.split()
        assert said == "EAGAIN"
        assert linux.PIDS_MAX - 10 < int(number) < linux.PIDS_MAX + 300
    assert Path("/proc/sys/kernel/pid_max").read_text() == host
    assert lab.exec("sh", "-c", "echo 4000000 > /proc/sys/kernel/pid_max").returncode != 0
    hold = lab.exec("python3", "-c", FORKS.split("for child in children:\n    os.kill", maxsplit=1)[0])
    assert hold.stdout.startswith("EAGAIN"), "its children stay"
    refused = lab.exec("true")
    assert "cannot enter client: no more processes" in refused.stderr
    with lab.connect() as agent:
        os.close(agent.sandbox(lab.path(lab.server), "server").pidfd)  # another Pod has room
        agent.drop([lab.path(lab.client)])
    assert lab.exec("true").returncode == 0, "a new sandbox"


CALLS = """
import ctypes, errno, json, sys
libc = ctypes.CDLL(None, use_errno=True)
said = {}
for name, number in json.loads(sys.argv[1]).items():
    result = libc.syscall(number, 0, 0, 0, 0, 0)
    said[name] = errno.errorcode[ctypes.get_errno()] if result < 0 else "done"
print(json.dumps(said))
"""
THREADS = 'import subprocess, threading; threading.Thread(target=print).start(); subprocess.run(["true"], check=True)'
FILTERED = pytest.mark.skipif(not seccomp.program(os.uname().machine), reason="no filter for this machine")


@FILTERED
def test_system_calls_that_no_pod_needs_are_refused(lab: Lab) -> None:
    numbers = {name: number for name in seccomp.DENIED if (number := syscall_number(name))}
    said = json.loads(lab.exec("python3", "-c", CALLS, json.dumps(numbers)).stdout)
    assert said == dict.fromkeys(numbers, "EPERM")
    assert "Seccomp:\t2\n" in lab.exec("cat", "/proc/self/status").stdout
    assert json.loads(lab.exec("python3", "-c", CALLS, json.dumps({"clone3": 435})).stdout) == {"clone3": "ENOSYS"}


@FILTERED
@pytest.mark.parametrize(
    "line",
    [
        "ping -c 1 -W 5 10.244.9.2",
        "ping -6 -c 1 -W 5 fd00:9::2",
        "ip link add dummy type bridge && ip link set dummy up && ip -d link && ip rule && ip neigh && ip link del dummy",
        "nft add table inet t && nft 'add chain inet t c { type filter hook input priority 0; }' && nft list ruleset",
        "timeout 20 tcpdump -n -c 1 -i eth0 icmp & p=$!; while kill -0 $p; do ping -c 1 10.244.9.2 > /dev/null; done; wait $p",
        "tc qdisc show dev eth0 && ethtool -k eth0",
        "ss -tulpn && sysctl net.ipv4.ip_forward",
        f"python3 -c '{THREADS}'",
        "bash -c 'cat <(echo x) | cat; (sleep 0 &); wait'",
    ],
)
def test_tools_work_with_the_filter(lab: Lab, line: str) -> None:
    done = lab.exec("bash", "-c", line)
    assert done.returncode == 0, done.stderr
