"""Start the daemon of a node: a program of the lab's author, where a CNI project's agent would run.

It is in the node's network namespace and sees the host's files, /run/netns among them, so that it may enter its node's
Pods, as a privileged DaemonSet of the host's network does.  /proc shows the processes of the lab alone; its hostname is
the node's name.  It lives in the PID namespace of the lab's agent and ends with that, whatever ends that.

Until the lab's API answers in the node's namespace, the daemon waits with its start.
"""

from __future__ import annotations

import _socket
import array
import contextlib
import json
import os
import signal
import time
from collections.abc import Mapping
from typing import Any

from netlab.runtime.agent import linux
from netlab.runtime.agent.containers import launch
from netlab.runtime.agent.containers.sandbox import Sandboxes
from netlab.runtime.agent.containers.streams import Streams
from netlab.runtime.agent.podstate import Pod
from netlab.runtime.client.sandbox import NOT_EXECUTABLE, PATH, execute

_FIRST_PAUSE, _PAUSE = 0.02, 1.0  # seconds between two looks for the API


def start(
    host: tuple[Sandboxes, int],
    sandbox: int,
    streams: Streams,
    pod: Pod,
    spec: Mapping[str, Any],
    env: Mapping[str, str],
) -> tuple[int, _socket.socket]:
    """Start a container in its ``sandbox``, or the daemon of a node: (its pid here, a socket with its report).

    ``host``: the sandboxes, and the host's mount namespace.  OSError if the kernel refuses.
    """
    sandboxes, mounts = host
    if not pod.daemon:
        home = sandboxes.pid_namespace
        return launch.launch(sandbox, home, streams, spec["argv"], env, str(spec["workdir"]))
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    netns = -1
    try:
        netns = sandboxes.endpoints.open_netns(pod.key.netns)
        pid = os.fork()
        if pid == 0:
            _become(netns, mounts, streams, theirs, pod, spec, env)
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
        if netns >= 0:
            os.close(netns)
    ours.setblocking(False)
    return pid, ours


def _become(
    netns: int,
    mounts: int,
    streams: Streams,
    report: _socket.socket,
    pod: Pod,
    spec: Mapping[str, Any],
    env: Mapping[str, str],
) -> None:
    """The child process; never returns."""
    status = NOT_EXECUTABLE
    try:
        signal.set_wakeup_fd(-1)
        os.setsid()
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        os.dup2(streams.log, 1)
        os.dup2(streams.log, 2)
        linux.setns(mounts, linux.CLONE_NEWNS)
        linux.unshare(linux.CLONE_NEWNS | linux.CLONE_NEWUTS)
        linux.mount("none", "/", flags=linux.MS_REC | linux.MS_SLAVE)  # a Pod's name that goes from the host goes here
        linux.setns(netns, linux.CLONE_NEWNET)
        linux.sethostname(pod.hostname)
        linux.mount("proc", "/proc", "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)
        with contextlib.suppress(OSError):  # the network namespace is not our user namespace's
            linux.mount("sysfs", "/sys", "sysfs", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)
        space = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        report.sendmsg([b"made"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", [space]))])
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # the report, too: the container runs
        for number in range(1, signal.NSIG):
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_DFL)
        os.chdir(str(spec["workdir"]) or "/")
        _wait_for(pod.daemon)
        paths = {"PATH": PATH, "HOME": os.path.expanduser("~root"), "KUBECONFIG": pod.daemon}
        status = execute(spec["argv"], {**paths, **env})
    except BaseException as failure:  # noqa: BLE001 - the child of a fork must end here, whatever happens
        os.write(2, f"netlab: the agent of node {pod.key.pod} does not start: {failure}\n".encode(errors="replace"))
    finally:
        os._exit(status)


def _wait_for(kubeconfig: str) -> None:
    """Until the server of the kubeconfig takes connections."""
    pause = _FIRST_PAUSE
    while not _answers(kubeconfig):
        time.sleep(pause)
        pause = min(2 * pause, _PAUSE)


def _answers(kubeconfig: str) -> bool:
    try:
        with open(kubeconfig, encoding="utf-8") as stream:
            server = str(json.load(stream)["clusters"][0]["cluster"]["server"])
        with contextlib.closing(_socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)) as sock:
            sock.connect(("127.0.0.1", int(server.rpartition(":")[2])))
    except (OSError, ValueError, LookupError, TypeError):
        return False
    return True
