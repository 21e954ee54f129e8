"""``netlab label``: kubectl's words and sentences, kept by ``runtime.lab.change``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from netlab.cli import kinds, out
from netlab.cli.kinds.kind import Kind
from netlab.cli.options import lab, output, own_lab
from netlab.cli.references import Reference, not_found, references
from netlab.cli.selectors import selector as selected
from netlab.errors import BadInput

if TYPE_CHECKING:
    from netlab.model import Cluster

Labels = dict[str, str | None]


@click.command()
@click.argument("words", nargs=-1, metavar="[KIND] NAME... KEY=VALUE... KEY-...")
@click.option("-n", "--namespace", default="default", show_default=True, help="namespace of the Pods")
@click.option("-A", "--all-namespaces", "every", is_flag=True, help="with --all or -l: select in all namespaces")
@click.option("--all", "everyone", is_flag=True, help="change all objects of the kind, without NAME")
@click.option("-l", "--selector", default="", help="change objects with these labels, without NAME")
@click.option("--overwrite", is_flag=True, help="replace existing values")
@click.option("--list", "listing", is_flag=True, help="print the resulting labels")
@lab
@output
def command(
    words: tuple[str, ...],
    namespace: str,
    every: bool,
    everyone: bool,
    selector: str,
    overwrite: bool,
    listing: bool,
    lab_option: str,
    output: str,
) -> None:
    """Set (KEY=VALUE) and remove (KEY-) labels of Pods, namespaces and nodes of a running lab.

    NAME can be NAMESPACE/NAME, KIND/NAME, or deploy/NAME for all Pods of a Deployment after KIND pods.
    Selectors see the new labels immediately.  A label stays with its Pod, even if a Deployment made the Pod.  up keeps
    the labels that you set here; up --reset drops them.
    """
    from netlab.runtime.lab import change
    from netlab.runtime.state.running import load_cluster

    lab_name = own_lab(lab_option)
    objects, wanted = _split(words)
    if not wanted and not listing:
        raise BadInput("at least one label update is required", hint="netlab label pod client tier=front")
    cluster = load_cluster(lab_name)
    if everyone or selector:
        chosen = _selected(cluster, objects, "" if every else namespace, selector)
    else:
        chosen = _named(cluster, objects, namespace)
    done: dict[str, Labels] = {}
    sentences: list[str] = []
    there: dict[Reference, Mapping[str, str]] = {}
    for reference in chosen:
        labels = _labels(reference.kind, cluster)
        if reference[1:] not in labels:
            raise not_found(reference.kind.plural, reference.namespace, reference.name, labels)
        there[reference] = labels[reference[1:]]
        changed, more = _change(reference, there[reference], wanted, overwrite=overwrite)
        done |= {_key(reference): changed} if changed else {}
        sentences += more
    count = change(lab_name, label=done, programs=True, say=out.note).changed if done else 0
    if output == "json":
        from netlab.output.changes import Labelled

        out.document(Labelled(lab=lab_name, changed=count, labelled=done))
        return
    for sentence in sentences if wanted else ():
        out.line(sentence)
    if listing:
        for reference, before in there.items():
            after: Labels = {**before, **done.get(_key(reference), {})}
            for key in sorted(key for key, value in after.items() if value is not None):
                out.line(f"{key}={after[key]}")


def _split(words: Sequence[str]) -> tuple[list[str], Labels]:
    """Split the words into objects and labels; errors for a wrong order are those of kubectl."""
    from netlab.spec.formats import label_key, label_value

    objects: list[str] = []
    wanted: Labels = {}
    removed: set[str] = set()
    for word in words:
        key, equals, value = word.partition("=")
        removing = not equals and len(word) > 1 and word.endswith("-")
        if not equals and not removing:
            if wanted:
                raise BadInput(f"all resources must be specified before label changes: {word}")
            objects.append(word)
            continue
        if removing:
            key = word[:-1]
        try:
            label_key(key)
            if equals:
                label_value(value)
        except ValueError as error:
            raise BadInput(f"{word}: {error}") from error
        if key in wanted and (removing != (key in removed)):
            raise BadInput(f'can not both modify and remove label "{key}" in the same command')
        wanted[key] = None if removing else value
        removed |= {key} if removing else set()
    return objects, wanted


def _selected(cluster: Cluster, words: Sequence[str], namespace: str, selector: str) -> list[Reference]:
    """The objects of a kind with these labels; ``namespace`` "" means all."""
    if len(words) > 1:
        raise BadInput("give NAMEs, or --all, or -l, not several of them")
    kind = _labelled(kinds.find(words[0])) if words else None
    if kind is None:
        raise BadInput("which kind? label KIND --all KEY=VALUE")
    matches = selected(selector) if selector else lambda _: True
    return [Reference(kind, where, name) for (where, name), labels in _labels(kind, cluster).items()
            if (not kind.namespaced or namespace in ("", where)) and matches(labels)]  # fmt: skip


def _named(cluster: Cluster, words: Sequence[str], namespace: str) -> list[Reference]:
    if not words:
        raise BadInput("which object? label KIND NAME KEY=VALUE")
    if len(words) == 1 and (kind := kinds.named(words[0])):
        raise BadInput(f"which {kind.name}? label {_labelled(kind).plural} NAME KEY=VALUE, or --all")
    chosen = references(cluster, words, namespace, single=True)
    for reference in chosen:
        _labelled(reference.kind)
    return chosen


def _labelled(kind: Kind) -> Kind:
    """The kind; raises BadInput where its labels select nothing."""
    if kind.name not in ("Pod", "Namespace", "Node"):
        raise BadInput(
            f"labels of {kind.plural} have no effect in the network; those of pods, namespaces and nodes have",
            hint="change the labels in the manifest, and netlab apply -f it",
        )
    return kind


def _labels(kind: Kind, cluster: Cluster) -> dict[tuple[str, str], Mapping[str, str]]:
    """The labels of all objects of the kind, by namespace and name."""
    if kind.name == "Node":
        return {("", node.name): node.labels for node in cluster.nodes}
    if kind.name == "Namespace":
        return {("", name): labels for name, labels in cluster.namespaces.items()}
    return {(pod.namespace, pod.name): pod.labels for pod in cluster.pods}


def _key(reference: Reference) -> str:
    """The name that ``model.Changes`` has for an object."""
    from netlab.model.workloads.changes import label_key

    return label_key(reference.kind.name, "/".join(filter(None, reference[1:])))


def _change(
    reference: Reference, have: Mapping[str, str], wanted: Labels, *, overwrite: bool
) -> tuple[Labels, list[str]]:
    """The labels of one object that change, and kubectl's sentences about them."""
    sentences: list[str] = []
    changed: Labels = {}
    for key, value in wanted.items():
        if value is None:
            if key in have:
                changed[key] = None
            else:
                sentences.append(f'label "{key}" not found.')
        elif have.get(key) != value:
            if key in have and not overwrite:
                raise BadInput(f"'{key}' already has a value ({have[key]}), and --overwrite is false")
            if reference.kind.name == "Namespace" and key == "kubernetes.io/metadata.name":
                raise BadInput(f"'{key}' is the namespace's own name and cannot be changed")
            changed[key] = value
    name = f"{reference.kind.name.lower()}/{reference.name}"
    if not changed:
        return {}, [*sentences, f"{name} not labeled"]
    only_removed = all(value is None for value in changed.values())
    return changed, [*sentences, f"{name} {'unlabeled' if only_removed else 'labeled'}"]
