"""``netlab class``: for instructors, what many learners handed in."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from netlab.cli import out
from netlab.cli.files import require_writable, write
from netlab.errors import BadInput, Exit


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """For instructors: labs for many learners on one machine, and grades of what they handed in."""


@command.command()
@click.argument("name")
@click.argument("exercise")
@click.option("--students", required=True, metavar="FILE|N", help="a file with a name in each line, or how many")
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), default=None, help="draw the students' values by this number"
)
def new(name: str, exercise: str, students: str, seed: int | None) -> int:
    """Make a lab of EXERCISE for each student, side by side, each with values of its own.

    As root each student needs a login: the lab is then in that user's own namespaces, and the student types "netlab learn".
    Without root the labs are yours; a student begins by "netlab class join NAME STUDENT".
    """
    from netlab.learn import classroom

    room = classroom.enrolled(name, exercise, classroom.roster(students), seed)
    began = time.monotonic()
    troubles = classroom.build(room)
    for student, trouble in troubles.items():
        out.error(BadInput(f"{student}: {trouble}"))
    count = len(room.students) - len(troubles)
    out.line(f"class {name}: {out.count(count, 'lab')} of {room.exercise} in {time.monotonic() - began:.1f} s")
    if room.students[0].login:
        out.line("  each student types: netlab learn")
    else:
        out.line(f"  a student begins by: {out.command()} class join {name} {room.students[0].name}")
    out.line(f"  {out.command()} class status {name}")
    out.line(f"  {out.command()} class end {name}")
    return Exit.NO if troubles else Exit.OK


@command.command()
@click.argument("name")
@click.option("-o", "--output", type=click.Choice(["table", "csv", "json"]), default="table", help="output format")
def status(name: str, output: str) -> None:
    """Show how the students of a class stand."""
    from netlab.learn import classroom
    from netlab.learn.sheets import standings_csv

    document = classroom.status(name)
    if output == "json":
        out.document(document)
    elif output == "csv":
        out.raw(standings_csv(document))
    else:
        out.table(
            [
                (each.student, each.lab, str(each.seed), f"{each.step} of {each.steps}", str(each.hints), str(each.resets),
                 str(each.skipped), f"{each.seconds / 60:.0f} min", each.progress)
                for each in document.students
            ],
            ("STUDENT", "LAB", "SEED", "STEPS", "HINTS", "RESETS", "SKIPPED", "TIME", "PROGRESS"),
        )  # fmt: skip


@command.command()
@click.argument("name")
@click.argument("student")
def join(name: str, student: str) -> int:
    """Begin the exercise of a student whose lab is yours, or go on with it."""
    from netlab.learn import classroom

    environment, words = classroom.session(name, student)
    os.execve(words[0], words, environment)


@command.command()
@click.argument("name")
def end(name: str) -> int:
    """Remove the labs of a class, and what netlab keeps of it; the progress of students with logins stays theirs."""
    from netlab.learn import classroom

    troubles = classroom.end(name)
    for student, trouble in troubles.items():
        out.error(BadInput(f"{student}: {trouble}"))
    if not troubles:
        out.line(f"class {name} is over")
    return Exit.NO if troubles else Exit.OK


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
            grades.append(graded(document, file, path, draft(str(path), (), document.lab), out.note))
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
