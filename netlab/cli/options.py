"""Options that several verbs share, and what they mean."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from netlab.cli.elsewhere import ROOTLESS, elsewhere, world
from netlab.errors import BadInput, HostCannot, NeedsRoot, NetlabError, WithoutRoot
from netlab.names import is_dns_label
from netlab.near import near
from netlab.runtime.state.rundir import RunDir, caller, running

F = TypeVar("F", bound=Callable[..., Any])


class Seconds(click.FloatRange):
    """A time that ends: "nan" and "inf" are numbers to click, and what waits for them never ends or breaks off."""

    def __init__(self, least: float, most: float = 1e8) -> None:
        super().__init__(least, most)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number, if it is one that a clock can reach."""
        seconds = float(super().convert(value, param, ctx))
        if not math.isfinite(seconds):
            self.fail(f"{value!r} is no time", param, ctx)
        return seconds


output = click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="output format")
pictured = click.option("-o", "--output", type=click.Choice(["text", "json", "svg"]), default="text",
                        help="output format; svg is a picture")  # fmt: skip
lab = click.option("--lab", "lab_option", default="", metavar="LAB", help="the running lab, if there are several")


def lab_argument(function: F) -> F:
    """LAB, of the verbs that take a running lab as their first word; ``--lab`` says the same."""
    return click.argument("lab", required=False, default="")(lab(function))


def filename_option(summary: str, *, required: bool = False) -> Callable[[F], F]:
    """-f, of the verbs that read manifests."""
    return click.option(
        *("-f", "--filename", "files"),
        multiple=True,
        required=required,
        metavar="FILE|DIR|-",
        help=f"{summary}; repeatable",
    )


def namespace_option(function: F) -> F:
    """-n, of the verbs that read manifests: as kubectl and helm have it."""
    return click.option(
        "-n", "--namespace", default="", callback=_namespace, help="the namespace of objects without one"
    )(function)


def _namespace(_: click.Context, __: click.Parameter, value: str) -> str:
    if value and not is_dns_label(value):
        raise BadInput(f"{value!r} is no namespace's name: a DNS label of at most 63 characters")
    return value


def spec_options(function: F) -> F:
    """LAB, -f and --name, of the verbs that read files."""
    function = click.option("--name", default="", help="run the lab under another name")(function)
    function = namespace_option(function)
    function = filename_option("additional manifests")(function)
    return click.argument("lab", required=False, default="")(function)


def running_lab(name: str = "", option: str = "") -> str:
    """The running lab of a command: the named lab (as an argument or by ``--lab``), else $NETLAB_LAB, else the only one.

    Of several the only one that is the caller's.  A file or folder means the lab that was brought up from it.
    """
    if name and option and name != option:
        raise BadInput(f"two labs are named: {name} and --lab {option}")
    name = name or option or os.environ.get("NETLAB_LAB", "")
    labs = [running_lab.lab for running_lab in running()]
    if name:
        return name if name in labs else _by_source(name, labs)
    if not labs:
        _refuse_elsewhere()
        raise BadInput("no lab is running", hint="netlab up overlay starts one")
    mine = labs if len(labs) == 1 else [running_lab.lab for running_lab in running() if _is_mine(running_lab)]
    if len(mine) == 1:
        return mine[0]
    raise BadInput(f"several labs are running: {', '.join(labs)}", hint="say which: --lab NAME, or NETLAB_LAB=NAME")


def _is_mine(rundir: RunDir) -> bool:
    try:
        applied = rundir.applied()
    except (NetlabError, PermissionError):  # somebody else's, or not to be understood: not what is meant by no name
        return False
    return applied is not None and applied.owner == caller()


def _by_source(name: str, labs: Sequence[str]) -> str:
    """The lab that was brought up from a file or folder of that name; raises BadInput where there is none."""
    if "/" in name or os.path.exists(name):
        path = os.path.realpath(name)
        for running_lab in running():
            applied = running_lab.applied()
            if applied is not None and path in (applied.source, os.path.dirname(applied.source)):
                return running_lab.lab
        if os.path.isfile(path):
            raise BadInput(f"no running lab came from the file {name}", hint="netlab check LAB --expect FILE takes one")
    _refuse_elsewhere(name)
    listing = f"; running: {', '.join(labs)}" if labs else "; none is"
    raise BadInput(f'no lab called "{name}" is running{near(name, labs)}{listing}', hint="netlab up NAME starts one")


def _refuse_elsewhere(name: str = "") -> None:
    """Raise an error with the line to type where the lab, or with no name any lab, runs in the caller's other world."""
    labs = [lab for lab in elsewhere() if name in ("", lab)]
    if labs:
        which = f"lab {labs[0]} runs" if len(labs) == 1 else f"labs {', '.join(labs)} run"
        if world() == ROOTLESS:
            raise NeedsRoot(f"{which} as root: this needs root")
        raise WithoutRoot(f"{which} without root: type this without sudo")


def own_lab(name: str = "", option: str = "", *, shares: bool = False) -> str:
    """The running lab of a command that acts in it.  Raises StateError if the lab belongs to another user.

    ``shares``: the command is right also where this machine has a share of the lab; else HostCannot is raised there.
    """
    lab = running_lab(name, option)
    RunDir(lab).require_owner()
    if not shares:
        require_whole(lab)
    return lab


def require_whole(lab: str) -> None:
    """Raises HostCannot where this machine has only a share of the lab: the command would see half of it."""
    share = RunDir(lab).share()
    if share is not None:
        others = ", ".join(
            f"{machine.name} ({machine.address})" for machine in share.machines if machine.name != share.here
        )
        raise HostCannot(
            f"lab {lab} is spread over machines, and this command would see the share of {share.here} alone; "
            f"the others: {others}",
            hint=f"on each machine: netlab diff {lab}, netlab exec --lab {lab} POD -- COMMAND, netlab down {lab}",
        )
