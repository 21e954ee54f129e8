"""Run a CNI plugin: its program, environment and configuration; its result, or its words.

The process is in the node's network namespace, in a mount namespace of its own (``view``) and in a PID namespace.  That
ends with the plugin, so the kernel kills what it leaves running, also when its time is over and when netlab is killed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from netlab.errors import NetlabError
from netlab.libc import die_with_parent
from netlab.runtime.agent import linux
from netlab.runtime.cni import view
from netlab.tuples import NamedTuple

#: Where plugins are looked for after the lab's own folder ``bin`` and $CNI_PATH: as runtimes and distributions have them.
FOLDERS = ("/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni")
#: Seconds that a plugin may take; a runtime gives it some minutes.  $NETLAB_CNI_TIMEOUT has another number.
TIMEOUT = 30.0
_OUTPUT_MAX = 1 << 20  # bytes of a plugin's output
_SHOWN = 400  # characters of it in a message


class PluginFailed(NetlabError):
    """A plugin that failed, hung or returned what is no result: its program, its words, what it was asked."""


class PluginHung(PluginFailed):
    """A plugin whose time was over."""


class Call(NamedTuple):
    """One run: the operation, the node's and the Pod's network namespace (names; "": none), the container's id.

    ``about`` says for whom, in messages: ``Pod default/client on node node-1``.
    """

    command: str
    node: str
    netns: str
    container: str
    arguments: Mapping[str, str]
    folders: tuple[str, ...]
    state: Path
    about: str


def folders(conflist: str) -> tuple[str, ...]:
    """The folders of plugins for a list's file, in the order of search."""
    own = os.path.join(os.path.dirname(conflist), "bin")
    named = [each for each in os.environ.get("CNI_PATH", "").split(":") if each]
    return tuple(each for each in dict.fromkeys((own, *map(os.path.abspath, named), *FOLDERS)) if os.path.isdir(each))


def program(kind: str, places: Sequence[str], conflist: str) -> str:
    """The program of a plugin.  Raises PluginFailed where none of the folders has it."""
    for folder in places:
        path = os.path.join(folder, kind)
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    raise PluginFailed(
        f"{conflist} names the CNI plugin {kind}, which is not in {', '.join(places) or 'any folder'}",
        hint="put it into the folder bin beside the list, name its folder in CNI_PATH, or install containernetworking-plugins",
    )


def run(kind: str, config: Mapping[str, Any], call: Call) -> dict[str, Any]:
    """Run one plugin; its result, empty where it printed none.  Raises PluginFailed."""
    path = program(kind, call.folders, str(config.get("name", "")))
    environment = {
        "CNI_COMMAND": call.command,
        "CNI_PATH": ":".join(call.folders),
        "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin",
    }
    if call.container:
        environment |= {"CNI_CONTAINERID": call.container, "CNI_IFNAME": "eth0"}
        environment |= {"CNI_NETNS": f"/run/netns/{call.netns}" if call.netns else ""}
        environment |= {"CNI_ARGS": ";".join(f"{name}={value}" for name, value in call.arguments.items())}
    code, out, err = _output(path, json.dumps(config), environment, call)
    what = f"the CNI plugin {kind} failed at {call.command} for {call.about}"
    if code is None:
        raise PluginHung(f"{what}: it did not end in {_timeout():g} s, and was killed{_words(err)}", hint=path)
    try:
        result = json.loads(out) if out.strip() else {}
    except ValueError:
        raise PluginFailed(f"{what}: it printed no JSON (exit status {code}){_words(out or err)}", hint=path) from None
    if code != 0:
        raise PluginFailed(f"{what}: {_error(result, code)}{_words(err) if not result else ''}", hint=path)
    if not isinstance(result, dict):
        raise PluginFailed(f"{what}: its result is no JSON object{_words(out)}", hint=path)
    return result


def _error(result: Any, code: int) -> str:
    """The sentence of a plugin's error (specification 1.1, section 5), or its exit status."""
    if not isinstance(result, dict) or "msg" not in result:
        return f"exit status {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
    details = f": {result['details']}" if result.get("details") else ""
    return f"{_line(result['msg'])}{_line(details)} (code {result.get('code', 'missing')})"


def _words(text: str) -> str:
    return f": {_line(text)}" if text.strip() else ""


def _line(text: Any) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"


def _timeout() -> float:
    try:
        return float(os.environ.get("NETLAB_CNI_TIMEOUT", "")) or TIMEOUT
    except ValueError:
        return TIMEOUT


def _output(path: str, text: str, environment: Mapping[str, str], call: Call) -> tuple[int | None, str, str]:
    """(exit status, output, errors) of a program; status None where its time was over."""
    parent = os.getpid()
    enter = view.prepared(call.state, call.node, (*call.folders, os.path.dirname(path)))
    return _finished(path, text, environment, lambda: _become(enter, parent))


def _become(enter: Callable[[], None], parent: int) -> None:
    """In the child, before exec."""
    die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    enter()
    os.chdir("/")
    linux.unshare(linux.CLONE_NEWPID)
    told, tell = os.pipe()
    if first := os.fork():
        _only(told)
        code = int(os.read(3, 16) or -signal.SIGKILL)
        os.waitpid(first, 0)
        if code < 0:
            os.kill(os.getpid(), -code)
        os._exit(code)
    die_with_parent(signal.SIGKILL)
    linux.mount("proc", "/proc", "proc")  # plugins in Go open /proc/PID/task/TID/ns/net, with the new numbers
    if plugin := os.fork():  # the first process of a PID namespace takes no signal of its own: that is not the plugin
        _only(tell)
        os.write(3, b"%d" % os.waitstatus_to_exitcode(os.waitpid(plugin, 0)[1]))
        os._exit(0)


def _only(fd: int) -> None:
    """Close all descriptors but one, which becomes 3: subprocess waits for the end of its own pipe."""
    os.dup2(fd, 3)
    os.closerange(4, os.sysconf("SC_OPEN_MAX"))


def _finished(
    path: str, text: str, environment: Mapping[str, str], become: Callable[[], None]
) -> tuple[int | None, str, str]:
    """Files in memory, and no pipes: a child that a plugin leaves would hold those open."""
    with _memory(text.encode()) as given, _memory() as out, _memory() as err:
        try:
            process = subprocess.Popen(
                [path],
                stdin=given,
                stdout=out,
                stderr=err,
                env=dict(environment),
                start_new_session=True,
                preexec_fn=become,  # noqa: PLW1509 - no other thread runs while plugins do
            )
        except (OSError, subprocess.SubprocessError) as refused:
            return 127, "", f"it cannot be started: {refused}"
        status: int | None
        try:
            status = process.wait(_timeout())
        except subprocess.TimeoutExpired:
            status = None
        finally:
            _kill(process.pid)
            process.wait()
        return status, _text(out), _text(err)


def _memory(data: bytes = b"") -> BinaryIO:
    stream = open(os.memfd_create("netlab-cni"), "w+b", buffering=0)
    stream.write(data)
    stream.seek(0)
    return stream


def _text(stream: BinaryIO) -> str:
    stream.seek(0)
    return stream.read(_OUTPUT_MAX).decode(errors="replace")


def _kill(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass
