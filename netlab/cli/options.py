"""Options that several verbs share, and what they mean."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from netlab.errors import BadInput
from netlab.runtime.rundir import running

F = TypeVar("F", bound=Callable[..., Any])


class Seconds(click.FloatRange):
    """A time that ends: "nan" and "inf" are numbers to click, and what waits for them never ends or breaks off."""

    def __init__(self, least: float, most: float = 1e8) -> None:
        super().__init__(least, most)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number, if it is one that a clock can reach."""
        found = float(super().convert(value, param, ctx))
        if not math.isfinite(found):
            self.fail(f"{value!r} is no time", param, ctx)
        return found


output = click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="text or json")
lab = click.option(
    "--lab", "lab_option", default="", envvar="NETLAB_LAB", help="the running lab, where there are several"
)


def spec_options(function: F) -> F:
    """LAB, -f and --name, of the verbs that read files."""
    function = click.option("--name", default="", help="run it under another name")(function)
    function = click.option(
        "-f", "--filename", "files", multiple=True, metavar="FILE|DIR|-", help="further manifests; repeatable"
    )(function)
    return click.argument("lab", required=False, default="")(function)


def running_lab(name: str = "") -> str:
    """The running lab that is meant: the one named, else $NETLAB_LAB, else the only one."""
    name = name or os.environ.get("NETLAB_LAB", "")
    labs = [one.lab for one in running()]
    if name:
        if name not in labs:
            known = f"; running: {', '.join(labs)}" if labs else "; none is"
            raise BadInput(f'no lab called "{name}" is running{known}', hint="netlab up NAME starts one")
        return name
    if len(labs) == 1:
        return labs[0]
    if not labs:
        raise BadInput("no lab is running", hint="netlab up overlay starts one")
    raise BadInput(f"several labs are running: {', '.join(labs)}", hint="say which: --lab NAME, or NETLAB_LAB=NAME")
