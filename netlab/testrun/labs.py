"""The labs of tests by name: each is its process's own, and what a killed process left is removed by the next one."""

from __future__ import annotations

import os
from collections.abc import Callable

from netlab.errors import BadInput
from netlab.kernel.host.owners import owners
from netlab.runtime.client.agentclient import start_time
from netlab.runtime.state.rundir import RunDir, running
from netlab.runtime.teardown import down

SOURCE = "(netlab test)"  # where the labs of tests come from
_PREFIX = "test-"


def replace_kept(name: str) -> None:
    """Take down what an earlier test kept under this name.  Raises BadInput where another lab has it."""
    rundir = RunDir(name)
    if not rundir.exists():
        return
    applied = rundir.applied() or rundir.pending()
    if applied is None or applied.source != SOURCE:
        raise BadInput(
            f"lab {name} is running, and no test kept it", hint=f"--keep another name, or netlab down {name}"
        )
    down(name)


def own_name(number: int = 0) -> str:
    """The name of a lab of this process: the process's number and the time at which it started, and the lab's number."""
    pid = os.getpid()
    return f"{_PREFIX}{pid}-{start_time(pid)}" + (f"-{number}" if number else "")


def remove_left(say: Callable[[str], None] = lambda _: None) -> None:
    """Take down the labs of test processes that are no more."""
    names = {rundir.lab for rundir in running()}
    names |= {owner.lab for owner in owners(_PREFIX).values() if owner is not None}
    for name in sorted(names):
        if _is_left(name):
            say(f"lab {name} of a test that was killed is removed")
            down(name, say)


def _is_left(name: str) -> bool:
    pid, _, rest = name.removeprefix(_PREFIX).partition("-")
    start, _, number = rest.partition("-")
    if not name.startswith(_PREFIX) or not pid.isdigit() or not start.isdigit() or not (number or "0").isdigit():
        return False
    return start_time(int(pid)) != int(start)
