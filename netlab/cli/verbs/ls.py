"""``netlab ls``: the running labs."""

from __future__ import annotations

import time
from typing import Any

import click

from netlab.cli import out
from netlab.cli.elsewhere import ROOT, ROOTLESS, elsewhere, typed, world
from netlab.cli.options import output
from netlab.errors import NetlabError
from netlab.runtime.client import apiserver
from netlab.runtime.state.rundir import Assignments, running
from netlab.runtime.state.sudo import maps_all_users

_HEADS = {"impaired": "IMPAIRED LINKS"}


@click.command()
@output
def command(output: str) -> None:
    """List the running labs: also yours of the other world, as root's or without root."""
    rows: list[dict[str, Any]] = []
    here = ROOT if maps_all_users() else ROOTLESS
    for rundir in running():
        try:
            applied = rundir.applied() or rundir.pending()
            assignments = rundir.assignments()
        except PermissionError:
            rows.append(_unread(rundir.lab, here))
            continue
        except NetlabError as error:  # the other labs can be listed all the same
            out.error(error)
            applied, assignments = None, Assignments()
        since = applied.since if applied else 0.0
        rows.append(
            {
                "lab": rundir.lab,
                "nodes": assignments.nodes,
                "pods": assignments.pods,
                "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(since)) if since else None,
                "faults": assignments.faults,
                "impaired": assignments.impaired,
                "world": here,
                "kubeconfig": str(apiserver.kubeconfig(rundir.lab)) if apiserver.recorded(rundir.path) else None,
            }
        )
    rows += [_unread(name, ROOT if here == ROOTLESS else ROOTLESS) for name in elsewhere()]
    if output == "json":
        from netlab.output.changes import RunningLab

        out.document([RunningLab(**row) for row in rows])
    elif not rows:
        out.line(f"no lab is running; {out.command()} labs shows those that there are")
    else:
        others = [row["lab"] for row in rows if row["world"] != world()]
        keys = ["lab", "nodes", "pods", "since"]
        keys += ["faults"] if any(row["faults"] for row in rows) else []
        keys += ["impaired"] if any(row["impaired"] for row in rows) else []
        keys += ["world"] if others else []
        keys += ["kubeconfig"] if any(row["kubeconfig"] for row in rows) else []
        out.table(
            [[_cell(row, key) for key in keys] for row in rows],
            [_HEADS.get(key, key.upper()) for key in keys],
        )
        if others:
            out.note(f"for {', '.join(others)} type: {typed()} ...")


def _cell(row: dict[str, Any], key: str) -> str:
    return str(row[key]) if row[key] is not None else "-" if key == "kubeconfig" else "?"


def _unread(lab: str, world: str) -> dict[str, Any]:
    """The row of a lab whose state the caller may not read: its folder is seen by all, what is in it by root."""
    unknown = dict.fromkeys(("nodes", "pods", "since", "faults", "impaired", "kubeconfig"), None)
    return unknown | {"lab": lab, "world": world}
