"""An exercise from a fresh lab to its end, by its solution: ``replay.py NAME SEED LAB [grade]``; prints what happened as
JSON, with ``grade`` also what a grader finds in the hand-in.

The solution is NAME.sh beside this file: bash, a section ``# step N`` for each step.  In it LAB is the lab's name, and
``answer VALUE`` answers a question.  Only tests run it; netlab itself never does.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from netlab.cli.drafts import draft
from netlab.cli.labshell import environment
from netlab.learn.course import read
from netlab.learn.grade import graded
from netlab.learn.handin import made
from netlab.learn.progress import Progress, keep
from netlab.learn.session import Session
from netlab.runtime.teardown import down

HERE = Path(__file__).resolve().parent
LABS = HERE.parents[1] / "labs"
PATIENCE = 30  # seconds for effects of a step


def sections(name: str) -> list[str]:
    """The lines of each step; what stands before the first belongs to all."""
    text = (HERE / f"{name}.sh").read_text()
    parts = re.split(r"^# step (\d+).*\n", text, flags=re.M)
    assert [int(number) for number in parts[1::2]] == list(range(1, len(parts[1::2]) + 1))
    return [parts[0] + lines for lines in parts[2::2]]


def replay(name: str, seed: int, lab: str, *, grade: bool = False) -> dict[str, object]:
    folder = LABS / name
    wanted = draft(str(folder), (), lab)
    session = Session(read(folder, seed), folder, wanted, Progress(seed, lab=lab))
    steps: list[dict[str, object]] = []
    try:
        session.begin()  # raises where a check is true before anything was done
        for number, lines in enumerate(sections(name)):
            early = session.look()
            assert session.number == number, f"step {number + 1} was done before anything was done: {early}"
            report = solved(session, lines)
            late = time.monotonic() + PATIENCE
            while session.number == number and time.monotonic() < late:
                session.look()
            done = session.number > number
            looks = [] if done else [str(look and look.saw) for look in session.ticks.looks]
            steps.append({"step": session.exercise.steps[number].title, "done": done, "saw": looks, "said": report})
            if not done:
                break
    finally:
        session.close()
        down(lab)
    wrong = None
    if grade and session.over:
        keep(name, folder, session.progress)
        grades = graded(made(folder, lab, "learner"), "replayed", folder, wanted)
        wrong = [grades.refused] if grades.refused else []
        wrong += [f"{each.step} {each.check}: {each.saw}" for each in grades.checks if each.result == "wrong"]
    return {"over": session.over, "steps": steps, "wanted": len(session.exercise.steps), "wrong": wrong}


def solved(session: Session, lines: str) -> str:
    """Run the lines of a step, and give its answers."""
    env, _ = environment(session.lab)
    with tempfile.NamedTemporaryFile("r") as answers:
        script = f'answer() {{ printf "%s\\n" "$*" >>{answers.name}; }}\nLAB={session.lab}\n{lines}'
        done = subprocess.run(
            ["bash", "-c", script], env=env, capture_output=True, text=True, check=False, timeout=120, stdin=subprocess.DEVNULL
        )  # fmt: skip
        for line in answers.read().splitlines():
            session.answer(line)
    return (done.stdout + done.stderr)[-2000:] + (f"exit status {done.returncode}" if done.returncode else "")


if __name__ == "__main__":
    sys.stdout.write(json.dumps(replay(sys.argv[1], int(sys.argv[2]), sys.argv[3], grade=len(sys.argv) > 4)))
