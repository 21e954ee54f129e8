"""Annotations and commands of manifests as people read them, and the room that a Pod's files have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import run_netlab

pytestmark = pytest.mark.kernel
BAD = "\x1b[31mRED\x1b]0;title\x07\x9b\u202e"


@pytest.fixture
def lab(lab_name: str, tmp_path: Path) -> Iterator[str]:
    container = {"name": "c", "image": "x", "args": [BAD], "env": [{"name": "A", "value": BAD}]}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "annotations": {"note": BAD}},
        "spec": {"containers": [container]},
    }
    spec = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": lab_name}, "spec": {"dataplane": "kindnet"}}
    file = tmp_path / "lab.yaml"
    file.write_text("\n---\n".join(map(json.dumps, (spec, pod))))
    run_netlab("up", file)
    yield lab_name
    run_netlab("down", lab_name)


def test_no_verb_prints_a_control_character_of_a_manifest(lab: str) -> None:
    for words in (["describe", "pod", "p"], ["get", "pods", "-o", "wide"], ["get", "events"], ["explain", "p", "p:80"]):
        done = run_netlab(words[0], "--lab", lab, *words[1:], check=None)
        text = done.stdout + done.stderr
        assert not [c for c in text if (ord(c) < 32 and c not in "\n\t") or 0x7F <= ord(c) <= 0x9F or c == "\u202e"], (
            words
        )


def test_a_pods_files_have_bounded_room(lab: str) -> None:
    for place in ("/", "/tmp", "/run", "/dev/shm"):
        rows = run_netlab("exec", "--lab", lab, "p", "--", "df", "-k", place).stdout.splitlines()
        blocks = int(rows[-1].split()[1])
        assert blocks <= 512 * 1024, (place, rows)
    full = run_netlab(
        "exec", "--lab", lab, "p", "--", "dd", "if=/dev/zero", "of=/dev/shm/big", "bs=1M", "count=100", check=1
    )
    assert "No space left on device" in full.stderr
