"""``netlab describe``: objects as kubectl describes them, with their effect in the lab."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from netlab.cli import kinds, out
from netlab.cli.kinds.kind import Kind
from netlab.cli.kinds.printer import as_yaml
from netlab.cli.kinds.request import Request
from netlab.cli.options import lab, running_lab
from netlab.errors import BadInput, Exit


@click.command()
@click.argument("kind")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option("-n", "--namespace", default="default", show_default=True, help="namespace of the objects")
@lab
def command(kind: str, names: tuple[str, ...], namespace: str, lab_option: str) -> int:
    """Show the details of a Pod, node, Service, Endpoints or NetworkPolicy, as kubectl does.

    The output includes the effect of the object in this lab.  Other kinds are printed as in their manifest.
    """
    if "/" in kind and not names:
        kind, _, name = kind.partition("/")
        names = (name,)
    described = _described(kinds.find(kind), Request(running_lab(lab_option), names, namespace))
    for index, lines in enumerate(described):
        if index:
            out.line("\n")
        for line in lines:
            out.line(line.rstrip())
    return Exit.OK


def _described(kind: Kind, request: Request) -> Iterable[Iterable[str]]:
    where = request.namespace if kind.namespaced else None
    if kind.describe:
        items = {item["metadata"]["name"]: item for item in kind.items(request)
                 if item["metadata"].get("namespace") == where}  # fmt: skip
        return kind.describe(request, [items[name] for name in _chosen(kind, request, items)])
    from netlab.cli.kinds.metadata import made, written

    bodies = {body["metadata"]["name"]: body for namespace, body in written(request, kind.name, kind.group)
              if where in (None, namespace)}  # fmt: skip
    bodies |= {body["metadata"]["name"]: body for namespace, body in made(request, kind.name) if namespace == where}
    return [as_yaml(bodies[name]).splitlines() for name in _chosen(kind, request, bodies)]


def _chosen(kind: Kind, request: Request, there: Mapping[str, Any]) -> Sequence[str]:
    """The names that the request has, else all; raises BadInput for a name that is not there."""
    from netlab.near import near

    for name in request.names:
        if name not in there:
            where = f" in namespace {request.namespace}" if kind.namespaced else ""
            raise BadInput(f'{kind.plural} "{name}" not found{where}{near(name, there)}')
    return request.names or list(there)
