"""``netlab learn``: an exercise in a running lab, in a shell that tells what is done."""

from __future__ import annotations

import os
import random
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netlab.cli import out
from netlab.cli.options import output
from netlab.errors import BadInput, Exit, HostCannot

if TYPE_CHECKING:
    from netlab.exercise.exercise import Exercise
    from netlab.learn.course import Entry
    from netlab.learn.progress import Book, Progress
    from netlab.learn.session import Session
    from netlab.output.learn import CourseExercise


@click.command()
@click.argument("lab", required=False, default="")
@click.option("--list", "lists", is_flag=True, help="print the course: the exercises in order, and how far you are")
@click.option("--watch", "watches", is_flag=True, help="show the steps and checks live, in a second terminal")
@click.option("--again", is_flag=True, help="begin the exercise from its first step, with other values")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=None, help="draw the values by this number")
@click.option("--league", "plays", is_flag=True, help="the debugging league: secret faults against the clock")
@click.option("--level", type=click.IntRange(1, 3), default=None, help="with --league: only faults of this level")
@click.option("--rounds", type=click.IntRange(1, 100), default=10, help="with --league: how many (default: 10)")
@click.option("--name", default="", help="run the lab under another name")
@click.option("--hand-in", "hand_in", default="", metavar="FILE", help="write what you did, for netlab class grade")
@click.option("--learner", default="", metavar="NAME", help="with --hand-in: your name (default: your login)")
@click.option("--lines", "speaks", is_flag=True, hidden=True, help="speak JSON lines: for the page of a running LAB")
@output
def command(
    lab: str,
    lists: bool,
    watches: bool,
    speaks: bool,
    again: bool,
    seed: int | None,
    plays: bool,
    level: int | None,
    rounds: int,
    name: str,
    hand_in: str,
    learner: str,
    output: str,
) -> int:
    """Learn in a running lab: steps that tell by themselves when they are done.

    LAB is a lab with an exercise; without LAB, learn goes on where you were.  It builds the lab anew and opens the lab's
    shell.  The current step stands above the prompt, and a step is ticked when the lab is as it should be, whatever
    commands you used.  In the shell: hint, answer VALUE, step, skip, reset, page, quit.
    """
    if learner and not hand_in:
        raise click.UsageError("--learner belongs to --hand-in")
    if lists:
        return _list(output)
    if speaks:
        from netlab.cli.learnlines import speak

        speak(lab)
        return Exit.OK
    if watches:
        from netlab.cli.learnlive import watch

        watch()
        return Exit.OK
    if output == "json":
        raise click.UsageError("-o json belongs to --list")
    if shutil.which("bash") is None:
        raise HostCannot("netlab learn needs bash")
    if plays:
        if lab:
            raise click.UsageError("--league has a lab of its own")
        return _league(level or 0, seed, rounds)
    if level is not None:
        raise click.UsageError("--level belongs to --league")
    from netlab.learn import progress
    from netlab.learn.course import chosen

    book = progress.read()
    folder = chosen(lab or _next(book))
    if hand_in:
        return _hand_in(folder, hand_in, learner)
    return _learn(folder, book.exercises.get(folder.resolve().name), again=again, seed=seed, name=name)


def _next(book: Book) -> str:
    """The exercise to go on with: the last one, or, where that is done or there was none, the first that is not done."""
    from netlab.learn.course import readable

    def is_done(exercise: Exercise) -> bool:
        kept = book.exercises.get(exercise.name)
        return kept is not None and kept.step >= len(exercise.steps)

    course = readable()[0]
    last = next((exercise for exercise, folder in course if str(folder.resolve()) == book.last), None)
    if book.last and (last is None or not is_done(last)):
        return book.last
    after = [pair for pair in course if last is not None and pair[0].course > last.course]
    return next((str(folder) for exercise, folder in (*after, *course) if not is_done(exercise)), book.last)


def _list(output: str) -> int:
    from netlab.learn.course import course

    entries, problems = course()
    for problem in problems:
        out.note(str(problem))
    documents = [_document(entry) for entry in entries]
    if output == "json":
        out.document(documents)
        return Exit.OK
    rows = [each for each in documents if each.runs]
    progress = {"new": "", "begun": "step {} of {}", "done": "done"}
    out.table(
        [
            (
                str(number),
                each.exercise,
                str(each.level),
                f"{each.minutes} min",
                progress[each.progress].format(each.step + 1, each.steps),
                each.title,
            )
            for number, each in enumerate(rows, 1)
        ],
        ("", "EXERCISE", "LEVEL", "TIME", "PROGRESS", "TITLE"),
    )
    for each in documents:
        if not each.runs:
            out.line(f"not on this host: {each.exercise} (without {', '.join(each.lacks)})")
    return Exit.OK


def _document(entry: Entry) -> CourseExercise:
    from netlab.learn import progress
    from netlab.output.learn import CourseExercise

    exercise = entry.exercise
    kept = progress.read().exercises.get(exercise.name)
    step = min(kept.step, len(exercise.steps)) if kept else 0
    return CourseExercise(
        exercise=exercise.name,
        course=exercise.course,
        title=exercise.title,
        goal=exercise.goal,
        level=exercise.level,
        minutes=exercise.minutes,
        runs=not entry.lacks,
        lacks=entry.lacks,
        progress="new" if kept is None else "done" if step == len(exercise.steps) else "begun",
        step=step,
        steps=len(exercise.steps),
    )


def _learn(folder: Path, kept: Progress | None, *, again: bool, seed: int | None, name: str) -> int:
    from netlab.cli.drafts import draft
    from netlab.cli.learntext import opening, step
    from netlab.learn.course import read
    from netlab.learn.progress import Progress, keep, now
    from netlab.learn.session import Session
    from netlab.runtime.state.rundir import RunDir

    before = kept if kept and not again and seed is None and not kept.ended else None
    name = name or (kept.lab if kept else "")
    progress = before or Progress(random.randrange(2**31) if seed is None else seed, began=now(), lab=name)
    exercise = read(folder, progress.seed)
    if progress.step >= len(exercise.steps):
        progress = Progress(progress.seed, began=now(), lab=name)
    wanted = draft(str(folder), (), name)
    session = Session(exercise, folder, wanted, progress, out.note)
    rundir = RunDir(session.lab)
    applied = rundir.applied() if rundir.exists() else None
    if applied is not None and applied.source != wanted.source:
        raise BadInput(
            f"a lab {session.lab} runs that came from {applied.source}", hint=f"{out.command()} down {session.lab}"
        )
    goes_on = before is not None and applied is not None
    if not goes_on:
        session.prepare()
    keep(exercise.name, folder, session.progress)
    for line in (*opening(exercise), "", *step(exercise, session.number)):
        out.line(line)
    return _shell(session, folder)


def _hand_in(folder: Path, file: str, learner: str) -> int:
    """Write the hand-in, and say what is in it."""
    import getpass
    import json

    from netlab.cli.drafts import draft
    from netlab.cli.files import require_writable, write
    from netlab.learn import progress
    from netlab.learn.handin import content, made
    from netlab.plain import dump
    from netlab.runtime.state.running import name_of

    require_writable("--hand-in", file)
    kept = progress.read().exercises.get(folder.resolve().name)
    lab = name_of(draft(str(folder), (), kept.lab if kept else ""))
    document = made(folder, lab, learner or os.environ.get("SUDO_USER") or getpass.getuser())
    write("--hand-in", file, json.dumps(dump(document), indent=1) + "\n")
    out.line(f"{file}:")
    for line in content(document):
        out.line(f"  {line}")
    return Exit.OK


def _shell(session: Session, folder: Path) -> int:
    """Become the lab's shell, with a watcher beside it."""
    from netlab.cli import beside
    from netlab.cli.learnshell import WORDS, Channel
    from netlab.cli.learntext import HELP
    from netlab.cli.learnwatch import Watcher
    from netlab.learn.page import PAGE
    from netlab.runtime.state.rundir import RunDir

    channel = Channel.open()
    page = str(folder.resolve()) if (folder / PAGE).is_file() else ""
    script = channel.script(WORDS, page, prompt=sys.stdin.isatty(), more=HELP)
    netns = RunDir(session.lab).assignments().netns
    return beside.shell(session.lab, netns, script, channel, partial(Watcher, session, folder, channel))


def _league(level: int, seed: int | None, rounds: int) -> int:
    """Ten secret faults against the clock."""
    from netlab.cli import beside, leaguewatch
    from netlab.cli.drafts import draft
    from netlab.cli.learnshell import Channel
    from netlab.learn.league import LAB, League
    from netlab.runtime.state.rundir import RunDir

    seed = random.randrange(2**31) if seed is None else seed
    league = League(draft(str(LAB), (), ""), level=level, seed=seed, count=rounds, say=out.note)
    league.draw()
    league.begin()
    out.line(f"The debugging league: {out.count(league.count, 'round')}, level {level or 'any'}, seed {seed}")
    out.line("Each round has one fault. Find it, mend it by hand, and name its cause and place.")
    out.line("netlab diagnose, heal and diff --reveal end the round.")
    for line in ("", *leaguewatch.opening(league)):
        out.line(line)
    channel = Channel.open()
    script = channel.script(leaguewatch.WORDS, "", prompt=sys.stdin.isatty(), more=leaguewatch.RC)
    netns = RunDir(league.lab).assignments().netns
    return beside.shell(league.lab, netns, script, channel, partial(leaguewatch.LeagueWatcher, league, channel))
