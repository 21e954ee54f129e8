"""``netlab test --predict`` on a host that is no Linux: nothing of Linux is imported or called."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SHOP = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {containers: [{name: main, image: x, command: [sh], ports: [{containerPort: 80}]}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec: {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: gate}}}]}]}
"""
#: Python as other systems have it: modules, names and calls that are Linux's or POSIX's alone.
ELSEWHERE = """
import importlib.abc, os, select, shutil, signal, socket, sys, ctypes
import click.core, click.shell_completion, click.termui, multiprocessing, concurrent.futures.process, subprocess
GONE = {modules!r}
class Gone(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in GONE:
            raise ModuleNotFoundError(name)
for name in GONE:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Gone())
for module, names in {names!r}.items():
    for name in names.split():
        if hasattr(sys.modules[module], name):
            delattr(sys.modules[module], name)
real = ctypes.CDLL
def cdll(*args, **more):
    raise OSError("no C library")
ctypes.CDLL = cdll
sys.platform = {platform!r}
from netlab.cli.entry import main
main({words!r})
"""
MACOS = ("pyroute2",)
WINDOWS = ("fcntl", "grp", "pwd", "resource", "termios", "tty", "syslog", "pyroute2")
LINUX_NAMES = {
    "os": "setns unshare memfd_create pidfd_open sched_getaffinity eventfd copy_file_range getxattr",
    "select": "epoll EPOLLIN EPOLLOUT EPOLLERR EPOLLHUP",
    "socket": "AF_NETLINK AF_PACKET SOCK_CLOEXEC SOCK_NONBLOCK SO_BINDTODEVICE AF_VSOCK IPPROTO_SCTP",
    "signal": "SIGPWR",
}
POSIX_NAMES = {
    "os": LINUX_NAMES["os"]
    + " geteuid getuid getgid fork O_NOFOLLOW O_CLOEXEC O_DIRECTORY fchmod mkfifo WNOHANG uname",
    "select": LINUX_NAMES["select"] + " poll",
    "socket": LINUX_NAMES["socket"] + " AF_UNIX send_fds recv_fds",
    "signal": "SIGHUP SIGUSR1 SIGUSR2 SIGCHLD SIGKILL SIGPIPE SIGALRM pthread_sigmask setitimer SIGPWR SIGQUIT SIGWINCH",
}


@pytest.mark.parametrize(
    ("platform", "modules", "names"), [("darwin", MACOS, LINUX_NAMES), ("win32", WINDOWS, POSIX_NAMES)]
)
def test_a_prediction_needs_no_linux(
    platform: str, modules: tuple[str, ...], names: dict[str, str], tmp_path: Path
) -> None:
    file, written = tmp_path / "shop.yaml", tmp_path / "expect.yaml"
    file.write_text(SHOP)
    words = ["test", "--predict", "-f", str(file), "--write", str(written), "--junit", str(tmp_path / "junit.xml")]
    program = ELSEWHERE.format(modules=modules, names=names, platform=platform, words=words)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "predicted, no packet sent" in done.stdout and "web:80 <- gate (stand-in)" in done.stdout
    assert "default: deny" in written.read_text()


def test_packets_need_linux() -> None:
    words = ["test", "-f", str(ROOT / "labs/overlay/lab.yaml")]
    program = ELSEWHERE.format(modules=MACOS, names=LINUX_NAMES, platform="darwin", words=words)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 3 and "--predict" in done.stderr, done.stderr
