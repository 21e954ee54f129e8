"""``netlab worker``: this machine as one of several."""

from __future__ import annotations

import os
import socket
import sys

import click

from netlab.cli import out
from netlab.errors import Exit, HostCannot, NeedsRoot


@click.command()
@click.option("--scheduler", required=True, metavar="URL", help="tls://HOST:8786, or tcp://127.0.0.1:8786")
@click.option("--name", default="", metavar="NAME", help="this worker's name (default: the host's name)")
@click.option(
    "--world", is_flag=True, help="in mounts and processes of its own: a worker that is killed leaves nothing"
)
@click.option("--listen", default="", metavar="ADDRESS[:PORT]", help="where the scheduler reaches the worker (default: on"
              " the address that leads to it, a free port)")  # fmt: skip
@click.option("--contact", default="", hidden=True)
@click.option("--given", is_flag=True, hidden=True)
def command(scheduler: str, name: str, world: bool, listen: str, contact: str, given: bool) -> int:
    """Take cases of other machines' commands: `netlab test --machines URL` and `invoke conformance --machines URL`.

    The scheduler is Dask's, and the certificates are those of Dask's configuration.  A worker takes one case at a time.
    It runs as root what the scheduler's clients send, so every holder of a certificate is root on this machine.

    The worker ends with its scheduler, and by Ctrl-C.
    """
    from netlab.runtime.machines import where
    from netlab.runtime.machines import world as worlds

    address = where.scheduler(scheduler)
    if sys.platform != "linux":
        raise HostCannot("a worker makes labs, and labs are made on Linux alone")
    if os.geteuid() != 0:
        raise NeedsRoot("a worker makes labs for others, which needs root")
    if world:
        worlds.move_in()
    from netlab.libc import die_with_parent
    from netlab.runtime.machines.process import OneProcess
    from netlab.testrun.labs import remove_left
    from netlab.testrun.sets import begin

    remove_left(out.note)
    process = OneProcess(begin, die_with_parent, os.getpid())
    from netlab.runtime.machines import engine

    engine.serve(address, name or socket.gethostname(), process, engine.Place(listen, contact), given=given)
    # The process for functions takes its lab down now; ``concurrent.futures`` would wait for it, and for what it never does.
    sys.stderr.flush()
    os._exit(Exit.OK)
