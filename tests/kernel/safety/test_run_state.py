"""Run state of other versions, of wrong types, and strays beside it: sentences, and ``down`` always works."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import run_netlab

WRONG: tuple[Any, ...] = (None, "x", -1, 1e300, [], {}, [["x"]], {"x": "y"}, True)
READING = ("ls", "get pods --lab LAB", "diff LAB")


@pytest.fixture
def running(kit: Any, lab: str) -> tuple[str, Path]:
    kit.up(kit.spec(lab))
    return lab, Path(f"/run/netlab/{lab}")


def _changed(data: Any) -> Iterator[tuple[str, Any]]:
    """The data with each of its parts, two levels deep, replaced by values of other types."""
    for key in data:
        for value in WRONG:
            yield f"{key}={value!r}", data | {key: value}
        if isinstance(data[key], dict):
            for word, more in _changed(data[key]) if key != "labels" else ():
                yield f"{key}.{word}", data | {key: more}


@pytest.mark.parametrize("file", ["documents", "assignments"])
def test_run_state_of_wrong_types_ends_in_sentences(
    running: tuple[str, Path], file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from netlab.cli.main import run

    name, folder = running
    before = (folder / file).read_text()
    try:
        for what, data in _changed(json.loads(before)):
            (folder / file).write_text(json.dumps(data))
            for words in READING:
                status = run(words.replace("LAB", name).split())
                said = capsys.readouterr()
                assert "Traceback" not in said.err, f"{what}: {words}: {said.err}"
                assert status in (0, 1, 2, 4), f"{what}: {words}: {said.err}"
    finally:
        (folder / file).write_text(before)
    assert run(["diff", name]) == 0


@pytest.mark.parametrize("version", [None, 0, 3, 99, "2", []])
def test_another_versions_lab_is_told_of_and_comes_down(kit: Any, lab: str, version: Any) -> None:
    kit.up(kit.spec(lab))
    path = Path(f"/run/netlab/{lab}/documents")
    path.write_text(json.dumps({"version": version, "owner": 0, "strange": [1, 2]}))
    for words in (f"get pods --lab {lab}", f"diff {lab}", f"exec --lab {lab} client -- true", f"reach {lab}"):
        done = run_netlab(*words.split(), check=4)
        assert re.search(r"another version of netlab.* version .*this netlab reads versions 1 and 2", done.stderr), (
            words
        )
        assert f"down {lab}" in done.stderr
    assert lab in run_netlab("ls").stdout
    assert run_netlab("down", lab).stdout.startswith(f"lab {lab} is down: 5 namespaces removed")
    assert kit.remains(lab) == []


def test_a_lab_of_the_version_before_goes_on(kit: Any, lab: str) -> None:
    kit.up(kit.spec(lab))
    folder = Path(f"/run/netlab/{lab}")
    documents, assignments = (json.loads((folder / name).read_text()) for name in ("documents", "assignments"))
    memory = assignments["memory"]
    memory["services"] = {key: list(one.values()) for key, one in memory["services"].items()}  # rows, in version 1
    (folder / "documents").write_text(json.dumps(documents | {"version": 1}))
    (folder / "assignments").write_text(json.dumps(assignments))
    assert run_netlab("diff", lab).stdout == f"lab {lab}: no drift\n"
    run_netlab("label", "pod", "client", "more=yes", "--lab", lab)
    assert json.loads((folder / "documents").read_text())["version"] == 2


def test_a_stray_file_is_no_lab(kit: Any, lab: str) -> None:
    kit.up(kit.spec(lab))
    strays = [Path("/run/netlab") / name for name in ("a file", "file", "Folder.d")]
    try:
        for path in strays[:2]:
            path.write_text("x")
        strays[2].mkdir()
        listed = run_netlab("ls", "-o", "json")
        assert not {path.name for path in strays} & {one["lab"] for one in json.loads(listed.stdout)}
    finally:
        for path in strays[:2]:
            path.unlink()
        strays[2].rmdir()
