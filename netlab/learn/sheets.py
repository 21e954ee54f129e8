"""Grades as sheets: CSV for a spreadsheet, Markdown for people.  Texts of learners are data in both."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields

from netlab.escape import terminal
from netlab.output.learn import ClassStatus, Grade, StudentStanding

_COLUMNS = ("learner", "exercise", "seed", "right", "of", "hints", "resets", "skipped", "seconds", "refused", "file")
_QUESTIONS = ("learner", "exercise", "step", "title", "check", "question", "result", "saw")
_MARKS = {"right": "yes", "wrong": "no", "as handed in": "handed in", "not reached": "-"}


def as_csv(grades: Sequence[Grade]) -> str:
    """A row for each learner and exercise, an empty line, and a row for each check of each learner."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for grade in grades:
        writer.writerow([_cell(getattr(grade, name)) for name in _COLUMNS])
    writer.writerow([])
    writer.writerow(_QUESTIONS)
    for grade in grades:
        for check in grade.checks:
            values = (getattr(check, name) for name in _QUESTIONS[2:])
            writer.writerow(map(_cell, (grade.learner, grade.exercise, *values)))
    return text.getvalue()


def standings_csv(room: ClassStatus) -> str:
    """A row for each student."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [each.name for each in fields(StudentStanding)]
    writer.writerow(names)
    for student in room.students:
        writer.writerow([_cell(getattr(student, name)) for name in names])
    return text.getvalue()


def _cell(value: object) -> str:
    """A spreadsheet takes text that begins so for a formula, and runs it."""
    text = terminal(str(value)).replace("\n", " ")
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) and not isinstance(value, (int, float)) else text


def as_markdown(grades: Sequence[Grade]) -> str:
    """A table of learners, and for each exercise a table of its checks with how many were right."""
    return "\n".join(_lines(grades)) + "\n"


def _lines(grades: Sequence[Grade]) -> Iterator[str]:
    yield "| learner | exercise | right | hints | resets | minutes | |"
    yield "|---|---|---|---|---|---|---|"
    for grade in grades:
        notes = [f"{grade.skipped} skipped" if grade.skipped else "", grade.refused]
        yield _row(
            *(grade.learner, grade.exercise, f"{grade.right} of {grade.of}", grade.hints, grade.resets),
            *(f"{grade.seconds / 60:.0f}", "; ".join(filter(None, notes))),
        )
    for exercise in dict.fromkeys(grade.exercise for grade in grades):
        of_it = [grade for grade in grades if grade.exercise == exercise]
        rows = [grade.checks for grade in of_it if grade.checks]
        yield f"\n## {exercise}\n"
        yield _row("step", "check", "right", *(grade.learner for grade in of_it if grade.checks))
        yield "|---|---|---|" + "---|" * len(rows)
        for column in zip(*rows, strict=False):
            first = column[0]
            right = sum(each.result in {"right", "as handed in"} for each in column)
            question = first.question or f"{first.check}: {first.title}"
            yield _row(first.step, question, f"{right} of {len(column)}", *(_MARKS[each.result] for each in column))


def _row(*cells: object) -> str:
    texts = (re.sub(r"[\n\t]+", " ", terminal(str(cell))) for cell in cells)
    return "| " + " | ".join(re.sub(r"([\\|<>`*_\[\]])", r"\\\1", text) for text in texts) + " |"
