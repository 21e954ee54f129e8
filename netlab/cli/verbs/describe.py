"""``netlab describe``: objects as kubectl describes them, with their effect in the lab."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import click

from netlab.cli import kinds, out
from netlab.cli.kinds.kind import Item, Kind
from netlab.cli.kinds.printer import as_yaml
from netlab.cli.kinds.request import Request
from netlab.cli.options import lab, running_lab
from netlab.cli.references import not_found, references, requests
from netlab.errors import Exit

Key = tuple[str, str]  # an object's namespace and name


@click.command()
@click.argument("kind")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option("-n", "--namespace", default="default", show_default=True, help="namespace of the objects")
@lab
def command(kind: str, names: tuple[str, ...], namespace: str, lab_option: str) -> int:
    """Show the details of a Pod, node, Service, Endpoints or policy, as kubectl does.

    The output includes the effect of the object in this lab.  Other kinds are printed as in their manifest.
    Without KIND, a word means what it means for trace and exec: svc/web, shop/web, web, node-1 or an address.
    """
    request = Request(running_lab(lab_option), names, namespace)
    blocks = [lines for wanted, part in _requests(kind, request) for lines in _described(wanted, part)]
    for index, lines in enumerate(blocks):
        if index:
            out.line("\n")
        for line in lines:
            out.line(line.rstrip())
    return Exit.OK


def _requests(word: str, request: Request) -> list[tuple[Kind, Request]]:
    if not request.names and (kind := kinds.named(word)):
        return [(kind, request)]
    return requests(request, references(request.running.cluster, (word, *request.names), request.namespace))


def _described(kind: Kind, request: Request) -> Iterable[Iterable[str]]:
    if kind.describe:
        items = {_key(item): item for item in kind.items(request)}
        return kind.describe(request, [items[key] for key in _chosen(kind, request, items)])
    from netlab.cli.kinds.metadata import made, written

    documents = (*written(request, kind.name, kind.group), *made(request, kind.name))
    bodies = {(namespace if kind.namespaced else "", body["metadata"]["name"]): body for namespace, body in documents}
    return [as_yaml(bodies[key]).splitlines() for key in _chosen(kind, request, bodies)]


def _key(item: Item) -> Key:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _chosen(kind: Kind, request: Request, objects: Collection[Key]) -> list[Key]:
    """The objects that the request names, else all of its namespace; raises BadInput for one that is not there."""
    where = request.namespace if kind.namespaced else ""
    for name in request.names:
        if (where, name) not in objects:
            raise not_found(kind.plural, where, name, objects)
    return [(where, name) for name in request.names] or [key for key in objects if key[0] == where]
