"""``netlab class``: for instructors, what many learners handed in."""

from __future__ import annotations

from pathlib import Path

import click

from netlab.cli import out
from netlab.cli.files import require_writable, write
from netlab.errors import BadInput, Exit


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """For instructors: grade what the learners of an exercise handed in."""


@command.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--exercise", "folder", default="", metavar="FOLDER",
              help="the folder of the exercise (default: the exercise that the file names)")  # fmt: skip
@click.option("--csv", "csv_file", default="", metavar="FILE", help="write a row per learner and a row per question")
@click.option("--markdown", "markdown_file", default="", metavar="FILE", help="write the tables that are printed")
@click.option("-o", "--output", type=click.Choice(["markdown", "csv", "json"]), default="markdown", show_default=True,
              help="output format")  # fmt: skip
def grade(files: tuple[str, ...], folder: str, csv_file: str, markdown_file: str, output: str) -> int:
    """Grade files of netlab learn --hand-in, each in a fresh lab that is made of it.

    The lab is made of objects, never of commands: what a file has beyond that is refused, and the reason stands in the
    grade.  The checks of the exercise then look at that lab by real packets.

    The exit status is 0 if every file was graded, and 1 if one was refused.
    """
    from netlab.cli.drafts import draft
    from netlab.learn.grade import folder_of, graded
    from netlab.learn.handin import read
    from netlab.learn.sheets import as_csv, as_markdown

    require_writable("--csv", csv_file)
    require_writable("--markdown", markdown_file)
    grades, unread = [], 0
    for file in files:
        try:
            document = read(file)
            path = Path(folder) if folder else folder_of(document)
            grades.append(graded(document, file, path, draft(str(path), (), ""), out.note))
        except BadInput as wrong:
            out.error(wrong if file in str(wrong) else BadInput(f"{file}: {wrong}"))
            unread += 1
    if csv_file:
        write("--csv", csv_file, as_csv(grades))
    if markdown_file:
        write("--markdown", markdown_file, as_markdown(grades))
    if output == "json":
        out.document(grades)
    elif grades:
        out.raw((as_csv if output == "csv" else as_markdown)(grades))
    return Exit.NO if unread or any(each.refused for each in grades) else Exit.OK
