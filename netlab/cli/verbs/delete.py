"""``netlab delete``: take objects away from a running lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from netlab.cli import kinds, out
from netlab.cli.options import lab, output, own_lab
from netlab.errors import BadInput

if TYPE_CHECKING:
    from netlab.model import Cluster


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
    from netlab.runtime.lab import change, load_cluster, open_running
    from netlab.runtime.state.resolved import documents_of, identity
    from netlab.spec import load_texts, names, read_texts

    name = own_lab(lab_option)
    if bool(files) == bool(what):
        raise BadInput("say which objects: -f FILE, or KIND NAME...")
    found = documents_of(open_running(name)[1])
    there = {identity(one): one.kind + f".{one.group}" * bool(one.group) for one in found.objects}
    # Nodes of the Lab document and namespaces that only Pods name have no object of their own.
    cluster = load_cluster(name)
    there |= {f"/Node//{node.name}": "Node" for node in cluster.nodes}
    there |= {f"/Namespace//{one}": "Namespace" for one in cluster.namespaces if one != "default"}
    if files:
        texts, problems = read_texts(files)
        given = load_texts([text._replace(namespace=namespace) for text in texts], problems)
        # As with kubectl, kind and name are enough to take an object away.
        named, wrong = ([], given.problems) if problems else names(texts, namespace)
        if given.problems and (wrong or not named):
            raise BadInput(given.problems)
        wanted = named if given.problems else [identity(one) for one in given.objects]
    else:
        words = [word for each in what for word in each.split("/")] if "/" in what[0] else list(what)
        kind = kinds.find(words[0])
        if len(words) < 2:
            raise BadInput(f"which {kind.name}? delete {words[0]} NAME")
        wanted = ["/".join((kind.group, kind.name, namespace if kind.namespaced else "", each)) for each in words[1:]]
    missing = [one for one in wanted if one not in there]
    if missing:
        says, hint = _not_there(missing[0], cluster)
        raise BadInput(says, hint=hint)
    # With a namespace goes all that is in it.
    spaces = {one.rpartition("/")[2] for one in wanted if one.startswith("/Namespace//")}
    inside = [key for key in there if key.split("/")[2] in spaces and key not in wanted]
    done = change(name, delete=[*wanted, *inside], say=out.note)
    if output == "json":
        out.document({"lab": name, "changed": done.changed, "seconds": round(done.seconds, 3)})
        return
    for one in wanted:
        out.line(f'{there[one].lower()} "{one.rpartition("/")[2]}" deleted')


def _not_there(identity: str, cluster: Cluster) -> tuple[str, str]:
    """What is wrong, and what to do: a Pod of a workload has no document of its own."""
    _, kind, namespace, name = identity.split("/")
    place = f" in namespace {namespace}" if namespace else ""
    pod = next((one for one in cluster.pods if kind == "Pod" and (one.namespace, one.name) == (namespace, name)), None)
    if pod is not None:
        owner = pod.owner.replace("/", " ", 1)
        if not owner:
            return f"Pod {pod} is the lab's own: it is there as long as the lab has Services", ""
        return f"Pod {pod} is one of {owner}, which would make it anew", f"netlab delete {owner} -n {namespace}"
    return f'{kind} "{name}" is not there{place}', ""
