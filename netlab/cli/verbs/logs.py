"""``netlab logs``: print, and follow, what a container wrote."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any

import click

from netlab.cli import out
from netlab.cli.find import place
from netlab.cli.options import lab, running_lab
from netlab.errors import BadInput, Exit
from netlab.model import Pod

if TYPE_CHECKING:
    from netlab.cli.logtimes import Marks, Stamped
    from netlab.model import Cluster

Records = Mapping[tuple[str, str], Mapping[str, Any]] | None
_PAUSE = 0.1  # seconds between two looks at a log that is followed


@click.command()
@click.argument("name", metavar="POD")
@click.argument("container_word", required=False, default="", metavar="[CONTAINER]")
@click.option("-c", "--container", default="", help="the container (default: the first)")
@click.option("-n", "--namespace", default="", help="namespace of the Pod (default: default)")
@click.option(
    "-f", "--follow", is_flag=True, help="follow the output until the container ends for good, or until Ctrl-C"
)
@click.option("-p", "--previous", is_flag=True, help="print the output of the previous run")
@click.option("--tail", default=-1, metavar="N", help="print only the last N lines")
@click.option("--since", default="", metavar="TIME", help="print only output of the last 5s, 2m, 1h30m")
@click.option("--since-time", default="", metavar="TIME", help="print only output since 2026-01-31T12:00:00Z")
@click.option("--timestamps", is_flag=True, help="print the time of each line, to a quarter of a second")
@lab
def command(
    name: str,
    container_word: str,
    container: str,
    namespace: str,
    follow: bool,
    previous: bool,
    tail: int,
    since: str,
    since_time: str,
    timestamps: bool,
    lab_option: str,
) -> int:
    """Print the output of a container whose command runs, or of the agent that a Lab gives a node (POD is the node then).

    netlab keeps at least the last 10 MiB.  A container that netlab's responder serves has no output.
    """
    from netlab.cli.logtimes import Stamped, cutoff
    from netlab.model.workloads.systempods import is_system
    from netlab.plan.processes import DAEMON
    from netlab.runtime.client.containers import LOGS, log_name, states, times
    from netlab.runtime.state.rundir import RunDir
    from netlab.runtime.state.running import load_cluster

    moment = cutoff(since, since_time)
    running = running_lab(lab_option)
    cluster = load_cluster(running)
    target = place(cluster, name, namespace)
    pod = target.pod
    if pod is not None and is_system(cluster, "Pod", pod.namespace, pod.name):
        return _programs(running, cluster, pod, tail)
    where = (pod.namespace, pod.name) if pod else ("", _node(cluster, target.netns, name))
    chosen = _container(pod, container or container_word) if pod else DAEMON
    rundir = RunDir(running).path
    log = log_name(*where, chosen, previous=previous)
    try:
        file = open(rundir / LOGS / log, "rb")
    except FileNotFoundError:
        which = f"previous terminated container {chosen}" if previous else f"container {chosen}"
        whose = f"Pod {pod}" if pod else f"node {where[1]}"
        raise BadInput(f"{which} of {whose} has not run yet: there is no log") from None
    with file:
        end = _start(file, tail)
        marks = times(running, rundir, log) if moment or timestamps else []
        if end and not marks and (moment or timestamps):
            raise BadInput("the times of this log are not known: the agent that saw it written has ended")
        if moment:
            _skip(file, moment, marks)
        stamped = Stamped(file.tell(), lambda: times(running, rundir, log)) if timestamps else None
        _copy(file, end, stamped)
        # As kubectl, -f ends with the run that it follows: then the log is no longer under its name, or nobody writes.
        while follow and not previous:
            over = _over(states(running, rundir), where, chosen, file)
            _copy(file, _end(file), stamped)
            if over:
                break
            time.sleep(_PAUSE)
        if stamped is not None:
            stamped.last()
    return Exit.OK


def _programs(lab: str, cluster: Cluster, pod: Pod, tail: int) -> int:
    """What netlab programs on the node in the place of an agent of kube-system, and what of it is wrong now."""
    from netlab.cli.kinds import systempod
    from netlab.runtime.state.nodehealth import Nodes, programs

    faults = systempod.faults_of(pod, (Nodes(lab).faults(cluster) or {}).get(pod.node, ()))
    lines = [f"netlab programs node {pod.node} as {pod.owner.partition('/')[2]} would:"]
    lines += programs(lab, pod.netns, proxy=systempod.is_proxy(pod))
    lines += [f"error: {fault.text}; netlab up {lab} mends it" for fault in faults]
    for line in lines[max(0, len(lines) - tail) :] if tail >= 0 else lines:
        out.line(line)
    return Exit.OK


def _node(cluster: Cluster, netns: str, name: str) -> str:
    """The node of that namespace, which has an agent."""
    node = next((node for node in cluster.nodes if node.netns == netns and node.agent), None)
    if node is None:
        raise BadInput(f"{name} is no Pod and writes no log", hint="netlab logs POD, or the node of an agent")
    return node.name


def _over(records: Records, where: tuple[str, str], container: str, file: IO[bytes]) -> bool:
    """Whether the run that writes this log has ended."""
    record = (records or {}).get(where)
    statuses = record["containers"] if record else ()
    mine = next((status for status in statuses if status["name"] == container), None)
    renamed = os.path.exists(file.name) and os.stat(file.name).st_ino != os.fstat(file.fileno()).st_ino
    return mine is None or "running" not in mine["state"] or renamed


def _container(pod: Pod, wanted: str) -> str:
    """Which container is meant; as kubectl, a default is told, and one that has no log is an error."""
    every = (*pod.containers, *pod.inits)
    names = [container.name for container in every]
    if wanted and wanted not in names:
        raise BadInput(f"container {wanted} is not valid for pod {pod.name}; it has {', '.join(names)}")
    if not wanted:
        wanted = pod.annotations.get("kubectl.kubernetes.io/default-container", "")
        wanted = wanted if wanted in names else names[0]
        if len(names) > 1:
            out.note(f'Defaulted container "{wanted}" out of: {", ".join(names)}')
    container = every[names.index(wanted)]
    if container.missing:
        raise BadInput(
            f'container {wanted} of Pod {pod} does not run: this host has no program "{container.command[0]}"'
        )
    if not container.runs:
        why = "it runs no command" if container in pod.containers else "no container of that Pod runs a command"
        raise BadInput(f"container {wanted} of Pod {pod} writes no log: {why}")
    return wanted


def _end(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size


def _data(fd: int, offset: int) -> int:
    """Where the next data is; the descriptor stays where it was, since a buffer above it counts on that."""
    here = os.lseek(fd, 0, os.SEEK_CUR)
    try:
        return os.lseek(fd, offset, os.SEEK_DATA)
    finally:
        os.lseek(fd, here, os.SEEK_SET)


def _next_line(file: IO[bytes]) -> None:
    """Go behind what is left of a line.

    What was read as data may be a hole by now, of many GiB where the container writes fast: it is jumped, not read.
    """
    while (piece := file.readline(1 << 16)) and not piece.endswith(b"\n"):
        try:
            file.seek(_data(file.fileno(), file.tell()))
        except OSError:  # nothing more but a hole
            file.seek(0, os.SEEK_END)


def _start(file: IO[bytes], tail: int) -> int:
    """Go to where the output begins: after what was given back, or the last ``tail`` lines; where it ends now."""
    end = _end(file)
    try:
        first = _data(file.fileno(), 0)
    except OSError:  # empty, or nothing but a hole
        first = end
    file.seek(first)
    if first:
        _next_line(file)
    if tail < 0:
        return end
    begin, lines, position = file.tell(), 0, end
    while position > begin:
        size = min(65536, position - begin)
        position -= size
        file.seek(position)
        block = file.read(size)
        if position + size == end and block.endswith(b"\n"):
            block = block[:-1]
        for at in range(len(block) - 1, -1, -1):
            if block[at] == 10:
                lines += 1
                if lines == tail:
                    file.seek(position + at + 1)
                    return end
    file.seek(begin if tail else end)
    return end


def _skip(file: IO[bytes], moment: float, marks: Marks) -> None:
    """Go on to what was written after a moment; a line that was begun before is left out."""
    from netlab.cli.logtimes import place

    begin = place(marks, moment)
    if begin > file.tell():
        file.seek(begin - 1)
        file.readline()


def _copy(file: IO[bytes], end: int, stamped: Stamped | None = None) -> None:
    """Print up to ``end`` and not to the file's end: a container may write faster than it is read."""
    fd = file.fileno()
    while (position := file.tell()) < end:
        try:
            data = _data(fd, position)
        except OSError:  # nothing more but a hole
            break
        file.seek(data)
        if data > position:  # meanwhile given back: go on with the next whole line
            _next_line(file)
            if stamped is not None:
                stamped.jump(file.tell())
        block = file.read(max(0, min(1 << 16, end - file.tell())))
        if stamped is not None:
            stamped.write(block)
        else:
            sys.stdout.buffer.write(block)
    sys.stdout.buffer.flush()
