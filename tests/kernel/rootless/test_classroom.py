"""A class of a user who is not root: labs side by side, each with values and a progress of its own."""

from __future__ import annotations

import json

import pytest

from netlab.output import document
from netlab.plain import schema
from tests.kernel.rootless.conftest import Plain

jsonschema = pytest.importorskip("jsonschema")
pytestmark = pytest.mark.kernel

CLASS = """
netlab class new c direct --students 2 --seed 5 && netlab class status c -o json >earlier
printf 'answer 172.18.0.3\\nuntil step | grep -q "2/4"; do sleep 0.2; done\\n' | netlab class join c student-2 >told
netlab class status c -o json >later; netlab class status c -o csv >sheet; netlab ls -o json >labs
netlab class end c && netlab ls -o json >none
echo '{"before": '; cat earlier; echo ', "after":'; cat later; echo ', "labs":'; cat labs; echo ', "none":'; cat none; echo '}'
cat sheet >&2
"""


def test_each_student_has_a_lab_and_a_progress_and_nothing_is_left(plain: Plain) -> None:
    """`netlab learn` as the first command of a user without root had no world to make its lab in."""
    done = plain(CLASS)
    assert done.returncode == 0, done.stderr
    assert "students" in done.stdout, done.stdout + done.stderr
    said = json.loads(done.stdout[done.stdout.index('{"before"') :])
    jsonschema.Draft202012Validator(schema(document("class status"), "class status")).validate(said["after"])
    assert [each["progress"] for each in said["before"]["students"]] == ["begun", "begun"]
    first, second = said["after"]["students"]
    assert (first["step"], second["step"], second["steps"]) == (0, 1, 4)
    assert first["seed"] != second["seed"]
    assert [each["lab"] for each in said["labs"]] == ["c-student-1", "c-student-2"] and said["none"] == []
    assert "\nstudent-2,False,c-student-2," in done.stderr
