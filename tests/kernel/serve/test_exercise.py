"""Exercises and faults on the page: an exercise goes on while the page does, and its texts stay texts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netlab.runtime import lab as labs
from tests.conftest import run_netlab
from tests.kit.served import Served

pytestmark = pytest.mark.kernel
SECONDS = 60  # for a busy machine
MARKUP = "<img src=x onerror=alert(1)>"
EXERCISE = """\
apiVersion: netlab/v1
kind: Exercise
metadata: {{name: {name}}}
spec:
  title: "{markup}"
  goal: "{markup}"
  course: 1
  level: 1
  minutes: 1
  steps:
  - title: first
    text: "{markup}"
    checks: [{{ask: {{question: "how many?", answer: ["2"]}}}}]
    hints: ["{markup}"]
  - title: second
    text: The route is gone.
    faults: [{{fault: route-to-peer-missing}}]
    checks: [{{probe: {{from: client, to: server, port: 80, expect: allow}}}}]
"""


@pytest.fixture
def folder(tmp_path: Path, kit: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    name = f"exercise{os.getpid()}"
    made = tmp_path / name
    made.mkdir()
    (made / "lab.yaml").write_text(kit.spec(name, dataplane="vxlan"))
    (made / "exercise.yaml").write_text(EXERCISE.format(name=name, markup=MARKUP))
    (made / "README.md").write_text(f"# {MARKUP}\n\n{MARKUP} [link](https://evil.example)\n")
    run_netlab("up", made)
    yield made
    labs.down(name)
    assert kit.remains(name) == []


def test_an_exercise_and_a_fault_from_the_page(folder: Path) -> None:
    served = Served(folder.name)
    served.visit()
    events = served.events()

    def say(word: str, value: str = "") -> None:
        assert served.post("/page/v1/exercise", {"do": word, "value": value})[0] == 200

    def standing(**wanted: Any) -> dict[str, Any]:
        return next(
            data
            for kind, data in events
            if kind == "exercise" and all(data.get(key) == value for key, value in wanted.items())
        )

    assert served.post("/page/v1/exercise", {"do": "rm"})[0] == 400
    assert served.post("/page/v1/exercise", {"do": "answer", "value": "x" * 2000})[0] == 400
    say("look")
    assert standing()["title"] == MARKUP
    say("begin")
    assert standing(goes_on=True, busy="")["text"] == MARKUP
    say("hint")
    assert standing(more_hints=False)["hints"] == [MARKUP]
    say("answer", "3\\n")
    assert standing(note="No, that is not the answer. Look again, or take a hint.")["number"] == 0
    say("answer", "2")
    second = standing(number=1)
    assert [step["how"] for step in second["steps"]] == ["done", ""]
    assert "route-to-peer" not in json.dumps(second), "the fault of a step is secret"
    healed = json.loads(served.post("/page/v1/heal", {})[1])["done"]["healed"]
    assert [each["fault"] for each in healed] == ["route-to-peer-missing"]
    assert standing(over=True)["hints_taken"] == 1
    status, text = served.post("/page/v1/handout", {})
    html = json.loads(text)["html"]
    assert (status, MARKUP in html, "&lt;img" in html) == (200, False, True)
    broken = json.loads(served.post("/page/v1/break", {"secret": "yes", "level": "1"})[1])["done"]
    assert broken["fault"] is None
    assert served.post("/page/v1/break", {"fault": "--list"})[0] == 409
    assert served.post("/page/v1/break", {"level": "9"})[0] == 400
    events.close()
    served.process.terminate()
    served.process.wait(SECONDS)
    later = Served(folder.name)
    later.visit()
    assert later.post("/page/v1/exercise", {"do": "look"})[0] == 200
    assert next(data["goes_on"] for kind, data in later.events() if kind == "exercise") is False, (
        "it ended with its page"
    )
    later.process.terminate()
    later.process.wait(SECONDS)
