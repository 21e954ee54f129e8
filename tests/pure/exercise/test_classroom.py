"""Classes: who is enrolled, and how a student's own file is read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netlab.errors import BadInput
from netlab.learn import classroom
from netlab.learn.sheets import standings_csv


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(classroom, "maps_all_users", lambda: False)  # as without root


def test_a_roster_is_a_number_or_the_lines_of_a_file(tmp_path: Path) -> None:
    assert classroom.roster("2") == ["student-1", "student-2"]
    file = tmp_path / "students"
    file.write_text("# the class of 10 o'clock\nada\n\n bob \n")
    assert classroom.roster(str(file)) == ["ada", "bob"]
    file.write_text("ada\nada\n")
    for wrong in ("0", "201", "99999999999", str(file), str(tmp_path), "nosuch"):
        with pytest.raises(BadInput, match="--students"):
            classroom.roster(wrong)


def test_neighbours_have_other_values_and_the_same_seed_draws_them_again() -> None:
    room = classroom.enrolled("c", "direct", ["ada", "bob"], 5)
    assert room == classroom.room_of("c")
    assert room.students[0].seed != room.students[1].seed
    assert [each.seed for each in classroom.enrolled("d", "direct", ["ada", "bob"], 5).students] == [
        each.seed for each in room.students
    ]
    with pytest.raises(BadInput, match="there is a class c"):
        classroom.enrolled("c", "direct", ["ada"], 5)


@pytest.mark.parametrize(("name", "student"), [("../x", "ada"), ("c", "../ada"), ("c", "a" * 40), ("C", "ada")])
def test_names_are_names_of_labs(name: str, student: str) -> None:
    with pytest.raises(BadInput, match="cannot be"):
        classroom.enrolled(name, "direct", [student], 5)


def test_as_root_a_student_needs_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classroom, "maps_all_users", lambda: True)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for student in ("nobody-here", "root"):
        with pytest.raises(BadInput, match="has no login on this machine, and without one would need root"):
            classroom.enrolled("c", "direct", [student], 5)


def test_a_students_file_leads_the_instructor_nowhere(tmp_path: Path) -> None:
    room = classroom.enrolled("c", "direct", ["ada", "bob", "eve", "dan"], 5)
    there = {}
    for student in room.students:
        there[student.name] = tmp_path / "state/netlab/classes/c" / student.name / "netlab/learn.json"
        there[student.name].parent.mkdir(parents=True)
    (tmp_path / "shadow").write_text("root:x")
    there["ada"].symlink_to(tmp_path / "shadow")
    os.mkfifo(there["bob"])
    there["eve"].write_text("[" * 100_000)
    there["dan"].write_text('{"exercises": {"direct": {"seed": "x"}}}')
    document = classroom.status("c")
    assert [each.progress for each in document.students] == ["none"] * 4
    there["dan"].write_text(
        '{"exercises": {"direct": {"seed": 1, "done": [{"how": "done", "seconds": 1.5}, {"how": "skipped", "seconds": 1}]}}}'
    )
    dan = classroom.status("c").students[3]
    assert (dan.progress, dan.step, dan.steps, dan.skipped, dan.seconds) == ("begun", 2, 4, 1, 2.5)
    assert standings_csv(classroom.status("c")).splitlines()[4].startswith("dan,False,c-dan,")
