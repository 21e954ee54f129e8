"""``netlab schema``: the JSON Schema of lab files, and of the documents that verbs print with ``-o json``."""

from __future__ import annotations

import click

from netlab.cli import out


@click.command(context_settings={"ignore_unknown_options": True})  # schema break --list
@click.argument("words", nargs=-1, metavar="[expect | exercise | VERB [KIND]]")
def command(words: tuple[str, ...]) -> None:
    """Print the JSON Schema of lab files, of expect.yaml, of exercise.yaml, or of what VERB prints with -o json.

    The kinds of get are those of the kernel, for example "netlab schema get links".  All else that get prints is a
    Kubernetes List.
    """
    from netlab.errors import BadInput
    from netlab.near import near
    from netlab.output import DOCUMENTS, document
    from netlab.plain import schema
    from netlab.spec import exercise_schema, expect_schema, json_schema

    title = " ".join(words)
    files = {"": json_schema, "expect": expect_schema, "exercise": exercise_schema}
    if title in files:
        return out.document(files[title]())
    if title not in DOCUMENTS:
        names = ", ".join(("expect", "exercise", *DOCUMENTS))
        raise BadInput(f'there is no schema of "{title}"{near(title, DOCUMENTS)}', hint=f"there are {names}")
    return out.document(schema(document(title), f"netlab {title} -o json"))
