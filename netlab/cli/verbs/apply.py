"""``netlab apply``: change a running lab by manifests."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from netlab.cli import out
from netlab.cli.options import filename_option, lab, namespace_option, output, own_lab

if TYPE_CHECKING:
    from netlab.runtime.state.resolved import Lab
    from netlab.spec import Documents, Warning


@click.command()
@filename_option("manifests to apply", required=True)
@namespace_option
@lab
@output
def command(files: tuple[str, ...], namespace: str, lab_option: str, output: str) -> None:
    """Change a running lab with manifests, as kubectl does.

    apply creates each object, or replaces the object of the same name.  In the kernel it changes only what differs.
    """
    from netlab.cli import warned
    from netlab.errors import BadInput
    from netlab.runtime.lab import change
    from netlab.runtime.state.resolved import documents_of, identity
    from netlab.runtime.state.running import open_running
    from netlab.spec import Text, load_texts, read_texts

    name = own_lab(lab_option)
    texts, problems = read_texts(files)
    named = [Text(_name(file), text, namespace or "default") for file, text, _ in texts]
    given = load_texts(named, problems)
    if given.problems:
        raise BadInput(given.problems)
    if given.lab is not None:
        raise BadInput(f"{given.lab.mark}: a Lab is not applied to a running one", hint="netlab up takes it")
    before = {identity(document): document for document in documents_of(open_running(name)[1]).objects}
    done = change(name, add=named, programs=True, say=out.note)
    new = {(document.kind, document.namespace, document.name) for document in given.objects}
    warnings = _about(new, given, done.lab)
    if output == "json":
        from netlab.output.changes import Applied

        documents = warned.documents([*warnings, *done.problems])
        out.document(Applied(lab=name, changed=done.changed, seconds=round(done.seconds, 3), warnings=documents))
        return
    warned.tell([*warnings, *done.problems])
    for document in given.objects:
        there = before.get(identity(document))
        result = "created" if there is None else "unchanged" if there.body == document.body else "configured"
        kind = document.kind.lower() + (f".{document.group}" if document.group else "")
        out.line(f"{kind}/{document.name} {result}")


def _about(new: Collection[tuple[str, str, str]], given: Documents, lab: Lab) -> list[Warning]:
    """What the lab as a whole makes of these objects: a Service that selects nothing is well by itself."""
    from netlab.lint import kept, lint, ordered

    names = {f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}" for kind, namespace, name in new}
    others = {*given.warnings}
    there = [
        warning
        for warning in lab.warnings
        if warning not in others and (warning.object in names or warning.mark.file in given.sources)
    ]
    warnings = lint(lab.built, replace(lab.documents, references=given.references), new)
    return ordered(kept((*given.warnings, *there, *warnings), given), given.sources)


def _name(file: str) -> str:
    """A file's name as it is kept: the running lab is changed from any folder."""
    return file if file.startswith("<") else os.path.relpath(file)
