"""``netlab delete``: take objects away from a running lab."""

from __future__ import annotations

import click

from netlab.cli import kinds, out
from netlab.cli.options import lab, output, running_lab
from netlab.errors import BadInput


@click.command()
@click.option(
    "-f", "--filename", "files", multiple=True, metavar="FILE|DIR|-", help="manifests whose objects go; repeatable"
)
@click.option("-n", "--namespace", default="default", show_default=True, help="the objects' namespace")
@click.argument("what", nargs=-1, metavar="[KIND NAME...]")
@lab
@output
def command(files: tuple[str, ...], namespace: str, what: tuple[str, ...], lab_option: str, output: str) -> None:
    """Take objects away from a running lab: those of manifests, or KIND NAME..."""
    from netlab.runtime.lab import change, documents_of, identity, open_running
    from netlab.spec import load

    name = running_lab(lab_option)
    if bool(files) == bool(what):
        raise BadInput("say which objects: -f FILE, or KIND NAME...")
    there = {identity(one): one for one in documents_of(open_running(name)[1]).objects}
    if files:
        given = load(files)
        if given.problems:
            raise BadInput(given.problems)
        wanted = [identity(one) for one in given.objects]
    else:
        words = [word for each in what for word in each.split("/")] if "/" in what[0] else list(what)
        kind = kinds.find(words[0])
        if len(words) < 2:
            raise BadInput(f"which {kind.name}? delete {words[0]} NAME")
        wanted = ["/".join((kind.group, kind.name, namespace if kind.namespaced else "", each)) for each in words[1:]]
    missing = [one for one in wanted if one not in there]
    if missing:
        _, kind_name, where, object_name = missing[0].split("/")
        place = f" in namespace {where}" if where else ""
        raise BadInput(f'{kind_name} "{object_name}" is not there{place}')
    done = change(name, delete=wanted, say=out.note)
    if output == "json":
        out.document({"lab": name, "changed": done.changed, "seconds": round(done.seconds, 3)})
        return
    for one in wanted:
        document = there[one]
        out.line(f'{document.kind.lower()}{"." + document.group if document.group else ""} "{document.name}" deleted')
