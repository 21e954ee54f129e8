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
netlab class new c direct --students 2 --seed 5 || exit 1
netlab class status c -o json >earlier
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


WALL = """
netlab class new c direct --students 2 --seed 5 >/dev/null
netlab serve --class c >url 2>said & wall=$!
until [ -s url ]; do sleep 0.1; done
url=$(cat url); base=${url%/?token*}
ask() { curl -s -b jar -w ' %{http_code}\\n' "$@"; }
curl -s -o /dev/null -w '%{http_code}\\n' $base/page/v1/events
curl -s -c jar -o /dev/null -w '%{http_code}\\n' "$url"
curl -s -o /dev/null -w '%{http_code}\\n' "$url"
ask -d '{"student": "student-1"}' $base/page/v1/student
ask -H "Origin: http://evil" -d '{"student": "student-1"}' $base/page/v1/student
ask -H "Origin: $base" -d '{"student": "root"}' $base/page/v1/student
ask -H "Host: evil:80" $base/
timeout 5 curl -s -N -b jar $base/page/v1/events | { read -r event; read -r data; echo "$data" >seen; }
curl -s -b jar -H "Origin: $base" -d '{"student": "student-2"}' $base/page/v1/student >own
own=$(sed 's/.*"address": "//;s/".*//' own)
curl -s -c jar2 -b jar2 -L "$own" | grep -c 'id="board"'
curl -s -o /dev/null -w '%{http_code}\\n' -b jar2 $base/page/v1/events
netlab serve --class c >url2 & second=$!
until [ -s url2 ]; do sleep 0.1; done
url=$(cat url2); other=${url%/?token*}
curl -s -c jar3 -o /dev/null "$url"
curl -s -b jar3 -H "Origin: $other" -d '{"student": "student-1"}' $other/page/v1/student | grep -c address
kill $second; wait $second
pgrep -fc 'netlab serve c-student-1'
netlab class end c
wait $wall
cat said >&2; pgrep -f 'netlab serve' >&2
cat seen >&2
"""


def test_the_wall_shows_progress_and_opens_pages_that_end_with_it(plain: Plain) -> None:
    done = plain(WALL)
    answers = [
        *("401", "303", "403"),
        "a request that changes something, and a websocket, need an Origin\n 403",
        "a page of another origin sent this request\n 403",
        "student is not a name of this lab\n 400",
        "this page answers under its own names only; netlab serve --host NAME adds one\n 421",
        *("1", "401", "1", "0", "class c is over"),
    ]
    assert done.stdout == "\n".join(answers) + "\n", done.stdout + done.stderr
    over, seen = done.stderr.splitlines()
    assert over == "class c is over"
    assert [each["student"] for each in json.loads(seen.removeprefix("data: "))["students"]] == [
        "student-1",
        "student-2",
    ]
