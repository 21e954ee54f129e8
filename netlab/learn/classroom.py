"""A class on one machine: a lab and drawn values for each student, and how the students stand.

As root each student has a login, and the lab is in the namespaces of that user, as ``netlab learn`` without root makes
it: no student needs root, and none sees another's.  Without root all labs are the caller's, each with a progress of its
own.  Either way the lab is made by ``netlab learn`` itself, which has nothing to read and ends at once.
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import random
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from netlab.errors import BadInput
from netlab.learn import progress
from netlab.learn.course import chosen, read
from netlab.names import LAB_NAME_MAX, is_dns_label
from netlab.near import near
from netlab.output.learn import ClassStatus, StudentStanding
from netlab.plain import dump, load
from netlab.runtime.state.sudo import maps_all_users
from netlab.values import dataclass

Verb = Callable[["Student"], tuple[str, ...]]

STUDENTS_MOST = 200
_PROGRESS_MOST = 1 << 20  # bytes of a student's file; one of twelve exercises has 10 KiB


@dataclass(frozen=True, slots=True)
class Student:
    """``login``: the lab is in that user's own namespaces."""

    name: str
    login: bool
    lab: str
    seed: int


@dataclass(frozen=True, slots=True)
class Room:
    """A class; ``folder`` is the exercise's."""

    name: str
    folder: str
    students: tuple[Student, ...]

    @property
    def exercise(self) -> str:
        return Path(self.folder).name

    def lab_of(self, student: str) -> str:
        """The lab of a student.  Raises BadInput where the class has none of that name."""
        return self.student(student).lab

    def student(self, name: str) -> Student:
        """A student by name.  Raises BadInput."""
        known = {each.name: each for each in self.students}
        if name not in known:
            raise BadInput(f"class {self.name} has no student {name}{near(name, known)}")
        return known[name]


def roster(students: str) -> list[str]:
    """The names of a file's lines, or as many as a number says.  Raises BadInput."""
    if students.isdecimal():
        names = [f"student-{number}" for number in range(1, int(students[:6]) + 1)]
    else:
        try:
            lines = Path(students).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"--students {students}: cannot be read: {error}") from None
        names = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not 0 < len(names) <= STUDENTS_MOST:
        raise BadInput(f"--students: {len(names)} students; a class has 1 to {STUDENTS_MOST}")
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise BadInput(f"--students: {twice} is there twice")
    return names


def enrolled(name: str, exercise: str, names: list[str], seed: int | None) -> Room:
    """A new class, kept in the caller's folder.  Raises BadInput."""
    if not is_dns_label(name, LAB_NAME_MAX):
        raise BadInput(f"{name!r} cannot be a class's name: a DNS label of at most {LAB_NAME_MAX} characters")
    if _file(name).exists():
        raise BadInput(f"there is a class {name}", hint=f"netlab class end {name}")
    folder = chosen(exercise)
    is_root = os.geteuid() == 0 and maps_all_users()
    seed = random.randrange(2**31) if seed is None else seed
    students = []
    for student in names:
        lab = f"{name}-{student}"
        if not is_dns_label(lab, LAB_NAME_MAX):
            raise BadInput(f"{lab!r} cannot be the name of a lab: a DNS label of at most {LAB_NAME_MAX} characters")
        if is_root and not _has_login(student):
            raise BadInput(
                f"student {student} has no login on this machine, and without one would need root",
                hint=f"sudo useradd -m {student}; or make the class without root",
            )
        drawn = int.from_bytes(hashlib.sha256(f"{seed}/{student}".encode()).digest()[:4]) >> 1
        students.append(Student(student, is_root, lab, drawn))
    room = Room(name, str(folder.resolve()), tuple(students))
    _folder(name).mkdir(mode=0o700, parents=True)
    _file(name).write_text(json.dumps(dump(room)), encoding="utf-8")
    return room


def _has_login(name: str) -> bool:
    try:
        return pwd.getpwnam(name).pw_uid != 0
    except KeyError:
        return False


def room_of(name: str) -> Room:
    """A class that was made.  Raises BadInput."""
    try:
        if not is_dns_label(name, LAB_NAME_MAX):  # and no path
            raise ValueError(name)
        return load(Room, json.loads(_file(name).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        there = sorted(path.parent.name for path in progress.path().parent.glob("classes/*/class.json"))
        raise BadInput(f"there is no class {name}{near(name, there)}", hint="netlab class new makes one") from None


def _folder(name: str) -> Path:
    return progress.path().parent / "classes" / name


def _file(name: str) -> Path:
    return _folder(name) / "class.json"


# -- the labs ---------------------------------------------------------------------------------------------------------


def build(room: Room) -> dict[str, str]:
    """Make the labs; by student, what went wrong."""
    return _all(room, lambda student: ("learn", room.folder, "--name", student.lab, "--seed", str(student.seed)))


def end(name: str) -> dict[str, str]:
    """Remove the labs, and what is kept of the class where all of them are gone; by student, what went wrong."""
    room = room_of(name)
    troubles = _all(room, lambda student: ("down", student.lab))
    if not troubles:
        shutil.rmtree(_folder(name))
    return troubles


def session(name: str, student: str) -> tuple[Mapping[str, str], list[str]]:
    """The environment and the command of a student whose lab is the caller's.  Raises BadInput."""
    room = room_of(name)
    if room.student(student).login:
        raise BadInput(f"the lab of {student} is in that user's own namespaces: {student} types: netlab learn")
    return _environment(room, room.student(student)), [sys.executable, "-m", "netlab", "learn"]


def command(room: Room, student: str, words: tuple[str, ...]) -> tuple[list[str], dict[str, Any]]:
    """The words that run netlab as a student, and the options of the process: its user, environment and folder."""
    return [sys.executable, "-m", "netlab", *words], _options(room, room.student(student))


def _options(room: Room, student: Student) -> dict[str, Any]:
    options: dict[str, Any] = {"env": _environment(room, student), "cwd": "/", "start_new_session": True}
    if student.login:
        user = pwd.getpwnam(student.name)
        groups = os.getgrouplist(user.pw_name, user.pw_gid)
        options |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": groups}
    return options


def _all(room: Room, words: Verb) -> dict[str, str]:
    jobs = 2 * len(os.sched_getaffinity(0))  # a part of each is waiting
    with ThreadPoolExecutor(jobs) as pool:
        said = pool.map(lambda student: _run(room, student, words(student)), room.students)
        return {student.name: text for student, text in zip(room.students, said, strict=True) if text}


def _run(room: Room, student: Student, words: tuple[str, ...]) -> str:
    """Run netlab as a student; its words where it failed."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "netlab", *words],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **_options(room, student),
        )  # fmt: skip
    except PermissionError:
        return f"that user cannot run {sys.executable}: put netlab where every user may read it, for example in /opt"
    return "" if done.returncode == 0 else done.stderr.strip() or f"exit status {done.returncode}"


def _environment(room: Room, student: Student) -> dict[str, str]:
    """A login's own, or the caller's with a progress for this student."""
    if not student.login:
        return {**os.environ, "XDG_STATE_HOME": str(_folder(room.name) / student.name)}
    user = pwd.getpwnam(student.name)
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "PYTHONPATH"}}
    return {**kept, "HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name, "SHELL": user.pw_shell}


# -- how they stand ---------------------------------------------------------------------------------------------------


def status(name: str) -> ClassStatus:
    """The class, with the progress of each student.  Raises BadInput."""
    room = room_of(name)
    exercise = read(Path(room.folder))
    return ClassStatus(
        name=name,
        exercise=room.exercise,
        title=exercise.title,
        students=tuple(_standing(room, student, len(exercise.steps)) for student in room.students),
    )


def _standing(room: Room, student: Student, steps: int) -> StudentStanding:
    kept = progress.parsed(_text(_kept(room, student))).exercises.get(room.exercise)
    step = min(kept.step, steps) if kept else 0
    return StudentStanding(
        student=student.name,
        login=student.login,
        lab=student.lab,
        seed=student.seed,
        exercise=room.exercise,
        progress="none" if kept is None else "done" if step == steps else "begun",
        step=step,
        steps=steps,
        hints=kept.hints if kept else 0,
        resets=kept.resets if kept else 0,
        skipped=sum(each.how == "skipped" for each in kept.done) if kept else 0,
        seconds=round(sum(each.seconds for each in kept.done), 1) if kept else 0.0,
        since=kept.began if kept else 0.0,
    )


def _kept(room: Room, student: Student) -> Path:
    if student.login:
        return Path(pwd.getpwnam(student.name).pw_dir, ".local", "state", "netlab", "learn.json")
    return _folder(room.name) / student.name / "netlab" / "learn.json"


def _text(path: Path) -> str:
    """A file that a student may have replaced: no link is followed, no pipe waited for, no more read than it may have."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    with os.fdopen(fd, "rb") as stream:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return ""
        return stream.read(_PROGRESS_MOST).decode("utf-8", "replace")
